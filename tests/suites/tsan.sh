# what: what has threads (store, driver workers) under ThreadSanitizer
# needs: the build packages
# time: 1 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
build tsan || return 0
# A randomised address space beyond what gcc 12's runtime maps ends it at start; keep the layout plain.
export TSAN_OPTIONS=halt_on_error=1
plain=""
setarch -R true 2>/dev/null && plain="setarch -R"
log=$(mktemp "${TMPDIR:-/tmp}/hawser-tsan.XXXXXX")
for program in build/tsan/tests/unit_store_* build/tsan/tests/unit_drv_*; do
  [ -x "$program" ] || continue
  if timeout 120 $plain "$program" >"$log" 2>&1; then
    pass "$(basename "$program")"
  else
    tail -n 40 "$log"
    fail "$(basename "$program")"
  fi
done
rm -f "$log"
