"""A client that speaks HTTP/2 over mutual TLS by hand, so that it can speak it wrong.

Frames are written as bytes (RFC 9113, section 6); header blocks are literal fields without indexing (RFC 7541, section
6.2.2). What comes back is read by libnghttp2's HPACK decoder, which every build of the project has.
"""
import ctypes
import ctypes.util
import select
import socket
import ssl
import struct
import time

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
REFUSED, CANCEL, CALM = 7, 8, 0xB
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INFO, CHECK = "/hawser.v1.AgentService/Info", "/grpc.health.v1.Health/Check"
STREAM_WINDOW, CONN_WINDOW = 65536, 65535  # stream_window_bytes, and RFC 9113's own until the agent has opened it
TAKEN_BYTES = 4 << 20  # in one go: an agent without its limits answers as fast as it is asked


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(**values):
    names = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", names[k], v) for k, v in values.items()))


def integer(value, bits, first=0):
    """An HPACK integer with a prefix of `bits` bits."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out, value = [first | most], value - most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def literal(name, value, first=0):
    """A field with both texts; first=0x40 puts it into the dynamic table as well."""
    name, value = (x.encode() if isinstance(x, str) else x for x in (name, value))
    return bytes((first,)) + integer(len(name), 7) + name + integer(len(value), 7) + value


def block(path, *more, te="trailers", content_type="application/grpc", method="POST"):
    fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "a"), ("te", te), ("content-type", content_type)]
    return b"".join(literal(n, v) for n, v in fields) + b"".join(literal(n, v) for n, v in more)


def message(payload=b"", flag=0):
    return bytes((flag,)) + struct.pack(">I", len(payload)) + payload


def varint(value):
    out = []
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def text(field, value):
    """A protobuf string or bytes field."""
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def fields(data):
    """(number, value) of a protobuf message; sub-messages and texts as bytes."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        elif key & 7 == 2:
            n = number()
            yield key >> 3, data[at:at + n]
            at += n
        else:
            at += {1: 8, 5: 4}[key & 7]


