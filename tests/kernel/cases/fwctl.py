"""The kernel's fwctl at the edges of its interface, and resets of the card by the PCI core."""
import bed
import vendor

ANSWERS = {
    "info": "0", "type": "1", "uctx_caps": "4", "uid_is_given": "1", "info_flags": "EOPNOTSUPP", "other_ioctl": "ENOTTY",
    "read_scope_0": "EBADMSG", "read_scope_1": "0", "scope_4": "EOPNOTSUPP", "in_len_15": "EMSGSIZE", "out_len_15": "EMSGSIZE",
    "in_len_2m_1": "EMSGSIZE", "out_len_2m_1": "EMSGSIZE", "longer_zero": "0", "longer_tail": "E2BIG", "shorter": "EINVAL",
    "no_such_register": "status 3", "write_scope_0": "0", "opcode_scope_1": "EBADMSG", "set_diagnostic_scope_1": "EBADMSG",
    "taint_before": "0", "scope_3_without_raw_io": "EPERM", "taint_scope_3": "0", "scope_2": "0", "taint_scope_2": str(1 << 19),
    "after_unbind": "ENODEV",
}


class Fwctl(bed.Boot):
    scenario = "fwctl"
    says = {r"fwctl-probe\(\d+\): has requested full access to the physical device": 1}
    taints = True

    def test_kernel_answers_as_the_backend_believes(self):
        for name in ("asked", "unbind", "ended"):
            self.ok(name)
        said = dict(line.split(" ", 1) for line in self.ok("answers").splitlines() if " " in line)
        self.assertEqual(said, ANSWERS)

    def test_card_is_reset_in_each_way_that_the_kernel_knows(self):
        methods = self.ok("methods").split()
        self.assertEqual(methods, ["flr", "bus"])
        for method in methods:
            for name in ("reset", "bind", "back", "unbind"):
                self.ok(f"{name}_{method}")

    def test_card_serves_afterwards(self):
        for name in ("bind", "agent"):
            self.ok(name)
        self.assertEqual(vendor.our_register(self.ok("after"))["psid"], self.adapters[0].psid)

    def test_driver_has_nothing_to_complain_about(self):
        self.judge_log()
