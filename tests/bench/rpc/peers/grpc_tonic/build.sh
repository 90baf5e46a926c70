#!/usr/bin/env bash
# build.sh OUT: builds server and client into OUT, with crates of pinned versions.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mkdir -p "$out/src"
cp -r "$here/Cargo.toml" "$here/build.rs" "$here/src" "$out/src/"
cd "$out/src"
HAWSER_PROTOS=$here/../.. CARGO_TARGET_DIR=$out/target cargo build --release --quiet
cp "$out/target/release/server" "$out/target/release/client" "$out/"
rm -rf "$out/target"
