"""What commands of every type cost, against redis-server: the rows of perf/compare's scenarios types, values and multi.

A row is a name, what to fill the servers with, and the requests to time. Requests are kring-bench's templates.
"""

import socket


class Filler:
    """A plain client that writes many commands and counts their replies."""

    BATCH = 1000

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 30)
        self.replies = self.sock.makefile("rb")
        self.buffer, self.waiting = [], 0

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.buffer.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        if len(self.buffer) >= self.BATCH:
            self.flush()

    def flush(self):
        self.sock.sendall(b"".join(self.buffer))
        for _ in self.buffer:
            line = self.replies.readline()
            if line[:1] == b"-":
                raise ValueError(line.decode(errors="replace").strip())
            if line[:1] == b"$" and int(line[1:]) >= 0:
                self.replies.read(int(line[1:]) + 2)
        self.buffer.clear()

    def close(self):
        self.flush()
        self.sock.close()


def name(prefix, number):
    """A key as kring-bench writes it."""
    return f"{prefix}{number:012d}"


def lists(fill, count):
    for i in range(count):
        fill("RPUSH", name("l:", i), *(f"element:{j:04d}" for j in range(100)))


def sets(fill, count):
    for i in range(count):
        fill("SADD", name("s:", i), *(f"member:{j:04d}" for j in range(20)))


def hashes(fill, count):
    for i in range(count):
        fill("HSET", name("h:", i), *(word for j in range(10) for word in (f"field:{j}", f"value:{j:08d}")))


def zsets(fill, count):
    for i in range(0, 100_000, 100):
        fill("ZADD", "z:big", *(word for j in range(i, i + 100) for word in (j * 7 % 100_000, name("m:", j))))
    for i in range(count):
        fill("ZADD", name("z:", i), *(word for j in range(100) for word in (j, f"member:{j:04d}")))


def streams(fill, count):
    for i in range(count):
        for j in range(10):
            fill("XADD", name("x:", i), f"{j + 1}-1", "field", f"value:{j:08d}")


def places(fill, _count):
    for i in range(10_000):
        fill("GEOADD", "g", -10 + (i * 37 % 10_000) / 500, 40 + (i * 91 % 10_000) / 1000, f"place:{i}")


KEYS = 10_000
# name, filler, key prefix, requests, the most that the ratio of CPU per op may be without pipeline and at 32
TYPES = [
    ("LPUSH, LPOP", None, "q:", ["LPUSH __key__ __data__", "LPOP __key__"], 0.9, 0.6),
    ("LRANGE of 100", lists, "l:", ["LRANGE __key__ 0 -1"], 0.9, 0.9),
    ("SADD", sets, "s:", ["SADD s:big __key__"], 0.9, 0.6),
    ("SISMEMBER", sets, "s:", ["SISMEMBER __key__ member:0011"], 0.9, 0.6),
    ("HSET", hashes, "h:", ["HSET __key__ field:5 value:99999999"], 0.9, 0.6),
    ("HGET", hashes, "h:", ["HGET __key__ field:5"], 0.9, 0.6),
    ("HGETALL of 10", hashes, "h:", ["HGETALL __key__"], 0.9, 0.9),
    ("ZADD", zsets, "m:", ["ZADD z:big 50000 __key__"], 0.9, 0.6),
    ("ZRANGE of 100", zsets, "z:", ["ZRANGE __key__ 0 -1"], 0.9, 0.9),
    ("ZRANK", zsets, "m:", ["ZRANK z:big __key__"], 0.9, 0.6),
    ("ZINCRBY", zsets, "m:", ["ZINCRBY z:big 1 __key__"], 0.9, 0.6),
    ("XADD", None, "x:", ["XADD __key__ MAXLEN ~ 1000 * field __data__"], 0.9, 0.6),
    ("XREAD of 10", streams, "x:", ["XREAD COUNT 10 STREAMS __key__ 0"], 0.9, 0.9),
    ("PFADD", None, "p:", ["PFADD hll:1 __key__"], 0.9, 0.6),
    ("GEOSEARCH", places, "g:", ["GEOSEARCH g FROMLONLAT 0 45 BYRADIUS 100 km"], 0.9, 0.9),
]

