"""What the kernel itself does with the card through devlink: the driver's restart, its updater, a firmware reset that the
driver agrees upon; and its sensors."""
import re

import bed
import mfa2
import vendor


class Devlink(bed.Boot):
    scenario = "devlink"
    cost = 60
    kernel = "pcie_ports=compat"  # without hot-plug: the driver resets no card that its port could lose meanwhile
    says = {
        r"mlxfw: Initialize firmware flash process": 2,
        r"mlxfw: Flashing component type 0": 2,
        r"mlxfw: Firmware flash failed: .*": 1,  # of the image whose digest is wrong
        r"mlxfw: Firmware flash done": 1,
        r"mlx5_sync_reset_request_event:\d+:\(pid \d+\): PCI Sync FW Update Reset Ack\. Device reset is expected\.": 1,
        r"mlx5_sync_reset_now_event:\d+:\(pid \d+\): Sync Reset now\. Device is going to reset\.": 1,
        r"mlx5_wait_for_pages:\d+:\(pid \d+\): Skipping wait for vf pages stage": 2,  # a card that was torn down has none
        r"PCI Link up": 1,
        r"Firmware responds to PCI config cycles again": 1,
    }

    @classmethod
    def draw(cls, run):
        super().draw(run)
        adapter = cls.adapters[0]
        cls.new = (28, bed.RNG.randrange(48, 90), bed.RNG.randrange(1000, 3000))  # an older one than the profile allows is refused
        cls.new_build = bed.RNG.randrange(1 << 31)
        payload = bed.RNG.randbytes(4 * bed.RNG.randrange(3000, 9000))
        cls.good = mfa2.image(adapter.hw_id, adapter.psid, cls.new, cls.new_build, payload)
        cls.bad = cls.good[:-1] + bytes([cls.good[-1] ^ 1])

    @classmethod
    def extra(cls):
        psid = cls.adapters[0].psid
        return {"lib/firmware/card.mfa2": mfa2.package(psid, cls.good), "lib/firmware/bad.mfa2": mfa2.package(psid, cls.bad)}

    def starts(self):
        return {"0000:01:00.0": self.adapters[0].starts(self.adapters[0].firmware, self.new)}

    def versions(self, name):
        """Of `devlink dev info`: (running, stored)."""
        text = self.ok(name)
        return tuple(re.search(rf"{kind}:\s+fw.version (\S+)", text)[1] for kind in ("running", "stored"))

    def test_devlink_knows_the_card(self):
        old = "%d.%d.%04d" % self.adapters[0].firmware
        self.assertEqual(self.versions("info"), (old, old))
        self.assertIn(f"fw.psid {self.adapters[0].psid}", self.ok("info"))

    def test_driver_starts_again_and_the_agent_follows(self):
        for name in ("reinit", "reinit_back"):
            self.ok(name)
        self.assertEqual(vendor.our_register(self.ok("reinit_after"))["psid"], self.adapters[0].psid)

    def test_kernels_sensors_are_the_profiles(self):
        said = dict(re.findall(r"hwmon\d+/(\w+):(.*)", self.ok("sensors")))
        seen = {said[k]: int(said[k.replace("label", "input")]) for k in said if k.endswith("label")}
        wanted = {name: celsius * 1000 for name, celsius in self.adapters[0].sensors().items() if name in ("asic", "module0")}
        self.assertEqual((seen, len(said)), (wanted, 2 * len(wanted)))

    def test_image_with_a_wrong_digest_is_refused(self):
        self.assertNotEqual(self.report.status("bad_flash"), 0)

    def test_kernels_updater_stages_an_image(self):
        self.ok("flash")
        old, new = "%d.%d.%04d" % self.adapters[0].firmware, "%d.%d.%04d" % self.new
        self.assertEqual(self.versions("flash_info"), (old, new))
        self.assertEqual(vendor.register(self.ok("flash_tool"))["component_update_state"],
                         int(vendor.our_register(self.ok("flash_ours"))["component_update_state"]))

    def test_firmware_reset_makes_it_run(self):
        for name in ("our_set", "activate", "activate_back"):
            self.ok(name)
        new = "%d.%d.%04d" % self.new
        self.assertEqual(self.versions("activate_info"), (new, new))
        fields = vendor.register(self.ok("activate_tool"))
        self.assertEqual(tuple(fields[f"extended_{n}"] for n in ("major", "minor", "sub_minor")), self.new)
        self.assertEqual(fields["build_id"], self.new_build)
        self.assertEqual(vendor.our_register(self.ok("activate_ours"))["psid"], self.adapters[0].psid)

    def test_it_was_a_warm_reset_and_stored_values_run(self):
        self.assertEqual(vendor.register(self.ok("activate_cause"))["reset_reason"], 1)
        ours = str(self.values["OUR_VFS"])
        self.assertEqual(vendor.images(self.ok("activate_images"), "NUM_OF_VFS")[1:], (ours, ours))

    def test_driver_says_what_a_reset_brings_and_no_more(self):
        self.judge_log()
