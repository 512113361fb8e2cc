//! Lifetimes that end while the test looks on. (The differential tests only use long ones.)

use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::time::{Duration, Instant};

#[test]
fn keys_are_gone_when_their_time_is_up() {
    let server = Server::kring(3, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    // Without active expiry only the access itself can find out.
    client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    let started = Instant::now();
    client.ok("SET a 1 PX 300");
    client.ok("SET {x}b 1 PX 300");
    client.ok("SET keeps 1");
    assert!((1..=300).contains(&client.run("PTTL a").int()));
    wait_until("a is gone", || client.run("GET a") == Reply::Null);
    assert!(started.elapsed() >= Duration::from_millis(299), "gone after {:?}", started.elapsed());
    wait_until("b is gone", || client.run("EXISTS {x}b") == Reply::Int(0));
    assert_eq!(client.run("TTL a"), Reply::Int(-2));
    assert_eq!(
        client.run("MGET a {x}b keeps"),
        Reply::Array(vec![Reply::Null, Reply::Null, Reply::Bulk(b"1".to_vec())])
    );
    assert_eq!(client.run("SET a 2 NX"), Reply::Simple(b"OK".to_vec()));
    assert_eq!(client.run("TTL a"), Reply::Int(-1));
}

#[test]
fn active_expiry_frees_keys_that_nobody_asks_for() {
    const KEYS: usize = 20_000;
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    let sets: String = (0..KEYS).map(|i| format!("SET key:{i} v PX {}\r\n", 1 + i % 500)).collect();
    client.send(sets.as_bytes()).unwrap();
    (0..KEYS).for_each(|_| assert!(client.reply().is_ok()));
    client.ok("SET keeps v");
    client.ok("SET later v EX 1000");
    wait_until("only two keys are left", || client.run("DBSIZE") == Reply::Int(2));
    assert_eq!(server.info()["expired_keys"], KEYS.to_string());
}

#[test]
fn expired_keys_are_not_listed() {
    let server = Server::kring(2, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    client.ok("SET stays v");
    for i in 0..50 {
        client.ok(&format!("SET key:{i} v PX 1"));
    }
    wait_until("KEYS lists one key", || client.run("KEYS *").array().len() == 1);
    assert_eq!(client.run("RANDOMKEY"), Reply::Bulk(b"stays".to_vec()));
    assert_eq!(client.scan("").len(), 1);
}

/// What is there from the first call to the last is found, whatever comes and goes meanwhile.
#[test]
fn scan_finds_what_stays_while_the_rest_comes_and_goes() {
    const STAYING: usize = 5_000;
    let server = Server::kring(3, &[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    for i in 0..STAYING {
        client.send(format!("SET stays:{i} v\r\n").as_bytes()).unwrap();
    }
    (0..STAYING).for_each(|_| assert!(client.reply().is_ok()));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            let mut round = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let sets: String = (0..500).map(|i| format!("SET goes:{round}:{i} v PX 5\r\n")).collect();
                other.send(sets.as_bytes()).unwrap();
                (0..500).for_each(|_| assert!(other.reply().is_ok()));
                round += 1;
            }
        });
        for _ in 0..5 {
            let found = client.scan("COUNT 50 MATCH stays:*");
            assert_eq!(found.len(), STAYING);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        churn.join().unwrap();
    });
}

#[test]
fn a_paused_cron_expires_nothing_and_ends_waits() {
    let server = Server::kring(2, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ok("DEBUG PAUSE-CRON 1");
    for i in 0..20 {
        client.ok(&format!("SET key:{i} v PX 20"));
    }
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert_eq!(client.run("DBSIZE").int(), 20);
    assert!(!client.run("BLPOP none 0.05").is_error());
    // Nor does it turn its wheels meanwhile.
    let turns = || server.info()["kring_turns"].parse::<u64>().unwrap();
    let before = turns();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(turns() - before < 200, "{}", turns() - before);
    client.ok("DEBUG PAUSE-CRON 0");
    wait_until("they go", || client.run("DBSIZE").int() == 0);
}
