"""Rows whose attackers stand still: each takes as long as its limit, so all of them run beside the other rows."""
import socket
import struct
import time

from h2 import (CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, WINDOW_UPDATE, Closed, Peer, block, frame, literal, message,
                settings, text)
from rows import row
from world import BIG, check, harness, until

PULL = "/hawser.v1.DumpService/Pull"


def pull(p):
    s = p.stream()
    request = text(1, harness.NIC0) + text(2, "registers")
    p.send(frame(HEADERS, END_HEADERS, s, block(PULL)) + frame(DATA, END_STREAM, s, message(request)))
    return s


# max_unsent_conn_bytes, and the message that it may be overrun by: a chunk of a dump with its frame.
MOST_HELD = (1 << 20) + (66 << 10)


def stalled_dumps(a, number, seconds, keep):
    """Eight dumps are pulled through windows that hardly open: each is reset in time, no more is held for them than may be, and the
    connection lives on. number: of an identity that nobody else here has."""
    mine = f"identity.spiffe://{harness.DOMAIN}/operator/mallory{number}.held_bytes"
    held, looked = 0, 0.0
    with a.attacker(who=a.places.more[number], first=settings(window=0)) as p:
        streams = [pull(p) for _ in range(8)]
        began = time.monotonic()
        while len(p.done) < len(streams):
            check(time.monotonic() - began < seconds, f"{len(p.done)} of {len(streams)} dumps were reset in {seconds} s")
            keep(p, streams)
            p.take()
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                held = max(held, a.counter(mine))
            check(not p.eof, "the whole connection ended")
            time.sleep(0.25)
        took = time.monotonic() - began
        got = sum(len(d) for d in p.data.values())
        p.send(settings(window=65536))
        check(p.call(CHECK)[0] == 0, "a call on the same connection")
    check(0 < held <= MOST_HELD, f"{held} bytes were held")
    return f"{len(streams)} dumps reset after {took:.1f} s, {got} bytes had moved, {held} were held"


@row("progress_ms progress_bytes max_unsent_call_bytes max_unsent_conn_bytes", "calls_stalled", {"progress_ms": 0}, fails="0 of 8 dumps were reset", background=True)
def zero_window(a):
    return stalled_dumps(a, 3, 34, lambda p, streams: None)


@row("progress_ms progress_bytes", "calls_stalled", {"progress_ms": 0}, fails="0 of 8 dumps were reset", background=True)
def window_that_drips_bytes(a):
    def keep(p, streams):
        p.send(b"".join(frame(WINDOW_UPDATE, 0, s, b"\0\0\0\x01") for s in streams if s not in p.done))
    return stalled_dumps(a, 4, 34, keep)


@row("write_progress_ms", "net.stalled", {"write_progress_ms": BIG, "conn_progress_ms": 0, "progress_ms": 0, "keepalive_ms": 0},
     fails="the connection is ended", memory_kb=2560, own={"limits": {"conn_progress_ms": 0, "keepalive_ms": 0}}, background=True)
def reader_that_stops(a):
    """Windows wide open, but the socket is never read."""
    mine = "identity.spiffe://%s/operator/mallory2.connections" % harness.DOMAIN
    p = a.attacker(who=a.places.more[2], first=settings(window=1 << 30), rcvbuf=2048)
    try:
        p.send(frame(WINDOW_UPDATE, 0, 0, b"\x3f\xff\0\0"))
        for _ in range(31):
            pull(p)
        began = time.monotonic()
        until(lambda: a.counter(mine) == 1, "the connection is counted", 5)
        until(lambda: a.counter(mine) == 0, "the connection is ended", 64)
    finally:
        p.close()
    return f"ended after {time.monotonic() - began:.0f} s"


def drop(seconds, sockets, keep=lambda s: None):
    """All of these sockets are ended by the agent within `seconds`; when the last was."""
    began = time.monotonic()
    left = list(sockets)
    try:
        while left:
            check(time.monotonic() - began < seconds, f"{len(left)} of {len(sockets)} were not dropped in {seconds} s")
            for s in list(left):
                try:
                    keep(s)
                    s.settimeout(0)
                    if s.recv(4096) == b"":
                        left.remove(s)
                except BlockingIOError:
                    pass
                except OSError:
                    left.remove(s)
            time.sleep(0.25)
        return time.monotonic() - began
    finally:
        for s in sockets:
            s.close()


def stranger(a, source):
    host, port = a.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), source_address=(source, 0), timeout=5)


