//! Snapshots of real processes: saved, loaded, killed in the middle, carried to redis-server and back.

use crate::client::{Client, PATIENCE};
use crate::reply::Reply;
use crate::server::{KRING, Scratch, Server, wait_until};
use std::path::Path;
use std::process::Command;

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

/// kring with so many shards in a directory that outlives it.
fn kring(dir: &Path, shards: usize, args: &[&str]) -> Server {
    let dir = dir.to_str().unwrap();
    let args: Vec<&str> = ["--dir", dir].into_iter().chain(DEBUG).chain(args.iter().copied()).collect();
    let server = Server::kring(shards, &args);
    wait_until("it has loaded", || server.connect().run("PING") == Reply::Simple("PONG".into()));
    server
}

fn digest(server: &Server) -> String {
    server.connect().run("DEBUG DIGEST").text()
}

fn number(server: &Server, field: &str) -> i64 {
    server.info()[field].parse().unwrap()
}

/// Strings of all sizes in several databases, some with a TTL.
fn fill(client: &mut Client, n: usize) {
    for db in [0, 3, 15] {
        client.ok(&format!("SELECT {db}"));
        for i in 0..n {
            let len = [3, 30, 300, 3_000][i % 4];
            client.ok(&format!("SET key:{db}:{i} {}", format!("{i}-").repeat(len).get(..len).unwrap()));
        }
        client.ok("MSET number 12345 negative -7 big 9223372036854775807");
        client.ok("SET later 1 PXAT 4102444800123");
        client.run("RPUSH list a b 1 -5");
        client.run("SADD numbers 1 2 3");
        client.run("HSET fields a 1 b 2");
        for i in 0..n {
            client.run(&format!("RPUSH longer element:{i}"));
            client.run(&format!("SADD members member:{i}"));
            client.run(&format!("HSET many field:{i} value:{i}"));
        }
    }
    client.call(&[&b"SET"[..], b"huge", &vec![b'h'; 700_000]]);
    client.call(&[&b"SET"[..], b"\0binary\xff", b"\r\n\0"]);
}

fn check(path: &Path) {
    let found = Command::new("redis-check-rdb").arg(path).output().expect("redis-check-rdb is installed");
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success() && text.contains("Checksum OK"), "{text}");
}

#[test]
fn a_dataset_comes_back_whatever_the_number_of_shards() {
    let dir = Scratch::new();
    let mut server = kring(dir.path(), 3, &[]);
    fill(&mut server.connect(), 500);
    let before = digest(&server);
    assert!(number(&server, "rdb_changes_since_last_save") > 1_500);
    server.connect().ok("SAVE");
    assert_eq!(number(&server, "rdb_changes_since_last_save"), 0);
    check(&dir.path().join("dump.rdb"));
    server.connect().send(b"SHUTDOWN NOSAVE\r\n").unwrap();
    assert!(server.wait().success());
    for shards in [1, 2, 5] {
        let server = kring(dir.path(), shards, &[]);
        assert_eq!(digest(&server), before, "{shards} shards");
        assert_eq!(number(&server, "rdb_last_load_keys_loaded"), 3 * 510 + 2);
        assert!(server.connect().run("PTTL later").int() > 1_000_000_000);
    }
    let redis = Server::redis(&["--dir", dir.path().to_str().unwrap(), DEBUG[0], DEBUG[1]]);
    assert_eq!(digest(&redis), before);
}

/// Databases that hold nothing cost nothing: a million took seconds and a gigabyte at the start, and FLUSHALL, in which each emptied
/// one had all of them weighed, took for ever.
#[test]
fn of_a_million_databases_only_the_used_ones_cost_something() {
    let dir = Scratch::new();
    let databases = ["--databases", "1000000"];
    let server = kring(dir.path(), 3, &databases);
    let mut client = server.connect();
    for db in 0..200 {
        client.ok(&format!("SELECT {}", 999_999 - db * 4_999));
        client.ok("MSET a 1 b 2");
    }
    client.ok("SELECT 999999");
    client.ok("SWAPDB 0 999999");
    assert_eq!(client.run("DBSIZE"), Reply::Int(0));
    client.ok("SELECT 0");
    assert_eq!(client.run("DBSIZE"), Reply::Int(2));
    let before = digest(&server);
    client.ok("DEBUG RELOAD");
    assert_eq!(digest(&server), before);
    let info = client.run("INFO keyspace");
    assert_eq!(info.text().matches(":keys=2,").count(), 200);
    client.ok("WATCH a");
    client.ok("FLUSHALL");
    client.ok("MULTI");
    assert_eq!(client.run("EXEC"), Reply::Null);
    assert_eq!(client.run("INFO keyspace").text().matches("db").count(), 0);
    let resident = server.resident_bytes();
    assert!(resident < 300 << 20, "{resident} bytes");
}

