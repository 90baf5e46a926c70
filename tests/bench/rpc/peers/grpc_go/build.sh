#!/usr/bin/env bash
# build.sh OUT: generates the service and builds server and client into OUT, with modules of pinned versions.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
export GOBIN=$out/bin GOFLAGS=-mod=mod GOTOOLCHAIN=local
mkdir -p "$out/src/pb"
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.6
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1
PATH=$GOBIN:$PATH protoc --proto_path="$here/../.." --go_out="$out/src/pb" --go_opt=paths=source_relative --go_opt=Mbench.proto=hawser.bench/peer/pb \
  --go-grpc_out="$out/src/pb" --go-grpc_opt=paths=source_relative --go-grpc_opt=Mbench.proto=hawser.bench/peer/pb bench.proto
mkdir -p "$out/src/server" "$out/src/client"
cp "$here/server.go" "$out/src/server/"
cp "$here/client.go" "$out/src/client/"
cd "$out/src"
rm -f go.mod go.sum
go mod init hawser.bench/peer
go get google.golang.org/grpc@v1.72.0 google.golang.org/protobuf@v1.36.6
go build -o "$out/server" ./server
go build -o "$out/client" ./client
