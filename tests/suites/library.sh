# what: the gRPC library installed alone: its API documented with errors, the README's programs built against it and run
# needs: the build packages, python3
# time: 15 s

need_packages $BUILD_PACKAGES python3 || { fail "$why"; return 0; }
build dev hws_wire_library || return 0
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-library.XXXXXX") || { fail "no folder"; return 0; }
server=""
trap '[ -n "$server" ] && kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

# The README shows the programs as they are.
for program in server client; do
  if sed -n "/^<!-- $program -->/,/^\`\`\`\$/p" lib/wire/README.md | sed '1,2d;$d' | cmp -s - "docs/examples/grpc/$program.c" &&
    [ "$(wc -l <"docs/examples/grpc/$program.c")" -le 60 ]; then
    pass "readme.$program"
  else
    fail "readme.$program: lib/wire/README.md does not show docs/examples/grpc/$program.c, or it has more than 60 lines"
  fi
done

if python3 lib/wire/api.py >"$work/API.md" && [ "$(grep -c '^### hws_' "$work/API.md")" -gt 100 ]; then pass "api"; else fail "api"; fi

cmake --install build/dev --component grpc --prefix "$work/prefix" >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "install"; return 0; }
pass "install"
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
docs/examples/grpc/build.sh "$work/bin" >"$work/log" 2>&1 || { head -n 20 "$work/log"; fail "build"; return 0; }
pass "build"

ca=certs/hawser-ca
{ "$ca" init "$work/pki" --days 2 && "$ca" agent "$work/pki" host --days 1 && "$ca" operator "$work/pki" olga --days 1; } \
  >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "certificates"; return 0; }
"$work/bin/server" "$work/pki/agent-host.crt" "$work/pki/agent-host.key" "$work/pki/ca.crt" >"$work/out" 2>&1 &
server=$!
address=""
for _ in $(seq 200); do
  address=$(sed -n 's/^listening //p' "$work/out")
  [ -n "$address" ] && break
  sleep 0.05
done
client() { timeout 60 "$work/bin/client" "$1" "$work/pki/operator-olga.crt" "$work/pki/operator-olga.key" "$work/pki/ca.crt" "$2" 2>&1; }
said="over $RANDOM and $RANDOM waters"
answer=$(client "$address" "$said")
if [ "${answer% }" = "$said" ] && grep -q 'operator/olga has come' "$work/out"; then pass "run"; else fail "run: '$answer'"; fi
kill "$server"
wait "$server" 2>/dev/null
server=""
if answer=$(client "$address" "$said"); then fail "refused: '$answer'"; else pass "refused"; fi
