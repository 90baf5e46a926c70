# what: what may run, exhaustively, against a list written by hand; hostile processes on either side; the walls of each process attacked from inside; systemd units
# needs: the build packages, systemd (systemd-analyze), python3, openssl, procps
# time: 3-4 min

need_packages $BUILD_PACKAGES systemd python3 openssl procps || { fail "$why"; return 0; }
build dev || return 0
[ "$HAWSER_LONG" = 1 ] && export HAWSER_SCOPE_N=1000000
run_ctest dev scope

# What the tests said: how much was judged, how far the walls go.
grep -E '[0-9]+ (judged|attempts denied|calls, |commands over)|escapes|^ *[a-z]+\.lock: level=' build/dev/Testing/Temporary/LastTest.log | sed 's/^/   /'

# Deaths of the keeper: by real SIGKILLs under load here; at failpoints of an in-memory file layer in unit_store_kill.
kills=20
if [ "$HAWSER_LONG" = 1 ]; then
  kills=300
  if HAWSER_KILLS=10000 timeout 1800 build/dev/tests/unit_store_kill; then pass "10,000 deaths at failpoints"; else fail "10,000 deaths at failpoints"; fi
fi
while read -r verdict name; do
  case $verdict in
    pass) pass "$name" ;;
    fail) fail "$name" ;;
    *) echo "   $verdict $name" ;;
  esac
done < <(HAWSER_BIN=$TOP/build/dev/bin timeout 3600 python3 tests/scope/kills.py $kills 2>&1 || echo "fail SIGKILLs: the test ended badly")

# exposure UNIT LIMIT-IN-TENTHS [FOLDER]: the offline score of systemd-analyze security; lower is better.
exposure() {
  local unit=$1 limit=$2 folder=${3:-packaging/systemd} score
  score=$(systemd-analyze security --offline=true --threshold=100 "$folder/$unit" 2>/dev/null |
    sed -nE 's/.*exposure level for [^:]*: ([0-9]+)\.([0-9]).*/\1\2/p')
  echo "   $unit: exposure ${score:-unknown} tenths, at most $limit"
  if [ -n "$score" ] && [ "$((10#$score))" -le "$limit" ]; then
    pass "exposure of $unit${3:+ with its socket passed}"
  else
    fail "exposure of $unit${3:+ with its socket passed}"
  fi
}
exposure hawser-wire.service 12
exposure hawserd.service 12
exposure hawser-dev.service 7
# hawser-wire with a socket that systemd listens on, by the drop-in that goes with it.
activated=$(mktemp -d)
awk 'NR == FNR { if (on) extra = extra $0 "\n"; on = on || $0 == "[Service]"; next } $0 == "[Install]" { printf "%s", extra } 1' \
  packaging/systemd/hawser-wire.socket.conf packaging/systemd/hawser-wire.service >"$activated/hawser-wire.service"
exposure hawser-wire.service 7 "$activated"
rm -r "$activated"
for unit in packaging/systemd/*.service packaging/systemd/*.socket; do
  # What a unit names must be known to systemd; programs and users are not installed here.
  if systemd-analyze verify "$unit" 2>&1 | grep -E 'Unknown|Failed to parse|Invalid'; then
    fail "$(basename "$unit") is well formed"
  else
    pass "$(basename "$unit") is well formed"
  fi
done
