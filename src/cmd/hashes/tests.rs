//! Field expiry on a simulated clock, by what the documentation of Redis 7.4 and 8 says: redis-server 7.0, which the
//! differential tests ask, has none of it. Every script runs in both encodings that hold expiries.

use crate::cmd::testing::World;
use crate::resp::Proto;

/// World of listpacks, world of tables.
fn worlds() -> [World; 2] {
    let mut tables = World::new(3);
    tables.config.hash_max_listpack_entries = 0;
    [World::new(3), tables]
}

fn ints(reply: &str) -> String {
    let lines: Vec<&str> = reply.trim_end().split("\r\n").collect();
    assert_eq!(lines[0], format!("*{}", lines.len() - 1), "{reply}");
    lines[1..].iter().map(|line| line.strip_prefix(':').expect("an integer")).collect::<Vec<_>>().join(" ")
}

fn expired_fields(world: &World) -> u64 {
    world.hand.iter().map(|store| store.tally.expired_fields).sum()
}

fn filed(world: &World) -> usize {
    world.hand.iter().map(|store| store.db(world.session.db).field_expires()).sum()
}

fn weights(world: &World) -> usize {
    world.hand.iter().map(|store| store.db(world.session.db).value_bytes()).sum()
}

/// Active expiry of all shards.
fn expire(world: &mut World, budget: usize) {
    for shard in 0..world.server.shards {
        world.hand.store(shard).expire_slice(world.now.ms(), budget, false);
    }
}

#[test]
fn expiries_are_set_read_and_removed() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3");
        for (line, reply) in [
            ("HEXPIRE h 100 FIELDS 3 a b none", "1 1 -2"),
            ("HTTL h FIELDS 4 a b c none", "100 100 -1 -2"),
            ("HPTTL h FIELDS 2 a c", "100000 -1"),
            ("HEXPIRETIME h FIELDS 2 a none", "1700000100 -2"),
            ("HPEXPIRETIME h FIELDS 1 b", "1700000100000"),
            ("HPEXPIRE h 1 NX FIELDS 1 a", "0"),
            ("HPEXPIRE h 1500 XX FIELDS 2 a c", "1 0"),
            ("HTTL h FIELDS 1 a", "2"),
            ("HEXPIRETIME h FIELDS 1 a", "1700000002"),
            ("HPEXPIRE h 1500 GT FIELDS 3 a b c", "0 0 0"),
            ("HPEXPIRE h 1500 LT FIELDS 3 a b c", "0 1 1"),
            ("HPEXPIRE h 1501 gt fields 1 a", "1"),
            ("hpexpireat h 1700000000001 FIELDS 1 b", "1"),
            ("HEXPIREAT h 1700000009 FIELDS 1 b", "1"),
            ("HPTTL h FIELDS 2 b b", "9000 9000"),
            ("HPERSIST h FIELDS 4 a a c none", "1 -1 1 -2"),
            ("HTTL h FIELDS 3 a b c", "-1 9 -1"),
            ("HEXPIRE h 5 FIELDS 2 a a", "1 1"),
            ("HEXPIRE h 5 NX FIELDS 2 c c", "1 0"),
            ("HEXPIRE none 5 FIELDS 2 a b", "-2 -2"),
            ("HTTL none FIELDS 2 a b", "-2 -2"),
            ("HPERSIST none FIELDS 1 a", "-2"),
            ("HPEXPIREAT h 70368744177663 FIELDS 1 a", "1"),
            ("HEXPIREAT h 70368744177 FIELDS 1 a", "1"),
        ] {
            assert_eq!(ints(&w.run(line)), reply, "{line}");
        }
        assert_eq!(w.run("HGETALL h").matches('$').count(), 6);
        assert!(["listpackex", "hashtable"].contains(&w.encoding("h")));
        assert_eq!((expired_fields(&w), filed(&w)), (0, 1));
    }
}

