//! Transactions of many clients over many shards: atomic, stopped by any change of a watched key, and forgotten when their
//! client goes.

use crate::client::{Client, words};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::{Server, wait_until};
use std::sync::atomic::{AtomicI64, Ordering};

/// The servers that a test runs on: with borrowing and without, with loans at once.
const SERVERS: &[(usize, &[&str])] =
    &[(1, &[]), (2, &[]), (8, &[]), (8, &["--take-spin-ns", "0"]), (5, &["--borrow", "no"])];

fn on_each(test: impl Fn(&Server)) {
    for (shards, args) in SERVERS {
        let server = Server::kring(*shards, args);
        test(&server);
        let info = server.info();
        for field in ["watching_clients", "total_watched_keys"] {
            assert_eq!(info[field], "0", "{field} with {shards} shards {args:?}");
        }
    }
}

/// Runs `count` threads with a client each.
fn threads(server: &Server, count: usize, run: impl Fn(usize, Client) + Sync) {
    std::thread::scope(|scope| {
        for i in 0..count {
            let client = server.connect();
            let run = &run;
            scope.spawn(move || run(i, client));
        }
    });
}

/// Sends lines in one write; their replies.
fn pipeline(client: &mut Client, lines: &[&str]) -> Vec<Reply> {
    let batch: Vec<u8> = lines.iter().flat_map(|line| words(line)).collect();
    client.send(&batch).unwrap();
    lines.iter().map(|_| client.reply()).collect()
}

fn texts(reply: &Reply) -> Vec<String> {
    reply.array().iter().map(Reply::text).collect()
}

#[test]
fn a_watched_counter_loses_no_increment() {
    const CLIENTS: usize = 6;
    const EACH: usize = 150;
    on_each(|server| {
        server.connect().ok("SET n 0");
        let failed = AtomicI64::new(0);
        threads(server, CLIENTS, |i, mut client| {
            let mut done = 0;
            while done < EACH {
                // Every second client watches and changes keys of several shards.
                let keys = if i % 2 == 0 { "n" } else { "n a b c" };
                client.ok(&format!("WATCH {keys}"));
                let n: i64 = client.run("GET n").text().parse().unwrap();
                client.ok("MULTI");
                client.run(&format!("SET n {}", n + 1));
                if i % 2 == 1 {
                    client.run(&format!("MSET a {n} b {n} c {n}"));
                }
                match client.run("EXEC") {
                    Reply::Null => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    _ => done += 1,
                }
            }
        });
        assert_eq!(server.connect().run("GET n").text(), (CLIENTS * EACH).to_string());
        assert!(failed.load(Ordering::Relaxed) > 0, "nobody was ever in another's way");
    });
}

#[test]
fn transfers_keep_the_sum() {
    const ACCOUNTS: usize = 8;
    on_each(|server| {
        let accounts: Vec<String> = (0..ACCOUNTS).map(|i| format!("account:{i}")).collect();
        let all = accounts.join(" ");
        let set: Vec<String> = accounts.iter().map(|a| format!("{a} 100")).collect();
        server.connect().ok(&format!("MSET {}", set.join(" ")));
        threads(server, 6, |i, mut client| {
            let mut rng = Rng::new(seed().wrapping_add(i as u64));
            for _ in 0..300 {
                if i < 4 {
                    let (from, to) = (rng.pick(&accounts), rng.pick(&accounts));
                    let amount = rng.below(20);
                    let lines = [
                        "MULTI",
                        &format!("DECRBY {from} {amount}"),
                        &format!("INCRBY {to} {amount}"),
                        "EXEC",
                    ];
                    let replies = pipeline(&mut client, &lines);
                    assert_eq!(replies[3].array().len(), 2, "{replies:?}");
                    continue;
                }
                // Read in one command, and in a transaction of many.
                let gets: Vec<String> = accounts.iter().map(|a| format!("GET {a}")).collect();
                let mut lines = vec!["MULTI"];
                lines.extend(gets.iter().map(String::as_str));
                lines.push("EXEC");
                let replies = pipeline(&mut client, &lines);
                let by_exec = texts(replies.last().unwrap());
                for values in [by_exec, texts(&client.run(&format!("MGET {all}")))] {
                    let sum: i64 = values.iter().map(|v| v.parse::<i64>().unwrap()).sum();
                    assert_eq!(sum, 100 * ACCOUNTS as i64, "{values:?}");
                }
            }
        });
    });
}

