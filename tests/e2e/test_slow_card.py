"""A card that does not answer in time: the caller hears on time that the outcome is unknown, and nobody else waits."""
from harness import NIC0, NIC1, OVERDUE, FleetCase, Host, until


class SlowCard(FleetCase):
    """host-a's first adapter swallows reads of MTMP and one write; host-b's first is slow at MTMP and at one write."""

    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        if name == "host-a":
            faults = ["opcode: ACCESS_REG, register: MTMP, action: drop, countdown: 1, repeat: 1",
                      "opcode: ACCESS_REG, register: MNVDA, access: write, action: drop, countdown: 1, repeat: 1"]
        else:
            faults = ["opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 9000, countdown: 1, repeat: 1",
                      "opcode: ACCESS_REG, register: MNVDA, access: write, action: delay, delay_ms: 9000, countdown: 1, repeat: 1"]
        return Host(cls.root, cls.pki, name, faults={0: faults})

    def state(self, host, pci):
        return next(d["state"] for d in self.js("device", "list", "-t", host)["devices"] if d["pci_address"] == pci)

    def reset_stuck(self, host):
        """A command that never comes back keeps the adapter until the card is reset."""
        until(lambda: self.state(host, NIC0) == "stuck", "stuck")
        self.assertIn("1 command is stuck in the card since 20", self.ok("device", "get", "-t", host, "-d", NIC0).out)
        next(h for h in self.hosts if h.name == host).card("reset", NIC0)
        until(lambda: self.state(host, NIC0) == "ready", "ready after a reset", 30)

    def late_read(self, host):
        before = self.counters(host)["commands"]
        late = self.begin("reg", "get", "-t", host, "-d", NIC0, "MTMP", "sensor_index=0", "--timeout", "5s")
        until(lambda: self.counters(host)["commands"] > before, "the read is on the card")
        self.ok("reg", "get", "-t", host, "-d", NIC1, "MGIR")
        self.assertIsNone(late.poll(), "the other adapter does not wait for the late one")
        out, err = late.communicate(timeout=20)
        self.assertEqual(late.returncode, 8, err)
        self.assertEqual(out, "")
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn("DEADLINE_EXCEEDED", err)
        self.assertRegex(err, OVERDUE)
        self.ok("reg", "get", "-t", host, "-d", NIC1, "MGIR")
        self.ok("agent", "info", "-t", host)

    def test_a_read_that_never_returns(self):
        self.late_read("host-a")
        self.reset_stuck("host-a")

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
        r = self.timed(3, *args, "--timeout", "3s")
        self.assertEqual(r.code, 8, r)
        self.assertEqual(r.out, "")
        self.assertEqual(len(r.err.splitlines()), 1, r)
        self.assertIn("DEADLINE_EXCEEDED", r.err)
        self.assertIn("UNKNOWN", r.err)
        self.ok("reg", "get", "-t", host, "-d", NIC1, "MGIR")
        if host == "host-a":
            self.reset_stuck(host)
        again = until(lambda: self.answer(*args), "the first answer", 20)
        self.assertIs(again["results"][0]["repeated_request"], True)
        if again["values"]:  # not of a card that was away when they were to be listed
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
