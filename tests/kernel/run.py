"""The kernel's driver and the vendor's tools judge the emulated adapter. Prints `pass NAME` or `fail NAME` a line.

Arguments: name filters. HAWSER_BIN: the programs for the guest; HAWSER_EMU: hawser-emu of the host (default: of
HAWSER_BIN); HAWSER_KERNEL_SECONDS: limit of one boot. Identity and values are drawn from the printed seed.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import initramfs
import machine

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("HAWSER_BIN", f"{TOP}/build/dev/bin")
EMU = os.environ.get("HAWSER_EMU", f"{BIN}/hawser-emu")
FAILED = 4  # exit status: cases failed, and each was reported
SECONDS = int(os.environ.get("HAWSER_KERNEL_SECONDS", "120"))
SEED = int(os.environ.get("HAWSER_TEST_SEED", "0"), 0) or random.SystemRandom().randrange(1, 1 << 63)
RNG = random.Random(SEED)
AGENT = b"host: guest\nrun_dir: run\nstate_dir: state\npolicy: policy.yaml\ndevices: {backend: fwctl}\n"


class Adapter:
    """A shipped profile with an identity of its own."""

    def __init__(self, folder, base, number, faults=()):
        self.path = f"{folder}/nic{number}.yaml"
        self.serial = "MT%04dX%05d" % (RNG.randrange(1900, 2599), RNG.randrange(100000))
        self.psid = "MT_%010d" % RNG.randrange(10**10)
        self.part = "MCX%06dAS-HEAT" % RNG.randrange(10**6)
        self.firmware = (RNG.choice((22, 28)), RNG.randrange(30, 47), RNG.randrange(1000, 3000))
        self.build_id = RNG.randrange(1 << 31)
        self.mac = bytes([0x02] + [RNG.randrange(256) for _ in range(5)])
        values = {
            "serial": self.serial, "psid": self.psid, "part": self.part, "build_id": f"0x{self.build_id:x}",
            "version": "%d.%d.%d" % self.firmware, "base_mac": '"' + self.mac.hex(":") + '"',
            "pci_address": f'"0000:{number + 1:02x}:00.0"',
        }
        with open(f"{TOP}/agent/emu/profiles/{base}") as f:
            text = f.read()
        for key, value in values.items():
            text, n = re.subn(rf"^(\s*{key}:)[^#\n]*", rf"\1 {value} ", text, count=1, flags=re.M)
            assert n == 1, f"{base} has no {key}"
        if faults:
            text = re.sub(r"^faults:.*$", "", text, flags=re.M) + "faults:\n" + "".join(f"  - {{{f}}}\n" for f in faults)
        self.device_id = int(re.search(r"^\s*pci_device_id: (0x[0-9a-f]+)", text, re.M)[1], 16)
        self.hw_id = int(re.search(r"^\s*hw_device_id: (0x[0-9a-f]+)", text, re.M)[1], 16)
        with open(self.path, "w") as f:
            f.write(text)


def allowed(scenario):
    """The allow-list's expressions for a scenario."""
    rows = []
    with open(f"{HERE}/guest-log.allow") as f:
        for line in f:
            if line.startswith("#") or not line.strip():
                continue
            scenarios, expression, reason = line.rstrip("\n").split("\t")
            assert reason
            if scenarios == "*" or scenario in scenarios.split(","):
                rows.append(re.compile(expression))
    return rows


def foreign_lines(scenario, dmesg):
    """Lines of the drivers, and any of the kernel about itself being broken, that no expression allows."""
    rows = allowed(scenario)
    bad = []
    for line in dmesg.splitlines():
        line = re.sub(r"^\[ *[0-9.]+\] ", "", line)
        own = re.search(r"mlx5|fwctl", line) and not line.startswith("Linux version")
        broken = re.search(r"WARNING:|BUG:|Oops|Call Trace|hung_task|blocked for more than", line)
        text = re.sub(r"^(mlx5_core|fwctl) \S+: ", "", line)
        if (own or broken) and not any(r.fullmatch(text) for r in rows):
            bad.append(line)
    return bad


def tool_register(text):
    """Fields of `mstreg --get`, with the value of each name's first line."""
    fields = {}
    for name, value in re.findall(r"^(\S+) +\| (0x[0-9a-f]+)$", text, re.M):
        fields.setdefault(name, int(value, 16))
    return fields


def tool_number(fields, name):
    """A field, or its halves name_hi and name_lo; None if the tool has no such number."""
    if f"{name}_hi" in fields and f"{name}_lo" in fields:
        return fields[f"{name}_hi"] << 32 | fields[f"{name}_lo"]
    return fields.get(name)