/// Looking through all of them took longer than a slice of the walk: it never went on.
#[test]
fn a_server_with_many_databases_is_saved() {
    let dir = Scratch::new();
    let databases = ["--databases", "20000"];
    let mut server = kring(dir.path(), 2, &databases);
    let mut client = server.connect();
    for db in [0, 7, 19_999] {
        client.ok(&format!("SELECT {db}"));
        client.ok("MSET a 1 b 2");
    }
    client.ok("SAVE");
    client.ok("SWAPDB 19999 3");
    client.ok("SAVE");
    let before = digest(&server);
    client.send(b"SHUTDOWN NOSAVE\r\n").unwrap();
    server.wait();
    check(&dir.path().join("dump.rdb"));
    let server = kring(dir.path(), 3, &databases);
    assert_eq!(digest(&server), before);
    let mut client = server.connect();
    client.ok("SELECT 3");
    assert_eq!(client.run("DBSIZE"), Reply::Int(2));
}

#[test]
fn what_redis_writes_is_loaded() {
    let dir = Scratch::new();
    let before = {
        let redis = Server::redis(&["--dir", dir.path().to_str().unwrap(), DEBUG[0], DEBUG[1]]);
        fill(&mut redis.connect(), 200);
        redis.connect().ok("SET soon gone PX 1");
        redis.connect().ok("SAVE");
        wait_until("it is gone", || redis.connect().run("EXISTS soon") == Reply::Int(0));
        digest(&redis)
    };
    for (shards, more) in [(1, ["--rdbchecksum", "no"]), (4, ["--rdbcompression", "no"])] {
        let server = kring(dir.path(), shards, &more);
        assert_eq!(digest(&server), before);
    }
}

#[test]
fn reload_changes_nothing() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 3, &[]);
    let mut client = server.connect();
    fill(&mut client, 100);
    let before = digest(&server);
    for line in ["DEBUG RELOAD", "DEBUG RELOAD NOSAVE", "DEBUG RELOAD NOSAVE NOFLUSH MERGE"] {
        client.ok(line);
        assert_eq!(digest(&server), before, "{line}");
    }
    assert!(client.run("DEBUG RELOAD NOFLUSH").text().starts_with("ERR Error trying to load the RDB dump"));
    let error = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.";
    assert_eq!(client.run("DEBUG RELOAD x").text(), error);
    assert_eq!(digest(&server), before);
}

/// Values that are written in parts, of all types, in two databases.
fn fill_large(client: &mut Client, elements: usize) {
    for db in [0, 3] {
        client.ok(&format!("SELECT {db}"));
        for start in (0..elements).step_by(500) {
            let many =
                |form: &dyn Fn(usize) -> String| (start..start + 500).map(form).collect::<Vec<_>>().join(" ");
            client.run(&format!("HSET hash {}", many(&|i| format!("field:{i} value:{i}"))));
            client.run(&format!("SADD set {}", many(&|i| format!("member:{i}"))));
            client.run(&format!("ZADD zset {}", many(&|i| format!("{} member:{i}", i * 7 % 1_000))));
            client.run(&format!("RPUSH list {}", many(&|i| format!("element:{i}"))));
            client.run(&format!("XADD stream * {}", many(&|i| format!("f{i} {i}"))));
        }
        client.run("COPY hash twin");
        for i in 0..5_000 {
            client.ok(&format!("SET key:{i} {i}"));
        }
    }
    client.ok("SELECT 0");
}

#[test]
fn large_values_are_those_of_one_instant() {
    for (round, shards) in [1, 2, 3].into_iter().enumerate() {
        let dir = Scratch::new();
        // Slow enough that what follows meets values not yet begun, some at their middle and some written.
        let server = kring(dir.path(), shards, &["--rdb-key-save-delay", "60"]);
        let mut client = server.connect();
        fill_large(&mut client, 6_000);
        let before = digest(&server);
        assert_eq!(client.run("BGSAVE").text(), "Background saving started");
        let changes = [
            "HSET hash field:1 changed",
            "SPOP set 300",
            "ZREMRANGEBYRANK zset 0 2000",
            "LPOP list 1000",
            "XADD stream * f v",
            "RENAME twin moved",
            "SELECT 3",
            "HDEL hash field:7",
            "DEL zset",
            "FLUSHDB",
            "SWAPDB 0 3",
            "LTRIM list 5 10",
            "SELECT 0",
            "FLUSHDB ASYNC",
        ];
        for i in 0..changes.len() {
            for n in 0..100 {
                client.run(&format!("SET new:{i}:{n} 1"));
            }
            // In some orders the database is empty when a change comes, which then is none.
            client.run(changes[(i + round * 5) % changes.len()]);
        }
        wait_until("it is done", || number(&server, "rdb_bgsave_in_progress") == 0);
        assert_eq!(server.info()["rdb_last_bgsave_status"], "ok");
        let copy = Scratch::new();
        std::fs::copy(dir.path().join("dump.rdb"), copy.path().join("dump.rdb")).unwrap();
        check(&copy.path().join("dump.rdb"));
        assert_eq!(digest(&kring(copy.path(), 2, &[])), before, "{shards} shards");
        let redis = Server::redis(&["--dir", copy.path().to_str().unwrap(), DEBUG[0], DEBUG[1]]);
        assert_eq!(digest(&redis), before);
    }
}

