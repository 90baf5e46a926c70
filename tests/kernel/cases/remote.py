"""The whole agent in the guest, driven over mutual TLS by the command line on the host."""
import hashlib
import json
import threading
import time

import bed
import vendor


class Remote(bed.Boot):
    scenario = "remote"

    @classmethod
    def host_look(cls, guest):
        cls.cli(guest, "devices", "device", "list", "-o", "json")
        cls.cli(guest, "mgir", "reg", "get", "MGIR", "-o", "json")
        cls.cli(guest, "adapter", "cmd", "QUERY_ADAPTER", "-o", "json")
        cls.cli(guest, "stranger", "device", "list", ca="other")
        cls.cli(guest, "viewer_sees", "device", "list", "-o", "json", who="viewer-vic")
        cls.cli(guest, "viewer_sets", "config", "apply", "--yes", "SRIOV_EN=1", who="viewer-vic")

    @classmethod
    def host_set(cls, guest):
        want = (f"NUM_OF_VFS={cls.values['OUR_VFS']}", "SRIOV_EN=1", "CQE_COMPRESSION=AGGRESSIVE")
        cls.cli(guest, "plan", "config", "plan", *want, "-o", "json")
        cls.cli(guest, "apply", "config", "apply", "--yes", *want, "-o", "json")
        cls.cli(guest, "refused", "config", "apply", "--yes", "NUM_OF_VFS=9999")

    @classmethod
    def host_see(cls, guest):
        cls.cli(guest, "get", "config", "get", "NUM_OF_VFS", "SRIOV_EN", "CQE_COMPRESSION", "-o", "json")

    @classmethod
    def host_reset(cls, guest):
        cls.cli(guest, "reset", "config", "reset", "--yes", "NUM_OF_VFS", "SRIOV_EN", "-o", "json")

    @classmethod
    def host_rest(cls, guest):
        cls.dump = f"{cls.folder}/registers.jsonl"
        cls.cli(guest, "dump", "dump", "pull", "--source", "registers", cls.dump, "-o", "json")
        cls.cli(guest, "audit", "audit", "tail", "--last", "1000", "-o", "json")

    def test_host_sees_the_adapter_of_the_guest(self):
        row = self.host_json("devices")["devices"][0]
        self.assertEqual((row["pci_address"], row["serial"], row["backend"], row["emulated"]),
                         ("0000:01:00.0", self.adapters[0].serial, "fwctl", False))
        self.assertEqual(vendor.our_register(self.host("mgir"))["psid"], self.adapters[0].psid)
        self.assertIn(self.adapters[0].psid, self.host("adapter"))

    def test_certificates_and_policy_decide(self):
        self.host("viewer_sees")
        self.assertEqual(self.host_said["viewer_sets"][0], 5, self.host_said["viewer_sets"])
        self.assertEqual(self.host_said["stranger"][0], 7, self.host_said["stranger"])

    def test_set_from_the_host_is_read_by_mstconfig(self):
        self.host("plan")
        self.host("apply")
        values = vendor.parameters(self.ok("tool_sees_ours"))
        self.assertEqual((values["NUM_OF_VFS"], values["SRIOV_EN"], values["CQE_COMPRESSION"]),
                         (str(self.values["OUR_VFS"]), "True(1)", "AGGRESSIVE(1)"))

    def test_out_of_range_is_refused_before_the_card_is_asked(self):
        status, _, err = self.host_said["refused"]
        self.assertEqual(status, 3, err)
        self.assertIn("0..127", err)

    def test_set_by_mstconfig_is_read_from_the_host(self):
        self.ok("tool_set")
        rows = vendor.our_values(self.host("get"))
        self.assertEqual(rows["NUM_OF_VFS"]["next_boot"], str(self.values["TOOL_VFS"]))
        self.assertEqual(rows["CQE_COMPRESSION"]["next_boot"], "BALANCED")
        self.assertEqual(rows["SRIOV_EN"]["next_boot"], "True")

    def test_reset_from_the_host_is_read_by_mstconfig(self):
        self.host("reset")
        values = vendor.parameters(self.ok("tool_sees_reset"))
        self.assertEqual((values["NUM_OF_VFS"], values["SRIOV_EN"]), ("0", "False(0)"))

    def test_dump_is_streamed_and_verified(self):
        said = self.host_json("dump")
        with open(self.dump, "rb") as f:
            data = f.read()
        self.assertIn(hashlib.sha256(data).hexdigest(), json.dumps(said))
        self.assertIn(self.adapters[0].serial, data.split(b"\n", 1)[0].decode())

    def test_every_change_is_on_record(self):
        records = self.host_json("audit")["records"]
        changes = [r for r in records if r["phase"] == "outcome" and r["method"].startswith("ConfigService/")]
        self.assertEqual([r["method"] for r in changes], ["ConfigService/Apply", "ConfigService/Reset"])
        self.assertTrue(any(r["phase"] == "denied" and r["principal"].endswith("/viewer/vic") for r in records))

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()


class Reload(bed.Boot):
    scenario = "reload"
    N_CALLERS = 2

    @classmethod
    def host_load(cls, guest):
        """Starts callers that ask until the reloads are over."""
        cls.calls, cls.over = [], threading.Event()
        cls.callers = [threading.Thread(target=cls.ask, args=(guest, n)) for n in range(cls.N_CALLERS)]
        for caller in cls.callers:
            caller.start()

    @classmethod
    def ask(cls, guest, n):
        end = time.monotonic() + 250
        while not cls.over.is_set() and time.monotonic() < end:
            began = time.monotonic()
            status, out, err = cls.cli(guest, f"call{n}", "reg", "get", "MGIR", "-o", "json", seconds=15)
            cls.calls.append((status, time.monotonic() - began, out, err))

    @classmethod
    def host_served(cls, guest):
        """Goes on when every caller has been served again since now."""
        wanted, end = len(cls.served()) + 2 * cls.N_CALLERS, time.monotonic() + 60
        while len(cls.served()) < wanted and time.monotonic() < end:
            time.sleep(0.1)

    @classmethod
    def served(cls):
        return [c for c in cls.calls if c[0] == 0]

    @classmethod
    def host_loaded(cls, guest):
        cls.over.set()
        for caller in cls.callers:
            caller.join()

    def test_driver_reloads_under_load(self):
        for n in (1, 2, 3):
            for name in ("unload", "down", "load", "back", "again"):
                self.ok(f"{name}{n}")

    def test_every_call_ends_well_or_says_why(self):
        self.assertGreaterEqual(len(self.served()), 2 * 3 * self.N_CALLERS)  # after each of three reloads
        self.assertLess(len(self.served()), len(self.calls))  # and it was away in between
        for _, _, out, _ in self.served():
            self.assertEqual(vendor.our_register(out)["psid"], self.adapters[0].psid)
        for status, seconds, _, err in self.calls:
            self.assertLess(seconds, 15, err)
            if status != 0:  # away, or it went while the command ran
                self.assertIn(status, (8,) if "UNKNOWN" in err else (4, 6, 7, 9), err)
                self.assertEqual(len(err.strip().splitlines()), 1, err)

    def test_both_see_the_card_afterwards(self):
        self.assertEqual(vendor.our_register(self.ok("after"))["psid"], self.adapters[0].psid)
        self.judge_identity(vendor.register(self.ok("tool_after")), self.adapters[0])

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
