"""A client of one Debian against an agent of the other, both ways: TLS 1.2 is what mbedTLS 2.28 and 3.6 have in common.

Arguments: the folder of this machine's programs, and the tree (which shares this machine's /tmp). Prints `pass NAME`
or `fail NAME` a line.
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import harness  # noqa: E402
from run import Lines  # noqa: E402

HERE, TREE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
THERE = tempfile.mkdtemp(prefix="hawser-across.")
for program in ("hawser", "hawserd"):
    with open(os.path.join(THERE, program), "w") as f:
        f.write(f'#!/bin/sh\nexec chroot "{TREE}" /src/build/dev/bin/{program} "$@"\n')
    os.chmod(f.name, 0o755)


class Across(harness.FleetCase):
    AGENT = CLI = None

    @classmethod
    def setUpClass(cls):
        if cls.AGENT is None:
            raise unittest.SkipTest("the base of the two")
        harness.BIN = cls.AGENT
        super().setUpClass()
        harness.BIN = cls.CLI


class NewClientOldAgent(Across):
    AGENT, CLI = HERE, THERE

    def test_a_client_of_debian_13_reaches_an_agent_of_this_machine(self):
        self.assertIn("host-a", self.ok("device", "list", "-t", "host-a").out)


class OldClientNewAgent(Across):
    AGENT, CLI = THERE, HERE

    def test_a_client_of_this_machine_reaches_an_agent_of_debian_13(self):
        self.assertIn("host-a", self.ok("device", "list", "-t", "host-a").out)


if __name__ == "__main__":
    suite = unittest.TestSuite()
    for case in (NewClientOldAgent, OldClientNewAgent):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    outcome = Lines()
    suite.run(outcome)
    sys.exit(0 if outcome.wasSuccessful() else 1)
