"""The fwctl backend with real processes: hawser-dev on a kernel that a folder scripts (tests/scripted/kernel.c).

What a kernel does to an agent: commands that do not return, nodes that come, go and are renumbered. The scripted kernel's
threads can be killed; what happens to those that cannot is shown in tests/kernel and by the unit tests of drv/pool.
"""
import os
import signal
import time

from harness import BIN, NIC0, NIC1, OVERDUE, Adapter, FleetCase, Host, until

SCRIPTED = os.path.join(os.path.dirname(BIN.rstrip("/")), "scripted/hawser-dev")
NIC2 = "0000:d8:00.0"


class KernelHost(Host):
    """A host whose adapters are behind /dev/fwctl nodes."""

    def __init__(self, root, pki, name):
        super().__init__(root, pki, name)
        self.kernel = os.path.join(self.dir, "kernel")
        self.bin = os.path.join(self.dir, "bin")
        os.makedirs(os.path.join(self.kernel, "dev"))
        os.makedirs(self.bin)
        for program in ("hawserd", "hawser-wire"):
            os.symlink(os.path.join(BIN, program), os.path.join(self.bin, program))
        os.symlink(SCRIPTED, os.path.join(self.bin, "hawser-dev"))
        self.arguments = ["--bin-dir", self.bin]
        with open(self.config) as f:
            text = f.read()
        with open(self.config, "w") as f:
            f.write("".join(line for line in text.splitlines(True) if not line.startswith("devices:")))
            f.write("devices: {backend: fwctl}\n")
        for i, adapter in enumerate(self.adapters):
            self.plug(f"fwctl{i}", adapter)

    def start(self):
        os.environ["HAWSER_SCRIPTED_KERNEL"] = self.kernel  # hawserd hands it on
        return super().start()

    def plug(self, node, adapter):
        path = os.path.join(self.kernel, node)
        with open(path, "w") as f:
            f.write(f"{adapter.pci} {adapter.path}\n")
        os.rename(path, os.path.join(self.kernel, "dev", node))

    def unplug(self, node):
        os.unlink(os.path.join(self.kernel, "dev", node))

    def set(self, what, node):
        open(os.path.join(self.kernel, f"{what}-{node}"), "w").close()

    def clear(self, what, node):
        os.unlink(os.path.join(self.kernel, f"{what}-{node}"))

    def device_pid(self):
        return self.pids().get("hawser-dev", [None])[0]


class Fwctl(FleetCase):
    HOSTS = ("host-k",)

    @classmethod
    def make_host(cls, name):
        return KernelHost(cls.root, cls.pki, name)

    def device(self, pci):
        rows = [d for d in self.js("device", "list")["devices"] if d["pci_address"] == pci]
        return rows[0] if rows else None

    def is_ready(self, pci):
        return until(lambda: (self.device(pci) or {}).get("state") == "ready", f"{pci} is ready", 20)

    def get(self, pci, *args):
        return self.cli("reg", "get", "-t", "host-k", "-d", pci, "MGIR", *args)

    def hang(self, node, pci):
        """A command that does not return: its caller is told on time, and the adapter is stuck."""
        self.host.set("hang", node)
        r = self.timed(3, "reg", "get", "-t", "host-k", "-d", pci, "MGIR", "--timeout", "3s")
        self.assertEqual(r.code, 8, r)
        self.assertRegex(r.err, OVERDUE)
        until(lambda: self.device(pci)["state"] == "stuck", f"{pci} is stuck")

    def test_1_nodes_are_adapters_by_address(self):
        for pci, adapter, node in ((NIC0, self.host.adapters[0], "fwctl0"), (NIC1, self.host.adapters[1], "fwctl1")):
            d = self.device(pci)
            self.assertEqual((d["serial"], d["node"], d["backend"]), (adapter.serial, f"/dev/fwctl/{node}", "fwctl"))
            self.assertIs(d["emulated"], False)
            self.assertEqual(self.get(pci).code, 0)

    def test_2_stuck_command_is_told_and_stays_stuck_until_it_returns(self):
        pid = self.host.device_pid()
        try:
            self.hang("fwctl0", NIC0)
            self.assertIn("stuck in the kernel since", self.ok("device", "list").out)
            facts = self.ok("device", "get", "-t", "host-k", "-d", NIC0).out
            self.assertRegex(facts, r"1 command is stuck in the kernel since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
            self.assertIn("reset the card or reload its driver", facts)
            r = self.get(NIC0)
            self.assertNotEqual(r.code, 0)
            self.assertIn("is stuck: 1 command is stuck in the kernel since", r.err)
            self.assertIn(NIC0, r.err)
            end = time.monotonic() + 4  # longer than probes and scans are apart
            while time.monotonic() < end:
                self.assertEqual(self.device(NIC0)["state"], "stuck")
                self.assertEqual(self.get(NIC1, "--timeout", "10s").code, 0)
        finally:
            self.host.clear("hang", "fwctl0")
        self.is_ready(NIC0)
        self.assertEqual(self.get(NIC0).code, 0)
        self.assertEqual(self.host.device_pid(), pid)  # by itself

    def test_3_command_that_the_driver_gives_up_frees_the_adapter(self):
        self.host.set("lost", "fwctl0")
        self.hang("fwctl0", NIC0)
        self.host.clear("hang", "fwctl0")
        self.is_ready(NIC0)
        self.host.clear("lost", "fwctl0")
        self.assertEqual(self.get(NIC0).code, 0)

    def replaced(self, number):
        """hawser-dev ends while a command is stuck: the next one serves the other adapter at once."""
        before = self.host.device_pid()
        try:
            self.hang("fwctl0", NIC0)
            os.kill(before, number)
            until(lambda: self.host.device_pid() not in (None, before), "another device process", 20)
            self.is_ready(NIC1)
            self.assertEqual(self.get(NIC1).code, 0)
            self.assertNotEqual(self.device(NIC0)["state"], "ready")
        finally:
            self.host.clear("hang", "fwctl0")
        self.is_ready(NIC0)

    def test_4_device_process_is_replaced_while_a_command_is_stuck(self):
        self.replaced(signal.SIGTERM)

    def test_5_killed_device_process_is_replaced_while_a_command_is_stuck(self):
        self.replaced(signal.SIGKILL)

    def test_6_node_that_comes_back_under_another_number_is_found(self):
        self.is_ready(NIC1)
        self.host.unplug("fwctl1")
        self.assertNotEqual(self.get(NIC1).code, 0)
        until(lambda: self.device(NIC1)["state"] == "gone", "gone")
        self.host.plug("fwctl5", self.host.adapters[1])
        self.is_ready(NIC1)
        self.assertEqual(self.device(NIC1)["node"], "/dev/fwctl/fwctl5")
        self.assertEqual(self.get(NIC1).code, 0)

    def test_7_added_and_removed_adapters_are_seen(self):
        added = Adapter(os.path.join(self.host.dir, "nic2.yaml"), "bluefield3.yaml", NIC2)
        self.host.plug("fwctl9", added)
        self.is_ready(NIC2)
        self.assertEqual(self.device(NIC2)["serial"], added.serial)
        self.host.unplug("fwctl9")
        until(lambda: self.device(NIC2)["state"] == "gone", "gone, without anybody asking it", 20)
        self.assertEqual(self.get(NIC0).code, 0)
