#!/usr/bin/env python3
"""The allocation sites of the wire column, and where they failed: PROGRAM FILE pairs, a FILE being what PROGRAM
counted in (tests/support/failing.h). A site is a line of lib/wire or agent/wire that calls base/mem.h; it is judged
when it failed in a scenario that is judged to its end. Prints a row a file and every site that did not fail, or was
not judged where it must be (lib/wire: always); exit status 1 if there is one."""

import collections
import pathlib
import re
import struct
import subprocess
import sys

HEAD = 4 * 8  # n_allocs, fail_at, n_failed, sticky and drawn
SITE = struct.Struct("=4Q")  # place, first, failed, judged
CALL = re.compile(r"\bhws_mem_(?:alloc|alloc_sparse|zalloc|realloc|dup|strdup)\(")
ROOTS = ("lib/wire", "agent/wire")
# Code for what not every build or processor has: the file, the library, what /proc/cpuinfo must name.
OPTIONAL = {"lib/wire/tls/aead_ipsec_mb.c": ("libIPSec_MB", {"vaes", "vpclmulqdq", "avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"})}


def runs_here(path, program):
    if path not in OPTIONAL:
        return True
    library, wanted = OPTIONAL[path]
    linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return library in linked and wanted <= set(flags[1].split() if flags else [])


def sites_of_source():
    """{file: {lines}}"""
    found = collections.defaultdict(set)
    for root in ROOTS:
        for path in sorted(pathlib.Path(root).rglob("*.c")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if CALL.search(line.split("/*")[0]) and not line.lstrip().startswith("*"):
                    found[str(path)].add(number)
    return found


def lines_of(program, places):
    """file:line of each return address, as the compiler names it."""
    if not places:
        return []
    out = subprocess.run(["addr2line", "-e", program, *[hex(p - 1) for p in places]], check=True, capture_output=True, text=True).stdout
    return [line.split(" ")[0] for line in out.splitlines()]


def counted(program, path):
    """[(file, line, failed, judged)]"""
    rows = [r for r in SITE.iter_unpack(pathlib.Path(path).read_bytes()[HEAD:]) if r[0] > 1]
    for row, where in zip(rows, lines_of(program, [r[0] for r in rows])):
        name, _, line = where.rpartition(":")
        root = next((r for r in ROOTS if r + "/" in name), None)
        if root is not None and line.isdigit():
            yield name[name.index(root + "/"):], int(line), row[2], row[3]


def main(arguments):
    source = sites_of_source()
    for name in [n for n in source if not runs_here(n, arguments[0])]:
        print(f"{name}: left out, it does not run on this machine")
        del source[name]
    failed, judged = collections.Counter(), collections.Counter()
    for program, path in zip(arguments[::2], arguments[1::2]):
        for name, line, n_failed, n_judged in counted(program, path):
            failed[name, line] += n_failed
            judged[name, line] += n_judged
    missing = []
    print(f"{'file':<32} {'sites':>5} {'failed':>6} {'judged':>6} {'failures':>9} {'judged':>9}")
    for name, lines in source.items():
        at = [(name, line) for line in sorted(lines)]
        print(f"{name:<32} {len(at):>5} {sum(failed[a] > 0 for a in at):>6} {sum(judged[a] > 0 for a in at):>6}"
              f" {sum(failed[a] for a in at):>9} {sum(judged[a] for a in at):>9}")
        missing += [(a, "failed only where its end is not judged" if failed[a] else "never failed") for a in at if not judged[a]]
    total = sum(map(len, source.values()))
    print(f"{sum(failed[a, n] > 0 for a in source for n in source[a])} of {total} allocation sites of the wire column failed, "
          f"{total - len(missing)} of them in a scenario that is judged to its end")
    for (name, line), why in missing:
        print(f"{name}:{line}: {why}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
