# what: ./quickstart itself: twice at once, interrupted, nothing left behind, README shows what it prints
# needs: the build packages, python3
# time: 2 min, 10 s when built

need_packages $BUILD_PACKAGES python3 || { fail "$why"; return 0; }
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-qs-test.XXXXXX")
export TMPDIR=$work
# Agents of this test are known by the folder in their arguments.
left() { pgrep -f "hawser.*$work" >/dev/null || [ -n "$(ls -d "$work"/hawser-quickstart.* 2>/dev/null)" ]; }

timeout 900 ./quickstart >"$work/first" 2>&1 &
first=$!
wait "$first"
if [ $? = 0 ]; then pass "runs to its end"; else tail -n 30 "$work/first"; fail "runs to its end"; fi
left && fail "leaves nothing behind" || pass "leaves nothing behind"
said=$(python3 tests/quickstart/readme.py <"$work/first" 2>&1) && pass "README shows what it prints: $said" || fail "$said"

timeout 300 ./quickstart >"$work/a" 2>&1 &
a=$!
timeout 300 ./quickstart >"$work/b" 2>&1 &
b=$!
wait "$a"; ra=$?
wait "$b"; rb=$?
[ "$ra$rb" = 00 ] && pass "two at once" || { tail -n 5 "$work/a" "$work/b"; fail "two at once ($ra, $rb)"; }

# Interrupted while the agents run: as Ctrl-C does it, to the whole process group.
setsid timeout --foreground 300 ./quickstart >"$work/c" 2>&1 &
c=$!
for _ in $(seq 600); do
  grep -q 'hawser device list' "$work/c" && break
  sleep 0.05
done
group=$(ps -o pgid= -p "$c" | tr -d ' ')
kill -INT -- "-$group" 2>/dev/null
wait "$c"; rc=$?
for _ in $(seq 100); do left || break; sleep 0.1; done
if [ "$rc" != 0 ] && ! left; then pass "cleans up after an interrupt"; else tail -n 5 "$work/c"; fail "cleans up after an interrupt (status $rc)"; fi
rm -rf "$work"
