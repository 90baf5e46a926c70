"""What a row is, and the rows that attack one connection of HTTP/2: resets, header blocks, floods of frames.

A row drives one attack against a running agent and checks the figure that must hold. It names the limits that stop the
attack and the counters that tell of it. `off` is how those limits are switched off: then the same row must fail, and by the
check that `fails` names: what broke is the promise, not the test.
"""
import hashlib
import struct
import time

from h2 import (ACK, CALM, CANCEL, CHECK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PREFACE, PRIORITY,
                REFUSED, RST_STREAM, SETTINGS, WINDOW_UPDATE, Closed, block, frame, integer, literal, settings)
from world import BIG, LONG, Failure, Neighbour, NeighbourHarmed, at_once, check, p99

ROWS = []
FLOOD_S = 60 if LONG else 1.2
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"


class Row:
    def __init__(self, run, limits, counters, **how):
        self.run, self.name, self.limits, self.counters = run, run.__name__, limits, counters
        vars(self).update(how)


def row(limits, counters, off=None, fails=None, background=False, memory_kb=1024, quick_off=False, own=None):
    """Registers a row.

    limits, counters: names, as text for people and as names that must exist; every counter moves. off: {limit: value} with
    which the attack succeeds; None where a rule and not a limit stops it. fails: a pattern of what the check then says that
    the attack breaks. quick_off: that is shown in every run, not only in the long one.
    background: takes its limit's time, so it runs beside the others on another agent. memory_kb: how much more hawser-wire
    may hold afterwards. own: arguments of an Agent that the row needs for itself.
    """
    def add(run):
        assert (off is None) == (fails is None), run.__name__
        ROWS.append(Row(run, limits.split(), counters.split(), off=off, fails=fails, background=background, memory_kb=memory_kb, quick_off=quick_off, own=own))
        return run
    return add


def attack_until_closed(peer, parts, seconds=20.0):
    """Sends parts one after another until the agent ends the connection; (GOAWAY code, parts written, seconds).

    The code is None if the connection is still there some time after the last part.
    """
    began, n = time.monotonic(), 0
    try:
        for part in parts:
            peer.send(part)
            n += 1
            peer.take()
            if peer.goaway is not None or peer.eof or time.monotonic() - began > seconds:
                break
        took = time.monotonic() - began
        peer.until_closed(3)
    except Closed:
        took = time.monotonic() - began
    except TimeoutError:
        return None, n, time.monotonic() - began
    return peer.goaway, n, took


def idle_p99_ms(agent):
    """The neighbour's p99 beside an attacker that is as busy as in a flood, but with itself."""
    with Neighbour(agent) as n:
        end, noise = time.monotonic() + (4 if LONG else 0.4), bytes(4096)
        while time.monotonic() < end:
            hashlib.sha256(noise).digest()
    return p99(n.took) * 1000


# ---- resets ---------------------------------------------------------------------------------------------------------


@row("reset_burst reset_per_s reset_young_ms", "over_reset_rate resets_in", {
    "reset_burst": BIG, "reset_per_s": BIG, "control_burst": BIG, "max_outbound_items": BIG, "calls_per_identity": BIG, "calls_per_address": BIG, "total_calls": BIG},
     fails="GOAWAY None$", quick_off=True)
def rapid_reset(a):
    idle = idle_p99_ms(a)
    before = a.counter("resets_in")
    with Neighbour(a) as neighbour, a.attacker() as p:
        code, _, took = attack_until_closed(p, opened_and_reset(300))
        time.sleep(0.5)
    check(code == CALM, f"GOAWAY {code}")
    time.sleep(0.6)
    n = a.counter("resets_in") - before
    allowed = 101 + int(10 * took)  # reset_per_s
    check(n <= allowed, f"{n} resets were taken, allowed {allowed}")
    said = f"{n} resets, closed after {took * 1000:.0f} ms, " + neighbour.judge(2 * idle, idle)
    return said + (", again and again: " + flood(a, opened_and_reset(30)) if LONG else ", " + neighbour.judge_lag())


def opened_and_reset(n):
    """n parts of ten streams each, which a connection opens and resets."""
    def pair(s):
        return frame(HEADERS, END_HEADERS, s, block(CHECK)) + frame(RST_STREAM, 0, s, struct.pack(">I", CANCEL))
    return [b"".join(pair(2 * s + 1) for s in range(10 * part, 10 * part + 10)) for part in range(n)]


