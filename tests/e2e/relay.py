"""Servers on loopback that stand between a client and an agent, or in an agent's place."""
import select
import socket
import struct
import threading


class Loopback:
    """A server in a thread of its own: one connection after the other is accepted, given to talk(), and closed."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.n_connections = 0
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # accept returns
        self.thread.join(20)
        self.listener.close()

    def serve(self):
        while True:
            try:
                caller = self.listener.accept()[0]
            except OSError:
                return
            self.n_connections += 1
            with caller:
                self.talk(caller)

    def talk(self, caller):
        raise NotImplementedError


def reset_when_closed(*sockets):
    for s in sockets:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Relay(Loopback):
    """In front of an agent, `target` its address. piece: the most bytes of a segment. cut: (side, bytes): when so many have come from
    "caller" or "agent", the first connection is closed on both sides, or with reset=True reset."""

    def __init__(self, target, piece=65536, cut=None, reset=False):
        super().__init__()
        host, port = target.rsplit(":", 1)
        self.target, self.piece, self.cut, self.reset = (host, int(port)), piece, cut, reset
        self.n_segments = 0

    def talk(self, caller):
        with socket.create_connection(self.target) as agent:
            for s in (caller, agent):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.relay(caller, agent, self.cut if self.n_connections == 1 else None)

    def relay(self, caller, agent, cut):
        other, left = {caller: agent, agent: caller}, {}
        if cut:
            left[caller if cut[0] == "caller" else agent] = cut[1]
        while True:
            for s in select.select([caller, agent], [], [], 60)[0]:
                try:
                    data = s.recv(4096)[:left.get(s, 4096)]
                    for at in range(0, len(data), self.piece):
                        other[s].sendall(data[at:at + self.piece])
                        self.n_segments += 1
                except OSError:
                    return
                if s in left:
                    left[s] -= len(data)
                    if left[s] == 0:
                        if self.reset:
                            reset_when_closed(caller, agent)
                        return
                if not data:
                    return
