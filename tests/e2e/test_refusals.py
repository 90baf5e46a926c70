"""Bad input at the real agent, one row a kind: its status, the rule or field that it names, its audit record, its counter, and that
nothing reached a card. Requests are bytes made here, so that the agent and not the CLI is who refuses. docs/ERRORS.md has the table."""
import json
import os
import re
import struct
import sys
import time
import urllib.parse

from harness import DOMAIN, TOP, FleetCase, Host, NIC0, NIC1, RNG, until

sys.path.insert(0, os.path.join(TOP, "tests/attack"))
from h2 import DATA, END_HEADERS, END_STREAM, HEADERS, INFO, Peer, block, fields, frame, message, text, varint  # noqa: E402

POLICY = f"""version: 1
rules:
  - name: everything
    principals: ["spiffe://{DOMAIN}/operator/"]
    methods: [observe, audit, configure, debug, approve, admin]
    max_effect: full
  - name: viewers
    principals: ["spiffe://{DOMAIN}/viewer/"]
    methods: [observe]
    max_effect: read
"""
OLGA, OTTO = f"spiffe://{DOMAIN}/operator/olga", f"spiffe://{DOMAIN}/operator/otto"
EXECUTE, STREAM = "/hawser.v1.CommandService/Execute", "/hawser.v1.CommandService/ExecuteStream"
PLAN, RESET = "/hawser.v1.ConfigService/Plan", "/hawser.v1.ConfigService/Reset"
GET, RELOAD, TAIL = "/hawser.v1.ConfigService/Get", "/hawser.v1.AgentService/Reload", "/hawser.v1.AuditService/Tail"
CODES = ("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
         "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()
PHASES = ("", "intent", "outcome", "read", "denied", "note")
ELECTION = 1000  # of the role of these rows; the CLI has another
SET = ("reg", "set", "--device", NIC0, "--yes", "MTRC_CTRL", "modify_field_select=1", "trace_status=1")


# ---- requests as bytes

def number(field, value):
    return varint(field << 3) + varint(value)


def mutation(request_id=None, election=ELECTION):
    fence = text(1, "refusals") + varint(3 << 3 | 1) + struct.pack("<Q", election)
    return text(1, fence) + text(2, request_id or "row-%016x" % RNG.getrandbits(64))


def register(name, *assigned, write=False, data=b""):
    given = b"".join(text(3, text(1, n) + text(2, v)) for n, v in assigned)
    return text(2, text(1, name) + (number(2, 1) if write else b"") + given + (text(4, data) if data else b""))


def raw(command, inbox=b"", out_bytes=0):
    return text(3, text(1, command) + (text(2, inbox) if inbox else b"") + (number(4, out_bytes) if out_bytes else b""))


def execute(what, device=NIC0, change=None, approval=""):
    return text(1, device) + what + (text(5, change) if change else b"") + (text(6, approval) if approval else b"")


def setting(name, value):
    return text(1, NIC0) + text(2, text(1, name) + text(2, value))


def messages(data):
    """Of a stream of length-prefixed messages."""
    while data:
        n = int.from_bytes(data[1:5], "big")
        yield data[5:5 + n]
        data = data[5 + n:]


class Row:
    """What is bad; gRPC's name of the status; a part of its text (of the record's text, too, unless noted says otherwise); the counter
    that goes up; the phase of its record. prepare does what the row needs and returns the call: (status, text)."""

    def __init__(self, kind, code, says, counter, phase, prepare, who="operator/olga", on_record=None, noted=None, on_card=False):
        self.kind, self.code, self.says, self.counter, self.phase, self.prepare = kind, code, says, counter, phase, prepare
        self.who, self.on_record, self.noted = f"spiffe://{DOMAIN}/{who}", on_record or code, noted or says
        self.on_card = on_card  # the card is what is bad


class Refusals(FleetCase):
    @classmethod
    def make_host(cls, name):
        # The length in the header of a stored parameter's reply says more than there is.
        faults = {1: ["opcode: ACCESS_REG, register: MNVDA, repeat: 0, action: flip, offset: 0x13, mask: 0xff, sign: true"]}
        h = Host(cls.root, cls.pki, name, faults=faults, policy=POLICY)
        with open(h.config, "a") as f:
            f.write("rates: {config-next-reset: 1}\n")
        cls.people = {"olga": cls.operator, "vic": cls.viewer}
        for who in ("otto", "eve"):
            cls.people[who] = cls.pki.make("operator", who)
        cls.otto = cls.people["otto"]
        h.trust([(f"spiffe://{DOMAIN}/operator/{who}", cls.new_key(who)) for who in ("olga", "otto")])
        return h

    # ---- calls

    def peer(self, who="olga"):
        return Peer(self.host.address, self.people[who], timeout=60)

    @staticmethod
    def outcome(peer, stream):
        """(gRPC's name, text) of a call that has ended."""
        said = [urllib.parse.unquote(v) for n, v in peer.headers.get(stream, ()) if n == "grpc-message"]
        return CODES[peer.status_of(stream)], "".join(said)

    def call(self, path, payload, who="olga"):
        with self.peer(who) as p:
            stream = p.stream()
            p.send(frame(HEADERS, END_HEADERS, stream, block(path)))
            p.pour(stream, message(payload))
            p.end(stream, 60)
            return self.outcome(p, stream)

    def item(self, request, who="olga"):
        """The answer to the only item of an ExecuteStream."""
        with self.peer(who) as p:
            stream = p.stream()
            p.send(frame(HEADERS, END_HEADERS, stream, block(STREAM)) + frame(DATA, END_STREAM, stream, message(number(1, 7) + text(2, request))))
            p.end(stream, 60)
            self.assertEqual(p.status_of(stream), 0, p.headers)
            (answer,) = messages(p.data[stream])
        answer = dict(fields(answer))
        return CODES[answer.get(2, 0)], answer.get(3, b"").decode()

    def too_long(self):
        """A request that announces more than a message may have, and what is answered."""
        with self.peer() as p:
            stream = p.open(EXECUTE)
            p.call(INFO, seconds=60)  # by now the agent knows of the first one
            p.send(frame(DATA, 0, stream, b"\0" + struct.pack(">I", 5 << 20) + bytes(1000)))
            p.end(stream, 60)
            return self.outcome(p, stream)

    # ---- what the agent knows

    def counted(self, peer):
        status, answer = peer.call(INFO, seconds=60)
        self.assertEqual(status, 0)
        counters = [dict(fields(v)) for n, v in fields(answer) if n == 11]
        return {c[1].decode(): c.get(2, 0) for c in counters}

    def still(self, peer):
        """The counters, once no card is asked anything."""
        seen = []

        def settled():
            seen.append(self.counted(peer))
            return len(seen) > 2 and len({c["commands"] for c in seen[-3:]}) == 1
        until(settled, "the agent leaves its cards alone", 60)
        return seen[-1]

    def records(self, request):
        with self.peer("otto") as p:
            stream = p.stream()
            p.send(frame(HEADERS, END_HEADERS, stream, block(TAIL)) + frame(DATA, END_STREAM, stream, message(request)))
            p.end(stream, 60)
            self.assertEqual(p.status_of(stream), 0, p.headers)
            out = []
            for m in messages(p.data.get(stream, b"")):
                r = dict(fields(dict(fields(m))[1]))
                out.append({"seq": r[1], "phase": PHASES[r[3]], "who": r[4].decode(), "method": r[7].decode(),
                            "detail": r.get(11, b"").decode(), "code": r.get(12, b"").decode()})
            return out

    # ---- what rows prepare

    def asked(self, life="15m"):
        """A warrant for SET, its request_id."""
        shown = self.cli(*SET, "--reason", "a row", "--sign", self.key("olga"), "--for", life, "-o", "json")
        if shown.code != 0:
            self.assertIn("expired", shown.err)  # on a busy machine, before the agent had read it
            return None, None
        warrant = shown.json()["hash"]
        return warrant, self.said(warrant, "request")

    def said(self, warrant, line):
        """A line of a warrant that the agent keeps; None if it does not."""
        with self.peer("otto") as p:
            status, answer = p.call("/hawser.v1.ApprovalService/List", seconds=60)
            self.assertEqual(status, 0)
        found = re.search(warrant + rf".*?\n{line}: (\S+)\n", answer.decode("latin-1"), re.S)
        return found[1] if found else None

    def approved(self):
        warrant, request_id = self.asked()
        self.ok("approval", "sign", warrant, "--sign", self.key("otto"), "--yes", who="otto")
        return warrant, request_id

    def granted(self, seconds="30m"):
        (g,) = self.js("grant", "add", "--device", NIC0, "--for", seconds, "--reason", "a row", OLGA, "debug-write", who="otto")["grants"]
        self.undo.append(("grant", "revoke", str(g["id"])))

    def dangerous(self, warrant, request_id, status="1"):
        what = register("MTRC_CTRL", ("modify_field_select", "1"), ("trace_status", status), write=True)
        return execute(what, change=mutation(request_id), approval=warrant)

    def expired_grant(self):
        self.granted("1s")
        warrant, request_id = self.approved()
        until(lambda: "has expired" in self.cli(*SET, "--approval", self.approved()[0]).err, "the grant has expired", 60)
        return lambda: self.call(EXECUTE, self.dangerous(warrant, request_id))

    def expired_approval(self):
        self.granted()
        for life in ("2s", "10s", "30s"):  # on a busy machine the first may be over before the agent has read it
            warrant, request_id = self.asked(life)
            end = self.said(warrant, "until") if warrant else None
            if end:
                break
        until(lambda: time.time() > int(end) + 1, "the warrant has expired", 90)
        return lambda: self.call(EXECUTE, self.dangerous(warrant, request_id))

    def used_approval(self):
        self.granted()
        warrant, request_id = self.approved()
        self.refused(9, *SET, "--approval", warrant)  # the card has the last word
        return lambda: self.item(self.dangerous(warrant, request_id))  # another method: the ledger does not know it

    def other_bytes(self):
        self.granted()
        warrant, request_id = self.approved()
        return lambda: self.call(EXECUTE, self.dangerous(warrant, request_id, status="0"))

    def no_approval(self):
        return lambda: self.call(EXECUTE, self.dangerous("", None))

    def killed(self):
        (k,) = self.js("kill", "add", "MGIR:read", "--for", "1h", "--reason", "firmware bug 17", who="otto")["kills"]
        self.undo.append(("kill", "remove", str(k["id"])))
        return lambda: self.call(EXECUTE, execute(register("MGIR")))

    def locked(self):
        self.ok("lock", "add", "device", NIC0, "--for", "1h", "--reason", "cable work", who="otto")
        self.undo.append(("lock", "remove", str(self.js("lock", "list")["locks"][-1]["id"])))
        return lambda: self.call(EXECUTE, execute(register("MGIR")))

    def over_rate(self):
        request = text(1, NIC0) + text(2, "NUM_OF_VFS")
        self.assertEqual(self.call(RESET, request, "eve")[0], "INVALID_ARGUMENT")  # has no mutation, and is a call all the same
        return lambda: self.call(RESET, request + text(3, mutation()), "eve")

    def stale_fence(self):
        self.paos(mutation())
        return lambda: self.paos(mutation(election=ELECTION - 1))

    def paos(self, change):
        return self.call(EXECUTE, execute(register("PAOS", ("local_port", "1"), write=True), change=change))

    def other_content(self):
        self.paos(mutation("row-of-this-content"))
        return lambda: self.call(EXECUTE, execute(register("PAOS", ("local_port", "1"), ("swid", "1"), write=True), change=mutation("row-of-this-content")))

    # ---- the table

    def rows(self):
        def call(path, payload, who="olga"):
            return lambda: lambda: self.call(path, payload, who)

        def run(what, **more):
            return call(EXECUTE, execute(what, **more))

        nic1 = text(1, NIC1)
        return (
            Row("bytes that are no request", "INTERNAL", "does not parse as hawser.v1.ExecuteRequest", "refused.form", "denied", call(EXECUTE, b"\xff\xff")),
            Row("a request over 4 MiB", "RESOURCE_EXHAUSTED", "4194304", "refused.form", "denied", lambda: self.too_long,
                noted="refused before its request was whole"),
            Row("a request over 64 KiB", "RESOURCE_EXHAUSTED", "of this method at most 65536", "refused.form", "denied", call(EXECUTE, bytes(65537))),
            Row("a command of a stream over 16 KiB", "RESOURCE_EXHAUSTED", "of this method at most 16384", "refused.form", "denied", call(STREAM, bytes(16385))),
            Row("a request for a stream over 16 KiB", "RESOURCE_EXHAUSTED", "of this method at most 16384", "refused.form", "denied", call(TAIL, bytes(16385))),
            Row("an inbox of another command", "INVALID_ARGUMENT", "inbox", "refused.request", "denied", run(raw("QUERY_ADAPTER", b"\1\0" + bytes(14)))),
            Row("an inbox that is too short", "INVALID_ARGUMENT", "an inbox has at least 16 bytes", "refused.request", "denied", run(raw("QUERY_ADAPTER", b"\1\1"))),
            Row("an inbox that is too long", "INVALID_ARGUMENT", "QUERY_ADAPTER", "refused.request", "denied", run(raw("QUERY_ADAPTER", b"\1\1" + bytes(5000)))),
            Row("register bytes of a wrong length", "INVALID_ARGUMENT", "MGIR", "refused.request", "denied", run(register("MGIR", data=bytes(3)))),
            Row("a reply longer than a command has", "INVALID_ARGUMENT", "allowed are 16..", "refused.request", "denied", run(raw("QUERY_ADAPTER", out_bytes=3 << 20))),
            Row("a reply of the card that says more than it has", "INTERNAL", "MNVDA", "calls_failed", "read", call(GET, nic1 + text(2, "NUM_OF_VFS")), on_card=True),
            Row("an unknown opcode", "NOT_FOUND", "0xfff0", "refused.request", "denied", run(raw("0xfff0"))),
            Row("an unknown register", "NOT_FOUND", "NOSUCH", "refused.request", "denied", run(register("NOSUCH"))),
            Row("an unknown field", "INVALID_ARGUMENT", "nofield", "refused.request", "denied", run(register("MGIR", ("nofield", "1")))),
            Row("a field's value out of range", "INVALID_ARGUMENT", "local_port", "refused.request", "denied", run(register("PAOS", ("local_port", "99999")))),
            Row("a parameter's value out of range", "INVALID_ARGUMENT", "NUM_OF_VFS", "refused.request", "denied", call(PLAN, setting("NUM_OF_VFS", "65536"))),
            Row("an unknown parameter", "NOT_FOUND", "NO_SUCH", "refused.request", "denied", call(PLAN, setting("NO_SUCH", "1"))),
            Row("an unknown adapter", "NOT_FOUND", "0000:99:00.0", "refused.request", "denied", run(register("MGIR"), device="0000:99:00.0")),
            Row("a policy that does not parse", "INVALID_ARGUMENT", 'unknown key "ruls"', "refused.request", "outcome",
                lambda: lambda: self.call(RELOAD, text(1, mutation()) + text(2, "version: 1\nruls: []\n") + number(3, 5000))),
            Row("what no rule allows", "PERMISSION_DENIED", "rule viewers does not grant", "refused.policy", "denied", call(EXECUTE, execute(register("MGIR")), "vic"), who="viewer/vic"),
            Row("a locked adapter", "PERMISSION_DENIED", "cable work", "refused.lock", "denied", self.locked),
            Row("a killed row", "PERMISSION_DENIED", "firmware bug 17", "refused.kill", "read", self.killed),
            Row("too many calls of a kind", "RESOURCE_EXHAUSTED", "1 a minute", "refused.rate", "denied", self.over_rate, who="operator/eve"),
            Row("a change without fence and request_id", "INVALID_ARGUMENT", "mutation is required", "refused.mutation", "denied", lambda: lambda: self.paos(None)),
            Row("a bad request_id", "INVALID_ARGUMENT", "mutation.request_id", "refused.mutation", "denied", lambda: lambda: self.paos(mutation("short"))),
            Row("a request_id of another request", "ALREADY_EXISTS", "row-of-this-content", "refused.mutation", "denied", self.other_content),
            Row("a fence that is not the newest", "PERMISSION_DENIED", "fence", "refused.mutation", "denied", self.stale_fence),
            Row("a dangerous command without an approval", "PERMISSION_DENIED", "needs a warrant", "refused.warrant", "denied", self.no_approval),
            Row("an expired grant", "PERMISSION_DENIED", "has expired", "refused.warrant", "outcome", self.expired_grant),
            Row("an expired approval", "PERMISSION_DENIED", "expired", "refused.warrant", "outcome", self.expired_approval),
            Row("an approval that was used", "PERMISSION_DENIED", "used before", "refused.warrant", "outcome", self.used_approval),
            Row("an approval for other bytes", "PERMISSION_DENIED", "hash mismatch", "refused.warrant", "outcome", self.other_bytes),
        )

    def judge(self, row):
        call = row.prepare()
        with self.peer("otto") as p:
            before, seq = self.still(p), self.records(number(2, 1))[-1]["seq"]
            code, said = call()
            self.assertEqual(code, row.code, said)
            self.assertIn(row.says, said)

            def recorded():
                return [r for r in self.records(number(1, seq)) if r["who"] == row.who and r["phase"] == row.phase]
            (record,) = until(recorded, "it is on record", 60)
            self.assertEqual(record["code"], row.on_record, record)
            self.assertIn(row.noted, record["detail"])
            after = self.still(p)
        went_up = {n: after[n] - before[n] for n in after if (n == row.counter or n.startswith("refused.")) and after[n] != before[n]}
        self.assertEqual(went_up, {row.counter: 1})
        self.assertEqual(after["commands"] > before["commands"], row.on_card)

    def test_every_kind_of_bad_input_is_refused_named_recorded_counted_and_reaches_no_card(self):
        stored = self.js("config", "get", "-d", NIC0, "NUM_OF_VFS")
        for row in self.rows():
            self.undo = []
            with self.subTest(row.kind):
                try:
                    self.judge(row)
                finally:
                    for words in self.undo:
                        self.ok(*words, who="otto")
        self.assertEqual(self.js("config", "get", "-d", NIC0, "NUM_OF_VFS"), stored)

    def test_the_table_of_the_documentation_is_this_one(self):
        with open(os.path.join(TOP, "docs/ERRORS.md")) as f:
            told = re.findall(r"^\| ([^|`]+) \| ([A-Z_]+) \| `([a-z_.]+)` \| (\w+)(?:, ([A-Z_]+))? \|$", f.read(), re.M)
        rows = [(r.kind, r.code, r.counter, r.phase, "" if r.on_record == r.code else r.on_record) for r in self.rows()]
        self.assertEqual(told, rows)

    def test_a_line_of_a_batch_that_is_no_json_is_not_sent(self):
        path = os.path.join(self.root, "bad.jsonl")
        with open(path, "w") as f:
            f.write("{not json}\n")
        with self.peer("otto") as p:
            before = self.still(p)
            r = self.cli("cmd", "-d", NIC0, "--batch", path)
            self.assertEqual(r.code, 11, r)
            self.assertEqual(json.loads(r.out)["outcome"], "invalid", r)
            self.assertEqual(self.still(p)["commands"], before["commands"])


if __name__ == "__main__":
    import unittest
    unittest.main()
