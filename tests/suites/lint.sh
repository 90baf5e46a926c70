# what: clang-format, clang-tidy, the house rules and shellcheck
# needs: clang-format-14, clang-tidy-14, shellcheck; skipped on Debian 13, which has no version 14
# time: 2-4 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
rules=$(tests/lint/rules.sh) && pass "house rules" || { echo "$rules"; fail "house rules"; }
if need_packages shellcheck; then
  if git ls-files | tests/lint/shell_files.sh | xargs shellcheck -s bash -S warning -e SC1090,SC1091,SC2034,SC2046,SC2086,SC2154; then
    pass "shellcheck"
  else
    fail "shellcheck"
  fi
else
  skip "shellcheck" "$why"
fi
if ! need_packages clang-format-14 clang-tidy-14; then
  skip "clang-format and clang-tidy" "version 14 judges this tree: $why"
  return
fi
if git ls-files '*.c' '*.h' | xargs -P "$JOBS" -n 20 clang-format-14 --dry-run -Werror 2>&1 | head -n 40 | grep .; then
  fail "clang-format"
else
  pass "clang-format"
fi
build dev || return 0
tests/lint/tidy.sh && pass "clang-tidy" || fail "clang-tidy"