# Sizes of values, and how many keys have one.
VALUES_KB = (4, 16, 24, 40, 64, 100, 256, 500, 1024, 4096)
VALUES = 20

TEN = " ".join(["__key__"] * 10)
TEN_PAIRS = " ".join(["__key__ __data__"] * 10)
FIVE = "MULTI ; SET {t}a __data__ ; GET {t}a ; INCR {t}n ; SET {t}b __data__ ; GET {t}b ; EXEC"
# name, requests, pipeline, the most that the ratio may be; on two shards and both cores
MULTI = [
    ("MGET of 10 keys on 2 shards", f"MGET {TEN}", 1, 0.9),
    ("MGET of 10 keys on 2 shards", f"MGET {TEN}", 16, 0.7),
    ("MSET of 10 keys on 2 shards", f"MSET {TEN_PAIRS}", 1, 0.9),
    ("MSET of 10 keys on 2 shards", f"MSET {TEN_PAIRS}", 16, 0.7),
    ("MULTI of 5 on one hash tag, 2 shards", FIVE, 1, None),
    ("MULTI of 5 over 2 shards",
     "MULTI ; SET __key__ __data__ ; GET __key__ ; INCR n:__key__ ; SET __key__ __data__ ; GET __key__ ; EXEC", 1, None),
]

# What holding several stores costs at full load: name, requests, pipeline, choice of keys.
HELD = [
    ("MGET of 10", f"MGET {TEN}", 1, "uniform"),
    ("MGET of 10", f"MGET {TEN}", 16, "uniform"),
    ("MGET of 10, Zipf", f"MGET {TEN}", 16, "zipf"),
    ("MSET of 10", f"MSET {TEN_PAIRS}", 1, "uniform"),
    ("MSET of 10", f"MSET {TEN_PAIRS}", 16, "uniform"),
    ("MSET of 10, Zipf", f"MSET {TEN_PAIRS}", 16, "zipf"),
]


def fill(server, filler, count=KEYS):
    """Fills a server; for rows that need something to be there."""
    if filler:
        client = Filler(server.port)
        filler(client.send, count)
        client.close()


def measure(lab, servers, rounds, requests, pipeline, prefix, keys, cpus=None):
    """Results by server name of one row, taken in turn."""
    flags = ["--pipeline", pipeline, "--keys", keys, "--key-prefix", prefix]
    for request in requests:
        flags += ["--commands", request]
    subjects = [(s.name, lambda s=s: lab.timed(s, *flags, cpus=cpus)) for s in servers]
    return lab.rounds(subjects, rounds)


def types(lab, paper, wanted, ratio, cpu):
    """Single commands of every type."""
    paper.head(["", "pipeline", "kring us/op", "redis us/op", "ratio", "at most"])
    for title, filler, prefix, requests, plain, piped in TYPES:
        if wanted and not any(w.lower() in title.lower() for w in wanted):
            continue
        servers = [lab.start(kind, lab.args.server_cpu) for kind in ("kring", "redis")]
        for server in servers:
            fill(server, filler)
        for pipeline, most in ((1, plain), (32, piped)):
            results = measure(lab, servers, lab.args.rounds, requests, pipeline, prefix, KEYS)
            paper.verdict([title, str(pipeline)], results, most, ratio, cpu)
        lab.stop_all()


def values(lab, paper, wanted, ratio, cpu):
    """SET and GET of values by size, of so few keys that what ends and what comes can lie in the same memory."""
    paper.head(["", "KB", "kring us/op", "redis us/op", "ratio", "at most"])
    for size in VALUES_KB:
        if wanted and str(size) not in wanted:
            continue
        servers = [lab.start(kind, lab.args.server_cpu) for kind in ("kring", "redis")]
        flags = ["--keys", VALUES, "--data-size", size << 10]
        for server in servers:
            lab.load(server, *flags)
        for title, request in (("SET", "SET __key__ __data__"), ("GET", "GET __key__")):
            subjects = [(s.name, lambda s=s, r=request: lab.timed(s, *flags, "--commands", r)) for s in servers]
            paper.verdict([title, str(size)], lab.rounds(subjects, lab.args.rounds), 1.0, ratio, cpu)
        lab.stop_all()


