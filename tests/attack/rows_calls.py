"""Rows that attack calls: messages, compression, metadata, paths."""
import gzip
import os
import re
import struct
import time

from h2 import CHECK, DATA, END_HEADERS, END_STREAM, HEADERS, INFO, Peer, block, fields, frame, message, settings, varint
from rows import row
from world import GOOD, Failure, check, harness, until

RNG = harness.RNG
TOP = harness.TOP


# ---- messages -------------------------------------------------------------------------------------------------------


def one_message(a, data, status, *more, path=INFO, most_kb=64, seconds=5):
    """A message that must be refused with that status, without memory for it; the connection goes on."""
    with a.attacker() as p:
        check(p.call(CHECK)[0] == 0, "a call before")
        before = a.pss_kb()
        s = p.stream()
        p.send(frame(HEADERS, END_HEADERS, s, block(path, *more)))
        for at in range(0, len(data), 16000):
            p.send(frame(DATA, 0, s, data[at:at + 16000]))
        got = p.end(s, seconds)
        held = a.pss_kb() - before
        check(got == status, f"status {got} instead of {status}")
        check(held <= most_kb, f"{held} KiB more")
        check(p.call(CHECK)[0] == 0, "the next call on the connection")
    return held


@row("max_recv_message_bytes", "over_message_limit", {"max_recv_message_bytes": 4294967295},
     fails="a length of 4 GiB is waited for", quick_off=True)
def length_prefix_of_4_gib(a):
    try:
        held = [one_message(a, b"\0" + struct.pack(">I", n), 8, most_kb=512) for n in (0xFFFFFFFF, 0x80000000, 100 << 20, (4 << 20) + 1)]
    except TimeoutError as error:
        raise Failure("a length of 4 GiB is waited for") from error
    check(min(held) <= 64, f"{held} KiB more")  # the least: the figure has the noise of the whole process in it
    return f"RESOURCE_EXHAUSTED at the prefix, {held} KiB more"


@row("max_recv_message_bytes", "over_message_limit", {"max_recv_message_bytes": 4294967295}, fails="100 MiB are waited for")
def message_of_100_mib(a):
    """The first bytes decide; what follows is dropped, not kept."""
    try:
        held = one_message(a, b"\0" + struct.pack(">I", 100 << 20) + bytes(60000), 8)
    except TimeoutError as error:
        raise Failure("100 MiB are waited for") from error
    return f"RESOURCE_EXHAUSTED, +{max(0, held)} KiB"


@row("max_recv_message_bytes", "over_message_limit inflated", {"max_recv_message_bytes": 4294967295},
     fails="the peak was .* KiB more", quick_off=True)
def gzip_bombs(a):
    """100 MiB of zeros in 100 KB, and bombs within bombs: cut off while they inflate."""
    zeros = gzip.compress(bytes(100 << 20), 9)
    a.reset_peak()
    before = a.peak_kb()
    said = []
    for _ in range(3):
        said.append(one_message(a, message(zeros, 1), 8, ("grpc-encoding", "gzip"), most_kb=512, seconds=30))
    peak = a.peak_kb() - before
    check(peak <= 10 * 1024, f"the peak was {peak} KiB more")
    return f"RESOURCE_EXHAUSTED three times, +{max(0, said[-1])} KiB, peak +{peak} KiB"


ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, section 3.1.1
RUN_BYTES = 1 << 17  # of a block at most


def runs(n):
    """n blocks that each repeat one byte."""
    return b"".join(struct.pack("<I", (i == n - 1) | 1 << 1 | RUN_BYTES << 3)[:3] + b"\0" for i in range(n))


ZSTD_BOMBS = {
    "100 MiB in runs": ZSTD + b"\x00\x38" + runs(800),  # no length, a window of 128 KiB
    "a length of 100 MiB": ZSTD + b"\xe0" + struct.pack("<Q", 100 << 20) + runs(800),
    "a window of 1 GiB": ZSTD + b"\x00\xa0" + runs(1),
}


