"""The main job over three hosts: look, configure, command, dump, audit, as the operator and as the viewer."""
import hashlib
import json
import os
import signal
import subprocess
import time

from harness import BIN, NIC0, NIC1, RNG, FleetCase, Host
from relay import Relay

VALUE_COLUMNS = ["HOST", "NAME", "DEFAULT", "STORED", "NEXT-BOOT", "RUNNING", "PENDING"]
CHANGE_COLUMNS = ["HOST", "NAME", "RUNNING", "NEXT-BOOT", "WANTED", "CHANGES", "RESET"]
PLAN_COLUMNS = ["HOST", "DEVICE", "WRITES", "RESET", "PLAN-HASH"]


def tables(text):
    """The tables of a text output: each a list of rows, each a list of cells."""
    found = [[]]
    for line in text.splitlines():
        if not line.strip():
            found.append([])
        elif "  " in line or line.isupper():
            found[-1].append([c for c in (c.strip() for c in line.split("  ")) if c])
    return [t for t in found if t]


class MainJob(FleetCase):
    HOSTS = ("host-a", "host-b", "host-c")

    @classmethod
    def make_host(cls, name):
        # The second host's second adapter has no cable in its first port.
        extra = {1: {"cable": "false"}} if name == "host-b" else None
        return Host(cls.root, cls.pki, name, extra=extra)

    def setUp(self):
        self.b = ("-t", "host-b", "-d", NIC0)

    def names(self, adapter=NIC0, **kw):
        """{name: value row} of NUM_OF_VFS and SRIOV_EN."""
        rows = self.js("config", "get", "-t", "host-b", "-d", adapter, "NUM_OF_VFS", "SRIOV_EN", **kw)["values"]
        return {r["name"]: r for r in rows}

    def will_change(self):
        """Whatever the test does to the two parameters is undone after it."""
        self.addCleanup(lambda: self.ok("config", "reset", *self.b, "--yes", "NUM_OF_VFS", "SRIOV_EN"))

    # ---- look

    def test_device_list_shows_the_profiles_of_three_hosts(self):
        rows = self.js("device", "list")["devices"]
        self.assertEqual(len(rows), 6)
        for host in self.hosts:
            for adapter in host.adapters:
                (row,) = [r for r in rows if r["host"] == host.name and r["pci_address"] == adapter.pci]
                self.assertEqual(row["serial"], adapter.serial)
                self.assertEqual(row["psid"], adapter.psid)
                self.assertEqual(row["part_number"], adapter.part)
                self.assertEqual(row["firmware_version"], adapter.version)
                self.assertEqual(row["id"], adapter.id)
                self.assertEqual(row["state"], "ready")
                self.assertIs(row["emulated"], True)
                speed = "up 200G x4" if adapter.pci == NIC0 else "up 100G x4"
                first = "down" if (host.name, adapter.pci) == ("host-b", NIC1) else speed
                got = row["link"].split(", ")
                self.assertEqual(len(got), 2, row)
                self.assertTrue(got[0].startswith(first), row)
                self.assertEqual(got[1], speed)

    def test_device_list_as_text_has_a_line_an_adapter_and_a_summary(self):
        r = self.ok("device", "list")
        (rows, *_rest) = tables(r.out)
        self.assertEqual(rows[0], ["HOST", "PCI", "PART", "PSID", "SERIAL", "FIRMWARE", "LINK", "STATE", "EMULATED"])
        self.assertEqual(len([x for x in rows if x[0].startswith("host-")]), 6)
        self.assertEqual(r.out.strip().splitlines()[-1], "3 ok, 0 failed")
        for host in self.hosts:
            for a in host.adapters:
                (line,) = [x for x in rows if a.serial in x]
                self.assertEqual(line[:6], [host.name, a.pci, a.part, a.psid, a.serial, a.version])
                self.assertEqual(line[-2:], ["ready", "yes"])

    def test_device_is_found_by_id_pci_address_and_serial(self):
        a = self.hosts[1].adapters[1]
        for name in (a.id, a.pci, a.serial):
            facts = {f["fact"]: f["value"] for f in self.js("device", "get", "-t", "host-b", "-d", name)["facts"]}
            self.assertEqual(facts["serial"], a.serial)
            self.assertEqual(facts["firmware"], a.version)

    # ---- configure

    def test_configure_plan_apply_read_back_reset(self):
        self.will_change()
        vfs = str(RNG.randrange(1, 127))
        before = self.names()
        self.assertEqual({k: (v["default"], v["stored"], v["next_boot"], v["running"], v["pending"]) for k, v in before.items()},
                         {"NUM_OF_VFS": ("0", "0", "0", "0", False), "SRIOV_EN": ("False",) * 4 + (False,)})
        want = (f"NUM_OF_VFS={vfs}", "SRIOV_EN=1")

        changes, plans = tables(self.ok("config", "plan", *self.b, *want).out)
        self.assertEqual(changes, [CHANGE_COLUMNS,
                                   ["host-b", "NUM_OF_VFS", "0", "0", vfs, "yes", "firmware reset"],
                                   ["host-b", "SRIOV_EN", "False", "False", "True", "yes", "firmware reset"]])
        self.assertEqual(plans[0], PLAN_COLUMNS)
        self.assertEqual(plans[1][:4], ["host-b", NIC0, "1", "firmware reset"])
        plan_hash = plans[1][4]
        self.assertRegex(plan_hash, "^[0-9a-f]{64}$")
        self.assertEqual(self.names(), before)  # a plan changes nothing
        other = self.names(NIC1)

        out = tables(self.ok("config", "apply", *self.b, "--yes", *want).out)
        self.assertEqual(out[0], changes)
        self.assertEqual(out[1], plans)
        self.assertEqual(out[2], [VALUE_COLUMNS,
                                  ["host-b", "NUM_OF_VFS", "0", vfs, vfs, "0", "yes"],
                                  ["host-b", "SRIOV_EN", "False", "True", "True", "False", "yes"]])
        self.assertEqual(out[3][0], ["HOST", "RESULT", "RESET-NEEDED", "OPERATION"])
        self.assertEqual(out[3][1][:3], ["host-b", "applied, read back", "firmware reset"])
        self.assertEqual(tables(self.ok("config", "get", *self.b, "NUM_OF_VFS", "SRIOV_EN").out), [out[2]])
        self.assertEqual(self.names(NIC1), other)  # the other adapter is as it was

        out = tables(self.ok("config", "reset", *self.b, "--yes", "NUM_OF_VFS", "SRIOV_EN").out)
        self.assertEqual(out[0], [VALUE_COLUMNS,
                                  ["host-b", "NUM_OF_VFS", "0", "0", "0", "0", "no"],
                                  ["host-b", "SRIOV_EN", "False", "False", "False", "False", "no"]])
        self.assertEqual(out[1][1][:3], ["host-b", "back to defaults", "none"])
        self.assertEqual(self.names(), before)

    def test_plan_hash_is_bound_to_the_settings(self):
        self.will_change()
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=5")["plans"][0]
        err = self.refused(6, "config", "apply", *self.b, "--yes", "--plan-hash", plan["plan_hash"], "NUM_OF_VFS=6")
        self.assertIn("plan", err)
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "0")

    def test_plan_hash_is_bound_to_what_was_there(self):
        self.will_change()
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=7")["plans"][0]
        self.ok("config", "apply", *self.b, "--yes", "SRIOV_EN=1")  # somebody else was faster
        self.refused(6, "config", "apply", *self.b, "--yes", "--plan-hash", plan["plan_hash"], "NUM_OF_VFS=7")
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "0")
        self.ok("config", "reset", *self.b, "--yes", "SRIOV_EN")
        again = self.js("config", "plan", *self.b, "NUM_OF_VFS=7")["plans"][0]
        self.ok("config", "apply", *self.b, "--yes", "--plan-hash", again["plan_hash"], "NUM_OF_VFS=7")
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "7")

    def test_plan_of_another_adapter_is_refused(self):
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=9")["plans"][0]
        self.refused(6, "config", "apply", "-t", "host-b", "-d", NIC1, "--yes", "--plan-hash", plan["plan_hash"], "NUM_OF_VFS=9")
        self.refused(6, "config", "apply", "-t", "host-a", "-d", NIC0, "--yes", "--plan-hash", plan["plan_hash"], "NUM_OF_VFS=9")

    def test_plan_without_a_difference_sends_no_write(self):
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=0")
        self.assertEqual(plan["plans"][0]["n_writes"], 0)
        self.assertIs(plan["changes"][0]["changes"], False)
        mutations, applies = self.counters("host-b")["mutations"], self.applies("host-b")
        out = self.js("config", "apply", *self.b, "--yes", "NUM_OF_VFS=0")
        self.assertEqual(out["results"][0]["result"], "already as wanted")
        self.assertEqual(self.counters("host-b")["mutations"], mutations)
        self.assertEqual(self.applies("host-b"), applies)

    def test_a_repeated_request_has_one_effect_and_the_first_answer(self):
        self.will_change()
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=11")["plans"][0]
        args = ("config", "apply", *self.b, "--yes", "--request-id", f"e2e-{RNG.randrange(1 << 32):08x}", "--plan-hash", plan["plan_hash"])
        applies = self.applies("host-b")
        first = self.js(*args, "NUM_OF_VFS=11")
        second = self.js(*args, "NUM_OF_VFS=11")  # with a newer fencing token
        self.assertIs(first["results"][0].pop("repeated_request"), False)
        self.assertIs(second["results"][0].pop("repeated_request"), True)
        self.assertIn("before", second["results"][0].pop("result"))
        first["results"][0].pop("result")
        self.assertEqual(first, second)
        self.assertEqual(self.applies("host-b"), applies + 1)

    def test_a_request_id_is_not_for_another_request(self):
        self.will_change()
        args = ("--yes", "--request-id", f"e2e-{RNG.randrange(1 << 32):08x}")
        self.ok("config", "apply", *self.b, *args, "NUM_OF_VFS=12")
        self.assertIn("ALREADY_EXISTS", self.refused(6, "config", "apply", *self.b, *args, "NUM_OF_VFS=14"))
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "12")

    def test_a_stale_fence_is_refused(self):
        self.will_change()
        newest = time.time_ns()
        self.ok("config", "apply", *self.b, "--yes", "--election", str(newest), "NUM_OF_VFS=15")
        err = self.refused(5, "config", "apply", *self.b, "--yes", "--election", str(newest - 1), "NUM_OF_VFS=16")
        self.assertIn("fence", err)
        self.assertIn(str(newest), err)
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "15")

    def test_without_yes_and_without_a_terminal_nothing_changes(self):
        self.refused(2, "config", "apply", *self.b, "NUM_OF_VFS=3")
        self.refused(2, "config", "reset", *self.b, "NUM_OF_VFS")
        self.assertEqual(self.names()["NUM_OF_VFS"]["stored"], "0")

    # ---- registers and commands

    def test_reg_get_mgir_is_the_profile(self):
        for host in self.hosts:
            for a in host.adapters:
                out = self.js("reg", "get", "-t", host.name, "-d", a.pci, "MGIR")
                f = {x["field"]: x["value"] for x in out["fields"]}
                major, minor, sub = a.firmware
                self.assertEqual(f["fw_info.psid"], a.psid)
                self.assertEqual([int(f["fw_info.extended_" + k], 0) for k in ("major", "minor", "sub_minor")], [major, minor, sub])
                self.assertEqual(int(f["fw_info.sub_minor"], 0), sub & 0xFF)
                self.assertEqual(int(f["hw_info.manufacturing_base_mac_47_32"], 0), int.from_bytes(a.mac[:2], "big"))
                self.assertEqual(int(f["hw_info.manufacturing_base_mac_31_0"], 0), int.from_bytes(a.mac[2:], "big"))
                self.assertEqual(int(f["hw_info.hw_dev_id"], 0), 0x218 if a.pci == NIC0 else 0x212)
                (answer,) = out["answers"]
                self.assertEqual((answer["stage"], answer["status"], answer["syndrome"]), ("executed", "OK", "0x0"))

    def test_cmd_by_name_and_by_number_say_the_same(self):
        a = self.hosts[1].adapters[0]
        by_name, by_number = self.js("cmd", *self.b, "QUERY_ADAPTER"), self.js("cmd", *self.b, "0x101")
        self.assertEqual(by_name, by_number)
        self.assertEqual(by_name["answers"][0]["command"], "QUERY_ADAPTER")
        self.assertIn(a.psid, [f["value"] for f in by_name["fields"]])
        raw = bytes.fromhex("".join(r["bytes"] for r in by_name["outbox"]))
        self.assertEqual(raw[0], 0)
        self.assertIn(a.psid.encode(), raw)

    def test_cmd_with_a_whole_inbox(self):
        out = self.js("cmd", *self.b, "QUERY_ADAPTER", "--in", "0101" + "00" * 14)
        self.assertEqual(out, self.js("cmd", *self.b, "QUERY_ADAPTER"))

    def test_show_request_tells_what_the_card_got(self):
        out = self.js("cmd", *self.b, "QUERY_ADAPTER", "--op-mod", "0", "--show-request")
        self.assertEqual({r["field"]: (r["value"], r["meaning"]) for r in out["request"]}["inbox.opcode"], ("0x101", "QUERY_ADAPTER"))
        out = self.js("reg", "get", *self.b, "PPCNT", "local_port=1", "grp=1", "--show-request")
        got = {r["field"]: r["value"] for r in out["request"]}
        self.assertEqual((got["inbox.opcode"], got["inbox.register_id"], got["inbox.op_mod"]), ("0x805", "0x5008", "0x1"))
        self.assertEqual((got["local_port"], got["grp"]), ("1", "1"))
        self.assertNotIn("request", self.js("reg", "get", *self.b, "PPCNT", "local_port=1", "grp=1"))

    def test_viewer_is_refused_by_a_named_rule(self):
        before = self.counters("host-b")
        for args in (("cmd", *self.b, "QUERY_ADAPTER"), ("reg", "get", *self.b, "MGIR")):
            err = self.refused(5, *args, who="viewer")
            self.assertIn("PERMISSION_DENIED", err)
            self.assertIn("viewers-observe", err)
            self.assertIn("spiffe://e2e.test/viewer/vic", err)
        err = self.refused(5, "config", "apply", *self.b, "--yes", "--plan-hash", "0" * 64, "NUM_OF_VFS=3", who="viewer")
        self.assertIn("viewers-observe", err)
        after = self.counters("host-b")
        self.assertEqual(after["denied"], before["denied"] + 3)
        self.assertEqual(after["commands"], before["commands"])

    def test_viewer_may_look(self):
        self.assertEqual(len(self.js("device", "list", who="viewer")["devices"]), 6)
        self.assertEqual(self.names(who="viewer"), self.names())

    def test_whoami_and_probe_agree_with_what_happens(self):
        me = self.js("agent", "whoami", "-t", "host-b", who="viewer")["identities"][0]
        self.assertEqual(me["principal"], "spiffe://e2e.test/viewer/vic")
        probe = ("authz", "probe", "-t", "host-b", "--method", "/hawser.v1.ConfigService/Apply", "--effect", "config-next-reset")
        self.assertIn("operators-configure", self.ok(*probe).out)
        self.assertIn(" no ", self.ok(*probe, "--principal", me["principal"]).out)

    def test_rules_select_devices_by_part_and_psid(self):
        """The agent goes by what its cards say; what a question says of a card is for cards it does not have."""
        devices = self.js("device", "list", "-t", "host-b")["devices"]
        part, psid = devices[0]["part_number"], devices[0]["psid"]
        rules = "".join(
            f"  - name: {name}\n    principals: [spiffe://e2e.test/{name}/]\n    methods: [config.get]\n    devices: [\"{selector}\"]\n    max_effect: read\n"
            for name, selector in (("of-part", f"part:{part}"), ("of-family", f"part:{part[:4]}*"), ("of-psid", f"psid:{psid}"), ("of-others", "part:ZZZ*"))
        )
        with open(self.hosts[1].policy) as f:
            before = f.read()

        def enforce(policy):
            with open(self.hosts[1].policy, "w") as f:
                f.write(policy)
            self.ok("agent", "reload", "-t", "host-b")

        self.addCleanup(enforce, before)
        enforce(before + rules)

        def may(name, device, *more):
            return self.js("authz", "probe", "-t", "host-b", "--principal", f"spiffe://e2e.test/{name}/x", "--method", "/hawser.v1.ConfigService/Get",
                           "--effect", "read", "--device", device, *more)["answers"][0]["allowed"]

        for d in devices:
            self.assertEqual(may("of-part", d["id"]), d["part_number"] == part, d)
            self.assertEqual(may("of-family", d["id"]), d["part_number"].startswith(part[:4]), d)
            self.assertEqual(may("of-psid", d["id"]), d["psid"] == psid, d)
            self.assertFalse(may("of-others", d["id"], "--part", "ZZZ1"))
        self.assertTrue(may("of-others", "mlx5:FAR@0000:ff:00.0", "--part", "ZZZ1"))
        self.assertFalse(may("of-others", "mlx5:FAR@0000:ff:00.0"))

    # ---- dump

    def test_dump_arrives_whole_and_says_what_it_is(self):
        a = self.hosts[1].adapters[0]
        path = os.path.join(self.root, "registers.jsonl")
        r = self.js("dump", "pull", *self.b, "--source", "registers", path)
        with open(path, "rb") as f:
            data = f.read()
        self.assertEqual(r["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(int(r["bytes"]), len(data))
        self.assertEqual(r["device"], a.id)
        self.assertEqual(r["firmware_version"], a.version)
        self.assertFalse(os.path.exists(path + ".part"))
        lines = [json.loads(line) for line in data.decode().splitlines()]
        self.assertEqual(lines[0]["device"], a.id)
        self.assertEqual(lines[0]["firmware"], a.version)
        self.assertGreater(len(lines), 10)
        (mgir,) = [x for x in lines if x.get("register") == "MGIR"]
        self.assertIn({"name": "fw_info.psid", "value": a.psid}, mgir["fields"])

    def test_dump_goes_on_after_a_lost_connection(self):
        path = os.path.join(self.root, "resumed.jsonl")
        with Relay(self.hosts[1].address, cut=("agent", 20000)) as relay:  # past the handshake and the manifest, short of the end
            r = self.js("dump", "pull", "-t", relay.address, "-d", NIC0, path)
        self.assertEqual(relay.n_connections, 2)
        with open(path, "rb") as f:
            self.assertEqual(r["sha256"], hashlib.sha256(f.read()).hexdigest())

    def test_dump_sources_names_the_default(self):
        self.assertIn("registers", [s["name"] for s in self.js("dump", "sources", *self.b)["sources"]])

    # ---- audit

    def test_audit_has_allowed_and_denied_with_the_rule(self):
        self.will_change()
        self.refused(5, "cmd", *self.b, "QUERY_ADAPTER", who="viewer")
        plan = self.js("config", "plan", *self.b, "NUM_OF_VFS=13")["plans"][0]
        self.ok("config", "apply", *self.b, "--yes", "--plan-hash", plan["plan_hash"], "--reason", "because of e2e", "NUM_OF_VFS=13")
        rows = self.audit("host-b", 200)
        a = self.hosts[1].adapters[0]
        denied = [r for r in rows if r["phase"] == "denied"][-1]
        self.assertEqual(denied["principal"], "spiffe://e2e.test/viewer/vic")
        self.assertEqual(denied["method"], "CommandService/Execute")
        self.assertIn("rule viewers-observe", denied["detail"])
        self.assertEqual(denied["code"], "PERMISSION_DENIED")
        intent = [r for r in rows if r["phase"] == "intent" and r["method"] == "ConfigService/Apply"][-1]
        self.assertEqual(intent["rule"], "operators-configure")
        self.assertEqual(intent["principal"], "spiffe://e2e.test/operator/olga")
        self.assertEqual(intent["device"], a.id)
        self.assertIn("NUM_OF_VFS=13", intent["detail"])
        self.assertIn("because of e2e", intent["detail"])
        (outcome,) = [r for r in rows if r["phase"] == "outcome" and r["intent_seq"] == intent["seq"]]
        self.assertEqual(outcome["code"], "OK")
        read = [r for r in rows if r["phase"] == "read" and r["method"] == "ConfigService/Plan"][-1]
        self.assertEqual(read["rule"], "operators-observe")
        self.assertEqual([r["seq"] for r in rows], list(range(rows[0]["seq"], rows[0]["seq"] + len(rows))))

    def test_audit_as_text(self):
        text = self.ok("audit", "tail", "-t", "host-b", "--last", "5").out
        for column in ("SEQ", "TIME", "PHASE", "PRINCIPAL", "METHOD", "DEVICE", "CODE", "RULE", "DETAIL"):
            self.assertIn(column, text.splitlines()[0])
        self.assertEqual(len(text.splitlines()), 6)

    def follow(self, *args):
        run = subprocess.Popen([os.path.join(BIN, "hawser"), *args], env=self.cli_env(self.operator), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (run.kill(), run.wait(), run.stdout.close(), run.stderr.close()))
        return run

    def test_audit_is_followed(self):
        run = self.follow("audit", "tail", "-t", "host-b", "--last", "1", "--follow", "-o", "json")
        self.assertEqual(json.loads(run.stdout.readline())["method"], "AuditService/Tail")
        self.refused(5, "cmd", *self.b, "QUERY_ADAPTER", who="viewer")
        row = json.loads(run.stdout.readline())
        while row["phase"] != "denied":
            row = json.loads(run.stdout.readline())
        self.assertEqual(row["principal"], "spiffe://e2e.test/viewer/vic")
        run.send_signal(signal.SIGINT)
        self.assertIn(run.wait(10), (0, -signal.SIGINT), run.stderr.read())

    def test_devices_are_watched(self):
        run = self.follow("device", "watch", "-t", "host-c", "-o", "json")
        first = [json.loads(run.stdout.readline()) for _ in range(2)]
        c = self.hosts[2]
        self.assertEqual({r["serial"] for r in first}, {a.serial for a in c.adapters})
        os.kill(c.pids()["hawser-emu"][0], signal.SIGKILL)
        seen = set()
        while not {"gone", "ready"} <= seen:
            row = json.loads(run.stdout.readline())
            seen.add(row["state"])
        run.send_signal(signal.SIGINT)
        self.assertIn(run.wait(10), (0, -signal.SIGINT), run.stderr.read())

    def test_audit_is_not_for_the_viewer(self):
        self.assertIn("viewers-observe", self.refused(5, "audit", "tail", "-t", "host-b", who="viewer"))
