"""Rows about the network itself: cables that are pulled, peers that are gone on one side only, packets lost, resets within a record,
segments of one byte. Both sides of it are ours in turn: the agent, whose callers vanish, and the CLI, whose agent vanishes."""
import contextlib
import itertools
import json
import os
import socket
import ssl
import subprocess
import threading
import time

from cable import Cable
from h2 import (CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, INFO, PREFACE, Peer, block, context, frame, literal, message, settings, text)
from rows import HEALTH_WATCH, row
from rows_still import pull
from world import LONG, Failure, Loopback, Neighbour, Relay, at_once, check, crowded, harness, reset_when_closed, until

RNG = harness.RNG
SILENCE_S = 30 + 10  # keepalive_ms and keepalive_timeout_ms; of a client HWS_NET_SILENCE_MS and HWS_NET_SILENCE_TIMEOUT_MS
LATE_S = 0.5 if LONG and not crowded() else 2.0  # until what has ended is counted and seen
NUMBERS = itertools.count(1)  # of cables and of what programs said


def cable_to(a, **how):
    return Cable(a.namespace, next(NUMBERS) % 250, RNG.randrange(1 << 32), **how)


def caller(a, cable, who=None, **how):
    """A peer beyond the cable."""
    with cable.beyond.entered():
        return Peer(f"{cable.near}:{a.port}", who or a.places.mallory, **how)


# ---- callers that vanish --------------------------------------------------------------------------------------------


