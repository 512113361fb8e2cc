//! The file of a cut is the dataset of its instant, whatever commands do while it is walked.

use crate::base::prng::{seeded, xorshift};
use crate::base::time::Now;
use crate::cmd::testing::World;
use crate::config::Config;
use crate::ds::hash::with_text;
use crate::ds::stream::StreamId;
use crate::ds::{Owned, View};
use crate::persist::rdb::{Assembly, Form, Item, Order, Piece, Reader, Uses, keeper, write};
use crate::persist::value::{Reading, decode, encode};
use crate::store::{Hand, Value};
use std::collections::BTreeMap;

/// By database and key: the value as RDB writes it, and its TTL.
type Model = BTreeMap<(u64, Vec<u8>), (Vec<u8>, Option<i64>)>;

/// A value, in a form that does not hang on the order in which a table holds its elements.
fn bytes_of(view: View<'_, Value>) -> Vec<u8> {
    let mut sorted = Vec::new();
    match view {
        View::Boxed(Value::Hash(hash)) => hash.for_each(&mut |field| {
            let name = field.name.with(|name| name.to_vec());
            sorted.push((name, with_text(&field.value, |text| text.to_vec()), field.expire_at));
        }),
        View::Boxed(Value::Set(set)) => set.each(|member| {
            sorted.push((member.with(|text| text.to_vec()), Vec::new(), None));
            true
        }),
        _ => {}
    }
    if !sorted.is_empty() {
        sorted.sort();
        return format!("{sorted:?}").into_bytes();
    }
    let mut out = vec![0];
    out[0] = encode(&mut out, view, false);
    out
}

/// All that the stores hold.
fn look(hand: &Hand) -> Model {
    let mut model = Model::new();
    for store in hand.iter() {
        for (number, db) in store.dbs() {
            for entry in db.table().iter() {
                let value = (bytes_of(entry.view()), entry.expire_at());
                model.insert((number as u64, entry.key().to_vec()), value);
            }
        }
    }
    model
}

/// All that a file holds.
fn read(file: &[u8]) -> Model {
    let mut reader = Reader::new(true);
    reader.push(file);
    reader.finish();
    let mut model = Model::new();
    loop {
        match reader.next_item().expect("it is whole").expect("it is whole") {
            Item::Entry(entry) => {
                let reading = Reading { config: &Config::default(), seed: 7 };
                let value = decode(entry.kind, &mut &entry.value[..], &reading).expect("it was encoded");
                let bytes = match &value {
                    Owned::Int(n) => bytes_of(View::Int(*n)),
                    Owned::Bytes(bytes) => bytes_of(View::Bytes(bytes)),
                    Owned::Boxed(value) => bytes_of(View::Boxed(value)),
                };
                let before = model.insert((entry.db, entry.key.to_vec()), (bytes, entry.expire_at));
                assert!(before.is_none(), "{:?} is there twice", entry.key);
            }
            Item::End => return model,
            _ => {}
        }
    }
}

