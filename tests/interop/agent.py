#!/usr/bin/env python3
"""A stock gRPC client with a client certificate against a real agent with two emulated adapters: every method of every
service. One line a case, "pass agent.NAME" or "fail agent.NAME: why"; exit status 0 only when every case passed.

    HAWSER_BIN=DIR agent.py

Stubs come from protoc. What the agent says is compared with the adapters' profiles, whose identities are drawn from a
seed. The last cases judge the run: no method of a descriptor without an answer, no sanitizer report, exit status 0.
"""
import os
import pathlib
import shutil
import signal
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "tests/interop")]

import agent_cases  # noqa: E402
import agent_world  # noqa: E402
import client  # noqa: E402
import harness  # noqa: E402

SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "LeakSanitizer has encountered", "runtime error:", "assertion failed")


def report(name, why):
    print(f"{'pass' if why is None else 'fail'} agent.{name}{'' if why is None else ': ' + why}", flush=True)
    return why is not None


def judged_stop(host):
    """Stops the agent; None when it ended well and nothing bad is in its log."""
    status = host.stop()
    if status != 0:
        return f"exit status {status}"
    found = [m for m in SANITIZER_MARKS if m in host.log_text()]
    return f"log has {found}" if found else None


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the agent is stopped then too
    print(f"seed: HAWSER_TEST_SEED={harness.SEED:#x}", flush=True)
    root = tempfile.mkdtemp(prefix="hawser-interop-agent.")
    host, stubs, failed = None, None, 1
    try:
        stubs = client.generate(agent_world.PROTOS)
        pki = harness.Pki(root)
        operator, viewer = pki.make("operator", "olga"), pki.make("viewer", "vic")
        host = harness.Host(root, pki, "host-i", faults=agent_cases.FAULTS)
        world = agent_world.AgentWorld(host.start(), operator, viewer)
        failed = sum(report(case.__name__, client.run_case(case, world)) for case in agent_cases.CASES)
        failed += report("stops_with_status_0_and_a_clean_log", judged_stop(host))
    finally:
        if host is not None:
            if failed:
                print(host.log_text()[-4000:], file=sys.stderr)
            host.stop()
        shutil.rmtree(root, ignore_errors=True)
        if stubs:
            shutil.rmtree(stubs, ignore_errors=True)
    os._exit(1 if failed else 0)  # a hung case's thread must not hold the process


if __name__ == "__main__":
    main()
