//! XREAD and XREADGROUP with BLOCK, on one process: who waits for entries of streams on any shards.

use crate::blocking::{block, on_each};
use crate::client::Client;
use crate::reply::Reply;
use std::time::{Duration, Instant};

/// What a read of one stream gives: its name, and the ids of the entries.
fn read(reply: &Reply) -> (String, Vec<String>) {
    let stream = match reply {
        Reply::Array(streams) => streams[0].array().to_vec(),
        other => panic!("no entries: {other:?}"),
    };
    let ids = stream[1].array().iter().map(|entry| entry.array()[0].text()).collect();
    (stream[0].text(), ids)
}

fn one(key: &str, id: &str) -> (String, Vec<String>) {
    (key.into(), vec![id.into()])
}

fn add(client: &mut Client, key: &str, id: &str) {
    assert_eq!(client.run(&format!("XADD {key} {id} f v")).text(), id);
}

#[test]
fn everybody_who_waits_for_a_stream_reads_what_is_new() {
    on_each(|server| {
        let mut other = server.connect();
        for key in ["a", "b", "c", "d"] {
            add(&mut other, key, "5-0");
        }
        let lines = [
            ("XREAD BLOCK 0 STREAMS a b c d $ $ $ $", "c"),
            ("XREAD BLOCK 100000 COUNT 1 STREAMS d c 9-0 5-0", "c"),
            ("XREAD BLOCK 0 STREAMS none c 0 $", "c"),
            ("XREAD BLOCK 0 STREAMS a $", "a"),
            ("XREAD BLOCK 0 STREAMS none +", "none"),
        ];
        let mut clients: Vec<Client> = lines.iter().map(|_| server.connect()).collect();
        for (client, (line, _)) in clients.iter_mut().zip(lines) {
            block(server, client, line);
        }
        // Another type, and what is not behind the ids, wakes nobody.
        other.run("SET none x");
        other.run("DEL none");
        add(&mut other, "d", "6-0");
        for key in ["c", "a", "none"] {
            add(&mut other, key, "7-0");
        }
        for (client, (line, key)) in clients.iter_mut().zip(lines) {
            let expected = if line.contains("a b c d") { one("d", "6-0") } else { one(key, "7-0") };
            assert_eq!(read(&client.reply()), expected, "{line}");
        }
    });
}

#[test]
fn a_group_gives_each_entry_to_one_who_waits() {
    on_each(|server| {
        let mut other = server.connect();
        for key in ["a", "b"] {
            other.ok(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
        }
        let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            block(server, client, &format!("XREADGROUP GROUP g c{i} COUNT 1 BLOCK 0 STREAMS a b > >"));
        }
        assert_eq!(other.run("XINFO CONSUMERS b g").array().len(), 4, "they are made before they wait");
        for (i, client) in clients.iter_mut().enumerate() {
            let key = ["a", "b"][i % 2];
            add(&mut other, key, &format!("{}-1", i + 1));
            assert_eq!(read(&client.reply()), one(key, &format!("{}-1", i + 1)), "first come, first served");
        }
        let pending = other.run("XPENDING a g - + 10");
        let owners: Vec<String> = pending.array().iter().map(|p| p.array()[1].text()).collect();
        assert_eq!(owners, ["c0", "c2"]);
        // History never waits.
        let mut client = server.connect();
        assert_eq!(read(&client.run("XREADGROUP GROUP g c1 BLOCK 0 STREAMS a 0")), ("a".into(), vec![]));
    });
}

#[test]
fn who_waits_in_a_group_hears_that_it_is_gone() {
    on_each(|server| {
        let mut other = server.connect();
        for (line, error) in [
            (
                "XGROUP DESTROY a g",
                "NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option",
            ),
            ("DEL a", "NOGROUP No such key 'a' or consumer group 'g' in XREADGROUP with GROUP option"),
            ("SET a x", "WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("FLUSHALL", "NOGROUP No such key"),
        ] {
            other.run("DEL a b");
            for key in ["a", "b"] {
                other.ok(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
            }
            let mut client = server.connect();
            block(server, &mut client, "XREADGROUP GROUP g me BLOCK 0 STREAMS b a > >");
            other.run(line);
            let reply = client.reply();
            assert!(
                matches!(&reply, Reply::Error(text) if text.starts_with(error.as_bytes())),
                "{line}: {reply:?}"
            );
        }
    });
}

#[test]
fn time_ends_a_wait_for_a_stream_and_a_transaction_does_not_wait() {
    on_each(|server| {
        let mut client = server.connect();
        client.ok("XGROUP CREATE a g $ MKSTREAM");
        for line in ["XREAD BLOCK 30 STREAMS a b $ 0", "XREADGROUP GROUP g c BLOCK 30 STREAMS a >"] {
            let began = Instant::now();
            assert_eq!(client.run(line), Reply::Null, "{line}");
            assert!(began.elapsed() >= Duration::from_millis(30));
        }
        client.ok("MULTI");
        client.run("XREAD BLOCK 0 STREAMS a b $ 0");
        client.run("XADD a 1-1 f v");
        assert_eq!(client.run("EXEC").array()[0], Reply::Null);
    });
}
