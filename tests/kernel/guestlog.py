"""The guest's kernel log, judged line by line, from the drivers' first word to the power-off.

A line of the drivers is one of these, or it fails:
- what every start of the driver on a card says, with the values of this card's profile, as often as it started there;
- what the scenario itself makes it say (a firmware reset, a flash): its class lists the lines, and each must come;
- a row of guest-log.allow, which ties it to the fault planted in this scenario. A row that was not needed fails, too.
"""
import collections
import os
import re

ALLOW = f"{os.path.dirname(os.path.abspath(__file__))}/guest-log.allow"
INFORMATION = 6  # level of a line that complains of nothing
# By generation of PCIe: transfers a second as the kernel writes them, and what a lane carries, in Mb/s.
PCIE = {1: ("2.5", 2000), 2: ("5.0", 4000), 3: ("8.0", 7876), 4: ("16.0", 15753), 5: ("32.0", 31507)}
BROKEN = re.compile(r"WARNING:|BUG:|Oops|Call Trace|hung_task|blocked for more than")
# mstflint 4.33 sends every request with scope 3; the kernel says so once a boot.
FULL_ACCESS = re.compile(r"ld\.so\(\d+\): has requested full access to the physical device")
SHUTDOWN = "Shutdown was called"

Line = collections.namedtuple("Line", "level at device text")  # level None: of the console, which shows none


def lines(text):
    """Lines of the drivers, and any that says that the kernel itself is broken."""
    found = []
    for m in re.finditer(r"^(?:<(\d+)>)?\[ *(\d+\.\d{6})\] (.*)$", text, re.M):
        own = re.search(r"mlx5|mlxfw|fwctl", m[3]) and not re.match(r"Linux version|.*ommand line| +hawser=", m[3])
        if own or BROKEN.search(m[3]):
            named = re.fullmatch(r"(?:mlx5_core|fwctl) (\S+): (.*)", m[3])
            level = int(m[1]) & 7 if m[1] else None
            found.append(Line(level, m[2], named[1] if named else "", named[2] if named else m[3]))
    return found


def whole(section, console):
    """The framed log, and what the console shows beside it: the drivers' shutdown."""
    framed = lines(section)
    known = {(line.at, line.text) for line in framed}
    return framed + [n for n in lines(console) if n.level is None and (n.at, n.text) not in known]


def of_a_start(firmware, generation, width):
    """What each start of the driver on such a card says, the last line only with a probe."""
    speed, megabits = PCIE[generation]
    return (
        f"firmware version: {firmware}",
        "%d.%03d Gb/s available PCIe bandwidth (%s GT/s PCIe x%d link)" % (*divmod(megabits * width, 1000), speed, width),
        "Flow counters bulk query buffer size increased, bulk_query_len(1)",
    )


class Allowed:
    """The rows of one scenario."""

    def __init__(self, scenario):
        self.unused = []
        self.rows = []
        with open(ALLOW) as f:
            for line in f:
                if not line.startswith("#") and line.strip():
                    where, expression, reason = line.rstrip("\n").split("\t")
                    assert reason
                    if where == scenario:
                        self.rows.append(re.compile(expression))
        self.unused = list(self.rows)

    def take(self, line):
        for row in self.rows:
            if row.fullmatch(line.text):
                self.unused = [r for r in self.unused if r is not row]
                return True
        return False


def judge(scenario, log, starts, says, tools, powers_off):
    """What is wrong with a log: texts. starts: {PCI address: lines of each start, in parallel the same of every firmware that
    ran}; says: {expression: how often}; tools: whether the vendor's tools ran."""
    allowed, bad, counts = Allowed(scenario), [], collections.Counter()
    for line in log:
        start = [i for variant in starts.get(line.device, ()) for i, text in enumerate(variant) if text == line.text]
        said = [e for e in says if re.fullmatch(e, line.text)]
        if start and line.level in (INFORMATION, None):
            counts[line.device, start[0]] += 1
        elif said:
            counts[said[0]] += 1
        elif FULL_ACCESS.fullmatch(line.text):
            counts[FULL_ACCESS] += 1
        elif line.text == SHUTDOWN and line.level is None:
            counts[line.device, SHUTDOWN] += 1
        elif not allowed.take(line):
            bad.append(f"<{line.level}> {line.device}: {line.text}")
    bad += [f"not needed here: {row.pattern}" for row in allowed.unused]
    bad += [f"{counts[e]} times, not {n}: {e}" for e, n in says.items() if counts[e] != n]
    if counts[FULL_ACCESS] != int(tools):
        bad.append(f"{counts[FULL_ACCESS]} requests for full access were reported")
    for device, variants in starts.items():
        firmware, link, flows = (counts[device, i] for i in range(len(variants[0])))
        if not 0 < flows <= firmware == link:
            bad.append(f"{device}: its starts say {(firmware, link, flows)} times {variants}")
        if powers_off and counts[device, SHUTDOWN] != 1:
            bad.append(f"{device}: shut down {counts[device, SHUTDOWN]} times")
    return bad


def scenarios():
    """Those that the allow-list has rows for."""
    with open(ALLOW) as f:
        return {line.split("\t")[0] for line in f if not line.startswith("#") and line.strip()}