#[test]
fn a_time_that_has_passed_removes_at_once() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3 d 4");
        for (line, reply) in [
            ("HEXPIRE h 100 FIELDS 1 d", "1"),
            ("HPEXPIRE h 0 FIELDS 2 a none", "2 -2"),
            ("HEXPIREAT h 1 XX FIELDS 1 b", "0"),
            ("HEXPIREAT h 1 GT FIELDS 2 b d", "0 0"),
            ("HEXPIREAT h 1 NX FIELDS 2 b d", "2 0"),
            ("HEXPIREAT h 1700000000 LT FIELDS 2 c c", "2 -2"),
            ("HPEXPIREAT h 0 XX FIELDS 1 d", "2"),
            ("HTTL h FIELDS 1 d", "-2"),
        ] {
            assert_eq!(ints(&w.run(line)), reply, "{line}");
        }
        assert_eq!(w.run("EXISTS h"), ":0\r\n");
        assert_eq!((expired_fields(&w), filed(&w), weights(&w)), (4, 0, 0));
    }
}

#[test]
fn errors_are_redis_s() {
    let mismatch = "-ERR The `numfields` parameter must match the number of arguments\r\n";
    let missing = "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
    let setter = "-ERR Parameter `numFields` should be greater than 0\r\n";
    let reader = "-ERR Number of fields must be a positive integer\r\n";
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let not_integer = "-ERR value is not an integer or out of range\r\n";
    let negative = "-ERR invalid expire time, must be >= 0\r\n";
    let mut w = World::new(2);
    w.run("HSET h a 1 b 2");
    w.run("SET s v");
    for name in ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"] {
        let arity = format!("-ERR wrong number of arguments for '{}' command\r\n", name.to_lowercase());
        let range = format!("-ERR invalid expire time in '{}' command\r\n", name.to_lowercase());
        for (rest, reply) in [
            ("s 100 FIELDS 1 a", wrong),
            ("s abc FIELDS 1 a", wrong),
            ("h abc FIELDS 1 a", not_integer),
            ("none abc FIELDS 1 a", not_integer),
            ("h -1 FIELDS 1 a", negative),
            ("h -9223372036854775808 FIELDS 1 a", negative),
            ("h 70368744177664 FIELDS 1 a", &range),
            ("h 9223372036854775807 NOPE 1 a", &range),
            ("h 100 FIELDS 2 a", mismatch),
            ("h 100 FIELDS 1 a b", mismatch),
            ("h 100 FIELDS 9223372036854775807 a", mismatch),
            ("h 100 FIELDS 0 a", setter),
            ("h 100 FIELDS -1 a", setter),
            ("h 100 FIELDS x a", setter),
            ("h 100 NX FIELDS 0 a b", setter),
            ("h 100 NOPE 1 a", missing),
            ("h 100 NX XX FIELDS 1 a", missing),
            ("h 100 NX FIELDS 1", missing),
            ("none 100 NOPE 1 a", missing),
            ("h 100 FIELDS 1", &arity),
            ("h", &arity),
        ] {
            // `NX FIELDS 1` has enough arguments only to be looked at as far as the number.
            let reply = if rest == "h 100 NX FIELDS 1" { mismatch } else { reply };
            assert_eq!(w.run(&format!("{name} {rest}")), reply, "{name} {rest}");
        }
    }
    for name in ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST", "HGETDEL", "HGETEX"] {
        let arity = format!("-ERR wrong number of arguments for '{}' command\r\n", name.to_lowercase());
        for (rest, reply) in [
            ("s FIELDS 1 a", wrong),
            ("s NOPE 1 a", wrong),
            ("h FIELDS 2 a", mismatch),
            ("h FIELDS 1 a b", mismatch),
            ("none FIELDS 1 a b", mismatch),
            ("h FIELDS 0 a", reader),
            ("h FIELDS x a", reader),
            ("h FIELDS 9223372036854775808 a", reader),
            ("h NOPE 1 a", missing),
            ("h FIELDS 1", &arity),
        ] {
            assert_eq!(w.run(&format!("{name} {rest}")), reply, "{name} {rest}");
        }
    }
    for (rest, reply) in [
        ("h PXAT 1 1", missing),
        ("h PERSIST 1 FIELDS 1 a", missing),
        ("h EX bla FIELDS 1 a", not_integer),
        ("h EX 9223372036854775808 FIELDS 1 a", not_integer),
        ("h PX -1 FIELDS 1 a", negative),
        ("h EX 281474976710656 FIELDS 1 a", "-ERR invalid expire time in 'hgetex' command\r\n"),
        ("h PXAT 70368744177664 FIELDS 1 a", "-ERR invalid expire time in 'hgetex' command\r\n"),
        ("h EX 10 PX 10 FIELDS 1 a", missing),
        ("h KEEPTTL FIELDS 1 a", missing),
    ] {
        assert_eq!(w.run(&format!("HGETEX {rest}")), reply, "HGETEX {rest}");
    }
    let arity = "-ERR wrong number of arguments for 'hsetex' command\r\n";
    let conditions = "-ERR Only one of FXX or FNX arguments can be specified\r\n";
    let times = "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n";
    for (rest, reply) in [
        ("h FIELDS 1", arity),
        ("h FIELDS 2 a b", arity),
        ("h FIELDS 2 a b c", arity),
        ("h FIELDS 1 a b x", arity),
        ("h FIELDS 0 a b", "-ERR invalid number of fields\r\n"),
        ("h FIELDS x a b", "-ERR invalid number of fields\r\n"),
        ("h NX FIELDS 1 a b", "-ERR unknown argument: NX\r\n"),
        ("h 1 FIELDS 1 a b", "-ERR unknown argument: 1\r\n"),
        ("h FXX FXX FIELDS 1 a b", conditions),
        ("h FNX FXX FIELDS 1 a b", conditions),
        ("h EX 10 KEEPTTL FIELDS 1 a b", times),
        ("h PX 10 EXAT 10 FIELDS 1 a b", times),
        ("h EX FIELDS 1 a b", not_integer),
        ("h FNX FXX EX -1 FIELDS 1 a b", conditions),
        ("h EX -1 FIELDS 1 a b", negative),
        ("h PXAT 70368744177664 FIELDS 1 a b", "-ERR invalid expire time in 'hsetex' command\r\n"),
        ("s FIELDS 1 a b", wrong),
        ("s NOPE FIELDS 1 a b", "-ERR unknown argument: NOPE\r\n"),
        ("h FNX FXX FNX", arity),
    ] {
        assert_eq!(w.run(&format!("HSETEX {rest}")), reply, "HSETEX {rest}");
    }
    assert_eq!(w.run("HGETALL h"), "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
}

