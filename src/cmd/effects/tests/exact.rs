//! The exact effects of commands: those of `tests/data/effects.txt`, which a test of the process compares with Redis's; those of field
//! expiry, which Redis 7.0 does not have; and the parts of commands over several shards.

use super::{commands, logging, show, take_logs};
use crate::cmd::testing::World;
use crate::store::log::Break;

const SHARED: &str = include_str!("../../../../tests/data/effects.txt");

/// Of fields, as above.
const FIELDS: &str = "
HSET h a 1 b 2 c 3 d 4 e 5
  =
HEXPIRE h 10 FIELDS 3 a b nosuch
  HPEXPIREAT h @10000 FIELDS 2 a b
HPEXPIRE h 10 NX FIELDS 1 a
HPEXPIREAT h 1 FIELDS 2 b nosuch
  HDEL h b
HINCRBY h a 1
  =
HINCRBYFLOAT h a 1
  HSET h a 3
  HPEXPIREAT h @10000 FIELDS 1 a
HPERSIST h FIELDS 2 a c
  HPERSIST h FIELDS 1 a
HGETEX h FIELDS 1 a
HGETEX h EX 10 FIELDS 2 a nosuch
  HPEXPIREAT h @10000 FIELDS 1 a
HGETEX h PERSIST FIELDS 2 a c
  HPERSIST h FIELDS 1 a
HGETEX h PXAT 1 FIELDS 1 a
  HDEL h a
HGETDEL h FIELDS 2 c nosuch
  HDEL h c
HSETEX h FIELDS 1 a 1
  HSET h a 1
HSETEX h FXX FIELDS 2 a 1 nosuch 1
HSETEX h EX 10 FIELDS 2 a 1 b 2
  HSET h a 1 b 2
  HPEXPIREAT h @10000 FIELDS 2 a b
HSETEX h KEEPTTL FIELDS 2 a 5 d 5
  HSET h a 5 d 5
  HPEXPIREAT h @10000 FIELDS 1 a
HSETEX h PXAT 1 FIELDS 1 d 5
  HDEL h d
wait 10000
HGET h a
  HDEL h a
HINCRBY h b 1
  HSET h b 1
HPEXPIRE h 20 FIELDS 2 b e
  HPEXPIREAT h @20 FIELDS 2 b e
wait 20
HRANDFIELD h
  HDEL h b e
HSET h1 f x
  =
HPEXPIRE h1 20 FIELDS 1 f
  HPEXPIREAT h1 @20 FIELDS 1 f
SADD s 1
  =
wait 20
SORT s GET h*->f STORE l
  RESTORE l 0 * REPLACE ABSTTL
";

/// Over three shards: keys that begin with a live on the first, b on the second, c on the third. What each is left, shard by shard;
/// `*` may stand for a payload.
const PARTS: &[(&str, [&str; 3])] = &[
    ("MSET a 1 b 2 a2 3 b2 4", ["MSET a 1 a2 3", "MSET b 2 b2 4", ""]),
    ("MSETNX a3 1 c 2", ["MSETNX a3 1", "", "MSETNX c 2"]),
    ("DEL a a2 nosuch", ["DEL a a2", "", ""]),
    ("DEL a3 b b2", ["DEL a3", "DEL b b2", ""]),
    ("DEL a c", ["", "", "DEL c"]),
    ("SET a 5 EX 100", ["SET a 5 PXAT 1700000100000", "", ""]),
    ("RENAME a b", ["DEL a", "RESTORE b 1700000100000 * REPLACE ABSTTL", ""]),
    ("COPY b c", ["", "", "RESTORE c 1700000100000 * REPLACE ABSTTL"]),
    ("COPY b b2", ["", "COPY b b2", ""]),
    ("COPY b c DB 2", ["", "", "RESTORE c 1700000100000 * REPLACE ABSTTL"]),
    ("BITOP NOT a b", ["RESTORE a 0 * REPLACE ABSTTL", "", ""]),
    ("BITOP NOT a nosuch", ["DEL a", "", ""]),
    ("RPUSH l{a} 1 2 3", ["RPUSH l{a} 1 2 3", "", ""]),
    ("LMOVE l{a} l{b} LEFT RIGHT", ["LPOP l{a}", "RPUSH l{b} 1", ""]),
    ("BLMOVE l{a} l{c} RIGHT LEFT 0", ["RPOP l{a}", "", "LPUSH l{c} 3"]),
    ("RPOPLPUSH l{a} l{a}", ["RPOPLPUSH l{a} l{a}", "", ""]),
    ("BLPOP l{b} l{a} 0", ["", "LPOP l{b}", ""]),
    ("SORT l{a} STORE l{b}", ["", "RESTORE l{b} 0 * REPLACE ABSTTL", ""]),
    ("SADD s{a} x y", ["SADD s{a} x y", "", ""]),
    ("SMOVE s{a} s{b} x", ["SREM s{a} x", "SADD s{b} x", ""]),
    ("SADD s{a} x", ["SADD s{a} x", "", ""]),
    ("SMOVE s{a} s{b} x", ["SREM s{a} x", "", ""]),
    ("SUNIONSTORE s{c} s{a} s{b}", ["", "", "RESTORE s{c} 0 * REPLACE ABSTTL"]),
    ("SUNIONSTORE t{a} s{a} s{a}", ["SUNIONSTORE t{a} s{a} s{a}", "", ""]),
    ("GEOADD g{a} 13 38 P", ["GEOADD g{a} 13 38 P", "", ""]),
    ("GEORADIUS g{a} 13 38 10 km STORE g{b} STORE g{c}", ["", "", "RESTORE g{c} 0 * REPLACE ABSTTL"]),
    ("PFADD p{a} x", ["PFADD p{a} x", "", ""]),
    ("PFMERGE p{b} p{a}", ["", "RESTORE p{b} 0 * REPLACE ABSTTL", ""]),
    ("XADD x{a} 1-1 a 1", ["XADD x{a} 1-1 a 1", "", ""]),
];

