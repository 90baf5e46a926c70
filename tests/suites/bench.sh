# what: the benchmark's smoke rows, a line a measure (--long: medians of 11 runs; --json: JSON lines)
# needs: the build packages, python3, taskset
# time: 1 min

need_packages $BUILD_PACKAGES python3 util-linux || { fail "$why"; return 0; }
build dev || return 0
rounds=3
[ "$HAWSER_LONG" = 1 ] && rounds=11
while IFS= read -r line; do
  case $line in
    cmdq.* | agent.*) echo "  $line"; pass "${line%% *}" ;;
    '{'*) echo "$line"; pass "$(echo "$line" | sed 's/.*"name": "\([^"]*\)".*/\1/')" ;;
    *) echo "$line"; fail "bench" ;;
  esac
done < <(timeout 600 python3 tests/bench/run.py build/dev --rounds "$rounds" ${HAWSER_JSON:+--json} 2>&1 || echo "bench ended with status $?")