#[test]
fn a_field_past_its_time_is_invisible_but_counted_until_it_is_met() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3 d 4 e 5");
        w.run("HPEXPIRE h 10 FIELDS 4 a b c d");
        w.advance_ms(9);
        assert_eq!(w.run("HGET h a"), "$1\r\n1\r\n");
        w.advance_ms(1);
        w.expect(&[
            ("HLEN h", ":5\r\n"),
            ("HKEYS h", "*1\r\n$1\r\ne\r\n"),
            ("HVALS h", "*1\r\n$1\r\n5\r\n"),
            ("HGETALL h", "*2\r\n$1\r\ne\r\n$1\r\n5\r\n"),
            ("HSCAN h 0 COUNT 1000", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\ne\r\n$1\r\n5\r\n"),
            ("HSCAN h 0 COUNT 1000 NOVALUES", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\ne\r\n"),
            ("HTTL h FIELDS 2 a e", "*2\r\n:-2\r\n:-1\r\n"),
            ("HPERSIST h FIELDS 1 a", "*1\r\n:-2\r\n"),
            ("HLEN h", ":5\r\n"),
            ("HGET h a", "$-1\r\n"),
            ("HLEN h", ":4\r\n"),
            ("HEXISTS h b", ":0\r\n"),
            ("HLEN h", ":3\r\n"),
            ("HSTRLEN h c", ":0\r\n"),
            ("HMGET h d e none", "*3\r\n$-1\r\n$1\r\n5\r\n$-1\r\n"),
            ("HLEN h", ":1\r\n"),
        ]);
        assert_eq!((expired_fields(&w), filed(&w)), (4, 0));
        w.run("HPEXPIRE h 10 FIELDS 1 e");
        w.advance_ms(10);
        w.expect(&[
            ("EXISTS h", ":1\r\n"),
            ("TYPE h", "+hash\r\n"),
            ("HGETALL h", "*0\r\n"),
            ("HGET h e", "$-1\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HLEN h", ":0\r\n"),
        ]);
        assert_eq!((expired_fields(&w), weights(&w)), (5, 0));
    }
}