#[test]
fn a_queue_may_need_home_and_stores_of_all_shards() {
    on_each(|server| {
        threads(server, 4, |i, mut client| {
            for round in 0..60 {
                let set = format!("MSET {i}:a {round} {i}:b {round} {i}:c {round} {i}:d {round}");
                let get = format!("MGET {i}:a {i}:b {i}:c {i}:d");
                let lines = [
                    "MULTI",
                    &set,
                    "CLIENT LIST",
                    "CLIENT UNPAUSE",
                    &get,
                    "INFO stats",
                    "SLOWLOG LEN",
                    "EXEC",
                    "PING",
                ];
                let replies = pipeline(&mut client, &lines);
                let exec = &replies[7];
                assert_eq!(exec.array().len(), 6, "{exec:?}");
                assert!(exec.array()[1].text().contains("flags=x"), "{exec:?}");
                assert!(texts(&exec.array()[3]).iter().all(|v| *v == round.to_string()), "{exec:?}");
                assert_eq!(replies[8], Reply::Simple(b"PONG".to_vec()));
            }
        });
    });
}

#[test]
fn who_goes_away_watches_nothing_and_runs_nothing() {
    on_each(|server| {
        let mut watcher = server.connect();
        let id = watcher.run("CLIENT ID").int();
        watcher.ok("WATCH a b c d e f");
        watcher.ok("MULTI");
        watcher.run("SET gone 1");
        let mut other = server.connect();
        let line = |other: &mut Client| other.run(&format!("CLIENT LIST ID {id}")).text();
        let shown = line(&mut other);
        assert!(shown.contains(" flags=x ") && shown.contains(" multi=1 watch=6 "), "{shown}");
        assert_eq!(server.info()["watching_clients"], "1");
        other.ok("SET c 1");
        let shown = line(&mut other);
        assert!(shown.contains(" flags=xd ") && shown.contains(" watch=0 "), "{shown}");
        drop(watcher);
        // A second one is killed, a third one quits.
        for how in ["CLIENT KILL ID", ""] {
            let mut watcher = server.connect();
            let id = watcher.run("CLIENT ID").int();
            watcher.ok("WATCH a b c d e f");
            watcher.ok("MULTI");
            watcher.run("SET gone 1");
            match how {
                "" => watcher.ok("QUIT"),
                kill => assert_eq!(other.run(&format!("{kill} {id}")).int(), 1),
            }
            watcher.until_closed();
        }
        wait_until("nobody watches", || server.info()["total_watched_keys"] == "0");
        assert_eq!(other.run("EXISTS gone").int(), 0);
    });
}

#[test]
fn a_queue_is_bounded_like_a_request() {
    let server = Server::kring(2, &["--client-query-buffer-limit", "1mb"]);
    let mut client = server.connect();
    client.ok("MULTI");
    let large = "x".repeat(100_000);
    let sent = (0..20).take_while(|i| client.send(&words(&format!("SET key:{i} {large}"))).is_ok()).count();
    let replies = String::from_utf8(client.until_closed()).unwrap();
    assert!(replies.matches("+QUEUED").count() <= 10, "{sent} were sent: {replies}");
    assert_eq!(server.info()["client_query_buffer_limit_disconnections"], "1");
    assert_eq!(server.connect().run("DBSIZE").int(), 0);
}

#[test]
fn a_pause_for_writers_holds_an_exec_that_writes() {
    for shards in [1, 4] {
        let server = Server::kring(shards, &[]);
        let (mut writer, mut reader, mut boss) = (server.connect(), server.connect(), server.connect());
        writer.ok("MULTI");
        writer.run("SET a 1");
        reader.ok("MULTI");
        reader.run("GET a");
        boss.ok("CLIENT PAUSE 100000 WRITE");
        writer.send(&words("EXEC")).unwrap();
        assert_eq!(reader.run("EXEC"), Reply::Array(vec![Reply::Null]));
        assert_eq!(boss.run("GET a"), Reply::Null);
        boss.ok("CLIENT UNPAUSE");
        assert!(writer.reply().array()[0].is_ok());
        assert_eq!(boss.run("GET a").text(), "1");
    }
}

