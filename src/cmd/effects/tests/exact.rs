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
";

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