def tool_text(fields, name):
    """A text, which the tool shows as halves, words or bytes."""
    number = tool_number(fields, name)
    if number is not None:
        size = 8 if f"{name}_hi" in fields else 4
        return number.to_bytes(size, "big").rstrip(b"\0").decode()
    parts = [fields[f"{name}[{i}]"] for i in range(64) if f"{name}[{i}]" in fields]
    size = 4 if max(parts) > 255 else 1
    return b"".join(p.to_bytes(size, "big") for p in parts).rstrip(b"\0").decode()


def our_register(text):
    """Fields of `hawser reg get -o json` by the last part of their name."""
    return {r["field"].split(".")[-1]: r["value"] for r in json.loads(text)["fields"]}


def tool_values(text):
    """Parameters of `mstconfig query`: name -> value as shown."""
    return dict(re.findall(r"^ {8}(\S+) +(\S+) *$", text, re.M))


def ours(text):
    """Values of `hawser config get -o json`: name -> row."""
    return {row["name"]: row for row in json.loads(text)["values"]}


class Boot(unittest.TestCase):
    """One boot of the guest; each test judges a part of what it printed."""

    scenario = None
    profiles = ("connectx7.yaml",)
    faults = ()
    keep_state_of = None  # another class, whose adapters and their state this one gets

    @classmethod
    def setUpClass(cls):
        if cls.scenario is None:
            raise unittest.SkipTest("no scenario")
        source = cls.keep_state_of
        if source is not None and not hasattr(source, "folder"):
            source.setUpClass()
        cls.folder = source.folder if source else tempfile.mkdtemp(prefix="hawser-kernel.")
        cls.adapters = source.adapters if source else [
            Adapter(cls.folder, p, i, cls.faults) for i, p in enumerate(cls.profiles)]
        cls.values = source.values if source else {"TOOL_VFS": RNG.randrange(1, 60), "OUR_VFS": RNG.randrange(61, 120)}
        with open(f"{TOP}/docs/examples/policy.yaml", "rb") as f:
            policy = f.read()
        text = "".join(f"{k}={v}\n" for k, v in cls.values.items()).encode()
        image = f"{cls.folder}/initramfs"
        with open(image, "wb") as f:
            f.write(initramfs.build(PARTS, BIN, {
                "values": text, "agent/agent.yaml": AGENT, "agent/policy.yaml": policy}))
        cards = machine.Cards(EMU, cls.folder, [a.path for a in cls.adapters])
        try:
            cls.report = machine.boot(PARTS, image, cls.scenario, cards.sockets, SECONDS, f"{cls.folder}/{cls.scenario}.log")
        finally:
            cls.emu_status = cards.stop()
            os.remove(image)

    def ok(self, name):
        """The output of a framed command that must have ended with status 0."""
        self.assertIn(name, self.report.sections, self.report.console[-3000:])
        self.assertEqual(self.report.status(name), 0, self.report.output(name))
        return self.report.output(name)

    def judge_log(self):
        self.assertTrue(self.report.complete, self.report.console[-3000:])
        self.assertEqual(self.emu_status, 0)
        if not self.faults:
            self.assertTrue(self.report.powered_off, "the drivers did not shut down")
        self.assertEqual(foreign_lines(self.scenario, self.ok("dmesg")), [])

    def judge_identity(self, fields, adapter):
        self.assertEqual(fields["device_id"], adapter.device_id)
        self.assertEqual(fields["hw_dev_id"], adapter.hw_id)
        self.assertEqual(fields["manufacturing_base_mac_47_32"], int.from_bytes(adapter.mac[:2], "big"))
        self.assertEqual(fields["manufacturing_base_mac_31_0"], int.from_bytes(adapter.mac[2:], "big"))
        self.assertEqual(fields["build_id"], adapter.build_id)
        self.assertEqual(tuple(fields[f"extended_{n}"] for n in ("major", "minor", "sub_minor")), adapter.firmware)
        self.assertEqual(tool_text(fields, "psid"), adapter.psid)


