//! Streams against redis-server 7.0: random commands on a few keys, on nodes of several sizes; then all that XINFO shows,
//! digests, and DUMP payloads both ways, byte for byte.
//!
//! Ids are given by hand, since those that servers make are times. Times in replies are left out of the comparison, and so
//! is what 7.0 does not tell (when a consumer was last active). From 7.4 on `lag` and `entries-read` are right after
//! deletions, where 7.0 loses count: they are compared in the rounds that delete nothing. And since 7.2 a consumer that
//! asks is made, also when there is nothing to give: here it is made beforehand.

use super::compare::differ;
use super::known;
use super::pair::{Pair, Step};
use crate::reply::Reply;
use crate::rng::{Rng, seed};

const ROUNDS: u64 = 40;
const COMMANDS: usize = 250;
const KEYS: &[&str] = &["s:1", "s:2", "{t}s", "plain"];
/// Differences that a run tells at most.
const TOLD: usize = 12;

/// What keeps the groups' counters alike in both releases.
const STEADY: &[&str] = &[
    "XADD $k $n $f",
    "XADD $k $n $f",
    "XADD $k $n $f",
    "XADD $k $n $f",
    "XADD $k NOMKSTREAM $n $f",
    "XADD $k $p $f",
    "XLEN $k",
    "XRANGE $k $a $b",
    "XRANGE $k $a $b COUNT $N",
    "XREVRANGE $k $b $a",
    "XREVRANGE $k $b $a COUNT $N",
    "XREAD STREAMS $k $i",
    "XREAD COUNT $N STREAMS $k $k $k $i $i $",
    "XGROUP CREATE $k $g 0",
    "XGROUP CREATE $k $g $ MKSTREAM",
    "XGROUP CREATECONSUMER $k $g $c",
    "XGROUP DELCONSUMER $k $g $c",
    "XGROUP DESTROY $k $g",
    "XREADGROUP GROUP $g $c STREAMS $k >",
    "XREADGROUP GROUP $g $c COUNT $N STREAMS $k >",
    "XREADGROUP GROUP $g $c COUNT $N STREAMS $k $k > >",
    "XREADGROUP GROUP $g $c NOACK COUNT $N STREAMS $k >",
    "XREADGROUP GROUP $g $c STREAMS $k $i",
    "XREADGROUP GROUP $g $c COUNT $N STREAMS $k 0",
    "XACK $k $g $i",
    "XACK $k $g $i $i $i $i",
    "XPENDING $k $g",
    "XPENDING $k $g $a $b $N",
    "XPENDING $k $g $a $b $N $c",
    "XPENDING $k $g IDLE 1000000 $a $b $N",
    "XCLAIM $k $g $c 0 $i $i",
    "XCLAIM $k $g $c 1000000 $i $i JUSTID",
    "XCLAIM $k $g $c 0 $i FORCE",
    "XCLAIM $k $g $c 0 $i $i FORCE JUSTID RETRYCOUNT $N",
    "XCLAIM $k $g $c 0 $i IDLE 5000 TIME 7000",
    "XAUTOCLAIM $k $g $c 0 $a",
    "XAUTOCLAIM $k $g $c 0 $a COUNT $N JUSTID",
    "XAUTOCLAIM $k $g $c 1000000 0",
    "XINFO STREAM $k",
    "XINFO STREAM $k FULL",
    "XINFO STREAM $k FULL COUNT $N",
    "XINFO GROUPS $k",
    "XINFO CONSUMERS $k $g",
    "DEL $k",
    "COPY $k $k",
    "RENAME $k $k",
];

/// The rest.
const DELETING: &[&str] = &[
    "XDEL $k $i",
    "XDEL $k $i $i $i $i $i",
    "XTRIM $k MAXLEN $N",
    "XTRIM $k MAXLEN = $N",
    "XTRIM $k MAXLEN ~ $N",
    "XTRIM $k MAXLEN ~ $N LIMIT $N",
    "XTRIM $k MINID $i",
    "XTRIM $k MINID ~ $i",
    "XADD $k MAXLEN $N $n $f",
    "XADD $k MAXLEN ~ $N $n $f",
    "XADD $k MINID $i $n $f",
    "XSETID $k $r",
    "XSETID $k $r ENTRIESADDED $N MAXDELETEDID $i",
    "XGROUP SETID $k $g $i",
    "XGROUP SETID $k $g $ ENTRIESREAD $N",
    "XGROUP CREATE $k $g $i ENTRIESREAD $N",
    "XCLAIM $k $g $c 0 $i LASTID $i",
];

struct Author {
    rng: Rng,
    /// The milliseconds of the next id.
    ms: u64,
}

