"""A relay on loopback in front of an agent: it may pass on one byte at a time, or reset both sides in the middle."""
import select
import socket
import struct
import threading


class Relay:
    """piece: the most bytes of a segment. cut: (side, bytes): when so many have come from "caller" or "agent", the first connection is
    reset on both sides."""

    def __init__(self, target, piece=65536, cut=None):
        self.target, self.piece, self.cut = target, piece, cut
        self.n_connections = self.n_segments = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
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
            with caller, socket.create_connection(self.target) as agent:
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
                        for one in (caller, agent):
                            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                if not data:
                    return
