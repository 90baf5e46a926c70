"""Firmware files for `devlink dev flash`: an image of the emulated adapter (lib/device/emu/image.h) in the package format that
the kernel's mlxfw reads (drivers/net/ethernet/mellanox/mlxfw/mlxfw_mfa2*.h, Linux 7.3.4)."""
import hashlib
import lzma
import struct

MULTI, PACKAGE, COMPONENT, POINTER, PSID = 0x01, 0x02, 0x04, 0x22, 0x2A
XZ = 1


def image(hw_id, psid, version, build_id, payload):
    """version: (major, minor, subminor)."""
    head = b"HWSFIMG\x01" + struct.pack(">IHxx16s", 80 + len(payload) + 32, hw_id, psid.encode())
    head += struct.pack(">4H2Bxx", *version, 0x2026, 0x11, 0x28) + struct.pack(">I28s", build_id, b"kernel-test-bed")
    assert len(head) + 4 == 80
    body = head + bytes(4) + payload
    return body + hashlib.sha256(body).digest()


def tlv(kind, data):
    return struct.pack(">BBH", 0, kind, len(data)) + data + bytes(-len(data) % 4)


def multi(*children):
    """The first child, and the others as its extensions."""
    below = b"".join(children)
    return tlv(MULTI, struct.pack(">HH", len(children) - 1, len(below))) + below


def package(psid, data):
    """One device with one component."""
    block = b"#BIN.COMPONENT!#" + data
    archive = lzma.compress(block, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=0)
    device = multi(tlv(PSID, psid.encode()), tlv(POINTER, struct.pack(">HHI", 0, 0, 0)))
    component = multi(tlv(COMPONENT, struct.pack(">HHIII", 0, 0, 0, 0, len(data))))

    def described(offset):
        about = struct.pack(">HHIIII3xBI", 1, 1, offset, len(archive), 0, len(block), XZ, 0)
        return b"MLNX.MFA2.XZ.00!" + multi(tlv(PACKAGE, about)) + device + component

    return described(len(described(0))) + archive
