# Foreign stacks of the interop matrix. Each function prints where the peer is; status 1: it does not build, 75: its registry
# does not give what it needs, says the last line of $interop_cache/NAME-KEY.log (interop_reason). What they make is cached
# below ${XDG_CACHE_HOME:-$HOME/.cache}/hawser, keyed by their sources. Sourced by the suite.
interop_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
interop_cache=${XDG_CACHE_HOME:-$HOME/.cache}/hawser

# interop_cached NAME KEY COMMAND...: the folder NAME-KEY, made by COMMAND FOLDER when it is not there.
interop_cached() {
  local status at=$interop_cache/$1-$2
  shift 2
  mkdir -p "$interop_cache"
  if [ ! -f "$at/.ready" ]; then
    (
      flock -w 1800 9 || exit 1
      [ -f "$at/.ready" ] && exit 0
      rm -rf "$at"
      mkdir -p "$at"
      timeout 1800 "$@" "$at" && touch "$at/.ready"
    ) 9>"$at.lock" >"$at.log" 2>&1
    status=$?
    [ "$status" = 0 ] || { tail -n 5 "$at.log" >&2; return "$status"; }
  fi
  echo "$at"
}

# interop_reason NAME: why the latest try to make NAME failed, on one line, without addresses.
interop_reason() {
  # shellcheck disable=SC2012
  grep -hiE 'error|fail|timed|refused|could not|lookup' "$(ls -t "$interop_cache/$1"-*.log | head -n 1)" | tail -n 1 | sed -E 's#[a-z]+://[^ )]*##g' | cut -c1-160
}

interop_key() { cat "$@" | sha256sum | cut -c1-16; }

# gRPC C++ of Debian.
interop_cpp() {
  interop_cached cpp "$(dpkg-query -W -f '${Version}' libgrpc++-dev | cat - "$interop_here"/peers/cpp/* "$interop_here/grpc_testing.proto" "$interop_here/../../docs/examples/grpc/echo.proto" |
    sha256sum | cut -c1-16)" "$interop_here/peers/cpp/build.sh"
}

interop_js_install() {
  cp "$interop_here/peers/js/package.json" "$1/" && cd "$1" && npm install --no-audit --no-fund --silent
}

# @grpc/grpc-js; its modules' folder is for NODE_PATH.
interop_js() {
  export -f interop_js_install
  export interop_here
  interop_cached js "$(interop_key "$interop_here/peers/js/package.json")" bash -c 'interop_js_install "$1"' _
}

interop_go_build() {
  cp "$interop_here"/peers/go/* "$1/" && cd "$1" || return 1
  go mod tidy || return 75
  go build -o peer .
}

interop_rust_build() {
  cp -r "$interop_here"/peers/rust/* "$1/" && cd "$1" || return 1
  cargo fetch --quiet || return 75
  HAWSER_PROTOS=$interop_here CARGO_TARGET_DIR=$1/target cargo build --release --quiet && cp target/release/peer . && rm -rf target
}

# Rust tonic, through cargo.
interop_rust() {
  export -f interop_rust_build
  export interop_here
  interop_cached rust "$(find "$interop_here/peers/rust" "$interop_here/grpc_testing.proto" -type f | sort | xargs cat | sha256sum |
    cut -c1-16)" bash -c 'interop_rust_build "$1"' _
}

interop_h2spec_build() {
  cp "$interop_here"/peers/h2spec/* "$1/" && cd "$1" && go build -mod=mod -o h2spec github.com/summerwind/h2spec/cmd/h2spec
}

interop_java_build() {
  local maven=(mvn -B -ntp dependency:copy-dependencies -DoutputDirectory=lib)
  cp "$interop_here/peers/java/pom.xml" "$1/" && cd "$1" && mkdir -p generated classes || return 1
  "${maven[@]}" || "${maven[@]}" -U || return 75
  protoc -I "$interop_here" --java_out=generated "$interop_here/grpc_testing.proto" &&
    find generated "$interop_here/peers/java" -name '*.java' -exec javac -nowarn -cp 'lib/*' -d classes {} +
}

# gRPC Java, through Maven.
interop_java() {
  export -f interop_java_build
  export interop_here
  interop_cached java "$(interop_key "$interop_here"/peers/java/* "$interop_here/grpc_testing.proto")" bash -c 'interop_java_build "$1"' _
}

# h2spec, through the module proxy.
interop_h2spec() {
  export -f interop_h2spec_build
  export interop_here
  interop_cached h2spec "$(interop_key "$interop_here"/peers/h2spec/*)" bash -c 'interop_h2spec_build "$1"' _
}

# grpc-go with its own case library, through the module proxy.
interop_go() {
  export -f interop_go_build
  export interop_here
  interop_cached go "$(interop_key "$interop_here"/peers/go/*)" bash -c 'interop_go_build "$1"' _
}
