# what: sslscan and testssl at a real agent: the versions, suites and groups that are meant, no finding outside the reviewed list; TLS 1.2's rules broken by hand
# needs: sslscan, testssl.sh, python3, python3-cryptography, openssl
# time: 2-5 min

need_packages $BUILD_PACKAGES python3 python3-cryptography openssl sslscan testssl.sh bsdmainutils || { fail "$why"; return 0; }
build dev hawserd hawser-wire hawser-emu hawser-dev hawser || return 0
verdicts "scans" 1200 python3 tests/tlsscan/run.py build/dev/bin sslscan testssl
# python3-cryptography is Debian's, for Debian's python.
verdicts "probes" 600 /usr/bin/python3 tests/tlsscan/probes.py build/dev/bin 1.2
