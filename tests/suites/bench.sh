# what: the benchmark's smoke rows, a line a measure, gRPC C++ beside us (--long: medians of 11 and 7 runs, rpc rows must meet their bars; --json: JSON lines)
# needs: the build packages, python3, taskset, valgrind, g++ and libgrpc++-dev; --long also go and cargo for their peers, named absent without
# time: 2 min, and 1 min once to build the peer; --long up to 1 h, the limit of the rpc rows

need_packages $BUILD_PACKAGES python3 util-linux valgrind || { fail "$why"; return 0; }
build dev || return 0
rounds=3
[ "$HAWSER_LONG" = 1 ] && rounds=11
while IFS= read -r line; do
  case $line in
    cmdq.*' FAIL: '* | audit.*' FAIL: '*) fail "${line%% *}: ${line##* FAIL: }" ;;
    '{'*'"fail": '*) echo "$line"; fail "$(echo "$line" | sed 's/.*"name": "\([^"]*\)".*/\1/')" ;;
    cmdq.* | tls.* | agent.* | audit.*) echo "  $line"; pass "${line%% *}" ;;
    '{'*) echo "$line"; pass "$(echo "$line" | sed 's/.*"name": "\([^"]*\)".*/\1/')" ;;
    *) echo "$line"; fail "bench" ;;
  esac
done < <(timeout 600 python3 tests/bench/run.py build/dev --rounds "$rounds" ${HAWSER_JSON:+--json} 2>&1 || echo "bench ended with status $?")

# The gRPC engine beside its peers. A peer that cannot be built is named in every row, with the reason.
BENCH_PEERS="grpc_cpp"
[ "$HAWSER_LONG" = 1 ] && BENCH_PEERS="grpc_cpp grpc_go grpc_tonic"
peers=()
for peer in $BENCH_PEERS; do
  if built=$(tests/bench/rpc/peers/build.sh "$peer"); then
    peers+=(--peer "$peer=${built##*$'\n'}")
  else
    peers+=(--absent "$peer=${built##*$'\n'}")
    skip "rpc.$peer" "${built##*$'\n'}"
  fi
done
long=()
[ "$HAWSER_LONG" = 1 ] && long=(--long)
while IFS= read -r line; do
  case $line in
    '#'*) echo "  $line" | fold -s -w 200 ;;
    rpc.*' median of '*) echo "  $line"; pass "${line%% *}" ;;
    '{'*) echo "$line"; pass "$(echo "$line" | sed 's/.*"name": "\([^"]*\)".*/\1/')" ;;
    *) echo "$line"; fail "rpc bench" ;;
  esac
done < <(timeout 3600 python3 tests/bench/rpc/run.py build/dev "${peers[@]}" ${long[@]+"${long[@]}"} ${HAWSER_JSON:+--json} 2>&1 || echo "rpc bench ended with status $?")
