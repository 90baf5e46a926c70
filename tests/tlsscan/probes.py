"""TLS's rules by hand at a real agent: each probe breaks one, and the agent must end the connection with the alert that is due.

Arguments: the folder of the programs, then 1.2; or that folder, 1.3 and the tree of a Debian 13 whose agent it is (it shares this
machine's /tmp). Prints `pass NAME` or `fail NAME: why` a line. What is due is one name, or several where the RFC leaves the
choice (RFC 5246 section 7.2.2, RFC 8446 section 6.2) or the library makes one of its own. "closed" is an end without an alert,
"goes_on" an answer: a probe names these where they are right, or harmless and mbedTLS's own way.
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

PROBES = {}  # name: (what may end it, the probe)
LAX = "goes_on " if not V13 else ""  # mbedTLS 2.28 overlooks it: it uses nothing of what is wrong
LAX13 = "goes_on " if V13 else ""  # so does mbedTLS 3.6 in TLS 1.3
UNTOLD = "decode_error "  # mbedTLS 3.6 has its ServerHello out by then, and no alert of its own
ONE_END = "unexpected_message decode_error illegal_parameter handshake_failure"  # of bytes that are no message at all


def raw(name, due, *parts):
    PROBES[name] = (due, lambda p: p.send(*parts))


def first(name, due, **change):
    """A ClientHello with one thing changed."""
    PROBES[name] = (due, lambda p: p.send(record(HANDSHAKE, message(CLIENT_HELLO, hello(V13, p.key, **change)), 0x0301)))


def extension(name, due, kind, body):
    first(name, due, extensions={kind: body})


def later(name, due):
    """A probe that is a function of its own."""
    def add(run):
        PROBES[name] = (due, run)
        return run
    return add


GOOD = message(CLIENT_HELLO, hello(V13, ec.generate_private_key(ec.SECP256R1())))
BODY = GOOD[4:]

# ---- records

for kind in (0, 19, 24, 25, 255):
    raw(f"record_of_type_{kind}", ONE_END, record(kind, GOOD))
for version in (0x0000, 0x0200, 0x0400, 0xFFFF):
    raw(f"record_of_version_{version:04x}", "goes_on protocol_version " + ONE_END, record(HANDSHAKE, GOOD, version))
raw("record_over_the_largest_size", "record_overflow " + ONE_END, record(HANDSHAKE, GOOD + bytes(20000)))
raw("record_of_length_65535", "record_overflow " + ONE_END, record(HANDSHAKE, GOOD, length=65535), bytes(65536))
raw("handshake_record_without_bytes", ONE_END, *[record(HANDSHAKE, b"")] * 40)
raw("data_before_the_handshake", ONE_END, record(DATA, b"PRI * HTTP/2.0"))
raw("data_record_without_bytes_first", ONE_END, record(DATA, b""))
raw("ccs_before_the_handshake", ONE_END, record(CCS, b"\1"), record(CCS, b"\1"), record(DATA, b"x"))
raw("ccs_with_another_byte", ONE_END, record(CCS, b"\2"))
raw("ccs_of_two_bytes", ONE_END, record(CCS, b"\1\1"))
raw("ccs_without_bytes", ONE_END, record(CCS, b""))
raw("flood_of_ccs", ONE_END, *[record(CCS, b"\1")] * 2000, record(DATA, b"x"))
raw("alert_that_is_fatal", "closed decode_error", record(ALERT, b"\2\x28"))
raw("alert_close_notify_first", "closed close_notify decode_error", record(ALERT, b"\1\0"))
raw("alert_of_one_byte", "closed " + ONE_END, record(ALERT, b"\2"))
raw("alert_without_bytes", "closed " + ONE_END, record(ALERT, b""))
raw("alert_of_three_bytes", "closed " + ONE_END, record(ALERT, b"\2\x28\0"))
raw("http_request", "protocol_version record_overflow " + ONE_END, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 4)
raw("http2_preface", "protocol_version record_overflow " + ONE_END, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 4)
raw("sslv2_hello", "protocol_version " + ONE_END, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37))
raw("zero_bytes", "protocol_version " + ONE_END, bytes(64))
for kind in (HELLO_REQUEST, SERVER_HELLO, 4, 5, 8, CERTIFICATE, 12, 13, 14, CERTIFICATE_VERIFY, CLIENT_KEY, FINISHED, KEY_UPDATE, 99, 254):
    raw(f"message_{kind}_in_place_of_a_clienthello", ONE_END, record(HANDSHAKE, message(kind, BODY)))
raw("data_within_a_clienthello", ONE_END, record(HANDSHAKE, GOOD[:60], 0x0301), record(DATA, GOOD[60:]))
raw("ccs_within_a_clienthello", ONE_END, record(HANDSHAKE, GOOD[:60], 0x0301), record(CCS, b"\1"), record(HANDSHAKE, GOOD[60:]))
raw("two_clienthellos_in_one_record", LAX13 + ONE_END, record(HANDSHAKE, GOOD + GOOD))

# ---- the ClientHello's shape

for length in (0, 1, 40, len(BODY) - 1):
    raw(f"clienthello_said_to_have_{length if length < 41 else 'one_less'}", ONE_END, record(HANDSHAKE, message(CLIENT_HELLO, BODY, length), 0x0301))
raw("clienthello_said_to_have_16_mib", ONE_END, *[record(HANDSHAKE, message(CLIENT_HELLO, BODY + bytes(8000), 0xFFFFFF), 0x0301)] * 4)
for n in (0, 1, 2, 20, 34, 35, 36, 37, 38, 39, 40, 41, 42, 44, 46, 50, len(BODY) - 3, len(BODY) - 1):
    if n not in (39,):  # a hello without extensions is whole: what it lacks is judged below
        raw(f"clienthello_cut_at_{n if n < 51 else 'the_end' if n == len(BODY) - 1 else 'its_last_extension'}", ONE_END,
            record(HANDSHAKE, message(CLIENT_HELLO, BODY[:n]), 0x0301))
raw("bytes_behind_the_extensions", LAX13 + ONE_END, record(HANDSHAKE, message(CLIENT_HELLO, BODY + bytes(3)), 0x0301))
first("session_id_of_33_bytes", ONE_END, session=bytes(33))
first("session_id_of_255_bytes", ONE_END, session=bytes(255))
first("no_suites", ONE_END, suites=b"")
first("half_a_suite", ONE_END, suites=b"\xc0\x2b\x13")
first("no_compression_methods", ONE_END, compression=b"")
first("compression_without_null", LAX + ONE_END, compression=b"\1")
first("half_an_extension", ONE_END, more=b"\0\0\0")
first("extension_beyond_its_list", ONE_END, more=b"\x0a\x0a\0\x40")

# ---- what it offers

OLD = {43: None, 51: None}
for version in (b"\3\0", b"\3\1", b"\3\2", b"\2\0", b"\0\0"):
    first(f"version_{version.hex()}", "protocol_version " + ("handshake_failure illegal_parameter decode_error" if version < b"\3" else ""), version=version, extensions=OLD)
for name, suites in {"null": b"\0\1\0\2", "rc4": b"\0\5\xc0\x07", "export": b"\0\3\0\x06", "cbc": b"\xc0\x09\xc0\x0a\xc0\x13", "rsa_key_exchange": b"\0\x9c\0\x9d",
                     "dhe": b"\0\x9e\0\x9f", "anonymous": b"\xc0\x18\0\xa6", "unknown": b"\xfa\xfa\x0a\x0a", "scsv_only": b"\0\xff"}.items():
    first(f"suites_{name}", "handshake_failure", suites=suites)
if not V13:
    first("fallback_scsv_below_the_version", "inappropriate_fallback protocol_version", version=b"\3\2", suites=b"\xc0\x2b\x56\0")
    extension("renegotiation_info_at_first", "handshake_failure", 0xFF01, vec(b"abc"))
    extension("groups_left_out_and_malformed_points", ONE_END, 11, b"")
    extension("no_point_formats", LAX + ONE_END, 11, b"\0")
    extension("fragment_length_code_0", LAX + "illegal_parameter", 1, b"\0")
    extension("fragment_length_code_255", "illegal_parameter", 1, b"\xff")
    extension("fragment_length_of_two_bytes", "illegal_parameter decode_error", 1, b"\1\1")
    extension("extended_master_secret_with_a_body", ONE_END, 23, b"x")
extension("groups_without_one_of_ours", LAX13 + "handshake_failure", 10, vec(b"\0\x1d", 2))
extension("groups_without_bytes", ONE_END, 10, b"")
extension("groups_empty", LAX13 + ONE_END, 10, b"\0\0")
extension("groups_of_odd_length", ONE_END, 10, vec(b"\0\x17\0", 2))
extension("groups_longer_than_said", LAX13 + ONE_END, 10, b"\0\2\0\x17\0\x18")
extension("groups_shorter_than_said", ONE_END, 10, b"\0\x08\0\x17\0\x18")
extension("signatures_without_bytes", ONE_END, 13, b"")
extension("signatures_empty", ONE_END, 13, b"\0\0")
extension("signatures_of_odd_length", ONE_END, 13, vec(b"\x04\x03\x05", 2))
extension("signatures_shorter_than_said", ONE_END, 13, b"\0\x08\x04\x03")
extension("alpn_of_another", "no_application_protocol", 16, vec(vec(b"http/1.1"), 2))
extension("alpn_without_bytes", ONE_END, 16, b"")
extension("alpn_empty", ONE_END, 16, b"\0\0")
extension("alpn_of_an_empty_name", ONE_END, 16, vec(b"\0", 2))
extension("alpn_longer_than_said", LAX13 + ONE_END, 16, b"\0\3\2h2\2h2")
extension("alpn_name_beyond_its_list", ONE_END, 16, vec(b"\x09h2", 2))
extension("server_name_without_bytes", LAX + ONE_END, 0, b"")
extension("server_name_beyond_its_list", LAX + ONE_END, 0, vec(b"\0\0\x20a", 2))
extension("server_name_shorter_than_said", LAX + ONE_END, 0, b"\0\x40\0\0\1a")
for kind in (10, 13, 16):
    body = {10: vec(b"\0\x17\0\x18", 2), 13: vec(b"\x04\x03\x05\x03", 2), 16: vec(vec(b"h2"), 2)}[kind]
    first(f"extension_{kind}_twice", LAX + LAX13 + ONE_END, more=u16(kind) + vec(body, 2))


if V13:
    SHARE = b"\0\x17" + vec(b"\4" + bytes(64), 2)
    first("compression_beside_null", "illegal_parameter", compression=b"\0\1")
    extension("signatures_left_out", "missing_extension handshake_failure", 13, None)
    extension("groups_left_out", "missing_extension", 10, None)
    extension("share_left_out", "missing_extension", 51, None)
    extension("share_not_on_the_curve", UNTOLD + "illegal_parameter handshake_failure decrypt_error", 51, vec(b"\0\x17" + vec(b"\4" + b"\7" * 64, 2), 2))
    extension("share_of_zero", UNTOLD + "illegal_parameter handshake_failure decrypt_error", 51, vec(SHARE, 2))
    extension("share_too_short", UNTOLD + ONE_END, 51, vec(b"\0\x17" + vec(b"\4" + bytes(20), 2), 2))
    extension("share_without_bytes", ONE_END, 51, b"")
    extension("share_beyond_its_list", ONE_END, 51, vec(b"\0\x17\0\x99\4", 2))
    extension("versions_without_bytes", "decode_error protocol_version illegal_parameter", 43, b"")
    extension("versions_of_odd_length", LAX13 + "decode_error protocol_version illegal_parameter", 43, vec(b"\3\4\3"))
    extension("versions_unknown", "protocol_version", 43, vec(b"\x7f\x1c\x0a\x0a"))
    extension("versions_old", "protocol_version", 43, vec(b"\3\1\3\2"))
    extension("psk_that_is_not_the_last", "illegal_parameter", 41, vec(vec(b"a", 2) + bytes(4), 2) + vec(vec(bytes(32)), 2))


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


NO = "bad_certificate unsupported_certificate certificate_unknown unknown_ca"
pair("certificate_missing", "certificate_required no_certificate handshake_failure", CERTIFICATE, lambda p: p.certificate([]))
pair("certificate_of_garbage", NO + " decode_error", CERTIFICATE, lambda p: p.certificate([b"\x30\x82garbage" * 9]))
pair("certificate_of_no_bytes", NO + " decode_error", CERTIFICATE, lambda p: p.certificate([b""]))
pair("certificate_list_too_long", NO + " decode_error", CERTIFICATE, lambda p: p.certificate()[:8] + b"\xff" + p.certificate()[9:])
pair("certificate_without_bytes", NO + " decode_error", CERTIFICATE, lambda p: b"")
pair("certificate_verify_of_other_bytes", "decrypt_error bad_certificate handshake_failure", CERTIFICATE_VERIFY, lambda p: p.signature(spoil=True))
pair("certificate_verify_without_bytes", "decode_error decrypt_error", CERTIFICATE_VERIFY, lambda p: b"")
pair("certificate_verify_cut", "decode_error decrypt_error", CERTIFICATE_VERIFY, lambda p: p.signature()[:-20])
pair("certificate_verify_with_sha1", "illegal_parameter decrypt_error handshake_failure", CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\2\3"))
pair("certificate_verify_with_another_algorithm", "illegal_parameter decrypt_error handshake_failure", CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\x08\x04"))
pair("certificate_verify_with_an_unknown_algorithm", "illegal_parameter decrypt_error handshake_failure", CERTIFICATE_VERIFY, lambda p: p.signature(algorithm=b"\xfa\xfa"))
pair("finished_of_other_bytes", "decrypt_error handshake_failure", FINISHED, lambda p: p.verify_data()[:-1] + b"\0" if p.verify_data()[-1] else p.verify_data()[:-1] + b"\1")
pair("finished_of_zero", "decrypt_error handshake_failure", FINISHED, lambda p: bytes(len(p.verify_data())))
pair("finished_too_short", "decode_error decrypt_error", FINISHED, lambda p: p.verify_data()[:-1])
pair("finished_too_long", "decode_error decrypt_error", FINISHED, lambda p: p.verify_data() + b"\0")
pair("finished_without_bytes", "decode_error decrypt_error", FINISHED, lambda p: b"")


@later("message_skipped_certificate", ONE_END)
def _(p):
    p.start()
    p.send_message(CERTIFICATE_VERIFY if V13 else CLIENT_KEY, p.signature() if V13 else p.client_key())


@later("message_skipped_certificate_verify", ONE_END + " bad_record_mac decrypt_error")
def _(p):
    p.start()
    p.send_message(CERTIFICATE, p.certificate())
    if not V13:
        p.send_message(CLIENT_KEY, p.client_key())
        p.protect12()
    p.change().send_message(FINISHED, p.verify_data())


@later("signatures_without_one_of_ours", "handshake_failure illegal_parameter")
def _(p):
    p.start(extensions={13: vec(b"\x02\x01", 2)})


@later("clienthello_again", ONE_END)
def _(p):
    p.start().send_message(CLIENT_HELLO, hello(V13, p.key))


@later("data_within_the_handshake", ONE_END)
def _(p):
    p.start()
    p.send(p.sealed(DATA, b"PRI") if V13 else record(DATA, b"PRI"))


@later("data_before_finished", ONE_END + " bad_record_mac")
def _(p):
    p.start().proof().change()
    p.send(p.sealed(DATA, b"PRI * HTTP/2.0"))


@later("finished_in_a_spoilt_record", "bad_record_mac")
def _(p):
    p.start().proof().change()
    p.send(p.sealed(HANDSHAKE, p.say(FINISHED, p.verify_data()), spoil=True))


@later("fatal_alert_within_the_handshake", "closed")
def _(p):
    p.start()
    p.send(p.sealed(ALERT, b"\2\x28") if V13 else record(ALERT, b"\2\x28"))


if not V13:
    for name, point in {"not_on_the_curve": b"\4" + b"\7" * 64, "of_zero": b"\4" + bytes(64), "compressed": b"\2" + b"\7" * 32,
                        "at_infinity": b"\0", "without_bytes": b"", "too_short": b"\4" + bytes(20), "too_long": b"\4" + bytes(90)}.items():
        pair(f"key_{name}", "illegal_parameter decode_error handshake_failure", CLIENT_KEY, lambda p, point=point: p.client_key(point))
    pair("key_message_without_bytes", "illegal_parameter decode_error handshake_failure", CLIENT_KEY, lambda p: b"")

    @later("finished_before_ccs", ONE_END)
    def _(p):
        p.start().proof()
        p.send(record(HANDSHAKE, message(FINISHED, bytes(12))))

    @later("ccs_before_the_key", ONE_END)
    def _(p):
        p.start()
        p.send(record(CCS, b"\1"))

    @later("ccs_twice", ONE_END + " bad_record_mac")
    def _(p):
        p.start().proof().change()
        p.send(record(CCS, b"\1"), record(CCS, b"\1"))

    @later("key_again", ONE_END)
    def _(p):
        p.start().proof().send_message(CLIENT_KEY, p.client_key())
else:
    @later("record_of_zeros_alone", "closed " + ONE_END)  # protected already, and mbedTLS says nothing
    def _(p):
        p.start()
        p.send(p.sealed(HANDSHAKE, b"", inner=bytes(30)))

    @later("record_without_an_inner_type", "closed " + ONE_END)  # protected already, and mbedTLS says nothing
    def _(p):
        p.start()
        p.send(p.sealed(HANDSHAKE, b"", inner=b""))

    @later("record_of_an_unknown_inner_type", "closed " + ONE_END)  # protected already, and mbedTLS says nothing
    def _(p):
        p.start()
        p.send(p.sealed(99, b"abc"))

    @later("record_of_an_inner_ccs", ONE_END + " bad_record_mac")  # mbedTLS 3.6 drops it and fails at the next
    def _(p):
        p.start()
        p.send(p.sealed(CCS, b"\1"), p.sealed(DATA, b"x", spoil=True))

    @later("plain_message_where_it_is_protected", ONE_END + " bad_record_mac")
    def _(p):
        p.start()
        p.send(record(HANDSHAKE, message(CERTIFICATE, p.certificate())))

    @later("key_update_within_the_handshake", ONE_END)
    def _(p):
        p.start().send_message(KEY_UPDATE, b"\0")

    @later("certificate_with_a_context", "illegal_parameter decode_error")
    def _(p):
        p.start().send_message(CERTIFICATE, b"\1x" + p.certificate()[1:])


# ---- after it

def after(name, due, kind, body, **how):
    @later("afterwards_" + name, due)
    def run(p):
        p.ready()
        p.send(p.sealed(kind, body, **how))


after("a_spoilt_record", "bad_record_mac", DATA, b"x" * 40, spoil=True)
after("an_unknown_type", ONE_END, 99, b"abc")
after("a_clienthello", "no_renegotiation " + ONE_END, HANDSHAKE, GOOD)
after("a_hello_request", ONE_END, HANDSHAKE, message(HELLO_REQUEST, b""))
after("a_finished", ONE_END, HANDSHAKE, message(FINISHED, bytes(32)))
if not V13:
    after("half_a_message", ONE_END, HANDSHAKE, b"\x14\0\0")
after("a_handshake_record_without_bytes", ONE_END, HANDSHAKE, b"")
after("a_protected_ccs", ONE_END, CCS, b"\1")
after("a_fatal_alert", "closed close_notify", ALERT, b"\2\x28")
after("a_close_notify", "closed close_notify", ALERT, b"\1\0")
after("a_key_update_of_an_unknown_kind", ONE_END, HANDSHAKE, message(KEY_UPDATE, b"\7"))
after("a_key_update_without_bytes", ONE_END, HANDSHAKE, message(KEY_UPDATE, b""))
after("a_certificate", ONE_END, HANDSHAKE, message(CERTIFICATE, b"\0\0\0\0"))


@later("afterwards_bytes_without_protection", "bad_record_mac record_overflow protocol_version " + ONE_END)
def _(p):
    p.ready()
    p.send(record(DATA, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" * 4))


@later("afterwards_a_record_over_the_largest_size", "record_overflow bad_record_mac")
def _(p):
    p.ready()
    p.send(record(DATA, bytes(17000)))


@later("afterwards_a_record_again", "bad_record_mac")
def _(p):
    p.ready()
    one = p.sealed(DATA, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    p.send(one, one)


@later("afterwards_a_record_too_short_for_its_tag", "bad_record_mac decode_error")
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


def judge(address, name):
    due, run = PROBES[name]
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
    print(f"pass {name}" if got in due.split() else f"fail {name}: {got}, where {due} is due", flush=True)
    return got in due.split()


def main():
    good, count = True, 0
    print(f"seed: HAWSER_TEST_SEED={SEED:#x}")
    Case.setUpClass()
    try:
        for name in PROBES:
            good = judge(Case.host.address, name) and good
            count += 1
            if count % 20 == 0:
                Peer(Case.host.address, Case.operator, V13).ready().sock.close()
        Peer(Case.host.address, Case.operator, V13).ready().sock.close()
    finally:
        Case.tearDownClass()
    print(f"TLS {sys.argv[2]}: {count} probes")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
