"""Three programs a host: each killed, each stopped, started twice, started on what is broken."""
import errno
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import time

from harness import SPAWNER, BIN, NIC0, NIC1, FleetCase, Host, until

PROGRAMS = ("hawserd", "hawser-wire", "hawser-emu")
RETURN_S = 1.0   # service is back by then
PATIENCE_S = 15  # ... where the machine has other work
TRIES = 4        # one of so many shall show it


def slow_host(cls, name):
    """Reads of MTMP take a while, and so does every write of a record, on the first adapter."""
    return Host(cls.root, cls.pki, name, faults={0: [
        "opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 1500, repeat: 0",
        "opcode: ACCESS_REG, register: MNVDA, access: write, action: delay, delay_ms: 600, repeat: 0"]})


class ProcessCase(FleetCase):
    def setUp(self):
        self.d = ("-t", self.host.name, "-d", NIC0)

    def begin_slow_read(self):
        before = self.commands(self.host.name)
        run = self.begin("reg", "get", *self.d, "MTMP", "sensor_index=0", "--timeout", "10s")
        until(lambda: self.counters(self.host.name)["commands"] > before, "the read is on the card")
        return run

    def kill(self, program):
        """SIGKILLs one program; the moment."""
        pids = self.host.keeper() if program == "hawserd" else self.host.pids()[program]
        self.assertEqual(len(pids), 1, self.host.pids())
        os.kill(pids[0], signal.SIGKILL)
        return time.monotonic()

    def back(self, killed, *args):
        """Calls until one succeeds; how long after the kill that one began."""
        while True:
            began = time.monotonic()
            r = self.cli(*args)
            if r.code == 0:
                return began - killed
            self.assertLess(began - killed, PATIENCE_S, r)
            self.assertIn(r.code, (7, 9), r)  # unavailable meanwhile, never wrong

    def pids(self):
        p = self.host.pids()
        p["hawserd"] = self.host.keeper()
        return p