#[test]
fn a_background_save_shows_one_instant() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 3, &[]);
    let mut client = server.connect();
    client.ok("DEBUG POPULATE 200000");
    let before = digest(&server);
    assert_eq!(client.run("BGSAVE").text(), "Background saving started");
    // What comes now is not in it: changes, removals, new keys, swapped and emptied databases, renames.
    for i in 0..2_000 {
        client.ok(&format!("SET key:{i} changed"));
        client.run(&format!("DEL key:{}", i + 50_000));
        client.ok(&format!("SET new:{i} x"));
        client.ok(&format!("RENAME key:{} moved:{i}", i + 100_000));
    }
    client.ok("SWAPDB 0 1");
    for db in [1, 0] {
        client.ok(&format!("SELECT {db}"));
        client.ok("FLUSHDB");
    }
    client.ok("SET after 1");
    wait_until("it is done", || number(&server, "rdb_bgsave_in_progress") == 0);
    assert_eq!(server.info()["rdb_last_bgsave_status"], "ok");
    let copy = Scratch::new();
    std::fs::copy(dir.path().join("dump.rdb"), copy.path().join("dump.rdb")).unwrap();
    check(&copy.path().join("dump.rdb"));
    let other = kring(copy.path(), 2, &[]);
    assert_eq!(digest(&other), before);
}

/// Who hears that all keys are gone finds an empty file, and may save at once.
#[test]
fn flushall_leaves_an_empty_file() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 3, &["--save", "3600 1"]);
    let mut client = server.connect();
    fill(&mut client, 100);
    client.ok("SAVE");
    for line in ["FLUSHALL", "FLUSHALL ASYNC"] {
        client.ok("SET a 1");
        client.ok(line);
        assert_eq!(number(&server, "rdb_changes_since_last_save"), 0, "{line}");
        let copy = Scratch::new();
        std::fs::copy(dir.path().join("dump.rdb"), copy.path().join("dump.rdb")).unwrap();
        assert_eq!(kring(copy.path(), 1, &[]).connect().run("DBSIZE").int(), 0, "{line}");
        client.ok("SAVE");
    }
    client.ok("MULTI");
    for line in ["SET a 1", "FLUSHALL", "SET b 2"] {
        assert_eq!(client.run(line).text(), "QUEUED");
    }
    assert!(client.run("EXEC").array().iter().all(|reply| reply.is_ok()));
    assert_eq!(client.run("DBSIZE").int(), 1);
}

/// A save that began before FLUSHALL would bring the keys back: it is given up, which is no failure.
#[test]
fn flushall_ends_a_save_in_the_background() {
    for points in ["", "3600 1"] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 2, &["--save", points, "--rdb-key-save-delay", "100000"]);
        let mut client = server.connect();
        client.ok("DEBUG POPULATE 1000");
        assert_eq!(client.run("BGSAVE").text(), "Background saving started");
        assert_eq!(number(&server, "rdb_bgsave_in_progress"), 1);
        client.ok("FLUSHALL");
        wait_until("it is given up", || number(&server, "rdb_bgsave_in_progress") == 0);
        assert_eq!(server.info()["rdb_last_bgsave_status"], "ok");
        client.ok("SET a 1");
        client.ok("SAVE");
    }
}

/// Early releases of Redis wrote collections without elements: they are stepped over, and the rest is loaded.
#[test]
fn empty_collections_of_old_files_are_left_out() {
    let dir = Scratch::new();
    let path = dir.path().join("dump.rdb");
    // A set, a sorted set and a list of one empty ziplist; a string; no checksum.
    let body =
        b"REDIS0009\xfe\0\x02\x01s\0\x05\x01z\0\x0e\x01l\x01\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff\0\x01a\x01b\xff";
    std::fs::write(&path, [&body[..], &[0; 8]].concat()).unwrap();
    let server = kring(dir.path(), 3, &[]);
    let mut client = server.connect();
    assert_eq!((client.run("DBSIZE").int(), client.run("GET a").text()), (1, "b".into()));
    assert!(server.log().contains("empty keys skipped: 3."), "{}", server.log());
    let found = Command::new(KRING).arg("--check-rdb").arg(&path).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
    // A payload without elements is another matter.
    client.ok("DEBUG SET-SKIP-CHECKSUM-VALIDATION 1");
    let reply = client.call(&[&b"RESTORE"[..], b"s", b"0", b"\x02\0\x0a\0xxxxxxxx"]);
    assert_eq!(reply.text(), "ERR Bad data format");
}

