"""What is written: keys of every type and encoding in several databases, then commands of every family that writes.

Key `k:N` is of the kind KINDS[N % CYCLE] and lies in the database of its block of CYCLE keys, so its name tells what to do with it.
All of it is what Redis 7.0 knows. A seed gives the same commands again; ids of stream entries and what SPOP takes are the server's.
"""

import collections
import random
import re
import socket

CYCLE = 1_000
DATABASES = (0, 1, 5, 15)
MOVED = 9  # where MOVE and COPY take keys, MOVE_EVERY'th ones, under their names
MOVE_EVERY = 97
SWAPPED = (12, 13, 14)  # small ones that are swapped and emptied
SMALL = 300  # keys of a small one
GROWN = 1.05  # writes make so many more keys than were loaded
BATCH = 64
FAR_MS = 1_900_000_000_000  # in 2030; in ms, 13 digits for the next centuries
SOON_MS = 2_000  # what is to expire meanwhile lives so long at most
WHOLE = 30  # operations on whole databases in a run
VARIANTS = 61

# How many of a thousand keys are of a kind.
SHARES = {
    "raw": 270, "int": 150, "short": 120, "text": 30, "hash": 120, "hash-long": 5, "hash-table": 2, "list": 90, "list-nodes": 3,
    "intset": 60, "set": 50, "set-table": 1, "zset": 65, "zset-skiplist": 2, "zset-long": 2, "geo": 6, "hll": 8, "hll-dense": 1,
    "bitmap": 7, "stream": 5, "stream-groups": 3,
}
FAMILY = {name: name.split("-")[0] for name in SHARES} | {"raw": "string", "short": "string", "text": "string", "intset": "set", "geo": "zset"}
KINDS = [kind for kind, share in SHARES.items() for _ in range(share)]
assert len(KINDS) == CYCLE
random.Random(7).shuffle(KINDS)


