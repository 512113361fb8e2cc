//! What is logged, replayed, gives what was there: generated commands of every family that writes, over one shard and several, while
//! time moves and memory is short; the logs, shard by shard and mixed at random, in worlds of other numbers of shards.
//!
//! `KRING_EFFECTS=seeds,commands cargo test --lib what_is_logged` runs long.

mod exact;
mod grammar;
mod script;

use crate::base::prng::{seeded, xorshift};
use crate::cmd::testing::World;
use crate::resp::{Args, Limits, Parser, Step};
use crate::store::log::{Break, Taken};
use crate::store::{Judge, Rule};
use std::collections::BTreeMap;

/// Databases that the script uses.
const DBS: usize = 3;

/// A world that keeps logs.
pub(super) fn logging(shards: usize) -> World {
    let mut world = World::new(shards);
    world.hand.iter_mut().for_each(|store| store.log.switch(true));
    world
}

pub(super) fn take_logs(world: &mut World) -> Vec<Taken> {
    world.hand.iter_mut().map(|store| store.log.take(Vec::new())).collect()
}

/// The commands of some RESP.
pub(super) fn commands(resp: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut all, mut at) = (Vec::new(), 0);
    let limits = Limits { bulk_max: i64::MAX, authenticated: true };
    while at < resp.len() {
        let (mut spans, mut words) = (Vec::new(), Vec::new());
        let Step::Command { end, .. } = Parser::default().step(&resp[at..], &limits, &mut spans, &mut words)
        else {
            panic!("no whole command at {at}: {:?}", String::from_utf8_lossy(&resp[at..]))
        };
        all.push(Args::new(&resp[at..], &spans).iter().map(<[u8]>::to_vec).collect());
        at += end;
    }
    all
}

