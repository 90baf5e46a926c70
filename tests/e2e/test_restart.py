"""An agent is restarted under a constant load of callers that follow GOAWAY, as gRPC's channels do: no call fails."""
import os
import select
import signal
import ssl
import sys
import threading
import time

import harness
from harness import NIC0, FleetCase, Host, until

sys.path.insert(0, os.path.join(harness.TOP, "tests/attack"))

from h2 import (  # noqa: E402
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, WINDOW_UPDATE, Closed, Peer, block, frame, message, settings)

LONG = os.environ.get("HAWSER_LONG") == "1"
CALLS = 10000 if LONG else 1000
PER_S = 200
CALLERS = 8
RESTARTS = 8 if LONG else 2
WHO_AM_I = "/hawser.v1.AgentService/WhoAmI"
ANY_STREAM = 0x7FFFFFFF  # of the first of two GOAWAYs: nothing is refused yet (RFC 9113, section 6.8)


class Caller(threading.Thread):
    """One channel: a connection, the next one when GOAWAY comes or it is gone, a call that nobody took once more."""

    def __init__(self, address, who, n, per_s):
        super().__init__()
        self.address, self.who, self.n, self.pause = address, who, n, 1 / per_s
        self.failed, self.done, self.n_again, self.goaways, self.peer = [], 0, 0, [], None

    def connected(self):
        if self.peer and (self.peer.goaways or self.peer.eof):
            self.leave()
        end = time.monotonic() + 60
        while not self.peer:
            try:
                self.peer = Peer(self.address, self.who, timeout=30)
            except Closed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        return self.peer

    def leave(self):
        """Waits for what the agent still says, which is the second GOAWAY, and its end of the connection."""
        if self.peer.goaways:
            try:
                self.peer.until_closed(40)
            except TimeoutError:
                self.failed.append("a connection is still open 40 s after its GOAWAY")
            self.goaways.append([last for last, _ in self.peer.goaways])
        self.peer.close()
        self.peer = None

    def once(self):
        """True when the call was answered; False when nobody took it."""
        p = self.connected()
        s = p.stream()
        try:
            p.send(frame(HEADERS, END_HEADERS, s, block(WHO_AM_I)) + frame(DATA, END_STREAM, s, message()))
            status = p.end(s, 60)
        except Closed:
            if p.goaways and p.goaways[-1][0] < s:
                return False  # a promise that it was not begun
            self.failed.append(f"stream {s} was cut off after GOAWAYs {p.goaways}")
            return True
        if status != 0:
            self.failed.append(f"status {status} of stream {s}, GOAWAYs {p.goaways}: {p.headers.get(s)}")
        return True

    def run(self):
        try:
            while self.done < self.n and len(self.failed) < 10:
                began = time.monotonic()
                while not self.once():
                    self.n_again += 1
                self.done += 1
                if self.peer:
                    self.peer.headers.clear()
                    self.peer.data.clear()
                    self.peer.take()
                time.sleep(max(0, began + self.pause - time.monotonic()))
            if self.peer:
                self.peer.close()
        except (Closed, OSError) as error:
            self.failed.append(repr(error))


