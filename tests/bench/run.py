"""Runs the benchmarks and prints a line a measure: name, value, unit and, where there is a peer in the same run, the
peer's value and the ratio. `--json` prints the same as JSON lines. `--rounds N`: medians of N runs. A row that misses
its bar says why at its end (in JSON: "fail"), and the status is 1.

    python3 tests/bench/run.py BUILD_DIR [--json] [--rounds N]
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--json", action="store_true")
parser.add_argument("--rounds", type=int, default=3)
args = parser.parse_args()
BIN = os.path.join(args.build, "bin")
BENCH = os.path.join(args.build, "bench")
rows = {}
fails = {}  # of the rows that miss their bar: why
floors = {}  # of the rows that have one: the same work without what is measured


def program(*argv, timeout=120):
    """Runs a benchmark program; its "name value unit" lines go to rows."""
    p = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
    if p.returncode != 0:
        sys.exit(f"{' '.join(argv)}: status {p.returncode}: {p.stderr.strip()}")
    for line in p.stdout.splitlines():
        name, value, unit, *floor = line.split()
        rows.setdefault(name, (unit, []))[1].append(float(value))
        if floor:
            floors.setdefault(name, []).append(float(floor[0]))


def report():
    for name, (unit, values) in rows.items():
        value = statistics.median(values)
        floor = statistics.median(floors[name]) if name in floors else None
        if args.json:
            peers = {} if floor is None else {"floor": {"value": round(floor, 1), "ratio": round(value / floor, 2)}}
            fail = {"fail": fails[name]} if name in fails else {}
            print(json.dumps({"name": name, "value": value, "unit": unit, "runs": len(values), "peers": peers, **fail}))
        else:
            beside = "" if floor is None else f"  floor {floor:.1f} ratio {value / floor:.2f}"
            print(f"{name:24} {value:12.1f} {unit:5} median of {len(values)}{beside}"
                  + (f"  FAIL: {fails[name]}" if name in fails else ""))


def count_cmdq(profile):
    """Instructions per command: callgrind dumps at each call of run_load and of run_floor, which take turns."""
    with tempfile.TemporaryDirectory(prefix="hawser-callgrind.") as folder:
        out = os.path.join(folder, "out")
        p = subprocess.run(
            ["valgrind", "--tool=callgrind", "--dump-before=run_*", "--dump-after=run_*", f"--callgrind-out-file={out}",
             os.path.join(BENCH, "bench_cmdq"), profile, "count"], capture_output=True, text=True, timeout=120)
        if p.returncode != 0:
            sys.exit(f"callgrind: status {p.returncode}: {p.stderr.strip()[-500:]}")

        def total(dump):
            with open(f"{out}.{dump}", encoding="utf-8") as f:
                return int(re.search(r"^(?:totals|summary): (\d+)", f.read(), re.M).group(1))

        for i, line in enumerate(p.stdout.splitlines()):
            name, n = line.split()
            rows[name] = ("instr", [total(2 * i + 2) / int(n)])  # the first dump is what came before
            floors[name] = [total(2 * i + 3) / int(n)]


DEPTH_SLACK = 1.05  # of counts that hardly vary: room for what another compiler makes of the code


def judge_depths():
    """Instructions per command are flat or fall with the depth: a deeper queue shares turns and doorbells."""
    for name, (_, values) in rows.items():
        load = re.fullmatch(r"(cmdq\..*)\.d(\d+)\.instr", name)
        if load is None:
            continue
        alone = rows[f"{load[1]}.d1.instr"][1][0]
        if values[0] > alone * DEPTH_SLACK:
            fails[name] = f"above {DEPTH_SLACK} x {alone:.1f} instr, the same at depth 1"


class Agent:
    """One agent with two emulated adapters, in a folder of its own."""

    def __init__(self, root):
        self.dir = root
        ca = os.path.join(TOP, "certs/hawser-ca")
        self.pki = os.path.join(root, "pki")
        for a in (["init", self.pki, "--domain", "bench.test"], ["agent", self.pki, "a", "--ip", "127.0.0.1"],
                  ["operator", self.pki, "olga"]):
            subprocess.run([ca, *a], check=True, capture_output=True, timeout=60)
        os.makedirs(os.path.join(root, "run"))
        os.makedirs(os.path.join(root, "state"))
        self.config = os.path.join(root, "agent.yaml")
        policy = open(os.path.join(TOP, "docs/examples/policy.yaml")).read().replace("hawser.example", "bench.test")
        open(os.path.join(root, "policy.yaml"), "w").write(policy)
        profiles = os.path.join(TOP, "agent/emu/profiles")
        # The second adapter answers reads of MTMP half a second late.
        late = "faults:\n  - {opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 500, countdown: 1, repeat: 100000}"
        slow = os.path.join(root, "slow.yaml")
        open(slow, "w").write(open(f"{profiles}/connectx6dx.yaml").read().replace("faults: []", late))
        open(self.config, "w").write(
            "host: bench\nrun_dir: run\nstate_dir: state\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n"
            "tls: {cert: pki/agent-a.crt, key: pki/agent-a.key, ca: pki/ca.crt}\n"
            f"devices: {{backend: emu, profiles: [{profiles}/connectx7.yaml, slow.yaml]}}\n")
        self.creds = [os.path.join(self.pki, f) for f in ("operator-olga.crt", "operator-olga.key", "ca.crt")]

    def start(self, pin=None, program=None):
        argv = [program or os.path.join(BIN, "hawserd"), "--config", self.config, "--bin-dir", BIN]
        listen = os.path.join(self.dir, "run/wire/listen")
        if os.path.exists(listen):
            os.unlink(listen)  # of an earlier run: it names a port that may be somebody else's now
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen((["taskset", "-c", pin] if pin else []) + argv, stdout=self.log, stderr=self.log,
                                     stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not (os.path.exists(listen) and open(listen).read().strip()):
            if time.monotonic() > end or self.proc.poll() is not None:
                sys.exit("agent did not start: " + open(os.path.join(self.dir, "log")).read()[-2000:])
            time.sleep(0.005)
        self.target = open(listen).read().strip()

    def stop(self):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        finally:
            self.proc.kill()
            self.log.close()

    def pids(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                argv = open(f"/proc/{pid}/cmdline").read().split("\0")
            except OSError:
                continue
            if os.path.basename(argv[0]).startswith("hawser") and any(self.dir in a for a in argv):
                found.append(pid)
        return found

    def pss_kb(self):
        total = 0
        for pid in self.pids():
            total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1))
        return total

    def cpu_ticks(self):
        total = 0
        for pid in self.pids():
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total


def bench_agent():
    root = tempfile.mkdtemp(prefix="hawser-bench.")
    agent = Agent(root)
    try:
        for _ in range(args.rounds):
            program(os.path.join(BENCH, "bench_agent"), "start", os.path.join(root, "run/wire/hawser.sock"),
                    os.path.join(BIN, "hawserd"), agent.config)
        agent.start(pin="0")
        for _ in range(args.rounds):
            program("taskset", "-c", "0", os.path.join(BENCH, "bench_agent"), "unary", agent.target, *agent.creds, "3000")
        agent.stop()

        agent.start()
        for _ in range(max(1, args.rounds // 3)):  # a run has twelve blocks of its own
            program(os.path.join(BENCH, "bench_agent"), "beside", agent.target, *agent.creds, "6000")
        agent.stop()

        agent.start()
        holder = subprocess.Popen([os.path.join(BENCH, "bench_agent"), "hold", agent.target, *agent.creds, "10"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if holder.stdout.readline().strip() != "held":
            sys.exit("the 10 connections could not be held")
        rows["agent.rss_kb"] = ("kB", [agent.pss_kb()])  # sum of PSS of the three processes, 10 connections
        before, began = agent.cpu_ticks(), time.monotonic()
        time.sleep(2)  # the measure itself: two idle seconds
        spent = (agent.cpu_ticks() - before) / os.sysconf("SC_CLK_TCK")
        rows["agent.idle_cpu_pct"] = ("%", [100 * spent / (time.monotonic() - began)])
        holder.stdin.close()
        holder.wait(10)
        agent.stop()
    finally:
        if getattr(agent, "proc", None) and agent.proc.poll() is None:
            agent.stop()
        shutil.rmtree(root, ignore_errors=True)


LOG_LIMIT_MS = 1000  # to judge a log of 100,000 records, of processor time
LONG_ROUNDS = 11  # with fewer runs of each a busy machine says more than the programs do
KEEP_LIMIT = 1.05  # the median round trip of a read that is recorded, beside the same unrecorded


def bench_audit():
    """Judging a log of 100,000 records."""
    root = tempfile.mkdtemp(prefix="hawser-bench.")
    try:
        program(os.path.join(BENCH, "bench_audit"), root, str(args.rounds))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    for name in ("audit.verify_100k.db_ms", "audit.verify_100k.export_ms"):
        if min(rows[name][1]) > LOG_LIMIT_MS:
            fails[name] = f"above {LOG_LIMIT_MS} ms"


def unary_us(agent):
    p = subprocess.run([os.path.join(BENCH, "bench_agent"), "unary", agent.target, *agent.creds, "800"],
                       capture_output=True, text=True, timeout=120)
    if p.returncode != 0:
        sys.exit(f"bench_agent: {p.stderr.strip()}")
    return float(re.search(r"p50_us (\S+)", p.stdout).group(1))


def bench_recording():
    """What recording reads costs them: two agents that differ in nothing else, in turn."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # the disk's own pace is not what is asked
    roots = [tempfile.mkdtemp(prefix="hawser-bench.", dir=memory) for _ in range(2)]
    agents = [Agent(root) for root in roots]
    name, took = "audit.read.p50_us", [[], []]
    try:
        agents[0].start()
        agents[1].start(program=os.path.join(BENCH, "bench_unrecorded"))
        for i in range(3 * args.rounds):
            for which in ((0, 1) if i % 2 else (1, 0)):
                took[which].append(unary_us(agents[which]))
    finally:
        for agent in agents:
            if getattr(agent, "proc", None) and agent.proc.poll() is None:
                agent.stop()
        for root in roots:
            shutil.rmtree(root, ignore_errors=True)
    rows[name], floors[name] = ("us", took[0]), took[1]
    if args.rounds >= LONG_ROUNDS and min(took[0]) > KEEP_LIMIT * min(took[1]):
        fails[name] = f"more than {KEEP_LIMIT} x the same without records"


PROFILE = os.path.join(TOP, "agent/emu/profiles/connectx7.yaml")
program(os.path.join(BENCH, "bench_cmdq"), PROFILE, str(2 * args.rounds - 1))
count_cmdq(PROFILE)
judge_depths()
program(os.path.join(BENCH, "bench_tls"), str(2 * args.rounds - 1))
bench_agent()
bench_audit()
bench_recording()
report()
sys.exit(1 if fails else 0)