def multi(lab, paper, wanted, ratio, cpu):
    """Several keys at once, against redis-server: one hash tag on one core, others on two shards."""
    paper.head(["", "pipeline", "kring us/op", "redis us/op", "ratio", "at most"])
    both = f"{lab.args.server_cpu},{lab.args.client_cpu}"
    tagged = [("MULTI of 5 on one hash tag, 1 shard", FIVE, 1, 0.8)]
    for shards, cpus, rows in ((1, lab.args.server_cpu, tagged), (2, both, MULTI)):
        rows = [row for row in rows if not wanted or any(w.lower() in row[0].lower() for w in wanted)]
        if not rows:
            continue
        servers = [lab.start("kring", cpus, shards), lab.start("redis", cpus)]
        for server in servers:
            lab.load(server, "--keys", 100_000)
        clients = None if shards == 1 else both
        for title, request, pipeline, most in rows:
            results = measure(lab, servers, lab.args.rounds, [request], pipeline, "key:", 100_000, clients)
            paper.verdict([title, str(pipeline)], results, most, ratio, cpu)
        lab.stop_all()


def taken(server):
    """How many stores a server took, did not get at once, and how many commands were mailed or got a loan."""
    info = dict(line.split(":", 1) for line in server.ask("INFO", "everything").splitlines() if ":" in line)
    return [int(info[f"kring_{name}"]) for name in ("borrows", "borrow_misses", "hops", "loans")]


def stores(lab, paper, wanted, median, cpu):
    """Commands of many keys over 1, 2, 4 and 8 shards: cost, and how often a store was not there."""
    paper.head(["", "pipeline", "shards", "us/op", "against redis", "p99 us", "takes per op", "missed of 1000",
                "hops of 1000 ops", "loans of 1000 ops"])
    both = f"{lab.args.server_cpu},{lab.args.client_cpu}"
    servers = []
    for shards in (1, 2, 4, 8):
        servers.append(lab.start("kring", both, shards))
        servers[-1].name = str(shards)
    servers.append(lab.start("redis", both))
    for server in servers:
        lab.load(server, "--keys", 100_000)
    for title, request, pipeline, dist in HELD:
        if wanted and not any(w.lower() in title.lower() for w in wanted):
            continue
        flags = ["--pipeline", pipeline, "--keys", 100_000, "--dist", dist, "--commands", request]
        counts = {server.name: [0] * 5 for server in servers}

        def run(server, flags=flags, counts=counts):
            before = taken(server) if server.name != "redis" else []
            result = lab.timed(server, *flags, cpus=both)
            if before:
                found = [b - a for a, b in zip(before, taken(server))]
                # INFO has counted the warm-up too, so its operations are put at the measured rate: these columns are estimates.
                found.append(result["ops_per_s"] * (lab.args.seconds + lab.args.warmup))
                counts[server.name] = [a + b for a, b in zip(counts[server.name], found)]
            return result

        results = lab.rounds([(s.name, lambda s=s: run(s)) for s in servers], lab.args.rounds)
        redis = median(results["redis"], cpu)
        for server in servers[:-1]:
            us, p99 = median(results[server.name], cpu), median(results[server.name], "latency_us/p99")
            borrows, misses, hops, loans, ops = counts[server.name]
            paper.row([title, str(pipeline), server.name, f"{us:.2f}", f"{us / redis:.2f}", f"{p99:.0f}", f"{borrows / ops:.2f}",
                       f"{1000 * misses / max(1, borrows):.2f}", f"{1000 * hops / ops:.2f}", f"{1000 * loans / ops:.2f}"])
    lab.stop_all()