#[test]
fn a_killed_save_leaves_the_old_file() {
    let dir = Scratch::new();
    let path = dir.path().join("dump.rdb");
    let mut server = kring(dir.path(), 2, &[]);
    server.connect().ok("SET old value");
    server.connect().ok("SAVE");
    let (old, before) = (std::fs::read(&path).unwrap(), digest(&server));
    for round in 0..4u64 {
        let mut client = server.connect();
        client.ok("DEBUG POPULATE 300000");
        assert_eq!(client.run("BGSAVE").text(), "Background saving started");
        std::thread::sleep(std::time::Duration::from_millis(round * 15));
        let done = number(&server, "rdb_bgsave_in_progress") == 0;
        server.signal("KILL");
        server.wait();
        let now = std::fs::read(&path).unwrap();
        server = kring(dir.path(), 1 + round as usize, &[]);
        if now == old {
            assert_eq!(digest(&server), before);
        } else {
            // It may have been completed between the look and the signal, but never be torn.
            let size = server.connect().run("DBSIZE");
            assert!(size == Reply::Int(300_001), "{size:?}, seen done: {done}");
            std::fs::write(&path, &old).unwrap();
            server.signal("KILL");
            server.wait();
            server = kring(dir.path(), 2, &[]);
        }
    }
}

#[test]
fn a_stop_saves_when_there_are_save_points() {
    for (save, how, kept) in [
        ("3600 1", "SHUTDOWN", true),
        ("3600 1", "SHUTDOWN NOSAVE", false),
        ("", "SHUTDOWN SAVE", true),
        ("", "SHUTDOWN", false),
        ("3600 1", "TERM", true),
        ("3600 1", "INT", true),
        ("", "TERM", false),
    ] {
        let dir = Scratch::new();
        let mut server = kring(dir.path(), 2, &["--save", save]);
        let mut client = server.connect();
        client.ok("SET a 1");
        if how.starts_with("SHUTDOWN") {
            client.send(format!("{how}\r\n").as_bytes()).unwrap();
            assert_eq!(client.until_closed(), b"");
        } else {
            server.signal(how);
        }
        assert_eq!(server.wait().code(), Some(0), "{how}: {}", server.log());
        let server = kring(dir.path(), 2, &["--save", save]);
        assert_eq!(server.connect().run("EXISTS a"), Reply::Int(kept as i64), "{save:?} {how}");
    }
}

/// No client hears of a write that the last snapshot lacks.
#[test]
fn a_stop_loses_nothing_that_was_acknowledged() {
    let dir = Scratch::new();
    let mut server = kring(dir.path(), 3, &["--save", "3600 1"]);
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|i| {
                let mut client = server.connect();
                scope.spawn(move || {
                    let mut n = 0u64;
                    loop {
                        let line = format!("MSET a{i} {n} b{i} {n} c{i} {n}\r\n");
                        if client.send(line.as_bytes()).is_err() || client.try_reply().is_err() {
                            return n;
                        }
                        n += 1;
                    }
                })
            })
            .collect();
        wait_until("traffic flows", || server.connect().run("EXISTS a0 a1 a2 a3") == Reply::Int(4));
        server.signal("TERM");
        clients.into_iter().map(|c| c.join().unwrap()).collect()
    });
    assert!(server.wait().success());
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    for (i, acknowledged) in counts.into_iter().enumerate() {
        let values: Vec<u64> =
            ["a", "b", "c"].map(|k| client.run(&format!("GET {k}{i}")).text().parse().unwrap()).to_vec();
        assert!(values.iter().all(|v| *v == values[0]), "{values:?}");
        // One more may have run whose reply was lost with the connection.
        assert!(values[0] + 1 >= acknowledged, "{values:?} {acknowledged}");
    }
}

#[test]
fn save_points_fire() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--save", "1 3"]);
    let mut client = server.connect();
    client.ok("MSET a 1 b 2 c 3");
    wait_until("it was saved", || number(&server, "rdb_saves") == 1);
    wait_until("nothing is left", || number(&server, "rdb_changes_since_last_save") == 0);
    assert!(client.run("LASTSAVE").int() >= number(&server, "uptime_in_seconds"));
}

#[test]
fn a_failure_is_told_and_heals() {
    let dir = Scratch::new();
    let place = dir.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let server = kring(&place, 2, &["--enable-protected-configs", "yes", "--save", "3600 1"]);
    let mut client = server.connect();
    client.ok("SET a 1");
    std::fs::remove_dir(&place).unwrap();
    assert_eq!(client.run("SAVE").text(), "ERR");
    client.ok("SET a 2");
    assert_eq!(client.run("BGSAVE").text(), "Background saving started");
    wait_until("it failed", || server.info()["rdb_last_bgsave_status"] == "err");
    for line in ["SET a 3", "DEL a", "PING", "MSET a 1 b 2"] {
        let reply = client.run(line).text();
        assert!(reply.starts_with("MISCONF Redis is configured to save RDB snapshots"), "{line}: {reply}");
    }
    assert_eq!(client.run("GET a").text(), "2");
    client.ok("MULTI");
    assert!(client.run("SET a 4").text().starts_with("MISCONF"));
    assert!(client.run("EXEC").text().starts_with("EXECABORT"));
    assert!(client.run("SHUTDOWN").text().starts_with("ERR Errors trying to SHUTDOWN. Check logs."));
    assert_eq!(client.run("GET a").text(), "2", "it goes on");
    client.ok("CONFIG SET stop-writes-on-bgsave-error no");
    client.ok("SET a 5");
    client.ok("CONFIG SET stop-writes-on-bgsave-error yes");
    assert!(client.run("SET a 6").text().starts_with("MISCONF"));
    // Another directory heals it at the next save.
    client.ok(&format!("CONFIG SET dir {}", dir.path().display()));
    client.ok("CONFIG SET dbfilename other.rdb");
    client.run("BGSAVE");
    wait_until("it is well", || server.info()["rdb_last_bgsave_status"] == "ok");
    client.ok("SET a 7");
    check(&dir.path().join("other.rdb"));
}

