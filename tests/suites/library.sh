# what: the gRPC library installed alone: API documented with errors, exactly that exported, no hardware's word; README's programs built against it, shared and static, and run against each other and stock gRPC; C++
# needs: the build packages, python3, python3-venv, g++, libgrpc++-dev, protobuf-compiler-grpc; grpcio from its registry (cached)
# time: 20 s, once 1 min more when interop has not run

need_packages $BUILD_PACKAGES binutils python3 python3-venv g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc || { fail "$why"; return 0; }
. tests/interop/venv.sh
. tests/interop/peers.sh
build dev hws_wire_static hws_wire_shared hws_wire_api || return 0
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-library.XXXXXX") || { fail "no folder"; return 0; }
server=""
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
# same NAME A B: the case NAME passes when both files are the same, else it shows what differs.
same() { if diff "$2" "$3" >"$work/diff"; then pass "$1"; else head -n 20 "$work/diff"; fail "$1"; fi; }

# The README shows the programs as they are.
for program in server client; do
  if sed -n "/^<!-- $program -->/,/^\`\`\`\$/p" lib/wire/README.md | sed '1,2d;$d' | cmp -s - "docs/examples/grpc/$program.c" &&
    [ "$(wc -l <"docs/examples/grpc/$program.c")" -le 60 ]; then
    pass "readme.$program"
  else
    fail "readme.$program: lib/wire/README.md does not show docs/examples/grpc/$program.c, or it has more than 60 lines"
  fi
done

api() { python3 lib/wire/api.py "$@"; }
if api >"$work/API.md" && [ "$(grep -c '^### hws_' "$work/API.md")" -gt 100 ]; then pass "api"; else fail "api"; fi

prefix=$work/a/prefix
cmake --install build/dev --component grpc --prefix "$prefix" >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "install"; return 0; }
pass "install"
headers=$prefix/include/hawser-grpc
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
(cd "$headers" && find . -type f | sed 's#^\./##' | sort) >"$work/installed"
api --headers | sort >"$work/headers"
same "installed_headers" "$work/headers" "$work/installed"
docs=$prefix/share/doc/hawser-grpc
same "installed_api" "$work/API.md" "$docs/API.md"
same "installed_readme" lib/wire/README.md "$docs/README.md"

# What the compiler sees declared behind the one header, against what both libraries export.
echo '#include <hawser_grpc.h>' >"$work/all.c"
# shellcheck disable=SC2046
cc -fsyntax-only -Wall -Wextra -Werror -aux-info "$work/aux" $(pkg-config --cflags hawser-grpc) "$work/all.c" && pass "header.c" || fail "header.c"
grep -F /include/hawser-grpc/ "$work/aux" | grep -v '\*/ static ' | grep -oE '\w+ \(' | grep -vE '^(__\w+|void) ' | tr -d ' (' | sort -u >"$work/declared"
api --names >"$work/names"
same "declared" "$work/names" "$work/declared"
nm -D --defined-only "$prefix/lib/libhawser-grpc.so" | awk '$2 != "A" {print $3}' | sed 's/@.*//' | sort >"$work/exported"
same "exports.shared" "$work/declared" "$work/exported"
nm -g --defined-only "$prefix/lib/libhawser-grpc.a" | awk 'NF == 3 {print $3}' | sort >"$work/exported"
same "exports.static" "$work/declared" "$work/exported"
if grep -v '^hws_' "$work/exported"; then fail "exports.prefix"; else pass "exports.prefix"; fi
if [ "$(readelf -d "$prefix/lib/libhawser-grpc.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')" = libhawser-grpc.so.0 ]; then pass "soname"; else fail "soname"; fi

# No variable of its own outlives a call and is shared, so that each thread may have a loop; what protobuf-c and mbedTLS take
# by a pointer that is not const is not written to. The allocator's counters are there, or this saw nothing; with ipsec-mb its
# table of functions, made once.
objdump -t "$prefix/lib/libhawser-grpc.so" | awk '/ O \.(data|bss)\t/ {print $NF}' | grep -vE '^(__|completed\.)' | sed 's/\..*//' | sort >"$work/globals"
mb=
readelf -d "$prefix/lib/libhawser-grpc.so" | grep -q libIPSec_MB && mb="once s_mgr"
# shellcheck disable=SC2086 # a list
printf '%s\n' allocator s_alpn s_counting s_fail_at s_n_allocs s_sticky $mb | sort >"$work/counters"
same "no_globals" "$work/counters" "$work/globals"

# It knows no hardware: sources, README, what is installed, the API, what the library holds as text.
strings -n 3 "$prefix/lib/libhawser-grpc.so" >"$work/strings"
if { git ls-files lib/wire && find "$headers" "$prefix/lib/pkgconfig" -type f && echo "$work/API.md" "$work/strings" | tr ' ' '\n'; } |
  xargs grep -nwiEf tests/lint/hardware.words /dev/null; then
  fail "no_hardware"
else
  pass "no_hardware"
fi

"$docs/examples/build.sh" "$work/bin" >"$work/log" 2>&1 || { head -n 20 "$work/log"; fail "build"; return 0; }
pass "build"
# From another folder, and with the prefix somewhere else than where it was installed.
mv "$prefix" "$work/moved"
export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig LD_LIBRARY_PATH=$work/moved/lib
if (cd / && "$TOP/docs/examples/grpc/build.sh" "$work/static" static) >"$work/log" 2>&1 && ! readelf -d "$work/static/server" | grep -q hawser; then
  pass "build.static"
else
  head -n 20 "$work/log"
  fail "build.static"
  return 0
fi
# shellcheck disable=SC2046
if c++ -std=c++11 -Wall -Wextra -Werror tests/library/consumer.cc -o "$work/consumer" $(pkg-config --cflags --libs hawser-grpc) >"$work/log" 2>&1 &&
  [ "$("$work/consumer")" = "UNAVAILABLE word" ]; then
  pass "c++"
else
  head -n 20 "$work/log"
  fail "c++"
fi

ca=certs/hawser-ca
{ "$ca" init "$work/pki" --days 2 && "$ca" agent "$work/pki" host --days 1 && "$ca" operator "$work/pki" olga --days 1; } \
  >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "certificates"; return 0; }
