"""One byte of a reply in the card's mailbox, flipped: what the CLI shows changes or breaks, so it comes from there."""
from harness import NIC0, NIC1, RNG, FleetCase, Host, until

PSID_AT = 0x10 + 0x30  # in the outbox: the header of ACCESS_REG, then MGIR's fw_info.psid
FLIPS = 1 << RNG.randrange(3)


class Flip(FleetCase):
    """host-a: flipped and signed again. host-b: flipped only, which the signatures show."""

    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        sign = "true" if name == "host-a" else "false"
        faults = {
            # The first of each is the agent's own, at its start.
            0: [f"opcode: ACCESS_REG, register: MGIR, countdown: 2, repeat: 0, action: flip, offset: {PSID_AT:#x}, mask: {FLIPS:#x}, sign: {sign}"],
            1: [f"opcode: QUERY_ADAPTER, countdown: 2, repeat: 0, action: flip, offset: 0, mask: 0x4, sign: {sign}"],
        }
        return Host(cls.root, cls.pki, name, faults=faults)

    def psid(self, pci):
        fields = self.js("reg", "get", "-t", "host-a", "-d", pci, "MGIR")["fields"]
        return next(f["value"] for f in fields if f["field"] == "fw_info.psid")

    def test_a_flipped_bit_is_what_the_cli_shows(self):
        a, b = self.host.adapters
        flipped = chr(ord(a.psid[0]) ^ FLIPS) + a.psid[1:]
        self.assertEqual(self.psid(NIC0), flipped)
        self.assertEqual(self.psid(NIC1), b.psid)

        def facts():
            facts = self.js("device", "get", "-t", "host-a", "-d", NIC0)["facts"]
            return next(f["value"] for f in facts if f["fact"] == "PSID")
        until(lambda: facts() == flipped, "the agent's facts are read again when they are old")

    def test_a_flipped_status_is_an_error_of_the_card(self):
        err = self.refused(9, "cmd", "-t", "host-a", "-d", NIC1, "QUERY_ADAPTER")
        self.assertIn("0x4", err)

    def test_a_flipped_bit_that_is_not_signed_is_seen(self):
        for args in (("reg", "get", "-t", "host-b", "-d", NIC0, "MGIR"), ("cmd", "-t", "host-b", "-d", NIC1, "QUERY_ADAPTER")):
            r = self.cli(*args)
            self.assertNotEqual(r.code, 0, r)
            self.assertEqual(r.out, "")
            self.assertEqual(len(r.err.splitlines()), 1, r)
            self.assertIn("signature", r.err)
        self.ok("reg", "get", "-t", "host-b", "-d", NIC1, "MGIR")