#[test]
fn commands_about_saves_exclude_each_other() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    client.ok("DEBUG POPULATE 200000");
    let busy = "ERR Background save already in progress";
    client.send(b"BGSAVE\r\nBGSAVE\r\nSAVE\r\nBGSAVE SCHEDULE\r\n").unwrap();
    let replies: Vec<String> = (0..4).map(|_| client.reply().text()).collect();
    assert_eq!(replies, ["Background saving started", busy, busy, busy]);
    wait_until("it is done", || number(&server, "rdb_bgsave_in_progress") == 0);
    // Beside a rewrite of the log SAVE is possible, as in Redis.
    client.send(b"BGREWRITEAOF\r\nSAVE\r\n").unwrap();
    assert_eq!(client.reply().text(), "Background append only file rewriting started");
    assert_eq!(client.reply().text(), "OK");
    client.ok("MULTI");
    assert_eq!(client.run("SAVE").text(), "ERR Command not allowed inside a transaction");
    client.run("DISCARD");
    client.ok("MULTI");
    for line in ["SET x 1", "BGSAVE", "GET x"] {
        assert_eq!(client.run(line).text(), "QUEUED");
    }
    let reply = client.run("EXEC");
    let replies: Vec<String> = reply.array().iter().map(Reply::text).collect();
    assert_eq!(replies, ["OK", "Background saving started", "1"]);
}

