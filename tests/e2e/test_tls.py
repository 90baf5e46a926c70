"""Who may not come in: refused in the handshake, counted by reason, logged; and the agent goes on serving."""
import os
import socket
import ssl
import struct
import warnings

from harness import FleetCase, until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\0" + bytes(4)


class Tls(FleetCase):
    HOSTS = ("host-a", "host-b", "host-c", "host-d")  # the log names ten refusals in ten seconds; the cases are spread

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.run("bad", cls.pki.dir)
        cls.turn = 0

    def setUp(self):
        Tls.turn += 1
        self.host = self.hosts[Tls.turn % 3]

    def context(self, name=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_verify_locations(self.operator["ca"])
        c.set_alpn_protocols(["h2"])
        if name:
            files = self.pki.files(name)
            c.load_cert_chain(files["cert"], files["key"])
        return c

    def connect(self):
        host, port = self.host.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=10)

    def first_bytes(self, context):
        """What the agent says first after the handshake; b"" if it ends the connection instead."""
        try:
            with self.connect() as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as s:
                s.sendall(PREFACE)
                return s.recv(64)
        except (ssl.SSLError, ConnectionError):
            return b""

    def refused_handshake(self, reason, attempt):
        """attempt() is refused for that reason: counted and logged; the agent still serves."""
        counter = "wire.handshakes_refused." + reason
        before = self.counters(self.host.name).get(counter, 0)
        logged = self.host.log_text().count(f" reason={reason} ")
        self.assertEqual(attempt(), b"")
        until(lambda: self.counters(self.host.name).get(counter, 0) == before + 1, f"{counter} counts the refusal")
        until(lambda: self.host.log_text().count(f" reason={reason} ") == logged + 1, f"the log says {reason}")
        self.ok("device", "list", "-t", self.host.name)

    def bad(self, name, reason):
        self.refused_handshake(reason, lambda: self.first_bytes(self.context("bad/" + name)))
        who = dict(self.pki.files("bad/" + name), ca=self.operator["ca"])
        r = self.cli("device", "list", "-t", self.host.name, who=who)
        self.assertIn(r.code, (3, 7), r)  # the CLI looks at its own certificate first
        self.assertEqual(r.out, "")
        self.assertEqual(len(r.err.splitlines()), 1, r)
        self.assertIn(reason if r.code == 3 else "UNAVAILABLE", r.err)

    def test_a_good_certificate_is_served(self):
        got = self.first_bytes(self.context("operator-olga"))
        self.assertGreaterEqual(len(got), 9)
        self.assertEqual(got[3], 4)  # SETTINGS

    def test_the_network_process_leaves_its_memory_out_of_core_files(self):
        (pid,) = self.host.pids()["hawser-wire"]
        with open(f"/proc/{pid}/coredump_filter") as f:
            self.assertEqual(int(f.read(), 16), 0)

    def test_no_certificate(self):
        self.refused_handshake("no_certificate", lambda: self.first_bytes(self.context()))

    def test_wrong_ca(self):
        self.bad("wrong-ca", "unknown_ca")

    def test_expired(self):
        self.bad("expired", "expired")

    def test_not_yet_valid(self):
        self.bad("future", "not_yet_valid")

    def test_usage_of_another_kind(self):
        self.bad("wrong-eku", "key_usage")

    def test_no_extended_usage(self):
        self.bad("no-eku", "key_usage")

    def test_server_only(self):
        self.bad("server-only", "key_usage")

    def test_key_usage_without_signature(self):
        self.bad("wrong-ku", "key_usage")

    def test_common_name_only(self):
        self.bad("cn-only", "identity")

    def test_spiffe_id_in_the_common_name(self):
        self.bad("no-san", "identity")

    def test_two_uris(self):
        self.bad("two-uri", "identity")

    def test_uri_that_is_no_spiffe_id(self):
        self.bad("http-uri", "identity")

    def test_two_dns_names(self):
        self.bad("two-dns", "identity")

    def test_one_dns_name_is_an_identity_that_policy_does_not_know(self):
        who = dict(self.pki.files("bad/dns-only"), ca=self.operator["ca"])
        server = ("--server-identity", f"spiffe://e2e.test/agent/{self.host.name}")
        err = self.refused(5, "device", "list", "-t", self.host.name, *server, who=who)
        self.assertIn("dns:host.e2e.test", err)

    def test_plain_http2(self):
        def attempt():
            with self.connect() as s:
                s.sendall(PREFACE)
                try:
                    got = s.recv(64)
                except ConnectionError:
                    return b""
                self.assertNotEqual(got[3:4], b"\x04", "SETTINGS in the clear")
                return b"" if got[:1] in (b"", b"\x15") else got  # nothing, or a TLS alert

        self.refused_handshake("protocol", attempt)

    def test_plain_http1(self):
        def attempt():
            with self.connect() as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                try:
                    got = s.recv(64)
                except ConnectionError:
                    return b""
                return b"" if got[:1] in (b"", b"\x15") else got

        self.refused_handshake("protocol", attempt)

    def test_tls_1_1(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            c = self.context("operator-olga")
            c.set_ciphers("ALL:@SECLEVEL=0")
            c.minimum_version = ssl.TLSVersion.TLSv1
            c.maximum_version = ssl.TLSVersion.TLSv1_1
        self.refused_handshake("version", lambda: self.first_bytes(c))

    def test_another_protocol_than_h2(self):
        c = self.context("operator-olga")
        c.set_alpn_protocols(["http/1.1"])
        self.refused_handshake("alpn", lambda: self.first_bytes(c))

    def test_the_cli_refuses_an_agent_of_another_ca(self):
        who = dict(self.operator, ca=os.path.join(self.pki.dir, "bad/other-ca/ca.crt"))
        r = self.cli("device", "list", "-t", self.host.name, who=who)
        self.assertIn(r.code, (3, 7), r)
        self.assertIn("unknown_ca", r.err)
        self.assertEqual(r.out, "")

    def test_a_peer_that_hangs_up_or_is_reset_harms_nobody(self):
        self.host = self.hosts[3]
        for linger in (struct.pack("ii", 1, 0), None):
            for sent in (b"", b"\x16\x03\x01", PREFACE[:5]):
                s = self.connect()
                s.sendall(sent)
                if linger:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                s.close()
        self.ok("device", "list", "-t", self.host.name)
