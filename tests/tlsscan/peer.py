"""A TLS 1.2 and 1.3 client whose every byte can be bent: one suite (AES-128-GCM, P-256, ECDSA), records and messages by hand."""
import hashlib
import hmac
import os
import random
import socket
import ssl
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

SEED = int(os.environ.get("HAWSER_TEST_SEED", "0"), 0) or random.SystemRandom().getrandbits(32)
RNG = random.Random(SEED)
CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_VERIFY, CLIENT_KEY, FINISHED, KEY_UPDATE = 0, 1, 2, 11, 15, 16, 20, 24
AGAIN = hashlib.sha256(b"HelloRetryRequest").digest()  # in place of a ServerHello's random bytes
ALERTS = {0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure", 41: "no_certificate",
          42: "bad_certificate", 43: "unsupported_certificate", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
          50: "decode_error", 51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
          86: "inappropriate_fallback", 100: "no_renegotiation", 109: "missing_extension", 110: "unsupported_extension",
          112: "unrecognized_name", 116: "certificate_required", 120: "no_application_protocol"}


def u16(n):
    return struct.pack(">H", n)


def vec(body, width=1):
    """A vector: its length in width bytes, then its bytes."""
    return len(body).to_bytes(width, "big") + body


def message(kind, body, length=None):
    return bytes([kind]) + (len(body) if length is None else length).to_bytes(3, "big") + body


def record(kind, body, version=0x0303, length=None):
    return bytes([kind]) + u16(version) + u16(len(body) if length is None else length) + body


def hello(v13, key=None, **change):
    """A ClientHello's body. change: version, session, suites, compression, extensions ({type: body or None to leave it out}),
    more (bytes behind the extensions of the table)."""
    table = {10: vec(b"\0\x17\0\x18", 2), 11: b"\x01\0", 13: vec(b"\x04\x03\x05\x03", 2), 16: vec(vec(b"h2"), 2), 23: b""}
    if v13:
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) if key else b"\4" + bytes(64)
        table.update({43: vec(b"\x03\x04"), 51: vec(b"\0\x17" + vec(point, 2), 2)})
    table.update(change.get("extensions", {}))
    extensions = b"".join(u16(kind) + vec(body, 2) for kind, body in table.items() if body is not None) + change.get("more", b"")
    return (change.get("version", b"\x03\x03") + change.get("random", RNG.randbytes(32)) + vec(change.get("session", b"")) +
            vec(change.get("suites", b"\x13\x01" if v13 else b"\xc0\x2b"), 2) + vec(change.get("compression", b"\0")) + vec(extensions, 2))


def prf(secret, label, seed, n):
    """TLS 1.2's P_SHA256."""
    out, a = b"", label + seed
    while len(out) < n:
        a = hmac.digest(secret, a, "sha256")
        out += hmac.digest(secret, a + label + seed, "sha256")
    return out[:n]


def expand(secret, label, context, n):
    """HKDF-Expand-Label of TLS 1.3; n at most 32."""
    info = u16(n) + vec(b"tls13 " + label) + vec(context)
    return hmac.digest(secret, info + b"\1", "sha256")[:n]


class Ended(Exception):
    """The peer ended the connection; the alert's name, or how it ended."""


class Keys:
    def __init__(self, key, iv):
        self.aead, self.iv, self.seq = AESGCM(key), iv, 0


