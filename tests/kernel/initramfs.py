"""An initramfs for the guest, written as newc cpio by hand: busybox, drivers, the vendor's tools, Hawser's programs."""
import gzip
import os
import re
import stat
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
LOADER = "lib64/ld-linux-x86-64.so.2"
TOOLS = {"mstreg": "bin", "mstconfig": "bin", "mstlink": "bin", "devlink": "sbin"}


class Archive:
    """Paths and contents in the order they were added; every folder on the way is added once."""

    def __init__(self):
        self.entries = []
        self.known = set()

    def _put(self, path, mode, data=b"", rdev=(0, 0)):
        self.known.add(path)
        self.entries.append((path, mode, data, rdev))

    def folder(self, path):
        if path and path not in self.known:
            self.folder(os.path.dirname(path))
            self._put(path, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o755):
        if path not in self.known:
            self.folder(os.path.dirname(path))
            self._put(path, stat.S_IFREG | mode, data)

    def copy(self, path, source):
        with open(source, "rb") as f:
            self.file(path, f.read())

    def link(self, path, target):
        if path not in self.known:
            self.folder(os.path.dirname(path))
            self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor):
        self.folder(os.path.dirname(path))
        self._put(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self):
        out = bytearray()

        def add(name, mode, data, rdev, number):
            name = name.encode() + b"\0"
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name), 0)
            out.extend(b"070701" + b"".join(b"%08x" % f for f in fields) + name)
            out.extend(b"\0" * (-len(out) % 4))
            out.extend(data)
            out.extend(b"\0" * (-len(out) % 4))

        for number, (path, mode, data, rdev) in enumerate(self.entries, 1):
            add(path, mode, data, rdev, number)
        add("TRAILER!!!", 0, b"", (0, 0), 0)
        return gzip.compress(bytes(out), 1, mtime=0)


def libraries(loader, search, program):
    """Shared libraries of a program, as the given loader with the given search path finds them."""
    command = [loader] + (["--library-path", ":".join(search)] if search else []) + ["--list", program]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    missing = re.findall(r"(\S+) => not found", text)
    if missing:
        raise RuntimeError(f"{program}: no {', '.join(missing)}")
    return [m for m in re.findall(r"=> (/\S+)", text) if "ld-linux" not in m]


def add_tools(archive, tools, tree):
    """mstreg and the others with a loader and libraries of their own: the guest's are the host's."""
    loader = f"{tree}/{LOADER}"
    search = [f"{tools}/usr/lib/x86_64-linux-gnu", f"{tree}/lib/x86_64-linux-gnu", f"{tree}/usr/lib/x86_64-linux-gnu"]
    archive.copy("tools/ld.so", loader)
    for name, folder in TOOLS.items():
        program = f"{tools}/usr/{folder}/{name}"
        for lib in libraries(loader, search, program):
            archive.copy(f"tools/lib/{os.path.basename(lib)}", lib)
        archive.copy(f"tools/bin/{name}", program)
        archive.file(f"bin/{name}", f"#!/bin/sh\nexec /tools/ld.so --library-path /tools/lib /tools/bin/{name} \"$@\"\n".encode())
    for folder in ("mlxconfig_dbs", "prm_dbs/hca"):
        for path, _, names in os.walk(f"{tools}/usr/share/mstflint/{folder}"):
            for name in names:
                source = os.path.join(path, name)
                archive.copy(os.path.relpath(source, tools), source)


def add_programs(archive, folder, names):
    """Hawser's programs as built here, with this machine's loader and libraries in their usual places."""
    loader = f"/{LOADER}"
    archive.copy(LOADER, loader)
    for name in names:
        program = f"{folder}/{name}"
        for lib in libraries(loader, [], program):
            archive.copy(f"lib/x86_64-linux-gnu/{os.path.basename(lib)}", lib)
        archive.copy(f"bin/{name}", program)


def base(parts, bin_folder):
    """The archive that every boot has. parts: from prepare.sh."""
    archive = Archive()
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.copy("bin/busybox", "/usr/bin/busybox" if os.path.exists("/usr/bin/busybox") else "/bin/busybox")
    archive.link("bin/sh", "busybox")
    archive.copy("init", f"{HERE}/guest/init")
    for name in sorted(os.listdir(f"{HERE}/guest")):
        archive.copy(f"scenarios/{name}", f"{HERE}/guest/{name}")
    for name in ("mlx5_core.ko", "mlx5_fwctl.ko"):
        archive.copy(f"modules/{name}", f"{parts['MODULES']}/{name}")
    add_tools(archive, parts["TOOLS"], parts["QEMU"])
    add_programs(archive, bin_folder, ("hawserd", "hawser-wire", "hawser-dev", "hawser", "fwctl-probe"))
    return archive.bytes()


def files(contents):
    """An archive of a boot's own files, {path: bytes}, to follow the base: the kernel unpacks one after the other."""
    archive = Archive()
    for path, data in contents.items():
        archive.file(path, data, 0o644)
    return archive.bytes()
