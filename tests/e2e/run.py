"""Runs the end-to-end tests of this folder, as many files at once as there are cores.

Prints `pass NAME`, `fail NAME` or `skip NAME REASON` a line. Arguments: name filters; --file test_x.py runs that one here.
"""
import concurrent.futures
import os
import subprocess
import sys
import unittest

import harness

FOLDER = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 600  # of one file


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

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(self._exc_info_to_string(err, test))
            print("fail", test.id(), subtest._subDescription(), flush=True)


def run_here(name, filters):
    """The tests of one file, in this process; the exit status: 2 if no test has such a name."""
    loader = unittest.TestLoader()
    if filters:
        loader.testNamePatterns = [f"*{a}*" for a in filters]
    result = Lines()
    loader.discover(FOLDER, pattern=name).run(result)
    if result.testsRun == 0 and not result.errors:
        return 2
    return 0 if result.wasSuccessful() else 1


def run_file(name, filters):
    """The same in a process of its own: (exit status, what it printed)."""
    command = [sys.executable, os.path.join(FOLDER, "run.py"), "--file", name, *filters]
    env = dict(os.environ, HAWSER_TEST_SEED=hex(harness.SEED))
    try:
        p = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as e:
        return 1, (e.output or b"").decode(errors="replace") + f"\nfail {name} not done in {LIMIT_S} s\n"
    said = p.stdout
    if p.returncode not in (0, 1, 2):
        said += f"\nfail {name} ended with status {p.returncode}\n"
    return p.returncode, said


def main(args):
    if args[:1] == ["--file"]:
        return run_here(args[1], args[2:])
    print(f"seed: HAWSER_TEST_SEED={harness.SEED:#x}", flush=True)
    names = sorted(n for n in os.listdir(FOLDER) if n.startswith("test_") and n.endswith(".py"))
    names.sort(key=lambda n: -os.path.getsize(os.path.join(FOLDER, n)))  # the long ones first
    codes = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_file, n, args) for n in names]):
            code, said = done.result()
            sys.stdout.write(said)
            sys.stdout.flush()
            codes.append(code)
    return 0 if 0 in codes and not any(c not in (0, 2) for c in codes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
