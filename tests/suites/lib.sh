# What every suite uses. A suite is tests/suites/NAME.sh: comment headers `# what:`, `# needs:`, `# time:`, then commands.
# It reports each case with pass, fail or skip; a suite that reports nothing is a failure.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hawser # outside the tree: foreign trees, virtual environments, kernels
JOBS=$(nproc)
export CACHE JOBS

pass() { printf 'pass\t%s\t%s\n' "$SUITE" "$1" >>"$RESULTS"; }
fail() {
  printf 'fail\t%s\t%s\n' "$SUITE" "$1" >>"$RESULTS"
  printf 'FAIL %s: %s\n' "$SUITE" "$1"
}
skip() {
  printf 'skip\t%s\t%s: %s\n' "$SUITE" "$1" "$2" >>"$RESULTS"
  printf 'SKIP %s: %s: %s\n' "$SUITE" "$1" "$2"
}

# header_of SUITE KEY: the text after `# KEY:` in the suite's file.
header_of() { sed -n "s/^# $2: //p" "$TOP/tests/suites/$1.sh" | head -n 1; }

# run_suite NAME: in a subshell, with its own log lines and time.
run_suite() {
  local before after began
  SUITE=$1
  export SUITE
  echo "== $SUITE: $(header_of "$SUITE" what)"
  began=$(date +%s)
  before=$(wc -l <"$RESULTS")
  (
    set -u
    . "$TOP/tests/suites/$SUITE.sh"
  ) || fail "the suite's script ended early (status $?)"
  after=$(wc -l <"$RESULTS")
  [ "$after" -gt "$before" ] || fail "the suite reported nothing"
  printf -- '-- %s: %d cases in %d s\n' "$SUITE" "$((after - before))" "$(($(date +%s) - began))"
}

# summary SECONDS: the skipped with their reasons, the failed, the closing line.
summary() {
  local passed failed skipped
  passed=$(grep -c '^pass' "$RESULTS")
  failed=$(grep -c '^fail' "$RESULTS")
  skipped=$(grep -c '^skip' "$RESULTS")
  echo
  awk -F'\t' '$1 == "skip" {print "skipped " $2 ": " $3} $1 == "fail" {print "failed  " $2 ": " $3}' "$RESULTS"
  echo "all suites took $1 s"
  if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

# build PRESET [TARGET...]: configures and builds; on failure shows the end of the log and fails the suite.
build() {
  local preset=$1 log
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/hawser-build.XXXXXX")
  if cmake --preset "$preset" >"$log" 2>&1 && cmake --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"} >>"$log" 2>&1; then
    rm -f "$log"
    return 0
  fi
  grep -E 'error|FAILED|undefined|warning' "$log" | head -n 30
  tail -n 15 "$log"
  rm -f "$log"
  fail "build of preset $preset"
  return 1
}

# verdicts NAME SECONDS COMMAND...: its lines "pass CASE", "fail CASE: why" and "skip CASE why" (a CASE is one word) become cases, others are
# shown. One that ends badly, or not in time, without having said what failed, or that names no case, is a failure.
verdicts() {
  local name=$1 seconds=$2 line verdict which why cases=0 failed=0 status
  shift 2
  while IFS= read -r line; do
    case $line in
      "pass "* | "fail "* | "skip "*)
        read -r verdict which why <<<"$line"
        cases=$((cases + 1))
        which=${which%:}
        case $verdict in
          pass) pass "$which" ;;
          fail) fail "$which${why:+: $why}" && failed=1 ;;
          skip) skip "$which" "$why" ;;
        esac
        ;;
      "took "* | "") ;;
      *) printf '%s\n' "$line" ;;
    esac
  done < <(timeout "$seconds" "$@" 2>&1)
  wait $!
  status=$?
  if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ "$cases" = 0 ]; }; then
    fail "$name: it ended with status $status (124: not within $seconds s), and of its $cases cases named none that failed"
  fi
}

# ctest_cases LOG: what ctest said of each entry becomes a case.
ctest_cases() {
  local name verdict
  while read -r name verdict; do
    case $verdict in
      Passed) pass "$name" ;;
      *Skipped*) skip "$name" "reported by the test" ;;
      *) fail "$name" ;;
    esac
  done < <(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.+ *(Passed|\*\*\*[A-Za-z ]+|Subprocess aborted\*\*\*.*|.*Exception.*) .*/\1 \2/p' "$1")
}

# run_ctest PRESET LABELS-REGEX [extra ctest arguments]: one case per ctest entry.
run_ctest() {
  local preset=$1 labels=$2 log
  shift 2
  log=$(mktemp "${TMPDIR:-/tmp}/hawser-ctest.XXXXXX")
  ctest --test-dir "build/$preset" -L "$labels" -j "$JOBS" --timeout 120 --output-on-failure "$@" >"$log" 2>&1
  if ! grep -q 'tests passed' "$log"; then
    tail -n 20 "$log"
    fail "ctest -L $labels ran nothing"
    rm -f "$log"
    return
  fi
  ctest_cases "$log"
  grep -q '100% tests passed' "$log" || grep -vE 'Passed|^ *Start' "$log" | head -n 120
  rm -f "$log"
}
