# what: the sanitized programs as a user runs them: CLI over mutual TLS, bad input, killed processes, rollouts
# needs: the build packages, python3, openssl, procps
# time: 1-2 min

need_packages $BUILD_PACKAGES python3 openssl procps || { fail "$why"; return 0; }
build asan hawserd hawser-wire hawser-emu hawser-dev hawser-dev-scripted hawser || return 0
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
verdicts "e2e" 900 env HAWSER_BIN="$TOP/build/asan/bin" python3 tests/e2e/run.py
