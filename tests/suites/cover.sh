# what: every branch of the rooms that judge (policy, table, link, gate) is taken by their unit tests; a table of what was measured
# needs: the build packages, python3 (gcov comes with gcc)
# time: 10-40 s

need_packages $BUILD_PACKAGES python3 || { fail "$why"; return 0; }
rooms="core/policy core/table core/link device/gate"
programs=""
for room in $rooms; do
  for file in tests/unit/"${room##*/}"/test_*.c; do
    name=${file##*/test_}
    programs="$programs unit_${room##*/}_${name%.c}"
  done
done
build cover $programs || return 0
find build/cover/lib -name '*.gcda' -delete
run_ctest cover unit -R "^($(echo $programs | tr ' ' '|'))\$"
if measured=$(python3 tests/cover/measure.py build/cover $rooms 2>&1); then
  pass "branch coverage of $rooms"
else
  fail "branch coverage of $rooms"
fi
printf '%s\n' "$measured" | sed 's/^/   /'
