"""Prints the preprocessed text of one C file, by its own compile command; the cache key of tests/lint/tidy.sh."""
import json
import os
import shlex
import subprocess
import sys

target = os.path.abspath(sys.argv[1])
for entry in json.load(open("build/dev/compile_commands.json")):
    if os.path.abspath(os.path.join(entry["directory"], entry["file"])) == target:
        words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
        out = words.index("-o")
        del words[out : out + 2]
        words[words.index("-c")] = "-E"
        sys.exit(subprocess.call(words, cwd=entry["directory"]))
sys.exit(1)