/// A start that must fail, with one line on standard error that has these parts.
fn refused(dir: &Path, args: &[&str], parts: &[&str]) {
    let port = crate::server::free_port().to_string();
    let mut child = Command::new(KRING)
        .args(["--port", &port, "--shards", "2", "--dir", dir.to_str().unwrap()])
        .args(args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it runs; it should have refused");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), text.trim_end().lines().count()), (Some(1), 1), "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
}

#[test]
fn a_file_that_is_not_whole_is_never_loaded() {
    let dir = Scratch::new();
    let path = dir.path().join("dump.rdb");
    let good = include_bytes!("../data/redis-7.0-strings.rdb");
    let mut flipped = good.to_vec();
    flipped[200] ^= 1;
    let twice = [&good[..9], &good[9..good.len() - 9], &good[9..]].concat();
    for (bytes, args, parts) in [
        (&good[..300], &[][..], &["dump.rdb", "ends too early"][..]),
        (&flipped, &[], &["dump.rdb"]),
        (b"", &[], &["ends too early"]),
        (b"hello, I am another file", &[], &["it is no RDB file"]),
        (b"REDIS0099 and more", &[], &["RDB version is 99"]),
        (good, &["--databases", "2"], &["keys of database 3", "databases is 2"]),
        (&twice, &["--rdbchecksum", "no"], &["comes twice"]),
    ] {
        std::fs::write(&path, bytes).unwrap();
        refused(dir.path(), args, parts);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it was");
    }
    std::fs::write(&path, good).unwrap();
    let server = kring(dir.path(), 2, &[]);
    assert_eq!(server.connect().run("GET big").text(), "9223372036854775807");
    server.connect().ok("SAVE");
    let again = std::fs::read(&path).unwrap();
    assert!(again.windows(5).any(|w| w == b"mylib"), "functions are kept");
}

/// A dataset of every type and encoding.
fn fill_all(client: &mut Client) {
    fill(client, 30);
    client.ok("SELECT 7");
    client.run("CONFIG SET list-compress-depth 1");
    for i in 0..2_000 {
        client.run(&format!("RPUSH list:squeezed {i} {}", "squeeze me ".repeat(i % 9).replace(' ', "")));
    }
    client.run("CONFIG SET list-compress-depth 0");
    client.run(&format!("RPUSH list:plain a {} -70000 12 13 99999999999", "p".repeat(20_000)));
    client.run("RPUSH list:small 0 12 13 127 128 -128 32767 32768 8388607 8388608 2147483648 x");
    client.run("SADD set:ints 1 70000 -5000000000");
    client.run("SADD set:listpack a 1 2");
    client.run("ZADD zset:small 1 a 2.5 b -inf c +inf d 12 13");
    client.run("HSET hash:small a 1 b two 3 4");
    client.run(&format!("HSET hash:long f {}", "v".repeat(3_000)));
    for i in 0..300 {
        client.run(&format!("ZADD zset:large {i}.25 member:{i}"));
        client.run(&format!("HSET hash:large f{i} {i}"));
        client.run(&format!("XADD stream {}-1 n {i} other value", i + 1));
    }
    client.run("XGROUP CREATE stream g 5-1");
    client.run("XREADGROUP GROUP g me COUNT 7 STREAMS stream >");
    client.run("XREADGROUP GROUP g you COUNT 7 STREAMS stream >");
    client.run("XACK stream g 7-1");
    client.run("XADD stream:empty 1-1 a b");
    client.run("XDEL stream:empty 1-1");
    client.run("PFADD hll a b c");
    client.run("SETRANGE bits 300 x");
}

/// The types of a file's values.
fn kinds(path: &Path) -> Vec<u8> {
    let mut reader = kring::persist::rdb::Reader::new(true);
    reader.push(&std::fs::read(path).unwrap());
    reader.finish();
    let mut kinds = Vec::new();
    loop {
        match reader.next_item().unwrap().unwrap() {
            kring::persist::rdb::Item::Entry(entry) => kinds.push(entry.kind),
            kring::persist::rdb::Item::End => break,
            _ => {}
        }
    }
    kinds.sort();
    kinds.dedup();
    kinds
}

#[test]
fn version_9_is_what_redis_5_reads() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 3, &[]);
    fill_all(&mut server.connect());
    let before = digest(&server);
    let path = dir.path().join("dump.rdb");
    for compression in ["yes", "no"] {
        let mut client = server.connect();
        client.ok(&format!("CONFIG SET rdb-version 9 rdbcompression {compression}"));
        client.ok("SAVE");
        check(&path);
        assert_eq!(&std::fs::read(&path).unwrap()[..9], b"REDIS0009");
        // All that Redis 5 writes of these types, and no more.
        assert_eq!(kinds(&path), [0, 2, 4, 5, 11, 12, 13, 14, 15]);
        let arguments =
            ["--dir", dir.path().to_str().unwrap(), DEBUG[0], DEBUG[1], "--sanitize-dump-payload", "yes"];
        let redis = Server::redis(&arguments);
        wait_until("it has loaded", || redis.connect().run("PING") == Reply::Simple("PONG".into()));
        assert_eq!(digest(&redis), before, "compression {compression}");
        for server in [&redis, &server] {
            let mut client = server.connect();
            client.ok("SELECT 7");
            let pending = client.run("XPENDING stream g - + 100").array().len();
            assert_eq!((pending, client.run("XLEN stream").int()), (13, 300));
        }
        client.ok("DEBUG RELOAD");
        assert_eq!(digest(&server), before);
    }
    let mut client = server.connect();
    client.run("HSET h f v");
    client.run("HEXPIRE h 1000 FIELDS 1 f");
    assert_eq!(client.run("SAVE").text(), "ERR");
    let told = "the value of key 'h' needs rdb-version 12, but it is 9";
    wait_until("it is told", || server.log().contains(told));
    assert_eq!(&std::fs::read(&path).unwrap()[..9], b"REDIS0009", "the old file stays");
}

#[test]
fn version_9_has_no_functions() {
    let dir = Scratch::new();
    std::fs::write(dir.path().join("dump.rdb"), include_bytes!("../data/redis-7.0-strings.rdb")).unwrap();
    let server = kring(dir.path(), 2, &["--rdb-version", "9"]);
    assert_eq!(server.connect().run("SAVE").text(), "ERR");
    let told = "libraries of functions need rdb-version 10, but it is 9";
    wait_until("it is told", || server.log().contains(told));
    server.connect().ok("CONFIG SET rdb-version 10");
    server.connect().ok("SAVE");
}

#[test]
fn a_file_of_valkey_9_is_loaded() {
    let dir = Scratch::new();
    let mut file = b"VALKEY080\xfa\x0avalkey-ver\x059.0.1\xfe\x00\x16\x01h\x02\x01f\x01v".to_vec();
    file.extend_from_slice(&(-1i64).to_le_bytes());
    file.extend_from_slice(b"\x01g\x01w");
    file.extend_from_slice(&4_102_444_800_123i64.to_le_bytes());
    file.extend_from_slice(b"\x00\x01s\xc0\x07\xff\0\0\0\0\0\0\0\0");
    let path = dir.path().join("dump.rdb");
    std::fs::write(&path, &file).unwrap();
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    assert!(server.log().contains("produced by Valkey version 9.0.1"));
    assert_eq!((client.run("GET s").text(), client.run("HLEN h").int()), ("7".into(), 2));
    let times: Vec<i64> = client.run("HPEXPIRETIME h FIELDS 2 f g").array().iter().map(|r| r.int()).collect();
    assert_eq!(times, [-1, 4_102_444_800_123]);
    client.ok("SAVE");
    assert_eq!(&std::fs::read(&path).unwrap()[..9], b"REDIS0012");
    drop(server);
    std::fs::write(&path, b"VALKEY080\xfe\x00\xf3\x01j").unwrap();
    refused(dir.path(), &[], &["slots were moving"]);
    std::fs::write(&path, b"VALKEY081\xfe\x00").unwrap();
    refused(dir.path(), &[], &["RDB version is 81 of Valkey's"]);
}

