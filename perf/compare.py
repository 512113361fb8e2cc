"""Paired comparison of kring with redis-server, valkey-server and the physical limit.

All servers of a scenario run at the same time, pinned; the load goes to one after the other, A B, B A, A B, ...,
so that a slow minute of the machine hits all, and anew with fresh processes. What is told are medians over the
rounds, and ratios of medians; "spread" is (max - min) / median of the CPU per op. Each scenario is one row or two of the table in perf/README.md
and says whether kring meets it. Exit code: 0 all met or nothing required, 2 something missed, 1 could not measure.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import capacity
import durable
import families
import large

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
READY_S = 20  # how long a server may take to answer PING
LOAD_S = 300  # how long filling the keyspace may take
SLACK_S = 60  # how much longer than its measured time a run may take
BEHIND_S = 0.5  # an open loop that ends this far behind its schedule was not at equal load
OPEN_FILES = 30_000
MEMTIER_FIRST = 10**11  # memtier does not pad numbers: from here on they have 12 digits, so keys have 16 bytes


class Failed(Exception):
    """A measurement could not be made; the message says why."""


class Server:
    """A process under test: starts pinned, answers PING, is killed by `stop`."""

    def __init__(self, name, command, cpus, port):
        self.name, self.port = name, port
        self.log = tempfile.TemporaryFile()
        self.dir = tempfile.TemporaryDirectory(prefix="kring-compare-")
        self.command = ["taskset", "-c", cpus, *command]
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
            cwd=self.dir.name)
        self.pid = self.process.pid
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def restart(self, kill):
        """Ends the process and starts it again with what it has left in its directory."""
        self.process.kill() if kill else self.process.terminate()
        self.process.wait(LOAD_S)
        self.began = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        cwd=self.dir.name)
        self.pid = self.process.pid

    def loaded_in(self):
        """Seconds from the start to the first PONG."""
        self.wait_ready(LOAD_S, 0.005)
        return time.monotonic() - self.began

    def ask(self, *words):
        """One command's reply, a bulk string or a line."""
        with socket.create_connection(("127.0.0.1", self.port), LOAD_S) as sock:
            sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            replies = sock.makefile("rb")
            line = replies.readline().decode()
            return replies.read(int(line[1:])).decode() if line[:1] == "$" else line[1:].strip()

    def wait_ready(self, limit=READY_S, pause=0.05):
        until = time.monotonic() + limit
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.sendall(b"*1\r\n$4\r\nPING\r\n")
                if sock.recv(64)[:1] == b"+":
                    return
            time.sleep(pause)
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip().splitlines()[-3:]
        raise Failed(f"{self.name} does not answer on port {self.port}: {' | '.join(said) or 'it said nothing'}")

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status") as status:
            return int(next(line.split()[1] for line in status if line.startswith("VmRSS:")))

    def cpu(self):
        """User and system seconds."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13]]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        self.dir.cleanup()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Lab:
    """The settings, and the servers and generators they lead to."""

    def __init__(self, args):
        self.args = args
        self.running = []

    def start(self, kind, cpus, shards=1, extra=()):
        """Starts a server of a kind: kring, redis, valkey or constant."""
        port, args = free_port(), self.args
        binary = {"kring": args.kring_bin, "redis": args.redis_bin, "valkey": args.valkey_bin}.get(kind)
        command = [binary, "--port", str(port), "--save", "", "--maxclients", "20000"]
        if kind == "constant":
            seconds, size = str(args.limit), str(args.data_size)
            command = [args.bench_bin, "--serve-constant", f"127.0.0.1:{port}", "--seconds", seconds,
                       "--data-size", size]
        elif kind == "kring" and "kring" in os.path.basename(binary):
            command += ["--shards", str(shards), "--cpu-list", cpus]
        command += extra
        server = Server(kind, command, cpus, port)
        self.running.append(server)
        return server

    def stop(self, server):
        self.running.remove(server)
        server.stop()

    def stop_all(self):
        while self.running:
            self.running.pop().stop()

    def peers(self):
        """The servers that kring is compared with."""
        return ["redis"] + (["valkey"] if shutil.which(self.args.valkey_bin) else [])

    def bench(self, server, *flags, cpus=None, timeout=None):
        """One run of kring-bench; its JSON."""
        args = self.args
        command = ["taskset", "-c", cpus or args.client_cpu, args.bench_bin, "--port", str(server.port),
                   "--server-pid", str(server.pid), "--json", "-", "--keys", str(args.keys),
                   "--data-size", str(args.data_size), *map(str, flags)]
        timeout = timeout or args.seconds + args.warmup + SLACK_S
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout, text=True)
        except subprocess.TimeoutExpired as slow:
            raise Failed(f"{server.name}: the run took more than {timeout:.0f} s") from slow
        if done.returncode:
            raise Failed(f"{server.name}: {done.stderr.strip()}")
        if "--load-only" in flags:
            return None
        result = json.loads(done.stdout)
        if result["errors"] or result["wrong"]:
            raise Failed(f"{server.name}: {result['errors']} errors, {result['wrong']} wrong replies; "
                         f"first: {result['first_error']}")
        return result

    def load(self, server, *flags):
        self.bench(server, "--load", "--load-only", *flags, timeout=LOAD_S)

    def timed(self, server, *flags, cpus=None, clients=None):
        """One measured run with the settings' clients and time."""
        args = self.args
        flags = ("--clients", clients or args.clients, "--seconds", args.seconds, "--warmup", args.warmup, *flags)
        return self.bench(server, *flags, cpus=cpus)

    def memtier(self, server, pipeline):
        """One run of memtier_benchmark, told as kring-bench tells its own."""
        args = self.args
        with tempfile.NamedTemporaryFile("r", suffix=".json") as out:
            command = ["taskset", "-c", args.client_cpu, "memtier_benchmark", "-p", str(server.port), "-t", "1",
                       "-c", str(args.clients), "--pipeline", str(pipeline), "--ratio", "1:10", "-d",
                       str(args.data_size), "--key-prefix", "key:", "--key-minimum", str(MEMTIER_FIRST),
                       "--key-maximum", str(MEMTIER_FIRST + args.keys - 1),
                       "--test-time", str(max(1, round(args.seconds))), "--hide-histogram", "--json-out-file", out.name]
            before = server.cpu()
            run = subprocess.run(command, capture_output=True, timeout=args.seconds + SLACK_S, text=True)
            user, system = (b - a for a, b in zip(before, server.cpu()))
            if run.returncode:
                raise Failed(f"memtier_benchmark: {run.stderr.strip()[-200:]}")
            totals = json.load(out)["ALL STATS"]["Totals"]
        ops = max(1, totals["Count"])
        times = {name: totals["Percentile Latencies"][f"p{p}"] * 1000
                 for name, p in [("p50", "50.00"), ("p99", "99.00"), ("p99.9", "99.90")]}
        server_cost = {"cpu_us_per_op": (user + system) * 1e6 / ops, "user_us_per_op": user * 1e6 / ops,
                       "system_us_per_op": system * 1e6 / ops}
        return {"ops_per_s": totals["Ops/sec"], "latency_us": times, "server": server_cost}

    def rounds(self, subjects, count):
        """Runs every subject's function in each round, in turn; lists of results by name."""
        results = {name: [] for name, _ in subjects}
        for number in range(count):
            for name, run in subjects if number % 2 == 0 else reversed(subjects):
                results[name].append(run())
                print(f"  {name}: {results[name][-1]['ops_per_s']:.0f} ops/s", file=sys.stderr)
        return results

    def campaign(self, specs, cpus, *runs, keys=()):
        """Starts and fills servers, measures them in turn, and does so anew `--starts` times: where a process's
        memory comes to lie makes it some percent faster or slower for life. Results by name, for each of `runs`."""
        args, all_results = self.args, [{} for _ in runs]
        for _ in range(args.starts):
            specs = specs[::-1]
            servers = []
            for name, kind, shards in specs:
                servers.append(self.start(kind, cpus, shards))
                servers[-1].name = name
                if kind != "constant":
                    self.load(servers[-1], *keys)
            for run, results in zip(runs, all_results):
                subjects = [(s.name, lambda s=s: run(s)) for s in servers]
                for name, found in self.rounds(subjects, -(-args.rounds // args.starts)).items():
                    results.setdefault(name, []).extend(found)
            self.stop_all()
        names = [name for name, _, _ in sorted(specs, key=lambda spec: (spec[1] != "kring", spec[2]))]
        return [{name: results[name] for name in names} for results in all_results]


def value(result, path):
    for key in path.split("/"):
        result = result[key]
    return result


def median(results, path):
    return statistics.median(value(r, path) for r in results)


COLUMNS = [
    ("CPU us/op", "server/cpu_us_per_op", "{:.3f}"),
    ("user", "server/user_us_per_op", "{:.3f}"),
    ("system", "server/system_us_per_op", "{:.3f}"),
    ("ops/s", "ops_per_s", "{:.0f}"),
    ("p50 us", "latency_us/p50", "{:.1f}"),
    ("p99 us", "latency_us/p99", "{:.1f}"),
    ("p99.9 us", "latency_us/p99.9", "{:.1f}"),
]


class Paper:
    """Collects the markdown of a run and the verdicts in it."""

    def __init__(self):
        self.lines, self.missed = [], 0

    def say(self, line=""):
        self.lines.append(line)
        print(line, flush=True)

    def row(self, cells):
        self.say("| " + " | ".join(cells) + " |")

    def head(self, cells):
        self.row(cells)
        self.say("|" + "---|" * len(cells))

    def table(self, title, results, base):
        """Medians per subject, then each other subject's ratio to `base`."""
        self.say(f"\n### {title}\n")
        self.head([""] + [name for name, _, _ in COLUMNS] + ["spread"])
        for name, runs in results.items():
            cpu = [value(r, COLUMNS[0][1]) for r in runs]
            spread = (max(cpu) - min(cpu)) / max(statistics.median(cpu), 1e-9)
            cells = [form.format(median(runs, path)) for _, path, form in COLUMNS]
            self.row([name, *cells, f"{spread * 100:.0f}%"])
        for name, runs in results.items():
            if name != base:
                pairs = [(median(runs, path), median(results[base], path)) for _, path, _ in COLUMNS]
                self.row([f"{name} / {base}", *(f"{a / b:.2f}" if b else "-" for a, b in pairs), ""])
        self.say()

    def verdict(self, cells, results, most, ratio, cpu):
        """A row of a table of ratios."""
        got = ratio(results, cpu, "kring", "redis")
        missed = most is not None and got > most
        self.missed += missed
        costs = [f"{median(results[name], cpu):.3f}" for name in ("kring", "redis")]
        wanted = "" if most is None else f"{most:g}{' MISSED' if missed else ''}"
        self.row([*cells, *costs, f"{got:.2f}", wanted])

    def require(self, what, got, most, unit="x"):
        met = got <= most
        self.missed += not met
        shown = f"{got:.0f}" if got >= 100 else f"{got:.3g}"
        self.say(f"- {what}: **{shown}{unit}**, required at most {most:g}{unit}: {'met' if met else 'MISSED'}")


def ratio(results, path, a, b):
    return median(results[a], path) / max(median(results[b], path), 1e-9)


CPU = "server/cpu_us_per_op"


def pipelined(lab, paper, pipeline, others, title):
    """kring on one core against others, closed loop."""
    specs = [(kind, kind, 1) for kind in ["kring", *others]]
    cpus = lab.args.server_cpu
    [results] = lab.campaign(specs, cpus, lambda s: lab.timed(s, "--pipeline", pipeline))
    paper.table(title, results, others[0])
    real = [spec for spec in specs if spec[0] != "constant"]
    if lab.args.memtier and shutil.which("memtier_benchmark") and len(real) > 1:
        keys = ("--key-prefix", "key:1", "--key-width", 11)
        [told] = lab.campaign(real, cpus, lambda s: lab.memtier(s, pipeline), keys=keys)
        paper.table(f"{title}, by memtier_benchmark", told, others[0])
    return results


def p1(lab, paper):
    """No pipeline, one shard."""
    results = pipelined(lab, paper, 1, lab.peers(), "No pipeline, 1 shard")
    paper.require("server CPU per op, no pipeline, against redis", ratio(results, CPU, "kring", "redis"), 0.90)


def p32(lab, paper):
    """Pipeline 32, one shard."""
    results = pipelined(lab, paper, 32, lab.peers(), "Pipeline 32, 1 shard")
    paper.require("server CPU per op, pipeline 32, against redis", ratio(results, CPU, "kring", "redis"), 0.45)
    user = median(results["kring"], "server/user_us_per_op")
    paper.require("its user-space part", user, 0.10, " us")


def constant(lab, paper):
    """kring against the physical limit."""
    for pipeline in (1, 32):
        pipelined(lab, paper, pipeline, ["constant"], f"The physical limit, pipeline {pipeline}")


def open_loop(lab, paper):
    """Equal offered load: half of redis's maximum."""
    cpus = lab.args.server_cpu
    [closed] = lab.campaign([("redis", "redis", 1)], cpus, lab.timed)
    most = median(closed["redis"], "ops_per_s")
    rate = round(most / 2)

    def run(server):
        result = lab.timed(server, "--rate", rate, "--poisson", "--spin")
        if result["backlog"] > rate * BEHIND_S:
            raise Failed(f"{server.name} cannot keep up with {rate}/s: {result['backlog']} requests were not sent")
        return result

    [results] = lab.campaign([(kind, kind, 1) for kind in ["kring", *lab.peers()]], cpus, run)
    paper.table(f"Open loop, Poisson arrivals at {rate}/s, half of redis's {most:.0f}/s", results, "redis")
    paper.require("p99 against redis", ratio(results, "latency_us/p99", "kring", "redis"), 1.0)


def sharded(lab, counts):
    """Specs of kring with several numbers of shards, and the cores they share with the client."""
    specs = [(f"{n} shards" if n > 1 else "1 shard", "kring", n) for n in counts]
    return specs, f"{lab.args.server_cpu},{lab.args.client_cpu}"


def shards(lab, paper):
    """1, 2, 4 and 8 shards on the two cores that the client uses too."""
    specs, cpus = sharded(lab, (1, 2, 4, 8))
    runs = [lambda s, p=p: lab.timed(s, "--pipeline", p, cpus=cpus) for p in (1, 32)]
    for pipeline, results in zip((1, 32), lab.campaign(specs, cpus, *runs)):
        paper.table(f"The price of sharding, pipeline {pipeline}", results, "1 shard")
        for name in list(results)[1:]:
            paper.require(f"CPU per op of {name}, pipeline {pipeline}", ratio(results, CPU, name, "1 shard"), 1.35)


def latency1(lab, paper):
    """One connection, no pipeline, all else idle: 1 and 2 shards."""
    specs, cpus = sharded(lab, (1, 2))
    [results] = lab.campaign(specs, cpus, lambda s: lab.timed(s, cpus=cpus, clients=1))
    paper.table("One connection, no pipeline", results, "1 shard")
    paper.require("p50 with 2 shards against 1", ratio(results, "latency_us/p50", "2 shards", "1 shard"), 1.05)


def memory(lab, paper):
    """Resident growth per key: 16-byte keys, 32-byte values."""
    count = lab.args.memory_keys
    paper.say(f"\n### Memory: {count} keys of 16 bytes, values of 32\n")
    paper.head(["", "RSS empty KiB", "RSS full KiB", "bytes per key"])
    per_key = {}
    for kind in ["kring", *lab.peers()]:
        server = lab.start(kind, lab.args.server_cpu)
        before = server.rss_kib()
        # Of a flag given twice the later one counts.
        lab.load(server, "--keys", count, "--data-size", 32)
        after = server.rss_kib()
        per_key[kind] = (after - before) * 1024 / count
        paper.row([kind, str(before), str(after), f"{per_key[kind]:.1f}"])
        lab.stop(server)
    paper.say()
    paper.require("resident growth per key", per_key["kring"], 76, " bytes")


def idle(lab, paper):
    """10,000 idle connections: their memory, and what the busy ones feel."""
    count = lab.args.idle_connections
    grown = {}

    def crowded(server):
        result = lab.timed(server, "--idle", count)
        if result["idle"]["open"] < count:
            raise Failed(f"{server.name} closed {count - result['idle']['open']} idle connections")
        time.sleep(1)  # the server sees them all close
        # Only the first time do the connections need new memory, so the most is the truth.
        more = (result["server"]["rss_idle_kib"] - result["server"]["rss_start_kib"]) * 1024 / count
        grown[server.name] = max(more, grown.get(server.name, 0))
        return result

    specs = [(kind, kind, 1) for kind in ["kring", *lab.peers()]]
    alone, with_idle = lab.campaign(specs, lab.args.server_cpu, lab.timed, crowded)
    results = {}
    for name in alone:
        results |= {f"{name} alone": alone[name], f"{name} with idle": with_idle[name]}
    paper.table(f"{count} idle connections", results, "redis alone")
    for name, size in grown.items():
        paper.say(f"- {name}: {size:.0f} bytes of resident memory per idle connection")
    paper.require("kring's memory per idle connection", grown["kring"], 2048, " bytes")
    for path, what in [(CPU, "CPU per op"), ("latency_us/p99", "p99")]:
        # No effect, as far as a busy machine can tell.
        paper.require(f"kring's {what} with idle connections against without",
                      ratio(results, path, "kring with idle", "kring alone"), 1.05)


EXEC = "MULTI ; SET __key__ __data__ ; GET __key__ ; SET __key__ __data__ ; GET __key__ ; EXEC"


def exec_beside(lab, paper):
    """Plain GETs with and without transactions over 2 shards beside them, a tenth of all requests."""
    specs, cpus = sharded(lab, (2,))
    [closed] = lab.campaign(specs, cpus, lambda s: lab.timed(s, "--ratio", "0:1", cpus=cpus))
    rate = round(median(closed["2 shards"], "ops_per_s") / 4)
    get = ("--ratio", "0:1", "--rate", rate, "--poisson")

    def alone(server):
        return lab.timed(server, *get, cpus=cpus)

    def beside(server):
        flags = ("--commands", EXEC, "--rate", round(rate / 9), "--poisson")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            other = pool.submit(lab.timed, server, *flags, cpus=cpus, clients=10)
            result = lab.timed(server, *get, cpus=cpus)
            other.result()
        return result

    runs = lab.campaign(specs, cpus, alone, beside)
    results = dict(zip(("GET alone", "GET beside EXEC"), (run["2 shards"] for run in runs)))
    paper.table(f"GETs at {rate}/s, 2 shards, a tenth of all requests EXEC over both", results, "GET alone")
    paper.require("p99 of GET beside cross-shard EXEC against alone",
                  ratio(results, "latency_us/p99", "GET beside EXEC", "GET alone"), 1.5)


def queue(lab, paper):
    """A job queue: 1,000 consumers that wait, producers at full rate; every item comes once."""
    args = lab.args
    workers = os.path.join(ROOT, "perf/workers.py")

    def run(server):
        command = ["taskset", "-c", args.client_cpu, sys.executable, workers, str(server.port), str(server.pid),
                   str(args.consumers), str(args.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.seconds + SLACK_S)
        if done.returncode:
            raise Failed(f"{server.name}: {done.stderr.strip()}")
        result = json.loads(done.stdout)
        if result["lost"] or result["doubled"]:
            raise Failed(f"{server.name}: {result['lost']} items lost, {result['doubled']} came twice")
        return result | {"us": result["cpu_s"] / result["items"] * 1e6, "ops_per_s": result["items"] / result["seconds"]}

    results = {}
    for _ in range(args.starts):
        servers = [lab.start(kind, args.server_cpu) for kind in ["kring", *lab.peers()]]
        subjects = [(s.name, lambda s=s: run(s)) for s in servers]
        for name, found in lab.rounds(subjects, -(-args.rounds // args.starts)).items():
            results.setdefault(name, []).extend(found)
        lab.stop_all()
    paper.say(f"\n### A job queue: {args.consumers} consumers in BLPOP and BRPOP, producers at full rate\n")
    paper.head(["", "items", "items per CPU second", "CPU us/item", "items/s"])
    for name, found in results.items():
        us = median(found, "us")
        rate = median(found, "ops_per_s")
        paper.row([name, str(sum(r["items"] for r in found)), f"{1e6 / us:.0f}", f"{us:.2f}", f"{rate:.0f}"])
    paper.say()
    paper.say("- every item came to one consumer, once")
    paper.require("server CPU per item against redis", ratio(results, "us", "kring", "redis"), 1.0)


def types(lab, paper):
    """Single commands of every type (--only NAME for some)."""
    paper.say("\n### Commands of every type, 1 shard\n")
    families.types(lab, paper, lab.args.only, ratio, CPU)


def values(lab, paper):
    """SET and GET of values of 4 KB to 4 MB (--only KB for some)."""
    paper.say("\n### Values by size, 1 shard, no pipeline\n")
    families.values(lab, paper, lab.args.only, ratio, CPU)


def multi(lab, paper):
    """Several keys at once on two shards, and transactions (--only NAME for some)."""
    paper.say("\n### Several keys at once, 2 shards and the client on 2 cores\n")
    families.multi(lab, paper, lab.args.only, ratio, CPU)


def stores(lab, paper):
    """What holding several stores costs: MGET and MSET at full load on 1 to 8 shards (--only NAME for some)."""
    paper.say("\n### Commands of 10 keys over many shards, the client on the same 2 cores\n")
    families.stores(lab, paper, lab.args.only, median, CPU)


def collections(lab, paper):
    """Memory of collections, small and large (--only NAME for some)."""
    paper.say("\n### Memory of collections, 1 shard\n")
    large.collections(lab, paper, lab.args.only)


def growth(lab, paper):
    """Cost per op as collections grow, and the longest command (--only NAME for some)."""
    paper.say("\n### Collections that grow, 1 shard, pipeline 32\n")
    large.growth(lab, paper, lab.args.only, median, CPU)


def resident(lab, paper):
    """Resident bytes per key of four kinds at 1, 5 and 10 M keys, just after growth (--only NAME for some)."""
    paper.say("\n### Resident bytes per key, 1 shard, as the keyspace grows\n")
    capacity.resident_bytes(lab, paper)


def durability(scenario):
    """A scenario of durable.py or capacity.py."""
    def run(lab, paper):
        paper.say(f"\n### {scenario.__doc__}\n")
        scenario(lab, paper, value, median)
    run.__doc__ = scenario.__doc__
    return run


SCENARIOS = {"p1": p1, "p32": p32, "open": open_loop, "shards": shards, "latency1": latency1, "memory": memory,
             "idle": idle, "constant": constant, "exec-beside": exec_beside, "queue": queue, "multi": multi, "stores": stores,
             "types": types, "values": values,
             "collections": collections, "growth": growth,
             "always": durability(durable.always), "everysec": durability(durable.everysec),
             "snapshot": durability(durable.snapshot), "pause": durability(durable.pause),
             "huge": durability(durable.huge), "load": durability(durable.load),
             "full": durability(capacity.full), "bytes": resident, "expiry": durability(capacity.expiry)}


def parse():
    listed = "\n".join(f"  {name:<11} {run.__doc__}" for name, run in SCENARIOS.items())
    release = os.path.join(ROOT, "target/release")
    parser = argparse.ArgumentParser(
        prog="perf/compare", description=__doc__, epilog=f"scenarios:\n{listed}\n  all         each of them",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("scenario", nargs="+", choices=[*SCENARIOS, "all"], metavar="SCENARIO")
    add("--only", action="append", default=[], help="types, values, multi, bytes, collections, growth: only rows with this in their name")
    add("--rounds", type=int, default=6, help="runs per server (6)")
    add("--starts", type=int, default=3, help="how many fresh processes these are spread over (3)")
    add("--seconds", type=float, default=4, help="measured time of a run (4)")
    add("--warmup", type=float, default=0.5, help="unmeasured time before it (0.5)")
    add("--clients", type=int, default=50, help="connections (50)")
    add("--keys", type=int, default=1_000_000, help="keys (1 M)")
    add("--data-size", type=int, default=64, help="bytes of a value (64)")
    add("--memory-keys", type=int, default=10_000_000, help="keys of the scenarios memory and bytes at most (10 M)")
    add("--members", type=int, default=10_000_000, help="elements of the largest of collections and growth (10 M)")
    add("--idle-connections", type=int, default=10_000, help="connections of the scenario idle (10,000)")
    add("--consumers", type=int, default=1_000, help="who waits in the scenario queue (1,000)")
    add("--server-cpu", default="0", help="core of the servers (0)")
    add("--client-cpu", default="1", help="core of the load (1)")
    add("--kring-bin", default=os.path.join(release, "kring-server"))
    add("--bench-bin", default=os.path.join(release, "kring-bench"))
    add("--redis-bin", default="redis-server")
    add("--valkey-bin", default="valkey-server", help="compared too when it is there")
    add("--memtier", action="store_true", help="p1, p32: measure with memtier_benchmark as well, when it is there")
    add("--limit", type=int, default=1800, help="seconds after which all ends (1800)")
    add("--save-result", action="store_true", help="write perf/results/DATE-SCENARIOS.md")
    args = parser.parse_args()
    for name in ("kring_bin", "bench_bin", "redis_bin"):
        path = shutil.which(getattr(args, name))
        if path is None:
            parser.error(f"{getattr(args, name)} is not there; build with: cargo build --release --bins")
        # Servers run in directories of their own.
        setattr(args, name, os.path.abspath(path))
    return args


def first_line(*command):
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        out = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT).stdout
        return (out.splitlines() or [""])[0]
    return ""


def preamble(args, paper):
    cpu = "unknown CPU"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:
        cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), cpu)
    paper.say(f"# {datetime.date.today()}: perf/compare {' '.join(sys.argv[1:])}\n")
    paper.say(f"kring {first_line('git', 'rev-parse', '--short', 'HEAD')}; {first_line(args.redis_bin, '--version')}; "
              f"Linux {platform.release()}; {os.cpu_count()} cores, {cpu}; "
              f"TCP congestion control {first_line('sysctl', '-n', 'net.ipv4.tcp_congestion_control')}; "
              f"load average {os.getloadavg()[0]:.1f}.")
    paper.say(f"{args.clients} connections, {args.data_size}-byte values, {args.keys} keys, SET:GET 1:10, "
              f"{args.rounds} rounds of {args.seconds:g} s over {args.starts} starts; "
              f"servers on core {args.server_cpu}, load on core {args.client_cpu}, unless said otherwise.")


def stop_on_signal(number, _frame):
    raise Failed("out of time (--limit)" if number == signal.SIGALRM else "interrupted")


def main():
    args = parse()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, stop_on_signal)
    signal.alarm(args.limit)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(OPEN_FILES, hard)), hard))
    lab, paper = Lab(args), Paper()
    try:
        preamble(args, paper)
        for name in SCENARIOS if "all" in args.scenario else args.scenario:
            SCENARIOS[name](lab, paper)
    except Failed as failed:
        print(f"perf/compare: {failed}", file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
        lab.stop_all()
    if args.save_result:
        folder = os.path.join(ROOT, "perf/results")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{datetime.date.today()}-{'-'.join(args.scenario)}.md")
        with open(path, "w") as out:
            out.write("\n".join(paper.lines) + "\n")
        print(f"written to {path}", file=sys.stderr)
    return 2 if paper.missed else 0


if __name__ == "__main__":
    sys.exit(main())
