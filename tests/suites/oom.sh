# what: each test program of TLS, gRPC and the network again with an allocation failing, and hawser-wire's under each of the whole agent's
# needs: the build packages
# time: 60-90 s; 1-2 h with --long (a minute a test)

need_packages $BUILD_PACKAGES || { fail "$why"; return 0; }
# Programs of tests/unit/net/net_world.h are not among them: their connections share one listener, which children would share too.
# They have sweeps of their own (every_failed_allocation_costs_one_call_only, the same with TLS,
# a_channel_survives_every_failed_allocation).
programs=$(for f in tests/unit/{tls,grpc,net,wire}/test_*.c; do
  grep -q '"net_world.h"' "$f" && continue
  stem=${f#tests/unit/}
  printf 'unit_%s\n' "${stem%%/*}_$(basename "$f" .c | cut -c 6-)"
done)
# The whole agent's: one drawn case of two drawn programs, of all with --long.
agents=$(printf 'integration_%s\n' agent agent_settings agent_idle agent_kill agent_recover authz lock rotation)
[ "$HAWSER_LONG" = 1 ] || agents=$(printf '%s\n' "$agents" | shuf -n 2)
wire=build/asan/tests/failing/hawser-wire
# shellcheck disable=SC2086 # lists
build asan $programs integration_wire_memory $agents || return 0
export ASAN_OPTIONS=detect_leaks=1:handle_segv=2:handle_sigbus=2:handle_sigill=2:handle_sigfpe=2 UBSAN_OPTIONS=print_stacktrace=1
logs=$(mktemp -d "${TMPDIR:-/tmp}/hawser-oom.XXXXXX") || { fail "no folder"; return 0; }
trap 'rm -rf "$logs"' EXIT

# sweep SAMPLES AT-ONCE PROGRAM...: side by side; a file PROGRAM.ok says that its program found nothing, PROGRAM.sites where allocations failed.
sweep() {
  local samples=$1 at_once=$2
  shift 2
  printf '%s\n' "$@" | HAWSER_OOM_SWEEP=$samples xargs -P "$at_once" -I % sh -c \
    'HAWSER_FAILING='"$logs"'/%.sites build/asan/tests/% >'"$logs"'/% 2>&1 && touch '"$logs"'/%.ok'
}
if [ "$HAWSER_LONG" = 1 ]; then
  # shellcheck disable=SC2086 # lists
  sweep 60s "$JOBS" $programs # all of a quick test
  # shellcheck disable=SC2086
  sweep all 1 integration_wire_memory $agents
else
  # shellcheck disable=SC2086
  sweep 2 "$JOBS" integration_wire_memory $programs
  # shellcheck disable=SC2086
  sweep 1 1 $agents
fi

printf '%-26s %5s %11s %7s %7s %8s %4s %6s\n' program tests allocations runs passed asserted own faults
for program in $programs $agents integration_wire_memory; do
  sed -n 's/^oom //p' "$logs/$program" | while read -r name tests allocations runs passed asserted own faults; do
    printf '%-26s %5d %11d %7d %7d %8d %4d %6d\n' "$name" "$tests" "$allocations" "$runs" "$passed" "$asserted" "$own" "$faults"
  done
  if [ -e "$logs/$program.ok" ] && grep -q '^oom ' "$logs/$program"; then
    pass "$program"
  else
    fail "$program"
    grep -v '^oom ' "$logs/$program" | tail -n 60
  fi
done

pairs=
for program in $programs; do pairs="$pairs build/asan/tests/$program $logs/$program.sites"; done
for program in $agents integration_wire_memory; do pairs="$pairs $wire $logs/$program.sites"; done
# shellcheck disable=SC2086 # a list
if python3 tests/oom/sites.py $pairs; then pass "every allocation site is judged"; else fail "every allocation site is judged"; fi
