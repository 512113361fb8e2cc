//! Fixed scripts: what random requests rarely hit, a file a family.
//!
//! ```text
//! # a comment           GET "a\x00b"      words, quoted as in redis-cli
//! ---  starts afresh    near> TTL a       kind>, any> too: see `How`
//! ```
//! Every script runs on one and on three shards, in RESP2 and in RESP3.

use super::compare::How;
use super::pair::{Pair, Step};

pub const SCRIPTS: &[(&str, &str)] = &[
    ("strings", include_str!("cases/strings.txt")),
    ("bits", include_str!("cases/bits.txt")),
    ("sets", include_str!("cases/sets.txt")),
    ("hyperloglogs", include_str!("cases/hyperloglogs.txt")),
    ("keys", include_str!("cases/keys.txt")),
    ("lists", include_str!("cases/lists.txt")),
    ("sort", include_str!("cases/sort.txt")),
    ("lifetimes", include_str!("cases/lifetimes.txt")),
    ("hashes", include_str!("cases/hashes.txt")),
    ("streams", include_str!("cases/streams.txt")),
    ("connection", include_str!("cases/connection.txt")),
    ("server", include_str!("cases/server.txt")),
    ("command", include_str!("cases/command.txt")),
    ("transactions", include_str!("cases/transactions.txt")),
];

#[test]
fn scripts_answer_like_redis_on_one_shard() {
    scripts(1);
}

#[test]
fn scripts_answer_like_redis_on_three_shards() {
    scripts(3);
}

fn scripts(shards: usize) {
    let mut pair = Pair::start(shards, 2);
    pair.tell_all = true;
    for (name, text) in SCRIPTS {
        for link in 0..2 {
            pair.reset();
            for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
                if line == "---" {
                    pair.reset();
                    continue;
                }
                pair.exchange(
                    link,
                    &[step(line).unwrap_or_else(|| panic!("{name}.txt: cannot read {line}"))],
                );
            }
        }
    }
    pair.assert_alike(&format!("scripts on {shards} shards"));
}

/// The request of a line.
pub fn step(line: &str) -> Option<Step> {
    let (how, line) = match line.split_once("> ") {
        Some(("near", rest)) => (How::Near(20_000), rest),
        Some(("kind", rest)) => (How::Kind, rest),
        Some(("any", rest)) => (How::AnyOrder, rest),
        _ => (How::Bytes, line),
    };
    Some(Step { args: words(line)?, how })
}

/// Words with double quotes and `\n`, `\r`, `\t`, `\xhh`, `\\`, `\"` inside; `*N` after a quoted word repeats it.
fn words(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            words.push(word.as_bytes().to_vec());
            rest = after.trim_start();
            continue;
        };
        let (mut word, after) = unquote(quoted)?;
        let (times, after) = after.split_once(' ').unwrap_or((after, ""));
        if let Some(n) = times.strip_prefix('*') {
            word = word.repeat(n.parse().ok()?);
        }
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

fn unquote(quoted: &str) -> Option<(Vec<u8>, &str)> {
    let mut word = Vec::new();
    let mut at = 0;
    let bytes = quoted.as_bytes();
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (b'"', _) => return Some((word, &quoted[at + 1..])),
            (b'\\', Some(b'x')) => {
                word.push(u8::from_str_radix(quoted.get(at + 2..at + 4)?, 16).ok()?);
                at += 4;
            }
            (b'\\', Some(escaped)) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                at += 2;
            }
            (byte, _) => {
                word.push(*byte);
                at += 1;
            }
        }
    }
}

#[test]
fn words_are_quoted_as_in_redis_cli() {
    let read = words(r#"SET "a\x00\n" "ab"*3 x"#).unwrap();
    assert_eq!(read, [b"SET".to_vec(), b"a\0\n".to_vec(), b"ababab".to_vec(), b"x".to_vec()]);
}
