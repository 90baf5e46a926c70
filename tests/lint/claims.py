#!/usr/bin/env python3
"""Holds a table of claims against the tests that it names.

    claims.py TABLE.md README.md

Each row of TABLE.md has a claim and the tests that show it, in backquotes: `PROGRAM:NAME`. unit_<layer>_<file>:NAME has to be a
test that tests/unit/<layer>/test_<file>.c runs; attack_FILE and interop_FILE name a file of Python that has NAME, anything else a suite.
A claim in quotes is a part of README.md. Prints what is wrong; status 1 if anything is.
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
OTHERS = {"attack": "attack/{}.py", "interop": "interop/{}.py"}


def file_of(program):
    suite, _, rest = program.partition("_")
    if suite == "unit":
        layer, _, stem = rest.partition("_")
        return TESTS / "unit" / layer / f"test_{stem}.c"
    if suite in OTHERS and rest:
        return TESTS / OTHERS[suite].format(rest)
    return TESTS / "suites" / f"{program}.sh"


def is_there(program, name):
    path = file_of(program)
    if not path.is_file():
        return False
    text = path.read_text()
    word = re.escape(name)
    if path.suffix == ".c":
        return re.search(rf"\b(?:T|cmocka_unit_test\w*)\(\s*{word}\b", text) is not None
    code = "\n".join(line.partition("#")[0] if path.suffix == ".py" else line for line in text.splitlines() if not line.startswith("#"))
    return re.search(rf"(?<![\w.]){word}(?![\w.])", code) is not None


def plain(text):
    return re.sub(r"\s+", " ", text)


def main(table, readme):
    said = plain(pathlib.Path(readme).read_text())
    wrong, n_rows = [], 0
    for line in pathlib.Path(table).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or len(cells) != 2 or cells[0] == "claim":
            if line.startswith("| ") and len(cells) != 2:
                wrong.append(f"not two cells: {line}")
            continue
        n_rows += 1
        claim, tests = cells[0], re.findall(r"`([a-z]\w*):([^`]+)`", cells[1])
        if not tests or re.sub(r"`[^`]+`", "", cells[1]).strip():
            wrong.append(f"{claim}: its second cell has to be tests and nothing else")
        wrong += [f"{claim}: there is no {program}:{name}" for program, name in tests if not is_there(program, name)]
        if claim.startswith('"') and plain(claim.strip('"')) not in said:
            wrong.append(f"{readme} does not say {claim}")
    if n_rows == 0:
        wrong.append(f"{table} has no claims")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
