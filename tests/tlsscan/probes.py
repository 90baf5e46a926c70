"""TLS's rules by hand at a real agent: each probe breaks one, and the agent must end the connection with the one alert that is due.

Arguments: the folder of the programs, then 1.2; or that folder, 1.3 and the tree of a Debian 13 whose agent it is (it shares this
machine's /tmp). Prints `pass NAME` or `fail NAME: why` a line. What is due is one alert and the section of the RFC that asks for it, or
that gives the alert its meaning where it asks for none by name (RFC 5246 for TLS 1.2, RFC 8446 for TLS 1.3). "closed" is an end
without an alert, "goes_on" an answer. differs.txt lists where the agent does otherwise, each with exactly what it does and why.
"""
import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
os.environ["HAWSER_BIN"] = os.path.abspath(sys.argv[1])
V13 = sys.argv[2] == "1.3"
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), "e2e"))
import harness  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from peer import (ALERT, CCS, CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_HELLO, CLIENT_KEY, DATA, FINISHED, HANDSHAKE, HELLO_REQUEST, KEY_UPDATE,  # noqa: E402
                  SEED, SERVER_HELLO, Ended, Peer, hello, message, record, u16, vec)

PROBES = {}  # name: (what is due, where it is said, the probe)


def by(tls12, tls13=None):
    """What is due and where that is said, of the version at hand: "alert, section"."""
    said = tls13 if V13 and tls13 else tls12
    alert, _, section = said.partition(", ")
    return alert, section if section.startswith("RFC") else f"RFC {8446 if V13 else 5246} {section}"


TYPE = by("unexpected_message, 6", "unexpected_message, 5")  # a record of a type that has no place there
EMPTY = by("unexpected_message, 6.2.1", "unexpected_message, 5.4")  # a record of nothing, of a type that must have something
SIZE = by("record_overflow, 7.2.2", "record_overflow, 5.1")
ORDER = by("unexpected_message, 7.4", "unexpected_message, 4")  # a message out of its order
SYNTAX = by("decode_error, 7.2.2", "decode_error, 6.2")  # a message that does not parse
VALUE = by("illegal_parameter, 7.2.2", "illegal_parameter, 6.2")  # one that does, with something that may not be
ENDED = by("closed, 7.2.2", "closed, 6.2")  # a fatal alert is not answered
NOTIFIED = by("close_notify, 7.2.1", "close_notify, 6.1")
MAC = by("bad_record_mac, 7.2.2", "bad_record_mac, 5.2")
VERSION = by("protocol_version, E.1", "protocol_version, D.2")
NO_SUITE = by("handshake_failure, 7.4.1.3", "handshake_failure, 4.1.1")
CORRUPT = by("bad_certificate, 7.2.2", "bad_certificate, 6.2")
UNSIGNED = by("decrypt_error, 7.2.2", "decrypt_error, 4.4.3")
UNFINISHED = by("decrypt_error, 7.4.9", "decrypt_error, 4.4.4")


def raw(name, due, *parts):
    PROBES[name] = (*due, lambda p: p.send(*parts))


def first(name, due, **change):
    """A ClientHello with one thing changed."""
    PROBES[name] = (*due, lambda p: p.send(record(HANDSHAKE, message(CLIENT_HELLO, hello(V13, p.key, **change)), 0x0301)))


def extension(name, due, kind, body):
    first(name, due, extensions={kind: body})


def later(name, due):
    """A probe that is a function of its own."""
    def add(run):
        PROBES[name] = (*due, run)
        return run
    return add


GOOD = message(CLIENT_HELLO, hello(V13, ec.generate_private_key(ec.SECP256R1())))
BODY = GOOD[4:]

# ---- records

for kind in (0, 19, 24, 25, 255):
    raw(f"record_of_type_{kind}", TYPE, record(kind, GOOD))
for version in (0x0000, 0x0200, 0x0400, 0xFFFF):
    raw(f"record_of_version_{version:04x}", by("goes_on, E.1" if version >> 8 == 3 else "protocol_version, E.1", "goes_on, 5.1"), record(HANDSHAKE, GOOD, version))
