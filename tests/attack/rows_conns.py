"""Rows that attack with many connections: strangers, valid certificates, descriptors, garbage instead of TLS."""
import contextlib
import resource
import select
import socket
import ssl
import struct
import threading
import time

from h2 import CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, Closed, block, context, fields, frame, message, settings, text
from rows import row
from rows_still import PULL, pull
from world import BIG, GOOD, LONG, Failure, Neighbour, at_once, check, crowded, harness, p99, reset_when_closed, until

RNG = harness.RNG
OFF_CONNS = {"max_conns": 100000, "max_conns_per_address": 100000, "max_handshakes": 100000, "max_handshakes_per_address": 100000,
             "handshake_burst": BIG, "handshake_burst_per_address": BIG, "handshakes_per_s": BIG, "handshakes_per_s_per_address": BIG}


class Strangers:
    """Connections from one address that never say who they are; more come when some are ended, `n` at a time."""

    def __init__(self, agent, n, source, say=b""):
        host, port = agent.address.rsplit(":", 1)
        self.target, self.n, self.source, self.say = (host, int(port)), n, source, say
        self.sockets, self.n_begun, self.stop = {}, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        until(lambda: self.n_begun >= self.n, "the strangers have come", 20)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(20)
        for s in self.sockets.values():
            s.close()

    def begin(self, poll):
        s = socket.socket()
        s.setblocking(False)
        s.bind((self.source, 0))
        s.connect_ex(self.target)
        self.sockets[s.fileno()] = s
        poll.register(s.fileno(), select.EPOLLRDHUP | (select.EPOLLOUT if self.say else 0))
        self.n_begun += 1

    def happened(self, poll, fd, events):
        if events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
            poll.unregister(fd)
            self.sockets.pop(fd).close()
        elif events & select.EPOLLOUT:
            poll.modify(fd, select.EPOLLRDHUP)
            try:
                self.sockets[fd].send(self.say)
            except OSError:
                pass  # the next event says that it has ended

    def run(self):
        with select.epoll() as poll:
            while not self.stop.is_set():
                while len(self.sockets) < self.n and not self.stop.is_set():
                    self.begin(poll)
                for fd, events in poll.poll(0.1):
                    self.happened(poll, fd, events)
                time.sleep(0.005)


def served(a, n, source, retry=False):
    """n good callers connect and call one after another; their times. retry: a refused one comes again, as a channel does."""
    took = []
    for _ in range(n):
        began = time.monotonic()
        while True:
            try:
                a.serve_once(source=source, seconds=3)
                break
            except (Closed, TimeoutError, OSError):
                if not retry or time.monotonic() - began > 3:
                    return [*took, 9.0]  # not served: one is enough to know
                time.sleep(0.02)
        took.append(time.monotonic() - began)
    return took


@row("max_handshakes max_handshakes_per_address max_conns_per_address", "net.waited net.over_conns_address", {**OFF_CONNS, "fd_reserve": 0},
     fails="p99 of connect and call is 9.00 s", own={"descriptors": 600}, quick_off=True)
def thousand_slow_strangers(a):
    """1,000 from one address, silent or with half a ClientHello, coming again when they are dropped."""
    with Strangers(a, 500, "127.2.0.1"), Strangers(a, 500, "127.2.0.1", say=bytes.fromhex("1603010200010001fc0303")):
        took = served(a, 25, GOOD)
        check(p99(took) <= at_once(), f"p99 of connect and call is {p99(took):.2f} s")
    after = served(a, 3, "127.2.0.1", retry=True)
    check(max(after) <= at_once(), f"a good caller from that address needs {max(after):.2f} s afterwards")
    return f"connect and call p99 {p99(took) * 1000:.0f} ms of {len(took)} meanwhile"


FEW = {"handshake_burst_per_address": 20, "handshakes_per_s_per_address": 2}


@row("handshakes_per_s_per_address handshake_burst_per_address handshakes_per_s handshake_burst", "net.over_handshake_rate", {k: BIG for k in FEW},
     fails="no connection was refused", own={"limits": {**OFF_CONNS, **FEW}}, quick_off=True)
def handshakes_too_often(a):
    """One after another from one address, to a limit that the slowest machine is over: refused there, not elsewhere."""
    host, port = a.address.rsplit(":", 1)
    before, n = a.counter("net.over_handshake_rate"), 200
    for _ in range(n):
        socket.create_connection((host, int(port)), source_address=("127.7.0.1", 0), timeout=5).close()
    time.sleep(0.6)
    refused = a.counter("net.over_handshake_rate") - before
    check(refused > 0, "no connection was refused")
    return f"{refused} of {n} refused"


