//! What redis-server writes into its append-only file, command by command, is what `tests/data/effects.txt` says. A test of kring's
//! logs reads the same table.

use crate::client::Client;
use crate::reply::Reply;
use crate::server::Server;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TABLE: &str = include_str!("../../data/effects.txt");

/// A key that parts the effects of one request from those of the next.
const MARK: &str = "__mark";
/// How much later than it was asked for a time may lie, in milliseconds.
const SLACK_MS: i64 = 5_000;

/// A request, when it was sent, and the effects that are expected.
struct Case {
    line: &'static str,
    sent_ms: i64,
    effects: Vec<&'static str>,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Runs the table, with a mark behind each request.
fn run(client: &mut Client) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if let Some(effect) = line.strip_prefix("  ") {
            let effect = effect.strip_prefix("redis:").unwrap_or(effect).trim();
            if !effect.starts_with("kring:") {
                cases.last_mut().unwrap().effects.push(effect);
            }
        } else if let Some(ms) = line.strip_prefix("wait ") {
            std::thread::sleep(Duration::from_millis(ms.parse().unwrap()));
        } else {
            let request = if line == "---" { "FLUSHALL" } else { line };
            let effects = if line == "---" { vec!["FLUSHALL"] } else { vec![] };
            cases.push(Case { line: request, sent_ms: now_ms(), effects });
            let words: Vec<&str> = request.split_whitespace().map(|word| word.trim_matches('"')).collect();
            client.call(&words);
            client.ok(&format!("SET {MARK} {}", cases.len() - 1));
        }
    }
    cases
}

/// The effects of each request, by the marks.
fn effects(file: &Path) -> Vec<Vec<Vec<String>>> {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let (mut all, mut some, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        let (reply, used) = Reply::parse(&bytes[at..]).expect("whole commands");
        at += used;
        let Reply::Array(words) = reply else { panic!("{reply:?}") };
        let text = |word: Reply| match word {
            Reply::Bulk(text) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        };
        let words: Vec<String> = words.into_iter().map(text).collect();
        match words[0].as_str() {
            "MULTI" | "EXEC" | "SELECT" => {}
            "SET" if words[1] == MARK => all.push(std::mem::take(&mut some)),
            _ => some.push(words),
        }
    }
    all
}

fn matches(got: &[String], case: &Case, effect: &str) -> bool {
    let effect = if effect == "=" { case.line } else { effect };
    let word = |got: &String, word: &str| match word.strip_prefix('@') {
        Some(n) => {
            let later = got.parse::<i64>().unwrap_or(0) - case.sent_ms - n.parse::<i64>().unwrap();
            (0..SLACK_MS).contains(&later)
        }
        None => word == "*" || got == word.trim_matches('"'),
    };
    let words: Vec<&str> = effect.split_whitespace().collect();
    got.len() == words.len() && got.iter().zip(words).all(|(got, expected)| word(got, expected))
}

#[test]
fn redis_writes_what_the_table_says() {
    let settings = ["--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--appendfsync", "always"];
    let redis = Server::redis(&settings);
    let cases = run(&mut redis.connect());
    let all = effects(&redis.dir().join("appendonlydir/appendonly.aof.1.incr.aof"));
    assert_eq!(all.len(), cases.len());
    let mut wrong = String::new();
    for (case, got) in cases.iter().zip(&all) {
        let alike = got.len() == case.effects.len()
            && got.iter().zip(&case.effects).all(|(got, effect)| matches(got, case, effect));
        if !alike {
            wrong += &format!("{}\n  {got:?}\n  not {:?}\n", case.line, case.effects);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