@row("max_recv_message_bytes", "over_message_limit inflated", {"max_recv_message_bytes": 4294967295}, fails="100 MiB in runs: the peak was .* KiB more")
def zstd_bombs(a):
    """100 MiB in 3 KB, with and without its length said before, and a frame that wants much memory for little."""
    said = []
    for what, bomb in ZSTD_BOMBS.items():
        a.reset_peak()
        before = a.peak_kb()
        one_message(a, message(bomb, 1), 8, ("grpc-encoding", "zstd"), most_kb=512, seconds=30)
        peak = a.peak_kb() - before
        check(peak <= 10 * 1024, f"{what}: the peak was {peak} KiB more")
        said.append(f"{what}: peak +{peak} KiB")
    return "RESOURCE_EXHAUSTED, " + ", ".join(said)


@row("", "calls_bad_request")
def compression_that_is_none(a):
    """Unknown encodings, a flag without an encoding, flags above 1, broken gzip: the call's own failure."""
    one_message(a, message(b"x"), 12, ("grpc-encoding", "br"))
    one_message(a, message(b"x", 1), 13)
    one_message(a, message(b"x", 2), 13)
    one_message(a, message(b"not gzip", 1), 13, ("grpc-encoding", "gzip"))
    one_message(a, message(gzip.compress(b"x")[:-4], 1), 13, ("grpc-encoding", "gzip"))
    return "5 forms"


MOST_KB, N_ASKED = 64 * 1024, 20


@row("", "calls_ended", memory_kb=6144)
def answers_that_nobody_takes(a):
    """Requests of 4 MB, whole and answered, whose answers find shut windows: the calls stay, what they asked does not."""
    a.reset_peak()
    ask = message(varint(15 << 3 | 2) + varint(4000000) + bytes(4000000))  # a field that nobody knows
    with a.attacker(who=a.places.more[0], first=settings(window=0)) as p:
        for _ in range(N_ASKED):
            s = p.stream()
            p.send(frame(HEADERS, END_HEADERS, s, block(CHECK)))
            p.pour(s, ask)
        p.until(lambda: len(p.headers) == N_ASKED, 20)
        peak = a.peak_kb()
    check(peak <= MOST_KB, f"the peak is {peak} KiB")
    return f"{N_ASKED} calls answered, {N_ASKED - len(p.done)} of them open, peak {peak} KiB"


# ---- metadata and paths ---------------------------------------------------------------------------------------------


BAD_METADATA = [
    [("x-bin", "a")], [("x-bin", "====")], [("x-bin", "ab=c")], [("x-bin", "\x01\x02")], [("x-bin", "YQ==,!")], [("x-bin", "Y")],
    [("grpc-timeout", "")], [("grpc-timeout", "1")], [("grpc-timeout", "S")], [("grpc-timeout", "123456789S")], [("grpc-timeout", "-1S")],
    [("grpc-timeout", "1s")], [("grpc-timeout", "0x1S")], [("grpc-timeout", "1 S")], [("grpc-encoding", "\xff\xfe")],
]


