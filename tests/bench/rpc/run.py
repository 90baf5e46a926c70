"""The gRPC engine beside its peers: a line a measure, with the peer's value and how many times better ours is.

    python3 tests/bench/rpc/run.py BUILD_DIR [--peer NAME=DIR]... [--absent NAME=WHY]... [--long] [--json] [--only PREFIX] [--storm-within S]

Both servers run at once; every round loads ours, then each peer, and the medians of the rounds are compared, so that a
machine that slows down slows all of them. One load client of ours loads every server; only what is measured end to end
(p50 with both ends on one core, bulk MB/s) takes the peer's own client to the peer's own server.

Rows that the machine itself bounds also name their floor, measured in the same rounds by bench_rpc_floor: the same bytes
over raw TCP, and over TCP in libcrypto's AES-GCM records; how many times the floor ours and each peer take.

What a call costs by the number of connections is counted, too, in instructions of our server (valgrind): time also has
what the caches of the machine add, instructions have only what we do, and a row that rises fails.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--peer", action="append", default=[], metavar="NAME=DIR")
parser.add_argument("--absent", action="append", default=[], metavar="NAME=WHY")
parser.add_argument("--long", action="store_true")
parser.add_argument("--json", action="store_true")
parser.add_argument("--only", default="rpc.", help="rows that begin so")
parser.add_argument("--storm-within", type=float, metavar="S", help="fail if the storm takes longer to settle")
args = parser.parse_args()
BENCH = os.path.join(args.build, "bench")
PEERS = dict(p.split("=", 1) for p in args.peer)
ABSENT = dict(p.split("=", 1) for p in args.absent)
ROUNDS = 7 if args.long else 3
MS = 3000 if args.long else 700
WARM_MS = 500 if args.long else 200
BULK_BYTES = 4_000_000_000 if args.long else 300_000_000
HELD = 1000 if args.long else 400
STORM = 10_000 if args.long else 1000
COUNTED = (1, 16, 1000) if args.long else (1, 32)  # connections
COUNTED_MS = 3000 if args.long else 1500
COUNTED_RISE = 1.05  # of the first; above it a call costs more because there are other connections
CORE = str(max(os.sched_getaffinity(0)))  # where both ends of a pinned measure run
BIG = 1_000_000  # a cap on connections that none of the rows reaches

# name: unit, is more better, at least so many times better than gRPC C++ (None: reported)
ROWS = {
    "rpc.unary256.cpu_us": ("us", False, 3.0),
    "rpc.unary256.rps_core": ("1/s", True, 2.5),
    "rpc.unary4k.cpu_us": ("us", False, 2.0),
    "rpc.unary256.p50_us": ("us", False, 1.8),
    "rpc.bulk.cpu_s_per_gb": ("s", False, 1.6),
    "rpc.bulk.mb_s": ("MB/s", True, 1.8),
    "rpc.idle_conn_kb": ("kB", False, 2.5),
    "rpc.handshake.cpu_ms": ("ms", False, None),
    "rpc.conns1.cpu_us": ("us", False, None),
    "rpc.conns16.cpu_us": ("us", False, None),
    "rpc.conns1000.cpu_us": ("us", False, None),
    **{f"rpc.conns{n}.instructions": ("", False, None) for n in COUNTED},
    "rpc.storm.settled_s": ("s", False, None),
}
values = {name: {} for name in ROWS}  # row -> server -> list of values
floors = {name: {} for name in ROWS}  # row -> floor -> list of values
behind = []


def fail(text):
    sys.exit("rpc bench: " + text)


def wanted(*names):
    return any(n.startswith(args.only) for n in names)


class Pki:
    """One CA, a server and a client certificate, all P-256."""

    def __init__(self, root):
        ca = os.path.join(TOP, "certs/hawser-ca")
        pki = os.path.join(root, "pki")
        for a in (["init", pki, "--domain", "bench.test"], ["agent", pki, "a", "--ip", "127.0.0.1", "--dns", "localhost"],
                  ["operator", pki, "olga"]):
            subprocess.run([ca, *a], check=True, capture_output=True, timeout=60)
        self.server = [os.path.join(pki, f) for f in ("agent-a.crt", "agent-a.key", "ca.crt")]
        self.client = [os.path.join(pki, f) for f in ("operator-olga.crt", "operator-olga.key", "ca.crt")]


class Server:
    """A server under load: ours, or the peer of that name."""

    def __init__(self, name, pki, pin=None, address="127.0.0.1:0", max_conns=None, under=()):
        self.name = name
        program = os.path.join(BENCH, "bench_rpc_server") if name == "ours" else os.path.join(PEERS[name], "server")
        argv = (["taskset", "-c", pin] if pin else []) + [*under, program, *pki.server, address]
        if name == "ours" and max_conns:
            argv.append(str(max_conns))
        self.proc = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.config = {}
        for line in self.proc.stdout:
            word, *rest = line.split()
            if word == "config":
                self.config[rest[0]] = rest[1]
            elif word == "listening":
                self.address = rest[0]
                break
        else:
            fail(f"{name} does not start: {self.proc.stderr.read().strip()}")

    def stop(self, how=signal.SIGTERM):
        self.proc.send_signal(how)
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            fail(f"{self.name} did not stop")
        if how == signal.SIGTERM and status != 0:
            fail(f"{self.name} ended with status {status}: {self.proc.stderr.read().strip()}")


def figures(argv, timeout):
    """Runs a client; its "name value" lines."""
    p = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
    if p.returncode != 0:
        fail(f"{' '.join(argv)}: status {p.returncode}: {p.stderr.strip()}")
    return {line.split()[0]: float(line.split()[1]) for line in p.stdout.splitlines()}


def load(server, pki, *mode, pin=None, client=None, timeout=120):
    program = os.path.join(BENCH, "bench_rpc_load") if client is None else client
    argv = (["taskset", "-c", pin] if pin else []) + [program, server.address, *pki.client, str(server.proc.pid)]
    return figures([*argv, *map(str, mode)], timeout)


def note(row, server, value):
    values[row].setdefault(server.name, []).append(value)


def floor(*mode):
    return figures([os.path.join(BENCH, "bench_rpc_floor"), *map(str, mode)], 120)


def note_floor(row, name, value):
    floors[row].setdefault(name, []).append(value)


def client_of(server):
    """The peer's own client, for what is measured end to end; None for ours, and for a peer without one."""
    path = os.path.join(PEERS.get(server.name, ""), "client")
    return path if server.name != "ours" and os.path.exists(path) else None


