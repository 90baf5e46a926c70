#!/usr/bin/env bash
# build.sh OUT: the C++ peers (client and server of the interop matrix, echo of the library's example) into OUT, from Debian's
# libgrpc++-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../../../..
out=$1
mkdir -p "$out"
generate() { protoc -I "$(dirname "$1")" --cpp_out="$out" --grpc_out="$out" --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" "$1"; }
generate "$here/../../grpc_testing.proto"
generate "$top/docs/examples/grpc/echo.proto"
read -r -a flags <<<"-std=c++17 -O1 -I$out -I$here $(pkg-config --cflags grpc++ protobuf)"
read -r -a libs <<<"$(pkg-config --libs grpc++ protobuf)"
compile() {
  local file
  for file in "$@"; do c++ "${flags[@]}" -c "$file" -o "$out/$(basename "$file").o"; done
}
compile "$out"/grpc_testing.{pb,grpc.pb}.cc "$here/client.cc" &
first=$!
compile "$here/server.cc" "$out"/echo.{pb,grpc.pb}.cc "$here/echo.cc"
wait "$first"
link() { c++ "$out/$1.cc.o" "$out/$2.pb.cc.o" "$out/$2.grpc.pb.cc.o" -o "$out/$1" "${libs[@]}"; }
link client grpc_testing
link server grpc_testing
link echo echo
