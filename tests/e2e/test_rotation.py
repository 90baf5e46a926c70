"""Certificate, key, CA, revocation list, deny-list and policy change under a running agent: nobody in good standing notices,
a broken set never becomes active, and who is revoked or denied is cut off."""
import os
import select
import shutil
import signal
import subprocess
import threading

import harness
from harness import FleetCase, Host, NIC0, until

ROTATIONS = 1000 if os.environ.get("HAWSER_LONG") == "1" else 100
BROKEN_EVERY = 7


class Changing(FleetCase):
    """One agent whose TLS files are in a folder of its own."""

    @classmethod
    def make_host(cls, name):
        h = Host(cls.root, cls.pki, name)
        cls.tls = os.path.join(h.dir, "tls")
        os.makedirs(cls.tls)
        cls.put("agent.crt", cls.pki.files(f"agent-{name}")["cert"])
        cls.put("agent.key", cls.pki.files(f"agent-{name}")["key"])
        cls.put("ca.crt", cls.pki.files("x")["ca"])
        cls.pki.run("crl", cls.pki.dir)
        cls.put("ca.crl", os.path.join(cls.pki.dir, "ca.crl"))
        cls.write("deny", "# nobody yet\n")
        with open(h.config) as f:
            lines = [x for x in f if not x.startswith("tls:")]
        lines.append("tls: {cert: tls/agent.crt, key: tls/agent.key, ca: tls/ca.crt, crl: tls/ca.crl, deny: tls/deny}\n")
        with open(h.config, "w") as f:
            f.writelines(lines)
        return h

    @classmethod
    def write(cls, name, text):
        """Puts a file in place whole, as a deployment tool does."""
        path = os.path.join(cls.tls, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    @classmethod
    def put(cls, name, source):
        with open(source) as f:
            cls.write(name, f.read())

    def said(self, event):
        return self.host.log_text().count(f"hawser-wire: {event} ")

    def hup(self):
        (keeper,) = self.host.keeper()
        os.kill(keeper, signal.SIGHUP)


class Rotation(Changing):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A second CA of the same trust domain, which everybody believes beside the first.
        cls.second = harness.Pki(os.path.join(cls.root, "second"))
        with open(cls.operator["ca"]) as a, open(cls.second.files("x")["ca"]) as b:
            cls.both = os.path.join(cls.root, "both.crt")
            with open(cls.both, "w") as f:
                f.write(a.read() + b.read())
        cls.sets = []
        for pki, name in ((cls.pki, "rot0"), (cls.second, "rot1"), (cls.pki, "rot2"), (cls.second, "rot3")):
            files = pki.make("agent", name, "--ip", "127.0.0.1")
            pki.run("crl", pki.dir)
            cls.sets.append((files["cert"], files["key"], os.path.join(pki.dir, "ca.crl")))
        cls.callers = [dict(cls.operator, ca=cls.both),
                       dict(cls.second.make("operator", "olga"), ca=cls.both)]

    def load(self, number):
        """Calls, each on a new connection, until told to stop."""
        while not self.stop_load:
            r = self.cli("device", "list", "-t", "host-a", who=self.callers[number % 2])
            self.n_calls += 1
            if r.code != 0 or "host-a" not in r.out:
                self.failed.append(r)

    def break_set(self, kind):
        if kind == 0:
            self.put("agent.key", self.sets[0][1])  # of another certificate than the one in place
            self.put("agent.crt", self.sets[1][0])
        elif kind == 1:
            with open(self.sets[0][0]) as f:
                self.write("agent.crt", f.read()[:300])
        elif kind == 2:
            self.write("ca.crt", "")
        else:
            self.write("ca.crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")

    def tell(self, i, broken):
        """By SIGHUP, by the RPC, or not at all: inotify notices."""
        if i % 10 == 0:
            return
        if i % 3 != 0:
            self.hup()
            return
        r = self.cli("agent", "reload", "-t", "host-a", "-o", "json", who=self.callers[0])
        if not broken:
            self.assertEqual(r.code, 0, r.err)
            return
        self.assertNotEqual(r.code, 0, "a broken set is told")
        self.assertRegex(r.err, "FAILED_PRECONDITION: .*those in use stay")

    def turn(self, i):
        """One rotation."""
        event = "certificates_loaded"
        if i % BROKEN_EVERY == BROKEN_EVERY - 1:
            event = "certificates_refused"
        before = self.said(event)
        if event == "certificates_refused":
            self.break_set(i // BROKEN_EVERY % 4)
        else:
            cert, key, crl = self.sets[i % len(self.sets)]
            self.put("agent.crt", cert)
            self.put("agent.key", key)
            self.put("ca.crt", self.both)
            self.put("ca.crl", crl)
        with open(self.host.policy, "a") as f:
            f.write(f"# rotation {i}\n")
        self.tell(i, event == "certificates_refused")
        until(lambda: self.said(event) > before, f"rotation {i}: {event}", 20)

    def test_a_reload_tells_what_is_in_use_and_what_was_refused(self):
        self.put("ca.crt", self.both)
        for number, (cert, key, _) in enumerate(self.sets[:2]):
            self.put("agent.crt", cert)
            self.put("agent.key", key)
            (row,) = self.js("agent", "reload", "-t", "host-a", who=self.callers[0])["agents"]
            serial = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-serial"], capture_output=True, text=True,
                                    check=True, timeout=20).stdout.strip().partition("=")[2]
            self.assertEqual(row["certificate_serial"].lstrip("0").lower(), serial.lstrip("0").lower())
            self.assertGreater(int(row["certificate_ends_s"]), 1_700_000_000)
        with open(self.host.policy, "a") as f:
            f.write("# not read while the certificates are broken\n")
        before = self.js("agent", "info", "-t", "host-a", who=self.callers[0])
        for kind in range(4):
            self.break_set(kind)
            r = self.cli("agent", "reload", "-t", "host-a", who=self.callers[0])
            self.assertEqual((r.code, r.out), (6, ""), r.err)
            self.assertRegex(r.err, "FAILED_PRECONDITION: certificates: .*; those in use stay, the policy was not read")
            cert, key, crl = self.sets[1]
            self.put("agent.crt", cert)
            self.put("agent.key", key)
            self.put("ca.crt", self.both)
            self.put("ca.crl", crl)
        self.assertEqual(self.js("agent", "info", "-t", "host-a", who=self.callers[0])["agents"][0]["policy_hash"],
                         before["agents"][0]["policy_hash"])
        self.js("agent", "reload", "-t", "host-a", who=self.callers[0])

    def test_nobody_notices_a_rotation_and_a_broken_set_is_never_active(self):
        self.put("ca.crt", self.both)
        self.hup()
        until(lambda: self.said("certificates_loaded") >= 1, "both CAs are believed")
        self.stop_load, self.failed, self.n_calls = False, [], 0
        env = self.cli_env(self.callers[0])
        follower = subprocess.Popen([os.path.join(harness.BIN, "hawser"), "audit", "tail", "-t", "host-a", "--follow"],
                                    env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        threads = [threading.Thread(target=self.load, args=(n,)) for n in range(2)]
        for t in threads:
            t.start()
        try:
            for i in range(ROTATIONS):
                self.turn(i)
        finally:
            self.stop_load = True
            for t in threads:
                t.join(60)
            ended = follower.poll()
            follower.terminate()
            follower.wait(10)
            follower.stderr.close()
        self.assertEqual(self.failed, [], f"of {self.n_calls} calls")
        self.assertIsNone(ended, "the stream that began before the first rotation")
        self.assertGreater(self.n_calls, 20)
        got = self.js("agent", "info", "-t", "host-a", who=self.callers[0])["counters"]
        by = {c["counter"].rpartition(".")[2]: int(c["value"]) for c in got if "certificates_read_by" in c["counter"]}
        # A turn may be noticed by inotify before it is told.
        self.assertGreaterEqual(by["signal"], ROTATIONS // 2, by)
        self.assertGreaterEqual(by["reload"], ROTATIONS // 4, by)
        self.assertGreaterEqual(by["watch"], ROTATIONS // 20, by)
        print(f"{ROTATIONS} rotations, {self.n_calls} calls, {len(self.failed)} failed")


class Revocation(Changing):
    def follow(self, who):
        """A live stream of the agent; it has begun."""
        p = subprocess.Popen([os.path.join(harness.BIN, "hawser"), "audit", "tail", "-t", "host-a", "--follow", "-o", "json"],
                             env=self.cli_env(who), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        p.stdout.readline()
        return p

    def cut(self, change, who, reason):
        """After change() a live stream of who is cut off within 5 s, and who is refused; olga is not."""
        self.ok("device", "list", "-t", "host-a", who=who)
        p = self.follow(who)
        change()
        try:
            ready = select.select([p.stderr], [], [], 5)[0]
            said = os.read(p.stderr.fileno(), 4096).decode() if ready else "nothing"
        finally:
            p.kill()
            p.communicate()
        self.assertIn("the stream was cut off", said)
        counter = f"wire.handshakes_refused.{reason}"
        before = self.counters("host-a").get(counter, 0)
        self.assertNotEqual(self.cli("device", "list", "-t", "host-a", who=who).code, 0)
        until(lambda: self.counters("host-a").get(counter, 0) > before, counter)
        self.ok("device", "list", "-t", "host-a")

    def test_a_denied_principal_loses_its_streams(self):
        who = self.pki.make("operator", "mallory")
        domain = harness.DOMAIN
        self.cut(lambda: self.write("deny", f"principal spiffe://{domain}/operator/mallory\n"), who, "denied")

    def test_a_revoked_certificate_loses_its_streams(self):
        who = self.pki.make("operator", "rita")

        def revoke():
            self.pki.run("crl", self.pki.dir, "--revoke", who["cert"])
            self.put("ca.crl", os.path.join(self.pki.dir, "ca.crl"))

        self.cut(revoke, who, "revoked")

    def test_overdue_lists_stop_changes_and_not_reads(self):
        ca = self.pki.dir
        work = os.path.join(self.root, "late")
        os.makedirs(work)
        with open(os.path.join(work, "cnf"), "w") as f:
            f.write(f"[ca]\ndefault_ca = c\n[c]\ndatabase = {work}/index\ncrlnumber = {work}/number\ndefault_md = sha256\n")
        open(os.path.join(work, "index"), "w").close()
        with open(os.path.join(work, "number"), "w") as f:
            f.write("01\n")
        shutil.copy(os.path.join(self.tls, "ca.crl"), os.path.join(work, "good"))
        subprocess.run(["openssl", "ca", "-gencrl", "-config", f"{work}/cnf", "-cert", f"{ca}/ca.crt", "-keyfile", f"{ca}/ca.key",
                        "-crl_lastupdate", "20240101000000Z", "-crl_nextupdate", "20240102000000Z", "-out", f"{work}/crl"],
                       check=True, capture_output=True, timeout=60)
        apply = ("config", "apply", "-t", "host-a", "--device", NIC0, "--yes", "NUM_OF_VFS=4")
        self.put("ca.crl", os.path.join(work, "crl"))
        until(lambda: "hawser-wire: revocation_lists state=overdue" in self.host.log_text(), "the lists are overdue")
        self.ok("config", "get", "-t", "host-a", "--device", NIC0, "NUM_OF_VFS")
        r = self.cli(*apply)
        self.assertNotEqual(r.code, 0)
        self.assertIn("overdue", r.err)
        self.put("ca.crl", os.path.join(work, "good"))
        until(lambda: "hawser-wire: revocation_lists state=fresh" in self.host.log_text(), "the lists are fresh again")
        self.ok(*apply)
