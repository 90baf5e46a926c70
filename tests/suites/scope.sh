# what: what may run, exhaustively: hawserd's table and policy and the device process's gate against a list written by hand
# needs: the build packages
# time: 1 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
build dev || return 0
run_ctest dev scope