raw("record_over_the_largest_size", SIZE, record(HANDSHAKE, GOOD + bytes(20000)))
raw("record_of_length_65535", SIZE, record(HANDSHAKE, GOOD, length=65535), bytes(65536))
raw("handshake_record_without_bytes", EMPTY, *[record(HANDSHAKE, b"")] * 40)
raw("data_before_the_handshake", TYPE, record(DATA, b"PRI * HTTP/2.0"))
raw("data_record_without_bytes_first", TYPE, record(DATA, b""))
raw("ccs_before_the_handshake", TYPE, record(CCS, b"\1"), record(CCS, b"\1"), record(DATA, b"x"))
raw("ccs_with_another_byte", TYPE, record(CCS, b"\2"))
raw("ccs_of_two_bytes", TYPE, record(CCS, b"\1\1"))
raw("ccs_without_bytes", TYPE, record(CCS, b""))
raw("flood_of_ccs", TYPE, *[record(CCS, b"\1")] * 2000, record(DATA, b"x"))
raw("alert_that_is_fatal", ENDED, record(ALERT, b"\2\x28"))
raw("alert_close_notify_first", NOTIFIED, record(ALERT, b"\1\0"))
raw("alert_of_one_byte", SYNTAX, record(ALERT, b"\2"))
raw("alert_without_bytes", EMPTY, record(ALERT, b""))
raw("alert_of_three_bytes", SYNTAX, record(ALERT, b"\2\x28\0"))
raw("http_request", TYPE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 4)
raw("http2_preface", TYPE, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 4)
raw("sslv2_hello", TYPE, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37))
raw("zero_bytes", TYPE, bytes(64))
for kind in (HELLO_REQUEST, SERVER_HELLO, 4, 5, 8, CERTIFICATE, 12, 13, 14, CERTIFICATE_VERIFY, CLIENT_KEY, FINISHED, KEY_UPDATE, 99, 254):
    raw(f"message_{kind}_in_place_of_a_clienthello", ORDER, record(HANDSHAKE, message(kind, BODY)))
raw("data_within_a_clienthello", TYPE, record(HANDSHAKE, GOOD[:60], 0x0301), record(DATA, GOOD[60:]))
raw("ccs_within_a_clienthello", TYPE, record(HANDSHAKE, GOOD[:60], 0x0301), record(CCS, b"\1"), record(HANDSHAKE, GOOD[60:]))
raw("two_clienthellos_in_one_record", ORDER, record(HANDSHAKE, GOOD + GOOD))

# ---- the ClientHello's shape

for length in (0, 1, 40, len(BODY) - 1):
    raw(f"clienthello_said_to_have_{length if length < 41 else 'one_less'}", SYNTAX, record(HANDSHAKE, message(CLIENT_HELLO, BODY, length), 0x0301))
raw("clienthello_said_to_have_16_mib", SYNTAX, *[record(HANDSHAKE, message(CLIENT_HELLO, BODY + bytes(8000), 0xFFFFFF), 0x0301)] * 4)
for n in (0, 1, 2, 20, 34, 35, 36, 37, 38, 39, 40, 41, 42, 44, 46, 50, len(BODY) - 3, len(BODY) - 1):
    if n != 39:
        # At 41 it is a whole one without extensions: it believes no signature of ours, and asks for TLS 1.2.
        raw(f"clienthello_cut_at_{n if n < 51 else 'the_end' if n == len(BODY) - 1 else 'its_last_extension'}",
            SYNTAX if n != 41 else by("handshake_failure, 7.4.1.4.1", "protocol_version, 4.2.1"), record(HANDSHAKE, message(CLIENT_HELLO, BODY[:n]), 0x0301))
raw("bytes_behind_the_extensions", SYNTAX, record(HANDSHAKE, message(CLIENT_HELLO, BODY + bytes(3)), 0x0301))
first("session_id_of_33_bytes", SYNTAX, session=bytes(33))
first("session_id_of_255_bytes", SYNTAX, session=bytes(255))
first("no_suites", SYNTAX, suites=b"")
first("half_a_suite", SYNTAX, suites=b"\xc0\x2b\x13")
first("no_compression_methods", by("decode_error, 7.2.2", "illegal_parameter, 4.1.2"), compression=b"")
first("compression_without_null", by("illegal_parameter, 7.2.2", "illegal_parameter, 4.1.2"), compression=b"\1")
first("half_an_extension", SYNTAX, more=b"\0\0\0")
first("extension_beyond_its_list", SYNTAX, more=b"\x0a\x0a\0\x40")

# ---- what it offers

OLD = {43: None, 51: None}
for version in (b"\3\0", b"\3\1", b"\3\2", b"\2\0", b"\0\0"):
    first(f"version_{version.hex()}", VERSION, version=version, extensions=OLD)
