#!/usr/bin/env python3
"""HTTP/2's rules for a server, one connection a case, frames by hand: a line a case.

    conformance.py SOCKET

SOCKET is that of a server of grpc.testing.TestService without TLS. A case's name begins with the section of RFC 9113 (or
RFC 7541) that it shows. What may answer a violation: a GOAWAY with one of the named codes or the connection's end, and,
where the rule is about one stream, a RST_STREAM with one of them.
"""
import struct
import sys

from h2raw import (ACK, CLOSED, CONTINUATION, DATA, END_HEADERS, END_STREAM, ERRORS, GOAWAY, HEADERS, PADDED, PING, PREFACE,
                   PRIORITY, PRIORITY_FLAG, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection, block, frame,
                   headers, hpack_int, literal, message, settings)

GRPC = [(":method", "POST"), (":scheme", "http"), (":path", "/grpc.testing.TestService/EmptyCall"), (":authority", "localhost"),
        ("te", "trailers"), ("content-type", "application/grpc")]
DUPLEX = [(k, v.replace("EmptyCall", "FullDuplexCall")) for k, v in GRPC]
EMPTY = message(b"")
PING_BYTES = b"are you "
# By Huffman's code, from RFC 7541, C.4.2 and C.4.3.
NO_CACHE, CUSTOM_KEY, CUSTOM_VALUE = (bytes([0x80 | len(b)]) + b for b in map(
    bytes.fromhex, ("a8eb10649cbf", "25a849e95ba97d7f", "25a849e95bb8e8b4bf")))
PROTOCOL, FLOW, SIZE, COMPRESSION, STREAM = ("PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "FRAME_SIZE_ERROR", "COMPRESSION_ERROR",
                                             "STREAM_CLOSED")


def request(stream=1, fields=GRPC):
    return headers(stream, fields) + frame(DATA, END_STREAM, stream, EMPTY)


def without(name):
    return [(k, v) for k, v in GRPC if k != name]


def replaced(name, value):
    return [(k, value if k == name else v) for k, v in GRPC]


def window(stream, n):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", n))


class Judge:
    """What came back on one connection."""

    def __init__(self, path, *parts, preface=True):
        self.connection = Connection.to_unix(path)
        if preface:
            self.connection.send(PREFACE, settings())
        self.connection.send(*parts)
        self.resets = {}
        self.statuses = {}
        self.data = {}
        self.goaway = None

    def next(self, seconds=10.0):
        got = self.connection.receive(seconds)
        if got is None:
            return None
        kind, flags, stream, payload = got
        if kind == SETTINGS and not flags & ACK:
            self.connection.send(frame(SETTINGS, ACK))
        elif kind == RST_STREAM:
            self.resets[stream] = ERRORS[int.from_bytes(payload, "big")]
        elif kind == GOAWAY and int.from_bytes(payload[4:8], "big") != 0:
            self.goaway = ERRORS[int.from_bytes(payload[4:8], "big")]
        elif kind == HEADERS and flags & END_STREAM:
            self.statuses[stream] = payload
        elif kind == DATA:
            self.data[stream] = self.data.get(stream, b"") + payload
        return got

    def lives(self):
        """True if the connection still answers a ping."""
        self.connection.send(frame(PING, 0, 0, PING_BYTES))
        while (got := self.next()) is not None:
            if got[0] == PING and got[1] & ACK and got[3] == PING_BYTES:
                return True
        return False

    def end(self):
        """The GOAWAY's error, CLOSED, or "" when the connection stays."""
        while self.next(8.0) is not None:
            pass
        return self.goaway or (CLOSED if self.connection.ended else "")


def connection_error(codes, *parts, **how):
    codes = codes.split("|")

    def run(path):
        judge = Judge(path, *parts, **how)
        got = judge.end()
        judge.connection.close()
        return None if got in (*codes, CLOSED) else f"{got or 'the connection lives'}, where {codes} is due"

    return run


def stream_error(codes, *parts, stream=1):
    codes = codes.split("|")

    def run(path):
        judge = Judge(path, *parts)
        lives = judge.lives() and judge.lives()  # a ping's answer overtakes what was queued before it
        judge.connection.close()
        if not lives:
            return None if judge.goaway in codes or judge.goaway is None else f"GOAWAY {judge.goaway}, where {codes} is due"
        # A response that refuses the request is as good as its reset (RFC 9113, section 8.1.1).
        refused = stream in judge.statuses and b"grpc-status" in judge.statuses[stream]
        got = judge.resets.get(stream)
        return None if got in codes or ("STATUS" in codes and refused) else f"{got or 'no reset'}, where {codes} is due"

    return run


