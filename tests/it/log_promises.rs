//! What the log promises where it meets snapshots, other directories, and the commands that load it again.

use crate::client::words;
use crate::log_home::{assert_taken, copy, digest, file, fill, info, kring, manifest, settle, stop};
use crate::reply::Reply;
use crate::server::{Scratch, Server, wait_until};
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than any of this takes at once, and shorter than what it must not wait for.
const SOON: Duration = Duration::from_secs(5);
/// Keys, and how long a snapshot rests for each: together twice as long.
const KEYS: usize = 20_000;
const DELAY_US: usize = 500;

fn without_log(dir: &Path, more: &[&str]) -> Server {
    let basic = ["--dir", dir.to_str().unwrap(), "--enable-debug-command", "yes"];
    Server::kring(2, &[&basic[..], more].concat())
}

/// Makes a base of the log, whatever stands in the way at first.
fn rewrite(server: &Server) {
    let mut client = server.connect();
    wait_until("a rewrite has begun", || !client.run("BGREWRITEAOF").is_error());
    settle(server);
    assert_eq!(info(server, "aof_last_bgrewrite_status"), "ok", "{}", server.log());
}

#[test]
fn what_had_expired_in_the_snapshot_that_a_log_starts_from_stays_gone() {
    let dir = Scratch::new();
    let server = without_log(dir.path(), &[]);
    let mut client = server.connect();
    client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    for line in ["SET n 5 PX 1500", "SET l text PX 1500", "HSET h f 5 g 1", "SET stays 1"] {
        assert!(!client.run(line).is_error());
    }
    assert_eq!(client.run("HPEXPIRE h 1500 FIELDS 1 f").array(), [Reply::Int(1)]);
    client.ok("SAVE");
    let over = Instant::now() + Duration::from_millis(1_600);
    drop(server);
    wait_until("they have expired", || Instant::now() > over);
    let server = kring(dir.path(), 3, &["--appendfsync", "always"]);
    let mut client = server.connect();
    for line in ["INCR n", "LPUSH l x", "HINCRBY h f 1"] {
        assert_eq!(client.run(line), Reply::Int(1), "{line}");
    }
    let wanted = digest(&server);
    drop(server);
    for shards in [1, 2] {
        let server = kring(dir.path(), shards, &[]);
        let mut client = server.connect();
        assert_eq!((client.run("GET n").text(), client.run("PTTL n")), ("1".into(), Reply::Int(-1)));
        assert_eq!(client.run("HPTTL h FIELDS 1 f").array(), [Reply::Int(-1)]);
        assert_eq!(digest(&server), wanted, "{}", server.log());
    }
}

#[test]
fn a_base_is_written_whatever_rdb_version_says() {
    for version in ["9", "10"] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 2, &["--rdb-version", version]);
        let mut client = server.connect();
        client.run("HSET h f v");
        assert_eq!(client.run("HPEXPIRE h 100000000 FIELDS 1 f").array(), [Reply::Int(1)]);
        rewrite(&server);
        // A snapshot has to be what was asked for, or nothing.
        assert!(client.run("SAVE").is_error());
        drop(server);
        let server = kring(dir.path(), 1, &[]);
        let Reply::Int(ttl) = server.connect().run("HPTTL h FIELDS 1 f").array()[0] else { panic!("a TTL") };
        assert!(ttl > 0, "{ttl}");
    }
}

