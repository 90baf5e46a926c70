#!/usr/bin/env python3
"""Branch coverage of the rooms that judge: measure.py BUILD-DIR ROOM...

A room is a folder of lib/, say core/policy. What the tests' runs left beside its objects (.gcda) is read with gcov, which
comes with the compiler. Prints a line a room, then every branch that no test took and every line that none ran, and exits
1 if there is one.

One rule leaves branches out, and how many it did is printed: those of an hws_assert(...) statement. Its failing side ends
the process, and its condition is a claim about our own code that no input can break.
"""
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def assert_lines(source):
    """The numbers, from 1, of the lines on which some part of an hws_assert statement stands."""
    found = set()
    for start in re.finditer(r"\bhws_assert\(", source):
        depth, at = 1, start.end()
        while depth > 0 and at < len(source):
            depth += {"(": 1, ")": -1}.get(source[at], 0)
            at += 1
        found.update(range(source.count("\n", 0, start.start()) + 1, source.count("\n", 0, at) + 2))
    return found


def counters(objects):
    """{"lib/...": [gcov's records of lines]} of the objects in a folder."""
    found = {}
    for notes in sorted(objects.glob("*.gcno")):
        done = subprocess.run(["gcov", "--branch-probabilities", "--json-format", "--stdout", notes.name], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=objects)
        for file in json.loads(done.stdout)["files"]:
            if "lib/" in file["file"]:
                found.setdefault(file["file"][file["file"].rindex("lib/"):], []).extend(file["lines"])
    return found


def measure(build, room):
    """What there is and what was reached in a room, and the places that were not."""
    objects = build / "lib" / "CMakeFiles" / f"hws_{pathlib.PurePath(room).name}.dir" / room
    found = counters(objects)
    total = dict.fromkeys(("lines", "run", "branches", "taken", "left out"), 0)
    missing = []
    for source in sorted((TOP / "lib" / room).glob("*.[ch]")):
        path = str(source.relative_to(TOP))
        if path not in found and source.suffix == ".c":
            missing.append(f"{path}: no test program has it")
        text = source.read_text()
        asserts = assert_lines(text)
        for line in found.get(path, []):
            number, branches = line["line_number"], line["branches"]
            total["lines"] += 1
            total["run"] += line["count"] > 0
            if number in asserts:
                total["left out"] += len(branches)
                branches = []
            never = [str(i + 1) for i, branch in enumerate(branches) if branch["count"] == 0]
            total["branches"] += len(branches)
            total["taken"] += len(branches) - len(never)
            if never or line["count"] == 0:
                what = f"branch {', '.join(never)} of {len(branches)} never taken" if never else "never run"
                missing.append(f"{path}:{number}: {what}: {text.splitlines()[number - 1].strip()}")
    return total, missing


def main():
    build, rooms = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    missing = []
    print(f"{'room':<12} {'lines':>9} {'branches':>13}         left out (hws_assert)")
    for room in rooms:
        n, gaps = measure(build, room)
        missing += gaps
        print(f"{room:<12} {n['run']:>4}/{n['lines']:<4} {n['taken']:>6}/{n['branches']:<6} "
              f"{100 * n['taken'] / max(n['branches'], 1):5.1f} % {n['left out']:>4}")
    print(*missing, sep="\n", end="\n" if missing else "")
    sys.exit(1 if missing else 0)


main()
