#!/usr/bin/env bash
# run.sh [BIN]: our test server, then a real agent, against a stock Python gRPC client over mutual TLS. BIN is the folder of
# binaries (default build/dev/bin). One line a case, "pass NAME" or "fail NAME: why"; the last line is "N passed, N failed".
# Needs python3 with venv, openssl, and the packages of requirements.txt, which are installed once outside the tree.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
bin=${1:-$top/build/dev/bin}

work=$(mktemp -d "${TMPDIR:-/tmp}/hawser-interop.XXXXXX") || exit 1
server=""
cleanup() {
  [ -n "$server" ] && kill -KILL "$server" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The virtual environment, keyed by what is in it and by the Python that runs it.
. "$here/venv.sh"
python=$(interop_python) || exit 1

"$top/certs/hawser-ca" init "$work/ca" --days 2 >/dev/null &&
  "$top/certs/hawser-ca" agent "$work/ca" host --days 1 >/dev/null &&
  "$top/certs/hawser-ca" operator "$work/ca" olga --days 1 >/dev/null || { echo "no certificates"; exit 1; }

"$bin/hawser-interop" --cert "$work/ca/agent-host.crt" --key "$work/ca/agent-host.key" --ca "$work/ca/ca.crt" \
  --seconds 300 >"$work/out" 2>"$work/err" &
server=$!
address=""
for _ in $(seq 100); do
  address=$(sed -n 's/^listening //p' "$work/out")
  [ -n "$address" ] && break
  sleep 0.05
done
[ -n "$address" ] || { cat "$work/err"; echo "the server does not start"; exit 1; }

timeout 280 "$python" "$here/client.py" --address "$address" --ca "$work/ca/ca.crt" \
  --cert "$work/ca/operator-olga.crt" --key "$work/ca/operator-olga.key" \
  --protos "$top/proto/external,$here" --set common,interop,testing,drain --pid "$server" 2>"$work/python.err" | tee "$work/cases"

# The drained server ends by itself, with success.
status=124
for _ in $(seq 150); do
  if ! kill -0 "$server" 2>/dev/null; then
    wait "$server"
    status=$?
    server=""
    break
  fi
  sleep 0.05
done
if [ "$status" = 0 ]; then
  echo "pass server_exits_0_after_drain" | tee -a "$work/cases"
else
  echo "fail server_exits_0_after_drain: status $status" | tee -a "$work/cases"
fi

# The agent: agent.py starts and stops it. Without a verdict on its end, it was cut off.
HAWSER_BIN=$(cd "$bin" && pwd) timeout -k 20 120 "$python" "$here/agent.py" 2>"$work/agent.err" | tee "$work/agent"
grep -E '^(pass|fail) ' "$work/agent" >>"$work/cases"
grep -q ' agent\.stops_with_status_0' "$work/cases" || echo "fail agent.stops_with_status_0_and_a_clean_log: it did not come to that" | tee -a "$work/cases"
grep -q '^fail agent' "$work/cases" && tail -n 40 "$work/agent.err"

passed=$(grep -c '^pass ' "$work/cases")
failed=$(grep -c '^fail ' "$work/cases")
if [ "$failed" != 0 ] || [ "$passed" -lt 70 ]; then
  tail -n 20 "$work/err" "$work/python.err"
  [ "$failed" != 0 ] || failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
