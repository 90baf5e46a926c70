"""Writes the library's API as Markdown from its public headers, those that hawser_grpc.h includes.

    python3 lib/wire/api.py >API.md

Ends with status 1, and says which, when a function has no comment, or may fail and its comment names no error.
"""
import os
import re
import sys

WIRE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.dirname(WIRE)
COMMENT = re.compile(r"/\*(.*?)\*/\s*", re.S)
# A function: its return type, name and parameters, then attributes.
FUNCTION = re.compile(r"((?:const )?(?:struct |enum |unsigned )?\w+ \**)(hws_\w+)\(([^;{}]*?)\)\s*(?:HWS_\w+(?:\([^)]*\))?\s*)*;", re.S)
missing = []


def path_of(header):
    return os.path.join(LIB if header.startswith("base/") else WIRE, header)


def text_of(comment):
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in comment.splitlines()]
    return "\n".join(lines).strip()


def document(header):
    source = open(path_of(header)).read()
    first = COMMENT.match(source)
    print(f"\n## {header}\n\n{text_of(first.group(1))}\n" if first else f"\n## {header}\n")
    source = re.sub(r"/\* -{3,}.*?\*/", "", source, flags=re.S)
    at, comment, commented_to = 0, None, None
    for match in re.finditer(COMMENT.pattern + "|" + FUNCTION.pattern, source, re.S):
        if match.group(1) is not None:
            comment, commented_to = text_of(match.group(1)), match.end()
            continue
        result, name, params = match.group(2).strip(), match.group(3), re.sub(r"\s+", " ", match.group(4))
        # A comment stands for every function that follows it without an empty line.
        if commented_to is None or "\n\n" in source[commented_to:match.start()]:
            comment = None
        if comment is None:
            missing.append(f"{header}: {name} has no comment")
        elif result == "enum hws_code" and not re.search(r"HWS_E_|[Ee]rrors? as|As hws_|HWS_OK|returns (the )?code", comment):
            missing.append(f"{header}: {name} may fail, and its comment names no error")
        print(f"### {name}\n\n```c\n{result}{'' if result.endswith('*') else ' '}{name}({params});\n```\n\n{comment or ''}\n")


print("# hawser-grpc: the functions of each header, with their errors")
for header in re.findall(r'#include "([^"]+)"', open(os.path.join(WIRE, "hawser_grpc.h")).read()):
    document(header)
for line in missing:
    print(line, file=sys.stderr)
sys.exit(1 if missing else 0)