#[test]
fn writes_to_a_field_past_its_time_begin_anew() {
    for mut w in worlds() {
        w.run("HSET h a 10 b 20 c 30 d 40 e 50 f 60");
        w.run("HPEXPIRE h 10 FIELDS 6 a b c d e f");
        w.advance_ms(10);
        w.expect(&[
            ("HINCRBY h a 1", ":1\r\n"),
            ("HINCRBYFLOAT h b 1.5", "$3\r\n1.5\r\n"),
            ("HSETNX h c 3", ":1\r\n"),
            // The hash still counts it.
            ("HSET h d 4", ":0\r\n"),
            ("HEXPIRE h 10 FIELDS 1 e", "*1\r\n:-2\r\n"),
            ("HDEL h f", ":1\r\n"),
            ("HTTL h FIELDS 5 a b c d e", "*5\r\n:-1\r\n:-1\r\n:-1\r\n:-1\r\n:-2\r\n"),
            ("HLEN h", ":4\r\n"),
        ]);
        assert_eq!((expired_fields(&w), filed(&w)), (4, 0));
    }
}

#[test]
fn which_writes_keep_an_expiry() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3 d 4");
        w.run("HEXPIRE h 100 FIELDS 4 a b c d");
        w.expect(&[
            ("HINCRBY h a 1", ":2\r\n"),
            ("HINCRBYFLOAT h b 0.5", "$3\r\n2.5\r\n"),
            ("HSETNX h c 9", ":0\r\n"),
            ("HSET h d 9", ":0\r\n"),
            ("HTTL h FIELDS 4 a b c d", "*4\r\n:100\r\n:100\r\n:100\r\n:-1\r\n"),
            ("HMSET h a 1 b 1", "+OK\r\n"),
            ("HTTL h FIELDS 3 a b c", "*3\r\n:-1\r\n:-1\r\n:100\r\n"),
            ("HDEL h c", ":1\r\n"),
            ("HSET h c 1", ":1\r\n"),
            ("HTTL h FIELDS 1 c", "*1\r\n:-1\r\n"),
        ]);
        assert_eq!(filed(&w), 0);
    }
}

#[test]
fn random_fields_are_never_past_their_time() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3");
        w.run("HPEXPIRE h 10 FIELDS 2 a b");
        w.advance_ms(10);
        assert_eq!(w.run("HRANDFIELD h"), "$1\r\nc\r\n");
        assert_eq!((w.run("HLEN h"), expired_fields(&w)), (":1\r\n".into(), 2));
        w.run("HPEXPIRE h 10 FIELDS 1 c");
        w.advance_ms(10);
        assert_eq!(w.run("HRANDFIELD h 5 WITHVALUES"), "*0\r\n");
        assert_eq!(w.run("EXISTS h"), ":0\r\n");
        assert_eq!(w.run("HRANDFIELD h"), "$-1\r\n");
        // A large one shrinks while its fields go.
        for i in 0..3_000 {
            w.run(&format!("HSETEX h {} FIELDS 1 f{i} v", if i < 2_990 { "PX 10" } else { "FNX" }));
        }
        w.advance_ms(10);
        assert_eq!(w.run("HRANDFIELD h 5000").matches('$').count(), 10);
        assert_eq!(w.run("HLEN h"), ":10\r\n");
        w.run("DEL h");
    }
}

#[test]
fn fields_are_given_and_removed() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3");
        w.run("HPEXPIRE h 10 FIELDS 1 b");
        w.advance_ms(10);
        w.expect(&[
            ("HGETDEL h FIELDS 4 a b none a", "*4\r\n$1\r\n1\r\n$-1\r\n$-1\r\n$-1\r\n"),
            ("HGETALL h", "*2\r\n$1\r\nc\r\n$1\r\n3\r\n"),
            ("HGETDEL h FIELDS 1 c", "*1\r\n$1\r\n3\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HGETDEL h FIELDS 1 c", "*1\r\n$-1\r\n"),
        ]);
        assert_eq!((expired_fields(&w), filed(&w), weights(&w)), (1, 0, 0));
    }
}