class Tools(Boot):
    scenario = "tools"

    def test_driver_probes_and_offers_fwctl(self):
        self.ok("node")
        self.assertEqual(self.ok("pci"), "0000:01:00.0")
        self.assertIn("firmware version: %d.%d.%d" % self.adapters[0].firmware, self.ok("dmesg"))

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()

    def test_mstreg_reads_the_identity(self):
        self.judge_identity(tool_register(self.ok("tool_mgir")), self.adapters[0])

    def test_mstconfig_queries_every_record(self):
        text = self.ok("tool_query")
        self.assertIn(self.adapters[0].part, text)
        values = tool_values(text)
        self.assertEqual(values["NUM_OF_VFS"], "0")
        self.assertEqual(values["SRIOV_EN"], "False(0)")
        self.assertGreater(len(values), 70)

    def test_mstconfig_sets_and_reads_back(self):
        self.ok("tool_set")
        values = tool_values(self.ok("tool_set_query"))
        self.assertEqual(values["NUM_OF_VFS"], str(self.values["TOOL_VFS"]))
        self.assertEqual(values["SRIOV_EN"], "True(1)")

    def test_mstconfig_tells_the_images_apart(self):
        row = re.search(r"NUM_OF_VFS +(\d+) +(\d+) +(\d+)", self.ok("tool_images"))
        self.assertEqual(row.groups(), ("0", "0", str(self.values["TOOL_VFS"])))

    def test_our_agent_finds_the_adapter(self):
        self.ok("agent")
        row = json.loads(self.ok("devices"))["devices"][0]
        self.assertEqual(row["pci_address"], "0000:01:00.0")
        self.assertEqual(row["serial"], self.adapters[0].serial)
        self.assertEqual(row["backend"], "fwctl")
        self.assertFalse(row["emulated"])

    def test_our_register_read_equals_the_tools(self):
        tool = tool_register(self.ok("tool_mgir"))
        mine = our_register(self.ok("our_mgir"))
        for name in ("device_id", "hw_dev_id", "num_ports", "build_id", "year", "month", "day",
                     "manufacturing_base_mac_47_32", "manufacturing_base_mac_31_0", "extended_sub_minor"):
            self.assertEqual(int(mine[name], 0), tool[name], name)
        self.assertEqual(mine["psid"], tool_text(tool, "psid"))

    def test_other_registers_are_what_the_tool_shows(self):
        """Every field that we decode, as mstreg names and reads it; register masks against what the model has."""
        for register in ("MSGI", "MTCAP", "MTMP", "PAOS"):
            tool = tool_register(self.ok(f"tool_{register}"))
            mine = our_register(self.ok(f"our_{register}"))
            self.assertGreater(len(mine), 2)
            for name, value in mine.items():
                with self.subTest(register=register, field=name):
                    if re.fullmatch(r"0x[0-9a-f]+|\d+", value) and register != "MSGI":
                        self.assertEqual(int(value, 0), tool_number(tool, name))
                    else:
                        self.assertEqual(value, tool_text(tool, name))
        self.assertEqual(tool_text(tool_register(self.ok("tool_MSGI")), "serial_number"), self.adapters[0].serial)

    def test_register_masks_name_the_registers_that_answer(self):
        management = tool_register(self.ok("tool_MCAM"))["mng_access_reg_cap_mask[3]"]
        for register in (0x9009, 0x900A):
            self.assertTrue(management >> (register & 31) & 1, hex(register))
        port = tool_register(self.ok("tool_PCAM"))["port_access_reg_cap_mask[3]"]
        for register in (0x5002, 0x5004, 0x5006, 0x5008):
            self.assertTrue(port >> (register & 31) & 1, hex(register))

    def test_set_by_the_tool_is_read_by_us(self):
        row = ours(self.ok("our_get"))["NUM_OF_VFS"]
        self.assertEqual((row["next_boot"], row["running"]), (str(self.values["TOOL_VFS"]), "0"))
        self.assertTrue(row["pending"])

    def test_set_by_us_is_read_by_the_tool(self):
        self.ok("our_set")
        values = tool_values(self.ok("tool_query_ours"))
        self.assertEqual(values["NUM_OF_VFS"], str(self.values["OUR_VFS"]))
        self.assertEqual(values["SRIOV_EN"], "True(1)")
        self.assertEqual(values["CQE_COMPRESSION"], "AGGRESSIVE(1)")


class Reboot(Boot):
    scenario = "reboot"
    keep_state_of = Tools

    def test_stored_values_run_after_a_power_cycle(self):
        rows = ours(self.ok("our_get"))
        for name, value in (("NUM_OF_VFS", str(self.values["OUR_VFS"])), ("SRIOV_EN", "True"), ("CQE_COMPRESSION", "AGGRESSIVE")):
            self.assertEqual((rows[name]["running"], rows[name]["pending"]), (value, False), name)
        self.assertEqual(tool_values(self.ok("tool_query"))["NUM_OF_VFS"], str(self.values["OUR_VFS"]))

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()


class Replug(Boot):
    scenario = "replug"

    def psid(self, name):
        return our_register(self.ok(name))["psid"]

    def test_driver_unbinds_and_binds(self):
        for name in ("unbind", "unbound", "unbound_seen", "bind", "bound", "after_bind"):
            self.ok(name)

    def test_card_comes_back_under_another_number_and_is_found_by_address(self):
        self.assertEqual(self.psid("before"), self.adapters[0].psid)
        for name in ("remove", "down", "rescan", "up_again"):
            self.ok(name)
        self.assertNotEqual(self.ok("node_after"), self.ok("node_before"))
        self.assertEqual(self.ok("pci_after"), "0000:01:00.0")
        self.assertEqual(self.psid("after"), self.adapters[0].psid)

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()


