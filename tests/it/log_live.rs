//! The log of a running server: switched on and off, rewritten, turned, closed, and begun again, while clients write.

use crate::client::words;
use crate::log_home::{assert_taken, digest, file, fill, info, kring, manifest, refused, settle, stop};
use crate::reply::Reply;
use crate::server::{Scratch, Server, wait_until};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs `disturb` while three clients write as fast as they can; gives the sum of their counters.
fn under_load(server: &Server, disturb: impl FnOnce()) -> u64 {
    const CLIENTS: usize = 3;
    let (done, sum) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for id in 0..CLIENTS {
            let (done, sum) = (&done, &sum);
            let mut client = server.connect();
            scope.spawn(move || {
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    n += 1;
                    client.send(&words(&format!("INCR load:{id}:{}", n % 7))).unwrap();
                    client.send(&words(&format!("MSET a:{id} {n} b:{id} {n} c:{id} {n}"))).unwrap();
                    client.send(&words(&format!("RPUSH list:{id}:{} {n}", n % 50))).unwrap();
                    for _ in 0..3 {
                        let reply = client.reply();
                        assert!(!reply.is_error(), "{reply:?}");
                    }
                }
                sum.fetch_add(n, Ordering::Relaxed);
            });
        }
        // The clients end also when the disturbance fails.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(disturb));
        done.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    sum.into_inner()
}

/// Restarts with other numbers of shards, by force and in order; the dataset stays what it was.
fn assert_lasts(dir: &Path, wanted: &str) {
    for shards in [1, 3] {
        let server = kring(dir, shards, &[]);
        assert_eq!(digest(&server), wanted, "{shards} shards; log:\n{}", server.log());
        drop(server);
        assert_taken(dir, wanted, &[]);
    }
    stop(kring(dir, 2, &[]));
    assert_taken(dir, wanted, &[]);
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Asks until nothing stands in the way.
fn rewrite(server: &Server) {
    let mut client = server.connect();
    wait_until("a rewrite has begun", || !client.run("BGREWRITEAOF").is_error());
    settle(server);
    assert_eq!(info(server, "aof_last_bgrewrite_status"), "ok");
}

/// The files of the log, by what the manifest calls them.
fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(manifest(dir)).unwrap();
    let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.filter(|line| line[5] == kind).map(|line| file(dir, line[1])).collect()
}

#[test]
fn the_log_goes_on_and_off_under_load() {
    for fsync in ["always", "everysec"] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 3, &["--appendonly", "no", "--appendfsync", fsync]);
        fill(&mut server.connect(), 1);
        let mut client = server.connect();
        under_load(&server, || {
            for _ in 0..3 {
                pause(50);
                client.ok("CONFIG SET appendonly yes");
                wait_until("the log is on", || info(&server, "aof_rewrite_in_progress") == "0");
                settle(&server);
                pause(50);
                client.ok("CONFIG SET appendonly no");
                wait_until("the log is off", || info(&server, "aof_enabled") == "0");
            }
            // Nobody waits for one before the other.
            for value in ["yes", "no", "yes", "no", "yes"] {
                client.ok(&format!("CONFIG SET appendonly {value}"));
                pause(7);
            }
            wait_until("the log is on", || info(&server, "aof_rewrite_in_progress") == "0");
            settle(&server);
        });
        let wanted = digest(&server);
        assert_eq!(client.run("WAITAOF 1 0 5000").array()[0], Reply::Int(1));
        drop(server);
        assert_lasts(dir.path(), &wanted);
    }
}

#[test]
fn appendfsync_changes_under_load_and_rewrites_begin_by_themselves() {
    let dir = Scratch::new();
    let knobs = ["--auto-aof-rewrite-min-size", "200kb", "--auto-aof-rewrite-percentage", "50"];
    let server = kring(dir.path(), 3, &knobs);
    let mut client = server.connect();
    let rewrites = || info(&server, "aof_rewrites").parse::<u32>().unwrap();
    under_load(&server, || {
        let mut n = 0;
        wait_until("it was rewritten twice", || {
            let value = ["always", "no", "everysec"][n % 3];
            n += 1;
            client.ok(&format!("CONFIG SET appendfsync {value}"));
            let way = ["auto", "dsync", "fdatasync", "auto"][n % 4];
            client.ok(&format!("CONFIG SET log-commit {way}"));
            pause(40);
            rewrites() >= 2 && n > 12
        });
    });
    for (way, told) in [("dsync", ["dsync", "mixed"]), ("fdatasync", ["fdatasync", "mixed"])] {
        client.ok(&format!("CONFIG SET appendfsync always log-commit {way}"));
        client.ok("SET last 1");
        assert!(
            told.contains(&info(&server, "kring_log_commit").as_str()),
            "the other shards may not have committed since"
        );
    }
    client.ok("CONFIG SET appendfsync everysec");
    settle(&server);
    let wanted = digest(&server);
    assert_eq!(client.run("WAITAOF 1 0 5000").array()[0], Reply::Int(1));
    drop(server);
    assert_lasts(dir.path(), &wanted);
}

