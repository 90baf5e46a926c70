"""What docs/OPERATIONS.md says is done: each fenced block of commands is read from the page and run against an agent, line by line,
and what it promises is looked at. A block without a test here, or a command outside of a block, fails."""
import os
import re
import shutil
import socket
import subprocess
import time

from harness import BIN, DOMAIN, NIC0, TOP, FleetCase, Host, until

with open(os.path.join(TOP, "docs/OPERATIONS.md")) as page:
    PAGE = page.read()
BLOCKS = {name: text.splitlines() for name, text in re.findall(r"^```sh (\S+)\n(.*?)^```$", PAGE, re.M | re.S)}
STARTS = ("hawser", "openssl", "systemctl", "tar", "mkdir", "cp", "mv", "install", "cat", "grep")


class Operations(FleetCase):
    """One host laid out as packages lay it out, with all that is configured in one folder."""

    @classmethod
    def make_host(cls, name):
        h = Host(cls.root, cls.pki, name)
        cls.etc, cls.state = os.path.join(h.dir, "etc"), os.path.join(h.dir, "state")
        cls.memory, cls.here = os.path.join(h.dir, "memory"), os.path.join(cls.root, "here")
        for folder in (cls.etc, cls.memory, cls.here):
            os.makedirs(folder)
        for end in ("crt", "key"):
            shutil.copy(cls.pki.files(f"agent-{name}")["cert"][:-3] + end, os.path.join(cls.etc, f"agent.{end}"))
        shutil.copy(cls.pki.files("")["ca"], os.path.join(cls.etc, "ca.crt"))
        shutil.copy(h.policy, os.path.join(cls.etc, "policy.yaml"))
        for n in (0, 1):
            shutil.copy(os.path.join(h.dir, f"nic{n}.yaml"), cls.etc)
        with open(os.path.join(cls.etc, "trust"), "w") as f:
            f.write(f"host {name}\n")
        h.config = os.path.join(cls.etc, "agent.yaml")
        with open(h.config, "w") as f:
            f.write(f"host: {name}\nrun_dir: {h.run_dir}\nstate_dir: {cls.state}\npolicy: policy.yaml\nlisten: 127.0.0.1:0\n"
                    "tls: {cert: agent.crt, key: agent.key, ca: ca.crt}\n"
                    f"devices: {{backend: emu, profiles: [nic0.yaml, nic1.yaml]}}\nwarrants: {{trust: trust, memory: {cls.memory}}}\n")
        return h

    def systemctl(self, verb):
        if verb == "stop":
            self.assertIn(self.host.stop(), (0, None))  # None: on a fresh host nothing runs, which is no error
        else:
            self.host.start()
            self.write_inventory()

    def run_line(self, line, more=()):
        """One command as a person types it; what it printed."""
        line = line.replace("fleet.example", DOMAIN)
        if line.startswith("systemctl "):
            self.systemctl(line.split()[1])
            return ""
        env = self.cli_env(self.operator)
        env.update(ETC=self.etc, STATE=self.state, MEMORY=self.memory, CA=self.pki.dir, HOST="host-a", ADDRESS="127.0.0.1",
                   PATH=f"{BIN}:{TOP}/certs:{env['PATH']}", **dict(more))
        p = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=self.here, env=env, stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, 0, f"{line}: {p.stdout}{p.stderr}")
        return p.stdout

    def run_block(self, name):
        self.ran.add(name)
        return [self.run_line(line) for line in BLOCKS[name]]

    def key(self):
        return self.js("audit", "checkpoint", "-t", "host-a")["checkpoints"][0]["key"]

    def test_the_page(self):
        """In one run, in an order that builds up: later steps find what earlier ones have left."""
        self.ran = set()
        self.keys_of_persons()
        self.audit_key()
        self.backup_and_restore()
        self.verify_and_export()
        self.certificates()
        self.assertEqual(self.ran, set(BLOCKS))
        outside = re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)
        loose = [x for x in outside.splitlines() if x.startswith("    ") and x.split()[0] in STARTS]
        self.assertEqual(loose, [])

    def trusted(self):
        with open(os.path.join(self.etc, "trust")) as f:
            return re.findall(r"^key \S+/operator/olga (\S+)$", f.read(), re.M)

    def keys_of_persons(self):
        shown = self.run_block("signing-key")[-1]
        old = re.search(r"\b0[23][0-9a-f]{64}\b", shown)[0]
        with open(os.path.join(self.etc, "trust"), "a") as f:
            f.write(f"key spiffe://{DOMAIN}/operator/olga {old}\n")
        self.ok("agent", "reload", "-t", "host-a")
        self.run_block("signing-key-rotation")
        (new,) = self.trusted()
        self.assertNotEqual(new, old)

    def audit_key(self):
        before = self.key()
        made = self.run_block("audit-key")[0].strip()
        self.assertNotEqual(made, before)
        until(lambda: self.key() == made, "the new audit key")

    def backup_and_restore(self):
        self.ok("config", "apply", "-t", "host-a", "--device", NIC0, "--yes", "NUM_OF_VFS=3")
        key = self.key()
        self.run_block("backup")
        self.host.stop()
        for folder in (self.etc, self.state, self.memory):  # a fresh host has none of it
            shutil.rmtree(folder)
            os.makedirs(folder)
        self.run_block("restore")
        self.assertEqual(self.key(), key)
        self.assertEqual(self.js("agent", "info", "-t", "host-a")["agents"][0]["state"], "serving")
        self.assertTrue(any("NUM_OF_VFS=3" in (r["detail"] or "") for r in self.audit("host-a")))
        self.run_block("pin")  # the restored log holds what was pinned before the backup

    def verify_and_export(self):
        self.run_block("verify")
        self.ran.add("export")
        follow, *sockets = BLOCKS["export"]
        env = dict(self.cli_env(self.operator), HOST="host-a", PATH=f"{BIN}:{os.environ['PATH']}")
        p = subprocess.Popen(["bash", "-c", "exec " + follow], cwd=self.here, env=env, stdin=subprocess.DEVNULL)
        try:
            head = int(self.audit("host-a", last=1)[-1]["seq"])
            until(lambda: f'"seq":{head},' in open(os.path.join(self.here, "host-a.jsonl")).read(), "the export to follow", 60)
        finally:
            p.kill()
            p.wait()
        for line in sockets:  # there is no syslog or journal here: another socket takes their place
            place = os.path.join(self.root, f"sock{time.monotonic_ns()}")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.bind(place)
                s.settimeout(60)
                words = line.split("#")[0]
                p = subprocess.Popen(["bash", "-c", f"exec {words} --to {place}"], cwd=self.here, env=env, stdin=subprocess.DEVNULL)
                try:
                    self.assertIn("hawser", s.recv(1 << 18).decode())
                finally:
                    p.kill()
                    p.wait()

    def certificates(self):
        def serial():
            return subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", os.path.join(self.etc, "agent.crt")], check=True,
                                  capture_output=True, text=True, timeout=30).stdout
        before = serial()
        self.run_block("tls-certificate")
        self.assertNotEqual(serial(), before)
        self.run_block("ca")
        # The old CA is believed no more, on either side.
        until(lambda: self.cli("agent", "whoami", "-t", "host-a").code != 0, "the old CA to be left", 30)
        new = {"cert": os.path.join(self.pki.dir, "next/operator-olga.crt"), "key": os.path.join(self.pki.dir, "next/operator-olga.key"),
               "ca": os.path.join(self.pki.dir, "next/ca.crt")}
        self.ok("agent", "whoami", "-t", "host-a", who=new)
        self.assertNotEqual(self.cli("agent", "whoami", "-t", "host-a", who=dict(self.operator, ca=new["ca"])).code, 0)