#[test]
fn every_command_of_a_queue_is_counted_and_timed() {
    let server = Server::kring(3, &["--slowlog-log-slower-than", "0"]);
    let mut client = server.connect();
    client.ok("CONFIG RESETSTAT");
    client.ok("SLOWLOG RESET");
    pipeline(&mut client, &["MULTI", "SET a 1", "GET a", "INCR b", "SETRANGE a -1 x", "EXEC"]);
    let stats = client.run("INFO commandstats").text();
    for name in ["multi", "set", "get", "incr", "setrange", "exec"] {
        assert!(stats.contains(&format!("cmdstat_{name}:calls=1,")), "{name}: {stats}");
    }
    assert!(stats.contains("cmdstat_setrange:calls=1,") && stats.contains("failed_calls=1"), "{stats}");
    let log = client.run("SLOWLOG GET 20");
    let names: Vec<String> = log.array().iter().map(|e| e.array()[3].array()[0].text()).collect();
    assert!(
        ["SETRANGE", "INCR", "GET", "SET", "MULTI"].iter().all(|n| names.contains(&n.to_string())),
        "{names:?}"
    );
    assert!(!names.contains(&"EXEC".to_string()), "{names:?}");
}

/// What runs alike whether it comes as a whole, in one piece, or command by command.
const TRANSACTIONS: &[&[&str]] = &[
    &["MULTI", "SET {t}a 1", "INCR {t}a", "GET {t}a", "EXEC"],
    &["MULTI", "SET a 1", "SET b 2", "GET c", "INCR a", "APPEND b x", "EXEC", "GET b"],
    &["SET a x", "MULTI", "INCR a", "LPUSH a y", "GET a", "EXEC", "GET a"],
    &["MULTI", "EXEC"],
    &["MULTI", "GET a"],
    &["GET a", "DISCARD"],
    &["MULTI", "SET a 5", "DISCARD", "GET a"],
    &["MULTI", "SET a 5", "MULTI", "GET a", "EXEC"],
    &["MULTI", "SET a", "SET b 1", "EXEC", "GET b"],
    &["MULTI", "NOSUCH a", "SET b 1", "EXEC", "GET b"],
    &["MULTI", "SET c 1", "WATCH c", "EXEC"],
    &["WATCH a", "MULTI", "SET a 7", "EXEC", "GET a"],
    &["WATCH a", "SET a 8", "MULTI", "SET a 9", "EXEC", "GET a"],
    &["MULTI", "MSET a 1 b 2 c 3", "GET a", "EXEC"],
    &["MULTI", "SELECT 1", "SET a 1", "SELECT 0", "GET a", "EXEC"],
    &["MULTI", "RPUSH l 1 2 3", "BLPOP l 0", "LRANGE l 0 -1", "EXEC"],
    &["MULTI", "LPOP l", "HSET h f v", "ZADD z 1 m", "SADD s m", "HGETALL h", "EXPIRE h 100", "EXEC"],
    &["MULTI", "SET k v EX 100", "TTL k", "PERSIST k", "TTL k", "DEL k", "EXISTS k", "EXEC"],
    &["MULTI", "GET a", "EXEC", "EXEC", "MULTI", "GET b", "EXEC", "PING"],
    &[
        "MULTI",
        "STRLEN a",
        "GETRANGE a 0 0",
        "SETRANGE a 3 x",
        "GETDEL a",
        "GETEX b",
        "TYPE b",
        "TTL b",
        "OBJECT ENCODING b",
        "PTTL b",
        "EXEC",
    ],
];