#[test]
fn fields_are_given_and_their_expiry_changed() {
    for mut w in worlds() {
        w.run("HSET h a 1 b 2 c 3");
        w.expect(&[
            ("HGETEX h FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n"),
            ("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n"),
            ("HGETEX h EX 100 FIELDS 2 a none", "*2\r\n$1\r\n1\r\n$-1\r\n"),
            ("HGETEX h PX 1 FIELDS 1 b", "*1\r\n$1\r\n2\r\n"),
            ("HTTL h FIELDS 3 a b c", "*3\r\n:100\r\n:1\r\n:-1\r\n"),
            ("HGETEX h EXAT 1700000200 FIELDS 1 a", "*1\r\n$1\r\n1\r\n"),
            ("HGETEX h PXAT 1700000300000 FIELDS 1 b", "*1\r\n$1\r\n2\r\n"),
            ("HTTL h FIELDS 3 a b c", "*3\r\n:200\r\n:300\r\n:-1\r\n"),
            ("HGETEX h persist FIELDS 2 a c", "*2\r\n$1\r\n1\r\n$1\r\n3\r\n"),
            ("HTTL h FIELDS 3 a b c", "*3\r\n:-1\r\n:300\r\n:-1\r\n"),
            ("HGETEX h PXAT 1 FIELDS 2 a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"),
            ("HLEN h", ":1\r\n"),
            ("HGETEX h PX 0 FIELDS 2 c c", "*2\r\n$1\r\n3\r\n$-1\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HGETEX h FIELDS 1 a", "*1\r\n$-1\r\n"),
        ]);
        assert_eq!((filed(&w), weights(&w)), (0, 0));
        w.proto(Proto::Resp3);
        assert_eq!(w.run("HGETEX h FIELDS 1 a"), "*1\r\n_\r\n");
    }
}

#[test]
fn fields_are_set_with_their_expiry() {
    for mut w in worlds() {
        w.expect(&[
            ("HSETEX h FXX FIELDS 1 a 1", ":0\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HSETEX h FNX EX 100 FIELDS 2 a 1 b 2", ":1\r\n"),
            ("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:100\r\n"),
            ("HSETEX h FNX FIELDS 2 c 3 a 9", ":0\r\n"),
            ("HSETEX h FXX FIELDS 2 a 9 c 3", ":0\r\n"),
            ("HMGET h a c", "*2\r\n$1\r\n1\r\n$-1\r\n"),
            ("HSETEX h KEEPTTL FXX FIELDS 1 a 9", ":1\r\n"),
            ("HSETEX h FIELDS 1 b 9", ":1\r\n"),
            ("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:-1\r\n"),
            ("HSETEX h PXAT 1700000007000 FIELDS 1 c 3", ":1\r\n"),
            ("HSETEX h exat 1700000008 fields 1 d 4", ":1\r\n"),
            ("HSETEX h PX 9000 FIELDS 1 e 5", ":1\r\n"),
            ("HTTL h FIELDS 3 c d e", "*3\r\n:7\r\n:8\r\n:9\r\n"),
            ("HSETEX h PXAT 1 FIELDS 1 f 6", ":1\r\n"),
            ("HEXISTS h f", ":0\r\n"),
            ("HSETEX h PX 0 FIELDS 5 a 1 b 1 c 1 d 1 e 1", ":1\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HSETEX h PX 5 FIELDS 1 a 1", ":1\r\n"),
        ]);
        w.advance_ms(5);
        w.expect(&[
            ("HSETEX h FXX FIELDS 1 a 1", ":0\r\n"),
            ("EXISTS h", ":0\r\n"),
            ("HSETEX h PX 5 FIELDS 1 a 1", ":1\r\n"),
        ]);
        w.advance_ms(5);
        w.expect(&[
            ("HSETEX h KEEPTTL FIELDS 1 a 2", ":1\r\n"),
            ("HGET h a", "$1\r\n2\r\n"),
            ("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n"),
        ]);
        assert_eq!(filed(&w), 0);
    }
}

