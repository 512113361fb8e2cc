//! HyperLogLogs as clients see them.

use crate::cmd::testing::World;

const NOT_ONE: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected\r\n";

#[test]
fn elements_are_counted_over_keys_of_all_shards() {
    World::new(3).expect(&[
        ("PFADD a x y z", ":1\r\n"),
        ("PFADD a x y z", ":0\r\n"),
        ("PFADD a", ":0\r\n"),
        ("PFADD b", ":1\r\n"),
        ("PFADD c z w", ":1\r\n"),
        ("PFCOUNT a", ":3\r\n"),
        ("PFCOUNT a", ":3\r\n"),
        ("PFCOUNT a b c nosuch", ":4\r\n"),
        ("PFCOUNT nosuch", ":0\r\n"),
        ("PFMERGE d a c", "+OK\r\n"),
        ("PFCOUNT d", ":4\r\n"),
        ("PFMERGE d", "+OK\r\n"),
        ("PFMERGE e", "+OK\r\n"),
        ("GET e", "$18\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\u{fffd}\u{7f}\u{fffd}\r\n"),
        ("OBJECT ENCODING e", "$3\r\nraw\r\n"),
        ("PFDEBUG ENCODING d", "+sparse\r\n"),
        ("PFDEBUG TODENSE d", ":1\r\n"),
        ("PFDEBUG TODENSE d", ":0\r\n"),
        ("PFDEBUG ENCODING d", "+dense\r\n"),
        ("PFDEBUG DECODE d", "-ERR HLL encoding is not sparse\r\n"),
        ("PFADD d v", ":1\r\n"),
        ("PFADD d v", ":0\r\n"),
        ("PFMERGE f d", "+OK\r\n"),
        ("PFCOUNT f", ":5\r\n"),
        ("STRLEN f", ":12304\r\n"),
        ("PFDEBUG NOSUCH a", "-ERR Unknown PFDEBUG subcommand 'NOSUCH'\r\n"),
        ("PFDEBUG GETREG nosuch", "-ERR The specified key does not exist\r\n"),
        ("PFSELFTEST", "+OK\r\n"),
    ]);
}

#[test]
fn what_is_none_is_refused() {
    let mut world = World::new(2);
    world.run("SET text hello");
    world.run("SET number 5");
    world.run_args(&[b"SET", b"bad", b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xfe"]);
    world.run_args(&[b"SET", b"short", b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]);
    world.run("SADD set a");
    world.run("PFADD ok a");
    for key in ["text", "number", "short"] {
        for line in [format!("PFADD {key} a"), format!("PFCOUNT {key}"), format!("PFCOUNT ok {key}")] {
            assert_eq!(world.run(&line), NOT_ONE, "{line}");
        }
        assert_eq!(world.run(&format!("PFMERGE {key} ok")), NOT_ONE);
        assert_eq!(world.run(&format!("PFDEBUG GETREG {key}")), NOT_ONE);
    }
    for line in
        ["PFCOUNT bad", "PFCOUNT bad ok", "PFMERGE ok bad", "PFDEBUG GETREG bad", "PFDEBUG TODENSE bad"]
    {
        assert_eq!(world.run(line), CORRUPT, "{line}");
    }
    assert!(world.run("PFADD set a").starts_with("-WRONGTYPE Operation"));
    assert_eq!(world.run("PFCOUNT ok"), ":1\r\n");
}

#[test]
fn a_ttl_stays_and_a_touched_string_is_raw() {
    let mut world = World::new(2);
    world.run("PFADD a x");
    world.run("EXPIRE a 100");
    let at = world.expire_at("a");
    world.run("PFADD a y z");
    world.run("PFMERGE a a");
    world.run("PFDEBUG TODENSE a");
    assert_eq!((world.expire_at("a"), world.run("PFCOUNT a").as_str()), (at, ":3\r\n"));
    world.run_args(&[b"SET", b"e", b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"]);
    assert_eq!(world.encoding("e"), "embstr");
    assert_eq!(world.run("PFCOUNT e"), ":0\r\n");
    assert_eq!(world.encoding("e"), "raw");
}

#[test]
fn weights_follow_from_sparse_to_dense() {
    let mut world = World::new(1);
    for n in 0..3_000 {
        world.run(&format!("PFADD k element:{n}"));
    }
    assert_eq!(world.run("PFDEBUG ENCODING k"), "+dense\r\n");
    let weight = world.hand.peek(0).db(0).bytes();
    assert!((12_304..14_000).contains(&weight), "{weight}");
}