class Killed(ProcessCase):
    @classmethod
    def make_host(cls, name):
        return slow_host(cls, name)

    def test_three_programs_run(self):
        found = self.host.pids()
        self.assertEqual(sorted(found), sorted(PROGRAMS))
        exes = {os.path.basename(os.readlink(f"/proc/{p[0]}/exe")) for p in found.values()}
        self.assertEqual(exes, set(PROGRAMS))
        shown = subprocess.run(["ps", "-e", "-o", "pid=,comm="], capture_output=True, text=True).stdout
        for name, pids in found.items():
            self.assertRegex(shown, rf"(?m)^ *{pids[0]} {name}$")
        info = {p["process"]: p for p in self.js("agent", "info", "-t", self.host.name)["processes"]}
        self.assertEqual({n: p["pid"] for n, p in info.items()}, {n: p[0] for n, p in self.pids().items()})
        self.assertTrue(all(p["connected"] for p in info.values()))

    def zombies(self):
        """Ended children of the keeper or of its spawner that nobody has taken note of."""
        parents = self.host.keeper() + self.host.processes().get(SPAWNER, [])
        shown = subprocess.run(["ps", "--ppid", ",".join(map(str, parents)), "-o", "stat="], capture_output=True, text=True).stdout
        return [x for x in shown.split() if x.startswith("Z")]

    def test_the_end_of_a_child_is_noted(self):
        for program in ("hawser-wire", "hawser-emu"):
            self.back(self.kill(program), "config", "get", *self.d, "NUM_OF_VFS")
            pid = self.host.pids()[program][0]  # this one is the keeper's own child, whoever started the one before
            self.back(self.kill(program), "config", "get", *self.d, "NUM_OF_VFS")
            until(lambda: f"process_ended name={program} pid={pid} status=0 signal=9" in self.host.log_text(), "the log says so")
        self.assertEqual(self.zombies(), [])

    def others_stay(self, program, before):
        after = self.pids()
        for name in PROGRAMS:
            if name == program:
                self.assertNotEqual(after[name], before[name])
            else:
                self.assertEqual(after[name], before[name])

    def test_wire_killed(self):
        before, run = self.pids(), self.begin_slow_read()
        killed = self.kill("hawser-wire")
        self.back(killed, "config", "get", *self.d, "NUM_OF_VFS")
        _, err = run.communicate(timeout=10)
        self.assertEqual(run.returncode, 7, err)
        self.assertIn("UNAVAILABLE", err)
        self.others_stay("hawser-wire", before)

    def follow(self, *args):
        run = subprocess.Popen([os.path.join(BIN, "hawser"), *args, "-t", self.host.name, "-o", "json"],
                               env=self.cli_env(self.operator), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (run.kill(), run.wait(), run.stdout.close(), run.stderr.close()))
        return run

    def test_followed_streams_go_on_after_a_wire_killed(self):
        tail, watch = self.follow("audit", "tail", "--last", "1", "--follow"), self.follow("device", "watch")
        seqs = [json.loads(tail.stdout.readline())["seq"]]
        first = json.loads(watch.stdout.readline())
        for _ in range(2):
            killed = self.kill("hawser-wire")
            self.back(killed, "config", "get", *self.d, "NUM_OF_VFS")
            _, resumed = json.loads(watch.stdout.readline()), json.loads(watch.stdout.readline())
            self.assertIn(resumed["serial"], {a.serial for a in self.host.adapters})
            wanted = self.audit(self.host.name, 1)[-1]["seq"]
            while seqs[-1] < wanted:
                seqs.append(json.loads(tail.stdout.readline())["seq"])
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))))  # no gap, nothing twice
        self.assertIn(first["serial"], {a.serial for a in self.host.adapters})
        for run in (tail, watch):
            run.send_signal(signal.SIGINT)
            self.assertIn(run.wait(10), (0, -signal.SIGINT))
            self.assertIn("following again", run.stderr.read())

    def test_keeper_killed(self):
        before, run = self.pids(), self.begin_slow_read()
        killed = self.kill("hawserd")
        self.back(killed, "agent", "info", "-t", self.host.name)
        _, err = run.communicate(timeout=10)
        self.assertEqual(run.returncode, 8, err)
        self.assertIn("UNAVAILABLE", err)
        self.assertIn("unknown", err)
        self.others_stay("hawserd", before)
        until(lambda: self.cli("reg", "get", *self.d, "MGIR").code == 0, "the first adapter", PATIENCE_S)

    def test_the_cards_are_served_within_a_second_of_a_kill(self):
        for program in PROGRAMS:
            until(lambda: self.cli("reg", "get", *self.d, "MGIR").code == 0, "nothing runs", PATIENCE_S)
            took = []
            while not took or (min(took) >= RETURN_S and len(took) < TRIES):
                took.append(self.back(self.kill(program), "config", "get", *self.d, "NUM_OF_VFS"))
            self.assertLess(min(took), RETURN_S, f"{program}: {took}")

    def test_emu_killed(self):
        before, run = self.pids(), self.begin_slow_read()
        killed = self.kill("hawser-emu")
        self.back(killed, "config", "get", *self.d, "NUM_OF_VFS")
        _, err = run.communicate(timeout=10)
        self.assertEqual(run.returncode, 8, err)
        self.assertIn("UNKNOWN", err)
        self.others_stay("hawser-emu", before)

    def test_emu_killed_is_a_power_cycle(self):
        self.ok("config", "apply", *self.d, "--yes", "NUM_OF_VFS=17", "SRIOV_EN=1")
        v = self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]
        self.assertEqual((v["next_boot"], v["running"], v["pending"]), ("17", "0", True))
        killed = self.kill("hawser-emu")
        self.back(killed, "config", "get", *self.d, "NUM_OF_VFS")
        v = self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]
        self.assertEqual((v["stored"], v["next_boot"], v["running"], v["pending"]), ("17", "17", "17", False))
        self.ok("config", "reset", *self.d, "--yes")

    def begin_apply(self, value, request_id):
        """A slow apply, under way: its intent is on record."""
        plan = self.js("config", "plan", *self.d, f"NUM_OF_VFS={value}")["plans"][0]
        args = ("config", "apply", *self.d, "--yes", "--request-id", request_id, "--plan-hash", plan["plan_hash"], f"NUM_OF_VFS={value}")
        run = self.begin(*args)
        until(lambda: [r for r in self.audit(self.host.name, 50) if r["request_id"] == request_id], "the intent is on record")
        return args, run

    def told_once(self, args, request_id, value):
        """Repeated until it is answered: the first answer, one effect."""
        def answered():
            r = self.cli(*args, "-o", "json")
            return r.json() if r.code == 0 else None
        again = until(answered, "the repeated request is answered", 10)
        self.assertIs(again["results"][0]["repeated_request"], True)
        self.assertEqual(again["values"][0]["stored"], str(value))
        rows = [r for r in self.audit(self.host.name) if r["request_id"] == request_id]
        self.assertEqual([r["phase"] for r in rows if r["phase"] == "intent"], ["intent"])
        ends = [r for r in self.audit(self.host.name) if r["phase"] == "outcome" and r["intent_seq"] == rows[0]["seq"]]
        self.assertEqual([r["code"] for r in ends], ["OK"])
        self.assertEqual(self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]["stored"], str(value))

    def test_wire_killed_during_an_apply_changes_nothing_about_it(self):
        for i in range(TRIES):
            value, request_id = 30 + i, f"killed-wire-{i}"
            args, run = self.begin_apply(value, request_id)
            self.kill("hawser-wire")
            _, err = run.communicate(timeout=10)
            self.assertIn(run.returncode, (0, 8), err)
            self.told_once(args, request_id, value)
            if run.returncode == 8:
                return
        self.fail("on this machine each apply was over before its kill")

    def test_keeper_killed_during_an_apply_learns_from_the_card(self):
        for i in range(TRIES):
            value, request_id = 60 + i, f"killed-keeper-apply-{i}"
            args, run = self.begin_apply(value, request_id)
            self.kill("hawserd")
            _, err = run.communicate(timeout=10)
            self.assertIn(run.returncode, (0, 8), err)
            if run.returncode == 8:
                self.learned(args, request_id, value)
                return
            self.told_once(args, request_id, value)
        self.fail("on this machine each apply was over before its kill")

    def learned(self, args, request_id, value):
        r = until(lambda: self.settled(args), "the repeated request is answered", 10)
        rows = [x for x in self.audit(self.host.name) if x["request_id"] == request_id and x["phase"] == "intent"]
        self.assertEqual(len(rows), 1)
        stored = self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]["stored"]
        if r.code == 0:  # the write had reached the card
            self.assertIs(r.json()["results"][0]["repeated_request"], True)
            self.assertEqual(stored, str(value))
        else:  # it had not: then it never does
            self.assertNotEqual(stored, str(value))

    def settled(self, args):
        r = self.cli(*args, "-o", "json")
        return r if r.code == 0 or r.code not in (6, 7, 8) or "UNFINISHED" in r.err else None

    def test_keeper_killed_after_an_apply_remembers_the_answer(self):
        args, run = self.begin_apply(20, "killed-keeper-2")
        out, err = run.communicate(timeout=10)
        self.assertEqual(run.returncode, 0, err)
        self.kill("hawserd")
        self.told_once(args, "killed-keeper-2", 20)

    def test_a_process_that_stands_still_lets_nobody_wait_past_the_deadline(self):
        for name in ("hawser-emu", "hawserd", "hawser-wire"):
            (pid,) = self.pids()[name]
            os.kill(pid, signal.SIGSTOP)
            try:
                r = self.timed(0.6, "config", "get", *self.d, "NUM_OF_VFS", "--timeout", "600ms")
                self.assertEqual(r.code, 7 if name == "hawser-wire" else 8, r)  # 7: it surely was not sent
                self.assertEqual(r.out, "")
                if name == "hawser-emu":  # who needs no card is served meanwhile
                    self.ok("agent", "info", "-t", self.host.name)
            finally:
                os.kill(pid, signal.SIGCONT)
            until(lambda: self.cli("config", "get", *self.d, "NUM_OF_VFS").code == 0, f"{name} goes on")
            self.assertEqual(self.pids()[name], [pid])

    def pulled(self, path, run):
        out, err = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 0, err)
        with open(path, "rb") as f:
            self.assertEqual(json.loads(out)["sha256"], hashlib.sha256(f.read()).hexdigest())
        self.assertFalse(os.path.exists(path + ".part"))

    def test_a_dump_shows_its_progress_on_a_terminal(self):
        path = os.path.join(self.root, "shown.jsonl")
        terminal, theirs = pty.openpty()
        with os.fdopen(terminal, "rb", buffering=0) as shown:
            run = subprocess.Popen([os.path.join(BIN, "hawser"), "dump", "pull", *self.d, path, "-o", "json"], env=self.cli_env(self.operator),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, text=True)
            os.close(theirs)
            seen = b""
            try:
                while chunk := shown.read(4096):
                    seen += chunk
            except OSError:
                pass  # the other end is closed
            self.pulled(path, run)
        self.assertIn(b"shown.jsonl", seen)
        self.assertIn(b"[####", seen)
        self.assertIn(b"\r", seen)

    def test_all_three_killed_at_once(self):
        for name in PROGRAMS:
            killed = self.kill(name)
        self.back(killed, "device", "list", "-t", self.host.name)
        until(lambda: self.cli("config", "get", *self.d, "NUM_OF_VFS").code == 0, "the card", 5)
        self.assertEqual(sorted(self.host.pids()), sorted(PROGRAMS))

    def test_a_wire_that_is_killed_again_and_again(self):
        for _ in range(3):
            killed = self.kill("hawser-wire")
            self.back(killed, "agent", "info", "-t", self.host.name)


