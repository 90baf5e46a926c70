# Debian packages by purpose, and how to get them. Sourced by ./quickstart, ./test and the suites.

# What building and running Hawser takes.
BUILD_PACKAGES="gcc libc6-dev cmake ninja-build ccache pkg-config protobuf-compiler protobuf-c-compiler
  libprotobuf-c-dev libuv1-dev libnghttp2-dev libmbedtls-dev libcmocka-dev libsqlite3-dev libfyaml-dev
  libjansson-dev zlib1g-dev libzstd-dev libssl-dev openssl"
# AES-GCM with VAES, where libcrypto is too old to have it (docs/adr/0012-ipsec-mb.md). The build does without where it is not to be had.
OPTIONAL_PACKAGES=
case "$(dpkg --print-architecture 2>/dev/null) $(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)" in
  "amd64 bookworm") OPTIONAL_PACKAGES=libipsec-mb-dev ;;
esac
BUILD_PACKAGES="$BUILD_PACKAGES $OPTIONAL_PACKAGES"

# as_root COMMAND...: runs it as root, by sudo where we are not.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1; then sudo "$@"
  else return 1
  fi
}

# missing_packages NAME...: prints those that are not installed.
missing_packages() {
  local p
  for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
  done
}

# apt_install NAME...: what apt says goes to a file whose name is in $apt_said.
apt_install() {
  apt_said="${TMPDIR:-/tmp}/hawser-apt.$$"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$apt_said" 2>&1
}

# need_packages NAME...: installs what is missing with apt; returns 1 with a reason in $why when it cannot.
need_packages() {
  local missing needed=() p
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  echo "installing with apt: $missing"
  for p in $missing; do
    case " $OPTIONAL_PACKAGES " in *" $p "*) ;; *) needed+=("$p") ;; esac
  done
  # Package lists may be missing (a fresh machine) or old.
  # shellcheck disable=SC2086
  if apt_install $missing || { as_root apt-get update -q >/dev/null 2>&1; apt_install $missing; } ||
    [ ${#needed[@]} = 0 ] || apt_install "${needed[@]}"; then
    rm -f "$apt_said"
    return 0
  fi
  why="apt could not install: $missing($(tail -n 1 "$apt_said"))"
  rm -f "$apt_said"
  return 1
}