#[test]
fn a_rewrite_and_a_snapshot_wait_for_each_other() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    let mut client = server.connect();
    client.ok("DEBUG POPULATE 20000");
    client.ok("CONFIG SET rdb-key-save-delay 50");
    assert_eq!(client.run("BGSAVE").text(), "Background saving started");
    assert_eq!(client.run("BGREWRITEAOF").text(), "Background append only file rewriting scheduled");
    assert_eq!(info(&server, "aof_rewrite_scheduled"), "1");
    client.ok("CONFIG SET rdb-key-save-delay 0");
    settle(&server);
    assert_eq!(info(&server, "aof_rewrites"), "1");
    client.ok("CONFIG SET rdb-key-save-delay 50");
    assert_eq!(client.run("BGREWRITEAOF").text(), "Background append only file rewriting started");
    let error = "ERR Background append only file rewriting already in progress";
    assert_eq!(client.run("BGREWRITEAOF").text(), error);
    assert!(client.run("BGSAVE").is_error());
    assert_eq!(client.run("BGSAVE SCHEDULE").text(), "Background saving scheduled");
    client.ok("CONFIG SET rdb-key-save-delay 0");
    let saves = info(&server, "rdb_saves");
    wait_until("the snapshot was made", || info(&server, "rdb_saves") != saves);
    settle(&server);
    assert_eq!(info(&server, "aof_rewrites"), "2");
    let wanted = digest(&server);
    stop(server);
    assert_lasts(dir.path(), &wanted);
}

#[test]
fn a_rewrite_without_a_log_makes_a_base() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--appendonly", "no"]);
    fill(&mut server.connect(), 1);
    rewrite(&server);
    let wanted = digest(&server);
    let (bases, increments) = (files(dir.path(), "b"), files(dir.path(), "i"));
    assert_eq!((bases.len(), increments.len()), (1, 0));
    // What comes later is in no file, as in Redis.
    server.connect().ok("SET late 1");
    drop(server);
    assert_taken(dir.path(), &wanted, &[]);
    let server = kring(dir.path(), 3, &[]);
    assert_eq!(digest(&server), wanted);
    drop(server);
    let server = kring(dir.path(), 2, &["--appendonly", "no"]);
    rewrite(&server);
    assert_eq!(info(&server, "aof_enabled"), "0");
    drop(server);
    assert_lasts(dir.path(), &"0".repeat(40));
}

#[test]
fn a_reload_leaves_the_log_right() {
    for fsync in ["always", "everysec"] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 3, &["--appendfsync", fsync]);
        let mut client = server.connect();
        fill(&mut client, 1);
        client.ok("DEBUG RELOAD");
        fill(&mut client, 2);
        let wanted = digest(&server);
        // What is loaded is not what was logged.
        client.ok("DEBUG RELOAD");
        client.ok("SET lost 1");
        client.ok("DEBUG RELOAD NOSAVE");
        assert_eq!(client.run("EXISTS lost"), Reply::Int(0));
        assert_eq!(digest(&server), wanted);
        settle(&server);
        client.ok("SET after 1");
        let wanted = digest(&server);
        assert_eq!(client.run("WAITAOF 1 0 5000").array()[0], Reply::Int(1));
        drop(server);
        assert_lasts(dir.path(), &wanted);
    }
}

/// Where the last frame ends no filler is.
fn assert_no_filler(dir: &Path) {
    for path in files(dir, "i") {
        let len = std::fs::metadata(&path).unwrap().len();
        let bytes = std::fs::read(&path).unwrap();
        let mut scan = kring::persist::aof::Scan::new(1u32 << 30);
        scan.push(&bytes);
        scan.finish();
        while scan.next_frame().is_some() {}
        let block = kring::persist::aof::BLOCK as u64;
        assert!(len - scan.end() < block, "{}: {len} bytes, frames up to {}", path.display(), scan.end());
    }
}

