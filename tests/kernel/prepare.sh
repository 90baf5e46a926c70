#!/usr/bin/env bash
# Prepares what the kernel test bed needs, once, in a cache outside the tree, and prints where each part is:
#   QEMU    QEMU >= 11 with the vfio-user client, in a Debian tree of its own, run through that tree's loader
#   KERNEL  an ELF vmlinux with mlx5_core and fwctl as modules, and MODULES, the folder of those modules, signed
#   TOOLS   mstflint (mstreg, mstconfig, mstlink, mstfwreset) and iproute2 (devlink) with their libraries, unpacked
# A part is keyed by what it is made from and has a .ready file, written last; a ready part is taken as it is, after its
# checksums were compared; an interrupted run goes on with the part it was in, the kernel where its build was.
# Everything comes from Debian packages: debootstrap and apt check their signatures against Debian's own keys.
# The first run takes 15 to 20 minutes on two cores, most of it the kernel; later runs a second.
# Exit status: 0; 3 a package cannot be reached; 5 this machine lacks what only its owner can give; 1 anything else. The
# last line says why.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages.sh
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hawser/kernel
TREE=$CACHE/qemu-tree
TOOLS=$CACHE/tools-2 # another name for another set of packages
RECIPE=$(cat tests/kernel/guest.config tests/kernel/guest-kernel.sh | sha256sum | cut -c1-12) # of the guest kernel
export LC_ALL=C
umask 022
mkdir -p "$CACHE"

say() { echo "kernel test bed: $*"; }
give_up() { # STATUS TEXT
  say "$2"
  exit "$1"
}
# unreachable FILE: its errors are of a network or of a mirror that lacks something, not of this machine.
unreachable() {
  grep -qE "Could not (resolve|connect)|Temporary failure|Unable to (fetch|connect|locate package)|Failed to fetch|Connection (timed out|refused|failed)|Network is unreachable|404 +Not Found|Couldn't download|Failed getting release file|no installation candidate" "$1"
}
# failed WHAT LOG: gives up, with the reason that the log gives.
failed() {
  local why
  why=$(grep -E '^(E|W|Err)[:[:space:]]' "$2" | tail -n 1)
  why=${why:-$(tail -n 1 "$2")}
  unreachable "$2" && give_up 3 "$1, a package cannot be reached: $why"
  tail -n 15 "$2"
  give_up 1 "$1: $why"
}
# seal FOLDER FILE...: the part is whole; its checksums. sound FOLDER: it is, and its files are what they were.
seal() { (cd "$1" && shift && sha256sum "$@" >.sums && touch .ready); }
sound() {
  [ -f "$1/.ready" ] || return 1
  (cd "$1" && sha256sum --status -c .sums) && return 0
  say "$1 is not what it was: made again"
  return 1
}
# took SINCE: how long a part took.
took() { say "  done in $(($(date +%s) - $1)) s"; }

# in_tree COMMAND...: as root inside the Debian tree.
in_tree() { env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$TREE" "$@"; }

make_tree() {
  local mirror log=$CACHE/debootstrap.log began
  began=$(date +%s)
  say "a Debian 13 tree with QEMU from its backports (2 to 3 minutes)"
  # shellcheck disable=SC2016 # apt's own variable
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -n 1)
  [ -n "$mirror" ] || give_up 3 "apt knows no Debian mirror: apt-get update found none"
  rm -rf "$TREE"
  debootstrap --variant=minbase --force-check-gpg trixie "$TREE" "$mirror" >"$log" 2>&1 || failed "debootstrap of Debian 13" "$log"
  {
    echo "deb $mirror trixie main"
    echo "deb $mirror trixie-backports main"
    echo "deb $mirror sid main"
  } >"$TREE/etc/apt/sources.list"
  # A mirror snapshot may be older than its own validity; signatures are still checked.
  printf 'APT::Default-Release "trixie";\nAcquire::Check-Valid-Until "false";\nAcquire::Retries "3";\n' >"$TREE/etc/apt/apt.conf.d/10release"
  in_tree apt-get update -q >"$CACHE/apt.log" 2>&1 || failed "apt-get update in the Debian 13 tree" "$CACHE/apt.log"
  in_tree apt-get install -y -q --no-install-recommends -t trixie-backports qemu-system-x86 seabios ipxe-qemu \
    >>"$CACHE/apt.log" 2>&1 || failed "QEMU" "$CACHE/apt.log"
  seal "$TREE" usr/bin/qemu-system-x86_64 usr/share/seabios/bios-256k.bin
  took "$began"
}