for name, suites in {"null": b"\0\1\0\2", "rc4": b"\0\5\xc0\x07", "export": b"\0\3\0\x06", "cbc": b"\xc0\x09\xc0\x0a\xc0\x13", "rsa_key_exchange": b"\0\x9c\0\x9d",
                     "dhe": b"\0\x9e\0\x9f", "anonymous": b"\xc0\x18\0\xa6", "unknown": b"\xfa\xfa\x0a\x0a", "scsv_only": b"\0\xff"}.items():
    first(f"suites_{name}", NO_SUITE, suites=suites)
if not V13:
    first("fallback_scsv_below_the_version", by("inappropriate_fallback, RFC 7507 3"), version=b"\3\2", suites=b"\xc0\x2b\x56\0")
    extension("renegotiation_info_at_first", by("handshake_failure, RFC 5746 3.6"), 0xFF01, vec(b"abc"))
    extension("groups_left_out_and_malformed_points", SYNTAX, 11, b"")
    extension("no_point_formats", SYNTAX, 11, b"\0")
    extension("fragment_length_code_0", by("illegal_parameter, RFC 6066 4"), 1, b"\0")
    extension("fragment_length_code_255", by("illegal_parameter, RFC 6066 4"), 1, b"\xff")
    extension("fragment_length_of_two_bytes", SYNTAX, 1, b"\1\1")
    extension("extended_master_secret_with_a_body", SYNTAX, 23, b"x")
extension("groups_without_one_of_ours", by("handshake_failure, RFC 8422 5.1", "goes_on, 4.2.8"), 10, vec(b"\0\x1d", 2))
extension("groups_without_bytes", SYNTAX, 10, b"")
extension("groups_empty", SYNTAX, 10, b"\0\0")
extension("groups_of_odd_length", SYNTAX, 10, vec(b"\0\x17\0", 2))
extension("groups_longer_than_said", SYNTAX, 10, b"\0\2\0\x17\0\x18")
extension("groups_shorter_than_said", SYNTAX, 10, b"\0\x08\0\x17\0\x18")
extension("signatures_without_bytes", SYNTAX, 13, b"")
extension("signatures_empty", SYNTAX, 13, b"\0\0")
extension("signatures_of_odd_length", SYNTAX, 13, vec(b"\x04\x03\x05", 2))
extension("signatures_shorter_than_said", SYNTAX, 13, b"\0\x08\x04\x03")
extension("alpn_of_another", by("no_application_protocol, RFC 7301 3.2"), 16, vec(vec(b"http/1.1"), 2))
extension("alpn_without_bytes", SYNTAX, 16, b"")
extension("alpn_empty", SYNTAX, 16, b"\0\0")
extension("alpn_of_an_empty_name", SYNTAX, 16, vec(b"\0", 2))
extension("alpn_longer_than_said", SYNTAX, 16, b"\0\3\2h2\2h2")
extension("alpn_name_beyond_its_list", SYNTAX, 16, vec(b"\x09h2", 2))
extension("server_name_without_bytes", SYNTAX, 0, b"")
extension("server_name_beyond_its_list", SYNTAX, 0, vec(b"\0\0\x20a", 2))
extension("server_name_shorter_than_said", SYNTAX, 0, b"\0\x40\0\0\1a")
for kind in (10, 13, 16):
    body = {10: vec(b"\0\x17\0\x18", 2), 13: vec(b"\x04\x03\x05\x03", 2), 16: vec(vec(b"h2"), 2)}[kind]
    first(f"extension_{kind}_twice", by("decode_error, 7.4.1.4", "illegal_parameter, 4.2"), more=u16(kind) + vec(body, 2))