class Peer:
    def __init__(self, address, identity, v13):
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), 10)
        self.v13, self.identity = v13, identity
        self.out = self.incoming = None  # Keys
        self.transcript, self.buffer, self.messages = b"", b"", b""
        self.key = ec.generate_private_key(ec.SECP256R1())

    # ---- bytes

    def send(self, *parts):
        try:
            self.sock.sendall(b"".join(parts))
        except OSError:
            pass  # it has ended already; what it said is still to be read

    def sealed(self, kind, body, inner=None, spoil=False):
        """A protected record. inner: the bytes in place of body, type and padding of TLS 1.3."""
        k = self.out
        if self.v13:
            plain = body + bytes([kind]) if inner is None else inner
            head = bytes([DATA]) + u16(0x0303) + u16(len(plain) + 16)
            nonce = (int.from_bytes(k.iv, "big") ^ k.seq).to_bytes(12, "big")
            text = k.aead.encrypt(nonce, plain, head)
        else:
            head = bytes([kind]) + u16(0x0303) + u16(len(body) + 24)
            number = struct.pack(">Q", k.seq)
            text = number + k.aead.encrypt(k.iv + number, body, number + head[:3] + u16(len(body)))
        k.seq += 1
        if spoil:
            text = text[:-1] + bytes([text[-1] ^ 1])
        return head + text

    def take(self, n):
        while len(self.buffer) < n:
            try:
                got = self.sock.recv(65536)
            except ConnectionResetError:
                got = b""
            except socket.timeout as silent:
                raise Ended("silence") from silent
            if not got:
                raise Ended("closed")
            self.buffer += got
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    @staticmethod
    def opened13(k, body, head):
        return k.aead.decrypt((int.from_bytes(k.iv, "big") ^ k.seq).to_bytes(12, "big"), body, head).rstrip(b"\0")

    def read(self):
        """(type, plaintext) of the next record. An alert ends it."""
        head = self.take(5)
        body = self.take(int.from_bytes(head[3:], "big"))
        kind = head[0]
        if self.incoming and kind != CCS and not (self.v13 and kind != DATA):
            k = self.incoming
            if self.v13:
                try:
                    plain = self.opened13(k, body, head)
                except InvalidTag:  # mbedTLS says why a handshake fails under the keys of the handshake
                    k = self.earlier
                    plain = self.opened13(k, body, head)
                kind, body = plain[-1], plain[:-1]
            else:
                aad = struct.pack(">Q", k.seq) + head[:3] + u16(len(body) - 24)
                body = k.aead.decrypt(k.iv + body[:8], body[8:], aad)
            k.seq += 1
        if kind == ALERT:
            raise Ended(ALERTS.get(body[1], f"alert {body[1]}"))
        return kind, body

    def until(self, wanted):
        """Messages into the transcript until this one has come; its body."""
        while True:
            while len(self.messages) >= 4 and len(self.messages) >= 4 + int.from_bytes(self.messages[1:4], "big"):
                n = 4 + int.from_bytes(self.messages[1:4], "big")
                one, self.messages = self.messages[:n], self.messages[n:]
                self.transcript += one
                if one[0] == wanted:
                    return one[4:]
            kind, body = self.read()
            if kind == HANDSHAKE:
                self.messages += body

    def end(self):
        """How the peer ends it: the first alert's name once its bytes have ended, "closed" without one. "goes_on": it answers."""
        said = None
        try:
            while True:
                kind, body = self.read()
                # TLS 1.3's answer is a request to try again, or what it protects behind its ServerHello.
                if not self.incoming and (kind == DATA or kind == HANDSHAKE and body[:1] == bytes([SERVER_HELLO]) and
                                          (not self.v13 or body[6:38] == AGAIN)):
                    return "goes_on"
        except Ended as how:
            said = str(how)
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except socket.timeout:
            return said + ", and no end"
        return said

    # ---- the handshake, in steps

    def say(self, kind, body):
        """A message, into the transcript; its bytes."""
        one = message(kind, body)
        self.transcript += one
        return one

    def hash(self):
        return hashlib.sha256(self.transcript).digest()

    def start(self, **change):
        """ClientHello to the server's last word before ours."""
        self.random = RNG.randbytes(32)
        self.send(record(HANDSHAKE, self.say(CLIENT_HELLO, hello(self.v13, self.key, random=self.random, **change)), 0x0301))
        answer = self.until(SERVER_HELLO)
        self.server_random = answer[2:34]
        if self.v13:
            self.agree13(answer[-65:])
            self.until(FINISHED)
            self.application13()
        else:
            self.point = self.until(12)[4:69]
            self.until(14)
        return self

    def shared(self, point):
        return self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))

    def keys13(self, secret):
        return Keys(expand(secret, b"key", b"", 16), expand(secret, b"iv", b"", 12))

    def agree13(self, point):
        none = hashlib.sha256().digest()
        early = hmac.digest(bytes(32), bytes(32), "sha256")
        self.handshake = hmac.digest(expand(early, b"derived", none, 32), self.shared(point), "sha256")
        self.ours = expand(self.handshake, b"c hs traffic", self.hash(), 32)
        self.out = self.keys13(self.ours)
        self.incoming = self.keys13(expand(self.handshake, b"s hs traffic", self.hash(), 32))

    def application13(self):
        master = hmac.digest(expand(self.handshake, b"derived", hashlib.sha256().digest(), 32), bytes(32), "sha256")
        self.traffic = expand(master, b"c ap traffic", self.hash(), 32)
        self.earlier = self.incoming
        self.incoming = self.keys13(expand(master, b"s ap traffic", self.hash(), 32))

    def certificate(self, chain=None):
        """The body of our Certificate. chain: its DER in place of the identity's."""
        if chain is None:
            with open(self.identity["cert"]) as f:
                pems = f.read().split("-----END CERTIFICATE-----")[:-1]
            chain = [ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN"):] + "-----END CERTIFICATE-----\n") for pem in pems]
        entries = b"".join(vec(der, 3) + (b"\0\0" if self.v13 else b"") for der in chain)
        return (b"\0" if self.v13 else b"") + vec(entries, 3)

    def client_key(self, point=None):
        return vec(point if point is not None else self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def signature(self, spoil=False, algorithm=b"\x04\x03"):
        what = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + self.hash() if self.v13 else self.transcript
        with open(self.identity["key"], "rb") as f:
            key = load_pem_private_key(f.read(), None)
        return algorithm + vec(key.sign(what + (b"!" if spoil else b""), ec.ECDSA(SHA256())), 2)

    def protect12(self):
        """The keys of TLS 1.2, once our ClientKeyExchange is in the transcript (which ends with it)."""
        self.master = prf(self.shared(self.point), b"extended master secret", self.hash(), 48)
        block = prf(self.master, b"key expansion", self.server_random + self.random, 40)
        self.after_ccs = Keys(block[:16], block[32:36])
        self.server_keys = Keys(block[16:32], block[36:40])

    def verify_data(self):
        if self.v13:
            return hmac.digest(expand(self.ours, b"finished", b"", 32), self.hash(), "sha256")
        return prf(self.master, b"client finished", self.hash(), 12)

    def proof(self):
        """Certificate to CertificateVerify, sent."""
        if self.v13:
            self.send(self.sealed(HANDSHAKE, self.say(CERTIFICATE, self.certificate())))
        else:
            self.send(record(HANDSHAKE, self.say(CERTIFICATE, self.certificate())), record(HANDSHAKE, self.say(CLIENT_KEY, self.client_key())))
            self.protect12()
        self.send_message(CERTIFICATE_VERIFY, self.signature())
        return self

    def send_message(self, kind, body):
        one = self.say(kind, body)
        self.send(self.sealed(HANDSHAKE, one) if self.out else record(HANDSHAKE, one))

    def change(self):
        """TLS 1.2: ChangeCipherSpec; what we send is protected from here on."""
        if not self.v13:
            self.send(record(CCS, b"\1"))
            self.out = self.after_ccs
        return self

    def ready(self):
        """A whole handshake; the connection's first answer has come."""
        self.start().proof().change().send_message(FINISHED, self.verify_data())
        if self.v13:
            self.out = self.keys13(self.traffic)
        else:
            while self.read()[0] != CCS:
                pass
            self.incoming = self.server_keys
        while self.read()[0] != DATA:  # HTTP/2's SETTINGS
            pass
        return self
