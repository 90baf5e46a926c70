"""The driver probes one adapter; the vendor's tools and our agent read and set it in turn, also after a power cycle."""
import json
import re

import bed
import vendor


# Parameters of the profile that mstconfig does not list: bits that it sets by itself, those that its database has under
# another name, and those that it shows only where another parameter is on, or for other cards.
HIDDEN = """
NUM_OF_PF_VALID NUM_OF_VFS_VALID NUM_VF_MSIX_VALID PF_LOG_BAR_SIZE_VALID VF_LOG_BAR_SIZE_VALID PF_NUM_OF_VF_VALUE_VALID
PF_TOTAL_SF_VALID SWP_L4_CHECKSUM IP_OVER_VXLAN_PORT MAX_ACC_OUT_READ FORCE_ETH_PCI_SUBCLASS PF_NUM_OF_VF USER_PROGRAMMABLE_CC
BOOT_DBG_LOG BOOT_RETRY_CNT UEFI_LOGS AUTO_POWER_SAVE_LINK_DOWN_P1 AUTO_POWER_SAVE_LINK_DOWN_P2 DO_NOT_CLEAR_PORT_STATS_P1
DO_NOT_CLEAR_PORT_STATS_P2 KEEP_IB_LINK_UP_P1 KEEP_IB_LINK_UP_P2 KEEP_LINK_UP_ON_BOOT_P1 KEEP_LINK_UP_ON_BOOT_P2
KEEP_LINK_UP_ON_STANDBY_P1 KEEP_LINK_UP_ON_STANDBY_P2 LLDP_NB_DCBX_P1 LLDP_NB_DCBX_P2
""".split()


class Tools(bed.Boot):
    scenario = "tools"

    def test_driver_probes_and_offers_fwctl(self):
        self.ok("node")
        self.assertEqual(self.ok("pci"), "0000:01:00.0")
        self.assertIn("firmware version: %d.%d.%d" % self.adapters[0].firmware, self.ok("dmesg"))

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()

    def test_mstreg_reads_the_identity(self):
        self.judge_identity(vendor.register(self.ok("tool_mgir")), self.adapters[0])

    def test_mstconfig_lists_the_profiles_parameters_with_their_defaults(self):
        text = self.ok("tool_query")
        self.assertEqual(re.search(r"^Name: +(.*?) *$", text, re.M)[1], self.adapters[0].part)
        self.assertEqual(re.search(r"^Description: +(.*?) *$", text, re.M)[1], self.adapters[0].product)
        shown = vendor.numbers(text)
        wanted = self.adapters[0].parameters()
        self.assertEqual(sorted(set(wanted) - set(shown)), sorted(HIDDEN))
        self.assertEqual({n: shown[n] for n in wanted if n in shown}, {n: v for n, v in wanted.items() if n in shown})

    def test_mstconfig_sets_and_reads_back(self):
        self.ok("tool_set")
        values = vendor.parameters(self.ok("tool_set_query"))
        self.assertEqual(values["NUM_OF_VFS"], str(self.values["TOOL_VFS"]))
        self.assertEqual(values["SRIOV_EN"], "True(1)")

    def test_mstconfig_tells_the_images_apart(self):
        values = vendor.images(self.ok("tool_images"), "NUM_OF_VFS")
        self.assertEqual(values, ("0", "0", str(self.values["TOOL_VFS"])))

    def test_our_agent_finds_the_adapter(self):
        self.ok("agent")
        row = json.loads(self.ok("devices"))["devices"][0]
        self.assertEqual(row["pci_address"], "0000:01:00.0")
        self.assertEqual(row["serial"], self.adapters[0].serial)
        self.assertEqual(row["backend"], "fwctl")
        self.assertFalse(row["emulated"])

    def test_register_masks_name_the_registers_that_answer(self):
        management = vendor.register(self.ok("tool_MCAM"))["mng_access_reg_cap_mask[3]"]
        for register in (0x9009, 0x900A):
            self.assertTrue(management >> (register & 31) & 1, hex(register))
        port = vendor.register(self.ok("tool_PCAM"))["port_access_reg_cap_mask[3]"]
        for register in (0x5002, 0x5004, 0x5006, 0x5008):
            self.assertTrue(port >> (register & 31) & 1, hex(register))

    def test_set_by_the_tool_is_read_by_us(self):
        row = vendor.our_values(self.ok("our_get"))["NUM_OF_VFS"]
        self.assertEqual((row["next_boot"], row["running"]), (str(self.values["TOOL_VFS"]), "0"))
        self.assertTrue(row["pending"])

    def test_set_by_us_is_read_by_the_tool(self):
        self.ok("our_set")
        values = vendor.parameters(self.ok("tool_query_ours"))
        self.assertEqual(values["NUM_OF_VFS"], str(self.values["OUR_VFS"]))
        self.assertEqual(values["SRIOV_EN"], "True(1)")
        self.assertEqual(values["CQE_COMPRESSION"], "AGGRESSIVE(1)")


class Reboot(bed.Boot):
    scenario = "reboot"
    after = Tools

    def test_stored_values_run_after_a_power_cycle(self):
        rows = vendor.our_values(self.ok("our_get"))
        for name, value in (("NUM_OF_VFS", str(self.values["OUR_VFS"])), ("SRIOV_EN", "True"), ("CQE_COMPRESSION", "AGGRESSIVE")):
            self.assertEqual((rows[name]["running"], rows[name]["pending"]), (value, False), name)
        self.assertEqual(vendor.parameters(self.ok("tool_query"))["NUM_OF_VFS"], str(self.values["OUR_VFS"]))

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
