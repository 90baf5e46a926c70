#!/usr/bin/env bash
# build.sh OUT [static]: builds both programs against the installed library (PKG_CONFIG_PATH says where) into the folder OUT;
# static: with the library in them, and only what it needs shared.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mkdir -p "$out"
protoc-c --proto_path="$here" --c_out="$out" "$here/echo.proto"
protoc --proto_path="$here" --descriptor_set_out="$out/echo.set" "$here/echo.proto"
{
  echo "extern const unsigned char echo_set[]; extern const unsigned long echo_set_bytes; const unsigned char echo_set[] = {"
  od -An -v -tu1 "$out/echo.set" | sed -E 's/([0-9]+)/\1,/g'
  echo "}; const unsigned long echo_set_bytes = sizeof(echo_set);"
} >"$out/echo_set.c"
flags=$(pkg-config --cflags hawser-grpc)
libs=$(pkg-config --libs hawser-grpc)
[ "${2:-}" = static ] && libs=$(pkg-config --static --libs hawser-grpc | sed 's/-lhawser-grpc/-l:libhawser-grpc.a/')
# shellcheck disable=SC2086
for program in server client; do
  "${CC:-cc}" -O2 -Wall -I"$out" $flags -o "$out/$program" "$here/$program.c" "$out/echo.pb-c.c" "$out/echo_set.c" $libs
done
