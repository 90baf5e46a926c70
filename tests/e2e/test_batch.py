"""Many commands from JSON lines: every line of input has exactly one line of output, whatever becomes of the connection."""
import json
import os
import signal

from harness import NIC0, FleetCase, Host, until

OUTCOMES = {"ok", "refused", "unknown", "not-sent", "skipped", "invalid"}


class Batch(FleetCase):
    """host-a answers; host-b's first adapter is slow at every read of MTMP, so that a batch of them can be cut in the middle."""

    HOSTS = ("host-a", "host-b")

    @classmethod
    def make_host(cls, name):
        slow = ["opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 20, countdown: 1, repeat: 100000"]
        return Host(cls.root, cls.pki, name, faults={0: slow} if name == "host-b" else None)

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

    def test_a_broken_connection_loses_no_line(self):
        n = 150
        path = self.write("cut.jsonl", [{"tag": str(i), "register": "MTMP", "fields": {"sensor_index": "0"}} for i in range(n)])
        host = next(h for h in self.hosts if h.name == "host-b")
        before = self.counters("host-b")["commands"]
        run = self.begin("cmd", "-t", "host-b", "-d", NIC0, "--timeout", "20s", "--batch", path)
        until(lambda: self.counters("host-b")["commands"] > before + 10, "the batch runs", 60)
        for pid in host.pids()["hawser-wire"]:
            os.kill(pid, signal.SIGKILL)
        out, err = run.communicate(timeout=300)
        got = self.answers(out)
        self.assertEqual([a["tag"] for a in got], [str(i) for i in range(n)], err)
        self.assertIn("ok", {a["outcome"] for a in got})
        for a in got:
            if a["outcome"] != "ok":
                self.assertIn(a["outcome"], ("unknown", "not-sent", "refused"), a)
                self.assertTrue(a["message"], a)


if __name__ == "__main__":
    import unittest
    unittest.main()
