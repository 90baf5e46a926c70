"""TLS files that are not good, as an operator meets them: `hawserd --check` says which one, why and what to do; a start without them
says it once, serves the local socket, and listens as soon as they are good."""
import os
import re
import signal
import socket
import subprocess
import time

from harness import BIN, FleetCase, Host, until


class TlsFiles(FleetCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.run("bad", cls.pki.dir)
        cls.pki.run("init", os.path.join(cls.root, "next"), "--domain", "e2e.test")
        cls.n_hosts = 0

    def fresh(self):
        """A host whose TLS files are copies of its own; it is not started."""
        type(self).n_hosts += 1
        h = Host(self.root, self.pki, f"files-{self.n_hosts}")
        h.tls = os.path.join(h.dir, "tls")
        os.makedirs(h.tls)
        h.good = {}
        for name, source in {"agent.crt": f"agent-{h.name}.crt", "agent.key": f"agent-{h.name}.key", "ca.crt": "ca.crt"}.items():
            with open(os.path.join(self.pki.dir, source)) as f:
                h.good[name] = f.read()
            self.write(h, name, h.good[name])
        with open(h.config) as f:
            text = re.sub(r"(?m)^tls:.*$", "tls: {cert: tls/agent.crt, key: tls/agent.key, ca: tls/ca.crt}", f.read())
        with open(h.config, "w") as f:
            f.write(text)
        self.addCleanup(self.ended, h)
        return h

    @staticmethod
    def ended(h):
        if h.proc is not None:
            h.stop(30)

    @staticmethod
    def write(h, name, text):
        path = os.path.join(h.tls, name)
        if text is None:
            os.unlink(path)
            return
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def bad_files(self):
        """(the file, what is in it, what is said: the file, what is wrong, what to do)"""
        def text(path):
            with open(os.path.join(self.pki.dir, path)) as f:
                return f.read()
        other = self.pki.make("agent", f"other{self.n_hosts}")
        with open(os.path.join(self.root, "next/ca.crt")) as f:
            next_ca = f.read()
        return (
            ("agent.key", None, r"tls/agent\.key: No such file or directory"),
            ("agent.key", "", r"tls/agent\.key"),
            ("agent.crt", None, r"tls/agent\.crt: No such file or directory"),
            ("ca.crt", None, r"tls/ca\.crt: No such file or directory"),
            ("agent.key", text(other["key"]), r"tls/agent\.key: key: does not belong to the certificate; install key and certificate as the CA made them together"),
            ("agent.crt", text("bad/expired.crt") + "\n", r"tls/agent\.(crt: cert: expired|key: key: does not belong).*; install "),
            ("ca.crt", next_ca, r"tls/agent\.crt: cert: unknown_ca: .*; install a certificate that the CA has made"),
            ("ca.crt", "nothing\n", r"tls/ca\.crt: ca: no certificate in PEM.*; install the certificate of the CA"),
        )

    def check(self, h):
        return subprocess.run([os.path.join(BIN, "hawserd"), "--config", h.config, "--check"], capture_output=True, text=True, timeout=60)

    def test_check_names_the_file_what_is_wrong_and_what_to_do(self):
        h = self.fresh()
        p = self.check(h)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        for name, text, says in self.bad_files():
            self.write(h, name, text)
            p = self.check(h)
            self.assertEqual(p.stdout, "")
            self.assertEqual(len(p.stderr.splitlines()), 1, p.stderr)
            self.assertRegex(p.stderr, r"hawserd: .*tls.*" + says)
            self.assertNotEqual(p.returncode, 0)
            self.write(h, name, h.good[name])
        self.assertEqual(self.check(h).returncode, 0)

    def test_a_start_without_a_key_says_it_once_and_listens_when_it_comes(self):
        h = self.fresh()
        self.write(h, "agent.key", None)
        with open(h.log, "ab") as out:
            h.proc = subprocess.Popen([os.path.join(BIN, "hawserd"), "--config", h.config, "--supervise"], stdout=out, stderr=out,
                                      stdin=subprocess.DEVNULL, start_new_session=True)
        local = "unix:" + os.path.join(h.run_dir, "wire", "hawser.sock")
        until(lambda: "hawser-wire: hawserd_connected" in h.log_text(), "hawser-wire is there", 60)
        (pid,) = h.pids()["hawser-wire"]
        until(lambda: h.log_text().count(" to=ready ") >= h.n_ready, "the adapters are ready", 60)
        until(lambda: self.cli("device", "list", "-t", local).code == 0, "the local socket is served", 60)
        said = re.findall(r"hawser-wire: not_listening reason=.*", h.log_text())
        self.assertEqual(len(said), 1, said)
        self.assertRegex(said[0], r"tls/agent\.key: No such file or directory; put it there")
        self.assertNotIn("hawser-wire: listening", h.log_text())
        until(lambda: self.counters(local).get("wire.tls_waiting") == 1, "it says that it waits", 60)
        self.assertNotIn("wire.certificate_ends_s", self.counters(local))
        p = self.cli("agent", "reload", "-t", local)  # refused, and nobody falls over it
        self.assertEqual(p.code, 6, p)
        self.assertIn("tls/agent.key", p.err)
        self.write(h, "agent.key", h.good["agent.key"])
        h.address = until(lambda: re.search(r"hawser-wire: listening address=(\S+)\n", h.log_text()), "it listens", 60)[1]
        until(lambda: self.cli("device", "list", "-t", h.address, "--server-identity", f"spiffe://e2e.test/agent/{h.name}").code == 0, "it serves", 60)
        until(lambda: "wire.tls_waiting" not in self.counters(local), "it says that it does not wait", 60)
        self.assertGreater(self.counters(local)["wire.certificate_ends_s"], time.time())
        self.assertEqual(h.pids()["hawser-wire"], [pid], "the process that waited is the one that listens")
        self.assertNotIn("process_ended", h.log_text())
        self.assertEqual(len(re.findall("not_listening", h.log_text())), 1)

    def test_the_service_manager_is_told(self):
        h = self.fresh()
        self.write(h, "ca.crt", None)
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.settimeout(60)
        manager.bind(os.path.join(h.dir, "notify"))
        run = os.path.join(h.run_dir, "wire")
        files = [a for name, file in (("cert", "agent.crt"), ("key", "agent.key"), ("ca", "ca.crt")) for a in (f"--{name}", os.path.join(h.tls, file))]
        with open(h.log, "ab") as out:
            wire = subprocess.Popen([os.path.join(BIN, "hawser-wire"), "--hawserd-socket", os.path.join(h.run_dir, "hawserd.sock"), "--lock",
                                     os.path.join(h.run_dir, "wire.lock"), "--local-socket", os.path.join(run, "hawser.sock"), "--run-dir", run,
                                     "--listen", "127.0.0.1:0", *files], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                    env=dict(os.environ, NOTIFY_SOCKET=os.path.join(h.dir, "notify")))
        try:
            status = manager.recv(4096).decode()
            self.assertRegex(status, r"^STATUS=not listening: .*tls/ca\.crt: No such file or directory; put it there")
            self.assertEqual(manager.recv(4096), b"READY=1")
            self.write(h, "ca.crt", h.good["ca.crt"])
            self.assertEqual(manager.recv(4096), b"STATUS=")
            until(lambda: "hawser-wire: listening" in h.log_text(), "it listens", 60)
        finally:
            wire.send_signal(signal.SIGTERM)
            self.assertEqual(wire.wait(60), 0, h.log_text())
