#!/usr/bin/env bash
# clang-tidy over every C file of the tree, one file an invocation (several at once give false va_list findings).
# Test programs are judged without the static analyzer, which is most of the time: sanitizers run all of them.
# A file whose content, headers and checks did not change since it was last clean is not judged again: the cache key is
# the preprocessed text's digest.
set -u
cd "$(dirname "$0")/../.." || exit 1
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hawser/tidy
mkdir -p "$CACHE"
export CACHE
rules=$(cat .clang-tidy "$0" | sha256sum | cut -c1-16)
export rules

tidy_one() {
  local f=$1 key less=""
  case $f in tests/*) less='--checks=-clang-analyzer-*' ;; esac
  key=$(python3 tests/lint/preprocess.py "$f" 2>/dev/null | cat - .clang-tidy | sha256sum | cut -c1-40)
  [ -n "$key" ] && [ -f "$CACHE/$rules-$key" ] && return 0
  if out=$(timeout 300 clang-tidy-14 --quiet $less -p build/dev "$f" 2>/dev/null); then
    touch "$CACHE/$rules-$key"
    return 0
  fi
  printf '%s\n' "$out" | grep -E 'error|warning' | head -n 20
  return 1
}
export -f tidy_one

# Only what the build compiles has compile commands.
python3 - <<'P' | xargs -P "$(nproc)" -I{} bash -c 'tidy_one {}'
import json, os
top = os.getcwd()
seen = set()
for c in json.load(open("build/dev/compile_commands.json")):
    f = os.path.relpath(c["file"], top)
    if f.startswith(("lib/", "agent/", "client/", "tests/")) and f not in seen:
        seen.add(f)
        print(f)
P
