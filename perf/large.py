"""Large collections, against redis-server: the memory that they take, and what they cost while and after they grow.

The rows of perf/compare's scenarios collections and growth. Servers are filled by kring-bench, with the same requests in the same
order for both; templates are kring-bench's.
"""

import contextlib
import os
import re
import socket
import time

PIPELINE = 100
FILLERS = 10  # connections that fill
WARMUP = 100_000  # requests that touch the buffers of connections before the first reading
SPARSE = 50  # elements are drawn from so many times as many: one in a hundred comes twice
BATCH = 10  # elements of a command that fills for the table of costs
SETTLE_S = 30  # how long a server may take to come to rest after it was filled
STILL_S = 7  # what rest is
SLOW_US = 50  # commands that take longer are noted by the server itself
NOTED = 100_000

FIELDS = " ".join(f"field:{i} value:{i:08d}" for i in range(10))
MEMBERS = " ".join(f"{i * 7} member:{i:04d}" for i in range(10))
# name, the command that adds to it, elements of a command, the part of --members that is added, the most that the ratio may be
COLLECTIONS = [
    ("small hashes of 10 fields", f"HSET h:__key__ {FIELDS}", 10, 0.1, 1.0),
    ("small sorted sets of 10", f"ZADD z:__key__ {MEMBERS}", 10, 0.1, 1.0),
    ("one sorted set", "ZADD z __key__ m:__key__", 1, 1, 0.6),
    ("one set", "SADD s m:__key__", 1, 1, 0.6),
    ("one list", "RPUSH l m:__key__", 1, 1, 1.0),
    ("one hash", "HSET h f:__key__ v:__key__", 1, 1, 0.6),
]

LONGEST_US = 1_000

# What to fill with: the head of a command, and an element of it.
FILL = {
    "zset": ("ZADD z", "__key__ m:__same__"),
    "set": ("SADD s", "m:__key__"),
    "hash": ("HSET h", "f:__key__ v:0000"),
}
# name, what to fill with, the requests to time, the requests to grow with one by one, the longest that one may take, us
GROWTH = [
    ("SET", None, None, "SET grows:__key__ v", 100),
    ("ZADD", "zset", "ZADD z __key__ m:__key__", "ZADD grows __key__ m:__same__", LONGEST_US),
    ("ZRANK", "zset", "ZRANK z m:__key__", None, None),
    ("ZRANGE of 10", "zset", "ZRANGE z __key__ +inf BYSCORE LIMIT 0 10", None, None),
    ("SADD", "set", "SADD s m:__key__", "SADD grows m:__key__", LONGEST_US),
    ("HSET", "hash", "HSET h f:__key__ v:0000", "HSET grows f:__key__ v:0000", LONGEST_US),
]
SIZES = (1_000, 100_000)  # and --members
RUNS = 3  # work comes again in each of them at about the same size; what the machine does in one of them does not
PARTS = 50  # what is about the same size
APART = str.maketrans(":mf", "   ")  # what stands around numbers in commands that grow
ALONE_S = 10  # how long the machine is watched without a server


class Asker:
    """A plain client."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        self.replies = self.sock.makefile("rb")

    def ask(self, *words):
        words = [str(w).encode() for w in words]
        self.sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.replies.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ValueError(rest.decode(errors="replace"))
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"$":
            return self.replies.read(int(rest) + 2)[:-2].decode(errors="replace") if int(rest) >= 0 else None
        return int(rest) if kind == b":" else rest.decode()

    def used(self):
        """The bytes that the server says it uses."""
        lines = self.ask("INFO", "memory").splitlines()
        return next(int(line.split(":")[1]) for line in lines if line.startswith("used_memory:"))

    def close(self):
        self.replies.close()
        self.sock.close()


def settled(server, asker):
    """Waits until memory stands still: a rehash goes on after the last command, and what is held ready for more growth goes back
    after some seconds without any. Resident KiB, and bytes used."""
    until, before, still = time.monotonic() + SETTLE_S, None, 0
    while time.monotonic() < until and still < STILL_S:
        now = (server.rss_kib() // 256, asker.used() >> 18)
        still = still + 1 if now == before else 0
        before = now
        time.sleep(1)
    return server.rss_kib(), asker.used()


def collections(lab, paper, wanted):
    """Memory of collections, against redis-server: resident growth and what the server says it uses."""
    members = lab.args.members
    paper.head(["", "elements", "kring RSS MiB", "redis RSS MiB", "ratio", "at most", "kring used MiB", "redis used MiB",
                "ratio", "kring bytes per element"])
    for name, command, width, part, most in COLLECTIONS:
        if wanted and not any(w.lower() in name for w in wanted):
            continue
        total = int(members * part)
        grown = {}
        for kind in ("kring", "redis"):
            server = lab.start(kind, lab.args.server_cpu)
            asker = Asker(server.port)

            def fill(command, requests):
                lab.bench(server, "--clients", FILLERS, "--pipeline", PIPELINE, "--commands", command, "--keys",
                          total * SPARSE, "--key-prefix", "", "--requests", requests, "--warmup", 0,
                          timeout=lab.args.limit)

            # Buffers of connections are no part of a collection: the same words come first where they leave nothing behind.
            fill(" ".join(["EXISTS", *command.split()[1:]]), WARMUP)
            rss, used = settled(server, asker)
            fill(command, total)
            full = settled(server, asker)
            grown[kind] = [(full[0] - rss) / 1024, (full[1] - used) / 2**20]
            asker.close()
            lab.stop(server)
        ours, theirs = grown["kring"], grown["redis"]
        got = ours[0] / max(theirs[0], 1e-9)
        paper.missed += got > most
        # Nearly so many: one in a hundred came twice.
        each = ours[0] * 2**20 / (total * width)
        paper.row([name, f"{total * width / 1e6:g} M", f"{ours[0]:.1f}", f"{theirs[0]:.1f}", f"{got:.3f}",
                   f"{most:g}{' MISSED' if got > most else ''}", f"{ours[1]:.0f}", f"{theirs[1]:.0f}",
                   f"{ours[1] / max(theirs[1], 1e-9):.2f}", f"{each:.0f}"])
    paper.say()


def growth(lab, paper, wanted, median, cpu):
    """CPU per op with 10^3, 10^5 and --members elements, pipeline 32, and the longest single command on the way there."""
    costs(lab, paper, wanted, median, cpu)
    longest(lab, paper, wanted)


def costs(lab, paper, wanted, median, cpu):
    rows = [row for row in GROWTH if row[2] and (not wanted or any(w.lower() in row[0].lower() for w in wanted))]
    if not rows:
        return
    sizes = [*(size for size in SIZES if size < lab.args.members), lab.args.members]
    paper.head(["CPU us/op", *(f"kring {size:,}" for size in sizes), *(f"redis {size:,}" for size in sizes)])
    table = {}
    for size in sizes:
        servers = [lab.start(kind, lab.args.server_cpu) for kind in ("kring", "redis")]
        for server in servers:
            for head, element in (FILL[kind] for kind in dict.fromkeys(row[1] for row in rows)):
                command = " ".join([head, *[element] * BATCH])
                lab.bench(server, "--clients", 1, "--pipeline", PIPELINE, "--commands", command, "--keys", size,
                          "--key-prefix", "", "--dist", "scatter", "--requests", size // BATCH, "--warmup", 0,
                          timeout=lab.args.limit)
        for name, _, request, *_ in rows:
            flags = ["--pipeline", 32, "--keys", size, "--key-prefix", "", "--commands", request]
            subjects = [(s.name, lambda s=s: lab.timed(s, *flags)) for s in servers]
            for server, results in lab.rounds(subjects, lab.args.rounds).items():
                table[name, server, size] = median(results, cpu)
        lab.stop_all()
    for name, *_ in rows:
        paper.row([name, *(f"{table[name, server, size]:.3f}" for server in ("kring", "redis") for size in sizes)])
    paper.say()


def before_others(server):
    """Lets nothing else have the server's core, where that is allowed: its own times are then of its own work."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(1))


