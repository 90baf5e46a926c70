#!/usr/bin/env bash
# Reads file names, prints those that are shell scripts (by name or first line).
while read -r f; do
  [ -f "$f" ] || continue
  case $f in
    *.sh) echo "$f" ;;
    *.*) ;;
    *) head -c 64 "$f" | head -n 1 | grep -aqE '^#!.*(bash|sh)$' && echo "$f" ;;
  esac
done
exit 0
