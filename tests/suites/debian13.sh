# what: builds and runs unit, trace, integration, corpora and ./quickstart on Debian 13 (mbedTLS 3.6, libuv 1.50) in a debootstrap tree, clients across, interop over TLS 1.3, its rules broken by hand (--long: 10,000 clients come back within 60 s)
# needs: root, debootstrap, the Debian mirror that apt uses, and for its interop what interop needs; the tree is cached (about 1.2 GB)
# time: 2-4 min, the first time 5 more; --long 2 more

tree=$CACHE/debian13
if [ "$(id -u)" != 0 ]; then
  skip "all" "needs root for chroot"
  return
fi
need_packages debootstrap python3-cryptography || { skip "all" "$why"; return 0; }
include=$(echo $BUILD_PACKAGES python3 | tr ' ' ',')
if [ ! -f "$tree/.hawser-ready" ]; then
  # The mirror of this machine's own apt, so that no host name is written here.
  mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -v security | sort -u | head -n 1)
  echo "preparing a Debian 13 tree in $tree (once)"
  rm -rf "$tree"
  mkdir -p "$tree"
  if ! debootstrap --variant=minbase --include="$include" trixie "$tree" "$mirror" >"$CACHE/debian13.log" 2>&1; then
    tail -n 5 "$CACHE/debian13.log"
    skip "all" "debootstrap of trixie failed: $(tail -n 1 "$CACHE/debian13.log")"
    return
  fi
  rm -rf "$tree"/var/cache/apt/archives/*.deb
  echo "$include" >"$tree/.hawser-ready"
fi
# A cached tree may be older than the list of packages.
if [ "$(cat "$tree/.hawser-ready")" != "$include" ]; then
  if ! chroot "$tree" sh -c "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(echo "$include" | tr ',' ' ')" >"$CACHE/debian13.log" 2>&1; then
    tail -n 5 "$CACHE/debian13.log"
    skip "all" "the tree lacks packages: $(tail -n 1 "$CACHE/debian13.log")"
    return
  fi
  echo "$include" >"$tree/.hawser-ready"
fi

# The files git knows (with uncommitted changes), synchronised by content so that the build inside stays incremental.
mkdir -p "$tree/src"
git ls-files -z | xargs -0 -I{} sh -c '[ -f "$1" ] && printf "%s\0" "$1"' _ {} >"$tree/.files"
python3 - "$tree" <<'P'
import filecmp, os, shutil, sys
tree = sys.argv[1]
files = open(tree + "/.files").read().split("\0")[:-1]
kept = set(files)
for f in files:
    to = os.path.join(tree, "src", f)
    os.makedirs(os.path.dirname(to), exist_ok=True)
    if not os.path.exists(to) or not filecmp.cmp(f, to, shallow=False):
        shutil.copy(f, to)
for root, dirs, names in os.walk(os.path.join(tree, "src")):
    if os.path.relpath(root, os.path.join(tree, "src")).split(os.sep)[0] == "build":
        dirs[:] = []
        continue
    for n in names:
        rel = os.path.relpath(os.path.join(root, n), os.path.join(tree, "src"))
        if rel not in kept:
            os.unlink(os.path.join(root, n))
P
log=$(mktemp "${TMPDIR:-/tmp}/hawser-debian13.XXXXXX")
# A mount namespace of its own: /proc and /dev/shm go away with the last process in it.
timeout 1500 unshare --mount --fork bash -c '
  mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/tmp" &&
  exec chroot "$1" /bin/bash -c "
    export HOME=/root LC_ALL=C.UTF-8 CCACHE_DIR=/ccache PATH=/usr/sbin:/usr/bin:/sbin:/bin
    cd /src && cmake --preset dev && cmake --build --preset dev -j \$(nproc) &&
    ctest --test-dir build/dev -L \"unit|trace|integration|fuzz\" -j \$(nproc) --timeout 120 --output-on-failure
    ./quickstart && echo QUICKSTART PASSED"' _ "$tree" >"$log" 2>&1
grep -q '^QUICKSTART PASSED$' "$log" && pass "quickstart" || { tail -n 20 "$log"; fail "quickstart"; }
ctest_cases "$log"
if ! grep -q '100% tests passed' "$log"; then
  grep -E 'error:|FAILED|undefined' "$log" | head -n 20
  grep -vE 'Passed|^ *Start' "$log" | tail -n 60
  fail "Debian 13 as a whole"
fi
# Clients of one system against agents of the other; the tree sees this machine's /tmp, where the tests keep their files.
build dev hawserd hawser-wire hawser-emu hawser-dev hawser || return 0
# "${beside_tree[@]}" COMMAND...: here, with the tree's /proc, /dev and /tmp mounted for as long as it runs.
beside_tree=(unshare --mount --fork bash -c 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && mount --bind /tmp "$0/tmp" && exec "$@"' "$tree")
verdicts "across" 120 "${beside_tree[@]}" python3 tests/debian13/across.py build/dev/bin "$tree"
verdicts "probes" 600 "${beside_tree[@]}" /usr/bin/python3 tests/tlsscan/probes.py build/dev/bin 1.3 "$tree"
# gRPC's interop cases: the tree's client and server, over TLS 1.3, against the stock ones of this machine.
. tests/interop/venv.sh
. tests/interop/peers.sh
if ! need_packages python3-venv openssl g++ libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc || ! python=$(interop_python); then
  skip "interop" "${why:-the Python packages of tests/interop/requirements.txt cannot be installed}"
else
  stacks="python=$python"
  at=$(interop_cpp) && stacks="$stacks,cpp=$at"
  at=$(interop_js) && stacks="$stacks,js=$at" && export NODE_PATH=$at/node_modules
  work=$(mktemp -d /tmp/hawser-debian13-interop.XXXXXX) # the tree sees it by this name
  for program in hawser-interop hawser-interop-client; do
    printf '#!/bin/sh\nexec chroot "%s" /src/build/dev/bin/%s "$@"\n' "$tree" "$program" >"$work/$program"
    chmod 755 "$work/$program"
  done
  certs/hawser-ca init "$work/ca" --days 2 && certs/hawser-ca agent "$work/ca" host --days 1 && certs/hawser-ca operator "$work/ca" olga --days 1
  verdicts "interop" 600 "${beside_tree[@]}" "$python" tests/interop/matrix.py --bin "$work" --ca "$work/ca" --peers "$stacks" --calls 60 --rpcs 10 --dials 5
  rm -rf "$work"
fi
# The bar of the storm is for mbedTLS 3.6; a busy machine does not meet it.
if [ "$HAWSER_LONG" = 1 ]; then
  timeout 600 unshare --mount --fork bash -c '
  mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && mount -t tmpfs tmpfs "$1/tmp" &&
  exec chroot "$1" /bin/bash -c "
    export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
    cd /src && python3 tests/bench/rpc/run.py build/dev --only rpc.storm --long --storm-within 60"' _ "$tree" 2>&1 | tee "$log" | grep -v '^# our server'
  grep -q '^# took' "$log" && pass "storm of 10,000 within 60 s" || fail "storm of 10,000 within 60 s"
fi
rm -f "$log"
