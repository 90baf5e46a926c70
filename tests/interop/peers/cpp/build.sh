#!/usr/bin/env bash
# build.sh OUT: the C++ peers (client, server) of the interop matrix into OUT, from Debian's libgrpc++-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mkdir -p "$out"
protoc -I "$here/../.." --cpp_out="$out" --grpc_out="$out" --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" "$here/../../grpc_testing.proto"
read -r -a flags <<<"-std=c++17 -O1 -I$out -I$here $(pkg-config --cflags grpc++ protobuf)"
read -r -a libs <<<"$(pkg-config --libs grpc++ protobuf)"
compile() { c++ "${flags[@]}" -c "$1" -o "$out/$(basename "$1").o"; }
compile "$out/grpc_testing.pb.cc" &
first=$!
compile "$out/grpc_testing.grpc.pb.cc"
wait "$first"
compile "$here/client.cc" &
first=$!
compile "$here/server.cc"
wait "$first"
for program in client server; do
  c++ "$out/$program.cc.o" "$out/grpc_testing.pb.cc.o" "$out/grpc_testing.grpc.pb.cc.o" -o "$out/$program" "${libs[@]}"
done