class Stopped(ProcessCase):
    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        return slow_host(cls, name)

    def restart(self):
        if self.host.proc is None:
            self.host.start()
            self.write_inventory()

    def test_sigterm_ends_with_0_and_leaves_nothing(self):
        self.addCleanup(self.restart)
        self.assertEqual(self.host.stop(), 0)
        self.assertEqual(self.host.left_over, {})
        self.refused(7, "device", "list", "-t", self.host.name)
        self.ok("device", "list", "-t", "host-b")
        self.assertNotIn("unfinished=1", self.host.log_text())

    def test_sigterm_lets_a_running_call_finish(self):
        self.addCleanup(self.restart)
        run = self.begin_slow_read()
        self.assertEqual(self.host.stop(), 0)
        out, err = run.communicate(timeout=10)
        self.assertEqual(run.returncode, 0, err)
        self.assertIn("MTMP", out)

    def test_limits_of_the_configuration_reach_the_network_process(self):
        self.addCleanup(self.restart)
        with open(self.host.config) as f:
            good = f.read()
        self.addCleanup(lambda: open(self.host.config, "w").write(good))
        self.assertEqual(self.host.stop(), 0)
        with open(self.host.config, "a") as f:
            f.write("limits: {max_conns: 300, reset_burst: 120}\n")
        self.restart()
        self.addCleanup(self.host.stop)
        self.ok("device", "list", "-t", self.host.name)
        with open(f"/proc/{self.host.pids()['hawser-wire'][0]}/cmdline") as f:
            self.assertIn("--limit\0max_conns=300\0--limit\0reset_burst=120\0", f.read())

    def test_what_was_set_and_answered_survives_a_restart(self):
        self.addCleanup(self.restart)
        plan = self.js("config", "plan", *self.d, "NUM_OF_VFS=27")["plans"][0]
        args = ("config", "apply", *self.d, "--yes", "--request-id", "restart-1", "--plan-hash", plan["plan_hash"], "NUM_OF_VFS=27")
        self.ok(*args)
        rows = self.audit(self.host.name)
        self.assertEqual(self.host.stop(), 0)
        self.restart()
        self.assertIs(self.js(*args)["results"][0]["repeated_request"], True)
        v = self.js("config", "get", *self.d, "NUM_OF_VFS")["values"][0]
        self.assertEqual((v["stored"], v["running"]), ("27", "27"))
        self.assertEqual(self.audit(self.host.name)[: len(rows)], rows)

    def test_a_second_agent_on_the_same_folder_says_why_it_does_not_start(self):
        before = self.pids()
        p = subprocess.run([os.path.join(BIN, "hawserd"), "--config", self.host.config], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(p.returncode, 0)
        self.assertRegex(p.stderr, "lock|already|another")
        self.assertEqual(self.pids(), before)
        self.ok("device", "list", "-t", self.host.name)

    def test_supervised_too(self):
        p = subprocess.Popen([os.path.join(BIN, "hawserd"), "--config", self.host.config, "--supervise"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            out, _ = p.communicate(timeout=10)
        finally:
            p.kill()
        self.assertNotEqual(p.returncode, 0)
        self.assertRegex(out, "lock|already|another")
        self.ok("device", "list", "-t", self.host.name)

    def test_a_device_process_that_cannot_start_is_tried_again_and_the_rest_serves(self):
        self.ok("config", "get", *self.d, "NUM_OF_VFS")
        profile = self.host.adapters[0].path
        with open(profile) as f:
            good = f.read()

        def write(text):
            with open(profile, "w") as f:
                f.write(text)
        self.addCleanup(write, good)
        write(good + "nonsense: 1\n")
        before = self.host.log_text().count("process_ended name=hawser-emu")
        self.kill("hawser-emu")
        until(lambda: self.host.log_text().count("process_ended name=hawser-emu") >= before + 3, "it is tried again")
        self.assertIn("nonsense", self.host.log_text())
        info = {p["process"]: p for p in self.js("agent", "info", "-t", self.host.name)["processes"]}
        self.assertIs(info["hawser-emu"]["connected"], False)
        self.assertEqual({d["state"] for d in self.js("device", "list", "-t", self.host.name)["devices"]}, {"gone"})
        for args in (("config", "get", *self.d, "NUM_OF_VFS"), ("cmd", *self.d, "QUERY_ADAPTER"),
                     ("config", "apply", *self.d, "--yes", "NUM_OF_VFS=3")):
            err = self.refused(7, *args)
            self.assertIn("UNAVAILABLE", err)
            self.assertIn("gone", err)
        write(good)
        until(lambda: self.cli("config", "get", *self.d, "NUM_OF_VFS").code == 0, "mended, it comes back")

    def broken(self, text, pattern, *args):
        path = os.path.join(self.root, "broken.yaml")
        with open(path, "w") as f:
            f.write(text)
        p = subprocess.run([os.path.join(BIN, "hawserd"), "--config", path, *args], capture_output=True, text=True, timeout=20)
        self.assertNotEqual(p.returncode, 0, p)
        self.assertEqual(p.stdout, "")
        self.assertRegex(p.stderr, pattern)

    def test_a_bad_configuration_is_refused_with_its_line(self):
        with open(self.host.config) as f:
            good = f.read()
        self.broken(good + "nonsense: 1\n", r"broken\.yaml:\d+: .*nonsense")
        self.broken(good.replace("policy: policy.yaml", "policy: nowhere.yaml"), "nowhere.yaml", "--check")
        self.broken(good + "limits: {max_conns: 1}\n", r"broken\.yaml:\d+: limits: max_conns is \"1\"; allowed are 8\.\.65536 \(default 256\)")
        good = good.replace("policy: ", f"policy: {self.host.dir}/").replace("nic0", f"{self.host.dir}/nic0").replace("nic1", f"{self.host.dir}/nic1")
        self.broken(good, "warrants.trust", "--check")
        self.broken(good.replace("memory: used", "memory: state/used"), r"broken\.yaml:\d+: warrants must lie outside")
        good = good.replace("keys/trust", f"{self.host.dir}/keys/trust")
        for key, value in (("crl", "no.crl"), ("deny", "no.deny"), ("trust", "{other.test: no.crt}")):
            self.broken(good.replace("tls: {", f"tls: {{{key}: {value}, "), rf"tls\.{key}.*no\.", "--check")
        self.broken(good + "user: no-such-user\n", "no-such-user", "--check")
        self.broken("host: [\n", r"broken\.yaml:\d+")
        self.broken("", "broken.yaml")


class Damaged(ProcessCase):
    """Databases that cannot be trusted."""

    def damage(self, change):
        self.assertEqual(self.host.stop(), 0)
        db = os.path.join(self.host.dir, "state/hawser.db")
        with open(db, "rb") as f:
            good = f.read()
        wal = db + "-wal"
        if os.path.exists(wal):
            os.rename(wal, wal + ".kept")

        def mend():
            if self.host.proc is not None:
                self.host.stop()
            with open(db, "wb") as f:
                f.write(good)
            if os.path.exists(wal + ".kept"):
                os.rename(wal + ".kept", wal)
            self.host.start()
            self.write_inventory()
            self.assertEqual(self.js("agent", "info", "-t", self.host.name)["agents"][0]["state"], "serving")
        self.addCleanup(mend)
        change(db)
        self.host.start()
        self.write_inventory()

    def safe(self, *words):
        agent = self.js("agent", "info", "-t", self.host.name)["agents"][0]
        self.assertEqual(agent["state"], "safe")
        self.ok("device", "list", "-t", self.host.name)
        self.ok("config", "get", *self.d, "NUM_OF_VFS")
        before = self.js("config", "get", *self.d, "NUM_OF_VFS")
        err = self.refused(6, "config", "apply", *self.d, "--yes", "NUM_OF_VFS=3")
        for text in (agent["state_reason"], err):
            for word in words:
                self.assertIn(word, text)
        self.assertIn("safe", err)
        self.refused(6, "config", "reset", *self.d, "--yes")
        self.assertEqual(self.js("config", "get", *self.d, "NUM_OF_VFS"), before)

    def test_a_corrupt_database_takes_no_changes(self):
        def change(db):
            with open(db, "r+b") as f:
                f.write(b"no database at all" * 64)
        self.damage(change)
        self.safe("hawser.db", "restore")

    def test_a_missing_database_of_an_enrolled_host_takes_no_changes(self):
        self.damage(os.unlink)
        self.safe("missing", "restore", "enrolled")

    def test_an_edited_audit_record_is_noticed(self):
        self.refused(5, "cmd", *self.d, "QUERY_ADAPTER", who="viewer")

        def change(db):
            with open(db, "rb") as f:
                data = f.read()
            self.assertIn(b"viewer/vic", data)
            with open(db, "wb") as f:
                f.write(data.replace(b"viewer/vic", b"viewer/vik"))
        self.damage(change)
        self.safe("audit", "restore")


class Policy(ProcessCase):
    HOSTS = ("host-a",)

    def setUp(self):
        super().setUp()
        with open(self.host.policy) as f:
            good = f.read()
        self.good = good
        self.addCleanup(lambda: (self.write(good), self.ok("agent", "reload", "-t", self.host.name)))

    def write(self, text):
        with open(self.host.policy, "w") as f:
            f.write(text)

    def hash(self):
        return self.js("agent", "info", "-t", self.host.name)["agents"][0]["policy_hash"]

    def without_viewers(self):
        return self.good.replace("spiffe://e2e.test/viewer/", "spiffe://e2e.test/nobody/")

    def test_reload_takes_the_new_file(self):
        self.ok("device", "list", "-t", self.host.name, who="viewer")
        old = self.hash()
        self.write(self.without_viewers())
        self.ok("agent", "reload", "-t", self.host.name)
        self.assertNotEqual(self.hash(), old)
        self.assertIn("no rule", self.refused(5, "device", "list", "-t", self.host.name, who="viewer"))

    def test_a_bad_file_is_refused_with_its_line_and_the_old_policy_stays(self):
        old = self.hash()
        lines = self.without_viewers().splitlines()
        at = next(i for i, line in enumerate(lines) if "max_effect" in line)
        lines[at] = lines[at].split(":")[0] + ": everything"
        self.write("\n".join(lines) + "\n")
        r = self.cli("agent", "reload", "-t", self.host.name)
        self.assertIn(r.code, (3, 6), r)
        self.assertEqual(r.out, "")
        self.assertIn(f"policy.yaml:{at + 1}:", r.err)
        self.assertIn("everything", r.err)
        self.assertEqual(self.hash(), old)
        self.ok("device", "list", "-t", self.host.name, who="viewer")

    def test_a_missing_file_is_refused_and_the_old_policy_stays(self):
        old = self.hash()
        os.unlink(self.host.policy)
        self.assertNotEqual(self.cli("agent", "reload", "-t", self.host.name).code, 0)
        self.assertEqual(self.hash(), old)

    def test_reload_is_not_for_the_viewer(self):
        self.refused(5, "agent", "reload", "-t", self.host.name, who="viewer")

    def test_sighup_reloads(self):
        old = self.hash()
        self.write(self.without_viewers())
        self.host.proc.send_signal(signal.SIGHUP)
        until(lambda: self.hash() != old, "the new policy")
        self.refused(5, "device", "list", "-t", self.host.name, who="viewer")

    def test_sighup_with_a_bad_file_is_logged_and_the_old_policy_stays(self):
        old = self.hash()
        self.write("version: 1\nrules: nothing\n")
        self.host.proc.send_signal(signal.SIGHUP)
        until(lambda: re.search(r"policy_refused .*policy\.yaml:2:", self.host.log_text()), "the log says why")
        self.assertEqual(self.hash(), old)


class LocalSocket(ProcessCase):
    def local(self, *args):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HAWSER_")}
        return subprocess.run([os.path.join(BIN, "hawser"), *args, "-t", "unix:" + os.path.join(self.host.run_dir, "wire", "hawser.sock")],
                              env=env, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)

    def test_the_local_user_is_who_the_policy_says(self):
        """Root is mapped to an operator, another user is nobody."""
        p = self.local("agent", "whoami", "-o", "json")
        if os.getuid() == 0:
            self.assertEqual(p.returncode, 0, p)
            self.assertIn("spiffe://e2e.test/operator/root", p.stdout)
            p = self.local("config", "apply", "-d", NIC1, "--yes", "NUM_OF_VFS=4")
            self.assertEqual(p.returncode, 0, p)
            last = [r for r in self.audit(self.host.name) if r["phase"] == "outcome"][-1]
            self.assertEqual(last["principal"], "spiffe://e2e.test/operator/root")
            self.assertIn("unix:pid:", last["peer"])
        else:
            self.assertEqual(p.returncode, 5, p)
            self.assertIn(f"unix:uid:{os.getuid()}", p.stderr)

    def test_a_user_who_is_not_mapped_is_refused(self):
        with open(self.host.policy) as f:
            good = f.read()

        def write(text):
            with open(self.host.policy, "w") as f:
                f.write(text)
            self.ok("agent", "reload", "-t", self.host.name)
        self.addCleanup(lambda: write(good))
        write(good.replace(f'"{os.getuid()}": spiffe', '"4711": spiffe'))
        p = self.local("device", "list")
        self.assertEqual(p.returncode, 5, p)
        self.assertEqual(p.stdout, "")
        self.assertIn(f"unix:uid:{os.getuid()}", p.stderr)

    def as_nobody(self, what):
        """what() in a process of user 65534; its result, a small number."""
        for folder in (self.root, self.host.dir, self.host.run_dir, os.path.join(self.host.run_dir, "wire")):
            os.chmod(folder, 0o755)
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                code = what()
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_another_user_of_the_host(self):
        if os.getuid() != 0:
            self.skipTest("needs root to become another user")
        hawser = shutil.copy(os.path.join(BIN, "hawser"), self.root)
        said = os.path.join(self.root, "said")
        with open(said, "w") as f:
            os.chmod(said, 0o666)

        def device_list():
            with open(said, "w") as f:
                target = "unix:" + os.path.join(self.host.run_dir, "wire", "hawser.sock")
                return subprocess.run([hawser, "device", "list", "-t", target], env={}, cwd="/", stdout=f, stderr=f).returncode

        def keeper():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                return s.connect_ex(os.path.join(self.host.run_dir, "hawserd.sock"))

        self.assertEqual(self.as_nobody(device_list), 5)
        with open(said) as f:
            self.assertIn("unix:uid:65534", f.read())
        self.assertEqual(self.as_nobody(keeper), errno.EACCES)
        self.ok("device", "list", "-t", self.host.name)
