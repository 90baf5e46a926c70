"""One boot of the guest with emulated adapters as its PCI devices, under a hard time limit."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

LOADER = "lib64/ld-linux-x86-64.so.2"
MEMORY = "512"
SPEEDS = {1: "2_5", 2: "5", 3: "8", 4: "16", 5: "32"}  # of a port, by generation, as QEMU names them
OFF_SECONDS = 10  # from the end of a scenario to the power-off, in which the drivers shut down
AGENT_PORT = 7443  # of the agent in the guest


class Cards:
    """hawser-emu serving one adapter per profile; each gets a socket in `folder`."""

    def __init__(self, program, folder, profiles):
        self.sockets = [f"{folder}/card{i}.sock" for i in range(len(profiles))]
        self.program, self.control = program, f"{folder}/emu.control"
        command = [program, "--state-dir", f"{folder}/state", "--control", self.control]
        for path, profile in zip(self.sockets, profiles):
            command += ["--vfio-user", path, "--profile", profile]
        self.log = open(f"{folder}/emu.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.log, stdout=self.log)
        deadline = time.monotonic() + 20
        while not all(os.path.exists(s) for s in self.sockets):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"hawser-emu did not start, see {folder}/emu.log")
            time.sleep(0.02)

    def tell(self, *words):
        """A command for the adapters (hawser-emu --control), which must obey."""
        subprocess.run([self.program, "--control", self.control, *words], check=True, capture_output=True, timeout=20)

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


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Machine:
    """A guest that runs. The host's part of a scenario: where the guest prints "@@ host NAME", step(NAME, machine) runs, and
    the guest goes on when it has returned."""

    def __init__(self, parts, initramfs, boot, ports, seconds, log):
        """boot: the scenario and what else its kernel is told; ports: of the PCIe root complex, each as (socket of the card in
        it, generation, lanes)."""
        self.port = free_port()  # of the agent, on this host's loopback
        self.log, self.limit = log, time.monotonic() + seconds
        self.n_read, self.text = 0, ""
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                self.command(parts, initramfs, boot, ports, seconds),
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)

    def command(self, parts, initramfs, boot, ports, seconds):
        tree = parts["QEMU"]
        command = [
            "timeout", "-k", "2", str(seconds + OFF_SECONDS), f"{tree}/{LOADER}",
            "--library-path", f"{tree}/lib/x86_64-linux-gnu:{tree}/usr/lib/x86_64-linux-gnu",
            f"{tree}/usr/bin/qemu-system-x86_64", "-L", f"{tree}/usr/share/qemu", "-L", f"{tree}/usr/share/seabios",
            "-L", f"{tree}/usr/lib/ipxe/qemu", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY,
            # Ports with a PCIe slot of their own, whose links are up, not slots of ACPI.
            "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
            "-machine", "q35,memory-backend=mem", "-object", f"memory-backend-memfd,id=mem,size={MEMORY}M,share=on",
            "-serial", "stdio", "-kernel", parts["KERNEL"], "-initrd", initramfs,
            # On a loaded host the kernel's test of the timer interrupt fails, and then no interrupt of the console comes; and what
            # it measures the time stamp counter to be is wrong, so that its clock may run several times too fast.
            "-append", "console=ttyS0 quiet no_timer_check clocksource=hpet tsc=unstable lapic=notscdeadline panic=-1 "
            f"hawser={boot}",
            # The guest reaches nothing; the host reaches the agent in it.
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:{AGENT_PORT}",
            "-device", "virtio-net-pci,netdev=net,romfile=",
        ]
        for i, (path, generation, width) in enumerate(ports):
            device = '{"driver":"vfio-user-pci","bus":"port%d","socket":{"path":"%s","type":"unix"}}' % (i, path)
            port = f"pcie-root-port,id=port{i},slot={i + 1},x-speed={SPEEDS[generation]},x-width={width}"  # as fast as its card
            command += ["-device", port, "-device", device]
        return command

    def read(self):
        """What the console has said since the last call is added to text."""
        with open(self.log, "rb") as f:
            f.seek(self.n_read)
            data = f.read()
        self.n_read += len(data)
        self.text += data.decode(errors="replace").replace("\r", "")

    def serve(self, step):
        """Runs the host's steps until the scenario is over, the machine is gone or the time is up."""
        n_steps = 0
        while self.process.poll() is None and time.monotonic() < self.limit:
            self.read()
            asked = re.findall(r"^@@ host (\S+)\n", self.text, re.M)
            if len(asked) > n_steps:
                step(asked[n_steps], self)
                with contextlib.suppress(BrokenPipeError):  # it is gone, which the next turn sees
                    self.process.stdin.write(f"{asked[n_steps]}\n".encode())
                    self.process.stdin.flush()
                n_steps += 1
            elif "\n@@ done" in self.text:
                return
            else:
                time.sleep(0.1)

    def stop(self):
        """The Report, once the machine has powered off, or did not in time."""
        limit = time.monotonic() + OFF_SECONDS if "\n@@ done" in self.text else 0
        while self.process.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        powered_off = self.process.poll() == 0
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.read()
        return Report(self.text, powered_off)
