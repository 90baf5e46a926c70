#!/usr/bin/env bash
# guest-kernel.sh SOURCE FRAGMENT OUT: builds the guest's kernel in the unpacked Linux at SOURCE: tinyconfig and the options of
# FRAGMENT. OUT gets vmlinux and modules/*.ko, signed with the key that the build makes. Goes on where an earlier run ended.
set -eu
out=$3
cp "$2" "$1/fragment"
cd "$1"
make -s tinyconfig
cat fragment >>.config
make -s olddefconfig # the fragment overrides values of tinyconfig, of which kconfig warns
for option in MLX5_CORE=m MLXFW=y FW_LOADER=y HWMON=y FWCTL_MLX5=m 'FWCTL=[my]' PVH=y SERIAL_8250_CONSOLE=y VIRTIO_NET=y MODULE_SIG=y; do
  grep -q "^CONFIG_$option\$" .config || { echo "E: the kernel's configuration has no CONFIG_$option"; exit 1; }
done
make -s -j "$(nproc)" vmlinux modules
strip -s -o "$out/vmlinux" vmlinux
hash=$(sed -n 's/^CONFIG_MODULE_SIG_HASH="\(.*\)"/\1/p' .config)
find . -name '*.ko' -exec cp {} "$out/modules/" \;
for module in "$out"/modules/*.ko; do
  scripts/sign-file "$hash" certs/signing_key.pem certs/signing_key.x509 "$module"
done