TRIGGERS = {
    "window_update_of_zero": lambda s: frame(WINDOW_UPDATE, 0, s, bytes(4)),
    "window_over_2_31": lambda s: frame(WINDOW_UPDATE, 0, s, b"\x7f\xff\xff\xff"),
    "priority_of_4_bytes": lambda s: frame(PRIORITY, 0, s, bytes(4)),
    "priority_on_itself": lambda s: frame(PRIORITY, 0, s, struct.pack(">IB", s, 1)),
    "data_after_the_end": lambda s: frame(DATA, END_STREAM, s, b"x"),
    "headers_after_the_end": lambda s: frame(HEADERS, END_HEADERS | END_STREAM, s, literal("a", "b")),
}


def made_you_reset(a, trigger, reads):
    """Who reads waits for the answers to eight streams before the next: else the limit of streams that are refused may end it first."""
    before = a.pss_kb()
    with a.attacker(rcvbuf=0 if reads else 4096) as p:
        half = END_STREAM if "after_the_end" in trigger else 0

        def provocations():
            for _ in range(400):
                out = b""
                for _ in range(8):
                    s = p.stream()
                    out += frame(HEADERS, END_HEADERS | half, s, block(HEALTH_WATCH if not half else CHECK)) + TRIGGERS[trigger](s)
                yield out
        if not reads:
            p.take = lambda: False
        try:
            for n, part in enumerate(provocations(), 1):
                p.send(part)
                if reads:
                    p.until(lambda n=n: len(p.resets) >= 8 * n or p.goaway is not None, 5)
        except (Closed, TimeoutError):
            pass
        more = a.pss_kb() - before
        if not reads:
            del p.take
        try:
            code = p.until_closed(3)
        except TimeoutError:
            code = None
    provoked = [r for r in p.resets if r[1] != REFUSED]
    check(code is not None or not reads and p.eof, f"{trigger}: the agent took 3,200 of them")
    check(len(provoked) <= 51, f"{trigger}: {len(provoked)} resets of the agent")
    check(more <= 1024, f"{trigger}: hawser-wire holds {more} KiB more")
    return f"{trigger}{'' if reads else ' unread'}: GOAWAY {code} after {len(provoked)}"


@row("provoked_max provoked_window_ms max_outbound_items", "over_provoked_rate resets_provoked", {
    "provoked_max": BIG, "max_outbound_items": BIG, "control_burst": BIG, "control_per_s": BIG, "max_calls": 100000,
    "calls_per_identity": BIG, "calls_per_address": BIG, "total_calls": BIG}, fails="window_over_2_31: the agent took 3,200 of them", quick_off=True)
def made_you_reset_all_triggers(a):
    """With the limits off the triggers that nghttp2 itself takes for errors of the connection still end it; the others do not."""
    said = [made_you_reset(a, t, reads) for t in TRIGGERS for reads in (True, False)]
    return "; ".join(said)


# ---- header blocks --------------------------------------------------------------------------------------------------


@row("max_continuations", "over_continuations", {"max_continuations": 1000000, "bomb_header_fields": BIG, "bomb_header_bytes": BIG, "header_block_ms": 0},
     fails="the agent took 10050 CONTINUATION frames", quick_off=True)
def continuation_flood(a):
    with a.attacker() as p:
        s = p.stream()
        parts = [frame(HEADERS, 0, s, block(CHECK))] + [b"".join(frame(CONTINUATION, 0, s, b"") for _ in range(50))] * 200
        code, n, took = attack_until_closed(p, parts)
    check(code is not None, f"the agent took {50 * n} CONTINUATION frames")
    return f"GOAWAY {code} within {took * 1000:.0f} ms"


OFF_HEADERS = {"bomb_header_fields": BIG, "bomb_header_bytes": BIG, "max_header_fields": BIG, "max_header_bytes": BIG, "max_continuations": 1000,
               "hpack_table_bytes": 4096}
BOMBED = ": GOAWAY None after 32 blocks"


def bomb(a, parts, what):
    """Sends a bomb on 32 streams of one connection; the agent ends it at the first, and never held more than 1 MiB for it."""
    a.reset_peak()
    before = a.peak_kb()
    with a.attacker() as p:
        code, n, took = attack_until_closed(p, (parts(p.stream()) for _ in range(32)))
        more = a.peak_kb() - before
    check(code == CALM, f"{what}: GOAWAY {code} after {n} blocks")
    check(not p.headers, f"{what}: a call was answered")
    check(more <= 1024, f"{what}: hawser-wire held {more} KiB more")
    return f"{what}: GOAWAY after {took * 1000:.0f} ms, peak +{more} KiB"