def longest(lab, paper, wanted):
    """The longest commands by the server's own clock, and the longest that came in every run in the same part of the growth: a core
    that a hypervisor takes away for some milliseconds is in the first, work is in both."""
    members = lab.args.members
    gaps = alone(lab.args.server_cpu)
    paper.head(["one by one", "elements", "kring longest us, each run", "above 1 ms", "in every run", "redis longest us", "above 1 ms"])
    verdicts = []
    for name, _, _, request, limit in GROWTH:
        if request is None or wanted and not any(w.lower() in name.lower() for w in wanted):
            continue
        found = [grown(lab, "kring", request, members) for _ in range(RUNS)]
        again = max(min(max((us for us, at in noted if at * PARTS // members == part), default=0) for noted in found)
                    for part in range(PARTS))
        verdicts.append((f"the longest {name} while all grows", again, limit, " us"))
        theirs = grown(lab, "redis", request, members)
        cells = [", ".join(str(most(noted)) for noted in runs) for runs in (found, [theirs])]
        above = [", ".join(str(sum(us > LONGEST_US for us, _ in noted)) for noted in runs) for runs in (found, [theirs])]
        paper.row([name, f"{members / 1e6:g} M", cells[0], above[0], str(again), cells[1], above[1]])
    paper.say()
    gaps += alone(lab.args.server_cpu)
    above = sum(us > LONGEST_US for us in gaps)
    paper.say(f"- the same core with a program on it that only looks at the clock, {ALONE_S} s before and after: {above} gaps above "
              f"1 ms ({above / (2 * ALONE_S):.1f} a second), the longest {max(gaps, default=0)} us")
    for verdict in verdicts:
        paper.require(*verdict)


def alone(cpu):
    """What the machine itself takes: the gaps between two looks at the clock that SLOWLOG would have noted, us, on the first of some cores."""
    kept, gaps = os.sched_getaffinity(0), []
    os.sched_setaffinity(0, {int(re.match(r"\d+", cpu).group())})
    until = (last := time.perf_counter_ns()) + ALONE_S * 10**9
    while last < until:
        now = time.perf_counter_ns()
        if now - last > SLOW_US * 1000:
            gaps.append((now - last) // 1000)
        last = now
    os.sched_setaffinity(0, kept)
    return gaps


def most(noted):
    return max((us for us, _ in noted), default=0)


def grown(lab, kind, request, members):
    """Grows a collection by one element a command. The commands that the server noted as slow: us, and how many were before it."""
    server = lab.start(kind, lab.args.server_cpu)
    before_others(server)
    asker = Asker(server.port)
    asker.ask("CONFIG", "SET", "slowlog-max-len", NOTED)
    asker.ask("CONFIG", "SET", "slowlog-log-slower-than", SLOW_US)
    lab.bench(server, "--clients", 1, "--pipeline", PIPELINE, "--commands", request, "--keys", members,
              "--key-prefix", "", "--dist", "seq", "--requests", members, "--warmup", 0, timeout=lab.args.limit)
    entries = [entry for entry in asker.ask("SLOWLOG", "GET", NOTED) if entry[3][1].startswith("grows")]
    asker.close()
    lab.stop(server)
    # The number is in the key, or behind it.
    return [(entry[2], int(" ".join(entry[3][1:]).translate(APART).split()[1])) for entry in entries]