impl Author {
    /// A command, and those that must go before it.
    fn command(&mut self, deletes: bool) -> (Vec<Vec<Vec<u8>>>, Vec<Vec<u8>>) {
        let template = match deletes && self.rng.one_in(3) {
            true => self.rng.pick(DELETING),
            false => self.rng.pick(STEADY),
        };
        let mut args: Vec<Vec<u8>> = Vec::new();
        for word in template.split(' ') {
            match word {
                "$f" => self.fields(&mut args),
                _ => args.push(self.word(word).into_bytes()),
            }
        }
        if self.rng.one_in(25) {
            let at = 1 + self.rng.below(args.len());
            match self.rng.below(3) {
                0 => drop(args.pop()),
                1 if at < args.len() => {
                    args[at] = self
                        .rng
                        .pick(&["", "abc", "-1", "0", "*", "COUNT", "9223372036854775808"])
                        .as_bytes()
                        .to_vec();
                }
                _ => args.push(self.rng.pick(&["abc", "0", "JUSTID", "COUNT", "0-0"]).as_bytes().to_vec()),
            }
        }
        (consumers_of(&args), args)
    }

    fn word(&mut self, word: &str) -> String {
        let rng = &mut self.rng;
        match word {
            "$k" if rng.one_in(40) => KEYS[3].to_string(),
            "$k" => KEYS[rng.below(3)].to_string(),
            "$g" => rng.pick(&["g1", "g1", "g2", "other"]).to_string(),
            "$c" => rng.pick(&["c1", "c2", "alice"]).to_string(),
            "$N" => rng.pick(&["0", "1", "2", "3", "5", "10", "40", "-1"]).to_string(),
            "$n" if rng.one_in(12) => rng.pick(&["0-0", "0-1", "1-1", "x", "5"]).to_string(),
            "$n" => {
                self.ms += rng.below(3) as u64 * if rng.one_in(6) { 1_000 } else { 1 };
                format!("{}-{}", self.ms, 1 + rng.below(4))
            }
            // 7.0 lets XSETID go below deleted ids, so those always rise.
            "$r" => {
                self.ms += 1 + rng.below(3) as u64;
                format!("{}-1", self.ms)
            }
            "$p" => {
                self.ms += rng.below(2) as u64;
                format!("{}-*", self.ms)
            }
            "$i" => format!("{}-{}", 1_000 + rng.next() % (self.ms - 998), 1 + rng.below(4)),
            "$a" | "$b" => match rng.below(8) {
                0..=3 => if word == "$a" { "-" } else { "+" }.into(),
                4 => format!("({}", 1_000 + rng.next() % (self.ms - 998)),
                5 => format!("({}-2", 1_000 + rng.next() % (self.ms - 998)),
                6 => rng
                    .pick(&["(", "(-", "x", "(0-0", "(18446744073709551615-18446744073709551615"])
                    .to_string(),
                _ => format!("{}", 1_000 + rng.next() % (self.ms - 998)),
            },
            other => other.to_string(),
        }
    }

    fn fields(&mut self, args: &mut Vec<Vec<u8>>) {
        let rng = &mut self.rng;
        let pairs = if rng.one_in(3) { 1 + rng.below(3) } else { 2 };
        for i in 0..pairs {
            args.push(if rng.one_in(8) { b"rare".to_vec() } else { format!("{i}").into_bytes() });
            args.push(match rng.below(6) {
                0 => vec![b'v'; rng.below(200)],
                1 => {
                    rng.pick(&["-1", "127", "128", "-5000", "70000", "3000000000", "01"]).as_bytes().to_vec()
                }
                2 => (0..rng.below(10)).map(|_| rng.next() as u8).collect(),
                _ => format!("{}", rng.below(5_000)).into_bytes(),
            });
        }
    }
}

/// Makes the consumer that a command asks for.
fn consumers_of(args: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let make = |key: &[u8], group: &[u8], consumer: &[u8]| {
        [b"XGROUP", b"CREATECONSUMER".as_slice(), key, group, consumer].map(<[u8]>::to_vec).to_vec()
    };
    if args.len() < 4 {
        return vec![];
    }
    match args[0].as_slice() {
        b"XCLAIM" | b"XAUTOCLAIM" => vec![make(&args[1], &args[2], &args[3])],
        b"XREADGROUP" => {
            let keys = args.iter().position(|a| a == b"STREAMS").map_or(args.len(), |at| at + 1);
            let streams = &args[keys..];
            streams[..streams.len() / 2].iter().map(|key| make(key, &args[2], &args[3])).collect()
        }
        _ => vec![],
    }
}