@row("max_conns_per_identity", "net.over_conns_identity", {"max_conns_per_identity": BIG, "max_conns_per_address": BIG},
     fails="80 connections of one identity", quick_off=True)
def one_identity_with_all_connections(a):
    kept, refused = [], 0
    for i in range(80):
        try:
            p = a.attacker(source=f"127.3.0.{1 + i % 4}")
            p.until(lambda: p.goaway is not None or p.n_acks > 0 or p.eof or p.buffer or p.headers, 0.05)
        except Closed:
            refused += 1
        except TimeoutError:
            kept.append(p)
        else:
            kept.append(p)
    kept = [p for p in kept if alive(p)]
    for p in kept:
        p.close()
    check(len(kept) <= 64, f"{len(kept)} connections of one identity")
    return f"{len(kept)} kept of 80"


def alive(p):
    try:
        return p.call(CHECK, seconds=3)[0] == 0
    except (Closed, TimeoutError):
        return False


@row("max_conns_per_address", "net.over_conns_address", {"max_conns_per_address": BIG}, fails="connections of one address$")
def one_address_with_all_connections(a):
    """Three identities of 50 connections each from one address."""
    kept = []
    for i in range(150):
        try:
            p = a.attacker(who=a.places.more[i % 3], source="127.3.1.1")
        except Closed:
            time.sleep(0.01)
            continue
        kept.append(p)
    kept = [p for p in kept if alive(p)]
    for p in kept:
        p.close()
    check(len(kept) <= 128, f"{len(kept)} connections of one address")
    return f"{len(kept)} kept of 150"


MEMORY_MAX_KB = 128 * 1024  # of each service alone, packaging/systemd


@row("max_conns total_calls calls_per_identity calls_per_address total_held_bytes held_bytes_per_identity held_bytes_per_address call_free_bytes max_calls",
     "over_account", {"total_calls": BIG, "calls_per_identity": BIG, "calls_per_address": BIG, "total_held_bytes": BIG, "held_bytes_per_identity": BIG,
                      "held_bytes_per_address": BIG, "max_recv_conn_bytes": BIG},
     fails="the peak is|^Info: status 8", own={"limits": {"max_conns": 256 + 4}}, memory_kb=6144, quick_off=True)
def hostile_connections_fill_memory(a):
    """256 mTLS connections of four identities, 32 streams each, every stream with all it may hold of a message that never ends. Room for
    four more is the row's own: its good callers'."""
    peers = []
    chunk = bytes(16384)
    a.reset_peak()
    for i in range(256):
        while True:
            try:
                peers.append(a.attacker(who=a.places.more[i % 4], source=f"127.4.0.{1 + i % 8}", first=settings(window=0)))
                break
            except Closed:
                time.sleep(0.02)
    for p in peers:
        try:
            streams = [p.stream() for _ in range(32)]
            p.send(b"".join(frame(HEADERS, END_HEADERS, s, block("/hawser.v1.AgentService/Info")) for s in streams))
            for round_ in range(4):
                for s in streams[:8] if round_ else streams:
                    p.send(frame(DATA, 0, s, (b"\0\0\x3f\xff\xff" if not round_ else b"") + chunk[:8000]))
            p.take()
        except (Closed, TimeoutError):
            pass
    rss, together = a.peak_kb(), a.all_peak_kb()
    took = served(a, 5, GOOD)
    time.sleep(0.6)  # the counters may be half a second old
    counters = a.counters()
    for p in peers:
        p.close()
    check(rss <= 64 * 1024, f"the peak is {rss} KiB")
    check(together <= MEMORY_MAX_KB, f"the peak of all processes together is {together} KiB")
    check(max(took) <= at_once(), f"a good caller needs {max(took):.2f} s")
    return (f"{len(peers)} connections (max_conns = {256 + 4}), peak {rss} KiB, of all processes together {together} KiB, "
            f"held at most {counters.get('wire.tcp.most_held_bytes', 0)} bytes, good caller at most {max(took) * 1000:.0f} ms")


def grown(a):
    """The most memory of hawser-wire, and of all processes, once neither has grown for a second."""
    was, since, began = None, time.monotonic(), time.monotonic()
    while time.monotonic() - since < 1.0 and time.monotonic() - began < 20:
        now = a.peak_kb(), a.all_peak_kb()
        since = since if now == was else time.monotonic()
        was = now
        time.sleep(0.1)
    return was