@row("", "calls_bad_request")
def bad_metadata_fails_its_own_call_only(a):
    """10,000 calls with broken -bin values and timeouts among as many good ones, on one connection."""
    n, before, streams = 10000, a.counter("calls_bad_request"), {}
    began = time.monotonic()
    with a.attacker() as p:
        for base in range(0, n, 10):
            out = b""
            for i in range(10):
                bad = BAD_METADATA[RNG.randrange(len(BAD_METADATA))]
                s = p.stream()
                streams[s] = False
                out += frame(HEADERS, END_HEADERS | END_STREAM, s, block(CHECK, *bad))
                s = p.stream()
                streams[s] = True
                out += frame(HEADERS, END_HEADERS, s, block(CHECK, ("y-bin", "YQ"), ("z", "ok"))) + frame(DATA, END_STREAM, s, message())
            p.send(out)
            p.until(lambda: len(p.done) >= 2 * (base + 10))
            for s in list(streams):
                status = p.status_of(s)
                good = streams.pop(s)
                check((status == 0) == good and status is not None, f"status {status} of a {'good' if good else 'bad'} call")
                p.headers.pop(s)
        check(p.goaway is None, f"GOAWAY {p.goaway}")
    until(lambda: a.counter("calls_bad_request") - before >= n // 2, "the bad calls are counted", 5)
    counted = a.counter("calls_bad_request") - before
    return f"{n} bad and {n} good calls in {time.monotonic() - began:.1f} s, {counted} counted"


def source_lines(start):
    """For each .proto of the public services, how many lines start so."""
    folder = os.path.join(TOP, "proto/hawser/v1")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as f:
            yield sum(line.startswith(start) for line in f)


def methods():
    """Every method path of the agent's public services, from the .proto files."""
    out = []
    for folder in ("proto/hawser/v1",):
        for name in sorted(os.listdir(os.path.join(TOP, folder))):
            with open(os.path.join(TOP, folder, name)) as f:
                source = f.read()
            for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", source, re.M | re.S):
                out += [f"/hawser.v1.{service}/{m}" for m in re.findall(r"^\s+rpc (\w+)\(", body, re.M)]
    return out


def forms_of(path):
    """Ways to write a path that are not it."""
    service, method = path[1:].split("/")
    pct = "".join("%%%02x" % ord(c) for c in method)
    out = [
        path[1:], "/" + path, "//" + path, path + "/", path + "//", path + "?", path + "?a=b", path + "#", path + "#x", path + ";", path + ";a=b", path + "%00",
        path + "%20", path + " ", " " + path, path + "\t", path + ".", path + "/.", path + "/..", path + "/../" + method, "/." + path, "/.." + path,
        "/x/.." + path, "/%2e%2e" + path, "/%2f" + path[1:], path.replace("/", "//"), f"/{service}//{method}", f"/{service}/./{method}", f"/{service}/../{method}",
        f"/{service}/x/../{method}", f"/{service}%2f{method}", f"/{service}%2F{method}", f"/{service}\\{method}", f"\\{service}\\{method}", f"/{service}/{method.lower()}",
        f"/{service}/{method.upper()}", f"/{service}/{method.swapcase()}", f"/{service.lower()}/{method}", f"/{service.upper()}/{method}", f"/{service}/{pct}",
        "/%68" + path[2:], path[:-1], path[:-1] + "%" + "%02x" % ord(path[-1]), path + "x", "/x" + path, f"/{service}", f"/{service}/", f"/{service}/*", "/", "*", "",
        f"/{service}.{method}", f"/{service}/{method}/{method}", f"/{service} /{method}", f"/{service}/ {method}", f"http://a{path}", f"https://a:1{path}", f"//a{path}",
        f"/hawser/v1/{service.split('.')[-1]}/{method}", path.replace(".", "/"), path.replace(".", "%2e"), path.replace("hawser", "HAWSER"), path.replace("v1", "v01"),
        path + "%0d%0a", f"/{service}/{method}\u00e9", "/\u2044" + path[1:], path.replace("v1", "v1%"), f"/{service}:443/{method}", f"/{service}/{method}@",
    ]
    return sorted(set(out) - {path})


@row("", "calls_unknown")
def paths_that_are_not_canonical(a):
    """No form of a path but its own reaches a method: UNIMPLEMENTED or no stream at all, and hawserd hears nothing."""
    n, calls = 0, a.counters()["calls"]
    every = methods()
    check(len(every) == sum(source_lines("  rpc ")), f"{len(every)} methods found")
    least = min(len(forms_of(m)) for m in every)
    check(least >= 60, f"{least} forms")
    for m in every:
        p = a.attacker(who=a.places.operator)
        for at in range(0, len(forms_of(m)), 16):
            forms = forms_of(m)[at:at + 16]
            out, streams = b"", {}
            for form in forms:
                s = p.stream()
                streams[s] = form
                out += frame(HEADERS, END_HEADERS, s, block(form.encode())) + frame(DATA, END_STREAM, s, message())
            p.send(out)
            p.until(lambda: all(s in p.done for s in streams))
            for s, form in streams.items():
                check(p.status_of(s) in (12, None), f'"{form}" is answered with status {p.status_of(s)}')
                n += 1
        p.close()
    now = a.counters()["calls"]
    check(now - calls <= 1 + 3, f"hawserd had {now - calls} calls")  # the two questions for counters
    return f"{n} paths, {len(every)} methods, at least {least} forms each, none served"


# ---- calls that policy refuses --------------------------------------------------------------------------------------

REFUSED_S = 5.0
AT_ONCE = 24  # fewer than max_calls
TAIL = "/hawser.v1.AuditService/Tail"
BURST, PER_S = 20, 2  # agent/hawserd/refused.h
MOST_DISK_KB = 6 * 1024  # the database's log is folded into it at 4 MiB (store.h), and what was in both for a moment
MOST_KEEPER_KB = 8 * 1024


def records_of(a, principal, after):
    """(single records of refused calls, calls counted in others, the newest record) of a principal behind `after`."""
    singles, counted, newest = 0, 0, after
    with Peer(a.address, a.places.operator, source=GOOD) as p:
        s = p.stream()
        p.send(frame(HEADERS, END_HEADERS, s, block(TAIL)) + frame(DATA, END_STREAM, s, message(b"\x08" + varint(after))))
        check(p.end(s, 30) == 0, "the log can be read")
        data = p.data.pop(s, b"")
    while data:
        n = struct.unpack(">I", data[1:5])[0]
        r = dict(fields(dict(fields(data[5:5 + n]))[1]))
        data = data[5 + n:]
        newest = r[1]
        if r.get(3) == 4 and r.get(4, b"").decode() == principal:
            singles += 0 if r.get(18, 0) else 1
            counted += r.get(18, 0)
    return singles, counted, newest


def disk_kb(a):
    folder = os.path.join(a.host.dir, "state")
    return sum(os.stat(os.path.join(folder, f)).st_blocks for f in os.listdir(folder)) // 2


def keeper_kb(a):
    (pid,) = a.host.keeper()
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def flood(peer, seconds):
    """Calls what its caller may not, AT_ONCE at a time; how many were refused, and how they ended."""
    call = block(TAIL)
    ends, open_now, began = {}, set(), time.monotonic()
    while open_now or time.monotonic() - began < seconds:
        out = b""
        while len(open_now) < AT_ONCE and time.monotonic() - began < seconds:
            s = peer.stream()
            open_now.add(s)
            out += frame(HEADERS, END_HEADERS, s, call) + frame(DATA, END_STREAM, s, message())
        if out:
            peer.send(out)
        peer.until(lambda: any(s in peer.done for s in open_now) or not open_now, 30)
        for s in [s for s in open_now if s in peer.done]:
            status = peer.status_of(s)
            ends[status] = ends.get(status, 0) + 1
            open_now.remove(s)
            peer.headers.pop(s, None)
    return ends


@row("", "calls_ended")
def refused_calls_are_counted_and_not_recorded_singly(a):
    """Each refused call is on record, all but a few by number: the log, the disk and the keeper's memory do not grow with them."""
    viewer = a.places.pki.make("viewer", "vandal")
    who = f"spiffe://{harness.DOMAIN}/viewer/vandal"
    _, _, begin = records_of(a, who, 0)
    kb, disk = keeper_kb(a), disk_kb(a)
    began = time.monotonic()
    with a.attacker(who=viewer) as p:
        ends = flood(p, REFUSED_S)
    took = time.monotonic() - began
    n = ends.get(7, 0)
    check(n > 0 and set(ends) == {7}, f"calls ended with {ends}")

    def told():
        singles, counted, newest = records_of(a, who, begin)
        return (singles, counted, newest) if singles + counted >= n else None
    singles, counted, newest = until(told, f"{n} refused calls on record", 30)
    check(singles + counted == n, f"{n} calls, on record {singles} singly and {counted} counted")
    check(singles <= BURST + PER_S * (took + 1), f"{singles} single records in {took:.1f} s")
    grown, held = disk_kb(a) - disk, keeper_kb(a) - kb
    check(grown <= MOST_DISK_KB, f"{grown} KiB more on the disk")
    check(held <= MOST_KEEPER_KB, f"hawserd holds {held} KiB more")
    return (f"{n / took:.0f} calls/s refused for {took:.1f} s: {singles} records and {counted} counted in others, log +{newest - begin} records, "
            f"disk +{grown} KiB, hawserd +{held} KiB")
