"""An agent is restarted under a constant load of callers that follow GOAWAY, as gRPC's channels do: no call fails."""
import os
import sys
import threading
import time

import harness
from harness import FleetCase, until

sys.path.insert(0, os.path.join(harness.TOP, "tests/attack"))

from h2 import DATA, END_HEADERS, END_STREAM, HEADERS, Closed, Peer, block, frame, message  # noqa: E402

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
