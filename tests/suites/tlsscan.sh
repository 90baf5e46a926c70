# what: sslscan and testssl at a real agent: the versions, suites and groups that are meant, no finding outside the reviewed list
# needs: sslscan, testssl.sh, python3, openssl
# time: 2-5 min

need_packages $BUILD_PACKAGES python3 openssl sslscan testssl.sh bsdmainutils || { fail "$why"; return 0; }
build dev hawserd hawser-wire hawser-emu hawser-dev hawser || return 0
while read -r verdict name; do
  case $verdict in
    pass) pass "$name" ;;
    fail) fail "$name" ;;
    *) echo "$verdict $name" ;;
  esac
done < <(timeout 1200 python3 tests/tlsscan/run.py build/dev/bin sslscan testssl 2>&1 || echo "fail the scans as a whole")
