# what: our gRPC client and server against stock ones (C++, Python, grpc-js), all of gRPC's interop cases; HTTP/2's rules by hand; every method of an agent from Python
# needs: the build packages, libgrpc++-dev, protobuf-compiler-grpc, nodejs, npm, python3-venv, openssl; grpcio and grpc-js from their registries (cached)
# time: 2 min, the first time 3 more; with --long the full sizes of the soaks, grpc-go, Rust tonic, gRPC Java, and h2spec beside nghttpd: 30 min, and 5 once

need_packages $BUILD_PACKAGES python3 python3-venv openssl g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc || { skip "all" "$why"; return; }
command -v npm >/dev/null || need_packages nodejs npm || { skip "all" "$why"; return; }
. tests/interop/venv.sh
. tests/interop/peers.sh
python=$(interop_python) || { skip "all" "the Python packages of tests/interop/requirements.txt cannot be installed"; return; }
build asan hawser-interop hawser-interop-client hawserd hawser-wire hawser-emu || return
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

verdicts "agent" 900 tests/interop/run.sh build/asan/bin

# HTTP/2 by hand: our server against a client that breaks its rules, our client against a server that misbehaves.
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-http2.XXXXXX")
build/asan/bin/hawser-interop --listen "$work/sock" --seconds 2400 >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 200); do
  grep -q listening "$work/out" && break
  sleep 0.05
done
verdicts "http2" 200 python3 tests/interop/conformance.py "$work/sock"
verdicts "negative" 200 python3 tests/interop/negative.py --client build/asan/bin/hawser-interop-client
if [ "$HAWSER_LONG" = 1 ]; then
  if ! command -v go >/dev/null; then
    skip "h2spec" "there is no go to build it"
  elif ! need_packages nghttp2-server; then
    skip "h2spec" "$why"
  elif at=$(interop_h2spec); then
    verdicts "h2spec" 1300 python3 tests/interop/h2spec.py --h2spec "$at/h2spec" --socket "$work/sock"
  else
    skip "h2spec" "it does not come through the Go module proxy: $(tail -n 1 "$interop_cache"/h2spec-*.log)"
  fi
fi
kill "$server"
if wait "$server" && ! grep -qE 'ERROR|runtime error' "$work/err"; then
  pass "http2.server_ends_well"
else
  tail -n 20 "$work/err"
  fail "http2.server_ends_well"
fi
rm -rf "$work"

# The matrix: every stack, both directions, each transport. Fewer than three stacks is no result.
stacks="python=$python"
at=$(interop_cpp) && stacks="$stacks,cpp=$at"
at=$(interop_js) && stacks="$stacks,js=$at" && export NODE_PATH=$at/node_modules
# far_stack NAME TITLE: a stack whose registry or toolchain may be missing; without either it is skipped, with the reason.
far_stack() {
  local at
  if at=$("interop_$1"); then
    stacks="$stacks,$1=$at"
  elif [ $? = 75 ]; then
    skip "matrix: $2" "its registry does not give what it needs: $(interop_reason "$1")"
  else
    fail "matrix: $2 does not build"
  fi
}
if [ "$HAWSER_LONG" = 1 ]; then
  if command -v go >/dev/null; then far_stack go grpc-go; else skip "matrix: grpc-go" "there is no go"; fi
  if ! command -v cargo >/dev/null; then
    skip "matrix: Rust tonic" "there is no cargo"
  elif need_packages protobuf-compiler; then
    far_stack rust "Rust tonic"
  else
    skip "matrix: Rust tonic" "$why"
  fi
  if { command -v javac && command -v mvn; } >/dev/null || need_packages default-jdk-headless maven; then
    far_stack java "gRPC Java"
  else
    skip "matrix: gRPC Java" "$why"
  fi
fi
sizes="--calls 60 --rpcs 10 --dials 5"
[ "$HAWSER_LONG" = 1 ] && sizes="--calls 1000 --rpcs 10000 --dials 1000 --seconds 900"
if [ "$(tr ',' '\n' <<<"$stacks" | wc -l)" -lt 3 ]; then
  fail "matrix: three stock stacks are needed, there are: $(sed 's/=[^,]*//g' <<<"$stacks")"
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-matrix-ca.XXXXXX")
  certs/hawser-ca init "$work/ca" --days 2 && certs/hawser-ca agent "$work/ca" host --days 1 && certs/hawser-ca operator "$work/ca" olga --days 1
  # shellcheck disable=SC2086
  verdicts "matrix" 5400 "$python" tests/interop/matrix.py --bin build/asan/bin --ca "$work/ca" --peers "$stacks" $sizes
  # A thousand large calls on one channel: what they cost the server, in a build without sanitizers.
  build dev hawser-interop hawser-interop-client || return
  identity() { printf '%s\n' --cert "$work/ca/$1.crt" --key "$work/ca/$1.key" --ca "$work/ca/ca.crt"; }
  # shellcheck disable=SC2046
  build/dev/bin/hawser-interop $(identity agent-host) --seconds 200 >"$work/out" 2>&1 &
  server=$!
  for _ in $(seq 1200); do
    grep -q listening "$work/out" && break
    sleep 0.05
  done
  # shellcheck disable=SC2046
  said=$(timeout 180 build/dev/bin/hawser-interop-client --target "$(sed -n 's/^listening //p' "$work/out")" $(identity operator-olga) \
    --cases concurrent_large_unary --calls 1000 2>&1)
  most=$(awk '$1 == "VmHWM:" {print $2}' "/proc/$server/status")
  echo "concurrent_large_unary: 1000 calls on one channel: the server's memory peaks at ${most:-?} kB"
  if grep -q '^pass concurrent_large_unary' <<<"$said" && [ "${most:-999999}" -le 65536 ]; then
    pass "concurrent_large_unary.memory"
  else
    fail "concurrent_large_unary.memory: $said"
  fi
  kill "$server" && wait "$server"
  rm -rf "$work"
fi