/// A random command on few keys, so that much collides.
fn command(rng: &mut u64, keys: u64) -> String {
    let mut below = |n: u64| xorshift(rng) % n;
    let (a, b, n, db) = (below(keys), below(keys), below(1_000), below(4));
    let long = "v".repeat(if below(40) == 0 { 70_000 } else { below(60) as usize });
    let many = |form: fn(u64) -> String| (n..n + 150).map(form).collect::<Vec<_>>().join(" ");
    match below(74) {
        0..6 => format!("SET k{a} {n}{long}"),
        6..8 => format!("SET k{a} {n} PX {}", 1 + n % 300),
        8 => format!("APPEND k{a} {n}"),
        9 => format!("SETRANGE k{a} {} {n}", n % 70),
        10 => format!("PEXPIRE k{a} {}", 1 + n),
        11 => format!("PERSIST k{a}"),
        12..15 => format!("DEL k{a} k{b}"),
        15 => format!("RENAME k{a} k{b}"),
        16 => format!("MOVE k{a} {db}"),
        17 => format!("COPY k{a} k{b} DB {db} REPLACE"),
        18 => format!("GETDEL k{a}"),
        19 => format!("SETBIT k{a} {n} 1"),
        20 => format!("MSET k{a} {n} k{b} {n}"),
        21 => format!("SELECT {db}"),
        22 if below(8) == 0 => format!("SWAPDB {db} {}", below(4)),
        23 if below(25) == 0 => "FLUSHDB".into(),
        24 if below(60) == 0 => "FLUSHALL".into(),
        25 => format!("RPUSH l{a} {n} {long}"),
        26 => format!("LPOP l{a}"),
        27 => format!("SADD s{a} {n} m{n}"),
        28 => format!("SREM s{a} {n}"),
        29 => format!("HSET h{a} f{n} {n}"),
        30 => format!("HEXPIRE h{a} {} FIELDS 1 f{n}", 1 + n % 3),
        31 => format!("RENAME h{a} h{b}"),
        32 => format!("HSET h{a} {}", many(|i| format!("f{i} {i}"))),
        33 => format!("SADD s{a} {}", many(|i| format!("m{i}"))),
        34 => format!("ZADD z{a} {}", many(|i| format!("{} m{i}", i % 7))),
        35 => format!("ZREM z{a} m{n}"),
        36 => format!("RPUSH l{a} {} {long} {long}", many(|i| format!("{i}{}", "-".repeat(100)))),
        37 => format!("ZADD z{a} {} m{n} {n} new{n}", n % 11),
        38 => format!("HDEL h{a} f{n} f{}", n + 1),
        39 => format!("SPOP s{a} {}", 1 + n % 9),
        40 => format!("ZREMRANGEBYRANK z{a} 0 {}", n % 9),
        41 => format!("DEL h{a} s{b} z{b}"),
        42 => format!("RENAME z{a} z{b}"),
        43 => format!("PEXPIRE h{a} {}", 1 + n % 20),
        44 => format!("SUNIONSTORE s{a} s{b}"),
        45 => format!("LPUSH l{a} {n} {long} {n}"),
        46 => format!("LSET l{a} {} {n}{long}", n % 300),
        47 => format!("LINSERT l{a} BEFORE {n} {long}"),
        48 => format!("LREM l{a} {} {n}", below(3)),
        49 => format!("LTRIM l{a} {} -{}", n % 9, 1 + n % 7),
        50 => format!("LMOVE l{a} l{b} LEFT RIGHT"),
        51 => format!("RPOP l{a} {}", n % 200),
        52 => format!("RENAME l{a} l{b}"),
        53 => format!("SORT s{a} BY nosort STORE l{b}"),
        54..59 => format!("XADD x{a} * f {} {n} {long}", "v".repeat(n as usize % 2_000)),
        59 => format!("XTRIM x{a} MAXLEN {}", n % 40),
        60 if below(4) == 0 => format!("XSETID x{a} {n}-1"),
        60 => format!("XADD x{a} {n}-{b} f {n}"),
        61 => format!("XGROUP CREATE x{a} g{b} 0 MKSTREAM"),
        62..65 => format!("XREADGROUP GROUP g{b} c{} COUNT {} STREAMS x{a} >", n % 3, 1 + n % 50),
        65 => format!("XAUTOCLAIM x{a} g{b} c{} 0 0 COUNT {}", n % 3, 1 + n % 9),
        66 => format!("XGROUP DELCONSUMER x{a} g{b} c{}", n % 3),
        67 if below(3) == 0 => format!("XGROUP DESTROY x{a} g{b}"),
        67 => format!("XGROUP SETID x{a} g{b} {n}"),
        68 => format!("RENAME x{a} x{b}"),
        69 => format!("COPY {} k{b} REPLACE", ["l", "x", "h"][n as usize % 3].to_owned() + &a.to_string()),
        70 => format!("SET {}{a} {n}", ["l", "x", "h", "s", "z"][n as usize % 5]),
        71 => format!("PEXPIRE {}{a} {}", ["l", "x", "s", "z"][n as usize % 4], 1 + n % 20),
        72 => format!("MOVE {}{a} {db}", ["l", "x", "h"][n as usize % 3]),
        _ => format!("SET new{} {n}", below(keys * 4)),
    }
}

/// A walk of the only store, from its cut to the end of the file.
struct Walk {
    world: World,
    file: Vec<u8>,
    assembly: Assembly,
    order: Order,
}

impl Walk {
    fn begin(mut world: World) -> Walk {
        let form = Form { version: 12, compress: true, uses: Uses::Nothing, part: 100, now: Now::default() };
        world.hand.store(0).begin_cut(1, &mut || keeper(form));
        let mut assembly = Assembly::new(true, true);
        let mut head = Vec::new();
        write::header(&mut head, 12);
        Walk { world, file: assembly.raw(head), assembly, order: Order::default() }
    }