def database(n):
    return DATABASES[n // CYCLE % len(DATABASES)]


def limit(keys):
    """No key has this number or a larger one."""
    return round(keys * GROWN)


def word(text):
    return b"$%d\r\n%b\r\n" % (len(text), text)


def pack(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(map(word, words))


class Connection:
    """Sends pipelines and counts the errors in the replies."""

    END = b"the end of a batch"

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 600)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.errors = collections.Counter()

    def send(self, commands):
        self.sock.sendall(commands + pack(b"ECHO", self.END))
        replies = bytearray()
        while not replies.endswith(self.END + b"\r\n"):
            part = self.sock.recv(1 << 18)
            if not part:
                raise ConnectionError("the server has closed the connection")
            replies += part
        self.errors.update(re.findall(rb"(?m)^-[A-Z]+ [^\r]{0,40}", replies))
        return bytes(replies[:-len(word(self.END))])


# Loading

def sequence(name, count, *forms):
    """A command with `count` repetitions of words, which are made of their index."""
    return [name, *(form(i) for i in range(count) for form in forms)]


def made(kind, v):
    """The commands, without their key, that make variant `v` of a kind."""
    dice = random.Random(f"{kind} {v}")
    some = lambda n: dice.randbytes(n).hex()
    text = lambda n: " ".join(dice.choice(("key", "value", "shard", "a", "log", "of")) for _ in range(n))
    wide = (7, 30_000, 2**31, 2**62)[v % 4]  # integers of all widths
    field, member = (lambda i: f"f{i}"), (lambda i: f"m{i}")
    number, score = (lambda i: dice.randint(-wide, wide)), (lambda i: dice.choice((i, i + 0.5, -i * 1e10, "inf", 1 / 3)))
    items = sequence("RPUSH", 3 + v % 6, lambda i: dice.choice((i, some(4), text(4))))
    entries = [["XADD", f"{i + 1}-1", "f", number(i), some(3), text(3)] for i in range(2 + v % 4)]
    return {
        "text": lambda: [["SET", text(300) if v % 2 else some(700)]],
        "hash": lambda: [sequence("HSET", 2 + v % 5, field, lambda i: dice.choice((i, some(6), text(3))))],
        "hash-long": lambda: [["HSET", "f1", text(60), "f2", 5, some(40), some(2)]],
        "hash-table": lambda: [sequence("HSET", 140 + v, field, lambda i: text(2))],
        "list": lambda: [items],
        "list-nodes": lambda: [sequence("RPUSH", 400, lambda i: text(i % 12))] + [["RPUSH", some(6_000)]] * (v % 2),
        "intset": lambda: [sequence("SADD", 2 + v % 7, number)],
        "set": lambda: [sequence("SADD", 2 + v % 7, member)],
        "set-table": lambda: [sequence("SADD", 530, lambda i: i * wide)],
        "zset": lambda: [sequence("ZADD", 2 + v % 7, score, member)],
        "zset-skiplist": lambda: [sequence("ZADD", 140, score, member)],
        "zset-long": lambda: [["ZADD", 1, text(40), 2, "m1"]],
        "geo": lambda: [["GEOADD", 13.36 + v, 38.1, "m1", 15.08, 37.5 + v / 10, "m2"]],
        "hll": lambda: [sequence("PFADD", 3 + v, lambda i: some(4))],
        "hll-dense": lambda: [["PFMERGE", "dense"], ["PFADD", some(4)]],
        "bitmap": lambda: [["SETBIT", 100 + v * 37, 1], ["SETBIT", v, 1]],
        "stream": lambda: entries,
        "stream-groups": lambda: [*entries, ["XGROUP CREATE", "g", 0], ["XGROUP CREATE", "g2", "2-1"],
                                  ["XREADGROUP GROUP g c1 COUNT 2 STREAMS", ">"], ["XACK", "g", "1-1"]],
    }[kind]()


def around(words):
    """A command's bytes before and behind its key."""
    names = words[0].split()
    head = b"*%d\r\n" % (len(names) + len(words)) + b"".join(word(name.encode()) for name in names)
    return head, b"".join(word(str(w).encode()) for w in words[1:])


class Loader:
    """Makes the commands that load keys."""

    def __init__(self):
        plain = ("raw", "int", "short")
        self.variants = {kind: [[around(words) for words in made(kind, v)] for v in range(VARIANTS)]
                         for kind in SHARES if kind not in plain}
        self.dense = pack("PFADD", "dense", *range(4_000))

    def key(self, n):
        kind, name = KINDS[n % CYCLE], word(b"k:%d" % n)
        if kind == "raw":
            made = b"*3\r\n$3\r\nSET\r\n%b%b" % (name, word((b"value:%020d:" % n) * (2 + n % 3)))
        elif kind == "int":
            made = b"*3\r\n$3\r\nSET\r\n%b%b" % (name, word(b"%d" % (n * n * (n % 7 - 3))))
        elif kind == "short":
            made = b"*3\r\n$3\r\nSET\r\n%b%b" % (name, word(b"<%x>" % n))
        else:
            # CYCLE and VARIANTS have no common divisor, and neighbours of a kind differ.
            made = b"".join([b"%b%b%b" % (head, name, tail) for head, tail in self.variants[kind][n // CYCLE % VARIANTS]])
        if n % 4 == 1:
            made += b"*3\r\n$9\r\nPEXPIREAT\r\n%b$13\r\n%d\r\n" % (name, FAR_MS + n)
        elif n % 501 == 3:
            made += pack("PEXPIRE", b"k:%d" % n, 1 + n % SOON_MS)
        return made

    def load(self, connection, blocks, progress):
        """Loads blocks of CYCLE keys."""
        for first, count in blocks:
            start = pack("SELECT", database(first)) + self.dense
            for at in range(first, first + count, 250):
                connection.send(start + b"".join([self.key(n) for n in range(at, min(at + 250, first + count))]))
                start = b""
            progress(count)


def load_large(connection, keys):
    """Values that are large for their type, and one of each in the small databases."""
    many = max(2_000, keys // 100)
    for start in range(0, many, 500):
        ids = range(start, start + 500)
        connection.send(
            pack("HSET", "large:hash", *(w for i in ids for w in (f"field:{i}", f"value of {i}")))
            + pack("SADD", "large:set", *(f"member:{i}" for i in ids)) + pack("SADD", "large:intset", *(i * 3 for i in ids))
            + pack("ZADD", "large:zset", *(w for i in ids for w in (i * 1.5, f"member:{i}")))
            + pack("RPUSH", "large:list", *(f"element {i}" for i in ids))
            + b"".join(pack("XADD", "large:stream", f"{i + 1}-0", "n", i) for i in ids))
    connection.send(pack("SET", "large:text", b"all of this can be made smaller; " * 100_000)
                    + pack("SET", "large:random", random.Random(3).randbytes(3_000_000)))
    for db in SWAPPED:
        connection.send(pack("SELECT", db) + b"".join(pack("SET", f"k:{n}", f"{db}:{n}") for n in range(SMALL)))


# Writing. K is a key of the family, L and M others of the same kind, A any other key of the database, P one that may be moved;
# V a value, E an element that may be there, N a number, I an index, C a count, S a score, T a time far away, D a life that ends soon.

LINES = {
    "string": """
        SET K V|SET K V KEEPTTL|SET K V PXAT T|SET K V PX D|SET K V XX GET|SET A V NX|APPEND K V|SETRANGE K C V|GETSET K V|GETDEL K
        GETEX K PXAT T|GETEX K PERSIST|MSET K V L V M V|MSETNX K V L V|SETEX K 900000000 V|PSETEX K D V|SETNX K V|INCR K|SETBIT K N 1
        COPY K L REPLACE|MULTI ; SET K V ; APPEND L V ; SET M V PXAT T ; EXEC|BITOP OR K L M""",
    "int": """
        INCR K|INCRBY K N|DECR K|DECRBY K N|INCRBYFLOAT K F|SET K N|APPEND K N|MSET K N L N|MULTI ; INCR K ; DECR L ; EXEC
        BITFIELD K INCRBY u8 C N SET i16 16 N|GETSET K N""",
    "hash": """
        HSET K E V|HSET K E V E V E N|HSETNX K E V|HDEL K E|HDEL K E E E|HINCRBY K E N|HINCRBYFLOAT K E F|HMSET K E V
        MULTI ; HSET K E V ; HDEL L E ; HSET M E N ; EXEC|COPY K L REPLACE|HSET K V V""",
    "list": """
        LPUSH K V|RPUSH K E V N|LPOP K|RPOP K C|LINSERT K BEFORE E V|LSET K I V|LREM K I E|LTRIM K I 20|LMOVE K L LEFT RIGHT|RPOPLPUSH K L
        LMPOP 2 K L RIGHT COUNT C|LPUSHX K V|RPUSHX K E|BLMOVE K L RIGHT LEFT 0.001|BLPOP K L 0.001|BLMPOP 0.001 2 K L LEFT
        SORT K ALPHA STORE L|MULTI ; LMOVE K L LEFT LEFT ; RPUSH K E ; LPOP M ; EXEC""",
    "set": """
        SADD K E|SADD K N N N|SREM K E|SREM K N|SPOP K|SPOP K C|SMOVE K L E|SUNIONSTORE K L M|SINTERSTORE K L M|SDIFFSTORE K L M
        SADD K V|MULTI ; SPOP K ; SMOVE K L E ; SADD M N ; EXEC|COPY K L REPLACE""",
    "zset": """
        ZADD K S E|ZADD K NX S E S E|ZADD K XX CH S E|ZADD K GT S E|ZADD K LT S E|ZADD K INCR F E|ZINCRBY K F E|ZREM K E|ZREM K E E E
        ZPOPMIN K|ZPOPMAX K C|ZREMRANGEBYRANK K I I|ZREMRANGEBYSCORE K N (S|ZUNIONSTORE K 2 L M WEIGHTS 2 F
        ZINTERSTORE K 2 L M AGGREGATE MAX|ZDIFFSTORE K 2 L M|ZRANGESTORE K L 0 5|ZMPOP 2 K L MIN COUNT C|BZPOPMIN K 0.001
        GEOADD K 13.5 38.5 E|GEOSEARCHSTORE K L FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST|BZMPOP 0.001 1 K MAX
        MULTI ; ZADD K S E ; ZREM L E ; ZPOPMAX M ; EXEC|COPY K L REPLACE
        MULTI ; DEL K ; ZADD K 0 m2 0 m3 0 m4 0 m5 ; ZREMRANGEBYLEX K [m3 [m4 ; EXEC""",
    "hll": "PFADD K V|PFADD K V N E|PFMERGE K L M|PFMERGE K L|COPY K L REPLACE",
    "bitmap": "SETBIT K N 1|SETBIT K C 0|BITOP XOR K L M|BITOP NOT K L|BITFIELD K OVERFLOW SAT INCRBY i5 C N|SETRANGE K C V",
    "stream": """
        XADD K * E V|XADD K * E V E N|XADD K NOMKSTREAM MAXLEN = 9 * E V|XADD K MAXLEN ~ 150 * E V|XTRIM K MAXLEN 12|XTRIM K MINID 2-0
        XDEL K 1-1|XDEL K 2-1 3-1|XGROUP CREATE K g $ MKSTREAM|XGROUP CREATE K g2 0 ENTRIESREAD 1|XGROUP SETID K g 0|XGROUP DESTROY K g2
        XGROUP CREATECONSUMER K g c3|XGROUP DELCONSUMER K g c2|XREADGROUP GROUP g c1 COUNT C STREAMS K >|XACK K g 1-1 2-1 3-1
        XREADGROUP GROUP g c2 COUNT C STREAMS K >|XREADGROUP GROUP g c3 NOACK COUNT 1 STREAMS K >|XCLAIM K g c4 0 2-1 3-1
        XCLAIM K g c1 0 3-1 4-1 JUSTID|XAUTOCLAIM K g c2 0 0 COUNT C|XSETID K 9999999999999-0 ENTRIESADDED 99
        MULTI ; XADD K * E V ; XREADGROUP GROUP g c1 STREAMS K > ; XADD L * E V ; EXEC|COPY K L REPLACE""",
    "any": """
        DEL K|UNLINK K L|EXPIRE K 900000000|PEXPIREAT K T|PEXPIREAT K T GT|PEXPIRE K D|EXPIREAT K 1|PERSIST K|RENAME K L|RENAMENX K L
        COPY K L|RESTORE L 0 R REPLACE|RESTORE L T R REPLACE ABSTTL|MOVE P 9|COPY P P DB 9 REPLACE|SORT K BY nosort STORE L|TOUCH K
        MULTI ; DEL K ; RENAME L K ; PERSIST M ; EXEC|EXISTS K""",
}
ANY = 0.12  # how often a line is one for any type
STRAY = 0.02  # and how often one of another family than its key's


class Writer:
    """Makes batches of commands that write."""

    def __init__(self, seed, keys, payloads):
        self.dice, self.keys, self.limit, self.payloads = random.Random(seed), keys, limit(keys), payloads
        dice, rnd = self.dice, self.dice.random
        words = [f"{dice.randbytes(20).hex()}"[:dice.randint(0, 40)] for _ in range(200)] + ["compressible " * n for n in range(1, 30)]
        words += [str(dice.randint(-10**n, 10**n)) for n in range(18) for _ in range(5)] + ["\r\n", "#", "*3", "\0\xff", ""]
        values = [word(text.encode("latin-1")) for text in words]
        elements = [word(b"%c%d" % (c, i)) for c in b"fm" for i in range(40)] + [word(b"%d" % i) for i in range(12)]
        numbers = [word(b"%d" % dice.choice((i, i * 100, i * 10_007))) for i in range(100)]
        scores = [word(text.encode()) for text in ("1", "2.5", "-3", "1e20", "inf", "-inf", "0", "3.0000001", "17", "1000000")]
        pick = lambda pool: lambda size=len(pool): pool[int(rnd() * size)]
        name = lambda n: word(b"k:%d" % n)
        self.makers = {
            "K": lambda: name(self.n), "L": lambda: name(self.alike(1)), "M": lambda: name(self.alike(2)), "A": lambda: name(self.draw()),
            "P": lambda: name(self.movable()), "V": pick(values), "E": pick(elements), "N": pick(numbers), "S": pick(scores),
            "(S": lambda: word(b"(%d" % int(rnd() * 50)), "F": pick([word(f) for f in (b"0.5", b"-1.25", b"3", b"1e3", b"0.1")]),
            "I": lambda: word(b"%d" % (int(rnd() * 9) - 4)), "C": lambda: word(b"%d" % (1 + int(rnd() * 4))),
            "T": lambda: word(b"%d" % (FAR_MS + int(rnd() * 10**10))), "D": lambda: word(b"%d" % (1 + int(rnd() * SOON_MS))),
            "R": lambda: word(dice.choice(self.payloads)),
        }
        split = lambda text: [line.strip() for part in text.strip().split("\n") for line in part.split("|")]
        self.lines = {family: [self.compiled(line) for line in split(text)] for family, text in LINES.items()}
        self.families = [family for family in self.lines if family != "any"]

    def compiled(self, line):
        parts = []
        for command in line.split(" ; "):
            words = command.split()
            parts.append(b"*%d\r\n" % len(words))
            parts += [self.makers.get(w) or word(w.encode()) for w in words]
        joined = []
        for part in parts:
            if joined and isinstance(part, bytes) and isinstance(joined[-1], bytes):
                joined[-1] += part
            else:
                joined.append(part)
        return joined

    def draw(self):
        """A key of the batch's database."""
        if self.db == MOVED:
            return int(self.dice.random() * (self.limit // MOVE_EVERY)) * MOVE_EVERY
        if self.db in SWAPPED:
            return int(self.dice.random() * SMALL)
        turns = -(-self.limit // (CYCLE * len(DATABASES)))
        block = int(self.dice.random() * turns) * len(DATABASES) + DATABASES.index(self.db)
        n = block * CYCLE + int(self.dice.random() * CYCLE)
        return n if n < self.limit else DATABASES.index(self.db) * CYCLE + n % CYCLE

    def alike(self, step):
        """A key of the same kind and database as the one at hand."""
        if self.db not in DATABASES:
            return self.draw()
        n = self.n + step * CYCLE * len(DATABASES) * (1 + int(self.dice.random() * 3))
        return n if n < self.limit else n % (CYCLE * len(DATABASES))

    def movable(self):
        for _ in range(50):
            n = self.draw() // MOVE_EVERY * MOVE_EVERY
            if database(n) == self.db:
                return n
        return self.n

    def batch(self):
        rnd = self.dice.random
        chance = rnd()
        self.db = MOVED if chance < 0.02 else self.dice.choice(SWAPPED) if chance < 0.04 else self.dice.choice(DATABASES)
        out = [pack("SELECT", self.db)]
        for _ in range(BATCH):
            self.n = self.draw()
            family = FAMILY[KINDS[self.n % CYCLE]]
            if (chance := rnd()) < ANY:
                family = "any"
            elif chance < ANY + STRAY:
                family = self.dice.choice(self.families)
            lines = self.lines[family]
            if self.db not in DATABASES and family == "any":
                lines = self.lines["string"]  # MOVE and the like lead elsewhere
            out += [part if isinstance(part, bytes) else part() for part in lines[int(rnd() * len(lines))]]
        return b"".join(out)

    def whole(self):
        """An operation on whole databases."""
        return self.dice.choice((pack("SWAPDB", 12, 13), pack("SWAPDB", 14, 12), pack("SELECT", 14) + pack("FLUSHDB")))
