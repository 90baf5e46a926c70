#!/usr/bin/env bash
# build.sh NAME: builds the peer in the folder NAME into the cache, once for these sources and this library version; the last
# line printed is the folder of its programs. On failure the last line says why.
set -u
here=$(cd "$(dirname "$0")" && pwd)
name=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hawser
. "$here/../../../packages.sh"

case $name in
  grpc_cpp)
    need_packages g++ cmake pkg-config libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev ||
      { echo "$why"; exit 1; }
    version=$(pkg-config --modversion grpc++) || { echo "no grpc++"; exit 1; }
    ;;
  grpc_go)
    need_packages protobuf-compiler || { echo "$why"; exit 1; }
    command -v go >/dev/null 2>&1 || { echo "there is no go toolchain"; exit 1; }
    version=$(go env GOVERSION)
    ;;
  grpc_tonic)
    need_packages protobuf-compiler || { echo "$why"; exit 1; }
    command -v cargo >/dev/null 2>&1 || { echo "there is no cargo"; exit 1; }
    version=$(rustc --version | cut -d' ' -f2)
    ;;
  *)
    echo "no peer $name"
    exit 1
    ;;
esac
key=$(find "$here/../bench.proto" "$here/$name" -type f | sort | xargs cat | sha256sum | cut -c1-12)
out=$cache/bench-peers/$name-$version-$key
if [ ! -e "$out/done" ]; then
  mkdir -p "$out"
  log=$out/log
  build() {
    if [ -f "$here/$name/CMakeLists.txt" ]; then
      cmake -S "$here/$name" -B "$out" && cmake --build "$out" -j "$(nproc)"
    else
      timeout 1800 "$here/$name/build.sh" "$out"
    fi
  }
  if ! build >"$log" 2>&1; then
    echo "$name does not build: $(grep -m1 -iE 'error' "$log" || tail -n 1 "$log")"
    exit 1
  fi
  touch "$out/done"
fi
echo "$out"