#[test]
fn a_log_stays_where_it_began_whatever_dir_becomes() {
    let (dir, other) = (Scratch::new(), Scratch::new());
    let server = kring(dir.path(), 2, &["--enable-protected-configs", "yes"]);
    let mut client = server.connect();
    fill(&mut client, 1);
    client.ok(&format!("CONFIG SET dir {}", other.path().display()));
    rewrite(&server);
    assert!(!other.path().join("appendonlydir").exists());
    client.ok("FLUSHALL");
    fill(&mut client, 2);
    rewrite(&server);
    client.ok("SET after 1");
    let wanted = digest(&server);
    client.run("WAITAOF 1 0 5000");
    // Snapshots go to the new place, and so does a log that begins anew.
    client.ok("SAVE");
    assert!(other.path().join("dump.rdb").exists());
    drop(server);
    let server = kring(dir.path(), 3, &["--enable-protected-configs", "yes"]);
    assert_eq!(digest(&server), wanted);
    let mut client = server.connect();
    client.ok("CONFIG SET appendonly no");
    wait_until("the log is off", || info(&server, "aof_enabled") == "0");
    client.ok(&format!("CONFIG SET dir {}", other.path().display()));
    client.ok("CONFIG SET appendonly yes");
    // At once, whether its first base is written already or not.
    assert_eq!(server.info()["aof_enabled"], "1");
    settle(&server);
    client.ok("SET there 1");
    let wanted = digest(&server);
    client.run("WAITAOF 1 0 5000");
    drop(server);
    assert_eq!(digest(&kring(other.path(), 2, &[])), wanted);
    assert_taken(other.path(), &wanted, &[]);
}

#[test]
fn a_reload_that_fails_ends_the_process_and_the_log_has_all() {
    let dir = Scratch::new();
    let mut server = kring(dir.path(), 2, &["--appendfsync", "always"]);
    let mut client = server.connect();
    fill(&mut client, 1);
    client.ok("SAVE");
    client.ok("SET more 1");
    let wanted = digest(&server);
    let path = dir.path().join("dump.rdb");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    client.send(&words("DEBUG RELOAD NOSAVE")).unwrap();
    client.until_closed();
    server.wait();
    drop(server);
    let server = kring(dir.path(), 3, &[]);
    assert_eq!(digest(&server), wanted, "{}", server.log());
    drop(server);
    assert_taken(dir.path(), &wanted, &[]);
}

#[test]
fn what_a_reload_brings_back_is_in_the_log_before_anybody_writes() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--appendfsync", "always"]);
    let mut client = server.connect();
    client.ok("SET a 1");
    client.ok("SAVE");
    client.run("DEL a");
    client.run("LPUSH a x");
    // A base takes its time.
    client.ok("CONFIG SET rdb-key-save-delay 1000000");
    client.ok("DEBUG RELOAD NOSAVE");
    assert_eq!(client.run("INCR a"), Reply::Int(2));
    drop(server);
    assert_eq!(kring(dir.path(), 1, &[]).connect().run("GET a").text(), "2");
}

#[test]
fn debug_loadaof_loads_the_log_again() {
    for (fsync, shards) in [("always", 3), ("everysec", 1), ("everysec", 2)] {
        let dir = Scratch::new();
        let server = kring(dir.path(), shards, &["--appendfsync", fsync]);
        let mut client = server.connect();
        fill(&mut client, 1);
        client.ok("SWAPDB 0 5");
        client.run("RPUSH q 1");
        client.run("LPOP q");
        // It waits for what the log brings for a moment.
        let mut waiter = server.connect();
        waiter.send(&words("BLPOP q 0")).unwrap();
        wait_until("it waits", || info(&server, "blocked_clients") == "1");
        let wanted = digest(&server);
        client.ok("DEBUG LOADAOF");
        assert_eq!(digest(&server), wanted, "{}", server.log());
        client.run("RPUSH q 2");
        assert_eq!(waiter.reply().array()[1].text(), "2");
        client.send(&words("BGREWRITEAOF")).unwrap();
        client.send(&words("DEBUG LOADAOF")).unwrap();
        assert!(!client.reply().is_error());
        assert!(client.reply().is_ok());
        fill(&mut client, 2);
        let wanted = digest(&server);
        client.ok("DEBUG LOADAOF");
        assert_eq!(digest(&server), wanted);
        rewrite(&server);
        client.ok("SET after 1");
        let wanted = digest(&server);
        client.ok("DEBUG LOADAOF");
        assert_eq!(client.run("WAITAOF 1 0 5000").array()[0], Reply::Int(1));
        assert!(server.log().contains("Append Only File loaded by DEBUG LOADAOF"));
        drop(server);
        assert_eq!(digest(&kring(dir.path(), 2, &[])), wanted);
        assert_taken(dir.path(), &wanted, &[]);
    }
}

