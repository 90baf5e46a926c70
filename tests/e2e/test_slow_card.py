"""A card that does not answer in time: the caller hears on time that the outcome is unknown, and nobody else waits."""
import time

from harness import NIC0, NIC1, FleetCase, Host, until


class SlowCard(FleetCase):
    """host-a's first adapter swallows reads of MTMP and one write; host-b's first is slow at MTMP and at one write."""

    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        if name == "host-a":
            faults = ["opcode: ACCESS_REG, register: MTMP, action: drop, countdown: 1, repeat: 1",
                      "opcode: ACCESS_REG, register: MNVDA, access: write, action: drop, countdown: 1, repeat: 1"]
        else:
            faults = ["opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 2500, countdown: 1, repeat: 1",
                      "opcode: ACCESS_REG, register: MNVDA, access: write, action: delay, delay_ms: 2500, countdown: 1, repeat: 1"]
        return Host(cls.root, cls.pki, name, faults={0: faults})

    def state(self, host, pci):
        return next(d["state"] for d in self.js("device", "list", "-t", host)["devices"] if d["pci_address"] == pci)

    def late_read(self, host):
        r = self.timed(0.5, "reg", "get", "-t", host, "-d", NIC0, "MTMP", "sensor_index=0", "--timeout", "500ms")
        self.assertEqual(r.code, 8, r)
        self.assertEqual(r.out, "")
        self.assertEqual(len(r.err.splitlines()), 1, r)
        self.assertIn("DEADLINE_EXCEEDED", r.err)
        self.assertIn("UNKNOWN", r.err)
        # The other adapter of the host, and the other host, do not wait.
        began = time.monotonic()
        self.ok("reg", "get", "-t", host, "-d", NIC1, "MGIR", "--timeout", "2s")
        self.assertLess(time.monotonic() - began, 1.5)
        self.ok("agent", "info", "-t", host)

    def test_a_read_that_never_returns(self):
        self.late_read("host-a")
        until(lambda: self.state("host-a", NIC0) in ("ready", "stuck"), "the adapter is judged")

    def test_a_read_that_returns_late(self):
        self.late_read("host-b")
        until(lambda: self.state("host-b", NIC0) == "ready", "the late read has returned", 15)
        self.ok("reg", "get", "-t", "host-b", "-d", NIC0, "MTMP", "sensor_index=0")

    def late_write(self, host, value):
        """An apply whose caller gives up: he hears that on time, and the same request tells him later how it ended."""
        until(lambda: self.state(host, NIC0) == "ready", "ready", 15)
        d = ("-t", host, "-d", NIC0)
        plan = self.js("config", "plan", *d, f"NUM_OF_VFS={value}")["plans"][0]
        args = ("config", "apply", *d, "--yes", "--request-id", f"late-{host}", "--plan-hash", plan["plan_hash"], f"NUM_OF_VFS={value}")
        r = self.timed(0.7, *args, "--timeout", "700ms")
        self.assertEqual(r.code, 8, r)
        self.assertEqual(r.out, "")
        self.assertEqual(len(r.err.splitlines()), 1, r)
        self.assertIn("DEADLINE_EXCEEDED", r.err)
        self.assertIn("UNKNOWN", r.err)
        self.ok("reg", "get", "-t", host, "-d", NIC1, "MGIR", "--timeout", "2s")
        again = until(lambda: self.answer(*args), "the first answer", 20)
        self.assertIs(again["results"][0]["repeated_request"], True)
        self.assertEqual(again["values"][0]["stored"], str(value))
        until(lambda: self.state(host, NIC0) == "ready", "ready again", 15)
        (intent,) = [r for r in self.audit(host) if r["phase"] == "intent" and r["request_id"] == f"late-{host}"]
        (outcome,) = [r for r in self.audit(host) if r["phase"] == "outcome" and r["intent_seq"] == intent["seq"]]
        self.assertEqual(outcome["code"], "OK")  # read back: the card has it
        v = self.js("config", "get", *d, "NUM_OF_VFS")["values"][0]
        self.assertEqual(v["stored"], str(value))
        self.ok("config", "apply", *d, "--yes", f"NUM_OF_VFS={value + 1}")  # and the next one goes through

    def answer(self, *args):
        r = self.cli(*args, "-o", "json")
        return r.json() if r.code == 0 else None

    def test_a_write_that_returns_late_goes_on_and_is_read_back(self):
        self.late_write("host-b", 45)

    def test_a_write_that_never_returns_is_read_back_and_not_repeated(self):
        self.late_write("host-a", 55)
