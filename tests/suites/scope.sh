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
verdicts "SIGKILLs" 3600 env HAWSER_BIN="$TOP/build/dev/bin" python3 tests/scope/kills.py $kills

# exposure UNIT LIMIT-IN-TENTHS [FOLDER WORDS]: the offline score of systemd-analyze security; lower is better.
exposure() {
  local unit=$1 limit=$2 folder=${3:-packaging/systemd} score
  score=$(systemd-analyze security --offline=true --threshold=100 "$folder/$unit" 2>/dev/null |
    sed -nE 's/.*exposure level for [^:]*: ([0-9]+)\.([0-9]).*/\1\2/p')
  echo "   $unit${4:+ $4}: exposure ${score:-unknown} tenths, at most $limit"
  if [ -n "$score" ] && [ "$((10#$score))" -le "$limit" ]; then
    pass "exposure of $unit${4:+ $4}"
  else
    fail "exposure of $unit${4:+ $4}"
  fi
}
exposure hawser-wire.service 12
exposure hawserd.service 12
exposure hawser-dev.service 7
# with_dropin UNIT DROP-IN LIMIT WORDS: the unit with a drop-in's [Service] in it.
with_dropin() {
  local folder
  folder=$(mktemp -d)
  awk 'NR == FNR { if (on) extra = extra $0 "\n"; on = on || $0 == "[Service]"; next } $0 == "[Install]" { printf "%s", extra } 1' \
    "packaging/systemd/$2" "packaging/systemd/$1" >"$folder/$1"
  exposure "$1" "$3" "$folder" "$4"
  if systemd-analyze verify "$folder/$1" 2>&1 | grep -E 'Unknown|Failed to parse|Invalid'; then
    fail "$1 $4 is well formed"
  else
    pass "$1 $4 is well formed"
  fi
  rm -r "$folder"
}
# hawser-wire with a socket that systemd listens on; hawser-dev where the kernel is to run scope 3.
with_dropin hawser-wire.service hawser-wire.socket.conf 7 "with its socket passed"
with_dropin hawser-dev.service hawser-dev-rawio.conf 12 "with CAP_SYS_RAWIO"
for unit in packaging/systemd/*.service packaging/systemd/*.socket; do
  # What a unit names must be known to systemd; programs and users are not installed here.
  if systemd-analyze verify "$unit" 2>&1 | grep -E 'Unknown|Failed to parse|Invalid'; then
    fail "$(basename "$unit") is well formed"
  else
    pass "$(basename "$unit") is well formed"
  fi
done