# ---- the measures: each is one round of one server --------------------------------------------------------------------


def unary256(server, pki):
    got = load(server, pki, "unary", 16, 16, 256, WARM_MS, MS)
    note("rpc.unary256.cpu_us", server, got["cpu_us"])
    note("rpc.unary256.rps_core", server, got["rps_core"])


def unary4k(server, pki):
    note("rpc.unary4k.cpu_us", server, load(server, pki, "unary", 16, 16, 4096, WARM_MS, MS)["cpu_us"])


def bulk(server, pki):
    got = load(server, pki, "pour", 1, 65536, BULK_BYTES)
    note("rpc.bulk.cpu_s_per_gb", server, got["cpu_s_per_gb"])
    client = client_of(server)
    if client:
        got = load(server, pki, "pour", 65536, BULK_BYTES, client=client)
    if client or server.name == "ours":
        note("rpc.bulk.mb_s", server, got["mb_s"])
    if server.name == "ours":
        for name, how in (("tcp", "plain"), ("tcp+aes", "sealed")):
            got = floor("pour", BULK_BYTES, how)
            note_floor("rpc.bulk.cpu_s_per_gb", name, got["cpu_s_per_gb"])
            note_floor("rpc.bulk.mb_s", name, got["mb_s"])


def p50(server, pki):
    if server.name == "ours":
        got = load(server, pki, "unary", 1, 1, 256, WARM_MS, MS, pin=CORE)
    elif client_of(server):
        got = load(server, pki, "lat", 256, WARM_MS, MS, pin=CORE, client=client_of(server))
    else:
        return
    note("rpc.unary256.p50_us", server, got["p50_us"])


