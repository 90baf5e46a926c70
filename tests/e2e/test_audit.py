"""The audit log as an operator handles it: checkpoints kept elsewhere, copies and exports that are tampered with, a key that
changes, a restore from backup, retention, export to files and sockets."""
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading

from harness import BIN, FleetCase, until


class Audit(FleetCase):
    HOSTS = ("host-a",)

    def state(self, name=""):
        return os.path.join(self.host.dir, "state", name)

    def path(self, name):
        return os.path.join(self.root, name)

    def copy(self, name):
        """The database as a backup of the stopped agent takes it."""
        to = self.path(name)
        for end in ("", "-wal"):
            if os.path.exists(self.state("hawser.db") + end):
                shutil.copy(self.state("hawser.db") + end, to + end)
        return to

    def verify(self, path, *args, code=0):
        r = self.cli("audit", "verify", path, "-o", "json", *args)
        self.assertEqual(r.code, code, r)
        return r.json()

    def work(self, n=5):
        for _ in range(n):
            self.ok("device", "list", "-t", "host-a")

    def restart(self):
        self.host.stop()
        self.host.start()

    def test_a_live_database_is_not_read_and_a_copy_is_sound(self):
        self.work()
        live = self.cli("audit", "verify", self.state("hawser.db"))
        self.assertEqual(live.code, 6, live)
        self.assertIn("in use", live.err)
        self.host.stop()
        said = self.verify(self.copy("sound.db"))
        self.host.start()
        self.assertTrue(said["sound"])
        self.assertEqual(said["signed_seq"], said["last_seq"])
        self.assertEqual(oct(os.stat(self.state("audit.key")).st_mode & 0o777), "0o600")

    def test_tampering_with_a_copy_names_the_record(self):
        self.work(12)
        self.host.stop()
        good = self.copy("t.db")
        self.host.start()
        last = self.verify(good)["last_seq"]
        for what, sql, bad in (
                ("edited", "UPDATE audit SET body=replace(body, '/hawser.', '/hawzer.') WHERE seq=4", 4),
                ("dropped", "DELETE FROM audit WHERE seq=5", 5),
                ("swapped", "UPDATE audit SET seq=-1 WHERE seq=3; UPDATE audit SET seq=3 WHERE seq=4;"
                            "UPDATE audit SET seq=4 WHERE seq=-1", 3),
                ("cut", f"DELETE FROM audit WHERE seq>{last - 3}", last - 2)):
            bad_copy = self.path(f"{what}.db")
            shutil.copy(good, bad_copy)
            if os.path.exists(good + "-wal"):
                shutil.copy(good + "-wal", bad_copy + "-wal")
            with sqlite3.connect(bad_copy) as db:
                db.executescript(sql)
            db.close()
            said = self.verify(bad_copy, code=10)
            self.assertEqual((said["sound"], said["bad_seq"]), (False, bad), (what, said))

    def test_a_log_without_its_signatures_or_by_another_key_is_not_taken_for_the_hosts(self):
        self.work()
        key = self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]["key"]
        self.host.stop()
        copy = self.copy("stripped.db")
        self.host.start()
        said = self.verify(copy, "--audit-key", key)
        self.assertEqual((said["sound"], said["key"]), (True, key))
        another = {"02": "03", "03": "02"}[key[:2]] + key[2:]  # the other point of this x
        said = self.verify(copy, "--audit-key", another, code=10)
        self.assertEqual(said["fault"], "key", said)
        self.assertEqual(self.cli("audit", "verify", copy, "--audit-key", "00").code, 3)
        with sqlite3.connect(copy) as db:
            db.executescript("DELETE FROM audit_checkpoint")
        db.close()
        said = self.verify(copy, "--max-unsigned", "2", code=10)
        self.assertEqual((said["fault"], said["bad_seq"]), ("unsigned", said["first_seq"]), said)

    def test_a_kept_checkpoint_shows_a_clean_cut_and_the_fleet_refuses_it(self):
        pins = self.path("pins")
        os.makedirs(pins, exist_ok=True)
        self.work()
        self.host.stop()
        backup = self.path("backup")
        shutil.copytree(self.state(), backup)
        self.host.start()
        self.work()
        self.ok("audit", "checkpoint", "-t", "host-a", "--pin", pins)
        self.ok("audit", "checkpoint", "-t", "host-a", "--pin", pins)  # and against the one kept
        pin = os.path.join(pins, "host-a.jsonl")
        self.host.stop()
        now = self.copy("now.db")
        self.assertTrue(self.verify(now, "--checkpoint", pin)["pinned"])
        said = self.verify(os.path.join(backup, "hawser.db"), "--checkpoint", pin, code=10)
        self.assertEqual(said["fault"], "truncated", said)
        self.assertEqual(said["bad_seq"], self.verify(os.path.join(backup, "hawser.db"))["last_seq"] + 1)

        # A restore from backup serves and its log is sound; what was kept elsewhere tells that it is an older one.
        shutil.rmtree(self.state())
        shutil.copytree(backup, self.state())
        self.host.start()
        self.work(1)
        r = self.cli("audit", "checkpoint", "-t", "host-a", "--pin", pins)
        self.assertEqual(r.code, 10, r)
        os.unlink(pin)
        self.ok("audit", "checkpoint", "-t", "host-a", "--pin", pins)

    def test_the_key_changes_and_the_old_one_vouches(self):
        before = self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]
        made = subprocess.run([f"{BIN}/hawserd", "--config", self.host.config, "--new-audit-key"], capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(made.returncode, 0, made)
        again = subprocess.run([f"{BIN}/hawserd", "--config", self.host.config, "--new-audit-key"], capture_output=True,
                               text=True, timeout=30)
        self.assertEqual(again.returncode, 4, again)
        self.ok("agent", "reload", "-t", "host-a")
        until(lambda: not os.path.exists(self.state("audit.key.next")), "the key to change")
        after = self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]
        self.assertNotEqual(before["key"], after["key"])
        self.assertEqual(after["key"], made.stdout.strip())
        self.assertEqual(int(after["keys"]), int(before["keys"]) + 1)
        self.restart()
        self.work()
        self.host.stop()
        self.assertTrue(self.verify(self.copy("rotated.db"))["sound"])
        os.rename(self.state("audit.key"), self.state("kept"))
        self.host.start()
        info = self.js("agent", "info", "-t", "host-a")["agents"][0]
        self.host.stop()
        os.rename(self.state("kept"), self.state("audit.key"))
        self.host.start()
        self.assertEqual(info["state"], "safe")
        self.assertIn("audit key", info["state_reason"])

    def test_export_to_lines_is_resumed_and_verifies(self):
        to, cursor = self.path("log.jsonl"), self.path("log.cursor")
        self.work()
        self.ok("audit", "export", "-t", "host-a", "--to", to, "--cursor", cursor)
        self.work()
        self.ok("audit", "export", "-t", "host-a", "--to", to, "--cursor", cursor)
        said = self.verify(to)
        with open(to) as f:
            lines = f.readlines()
        records = [json.loads(x) for x in lines if '"type":"record"' in x]
        self.assertEqual([r["seq"] for r in records], list(range(1, len(records) + 1)))
        self.assertEqual(int(said["records"]), len(records))
        self.assertEqual(said["last_seq"], records[-1]["seq"])
        first = next(i for i, x in enumerate(lines) if '"type":"record"' in x)
        for what, edit, bad in (
                ("edited", lambda x: x[:first + 2] + [x[first + 2].replace('"phase":"', '"phase": "')] + x[first + 3:], 3),
                ("dropped", lambda x: x[:first] + x[first + 1:], 1),
                ("swapped", lambda x: x[:first + 1] + [x[first + 2], x[first + 1]] + x[first + 3:], 2)):
            with open(self.path("bad.jsonl"), "w") as f:
                f.writelines(edit(list(lines)))
            said = self.verify(self.path("bad.jsonl"), code=10)
            self.assertEqual(int(said["bad_seq"]), bad, (what, said))

    def test_syslog_and_journald_get_each_record_once(self):
        for fmt, seq_of in (("syslog", lambda d: d.split(' seq="')[1].split('"')[0]),
                            ("journald", lambda d: d.split("HAWSER_SEQ=")[1].split("\n")[0])):
            self.work()
            place = self.path(fmt + ".sock")
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sock.bind(place)
            sock.settimeout(60)
            got = []
            done = threading.Event()

            def read(sock=sock, got=got):
                while True:
                    data = sock.recv(1 << 18).decode()
                    if data == "end":
                        break
                    got.append(data)
                done.set()

            reader = threading.Thread(target=read)
            reader.start()
            try:
                self.ok("audit", "export", "-t", "host-a", "--format", fmt, "--to", place)
            finally:
                out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                out.sendto(b"end", place)
                out.close()
                reader.join()
                sock.close()
            seqs = [int(seq_of(d)) for d in got]
            self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
            self.assertGreater(len(seqs), 5)
            if fmt == "syslog":
                self.assertRegex(got[0], r"^<10[89]>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z host-a hawser - [a-z]+ "
                                         r'\[hawser@32473 seq="1" .*\] \ufeff')
            else:
                self.assertIn("\nMESSAGE=", got[0])
        refused = self.cli("audit", "export", "-t", "host-a", "--format", "syslog", "--to", self.path("nobody.sock"))
        self.assertNotEqual(refused.code, 0)

    def test_a_follower_that_cannot_note_its_place_ends_and_says_so(self):
        place = self.path("gone")
        os.makedirs(place)
        cursor = os.path.join(place, "cursor")
        p = subprocess.Popen([f"{BIN}/hawser", "audit", "export", "-t", "host-a", "--to", self.path("gone.jsonl"),
                              "--cursor", cursor, "--follow"], env=self.cli_env(self.operator),
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            until(lambda: os.path.exists(cursor), "the first cursor", 60)
            os.rename(place, place + ".away")
            until(lambda: self.work(1) or p.poll() is not None, "the export to end", 60)
            self.assertIn(cursor, p.stderr.read())
            self.assertNotEqual(p.wait(), 0)
        finally:
            p.kill()
            p.wait()
            p.stderr.close()

    def test_a_cursor_beyond_the_log_is_refused(self):
        cursor, to = self.path("beyond.cursor"), self.path("beyond.jsonl")
        self.work(1)
        head = int(self.audit("host-a", last=1)[-1]["seq"])
        with open(cursor, "w") as f:
            f.write(f"{head + 1000}\n")
        r = self.cli("audit", "export", "-t", "host-a", "--to", to, "--cursor", cursor)
        self.assertEqual(r.code, 10, r)
        self.assertIn(str(head + 1000), r.err)
        self.assertIn("--after 0", r.err)
        with open(cursor) as f:
            self.assertEqual(f.read(), f"{head + 1000}\n")
        self.ok("audit", "export", "-t", "host-a", "--to", to, "--cursor", cursor, "--after", "0")
        self.verify(to)
        self.ok("audit", "export", "-t", "host-a", "--to", to, "--cursor", cursor)  # with nothing but its own calls to tell
        self.verify(to)

    def test_the_database_of_another_version_is_told_from_a_damaged_one(self):
        def set_schema(version):
            with sqlite3.connect(self.state("hawser.db")) as db:
                db.execute(f"PRAGMA user_version={version}")
            db.close()

        self.work(1)
        self.host.stop()
        set_schema(1)
        os.rename(self.state("audit.key"), self.state("kept"))  # schema 1 was of a time without keys
        r = self.cli("audit", "verify", self.copy("earlier.db"))
        self.assertEqual(r.code, 3, r)
        self.assertIn("earlier.db has schema 1 of another version", r.err)
        self.host.start()
        info = self.js("agent", "info", "-t", "host-a")["agents"][0]
        self.host.stop()
        set_schema(2)
        os.rename(self.state("kept"), self.state("audit.key"))
        self.host.start()
        self.assertEqual(info["state"], "safe")
        self.assertIn("hawser.db has schema 1 of another version", info["state_reason"])
        self.assertIn("-wal", info["state_reason"])
        self.assertEqual(self.js("agent", "info", "-t", "host-a")["agents"][0]["state"], "serving")

    def test_a_key_in_use_is_not_lost_when_its_file_cannot_take_its_place(self):
        key, waiting = self.state("audit.key"), self.state("audit.key.next")

        def n_said():
            text = self.host.log_text()
            return text.count("audit_key_not_renamed") + text.count("audit_key_not_changed")

        begin = n_said()
        os.rename(key, self.state("earlier"))
        os.mkdir(key)  # what no file can be renamed to
        made = subprocess.run([f"{BIN}/hawserd", "--config", self.host.config, "--new-audit-key"], capture_output=True,
                              text=True, timeout=30)
        self.assertEqual(made.returncode, 0, made)
        for n in (1, 2):
            self.ok("agent", "reload", "-t", "host-a")
            until(lambda n=n: n_said() >= begin + n, "the change of the key", 60)
            self.assertTrue(os.path.exists(waiting))
        self.assertEqual(self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]["key"], made.stdout.strip())
        os.rmdir(key)
        self.ok("agent", "reload", "-t", "host-a")
        until(lambda: os.path.isfile(key) and not os.path.exists(waiting), "the file to take its place", 60)
        os.unlink(self.state("earlier"))
        self.restart()
        self.assertEqual(self.js("agent", "info", "-t", "host-a")["agents"][0]["state"], "serving")
        self.assertEqual(self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]["key"], made.stdout.strip())