/// Words of a line, with quotes; `@n` is a time.
fn words(line: &str, now_ms: i64) -> Vec<String> {
    let time = |word: &str| match word.strip_prefix('@') {
        Some(n) => (now_ms + n.parse::<i64>().expect("@n")).to_string(),
        None => word.to_string(),
    };
    line.split_whitespace().map(time).collect()
}

/// What the last command left, of all shards, without what surrounds it.
fn left(world: &mut World) -> Vec<String> {
    let mut all = Vec::new();
    for (shard, log) in take_logs(world).into_iter().enumerate() {
        let whole = log.breaks.iter().find_map(|b| match b {
            Break::Turn { whole: Some(whole), .. } if shard == 0 => Some(&whole[..]),
            _ => None,
        });
        all.extend(commands(&log.bytes));
        all.extend(commands(whole.unwrap_or_default()));
    }
    all.retain(|command| !["MULTI", "EXEC", "SELECT"].iter().any(|word| command[0] == word.as_bytes()));
    all.iter().map(|command| show(command)).collect()
}

fn matches(got: &str, expected: &[String]) -> bool {
    let got: Vec<&str> = got.split(' ').collect();
    got.len() == expected.len() && got.iter().zip(expected).all(|(got, word)| word == "*" || got == word)
}

fn check(text: &str) {
    let mut world = logging(1);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).peekable();
    while let Some(line) = lines.next() {
        if line == "---" {
            world = logging(1);
        } else if let Some(ms) = line.strip_prefix("wait ") {
            world.advance_ms(ms.parse().expect("milliseconds"));
        } else {
            let now_ms = world.now.ms();
            let reply = world.run(line);
            let got = left(&mut world);
            let mut expected = Vec::new();
            while let Some(effect) = lines.next_if(|line| line.starts_with("  ")) {
                let effect = effect.trim().trim_start_matches("kring:").trim_start();
                if !effect.starts_with("redis:") {
                    expected.push(words(if effect == "=" { line } else { effect }, now_ms));
                }
            }
            let alike = got.len() == expected.len() && got.iter().zip(&expected).all(|(g, e)| matches(g, e));
            assert!(alike, "{line}: {reply}left {got:#?}\nnot {expected:#?}");
        }
    }
}

#[test]
fn effects_are_those_of_the_table() {
    check(SHARED);
}

#[test]
fn effects_on_fields() {
    check(FIELDS);
}

#[test]
fn commands_over_several_shards_leave_a_part_in_each() {
    let mut world = logging(3);
    let route = world.hand.route();
    let tag = |shard: usize| {
        let mut all = (0..).map(|i| format!("t{i}"));
        all.find(|tag| route.owner(tag.as_bytes()) == shard).expect("there is one")
    };
    let tags = [tag(0), tag(1), tag(2)];
    // `a2` is `a2{t0}`, `l{a}` is `l{t0}`.
    let tagged = |word: &str, letter: u8| format!("{word}{{{}}}", tags[usize::from(letter - b'a')]);
    let place = |word: &str| match word.as_bytes() {
        [first @ b'a'..=b'c'] | [first @ b'a'..=b'c', b'2' | b'3'] => tagged(word, *first),
        [.., b'{', letter, b'}'] => tagged(&word[..word.len() - 3], *letter),
        _ => word.to_string(),
    };
    let place = |line: &str| line.split(' ').map(place).collect::<Vec<_>>().join(" ");
    for (line, parts) in PARTS {
        let reply = world.run(&place(line));
        let logs = take_logs(&mut world);
        let written = parts.iter().filter(|part| !part.is_empty()).count();
        for (log, part) in logs.iter().zip(parts) {
            let mut got = commands(&log.bytes);
            got.retain(|command| {
                !["MULTI", "EXEC", "SELECT"].iter().any(|word| command[0] == word.as_bytes())
            });
            let expected: Vec<String> = place(part).split(' ').map(str::to_string).collect();
            let alike = match &got[..] {
                [] => part.is_empty(),
                [one] => matches(&show(one), &expected) || is_restore(one, &expected),
                _ => false,
            };
            let got: Vec<String> = got.iter().map(|command| show(command)).collect();
            assert!(alike, "{line}: {reply}left {got:?}, not {part}");
            assert_eq!(log.breaks.len(), usize::from(written > 1 && !part.is_empty()), "{line}");
        }
    }
}

/// The same, where the payload may have blanks.
fn is_restore(got: &[Vec<u8>], expected: &[String]) -> bool {
    got.len() == expected.len()
        && got.iter().zip(expected).all(|(got, word)| word == "*" || got == word.as_bytes())
}
