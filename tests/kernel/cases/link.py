"""Both ports of a card in the vendor's mstlink. On a card each port has a function of its own, and mstlink asks a function for
its port 1; here the second function is the same profile with its ports the other way round."""
import re

import bed
import vendor

SPEEDS = dict(zip((1, 2), bed.RNG.sample(("50G", "100G", "200G"), 2)))  # of the card's ports
RAW_ERRORS = {port: bed.RNG.randrange(1000, 90000) for port in (1, 2)}  # corrected bits a second


class Link(bed.Boot):
    scenario = "link"
    profiles = ("connectx7.yaml", "connectx7.yaml")
    cost = 50
    functions = ("0000:01:00.0", "0000:02:00.0")

    @staticmethod
    def edit(text, number):
        head, ports, tail = re.fullmatch(r"(.*^ports:\n)(.*?)(^\S.*)", text, re.M | re.S).groups()
        ports = re.split(r"^(?=  - )", ports, flags=re.M)[1:]
        for n, port in enumerate(ports, 1):
            port = re.sub(r"( speed:) \S+", rf"\1 {SPEEDS[n]}", port)
            ports[n - 1] = re.sub(r"(corrected_bits_per_s:) \d+", rf"\1 {RAW_ERRORS[n]}", port)
        return head + "".join(ports[number:] + ports[:number]) + tail

    def rows(self, name, pci):
        return vendor.link(self.ok(f"{name}_{pci}"))

    def test_state_and_speed_of_both_ports(self):
        for port, pci in enumerate(self.functions, 1):
            with self.subTest(port=port):
                rows = self.rows("link", pci)
                self.assertEqual((rows["State"], rows["Physical state"], rows["Speed"]), ("Active", "LinkUp", SPEEDS[port]))
                self.assertEqual(rows["Recommendation"], "No issue was observed")
                self.assertEqual(rows["Firmware Version"], "%d.%d.%d" % self.adapters[port - 1].firmware)

    def test_counters_of_both_ports_move_as_our_agent_reads_them(self):
        for port, pci in enumerate(self.functions, 1):
            with self.subTest(port=port):
                lanes = [int(n) for n in self.rows("counters", pci)["Raw Physical Errors Per Lane"].split(",")]
                before, after = (vendor.our_fields(self.ok(f"{when}_{pci}")) for when in ("before", "after"))
                for lane, seen in enumerate(lanes):
                    first, last = (int(f[f"phy_raw_errors_lane{lane}"]) for f in (before, after))
                    self.assertLess(first, last)
                    self.assertTrue(first <= seen <= last, (lane, first, seen, last))

    def test_a_function_has_port_1_alone(self):
        """As on every such card: mstlink sends who asks for port 2 to the other function."""
        self.assertNotEqual(self.report.status("other_port"), 0)
        self.assertIn("Please Provide the Physical Device of Port 2", self.report.output("other_port"))

    def test_modules_are_the_profiles(self):
        for port, pci in enumerate(self.functions, 1):
            with self.subTest(port=port):
                rows = self.rows("module", pci)
                module = re.search(rf"^  - index: {port - 1}\n(.*?)(?=^  - |^\S)", self.adapters[port - 1].text, re.M | re.S)[1]
                for row, key in (("Vendor Serial Number", "serial"), ("Vendor Part Number", "part"),
                                 ("Transfer Distance [m]", "length_m"), ("Rev", "revision")):
                    self.assertEqual(rows[row], re.search(rf"^    {key}: (\S+)", module, re.M)[1])
        self.assertIn("unequalized", self.rows("module", self.functions[0])["Cable Technology"])

    def test_mstlink_takes_a_port_down_and_up_and_our_agent_sees_it(self):
        pci = self.functions[1]
        self.ok("set_down")
        self.assertEqual(vendor.our_fields(self.ok("ours_down"))["oper_status"], "2")
        self.assertEqual(self.rows("down", pci)["State"], "Disable")
        self.ok("set_up")
        self.assertEqual(vendor.our_fields(self.ok("ours_up"))["oper_status"], "1")
        self.assertEqual(self.rows("up", pci)["Link Down Counter"], "1")

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