@row("handshake_ms", "handshakes_refused.timeout", {"handshake_ms": BIG}, fails="12 of 12 were not dropped", background=True)
def strangers_who_say_nothing(a):
    return f"dropped after {drop(12, [stranger(a, '127.1.0.1') for _ in range(12)]):.1f} s"


@row("handshake_ms", "handshakes_refused.timeout", {"handshake_ms": BIG}, fails="12 of 12 were not dropped", background=True)
def handshakes_byte_by_byte(a):
    """Each sends a ClientHello, one byte in a quarter of a second."""
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(500)
    sent = {}

    def keep(s):
        at = sent.get(s, 0)
        s.send(hello[at:at + 1])
        sent[s] = at + 1
    return f"dropped after {drop(12, [stranger(a, '127.1.0.2') for _ in range(12)], keep):.1f} s"


@row("preface_ms", "conn_preface_timeouts", {"preface_ms": 0}, fails="a peer without a preface is still there", background=True)
def prefaces_byte_by_byte(a):
    peers = [a.attacker(who=a.places.more[0], source="127.1.0.3", start=False) for _ in range(4)]
    began = time.monotonic()
    for i in range(60):
        if all(p.eof for p in peers):
            break
        for p in peers:
            try:
                p.send(PREFACE[i:i + 1])
                p.take()
            except Closed:
                pass
        time.sleep(0.25)
    check(all(p.eof for p in peers), "a peer without a preface is still there after 15 s")
    for p in peers:
        p.close()
    return f"ended after {time.monotonic() - began:.1f} s"


@row("header_block_ms", "conn_header_timeouts", {"header_block_ms": 0}, fails="the connection is still there", background=True)
def headers_byte_by_byte(a):
    """A CONTINUATION frame that comes one byte at a time."""
    with a.attacker(who=a.places.more[0]) as p:
        rest = literal("x", "v" * 200)
        p.send(frame(HEADERS, 0, p.stream(), block(CHECK)) + frame(9, END_HEADERS, 1, rest)[:9])
        began = time.monotonic()
        for i in range(60):
            try:
                p.send(rest[i:i + 1])
                p.take()
            except Closed:
                break
            if p.eof:
                break
            time.sleep(0.25)
        check(p.eof, "the connection is still there after 15 s")
    return f"ended after {time.monotonic() - began:.1f} s"


@row("progress_ms", "calls_stalled", {"progress_ms": 0}, fails="0 of 4 calls were ended", background=True)
def requests_that_never_come(a):
    """Unary calls whose message is missing, or stops within: ended, the connection lives on."""
    with a.attacker(who=a.places.more[0]) as p:
        streams = [p.open(CHECK) for _ in range(4)]
        for s in streams[2:]:
            p.send(frame(DATA, 0, s, message(bytes(50))[:20]))
        began = time.monotonic()
        while len(p.done) < 4:
            check(time.monotonic() - began < 34, f"{len(p.done)} of 4 calls were ended in 34 s")
            p.take()
            time.sleep(0.25)
        took = time.monotonic() - began
        check(all(p.status_of(s) == 14 for s in streams), f"statuses {[p.status_of(s) for s in streams]}")
        check(p.call(CHECK)[0] == 0, "a call on the same connection")
    return f"UNAVAILABLE after {took:.1f} s"


@row("keepalive_ms keepalive_timeout_ms", "conn_keepalive_timeouts", {"keepalive_ms": 0}, fails="the silent peer is given up", background=True)
def half_open_peer(a):
    """A peer that has gone without a word: nothing comes from it, not even the answer to a ping."""
    before = a.counter("conn_keepalive_timeouts")
    p = a.attacker(who=a.places.more[1])
    try:
        p.call(CHECK)
        began = time.monotonic()
        until(lambda: a.counter("conn_keepalive_timeouts") > before, "the silent peer is given up", 44)
        took = time.monotonic() - began
    finally:
        p.close()
    check(took <= 42, f"given up after {took:.1f} s")
    return f"given up after {took:.1f} s"


@row("", "calls_ended", background=True)
def bytes_one_by_one(a):
    """A whole call, each byte in a TLS record and a segment of its own: slow, and served."""
    with a.attacker(who=a.places.more[1], start=False) as p:
        s = p.stream()
        sent = PREFACE + settings() + frame(HEADERS, END_HEADERS, s, block(CHECK)) + frame(DATA, END_STREAM, s, message())
        for i in range(len(sent)):
            p.tls.send(sent[i:i + 1])
        check(p.end(s) == 0, f"status {p.status_of(s)}")
    return f"{len(sent)} segments"