HELD_OFF = {"total_held_bytes": BIG, "held_bytes_per_identity": BIG, "held_bytes_per_address": BIG}


@row("total_held_bytes held_bytes_per_identity held_bytes_per_address call_free_bytes total_calls", "over_account", HELD_OFF,
     fails="the peak is", memory_kb=6144)
def dumps_that_nobody_reads(a):
    """One dump is taken, and pulled again a thousand times at once, by four identities through windows that are shut."""
    with a.good() as p:
        s = pull(p)
        check(p.end(s, 60) == 0, "a dump can be pulled")
        first = p.data[s][5:5 + int.from_bytes(p.data[s][1:5], "big")]
        dump = dict(fields(dict(fields(first))[1]))[1]
    ask = message(text(1, harness.NIC0) + text(2, "registers") + text(3, dump))
    before = a.counter("calls_started")
    a.reset_peak()
    with contextlib.ExitStack() as peers:
        everybody = [peers.enter_context(a.attacker(who=a.places.more[i % 4], source=f"127.9.0.{1 + i % 8}", first=settings(window=0))) for i in range(32)]
        for p in everybody:
            streams = [p.stream() for _ in range(32)]
            p.send(b"".join(frame(HEADERS, END_HEADERS, s, block(PULL)) + frame(DATA, END_STREAM, s, ask) for s in streams))
        until(lambda: a.counter("calls_started") - before >= 1024, "the pulls have begun", 30)
        took = served(a, 5, GOOD)
        rss, together = grown(a)
        for p in everybody:
            p.take()
        ended = sum(len(p.done) for p in everybody)
    check(rss <= 64 * 1024, f"the peak is {rss} KiB")
    check(together <= MEMORY_MAX_KB, f"the peak of all processes together is {together} KiB")
    check(max(took) <= at_once(), f"a good caller needs {max(took):.2f} s")
    return f"1,024 pulls, {ended} ended at once, peak {rss} KiB, of all processes together {together} KiB, good caller at most {max(took) * 1000:.0f} ms"


@row("fd_reserve max_conns", "net.over_conns", {**OFF_CONNS, "fd_reserve": 0}, fails="a new caller needs 9.00 s", own={"descriptors": 110}, quick_off=True)
def descriptors_run_out(a):
    """110 descriptors, strangers who take every one that they get: running calls, new callers and the loop's CPU are fine."""
    with Neighbour(a) as neighbour:
        with Strangers(a, 300, "127.5.0.1"):
            time.sleep(0.5)
            cpu = a.cpu_s()
            took = served(a, 5, GOOD)
            served_s, cpu, began = a.cpu_s() - cpu, a.cpu_s(), time.monotonic()
            time.sleep(1.0)  # the strangers come again and again: what that costs
            share = 100 * (a.cpu_s() - cpu) / (time.monotonic() - began)
        check(max(took) <= at_once(), f"a new caller needs {max(took):.2f} s")
        began = time.monotonic()
        a.serve_once()
        back = time.monotonic() - began
    check(back <= at_once(), f"back after {back:.2f} s")
    said = neighbour.judge(200.0, 0)
    return f"new callers at most {max(took) * 1000:.0f} ms, CPU {served_s * 1000:.0f} ms for them, then {share:.1f} %; back after {back * 1000:.0f} ms, {said}"


QUIET_S = 3.0
BUSY_PERCENT = 5.0