def half_a_handshake(a, cable, answered):
    """A stranger who has said hello, and has or has not taken the answer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(a.places.mallory).wrap_bio(incoming, outgoing, server_hostname="a")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    with cable.beyond.entered():
        s = socket.create_connection((cable.near, a.port), timeout=20)
    s.sendall(hello if answered else hello[:len(hello) // 2])
    if answered:
        check(s.recv(1), "no answer to a ClientHello")
    return s


def in_every_state(a, cable):
    """One of each: idle, within a frame, within a message, within a reply, with a stream, within a handshake."""
    idle, frames, request, reply, stream = (caller(a, cable, rcvbuf=4096 if n == 3 else 0) for n in range(5))
    check(idle.call(CHECK)[0] == 0, "a call before the cable is pulled")
    frames.send(frame(HEADERS, END_HEADERS, 1, block(CHECK))[:30])
    s = request.open(INFO)
    request.send(frame(DATA, 0, s, message(bytes(3000))[:2000]))
    for _ in range(8):
        pull(reply)
    s = stream.open(HEALTH_WATCH)
    stream.send(frame(DATA, END_STREAM, s, message()))
    stream.until(lambda: stream.data.get(s), 10)
    return [idle, frames, request, reply, stream, half_a_handshake(a, cable, False), half_a_handshake(a, cable, True)]


def forget(sockets):
    """Their kernel knows them no more."""
    while sockets:
        s = sockets.pop()
        if isinstance(s, Peer):
            s.close()
        else:
            reset_when_closed(s)
            s.close()


class Vanished:
    """Callers beyond a cable, to which something has been done."""

    def __init__(self, a, name, happens):
        self.name, self.cable, self.after_s = name, cable_to(a), None
        self.sockets = in_every_state(a, self.cable)
        self.counter, n = f"address.{self.cable.far}.connections", len(self.sockets)
        until(lambda: a.counter(self.counter) == n, f"{self.counter} counts {n}", 20)
        self.began = time.monotonic()
        happens(self)

    def look(self, counters):
        """Notes when the last of them was let go; how many are left."""
        left = counters.get("wire." + self.counter, 0)
        if self.after_s is None and left == 0:
            self.after_s = time.monotonic() - self.began
        return 0 if self.after_s is not None else left

    def close(self):
        forget(self.sockets)
        self.cable.close()


def reboot(v):
    v.cable.pull()
    forget(v.sockets)
    v.cable.plug()


WAYS = {
    "the cable is pulled": lambda v: v.cable.pull(),
    "only the agent is heard": lambda v: v.cable.say({}, {"loss": 1.0}),
    "only the callers are heard": lambda v: v.cable.say({"loss": 1.0}, {}),
    "the callers' host restarts": reboot,
}


@row("keepalive_ms keepalive_timeout_ms handshake_ms", "conn_keepalive_timeouts handshakes_refused.timeout",
     {"keepalive_ms": 0, "write_progress_ms": 600000, "progress_ms": 0, "conn_progress_ms": 0, "handshake_ms": 600000},
     fails="some are not let go", own={"away": True}, background=True, memory_kb=8192)
def callers_behind_a_pulled_cable(a):
    """Seven callers each, in seven states, behind cables on which four things happen: all are let go, with all that they held."""
    warm = [Vanished(a, name, lambda v: None) for name in WAYS]  # what it takes to serve so many once, it keeps
    for v in warm:
        forget(v.sockets)
    until(lambda: not any(v.look(a.counters()) for v in warm), "all of them are let go when they end", SILENCE_S + 8)
    for v in warm:
        v.close()
    before, held, gone = a.descriptors(), a.own_kb(), []
    try:
        for name, happens in WAYS.items():
            gone.append(Vanished(a, name, happens))
        slowest, left, began = 0.0, None, time.monotonic()
        while left is None or any(left.values()):
            check(time.monotonic() - began < SILENCE_S + 8, f"some are not let go: {left}")
            time.sleep(0.2)
            slowest, counters = max(slowest, a.serve_once()), a.counters()
            left = {v.name: v.look(counters) for v in gone}
        told = ", ".join(f"{v.name}: {v.after_s:.1f} s" for v in gone)
        check(max(v.after_s for v in gone) <= SILENCE_S + LATE_S, f"detected late: {told}")
        check(slowest <= 2 * at_once(), f"a good caller needed {slowest:.2f} s meanwhile")
        until(lambda: a.descriptors() <= before, f"descriptors are back at {before}", 5)
        until(lambda: a.own_kb() - held <= 1024, f"memory is back: {held} KiB before, {a.own_kb()} after", 10)
        more = a.own_kb() - held
    finally:
        for v in gone:
            v.close()
    return f"{told}; {more:+} KiB; a good caller at most {slowest * 1000:.0f} ms"


# ---- an agent that vanishes -----------------------------------------------------------------------------------------


class Program:
    """`hawser` beyond a cable or here, as mallory, or as somebody else."""

    def __init__(self, a, target, *args, namespace=None, who=None):
        files = who or a.places.mallory
        env = {k: v for k, v in os.environ.items() if not k.startswith("HAWSER_")}
        env.update(HAWSER_CERT=files["cert"], HAWSER_KEY=files["key"], HAWSER_CA=files["ca"], NO_COLOR="1",
                   XDG_STATE_HOME=os.path.join(a.places.root, "cli-state"))
        self.said = os.path.join(a.places.root, f"said.{next(NUMBERS)}")
        with namespace.entered() if namespace else contextlib.nullcontext(), open(self.said, "wb") as out, open(self.said + ".err", "wb") as err:
            self.run = subprocess.Popen([os.path.join(harness.BIN, "hawser"), *args, "-t", target], env=env, stdin=subprocess.DEVNULL,
                                        stdout=out, stderr=err)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.run.poll() is None:
            self.run.kill()
        self.run.wait()

    def out(self):
        with open(self.said) as f:
            return f.read()

    def err(self):
        with open(self.said + ".err") as f:
            return f.read()

    def ended(self):
        return self.run.poll() is not None


def records(program):
    """The numbers of the audit records that a follower has printed."""
    lines = program.out().splitlines(keepends=True)
    return [r["seq"] for r in (json.loads(line) for line in lines if line.endswith("\n")) if "seq" in r]


SLOW = "opcode: ACCESS_REG, register: MNVDA, access: write, action: delay, delay_ms: 9000, countdown: 1, repeat: 1"


@row("", "calls_ended", own={"away": True, "faults": {0: [SLOW]}}, background=True)
def an_agent_behind_a_pulled_cable(a):
    """Our own client misses it: a change whose answer is awaited ends UNAVAILABLE and is said to be UNKNOWN, a followed log goes on where it was."""
    with cable_to(a) as cable:
        target = f"{cable.near}:{a.port}"
        with Program(a, target, "audit", "tail", "--follow", "-o", "json", namespace=cable.beyond) as tail, \
                Program(a, target, "config", "apply", "-d", harness.NIC0, "--yes", "--timeout", "5m", "NUM_OF_VFS=3", namespace=cable.beyond) as slow:
            until(lambda: records(tail), f"the log is followed: {tail.err()}", 20)
            until(lambda: a.counter(f"address.{cable.far}.calls") >= 2 or slow.ended(), "both calls are there", 30)
            check(not slow.ended(), f"the slow call has ended: {slow.out()}{slow.err()}")
            cable.pull()
            began = time.monotonic()
            until(slow.ended, "the call ends", SILENCE_S + 20)
            took = time.monotonic() - began
            check(slow.run.returncode == 8 and "UNAVAILABLE" in slow.err() and "UNKNOWN" in slow.err(), f"status {slow.run.returncode}: {slow.err()}")
            until(lambda: "following again" in tail.err(), "the stream ends", SILENCE_S + 20)
            check(not tail.ended(), f"the follower gave up: {tail.err()}")
            for _ in range(5):
                a.serve_once()
            cable.plug()
            began = time.monotonic()
            last = max(records(tail))
            until(lambda: max(records(tail)) > last, f"the log is followed again: {tail.err()}", 30)
            back = time.monotonic() - began
            got = records(tail)
            check(got == list(range(got[0], got[0] + len(got))), f"records are missing or out of order: {got}")
    check(took <= SILENCE_S + LATE_S, f"detected after {took:.1f} s")
    return f"UNAVAILABLE after {took:.1f} s, following again {back:.1f} s after the cable is back, {len(got)} records in order"


# ---- loss -----------------------------------------------------------------------------------------------------------


def own_answers(p, n, failed):
    """n calls of a connection: each answer is that of its own question."""
    try:
        for _ in range(n):
            name = f"nobody-{RNG.randrange(1 << 40)}"
            status, _ = p.call("/hawser.v1.ConfigService/Get", text(1, name), seconds=60)
            said = p.headers.pop(p.next_stream - 2)
            check(status == 5 and name in dict(said)["grpc-message"], f"status {status}: {said}")
    except Exception as error:
        failed.append(repr(error))


def pulled_dump(a, target, namespace):
    """The seconds that a dump took; whom the handshake took too long comes again."""
    began = time.monotonic()
    for _ in range(10):
        with Program(a, target, "dump", "pull", "-d", harness.NIC0, "--timeout", "3m", os.path.join(a.places.root, "lossy.jsonl"),
                     namespace=namespace) as dump:
            until(dump.ended, "the dump ends", 120)
        if dump.run.returncode == 0:
            check("verified         yes" in dump.out(), dump.out())
            return time.monotonic() - began
        check(dump.run.returncode == 7 and "UNAVAILABLE" in dump.err(), f"status {dump.run.returncode}: {dump.err()}")
    raise Failure(f"no dump in ten attempts: {dump.err()}")


@row("", "calls_ended", own={"away": True}, background=True)
def packets_lost_at_random(a):
    """30 % each way, some twice, some overtaken: 100 calls have their own answers, a dump and a followed log are whole and in order."""
    failed, before = [], a.descriptors()
    with cable_to(a) as cable, Neighbour(a) as neighbour, contextlib.ExitStack() as peers:
        target = f"{cable.near}:{a.port}"
        callers = [peers.enter_context(caller(a, cable, timeout=60)) for _ in range(4)]
        tail = peers.enter_context(Program(a, target, "audit", "tail", "--follow", "-o", "json", namespace=cable.beyond))
        until(lambda: records(tail), f"the log is followed: {tail.err()}", 20)
        cable.both(loss=0.3, twice=0.05, overtaken=0.05)
        threads, began = [threading.Thread(target=own_answers, args=(p, 25, failed)) for p in callers], time.monotonic()
        for t in threads:
            t.start()
        dump_s = pulled_dump(a, target, cable.beyond)
        for t in threads:
            t.join()
        calls_s = time.monotonic() - began
        check(not failed, f"{len(failed)} of 4 callers failed: {failed[:1]}")
        n = len(records(tail))
        for _ in range(10):
            a.counters()  # each is on record
        until(lambda: len(records(tail)) >= n + 10, f"the log is followed further: {tail.err()}", 60)
        counts = cable.plug()
        got = records(tail)
        check(got == list(range(got[0], got[0] + len(got))), f"records are missing or out of order: {got}")
        check("following again" not in tail.err(), f"the stream did not last: {tail.err()}")
    told = neighbour.judge(500.0, 0)
    until(lambda: a.descriptors() <= before, f"descriptors are back at {before}", SILENCE_S)
    return (f"{sum(taken for taken, _ in counts)} packets, {sum(given for _, given in counts)} came; 100 calls in {calls_s:.1f} s, "
            f"a dump in {dump_s:.1f} s, {len(got)} records in order; {told}")


# ---- segments and resets --------------------------------------------------------------------------------------------


@row("", "calls_ended")
def segments_of_one_byte(a):
    """Each byte of a whole connection, both ways, in a segment of its own: served, by the agent and to our client."""
    with Relay(a.address, piece=1) as relay:
        with Program(a, relay.address, "device", "list", "-o", "json") as run:
            until(run.ended, "the list comes", 60)
        check(run.run.returncode == 0, f"status {run.run.returncode}: {run.err()}")
        check(len(json.loads(run.out())["devices"]) == 2, run.out())
    return f"{relay.n_segments} segments"


CUTS = 40 if LONG else 12


@row("", "net.truncated")
def resets_within_a_record(a):
    """TCP resets at any byte of a dump, of either direction: our client connects again and has the whole of it, or says UNAVAILABLE."""
    ends, path = [], os.path.join(a.places.root, "reset.jsonl")
    for i in range(CUTS):
        cut = ("caller", RNG.randrange(1, 3000)) if i % 3 == 0 else ("agent", RNG.choice((RNG.randrange(1, 3000), RNG.randrange(3000, 100000))))
        with Relay(a.address, cut=cut, reset=True) as relay:
            with Program(a, relay.address, "dump", "pull", "-d", harness.NIC0, path) as run:
                until(run.ended, f"the dump ends after a reset at {cut}", 60)
            code = run.run.returncode
            check(code == 0 or code == 7 and "UNAVAILABLE" in run.err(), f"{cut}: status {code}: {run.err()}")
            check(code != 0 or "verified         yes" in run.out(), f"{cut}: {run.out()}")
            ends.append((code, relay.n_connections))
    again = sum(n > 1 for code, n in ends if code == 0)
    check(again > 0, f"nobody connected again: {ends}")
    return f"{len(ends)} resets: {again} dumps whole after another connection, {sum(code == 7 for code, _ in ends)} UNAVAILABLE"


def kinds(data):
    """Of the frames that data begins with."""
    at = 0
    while len(data) - at >= 9:
        yield data[at + 3]
        at += 9 + int.from_bytes(data[at:at + 3], "big")


class Resetting(Loopback):
    """A server with the agent's certificate that answers each connection with half a frame in a whole record, and a reset."""

    def __init__(self, a):
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["h2"])
        files = a.places.pki.files(f"agent-{a.host.name}")
        self.context.load_cert_chain(files["cert"], files["key"])
        self.context.load_verify_locations(files["ca"])
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.said, self.n_reset = b"", 0

    def talk(self, caller):
        with contextlib.suppress(OSError), self.context.wrap_socket(caller, server_side=True) as tls:
            tls.settimeout(20)
            got = b""
            while HEADERS not in kinds(got[len(PREFACE):]):  # the request has come: it may have been processed
                more = tls.recv(65536)
                if not more:
                    break
                got += more
            tls.sendall(self.said)
            reset_when_closed(tls)
            self.n_reset += 1


@row("", "calls_ended")
def a_server_that_resets_within_a_frame(a):
    """Half of SETTINGS, of HEADERS, of DATA, then TCP's reset: our client's call ends UNAVAILABLE, and it keeps its word about what was done."""
    answer = b"\x88" + literal("content-type", "application/grpc")  # :status 200 of HPACK's table
    halves = {"SETTINGS": settings(streams=100)[:12],
              "HEADERS": settings() + frame(HEADERS, END_HEADERS, 1, answer)[:9],
              "DATA": settings() + frame(HEADERS, END_HEADERS, 1, answer) + frame(DATA, 0, 1, message(bytes(500)))[:200]}
    for what, said in halves.items():
        with Resetting(a) as server:
            server.said = said
            with Program(a, server.address, "device", "list") as run:
                until(run.ended, f"the call ends after half of {what}", 60)
            check(run.run.returncode == 7 and "UNAVAILABLE" in run.err(), f"{what}: status {run.run.returncode}: {run.err()}")
            check(server.n_reset > 0, f"{what}: nothing was reset")
    a.serve_once()
    return ", ".join(f"half of {what}" for what in halves)
