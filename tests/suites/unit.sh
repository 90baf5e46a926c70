# what: unit, trace and integration tests and fuzz corpora, gcc -O2, closure links, headers alone
# needs: the build packages
# time: 1-3 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
build dev || return 0
pass "build with layer views, closure links and headers alone"
run_ctest dev 'unit|trace|integration|fuzz'