def own_stream_only(code, *parts):
    """The error costs stream 1, with this code; the connection serves on."""

    def run(path):
        judge = Judge(path, *parts)
        lives = judge.lives() and judge.lives()
        judge.connection.close()
        return None if lives and judge.resets.get(1) == code else f"{judge.goaway or judge.resets.get(1)}, where RST_STREAM {code} alone is due"

    return run


def goaway_ends(path):
    judge = Judge(path)
    if not judge.lives():
        return "no connection"
    judge.connection.send(frame(GOAWAY, 0, 0, bytes(8)), frame(PING, 0, 0, PING_BYTES))
    got = judge.end()
    judge.connection.close()
    return None if got == CLOSED else f"GOAWAY {got}" if got else "it is neither answered nor closed"


def after_the_end(part):
    """A whole call, then another frame on its stream."""

    def run(path):
        judge = Judge(path, request())
        while 1 not in judge.statuses and judge.next() is not None:
            pass
        judge.connection.send(part)
        got = judge.end()
        judge.connection.close()
        return None if got in (STREAM, PROTOCOL) else f"{got or 'the connection lives'}, where {STREAM} is due"

    return run


def says_why_it_ends(path):
    judge = Judge(path, frame(PING, 0, 0, b"short"))
    got = judge.end()
    judge.connection.close()
    return None if got == SIZE and judge.connection.ended else f"{got}, the connection {'ended' if judge.connection.ended else 'lives'}"


def answered_by_http(status, words, *parts):
    """An answer with this :status and a body with these words (none: no body), and the connection lives."""

    def run(path):
        judge = Judge(path, *parts)
        heads = b""
        while 1 not in judge.statuses and (got := judge.next()) is not None:
            heads += got[3] if got[0] == HEADERS else b""
        lives = judge.lives()
        judge.connection.close()
        body = judge.data.get(1, b"")
        if status.encode() not in heads or not lives:  # Huffman's code would make three digits no shorter
            return f"head {heads.hex()}, the connection {'lives' if lives else 'ended'}"
        return None if (words in body if words else not body) else f"body {body}"

    return run


def indexed(stream, indexing, first=b""):
    """GRPC's fields, each put into the table (indexing), or each asked back from where that left them."""
    if indexing:
        return frame(HEADERS, END_HEADERS, stream, first + b"".join(b"\x40" + literal(*field)[1:] for field in GRPC))
    return frame(HEADERS, END_HEADERS, stream, first + bytes(0x80 | 61 + len(GRPC) - i for i in range(len(GRPC))))


def accepted(*parts, stream=1, goes_on=True):
    """The call is answered and the connection lives (goes_on) or may end."""

    def run(path):
        judge = Judge(path, *parts)
        while stream not in judge.statuses and judge.next() is not None:
            pass
        lives = not goes_on or judge.lives()
        judge.connection.close()
        if stream not in judge.statuses:
            return f"no answer; reset {judge.resets.get(stream)}, GOAWAY {judge.goaway}"
        return None if lives else "the connection does not live on"

    return run


def ignored(*parts):
    def run(path):
        judge = Judge(path, *parts)
        lives = judge.lives()
        judge.connection.close()
        return None if lives else f"the connection ended: {judge.goaway}"

    return run


def settings_are_acknowledged(path):
    judge = Judge(path)
    acknowledged = False
    while not acknowledged and (got := judge.next()) is not None:
        acknowledged = got[0] == SETTINGS and bool(got[1] & ACK)
    judge.connection.close()
    return None if acknowledged else "no acknowledgement"


def first_frame_is_settings(path):
    judge = Judge(path)
    got = judge.next()
    judge.connection.close()
    return None if got is not None and got[0] == SETTINGS and not got[1] & ACK else f"{got}"


def ask(size):
    """A StreamingOutputCallRequest for one answer of that many bytes."""
    def varint(n):
        out = bytearray()
        while n >= 128:
            out.append(n % 128 + 128)
            n //= 128
        return bytes(out + bytes([n]))

    parameters = b"\x08" + varint(size)
    return message(b"\x12" + varint(len(parameters)) + parameters)