#[test]
fn a_shutdown_is_called_off() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--save", "3600 1000000"]);
    let mut client = server.connect();
    let none = "ERR No shutdown in progress.";
    assert_eq!(client.run("SHUTDOWN ABORT").text(), none);
    client.ok("SET a 1");
    client.ok("SAVE");
    let path = dir.path().join("dump.rdb");
    let before = std::fs::read(&path).unwrap();
    client.ok("DEBUG POPULATE 5000");
    client.ok("CONFIG SET rdb-key-save-delay 10000");
    for under_way in [false, true] {
        if under_way {
            client.run("BGSAVE");
        }
        let mut stopping = server.connect();
        stopping.send(b"SHUTDOWN\r\n").unwrap();
        wait_until("it is asked", || {
            server.log().matches("User requested shutdown").count() > under_way as usize
        });
        client.ok("SHUTDOWN ABORT");
        assert_eq!(stopping.reply().text(), "ERR Errors trying to SHUTDOWN. Check logs.");
        // All goes on, and nothing was lost or written.
        client.ok("SET b 2");
        stopping.ok("SET c 3");
        assert_eq!(client.run("SHUTDOWN ABORT").text(), none);
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(server.log().contains("Shutdown manually aborted."));
        wait_until("no snapshot is under way", || server.info()["kring_snapshot"] == "none" || under_way);
    }
    client.ok("CONFIG SET rdb-key-save-delay 0");
    let mut server = server;
    client.send(b"SHUTDOWN\r\n").unwrap();
    assert!(server.wait().success());
    assert_ne!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_a_snapshot_does_is_told_as_it_goes() {
    let dir = Scratch::new();
    let server = kring(
        dir.path(),
        2,
        &["--appendonly", "yes", "--rdb-key-save-delay", "2000", "--rdbcompression", "no"],
    );
    let mut client = server.connect();
    wait_until("the log is on", || server.info()["aof_rewrite_in_progress"] == "0");
    // More than may be on its way to the writer at a time.
    client.ok("DEBUG POPULATE 3000 key 16000");
    for (command, name, busy) in [
        ("BGSAVE", "bgsave", "rdb_bgsave_in_progress"),
        ("BGREWRITEAOF", "aof_base", "aof_rewrite_in_progress"),
    ] {
        client.run(command);
        wait_until("some keys are written", || {
            let info = server.info();
            let at = |field: &str| info[field].parse::<f64>().unwrap();
            info["kring_snapshot"] == name
                && at("current_save_keys_processed") > 20.0
                && at("kring_snapshot_keys_per_sec") > 0.0
        });
        let info = server.info();
        let at = |field: &str| info[field].parse::<f64>().unwrap();
        assert_eq!((at("current_save_keys_total"), info[busy].as_str()), (3_000.0, "1"));
        let percent = at("current_save_keys_processed") / 30.0;
        assert!(
            (at("current_fork_perc") - percent).abs() < 0.02 && at("kring_snapshot_bytes") > 0.0,
            "{info:?}"
        );
        // Writes meet keys that are not written yet: they are kept.
        (0..3_000).for_each(|i| drop(client.run(&format!("APPEND key:{i} x"))));
        wait_until("some were kept", || server.info()["current_cow_peak"] != "0");
        client.ok("CONFIG SET rdb-key-save-delay 0");
        wait_until("it is over", || server.info()[busy] == "0");
        let info = server.info();
        let last = if name == "bgsave" { "rdb_last_cow_size" } else { "aof_last_cow_size" };
        assert_ne!(info[last], "0", "{last}");
        assert!(name != "bgsave" || info["aof_last_cow_size"] == "0");
        assert_eq!((info["current_cow_size"].as_str(), info["kring_snapshot"].as_str()), ("0", "none"));
        assert_eq!(
            (info["current_fork_perc"].as_str(), info["current_save_keys_total"].as_str()),
            ("0.00", "0")
        );
        client.ok("CONFIG SET rdb-key-save-delay 2000");
    }
    client.ok("CONFIG SET rdb-key-save-delay 0");
}

