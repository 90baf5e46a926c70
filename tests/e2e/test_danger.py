"""Dangerous commands as two persons run them: a grant, a request signed by its operator, a second person's signature, and every
way that it must not go. The device process is hawser-emu; what reached the card is read from its register."""
import json
import os
import signal

from harness import DOMAIN, FleetCase, Host, NIC0, NIC1, until

POLICY = f"""version: 1
rules:
  - {{name: look, principals: ["spiffe://{DOMAIN}/operator/"], methods: [observe, audit, "command.execute"], max_effect: read-sensitive}}
  - name: debug
    principals: ["spiffe://{DOMAIN}/operator/"]
    methods: [debug, approve, admin]
    max_effect: full
"""
OLGA, OTTO = f"spiffe://{DOMAIN}/operator/olga", f"spiffe://{DOMAIN}/operator/otto"
SET = ("reg", "set", "--device", NIC0, "--yes", "MTRC_CTRL", "modify_field_select=1", "trace_status=1")


class Danger(FleetCase):
    @classmethod
    def make_host(cls, name):
        h = Host(cls.root, cls.pki, name, policy=POLICY)
        cls.otto = cls.pki.make("operator", "otto")
        cls.eve = cls.pki.make("operator", "eve")
        cls.keys = [(principal, cls.new_key(who)) for who, principal in (("olga", OLGA), ("otto", OTTO))]
        h.trust(cls.keys)
        return h

    def grant(self, *more, seconds="30m", device=NIC0):
        (g,) = self.js("grant", "add", "--device", device, "--for", seconds, "--reason", "ticket 4711", OLGA, "debug-write", *more,
                       who="otto")["grants"]
        return g["id"]

    def ask(self, *command, who="operator", key="olga", reason="a stuck queue", life="15m"):
        return self.js(*(command or SET), "--reason", reason, "--sign", self.key(key), "--for", life, who=who)["hash"]

    def approve(self, warrant, who="otto", key="otto"):
        return self.ok("approval", "sign", warrant, "--sign", self.key(key), "--yes", who=who)

    def run_it(self, warrant):
        """The command reaches the card, which has the last word: nobody owns its tracer."""
        self.assertIn("refused by the device: BAD_RES_STATE", self.refused(9, *SET, "--approval", warrant))

    def settle(self):
        """No grant is left."""
        for g in self.js("grant", "list")["grants"]:
            self.ok("grant", "revoke", str(g["id"]), who="otto")

    def tearDown(self):
        self.settle()

    def denied(self, *args, **kw):
        return self.refused(5, *args, **kw)

    def test_two_persons_run_it_once(self):
        self.assertIn("needs a warrant", self.denied(*SET, "--reason", "because"))
        warrant = self.ask()
        (listed,) = [a for a in self.js("approval", "list", who="otto")["warrants"] if a["hash"] == warrant]
        self.assertEqual((listed["state"], listed["operator"], listed["reason"]), ("waiting", OLGA, "a stuck queue"))
        shown = self.js("approval", "show", warrant, who="otto")
        self.assertEqual(shown["command"], "MTRC_CTRL write (debug-write)")
        fields = {f["field"]: f["value"] for f in shown["fields"]}
        self.assertEqual((fields["trace_status"], fields["inbox.argument"]), ("1", "0x0"))
        inbox = bytes.fromhex("".join(v for k, v in fields.items() if k.startswith("inbox@")))  # every byte that is signed
        self.assertEqual((inbox[:2].hex(), int.from_bytes(inbox[10:12], "big")), ("0805", int(fields["inbox.register_id"], 16)))
        self.assertIn("no grant", self.denied(*SET, "--approval", warrant))
        grant = self.grant("MTRC_CTRL:write")
        self.assertIn("no second person", self.denied(*SET, "--approval", warrant))
        warrant = self.ask()
        self.approve(warrant)
        self.run_it(warrant)
        (listed,) = [a for a in self.js("approval", "list")["warrants"] if a["hash"] == warrant]
        self.assertEqual(listed["state"], "used")
        # The same once more is the first answer, and nothing runs: the request_id is the warrant's.
        self.assertIn("BAD_RES_STATE", self.refused(9, *SET, "--approval", warrant))
        records = [r["detail"] for r in self.audit(self.host.name) if warrant in (r["detail"] or "") and "Execute" in r["method"]]
        self.assertEqual(len(records), 2, records)  # intent and outcome
        self.assertIn(f"grant {grant} by {OTTO}", records[0])
        self.assertIn(f"approved by {OTTO}", records[0])
        self.assertRegex(records[1], "keys [0-9a-f]{16} and [0-9a-f]{16}")

    def test_a_firmware_reset_is_armed_by_two_persons(self):
        command = ("reg", "set", "--device", NIC0, "--yes", "MFRL", "reset_level=8")
        (g,) = self.js("grant", "add", "--device", NIC0, "--for", "5m", "--reason", "new firmware", OLGA, "full", "MFRL:write", who="otto")["grants"]
        self.assertEqual((g["effect"], g["targets"], g["granted_by"]), ("full", "MFRL:write", OTTO))
        warrant = self.ask(*command, reason="new firmware")
        self.assertIn("no second person", self.denied(*command, "--approval", warrant))
        warrant = self.ask(*command, reason="new firmware")
        self.approve(warrant)
        self.ok(*command, "--approval", warrant)
        until(lambda: any(d["state"] == "ready" and d["pci_address"] == NIC0 for d in self.js("device", "list")["devices"]), "the adapter is back", 60)

    def test_one_person_is_not_two(self):
        self.grant()
        warrant = self.ask()
        self.assertIn("same principal", self.denied("approval", "sign", warrant, "--sign", self.key("olga"), "--yes"))
        self.assertIn("not by a trusted key", self.denied("approval", "sign", warrant, "--sign", self.key("olga"), "--yes", who="otto"))
        self.assertIn("no second person", self.denied(*SET, "--approval", warrant))
        self.assertIn("unknown key", self.denied(*SET, "--reason", "x", "--sign", self.key("otto"), who="eve"))
        self.assertIn("nobody grants to himself", self.refused(3, "grant", "add", "--device", NIC0, "--reason", "x", OLGA, "full"))

    def test_another_command_adapter_or_key_is_refused(self):
        self.grant(device="*")
        warrant = self.ask()
        self.approve(warrant)
        other = (*SET[:-1], "trace_status=0")
        self.assertIn("hash mismatch", self.refused(3, *other, "--approval", warrant))
        elsewhere = [NIC1 if a == NIC0 else a for a in SET]
        self.assertIn(f"not for {NIC1}", self.denied(*elsewhere, "--approval", warrant))
        self.assertIn("MTRC_CTRL", self.denied(*SET, "--reason", "x"))
        self.assertIn("not by a trusted key", self.denied(*SET, "--reason", "x", "--sign", self.key("otto")))
        self.assertIn("no such warrant is kept", self.refused(4, *SET, "--approval", "0" * 64))

    def test_grants_and_warrants_expire(self):
        grant = self.grant(seconds="1s")
        until(lambda: f"grant {grant} has expired" in self.cli(*SET, "--approval", self.approved()).err, "the grant has expired", 60)
        self.ok("grant", "revoke", str(grant), who="otto")
        grant = self.grant()  # so that it is the warrant that is refused
        # Two seconds may be over before the agent has read it.
        asked = self.cli(*SET, "--reason", "short", "--sign", self.key("olga"), "--for", "2s", "-o", "json")
        if asked.code == 0:
            warrant = asked.json()["hash"]
            # An agent that was started meanwhile, or had to make room, no longer keeps it.
            gone = ("warrant: expired", "no such warrant is kept")
            until(lambda: any(say in self.cli(*SET, "--approval", warrant).err for say in gone), "the warrant has expired", 60)
        else:
            self.assertIn("expired", asked.err)
        self.ok("grant", "revoke", str(grant), who="otto")
        self.assertIn("no grant", self.denied(*SET, "--approval", self.approved()))

    def approved(self):
        warrant = self.ask()
        self.approve(warrant)
        return warrant

    def test_what_the_device_process_alone_refuses_is_counted(self):
        """It reads the trust file at each dangerous command; hawserd when it is told to."""
        self.grant()
        warrant = self.approved()
        before = self.counters("host-a")["device_process_refused"]
        self.host.trust(self.keys[1:])
        try:
            self.assertIn("device process: warrant: unknown key", self.denied(*SET, "--approval", warrant))
        finally:
            self.host.trust(self.keys)
        self.assertEqual(self.counters("host-a")["device_process_refused"], before + 1)

    def test_both_judges_remember_across_restarts(self):
        self.grant()
        warrant = self.approved()
        self.run_it(warrant)
        (keeper,) = self.host.keeper()
        os.kill(keeper, signal.SIGKILL)
        until(lambda: self.cli("grant", "list").code == 0 and self.host.keeper() not in ([], [keeper]), "hawserd is back", 30)
        (listed,) = [a for a in self.js("approval", "list")["warrants"] if a["hash"] == warrant]
        self.assertEqual(listed["state"], "used")
        self.assertEqual(len(self.js("grant", "list")["grants"]), 1)
        with open(os.path.join(self.host.dir, "used/used-warrants")) as f:
            self.assertEqual([line.split()[0] for line in f if line.startswith(warrant)], [warrant])

    def test_keys_are_rotated_and_restored(self):
        """docs/OPERATIONS.md: a new key beside the old one, then alone; the old file brings the old state back."""
        self.grant()
        fresh = self.new_key("olga-new")
        self.host.trust([*self.keys, (OLGA, fresh)])
        self.ok("agent", "reload", who="otto")
        for key in ("olga", "olga-new"):
            warrant = self.ask(key=key)
            self.approve(warrant)
            self.run_it(warrant)
        self.host.trust([self.keys[1], (OLGA, fresh)])
        self.ok("agent", "reload", who="otto")
        self.assertIn("not by a trusted key", self.denied(*SET, "--reason", "x", "--sign", self.key("olga")))
        self.approve(self.ask(key="olga-new"))
        self.host.trust([(OLGA, "00")])
        self.assertIn("a key is", self.refused(3, "agent", "reload", who="otto"))
        self.approve(self.ask(key="olga-new"))  # the keys before stay
        self.host.trust(self.keys)
        self.ok("agent", "reload", who="otto")
        warrant = self.approved()
        self.run_it(warrant)
