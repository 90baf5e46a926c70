# what: every fuzz target with libFuzzer, ASan and UBSan: the corpus, then 5 s (--long: 600 s) of new inputs
# needs: the build packages, clang and its runtime
# time: 3-5 min; --long 3-4 h (10 minutes a target)

need_packages $BUILD_PACKAGES clang "libclang-rt-$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-//p' | head -n 1)-dev" ||
  { skip "all targets" "$why"; return 0; }
build fuzz || return 0
seconds=5
[ "$HAWSER_LONG" = 1 ] && seconds=600
work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
fuzz_one() {
  local target=$1 name
  name=$(basename "$target" | sed 's/^fuzz_//')
  mkdir -p "$work/$name"
  if timeout $((seconds + 60)) "$target" -max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
    -artifact_prefix="$work/$name-" "$work/$name" "tests/fuzz/corpus/$name" >"$work/$name.log" 2>&1; then
    pass "$name $(sed -n 's/^Done \([0-9]*\) runs.*/(\1 runs)/p' "$work/$name.log")"
  else
    tail -n 40 "$work/$name.log"
    for crash in "$work/$name"-*; do
      [ -f "$crash" ] && echo "input ($(basename "$crash")): $(head -c 4096 "$crash" | base64 -w 0)"
    done
    fail "$name"
  fi
}
export -f fuzz_one pass fail
export seconds work
find build/fuzz/fuzz -maxdepth 1 -type f -name 'fuzz_*' | sort | xargs -P "$JOBS" -I{} bash -c 'fuzz_one {}'
