# what: what has threads (store, driver workers) under ThreadSanitizer
# needs: the build packages
# time: 1 min

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
cmake --preset tsan >/dev/null 2>&1
# unit_store_kill forks beside threads, which ThreadSanitizer does not follow; the store's other programs have its threads.
programs=$(ninja -C build/tsan -t targets all 2>/dev/null | grep -oE '\bunit_(store|drv)_[a-z0-9_]+' | grep -vx unit_store_kill | sort -u)
[ -n "$programs" ] || { fail "no programs to run"; return 0; }
build tsan $programs || return 0
# A randomised address space beyond what gcc 12's runtime maps ends it at start; keep the layout plain.
export TSAN_OPTIONS=halt_on_error=1
export HAWSER_DISKS=200 # of unit_store_full: enough for its threads
plain=""
setarch -R true 2>/dev/null && plain="setarch -R"
log=$(mktemp "${TMPDIR:-/tmp}/hawser-tsan.XXXXXX")
for program in $programs; do
  if timeout 120 $plain "build/tsan/tests/$program" >"$log" 2>&1; then
    pass "$program"
  else
    tail -n 40 "$log"
    fail "$program"
  fi
done
rm -f "$log"
