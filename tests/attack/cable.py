"""A cable between two network namespaces that can be pulled, cut in one direction, and lose packets.

Each end is a TUN device in a namespace of its own; a process carries the packets from one to the other, by whole packets and in
order, unless it is told otherwise. Nothing here has a name outside these processes: devices and namespaces are gone with the last
descriptor of them, whatever happens.
"""
import contextlib
import ctypes
import errno
import fcntl
import multiprocessing
import multiprocessing.connection
import os
import random
import select
import struct
import subprocess
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
REFUSED = (errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODEV, errno.ENOSYS, errno.EINVAL)
HELD_BACK = 8  # packets that wait to be overtaken, at most


class Unavailable(Exception):
    """This machine lets us have no namespaces or no TUN device."""


def _must(status, what):
    if status != 0:
        code = ctypes.get_errno()
        error = OSError(code, f"{what}: {os.strerror(code)}")
        raise Unavailable(str(error)) if code in REFUSED else error


class Namespace:
    """A network namespace, held by a descriptor; only its loopback is up."""

    def __init__(self):
        self.fd = None
        failed = []

        def make():
            try:
                _must(LIBC.unshare(CLONE_NEWNET), "a network namespace")
                self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True, timeout=20)
            except Exception as error:
                failed.append(error)

        maker = threading.Thread(target=make)  # a thread's namespace is its own
        maker.start()
        maker.join()
        if failed:
            raise failed[0]

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace: the sockets that it makes, and the programs that it starts, stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _must(LIBC.setns(self.fd, CLONE_NEWNET), "to enter a namespace")
            try:
                yield
            finally:
                _must(LIBC.setns(home, CLONE_NEWNET), "to leave a namespace")
        finally:
            os.close(home)

    def tun(self, name, address, mtu):
        """A device of this namespace with that address; the descriptor of its packets."""
        with self.entered():
            try:
                fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
                fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
            except OSError as error:
                if error.errno not in REFUSED:
                    raise
                raise Unavailable(f"/dev/net/tun: {error}") from error
            net = f"{address.rsplit('.', 1)[0]}.0/30"
            # What is lost on a short cable is sent again soon, else a test of loss is one of patience.
            for words in (["addr", "add", f"{address}/30", "dev", name], ["link", "set", name, "mtu", str(mtu), "up"],
                          ["route", "replace", net, "dev", name, "src", address, "rto_min", "20ms"]):
                subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
        return fd

    def close(self):
        os.close(self.fd)


class Fate:
    """What becomes of the packets of one direction."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.loss = self.twice = self.overtaken = 0.0
        self.held = []

    def carried(self, packet):
        """What comes out at the other end when this packet goes in."""
        if self.rng.random() < self.loss:
            return []
        if self.rng.random() < self.overtaken and len(self.held) < HELD_BACK:
            self.held.append(packet)
            return []
        out = [packet] * (2 if self.rng.random() < self.twice else 1) + self.held
        self.held = []
        return out


def _carry(near, far, orders, seed):
    """The process: moves packets until nobody is left to tell it what to do."""
    fates = {near: Fate(seed), far: Fate(seed + 1)}
    other, counts = {near: far, far: near}, {near: [0, 0], far: [0, 0]}

    def one(fd):
        """Carries a packet from that end; False if there is none."""
        try:
            packet = os.read(fd, 65536)
        except BlockingIOError:
            return False
        out = fates[fd].carried(packet)
        counts[fd][0] += 1
        counts[fd][1] += len(out)
        for each in out:
            with contextlib.suppress(OSError):  # the other end's queue is full: lost
                os.write(other[fd], each)
        return True

    def obey(order):
        for fd, to in zip((near, far), order):
            while one(fd):  # what was sent before the order goes the old way
                pass
            vars(fates[fd]).update(to)
        orders.send([tuple(counts[near]), tuple(counts[far])])

    poll = select.poll()
    for fd in (near, far, orders.fileno()):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != orders.fileno():
                one(fd)
                continue
            try:
                obey(orders.recv())
            except (EOFError, OSError):
                return


class Cable:
    """From a namespace to a new one, .beyond; .near and .far are the addresses of the ends, which differ by `number`."""

    def __init__(self, here, number, seed, mtu=1500):
        self.near, self.far, self.beyond = f"10.77.{number}.1", f"10.77.{number}.2", Namespace()
        ours, its = multiprocessing.Pipe()
        fds = [its.fileno()]
        try:
            fds.append(here.tun(f"near{number}", self.near, mtu))
            fds.append(self.beyond.tun(f"far{number}", self.far, mtu))
            # A program of its own: it holds no descriptor but these, and so keeps nobody's connection open.
            self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), *map(str, fds), str(seed)], pass_fds=fds, stdin=subprocess.DEVNULL)
        finally:
            its.close()
            for fd in fds[1:]:
                os.close(fd)
        self.orders = ours
        self.both()  # it carries from here on

    def say(self, near_to_far, far_to_near):
        """New values of both Fates; [(taken, given)] of both directions until now."""
        self.orders.send((near_to_far, far_to_near))
        if not self.orders.poll(20):
            raise TimeoutError("the cable does not obey")
        return self.orders.recv()

    def both(self, **fate):
        return self.say(fate, fate)

    def pull(self):
        return self.both(loss=1.0)

    def plug(self):
        return self.both(loss=0.0, twice=0.0, overtaken=0.0)

    def close(self):
        """Both devices go with the process, which ends with its orders; what was sent before is carried yet."""
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            self.both()
        self.orders.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.beyond.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    _carry(int(sys.argv[2]), int(sys.argv[3]), multiprocessing.connection.Connection(int(sys.argv[1])), int(sys.argv[4]))
