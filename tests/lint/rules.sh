#!/usr/bin/env bash
# The house rules as greps. Each prints the offending lines; the exit status is 1 if any did.
set -u
shopt -s lastpipe # `rule` at the end of a pipe sets `bad` of this shell
cd "$(dirname "$0")/../.." || exit 1
bad=0
# rule TEXT: standard input is what broke it.
rule() {
  local found
  found=$(cat)
  [ -z "$found" ] && return
  printf '%s\n%s\n' "rule: $1" "$found" | head -n 12
  bad=1
}
c_files() { git ls-files "$@" | grep -E '\.(c|h)$'; }

ours=$(c_files lib agent client tests)
lib=$(c_files lib)
cores=$(c_files lib/device/ifc lib/device/cmdq lib/device/emu lib/device/hca lib/device/nvconfig lib/device/dump \
  lib/device/gate lib/wire/tls lib/wire/grpc lib/core/link lib/core/table lib/core/crypt lib/core/policy lib/core/sched \
  lib/core/record lib/core/rollout)

grep -nE '\b(strcpy|strcat|sprintf|vsprintf|atoi|atol|gets|strtok)\(' $ours /dev/null | rule "no unbounded or unchecked string calls"
grep -nE '#include "\.\./' $ours /dev/null | rule 'no "../" in an include'
grep -nE '(^|[^>.[:alnum:]_])(malloc|calloc|realloc|free|strdup)\(' $ours /dev/null |
  grep -vE '^(lib/base/mem.c|tests/unit/tls/fail_calloc.c):' | rule "memory goes through base/mem.h"
grep -nE '\b(printf|fprintf|puts|perror|syslog)\(' $lib /dev/null |
  grep -v '^lib/base/assert.c:' | rule "libraries do not print or log"
grep -nE '#include <(uv|sys/socket|sys/ioctl|pthread|time|fcntl|unistd|poll|sys/epoll)' $cores /dev/null |
  grep -vE '^lib/wire/tls/aead_ipsec_mb.c:.*<(pthread|unistd)' | # one table, made once for all threads; a page's size
  rule "cores do no I/O, threads or clocks"
grep -ln '#include <uv.h>' $ours /dev/null | grep -vE '^(lib/wire/net/|lib/wire/hawser_grpc.h|agent/hawserd/|agent/wire/|client/|tests/)' |
  rule "libuv only in net, hawserd, wire and client"
grep -ln '#include <mbedtls' $ours /dev/null | grep -vE '^(lib/wire/tls|tests/)' | rule "only lib/wire/tls knows mbedTLS"
grep -nE '__attribute__' $ours /dev/null | grep -v '^lib/base/attr.h:' | rule "attributes have names in base/attr.h"
grep -nE '\b(memcmp)\(.*(key|secret|token|passw)' $ours /dev/null | rule "secrets are compared in constant time"
git ls-files lib/wire lib/base | xargs grep -nwiEf tests/lint/hardware.words /dev/null | rule "lib/wire and lib/base know no hardware"
diff <(python3 lib/wire/api.py --names) <(sed -n 's/^    \(hws_.*\);$/\1/p' lib/wire/hawser-grpc.map) |
  rule "lib/wire/hawser-grpc.map names the functions of the public headers, in order (python3 lib/wire/api.py --names)"
python3 tests/lint/claims.py lib/wire/CONFORMANCE.md lib/wire/README.md | rule "each claim of lib/wire names tests that are there"
for h in $(printf '%s\n' $ours | grep '_priv\.h$'); do
  grep -ln "\"$(basename "$(dirname "$h")")/$(basename "$h")\"" $ours /dev/null | grep -v "^$(dirname "$h")/"
done | rule "a _priv.h is included from its own folder only"
for h in $(printf '%s\n' $ours | grep '\.h$'); do
  grep -q '#ifndef HWS_' "$h" || echo "$h"
done | rule "every header has an HWS_ include guard"
grep -nE 'typedef struct [a-z_]+ [a-z_]+;|\} [a-z_]+_t;' $ours /dev/null | rule "no typedef of structs"
grep -nE "\b(TODO|FIXME|XXX)\b" $ours /dev/null | rule "no unfinished marks"
awk 'FNR == 1 && !/^\/\*/ {print FILENAME ": does not open with what it is"}' $(printf '%s\n' $ours | grep '\.c$') /dev/null |
  rule "a .c file opens with what it is"
git ls-files | xargs grep -nIE '/(work|home|root)/[a-z]' 2>/dev/null | grep -vE '^(tests/lint/rules.sh|\.gitignore):' | rule "no path of a machine"
git ls-files | xargs grep -lIE -e '-----BEGIN (EC |RSA |ENCRYPTED )?PRIVATE KEY' 2>/dev/null | grep -v '^tests/lint/rules.sh$' | rule "no private key"
git ls-files | grep -v '^tests/fuzz/corpus/' | xargs file -N --mime-encoding 2>/dev/null | grep ': binary' | rule "no binary outside the fuzz corpora"
git ls-files 'docs/adr/[0-9]*.md' | sed -E 's|docs/adr/([0-9]+)-.*|\1|' | sort | uniq -d | rule "each decision record has a number of its own"
for d in $(git ls-files 'lib/*.c' | xargs -n1 dirname | sort -u); do
  [ -f "$d/README.md" ] || echo "$d"
done | rule "each layer has a README"
exit $bad
