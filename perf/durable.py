"""What durability costs, against redis-server: the scenarios always, everysec, snapshot, pause, huge and load of perf/compare.

Servers work in directories of their own below the directory for temporary files: point TMPDIR at the disk that is to be measured.
"""

import concurrent.futures
import os
import statistics
import time

CLIENTS = [(1, 1.8), (10, 3.0), (50, 2.0), (250, 1.2)]  # connections, at least so much of redis's acknowledged SETs per second
SETS = ("--ratio", "1:0")
SNAPSHOT_KEYS = 5_000_000
SNAPSHOT_S = 60  # how long a snapshot may take
LOAD_KEYS = 2_000_000
CUTS = 5
CUT_US = 1_000
HUGE = 2_000_000  # elements of a huge value
HUGE_US = 1_000


def log(fsync):
    return ("--appendonly", "yes", "--appendfsync", fsync)


def always(lab, paper, value, median):
    """Acknowledged SETs per second under appendfsync always, 1 shard."""
    cpus = lab.args.server_cpu
    paper.head(["connections", "kring SET/s", "redis SET/s", "ratio", "at least", "kring p99 us", "redis p99 us"])
    for clients, least in CLIENTS:
        results = {"kring": [], "redis": []}
        for number in range(lab.args.rounds):
            kinds = list(results) if number % 2 == 0 else list(results)[::-1]
            for kind in kinds:
                server = lab.start(kind, cpus, extra=log("always"))
                results[kind].append(lab.timed(server, *SETS, clients=clients))
                lab.stop(server)
        rate, p99 = ({kind: median(runs, path) for kind, runs in results.items()}
                     for path in ("ops_per_s", "latency_us/p99"))
        ratio = rate["kring"] / rate["redis"]
        missed = ratio < least or p99["kring"] > p99["redis"]
        paper.missed += missed
        paper.row([str(clients), f"{rate['kring']:.0f}", f"{rate['redis']:.0f}", f"{ratio:.2f}",
                   f"{least:g}{' MISSED' if missed else ''}", f"{p99['kring']:.0f}", f"{p99['redis']:.0f}"])
    paper.say()


def everysec(lab, paper, value, median):
    """Server CPU per SET with appendfsync everysec, against no log."""
    cpus, results = lab.args.server_cpu, {}
    for number in range(lab.args.rounds):
        for kind in ("kring", "redis") if number % 2 == 0 else ("redis", "kring"):
            for name, extra in (("no log", ()), ("everysec", log("everysec"))):
                server = lab.start(kind, cpus, extra=extra)
                results.setdefault(f"{kind}, {name}", []).append(lab.timed(server, *SETS))
                lab.stop(server)
    paper.table("SET, no pipeline, 1 shard", results, "kring, no log")
    for path, what, most in (("server/cpu_us_per_op", "CPU per SET", 1.15), ("latency_us/p99.9", "p99.9", 1.5)):
        pair = [median(results[f"kring, {name}"], path) for name in ("everysec", "no log")]
        paper.require(f"{what} with everysec against no log", pair[0] / pair[1], most)


def info(server, section, field):
    words = server.ask("INFO", section)
    return next(line.split(":", 1)[1].strip() for line in words.splitlines() if line.startswith(field + ":"))


def snapshot(lab, paper, value, median):
    """GET and SET at half load while BGSAVE writes 5 M keys, against before."""
    keys = ("--keys", SNAPSHOT_KEYS)
    server = lab.start("kring", lab.args.server_cpu)
    lab.load(server, *keys)
    half = round(lab.timed(server, *keys)["ops_per_s"] / 2)
    paced = (*keys, "--rate", half, "--spin")
    before, during, grown = [], [], []
    for _ in range(lab.args.rounds):
        before.append(lab.timed(server, *paced))
        start_kib = server.rss_kib()
        server.ask("BGSAVE")
        during.append(lab.timed(server, *paced))
        grown.append(server.rss_kib() - start_kib)
        settled(server)
    paper.table(f"{SNAPSHOT_KEYS} keys, {half} requests/s", {"before": before, "during BGSAVE": during}, "before")
    p99, p999 = (median(during, f"latency_us/{p}") for p in ("p99", "p99.9"))
    paper.require("p99 during BGSAVE against before", p99 / median(before, "latency_us/p99"), 1.5)
    paper.require("p99.9 during BGSAVE", p999 / 1000, 3.0, " ms")
    paper.say(f"- resident memory grew by at most {max(grown) / 1024:.0f} MiB of {server.rss_kib() / 1024:.0f}")
    lab.stop(server)


