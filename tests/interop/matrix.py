#!/usr/bin/env python3
"""gRPC's interop cases between our engine and stock stacks, both directions: a line a case, then one table.

    matrix.py --bin DIR --ca DIR --peers NAME=WHERE[,...] [--calls N --rpcs N --dials N --seconds N]

Each peer's client calls our server over mutual TLS and on a Unix socket; our client calls each peer's server over
mutual TLS and over TLS that asks for no client certificate. What a stack cannot do is in the table as "-" and listed with
its reason; a case that did not report is a failure. Exit status 0 only when every case of every peer passed.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CORE = ("empty_unary large_unary client_streaming server_streaming ping_pong empty_stream timeout_on_sleeping_server "
        "cancel_after_begin cancel_after_first_response status_code_and_message special_status_message custom_metadata "
        "unimplemented_method unimplemented_service").split()
COMPRESSION = "client_compressed_unary client_compressed_streaming server_compressed_unary server_compressed_streaming".split()
LOAD = "concurrent_large_unary rpc_soak channel_soak".split()
CASES = CORE + COMPRESSION + LOAD

TOO_SLOW = re.compile("(took|of) [0-9]+ ms|over 1000 ms|deadline.?exceeded|timeout expired", re.IGNORECASE)  # what clients say of an iteration
NO_FLAG = "its server does not tell handlers whether a message came compressed"
NO_COMPRESS = "its server does not compress answers"
ALL_OR_NONE = "it compresses all messages of a call or none"


def cannot(cases, reason):
    return {case: reason for case in CASES if case.startswith(cases)}


class Peer:
    """A stock stack: how its client and server start, and what it cannot do."""

    def __init__(self, client, server, server_cannot=None, client_cannot=None):
        self.client = client
        self.server = server
        self.server_cannot = server_cannot or {}
        self.client_cannot = client_cannot or {}


def peers(cache):
    js = ["--proto", str(HERE / "grpc_testing.proto")]
    python = ["--protos", str(HERE)]
    known = {
        "cpp": lambda at: Peer([f"{at}/client"], [f"{at}/server"]),
        "python": lambda at: Peer([at, str(HERE / "client.py"), *python], [at, str(HERE / "peers/python/server.py"), *python],
                                  cannot("client_compressed", NO_FLAG)),
        "js": lambda at: Peer(["node", str(HERE / "peers/js/client.js"), *js], ["node", str(HERE / "peers/js/server.js"), *js],
                              {**cannot("client_compressed", NO_FLAG), **cannot("server_compressed", NO_COMPRESS)}),
        "go": lambda at: Peer([f"{at}/peer", "--side", "client"], [f"{at}/peer", "--side", "server"],
                              {**cannot("client_compressed", NO_FLAG), **cannot("server_compressed", NO_COMPRESS)},
                              {**cannot("client_compressed", "its case library has no such case"),
                               **cannot("server_compressed", "its case library has no such case")}),
        "java": lambda at: Peer(*(["java", "-cp", f"{at}/classes:{at}/lib/*", "Peer", "--side", side] for side in ("client", "server"))),
        "rust": lambda at: Peer([f"{at}/peer", "--side", "client"], [f"{at}/peer", "--side", "server"],
                                {**cannot("client_compressed", NO_FLAG), **cannot("server_compressed_streaming", ALL_OR_NONE),
                                 **cannot("custom_metadata", "its handlers cannot send trailing metadata with a unary answer")},
                                {**cannot("client_compressed_streaming", ALL_OR_NONE),
                                 **cannot("server_compressed", "its client does not tell whether a message came compressed")}),
    }
    return {name: known[name](at) for name, at in cache.items()}


class Server:
    """A process that prints "listening ADDRESS", and maybe "version TEXT" before."""

    def __init__(self, command, seconds, environment):
        self.version = ""
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen([*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, env=environment)
        watch = threading.Timer(60, self.process.kill)
        watch.start()
        self.address = None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "version":
                self.version = rest
            elif word == "listening":
                self.address = rest
                break
        watch.cancel()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def complaint(self):
        self.errors.seek(0)
        return self.errors.read()[-2000:]


class Matrix:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.columns = []  # (label, {case: verdict})
        self.failed = 0
        self.environment = dict(os.environ)
        self.versions = {}

    def identity(self, name):
        ca = self.args.ca
        return ["--cert", f"{ca}/{name}.crt", "--key", f"{ca}/{name}.key", "--ca", f"{ca}/ca.crt"]

    def load(self):
        return ["--calls", str(self.args.calls), "--rpcs", str(self.args.rpcs), "--dials", str(self.args.dials)]

    def ask(self, label, command, cases, verdicts, why):
        """Runs a client over these cases; what it said on its standard error."""
        run = subprocess.run([*command, *self.load(), "--cases", ",".join(cases)], capture_output=True, text=True,
                             timeout=self.args.seconds, check=False, env=self.environment)
        for line in run.stdout.splitlines():
            word, _, rest = line.partition(" ")
            if word == "version":
                self.versions[label.split(".")[0].replace("hawser", "").strip("->")] = rest
            elif word in ("pass", "fail"):
                case, _, why[rest.partition(":")[0]] = rest.partition(": ")
                verdicts[case] = "ok" if word == "pass" else "FAIL"
        return run.stderr.strip()

    def judge(self, label, command, unable):
        """All cases of a client; prints and keeps the verdicts. A soak that was too slow, and only that, is asked for once more, whole:
        the machine may have been busy with something else."""
        wanted = [case for case in CASES if case not in unable]
        verdicts = {case: "-" for case in unable}
        why = {}
        began = time.monotonic()
        said = self.ask(label, command, wanted, verdicts, why)
        for case in wanted:
            if verdicts.get(case) == "FAIL" and case.endswith("_soak") and TOO_SLOW.search(why.get(case, "")):
                print(f"{label}.{case}: {why[case]}; once more")
                verdicts.pop(case)
                said = self.ask(label, command, [case], verdicts, why)
        for case in wanted:
            if verdicts.get(case) == "ok":
                print(f"pass {label}.{case}")
            else:
                self.failed += 1
                verdicts[case] = "FAIL"
                print(f"fail {label}.{case}: {why.get(case) or 'no verdict: ' + said[-300:]}")
        print(f"took {label} {time.monotonic() - began:.1f} s", flush=True)
        self.columns.append((label, verdicts))

    def judge_safely(self, label, command, unable):
        try:
            self.judge(label, command, unable)
        except (subprocess.TimeoutExpired, OSError) as error:
            self.failed += 1
            self.columns.append((label, {case: "FAIL" for case in CASES}))
            print(f"fail {label}: {error}", flush=True)

    def calls_us(self, name, peer):
        sock = f"{self.work}/{name}.sock"
        ours = f"{self.args.bin}/hawser-interop"
        for transport, listen, to in (("mtls", self.identity("agent-host"), None), ("unix", ["--listen", sock], f"unix:{sock}")):
            server = Server([ours, *listen], self.args.seconds, self.environment)
            identity = self.identity("operator-olga") if transport == "mtls" else []
            self.judge_safely(f"{name}->hawser.{transport}",
                              [*peer.client, "--target", to or server.address, *identity], peer.client_cannot)
            server.stop()
            # It ends by itself once it is told; what it says on the way is a sanitizer's finding.
            said = server.complaint()
            if server.process.returncode != 0 or "ERROR" in said or "runtime error" in said:
                self.failed += 1
                print(f"fail {name}->hawser.{transport}.server_ends_well: status {server.process.returncode}: {said}")

    def called_by_us(self, name, peer):
        for transport, clients in (("mtls", "require"), ("tls", "none")):
            server = Server([*peer.server, "--listen", "127.0.0.1:0", "--clients", clients, *self.identity("agent-host")],
                            self.args.seconds, self.environment)
            label = f"hawser->{name}.{transport}"
            if server.address is None:
                self.failed += 1
                print(f"fail {label}: the server does not start: {server.complaint()}")
            else:
                self.versions[name] = server.version
                self.judge_safely(label, [f"{self.args.bin}/hawser-interop-client", "--target", server.address,
                                          *self.identity("operator-olga")], peer.server_cannot)
            server.stop()

    def print_table(self):
        print()
        width = max(len(case) for case in CASES)
        for i, (label, _) in enumerate(self.columns):
            print(f"{'':{width}} {'|  ' * i}{label}")
        for case in CASES:
            cells = [verdicts.get(case, "FAIL") for _, verdicts in self.columns]
            print(f"{case:{width}} {' '.join(f'{cell:2}' for cell in cells)}")
        for name, version in sorted(self.versions.items()):
            print(f"stack {name}: {version}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--ca", required=True, help="a folder that certs/hawser-ca made")
    parser.add_argument("--peers", required=True, help="NAME=WHERE,...")
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--rpcs", type=int, default=10)
    parser.add_argument("--dials", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=120, help="a server's life, and a client's time, at most")
    return parser.parse_args()


def main():
    args = parse()
    with tempfile.TemporaryDirectory(prefix="hawser-matrix-") as work:
        matrix = Matrix(args, work)
        reasons = set()
        for name, peer in peers(dict(pair.split("=", 1) for pair in args.peers.split(","))).items():
            matrix.calls_us(name, peer)
            matrix.called_by_us(name, peer)
            reasons |= {f"{name}: {case}: {why}" for table in (peer.client_cannot, peer.server_cannot) for case, why in table.items()}
        matrix.print_table()
        for reason in sorted(reasons):
            print(f"not offered by {reason}")
    sys.exit(0 if matrix.failed == 0 else 1)


if __name__ == "__main__":
    main()