#[test]
fn a_stop_brings_everything_to_the_disk() {
    for (fsync, how) in [
        ("always", "SHUTDOWN"),
        ("everysec", "SHUTDOWN"),
        ("no", "TERM"),
        ("everysec", "TERM"),
        ("no", "INT"),
    ] {
        let dir = Scratch::new();
        let mut server = kring(dir.path(), 3, &["--appendfsync", fsync]);
        let mut client = server.connect();
        fill(&mut client, 1);
        let wanted = digest(&server);
        match how {
            "SHUTDOWN" => client.send(b"SHUTDOWN\r\n").unwrap(),
            signal => server.signal(signal),
        }
        assert!(server.wait().success(), "{how}: {}", server.log());
        assert_no_filler(dir.path());
        assert_lasts(dir.path(), &wanted);
    }
}

#[test]
fn a_stop_in_the_middle_of_anything_loses_nothing() {
    // Each line is sent at once, and a stop behind it.
    let lines = [
        "FLUSHALL; INCR a; MSET x 1 y 2 z 3",
        "BGREWRITEAOF; INCR a",
        "FLUSHALL; INCR a; BGREWRITEAOF; INCR b",
        "SWAPDB 0 1; INCR a; SWAPDB 0 2; INCR a; FLUSHDB; INCR a",
        "CONFIG SET appendonly no; CONFIG SET appendonly yes; INCR a",
        "BGSAVE; BGREWRITEAOF; INCR a",
    ];
    for (i, line) in lines.iter().enumerate() {
        let commands: Vec<&str> = line.split("; ").collect();
        // A twin runs the same and is asked.
        let twin = Server::kring(2, &["--enable-debug-command", "yes"]);
        let mut other = twin.connect();
        other.run("INCR a");
        commands.iter().filter(|c| !c.starts_with("BG") && !c.starts_with("CONFIG")).for_each(|c| {
            other.run(c);
        });
        let wanted = digest(&twin);
        for (fsync, stop) in
            [("everysec", "SHUTDOWN NOSAVE"), ("always", "SHUTDOWN NOSAVE"), ("everysec", "")]
        {
            let dir = Scratch::new();
            let mut server = kring(dir.path(), 1 + i % 3, &["--appendfsync", fsync]);
            let mut client = server.connect();
            client.run("INCR a");
            let sent: Vec<u8> = commands.iter().copied().flat_map(words).collect();
            client.send(&sent).unwrap();
            if stop.is_empty() {
                commands.iter().for_each(|_| drop(client.reply()));
                settle(&server);
                wait_until("it is on", || info(&server, "aof_rewrite_in_progress") == "0");
                settle(&server);
                client.run("WAITAOF 1 0 5000");
                drop(server);
            } else {
                commands.iter().for_each(|_| drop(client.reply()));
                client.send(&words(stop)).unwrap();
                assert!(server.wait().success(), "{}", server.log());
            }
            // The log was switched off and on: what a stop in between leaves is what there was.
            if line.starts_with("CONFIG") && !stop.is_empty() {
                kring(dir.path(), 2, &[]);
                continue;
            }
            let server = kring(dir.path(), 2, &[]);
            assert_eq!(
                digest(&server),
                wanted,
                "{line}; {fsync}; {stop:?}: GET a {:?}; {}",
                server.connect().run("GET a"),
                server.log()
            );
            drop(server);
            assert_taken(dir.path(), &wanted, &[]);
        }
    }
}

#[test]
fn a_rewrite_behind_a_flush_counts_nothing_twice() {
    for shards in [1, 3] {
        let dir = Scratch::new();
        let server = kring(dir.path(), shards, &[]);
        let mut client = server.connect();
        for _ in 0..10 {
            settle(&server);
            let lines = ["FLUSHALL", "INCR a", "INCR b", "INCR c", "BGREWRITEAOF", "INCR a"];
            client.send(&lines.iter().copied().flat_map(words).collect::<Vec<_>>()).unwrap();
            lines.iter().for_each(|line| assert!(!client.reply().is_error(), "{line}"));
        }
        settle(&server);
        let wanted = digest(&server);
        client.run("WAITAOF 1 0 5000");
        drop(server);
        let server = kring(dir.path(), 2, &[]);
        assert_eq!(client_values(&server), ["2", "1", "1"], "{}", server.log());
        assert_eq!(digest(&server), wanted);
    }
}

fn client_values(server: &Server) -> [String; 3] {
    let mut client = server.connect();
    ["a", "b", "c"].map(|key| client.run(&format!("GET {key}")).text())
}

