//! Sets as clients see them, over several shards, against trees.

use crate::base::prng::{seeded, xorshift};
use crate::cmd::testing::World;
use crate::resp::Proto;
use std::collections::BTreeSet;

/// The members that a reply lists.
fn listed(reply: &str) -> Vec<String> {
    reply.split("\r\n").skip(2).step_by(2).filter(|m| !m.is_empty()).map(String::from).collect()
}

fn members(world: &mut World, key: &str) -> BTreeSet<String> {
    listed(&world.run(&format!("SMEMBERS {key}"))).into_iter().collect()
}

#[test]
fn replies_are_redis_s() {
    World::new(3).expect(&[
        ("SADD s 3 1 2 2", ":3\r\n"),
        ("SMEMBERS s", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"),
        ("OBJECT ENCODING s", "$6\r\nintset\r\n"),
        ("SISMEMBER s 2", ":1\r\n"),
        ("SISMEMBER s 02", ":0\r\n"),
        ("SMISMEMBER s 1 x 3", "*3\r\n:1\r\n:0\r\n:1\r\n"),
        ("SMISMEMBER nosuch a", "*1\r\n:0\r\n"),
        ("SCARD s", ":3\r\n"),
        ("SCARD nosuch", ":0\r\n"),
        ("SREM s 1 x 1", ":1\r\n"),
        ("SADD s a", ":1\r\n"),
        ("OBJECT ENCODING s", "$8\r\nlistpack\r\n"),
        ("SMOVE s t a", ":1\r\n"),
        ("SMOVE s t a", ":0\r\n"),
        ("SMOVE nosuch t a", ":0\r\n"),
        ("SMOVE t t a", ":1\r\n"),
        ("SMOVE t t b", ":0\r\n"),
        ("SMEMBERS t", "*1\r\n$1\r\na\r\n"),
        ("SMOVE t u a", ":1\r\n"),
        ("EXISTS t", ":0\r\n"),
        ("SREM s 2 3", ":2\r\n"),
        ("EXISTS s", ":0\r\n"),
        ("SREM s 2", ":0\r\n"),
        ("SPOP u", "$1\r\na\r\n"),
        ("SPOP u", "$-1\r\n"),
        ("SPOP u 3", "*0\r\n"),
        ("SPOP u -1", "-ERR value is out of range, must be positive\r\n"),
        ("SPOP u x", "-ERR value is out of range, must be positive\r\n"),
        ("SPOP u 1 2", "-ERR syntax error\r\n"),
        ("SRANDMEMBER u", "$-1\r\n"),
        ("SRANDMEMBER u 2", "*0\r\n"),
        ("SRANDMEMBER u x", "-ERR value is not an integer or out of range\r\n"),
        ("SRANDMEMBER u 1 2", "-ERR syntax error\r\n"),
        ("SINTERCARD 0 a", "-ERR numkeys should be greater than 0\r\n"),
        ("SINTERCARD 2 a", "-ERR Number of keys can't be greater than number of args\r\n"),
        ("SINTERCARD 1 a LIMIT", "-ERR syntax error\r\n"),
        ("SINTERCARD 1 a LIMIT -1", "-ERR LIMIT can't be negative\r\n"),
        ("SINTERCARD 1 a WHAT 1", "-ERR syntax error\r\n"),
        ("SSCAN u 0 COUNT 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("SSCAN u x", "-ERR invalid cursor\r\n"),
        ("SADD u 7 8", ":2\r\n"),
        ("SSCAN u 0 COUNT 0", "-ERR syntax error\r\n"),
        ("SSCAN u 0 TYPE set", "-ERR syntax error\r\n"),
        ("SSCAN u 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
        ("SSCAN u 0 MATCH x novalues", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
        ("SSCAN u 0 MATCH 7", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\n7\r\n"),
        ("SSCAN u 55 COUNT 1", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\n7\r\n$1\r\n8\r\n"),
        ("TYPE u", "+set\r\n"),
        ("SET str x", "+OK\r\n"),
    ]);
}

#[test]
fn another_type_is_refused() {
    let mut world = World::new(2);
    world.run("SET str x");
    world.run("SADD s a");
    for line in [
        "SADD str a",
        "SREM str a",
        "SISMEMBER str a",
        "SMISMEMBER str a",
        "SCARD str",
        "SMEMBERS str",
        "SPOP str",
        "SPOP str 1",
        "SRANDMEMBER str",
        "SRANDMEMBER str 1",
        "SMOVE str s a",
        "SMOVE s str a",
        "SINTER nosuch str",
        "SUNION s str",
        "SDIFF nosuch str",
        "SINTERCARD 2 nosuch str",
        "SINTERSTORE d nosuch str",
        "SUNIONSTORE d s str",
        "SDIFFSTORE d s str",
        "SSCAN str 0",
        "GET s",
    ] {
        let reply = world.run(line);
        assert_eq!(reply, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", "{line}");
    }
    assert_eq!(world.run("SUNIONSTORE str s"), ":1\r\n", "the destination may be anything");
}

#[test]
fn resp3_has_sets() {
    let mut world = World::new(1);
    world.proto(Proto::Resp3);
    world.expect(&[
        ("SADD s 1", ":1\r\n"),
        ("SMEMBERS s", "~1\r\n$1\r\n1\r\n"),
        ("SMEMBERS nosuch", "~0\r\n"),
        ("SINTER s s", "~1\r\n$1\r\n1\r\n"),
        ("SUNION s nosuch", "~1\r\n$1\r\n1\r\n"),
        ("SDIFF s s", "~0\r\n"),
        ("SRANDMEMBER s 5", "*1\r\n$1\r\n1\r\n"),
        ("SRANDMEMBER s -2", "*2\r\n$1\r\n1\r\n$1\r\n1\r\n"),
        ("SPOP s 0", "~0\r\n"),
        ("SPOP s 5", "~1\r\n$1\r\n1\r\n"),
        ("SPOP s", "_\r\n"),
    ]);
}

/// Random sets in every form over several shards, combined in every way, against trees.
#[test]
fn algebra_matches_trees() {
    for shards in [1, 4] {
        let mut world = World::new(shards);
        let mut rng = seeded(shards as u64);
        for round in 0..150 {
            world.run("FLUSHALL");
            let mut twins: Vec<BTreeSet<String>> = Vec::new();
            for key in 0..4 {
                let size = [0, 3, 40, 700][xorshift(&mut rng) as usize % 4];
                let words = xorshift(&mut rng).is_multiple_of(2);
                let twin: BTreeSet<String> = (0..size)
                    .map(|_| xorshift(&mut rng) % 900)
                    .map(|n| if words && n % 5 == 0 { format!("m{n}") } else { n.to_string() })
                    .collect();
                for member in &twin {
                    world.run(&format!("SADD k{key} {member}"));
                }
                twins.push(twin);
            }
            let picks: Vec<usize> =
                (0..1 + xorshift(&mut rng) % 4).map(|_| xorshift(&mut rng) as usize % 4).collect();
            let names: Vec<String> = picks.iter().map(|i| format!("k{i}")).collect();
            let names = names.join(" ");
            let first = &twins[picks[0]];
            let others = || picks[1..].iter().map(|i| &twins[*i]);
            let inter: BTreeSet<String> =
                first.iter().filter(|m| others().all(|t| t.contains(*m))).cloned().collect();
            let diff: BTreeSet<String> =
                first.iter().filter(|m| !others().any(|t| t.contains(*m))).cloned().collect();
            let union: BTreeSet<String> = picks.iter().flat_map(|i| twins[*i].iter().cloned()).collect();
            for (name, wanted) in [("SINTER", &inter), ("SDIFF", &diff), ("SUNION", &union)] {
                let reply = listed(&world.run(&format!("{name} {names}")));
                assert_eq!(reply.len(), wanted.len(), "{name} {names}, round {round}");
                assert_eq!(&reply.into_iter().collect::<BTreeSet<_>>(), wanted);
                let stored = world.run(&format!("{name}STORE d {names}"));
                assert_eq!(stored, format!(":{}\r\n", wanted.len()));
                assert_eq!(&members(&mut world, "d"), wanted);
            }
            let limit = xorshift(&mut rng) as usize % 50;
            let wanted = if limit == 0 { inter.len() } else { inter.len().min(limit) };
            let line = format!("SINTERCARD {} {names} LIMIT {limit}", picks.len());
            assert_eq!(world.run(&line), format!(":{wanted}\r\n"));
        }
    }
}

#[test]
fn results_have_the_form_that_redis_gives_them() {
    let mut world = World::new(2);
    let ints: Vec<String> = (0..600).map(|n| n.to_string()).collect();
    for chunk in ints.chunks(100) {
        world.run(&format!("SADD many {}", chunk.join(" ")));
    }
    assert_eq!(world.encoding("many"), "hashtable");
    world.run(&format!("SADD some {} x", ints[..200].join(" ")));
    assert_eq!(world.encoding("some"), "hashtable");
    world.run("SINTERSTORE d many some");
    assert_eq!((world.run("SCARD d").as_str(), world.encoding("d")), (":200\r\n", "intset"));
    world.run("SUNIONSTORE d some");
    assert_eq!(world.encoding("d"), "hashtable");
    world.run("SADD few 1 2 x");
    world.run("SDIFFSTORE d few many");
    assert_eq!(world.encoding("d"), "listpack");
    world.run("SDIFFSTORE d few nosuch");
    assert_eq!(world.encoding("d"), "listpack");
    world.run("SINTERSTORE d few many");
    assert_eq!(world.encoding("d"), "intset");
    // Many members at once, and the knobs live.
    world.run(&format!("SADD hinted {}", ["a"; 129].join(" ")));
    assert_eq!((world.run("SCARD hinted").as_str(), world.encoding("hinted")), (":1\r\n", "hashtable"));
    world.config.set_max_intset_entries = 1;
    world.run("SADD two 1 2");
    assert_eq!(world.encoding("two"), "listpack");
    world.config.set_max_listpack_value = 3;
    world.run("SADD two long");
    assert_eq!(world.encoding("two"), "hashtable");
}

#[test]
fn random_members_are_members_and_distinct() {
    let mut world = World::new(1);
    for (key, size) in [("ints", 50), ("words", 60), ("table", 1_000)] {
        let all: Vec<String> =
            (0..size).map(|n| if key == "ints" { n.to_string() } else { format!("m{n}") }).collect();
        all.chunks(40).for_each(|chunk| drop(world.run(&format!("SADD {key} {}", chunk.join(" ")))));
        for count in [1, 7, size / 2, size - 1, size, size + 5] {
            let some = listed(&world.run(&format!("SRANDMEMBER {key} {count}")));
            let distinct: BTreeSet<&String> = some.iter().collect();
            assert_eq!((some.len(), distinct.len()), (count.min(size), count.min(size)), "{key} {count}");
            assert!(some.iter().all(|member| all.contains(member)));
        }
        assert_eq!(listed(&world.run(&format!("SRANDMEMBER {key} -2000"))).len(), 2_000);
        let reached: BTreeSet<String> =
            (0..size * 20).map(|_| world.run(&format!("SRANDMEMBER {key}"))).collect();
        assert_eq!(reached.len(), size, "every member has its chance");
        let mut popped = BTreeSet::new();
        let mut left = size;
        for count in [1, 3, size / 2] {
            let some = listed(&world.run(&format!("SPOP {key} {count}")));
            assert_eq!(some.len(), count);
            assert!(some.into_iter().all(|member| popped.insert(member)));
            left -= count;
            assert_eq!(world.run(&format!("SCARD {key}")), format!(":{left}\r\n"));
        }
        popped.extend(members(&mut world, key));
        assert_eq!(popped.len(), size, "what was not popped is still there");
        assert_eq!(listed(&world.run(&format!("SPOP {key} 100000"))).len(), left);
        assert_eq!(world.run(&format!("EXISTS {key}")), ":0\r\n");
    }
    let weight: usize = world.hand.iter().map(|store| store.db(0).value_bytes()).sum();
    assert_eq!(weight, 0);
}

#[test]
fn a_walk_meets_what_stays() {
    let mut world = World::new(2);
    let stay: BTreeSet<String> = (0..500).map(|n| format!("stay:{n}")).collect();
    stay.iter().for_each(|member| drop(world.run(&format!("SADD s {member}"))));
    let (mut rng, mut cursor, mut met) = (seeded(8), 0u64, BTreeSet::new());
    for step in 0.. {
        assert!(step < 10_000, "it ends");
        let reply = world.run(&format!("SSCAN s {cursor} COUNT 5"));
        let lines: Vec<&str> = reply.split("\r\n").collect();
        cursor = lines[2].parse().expect("a cursor");
        met.extend(lines[4..].iter().skip(1).step_by(2).map(|m| m.to_string()));
        if cursor == 0 {
            break;
        }
        for n in 0..5 {
            world.run(&format!("SADD s come:{step}:{n}"));
            world.run(&format!("SREM s come:{}:{n}", xorshift(&mut rng) % (step + 1)));
        }
    }
    assert!(stay.is_subset(&met));
}

#[test]
fn changes_are_counted_one_by_one() {
    let mut world = World::new(1);
    let mut dirty = 0;
    for (line, more) in [
        ("SADD s a b c d e f", 6),
        ("SADD s a", 0),
        ("SREM s a b x", 2),
        ("SMOVE s t c", 2),
        ("SADD t d", 1),
        ("SMOVE s t d", 1),
        ("SPOP s", 1),
        ("SPOP s 9", 1),
        ("SUNIONSTORE u t", 1),
        ("SINTERSTORE u nosuch", 1),
        ("SINTERSTORE u nosuch", 0),
        ("SRANDMEMBER t", 0),
    ] {
        world.run(line);
        dirty += more;
        assert_eq!(world.hand.peek(0).dirty, dirty, "{line}");
    }
}