#[test]
fn expiries_go_where_the_hash_goes() {
    for mut w in worlds() {
        for line in
            ["HSET h a 1 b 2", "HPEXPIRE h 50 FIELDS 1 a", "COPY h twin", "RENAME h j", "COPY j j DB 1"]
        {
            w.run(line);
        }
        assert_eq!(filed(&w), 2);
        w.expect(&[
            ("HPTTL twin FIELDS 2 a b", "*2\r\n:50\r\n:-1\r\n"),
            ("HPTTL j FIELDS 2 a b", "*2\r\n:50\r\n:-1\r\n"),
            ("MOVE twin 2", ":1\r\n"),
        ]);
        assert_eq!(filed(&w), 1);
        let dumped = w.run_bytes(&[b"DUMP", b"j"]);
        let start = dumped.iter().position(|b| *b == b'\n').expect("a head") + 1;
        let payload = dumped[start..dumped.len() - 2].to_vec();
        assert_eq!(w.run_args(&[b"RESTORE", b"k", b"0", &payload]), "+OK\r\n");
        assert_eq!(filed(&w), 2);
        w.expect(&[
            ("HPTTL k FIELDS 2 a b", "*2\r\n:50\r\n:-1\r\n"),
            ("SET k v", "+OK\r\n"),
            ("SWAPDB 0 1", "+OK\r\n"),
            ("HPTTL j FIELDS 1 a", "*1\r\n:50\r\n"),
        ]);
        assert_eq!(filed(&w), 1);
        w.advance_ms(50);
        expire(&mut w, 1_000);
        // j of both databases, and twin.
        assert_eq!((expired_fields(&w), filed(&w)), (3, 0));
        assert_eq!(w.run("HGETALL j"), "*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
        for line in ["HPEXPIRE j 50 FIELDS 1 b", "FLUSHDB"] {
            w.run(line);
        }
        assert_eq!((filed(&w), weights(&w)), (0, 0));
        for line in ["HSETEX h EX 10 FIELDS 1 a 1", "PEXPIRE h 5"] {
            w.run(line);
        }
        w.advance_ms(5);
        expire(&mut w, 1_000);
        assert_eq!((filed(&w), weights(&w)), (0, 0));
    }
}

#[test]
fn active_expiry_finds_all_that_is_due_in_slices() {
    for mut w in worlds() {
        for i in 0..300 {
            w.run(&format!("HSET h{i} a 1 b 2"));
            w.run(&format!("HPEXPIRE h{i} {} FIELDS 1 a", 10 + i % 2 * 1_000));
            if i % 3 == 0 {
                w.run(&format!("HPEXPIRE h{i} 10 FIELDS 1 b"));
            }
        }
        let big: Vec<String> = (0..2_000).map(|i| format!("f{i} v")).collect();
        w.run(&format!("HSET big {}", big.join(" ")));
        for i in 0..1_500 {
            w.run(&format!("HPEXPIRE big 10 FIELDS 1 f{i}"));
        }
        assert_eq!(filed(&w), 301);
        w.advance_ms(9);
        expire(&mut w, 1_000);
        assert_eq!(expired_fields(&w), 0);
        w.advance_ms(1);
        let due = 150 + 100 + 1_500;
        let mut slices = 0;
        while expired_fields(&w) < due {
            expire(&mut w, 60);
            slices += 1;
            assert!(slices < 1_000, "it ends");
        }
        assert!(slices > 10, "slices are bounded");
        expire(&mut w, 10_000);
        assert_eq!(expired_fields(&w), due);
        // Hashes whose both fields were due are gone; 150 wait for the later time.
        assert_eq!((w.run("DBSIZE"), filed(&w)), (":251\r\n".into(), 150));
        assert_eq!(w.run("HLEN big"), ":500\r\n");
        assert_eq!(w.run("HLEN h2"), ":1\r\n");
        w.run("DEL h1");
        assert_eq!(filed(&w), 149);
        w.advance_ms(2_000);
        expire(&mut w, 10_000);
        assert_eq!(filed(&w), 0);
    }
}

#[test]
fn a_type_in_the_way_is_told_first() {
    let mut w = World::new(2);
    w.run("SET s v");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for line in [
        "HGET s a",
        "HMGET s a b",
        "HSET s a b",
        "HMSET s a b",
        "HSETNX s a b",
        "HDEL s a",
        "HLEN s",
        "HSTRLEN s a",
        "HEXISTS s a",
        "HGETALL s",
        "HKEYS s",
        "HVALS s",
        "HINCRBY s a 1",
        "HINCRBYFLOAT s a 1",
        "HRANDFIELD s",
        "HRANDFIELD s 1",
        "HSCAN s 0",
        "HSCAN s 0 BAD",
    ] {
        assert_eq!(w.run(line), wrong, "{line}");
    }
    assert_eq!(w.run("GET s"), "$1\r\nv\r\n");
    assert_eq!(w.run("HINCRBY none a x"), "-ERR value is not an integer or out of range\r\n");
    assert_eq!(w.run("EXISTS none"), ":0\r\n");
    w.run("HSET h a x");
    assert_eq!(w.run("HINCRBY h a 1"), "-ERR hash value is not an integer\r\n");
    assert_eq!(w.run("HINCRBYFLOAT h a 1"), "-ERR hash value is not a float\r\n");
}

#[test]
fn random_fields_come_as_redis_shapes_them() {
    for mut w in worlds() {
        w.run("HSET h a 1");
        w.expect(&[
            ("HRANDFIELD h", "$1\r\na\r\n"),
            ("HRANDFIELD h 0", "*0\r\n"),
            ("HRANDFIELD h 1", "*1\r\n$1\r\na\r\n"),
            ("HRANDFIELD h 9 WITHVALUES", "*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
            ("HRANDFIELD h -2 withvalues", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\na\r\n$1\r\n1\r\n"),
        ]);
        w.proto(Proto::Resp3);
        w.expect(&[
            ("HRANDFIELD h 9 WITHVALUES", "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
            ("HRANDFIELD h -2", "*2\r\n$1\r\na\r\n$1\r\na\r\n"),
            ("HRANDFIELD none", "_\r\n"),
            ("HGETALL h", "%1\r\n$1\r\na\r\n$1\r\n1\r\n"),
            ("HGETALL none", "%0\r\n"),
        ]);
        w.proto(Proto::Resp2);
        for i in 0..50 {
            w.run(&format!("HSET h f{i} {i}"));
        }
        for count in [2, 10, 16, 17, 30, 50, 51, 60] {
            let reply = w.run(&format!("HRANDFIELD h {count}"));
            let names: std::collections::BTreeSet<&str> =
                reply.split("\r\n").skip(2).step_by(2).filter(|name| !name.is_empty()).collect();
            assert_eq!(names.len(), count.min(51), "{count}");
        }
    }
}

#[test]
fn walks_meet_every_field() {
    for mut w in worlds() {
        for i in 0..400 {
            w.run(&format!("HSET h field:{i} {i}"));
        }
        for (options, expected) in [("", 400), ("COUNT 100", 400), ("MATCH field:1? NOVALUES", 10)] {
            let (mut cursor, mut names) = ("0".to_string(), std::collections::BTreeSet::new());
            loop {
                let reply = w.run(&format!("HSCAN h {cursor} {options}"));
                let lines: Vec<&str> = reply.split("\r\n").collect();
                cursor = lines[2].to_string();
                names.extend(lines.iter().filter(|line| line.starts_with("field:")).map(|n| n.to_string()));
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(names.len(), expected, "{options}");
        }
    }
}

#[test]
fn who_watches_a_hash_hears_of_its_fields_expiry() {
    for mut w in worlds() {
        for active in [true, false] {
            w.run("HSET h a 1 b 2");
            w.run("HPEXPIRE h 10 FIELDS 1 a");
            assert_eq!(w.run("WATCH h"), "+OK\r\n");
            w.advance_ms(10);
            if active {
                expire(&mut w, 1_000);
            } else {
                w.run("HGET h a");
            }
            w.expect(&[("MULTI", "+OK\r\n"), ("EXEC", "*-1\r\n")]);
        }
    }
}

#[test]
fn pairs_count_before_they_are_found_to_repeat() {
    let mut w = World::new(1);
    w.config.hash_max_listpack_entries = 2;
    w.run("HSET h a 1 a 2");
    assert_eq!(w.encoding("h"), "listpack");
    w.run("HMSET h a 1 a 2 a 3");
    assert_eq!(w.encoding("h"), "hashtable");
    assert_eq!(w.run("HGETALL h"), "*2\r\n$1\r\na\r\n$1\r\n3\r\n");
}