fn show(command: &[Vec<u8>]) -> String {
    let words = command.iter().map(|word| String::from_utf8_lossy(word).escape_debug().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// One generation of files, and what stands alone behind it.
#[derive(Default)]
struct Generation {
    files: Vec<Vec<u8>>,
    whole: Option<Vec<u8>>,
}

fn generations(logs: &[Taken]) -> Vec<Generation> {
    let mut all: Vec<Generation> = Vec::new();
    for log in logs {
        let mut from = 0;
        let turns = log.breaks.iter().filter_map(|b| match b {
            Break::Turn { at, whole, .. } => Some((*at, whole.as_deref().map(<[u8]>::to_vec))),
            Break::Part { .. } => None,
        });
        for (i, (end, whole)) in turns.chain([(log.bytes.len(), None)]).enumerate() {
            if all.len() == i {
                all.push(Generation::default());
            }
            all[i].files.push(log.bytes[from..end].to_vec());
            all[i].whole = whole;
            from = end;
        }
    }
    all
}

/// A file on its way.
struct Reader {
    commands: std::vec::IntoIter<Vec<Vec<u8>>>,
    db: usize,
}

/// Runs files beside each other, their commands mixed at random.
fn replay(world: &mut World, files: &[Vec<u8>], random: &mut u64) {
    let reader = |file: &Vec<u8>| Reader { commands: commands(file).into_iter(), db: 0 };
    let mut readers: Vec<Reader> = files.iter().map(reader).collect();
    while !readers.is_empty() {
        let at = xorshift(random) as usize % readers.len();
        let Some(command) = readers[at].commands.next() else {
            readers.remove(at);
            continue;
        };
        if matches!(&command[0][..], b"MULTI" | b"EXEC") {
            continue;
        }
        world.session.db = readers[at].db;
        let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let reply = world.run_args(&words);
        assert!(!reply.starts_with('-'), "{}: {reply}", show(&command));
        readers[at].db = world.session.db;
    }
}

fn replayed(logs: &[Taken], shards: usize, like: &World, random: &mut u64) -> World {
    let mut world = World::new(shards);
    // The configuration is another one: an effect must not depend on it.
    (world.now, world.replays) = (like.now, true);
    for generation in generations(logs) {
        replay(&mut world, &generation.files, random);
        replay(&mut world, generation.whole.as_slice(), random);
    }
    world
}

/// A key's type, TTL and content, alike for alike content whatever it looks like inside.
fn content(world: &mut World, key: &[u8]) -> (String, String) {
    let kind = world.run_args(&[b"TYPE", key]);
    let text = match kind.trim_end() {
        "+string" => world.run_args(&[b"GET", key]),
        "+list" => world.run_args(&[b"LRANGE", key, b"0", b"-1"]),
        "+set" => sorted(&world.run_args(&[b"SMEMBERS", key]), 1),
        "+zset" => world.run_args(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "+hash" => hash(world, key),
        "+stream" => stream(&world.run_args(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"])),
        other => panic!("{other}"),
    };
    (kind.trim_end().to_string() + " " + world.run_args(&[b"PEXPIRETIME", key]).trim_end(), text)
}

/// The elements of a flat array, `group` by `group` in order.
fn sorted(reply: &str, group: usize) -> String {
    let lines: Vec<&str> = reply.split("\r\n").skip(1).collect();
    // Length and text are two lines.
    let mut groups: Vec<String> = lines.chunks_exact(group * 2).map(|lines| lines.join(" ")).collect();
    groups.sort();
    groups.join("\n")
}

fn hash(world: &mut World, key: &[u8]) -> String {
    let fields = world.run_args(&[b"HKEYS", key]);
    let names: Vec<&str> = fields.split("\r\n").skip(2).step_by(2).collect();
    let number = names.len().to_string();
    let words: [&[u8]; 4] = [b"HPEXPIRETIME", key, b"FIELDS", number.as_bytes()];
    let words: Vec<&[u8]> = words.into_iter().chain(names.iter().map(|name| name.as_bytes())).collect();
    let times = world.run_args(&words);
    let mut times: Vec<String> =
        names.iter().zip(times.split("\r\n").skip(1)).map(|(name, at)| format!("{name} {at}")).collect();
    times.sort();
    sorted(&world.run_args(&[b"HGETALL", key]), 2) + "\n" + &times.join("\n")
}

/// XINFO STREAM without what is not data: when consumers were last seen, how the tree looks.
fn stream(reply: &str) -> String {
    let mut lines = reply.split("\r\n");
    let mut kept = Vec::new();
    while let Some(line) = lines.next() {
        match line {
            "seen-time" | "active-time" | "radix-tree-keys" | "radix-tree-nodes" => drop(lines.next()),
            line => kept.push(line),
        }
    }
    kept.join("\n")
}

type Contents = BTreeMap<(usize, Vec<u8>), (String, String)>;

/// All that is there, what is past its time and was not met included.
fn contents(world: &mut World) -> Contents {
    let replays = std::mem::replace(&mut world.replays, true);
    world.hand.iter_mut().for_each(|store| store.log.switch(false));
    let mut keys = Vec::new();
    for store in world.hand.iter() {
        for db in 0..DBS {
            keys.extend(store.db(db).table().iter().map(|entry| (db, entry.key().to_vec())));
        }
    }
    let found = keys.into_iter().map(|(db, key)| {
        world.session.db = db;
        let content = content(world, &key);
        ((db, key), content)
    });
    let found = found.collect();
    world.replays = replays;
    found
}

fn compare(there: &Contents, replayed: &Contents, what: &str, script: &[String]) {
    for key in there.keys().chain(replayed.keys()) {
        let (theirs, ours) = (there.get(key), replayed.get(key));
        if theirs != ours {
            let name = String::from_utf8_lossy(&key.1).into_owned();
            let about: Vec<&String> = script.iter().filter(|line| concerns(line, key.0, &name)).collect();
            let about = &about[about.len().saturating_sub(30)..];
            panic!("{what}: {} {name}: {theirs:#?}\nreplayed {ours:#?}\n{about:#?}", key.0);
        }
    }
}

/// Whether a line of the script may say what became of a key.
fn concerns(line: &str, db: usize, name: &str) -> bool {
    let here = line.starts_with(&db.to_string()) || line.contains("MOVE") || line.contains("DB");
    here && line.contains(name) || line.contains("SWAPDB") || line.contains("FLUSH")
}

/// Some keys go to make room.
fn evict(world: &mut World, random: &mut u64) {
    let (shards, now) = (world.hand.held(), world.now);
    let store = world.hand.store(xorshift(random) as usize % shards);
    let judge = if xorshift(random).is_multiple_of(2) { Judge::Random } else { Judge::Lru };
    let rule = Rule { judge, volatile: xorshift(random).is_multiple_of(2), samples: 5 };
    store.evict_one(&rule, now, random);
}

/// What happens beside commands.
fn meanwhile(world: &mut World, random: &mut u64) {
    let chance = |random: &mut u64, of: u64| xorshift(random).is_multiple_of(of);
    if chance(random, 3) {
        world.advance_ms((xorshift(random) % 400) as i64);
    }
    if chance(random, 60) {
        let now_ms = world.now.ms();
        world.hand.iter_mut().for_each(|store| {
            store.expire_slice(now_ms, 10, false);
        });
    }
    if chance(random, 60) {
        evict(world, random);
    }
    if chance(random, 15) {
        world.in_unit = !world.in_unit;
        if !world.in_unit && world.hand.logs() {
            world.hand.seal_logs();
        }
    }
}

fn run(seed: u64, shards: usize, length: usize) {
    let mut random = seeded(seed * 8 + shards as u64);
    let mut world = logging(shards);
    if seed.is_multiple_of(2) {
        world.config.stream_node_max_entries = 3;
        world.config.hash_max_listpack_entries = 4;
    }
    let (grammar, mut script) = (grammar::Grammar::new(script::COMMANDS), Vec::new());
    for _ in 0..length {
        meanwhile(&mut world, &mut random);
        let words = grammar.command(&mut random, world.now.ms());
        let unit = if world.in_unit { "in a unit" } else { "" };
        script.push(format!("{} {} {unit}", world.session.db, show(&words)));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        world.run_args(&words);
    }
    world.hand.seal_logs();
    let logs = take_logs(&mut world);
    let there = contents(&mut world);
    for shards in [1, shards, 4] {
        let mut again = replayed(&logs, shards, &world, &mut random);
        let what = format!("seed {seed}, {} shards into {shards}", logs.len());
        compare(&there, &contents(&mut again), &what, &script);
    }
}

#[test]
fn what_is_logged_and_replayed_is_what_was_there() {
    let long = std::env::var("KRING_EFFECTS").unwrap_or_default();
    let (seeds, length) = long.split_once(',').unwrap_or(("120", "300"));
    for seed in 0..seeds.parse().expect("seeds,commands") {
        for shards in [1, 3] {
            run(seed, shards, length.parse().expect("seeds,commands"));
        }
    }
}