/// A reply without times, without what 7.0 does not have, and without counters that are not to be compared.
fn plain(reply: &Reply, steady: bool) -> Reply {
    let left_out = |name: &Reply| match name {
        Reply::Bulk(name) => match name.as_slice() {
            b"idle" | b"inactive" | b"seen-time" | b"active-time" => true,
            b"lag" | b"entries-read" => !steady,
            _ => false,
        },
        _ => false,
    };
    match reply {
        Reply::Map(pairs) => {
            let kept = pairs.iter().filter(|(name, _)| !left_out(name));
            Reply::Map(kept.map(|(k, v)| (k.clone(), plain(v, steady))).collect())
        }
        // Pending entries: id, consumer, time, deliveries; or without the consumer.
        Reply::Array(items) => match items.as_slice() {
            [id @ Reply::Bulk(_), name @ Reply::Bulk(_), Reply::Int(_), count @ Reply::Int(_)] => {
                Reply::Array(vec![id.clone(), name.clone(), count.clone()])
            }
            [id @ Reply::Bulk(_), Reply::Int(_), count @ Reply::Int(_)] => {
                Reply::Array(vec![id.clone(), count.clone()])
            }
            items => {
                // Maps of RESP2 are flat.
                let mut kept = Vec::new();
                let mut skip = false;
                for item in items {
                    if std::mem::take(&mut skip) {
                        continue;
                    }
                    skip = left_out(item);
                    if !skip {
                        kept.push(plain(item, steady));
                    }
                }
                Reply::Array(kept)
            }
        },
        other => other.clone(),
    }
}

fn look(pair: &mut Pair, args: &[Vec<u8>], steady: bool) -> bool {
    let (kring, redis) = pair.both(args);
    if kring == redis || known::is_known(args, &redis, &kring) {
        return true;
    }
    let parsed = |raw: &[u8]| plain(&Reply::parse(raw).expect("a whole reply").0, steady);
    let (k, r) = (parsed(&kring), parsed(&redis));
    let alike = k == r && kring[0] != b'-';
    if !alike {
        let kind = format!("{:?} {:?}", args[0], redis.iter().take(20).collect::<Vec<_>>());
        // Long replies: from a little before where they part.
        let (k, r) = (format!("{k:?}"), format!("{r:?}"));
        let at = k.bytes().zip(r.bytes()).take_while(|(k, r)| k == r).count().saturating_sub(200);
        let from = |text: &str| text.chars().skip(at).take(300).collect::<String>();
        pair.note(
            &kind,
            format!("{}\n    r: {}\n    k: {}", differ(args, &redis, &kring), from(&r), from(&k)),
        );
    }
    alike
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn streams_answer_like_redis() {
    let rounds = std::env::var("KRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut pair = Pair::start(3, 1);
    let mut told = 0;
    for round in 0..rounds {
        let mut author = Author { rng: Rng::new(seed().wrapping_add(round << 8)), ms: 1_000 };
        let steady = round % 2 == 0;
        begin(&mut pair, &mut author.rng);
        let mut history = Vec::new();
        for _ in 0..COMMANDS {
            let (before, args) = author.command(!steady);
            history.push(super::compare::quote(&args));
            let made = before.iter().all(|args| look(&mut pair, args, steady));
            if !made || !look(&mut pair, &args, steady) {
                told += 1;
                if std::env::var_os("KRING_HISTORY").is_some() {
                    eprintln!("round {round}:\n{}", history.join("\n"));
                }
                break;
            }
        }
        end(&mut pair, steady);
        if told > TOLD {
            break;
        }
    }
    pair.assert_alike(&format!("streams, KRING_SEED={} KRING_ROUNDS={rounds}", seed()));
}

fn begin(pair: &mut Pair, rng: &mut Rng) {
    let hello = if rng.one_in(2) { "HELLO 2" } else { "HELLO 3" };
    let entries = rng.pick(&["1", "3", "100", "0"]);
    let bytes = rng.pick(&["4096", "100", "0"]);
    for line in [
        "FLUSHALL",
        hello,
        "SET plain text",
        &format!("CONFIG SET stream-node-max-entries {entries}"),
        &format!("CONFIG SET stream-node-max-bytes {bytes}"),
    ] {
        let (kring, redis) = pair.both(&words(line));
        assert!(kring[0] == redis[0] && kring[0] != b'-', "{line}");
    }
}

/// Everything that can be seen of the streams, and their payloads.
fn end(pair: &mut Pair, steady: bool) {
    for key in &KEYS[..3] {
        look(pair, &words(&format!("XINFO STREAM {key} FULL COUNT 0")), steady);
        pair.exchange(
            0,
            &[
                Step::words(&format!("DEBUG DIGEST-VALUE {key}")),
                Step::words(&format!("OBJECT ENCODING {key}")),
                Step::words(&format!("TYPE {key}")),
            ],
        );
        // A payload that went to the other server and back is the same, byte for byte.
        let (kring, redis) = pair.both(&words(&format!("DUMP {key}")));
        for (payload, whose) in [(kring, "kring's"), (redis, "Redis's")] {
            let Reply::Bulk(payload) = Reply::parse(&payload).expect("whole").0 else { continue };
            let (kring, redis) = pair.first();
            let way = if whose == "kring's" { [redis, kring] } else { [kring, redis] };
            let mut carried = payload.clone();
            for client in way {
                let restored = client.call(&[b"RESTORE".as_slice(), b"copy", b"0", &carried, b"REPLACE"]);
                assert!(restored.is_ok(), "{whose} payload: {restored:?}");
                carried = client.run("DUMP copy").bytes().to_vec();
                client.run("DEL copy");
            }
            assert!(carried == payload, "{whose} payload, {key}:\n{payload:?}\n{carried:?}");
        }
    }
}
