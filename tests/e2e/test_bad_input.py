"""What bad input gets: one line on stderr that says what is wrong, nothing on stdout, the documented exit code."""
import os
import socket

from harness import NIC0, RNG, FleetCase


class BadInput(FleetCase):
    HOSTS = ("host-a", "host-b")

    def setUp(self):
        self.d = ("-t", "host-a", "-d", NIC0)

    def reaches_no_card(self, code, *args):
        """As refused, and no command has reached a card of the host; the line."""
        before = self.commands("host-a")
        err = self.refused(code, *args)
        self.assertEqual(self.counters("host-a")["commands"], before, args)
        return err

    # ---- settings

    def test_a_value_out_of_the_parameters_range_reaches_no_card(self):
        for value in ("65536", "99999999999999999999", "-1", "many", "0x10000", "1.5"):
            err = self.reaches_no_card(3, "config", "plan", *self.d, f"NUM_OF_VFS={value}")
            self.assertIn("INVALID_ARGUMENT", err)
            self.assertIn("NUM_OF_VFS", err)
            self.assertIn("allowed: 0..", err)
        err = self.reaches_no_card(3, "config", "apply", *self.d, "--yes", "SRIOV_EN=2")
        self.assertIn("allowed: True or False", err)

    def test_a_value_above_the_adapters_own_limit_names_the_limit(self):
        err = self.refused(3, "config", "plan", *self.d, "NUM_OF_VFS=128")
        self.assertIn("INVALID_ARGUMENT", err)
        self.assertIn("0..127", err)
        self.refused(3, "config", "apply", *self.d, "--yes", "NUM_OF_VFS=128")
        self.assertEqual(self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]["stored"], "0")

    def test_a_value_above_the_adapters_own_limit_reaches_no_card(self):
        self.ok("config", "get", *self.d, "NUM_OF_VFS")  # whatever a first question teaches is known
        self.reaches_no_card(3, "config", "plan", *self.d, "NUM_OF_VFS=9999")

    def test_an_unknown_parameter_reaches_no_card_and_names_near_ones(self):
        err = self.reaches_no_card(4, "config", "plan", *self.d, "NUM_OF_VF=16")
        self.assertIn("NOT_FOUND", err)
        self.assertIn("NUM_OF_VFS", err)
        for verb in (("get",), ("reset", "--yes")):
            err = self.reaches_no_card(4, "config", *verb, *self.d, "NO_SUCH_THING")
            self.assertIn("NO_SUCH_THING", err)

    def test_one_bad_setting_of_two_changes_nothing(self):
        before = self.js("config", "get", *self.d, "SRIOV_EN")
        self.refused(3, "config", "apply", *self.d, "--yes", "SRIOV_EN=1", "NUM_OF_VFS=9999")
        self.refused(4, "config", "apply", *self.d, "--yes", "SRIOV_EN=1", "NUM_OF_VF=1")
        self.refused(3, "config", "plan", *self.d, "NUM_OF_VFS=1", "NUM_OF_VFS=2")
        self.assertEqual(self.js("config", "get", *self.d, "SRIOV_EN"), before)

    def test_what_only_the_firmware_refuses_changes_nothing(self):
        """NUM_OF_PF=200 fits its field, no capability says otherwise, and the card refuses it: in one record with
        SRIOV_EN, and after another record that had been written already."""
        names = ("NUM_OF_PF", "SRIOV_EN", "MEMIC_BAR_SIZE", "LINK_TYPE_P1", "BOOT_VLAN")
        before = self.js("config", "get", *self.d, *names)
        for others in (("SRIOV_EN=1",), ("MEMIC_BAR_SIZE=3", "BOOT_VLAN=7"), ("LINK_TYPE_P1=IB", "BOOT_VLAN=9", "MEMIC_BAR_SIZE=5")):
            err = self.refused(9, "config", "apply", *self.d, "--yes", *others, "NUM_OF_PF=200")
            self.assertIn("MNVDA", err)
            self.assertIn("syndrome", err)
            self.assertEqual(self.js("config", "get", *self.d, *names), before)

    def test_a_bad_plan_hash_is_refused(self):
        self.assertIn("plan_hash", self.refused(3, "config", "apply", *self.d, "--yes", "--plan-hash", "abc", "NUM_OF_VFS=3"))
        self.refused(6, "config", "apply", *self.d, "--yes", "--plan-hash", "%064x" % RNG.getrandbits(256), "NUM_OF_VFS=3")

    def test_a_bad_mutation_names_its_field(self):
        err = self.refused(3, "config", "apply", *self.d, "--yes", "--request-id", "short", "NUM_OF_VFS=3")
        self.assertIn("request_id", err)
        err = self.refused(3, "config", "apply", *self.d, "--yes", "--reason", "x" * 300, "NUM_OF_VFS=3")
        self.assertIn("reason", err)

    # ---- names

    def test_an_unknown_adapter_names_the_ones_there_are(self):
        err = self.refused(4, "config", "get", "-t", "host-a", "-d", "0000:99:00.0", "NUM_OF_VFS")
        for a in self.host.adapters:
            self.assertIn(a.id, err)
        err = self.refused(3, "config", "get", "-t", "host-a", "NUM_OF_VFS")
        for a in self.host.adapters:
            self.assertIn(a.pci, err)

    def test_an_unknown_host_of_the_inventory(self):
        self.assertIn("host-z", self.refused(2, "device", "list", "-t", "host-z"))

    def test_an_unknown_register_or_command_reaches_no_card(self):
        for args in (("reg", "get", *self.d, "NOSUCH"), ("reg", "get", *self.d, "0x1234"), ("cmd", *self.d, "NOSUCH"),
                     ("cmd", *self.d, "0xfff0"), ("reg", "list", "-t", "host-a", "NOSUCH")):
            err = self.reaches_no_card(4, *args)
            self.assertIn(args[-1], err)
            self.assertIn("NOT_FOUND", err)

    def test_a_bad_opcode_number_reaches_no_card(self):
        self.assertIn("65535", self.reaches_no_card(3, "cmd", *self.d, "0x10000"))
        self.reaches_no_card(3, "cmd", *self.d, "QUERY_ADAPTER", "--op-mod", "0x10000")

    def test_an_inbox_of_wrong_length_or_of_another_command_reaches_no_card(self):
        for inbox in ("0101", "0101" + "00" * 13, "0101" + "00" * 4096):
            self.reaches_no_card(3, "cmd", *self.d, "QUERY_ADAPTER", "--in", inbox)
        self.reaches_no_card(3, "cmd", *self.d, "QUERY_ADAPTER", "--in", "0100" + "00" * 14)
        for text in ("0", "zz", "0x01"):
            self.assertIn("hex", self.refused(3, "cmd", *self.d, "QUERY_ADAPTER", "--in", text))

    def test_an_opcode_without_a_row_is_refused_in_an_inbox_too(self):
        err = self.cli("cmd", *self.d, "0xfff0", "--in", "fff0" + "00" * 14)
        self.assertIn(err.code, (4, 5), err)
        self.assertEqual(err.out, "")

    def test_a_bad_register_field_reaches_no_card(self):
        self.assertIn("nofield", self.reaches_no_card(3, "reg", "get", *self.d, "MGIR", "nofield=1"))
        self.reaches_no_card(3, "reg", "get", *self.d, "PAOS", "local_port=99999")

    def test_an_unknown_dump_source_names_the_ones_there_are(self):
        path = os.path.join(self.root, "none.jsonl")
        self.assertIn("registers", self.refused(4, "dump", "pull", *self.d, "--source", "nothing", path))
        self.assertFalse(os.path.exists(path))
        self.refused(4, "dump", "pull", *self.d, os.path.join(self.root, "no/such/folder/x"))

    # ---- the command line

    def test_usage_errors(self):
        for args in (("frob",), ("config", "frob"), ("config", "get", "--frob"), ("config", "plan", *self.d),
                     ("device", "list", "extra"), ("device", "list", "-o", "xml"), ("config", "get", "--timeout", "0"),
                     ("config", "get", "--timeout", "soon"), ("device", "list", "--timeout"), ("reg", "get", *self.d)):
            self.refused(2, *args)
        self.refused(3, "audit", "tail", "-t", "host-a", "--last", "x")
        self.refused(3, "config", "plan", *self.d, "NUM_OF_VFS")
        self.refused(3, "rollout", "run", "--name", "a/b", "--set", "NUM_OF_VFS=1", "--yes")

    def test_help_is_no_error(self):
        for args in (("--help",), ("config", "--help"), ("config", "apply", "--help"), ("version",)):
            r = self.ok(*args)
            self.assertEqual(r.err, "")
            self.assertNotEqual(r.out, "")
        self.assertIn("hawser config apply -t", self.ok("config", "apply", "--help").out)  # its example

    def test_missing_files_are_named(self):
        for key in ("cert", "key", "ca"):
            err = self.refused(4, "device", "list", "-t", "host-a", "--" + key, os.path.join(self.root, "missing.pem"))
            self.assertIn("missing.pem", err)
        self.assertIn("nothing.yaml", self.refused(4, "device", "list", "-i", os.path.join(self.root, "nothing.yaml")))

    def test_a_bad_inventory_is_refused_with_its_line(self):
        path = os.path.join(self.root, "bad.yaml")
        with open(path, "w") as f:
            f.write('hosts:\n  - {name: a, target: "127.0.0.1:1"}\n  - {nome: b}\n')
        r = self.cli("device", "list", "-i", path)
        self.assertIn(r.code, (2, 3), r)
        self.assertEqual(r.out, "")
        self.assertIn("line 3", r.err)

    # ---- hosts that are not there

    def test_an_unreachable_host_is_unavailable(self):
        with socket.socket() as s:  # bound, not listening: nobody else can have the port
            s.bind(("127.0.0.1", 0))
            target = "127.0.0.1:%d" % s.getsockname()[1]
            err = self.refused(7, "device", "list", "-t", target)
            self.assertIn("UNAVAILABLE", err)
            self.assertIn(target, err)
            r = self.cli("device", "list", "-t", "host-a," + target, "-o", "json")
        self.assertEqual(r.code, 11, r)
        self.assertEqual({d["host"] for d in r.json()["devices"]}, {"host-a"})
        self.assertEqual([f["host"] for f in r.json()["failures"]], [target])
        self.assertEqual(len(r.err.strip().splitlines()), 1)

    def test_a_host_that_accepts_and_says_nothing_is_given_up_on_time(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            r = self.timed(0.7, "device", "list", "-t", "127.0.0.1:%d" % s.getsockname()[1], "--timeout", "700ms")
        self.assertIn(r.code, (7, 8), r)
        self.assertEqual(r.out, "")

    def test_another_agent_than_the_expected_one_is_refused(self):
        err = self.refused(7, "device", "list", "-t", "host-a", "--server-identity", "spiffe://e2e.test/agent/host-b")
        self.assertIn("host-b", err)
        self.ok("device", "list", "-t", "host-a", "--server-identity", "spiffe://e2e.test/agent/host-a")

    def test_after_all_that_the_agent_serves(self):
        self.assertEqual(self.js("agent", "info", "-t", "host-a")["agents"][0]["state"], "serving")
        self.assertEqual(len(self.js("device", "list")["devices"]), 4)


class TooMany(FleetCase):
    """A caller that makes too many changes meets a limit of its own; its reads and other callers go on."""

    HOSTS = ("host-a",)

    @classmethod
    def make_host(cls, name):
        host = super().make_host(name)
        with open(host.config, "a") as f:
            f.write("rates: {config-next-reset: 1}\n")
        return host

    def test_changes_over_the_rate_are_refused_recorded_and_reach_no_card(self):
        d = ("-t", "host-a", "-d", NIC0)
        other = self.pki.make("operator", "otto")
        self.ok("config", "apply", *d, "--yes", "NUM_OF_VFS=3")
        err = self.refused(7, "config", "apply", *d, "--yes", "NUM_OF_VFS=9")
        self.assertIn("RESOURCE_EXHAUSTED", err)
        self.assertIn("spiffe://e2e.test/operator/olga has made its calls of effect config-next-reset, 1 a minute", err)
        self.assertEqual(self.js("config", "get", *d, "NUM_OF_VFS")["values"][0]["stored"], "3")
        self.assertGreater(self.counters("host-a")["refused.rate"], 0)
        self.assertTrue(any("has made its calls" in str(r) for r in self.audit("host-a")))
        self.ok("config", "apply", *d, "--yes", "NUM_OF_VFS=9", who=other)
