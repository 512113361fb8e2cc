"""How much fits, and what it costs to keep fitting: the scenarios full, bytes and expiry of perf/compare."""

import concurrent.futures
import itertools
import socket
import statistics
import time

from large import Asker

MIB = 1 << 20
# name, value of key n, more words of its SET
CASES = [
    ("16 B key, 32 B value", lambda n: b"%032d" % n, b""),
    ("16 B key, 256 B value", lambda n: b"%0256d" % n, b""),
    ("16 B key, 32 B value, TTL", lambda n: b"%032d" % n, b"$2\r\nEX\r\n$6\r\n100000\r\n"),
    ("16 B key, integer", lambda n: b"%d" % (10_000_000 + n), b""),
]
COUNTS = [1_000_000, 5_000_000, 10_000_000]
BATCH = 2_000
BYTES_MOST, BYTES_RATIO = 76, 0.7
FULL_CPU, FULL_TAIL = 0.8, 2
FRESH_KEYS = 10**11  # so many that hardly a SET meets a key that is there
EVICTING = 0.95  # of the SETs at least
HELD = 0.02  # by how much the keys held may change meanwhile
MORTAL = 1_000_000  # keys that expire within one second
GONE_MS, COMMAND_US = 2_000, 1_000  # after how long they are gone at most, and the longest command meanwhile
STREAM, STREAM_S, STREAM_TTL_S, DEAD = 100_000, 30, 1, 0.05  # SETs a second, for how long, their TTL; the part that may be dead
LOOK_S = 0.1


def fill(port, first, last, value, more):
    """Sets keys first..last in pipelines."""
    head = b"*5\r\n" if more else b"*3\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        for start in range(first, last, BATCH):
            part = []
            for n in range(start, min(start + BATCH, last)):
                text = value(n)
                part.append(b"%s$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%s\r\n%s" % (head, n, len(text), text, more))
            sock.sendall(b"".join(part))
            left = len(part) * len(b"+OK\r\n")
            while left:
                got = sock.recv(min(left, 1 << 16))
                if not got or got[:1] == b"-":
                    raise ValueError(f"the server said {got[:80]!r}")
                left -= len(got)


def resident_bytes(lab, paper):
    """Resident bytes per key at several sizes, just after growth, against redis-server (--only NAME for some)."""
    paper.head(["", "keys", "kring bytes", "redis bytes", "ratio", "at most"])
    for number, (name, value, more) in enumerate(CASES):
        if lab.args.only and not any(word.lower() in name.lower() for word in lab.args.only):
            continue
        found = {}
        for kind in ("kring", "redis"):
            server = lab.start(kind, lab.args.server_cpu)
            before, held = server.rss_kib(), 0
            for count in (count for count in COUNTS if count <= lab.args.memory_keys):
                fill(server.port, held, count, value, more)
                held = count
                found.setdefault(count, {})[kind] = (server.rss_kib() - before) * 1024 / count
            lab.stop(server)
        for count, each in found.items():
            ratio = each["kring"] / each["redis"]
            missed = ratio > BYTES_RATIO or number == 0 and each["kring"] > BYTES_MOST
            paper.missed += missed
            most = f"{BYTES_RATIO:g}" + (f", {BYTES_MOST} bytes" if number == 0 else "")
            paper.row([name, str(count), f"{each['kring']:.1f}", f"{each['redis']:.1f}", f"{ratio:.2f}",
                       most + (" MISSED" if missed else "")])
    paper.say()


def number(server, section, field):
    words = server.ask("INFO", section)
    return int(next(line.split(":", 1)[1] for line in words.splitlines() if line.startswith(field + ":")))


def told(server):
    """Keys evicted and commands run so far, of which nearly all are SETs."""
    return number(server, "stats", "evicted_keys"), number(server, "stats", "total_commands_processed")


