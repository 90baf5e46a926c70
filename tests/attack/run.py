"""Attacks a real agent over mutual TLS, row by row; see rows.py for what a row is.

Prints `pass NAME` or `fail NAME` with the figures above. --off switches each row's limits off and expects it to fail; without
it that is shown for the quick rows only. --table writes the table of docs/THREATS.md again. Other arguments: name filters.
"""
import os
import re
import sys
import threading
import time
import traceback

import rows_cable  # noqa: F401
import rows_calls  # noqa: F401
import rows_conns  # noqa: F401
import rows_still  # noqa: F401
import rows
from cable import Unavailable
from world import LONG, Agent, Failure, Places, at_once, check, harness, until

SAY = threading.Lock()
SIDE_BY_SIDE_KB = 2048  # what the rows that run side by side on one agent may leave behind, together


def say(*words):
    with SAY:
        print(*words, flush=True)


def one(row, agent, measure=True):
    """Runs a row against an agent with its limits on; what it said. Afterwards everything is as before."""
    before = {c: agent.counter(c) for c in row.counters}
    pss = agent.pss_kb()
    said = row.run(agent)
    took = min(agent.serve_once() for _ in range(3))
    check(took <= at_once(), f"a good caller afterwards needs {took:.2f} s")
    for c in before:
        until(lambda c=c: agent.counter(c) > before[c], f"{c} counts it", 5)
    if measure:
        memory_is_back(agent, pss, row.memory_kb)
    return said


def memory_is_back(agent, before_kb, more_kb):
    """Within more_kb of what it was, once the agent has let go of everything."""
    agent.settled()
    until(lambda: agent.pss_kb() - before_kb <= more_kb, f"memory is back: {before_kb} KiB before, {agent.pss_kb()} after", 10)
    return f"{before_kb} KiB before, {agent.pss_kb()} after"


def unavailable(name, why):
    """What this machine has not is skipped, but CI's must have it."""
    say("fail" if os.environ.get("HAWSER_CI") else "skip", name, why)
    return not os.environ.get("HAWSER_CI")


def attempt(name, run):
    began = time.monotonic()
    try:
        said = run()
        say(f"   {name}: {said} ({time.monotonic() - began:.1f} s)")
        say("pass", name)
        return True
    except Unavailable as why:
        return unavailable(name, why)
    except Exception:
        say(traceback.format_exc())
        say("fail", name)
        return False


def with_limit_off(places, row):
    """The attack succeeds when nothing stops it: the row must fail, and say what it is about."""
    own = dict(row.own or {})
    own["limits"] = {**own.get("limits", {}), **row.off}
    agent = Agent(places, **own)
    agent.off = True
    try:
        try:
            row.run(agent)
        except AssertionError as failed:
            check(re.search(row.fails, str(failed), re.M), f'it fails, but not by "{row.fails}": {failed}')
            return f"fails as it should: {str(failed)[:150]}"
        raise Failure("the row holds with its limits off: it tests something else")
    finally:
        try:
            agent.stop()
        except (Failure, AssertionError):
            pass  # an agent without limits may well not survive this


def own_agent(places, row, verdicts):
    """The agent that a row needs for itself; None where this machine cannot have it."""
    try:
        return Agent(places, **row.own)
    except Unavailable as why:
        verdicts.append(unavailable(row.name, why))
        return None


THREATS = os.path.join(harness.TOP, "docs/THREATS.md")
BEGIN, END = "<!-- attacks: tests/attack/run.py --table -->\n", "<!-- end of attacks -->\n"


def table():
    """The attack table: each row, the limits that stop it with their defaults, the counters that tell of it."""
    limits = {}
    for line in os.popen(os.path.join(harness.BIN, "hawser-wire") + " --limits"):
        name, value = line.split()
        limits[name] = value
    check(limits, f"{harness.BIN} has no hawser-wire (HAWSER_BIN)")
    out = "| attack (a row of `./test attack`) | limit = default | counter |\n|---|---|---|\n"
    for r in rows.ROWS:
        names = [f"{n} = {limits[n]}" for n in r.limits if n in limits]
        mark = "" if r.off is None else " *" if r.quick_off else " +"
        out += f"| {r.name.replace('_', ' ')}{mark} | {', '.join(names) or 'a rule, no limit'} | {', '.join(r.counters)} |\n"
    return out


def threats():
    """docs/THREATS.md cut around its attack table: before, table, after."""
    with open(THREATS) as f:
        before, rest = f.read().split(BEGIN)
    shown, after = rest.split(END)
    return before, shown, after


def write_table():
    before, _, after = threats()
    text = before + BEGIN + table() + END + after  # before the file is cut
    with open(THREATS, "w") as f:
        f.write(text)
    return 0


def table_is_shown():
    check(threats()[1] == table(), "docs/THREATS.md shows another table: tests/attack/run.py --table")
    return f"{len(rows.ROWS)} rows"


def main(args):
    if "--table" in args:
        return write_table()
    off = "--off" in args or LONG
    filters = [a for a in args if not a.startswith("-")]
    chosen = [r for r in rows.ROWS if not filters or any(f in r.name for f in filters)]
    print(f"seed: HAWSER_TEST_SEED={harness.SEED:#x}", flush=True)
    places, good, stopped = Places(), attempt("docs_show_the_table", table_is_shown), []
    places.end_when_stopped()
    try:
        background = [r for r in chosen if r.background]
        still = Agent(places) if background else None
        verdicts = []
        still_kb = still.pss_kb() if still else 0
        beside = {r: own_agent(places, r, verdicts) if r.own else still for r in background}
        background = [r for r in background if beside[r]]
        stopped += [agent for agent in beside.values() if agent and agent is not still]
        threads = [threading.Thread(target=lambda r=r: verdicts.append(attempt(r.name, lambda: one(r, beside[r], measure=beside[r] is not still)))) for r in background]
        for t in threads:
            t.start()
        agent = Agent(places)
        for r in chosen:
            if r.background:
                continue
            mine = Agent(places, **r.own) if r.own else agent
            good = attempt(r.name, lambda: one(r, mine)) and good
            if mine is not agent:
                stopped.append(mine)
        for r in chosen:
            if r.off and not r.background and (off or r.quick_off):
                good = attempt("off." + r.name, lambda: with_limit_off(places, r)) and good
        for t in threads:
            t.join()
        good = good and all(verdicts)
        if still:
            good = attempt("memory_after_the_rows_side_by_side", lambda: memory_is_back(still, still_kb, SIDE_BY_SIDE_KB)) and good
        if off:
            offs = [threading.Thread(target=lambda r=r: verdicts.append(attempt("off." + r.name, lambda: with_limit_off(places, r)))) for r in background if r.off]
            for t in offs:
                t.start()
            for t in offs:
                t.join()
            good = good and all(verdicts)
        for name, one_agent in [("agent", agent), ("still_agent", still)] + [(f"own_agent_{i}", x) for i, x in enumerate(stopped)]:
            if one_agent:
                good = attempt(f"{name}_ends_orderly", one_agent.stop) and good
    finally:
        places.remove()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
