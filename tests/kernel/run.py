"""The kernel's driver and the vendor's tools judge the emulated adapter. Prints `pass NAME` or `fail NAME` a line.

Arguments: name filters. HAWSER_BIN: the programs for the guest and the command line of this host; HAWSER_EMU: hawser-emu
(default: of HAWSER_BIN); HAWSER_KERNEL_SECONDS: limit of one boot; HAWSER_KERNEL_KEEP: the run's
folder is kept, as that of a failed run is; HAWSER_TEST_SEED repeats a run.
"""
import os
import re
import subprocess
import sys
import unittest

import bed
from cases import devlink, fault, fwctl, life, link, profiles, registers, remote, tools

FAILED = 4  # exit status: cases failed, and each was reported
UNREACHABLE, NOT_HERE = 3, 5  # of prepare.sh: a package cannot be reached; this machine lacks what only its owner can give
BOOTS = (
    tools.Tools, tools.Reboot, registers.Walk, link.Link, remote.Remote, remote.Reload, life.Replug, life.Two, fault.Fault, fault.Killed,
    fault.Health, devlink.Devlink, fwctl.Fwctl, profiles.Profiles,
)


class Lines(unittest.TestResult):
    """One line per case."""

    def addSuccess(self, test):
        print("pass", test.id().split(".")[-2] + "." + test.id().split(".")[-1], flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print(self._exc_info_to_string(err, test))
        print("fail", ".".join(test.id().split(".")[-2:]).replace(" ", "_"), flush=True)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(self._exc_info_to_string(err, test))
            print("fail", subtest.id().split(".", 1)[-1].replace(" ", "_"), flush=True)


def prepare():
    """The parts of the bed from prepare.sh, which says on the way what it does."""
    run = subprocess.Popen([f"{bed.HERE}/prepare.sh"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    parts, last = {}, ""
    for line in run.stdout:
        found = re.fullmatch(r"([A-Z]+)=(.*)\n", line)
        if found:
            parts[found[1]] = found[2]
        else:
            last = line.strip()
            print(last, flush=True)
    status = run.wait()
    if status in (UNREACHABLE, NOT_HERE):
        if status == UNREACHABLE or not os.environ.get("HAWSER_CI"):
            print("skip kernel", last)
            sys.exit(0)
    if status != 0:
        print("fail prepare")
        sys.exit(FAILED)
    return parts


def classes_of(suite):
    """The classes of a suite's tests, and those that they go on from, in the order of BOOTS."""
    wanted = {type(test) for group in suite for test in group}
    wanted |= {c.after for c in wanted if c.after}
    return [c for c in BOOTS if c in wanted]


def main():
    print(f"seed: HAWSER_TEST_SEED={bed.SEED:#x}", flush=True)
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        loader.testNamePatterns = [f"*{a}*" for a in sys.argv[1:]]
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in BOOTS)
    if suite.countTestCases() == 0:
        sys.exit("no such case")
    run = bed.Run(prepare())
    result = Lines()
    try:
        run.start(classes_of(suite))
        suite.run(result)
    finally:
        run.close(keep=not result.wasSuccessful() or "HAWSER_KERNEL_KEEP" in os.environ)
    sys.exit(0 if result.wasSuccessful() else FAILED)


if __name__ == "__main__":
    main()
