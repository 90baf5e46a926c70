"""The little load that hawser-wire serves while its system calls fail, and what a caller may be told meanwhile."""
import os
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "attack"))

from h2 import CANCEL, CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, INFO, PREFACE, RST_STREAM, Closed, Peer, block, frame, message, settings  # noqa: E402

WATCH = "/grpc.health.v1.Health/Watch"
CALL_S, HANG_S = 2, 15  # the deadline that a call names; when it surely hangs, on a machine with other work
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
MAY = {1: "CANCELLED", 4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 14: "UNAVAILABLE"}


class Violation(AssertionError):
    """hawser-wire did what it must not do, whatever the kernel answers."""


class Plain:
    """A socket without TLS with the exceptions of one that has it, as Peer reads and writes."""

    def __init__(self, raw):
        self.raw = raw

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def send(self, data):
        try:
            return self.raw.send(data)
        except BlockingIOError:
            raise ssl.SSLWantWriteError() from None

    def recv(self, n):
        try:
            return self.raw.recv(n)
        except BlockingIOError:
            raise ssl.SSLWantReadError() from None


class Local(Peer):
    """A connection to the Unix socket."""

    def __init__(self, path, seconds):
        self.raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.raw.settimeout(seconds)
        self.clear()
        try:
            self.raw.connect(path)
            self.tls = Plain(self.raw)
            self.send(PREFACE + settings(window=1 << 20))
        except OSError as error:
            self.raw.close()
            raise Closed() from error


class Load:
    """Callers of one agent: one that stays connected, and new ones."""

    def __init__(self, agent):
        self.agent, self.standing = agent, None
        self.tally = {}  # outcome of a call -> how often

    def close(self):
        if self.standing:
            self.standing.close()
            self.standing = None

    def say(self, outcome):
        self.tally[outcome] = self.tally.get(outcome, 0) + 1
        return outcome

    def judged(self, what, call):
        """call() within its time: it is right, or it failed by a status of MAY or with its connection."""
        began = time.monotonic()
        try:
            status, answer = call()
        except (Closed, OSError) as error:
            self.in_time(what, began)
            return self.say("cut" if isinstance(error, Closed) else "not connected")
        except TimeoutError:
            raise Violation(f"{what}: no answer in {time.monotonic() - began:.1f} s") from None
        self.in_time(what, began)
        if status == 0:
            if not self.right(what, answer):
                raise Violation(f"{what}: OK with the wrong answer {answer[:80].hex()}")
            return self.say("NOT_SERVING" if answer == NOT_SERVING else "OK")
        if status is None:
            return self.say("reset")
        if status not in MAY:
            raise Violation(f"{what}: status {status}")
        return self.say(MAY[status])

    def in_time(self, what, began):
        if time.monotonic() - began >= HANG_S:
            raise Violation(f"{what}: nothing within {HANG_S} s")

    def right(self, what, answer):
        if what == "connect":
            return True
        if what.endswith("Info"):
            return self.agent.host.name.encode() in answer
        return answer in (SERVING, NOT_SERVING)  # not serving: while hawserd is not connected

    def unary(self, peer, path):
        return peer.call(path, b"", ("grpc-timeout", f"{CALL_S}S"), seconds=HANG_S)

    def on_standing(self, what, call):
        if self.standing is None or self.standing.eof:
            self.close()
            outcome = self.judged("connect", self.stand)
            if outcome != "OK":
                return outcome
        outcome = self.judged(what, lambda: call(self.standing))
        if outcome == "cut":
            self.close()
        return outcome

    def stand(self):
        self.standing = self.agent.good(timeout=HANG_S)
        return 0, b""

    def check(self):
        return self.on_standing("Check", lambda p: self.unary(p, CHECK))

    def info(self):
        return self.on_standing("Info", lambda p: self.unary(p, INFO))

    def watch(self):
        return self.on_standing("Watch", self.watched)

    def watched(self, peer):
        """The first message of a stream, which is then given up."""
        s = peer.stream()
        peer.send(frame(HEADERS, END_HEADERS, s, block(WATCH)) + frame(DATA, END_STREAM, s, message()))
        peer.until(lambda: len(peer.data.get(s, b"")) >= 7 or s in peer.done, HANG_S)
        if s in peer.done:
            return peer.status_of(s), b""
        peer.send(frame(RST_STREAM, 0, s, CANCEL.to_bytes(4, "big")))
        return 0, peer.data.pop(s)[5:7]  # the next may be there as well

    def knock(self):
        """A new connection over mutual TLS."""
        def call():
            with self.agent.good(timeout=HANG_S) as p:
                return self.unary(p, CHECK)
        return self.judged("new connection, Check", call)

    def local(self):
        """A new connection over the Unix socket."""
        def call():
            with Local(self.agent.local, HANG_S) as p:
                return self.unary(p, INFO)
        return self.judged("Unix socket, Info", call)

    def newcomers(self):
        self.knock()
        self.local()

    def round(self):
        """One of each kind; True if each was answered."""
        return [self.check(), self.info(), self.watch(), self.knock(), self.local()] == ["OK"] * 5

    def served(self):
        """New callers of each kind are told the truth, and that it serves."""
        self.close()
        return self.round()