class Hpack:
    """The decoder of one connection."""

    class Nv(ctypes.Structure):
        _fields_ = [("name", ctypes.c_void_p), ("value", ctypes.c_void_p), ("n_name", ctypes.c_size_t),
                    ("n_value", ctypes.c_size_t), ("flags", ctypes.c_uint8)]

    lib = None

    def __init__(self):
        if Hpack.lib is None:
            Hpack.lib = ctypes.CDLL(ctypes.util.find_library("nghttp2") or "libnghttp2.so.14")
            Hpack.lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
            Hpack.lib.nghttp2_hd_inflate_hd2.argtypes = [
                ctypes.c_void_p, ctypes.POINTER(Hpack.Nv), ctypes.POINTER(ctypes.c_int), ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        self.state = ctypes.c_void_p()
        assert self.lib.nghttp2_hd_inflate_new(ctypes.byref(self.state)) == 0

    def __del__(self):
        self.lib.nghttp2_hd_inflate_del(self.state)

    def decode(self, data):
        out, nv, flags, at = [], Hpack.Nv(), ctypes.c_int(), 0
        while True:
            flags.value = 0
            rest = data[at:]
            n = self.lib.nghttp2_hd_inflate_hd2(self.state, ctypes.byref(nv), ctypes.byref(flags), rest, len(rest), 1)
            if n < 0:
                raise ValueError(f"HPACK: {n}")
            at += n
            if flags.value & 2:
                out.append((ctypes.string_at(nv.name, nv.n_name).decode(), ctypes.string_at(nv.value, nv.n_value).decode()))
            if flags.value & 1:
                self.lib.nghttp2_hd_inflate_end_headers(self.state)
                return out


class Closed(Exception):
    """The agent ended the connection; .code is its GOAWAY's, None without one."""

    def __init__(self, code=None):
        super().__init__(f"closed, GOAWAY {code}")
        self.code = code


class Peer:
    """One connection. Everything the agent says is in goaway, resets, headers {stream: [fields]} and data {stream: bytes}."""

    def __init__(self, address, files, source=None, start=True, first=settings(window=1 << 20) + frame(WINDOW_UPDATE, 0, 0, b"\x3f\xff\0\0"), rcvbuf=0, timeout=10, shake=True):
        host, port = address.rsplit(":", 1)
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.raw.settimeout(timeout)
        if rcvbuf:
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.raw.bind((source, 0))
        self.clear()
        try:
            self.raw.connect((host, int(port)))
            self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.tls = context(files).wrap_socket(self.raw, server_hostname="127.0.0.1", do_handshake_on_connect=shake)
            self.tls.settimeout(timeout)
            if start:
                self.send(PREFACE + first)
        except (OSError, ssl.SSLError) as error:
            self.raw.close()
            raise Closed() from error

    def clear(self):
        """Nothing was said yet."""
        self.goaway, self.goaway_text, self.resets, self.headers, self.data = None, b"", [], {}, {}
        self.done, self.n_acks, self.next_stream, self.buffer, self.eof = set(), 0, 1, bytearray(), False
        self.hpack, self.goaways = Hpack(), []  # goaways: (last stream, code) of each
        self.granted, self.spent = {}, 0  # by WINDOW_UPDATE, {stream: bytes}; of the connection's window

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        getattr(self, "tls", self.raw).close()

    def wait(self, events, seconds):
        """Until the socket is ready; by poll, since there may be more descriptors than select can name."""
        poll = select.poll()
        poll.register(self.tls, events)
        poll.poll(seconds * 1000)

    def send(self, data):
        """Writes all of it; reads what comes meanwhile, so that neither side waits for the other."""
        view, end = memoryview(data), time.monotonic() + 20
        self.tls.setblocking(False)
        try:
            while view and not self.eof:
                try:
                    view = view[self.tls.send(view[:16384]):]
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    self.wait(select.POLLIN | select.POLLOUT, 0.5)
                    self.take()
                except (OSError, ssl.SSLError):
                    self.eof = True
                if time.monotonic() > end:
                    raise TimeoutError("the agent takes nothing")
        finally:
            self.tls.setblocking(True)
        if view:
            self.take()
            raise Closed(self.goaway)

    def take(self):
        """Reads what is there without waiting, TAKEN_BYTES at most. True if bytes came."""
        came = 0
        self.tls.setblocking(False)
        try:
            while not self.eof and came < TAKEN_BYTES:
                got = self.tls.recv(65536)
                self.eof = not got
                came += len(got)
                self.buffer += got
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, ssl.SSLError):
            self.eof = True
        finally:
            try:
                self.tls.setblocking(True)
            except OSError:
                pass
        self.parse()
        return came > 0

    def parse(self):
        """Takes the whole frames off the buffer, and only then cuts it: there may be a million of them."""
        b, at = self.buffer, 0
        while len(b) - at >= 9:
            n = int.from_bytes(b[at:at + 3], "big")
            if len(b) - at < 9 + n:
                break
            self.frame(b[at + 3], b[at + 4], int.from_bytes(b[at + 5:at + 9], "big"), bytes(b[at + 9:at + 9 + n]))
            at += 9 + n
        del b[:at]

    def frame(self, kind, flags, stream, payload):
        if kind == GOAWAY:
            self.goaways.append((int.from_bytes(payload[:4], "big") & 0x7FFFFFFF, int.from_bytes(payload[4:8], "big")))
            self.goaway, self.goaway_text = int.from_bytes(payload[4:8], "big"), payload[8:] or self.goaway_text
        elif kind == RST_STREAM:
            self.resets.append((stream, int.from_bytes(payload, "big")))
            self.done.add(stream)
        elif kind == HEADERS:
            self.headers.setdefault(stream, []).extend(self.hpack.decode(payload))
        elif kind == WINDOW_UPDATE:
            self.granted[stream] = self.granted.get(stream, 0) + int.from_bytes(payload, "big")
        elif kind == DATA:
            self.data[stream] = self.data.get(stream, b"") + payload
        elif flags & ACK:
            self.n_acks += 1
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.done.add(stream)

    def until(self, condition, seconds=10.0):
        """Reads until condition() is true; its value. Closed when the agent ends first, TimeoutError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            self.take()
            got = condition()
            if got:
                return got
            if self.eof:
                raise Closed(self.goaway)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing in {seconds} s")
            self.wait(select.POLLIN, min(left, 0.5))

    def until_closed(self, seconds):
        """Reads until the agent has ended the connection; the GOAWAY's code."""
        try:
            self.until(lambda: self.eof, seconds)
        except Closed:
            pass
        return self.goaway

    def stream(self):
        self.next_stream += 2
        return self.next_stream - 2

    def open(self, path, *more, flags=END_HEADERS, **how):
        """Begins a call; its stream."""
        s = self.stream()
        self.send(frame(HEADERS, flags, s, block(path, *more, **how)))
        return s

    def pour(self, stream, data, seconds=20.0):
        """Sends data and the end of the stream as the agent's windows allow."""
        at = 0

        def room():
            return min(STREAM_WINDOW + self.granted.get(stream, 0) - at, CONN_WINDOW + self.granted.get(0, 0) - self.spent)
        while at < len(data):
            n = min(16384, len(data) - at, self.until(lambda: max(0, room()), seconds))
            self.send(frame(DATA, END_STREAM if at + n == len(data) else 0, stream, data[at:at + n]))
            at += n
            self.spent += n

    def status_of(self, stream):
        for name, value in self.headers.get(stream, ()):
            if name == "grpc-status":
                return int(value)
        return None

    def end(self, stream, seconds=10.0):
        """Waits for the end of a call; its grpc-status (None: reset without one)."""
        self.until(lambda: stream in self.done, seconds)
        return self.status_of(stream)

    def call(self, path, payload=b"", *more, seconds=10.0):
        """One unary call: (status, response)."""
        s = self.stream()
        self.send(frame(HEADERS, END_HEADERS, s, block(path, *more)) + frame(DATA, END_STREAM, s, message(payload)))
        status = self.end(s, seconds)
        return status, self.data.pop(s, b"")[5:]


CONTEXTS = {}


def context(files):
    key = (files or {}).get("cert")
    if key not in CONTEXTS:
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE  # the attacker does not care whom it attacks
        c.set_alpn_protocols(["h2"])
        if files:
            c.load_cert_chain(files["cert"], files["key"])
        CONTEXTS[key] = c
    return CONTEXTS[key]
