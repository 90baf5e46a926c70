"""The agent under attack: the real programs, their counters and memory, a well-behaved caller beside the attacker."""
import contextlib
import multiprocessing
import os
import shutil
import signal
import stat
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import harness  # noqa: E402
from cable import Namespace  # noqa: E402
from h2 import CHECK, INFO, Closed, Peer, fields  # noqa: E402
from harness import until  # noqa: E402
from relay import Loopback, Relay, reset_when_closed  # noqa: E402

BIG = 4000000000  # a limit that is none
GOOD = "127.0.0.9"  # where the well-behaved caller comes from
LONG = os.environ.get("HAWSER_LONG") == "1"


class Failure(AssertionError):
    """What the row promises does not hold."""


class NeighbourHarmed(Failure):
    """A well-behaved caller is served too late, or not."""


def check(condition, what, failure=Failure):
    if not condition:
        raise failure(what)


def crowded():
    """True while other programs want the cores as well: figures of time are theirs then, and only gross ones are judged."""
    return os.getloadavg()[0] > 1.5 * os.cpu_count()


def at_once():
    """How long a well-behaved caller may need to connect and call, in seconds."""
    return 4.0 if crowded() else 1.0


class Places:
    """What all agents of a run share: a folder, a CA, identities."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="hawser-attack.")
        self.pki = harness.Pki(self.root)
        self.operator = self.pki.make("operator", "olga")
        self.mallory = self.pki.make("operator", "mallory")  # a valid certificate in bad hands
        self.more = [self.pki.make("operator", f"mallory{i}") for i in range(5)]
        self.hosts = []

    def remove(self):
        """The folder goes, and every program that still runs in it: a run that is stopped leaves none."""
        for host in self.hosts:
            for pids in host.processes().values():
                for pid in pids:
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def end_when_stopped(self):
        """A run that is told to stop takes its agents along; threads of its rows wait for nobody."""
        def end(number, _frame):
            self.remove()
            os._exit(128 + number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, end)


class AttackedHost(harness.Host):
    """A host whose hawser-wire runs with other limits, through a script in its place."""

    def __init__(self, places, limits, descriptors=0, bin_dir=harness.BIN, faults=None):
        places.hosts.append(self)
        super().__init__(places.root, places.pki, f"host-{len(places.hosts):03}", faults=faults)
        self.bin = os.path.join(self.dir, "bin")
        os.makedirs(self.bin)
        for name in ("hawserd", "hawser-emu"):
            os.symlink(os.path.join(bin_dir, name), os.path.join(self.bin, name))
        script = os.path.join(self.bin, "hawser-wire")
        with open(script, "w") as f:
            f.write("#!/bin/sh\n")
            if descriptors:
                f.write(f"ulimit -n {descriptors}\n")
            more = "".join(f" --limit {k}={v}" for k, v in limits.items())
            f.write(f'exec {os.path.join(bin_dir, "hawser-wire")} "$@"{more}\n')
        os.chmod(script, stat.S_IRWXU)
        self.arguments = ["--bin-dir", self.bin]


class Agent:
    """A running agent with what the rows need; away: in a network namespace of its own, to which cables lead."""

    def __init__(self, places, limits=None, descriptors=0, bin_dir=harness.BIN, faults=None, away=False):
        self.places = places
        self.namespace = Namespace() if away else None
        self.host = AttackedHost(places, limits or {}, descriptors, bin_dir, faults)
        if away:
            self.host.listen("0.0.0.0:0")
        with self.there():
            self.host.start()
        self.port = int(self.host.address.rsplit(":", 1)[1])
        self.address = f"127.0.0.1:{self.port}"
        (self.pid,) = self.host.pids()["hawser-wire"]
        self.serve_once()

    def there(self):
        """The calling thread is where the agent is."""
        return self.namespace.entered() if self.namespace else contextlib.nullcontext()

    def stop(self):
        code = self.host.stop()
        if self.namespace:
            self.namespace.close()
        log = self.host.log_text()
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "LeakSanitizer has encountered", "runtime error:", "assertion failed"):
            check(mark not in log, f'{self.host.name} log has "{mark}":\n{log[-6000:]}')
        check("hawser-wire: hawserd_connected" in log, "hawser-wire never served")
        check(log.count("process_started name=hawser-wire") == 1, f"hawser-wire was restarted:\n{log[-3000:]}")
        check(code == 0, f"hawserd ended with status {code}")

    # ---- peers

    def attacker(self, who=None, source="127.0.0.1", **how):
        with self.there():
            return Peer(self.address, who or self.places.mallory, source=source, **how)

    def good(self, source=GOOD, **how):
        return self.attacker(self.places.operator, source, **how)

    def serve_once(self, source=GOOD, seconds=10):
        """A well-behaved caller connects and calls; how long it took."""
        began = time.monotonic()
        with self.good(source, timeout=seconds) as p:
            check(p.call(CHECK, seconds=seconds)[0] == 0, "a good caller is not answered OK")
        return time.monotonic() - began

    # ---- figures

    def counters(self):
        """{name: value} of AgentService.Info, at most half a second old."""
        with self.good() as p:
            status, answer = p.call(INFO)
            check(status == 0, f"Info: status {status}: {p.headers}")
        out = {}
        for number, value in fields(answer):
            if number == 11:
                c = dict(fields(value))
                out[c[1].decode()] = c.get(2, 0)
        return out

    def counter(self, name):
        return self.counters().get("wire." + name, 0)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def pss_kb(self):
        """Memory of hawser-wire, in KiB."""
        with open(f"/proc/{self.pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))

    def own_kb(self):
        """Memory that is its own alone: of the heap and stacks, not of program files."""
        with open(f"/proc/{self.pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss_Anon:"))

    def peak_kb(self):
        """The most resident memory since reset_peak."""
        return peak_kb(self.pid)

    def all_peak_kb(self):
        """The same of all programs of the host together, though each has a cgroup of its own."""
        return sum(peak_kb(pid) for pids in self.host.processes().values() for pid in pids)

    def reset_peak(self):
        for pid in [pid for pids in self.host.processes().values() for pid in pids]:
            with open(f"/proc/{pid}/clear_refs", "w") as f:
                f.write("5")

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as f:
            v = f.read().rsplit(")", 1)[1].split()
        return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")

    def settled(self):
        """Waits until only what is ours is left: no connection of an attacker, no call, no held byte."""
        def quiet():
            c = self.counters()
            return c.get("wire.tcp.held_bytes", 0) == 0 and c.get("wire.connections", 0) <= self.kept + 1
        until(quiet, "the agent has let go of everything", 20)

    kept = 0  # connections of long rows that stay
    off = False  # its limits are switched off: a row need not go on for long


def peak_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def p99(values):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * 0.99))] if values else 0.0


def _neighbour(agent, ready, stop, out):
    took = []
    with agent.good() as p:
        while not stop.is_set():
            began = time.monotonic()
            if p.call(CHECK)[0] != 0:
                break
            took.append(time.monotonic() - began)
            ready.set()
            time.sleep(max(0.0, began + CALL_EVERY_S - time.monotonic()))
    out.put(took)


CALL_EVERY_S = 0.005
LAG_MS = 20.0


class Neighbour:
    """A well-behaved caller in a process of its own that calls again and again; .took has the seconds of each call."""

    def __init__(self, agent):
        fork = multiprocessing.get_context("fork")
        self.ready, self.stop, self.out = fork.Event(), fork.Event(), fork.Queue()
        self.process = fork.Process(target=_neighbour, args=(agent, self.ready, self.stop, self.out), daemon=True)

    def __enter__(self):
        self.process.start()
        check(self.ready.wait(20), "the neighbour is not served before the attack")
        return self

    def __exit__(self, *_):
        self.stop.set()
        try:
            self.took = self.out.get(timeout=20)
        except Exception:  # it was cut off: whoever asks for the figure sees that
            self.took = []
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()

    def judge(self, most_ms, idle_ms):
        """Every call was answered, the 99th percentile within 20 ms or most_ms; the figure as text.

        On a crowded machine a second is asked for.
        """
        most_ms = max(20.0, most_ms, 1000.0 if crowded() else 0.0)
        check(len(self.took) >= (3 if crowded() else 10), f"the neighbour had {len(self.took)} calls only", NeighbourHarmed)
        got = p99(self.took) * 1000
        check(got <= most_ms, f"the neighbour's p99 is {got:.1f} ms, allowed {most_ms:.1f}, idle {idle_ms:.1f}", NeighbourHarmed)
        return f"neighbour p99 {got:.1f} ms of {len(self.took)} calls, idle {idle_ms:.1f}" + (" (crowded machine)" if crowded() else "")

    def lag_ms(self):
        """How late the agent's loop is, p99: a call at any time would have waited so long. A call that took several periods stands for those
        that were due meanwhile as well."""
        return p99([t - n * CALL_EVERY_S for t in self.took for n in range(1 + int(t / CALL_EVERY_S))]) * 1000

    def judge_lag(self):
        """The lag as text; judged in the long run on a machine that is not crowded."""
        lag = self.lag_ms()
        check(not LONG or crowded() or lag <= LAG_MS, f"the loop's lag p99 is {lag:.1f} ms, allowed {LAG_MS:.1f}", NeighbourHarmed)
        return f"loop lag p99 {lag:.1f} ms"
