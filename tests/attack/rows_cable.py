"""Rows about the network itself: cables that are pulled, peers that are gone on one side only, packets lost, resets within a record,
segments of one byte. Both sides of it are ours in turn: the agent, whose callers vanish, and the CLI, whose agent vanishes."""
import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from cable import Cable
from h2 import (CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, INFO, PREFACE, Peer, block, context, fields, frame, message, settings)
from rows import HEALTH_WATCH, row
from rows_still import pull
from world import LONG, Neighbour, at_once, check, crowded, harness, until

RNG = harness.RNG
SILENCE_S = 30 + 10  # keepalive_ms and keepalive_timeout_ms; of a client HWS_NET_SILENCE_MS and HWS_NET_SILENCE_TIMEOUT_MS
LATE_S = 0.5 if LONG and not crowded() else 2.0  # until what has ended is counted and seen
NUMBERS = iter(range(1, 250))  # of cables


def cable_to(a, **how):
    return Cable(a.namespace, next(NUMBERS), RNG.randrange(1 << 32), **how)


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


def callers(a, cable):
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
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()


class Vanished:
    """Callers beyond a cable, to which something has been done."""

    def __init__(self, a, name, happens):
        self.name, self.cable, self.after_s = name, cable_to(a), None
        self.sockets = callers(a, self.cable)
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
     fails="some are not let go", own={"away": True}, background=True)
def callers_behind_a_pulled_cable(a):
    """Seven callers each, in seven states, behind cables on which four things happen: all are let go, with all that they held."""
    before, gone = a.descriptors(), []
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
    finally:
        for v in gone:
            v.close()
    return f"{told}; a good caller at most {slowest * 1000:.0f} ms"


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


SLOW = "opcode: ACCESS_REG, register: MTMP, action: delay, delay_ms: 6000, countdown: 1, repeat: 1000"


@row("", "calls_ended", own={"away": True, "faults": {1: [SLOW]}}, background=True)
def an_agent_behind_a_pulled_cable(a):
    """Our own client misses it: a call whose answer is awaited ends UNAVAILABLE, a followed log goes on where it was."""
    with cable_to(a) as cable:
        target = f"{cable.near}:{a.port}"
        with Program(a, target, "audit", "tail", "--follow", "-o", "json", namespace=cable.beyond) as tail, \
                Program(a, target, "reg", "get", "-d", harness.NIC1, "MTMP", "--timeout", "5m", namespace=cable.beyond) as slow:
            until(lambda: records(tail), f"the log is followed: {tail.err()}", 20)
            until(lambda: a.counter(f"address.{cable.far}.calls") >= 2, "both calls are there", 20)
            check(not slow.ended(), f"the slow call has ended: {slow.out()}{slow.err()}")
            cable.pull()
            began = time.monotonic()
            until(slow.ended, "the call ends", SILENCE_S + 20)
            took = time.monotonic() - began
            check(slow.run.returncode == 7 and "UNAVAILABLE" in slow.err(), f"status {slow.run.returncode}: {slow.err()}")
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
