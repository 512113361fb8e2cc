//! The books that the server keeps of what it does: slow log, counts, memory, and who is kept waiting.

use crate::client::{request, words};
use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::time::Duration;

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

/// The arguments of the slow log's entries, the latest first.
fn slow_log(server: &Server) -> Vec<String> {
    let entries = server.connect().run("SLOWLOG GET -1");
    let words =
        |entry: &Reply| entry.array()[3].array().iter().map(Reply::text).collect::<Vec<_>>().join(" ");
    entries.array().iter().map(words).collect()
}

fn number(server: &Server, field: &str) -> i64 {
    server.info()[field].parse().unwrap()
}

#[test]
fn the_slow_log_tells_of_orders_and_keeps_secrets() {
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    client.ok("CONFIG SET slowlog-log-slower-than 0");
    client.ok("SLOWLOG RESET");
    client.run("AUTH secret");
    client.run("HELLO 3 AUTH default secret SETNAME me");
    client.ok("CONFIG SET requirepass secret timeout 0 masterauth secret");
    client.ok("AUTH secret");
    client.ok("CONFIG SET slowlog-log-slower-than -1");
    let mut expected = vec![
        "AUTH (redacted)",
        "CONFIG SET requirepass (redacted) timeout 0 masterauth (redacted)",
        "HELLO 3 AUTH (redacted) (redacted) SETNAME me",
        "AUTH (redacted)",
        "SLOWLOG RESET",
    ];
    let found = client.run("SLOWLOG GET -1");
    let found: Vec<String> = found
        .array()
        .iter()
        .map(|entry| entry.array()[3].array().iter().map(Reply::text).collect::<Vec<_>>().join(" "))
        .collect();
    expected.retain(|line| !found.contains(&line.to_string()));
    assert!(expected.is_empty(), "{expected:?} are not in {found:?}");
    assert!(found.iter().all(|line| !line.contains("secret")), "{found:?}");
}

/// What comes behind SLOWLOG RESET in a transaction stays, and a sleep in one is told as what it is.
#[test]
fn a_transaction_s_slow_commands_are_told() {
    let server = Server::kring(3, &DEBUG);
    let mut client = server.connect();
    let mut waiter = server.connect();
    client.ok("CONFIG SET slowlog-log-slower-than 0");
    waiter.send(&words("BLPOP list 0")).unwrap();
    wait_until("it waits", || number(&server, "blocked_clients") == 1);
    client.ok("MULTI");
    for line in ["LPUSH list a", "SLOWLOG RESET", "PING"] {
        assert_eq!(client.run(line).text(), "QUEUED");
    }
    assert_eq!(client.run("EXEC").array().len(), 3);
    assert_eq!(waiter.reply().array()[1].text(), "a");
    assert!(slow_log(&server).contains(&"BLPOP list 0".to_string()));
    client.ok("CONFIG SET slowlog-log-slower-than 100000");
    client.ok("SLOWLOG RESET");
    client.ok("MULTI");
    assert_eq!(client.run("DEBUG SLEEP 0.15").text(), "QUEUED");
    assert!(client.run("EXEC").array()[0].is_ok());
    assert_eq!(slow_log(&server), ["DEBUG SLEEP 0.15"]);
}

#[test]
fn orders_are_counted_when_they_are_carried_out() {
    let server = Server::kring(2, &DEBUG);
    let mut client = server.connect();
    client.ok("CONFIG RESETSTAT");
    assert!(server.info()["cmdstat_config|resetstat"].starts_with("calls=1,"));
    client.ok("DEBUG SLEEP 0.06");
    let sleep = &server.info()["cmdstat_debug"];
    let usec: u64 = sleep.split(',').find_map(|part| part.strip_prefix("usec=")?.parse().ok()).unwrap();
    assert!(usec >= 60_000, "{sleep}");
    let latency = &server.info()["latency_percentiles_usec_debug"];
    let p50: f64 = latency.split(',').find_map(|part| part.strip_prefix("p50=")?.parse().ok()).unwrap();
    assert!(p50 >= 59_000.0, "{latency}");
}

/// In MULTI the sleep stands where it stands, so who waits is served at a later time than the one that the queue ran at.
#[test]
fn a_key_that_expires_in_a_sleep_is_no_longer_there_for_who_waits() {
    let server = Server::kring(3, &DEBUG);
    let (mut client, mut waiter) = (server.connect(), server.connect());
    waiter.send(&words("BLPOP list 1")).unwrap();
    wait_until("it waits", || number(&server, "blocked_clients") == 1);
    client.ok("MULTI");
    for line in ["RPUSH list a", "PEXPIRE list 100", "DEBUG SLEEP 0.2"] {
        assert_eq!(client.run(line).text(), "QUEUED");
    }
    assert_eq!(client.run("EXEC").array().len(), 3);
    assert_eq!(waiter.raw(), b"*-1\r\n");
}