make_tools() {
  local began packages
  began=$(date +%s)
  say "mstflint from Debian sid and iproute2, with the libraries they need (a few seconds)"
  rm -rf "$TOOLS" "$TREE/debs"
  mkdir -p "$TOOLS/root" "$TREE/debs/arch/partial"
  # The tree may be older than what the mirror still has.
  in_tree apt-get update -q >"$CACHE/tools.log" 2>&1 || failed "apt-get update in the Debian 13 tree" "$CACHE/tools.log"
  for packages in "-t sid mstflint" iproute2; do
    # shellcheck disable=SC2086 # an option and a name
    in_tree apt-get install -y -q --no-install-recommends --download-only -o Dir::Cache::archives=/debs/arch $packages \
      >"$CACHE/tools.log" 2>&1 || failed "$packages" "$CACHE/tools.log"
  done
  for deb in "$TREE"/debs/arch/*.deb; do dpkg-deb -x "$deb" "$TOOLS/root"; done
  seal "$TOOLS" root/usr/bin/mstreg root/usr/bin/mstconfig root/usr/bin/mstlink root/usr/bin/mstfwreset root/usr/sbin/devlink
  took "$began"
}

# make_kernel KEY PACKAGE: an interrupted build goes on where it was.
make_kernel() {
  local began log=$CACHE/build.log dir=$CACHE/$1 build=$CACHE/build
  began=$(date +%s)
  if [ "$(cat "$build/unpacked" 2>/dev/null)" != "$1" ]; then
    say "a guest kernel from $2 (8 to 12 minutes on two cores)"
    rm -rf "${build:?}"
    mkdir -p "$build" "$TREE/kernel-source"
    # apt-get download compares size and checksum with the signed index, also of a file that an earlier run left.
    in_tree sh -c "cd /kernel-source && apt-get download -q $2" >"$log" 2>&1 || failed "$2" "$log"
    dpkg-deb --fsys-tarfile "$TREE"/kernel-source/"$2"_*.deb | tar -C "$build" -x --wildcards './usr/src/*.tar.xz'
    tar -C "$build" -xf "$build"/usr/src/linux-source-*.tar.xz
    echo "$1" >"$build/unpacked"
  else
    say "a guest kernel from $2: the build goes on"
  fi
  rm -rf "${dir:?}"
  mkdir -p "$dir/modules"
  tests/kernel/guest-kernel.sh "$build"/linux-source-* tests/kernel/guest.config "$dir" >"$log" 2>&1 || failed "the guest kernel's build" "$log"
  (cd "$dir" && seal . vmlinux modules/*.ko)
  rm -rf "${build:?}"
  took "$began"
}

# The kernel's source package: the newest 7.x that the tree knows.
source_of() { in_tree apt-cache search --names-only '^linux-source-7\.[0-9]+$' | sort -V | tail -n 1 | cut -d' ' -f1; }
# ready: every part is; `key` is the kernel's.
ready() {
  [ -f "$CACHE/current-$RECIPE" ] || return 1
  key=$(cat "$CACHE/current-$RECIPE")
  sound "$TREE" && sound "$TOOLS" && sound "$CACHE/$key"
}

if ! ready; then
  exec 9>"$CACHE/lock"
  flock -n 9 || { say "another run prepares it: waiting"; flock 9; }
  [ "$(id -u)" = 0 ] || give_up 5 "needs root once, for debootstrap"
  need_packages debootstrap gpgv debian-archive-keyring flex bison bc libelf-dev libssl-dev openssl cpio zstd xz-utils make busybox-static gcc libc6-dev >/dev/null ||
    { echo "$why" >"$CACHE/packages.log"; failed "the build's packages" "$CACHE/packages.log"; }
  sound "$TREE" || make_tree
  sound "$TOOLS" || make_tools
  package=$(source_of)
  [ -n "$package" ] || give_up 3 "no linux-source-7.x in Debian 13's backports or sid"
  key=$package-$RECIPE
  sound "$CACHE/$key" || make_kernel "$key" "$package"
  echo "$key" >"$CACHE/current-$RECIPE"
fi

echo "QEMU=$TREE"
echo "KERNEL=$CACHE/$key/vmlinux"
echo "MODULES=$CACHE/$key/modules"
echo "TOOLS=$TOOLS/root"
