//! Differences that are meant: kring is Redis 7.4, the oracle 7.0. Each with its reason.
//!
//! Not in this list because requests for it are not made:
//! - `#N` offsets of BITFIELD whose product overflows: Redis wraps around to a small offset, kring refuses.
//! - BITFIELD SET iN with OVERFLOW SAT far below the least value: an overflow makes Redis store the greatest.
//! - A NUL byte in an inline line or in a length: Redis looks for the line's end with strchr and waits for ever.
//! - A lifetime of RESTORE that overflows when the time is added: Redis wraps around and drops the key.
//! - Consumers that XREADGROUP, XCLAIM and XAUTOCLAIM make since 7.2 though they have nothing to give them.
//! - `lag` and `entries-read` of XINFO after deletions, with which 7.0 does not reckon.
//! - The wording of HELP and of COMMAND DOCS, which is kring's own.

use crate::reply::Reply;

/// Whether the two replies to this request differ as they should.
pub fn is_known(request: &[Vec<u8>], redis: &[u8], kring: &[u8]) -> bool {
    let name = request.first().map(|n| n.to_ascii_lowercase()).unwrap_or_default();
    KNOWN
        .iter()
        .any(|k| k.commands.contains(&String::from_utf8_lossy(&name).as_ref()) && (k.holds)(redis, kring))
}

struct Known {
    commands: &'static [&'static str],
    /// What Redis 7.0 says and what kring says, when it is this difference.
    holds: fn(&[u8], &[u8]) -> bool,
}

/// Replies that differ in nothing but the texts of scores, kring's being the shorter ones that read back as the same double.
fn scores_are_shorter(redis: &[u8], kring: &[u8]) -> bool {
    let parsed = |raw: &[u8]| Reply::parse(raw).map(|(reply, _)| reply);
    matches!((parsed(redis), parsed(kring)), (Some(r), Some(k)) if shorter(&r, &k))
}

fn shorter(redis: &Reply, kring: &Reply) -> bool {
    let double = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    match (redis, kring) {
        (r, k) if r == k => true,
        (Reply::Bulk(r), Reply::Bulk(k)) => {
            double(r).is_some_and(|r| Some(r) == double(k)) && (k.len() < r.len() || !k.contains(&b'e'))
        }
        (Reply::Double(r), Reply::Double(k)) => double(r).is_some_and(|r| Some(r) == double(k)),
        (Reply::Array(r), Reply::Array(k)) => {
            r.len() == k.len() && r.iter().zip(k).all(|(r, k)| shorter(r, k))
        }
        _ => false,
    }
}

/// What replies with scores.
const SCORED: &[&str] = &[
    "zadd",
    "zincrby",
    "zscore",
    "zmscore",
    "zrange",
    "zrangebyscore",
    "zrevrange",
    "zrevrangebyscore",
    "zpopmin",
    "zpopmax",
    "zmpop",
    "bzpopmin",
    "bzpopmax",
    "bzmpop",
    "zunion",
    "zinter",
    "zdiff",
    "zrandmember",
    "zscan",
];

const KNOWN: &[Known] = &[
    // Since 7.2, a score is the shortest text that reads back as the same double.
    Known { commands: SCORED, holds: scores_are_shorter },
    // Since 7.2, more pairs in one command than a listpack may hold make a hash or a sorted set large, whatever repeats.
    Known {
        commands: &["object"],
        holds: |redis, kring| {
            redis == b"$8\r\nlistpack\r\n"
                && (kring == b"$8\r\nskiplist\r\n" || kring == b"$9\r\nhashtable\r\n")
        },
    },
    // Since 7.2, BITCOUNT and BITPOS look at their arguments before the key: a missing key hides no error,
    // nor does one of another type.
    Known {
        commands: &["bitcount", "bitpos"],
        holds: |redis, kring| {
            (redis.starts_with(b":") || redis.starts_with(b"-WRONGTYPE")) && kring.starts_with(b"-ERR")
        },
    },
    // 7.0 reads a cursor with strtoul, which takes "" and "-1"; 7.4 wants the digits of an unsigned number.
    Known {
        commands: &["scan", "sscan", "hscan", "zscan"],
        holds: |_, kring| kring == b"-ERR invalid cursor\r\n",
    },
    // Since 7.2, a list of one node is a listpack.
    Known {
        commands: &["object"],
        holds: |redis, kring| redis == b"$9\r\nquicklist\r\n" && kring == b"$8\r\nlistpack\r\n",
    },
    // Since 7.2, a small set that is not all integers is a listpack.
    Known {
        commands: &["object"],
        holds: |redis, kring| redis == b"$9\r\nhashtable\r\n" && kring == b"$8\r\nlistpack\r\n",
    },
    // 7.0 takes the rank that has no opposite and then finds nothing.
    Known {
        commands: &["lpos"],
        holds: |_, kring| kring.starts_with(b"-ERR value is out of range, value must between"),
    },
    // kring has two policies more, and names them.
    Known {
        commands: &["config"],
        holds: |redis, kring| {
            let more = b", allkeys-s3fifo, volatile-s3fifo\r\n";
            kring.strip_suffix(more.as_slice()).is_some_and(|k| redis.strip_suffix(b"\r\n") == Some(k))
        },
    },
    // Since 7.2, ZRANK and ZREVRANK take one more word, which may be WITHSCORE.
    Known {
        commands: &["zrank", "zrevrank"],
        holds: |redis, kring| {
            redis.starts_with(b"-ERR wrong number") && kring.starts_with(b"-ERR syntax error")
        },
    },
    // Debian's 7.0 has no such subcommand.
    Known { commands: &["debug"], holds: |redis, _| redis.windows(15).any(|w| w == b"STRINGMATCH-LEN") },
    // 7.0 forgets to say why a number behind the last one of its millisecond is refused.
    Known {
        commands: &["xadd"],
        holds: |redis, kring| {
            redis.starts_with(b"-ERR Elements are too large")
                && kring.starts_with(b"-ERR The ID specified in XADD")
        },
    },
    // Since 7.2, XSETID does not go below what was deleted.
    Known {
        commands: &["xsetid"],
        holds: |_, kring| kring.ends_with(b"smaller than current max_deleted_entry_id\r\n"),
    },
    // 7.4 names the command, and the ids that it takes.
    Known {
        commands: &["xread", "xreadgroup"],
        holds: |redis, kring| redis.starts_with(b"-ERR Unbalanced") && kring.starts_with(b"-ERR Unbalanced"),
    },
];
