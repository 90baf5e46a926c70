"""Where hawser-wire listens: a socket of its service manager's, as hawser-wire.socket is under systemd; a port of its own choice."""
import os
import re
import signal
import socket
import subprocess

from harness import BIN, NIC0, FleetCase, Host, until


class PassedHost(Host):
    """The three programs as the units start them, without a spawner; the TCP socket is this test's."""

    def start(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        tls = self.pki.files(f"agent-{self.name}")
        run, log = self.run_dir, open(self.log, "ab")
        os.makedirs(os.path.join(run, "wire"), exist_ok=True)

        def program(name, *arguments, shell=None):
            command = [os.path.join(BIN, name), *arguments]
            if shell:
                command = ["sh", "-c", shell, "sh", *command]
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=[self.socket.fileno()])

        door = ("--hawserd-socket", os.path.join(run, "hawserd.sock"), "--local-socket", os.path.join(run, "wire/hawser.sock"))
        self.all = [
            program("hawserd", "--config", self.config, "--no-spawn"),
            program("hawser-emu", "--socket", os.path.join(run, "hawserd.sock"), "--lock", os.path.join(run, "dev.lock"), "--state-dir",
                    os.path.join(self.dir, "emu"), "--profile", self.adapters[0].path, "--profile", self.adapters[1].path),
            program("hawser-wire", *door, "--lock", os.path.join(run, "wire.lock"), "--run-dir", os.path.join(run, "wire"), "--listen",
                    "192.0.2.1:1", "--cert", tls["cert"], "--key", tls["key"], "--ca", tls["ca"],
                    shell=f'exec 3<&{self.socket.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'),
        ]
        log.close()
        until(lambda: re.search(r"hawser-wire: listening address=(\S+)\n", self.log_text()) and
              self.log_text().count(" to=ready ") >= self.n_ready, f"{self.name} serves; log: {self.log}", 30)
        return self

    def stop(self, seconds=10):
        for p in reversed(self.all):
            p.send_signal(signal.SIGTERM)
            p.wait(30)
        self.socket.close()


class Activation(FleetCase):
    @classmethod
    def make_host(cls, name):
        return PassedHost(cls.root, cls.pki, name)

    def test_the_passed_socket_is_served_and_no_other(self):
        self.assertIn(f"listening address={self.host.address}\n", self.host.log_text())
        self.assertEqual(self.ok("reg", "get", "-t", self.host.address, "--device", NIC0, "MGIR").code, 0)


class PortTaken(FleetCase):
    @classmethod
    def make_host(cls, name):
        host = Host(cls.root, cls.pki, name)
        cls.taker = socket.socket()
        cls.taker.bind(("127.0.0.1", 0))
        cls.taken = "127.0.0.1:%d\n" % cls.taker.getsockname()[1]
        cls.told = os.path.join(host.run_dir, "wire", "listen")
        os.makedirs(os.path.dirname(cls.told))
        with open(cls.told, "w") as f:
            f.write(cls.taken)
        return host

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.taker.close()

    def test_the_last_port_when_it_is_taken_is_changed_for_one_that_is_told(self):
        def told():
            with open(self.told) as f:
                return f.read()
        self.assertNotEqual(self.host.address + "\n", self.taken)
        until(lambda: told() == self.host.address + "\n", "DIR/listen has the new address", 60)
        self.assertEqual(self.cli("device", "list", "-t", self.host.name).code, 0)
