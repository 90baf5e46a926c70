"""Many commands from JSON lines: every line of input has exactly one line of output, whatever becomes of the connection."""
import json
import os
import signal
import subprocess

from harness import BIN, DOMAIN, NIC0, NIC1, OVERDUE, FleetCase, Host, default_policy, until

OUTCOMES = {"ok", "refused", "unknown", "not-sent", "skipped", "invalid"}


class Batch(FleetCase):
    """host-a answers; host-b's first adapter is slow at every read of MTMP, so that a batch of them can be cut in the middle."""

    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        slow = ["opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 20, countdown: 1, repeat: 100000"]
        ports = ("  - {name: operators-ports, principals: [spiffe://" + DOMAIN + "/operator/], methods: [command.execute],\n"
                 "     targets: ['PAOS:write'], fields: [local_port, admin_status, ase], max_effect: config-live}\n")
        odd = ["opcode: ACCESS_REG, register: MPEIN, action: delivery, status: 4, countdown: 1, repeat: 100000",
               "opcode: ACCESS_REG, register: MTCAP, action: status, status: 4, syndrome: 1122867, countdown: 1, repeat: 100000",
               "opcode: ACCESS_REG, register: MPCNT, action: delay, delay_ms: 3000, countdown: 1, repeat: 100000"]
        return Host(cls.root, cls.pki, name, faults={0: slow} if name == "host-b" else {1: odd}, policy=default_policy() + ports)

    def write(self, name, lines):
        path = os.path.join(self.root, name)
        with open(path, "w") as f:
            f.write("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    def answers(self, text):
        got = [json.loads(line) for line in text.splitlines()]
        self.assertLessEqual({a["outcome"] for a in got}, OUTCOMES)
        return got

    def test_each_line_has_its_outcome(self):
        adapter = next(h for h in self.hosts if h.name == "host-a").adapters[0]
        path = self.write("batch.jsonl", [
            {"tag": "a", "register": "MGIR"},
            {"tag": "b", "command": "QUERY_ADAPTER"},
            {"tag": "c", "register": "MTMP", "fields": {"sensor_index": "0"}},
            "no JSON",
            {"tag": "d", "register": "NOTHING"},
            {"tag": "e", "register": "MGIR", "command": "QUERY_ADAPTER"},
            {"tag": "f", "register": "PAOS", "write": True, "fields": {"local_port": "1"}},
            {"tag": "g", "register": "MGIR"},
        ])
        run = self.cli("cmd", "-t", "host-a", "-d", NIC0, "--batch", path)
        self.assertEqual(run.code, 11, run)
        got = self.answers(run.out)
        self.assertEqual([(a["line"], a["tag"], a["outcome"]) for a in got], [
            (1, "a", "ok"), (2, "b", "ok"), (3, "c", "ok"), (4, None, "invalid"), (5, "d", "refused"), (6, "e", "invalid"),
            (7, "f", "invalid"), (8, "g", "ok")])
        self.assertEqual(got[0]["name"], "ACCESS_REG MGIR read")
        self.assertEqual(got[1]["fields"]["query_adapter_struct.vsd_contd_psid"], adapter.psid)
        self.assertEqual(got[4]["code"], "NOT_FOUND")
        self.assertIn("give --yes", got[6]["message"])
        stopped = self.cli("cmd", "-t", "host-a", "-d", NIC0, "--stop-on-error", "--batch", path)
        self.assertEqual([a["outcome"] for a in self.answers(stopped.out)], ["ok"] * 3 + ["invalid"] + ["skipped"] * 4)
        self.ok("cmd", "-t", "host-a", "-d", NIC0, "--batch", self.write("good.jsonl", [{"register": "MGIR"}] * 20))
        for words in ([], ["QUERY_ADAPTER", "--batch", path]):
            self.assertEqual(self.cli("cmd", "-t", "host-a", "-d", NIC0, *words).code, 2)

    # ---- nothing is lost

    N = 150

    def begin_slow(self, *options):
        """A batch that is in the middle of its lines; the run."""
        path = self.write("cut.jsonl", [{"tag": str(i), "register": "MTMP", "fields": {"sensor_index": 0}} for i in range(self.N)])
        before = self.counters("host-b")["commands"]
        run = self.begin("cmd", "-t", "host-b", "-d", NIC0, "--timeout", "20s", *options, "--batch", path)
        until(lambda: self.counters("host-b")["commands"] > before + 10, "the batch runs", 60)
        return run

    def end_slow(self, run, *also):
        """Each line has its answer, in order, and what did not go well says why; the answers' outcomes."""
        out, err = run.communicate(timeout=300)
        got = self.answers(out)
        self.assertEqual([a["tag"] for a in got], [str(i) for i in range(self.N)], err)
        for a in got:
            if a["outcome"] != "ok":
                self.assertIn(a["outcome"], ("unknown", "not-sent", *also), a)
                self.assertTrue(a["message"], a)
        outcomes = [a["outcome"] for a in got]
        self.assertIn("ok", outcomes)
        if "unknown" in outcomes:
            self.assertEqual(run.returncode, 8, err)
            self.assertIn("may have run", err)
        else:
            self.assertEqual(run.returncode, 0 if set(outcomes) == {"ok"} else 11, err)
        return outcomes

    def kill(self, program):
        host = next(h for h in self.hosts if h.name == "host-b")
        for pid in host.keeper() if program == "hawserd" else host.pids()[program]:
            os.kill(pid, signal.SIGKILL)

    def test_a_broken_connection_loses_no_line(self):
        run = self.begin_slow()
        self.kill("hawser-wire")
        self.assertEqual(self.end_slow(run)[-1], "ok")  # the new one goes on

    def test_a_killed_agent_loses_no_line(self):
        run = self.begin_slow()
        self.kill("hawserd")
        self.assertEqual(self.end_slow(run)[-1], "ok")

    def test_a_killed_device_process_loses_no_line(self):
        run = self.begin_slow()
        self.kill("hawser-emu")
        self.end_slow(run, "refused")
        until(lambda: self.cli("reg", "get", "-t", "host-b", "-d", NIC0, "MGIR").code == 0, "the adapter is back", 60)

    def test_after_ctrl_c_nothing_more_is_sent_and_each_line_is_told(self):
        for _ in range(5):  # on a busy machine the last line may be on its way by then
            run = self.begin_slow()
            run.send_signal(signal.SIGINT)
            outcomes = self.end_slow(run, "skipped")
            self.assertNotIn("unknown", outcomes)  # what was sent has been waited for
            if "skipped" in outcomes:
                break
        self.assertEqual(outcomes[-1], "skipped")

    def test_with_stop_on_error_nothing_runs_after_what_is_unknown(self):
        run = self.begin_slow("--stop-on-error")
        self.kill("hawser-wire")
        outcomes = self.end_slow(run, "skipped")
        if "unknown" in outcomes:  # it may have been between two lines
            self.assertEqual(set(outcomes[outcomes.index("unknown") + 1:]), {"skipped"})

    # ---- registers

    def test_registers_are_read_and_written_by_name_and_number(self):
        d = ("-t", "host-a", "-d", NIC0)
        path = self.write("registers.jsonl", [
            {"tag": "get", "register": "PAOS", "fields": {"local_port": 1}},
            {"tag": "set", "register": "0x5006", "write": True, "fields": {"local_port": "1", "admin_status": 2, "ase": 1}},
            {"tag": "again", "register": "0x5006", "fields": {"local_port": 1}},
            {"tag": "back", "register": "PAOS", "write": True, "fields": {"local_port": 1, "admin_status": 1, "ase": 1}},
            {"tag": "bytes", "register": "MGIR", "data": "00" * 160},
            {"tag": "short", "register": "MGIR", "data": "00" * 16},
            {"tag": "field", "register": "PAOS", "fields": {"nofield": 1}},
            {"tag": "command", "command": "QUERY_ADAPTER"},
            {"tag": "mixed", "register": "PAOS", "in": "00"},
            {"tag": "list", "register": "PAOS", "fields": {"local_port": [1]}},
        ])
        run = self.cli("reg", *d, "--yes", "--batch", path)
        self.assertEqual(run.code, 11, run)
        got = {a["tag"]: a for a in self.answers(run.out)}
        self.assertEqual([got[t]["outcome"] for t in ("get", "set", "again", "back", "bytes")], ["ok"] * 5, run)
        self.assertEqual(got["set"]["name"], "ACCESS_REG PAOS write")
        self.assertEqual(got["set"]["asked"]["fields"]["admin_status"], 2)  # both ways
        self.assertEqual(got["again"]["fields"]["admin_status"], "2")
        self.assertNotEqual(got["get"]["fields"]["admin_status"], "2")
        self.assertEqual((got["field"]["outcome"], got["field"]["code"]), ("refused", "INVALID_ARGUMENT"))
        self.assertIn("nofield", got["field"]["message"])
        self.assertIn("160 bytes, not 16", got["short"]["message"])
        self.assertIn("hawser cmd", got["command"]["message"])
        self.assertIn("in: not with register", got["mixed"]["message"])
        self.assertIn("local_port: a text or a number", got["list"]["message"])
        self.assertEqual([got[t]["outcome"] for t in ("command", "mixed", "list")], ["invalid"] * 3)

    def test_a_refusal_of_the_card_is_decoded(self):
        path = self.write("refused.jsonl", [{"register": "PAOS", "fields": {"local_port": 77}}])
        (a,) = self.answers(self.cli("reg", "-t", "host-a", "-d", NIC0, "--batch", path).out)
        self.assertEqual((a["outcome"], a["stage"], a["delivery_status"]), ("refused", "executed", "ok"), a)
        self.assertNotEqual(a["status"], "OK")
        self.assertRegex(a["syndrome"], "^0x[0-9a-f]+$")
        self.assertIn(a["status"], a["message"])

    # ---- each kind of failure, decoded, as text and as JSON

    def odd_ready(self):
        """Until the odd adapter has given back what was late."""
        until(lambda: [d["state"] for d in self.js("device", "list", "-t", "host-a")["devices"] if d["pci_address"] == NIC1] == ["ready"],
              "the odd adapter is ready", 60)
        return self

    def fails(self, code, *args):
        """The failure of the JSON document of a `reg get` on host-a's odd adapter, and its whole result as text."""
        args = ("reg", "get", "-t", "host-a", "-d", NIC1, *args)
        text = self.odd_ready().cli(*args)
        js = self.odd_ready().cli(*args, "-o", "json")
        self.assertEqual((text.code, js.code), (code, code), f"{text}\n{js}")
        self.assertEqual(len(text.err.splitlines()), 1, text)
        (failure,) = js.json()["failures"]
        self.assertEqual(failure["host"], "host-a")
        self.assertIn(failure["code"], text.err)
        return failure, text, js.json()["answers"]

    def test_failures_are_decoded(self):
        f, text, answers = self.fails(9, "MTCAP")  # the firmware says no: that is an answer, too
        self.assertEqual((f["stage"], f["fw_status"], f["syndrome"]), ("executed", "0x4", "0x112233"))
        self.assertEqual([(a["stage"], a["status"], a["status_code"], a["syndrome"]) for a in answers],
                         [("executed", "BAD_SYS_STATE", 4, "0x112233")])
        self.assertRegex(text.out, r"executed +BAD_SYS_STATE +0x112233")
        self.assertIn("(status 0x4, syndrome 0x112233)", text.err)
        f, text, answers = self.fails(9, "MPEIN", "pcie_index=0")  # the card does not take the entry
        self.assertEqual((f["stage"], f["delivery_status"]), ("rejected", "0x4"))
        self.assertEqual([(a["stage"], a["delivery_status"]) for a in answers], [("rejected", 4)])
        self.assertIn(answers[0]["delivery_status_name"], text.err)
        self.assertIn("rejected", text.out)
        f, text, answers = self.fails(8, "MPCNT", "grp=0", "--timeout", "1s")  # no answer in time
        self.assertEqual((f["code"], answers, text.out), ("DEADLINE_EXCEEDED", [], ""))
        self.assertRegex(f["message"], OVERDUE)
        if "UNKNOWN" in f["message"]:
            self.assertEqual(f["stage"], "unknown")
        self.assertRegex(text.err, OVERDUE)
        f, text, answers = self.fails(3, "MGIR", "nofield=1")
        self.assertEqual((f["code"], answers, text.out), ("INVALID_ARGUMENT", [], ""))
        self.assertIn("nofield", f["message"])
        f, text, answers = self.fails(4, "NOSUCH")
        self.assertEqual((f["code"], f.get("field"), answers, text.out), ("NOT_FOUND", None, [], ""))

    def interrupt(self, *args):
        """Ctrl-C when the command is on the card; what the program said."""
        for _ in range(5):  # on a busy machine its answer may be there by then
            before = self.odd_ready().commands("host-a")
            run = self.begin(*args, "-t", "host-a", "-d", NIC1)
            until(lambda: self.counters("host-a")["commands"] > before, "it is on the card", 60)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=60)
            if run.returncode != 0:
                break
        self.assertEqual(out, "")
        self.assertIn("interrupted", err)
        return run.returncode, err

    def test_ctrl_c_cancels_and_says_what_became_of_the_command(self):
        code, err = self.interrupt("reg", "get", "MPCNT", "grp=0")
        self.assertEqual(code, 6, err)
        self.assertIn("CANCELLED", err)
        code, err = self.interrupt("cmd", "0x805", "--yes", "--in", "0805000000000001" "00009051" "00000000" + "00" * 256)
        self.assertEqual(code, 8, err)
        self.assertIn("UNKNOWN", err)
        self.assertIn("--request-id cli-", err)  # what tells how it ended

    # ---- input

    def test_input_that_cannot_be_read_is_an_error(self):
        for verb in ("cmd", "reg"):
            err = self.refused(3, verb, "-t", "host-a", "-d", NIC0, "--batch", self.root)
            self.assertIn("Is a directory", err)
            err = self.refused(4, verb, "-t", "host-a", "-d", NIC0, "--batch", os.path.join(self.root, "none"))
            self.assertIn("none: No such file", err)
        self.assertIn("get, set, list", self.refused(2, "reg", "-t", "host-a"))
        self.assertIn("get, set, list", self.refused(2, "reg", "frob"))

    def test_lines_that_come_one_by_one_are_answered_one_by_one(self):
        """Another program writes a line and waits for its answer before it writes the next."""
        run = subprocess.Popen([os.path.join(BIN, "hawser"), "reg", "-t", "host-a", "-d", NIC0, "--batch", "-"],
                               env=self.cli_env(self.operator), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, bufsize=1)
        try:
            for tag in ("a", "b", "c"):
                run.stdin.write(json.dumps({"tag": tag, "register": "MGIR"}) + "\n")
                run.stdin.flush()
                self.assertEqual(json.loads(run.stdout.readline())["tag"], tag)
            out, err = run.communicate(timeout=60)
            self.assertEqual((run.returncode, out), (0, ""), err)
        finally:
            run.kill()
            run.wait()

    def test_a_device_lock_ends_a_batch_under_way(self):
        n = 3000
        otto = self.pki.make("operator", "otto")
        path = self.write("locked.jsonl", [{"tag": str(i), "register": "MTMP", "fields": {"sensor_index": "0"}} for i in range(n)])
        before = self.counters("host-b")["commands"]
        run = self.begin("cmd", "-t", "host-b", "-d", NIC0, "--timeout", "250s", "--batch", path)
        until(lambda: self.counters("host-b")["commands"] > before + 10, "the batch runs", 60)
        self.ok("lock", "add", "-t", "host-b", "device", NIC0, "--for", "1h", "--reason", "cable work", who=otto)
        out, err = run.communicate(timeout=300)
        lock = self.js("lock", "list", "-t", "host-b")["locks"][-1]["id"]
        self.ok("lock", "remove", "-t", "host-b", str(lock), who=otto)
        got = self.answers(out)
        self.assertEqual([a["tag"] for a in got], [str(i) for i in range(n)], err)
        self.assertIn("ok", {a["outcome"] for a in got})
        self.assertIn("/operator/otto: cable work", next(a["message"] for a in got if a["outcome"] != "ok"))
        self.assertNotEqual(got[-1]["outcome"], "ok")
        self.assertLess(self.commands("host-b") - before, n, "what waited was run all the same")


if __name__ == "__main__":
    import unittest
    unittest.main()