    /// Takes so many steps and what was kept; whether that was all.
    fn go_on(&mut self, steps: usize) -> bool {
        let store = self.world.hand.store(0);
        let through = store.cut_slice(steps);
        store.take_kept(&mut |db, kept| self.order.push(Piece::Entries { shard: 0, db, kept }));
        while let Some(piece) = self.order.pop() {
            if let Piece::Entries { db, kept, .. } = piece {
                self.assembly.piece(db, kept).iter().for_each(|part| self.file.extend_from_slice(part));
            }
        }
        through
    }

    fn end(mut self) -> Model {
        let mut steps = 0;
        while !self.go_on(3) {
            steps += 1;
            assert!(steps < 100_000, "it ends");
        }
        self.world.hand.store(0).end_cut();
        self.file.extend(self.assembly.end());
        read(&self.file)
    }
}

/// What a table has kept is not lost when it is empty before it is flushed, nor does anything come into the middle of a value.
#[test]
fn what_was_deleted_before_its_database_was_flushed_is_there() {
    for steps in (0..150).step_by(3) {
        let mut world = World::new(1);
        let fields: String = (0..1_000).map(|i| format!(" f{i} {i}")).collect();
        world.run(&format!("HSET large{fields}"));
        world.run("SET small 1");
        world.run("SELECT 1");
        world.run("MSET a 1 b 2");
        let expected = look(&world.hand);
        let mut walk = Walk::begin(world);
        walk.go_on(steps);
        for line in ["SELECT 0", "DEL large small", "FLUSHDB", "SELECT 1", "DEL a b", "FLUSHDB", "SET c 3"] {
            walk.world.run(line);
        }
        assert!(walk.end() == expected, "after {steps} steps");
    }
}

/// A command that names entries of a stream, of those that are there.
fn on_ids(world: &mut World, rng: &mut u64, keys: u64) {
    let (n, group, kind) = (xorshift(rng) % keys, xorshift(rng) % keys, xorshift(rng) % 3);
    let key = format!("x{n}");
    let table = world.hand.peek(world.hand.owner(key.as_bytes())).db(0).table();
    let found = table.get(table.hash(key.as_bytes()), key.as_bytes());
    let Some(View::Boxed(Value::Stream(stream))) = found.map(|entry| entry.view()) else { return };
    let skip = xorshift(rng) as usize % (1 + stream.log.len() as usize);
    let some = stream.log.range(StreamId::MIN, StreamId::MAX).skip(skip).take(4);
    let ids: String = some.map(|entry| format!(" {}-{}", entry.id.ms, entry.id.seq)).collect();
    let line = match kind {
        0 => format!("XDEL {key}{ids}"),
        1 => format!("XACK {key} g{group}{ids}"),
        _ => format!("XCLAIM {key} g{group} c1 0{ids}"),
    };
    world.run(&line);
}

/// A world with one large value under `key`, of the type that the key's letter says, and what helps to end it.
fn with_large(key: &str) -> World {
    let mut world = World::new(1);
    let all = |form: fn(u64) -> String| (0..3_000).map(form).collect::<String>();
    match key {
        "h" => drop(world.run(&format!("HSET h{}", all(|i| format!(" f{i} {i}"))))),
        "s" => drop(world.run(&format!("SADD s{}", all(|i| format!(" f{i}"))))),
        "z" => drop(world.run(&format!("ZADD z{}", all(|i| format!(" {} f{i}", i % 50))))),
        "l" => drop(world.run(&format!("RPUSH l{}", all(|i| format!(" element-number-{i}"))))),
        _ => {
            for i in 0..3_000 {
                world.run(&format!("XADD x {}-1 f {i}", 1 + i));
            }
            world.run("XGROUP CREATE x g 0");
            world.run("XGROUP CREATE x h 0");
            world.run("XREADGROUP GROUP g c COUNT 2000 STREAMS x >");
        }
    }
    world.run("SADD small 1 2 3");
    world.run("SET other 1");
    world
}

