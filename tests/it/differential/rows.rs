//! The commands as data: weight, template, how the replies compare. A new command gets a row.

use super::compare::How::{self, AnyOrder, Bytes, Kind, Near};

/// Seconds and milliseconds that the two servers' clocks and a busy machine may lie apart.
const SECONDS: How = Near(20);
const MILLISECONDS: How = Near(20_000);

pub struct Row {
    pub weight: usize,
    pub template: &'static str,
    pub how: How,
}

const fn row(weight: usize, template: &'static str, how: How) -> Row {
    Row { weight, template, how }
}

pub const ROWS: &[Row] = &[
    // Strings.
    row(30, "SET <key> <val>", Bytes),
    row(20, "SET <key> <val> {EX <ttl>|PX <pttl>|EXAT <future>|PXAT <future_ms>|NX|XX|KEEPTTL|GET}*", Bytes),
    row(4, "SETNX <key> <val>", Bytes),
    row(4, "SETEX <key> <ttl> <val>", Bytes),
    row(4, "PSETEX <key> <pttl> <val>", Bytes),
    row(20, "GET <key>", Bytes),
    row(4, "GETDEL <key>", Bytes),
    row(6, "GETEX <key> {EX <ttl>|PX <pttl>|EXAT <at>|PXAT <at_ms>|PERSIST}*", Bytes),
    row(4, "GETSET <key> <val>", Bytes),
    row(6, "GETRANGE <key> <off> <off>", Bytes),
    row(2, "SUBSTR <key> <off> <off>", Bytes),
    row(6, "SETRANGE <key> <reach> <val>", Bytes),
    row(4, "STRLEN <key>", Bytes),
    row(6, "APPEND <key> <val>", Bytes),
    row(6, "INCR <key>", Bytes),
    row(4, "DECR <key>", Bytes),
    row(6, "INCRBY <key> <int>", Bytes),
    row(4, "DECRBY <key> <int>", Bytes),
    row(6, "INCRBYFLOAT <key> <float>", Bytes),
    row(8, "MGET <key>+", Bytes),
    row(8, "MSET {<key> <val>}+", Bytes),
    row(4, "MSETNX {<key> <val>}+", Bytes),
    row(3, "LCS <key> <key> {LEN|IDX|MINMATCHLEN <off>|WITHMATCHLEN}*", Bytes),
    // Bits.
    row(6, "SETBIT <key> <bitoff> <bit>", Bytes),
    row(4, "GETBIT <key> <bitoff>", Bytes),
    row(5, "BITCOUNT <key> {<off> <off> {BYTE|BIT}?}?", Bytes),
    row(5, "BITPOS <key> <bit> {<off> {<off> {BYTE|BIT}?}?}?", Bytes),
    row(5, "BITOP {AND|OR|XOR|NOT} <key> <key>+", Bytes),
    row(
        5,
        "BITFIELD <key> {GET <field> <fieldoff>|SET <field> <fieldoff> <fieldval>|INCRBY <field> <fieldoff> <int>|OVERFLOW {WRAP|SAT|FAIL|X}}*",
        Bytes,
    ),
    row(2, "BITFIELD_RO <key> {GET <field> <fieldoff>}*", Bytes),
    // Lists meet strings here; `lists` has them in full.
    row(6, "RPUSH <key> <elem>+", Bytes),
    row(6, "LPUSH <key> <elem>+", Bytes),
    row(3, "{LPOP|RPOP} <key> <count>?", Bytes),
    row(3, "LRANGE <key> <index> <index>", Bytes),
    row(3, "LINSERT <key> {BEFORE|AFTER} <elem> <elem>", Bytes),
    row(3, "LMOVE <key> <key> {LEFT|RIGHT} {LEFT|RIGHT}", Bytes),
    row(2, "LMPOP 2 <key> <key> {LEFT|RIGHT} {COUNT <count>}?", Bytes),
    row(2, "SORT <key> {ALPHA|DESC|BY <key>|GET *|STORE <key>}*", Bytes),
    // Streams; streams.rs has the rest of them.
    row(6, "XADD <key> {MAXLEN <off>|NOMKSTREAM}? <sid> {<val> <val>}+", Bytes),
    row(2, "XDEL <key> <sid>+", Bytes),
    row(2, "XRANGE <key> {-|<sid>} {+|<sid>}", Bytes),
    row(2, "XLEN <key>", Bytes),
    row(2, "XREAD COUNT <int> STREAMS <key> <key> <sid> 0", Bytes),
    row(2, "XGROUP CREATE <key> <val> 0 MKSTREAM?", Bytes),
    // Keys of any type.
    row(6, "DEL <key>+", Bytes),
    row(3, "UNLINK <key>+", Bytes),
    row(4, "EXISTS <key>+", Bytes),
    row(3, "TOUCH <key>+", Bytes),
    row(3, "TYPE <key>", Bytes),
    row(6, "RENAME <key> <key>", Bytes),
    row(4, "RENAMENX <key> <key>", Bytes),
    row(5, "COPY <key> <key> {DB <db>|REPLACE}*", Bytes),
    row(4, "MOVE <key> <db>", Bytes),
    row(3, "KEYS <pat>", AnyOrder),
    row(2, "DBSIZE", Bytes),
    row(2, "RANDOMKEY", Kind),
    row(3, "OBJECT ENCODING <key>", Bytes),
    row(1, "OBJECT REFCOUNT <key>", Kind),
    row(1, "OBJECT IDLETIME <key>", SECONDS),
    row(1, "OBJECT FREQ <key>", Bytes),
    row(1, "OBJECT {NOSUCH|ENCODING}", Bytes),
    row(1, "SCAN {0|abc|-1|} {MATCH <pat>|COUNT <int>|TYPE string|NOSUCH x}*", Kind),
    // Lifetimes.
    row(5, "EXPIRE <key> <ttl> {NX|XX|GT|LT|nosuch}*", Bytes),
    row(3, "PEXPIRE <key> <pttl> {NX|XX|GT|LT}?", Bytes),
    row(3, "EXPIREAT <key> <at> {NX|XX|GT|LT}*", Bytes),
    row(3, "PEXPIREAT <key> <at_ms> {NX|XX|GT|LT}?", Bytes),
    row(4, "TTL <key>", SECONDS),
    row(4, "PTTL <key>", MILLISECONDS),
    row(2, "EXPIRETIME <key>", SECONDS),
    row(2, "PEXPIRETIME <key>", MILLISECONDS),
    row(3, "PERSIST <key>", Bytes),
    // Databases.
    row(6, "SELECT <db>", Bytes),
    row(1, "SWAPDB <db> <db>", Bytes),
    row(1, "FLUSHDB {ASYNC|SYNC|NOSUCH}?", Bytes),
    row(1, "FLUSHALL {ASYNC|SYNC}?", Bytes),
    // Transactions; whole ones are made by `rounds`.
    row(3, "WATCH <key>+", Bytes),
    row(1, "UNWATCH", Bytes),
    row(1, "EXEC", Bytes),
    row(1, "DISCARD", Bytes),
    // Connections.
    row(2, "PING <val>?", Bytes),
    row(2, "ECHO <val>", Bytes),
    row(1, "NOSUCH <val>*", Bytes),
    row(
        1,
        "CLIENT {GETNAME|SETNAME <val>|NOSUCH|ID|NO-EVICT {on|off|x}|REPLY {on|x}|UNBLOCK 123456 {TIMEOUT|ERROR|x}?}",
        Kind,
    ),
    row(1, "DEBUG STRINGMATCH-LEN 10 <pat>", Kind),
];

/// The rows that run against a server which knows all of them.
pub fn total_weight() -> usize {
    ROWS.iter().map(|r| r.weight).sum()
}

/// The row that holds the `at`th unit of weight.
pub fn at(mut at: usize) -> usize {
    for (i, row) in ROWS.iter().enumerate() {
        if at < row.weight {
            return i;
        }
        at -= row.weight;
    }
    unreachable!("at is below the total weight")
}
