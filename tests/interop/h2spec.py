#!/usr/bin/env python3
"""h2spec against our server and against nghttpd, in one run: a line a case of ours that fails where nghttpd's passes, then one verdict.

    h2spec.py --h2spec PROGRAM --socket SOCKET

SOCKET is that of a server of grpc.testing.TestService without TLS; h2spec knows TCP alone, so a relay on loopback is between
them. nghttpd serves a file that it makes.
"""
import argparse
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

ANSWER_S = 10  # a frame that is due comes by then
# Five fields of this size are more than one frame of the size that we announce, and less than a header bomb.
FIELD_BYTES = 16000


def carry(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(path):
    """Takes connections on a port of loopback to the socket at path, as long as this program runs. Returns the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(one):
        other = socket.socket(socket.AF_UNIX)
        with one, other:
            other.connect(path)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=carry, args=(other, one), daemon=True)
            back.start()
            carry(one, other)
            back.join()

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start_nghttpd(work):
    (pathlib.Path(work) / "index.html").write_text("hello\n")
    port = free_port()
    process = subprocess.Popen(["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", work, str(port)], stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    process.kill()
    sys.exit("nghttpd does not listen")


def run(program, port, path, report):
    """{case: its failure, None when it passed}"""
    done = subprocess.run([program, "-h", "127.0.0.1", "-p", str(port), "-P", path, "-o", str(ANSWER_S), "-S", "-j", report,
                           "--max-header-length", str(FIELD_BYTES)], capture_output=True, text=True, timeout=600, check=False)
    try:
        suites = xml.etree.ElementTree.parse(report).getroot().iter("testsuite")
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        sys.exit(f"h2spec made no report: {error}: {done.stdout[-500:]}{done.stderr[-500:]}")
    verdicts = {}
    for suite in suites:
        for i, case in enumerate(suite.iter("testcase"), 1):
            bad = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
            name = f"{case.get('package')}/{i} {case.get('classname')}"
            verdicts[name] = None if bad is None else " ".join(" ".join(bad.itertext()).split()) or "skipped"
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--h2spec", required=True)
    parser.add_argument("--socket", required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hawser-h2spec-") as work:
        ours = run(args.h2spec, relay(args.socket), "/grpc.testing.TestService/EmptyCall", f"{work}/ours.xml")
        process, port = start_nghttpd(work)
        theirs = run(args.h2spec, port, "/", f"{work}/theirs.xml")
        process.kill()
        process.wait()
    good, their_good = (sum(v is None for v in verdicts.values()) for verdicts in (ours, theirs))
    behind = [name for name, bad in ours.items() if bad is not None]
    for name in behind:
        print(f"h2spec {name}: {ours[name]} (nghttpd: {theirs.get(name) or 'passes'})")
    print(f"h2spec, strict: {good} of {len(ours)}, nghttpd {their_good} of {len(theirs)}")
    why = "no case was run" if len(ours) < 100 else f"{good} where nghttpd passes {their_good}" if good < their_good else None
    print(f"fail h2spec.not_behind_nghttpd: {why}" if why else "pass h2spec.not_behind_nghttpd")
    sys.exit(1 if why else 0)


if __name__ == "__main__":
    main()