/// Who changes a large value in the middle of its walk, or before it, keeps a few of its elements, not all; and who ends it none.
#[test]
fn a_large_value_that_changes_is_not_kept_at_once() {
    let changes = [
        "HSET h f7 y",
        "HDEL h f1 f2",
        "SADD s new",
        "SREM s f3",
        "ZADD z 9 f5 1 f0",
        "ZREMRANGEBYRANK z 0 20",
        "RPUSH l new",
        "LPUSH l new",
        "LPOP l",
        "RPOP l 7",
        "LSET l 1500 other",
        "LREM l 1 element-number-2000",
        "LTRIM l 5 -5",
        "LINSERT l AFTER element-number-1000 new",
        "LMOVE l l LEFT RIGHT",
        "XADD x * f new",
        "XDEL x 2000-1",
        "XTRIM x MAXLEN 2950",
        "XACK x g 900-1",
        "XCLAIM x g d 0 901-1",
        "XREADGROUP GROUP g d COUNT 5 STREAMS x >",
        "XGROUP SETID x g 7",
        "XGROUP CREATECONSUMER x g e",
        "XGROUP DESTROY x h",
    ];
    let ends = ["h", "s", "z", "l", "x"].iter().flat_map(|key| {
        let lines = [
            format!("DEL {key}"),
            format!("SET {key} over"),
            format!("RENAME {key} elsewhere"),
            format!("RENAME other {key}"),
            format!("SUNIONSTORE {key} small"),
            format!("SORT small STORE {key}"),
            format!("COPY other {key} REPLACE"),
            format!("MOVE {key} 1"),
            format!("PEXPIRE {key} 1"),
            format!("RENAMENX {key} {key}2"),
        ];
        lines.map(|line| (*key, line))
    });
    let key_of = |line: &str| {
        ["x", "s", "z", "l", "h"].into_iter().find(|key| line.split(' ').any(|word| word == *key))
    };
    let changes = changes.iter().map(|line| (key_of(line).expect("it has one"), line.to_string()));
    for (key, line) in changes.chain(ends) {
        for steps in [0, 1, 2, 4, 60] {
            let world = with_large(key);
            let expected = look(&world.hand);
            let mut walk = Walk::begin(world);
            walk.go_on(steps);
            let now_ms = walk.world.now.ms();
            for i in 0..3 {
                walk.world.run(&line);
                walk.world.advance_ms(5);
                walk.world.hand.store(0).expire_slice(now_ms + 5, 1_000, false);
                walk.world.run(&format!("PEXPIRE {key} {}", 100_000 + i));
                assert!(walk.world.hand.store(0).kept_weight() < 500, "{line}, {steps} steps");
                walk.go_on(2);
            }
            assert!(walk.end() == expected, "{line}, {steps} steps");
        }
    }
}

/// A value that is renamed and moved again and again, to names that are taken, is found where it is, and what it put an end to too.
#[test]
fn large_values_are_found_where_they_go() {
    let lines = [
        "RENAME a d",
        "HSET d new 1",
        "RENAME b d",
        "RENAME d c",
        "RENAME c a",
        "HDEL a b7",
        "MOVE a 1",
        "SET c 7",
        "SELECT 1",
        "HSET a new 1",
        "RENAME a b",
        "MOVE b 2",
        "SELECT 2",
        "HDEL b b8",
        "SWAPDB 0 2",
        "SELECT 0",
        "HDEL b b9",
        "MOVE b 2",
        "SELECT 2",
        "DEL b",
        "SET b 1",
    ];
    for steps in [0, 1, 2, 4, 60] {
        for pace in [1, 3, 200] {
            let mut world = World::new(1);
            for key in ["a", "b", "c"] {
                let fields: String = (0..3_000).map(|i| format!(" {key}{i} {i}")).collect();
                world.run(&format!("HSET {key}{fields}"));
            }
            world.run("SELECT 1");
            world.run("MSET x 1 y 2");
            world.run("SELECT 0");
            let expected = look(&world.hand);
            let mut walk = Walk::begin(world);
            walk.go_on(steps);
            for line in lines {
                let before = walk.world.hand.store(0).kept_weight();
                let reply = walk.world.run(line);
                assert!(
                    !reply.starts_with('-') && reply != ":0\r\n" || line.contains("HDEL"),
                    "{line}: {reply}"
                );
                let kept = walk.world.hand.store(0).kept_weight().saturating_sub(before);
                assert!(kept < 500, "{line}, {steps} steps, {kept} bytes");
                walk.go_on(pace);
            }
            assert!(walk.end() == expected, "{steps} steps, {pace} each");
        }
    }
}

