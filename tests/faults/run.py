"""System calls of a whole agent's hawser-wire fail, one at a time, while it serves and while it starts.

A case is call x errno x occurrence. While it serves (live): strace attaches, the load goes on until the K-th call of that name
from then on has failed, and one round more. While it starts (start): the K-th call of that name since its first instruction.
hawser-wire may serve on, with a call or a connection lost, or end with a status and a line that says why; hawserd then starts it
again. It must not end by a signal, let a call hang, answer wrongly, keep descriptors or memory, or serve less afterwards.

Prints `pass NAME` or `fail NAME`, a name a call. Without arguments: one case a call, always the same ones; --each N: so many drawn
cases a call (HAWSER_LONG=1: all); other arguments: name filters.
"""
import collections
import os
import shutil
import random
import sys
import time
import traceback

from injector import PATIENCE_S, QUICK_DEATHS, Attached, Wire, injection
from load import Load, Violation
from world import LONG, Places, harness, until

FOLDER = os.path.dirname(os.path.abspath(__file__))
MOST_K = 50
ERRNOS = ("EINTR", "EAGAIN", "EIO", "ENOMEM", "EBADF", "EINVAL", "EMFILE", "ENOBUFS", "EPERM", "ECONNRESET")
FILLERS = {  # what makes the calls of this name soonest
    "read": "check", "write": "check", "epoll_wait": "check", "epoll_pwait": "check", "sendmsg": "info", "recvmsg": "info", "getsockopt": "local",
}
# Not calls that fail, or not hawser-wire's. brk returns the end of the heap and never an errno, so the C library takes it for that.
LEFT_OUT = ("execve", "exit_group", "exit", "rt_sigreturn", "restart_syscall", "brk")
KEPT_KB = 2048  # more memory after all cases of a call than before
STARTS = ("bind", "epoll_create1", "flock", "inotify_init1", "landlock_restrict_self", "listen", "seccomp", "socket")  # four are drawn by default
LOOKED_S = 30  # HWS_CERTS_CHECK_MS of agent/wire/certs.h
ROUNDS = 4 * MOST_K  # of the filler; what has not come then does not come


def allowed(where, call, errno, k, number):
    with open(os.path.join(FOLDER, "allow.txt")) as f:
        for line in f:
            words = line.split(": ")[0].split()
            if line.startswith("#") or len(words) != 4:
                continue
            got = (where, f"{call}:{k}" if ":" in words[1] else call, errno, str(number))
            if all(want in ("*", x) for want, x in zip(words, got)):
                return True
    return False


class Bed:
    """An agent with its load; a new one when the old one has died too often or did wrong."""

    def __init__(self, places):
        self.places, self.agent = places, None

    def fresh(self):
        """The agent, which serves."""
        if self.agent and self.agent.deaths > QUICK_DEATHS:
            self.drop()
        if self.agent is None:
            self.agent = Wire(self.places)
            self.load = Load(self.agent)
            for _ in range(3):
                until(self.load.served, "a new agent serves", PATIENCE_S)
            self.kb = self.agent.own_kb()
        return self.agent

    def drop(self):
        agent, self.agent = self.agent, None
        if agent:
            self.load.close()
            agent.stop()

    def close(self):
        """The agent goes; what it kept."""
        if self.agent is None:
            return
        try:
            if self.agent.deaths == 0:
                until(lambda: self.agent.own_kb() - self.kb <= KEPT_KB, f"memory is back: {self.kb} KiB before, {self.agent.own_kb()} after", PATIENCE_S)
            if "assertion failed" in self.agent.host.log_text():
                raise Violation("an assertion failed:\n" + self.agent.host.log_text()[-2000:])
        finally:
            self.drop()


def judge_ends(agent, since, old, case):
    """Each hawser-wire that ended but the one that we killed; how, as one word."""
    word = None
    for pid, status, number in agent.ends(since):
        if pid == old:
            continue
        log = agent.host.log_text()[since:]
        if number:
            if not allowed(*case, number):
                raise Violation(f"ended by signal {number}:\n{log[-2500:]}")
            word = "aborted"
            continue
        said = log[:log.index(f"process_ended name=hawser-wire pid={pid} ")]
        if f"process_started name=hawser-wire pid={pid}\n" in said:
            said = said.split(f"process_started name=hawser-wire pid={pid}\n")[1]
        why = [x for x in said.splitlines() if not x.startswith(("hawserd:", "hawser-emu:"))]
        if status == 0 or not why:
            raise Violation(f"ended with status {status} and said {why}:\n{log[-2500:]}")
        word = "ended"
    return word


def live(bed, call, errno, k):
    """A case while it serves: its outcome."""
    agent, load = bed.fresh(), bed.load
    until(load.served, "it serves before the case", PATIENCE_S)
    descriptors, since = agent.descriptors(), agent.mark()
    filler = getattr(load, FILLERS.get(call, "newcomers"))
    load.tally.clear()
    with Attached(agent, *injection(call, errno, k)) as strace:
        load.round()
        for _ in range(ROUNDS):
            if strace.injected() or strace.died():
                break
            filler()
        load.round()
        load.round()
    reached, died, lost = strace.injected(), strace.died(), any(x != "OK" for x in load.tally)
    if died:
        until(lambda: agent.ends(since), "hawserd sees the end", PATIENCE_S)
        agent.again(since)
    until(load.served, "a new caller of each kind is served afterwards", PATIENCE_S)
    if not died and agent.ends(since):
        agent.again(since)
    word = judge_ends(agent, since, None, ("live", call, errno, k))
    if not agent.ends(since):
        more = 1 if call == "close" else 0  # strace has kept it from happening
        until(lambda: agent.descriptors() <= descriptors + more, f"descriptors are back: there were {descriptors}", PATIENCE_S)
    return word or ("not reached" if not reached else "lost" if lost else "served")


