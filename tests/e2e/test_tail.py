"""Following the audit log: what retention took is told as a gap up to its signed horizon, to one who asks too late and to one who
reads too slowly, and nothing is missed or repeated when a process of the agent is killed."""
import json
import os
import random
import re
import signal
import subprocess
import threading

from harness import BIN, NIC0, SEED, FleetCase, Host, until

KEPT = 1000  # records


class Tail(FleetCase):
    @classmethod
    def make_host(cls, name):
        host = Host(cls.root, cls.pki, name)
        with open(host.config, "a") as f:
            f.write(f"audit: {{max_records: {KEPT}, sign_records: 16, sign_after: 1s}}\n")
        return host

    def setUp(self):
        self.ok("device", "list", "-t", "host-a")  # a log without any record has nothing to sign

    def records(self, n):
        """Makes up to n records: reads of a card, one a line of a batch. While the disk is slow some of them are refused."""
        path = os.path.join(self.root, "batch.jsonl")
        with open(path, "w") as f:
            f.write(json.dumps({"command": "QUERY_ADAPTER"}) + "\n")
            f.write("".join(json.dumps({"register": "MGIR"}) + "\n" for _ in range(n - 1)))
        code = self.cli("cmd", "-t", "host-a", "-d", NIC0, "--batch", path, "--timeout", "120s", timeout=150).code
        self.assertIn(code, (0, 11))

    def newest(self):
        return self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]

    def follow(self, after):
        """(the follower, its file of JSON lines, its file of what it says)"""
        place = os.path.join(self.root, self.id().rsplit(".", 1)[1])
        out, err = open(place + ".out", "w+"), open(place + ".err", "w+")
        p = subprocess.Popen([f"{BIN}/hawser", "audit", "tail", "-t", "host-a", "--after", str(after), "--follow", "-o", "json"],
                             env=self.cli_env(self.operator), stdin=subprocess.DEVNULL, stdout=out, stderr=err)

        def end():
            p.kill()
            p.wait()
            out.close()
            err.close()
        self.addCleanup(end)
        return p, place + ".out", place + ".err"

    @staticmethod
    def seqs(path):
        with open(path) as f:
            return [json.loads(x)["seq"] for x in f if x.endswith("\n")]

    @staticmethod
    def gaps(text):
        return [(int(a), int(b)) for a, b in re.findall(r"audit records (\d+) to (\d+) had been pruned", text)]

    def gaps_in(self, path):
        with open(path) as f:
            return self.gaps(f.read())

    def each_once_or_told(self, after, seqs, gaps):
        """Records and gaps together are every number behind `after`, once, in order."""
        told = sorted([(s, s) for s in seqs] + gaps)
        for (_, last), (first, _) in zip([(0, after)] + told, told):
            self.assertEqual(first, last + 1, (gaps, seqs[:3], seqs[-3:]))

    def test_who_asks_for_what_was_pruned_is_told_up_to_the_horizon(self):
        until(lambda: self.records(KEPT) or int(self.newest()["horizon_seq"]) > 10, "retention", 60)
        horizon = int(self.newest()["horizon_seq"])
        r = self.cli("audit", "tail", "-t", "host-a", "--after", "3", "-o", "json")
        self.assertEqual(r.code, 0, r)
        seqs, gaps = [x["seq"] for x in r.json()["records"]], self.gaps(r.err)
        self.assertEqual(len(gaps), 1, r.err)
        self.assertGreaterEqual(gaps[0][1] + 1, horizon)
        self.each_once_or_told(3, seqs, gaps)
        # Who goes on from what is kept is told of none, and who asks for all that is kept has not lost anything.
        self.assertEqual(self.gaps(self.cli("audit", "tail", "-t", "host-a", "--after", str(seqs[-1])).err), [])
        self.assertEqual(self.gaps(self.cli("audit", "tail", "-t", "host-a", "--after", "0", "-o", "json").err), [])

    def test_who_reads_too_slowly_is_told_what_it_missed(self):
        begin = int(self.newest()["seq"])
        p, out, err = self.follow(begin)
        until(lambda: self.seqs(out), "the first record", 60)
        p.send_signal(signal.SIGSTOP)
        try:
            # Until what this connection holds is far below what retention has pruned.
            until(lambda: self.records(3000) or int(self.newest()["horizon_seq"]) > begin + 9000, "retention", 120)
            head = int(self.newest()["seq"])
        finally:
            p.send_signal(signal.SIGCONT)
        until(lambda: self.seqs(out)[-1] >= head, "the follower to catch up", 60)
        gaps = self.gaps_in(err)
        self.assertGreater(len(gaps), 0, "a connection held more than 9,000 records")
        seqs = self.seqs(out)
        self.each_once_or_told(begin, seqs, [g for g in gaps if g[0] <= seqs[-1]])
        with open(err) as f:
            self.assertNotIn("following again", f.read())  # the same stream all the time

    def test_a_follower_misses_and_repeats_nothing_over_kills_of_each_process(self):
        rand = random.Random(SEED)
        begin = int(self.newest()["seq"])
        p, out, err = self.follow(begin)
        until(lambda: self.seqs(out), "the first record", 60)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                self.cli("device", "list", "-t", "host-a")
        load = threading.Thread(target=work)
        load.start()
        try:
            for _ in range(8):
                name = rand.choice(("hawserd", "hawser-wire"))
                n_cut = self.n_cut(err)
                (pid,) = until(lambda name=name: self.of(name), name, 60)[:1]
                os.kill(pid, signal.SIGKILL)
                until(lambda name=name, pid=pid: self.of(name) not in ([], [pid]), f"another {name}", 60)
                until(lambda n_cut=n_cut: self.n_cut(err) > n_cut, "the stream to end", 60)
                n = len(self.seqs(out))
                until(lambda n=n: len(self.seqs(out)) > n + rand.randrange(5), "the follower to go on", 60)
        finally:
            stop.set()
            load.join()
        head = int(self.newest()["seq"])
        until(lambda: self.seqs(out)[-1] >= head, "the follower to catch up", 60)
        seqs = self.seqs(out)
        self.assertEqual(seqs, list(range(begin + 1, seqs[-1] + 1)))
        self.assertEqual(self.gaps_in(err), [])
        self.assertIsNone(p.poll())

    def of(self, name):
        return self.host.keeper() if name == "hawserd" else self.host.pids().get(name, [])

    @staticmethod
    def n_cut(path):
        with open(path) as f:
            return f.read().count("following again")
