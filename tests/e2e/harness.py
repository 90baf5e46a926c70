"""What the end-to-end tests share: a throw-away CA, real agents on loopback ports, the CLI as a user runs it.

Every value that could be canned (serial numbers, PSIDs, firmware versions) is drawn from a printed seed. Processes are
stopped by their own ids. Nothing sleeps to let something happen: `until` polls a condition with a time limit.
"""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HAWSER_BIN", os.path.join(TOP, "build/asan/bin"))
SEED = int(os.environ.get("HAWSER_TEST_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 63)
RNG = random.Random(SEED)
DOMAIN = "e2e.test"
CA_TOOL = os.path.join(TOP, "certs/hawser-ca")
NIC0, NIC1 = "0000:3b:00.0", "0000:86:00.0"
PROFILES = os.path.join(TOP, "agent/emu/profiles")


# Sanitized programs on a machine with other work: what is on time may be seen as late as this. The default limits of
# the client are far above it.
SLACK_S = 8.0
# A read that the card does not answer ends when its command's own time, the call's and the client's are over, together:
# each says so in its own words, and on a loaded machine any of them may be seen first.
OVERDUE = "UNKNOWN|the deadline has passed|deadline exceeded"


def until(condition, what, seconds=10.0):
    """Polls until condition() is true; the result. Fails naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


SPAWNER = "hawserd-spawner"  # started by hawserd, starts the others

class Pki:
    """One CA in a folder, with certificates made on demand."""

    def __init__(self, root):
        self.dir = os.path.join(root, "pki")
        self.run("init", self.dir, "--domain", DOMAIN)

    def run(self, *args):
        subprocess.run([CA_TOOL, *args], check=True, capture_output=True, timeout=60)

    def make(self, role, name, *args):
        self.run(role, self.dir, name, *args)
        return self.files(f"{role}-{name}")

    def files(self, name):
        return {
            "cert": os.path.join(self.dir, name + ".crt"),
            "key": os.path.join(self.dir, name + ".key"),
            "ca": os.path.join(self.dir, "ca.crt"),
        }


class Adapter:
    """An emulated adapter of a host: a shipped profile with an identity drawn from the seed."""

    def __init__(self, path, base, pci, faults=(), extra=None):
        self.path, self.pci = path, pci
        self.serial = "MT%04dX%05d" % (RNG.randrange(1900, 2599), RNG.randrange(100000))
        self.psid = "MT_%010d" % RNG.randrange(10**10)
        self.part = "MCX%06dAS-%s" % (RNG.randrange(10**6), RNG.choice(("HEAT", "CDAT", "ADAT")))
        self.firmware = (RNG.choice((22, 28)), RNG.randrange(30, 47), RNG.randrange(1000, 3000))
        self.mac = bytes([0x02] + [RNG.randrange(256) for _ in range(5)])
        values = {
            "serial": self.serial, "psid": self.psid, "part": self.part, "pci_address": f'"{pci}"',
            "version": self.version, "base_mac": '"' + self.mac.hex(":") + '"',
        }
        values.update(extra or {})
        with open(os.path.join(PROFILES, base)) as f:
            text = f.read()
        for key, value in values.items():
            text, n = re.subn(rf"^(\s*{key}:)[^#\n]*", rf"\1 {value} ", text, count=1, flags=re.M)
            assert n == 1, f"{base} has no {key}"
        if faults:
            text = re.sub(r"^faults:.*$", "", text, flags=re.M) + "faults:\n" + "".join(f"  - {{{f}}}\n" for f in faults)
        with open(path, "w") as f:
            f.write(text)

    @property
    def version(self):
        return "%d.%d.%d" % self.firmware

    @property
    def id(self):
        return f"mlx5:{self.serial}@{self.pci}"


class Result:
    """How one run of the CLI ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Host:
    """One agent: `hawserd --supervise` with its configuration, folders and two adapters.

    faults: {adapter index: [fault, ...]}, extra: {adapter index: {key: value}} go into the profiles.
    """

    def __init__(self, root, pki, name, faults=None, policy=None, extra=None):
        faults, extra = faults or {}, extra or {}
        self.name, self.pki = name, pki
        self.dir = os.path.join(root, name)
        self.run_dir = os.path.join(self.dir, "run")
        os.makedirs(self.run_dir)
        os.makedirs(os.path.join(self.dir, "state"))
        self.adapters = [
            Adapter(os.path.join(self.dir, "nic0.yaml"), "connectx7.yaml", NIC0, faults.get(0), extra.get(0)),
            Adapter(os.path.join(self.dir, "nic1.yaml"), "connectx6dx.yaml", NIC1, faults.get(1), extra.get(1)),
        ]
        tls = pki.make("agent", name, "--ip", "127.0.0.1")
        self.policy = os.path.join(self.dir, "policy.yaml")
        with open(self.policy, "w") as f:
            f.write(policy or default_policy())
        self.config = os.path.join(self.dir, "agent.yaml")
        with open(self.config, "w") as f:
            f.write(
                f"host: {name}\nrun_dir: run\nstate_dir: state\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n"
                f"tls: {{cert: {tls['cert']}, key: {tls['key']}, ca: {tls['ca']}}}\n"
                f"devices: {{backend: emu, profiles: [nic0.yaml, nic1.yaml]}}\n"
                f"warrants: {{trust: keys/trust, memory: used}}\n"
            )
        self.trust()
        self.proc = None
        self.arguments = []
        self.n_ready = len(self.adapters)
        self.log = os.path.join(self.dir, "log")

    def listen(self, address):
        """Where it listens when it is started: another address than a port of its choice on loopback."""
        with open(self.config) as f:
            text = f.read()
        with open(self.config, "w") as f:
            f.write(re.sub(r"^listen:.*$", f"listen: {address}", text, flags=re.M))

    def trust(self, keys=()):
        """Replaces the trust file: whose keys sign dangerous commands here, [(principal, public key in hex)]."""
        path = os.path.join(self.dir, "keys/trust")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as f:
            f.write(f"host {self.name}\n" + "".join(f"key {principal} {key}\n" for principal, key in keys))
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def start(self):
        with open(self.log, "ab") as out:
            begin = out.tell()
            self.proc = subprocess.Popen(
                [os.path.join(BIN, "hawserd"), "--config", self.config, "--supervise", *self.arguments],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)

        def serves():
            text = self.log_text()[begin:]
            at = re.search(r"hawser-wire: listening address=(\S+)\n", text)
            ready = "hawser-wire: hawserd_connected" in text and text.count(" to=ready ") >= self.n_ready
            return at[1] if at and ready else None

        self.address = until(serves, f"{self.name} serves; log: {self.log}", 20)
        return self

    def pids(self):
        """{program: [process ids]} of this host, from the process table; the keeper's spawner is not one of them."""
        return {name: pids for name, pids in self.processes().items() if name != SPAWNER}

    def processes(self):
        """The same with the spawner, by its own name."""
        found = {}
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    argv = f.read().split("\0")
                with open(f"/proc/{pid}/stat") as f:
                    stat = f.read()
            except OSError:
                continue
            comm, state = stat[stat.index("(") + 1 : stat.rindex(")")], stat.rsplit(")", 1)[1].split()[0]
            if state == "Z" or not any(self.dir + "/" in a for a in argv):
                continue
            name = comm if comm == SPAWNER else os.path.basename(argv[0])
            if name.startswith("hawser"):
                found.setdefault(name, []).append(int(pid))
        return found

    def keeper(self):
        """The process id of hawserd itself, not of its supervisor."""
        return [p for p in self.pids().get("hawserd", []) if p != self.proc.pid]

    def stop(self, seconds=35):  # a drain ends within 30
        """SIGTERM; the exit status of the supervisor. What it left running is in left_over, and ended."""
        if self.proc is None:
            return None
        self.proc.send_signal(signal.SIGTERM)
        try:
            code = self.proc.wait(seconds)
        finally:
            self.left_over = self.processes()
            for pids in self.left_over.values():
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
            self.proc = None
        return code

    def card(self, *words):
        """A command for the emulated adapters, which must obey."""
        subprocess.run([os.path.join(BIN, "hawser-emu"), "--control", os.path.join(self.run_dir, "emu.control"), *words],
                       check=True, capture_output=True, timeout=60)

    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""


def default_policy():
    with open(os.path.join(TOP, "docs/examples/policy.yaml")) as f:
        text = f.read()
    return text.replace("hawser.example", DOMAIN)


class FleetCase(unittest.TestCase):
    """A test class with its own CA, hosts and identities. Subclasses set HOSTS and may override make_host."""

    HOSTS = ("host-a",)

    @classmethod
    def make_host(cls, name):
        return Host(cls.root, cls.pki, name)

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="hawser-e2e.")
        cls.hosts = []
        try:
            cls.pki = Pki(cls.root)
            cls.operator = cls.pki.make("operator", "olga")
            cls.viewer = cls.pki.make("viewer", "vic")
            for name in cls.HOSTS:
                cls.hosts.append(cls.make_host(name))
            for h in cls.hosts:
                h.start()
        except BaseException:
            cls.tearDownClass()
            raise
        cls.host = cls.hosts[0]
        cls.write_inventory()

    @classmethod
    def write_inventory(cls):
        cls.inventory = os.path.join(cls.root, "inventory.yaml")
        with open(cls.inventory, "w") as f:
            f.write("hosts:\n")
            for h in cls.hosts:
                f.write(f'  - {{name: {h.name}, target: "{h.address}"}}\n')

    @classmethod
    def tearDownClass(cls):
        for h in cls.hosts:
            try:
                h.stop()
            except Exception as e:
                print(f"stopping {h.name}: {e}")
            text = h.log_text()
            for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "LeakSanitizer has encountered", "runtime error:", "assertion failed"):
                if mark in text:
                    cls.sanitizer = True
                    print(f"{h.name} log has \"{mark}\":\n" + text[-6000:])
        if getattr(cls, "sanitizer", False):
            raise AssertionError("a sanitizer or assertion reported in an agent's log")
        shutil.rmtree(cls.root, ignore_errors=True)

    @classmethod
    def key(cls, who):
        """Where the key is that signs dangerous commands for who."""
        return os.path.join(cls.root, f"{who}-sign.key")

    @classmethod
    def new_key(cls, who):
        """Makes that key; its public half as the CLI shows it."""
        path = cls.key(who)
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path],
                       check=True, capture_output=True, timeout=30)
        out = subprocess.run([os.path.join(BIN, "hawser"), "approval", "key", "--sign", path, "-o", "json"],
                             check=True, capture_output=True, timeout=60, text=True).stdout
        return json.loads(out)["public"]

    def cli_env(self, who):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HAWSER_")}
        env.update(HAWSER_INVENTORY=self.inventory, XDG_STATE_HOME=os.path.join(self.root, "cli-state"), NO_COLOR="1")
        if who:
            env.update(HAWSER_CERT=who["cert"], HAWSER_KEY=who["key"], HAWSER_CA=who["ca"])
        return env

    def cli(self, *args, who="operator", timeout=60, env=None):
        """Runs `hawser ARGS` as `operator`, `viewer` or a dict of files; no terminal."""
        identity = getattr(self, who) if isinstance(who, str) else who
        e = self.cli_env(identity)
        e.update(env or {})
        p = subprocess.run([os.path.join(BIN, "hawser"), *args], env=e, capture_output=True, timeout=timeout,
                           stdin=subprocess.DEVNULL, text=True)
        for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(mark, p.stderr, f"hawser {' '.join(args)}")
        return Result(p.returncode, p.stdout, p.stderr)

    def ok(self, *args, **kw):
        r = self.cli(*args, **kw)
        self.assertEqual(r.code, 0, f"hawser {' '.join(args)}: {r}")
        return r

    def timed(self, seconds, *args, **kw):
        """Runs the CLI, which must end at `seconds`: hardly before, and at most SLACK_S later."""
        began = time.monotonic()
        r = self.cli(*args, **kw)
        took = time.monotonic() - began
        self.assertGreater(took, 0.9 * seconds, r)
        self.assertLess(took, seconds + SLACK_S, r)
        return r

    def begin(self, *args):
        """The CLI in the background, as the operator."""
        run = subprocess.Popen([os.path.join(BIN, "hawser"), *args], env=self.cli_env(self.operator), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            if run.poll() is None:
                run.kill()
            run.communicate()

        self.addCleanup(end)
        return run

    def js(self, *args, **kw):
        """The JSON document of a command that succeeds."""
        return self.ok(*args, "-o", "json", **kw).json()

    def counters(self, host):
        """The counters of `agent info`, by name."""
        return {c["counter"]: c["value"] for c in self.js("agent", "info", "-t", host)["counters"]}

    def commands(self, host):
        """How many commands have reached a host's cards, once the agent asks nothing of its own any more."""
        seen = []

        def settled():
            seen.append(self.counters(host)["commands"])
            return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]
        until(settled, f"{host} leaves its cards alone")
        return seen[-1]

    def audit(self, host, last=1000):
        """The newest audit records of a host, oldest first."""
        return self.js("audit", "tail", "-t", host, "--last", str(last))["records"]

    def applies(self, host):
        """How many applies of a host ended, by their audit records."""
        return len([r for r in self.audit(host) if r["phase"] == "outcome" and r["method"] == "ConfigService/Apply"])

    def refused(self, code, *args, **kw):
        """The CLI ends with `code`, one line on stderr and nothing on stdout but the answer of a device that refused; the line."""
        r = self.cli(*args, **kw)
        self.assertEqual(r.code, code, f"hawser {' '.join(args)}: {r}")
        if code != 9:
            self.assertEqual(r.out, "", f"hawser {' '.join(args)}: {r}")
        self.assertEqual(len(r.err.strip().splitlines()), 1, f"hawser {' '.join(args)}: {r}")
        return r.err
