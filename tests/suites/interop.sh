# what: a stock Python gRPC client (grpcio) over mutual TLS: health, reflection, the four kinds, deadlines, cancel, limits; every method of an agent
# needs: the build packages, python3-venv, openssl; grpcio from the Python package index (cached)
# time: 1 min, the first time 1 more

need_packages $BUILD_PACKAGES python3 python3-venv openssl || { skip "all" "$why"; return; }
. tests/interop/venv.sh
interop_python >/dev/null || { skip "all" "the Python packages of tests/interop/requirements.txt cannot be installed"; return; }
build asan hawser-interop hawserd hawser-wire hawser-emu || return
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
while read -r verdict name; do
  case $verdict in
    pass) pass "$name" ;;
    fail) fail "$name" ;;
    *) echo "$verdict $name" ;;
  esac
done < <(timeout 900 tests/interop/run.sh build/asan/bin 2>&1)