#[test]
fn many_starts_make_many_generations_and_a_flush_can_be_undone() {
    let dir = Scratch::new();
    let mut wanted = "0".repeat(40);
    for round in 0..12 {
        let server = kring(dir.path(), 1 + round % 3, &["--appendfsync", "always"]);
        assert_eq!(digest(&server), wanted, "round {round}: {}", server.log());
        let mut client = server.connect();
        fill(&mut client, round);
        if round % 4 == 1 {
            client.ok("SWAPDB 0 5");
            client.run("INCR swaps");
        }
        wanted = digest(&server);
        if round % 2 == 0 { stop(server) } else { drop(server) }
    }
    assert!(files(dir.path(), "i").len() > 20);
    let server = kring(dir.path(), 2, &["--appendfsync", "always"]);
    let mut client = server.connect();
    client.ok("FLUSHALL");
    client.ok("SET after 1");
    stop(server);
    // As the README says: the lines of the FLUSHALL and of all behind it go.
    let text = std::fs::read_to_string(manifest(dir.path())).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let holds = |line: &&str| {
        let name = line.split(' ').nth(1).unwrap();
        std::fs::read(file(dir.path(), name)).unwrap().windows(8).any(|w| w == b"FLUSHALL")
    };
    let at = lines.iter().position(holds).unwrap();
    lines.truncate(at);
    std::fs::write(manifest(dir.path()), lines.join("\n") + "\n").unwrap();
    assert_lasts(dir.path(), &wanted);
    rewrite(&kring(dir.path(), 2, &[]));
    assert_lasts(dir.path(), &wanted);
}

#[test]
fn waitaof_tells_when_it_is_on_the_disk() {
    for fsync in ["always", "everysec"] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 3, &["--appendfsync", fsync]);
        let mut client = server.connect();
        let mut sent = Vec::new();
        for i in 0..5 {
            sent.extend(words(&format!("SET k:{i} {i}")));
            sent.extend(words(&format!("MSET m:{i} {i} n:{i} {i} o:{i} {i}")));
            if i % 2 == 0 {
                sent.extend(words("WAITAOF 1 0 0"));
            }
        }
        sent.extend(words("WAITAOF 1 0 0"));
        let began = Instant::now();
        client.send(&sent).unwrap();
        for i in 0..5 {
            assert!(client.reply().is_ok() && client.reply().is_ok());
            if i % 2 == 0 {
                assert_eq!(client.reply(), Reply::Array(vec![Reply::Int(1), Reply::Int(0)]));
            }
        }
        assert_eq!(client.reply(), Reply::Array(vec![Reply::Int(1), Reply::Int(0)]));
        assert!(began.elapsed() < Duration::from_secs(10));
        let wanted = digest(&server);
        drop(server);
        assert_lasts(dir.path(), &wanted);
    }
}

#[test]
fn bases_of_commands_and_annotations_are_taken_too() {
    for knobs in [["--aof-use-rdb-preamble", "no"], ["--aof-timestamp-enabled", "yes"]] {
        let dir = Scratch::new();
        let server = kring(dir.path(), 3, &knobs);
        fill(&mut server.connect(), 1);
        rewrite(&server);
        fill(&mut server.connect(), 2);
        if knobs[0].contains("preamble") {
            let base = std::fs::read(&files(dir.path(), "b")[0]).unwrap();
            assert!(base.starts_with(b"*"), "a base of commands");
        } else {
            let stamped = |path: &PathBuf| std::fs::read(path).unwrap().windows(4).any(|w| w == b"#TS:");
            assert!(files(dir.path(), "i").iter().any(stamped));
        }
        let wanted = digest(&server);
        stop(server);
        assert_lasts(dir.path(), &wanted);
    }
}

#[test]
fn one_directory_has_one_server() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--appendfsync", "always"]);
    server.connect().ok("SET a 1");
    let second = refused(dir.path(), &[]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.lines().count() == 1 && said.contains("another server"), "{said}");
    // One that has no log may live there, until it wants one.
    let third = Server::kring(1, &["--dir", dir.path().to_str().unwrap(), "--enable-debug-command", "yes"]);
    let mut client = third.connect();
    client.run("BGREWRITEAOF");
    settle(&third);
    assert_eq!(info(&third, "aof_last_bgrewrite_status"), "err");
    drop(third);
    server.connect().ok("SET b 2");
    let wanted = digest(&server);
    drop(server);
    // A kill lets it go.
    assert_lasts(dir.path(), &wanted);
}

#[test]
fn a_base_without_a_command_is_a_base() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &["--aof-use-rdb-preamble", "no"]);
    rewrite(&server);
    assert_eq!(std::fs::metadata(&files(dir.path(), "b")[0]).unwrap().len(), 0);
    server.connect().ok("SET a 1");
    let wanted = digest(&server);
    stop(server);
    assert_lasts(dir.path(), &wanted);
}