#[test]
fn debug_loadaof_reads_what_a_rewrite_has_left_though_there_is_no_log() {
    for (shards, preamble) in [(1, "yes"), (3, "no"), (3, "yes")] {
        let dir = Scratch::new();
        let server =
            without_log(dir.path(), &["--aof-use-rdb-preamble", preamble, "--shards", &shards.to_string()]);
        let mut client = server.connect();
        for round in 1..4 {
            fill(&mut client, round);
            rewrite(&server);
            let wanted = digest(&server);
            client.ok("SET after 1");
            client.ok("DEBUG LOADAOF");
            assert_eq!(digest(&server), wanted, "{}", server.log());
            // It goes on without one.
            client.ok("SET more 1");
            assert_eq!(info(&server, "aof_enabled"), "0");
        }
        // A log that begins later begins with all there is.
        client.ok("CONFIG SET appendonly yes");
        // It waits until the log has begun.
        client.ok("SET logged 1");
        let wanted = digest(&server);
        client.ok("DEBUG LOADAOF");
        assert_eq!(digest(&server), wanted);
        client.ok("CONFIG SET appendonly no");
        wait_until("the log has ended", || info(&server, "aof_enabled") == "0");
        client.ok("DEBUG LOADAOF");
        assert_eq!(digest(&server), wanted);
    }
}

#[test]
fn debug_loadaof_without_a_log_changes_nothing_and_a_damaged_one_ends_the_server() {
    let dir = Scratch::new();
    let server = without_log(dir.path(), &[]);
    let mut client = server.connect();
    client.ok("SET a 1");
    assert!(client.run("DEBUG LOADAOF").text().starts_with("ERR There is no append-only log"));
    assert_eq!(client.run("GET a").text(), "1");
    drop(server);
    let mut server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    fill(&mut client, 1);
    client.ok("FLUSHALL");
    client.ok("SET a 1");
    client.run("WAITAOF 1 0 5000");
    let text = std::fs::read_to_string(manifest(dir.path())).unwrap();
    let first = text.lines().next().unwrap().split(' ').nth(1).unwrap();
    std::fs::remove_file(file(dir.path(), first)).unwrap();
    let left = copy(dir.path());
    client.send(&words("DEBUG LOADAOF")).unwrap();
    assert!(!server.wait().success());
    assert!(server.log().contains("the file is missing"), "{}", server.log());
    // As it was, but for the filler behind the last frames.
    assert_eq!(std::fs::read_to_string(manifest(dir.path())).unwrap(), text);
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("appendonlydir")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(dir.path()), names(left.path()));
}

#[test]
fn a_flushall_waits_for_no_base() {
    for log in ["yes", "no"] {
        let dir = Scratch::new();
        let args =
            ["--dir", dir.path().to_str().unwrap(), "--enable-debug-command", "yes", "--appendonly", log];
        let server = Server::kring(2, &[&args[..], &["--save", "3600 1"]].concat());
        let mut client = server.connect();
        wait_until("it has loaded", || !client.run("PING").is_error());
        client.ok(&format!("DEBUG POPULATE {KEYS}"));
        client.ok("SAVE");
        client.ok(&format!("CONFIG SET rdb-key-save-delay {DELAY_US}"));
        assert!(!client.run("BGREWRITEAOF").is_error());
        let began = Instant::now();
        client.ok("FLUSHALL");
        assert!(began.elapsed() < SOON, "log {log}: {:?}", began.elapsed());
        assert_eq!(client.run("DBSIZE"), Reply::Int(0));
        client.ok("CONFIG SET rdb-key-save-delay 0");
        settle(&server);
        let empty = || {
            let copied = copy(dir.path());
            let other = without_log(copied.path(), &[]);
            wait_until("it has loaded", || !other.connect().run("PING").is_error());
            other.connect().run("DBSIZE") == Reply::Int(0)
        };
        wait_until("the snapshot is empty", empty);
        wait_until("there is a base", || info(&server, "aof_last_bgrewrite_status") == "ok");
        settle(&server);
        client.ok("SET after 1");
        let wanted = digest(&server);
        if log == "yes" {
            client.run("WAITAOF 1 0 5000");
            drop(server);
            assert_eq!(digest(&kring(dir.path(), 1, &[])), wanted);
        } else {
            stop(server);
        }
    }
}
