"""What the scenarios share: adapters with identities of their own, a certificate authority for the run, one boot a class.

Every value that could be canned is drawn, in a fixed order, from a printed seed. The boots run ahead of the tests that
judge them, several at a time.
"""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import guestlog
import initramfs
import machine
import vendor

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("HAWSER_BIN", f"{TOP}/build/dev/bin")
EMU = os.environ.get("HAWSER_EMU", f"{BIN}/hawser-emu")
SECONDS = int(os.environ.get("HAWSER_KERNEL_SECONDS", "600"))
SEED = int(os.environ.get("HAWSER_TEST_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 63)
RNG = random.Random(SEED)
DOMAIN = "kernel.test"
BOOTS_AT_A_TIME = 2
TAINT_FWCTL = 1 << 19  # the kernel's: somebody had full access to a device
AGENT = (
    f"host: guest\nrun_dir: run\nstate_dir: state\npolicy: policy.yaml\nlisten: 0.0.0.0:{machine.AGENT_PORT}\n"
    "tls: {cert: agent.crt, key: agent.key, ca: ca.crt}\ndevices: {backend: fwctl}\n")


def draw_default(field):
    """A field of a parameter record with a default of its own, where no other value depends on it and it can have several."""
    of = {k: int(v, 0) for k, v in re.findall(r"(bits|default|min|max): (\w+)", field[0])}
    if of["bits"] < 4 or re.search(r"needs|max_from|name: \w*(VALID|NUM_OF_PF|LINK_TYPE|MSIX|BAR_SIZE)", field[0]):
        return field[0]
    bare = re.sub(r", default: \w+", "", field[0])
    value = RNG.randint(of.get("min", 0), of.get("max", (1 << of["bits"]) - 1))
    return bare.replace(f", bits: {of['bits']}", f", bits: {of['bits']}, default: {value}")


def draw_values(text):
    """A profile with sensors, modules, rates and parameters of its own."""
    head, parameters = text.split("\nparameters:")
    for expression, draw in (
        (r"(celsius:) [0-9.]+", lambda: RNG.randrange(8 * 25, 8 * 65) / 8),
        (r"(^    serial:) \S+", lambda: "MT%04dFT%05d" % (RNG.randrange(1900, 2599), RNG.randrange(100000))),
        (r"(millivolt:) \d+", lambda: RNG.randrange(3200, 3400)),
        (r"(rx_uw:|tx_uw:) \d+", lambda: RNG.randrange(400, 1500)),
        (r"(bias_ua:) \d+", lambda: RNG.randrange(5000, 9000)),
        (r"(length_m:) \d+", lambda: RNG.randrange(1, 90)),
        (r"(rx_frames_per_s:|tx_frames_per_s:) \d+", lambda: RNG.randrange(20000, 200000)),
        (r"(rx_discards_per_s:) \d+", lambda: RNG.randrange(5, 500)),
        (r"(symbol_errors_per_h:) \d+", lambda: RNG.randrange(36000, 360000)),
        (r"(corrected_bits_per_s:) \d+", lambda: RNG.randrange(9000, 90000)),
    ):
        head = re.sub(expression, lambda m, draw=draw: f"{m[1]} {draw()}", head, flags=re.M)
    records = re.split(r"(?=^  - name: )", parameters, flags=re.M)
    fields = [r if "read_only: true" in r else re.sub(r"^      - \{.*\}$", draw_default, r, flags=re.M) for r in records]
    return head + "\nparameters:" + "".join(fields)


class Adapter:
    """A shipped profile with an identity of its own."""

    def __init__(self, folder, base, number, faults=(), edit=None):
        self.path = f"{folder}/nic{number}.yaml"
        self.serial = "MT%04dX%05d" % (RNG.randrange(1900, 2599), RNG.randrange(100000))
        self.psid = "MT_%010d" % RNG.randrange(10**10)
        self.part = "MCX%06dAS-HEAT" % RNG.randrange(10**6)
        self.firmware = (RNG.choice((22, 28)), RNG.randrange(30, 47), RNG.randrange(1000, 3000))
        self.build_id = RNG.randrange(1 << 31)
        self.mac = bytes([0x02] + [RNG.randrange(256) for _ in range(5)])
        self.product = "Adapter %08x of the test bed, %d ports" % (RNG.randrange(1 << 32), RNG.randrange(1, 100))
        values = {
            "serial": self.serial, "psid": self.psid, "part": self.part, "build_id": f"0x{self.build_id:x}",
            "product": f'"{self.product}"', "version": "%d.%d.%d" % self.firmware, "base_mac": '"' + self.mac.hex(":") + '"',
            "pci_address": f'"0000:{number + 1:02x}:00.0"',
        }
        with open(f"{TOP}/agent/emu/profiles/{base}") as f:
            text = f.read()
        text = draw_values(text)
        text = edit(text, number) if edit else text
        for key, value in values.items():
            text, n = re.subn(rf"^(\s*{key}:)[^#\n]*", rf"\1 {value} ", text, count=1, flags=re.M)
            assert n == 1, f"{base} has no {key}"
        if faults:
            text = re.sub(r"^faults:.*$", "", text, flags=re.M) + "faults:\n" + "".join(f"  - {{{f}}}\n" for f in faults)
        self.device_id = int(re.search(r"^\s*pci_device_id: (0x[0-9a-f]+)", text, re.M)[1], 16)
        self.hw_id = int(re.search(r"^\s*hw_device_id: (0x[0-9a-f]+)", text, re.M)[1], 16)
        lane = re.search(r"^pcie: {width: (\d+),.* generation: (\d+),", text, re.M)
        self.pcie_width, self.pcie_generation = int(lane[1]), int(lane[2])
        self.speed = re.search(r"^    speed: (\S+)", text, re.M)[1]
        self.text = text
        with open(self.path, "w") as f:
            f.write(text)

    def starts(self, *firmware):
        """What each start of the driver says: with the profile's firmware, or with one of those."""
        return [guestlog.of_a_start("%d.%d.%d" % f, self.pcie_generation, self.pcie_width) for f in firmware or (self.firmware,)]

    def sensors(self):
        """Name -> degrees Celsius."""
        return {name: float(c) for name, c in re.findall(r"^  - {index: \d+, name: (\w+), celsius: ([0-9.]+)", self.text, re.M)}

    def parameters(self):
        """The profile's parameters that can be set, name -> default."""
        section = self.text[self.text.index("\nparameters:"):]
        records = re.split(r"^  - name: ", section, flags=re.M)[1:]
        fields = [f for r in records if "read_only: true" not in r for f in re.findall(r"\{name: (\w+),([^\n]*)", r)]
        return {name: int(m[1], 0) if (m := re.search(r"default: (\w+)", rest)) else 0 for name, rest in fields}


class Pki:
    """The run's own certificate authority: one agent, an operator, a viewer, and a stranger of another one."""

    def __init__(self, folder):
        self.folder = folder
        for ca, role, name in (("own", "agent", "guest"), ("own", "operator", "olga"), ("own", "viewer", "vic"),
                               ("other", "operator", "olga")):
            where = f"{folder}/{ca}"
            if not os.path.exists(where):
                self.tool("init", where, "--domain", DOMAIN)
            self.tool(role, where, name)
        # The stranger believes in both: it is the agent who refuses it.
        with open(f"{folder}/both.crt", "w") as out:
            for ca in ("own", "other"):
                with open(f"{folder}/{ca}/ca.crt") as f:
                    out.write(f.read())

    @staticmethod
    def tool(*args):
        subprocess.run([f"{TOP}/certs/hawser-ca", *args], check=True, capture_output=True, timeout=60)

    def of_guest(self):
        """The agent's files, as the guest finds them."""
        files = {"agent.crt": "agent-guest.crt", "agent.key": "agent-guest.key", "ca.crt": "ca.crt"}
        found = {}
        for name, source in files.items():
            with open(f"{self.folder}/own/{source}", "rb") as f:
                found[f"agent/{name}"] = f.read()
        return found

    def environment(self, who, ca):
        base = f"{self.folder}/{ca}/{who}"
        return {"HAWSER_CERT": f"{base}.crt", "HAWSER_KEY": f"{base}.key", "HAWSER_CA": f"{self.folder}/both.crt"}


class Run:
    """A run of the bed: its parts, its certificates, the base of every initramfs, the boots."""

    def __init__(self, parts):
        self.parts = parts
        self.folder = tempfile.mkdtemp(prefix="hawser-kernel.")
        self.pki = Pki(f"{self.folder}/pki")
        self.base = initramfs.base(parts, BIN)
        with open(f"{TOP}/docs/examples/policy.yaml") as f:
            self.policy = f.read().replace("hawser.example", DOMAIN).encode()
        self.pool = ThreadPoolExecutor(BOOTS_AT_A_TIME)
        self.boots = {}

    def start(self, classes):
        """Draws what every class needs, then boots them; a class that goes on where another ended follows it."""
        chains = []
        for c in classes:
            c.draw(self)
            if c.after is None:
                chains.append([c])
            else:
                next(chain for chain in chains if c.after in chain).append(c)
        for chain in sorted(chains, key=lambda chain: -sum(c.cost for c in chain)):
            job = self.pool.submit(self.boot_all, chain)
            self.boots.update({c: job for c in chain})

    @staticmethod
    def boot_all(chain):
        for c in chain:
            c.boot()

    def close(self, keep):
        self.pool.shutdown()
        if keep:
            print("kept", self.folder)
        else:
            shutil.rmtree(self.folder)


class Boot(unittest.TestCase):
    """One boot of the guest; each test judges a part of what it printed."""

    scenario = None
    profiles = ("connectx7.yaml",)
    faults = ()
    edit = None  # (profile's text, number of the adapter) -> text
    after = None  # another class, whose adapters and their state this one gets
    cost = 20  # about how many seconds it takes; the long ones start first
    powers_off = True
    kernel = ""  # what its kernel is told beside the scenario
    taints = False  # somebody beside the vendor's tools asks for a scope that taints the kernel
    says = {}  # lines of the drivers that the scenario itself brings: expression -> how often

    @classmethod
    def draw(cls, run):
        cls.run_of, source = run, cls.after
        cls.folder = source.folder if source else f"{run.folder}/{cls.scenario}"
        os.makedirs(cls.folder, exist_ok=True)
        cls.adapters = source.adapters if source else [
            Adapter(cls.folder, p, i, cls.faults, cls.edit) for i, p in enumerate(cls.profiles)]
        cls.values = source.values if source else {"TOOL_VFS": RNG.randrange(1, 60), "OUR_VFS": RNG.randrange(61, 120)}
        cls.host_said = {}

    @classmethod
    def extra(cls):
        """Files of this boot, {path: bytes}."""
        return {}

    @classmethod
    def boot(cls):
        run = cls.run_of
        text = "".join(f"{k}={v}\n" for k, v in cls.values.items()).encode()
        files = {"values": text, "agent/agent.yaml": AGENT.encode(), "agent/policy.yaml": run.policy,
                 **run.pki.of_guest(), **cls.extra()}
        image = f"{cls.folder}/initramfs"
        with open(image, "wb") as f:
            f.write(run.base + initramfs.files(files))
        cards = cls.cards = machine.Cards(EMU, cls.folder, [a.path for a in cls.adapters])
        try:
            ports = [(s, a.pcie_generation, a.pcie_width) for s, a in zip(cards.sockets, cls.adapters)]
            guest = machine.Machine(run.parts, image, f"{cls.scenario} {cls.kernel}", ports, SECONDS, f"{cls.folder}/{cls.scenario}.log")
            try:
                guest.serve(lambda name, m: getattr(cls, f"host_{name}")(m))
            finally:
                cls.report = guest.stop()
        finally:
            cls.emu_status = cards.stop()
            os.remove(image)

    @classmethod
    def cli(cls, guest, name, *args, who="operator-olga", ca="own", seconds=60):
        """Runs our command line on this host against the agent in the guest; host_said[name] = (status, stdout, stderr)."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("HAWSER_")}
        env.update(cls.run_of.pki.environment(who, ca), NO_COLOR="1", XDG_STATE_HOME=f"{cls.folder}/cli")
        command = [f"{BIN}/hawser", *args, "-t", f"127.0.0.1:{guest.port}", "--timeout", f"{seconds}s"]
        try:
            p = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds + 5, stdin=subprocess.DEVNULL)
            said = (p.returncode, p.stdout, p.stderr)
        except subprocess.TimeoutExpired:
            said = (None, "", f"hawser {args[0]} did not end in {seconds + 5} s")
        cls.host_said[name] = said
        return said

    @classmethod
    def setUpClass(cls):
        cls.run_of.boots[cls].result()

    def ok(self, name):
        """The output of a framed command of the guest that must have ended with status 0."""
        self.assertIn(name, self.report.sections, self.report.console[-3000:])
        self.assertEqual(self.report.status(name), 0, self.report.output(name))
        return self.report.output(name)

    def host(self, name):
        """What our command line on the host printed, which must have ended with status 0."""
        self.assertIn(name, self.host_said, self.report.console[-3000:])
        status, out, err = self.host_said[name]
        self.assertEqual(status, 0, out + err)
        return out

    def host_json(self, name):
        return json.loads(self.host(name))

    def judge_log(self):
        self.assertTrue(self.report.complete, self.report.console[-3000:])
        self.assertEqual(self.emu_status, 0)
        if self.powers_off:
            self.assertTrue(self.report.powered_off, "the drivers did not shut down")
            self.assertIn("reboot: Power down", self.report.console)
        log = guestlog.whole(self.ok("dmesg"), self.report.console)
        self.assertEqual(guestlog.judge(self.scenario, log, self.starts(), self.says, self.uses_tools(), self.powers_off), [])
        self.assertEqual(int(self.ok("taint")), TAINT_FWCTL if self.taints or self.uses_tools() else 0)

    def starts(self):
        """By PCI address, what the driver says of each adapter at a start."""
        return {f"0000:{n + 1:02x}:00.0": adapter.starts() for n, adapter in enumerate(self.adapters)}

    @classmethod
    def uses_tools(cls):
        with open(f"{HERE}/guest/{cls.scenario}") as f:
            return re.search(r"^[^#\n]*\bmst\w+ ", f.read(), re.M) is not None

    def judge_identity(self, fields, adapter):
        self.assertEqual(fields["device_id"], adapter.device_id)
        self.assertEqual(fields["hw_dev_id"], adapter.hw_id)
        self.assertEqual(fields["manufacturing_base_mac_47_32"], int.from_bytes(adapter.mac[:2], "big"))
        self.assertEqual(fields["manufacturing_base_mac_31_0"], int.from_bytes(adapter.mac[2:], "big"))
        self.assertEqual(fields["build_id"], adapter.build_id)
        self.assertEqual(tuple(fields[f"extended_{n}"] for n in ("major", "minor", "sub_minor")), adapter.firmware)
        self.assertEqual(vendor.text_of(fields, "psid"), adapter.psid)