def settled(server):
    until = time.monotonic() + SNAPSHOT_S
    while info(server, "persistence", "rdb_bgsave_in_progress") == "1" and time.monotonic() < until:
        time.sleep(0.1)


def pause(lab, paper, value, median):
    """The pause at the start of a snapshot, --memory-keys keys, GET and SET at full rate meanwhile."""
    both = f"{lab.args.server_cpu},{lab.args.client_cpu}"
    keys = ("--keys", lab.args.memory_keys)
    paper.head(["", "cuts, us", "longest", "at most"])
    for shards, extra in ((1, ()), (2, ()), (2, log("everysec"))):
        server = lab.start("kring", both, shards, extra=extra)
        lab.load(server, *keys)
        cuts = []
        for _ in range(CUTS):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                beside = pool.submit(lab.timed, server, *keys)
                time.sleep(lab.args.warmup + lab.args.seconds / 2)
                server.ask("BGSAVE")
                beside.result()
            cuts.append(int(info(server, "persistence", "kring_snapshot_cut_usec")))
            settled(server)
        missed = max(cuts) > CUT_US
        paper.missed += missed
        paper.row([f"{shards} shard{'s' * (shards > 1)}{', log' if extra else ''}", ", ".join(map(str, cuts)), str(max(cuts)),
                   f"{CUT_US}{' MISSED' if missed else ''}"])
        lab.stop(server)
    paper.say()


def huge(lab, paper, value, median):
    """A snapshot over values of 2 M elements: the longest that it holds a shard, and the memory that it takes."""
    paper.head(["", "dataset MiB", "longest slice, us, each of 3", "at most", "more memory, MiB", "at most"])
    for name, command in (("hash", "HSET h f:__key__ v:__same__"), ("set", "SADD s m:__key__"), ("list", "RPUSH l m:__key__"),
                          ("sorted set", "ZADD z __key__ m:__same__"), ("stream", "XADD x * f v:__key__")):
        server = lab.start("kring", lab.args.server_cpu)
        lab.bench(server, "--clients", 1, "--pipeline", 100, "--commands", command, "--keys", HUGE, "--key-prefix", "",
                  "--dist", "seq", "--requests", HUGE, "--warmup", 0, timeout=lab.args.limit)
        slices, size, grown = [], server.rss_kib() / 1024, 0
        for _ in range(3):
            server.ask("BGSAVE")
            while info(server, "persistence", "rdb_bgsave_in_progress") == "1":
                grown = max(grown, server.rss_kib() / 1024 - size)
                time.sleep(0.01)
            slices.append(int(info(server, "persistence", "kring_snapshot_slice_usec")))
        most = 0.05 * size + 64
        missed = [min(slices) > HUGE_US, grown > most]
        paper.missed += sum(missed)
        paper.row([name, f"{size:.0f}", ", ".join(map(str, slices)), f"{HUGE_US}{' MISSED' if missed[0] else ''}", f"{grown:.0f}",
                   f"{most:.0f}{' MISSED' if missed[1] else ''}"])
        lab.stop(server)
    paper.say()


def load(lab, paper, value, median):
    """Loading an RDB file and an append-only log, 1 and 2 shards."""
    keys = ("--keys", LOAD_KEYS)
    both = f"{lab.args.server_cpu},{lab.args.client_cpu}"
    paper.head(["", "MB", "keys/s", "MB/s", "against redis", "at least"])
    for what, extra, leasts in (("RDB", (), {2: 2.0}), ("AOF", (*log("no"), "--auto-aof-rewrite-percentage", "0"), {2: 3.0})):
        redis = None
        for kind, shards in (("redis", 1), ("kring", 1), ("kring", 2)):
            server = lab.start(kind, both, shards, extra=extra)
            lab.load(server, *keys)
            if what == "RDB":
                server.ask("SAVE")
            folder = server.dir.name
            seconds = []
            for _ in range(lab.args.rounds):
                server.restart(kill=what == "RDB")
                seconds.append(server.loaded_in())
            size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
            took = statistics.median(seconds)
            redis = redis or took
            least = leasts.get(shards) if kind == "kring" else None
            missed = least is not None and redis / took < least
            paper.missed += missed
            paper.row([f"{what}, {kind}, {shards} shard{'s' * (shards > 1)}", f"{size / 1e6:.0f}",
                       f"{LOAD_KEYS / took:.0f}", f"{size / 1e6 / took:.0f}", f"{redis / took:.2f}",
                       "" if least is None else f"{least:g}{' MISSED' if missed else ''}"])
            lab.stop(server)
    paper.say()