class Two(Boot):
    scenario = "two"
    profiles = ("connectx7.yaml", "connectx6dx.yaml")

    def by_address(self):
        order = {"0000:01:00.0": self.adapters[0], "0000:02:00.0": self.adapters[1]}
        return [order[self.ok(f"pci{n}")] for n in (0, 1)]

    def test_each_node_is_its_own_adapter(self):
        self.ok("node1")
        for n, adapter in enumerate(self.by_address()):
            self.judge_identity(tool_register(self.ok(f"mgir{n}")), adapter)

    def test_our_agent_serves_both(self):
        self.ok("agent")
        rows = {r["pci_address"]: r["serial"] for r in json.loads(self.ok("devices"))["devices"]}
        self.assertEqual(rows, {f"0000:0{n + 1}:00.0": a.serial for n, a in enumerate(self.adapters)})

    def test_a_change_hits_the_adapter_it_names(self):
        self.ok("set")
        self.assertEqual(tool_values(self.ok("query1"))["NUM_OF_VFS"], str(self.values["OUR_VFS"]))
        self.assertEqual(tool_values(self.ok("query0"))["NUM_OF_VFS"], "0")

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()


class Fault(Boot):
    scenario = "fault"
    syndrome = RNG.randrange(1, 1 << 32)
    faults = (f"register: MTCAP, action: status, repeat: 0, status: BAD_PARAM, syndrome: 0x{syndrome:x}",
              "register: MTMP, action: drop, countdown: 1, repeat: 1")

    def test_refused_command_shows_status_and_syndrome(self):
        self.ok("agent")
        self.assertIn(f"status 0x3, syndrome 0x{self.syndrome:x}", self.report.output("refused"))
        self.assertNotEqual(self.report.status("tool_refused"), 0)

    def test_command_without_an_answer_ends_unknown_on_time(self):
        self.assertIn("outcome is UNKNOWN", self.report.output("hang"))
        self.assertLess(int(self.ok("hang_seconds")), 10)
        self.assertEqual(json.loads(self.ok("stuck"))["devices"][0]["state"], "stuck")

    def test_agent_serves_on_while_the_kernel_waits(self):
        self.ok("waiting")
        self.ok("meanwhile")
        self.assertIn("stuck in the kernel since", self.report.output("refused_meanwhile"))
        row = json.loads(self.ok("stuck_meanwhile"))["devices"][0]
        self.assertEqual(row["state"], "stuck")
        self.assertIn("reset the card or reload its driver", row["state_reason"])

    def test_adapter_serves_after_the_kernel_has_given_up(self):
        self.ok("given_up")
        self.assertGreater(int(self.ok("given_up_seconds")), 50)
        self.ok("back")
        self.ok("after")

    def test_driver_complains_about_the_planted_faults_only(self):
        self.judge_log()


class Lines(unittest.TestResult):
    """One line per case; the folders of boots that failed stay."""

    def addSuccess(self, test):
        print("pass", test.id().split(".", 1)[1], flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print(self._exc_info_to_string(err, test))
        print("fail", test.id().split(".", 1)[-1], flush=True)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(self._exc_info_to_string(err, test))
            print("fail", subtest.id().split(".", 1)[-1], flush=True)


def prepare():
    """The parts of the bed from prepare.sh; the reason to skip, if there is one."""
    run = subprocess.run([f"{HERE}/prepare.sh"], capture_output=True, text=True, timeout=3600)
    if run.returncode == 3:
        return None, run.stdout.strip().splitlines()[-1]
    if run.returncode != 0:
        raise RuntimeError(run.stdout + run.stderr)
    return dict(re.findall(r"^([A-Z]+)=(.*)$", run.stdout, re.M)), None


if __name__ == "__main__":
    print(f"seed: HAWSER_TEST_SEED={SEED:#x}", flush=True)
    PARTS, why = prepare()
    if PARTS is None:
        print("skip kernel", why)
        sys.exit(0)
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        loader.testNamePatterns = [f"*{a}*" for a in sys.argv[1:]]
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in (Tools, Reboot, Replug, Two, Fault))
    result = Lines()
    suite.run(result)
    for scenario in (Tools, Replug, Two, Fault):
        if hasattr(scenario, "folder") and result.wasSuccessful():
            shutil.rmtree(scenario.folder)
        elif hasattr(scenario, "folder"):
            print("kept", scenario.folder)
    if result.testsRun == 0:
        sys.exit("no such case")
    sys.exit(0 if result.wasSuccessful() else FAILED)