if V13:
    SHARE = b"\0\x17" + vec(b"\4" + bytes(64), 2)
    first("compression_beside_null", by("illegal_parameter, 4.1.2"), compression=b"\0\1")
    extension("signatures_left_out", by("missing_extension, 4.2.3"), 13, None)
    extension("groups_left_out", by("missing_extension, 9.2"), 10, None)
    extension("share_left_out", by("missing_extension, 9.2"), 51, None)
    extension("share_not_on_the_curve", by("illegal_parameter, 4.2.8.2"), 51, vec(b"\0\x17" + vec(b"\4" + b"\7" * 64, 2), 2))
    extension("share_of_zero", by("illegal_parameter, 4.2.8.2"), 51, vec(SHARE, 2))
    extension("share_too_short", by("illegal_parameter, 4.2.8.2"), 51, vec(b"\0\x17" + vec(b"\4" + bytes(20), 2), 2))
    extension("share_without_bytes", SYNTAX, 51, b"")
    extension("share_beyond_its_list", SYNTAX, 51, vec(b"\0\x17\0\x99\4", 2))
    extension("versions_without_bytes", SYNTAX, 43, b"")
    extension("versions_of_odd_length", SYNTAX, 43, vec(b"\3\4\3"))
    extension("versions_unknown", by("protocol_version, 4.2.1"), 43, vec(b"\x7f\x1c\x0a\x0a"))
    extension("versions_old", by("protocol_version, 4.2.1"), 43, vec(b"\3\1\3\2"))
    extension("psk_that_is_not_the_last", by("illegal_parameter, 4.2.11"), 41, vec(vec(b"a", 2) + bytes(4), 2) + vec(vec(bytes(32)), 2))


# ---- within the handshake

def pair(name, due, kind, make):
    """The client's flight with one message in another form."""
    @later(name, due)
    def run(p):
        p.start()
        bodies = {CERTIFICATE: p.certificate, CLIENT_KEY: p.client_key, CERTIFICATE_VERIFY: p.signature, FINISHED: p.verify_data}
        for each in (CERTIFICATE, CERTIFICATE_VERIFY) if V13 else (CERTIFICATE, CLIENT_KEY, CERTIFICATE_VERIFY):
            if each == kind:
                p.send_message(each, make(p))
                return
            p.send_message(each, bodies[each]())
            if each == CLIENT_KEY:
                p.protect12()
        p.change()
        p.send_message(FINISHED, make(p))