#[test]
fn a_pause_keeps_clients_and_data_as_they_are() {
    let server = Server::kring(3, &[]);
    let (mut client, mut paused) = (server.connect(), server.connect());
    client.ok("SET short 1 PX 60");
    client.ok("CLIENT PAUSE 100000 WRITE");
    paused.send(&words("SET a 1")).unwrap();
    wait_until("it is held back", || number(&server, "blocked_clients") == 1);
    assert!(client.run("CLIENT LIST").text().lines().any(|line| line.contains("flags=b")));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(client.run("GET short"), Reply::Null);
    assert_eq!((number(&server, "expired_keys"), client.run("DBSIZE").int()), (0, 1));
    client.ok("CLIENT UNPAUSE");
    assert!(paused.reply().is_ok());
    wait_until("it expires", || number(&server, "expired_keys") == 1);
    assert_eq!(number(&server, "blocked_clients"), 0);
}

#[test]
fn knobs_for_tests_are_seen_by_name_only() {
    let server = Server::kring(1, &[]);
    let mut client = server.connect();
    for knob in ["rdb-key-save-delay", "key-load-delay"] {
        assert_eq!(client.run(&format!("CONFIG GET {knob}")).array()[1].text(), "0");
        client.ok(&format!("CONFIG SET {knob} -5"));
        client.ok(&format!("CONFIG SET {knob} 0"));
    }
    let all = client.run("CONFIG GET *");
    assert!(all.array().iter().all(|word| word.text() != "key-load-delay"));
    // What CONFIG GET gives can be set, also where it cannot be changed.
    client.ok(&format!("CONFIG SET port {}", server.port));
    assert!(client.run("CONFIG SET databases 1").text().ends_with("can't set immutable config"));
    client.ok("CONFIG SET loglevel debug");
    assert_eq!(client.run("CONFIG GET loglevel").array()[1].text(), "debug");
}

#[test]
fn who_has_not_authenticated_cannot_pile_up_replies() {
    let server = Server::kring(2, &["--requirepass", "secret"]);
    let mut stranger = server.connect();
    let batch = words("SET x 5").repeat(10_000);
    // Nobody reads: soon the server gives up.
    let gone = (0..200).any(|_| stranger.send(&batch).is_err());
    assert!(gone, "it takes what it is sent");
    let mut friend = server.connect();
    friend.ok("AUTH secret");
    friend.ok("SET x 5");
}

/// As Redis does: limits of strangers are not those of what comes behind AUTH in the same packet.
#[test]
fn what_comes_with_auth_is_judged_after_it() {
    let server = Server::kring(2, &["--requirepass", "secret"]);
    let large = vec![b'v'; 20_000];
    let mset = words("MSET a 1 b 2 c 3 d 4 e 5 f 6");
    let set = request(&[&b"SET"[..], b"large", &large]);
    for (who, replies) in [("AUTH secret", 1), ("HELLO 3 AUTH default secret", 1), ("PING\r\nAUTH secret", 2)]
    {
        let mut client = server.connect();
        let who: Vec<u8> = who.split("\r\n").flat_map(words).collect();
        client.send(&[&who[..], &mset, &set, &words("STRLEN large")].concat()).unwrap();
        (0..replies).for_each(|_| _ = client.reply());
        assert_eq!(client.reply(), Reply::Simple("OK".into()));
        assert_eq!(client.reply(), Reply::Simple("OK".into()));
        assert_eq!(client.reply().int(), 20_000);
    }
    let mut stranger = server.connect();
    stranger.send(&[&words("AUTH wrong")[..], &mset].concat()).unwrap();
    let told = String::from_utf8(stranger.until_closed()).unwrap();
    assert!(
        told.starts_with("-WRONGPASS") && told.ends_with("unauthenticated multibulk length\r\n"),
        "{told}"
    );
}

#[test]
fn a_request_over_the_query_limit_does_not_run() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    client.ok("CONFIG SET client-query-buffer-limit 1048576");
    let long = request(&[&b"SET"[..], b"key", &vec![b'a'; 1 << 20]]);
    let sent = client.send(&long).is_ok() && client.try_reply().is_ok();
    assert!(!sent, "it was taken");
    assert_eq!(number(&server, "client_query_buffer_limit_disconnections"), 1);
    assert_eq!(server.connect().run("EXISTS key").int(), 0);
}

#[test]
fn an_emptied_server_uses_no_memory_for_keys() {
    let server = Server::kring(2, &DEBUG);
    let mut client = server.connect();
    client.ok("FLUSHALL");
    let before = number(&server, "used_memory");
    client.ok("DEBUG POPULATE 50000");
    assert!(number(&server, "used_memory") > before + 1_000_000);
    client.ok("FLUSHALL");
    assert!(number(&server, "used_memory") < before + 50_000);
    // Nobody shares an integer that is to know when it was used.
    client.ok("SET n 1");
    assert_eq!(client.run("OBJECT REFCOUNT n").int(), i64::from(i32::MAX));
    client.ok("CONFIG SET maxmemory 1gb maxmemory-policy allkeys-lru");
    assert_eq!(client.run("OBJECT REFCOUNT n").int(), 1);
}
