"""Runs the end-to-end tests of this folder; prints `pass NAME` or `fail NAME` a line. Arguments: name filters."""
import sys
import unittest

import harness


class Lines(unittest.TestResult):
    def addSuccess(self, test):
        print("pass", test.id(), flush=True)

    def addSkip(self, test, reason):
        print("skip", test.id(), reason, flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print(self._exc_info_to_string(err, test))
        print("fail", test.id() if hasattr(test, "id") else test, flush=True)

    addFailure = addError


print(f"seed: HAWSER_TEST_SEED={harness.SEED:#x}", flush=True)
loader = unittest.TestLoader()
if sys.argv[1:]:
    loader.testNamePatterns = [f"*{a}*" for a in sys.argv[1:]]
result = Lines()
loader.discover(harness.TOP + "/tests/e2e", pattern="test_*.py").run(result)
sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
