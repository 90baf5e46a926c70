"""Writes the library's API as Markdown from its public headers: hawser_grpc.h and what that includes, near and far.

    python3 lib/wire/api.py >API.md
    python3 lib/wire/api.py --names     the functions, a line each: what hawser-grpc.map has to export
    python3 lib/wire/api.py --headers   the headers and tables, by their paths below the folder that is installed

Ends with status 1, and says which, when a function has no comment, or may fail and its comment names no error.
"""
import os
import re
import sys

WIRE = os.path.dirname(os.path.abspath(__file__))
LIB = os.path.dirname(WIRE)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)
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


def public():
    """The headers and .def tables behind hawser_grpc.h, in the order in which it names them."""
    seen, todo = [], INCLUDE.findall(open(os.path.join(WIRE, "hawser_grpc.h")).read())
    while todo:
        header = todo.pop(0)
        if header not in seen:
            seen.append(header)
            todo += INCLUDE.findall(open(path_of(header)).read())
    return seen


def main(wanted):
    headers = [path for path in public() if path.endswith(".h")]
    if wanted == "--headers":
        print("\n".join(["hawser_grpc.h", *public()]))
    elif wanted == "--names":
        text = "".join(COMMENT.sub("", open(path_of(header)).read()) for header in headers)
        print("\n".join(sorted(match.group(2) for match in FUNCTION.finditer(text))))
    else:
        print("# hawser-grpc: the functions of each header, with their errors")
        for header in headers:
            document(header)
    for line in missing:
        print(line, file=sys.stderr)
    return 1 if missing else 0


sys.exit(main("".join(sys.argv[1:2])))