def flat(server, pki):
    """One call under way on each connection, so that each costs a read and a write: what a call costs may not depend on how
    many connections there are. With one, each call also pays for waking the server; with a thousand, for memory that has
    left the cache, the kernel's and ours."""
    for n in (1, 16, 1000):
        row = f"rpc.conns{n}.cpu_us"
        note(row, server, load(server, pki, "unary", n, 1, 256, WARM_MS, MS)["cpu_us"])
        if server.name == "ours":
            note_floor(row, "tcp", floor("echo", n, 256, WARM_MS, MS)["cpu_us"])


def count_instructions(n, ms, pki):
    """Calls and instructions of a server that starts, takes n connections, serves one call on each at a time, and ends."""
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    server = Server("ours", pki, max_conns=BIG, under=tool)
    calls = load(server, pki, "unary", n, 1, 256, WARM_MS, ms, timeout=600)["n"]
    server.stop()
    return calls, int(re.search(r"I +refs: +([0-9,]+)", server.proc.stderr.read()).group(1).replace(",", ""))


def flat_instructions(pki):
    """What two runs have in common, start, handshakes and end, is not counted."""
    for n in COUNTED:
        (few, before), (many, after) = (count_instructions(n, ms, pki) for ms in (WARM_MS, COUNTED_MS))
        values[f"rpc.conns{n}.instructions"]["ours"] = [(after - before) / (many - few)]
        rise = values[f"rpc.conns{n}.instructions"]["ours"][0] / values[f"rpc.conns{COUNTED[0]}.instructions"]["ours"][0]
        if rise > COUNTED_RISE:
            behind.append(f"instructions of a call rise {rise:.2f} times from {COUNTED[0]} connection to {n}")


def idle(server, pki):
    got = load(server, pki, "hold", HELD)
    note("rpc.idle_conn_kb", server, got["idle_kb"])
    note("rpc.handshake.cpu_ms", server, got["handshake_ms"])


