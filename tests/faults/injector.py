"""strace at hawser-wire's system calls: one call of a kind fails with one errno, the program is not told."""
import contextlib
import os
import re
import select
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "attack"))

from world import Agent, harness, until  # noqa: E402

PATIENCE_S = 30  # on a machine with other work; each wait ends with its event
QUICK_DEATHS = 3  # after so many hawserd waits longer and longer before it starts hawser-wire again: a new agent is faster

SCRIPT = """#!/bin/sh
if mv {here}/inject {here}/taken 2>/dev/null; then
  exec strace -D -q -o {here}/start.trace $(cat {here}/taken) {program} "$@"
fi
exec {program} "$@"
"""


def injection(call, errno, k):
    return ["-e", f"trace={call}", "-e", f"inject={call}:error={errno}:when={k}"]


class Wire(Agent):
    """An agent whose hawser-wire may be attached to, or started under strace (once, when `inject` is there)."""

    def __init__(self, places):
        super().__init__(places)
        self.here, self.deaths = self.host.dir, 0
        script = os.path.join(self.host.bin, "hawser-wire")
        with open(script + ".new", "w") as f:
            f.write(SCRIPT.format(here=self.here, program=os.path.join(harness.BIN, "hawser-wire")))
        os.chmod(script + ".new", stat.S_IRWXU)
        os.rename(script + ".new", script)

    @property
    def local(self):
        return os.path.join(self.host.run_dir, "wire", "hawser.sock")

    def mark(self):
        """Where the log ends now."""
        return len(self.host.log_text())

    def ends(self, since):
        """[(process id, status, signal)] of each hawser-wire that hawserd saw end since."""
        found = re.findall(r"process_ended name=hawser-wire pid=(\d+) status=(\d+) signal=(\d+)", self.host.log_text()[since:])
        return [tuple(map(int, x)) for x in found]

    def running(self, since):
        """The hawser-wire that was started last since, when hawserd has it; None meanwhile."""
        log = self.host.log_text()[since:]
        pid = re.findall(r"process_started name=hawser-wire pid=(\d+)\n", log)[-1:]
        return int(pid[0]) if pid and f"process_connected name=hawser-wire pid={pid[0]} " in log else None

    def again(self, since):
        """Waits until hawserd has started hawser-wire again; the new one is meant from now on."""
        self.deaths += 1
        self.take(since)

    def take(self, since):
        """Waits for the hawser-wire that serves since, which is meant from now on; its port may be another than before."""
        self.pid = until(lambda: self.running(since), f"a new hawser-wire serves; the log: {self.host.log}", PATIENCE_S)
        self.follow()

    def follow(self):
        """Its address, as its log says it or, where that line could not be written, its file."""
        log = self.host.log_text()
        said = re.findall(r"hawser-wire: listening address=(\S+:\d+)\n", log[log.rfind("process_started name=hawser-wire"):])
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.host.run_dir, "wire", "listen")) as f:
            said = said or re.findall(r"\S+:\d+", f.read())
        self.address = said[-1] if said else self.address

    def restart(self, *options):
        """hawser-wire is killed and started under strace with these options; where the log ended before."""
        since, old = self.mark(), self.pid
        for name in ("start.trace", "taken"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.here, name))
        with open(os.path.join(self.here, "new"), "w") as f:
            f.write(" ".join(options))
        os.rename(os.path.join(self.here, "new"), os.path.join(self.here, "inject"))
        os.kill(old, signal.SIGKILL)
        self.deaths += 1
        return since

    def trace(self):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.here, "start.trace"), errors="replace") as f:
            return f.read()
        return ""

    def stop(self):
        self.host.stop()


class Attached:
    """strace on a hawser-wire that serves."""

    def __init__(self, agent, *options):
        self.out = os.path.join(agent.here, "live.trace")
        with open(self.out, "w"):
            pass
        self.process = subprocess.Popen(["strace", "-o", self.out, *options, "-p", str(agent.pid)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        said, end = b"", time.monotonic() + PATIENCE_S
        while b"attached" not in said:
            if not select.select([self.process.stderr], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("strace does not attach")
            more = os.read(self.process.stderr.fileno(), 4096)
            if not more:
                raise AssertionError(f"strace: {said.decode()}")
            said += more
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)  # it detaches; nothing when it has ended with its process
        self.process.wait(PATIENCE_S)
        self.process.stderr.close()

    def text(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def injected(self):
        return "(INJECTED)" in self.text()

    def died(self):
        """Its process has ended, or is about to."""
        return re.search(r"^(\+\+\+ |--- SIG(ABRT|SEGV|BUS|ILL|FPE|TRAP))", self.text(), re.M) is not None
