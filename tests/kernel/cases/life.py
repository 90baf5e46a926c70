"""Adapters that come, go and come back; two of them."""
import json

import bed
import vendor


class Replug(bed.Boot):
    scenario = "replug"

    def psid(self, name):
        return vendor.our_register(self.ok(name))["psid"]

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


class Two(bed.Boot):
    scenario = "two"
    profiles = ("connectx7.yaml", "connectx6dx.yaml")

    def by_address(self):
        order = {"0000:01:00.0": self.adapters[0], "0000:02:00.0": self.adapters[1]}
        return [order[self.ok(f"pci{n}")] for n in (0, 1)]

    def test_each_node_is_its_own_adapter(self):
        self.ok("node1")
        for n, adapter in enumerate(self.by_address()):
            self.judge_identity(vendor.register(self.ok(f"mgir{n}")), adapter)

    def test_our_agent_serves_both(self):
        self.ok("agent")
        rows = {r["pci_address"]: r["serial"] for r in json.loads(self.ok("devices"))["devices"]}
        self.assertEqual(rows, {f"0000:0{n + 1}:00.0": a.serial for n, a in enumerate(self.adapters)})

    def defaults(self, card):
        of = self.adapters[card].parameters()
        self.assertEqual(of["CQE_COMPRESSION"], 0)
        return {"NUM_OF_VFS": str(of["NUM_OF_VFS"]), "SRIOV_EN": str(bool(of["SRIOV_EN"])), "CQE_COMPRESSION": "BALANCED"}

    def stored(self, name):
        """Parameter -> what runs from the next start on."""
        return {key: row["next_boot"] for key, row in vendor.our_values(self.ok(name)).items()}

    def test_mstconfig_resets_every_record(self):
        for name in ("set0", "reset0"):
            self.ok(name)
        self.assertEqual(self.stored("after0"), self.defaults(0))

    def test_mstconfig_resets_one_record(self):
        for name in ("set1", "reset1"):
            self.ok(name)
        self.assertEqual(self.stored("after1"), self.defaults(1) | {"CQE_COMPRESSION": "AGGRESSIVE"})

    def test_a_change_hits_the_adapter_it_names(self):
        self.ok("set")
        self.assertEqual(vendor.parameters(self.ok("query1"))["NUM_OF_VFS"], str(self.values["OUR_VFS"]))
        self.assertEqual(vendor.parameters(self.ok("query0"))["NUM_OF_VFS"], "0")

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