class Restart(FleetCase):
    def test_no_call_fails_while_the_agent_is_restarted_under_load(self):
        callers = [Caller(self.host.address, self.operator, CALLS // CALLERS, PER_S / CALLERS) for _ in range(CALLERS)]
        for c in callers:
            c.start()
        slowest = 0.0
        for number in range(RESTARTS):
            due = (number + 1) * CALLS // (RESTARTS + 1)
            until(lambda d=due: sum(c.done for c in callers) >= d or not any(c.is_alive() for c in callers), f"{due} calls", 300)
            began = time.monotonic()
            self.assertEqual(self.host.stop(), 0)
            slowest = max(slowest, time.monotonic() - began)
            self.host.start()
        for c in callers:
            c.join(300)
        failed = [f for c in callers for f in c.failed]
        self.assertEqual(failed, [], f"of {sum(c.done for c in callers)} calls")
        self.assertEqual(sum(c.done for c in callers), CALLS // CALLERS * CALLERS)
        goaways = [g for c in callers for g in c.goaways]
        self.assertGreaterEqual(len(goaways), RESTARTS * CALLERS // 2, "connections were told")
        for told in goaways:
            self.assertEqual(told[0], ANY_STREAM, told)
            self.assertGreater(len(told), 1, told)
            self.assertLess(told[-1], ANY_STREAM, told)
        self.assertLess(slowest, 30)
        print(f"{RESTARTS} restarts under {PER_S} calls a second, {sum(c.done for c in callers)} calls, none failed, "
              f"{sum(c.n_again for c in callers)} sent again that nobody had taken; the slowest drain took {slowest:.1f} s")


WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
ITEMS = "/hawser.v1.CommandService/ExecuteStream"
FOLLOW = "/hawser.v1.DeviceService/Watch"
PLAN_S = 0.8  # of the second that a handshake under way has


def half_way(address, who):
    """A peer that has the agent's half of a handshake, and says nothing to it yet."""
    p = Peer(address, who, start=False, shake=False, timeout=30)
    p.tls.setblocking(False)
    try:
        p.tls.do_handshake()
    except ssl.SSLWantReadError:
        p.wait(select.POLLIN, 30)
    return p


class Drain(FleetCase):
    """What one drain does for slow peers."""

    @classmethod
    def make_host(cls, name):
        return Host(cls.root, cls.pki, name, faults={0: ["opcode: ACCESS_REG, register: MTMP, action: drop, countdown: 1, repeat: 1"]})

    def peer(self, **how):
        p = Peer(self.host.address, self.operator, timeout=30, **how)
        self.addCleanup(p.close)
        return p

    def begin_drain(self):
        """SIGTERM; a peer that has heard of it."""
        p = self.peer()
        self.assertEqual(p.call(WHO_AM_I)[0], 0)
        self.host.proc.send_signal(signal.SIGTERM)
        began = time.monotonic()
        p.until(lambda: p.goaways, 30)
        return began

    def restart(self, began, seconds):
        """The agent ends within so many seconds of its SIGTERM; another is started. How long it took."""
        self.assertEqual(self.host.proc.wait(max(1, began + seconds - time.monotonic())), 0)
        took = time.monotonic() - began
        self.host.stop()
        self.assertEqual(self.host.left_over, {})
        self.host.start()
        return took

    def test_what_was_accepted_is_answered_however_slow_its_caller(self):
        slow_reader = self.peer(first=settings(window=4))
        unread = slow_reader.stream()
        slow_reader.send(frame(HEADERS, END_HEADERS, unread, block(WHO_AM_I)) + frame(DATA, END_STREAM, unread, message()))
        slow_reader.until(lambda: unread in slow_reader.data, 30)
        slow_writer = self.peer()
        unsent = slow_writer.open(WHO_AM_I)
        self.assertEqual(slow_writer.call(WHO_AM_I)[0], 0)  # the one before it has been seen as well
        stranger = half_way(self.host.address, self.operator)
        self.addCleanup(stranger.close)
        began = self.begin_drain()

        in_time = time.monotonic() - began < PLAN_S
        try:
            stranger.tls.settimeout(30)
            stranger.tls.do_handshake()
            stranger.send(PREFACE + settings())
            self.assertEqual(stranger.call(WHO_AM_I, seconds=30)[0], 0)
        except (Closed, OSError) as error:
            if in_time and time.monotonic() - began < PLAN_S:
                self.fail(f"who was about to prove who he is was cut off: {error!r}")
        time.sleep(max(0, began + 3.2 - time.monotonic()))  # longer than calls are taken; a third of what they have
        slow_writer.send(frame(DATA, END_STREAM, unsent, message()))
        self.assertEqual(slow_writer.end(unsent, 30), 0)
        time.sleep(0.9)  # now only that answer is left
        slow_reader.send(frame(WINDOW_UPDATE, 0, unread, (1 << 20).to_bytes(4, "big")))
        self.assertEqual(slow_reader.end(unread, 30), 0)
        for p in (slow_reader, slow_writer):
            self.assertEqual(len(p.goaways), 2, p.goaways)
        print(f"slow callers were answered; the drain took {self.restart(began, 28):.1f} s")


if LONG:  # a minute together
    class DrainEnds(Drain):
        """It ends whatever they do."""

        test_what_was_accepted_is_answered_however_slow_its_caller = None

        def test_a_drain_ends_whatever_peers_do(self):
            idle = [self.peer() for _ in range(4)]
            for p, path in zip(idle, (WATCH, REFLECTION, ITEMS, FOLLOW)):
                p.open(path)
            deaf = self.peer(rcvbuf=2048, first=settings(window=1 << 24) + frame(WINDOW_UPDATE, 0, 0, (1 << 24).to_bytes(4, "big")))
            for _ in range(16):
                s = deaf.stream()
                deaf.tls.sendall(frame(HEADERS, END_HEADERS, s, block(REFLECTION)) + frame(DATA, 0, s, message(b"\x22\x10hawser.v1.Device")))
            silent = [half_way(self.host.address, self.operator), self.peer(start=False)]
            over = threading.Event()

            def open_for_ever(p):
                try:
                    while not over.is_set():
                        p.send(frame(HEADERS, END_HEADERS, p.stream(), block(WHO_AM_I)))
                        time.sleep(0.02)
                except (Closed, OSError, TimeoutError):
                    pass
            eager = threading.Thread(target=open_for_ever, args=(self.peer(),))
            eager.start()
            try:
                began = self.begin_drain()
                self.host.proc.send_signal(signal.SIGTERM)  # once more changes nothing
                print(f"streams that stay, peers that read nothing, say nothing or open calls for ever: {self.restart(began, 25):.1f} s")
            finally:
                over.set()
                eager.join(60)
                for p in silent:
                    p.close()

        def test_a_drain_ends_with_a_stuck_command_within_30_seconds(self):
            before = self.counters("host-a")["commands"]
            stuck = self.begin("reg", "get", "-t", "host-a", "-d", NIC0, "MTMP", "sensor_index=0", "--timeout", "120s")
            until(lambda: self.counters("host-a")["commands"] > before, "the read is on the card")
            began = self.begin_drain()
            took = self.restart(began, 33)
            self.assertNotEqual(stuck.wait(30), 0)
            self.assertGreater(took, 20, "running work has its time")
            self.assertLess(took, 30)
            print(f"with a command that never returns: {took:.1f} s")