@row("bomb_header_fields bomb_header_bytes hpack_table_bytes", "over_header_bomb", OFF_HEADERS, fails=BOMBED, quick_off=True)
def hpack_bomb_of_one_byte_references(a):
    """A field of 4 KB goes into the table once, then each byte on the wire is that field again."""
    big = literal("a", b"v" * 3900, first=0x40)

    def parts(s):
        rest = b"\xbe" * 60000
        return frame(HEADERS, 0, s, block(CHECK) + big) + frame(CONTINUATION, END_HEADERS, s, rest)
    return bomb(a, parts, "1-byte references")


@row("bomb_header_fields", "over_header_bomb", OFF_HEADERS, fails=BOMBED)
def cookie_bomb(a):
    return bomb(a, lambda s: frame(HEADERS, 0, s, block(CHECK)) + frame(CONTINUATION, END_HEADERS, s, literal("cookie", "a") * 5000), "cookies")


@row("bomb_header_fields", "over_header_bomb", OFF_HEADERS, fails=BOMBED)
def zero_length_headers(a):
    return bomb(a, lambda s: frame(HEADERS, 0, s, block(CHECK)) + frame(CONTINUATION, END_HEADERS, s, bytes(3) * 15000), "empty names")


@row("max_header_fields max_header_bytes", "over_header_limit", {"max_header_fields": BIG, "max_header_bytes": BIG}, fails="status 12 for 60 more fields",
     quick_off=True)
def header_blocks_over_the_limit_fail_alone(a):
    """65 fields, or more than 8 KiB: the call ends RESOURCE_EXHAUSTED, its neighbours on the connection are served."""
    before = a.pss_kb()
    with a.attacker() as p:
        for more in ([("x%d" % i, "v") for i in range(60)], [("x", "v" * 8200)], [("cookie", "c")] * 60):
            s = p.open(CHECK, *more, flags=END_HEADERS | END_STREAM)
            check(p.end(s) == 8, f"status {p.status_of(s)} for {len(more)} more fields")
            check(p.call(CHECK)[0] == 0, "the next call on the connection")
        held = a.pss_kb() - before
    check(held <= 256, f"{held} KiB more")
    return f"RESOURCE_EXHAUSTED three times, +{max(0, held)} KiB"


# ---- floods of frames -----------------------------------------------------------------------------------------------


def flood(a, parts, first=None, code=CALM):
    """Line rate for FLOOD_S seconds and at least two connections: each is ended within a second, a neighbour is served in time:
    in one flood of two, since the machine may have had other work in the first. parts: what a connection sends, or bytes that it sends
    over and over."""
    def judged():
        n_conns, most, neighbour, idle = one_flood(a, parts, first, code)
        told = neighbour.judge(2 * idle, idle) + ", " + neighbour.judge_lag()
        return f"{n_conns} connections ended, the slowest after {most * 1000:.0f} ms, " + told
    try:
        return judged()
    except NeighbourHarmed:
        return judged()


def one_flood(a, parts, first, code):
    idle, flood_s = idle_p99_ms(a), min(FLOOD_S, 5) if a.off else FLOOD_S
    most, n_conns, began = 0.0, 0, time.monotonic()
    with Neighbour(a) as neighbour:
        while time.monotonic() - began < flood_s or n_conns < 2:
            check(time.monotonic() - began < flood_s + 30, f"only {n_conns} connections")
            try:
                p = a.attacker()
            except Closed:
                time.sleep(0.02)  # the rate of handshakes holds it back
                continue
            with p:
                if first:
                    first(p)
                got, _, took = attack_until_closed(p, [parts] * 100000 if isinstance(parts, bytes) else parts, seconds=flood_s)
            n_conns += 1
            most = max(most, took)
            check(got == code, f"GOAWAY {got} after {took:.2f} s of flood")
            check(took <= at_once(), f"the connection was ended after {took:.2f} s only")
    return n_conns, most, neighbour, idle


CONTROL_OFF = {"control_burst": BIG, "control_per_s": BIG}
FLOODED = "GOAWAY None after .* of flood"
OUT_OF_WINDOW = "GOAWAY (3|None) after .* of flood"  # padding counts against the window: nghttp2 ends what outruns it


