#!/usr/bin/env python3
"""gRPC's negative HTTP/2 cases against our client: a server of frames by hand that misbehaves in one way a case.

    negative.py --client hawser-interop-client

One line a case. The client says whether the call ended as it must; what only the server sees (an answered ping, streams at
once) is judged here.
"""
import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading

from h2raw import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection,
                   block, frame, headers, message, settings)

ANSWER_BYTES = 1000
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0")]


def length(n):
    out = bytearray()
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    return bytes(out + bytes([n]))


def simple_response(n):
    """A SimpleResponse whose payload is n zero bytes."""
    body = b"\x12" + length(n) + bytes(n)
    return message(b"\x0a" + length(len(body)) + body)


BODY = simple_response(ANSWER_BYTES)


def head(stream):
    return headers(stream, RESPONSE)


def answer(stream):
    return head(stream) + frame(DATA, 0, stream, BODY) + frame(HEADERS, END_HEADERS | END_STREAM, stream, block(TRAILERS))


def reset(stream):
    return frame(RST_STREAM, 0, stream, bytes(4))


class Server:
    """Accepts connections one after the other; on_request(connection, stream) answers a whole request."""

    def __init__(self, path, on_request, first=()):
        self.on_request = on_request
        self.first = first
        self.n_connections = 0
        self.pings = {}  # payload: answers seen
        self.open = 0
        self.most_open = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.n_connections += 1
            threading.Thread(target=self.serve, args=(Connection(sock),), daemon=True).start()

    def serve(self, connection):
        while len(connection.pending) < 24:
            more = connection.sock.recv(24 - len(connection.pending))
            if not more:
                return
            connection.pending += more
        connection.pending = connection.pending[24:]
        connection.send(settings(*self.first))
        while (got := connection.receive(30.0)) is not None:
            kind, flags, stream, payload = got
            if kind == SETTINGS and not flags & ACK:
                connection.send(frame(SETTINGS, ACK))
            elif kind == PING and flags & ACK:
                self.pings[payload] = self.pings.get(payload, 0) + 1
            elif kind == HEADERS:
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            elif kind == DATA and payload:
                window = len(payload).to_bytes(4, "big")
                connection.send(frame(WINDOW_UPDATE, 0, 0, window))
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                self.on_request(self, connection, stream)
        connection.close()


# ---- the servers -------------------------------------------------------------------------------------------------


def goaway(server, connection, stream):
    del server
    connection.send(answer(stream), frame(GOAWAY, 0, 0, stream.to_bytes(4, "big") + bytes(4)))


def rst_after_header(server, connection, stream):
    del server
    connection.send(head(stream), reset(stream))


def rst_during_data(server, connection, stream):
    del server
    connection.send(head(stream), frame(DATA, 0, stream, BODY[:len(BODY) // 2]), reset(stream))


def rst_after_data(server, connection, stream):
    del server
    connection.send(head(stream), frame(DATA, 0, stream, BODY), reset(stream))


def ping(server, connection, stream):
    del server
    pings = [frame(PING, 0, 0, f"{stream:07}{i}".encode()) for i in range(4)]
    connection.send(pings[0], head(stream), pings[1], frame(DATA, 0, stream, BODY), pings[2],
                    frame(HEADERS, END_HEADERS | END_STREAM, stream, block(TRAILERS)), pings[3])


def max_streams(server, connection, stream):
    def late():
        server.open -= 1
        connection.send(answer(stream))

    threading.Timer(0.02, late).start()


CASES = {
    "goaway": (goaway, (), lambda s: s.n_connections >= 3 or f"{s.n_connections} connection"),
    "rst_after_header": (rst_after_header, (), None),
    "rst_during_data": (rst_during_data, (), None),
    "rst_after_data": (rst_after_data, (), None),
    "ping": (ping, (), lambda s: (len(s.pings) >= 4 and set(s.pings.values()) == {1}) or f"answers {s.pings}"),
    "max_streams": (max_streams, ((3, 1),), lambda s: s.most_open == 1 or f"{s.most_open} streams at once"),
}


def run(name, client, folder):
    on_request, first, judge = CASES[name]
    path = os.path.join(folder, name)
    server = Server(path, on_request, first)
    done = subprocess.run([client, "--target", "unix:" + path, "--cases", "http2_" + name], capture_output=True, text=True,
                          timeout=60, check=False)
    server.listener.close()
    if done.returncode != 0 or f"pass http2_{name}" not in done.stdout:
        return (done.stdout + done.stderr).strip()[-400:] or "no verdict"
    verdict = True if judge is None else judge(server)
    return None if verdict is True else verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--client", required=True)
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="hawser-negative-") as folder:
        for name in CASES:
            try:
                why = run(name, args.client, folder)
            except subprocess.TimeoutExpired:
                why = "the client hangs"
            failed += why is not None
            print(f"{'pass' if why is None else 'fail'} http2_negative.{name}{'' if why is None else ': ' + why}", flush=True)
    sys.exit(0 if failed == 0 else 1)


if __name__ == "__main__":
    main()
