"""Every shipped profile, as six adapters of one machine."""
import json
import os

import bed
import vendor
from cases import tools

PROFILES = tuple(sorted(os.listdir(f"{bed.TOP}/agent/emu/profiles")))
# mstconfig shows these of a BlueField only while its CPU is the card's own.
HIDDEN = "INTERNAL_CPU_PAGE_SUPPLIER INTERNAL_CPU_ESWITCH_MANAGER INTERNAL_CPU_IB_VPORT0 INTERNAL_CPU_OFFLOAD_ENGINE".split()


class Profiles(bed.Boot):
    scenario = "profiles"
    profiles = PROFILES
    cost = 60

    def each(self, judge):
        for number, adapter in enumerate(self.adapters):
            with self.subTest(profile=PROFILES[number]):
                judge(f"0000:{number + 1:02x}:00.0", adapter)

    def test_driver_probes_every_profile(self):
        self.ok("node")
        self.each(lambda pci, adapter: self.judge_identity(vendor.register(self.ok(f"mgir_{pci}")), adapter))

    def test_mstconfig_lists_every_profiles_parameters(self):
        def judge(pci, adapter):
            shown, wanted = vendor.numbers(self.ok(f"query_{pci}")), adapter.parameters()
            self.assertEqual(set(wanted) - set(shown) - set(tools.HIDDEN) - set(HIDDEN), set())
            self.assertEqual({n: shown[n] for n in wanted if n in shown}, {n: v for n, v in wanted.items() if n in shown})

        self.each(judge)

    def test_mstlink_shows_every_profiles_port(self):
        def judge(pci, adapter):
            rows = vendor.link(self.ok(f"link_{pci}"))
            self.assertEqual((rows["State"], rows["Speed"]), ("Active", adapter.speed))

        self.each(judge)

    def test_our_agent_lists_every_one(self):
        self.ok("agent")
        rows = {r["pci_address"]: (r["serial"], r["state"]) for r in json.loads(self.ok("devices"))["devices"]}
        self.assertEqual(rows, {f"0000:{n + 1:02x}:00.0": (a.serial, "ready") for n, a in enumerate(self.adapters)})

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