pair("certificate_missing", by("handshake_failure, 7.4.6", "certificate_required, 4.4.2.4"), CERTIFICATE, lambda p: p.certificate([]))
pair("certificate_of_garbage", CORRUPT, CERTIFICATE, lambda p: p.certificate([b"\x30\x82garbage" * 9]))
pair("certificate_of_no_bytes", SYNTAX, CERTIFICATE, lambda p: p.certificate([b""]))
pair("certificate_of_more_garbage", CORRUPT, CERTIFICATE, lambda p: p.certificate([b"\x30\x82garbage" * 30]))
pair("certificate_of_broken_der", CORRUPT, CERTIFICATE, lambda p: p.certificate()[:8] + b"\xff" + p.certificate()[9:])
pair("certificate_list_beyond_its_message", SYNTAX, CERTIFICATE, lambda p: p.certificate([])[:-3] + b"\0\4\0" + p.certificate()[-1020:])
pair("certificate_without_bytes", SYNTAX, CERTIFICATE, lambda p: b"")
pair("certificate_verify_of_other_bytes", UNSIGNED, CERTIFICATE_VERIFY, lambda p: p.signature(spoil=True))
pair("certificate_verify_without_bytes", SYNTAX, CERTIFICATE_VERIFY, lambda p: b"")
pair("certificate_verify_cut", SYNTAX, CERTIFICATE_VERIFY, lambda p: p.signature()[:-20])
pair("certificate_verify_with_sha1", by("illegal_parameter, 7.4.8", "illegal_parameter, 4.4.3"), CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\2\3"))
pair("certificate_verify_with_another_algorithm", by("illegal_parameter, 7.4.8", "illegal_parameter, 4.4.3"), CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\x08\x04"))
pair("certificate_verify_with_an_unknown_algorithm", by("illegal_parameter, 7.4.8", "illegal_parameter, 4.4.3"), CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\xfa\xfa"))
pair("finished_of_other_bytes", UNFINISHED, FINISHED, lambda p: p.verify_data()[:-1] + b"\0" if p.verify_data()[-1] else p.verify_data()[:-1] + b"\1")
pair("finished_of_zero", UNFINISHED, FINISHED, lambda p: bytes(len(p.verify_data())))
pair("finished_too_short", SYNTAX, FINISHED, lambda p: p.verify_data()[:-1])
pair("finished_too_long", SYNTAX, FINISHED, lambda p: p.verify_data() + b"\0")
pair("finished_without_bytes", SYNTAX, FINISHED, lambda p: b"")


@later("message_skipped_certificate", ORDER)
def _(p):
    p.start()
    p.send_message(CERTIFICATE_VERIFY if V13 else CLIENT_KEY, p.signature() if V13 else p.client_key())


@later("message_skipped_certificate_verify", ORDER)
def _(p):
    p.start()
    p.send_message(CERTIFICATE, p.certificate())
    if not V13:
        p.send_message(CLIENT_KEY, p.client_key())
        p.protect12()
    p.change().send_message(FINISHED, p.verify_data())


@later("signatures_without_one_of_ours", by("handshake_failure, 7.4.1.4.1", "handshake_failure, 4.2.3"))
def _(p):
    p.start(extensions={13: vec(b"\x02\x01", 2)})


@later("clienthello_again", ORDER)
def _(p):
    p.start().send_message(CLIENT_HELLO, hello(V13, p.key))


@later("data_within_the_handshake", TYPE)
def _(p):
    p.start()
    p.send(p.sealed(DATA, b"PRI") if V13 else record(DATA, b"PRI"))


@later("data_before_finished", TYPE)
def _(p):
    p.start().proof().change()
    p.send(p.sealed(DATA, b"PRI * HTTP/2.0"))


@later("finished_in_a_spoilt_record", MAC)
def _(p):
    p.start().proof().change()
    p.send(p.sealed(HANDSHAKE, p.say(FINISHED, p.verify_data()), spoil=True))


@later("fatal_alert_within_the_handshake", ENDED)
def _(p):
    p.start()
    p.send(p.sealed(ALERT, b"\2\x28") if V13 else record(ALERT, b"\2\x28"))


if not V13:
    for name, point in {"not_on_the_curve": b"\4" + b"\7" * 64, "of_zero": b"\4" + bytes(64), "compressed": b"\2" + b"\7" * 32,
                        "at_infinity": b"\0", "without_bytes": b"", "too_short": b"\4" + bytes(20), "too_long": b"\4" + bytes(90)}.items():
        pair(f"key_{name}", VALUE if name != "without_bytes" else SYNTAX, CLIENT_KEY, lambda p, point=point: p.client_key(point))
    pair("key_message_without_bytes", SYNTAX, CLIENT_KEY, lambda p: b"")

    @later("finished_before_ccs", ORDER)
    def _(p):
        p.start().proof()
        p.send(record(HANDSHAKE, message(FINISHED, bytes(12))))

    @later("ccs_before_the_key", ORDER)
    def _(p):
        p.start()
        p.send(record(CCS, b"\1"))

    @later("ccs_twice", MAC)
    def _(p):
        p.start().proof().change()
        p.send(record(CCS, b"\1"), record(CCS, b"\1"))

    @later("key_again", ORDER)
    def _(p):
        p.start().proof().send_message(CLIENT_KEY, p.client_key())
else:
    @later("record_of_zeros_alone", by("unexpected_message, 5.4"))
    def _(p):
        p.start()
        p.send(p.sealed(HANDSHAKE, b"", inner=bytes(30)))

    @later("record_without_an_inner_type", by("unexpected_message, 5.4"))
    def _(p):
        p.start()
        p.send(p.sealed(HANDSHAKE, b"", inner=b""))

    @later("record_of_an_unknown_inner_type", TYPE)
    def _(p):
        p.start()
        p.send(p.sealed(99, b"abc"))

    @later("record_of_an_inner_ccs", TYPE)
    def _(p):
        p.start()
        p.send(p.sealed(CCS, b"\1"), p.sealed(DATA, b"x", spoil=True))

    @later("plain_message_where_it_is_protected", TYPE)
    def _(p):
        p.start()
        p.send(record(HANDSHAKE, message(CERTIFICATE, p.certificate())))

    @later("key_update_within_the_handshake", by("unexpected_message, 4.6.3"))
    def _(p):
        p.start().send_message(KEY_UPDATE, b"\0")

    @later("certificate_with_a_context", by("illegal_parameter, 4.4.2"))
    def _(p):
        p.start().send_message(CERTIFICATE, b"\1x" + p.certificate()[1:])


# ---- after it

def after(name, due, kind, body, **how):
    @later("afterwards_" + name, due)
    def run(p):
        p.ready()
        p.send(p.sealed(kind, body, **how))


after("a_spoilt_record", MAC, DATA, b"x" * 40, spoil=True)
after("an_unknown_type", TYPE, 99, b"abc")
after("a_clienthello", by("no_renegotiation, 7.2.2", "unexpected_message, 4.1.2"), HANDSHAKE, GOOD)
after("a_hello_request", ORDER, HANDSHAKE, message(HELLO_REQUEST, b""))
after("a_finished", ORDER, HANDSHAKE, message(FINISHED, bytes(32)))
if not V13:
    after("half_a_message", ORDER, HANDSHAKE, b"\x14\0\0")
after("a_handshake_record_without_bytes", EMPTY, HANDSHAKE, b"")
after("a_protected_ccs", TYPE, CCS, b"\1")
after("a_fatal_alert", ENDED, ALERT, b"\2\x28")
after("a_close_notify", NOTIFIED, ALERT, b"\1\0")
after("a_key_update_of_an_unknown_kind", by("unexpected_message, 7.4", "illegal_parameter, 4.6.3"), HANDSHAKE, message(KEY_UPDATE, b"\7"))
after("a_key_update_without_bytes", by("unexpected_message, 7.4", "decode_error, 6.2"), HANDSHAKE, message(KEY_UPDATE, b""))
after("a_certificate", by("unexpected_message, 7.4", "unexpected_message, 4.6.2"), HANDSHAKE, message(CERTIFICATE, b"\0\0\0\0"))


@later("afterwards_bytes_without_protection", MAC)
def _(p):
    p.ready()
    p.send(record(DATA, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 4))


@later("afterwards_a_record_over_the_largest_size", by("record_overflow, 6.2.3", "record_overflow, 5.2"))
def _(p):
    p.ready()
    p.send(record(DATA, bytes(17000)))


@later("afterwards_a_record_again", MAC)
def _(p):
    p.ready()
    one = p.sealed(DATA, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    p.send(one, one)


@later("afterwards_a_record_too_short_for_its_tag", MAC)
def _(p):
    p.ready()
    p.send(record(DATA, bytes(7)))


class Case(harness.FleetCase):
    @classmethod
    def make_host(cls, name):
        if V13:
            there = os.path.join(cls.root, "there")
            os.makedirs(there)
            with open(os.path.join(there, "hawserd"), "w") as f:
                f.write(f'#!/bin/sh\nexec chroot "{os.path.abspath(sys.argv[3])}" /src/build/dev/bin/hawserd "$@"\n')
            os.chmod(f.name, 0o755)
            harness.BIN = there
        return super().make_host(name)


def reviewed():
    """{name: (what the agent does, why)} of this version's rows of differs.txt."""
    out = {}
    with open(os.path.join(FOLDER, "differs.txt")) as f:
        for row in f:
            version, *rest = row.split(None, 3)
            if version == sys.argv[2]:
                out[rest[0]] = rest[1], rest[2].strip()
    return out


def judge(address, name, differs):
    due, section, run = PROBES[name]
    p = Peer(address, Case.operator, V13)
    p.sock.settimeout(8)
    try:
        run(p)
        got = p.end()
    except Ended as how:
        got = str(how)
    except Exception as how:  # an end where the probe has yet to come is one as well, for whoever reads the line
        got = f"before it: {how!r}"
    finally:
        p.sock.close()
    wrong = "" if got == differs.get(name, (due,))[0] else f"{got}, where {due} is due ({section})"
    if name in differs:
        wrong += f"; differs.txt has {differs[name][0]}" if wrong else "differs.txt has a row that it does not need" if got == due else ""
    print(f"fail {name}: {wrong}" if wrong else f"pass {name}", flush=True)
    return not wrong


def main():
    good, count, differs = True, 0, reviewed()
    print(f"seed: HAWSER_TEST_SEED={SEED:#x}")
    for name in sorted(set(differs) - set(PROBES)):
        print(f"fail {name}: a row of differs.txt without a probe")
        good = False
    Case.setUpClass()
    try:
        for name in PROBES:
            good = judge(Case.host.address, name, differs) and good
            count += 1
            if count % 20 == 0:
                Peer(Case.host.address, Case.operator, V13).ready().sock.close()
        Peer(Case.host.address, Case.operator, V13).ready().sock.close()
    finally:
        Case.tearDownClass()
    for name, (does, why) in differs.items():
        print(f"TLS {sys.argv[2]}: {name}: {does}, where {PROBES[name][0]} is due: {why}")
    print(f"TLS {sys.argv[2]}: {count} probes, one answer each; {len(differs)} of them are not what the RFC has, and reviewed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
