"""Firmware that refuses, firmware that never answers, firmware that dies and comes back."""
import json

import bed
import vendor


def judge_unanswered(boot, name):
    """Who is first to say so is the agent ("its outcome is UNKNOWN"), or on a slow machine the other end's clock."""
    boot.assertIn("DEADLINE_EXCEEDED", boot.report.output(name))


class Fault(bed.Boot):
    """The registers are such as the driver itself has no use for."""

    scenario = "fault"
    syndrome = bed.RNG.randrange(1, 1 << 32)
    cost = 90
    faults = (f"register: MTRC_CTRL, action: status, repeat: 0, status: BAD_PARAM, syndrome: 0x{syndrome:x}",
              "register: MROQ, action: drop, countdown: 1, repeat: 1",
              "register: MPEIN, action: drop_event, countdown: 1, repeat: 1")

    @classmethod
    def host_late(cls, guest):
        cls.cards.tell("late", "0")

    def test_refused_command_shows_status_and_syndrome(self):
        self.ok("agent")
        self.assertIn(f"status 0x3, syndrome 0x{self.syndrome:x}", self.report.output("refused"))
        self.assertNotEqual(self.report.status("tool_refused"), 0)

    def test_command_without_an_answer_ends_unknown_on_time(self):
        judge_unanswered(self, "hang")
        self.assertLess(int(self.ok("hang_seconds")), 10)
        self.assertEqual(json.loads(self.ok("stuck"))["devices"][0]["state"], "stuck")

    def test_agent_serves_on_while_the_kernel_waits(self):
        self.ok("waiting")
        self.ok("meanwhile")
        self.assertIn("stuck in the kernel since", self.report.output("refused_meanwhile"))
        row = json.loads(self.ok("stuck_meanwhile"))["devices"][0]
        self.assertEqual(row["state"], "stuck")
        self.assertIn("reset the card or reload its driver", row["state_reason"])

    def test_adapter_serves_after_the_kernel_has_given_up(self):
        self.ok("given_up")
        self.assertGreater(int(self.ok("given_up_seconds")), 50)
        self.ok("back")
        self.ok("after")

    def test_lost_event_is_a_lost_command_for_the_kernel_also_when_the_entry_is_back(self):
        self.ok("lost_event_ended")
        self.assertNotEqual(int(self.ok("lost_event_status")), 0)
        self.assertGreater(int(self.ok("lost_event_seconds")), 50)
        self.assertEqual(self.ok("dmesg").count("Will cause a leak of a command resource"), 2)

    def test_late_answers_free_the_slots(self):
        self.ok("late")

    def test_driver_complains_about_the_planted_faults_only(self):
        self.judge_log()


class Killed(bed.Boot):
    scenario = "killed"
    profiles = ("connectx7.yaml", "connectx6dx.yaml")
    faults = ("register: MROQ, action: drop, countdown: 1, repeat: 1",)
    cost = 90

    @classmethod
    def host_late(cls, guest):
        cls.cards.tell("late", "0")
        cls.cards.tell("late", "1")

    def test_adopted_device_process_is_seen_to_linger_as_one_of_ours_is(self):
        for name in ("boss_killed", "boss_back", "adopted", "adopted_pid"):
            self.ok(name)
        judge_unanswered(self, "hang2")
        for name in ("waiting2", "killed2", "replaced2", "other2", "still_waiting2", "given_up2", "returned2"):
            self.ok(name)
        self.assertNotEqual(self.report.status("same2"), 0)
        self.assertIn("stuck in the kernel since", self.report.output("same2"))

    def test_killed_device_process_is_replaced_while_the_kernel_keeps_a_thread_of_it(self):
        self.ok("agent")
        judge_unanswered(self, "hang")
        for name in ("waiting", "killed", "replaced", "other", "still_waiting", "left_behind"):
            self.ok(name)

    def test_its_adapter_takes_nothing_until_the_kernel_has_returned_the_command(self):
        self.assertNotEqual(self.report.status("same"), 0)
        self.assertIn("stuck in the kernel since", self.report.output("same"))
        for name in ("given_up", "returned", "after", "late"):
            self.ok(name)

    def test_driver_complains_about_the_planted_faults_only(self):
        self.judge_log()


class Health(bed.Boot):
    scenario = "health"
    cost = 60
    syndrome = bed.RNG.choice((1, 7, 8, 9, 0xa, 0x10))

    @classmethod
    def host_hang(cls, guest):
        cls.cards.tell("hang", "0")

    @classmethod
    def host_warn(cls, guest):
        cls.cards.tell("health", "0", str(cls.syndrome))

    @classmethod
    def host_calm(cls, guest):
        cls.cards.tell("resume", "0")

    @classmethod
    def host_die(cls, guest):
        cls.cards.tell("fatal", "0", str(cls.syndrome))

    def test_firmware_that_stands_still_is_missed_and_serves_again_when_it_goes_on(self):
        self.ok("missed")
        judge_unanswered(self, "unanswered")
        self.ok("waiting")
        self.ok("awake")
        self.assertEqual(vendor.our_register(self.ok("after_hang"))["psid"], self.adapters[0].psid)
        self.assertEqual(self.ok("dmesg").count("reached miss count"), 1)

    def test_syndrome_alone_is_reported_and_commands_go_on(self):
        self.ok("reported")
        self.ok("still")
        self.assertIn(f"synd 0x{self.syndrome:x}: ", self.ok("dmesg"))

    def test_fatal_health_takes_the_node_away(self):
        self.ok("gone")

    def test_driver_resets_the_firmware_and_recovers(self):
        self.ok("recovered")
        self.assertIn("Issuing FW Reset", self.ok("dmesg"))

    def test_agent_and_tools_see_the_card_again(self):
        self.ok("back")
        self.assertEqual(vendor.our_register(self.ok("after"))["psid"], self.adapters[0].psid)
        self.judge_identity(vendor.register(self.ok("tool_after")), self.adapters[0])

    def test_a_firmware_reset_makes_the_stored_values_run(self):
        ours = str(self.values["OUR_VFS"])
        row = vendor.our_values(self.ok("our_get"))["NUM_OF_VFS"]
        self.assertEqual((row["running"], row["pending"]), (ours, False))
        self.assertEqual(vendor.images(self.ok("tool_images"), "NUM_OF_VFS"), ("0", ours, ours))

    def test_driver_complains_about_the_planted_faults_only(self):
        self.judge_log()