@row("ping_min_interval_ms ping_strikes", "over_ping_rate", {"ping_min_interval_ms": 0}, fails="GOAWAY None after 4 pings", quick_off=True)
def pings_too_often(a):
    """One by one, so that no other limit sees many frames at once."""
    with a.attacker() as p:
        def pings():
            for n in range(1, 5):
                yield frame(PING, 0, 0, b"%8d" % n)
                try:
                    p.until(lambda n=n: p.n_acks > n or p.goaway is not None, 5)
                except Closed:
                    return
        code, n, _ = attack_until_closed(p, pings())
    check(code == CALM, f"GOAWAY {code} after {n} pings")
    check(p.goaway_text == b"too_many_pings", f"GOAWAY says {p.goaway_text}")
    return f"GOAWAY after {n}"


# Which of three limits ends a flood of pings depends on how many come in one read: here the one of all control frames must.
PINGED = {"ping_strikes": BIG, "max_outbound_acks": BIG, "max_outbound_items": BIG}


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=FLOODED, own={"limits": PINGED}, quick_off=True)
def ping_flood(a):
    return flood(a, frame(PING, 0, 0, b"12345678") * 200)


@row("control_burst control_per_s max_outbound_acks", "over_control_rate", {**CONTROL_OFF, "max_outbound_acks": BIG, "max_outbound_items": BIG},
     fails=FLOODED)
def settings_flood(a):
    return flood(a, frame(SETTINGS, 0, 0) * 1800)  # more than control_burst in one TLS record


@row("max_settings", "conn_protocol_errors", {"max_settings": 1000000}, fails="5 frames of 1,000 settings were taken")
def settings_of_a_thousand_entries(a):
    with a.attacker() as p:
        code, n, _ = attack_until_closed(p, [frame(SETTINGS, 0, 0, struct.pack(">HI", 99, 1) * 1000)] * 5)
    check(code is not None, f"{n} frames of 1,000 settings were taken")
    return f"GOAWAY {code}"


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=FLOODED)
def priority_flood(a):
    return flood(a, frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 16)) * 200)


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=FLOODED)
def empty_data_flood(a):
    return flood(a, frame(DATA, 0, 1) * 200, first=lambda p: p.open(CHECK))


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=OUT_OF_WINDOW)
def padding_flood(a):
    return flood(a, frame(DATA, PADDED, 1, b"\x02\0\0") * 200, first=lambda p: p.open(CHECK))


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=FLOODED)
def window_update_flood(a):
    return flood(a, frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01") * 200)


@row("control_burst control_per_s", "over_control_rate", CONTROL_OFF, fails=FLOODED)
def unknown_frame_flood(a):
    return flood(a, frame(0xFA, 0, 0, b"x") * 200)


# ---- what the preface and frames may look like ----------------------------------------------------------------------


@row("max_frame_bytes", "conn_protocol_errors", {"max_frame_bytes": 1000000}, fails="frame too long: still open", quick_off=True)
def broken_http2_ends_its_connection_only(a):
    """No preface, a frame over SETTINGS_MAX_FRAME_SIZE, DATA on stream 0, a push promise, HPACK that does not decode."""
    cases = {
        "no preface": b"GET / HTTP/1.1\r\n\r\n" + bytes(24),
        "frame too long": PREFACE + settings() + frame(SETTINGS, ACK, 0) + frame(0xFA, 0, 0, bytes(70000)),  # in force once acknowledged
        "DATA on stream 0": PREFACE + settings() + frame(DATA, 0, 0, b"x"),
        "push promise": PREFACE + settings() + frame(5, END_HEADERS, 1, struct.pack(">I", 2) + b"\x82"),
        "even stream": PREFACE + settings() + frame(HEADERS, END_HEADERS, 2, block(CHECK)),
        "HPACK": PREFACE + settings() + frame(HEADERS, END_HEADERS, 1, integer(200, 7, 0x80)),
        "CONTINUATION alone": PREFACE + settings() + frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
        "interleaved block": PREFACE + settings() + frame(HEADERS, 0, 1, b"\x82") + frame(PING, 0, 0, bytes(8)),
    }
    for what, sent in cases.items():
        with a.attacker(start=False) as p:
            try:
                p.send(sent)
            except Closed:
                pass
            try:
                code = p.until_closed(3)
            except TimeoutError as late:
                raise Failure(f"{what}: still open") from late
            check(p.eof, f"{what}: still open")
            check(code not in (None, 0) or what == "no preface", f"{what}: GOAWAY {code}")
        a.serve_once()
    return f"{len(cases)} cases"
