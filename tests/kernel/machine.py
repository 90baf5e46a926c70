"""One boot of the guest with emulated adapters as its PCI devices, under a hard time limit."""
import os
import re
import signal
import subprocess
import time

LOADER = "lib64/ld-linux-x86-64.so.2"
MEMORY = "512"
OFF_SECONDS = 10  # from the end of a scenario to the power-off, in which the drivers shut down


class Cards:
    """hawser-emu serving one adapter per profile; each gets a socket in `folder`."""

    def __init__(self, program, folder, profiles):
        self.sockets = [f"{folder}/card{i}.sock" for i in range(len(profiles))]
        command = [program, "--state-dir", f"{folder}/state"]
        for path, profile in zip(self.sockets, profiles):
            command += ["--vfio-user", path, "--profile", profile]
        self.log = open(f"{folder}/emu.log", "ab")
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        deadline = time.monotonic() + 10
        while not all(os.path.exists(s) for s in self.sockets):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"hawser-emu did not start, see {folder}/emu.log")
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.log.close()
        return status


class Report:
    """What the guest framed on its console: name -> (output, status)."""

    def __init__(self, console, powered_off=True):
        self.powered_off = powered_off
        self.console = console.replace("\r", "")
        self.sections = {}
        for m in re.finditer(r"^@@ begin (\S+)\n(.*?)\n?^@@ end \1 (\d+)$", self.console, re.M | re.S):
            self.sections[m[1]] = (m[2].strip("\n"), int(m[3]))
        self.complete = re.search(r"^@@ done$", self.console, re.M) is not None

    def output(self, name):
        return self.sections[name][0] if name in self.sections else ""

    def status(self, name):
        return self.sections[name][1] if name in self.sections else None


def wait_for_end(process, log, seconds):
    """Waits for the machine; ends it OFF_SECONDS after its scenario. True if it powered off by itself."""
    limit = time.monotonic() + seconds
    done_at = None
    while process.poll() is None and time.monotonic() < limit:
        if done_at is None:
            with open(log, "rb") as f:
                done_at = time.monotonic() if b"\n@@ done" in f.read() else None
        elif time.monotonic() > done_at + OFF_SECONDS:
            break
        time.sleep(0.2)
    if process.poll() is not None:
        return process.returncode == 0
    process.terminate()
    process.wait(10)
    return False


def boot(parts, initramfs, scenario, sockets, seconds, log):
    """Runs the guest to its power-off, at most that long. Returns its Report; log gets the console."""
    tree = parts["QEMU"]
    command = [
        "timeout", "-k", "2", str(seconds), f"{tree}/{LOADER}",
        "--library-path", f"{tree}/lib/x86_64-linux-gnu:{tree}/usr/lib/x86_64-linux-gnu",
        f"{tree}/usr/bin/qemu-system-x86_64", "-L", f"{tree}/usr/share/qemu", "-L", f"{tree}/usr/share/seabios",
        "-L", f"{tree}/usr/lib/ipxe/qemu", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY,
        "-machine", "q35,memory-backend=mem", "-object", f"memory-backend-memfd,id=mem,size={MEMORY}M,share=on",
        "-serial", "stdio", "-kernel", parts["KERNEL"], "-initrd", initramfs,
        "-append", f"console=ttyS0 quiet panic=-1 hawser={scenario}",
    ]
    for i, path in enumerate(sockets):
        device = '{"driver":"vfio-user-pci","bus":"port%d","socket":{"path":"%s","type":"unix"}}' % (i, path)
        command += ["-device", f"pcie-root-port,id=port{i},slot={i + 1}", "-device", device]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    powered_off = wait_for_end(process, log, seconds + 10)
    with open(log, encoding="utf-8", errors="replace") as f:
        return Report(f.read(), powered_off)