/// A value that goes to another shard before its turn is found there, and is in the file of the database that it was in.
#[test]
fn large_values_are_found_on_other_shards() {
    let mut passed = 0;
    for round in 0..40 {
        let mut world = World::new(2);
        let elements: String = (0..3_000).map(|i| format!(" element-number-{i}")).collect();
        world.run(&format!("RPUSH a{elements}"));
        world.run("MSET x 1 y 2 z 3");
        let (from, to) = (world.hand.owner(b"a"), world.hand.owner(format!("b{round}").as_bytes()));
        let expected = look(&world.hand);
        let form = Form { version: 12, compress: true, uses: Uses::Nothing, part: 100, now: Now::default() };
        world.hand.iter_mut().for_each(|store| store.begin_cut(1, &mut || keeper(form)));
        world.run(&format!("RENAME a b{round}"));
        world.run(&format!("LSET b{round} 7 new"));
        passed += u64::from(from != to);
        assert!(world.hand.store(from).kept_weight() < 500 && world.hand.store(to).kept_weight() < 500);
        let mut assembly = Assembly::new(true, true);
        let mut head = Vec::new();
        write::header(&mut head, 12);
        let mut file = assembly.raw(head);
        for shard in 0..2 {
            let store = world.hand.store(shard);
            while !store.cut_slice(3) {
                let mut take =
                    |db, kept| assembly.piece(db, kept).iter().for_each(|part| file.extend_from_slice(part));
                store.take_kept(&mut take);
            }
            store.take_kept(&mut |db, kept| {
                assembly.piece(db, kept).iter().for_each(|part| file.extend_from_slice(part))
            });
            store.end_cut();
        }
        file.extend(assembly.end());
        assert!(read(&file) == expected, "round {round}");
    }
    assert!(passed > 10, "{passed}");
}

/// What is given up in the middle leaves values as they are, and the next cut is whole again.
#[test]
fn a_cut_that_is_given_up_lets_go_of_what_it_guards() {
    let mut world = World::new(1);
    for key in 0..20 {
        let members: String = (0..200).map(|i| format!(" m{i}")).collect();
        world.run(&format!("SADD s{key}{members}"));
    }
    for round in 0..300 {
        let mut walk = Walk::begin(world);
        walk.go_on(round % 30);
        (0..20).for_each(|key| drop(walk.world.run(&format!("SADD s{key} round{round}"))));
        walk.go_on(round % 7);
        world = walk.world;
        world.hand.store(0).end_cut();
    }
    let expected = look(&world.hand);
    assert!(Walk::begin(world).end() == expected);
}

#[test]
fn the_file_is_the_dataset_of_its_instant() {
    let runs = std::env::var("KRING_CUT_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    for seed in 0..runs {
        let mut rng = seeded(seed);
        let shards = 1 + seed as usize % 3;
        let keys = [5, 60, 600, 3_000][seed as usize % 4];
        let mut world = World::new(shards);
        for cut in 0..6 {
            (0..keys * 2).for_each(|_| drop(world.run(&command(&mut rng, keys))));
            let expected = look(&world.hand);
            let compress = xorshift(&mut rng).is_multiple_of(2);
            let part = [60, 1_000, 20_000][xorshift(&mut rng) as usize % 3];
            let form = Form { version: 12, compress, uses: Uses::Nothing, part, now: Now::default() };
            for store in world.hand.iter_mut() {
                // The one before may have been given up.
                store.end_cut();
                store.begin_cut(cut, &mut || keeper(form));
            }
            let mut assembly = Assembly::new(true, compress);
            let mut head = Vec::new();
            write::header(&mut head, 12);
            let mut file = assembly.raw(head);
            let (mut walking, mut order) = (shards, Order::default());
            let writes = xorshift(&mut rng) % 20;
            let gives_up = xorshift(&mut rng).is_multiple_of(5);
            while walking > 0 && !(gives_up && xorshift(&mut rng).is_multiple_of(20)) {
                for _ in 0..writes {
                    world.run(&command(&mut rng, keys));
                    on_ids(&mut world, &mut rng, keys);
                }
                world.advance_ms((xorshift(&mut rng) % 5) as i64);
                let now_ms = world.now.ms();
                let shard = xorshift(&mut rng) as usize % shards;
                let store = world.hand.store(shard);
                if xorshift(&mut rng).is_multiple_of(4) {
                    store.expire_slice(now_ms, 20, false);
                }
                if store.cut().is_none() {
                    continue;
                }
                let through = store.cut_slice(1 + xorshift(&mut rng) as usize % 5);
                if through || xorshift(&mut rng).is_multiple_of(2) {
                    store.take_kept(&mut |db, kept| order.push(Piece::Entries { shard, db, kept }));
                }
                while let Some(piece) = order.pop() {
                    if let Piece::Entries { db, kept, .. } = piece {
                        assembly.piece(db, kept).iter().for_each(|part| file.extend_from_slice(part));
                    }
                }
                if through {
                    store.end_cut();
                    walking -= 1;
                }
            }
            if walking == 0 {
                file.extend(assembly.end());
                let found = read(&file);
                assert!(found == expected, "seed {seed}, cut {cut}: {} and {}", found.len(), expected.len());
            }
        }
    }
}