/// Large lists and streams change, end and go elsewhere while a snapshot is on its way to them: the file has them as they were, and what is
/// held for them is far less than they are.
#[test]
fn what_is_large_and_changes_is_in_the_file_as_it_was() {
    let dir = Scratch::new();
    let args = ["--rdb-key-save-delay", "2000", "--rdbcompression", "no", "--save", ""];
    let server = kring(dir.path(), 2, &args);
    let mut client = server.connect();
    client.ok("DEBUG POPULATE 500 key 16000");
    for i in 0..6 {
        for part in 0..20 {
            let elements: String = (0..1_000).map(|n| format!(" element:{}", part * 1_000 + n)).collect();
            client.run(&format!("RPUSH l{i}{elements}"));
        }
        for n in 1..2_000 {
            client.run(&format!("XADD x{i} {n}-1 name some-value:{n}"));
        }
        client.ok(&format!("XGROUP CREATE x{i} g 0"));
        client.run(&format!("XREADGROUP GROUP g c COUNT 1000 STREAMS x{i} >"));
    }
    let before = digest(&server);
    client.run("BGSAVE");
    for i in 0..6 {
        for line in
            ["RPUSH l new", "LSET l 9000 new", "LPOP l 3", "XADD x * f v", "XACK x g 500-1", "XDEL x 700-1"]
        {
            client.run(&line.replace("l ", &format!("l{i} ")).replace("x ", &format!("x{i} ")));
        }
    }
    wait_until("the last change is known", || number(&server, "current_cow_peak") > 0);
    assert_eq!(number(&server, "rdb_bgsave_in_progress"), 1);
    let peak = number(&server, "current_cow_peak");
    assert!(peak < 300_000, "{peak} of 6 MB");
    for line in [
        "RENAME l0 elsewhere",
        "RENAME x0 further",
        "MOVE l1 5",
        "MOVE x1 5",
        "DEL l2",
        "SET x2 1",
        "PEXPIRE l3 1",
    ] {
        client.run(line);
    }
    client.ok("CONFIG SET rdb-key-save-delay 0");
    wait_until("it is over", || server.info()["rdb_bgsave_in_progress"] == "0");
    assert_eq!(server.info()["rdb_last_bgsave_status"], "ok");
    assert!(number(&server, "rdb_last_cow_size") >= peak);
    drop(server);
    check(&dir.path().join("dump.rdb"));
    assert_eq!(digest(&kring(dir.path(), 3, &["--save", ""])), before);
}

#[test]
fn a_load_tells_how_far_it_is() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    server.connect().ok("DEBUG POPULATE 2000");
    server.connect().ok("SAVE");
    drop(server);
    let server = Server::kring(2, &["--dir", dir.path().to_str().unwrap(), "--key-load-delay", "2000"]);
    wait_until("it is on its way", || server.info().get("loading_loaded_bytes").is_some_and(|n| n != "0"));
    let info = server.info();
    let at = |field: &str| info[field].parse::<f64>().unwrap();
    let len = std::fs::metadata(dir.path().join("dump.rdb")).unwrap().len();
    assert_eq!((info["loading"].as_str(), at("loading_total_bytes")), ("1", len as f64));
    assert!(at("loading_rdb_used_mem") > 10_000.0 && at("loading_loaded_perc") < 100.0, "{info:?}");
}

#[test]
fn what_a_version_cannot_hold_is_told() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    client.run("HSET h f v g w");
    client.run("HEXPIRE h 1000 FIELDS 1 f");
    client.ok("SAVE");
    assert_eq!(&std::fs::read(dir.path().join("dump.rdb")).unwrap()[..9], b"REDIS0012");
    let before = digest(&server);
    client.ok("DEBUG RELOAD");
    assert_eq!(digest(&server), before);
    assert!(client.run("HTTL h FIELDS 1 f").array()[0].int() > 900);
    client.ok("CONFIG SET rdb-version 10");
    assert_eq!(client.run("SAVE").text(), "ERR");
    let told = "the value of key 'h' needs rdb-version 12, but it is 10";
    wait_until("it is told", || server.log().contains(told));
    client.run("HPERSIST h FIELDS 1 f");
    client.ok("SAVE");
}

#[test]
fn files_are_checked_from_the_command_line() {
    let dir = Scratch::new();
    let path = dir.path().join("some.rdb");
    let good = include_bytes!("../data/redis-7.0-strings.rdb");
    for (bytes, code, parts) in [
        (&good[..], 0, &["RDB version 10", "whole: 8 keys", "checksum right"][..]),
        (&good[..100], 1, &["ends too early"]),
        (b"no such thing", 1, &["it is no RDB file"]),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let found = Command::new(KRING).arg("--check-rdb").arg(&path).output().unwrap();
        let text = [found.stdout, found.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(found.status.code(), Some(code), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
    }
    let missing = Command::new(KRING).args(["--check-rdb", "/no/such/file"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn the_version_is_chosen() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    client.ok("SET a 1");
    for (word, version) in [("9", 9), ("10", 10), ("11", 11), ("12", 12), ("auto", 10)] {
        client.ok(&format!("CONFIG SET rdb-version {word}"));
        client.ok("SAVE");
        let file = std::fs::read(dir.path().join("dump.rdb")).unwrap();
        assert_eq!(&file[..9], format!("REDIS{version:04}").as_bytes());
        client.ok("DEBUG RELOAD");
    }
}