/// Replies, and the calls and failures of each command.
fn played(server: &Server, whole: bool) -> (Vec<Reply>, Vec<String>) {
    let mut client = server.connect();
    client.ok("FLUSHALL");
    client.ok("CONFIG RESETSTAT");
    let long: Vec<String> = (0..100).map(|i| format!("INCR n{}", i % 7)).collect();
    let mut long: Vec<&str> = long.iter().map(String::as_str).collect();
    long.insert(0, "MULTI");
    long.push("EXEC");
    let mut replies = Vec::new();
    for lines in TRANSACTIONS.iter().copied().chain([&long[..]]) {
        match whole {
            true => replies.extend(pipeline(&mut client, lines)),
            false => replies.extend(lines.iter().map(|line| client.run(line))),
        }
    }
    let stats = client.run("INFO commandstats").text();
    let calls = stats.lines().filter(|line| !line.contains("_info") && line.contains("calls="));
    let calls = calls.map(|line| {
        let fields = line.split(',').filter(|field| !field.starts_with("usec"));
        fields.collect::<Vec<_>>().join(",")
    });
    (replies, calls.collect())
}

#[test]
fn a_transaction_that_comes_whole_is_one_like_any_other() {
    on_each(|server| assert_eq!(played(server, true), played(server, false)));
    for shards in [1, 3] {
        let args = [
            "--enable-debug-command",
            "yes",
            "--appendonly",
            "yes",
            "--maxmemory",
            "100mb",
            "--maxmemory-policy",
            "allkeys-lru",
        ];
        let server = Server::kring(shards, &args);
        wait_until("it has loaded", || server.info()["loading"] == "0");
        assert_eq!(played(&server, true), played(&server, false));
        let mut client = server.connect();
        let before = client.run("DEBUG DIGEST").text();
        client.ok("DEBUG LOADAOF");
        assert_eq!(client.run("DEBUG DIGEST").text(), before);
    }
}

#[test]
fn who_waits_is_served_after_a_transaction_that_comes_whole() {
    on_each(|server| {
        for (first, second) in [("p", "q"), ("q", "p")] {
            let mut waits = server.connect();
            waits.send(&words("BLPOP p q 0")).unwrap();
            wait_until("it waits", || server.info()["blocked_clients"] == "1");
            let (push, other) = (format!("RPUSH {first} 1"), format!("RPUSH {second} 2"));
            let mut client = server.connect();
            let replies = pipeline(&mut client, &["MULTI", &push, &other, "LLEN p", "LLEN q", "EXEC"]);
            assert_eq!(texts(&replies[5]), ["1", "1", "1", "1"]);
            // Served when all is done, it looks at its keys in its own order.
            assert_eq!(texts(&waits.reply()), ["p", if first == "p" { "1" } else { "2" }]);
            client.ok("FLUSHALL");
        }
    });
}

/// What WATCH sees of a stream: its entries, not its groups, whatever is done to them. As redis-server sees it.
#[test]
fn a_watch_of_a_stream_looks_past_its_groups() {
    let lines = [
        ("XREADGROUP GROUP g c STREAMS s >", false),
        ("XREADGROUP GROUP g new STREAMS s 0", false),
        ("XACK s g 1-0", false),
        ("XCLAIM s g other 0 1-0 2-0", false),
        ("XAUTOCLAIM s g other 0 0", false),
        ("XSETID s 100-0", false),
        ("XGROUP CREATE s second 0", false),
        ("XGROUP CREATE fresh g 0 MKSTREAM", true),
        ("XGROUP SETID s g 1-0", false),
        ("XGROUP CREATECONSUMER s g new", false),
        ("XGROUP DELCONSUMER s g c", false),
        ("XGROUP DESTROY s g", false),
        ("XADD s * f v", true),
        ("XDEL s 1-0", true),
        ("XTRIM s MAXLEN 0", true),
    ];
    for server in [Server::kring(1, &[]), Server::kring(3, &[]), Server::redis(&[])] {
        let (mut watcher, mut other) = (server.connect(), server.connect());
        for (line, sees) in lines {
            other.ok("FLUSHALL");
            for before in [
                "XADD s 1-0 f v",
                "XADD s 2-0 f v",
                "XGROUP CREATE s g 0",
                "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
            ] {
                assert!(!other.run(before).is_error());
            }
            watcher.ok("WATCH s fresh");
            assert!(!other.run(line).is_error(), "{line}");
            watcher.ok("MULTI");
            watcher.run("PING");
            assert_eq!(watcher.run("EXEC") == Reply::Null, sees, "{line}");
        }
    }
}
