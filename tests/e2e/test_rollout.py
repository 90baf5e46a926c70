"""Rollouts over three hosts: success, a canary that fails, a gate that does not pass, the CLI killed on the way."""
import os
import signal
import subprocess

from harness import BIN, NIC0, NIC1, RNG, FleetCase, Host, until

SYNDROME = RNG.randrange(1, 1 << 24)
HOSTS = ("host-a", "host-b", "host-c")


class Rollout(FleetCase):
    """The first adapters write slowly, so that a kill meets a write on its way; the second of host-a refuses its first."""

    HOSTS = HOSTS

    @classmethod
    def make_host(cls, name):
        faults = {0: ["opcode: ACCESS_REG, register: MNVDA, access: write, action: delay, delay_ms: 120, repeat: 0"]}
        if name == "host-a":
            faults[1] = [f"opcode: ACCESS_REG, register: MNVDA, access: write, countdown: 1, repeat: 1, action: status, "
                         f"status: BAD_SYS_STATE, syndrome: {SYNDROME:#x}"]
        return Host(cls.root, cls.pki, name, faults=faults)

    def args(self, name, value, *more, device=NIC0):
        return ("rollout", "run", "--name", name, "--device", device, "--canary", "1", "--settle", "100ms", "--yes",
                "--set", f"NUM_OF_VFS={value}", *more)

    def status(self, name):
        return self.js("rollout", "status", name)

    def stored(self, device=NIC0):
        """{host: stored NUM_OF_VFS}"""
        return {v["host"]: v["stored"] for v in self.js("config", "get", "-d", device, "NUM_OF_VFS")["values"]}

    def outcomes(self, value):
        """{host: how many applies of that value ended well}, by the audit records."""
        found = {}
        for host in HOSTS:
            rows = self.audit(host)
            mine = {r["seq"] for r in rows if r["phase"] == "intent" and r["method"] == "ConfigService/Apply"
                    and f"NUM_OF_VFS={value}" in r["detail"].split(";")[0].split()}
            found[host] = len([r for r in rows if r["phase"] == "outcome" and r["intent_seq"] in mine and r["code"] == "OK"])
        return found

    def once(self):
        return {h: 1 for h in HOSTS}

    def test_canary_then_the_rest(self):
        r = self.ok(*self.args("good", 21, "--set", "SRIOV_EN=1"))
        waves = [line.split()[:3] for line in r.err.splitlines() if line.endswith("succeeded")]
        self.assertEqual(waves[0], ["wave", "1/2", "host-a"])
        self.assertEqual(sorted(w[2] for w in waves[1:]), ["host-b", "host-c"])
        first_of_the_rest = next(i for i, line in enumerate(r.err.splitlines()) if "wave 2/2" in line)
        self.assertIn("succeeded", r.err.splitlines()[first_of_the_rest - 1])  # nobody starts before the canary is healthy
        s = self.status("good")
        self.assertEqual(s["state"], "succeeded")
        self.assertEqual(sorted((m["host"], m["wave"], m["state"], m["attempt"]) for m in s["members"]),
                         [("host-a", 1, "succeeded", 1), ("host-b", 2, "succeeded", 1), ("host-c", 2, "succeeded", 1)])
        self.assertEqual(self.stored(), {h: "21" for h in HOSTS})
        self.assertEqual(self.outcomes(21), self.once())
        self.assertIn("good", self.ok("rollout", "list").out)

    def test_a_mistyped_setting_uses_up_no_name(self):
        """What no agent knows, or allows, is refused with the agent's words before anything is applied; and the name is free."""
        for exit_code, more, words in ((4, ("--set", "NUM_OF_VF=5"), "did you mean NUM_OF_VFS"),
                                       (3, ("--set", "NUM_OF_PF=4096"), "allowed"),
                                       (4, ("-d", "0000:ff:00.0"), "no adapter 0000:ff:00.0")):
            before = self.stored()
            device = () if "-d" in more else ("-d", NIC0)
            r = self.cli("rollout", "run", "--name", "typo", "--canary", "1", "--settle", "100ms", "--yes",
                         "--set", "NUM_OF_VFS=22", *device, *more)
            self.assertEqual((r.code, r.out), (exit_code, ""), r)
            self.assertIn("rollout typo was refused before anything was applied", r.err)
            self.assertIn(words, r.err)
            self.assertNotIn("--retry", r.err)
            self.assertEqual(self.stored(), before)
            self.assertNotIn("typo", [x["name"] for x in self.js("rollout", "list")["rollouts"]])
        self.ok(*self.args("typo", 22))
        self.assertEqual(self.status("typo")["state"], "succeeded")

    def test_rollout_plan_changes_nothing(self):
        before = {h: self.applies(h) for h in HOSTS}
        r = self.ok("rollout", "plan", "--device", NIC0, "--set", "NUM_OF_VFS=22", "--canary", "1")
        for h in HOSTS:
            self.assertIn(h, r.out)
        self.assertEqual({h: self.applies(h) for h in HOSTS}, before)
        self.refused(4, "rollout", "status", "looked-at")

    def test_a_canary_that_fails_stops_it_and_the_others_are_untouched(self):
        before, applies = self.stored(NIC1), {h: self.applies(h) for h in HOSTS}
        intents = {h: len([r for r in self.audit(h) if r["phase"] == "intent"]) for h in HOSTS}
        r = self.cli(*self.args("bad", 23, device=NIC1))
        self.assertIn(r.code, (9, 11), r)
        self.assertIn("canary", r.err.splitlines()[-1])
        self.assertEqual(self.stored(NIC1), before)  # host-a put back what it had, the others were not asked
        for h in ("host-b", "host-c"):
            self.assertEqual(len([r for r in self.audit(h) if r["phase"] == "intent"]), intents[h])
            self.assertEqual(self.applies(h), applies[h])
        s = self.status("bad")
        self.assertEqual(s["state"], "stopped")
        self.assertIn("host-a", s["reason"])
        self.assertEqual({m["host"]: m["state"] for m in s["members"]},
                         {"host-a": "failed", "host-b": "pending", "host-c": "pending"})
        (cause,) = s["causes"]
        self.assertEqual(cause["host"], "host-a")
        self.assertEqual(cause["device"], self.host.adapters[1].id)
        self.assertEqual((cause["stage"], cause["fw_status"], cause["syndrome"]), ("executed", "0x4", hex(SYNDROME)))
        self.assertIn("MNVDA", cause["message"])

        # The fault is over: a retry goes through, and once.
        self.ok("rollout", "resume", "bad", "--retry")
        self.assertEqual(self.status("bad")["state"], "succeeded")
        self.assertEqual(self.stored(NIC1), {h: "23" for h in HOSTS})
        self.assertEqual(self.outcomes(23), self.once())

    def test_resume_without_retry_does_not_try_the_failed_again(self):
        self.cli(*self.args("over", 27), who="viewer")  # may plan, and not apply
        self.assertEqual(self.status("over")["state"], "stopped")
        r = self.cli("rollout", "resume", "over")
        self.assertNotEqual(r.code, 0)
        self.assertEqual(self.status("over")["state"], "stopped")

    def test_a_name_is_used_once(self):
        self.ok(*self.args("twice", 24))
        r = self.cli(*self.args("twice", 25))
        self.assertEqual(r.code, 6, r)
        self.assertEqual(self.stored(), {h: "24" for h in HOSTS})

    def test_the_gate_stops_it_when_the_canary_goes_silent(self):
        self.addCleanup(lambda: (self.host.proc is None and self.host.start(), self.write_inventory()))
        before = self.stored()
        run = self.start(*self.args("silent", 26, "--settle", "30s", "--gate-timeout", "200ms"))
        self.read_until(run, "settling")
        self.host.stop()
        out, err = run.communicate(timeout=60)
        self.assertNotEqual(run.returncode, 0, err)
        s = self.status("silent")
        self.assertIn(s["state"], ("stopped", "paused"))
        self.assertIn("host-a", s["reason"])
        self.host.start()
        self.write_inventory()
        after = self.stored()
        self.assertEqual({h: after[h] for h in ("host-b", "host-c")}, {h: before[h] for h in ("host-b", "host-c")})

    # ---- the CLI killed

    def start(self, *args):
        return subprocess.Popen([os.path.join(BIN, "hawser"), *args], env=self.cli_env(self.operator), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def read_until(self, run, *words):
        """Reads progress lines until one has all the words."""
        for line in run.stderr:
            if all(w in line for w in words):
                return line
        self.fail(f"the rollout ended before {words}: {run.wait()}")

    def killed_at(self, name, value, *words):
        run = self.start(*self.args(name, value))
        self.read_until(run, *words)
        run.send_signal(signal.SIGKILL)
        run.wait(10)
        run.stdout.close()
        run.stderr.close()
        self.assertEqual(run.returncode, -signal.SIGKILL)
        self.assertIn(self.status(name)["state"], ("running", "interrupted", "paused"))
        self.ok("rollout", "resume", name)
        s = self.status(name)
        self.assertEqual(s["state"], "succeeded")
        self.assertEqual({m["state"] for m in s["members"]}, {"succeeded"})
        self.assertEqual(self.stored(), {h: str(value) for h in HOSTS})
        self.assertEqual(self.outcomes(value), self.once())

    def test_killed_while_planning_the_canary(self):
        self.killed_at("kill-plan", 31, "host-a", "planning")

    def test_killed_while_the_canary_is_written(self):
        self.killed_at("kill-apply", 32, "host-a", "applying")

    def test_killed_while_the_canary_settles(self):
        self.killed_at("kill-settle", 33, "host-a", "settling")

    def test_killed_between_the_waves(self):
        self.killed_at("kill-between", 34, "host-a", "succeeded")

    def test_killed_while_the_rest_is_written(self):
        self.killed_at("kill-rest", 35, "wave 2/2", "applying")

    def test_killed_when_one_of_the_rest_is_done(self):
        self.killed_at("kill-late", 36, "wave 2/2", "succeeded")

    def test_interrupted_ends_what_is_in_flight_and_resumes(self):
        run = self.start(*self.args("ctrl-c", 37))
        self.read_until(run, "host-a", "applying")
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=30)
        self.assertNotEqual(run.returncode, 0, err)
        self.assertEqual(self.status("ctrl-c")["state"], "paused")
        self.ok("rollout", "resume", "ctrl-c")
        self.assertEqual(self.outcomes(37), self.once())

    def test_a_finished_rollout_has_nothing_to_resume(self):
        self.ok(*self.args("done", 38))
        before = {h: self.applies(h) for h in HOSTS}
        self.cli("rollout", "resume", "done")
        self.assertEqual({h: self.applies(h) for h in HOSTS}, before)

    def test_an_agent_killed_during_the_write_is_read_back_and_counted_once(self):
        b = self.hosts[1]
        run = self.start(*self.args("agent-kill", 39))
        self.read_until(run, "host-b", "applying")
        for pid in b.keeper():
            os.kill(pid, signal.SIGKILL)
        _, err = run.communicate(timeout=60)
        if run.returncode != 0:
            until(lambda: self.cli("device", "list", "-t", "host-b").code == 0, "host-b serves again")
            self.ok("rollout", "resume", "agent-kill", "--retry")
        self.assertEqual(self.status("agent-kill")["state"], "succeeded", err)
        self.assertEqual(self.stored(), {h: "39" for h in HOSTS})
        self.assertEqual(self.outcomes(39), self.once())
