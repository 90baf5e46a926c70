"""HTTP/2 by hand (RFC 9113, RFC 7541) for tests that send what no library would: frames, header blocks, a connection."""
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
ERRORS = ("NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
          "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED").split()
CLOSED = "closed"  # the connection ended without a GOAWAY that says why


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def hpack_int(value, prefix, first):
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out = bytearray([first | most])
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def literal(name, value):
    """A field without indexing, without Huffman coding."""
    name, value = name.encode("latin-1"), value.encode("latin-1")
    return b"\x00" + hpack_int(len(name), 7, 0) + name + hpack_int(len(value), 7, 0) + value


def block(fields):
    return b"".join(literal(name, value) for name, value in fields)


def headers(stream, fields, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields))


def message(payload):
    """A gRPC message, not compressed."""
    return b"\x00" + struct.pack(">I", len(payload)) + payload


class Connection:
    """Frames in and out of a connected socket."""

    def __init__(self, sock):
        self.sock = sock
        self.pending = b""
        self.ended = False

    @classmethod
    def to_unix(cls, path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        return cls(sock)

    def send(self, *parts):
        try:
            self.sock.sendall(b"".join(parts))
        except OSError:
            pass  # the peer reads no more; what it said before is still to be read, then the end

    def fill(self, n, until):
        while len(self.pending) < n and not self.ended:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                more = b""
            self.ended = self.ended or not more
            self.pending += more
        return len(self.pending) >= n

    def receive(self, seconds=10.0):
        """(kind, flags, stream, payload) of the next frame; None when the time is over or the connection has ended."""
        until = time.monotonic() + seconds
        if not self.fill(9, until):
            return None
        n = int.from_bytes(self.pending[:3], "big")
        kind, flags = self.pending[3], self.pending[4]
        stream = int.from_bytes(self.pending[5:9], "big") & 0x7FFFFFFF
        if not self.fill(9 + n, until):
            return None
        payload = self.pending[9:9 + n]
        self.pending = self.pending[9 + n:]
        return kind, flags, stream, payload

    def close(self):
        self.sock.close()
