"""Foreign scanners at a real agent's door. Arguments: the folder of the programs, then the scanners to run.

sslscan: exactly the versions, suites and groups that are meant to be offered. testssl: no finding of severity LOW or worse
that allow.txt does not name with its reason. Prints `pass NAME` or `fail NAME` a line.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

FOLDER = os.path.dirname(os.path.abspath(__file__))
os.environ["HAWSER_BIN"] = os.path.abspath(sys.argv[1])
SCANNERS = sys.argv[2:]
sys.path.insert(0, os.path.join(os.path.dirname(FOLDER), "e2e"))
import harness  # noqa: E402
from run import Lines  # noqa: E402

SUITES = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}
SUITES13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
GROUPS = {"secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)"}


def allowed():
    """{finding: reason} of allow.txt."""
    with open(os.path.join(FOLDER, "allow.txt")) as f:
        rows = [line.split(None, 1) for line in f if line.strip() and not line.startswith("#")]
    return {name: reason.strip() for name, reason in rows}


class Scan(harness.FleetCase):
    def scan(self, *argv, timeout):
        return subprocess.run([*argv, self.host.address], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    @unittest.skipUnless("sslscan" in SCANNERS, "not asked for")
    def test_sslscan_finds_what_is_offered_and_nothing_else(self):
        out = os.path.join(self.root, "scan.xml")
        p = self.scan("sslscan", "--no-colour", f"--xml={out}", f"--certs={self.operator['cert']}",
                      f"--pk={self.operator['key']}", timeout=180)
        self.assertEqual(p.returncode, 0, p.stderr)
        found = ET.parse(out).getroot().find("ssltest")
        versions = {x.get("type") + x.get("version") for x in found.findall("protocol") if x.get("enabled") == "1"}
        self.assertIn(versions, ({"tls1.2"}, {"tls1.2", "tls1.3"}))
        self.assertEqual(found.find("renegotiation").get("supported"), "0")
        self.assertTrue(all(x.get("vulnerable") == "0" for x in found.findall("heartbleed")))
        ciphers = found.findall("cipher")
        self.assertEqual({x.get("cipher") for x in ciphers}, SUITES | (SUITES13 if "tls1.3" in versions else set()))
        self.assertEqual({x.get("cipher") for x in ciphers if x.get("status") == "preferred"},
                         {"ECDHE-ECDSA-AES128-GCM-SHA256"} | ({"TLS_AES_128_GCM_SHA256"} if "tls1.3" in versions else set()))
        groups = {x.get("name") for x in found.findall("group")}
        self.assertTrue(groups and groups <= GROUPS, groups)
        self.ok("device", "list", "-t", "host-a")

    @unittest.skipUnless("testssl" in SCANNERS, "not asked for")
    def test_testssl_finds_nothing_outside_the_list(self):
        with tempfile.TemporaryDirectory(prefix="hawser-testssl.") as work:
            out = os.path.join(work, "findings.json")
            self.scan("testssl", "--jsonfile", out, "--severity", "LOW", "--quiet", "--color", "0", "--warnings", "off",
                      "--ip", "127.0.0.1", "--add-ca", self.operator["ca"], timeout=900)
            with open(out) as f:
                findings = [x for x in json.load(f) if x["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")]
        known = allowed()
        new = [f"{x['id']} {x['severity']}: {x['finding']}" for x in findings if x["id"] not in known]
        self.assertEqual(new, [])
        for x in findings:
            print(f"allowed: {x['id']} ({x['finding'][:80]}): {known[x['id']]}")
        self.ok("device", "list", "-t", "host-a")


if __name__ == "__main__":
    outcome = Lines()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Scan)
    suite = unittest.TestSuite(t for t in suite if any(s in t.id() for s in SCANNERS))
    suite.run(outcome)
    sys.exit(0 if outcome.testsRun and outcome.wasSuccessful() else 1)
