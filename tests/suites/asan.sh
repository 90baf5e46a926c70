# what: the same tests under AddressSanitizer and UndefinedBehaviorSanitizer, no recovery
# needs: the build packages
# time: 2-4 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
build asan || return 0
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
run_ctest asan 'unit|trace|integration|fuzz'