def free_port():
    """Below the range that outgoing connections take their ports from, so that none of them has it in the restart."""
    for port in range(20000 + os.getpid() % 4000, 32000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    fail("no free port")


def storm(name, pki):
    """All connections are cut by a kill of the server; it comes back at once, and so do they."""
    address = f"127.0.0.1:{free_port()}"
    first = Server(name, pki, address=address, max_conns=BIG)
    argv = [os.path.join(BENCH, "bench_rpc_load"), address, *pki.client, str(first.proc.pid), "storm", str(STORM)]
    client = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    second = None
    try:
        if client.stdout.readline().strip() != "held":
            fail(f"{STORM} connections could not be held: {client.stderr.read().strip()}")
        first.stop(signal.SIGKILL)
        second = Server(name, pki, address=address, max_conns=BIG)
        out, err = client.communicate(timeout=200)
        got = {line.split()[0]: float(line.split()[1]) for line in out.splitlines()}
        if client.returncode == 0 and got["storm_lost"] == 0:
            note("rpc.storm.settled_s", second, got["storm_s"])
            print(f"# storm of {STORM}: {got['storm_turned_away']:.0f} dials turned away, none lost", flush=True)
            if args.storm_within is not None and got["storm_s"] > args.storm_within:
                behind.append(f"storm of {STORM} settled in {got['storm_s']:.1f} s of {args.storm_within:.0f}")
        else:
            behind.append(f"storm of {STORM}: {got.get('storm_lost', STORM):.0f} lost: {err.strip()}")
    finally:
        client.kill()
        client.wait()
        if second:
            second.stop()


def rounds(measures, n, pki, fresh=False, **options):
    """n rounds of each measure, ours and the peers in turn; fresh: servers of their own for each measure."""
    names = ["ours", *PEERS]
    servers = [] if fresh else [Server(name, pki, **options) for name in names]
    for _ in range(n):
        for measure in measures:
            for i, name in enumerate(names):
                server = Server(name, pki, **options) if fresh else servers[i]
                measure(server, pki)
                if fresh:
                    server.stop()
    for server in servers:
        server.stop()


# ---- the report -------------------------------------------------------------------------------------------------------


def report_row(name):
    unit, more, bar = ROWS[name]
    measured = values[name]
    ours = statistics.median(values[name]["ours"])
    row = {"name": name, "value": round(ours, 3), "unit": unit, "runs": len(values[name]["ours"]), "peers": {}}
    text = f"{name:24} {ours:12.3f} {unit:5} median of {row['runs']}"
    for peer in PEERS:
        if peer not in values[name]:
            continue
        theirs = statistics.median(values[name][peer])
        ratio = ours / theirs if more else theirs / ours
        row["peers"][peer] = {"value": round(theirs, 3), "ratio": round(ratio, 2)}
        text += f"  {peer} {theirs:.3f} ratio {ratio:.2f}"
        least = bar if peer == "grpc_cpp" else 1.0 if bar is not None else None  # others: not behind
        if least is not None:
            met = ratio >= least
            text += f" (at least {least}: {'met' if met else 'NOT MET'})"
            if not met:
                behind.append(f"{name} {ratio:.2f} of {least} beside {peer}")
    for name, got in floors[name].items():
        at = statistics.median(got)
        times = {s: round(statistics.median(v) / at if not more else at / statistics.median(v), 2) for s, v in measured.items()}
        row.setdefault("floors", {})[name] = {"value": round(at, 3), "times": times}
        text += f"  floor {name} {at:.3f}: " + ", ".join(f"{s} {t:.2f}x" for s, t in times.items())
    for peer, why in ABSENT.items():
        row["peers"][peer] = {"absent": why}
        text += f"  {peer} absent: {why}"
    print(json.dumps(row) if args.json else text, flush=True)


def measure(run, *rows):
    """Runs what measures the rows, if one of them is wanted, and reports those that were measured."""
    if wanted(*rows):
        run()
        for name in rows:
            if values[name]:
                report_row(name)


def main():
    root = tempfile.mkdtemp(prefix="hawser-rpc-bench.")
    try:
        pki = Pki(root)
        probe = Server("ours", pki)
        probe.stop()
        print("# our server: " + " ".join(f"{k}={v}" for k, v in probe.config.items()), flush=True)
        print("# rows conns1000, idle, handshake and storm: the same with max_conns and max_conns_per_identity raised", flush=True)
        few = ROUNDS if args.long else 1
        measure(lambda: rounds([unary256, unary4k, bulk], ROUNDS, pki), "rpc.unary256.cpu_us", "rpc.unary256.rps_core",
                "rpc.unary4k.cpu_us", "rpc.bulk.cpu_s_per_gb", "rpc.bulk.mb_s")
        measure(lambda: rounds([p50], ROUNDS, pki, pin=CORE), "rpc.unary256.p50_us")
        measure(lambda: rounds([flat], few, pki, max_conns=BIG), "rpc.conns1.cpu_us", "rpc.conns16.cpu_us", "rpc.conns1000.cpu_us")
        measure(lambda: flat_instructions(pki), *(f"rpc.conns{n}.instructions" for n in COUNTED))
        measure(lambda: rounds([idle], few, pki, fresh=True, max_conns=BIG), "rpc.idle_conn_kb", "rpc.handshake.cpu_ms")
        measure(lambda: storm("ours", pki), "rpc.storm.settled_s")
        if behind and (args.long or any(b.startswith(("storm", "instructions")) for b in behind)):
            fail("behind the bar: " + "; ".join(behind))
    finally:
        shutil.rmtree(root, ignore_errors=True)


began = time.monotonic()
main()
print(f"# took {time.monotonic() - began:.0f} s", flush=True)