as_host=("$work/pki/agent-host.crt" "$work/pki/agent-host.key" "$work/pki/ca.crt")
as_olga=("$work/pki/operator-olga.crt" "$work/pki/operator-olga.key" "$work/pki/ca.crt")
# stock CERT KEY CA: the same as options of a stock program.
stock() { printf '%s\n' --cert "$1" --key "$2" --ca "$3"; }
mapfile -t stock_host < <(stock "${as_host[@]}")
mapfile -t stock_olga < <(stock "${as_olga[@]}")
# serve COMMAND...: starts a server; $address is where it listens, empty if it does not.
serve() {
  "$@" >"$work/out" 2>&1 &
  server=$!
  address=""
  for _ in $(seq 1200); do
    address=$(sed -n 's/^listening //p' "$work/out")
    [ -n "$address" ] && return
    kill -0 "$server" 2>/dev/null || return
    sleep 0.05
  done
}
served() { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; server=""; }
client() { timeout 60 "$work/$1/client" "$address" "${as_olga[@]}" "$said" 2>&1; }
# hears NAME COMMAND...: the case NAME passes when the command prints what was said.
hears() {
  local name=$1 answer
  shift
  answer=$("$@" 2>&1)
  if [ "${answer% }" = "$said" ]; then pass "$name"; else fail "$name: '$answer'"; tail -n 5 "$work/out"; fi
}
said="over $RANDOM and $RANDOM waters"

python=$(interop_python) || skip "stock.python" "the Python packages of tests/interop/requirements.txt cannot be installed"
cpp=$(interop_cpp) || { fail "the C++ peer does not build"; return 0; }

serve "$work/bin/server" "${as_host[@]}"
hears "run" client bin
if grep -q 'operator/olga has come' "$work/out"; then pass "run.identity"; else fail "run.identity"; fi
hears "run.static" client static
[ -n "$python" ] && hears "stock.python->example" timeout 60 "$python" tests/interop/echo.py --target "$address" --say "$said" "${stock_olga[@]}"
hears "stock.c++->example" timeout 60 "$cpp/echo" --target "$address" --say "$said" "${stock_olga[@]}"
served
if answer=$(client bin); then fail "refused: '$answer'"; else pass "refused"; fi

serve "$work/static/server" "${as_host[@]}"
hears "run.static_server" client bin
served
serve "$cpp/echo" --listen 127.0.0.1:0 --seconds 120 "${stock_host[@]}"
hears "stock.example->c++" client bin
served
if [ -n "$python" ]; then
  serve "$python" tests/interop/echo.py --listen 127.0.0.1:0 --seconds 120 "${stock_host[@]}"
  hears "stock.example->python" client bin
  served
fi