def held_by_window(first, then, limit, total):
    """Sends what first says; not more than limit bytes of DATA may come before then is sent, and total in the end."""

    def run(path):
        judge = Judge(path, *first, preface=False)
        if not judge.lives():
            return f"GOAWAY {judge.goaway}"
        early = len(judge.data.get(1, b""))
        judge.connection.send(*then)
        while len(judge.data.get(1, b"")) < total and judge.next() is not None:
            pass
        late = len(judge.data.get(1, b""))
        judge.connection.close()
        return None if early <= limit and late >= total else f"{early} bytes before the window opened, {late} in all"

    return run


BIG = headers(1, DUPLEX) + frame(DATA, 0, 1, ask(1000))
CASES = {
    # ---- 3.4: the preface
    "3.4.first_frame_is_settings": first_frame_is_settings,
    "3.4.bad_preface_ends": connection_error(PROTOCOL, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", preface=False),
    "3.4.first_frame_not_settings": connection_error(PROTOCOL, PREFACE, frame(PING, 0, 0, PING_BYTES), preface=False),
    # ---- 4: frames
    "4.1.unknown_type_is_ignored": ignored(frame(0x16, 0xFF, 0, b"whatever")),
    "4.1.undefined_flags_are_ignored": ignored(frame(PING, 0x16, 0, PING_BYTES)),
    "4.1.reserved_bit_is_ignored": ignored(frame(PING, 0, 0x80000000, PING_BYTES)),
    "4.2.data_of_the_largest_size": accepted(headers(1, GRPC), frame(DATA, END_STREAM, 1, message(bytes(16384 - 5)))),
    "4.2.frame_over_the_largest_size": connection_error(SIZE, headers(1, GRPC), frame(DATA, 0, 1, b"", length=65537), bytes(65537)),
    "4.2.headers_over_the_largest_size": connection_error(SIZE, frame(HEADERS, END_HEADERS, 1, b"", length=65537), bytes(65537)),
    "4.3.bad_header_block": connection_error(COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff")),
    "4.3.priority_within_a_header_block": connection_error(
        PROTOCOL, headers(1, GRPC, 0), frame(PRIORITY, 0, 1, bytes(5)), frame(CONTINUATION, END_HEADERS, 1)),
    "4.3.headers_of_another_stream_within_a_header_block": connection_error(PROTOCOL, headers(1, GRPC, 0), request(3)),
    # ---- 5.1: stream states
    "5.1.data_on_an_idle_stream": connection_error(f"{PROTOCOL}|{STREAM}", frame(DATA, END_STREAM, 1, EMPTY)),
    "5.1.rst_stream_on_an_idle_stream": connection_error(PROTOCOL, frame(RST_STREAM, 0, 1, bytes(4))),
    "5.1.window_update_on_an_idle_stream": connection_error(PROTOCOL, window(1, 10)),
    "5.1.continuation_on_an_idle_stream": connection_error(PROTOCOL, frame(CONTINUATION, END_HEADERS, 1, block(GRPC))),
    "5.1.data_after_end_stream": stream_error(f"{STREAM}|{PROTOCOL}|NO_ERROR", headers(1, GRPC, END_HEADERS | END_STREAM), frame(DATA, 0, 1, EMPTY)),
    "5.1.headers_after_end_stream": stream_error(f"{STREAM}|{PROTOCOL}", headers(1, GRPC, END_HEADERS | END_STREAM), headers(1, GRPC)),
    "5.1.continuation_after_end_stream": connection_error(
        f"{STREAM}|{PROTOCOL}", headers(1, GRPC, END_HEADERS | END_STREAM), frame(CONTINUATION, END_HEADERS, 1, block(GRPC))),
    "5.1.headers_after_its_reset": own_stream_only(
        STREAM, headers(1, DUPLEX), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8])), headers(1, GRPC)),
    "5.1.continuation_after_its_reset": connection_error(
        f"{STREAM}|{PROTOCOL}", headers(1, DUPLEX), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8])), frame(CONTINUATION, END_HEADERS, 1, literal("a", "b"))),
    "5.1.data_after_its_reset": own_stream_only(
        STREAM, headers(1, DUPLEX), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8])), frame(DATA, 0, 1, EMPTY)),
    "5.1.headers_after_the_end_of_a_call": after_the_end(headers(1, GRPC)),
    "5.1.data_after_the_end_of_a_call": after_the_end(frame(DATA, END_STREAM, 1, EMPTY)),
    "5.1.continuation_after_the_end_of_a_call": after_the_end(frame(CONTINUATION, END_HEADERS, 1, literal("a", "b"))),
    "5.1.window_update_after_end_stream": accepted(request(), window(1, 1)),
    "5.1.priority_after_end_stream": accepted(request(), frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 255))),
    "5.1.rst_stream_after_end_stream": ignored(request(), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8]))),
    "5.1.priority_of_a_closed_stream": ignored(request(), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8])), frame(PRIORITY, 0, 1, bytes(5))),
    "5.1.1.even_stream_number": connection_error(PROTOCOL, request(2)),
    "5.1.1.number_below_an_earlier_one": connection_error(PROTOCOL, request(5), request(3)),
    "5.1.1.numbers_may_be_left_out": accepted(request(1), request(9), stream=9),
    "5.1.2.more_streams_than_allowed": stream_error(
        f"{PROTOCOL}|REFUSED_STREAM", *(headers(n, DUPLEX) for n in range(1, 200, 2)), stream=199),
    "5.3.1.headers_that_depend_on_themselves": stream_error(
        f"{PROTOCOL}|STATUS", frame(HEADERS, END_HEADERS | PRIORITY_FLAG | END_STREAM, 1, struct.pack(">IB", 1, 15) + block(GRPC))),
    "5.4.1.goaway_comes_before_the_end": says_why_it_ends,
    "5.5.unknown_frame_within_a_header_block": connection_error(
        PROTOCOL, headers(1, GRPC, 0), frame(0x16, 0, 1, b"whatever"), frame(CONTINUATION, END_HEADERS, 1)),
    "5.3.1.stream_that_depends_on_itself": ignored(headers(1, DUPLEX), frame(PRIORITY, 0, 3, struct.pack(">IB", 5, 1))),
    # ---- 6.1: DATA
    "6.1.data_on_stream_0": connection_error(PROTOCOL, frame(DATA, 0, 0, b"x")),
    "6.1.padding_as_long_as_the_frame": connection_error(PROTOCOL, headers(1, GRPC), frame(DATA, PADDED, 1, b"\x06abcde")),
    "6.1.message_in_several_frames": accepted(headers(1, GRPC), *(frame(DATA, 0, 1, EMPTY[i:i + 1]) for i in range(5)), frame(DATA, END_STREAM, 1)),
    "6.1.padded_data_is_read": accepted(headers(1, GRPC), frame(DATA, PADDED | END_STREAM, 1, b"\x03" + EMPTY + bytes(3))),
    # ---- 6.2: HEADERS
    "6.2.headers_on_stream_0": connection_error(PROTOCOL, headers(0, GRPC)),
    "6.2.padding_as_long_as_the_frame": connection_error(PROTOCOL, frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + block(GRPC)[:20])),
    "6.2.padded_headers_are_read": accepted(frame(HEADERS, END_HEADERS | PADDED, 1, b"\x02" + block(GRPC) + bytes(2)),
                                            frame(DATA, END_STREAM, 1, EMPTY)),
    "6.2.headers_with_priority_are_read": accepted(frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 1, bytes(5) + block(GRPC)),
                                                   frame(DATA, END_STREAM, 1, EMPTY)),
    # ---- 6.3: PRIORITY
    "6.3.priority_on_stream_0": connection_error(PROTOCOL, frame(PRIORITY, 0, 0, bytes(5))),
    "6.3.priority_of_a_wrong_size": stream_error(SIZE, headers(1, DUPLEX), frame(PRIORITY, 0, 1, bytes(4))),
    "6.3.weights_and_dependencies_are_read": accepted(
        frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 0)), frame(PRIORITY, 0, 1, struct.pack(">IB", 0, 255)),
        frame(PRIORITY, 0, 1, struct.pack(">IB", 3, 255)), frame(PRIORITY, 0, 1, struct.pack(">IB", 0x80000003, 255)), request()),
    "6.3.priority_of_an_idle_stream": accepted(frame(PRIORITY, 0, 7, struct.pack(">IB", 0, 15)), request()),
    # ---- 6.4: RST_STREAM
    "6.4.rst_stream_on_stream_0": connection_error(PROTOCOL, frame(RST_STREAM, 0, 0, bytes(4))),
    "6.4.rst_stream_of_a_wrong_size": connection_error(SIZE, headers(1, DUPLEX), frame(RST_STREAM, 0, 1, bytes(3))),
    "6.4.rst_stream_ends_a_call_only": ignored(headers(1, DUPLEX), frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8]))),
    # ---- 6.5: SETTINGS
    "6.5.3.settings_are_acknowledged": settings_are_acknowledged,
    "6.5.acknowledgement_with_a_payload": connection_error(SIZE, frame(SETTINGS, ACK, 0, bytes(6))),
    "6.5.settings_on_a_stream": connection_error(PROTOCOL, frame(SETTINGS, 0, 1, bytes(6))),
    "6.5.settings_of_a_wrong_size": connection_error(SIZE, frame(SETTINGS, 0, 0, bytes(5))),
    "6.5.2.enable_push_of_2": connection_error(PROTOCOL, settings((2, 2))),
    "6.5.2.window_above_the_largest": connection_error(FLOW, settings((4, 1 << 31))),
    "6.5.2.frame_size_below_the_least": connection_error(PROTOCOL, settings((5, 16383))),
    "6.5.2.frame_size_above_the_largest": connection_error(PROTOCOL, settings((5, 1 << 24))),
    "6.5.3.the_last_of_several_windows_counts": held_by_window(
        (PREFACE, settings((4, 2000), (4, 1)), BIG), (window(1, 100000),), 1, 1000),
    "6.5.2.unknown_setting_is_ignored": accepted(settings((0xFF, 1)), request()),
    # ---- 6.6: PUSH_PROMISE
    "6.6.push_promise_from_a_client": connection_error(PROTOCOL, headers(1, DUPLEX), frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + block(GRPC))),
    # ---- 6.7: PING
    "6.7.ping_is_answered": ignored(),
    "6.7.acknowledgement_is_not_answered": ignored(frame(PING, ACK, 0, b"unasked!")),
    "6.7.ping_on_a_stream": connection_error(PROTOCOL, frame(PING, 0, 1, PING_BYTES)),
    "6.7.ping_of_a_wrong_size": connection_error(SIZE, frame(PING, 0, 0, bytes(6))),
    # ---- 6.8: GOAWAY
    "6.8.goaway_on_a_stream": connection_error(PROTOCOL, frame(GOAWAY, 0, 1, bytes(8))),
    "6.8.calls_go_on_after_goaway": accepted(headers(1, GRPC), frame(GOAWAY, 0, 0, bytes(8)), frame(DATA, END_STREAM, 1, EMPTY), goes_on=False),
    "6.8.idle_connection_ends_after_goaway": goaway_ends,
    # ---- 6.9: WINDOW_UPDATE
    "6.9.window_updates_are_read": accepted(window(0, 1), headers(1, GRPC), window(1, 1), frame(DATA, END_STREAM, 1, EMPTY)),
    "6.9.increment_of_0_on_the_connection": connection_error(PROTOCOL, window(0, 0)),
    "6.9.increment_of_0_on_a_stream": stream_error(PROTOCOL, headers(1, DUPLEX), window(1, 0)),
    "6.9.window_update_of_a_wrong_size": connection_error(SIZE, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    "6.9.1.connection_window_overflows": connection_error(FLOW, window(0, 0x7FFFFFFF), window(0, 0x7FFFFFFF)),
    "6.9.1.stream_window_overflows": stream_error(FLOW, headers(1, DUPLEX), window(1, 0x7FFFFFFF), window(1, 0x7FFFFFFF)),
    "6.9.1.data_waits_for_the_stream_window": held_by_window(
        (PREFACE, settings((4, 1)), BIG), (window(1, 100000),), 1, 1000),
    "6.9.2.window_of_settings_counts_for_open_streams": held_by_window(
        (PREFACE, settings((4, 0)), BIG), (settings((4, 2000)),), 0, 1000),
    "6.9.2.window_that_goes_negative_holds_back": held_by_window(
        (PREFACE, settings((4, 3)), BIG, settings((4, 1))), (window(1, 100000),), 3, 1000),
    "6.9.2.window_of_settings_overflows": stream_error(FLOW, headers(1, DUPLEX), window(1, 70000), settings((4, 0x7FFFFFFF))),
    # ---- 6.10: CONTINUATION
    "6.10.header_block_in_pieces": accepted(frame(HEADERS, 0, 1, block(GRPC)[:30]), frame(CONTINUATION, 0, 1, block(GRPC)[30:60]),
                                            frame(CONTINUATION, END_HEADERS, 1, block(GRPC)[60:]), frame(DATA, END_STREAM, 1, EMPTY)),
    "6.10.continuation_after_end_headers": connection_error(PROTOCOL, headers(1, DUPLEX), frame(CONTINUATION, END_HEADERS, 1, literal("a", "b"))),
    "6.10.continuation_after_the_last_continuation": connection_error(
        PROTOCOL, headers(1, DUPLEX, 0), frame(CONTINUATION, END_HEADERS, 1), frame(CONTINUATION, END_HEADERS, 1, literal("a", "b"))),
    "6.10.continuation_after_data": connection_error(
        PROTOCOL, headers(1, DUPLEX), frame(DATA, 0, 1, EMPTY), frame(CONTINUATION, END_HEADERS, 1, literal("a", "b"))),
    "6.10.continuation_on_stream_0": connection_error(PROTOCOL, headers(1, GRPC, 0), frame(CONTINUATION, END_HEADERS, 0)),
    "6.10.data_before_end_headers": connection_error(PROTOCOL, headers(1, GRPC, 0), frame(DATA, END_STREAM, 1, EMPTY)),
    # ---- 7: error codes
    "7.unknown_code_in_goaway": accepted(headers(1, GRPC), frame(GOAWAY, 0, 0, bytes(4) + b"\x00\x00\x00\xff"),
                                        frame(DATA, END_STREAM, 1, EMPTY), goes_on=False),
    "7.unknown_code_in_rst_stream": ignored(headers(1, DUPLEX), frame(RST_STREAM, 0, 1, b"\x00\x00\x00\xff")),
    # ---- 8: HTTP
    "8.1.request_with_trailers": accepted(headers(1, GRPC), frame(DATA, 0, 1, EMPTY), headers(1, [("x-late", "y")], END_HEADERS | END_STREAM)),
    "8.1.get_is_answered_in_words": answered_by_http("405", b"gRPC", headers(1, replaced(":method", "GET"), END_HEADERS | END_STREAM)),
    "8.1.head_is_answered_without_a_body": answered_by_http("405", b"", headers(1, replaced(":method", "HEAD"), END_HEADERS | END_STREAM)),
    "8.1.post_that_is_not_grpc": answered_by_http("415", b"", headers(1, replaced("content-type", "text/html"), END_HEADERS | END_STREAM)),
    "8.1.second_headers_without_end_stream": stream_error(PROTOCOL, headers(1, DUPLEX), headers(1, [("x", "y")])),
    "8.2.1.upper_case_name": stream_error(PROTOCOL, headers(1, [*GRPC, ("X-Upper", "y")])),
    "8.2.2.connection_specific_field": stream_error(PROTOCOL, headers(1, [*GRPC, ("connection", "keep-alive")])),
    "8.2.2.te_other_than_trailers": stream_error(PROTOCOL, headers(1, [*without("te"), ("te", "gzip")])),
    "8.3.unknown_pseudo_field": stream_error(PROTOCOL, headers(1, [(":unknown", "y"), *GRPC])),
    "8.3.response_pseudo_field": stream_error(PROTOCOL, headers(1, [(":status", "200"), *GRPC])),
    "8.3.pseudo_field_after_a_field": stream_error(PROTOCOL, headers(1, [*GRPC, (":path", "/")])),
    "8.3.pseudo_field_in_trailers": stream_error(PROTOCOL, headers(1, DUPLEX), headers(1, [(":method", "POST")], END_HEADERS | END_STREAM)),
    "8.3.1.empty_path": stream_error(f"{PROTOCOL}|STATUS", headers(1, [*without(":path"), ("x", "y")][:2] + [(":path", "")] + GRPC[3:])),
    "8.3.1.no_method": stream_error(PROTOCOL, headers(1, without(":method"))),
    "8.3.1.no_scheme": stream_error(PROTOCOL, headers(1, without(":scheme"))),
    "8.3.1.no_path": stream_error(PROTOCOL, headers(1, without(":path"))),
    "8.3.1.two_methods": stream_error(PROTOCOL, headers(1, [GRPC[0], *GRPC])),
    "8.3.1.two_schemes": stream_error(PROTOCOL, headers(1, [GRPC[1], *GRPC])),
    "8.3.1.two_paths": stream_error(PROTOCOL, headers(1, [GRPC[2], *GRPC])),
    "8.1.1.content_length_that_does_not_fit": stream_error(
        PROTOCOL, headers(1, [*GRPC, ("content-length", "1")]), frame(DATA, END_STREAM, 1, EMPTY)),
    "8.1.1.content_length_of_several_frames_that_does_not_fit": stream_error(
        PROTOCOL, headers(1, [*GRPC, ("content-length", "1")]), frame(DATA, 0, 1, b"\0"), frame(DATA, END_STREAM, 1, bytes(4))),
    # ---- RFC 7541
    "hpack.2.3.3.index_beyond_the_tables": connection_error(COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\x80\x7f")),
    "hpack.2.3.3.literal_of_a_name_beyond_the_tables": connection_error(
        COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GRPC) + b"\x7f\x07\x01x")),
    "hpack.4.2.table_size_update_after_a_field": connection_error(COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GRPC) + b"\x20")),
    "hpack.5.2.huffman_padding_of_8_bits": connection_error(
        COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GRPC) + b"\x00\x01x\x82\x1c\xff\xff")),
    "hpack.5.2.huffman_padding_of_zeros": connection_error(
        COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GRPC) + b"\x00\x01x\x81\x18")),
    "hpack.5.2.huffman_end_of_string": connection_error(
        COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GRPC) + b"\x00\x01x\x84\xff\xff\xff\xff")),
    "hpack.6.1.index_0": connection_error(COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80")),
    "hpack.6.3.table_size_above_the_setting": connection_error(COMPRESSION, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe2\x1f" + block(GRPC))),
    "hpack.6.3.table_size_updates_are_read": accepted(
        frame(HEADERS, END_HEADERS, 1, b"\x20" + b"\x3f\xe1\x1f" + block(GRPC)), frame(DATA, END_STREAM, 1, EMPTY)),
    "hpack.6.2.fields_come_back_from_the_table": accepted(
        indexed(1, indexing=True), frame(DATA, END_STREAM, 1, EMPTY), indexed(3, indexing=None), frame(DATA, END_STREAM, 3, EMPTY), stream=3),
    "hpack.6.2.a_table_of_size_0_forgets_them": connection_error(
        COMPRESSION, indexed(1, indexing=True), frame(DATA, END_STREAM, 1, EMPTY), indexed(3, indexing=None, first=b"\x20")),
    **{f"hpack.6.2.{kind}_{name}_{text}": accepted(
        frame(HEADERS, END_HEADERS, 1, block(GRPC) + first + named + value), frame(DATA, END_STREAM, 1, EMPTY))
       for kind, prefix, first_byte in (("incremental", 6, 0x40), ("without_indexing", 4, 0x00), ("never_indexed", 4, 0x10))
       for name, text, first, named, value in (
           ("indexed_name", "plain", hpack_int(24, prefix, first_byte), b"", b"\x08no-cache"),
           ("indexed_name", "huffman", hpack_int(24, prefix, first_byte), b"", NO_CACHE),
           ("new_name", "plain", bytes([first_byte]), b"\x0acustom-key", b"\x0ccustom-value"),
           ("new_name", "huffman", bytes([first_byte]), CUSTOM_KEY, CUSTOM_VALUE))},
    "hpack.6.2.indexed_and_never_indexed_fields": accepted(
        frame(HEADERS, END_HEADERS, 1, b"".join(bytes([first]) + literal(*field)[1:] for first, field in zip([0x40, 0x10] * 3, GRPC))),
        frame(DATA, END_STREAM, 1, EMPTY)),
}


def main():
    failed = 0
    for name, case in CASES.items():
        try:
            why = case(sys.argv[1])
        except OSError as error:
            why = str(error)
        failed += why is not None
        print(f"{'pass' if why is None else 'fail'} http2.{name}{'' if why is None else ': ' + why}", flush=True)
    print(f"http2: {len(CASES) - failed} of {len(CASES)} cases")
    sys.exit(0 if failed == 0 else 1)


if __name__ == "__main__":
    main()
