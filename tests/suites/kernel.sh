# what: the Linux mlx5 driver, fwctl, mlxfw, devlink and the vendor's tools in a machine whose adapters are hawser-emu's; our agent beside them, driven from this host over mutual TLS
# needs: the build packages, python3, busybox-static; once: root and the network, for QEMU, a guest kernel and mstflint; skipped where a package cannot be reached
# time: 5-6 min; the first time 15-20 min more

need_packages $BUILD_PACKAGES python3 busybox-static || { fail "$why"; return 0; }
build dev hawserd hawser-wire hawser-dev hawser fwctl-probe || return 0
build asan hawser-emu || return 0
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
verdicts "kernel" 5400 env HAWSER_BIN="$TOP/build/dev/bin" HAWSER_EMU="$TOP/build/asan/bin/hawser-emu" python3 tests/kernel/run.py