def full(lab, paper, value, median):
    """SETs of new keys with memory full, so that each evicts, against redis-server with as many keys (allkeys-lru)."""
    sets, results, evicted = ("--ratio", "1:0"), {}, {}
    times, seeds = -(-lab.args.rounds // lab.args.starts), itertools.count(2)
    for round_number in range(lab.args.starts):
        for kind in ("kring", "redis") if round_number % 2 == 0 else ("redis", "kring"):
            server = lab.start(kind, lab.args.server_cpu)
            lab.load(server)
            for _ in range(times):
                results.setdefault(f"{kind}, room", []).append(lab.timed(server, *sets))
            server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            server.ask("CONFIG", "SET", "maxmemory", str(number(server, "memory", "used_memory")))
            # A seed of its own for each run: with the same one they would draw the same keys again.
            fresh = lambda: (*sets, "--keys", FRESH_KEYS, "--seed", next(seeds))
            lab.timed(server, *fresh())  # what was set in a row goes first; from now on it is mixed
            keys, before, ran = int(server.ask("DBSIZE")), *told(server)
            for _ in range(times):
                results.setdefault(f"{kind}, full", []).append(lab.timed(server, *fresh()))
            gone, sent = (after - then for after, then in zip(told(server), (before, ran)))
            evicted.setdefault(kind, []).append((gone / max(1, sent), int(server.ask("DBSIZE")) / keys))
            lab.stop(server)
    order = ("kring, room", "kring, full", "redis, room", "redis, full")
    paper.table(f"SET, no pipeline, 1 shard, {lab.args.data_size}-byte values", {name: results[name] for name in order}, "redis, full")
    for kind, pairs in evicted.items():
        share, held = min(p[0] for p in pairs), [p[1] for p in pairs]
        paper.say(f"- {kind}: {share:.2f} keys evicted per SET, {min(held):.3f} to {max(held):.3f} of the keys held")
        if share < EVICTING or any(abs(1 - part) > HELD for part in held):
            paper.say(f"- {kind} did not evict with every SET, or held another number of keys: the rows say little")
            paper.missed += 1
    cpu = [median(results[f"{kind}, full"], "server/cpu_us_per_op") for kind in ("kring", "redis")]
    paper.require("CPU per SET at full memory against redis", cpu[0] / cpu[1], FULL_CPU)
    tail = [median(results[f"kring, {name}"], "latency_us/p99.9") for name in ("full", "room")]
    paper.require("p99.9 of evicting SETs against others", tail[0] / max(tail[1], 1e-9), FULL_TAIL)


def expiry(lab, paper, value, median):
    """1 M keys that expire within one second, and a stream of 100 k SETs a second that live for one, against redis-server."""
    burst(lab, paper)
    stream(lab, paper)
    paper.say()


def burst(lab, paper):
    """How long keys that are due stay, and what other commands feel of their end, beside what the machine alone does to them."""
    paper.head(["1 M keys due within a second", "gone after, ms, each of 3", "at most", "their memory back, %", "longest command, us, each of 3",
                "without expiry", "at most", "p99.9, us", "without expiry", "expire-cycle, ms"])
    for kind in ("kring", "redis"):
        gone, back, longest, tails, cycles = [], [], [], [], []
        for _ in range(3):
            server = lab.start(kind, lab.args.server_cpu, extra=("--latency-monitor-threshold", "1"))
            empty = number(server, "memory", "used_memory")
            due_ms = int(time.time() * 1000) + 15_000
            fill_due(server.port, due_ms)
            held = number(server, "memory", "used_memory")
            reads = ("--clients", 1, "--ratio", "0:1", "--keys", 1000, "--key-prefix", "no:", "--seconds", 3.5)
            before = lab.bench(server, *reads)
            if time.time() * 1000 > due_ms - 300:
                raise ValueError("the keys were not set before they expire")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                time.sleep(max(0, due_ms / 1000 - 0.2 - time.time()))
                beside = pool.submit(lab.bench, server, *reads)
                # The last of them is due a second later.
                while int(server.ask("DBSIZE")) and time.time() < due_ms / 1000 + 60:
                    time.sleep(LOOK_S / 10)
                gone.append(time.time() * 1000 - due_ms - 1_000)
                during = beside.result()
            back.append((held - number(server, "memory", "used_memory")) / (held - empty) * 100)
            longest.append((during["latency_us"]["max"], before["latency_us"]["max"]))
            tails.append((during["latency_us"]["p99.9"], before["latency_us"]["p99.9"]))
            cycles.append(cycle_ms(server))
            lab.stop(server)
        missed = kind == "kring" and (max(gone) > GONE_MS, min(pair[0] for pair in longest) > COMMAND_US)
        paper.missed += sum(missed or ())
        most = ["", ""] if not missed else [f"{m}{' MISSED' if bad else ''}" for m, bad in zip((GONE_MS, COMMAND_US), missed)]
        listed = lambda pairs, i: ", ".join(f"{pair[i]:.0f}" for pair in pairs)
        paper.row([kind, ", ".join(f"{ms:.0f}" for ms in gone), most[0], f"{min(back):.0f}", listed(longest, 0), listed(longest, 1),
                   most[1], listed(tails, 0), listed(tails, 1), ", ".join(cycles)])
    paper.say()


def cycle_ms(server):
    """The longest piece of active expiry since the server's start."""
    asker = Asker(server.port)
    events = {event[0]: event[3] for event in asker.ask("LATENCY", "LATEST")}
    asker.close()
    return str(events.get("expire-cycle", "below 1"))


def fill_due(port, due_ms):
    """Sets keys that expire one after the other within the second from `due_ms` on."""
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        for start in range(0, MORTAL, BATCH):
            sock.sendall(b"".join(b"*5\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\n%032d\r\n$4\r\nPXAT\r\n$13\r\n%d\r\n"
                                  % (n, n, due_ms + n * 7919 % 1000) for n in range(start, start + BATCH)))
            left = BATCH * len(b"+OK\r\n")
            while left:
                left -= len(sock.recv(min(left, 1 << 16)))


def stream(lab, paper):
    """The part of the keys held that is dead while many of a short life are set."""
    paper.head([f"{STREAM} SETs/s with a TTL of {STREAM_TTL_S} s", "SETs/s", "dead keys, %, median", "most", "at most", "server CPU us/op"])
    for kind in ("kring", "redis"):
        server = lab.start(kind, lab.args.server_cpu)
        held = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            beside = pool.submit(lab.bench, server, "--clients", lab.args.clients, "--pipeline", 4, "--rate", STREAM, "--commands",
                                 f"SET __key__ __data__ PX {STREAM_TTL_S * 1000}", "--keys", FRESH_KEYS, "--seconds", STREAM_S,
                                 timeout=STREAM_S + 60)
            time.sleep(2 + STREAM_TTL_S)
            for _ in range(int((STREAM_S - 4 - STREAM_TTL_S) / LOOK_S)):
                held.append(int(server.ask("DBSIZE")))
                time.sleep(LOOK_S)
            result = beside.result()
        living = result["ops_per_s"] * STREAM_TTL_S
        dead = [max(0, keys - living) / keys * 100 for keys in held]
        lab.stop(server)
        middle, most = statistics.median(dead), max(dead)
        missed = kind == "kring" and most > DEAD * 100
        paper.missed += missed
        wanted = "" if kind != "kring" else f"{DEAD * 100:g}{' MISSED' if missed else ''}"
        paper.row([kind, f"{result['ops_per_s']:.0f}", f"{middle:.1f}", f"{most:.1f}", wanted, f"{result['server']['cpu_us_per_op']:.2f}"])
