"""SIGKILLs hawserd at random moments under a load of changes. After each: it comes back by itself, the whole log verifies
against its signatures and against the checkpoint kept before the kill, and every value found on a card has its intent on
record. The log is one export that each inspection appends to. Argument: how many kills. Prints `pass NAME` or `fail NAME` and
figures; HAWSER_TEST_SEED repeats a run."""
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness  # noqa: E402
from harness import FleetCase, NIC0, NIC1, until  # noqa: E402


class Kills(FleetCase):
    def runTest(self):
        pass


def load(case, device, stop, acked):
    """Applies one value after another; what is refused or cut off while hawserd is down is no fault."""
    value = 0
    while not stop.is_set():
        value = value % 120 + 1
        r = case.cli("config", "apply", "-t", "host-a", "--device", device, "--yes", "--timeout", "10s", f"NUM_OF_VFS={value}")
        if r.code == 0:
            acked[device] = acked.get(device, 0) + 1


class Export:
    """The log as one file that each inspection goes on with."""

    def __init__(self, case):
        self.case, self.path, self.at, self.intents = case, os.path.join(case.root, "log.jsonl"), 0, []

    def go_on(self):
        self.case.ok("audit", "export", "-t", "host-a", "--to", self.path, timeout=600)
        with open(self.path) as f:
            f.seek(self.at)
            for line in iter(f.readline, ""):
                r = json.loads(line)
                if r["type"] == "record" and r["phase"] == "intent":
                    self.intents.append(r)
            self.at = f.tell()


def inspect(case, export, pins):
    """The figures after one kill; raises if the log or a card tells otherwise."""
    stored = {}
    for device in (NIC0, NIC1):
        until(lambda device=device: case.cli("config", "get", "-t", "host-a", "--device", device, "NUM_OF_VFS").code == 0,
              "the card is read again", 60)
        rows = case.js("config", "get", "-t", "host-a", "--device", device, "NUM_OF_VFS")
        stored[device] = next(iter(v for k, v in rows.items() if isinstance(v, list)))[0]["stored"]
    export.go_on()
    pin = os.path.join(pins, "host-a.jsonl")
    kept = ["--checkpoint", pin] if os.path.exists(pin) else []
    verdict = case.js("audit", "verify", export.path, *kept, timeout=600)
    case.ok("audit", "checkpoint", "-t", "host-a", "--pin", pins)
    for device, value in stored.items():
        mine = [r for r in export.intents if r["device"].endswith(device) and f"NUM_OF_VFS={value}" in r["detail"].split(";")[0].split()]
        if int(value) != 0 and not mine:
            raise AssertionError(f"{device} holds NUM_OF_VFS={value}, and no intent on record says so")
    return int(verdict["records"]), len(export.intents)


def main(n):
    rand = random.Random(harness.SEED)
    Kills.setUpClass()
    case = Kills()
    pins = os.path.join(case.root, "pins")
    os.makedirs(pins)
    stop, acked, export = threading.Event(), {}, Export(case)
    loads = [threading.Thread(target=load, args=(case, d, stop, acked)) for d in (NIC0, NIC1)]
    verdict = "fail"
    try:
        for t in loads:
            t.start()
        for i in range(n):
            time.sleep(rand.uniform(0, 0.5))  # the moment is what is drawn, not waited for
            (pid,) = until(lambda: case.host.keeper() or None, "a keeper", 60)[:1]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: case.host.keeper() not in ([], [pid]), "another keeper", 60)
            until(lambda: case.cli("agent", "info", "-t", "host-a").code == 0, "it serves", 60)
            n_records, n_intents = inspect(case, export, pins)
        verdict = "pass"
        print(f"{n} SIGKILLs, {n_records} records, {n_intents} changes begun, {sum(acked.values())} acknowledged; the log verified "
              "after each, no value on a card without its intent")
    finally:
        stop.set()
        for t in loads:
            t.join()
        Kills.tearDownClass()
        print(f"{verdict} SIGKILLs_under_load")
    return 0 if verdict == "pass" else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
