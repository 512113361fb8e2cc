//! Faults that reviewers found once: each stays found.

use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::time::{Duration, Instant};

/// Commands that gather reports park the connection and go on by mail to oneself: never one inside the other.
#[test]
fn a_deep_pipeline_of_gathering_commands_is_no_recursion() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let mut client = server.connect();
        client.send("SLOWLOG LEN\r\n".repeat(3_000).as_bytes()).unwrap();
        for _ in 0..3_000 {
            assert!(matches!(client.reply(), Reply::Int(_)));
        }
    }
}

/// Connections that come and go leave no trace in the count that `maxclients` is judged by.
#[test]
fn churn_of_connections_does_not_use_up_maxclients() {
    let server = Server::kring(2, &["--maxclients", "60"]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..400 {
                    // A refusal while others are still closing is fine here.
                    let mut client = server.connect();
                    let _ = client.send(b"PING\r\n");
                    let _ = client.try_reply();
                }
            });
        }
    });
    wait_until("places for all 60 clients", || {
        let mut clients: Vec<_> = (0..55).map(|_| server.connect()).collect();
        clients
            .iter_mut()
            .all(|c| c.send(b"PING\r\n").is_ok() && c.try_reply().is_ok_and(|r| !r.0.is_error()))
    });
}

/// All shards sleep at the same time, and the sleep is accounted for.
#[test]
fn debug_sleep_takes_as_long_as_it_says() {
    let server = Server::kring(4, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let began = Instant::now();
    client.ok("DEBUG SLEEP 0.4");
    let took = began.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_millis(750)).contains(&took), "{took:?}");
    assert_eq!(client.run("SLOWLOG LEN"), Reply::Int(1));
}

/// Without active expiry an idle shard still sleeps.
#[test]
fn an_idle_server_without_active_expiry_does_not_spin() {
    let server = Server::kring(2, &["--enable-debug-command", "yes"]);
    server.connect().ok("DEBUG SET-ACTIVE-EXPIRE 0");
    let cpu = || {
        server.info()["used_cpu_user"].parse::<f64>().unwrap()
            + server.info()["used_cpu_sys"].parse::<f64>().unwrap()
    };
    let before = cpu();
    std::thread::sleep(Duration::from_secs(1));
    let used = cpu() - before;
    assert!(used < 0.3, "{used} s of CPU in an idle second");
}

/// A password that is taken away lets in who connected while it was there.
#[test]
fn a_password_that_is_gone_keeps_nobody_out() {
    let server = Server::kring(2, &["--requirepass", "secret"]);
    let (mut early, mut admin) = (server.connect(), server.connect());
    assert!(early.run("GET k").is_error());
    admin.ok("AUTH secret");
    admin.send(b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$11\r\nrequirepass\r\n$0\r\n\r\n").unwrap();
    assert_eq!(admin.reply(), Reply::Simple(b"OK".to_vec()));
    assert_eq!(early.run("GET k"), Reply::Null);
}

/// The longest pause there is does not overflow.
#[test]
fn a_pause_without_end_can_be_ended() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    client.ok("CLIENT PAUSE 9000000000000000000 WRITE");
    assert_eq!(client.run("GET k"), Reply::Null);
    client.ok("CLIENT UNPAUSE");
    client.ok("SET k v");
}
