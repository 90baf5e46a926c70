# what: hostile clients against the real agent over mutual TLS: every row of docs/THREATS.md's attack table, and that it tests its limit
# needs: the build packages, python3, openssl, iproute2; as root, network namespaces and /dev/net/tun
# time: 2-3 min; --long 20-40 min (floods of a minute, 10^6 TLS first flights, every row with its limits off)

need_packages $BUILD_PACKAGES python3 openssl iproute2 || { fail "$why"; return 0; }
build dev hawserd hawser-wire hawser-emu hawser || return 0
limit=600
[ "$HAWSER_LONG" = 1 ] && limit=9000
verdicts "attack" "$limit" env HAWSER_BIN="$TOP/build/dev/bin" python3 tests/attack/run.py