@row("", "net.accept_failed", own={"descriptors": 400}, background=True)
def strangers_wait_while_no_descriptor_is_left(a):
    """Not even the reserve's number is free: those who wait in the kernel cost no CPU, those who are connected are served. Then all are."""
    soft, hard = resource.prlimit(a.pid, resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as peers:
        held = [peers.enter_context(a.attacker(who=a.places.more[i % 4], source="127.8.0.1")) for i in range(20)]
        slowest = max(seconds_of_a_call(p) for p in held)
        resource.prlimit(a.pid, resource.RLIMIT_NOFILE, (0, hard))
        try:
            waiting = [peers.enter_context(a.good("127.8.0.2", start=False, shake=False)) for _ in range(5)]
            cpu, began = a.cpu_s(), time.monotonic()
            while time.monotonic() - began < QUIET_S:
                slowest = max(slowest, seconds_of_a_call(held[0]))
                time.sleep(0.25)
            share = 100 * (a.cpu_s() - cpu) / (time.monotonic() - began)
        finally:
            resource.prlimit(a.pid, resource.RLIMIT_NOFILE, (soft, hard))
        began = time.monotonic()
        for p in waiting:
            p.tls.do_handshake()
            p.send(PREFACE + settings())
            seconds_of_a_call(p)
        back = time.monotonic() - began
    check(share <= BUSY_PERCENT, f"hawser-wire uses {share:.1f} % of a core")
    check(slowest <= at_once(), f"a caller who is connected needed {slowest:.2f} s")
    check(back <= at_once(), f"those who waited are served after {back:.2f} s")
    return f"CPU {share:.1f} %, who is connected at most {slowest * 1000:.0f} ms; {len(waiting)} who waited all served {back * 1000:.0f} ms after"


def seconds_of_a_call(p):
    began = time.monotonic()
    try:
        check(p.call(CHECK)[0] == 0, "a caller is not answered OK")
    except TimeoutError as late:
        raise Failure("a caller is not answered") from late
    return time.monotonic() - began


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(None).wrap_bio(incoming, outgoing, server_hostname="a")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def mutate(hello):
    out = bytearray(hello)
    kind = RNG.randrange(7)
    if kind == 0:
        return bytes(out[:RNG.randrange(len(out))])
    if kind == 1:
        return RNG.randbytes(RNG.randrange(1, 600))
    for _ in range(RNG.choice((1, 1, 2, 5, 40))):
        at = RNG.randrange(len(out)) if kind != 2 else RNG.randrange(60)
        out[at] = RNG.choice((out[at] ^ 1 << RNG.randrange(8), RNG.randrange(256), 0, 255))
    if kind == 3:
        at = RNG.randrange(len(out))
        out[at:at] = RNG.randbytes(RNG.randrange(1, 40))
    if kind == 4:
        at, n = RNG.randrange(len(out)), RNG.randrange(1, 40)
        del out[at:at + n]
    if kind == 5:
        cut = RNG.randrange(5, len(out))  # two records of one message
        out = out[:3] + struct.pack(">H", cut - 5) + out[5:cut] + b"\x16\x03\x01" + struct.pack(">H", len(out) - cut) + out[cut:]
    return bytes(out)


@row("handshake_ms", "handshakes_refused.protocol", {"handshake_ms": BIG}, fails="a connection is still there after", own={"limits": {k: v for k, v in OFF_CONNS.items() if k.startswith("handshake")}}, background=True)
def garbage_instead_of_tls(a):
    """Mutated first flights from all over 127/8: callers are served beside them, and what they took is given back."""
    n, hello, began, warm = 1000000 if LONG and not a.off else 10000, client_hello(), time.monotonic(), None
    host, port = a.address.rsplit(":", 1)
    opened = []
    for i in range(n):
        s = socket.socket()
        s.bind(("127.%d.%d.%d" % (RNG.randrange(16, 250), RNG.randrange(256), RNG.randrange(1, 250)), 0))
        reset_when_closed(s)
        s.settimeout(5)
        s.connect((host, int(port)))
        s.send(mutate(hello))
        opened.append(s)
        if len(opened) >= 40:
            opened.pop(0).close()
        if i % 2000 == 0:
            a.serve_once()
            warm = a.pss_kb() if i == 2000 else warm
    sent = time.monotonic() - began
    freed = ended_by_the_agent(opened, 20 if crowded() else 13)
    until(lambda: a.pss_kb() - warm <= 1024, "memory is back", 10)
    return f"{n} mutated first flights in {sent:.0f} s; the last {len(opened)} freed after {freed:.1f} s, memory {a.pss_kb() - warm:+} KiB"


def ended_by_the_agent(sockets, limit_s):
    """Says nothing more; the seconds until the agent has ended the last of them."""
    began = time.monotonic()
    for s in sockets:
        s.settimeout(max(0.1, began + limit_s - time.monotonic()))
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError as late:
            raise Failure(f"a connection is still there after {limit_s} s") from late
        s.close()
    return time.monotonic() - began


@row("", "net.truncated")
def resets_within_a_frame(a):
    """TCP resets in the middle of a handshake, of a frame, of a call: everything is let go."""
    for i in range(60):
        p = a.attacker(who=a.places.more[4], source="127.6.0.1")
        s = p.stream()
        p.send((frame(HEADERS, END_HEADERS, s, block(CHECK)) + frame(DATA, 0, s, message(bytes(4000))))[:RNG.randrange(1, 4000)])
        p.close()
    return "60 resets"
