# what: each test program of TLS, gRPC and the network again, in children, with an allocation failing: no crash, hang, leak
# needs: the build packages
# time: 30-60 s; hours with --long

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
# Programs of tests/unit/net/net_world.h are not among them: their connections share one listener, which children would share too.
# They have sweeps of their own (every_failed_allocation_costs_one_call_only, the same with TLS,
# a_channel_survives_every_failed_allocation).
programs=$(for f in tests/unit/{tls,grpc,net,wire}/test_*.c; do
  grep -q '"net_world.h"' "$f" && continue
  stem=${f#tests/unit/}
  printf 'unit_%s\n' "${stem%%/*}_$(basename "$f" .c | cut -c 6-)"
done)
# shellcheck disable=SC2086 # a list
build asan $programs || return 0
export ASAN_OPTIONS=detect_leaks=1:handle_segv=2:handle_sigbus=2:handle_sigill=2:handle_sigfpe=2 UBSAN_OPTIONS=print_stacktrace=1
export HAWSER_OOM_SWEEP=2
[ "$HAWSER_LONG" = 1 ] && HAWSER_OOM_SWEEP=all
logs=$(mktemp -d "${TMPDIR:-/tmp}/hawser-oom.XXXXXX") || { fail "no folder"; return 0; }
trap 'rm -rf "$logs"' EXIT
# A file that is there says that its program found nothing; the programs run side by side.
# shellcheck disable=SC2086 # a list
printf '%s\n' $programs | xargs -P "$JOBS" -I % sh -c 'build/asan/tests/% >'"$logs"'/% 2>&1 && touch '"$logs"'/%.ok'
printf '%-24s %5s %11s %7s %7s %8s %4s %6s\n' program tests allocations runs passed asserted own faults
for program in $programs; do
  sed -n 's/^oom //p' "$logs/$program" | while read -r name tests allocations runs passed asserted own faults; do
    printf '%-24s %5d %11d %7d %7d %8d %4d %6d\n' "$name" "$tests" "$allocations" "$runs" "$passed" "$asserted" "$own" "$faults"
  done
  if [ -e "$logs/$program.ok" ] && grep -q '^oom ' "$logs/$program"; then
    pass "$program"
  else
    fail "$program"
    grep -v '^oom ' "$logs/$program" | tail -n 60
  fi
done
