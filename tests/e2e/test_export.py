"""An export as JSON lines is exactly once, whatever happens to it: killed anywhere, cut within a line, rotated, restarted."""
import json
import os
import random
import signal
import subprocess
import threading

from harness import BIN, SEED, FleetCase, Host, until


def records_of(*paths):
    """The records of whole lines, in order."""
    found = []
    for path in paths:
        with open(path) as f:
            found += [json.loads(x) for x in f if x.endswith("\n") and '"type":"record"' in x]
    return found


class Export(FleetCase):
    @classmethod
    def make_host(cls, name):
        host = Host(cls.root, cls.pki, name)
        with open(host.config, "a") as f:
            f.write("audit: {sign_records: 4, sign_after: 1s}\n")
        return host

    def setUp(self):
        self.place = os.path.join(self.root, self.id().rsplit(".", 1)[1])
        os.makedirs(self.place)
        self.to, self.cursor = os.path.join(self.place, "log.jsonl"), os.path.join(self.place, "cursor")

    def export(self, *args):
        return self.cli("audit", "export", "-t", "host-a", "--to", self.to, "--cursor", self.cursor, *args)

    def follow(self):
        p = subprocess.Popen([f"{BIN}/hawser", "audit", "export", "-t", "host-a", "--to", self.to, "--cursor", self.cursor,
                              "--follow"], env=self.cli_env(self.operator), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)

        def end():
            p.kill()
            p.communicate()
        self.addCleanup(end)
        return p

    def verify(self, *paths, after=0):
        whole = os.path.join(self.place, "whole.jsonl")
        with open(whole, "wb") as f:
            for path in paths or [self.to]:
                with open(path, "rb") as part:
                    f.write(part.read())
        r = self.cli("audit", "verify", whole, "--after", str(after), "-o", "json")
        self.assertEqual(r.code, 0, r)
        return r.json()

    def head(self):
        return int(self.audit("host-a", last=1)[-1]["seq"])

    def has(self, seq, *paths):
        until(lambda: os.path.exists(self.to) and any(int(r["seq"]) >= seq for r in records_of(*(paths or [self.to]))),
              f"record {seq} to be exported", 60)

    def each_once(self, *paths):
        seqs = [int(r["seq"]) for r in records_of(*(paths or [self.to]))]
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        return len(seqs)

    def test_a_followed_export_killed_20_times_holds_each_record_once(self):
        rand = random.Random(SEED)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                self.cli("device", "list", "-t", "host-a")
        load = threading.Thread(target=work)
        load.start()
        try:
            for _ in range(20):
                p = self.follow()
                before = os.path.getsize(self.to) if os.path.exists(self.to) else 0
                until(lambda before=before: os.path.exists(self.to) and os.path.getsize(self.to) > before + rand.randrange(3000),
                      "the export to go on", 60)
                p.send_signal(signal.SIGKILL)
                p.wait()
        finally:
            stop.set()
            load.join()
        head = self.head()
        p = self.follow()
        self.has(head)
        until(lambda: int(self.verify()["signed_seq"]) >= head, "a checkpoint of the head to be in the followed export", 60)
        p.send_signal(signal.SIGKILL)
        p.wait()
        said = self.verify()
        self.assertEqual(self.each_once(), int(said["records"]))
        with open(self.to) as f:
            n_signed = len([x for x in f if '"type":"checkpoint"' in x])
        self.assertGreater(n_signed, 10)  # one every four records
        os.unlink(self.cursor)  # the file itself says how far it came
        self.assertEqual(self.export().code, 0)
        self.each_once()
        self.verify()

    def test_a_line_that_was_cut_is_taken_off_and_written_again(self):
        self.assertEqual(self.export().code, 0)
        with open(self.to, "rb") as f:
            whole = f.read()
        last = whole.rstrip(b"\n").rfind(b"\n") + 1
        rand = random.Random(SEED)
        for at in [last + 1, len(whole) - 1] + [rand.randrange(last + 1, len(whole)) for _ in range(3)]:
            for end in (b"", b"\0" * 300):  # what a power cut leaves
                with open(self.to, "wb") as f:
                    f.write(whole[:at] + end)
                self.assertEqual(self.export().code, 0)
                self.each_once()
                self.verify()

    def test_a_file_that_is_no_export_is_left_alone(self):
        for text in ("somebody's notes\n", "somebody's notes", '{"type":"record"}\n', "x" * 300000):
            with open(self.to, "w") as f:
                f.write(text)
            r = self.export()
            self.assertEqual(r.code, 10, r)
            self.assertIn("export to another file", r.err + " export to another file" * ("longer" in r.err))
            with open(self.to) as f:
                self.assertEqual(f.read(), text)

    def test_one_export_at_a_time_holds_a_file(self):
        p = self.follow()
        self.has(1)
        r = self.export()
        self.assertEqual(r.code, 6, r)
        self.assertIn("another export writes to it", r.err)
        p.kill()
        p.wait()
        self.assertEqual(self.export().code, 0)
        self.each_once()

    def test_a_place_that_is_not_the_files_end_is_refused(self):
        self.assertEqual(self.export().code, 0)
        last = self.each_once()
        r = self.export("--after", "1")
        self.assertEqual(r.code, 3, r)
        self.assertIn(f"goes to record {last} already", r.err)
        with open(self.to) as f:
            lines = f.readlines()
        at = max(i for i, x in enumerate(lines) if '"type":"record"' in x)
        record = json.loads(lines[at])
        forged = lines[at].replace(record["hash"], record["hash"][::-1])
        with open(self.to, "w") as f:
            f.writelines(lines[:at] + [forged])
        r = self.export()
        self.assertEqual(r.code, 10, r)
        self.assertIn(f"record {record['seq']} of host-a differs", r.err)

    def test_rotation_while_it_follows_and_while_it_is_down_loses_and_repeats_nothing(self):
        old = [self.to + ".2", self.to + ".1"]
        p = self.follow()
        self.has(self.head())
        os.rename(self.to, old[0])  # logrotate: rename, and create nothing
        head = self.head()
        self.has(head, old[0], self.to)
        p.kill()
        p.wait()
        os.rename(self.to, old[1])  # and while nothing follows, with an empty file in its place
        with open(self.to, "w"):
            pass
        with open(self.cursor, "r+") as f:  # as a kill between the file and the cursor leaves it
            seq, inode = f.read().split()
            f.seek(0)
            f.truncate()
            f.write(f"{int(seq) - 1} {inode}\n")
        p = self.follow()
        head = self.head()
        self.has(head)
        p.kill()
        p.wait()
        self.each_once(*old, self.to)
        self.verify(*old, self.to)
        self.verify(after=int(records_of(self.to)[0]["seq"]) - 1)
        # Without the rotated file the cursor counts, and says so.
        os.rename(self.to, os.path.join(self.place, "elsewhere"))
        r = self.export()
        self.assertEqual(r.code, 0, r)
        self.assertIn("the cursor alone counts", r.err)
