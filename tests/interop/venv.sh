# interop_python: prints the Python of a virtual environment that holds tests/interop/requirements.txt; makes it on first use
# below ${XDG_CACHE_HOME:-$HOME/.cache}/hawser. Sourced by run.sh and the suites that speak to the agent from Python.
interop_python() {
  local requirements key venv
  requirements=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/requirements.txt
  key=$( (cat "$requirements"; python3 --version) | sha256sum | cut -c1-16)
  venv=${XDG_CACHE_HOME:-$HOME/.cache}/hawser/py-$key
  if [ ! -f "$venv/.ready" ]; then
    echo "installing $(tr '\n' ' ' <"$requirements")(once) into $venv" >&2
    mkdir -p "$(dirname "$venv")"
    (
      flock -w 600 9 || exit 1
      [ -f "$venv/.ready" ] && exit 0
      rm -rf "$venv"
      python3 -m venv "$venv" &&
        timeout 600 "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$requirements" &&
        touch "$venv/.ready"
    ) 9>"$venv.lock" >&2 || return 1
  fi
  echo "$venv/bin/python"
}
