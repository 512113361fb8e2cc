"""A job queue at work: consumers that wait in BLPOP and BRPOP, producers that push as fast as they are answered.

Run by perf/compare's scenario queue on the client's core: `workers.py PORT PID CONSUMERS SECONDS`. Every item has a number of its
own, and each number has to come to one consumer, once. Prints JSON: items, the server's CPU, what was lost or came twice.
"""

import json
import os
import select
import socket
import sys
import time

PRODUCERS = 16
DEPTH = 64  # items that a producer sends at once
DIGITS = 12
DRAIN_S = 20  # how long the last items may take
ITEMS_MAX = 20_000_000
REPLY = len(b"*2\r\n$4\r\njobs\r\n$12\r\n") + DIGITS + 2
WAITS = [b"*3\r\n$5\r\n%s\r\n$4\r\njobs\r\n$1\r\n0\r\n" % word for word in (b"BLPOP", b"BRPOP")]


def cpu_s(pid):
    """User and system seconds of a process."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


class Yard:
    """All connections, and the books of what was pushed and what came."""

    def __init__(self, port, consumers):
        self.epoll = select.epoll()
        self.consumers = [self.connect(port) for _ in range(consumers)]
        self.producers = [self.connect(port) for _ in range(PRODUCERS)]
        self.sockets = {s.fileno(): s for s in self.consumers + self.producers}
        self.request = {s.fileno(): WAITS[i % 2] for i, s in enumerate(self.consumers)}
        self.partial = {}
        self.unanswered = {}
        self.pushed = self.came = self.doubled = 0
        self.seen = bytearray(ITEMS_MAX)

    def connect(self, port):
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # One that paces (bbr) would let a consumer ask ten times a second: it takes the waiting for a slow network.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        self.epoll.register(sock, select.EPOLLIN)
        return sock

    def push(self, fd):
        items = range(self.pushed, self.pushed + DEPTH)
        self.pushed += DEPTH
        self.unanswered[fd] = DEPTH
        self.sockets[fd].sendall(b"".join(b"*3\r\n$5\r\nRPUSH\r\n$4\r\njobs\r\n$12\r\n%012d\r\n" % i for i in items))

    def receive(self, fd, more):
        """Bytes for one connection; `more`: producers go on."""
        data = self.sockets[fd].recv(65536)
        if not data or data[:1] == b"-":
            raise SystemExit(f"the server said {data!r}")
        if fd not in self.request:
            self.unanswered[fd] -= data.count(b"\n")
            if self.unanswered[fd] == 0 and more:
                self.push(fd)
            return
        data = self.partial.pop(fd, b"") + data
        if len(data) < REPLY:
            self.partial[fd] = data
            return
        item = int(data[-DIGITS - 2:-2])
        self.came += 1
        self.doubled += self.seen[item]
        self.seen[item] = 1
        self.sockets[fd].sendall(self.request[fd])

    def run(self, seconds):
        """Pushes for so long, then waits until all has come."""
        for consumer in self.consumers:
            consumer.sendall(self.request[consumer.fileno()])
        time.sleep(0.5)
        for producer in self.producers:
            self.push(producer.fileno())
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until + DRAIN_S:
            more = now < until and self.pushed < ITEMS_MAX - PRODUCERS * DEPTH
            if not more and self.came >= self.pushed:
                return
            for fd, _ in self.epoll.poll(0.1):
                self.receive(fd, more)


def main():
    port, pid, consumers, seconds = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    yard = Yard(port, consumers)
    time.sleep(0.2)
    cpu, began = cpu_s(pid), time.monotonic()
    yard.run(seconds)
    took = time.monotonic() - began
    lost = yard.pushed - sum(yard.seen)
    json.dump({"items": yard.came, "cpu_s": cpu_s(pid) - cpu, "seconds": took, "lost": lost, "doubled": yard.doubled},
              sys.stdout)


if __name__ == "__main__":
    main()
