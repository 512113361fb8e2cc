"""What a server holds, as facts that are equal when the datasets are.

DEBUG DIGEST covers keys, values and whether there is a TTL, but not when it ends, nor the groups of streams: these are asked key by key.
Asking for its TTL also makes a server drop a key that is past it, so what is compared does not hang on when the servers come to that.
"""

import hashlib
import re

from requests import CYCLE, DATABASES, KINDS, MOVED, MOVE_EVERY, SMALL, SWAPPED, database, limit, pack, word

BATCH = 1_000
LARGE = ("hash", "set", "intset", "zset", "list", "stream", "text", "random")
SHOWN, WIDTH = 5, 700  # keys that are not alike, and characters of each
# Of XINFO STREAM: what tells of the structure in memory; when a consumer was last seen, which a log does not hold; and the lag, which
# is reckoned from the rest, by releases of Redis in more than one way.
OWN = (b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time", b"lag")


def names(keys):
    """Batches of all names that there may be: database, keys."""
    end = limit(keys)
    for first in range(0, end, BATCH):
        yield database(first), range(first, min(first + BATCH, end))
    for first in range(0, end, BATCH * MOVE_EVERY):
        yield MOVED, range(first, min(first + BATCH * MOVE_EVERY, end), MOVE_EVERY)
    for db in SWAPPED:
        yield db, range(SMALL)


def parsed(text, at=0):
    """The reply that stands at a place, and where the next one does."""
    end = text.index(b"\r\n", at)
    kind, rest = text[at:at + 1], text[at + 1:end]
    if kind == b"$":
        size = int(rest)
        return (None, end + 2) if size < 0 else (text[end + 2:end + 2 + size], end + 4 + size)
    if kind != b"*":
        return text[at:end], end + 2
    items, at = [], end + 2
    for _ in range(max(0, int(rest))):
        item, at = parsed(text, at)
        items.append(item)
    return items, at


def without_own(reply):
    """An answer of XINFO without what need not be equal."""
    if not isinstance(reply, list):
        return reply
    items = iter(reply)
    if reply and isinstance(reply[0], bytes) and re.fullmatch(rb"[a-z-]+", reply[0]) and len(reply) % 2 == 0:
        return [(name, without_own(value)) for name, value in zip(items, items) if name not in OWN]
    return [without_own(item) for item in reply]


def facts(connection, keys):
    """All of them, by name."""
    ttls, streams = hashlib.sha256(), hashlib.sha256()
    for db, batch in names(keys):
        names_of = (b"k:%d" % n for n in batch)
        ttls.update(connection.send(pack("SELECT", db) + b"".join([b"*2\r\n$11\r\nPEXPIRETIME\r\n" + word(name) for name in names_of])))
    for db, batch in names(keys):
        if db in DATABASES and (some := [n for n in batch if KINDS[n % CYCLE].startswith("stream")]):
            for reply in replies(connection, db, [("XINFO", "STREAM", f"k:{n}", "FULL", "COUNT", 0) for n in some]):
                streams.update(repr(without_own(reply)).encode())
    space, digest = replies(connection, 0, [("INFO", "keyspace"), ("DEBUG", "DIGEST")])
    sizes = {name.decode(): size.decode() for name, size in sorted(re.findall(rb"(db\d+):(keys=\d+,expires=\d+)", space))}
    return {"sizes": sizes, "digest": digest.decode(), "ttls": ttls.hexdigest(), "streams": streams.hexdigest()}


def replies(connection, db, commands):
    """The parsed replies to some commands."""
    text = connection.send(pack("SELECT", db) + b"".join([pack(*command) for command in commands]))
    found, at = [], 0
    while at < len(text):
        reply, at = parsed(text, at)
        found.append(reply)
    return found[1:]


def differences(connections, keys):
    """Lines on the first keys that two servers do not hold alike."""
    found = []
    asked = ("PEXPIRETIME", "DEBUG DIGEST-VALUE", "TYPE", "XINFO STREAM")  # the first drops a key that is past its TTL
    for db, batch in [*names(keys), (0, [f"large:{name}" for name in LARGE])]:
        batch = [n if isinstance(n, str) else f"k:{n}" for n in batch]
        commands = [(*command.split(), n, *(["FULL", "COUNT", 0] if command[0] == "X" else [])) for n in batch for command in asked]
        ours, theirs = ([without_own(reply) for reply in replies(c, db, commands)] for c in connections)
        for i, n in enumerate(batch):
            said = [all_said[i * len(asked):(i + 1) * len(asked)] for all_said in (ours, theirs)]
            if said[0] != said[1]:
                found.append(f"db {db}, {n}: {str(said[0])[:WIDTH]}, the other: {str(said[1])[:WIDTH]}")
                if len(found) == SHOWN:
                    return found
    return found