def start(bed, call, errno, k):
    """A case while it starts."""
    agent, load = bed.fresh(), bed.load
    old = agent.pid
    since = agent.restart(*injection(call, errno, k))
    agent.take(since)
    until(lambda: agent.follow() or load.served(), "a new caller of each kind is served afterwards", PATIENCE_S)
    agent.take(since)  # the next one, where this one has failed since
    word = judge_ends(agent, since, old, ("start", call, errno, k))
    served = "(INJECTED)" in agent.trace()
    agent.deaths += word is not None
    if "listening address=unknown" in agent.host.log_text():  # nobody can name its next port
        bed.drop()
    return word or ("served" if served else "not reached")


def unwatched(bed, call, errno, k):
    """Its folders cannot be watched: a new certificate is taken all the same."""
    word, agent = start(bed, call, errno, k), bed.agent
    path = agent.host.pki.files(f"agent-{agent.host.name}")["cert"]
    for _ in range(2):  # the first one may be seen by the look that follows a start
        since = agent.mark()
        shutil.copy(path, path + ".new")
        os.rename(path + ".new", path)
        until(lambda: "hawser-wire: certificates_loaded by=watch" in agent.host.log_text()[since:], "the certificate is taken", 2 * LOOKED_S)
    return word


def counted(bed):
    """{call: how often} of rounds of the load, and of an undisturbed start; which openat of that is the key's."""
    agent = bed.fresh()
    with Attached(agent, "-e", "trace=all") as strace:
        for _ in range(10):
            bed.load.round()
        serving = strace.text()
    since = agent.restart("-e", "trace=all")
    agent.take(since)
    starting = agent.trace()
    bed.drop()
    names = [collections.Counter(x.split("(")[0] for x in text.splitlines() if x[:1].isalpha()) for text in (serving, starting)]
    opened = [x for x in starting.splitlines() if x.startswith("openat(")]
    key = next(k for k, x in enumerate(opened, 1) if ".key" in x)
    return *({n: c for n, c in counts.items() if n not in LEFT_OUT} for counts in names), key


def run_call(places, where, call, cases, totals, *more):
    """All cases of a call; True when none broke anything."""
    name = ".".join((where.__name__, call, *more))
    bed, bad, outcomes, began = Bed(places), 0, collections.Counter(), time.monotonic()
    for errno, k in cases:
        try:
            outcomes[where(bed, call, errno, k)] += 1
        except Exception as error:
            bad += 1
            print(f"VIOLATION {where.__name__} {call} {errno} {k}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc()
            bed.drop()
    try:
        bed.close()
    except AssertionError as error:
        bad += 1
        print(f"VIOLATION {where.__name__} {call}: {error}", flush=True)
    if where is live and set(outcomes) == {"not reached"}:
        bad += 1
        print(f"VIOLATION live {call}: no case was reached, the load does not make this call", flush=True)
    totals.update(outcomes)
    totals["violations"] += bad
    shown = " ".join(f"{n} {w}," for w, n in sorted(outcomes.items()))
    print(f"   {name}: {len(cases)} cases: {shown} {bad} violations ({time.monotonic() - began:.1f} s)")
    print("fail" if bad else "pass", name, flush=True)
    return not bad


def main(args):
    each = int(args[args.index("--each") + 1]) if "--each" in args else None if LONG else 1
    filters = [a for a in args if not a.startswith("-") and not a.isdigit()]
    drawn = "--each" in args or LONG
    draw = harness.RNG if drawn else random.Random(26)
    print(f"seed: HAWSER_TEST_SEED={harness.SEED:#x}" if drawn else "the same cases each time", flush=True)
    places, totals, good = Places(), collections.Counter(), True
    places.end_when_stopped()
    try:
        serving, starting, key = counted(Bed(places))
        plan = [(live, call, MOST_K) for call in sorted(serving) if serving[call] >= 10]  # at least one a round
        plan += [(start, call, min(n, MOST_K)) for call, n in sorted(starting.items())]
        plan = [x for x in plan if not filters or any(f in f"{x[0].__name__}.{x[1]}" for f in filters)]
        if not filters:  # it listens as soon as the key can be read
            good = run_call(places, start, "openat", [("EIO", key)], totals, "key")
        if LONG and not filters:
            good = run_call(places, unwatched, "inotify_add_watch", [("ENOSPC", "1+")], totals) and good
        if each == 1:
            plan = [(where, call, min(most, 10)) for where, call, most in plan]  # later ones take longer to come
        if each == 1 and not filters:  # the default: every call that serving takes, and a few of the start's
            starts = [x for x in plan if x[0] is start and x[1] in STARTS]
            plan = [x for x in plan if x[0] is live] + draw.sample(starts, 4)
        for where, call, most in plan:
            cases = [(errno, k) for errno in ERRNOS for k in range(1, most + 1)]
            cases = cases if each is None else draw.sample(cases, min(each, len(cases)))
            good = run_call(places, where, call, cases, totals) and good
    finally:
        places.remove()
    print("   all:", ", ".join(f"{n} {w}" for w, n in sorted(totals.items())))
    return 0 if good and plan else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
