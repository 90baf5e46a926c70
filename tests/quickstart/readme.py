"""Compares README.md's transcript with what ./quickstart printed (standard input).

The transcript is the fenced block after the line `<!-- transcript -->`. Its lines must appear in the output, in order; a
line "[...]" stands for any number of lines. Every command of the output must be in the README. What differs from run to
run (ports, hashes, times, identifiers) is masked on both sides. Prints the first line that is missing; exit status 1.
"""
import re
import sys


def mask(line):
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line)
    line = re.sub(r"\b[0-9a-f]{16,64}\b", "HEX", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME", line)
    line = re.sub(r"\bin \d+ s\b", "in N s", line)
    line = re.sub(r"^(host-\w +)\d+ ", r"\1N ", line)  # audit sequence numbers depend on how often the gate looked
    line = re.sub(r"(bytes +)\d+", r"\1N", line)
    return re.sub(r" +", " ", line.rstrip())


def abridged(lines):
    """Answers of more than 16 lines keep the first 10 and the last 3."""
    answer, out = [], []
    for line in lines + ["$"]:
        if line.startswith(("$", "== ")):
            out += answer if len(answer) <= 16 else answer[:10] + ["[...]"] + answer[-3:]
            answer = []
            out.append(line)
        else:
            answer.append(line)
    return out[:-1]


readme = open("README.md").read()
if sys.argv[1:] == ["--write"]:
    head, rest = readme.split("<!-- transcript -->", 1)
    tail = rest.split("```", 2)[2]
    text = "\n".join(abridged([line.rstrip()[:200] for line in sys.stdin.read().strip("\n").splitlines()]))
    open("README.md", "w").write(f"{head}<!-- transcript -->\n```text\n{text}\n```{tail}")
    sys.exit(0)
block = readme.split("<!-- transcript -->", 1)[1].split("```", 2)[1].split("\n", 1)[1]
wanted = [mask(line) for line in block.splitlines()]
printed = [mask(line.rstrip()[:200]) for line in sys.stdin.read().splitlines()]
at = 0
for line in wanted:
    if line in ("", "[...]"):
        continue
    if line.startswith("wave ") and line in printed:
        continue  # hosts of a wave go on side by side: no order
    try:
        at = printed.index(line, at) + 1
    except ValueError:
        sys.exit(f"README.md shows a line that ./quickstart did not print (in this place): {line}")
commands = [line for line in printed if line.startswith("$ ")]
missing = [c for c in commands if c not in wanted]
if missing or not commands:
    sys.exit(f"./quickstart ran a command that README.md does not show: {(missing or ['(none at all)'])[0]}")
print(f"{len(commands)} commands and {sum(1 for w in wanted if w not in ('', '[...]'))} lines agree")
