#!/usr/bin/env bash
# Prepares what the kernel test bed needs, once, in a cache outside the tree, and prints where each part is:
#   QEMU    QEMU >= 11 with the vfio-user client, in a Debian tree of its own, run through that tree's loader
#   KERNEL  an ELF vmlinux with mlx5_core and fwctl as modules, and MODULES, the folder of those modules
#   TOOLS   mstflint (mstreg, mstconfig, mstlink) with its libraries, unpacked
# Each part is keyed by what it is made from; a part that is ready is not made again, a half-made one is started anew.
# The first run takes 15 to 20 minutes on two cores, most of it the kernel; later runs a second.
set -eu
cd "$(dirname "$0")/../.."
. tests/packages.sh
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hawser/kernel
TREE=$CACHE/qemu-tree
mkdir -p "$CACHE"
exec 9>"$CACHE/lock"
flock 9

say() { echo "kernel test bed: $*"; }
give_up() {
  say "$1"
  exit 3 # the caller skips with this reason
}
[ "$(id -u)" = 0 ] || give_up "needs root once, for debootstrap"
need_packages debootstrap flex bison bc libelf-dev libssl-dev cpio zstd xz-utils make busybox-static gcc libc6-dev >/dev/null || give_up "$why"

# in_tree COMMAND...: as root inside the Debian tree.
in_tree() { env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$TREE" "$@"; }

if [ ! -f "$TREE/.ready" ]; then
  say "a Debian 13 tree with QEMU from its backports (2 to 3 minutes)"
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -n 1)
  rm -rf "$TREE"
  debootstrap --variant=minbase trixie "$TREE" "$mirror" >"$CACHE/debootstrap.log" 2>&1 || give_up "debootstrap of trixie failed: $(tail -n 1 "$CACHE/debootstrap.log")"
  {
    echo "deb $mirror trixie main"
    echo "deb $mirror trixie-backports main"
    echo "deb $mirror sid main"
  } >"$TREE/etc/apt/sources.list"
  # A mirror snapshot may be older than its own validity; signatures are still checked.
  printf 'APT::Default-Release "trixie";\nAcquire::Check-Valid-Until "false";\n' >"$TREE/etc/apt/apt.conf.d/10release"
  in_tree apt-get update -q >"$CACHE/apt.log" 2>&1 || give_up "apt-get update in the tree failed: $(tail -n 1 "$CACHE/apt.log")"
  in_tree apt-get install -y -q --no-install-recommends -t trixie-backports qemu-system-x86 seabios ipxe-qemu \
    >>"$CACHE/apt.log" 2>&1 || give_up "QEMU could not be installed: $(tail -n 1 "$CACHE/apt.log")"
  touch "$TREE/.ready"
fi

if [ ! -f "$CACHE/tools/.ready" ]; then
  say "mstflint from sid, with the libraries it needs"
  rm -rf "$CACHE/tools" "$TREE/debs"
  mkdir -p "$CACHE/tools/root" "$TREE/debs/arch/partial"
  in_tree apt-get install -y -q --no-install-recommends --download-only -o Dir::Cache::archives=/debs/arch -t sid mstflint \
    >>"$CACHE/apt.log" 2>&1 || give_up "mstflint could not be downloaded: $(tail -n 1 "$CACHE/apt.log")"
  for deb in "$TREE"/debs/arch/*.deb; do dpkg-deb -x "$deb" "$CACHE/tools/root"; done
  touch "$CACHE/tools/.ready"
fi

source_package=$(in_tree apt-cache search --names-only '^linux-source-7\.[0-9]+$' | sort -V | tail -n 1 | cut -d' ' -f1)
[ -n "$source_package" ] || give_up "no linux-source-7.x in trixie-backports or sid"
key=$source_package-$(sha256sum tests/kernel/guest.config | cut -c1-12)
if [ ! -f "$CACHE/$key/.ready" ]; then
  say "guest kernel from $source_package (8 to 12 minutes on two cores)"
  rm -rf "${CACHE:?}/build" "${CACHE:?}/$key"
  mkdir -p "$CACHE/build" "$CACHE/$key/modules"
  if ! ls "$CACHE"/"$source_package"_*.deb >/dev/null 2>&1; then
    in_tree sh -c "cd /tmp && apt-get download -q $source_package" >/dev/null 2>&1 || give_up "$source_package could not be downloaded"
    mv "$TREE"/tmp/"$source_package"_*.deb "$CACHE/"
  fi
  dpkg-deb --fsys-tarfile "$CACHE"/"$source_package"_*.deb | tar -C "$CACHE/build" -x --wildcards './usr/src/*.tar.xz'
  tar -C "$CACHE/build" -xf "$CACHE"/build/usr/src/linux-source-*.tar.xz
  cd "$CACHE"/build/linux-source-*/
  make -s tinyconfig >"$CACHE/build.log" 2>&1 || give_up "make tinyconfig failed: $(tail -n 1 "$CACHE/build.log")"
  cat "$OLDPWD/tests/kernel/guest.config" >>.config
  # The fragment overrides values of tinyconfig: kconfig warns of each, and what it could not take is said by the check below.
  make -s olddefconfig >>"$CACHE/build.log" 2>&1 || give_up "make olddefconfig failed: $(tail -n 1 "$CACHE/build.log")"
  for option in MLX5_CORE=m FWCTL_MLX5=m FWCTL=[my] PVH=y SERIAL_8250_CONSOLE=y; do
    grep -q "^CONFIG_$option\$" .config || give_up "the guest kernel's configuration has no CONFIG_$option"
  done
  make -s -j "$(nproc)" vmlinux modules >>"$CACHE/build.log" 2>&1 || { tail -n 20 "$CACHE/build.log"; exit 1; }
  strip -s -o "$CACHE/$key/vmlinux" vmlinux
  find . -name '*.ko' -exec cp {} "$CACHE/$key/modules/" \;
  make -s kernelrelease >"$CACHE/$key/release"
  cd "$OLDPWD"
  rm -rf "$CACHE/build"
  touch "$CACHE/$key/.ready"
fi

echo "QEMU=$TREE"
echo "KERNEL=$CACHE/$key/vmlinux"
echo "MODULES=$CACHE/$key/modules"
echo "TOOLS=$CACHE/tools/root"
