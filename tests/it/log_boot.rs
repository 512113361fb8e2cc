//! Boot from a log: directories that redis-server and kring wrote, old single files, cut-off tails, and what is refused.

use crate::client::Client;
use crate::reply::Reply;
use crate::server::{KRING, Scratch, Server, free_port, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];
const ON: [&str; 2] = ["--appendonly", "yes"];

fn args<'a>(dir: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let dir = dir.to_str().unwrap();
    ["--dir", dir].into_iter().chain(DEBUG).chain(ON).chain(more.iter().copied()).collect()
}

fn kring(dir: &Path, shards: usize, more: &[&str]) -> Server {
    let server = Server::kring(shards, &args(dir, more));
    wait_until("it has loaded", || server.connect().run("PING") == Reply::Simple("PONG".into()));
    server
}

fn redis(dir: &Path, more: &[&str]) -> Server {
    let server = Server::redis(&args(dir, more));
    wait_until("it has loaded", || server.connect().run("PING") == Reply::Simple("PONG".into()));
    server
}

fn digest(server: &Server) -> String {
    server.connect().run("DEBUG DIGEST").text()
}

/// Ends a server that has nothing left to write.
fn stop(mut server: Server) {
    let _ = server.connect().send(b"SHUTDOWN NOSAVE\r\n");
    server.wait();
}

/// A copy of a directory that has one level of directories in it.
fn copy(from: &Path) -> Scratch {
    let to = Scratch::new();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.path().join(entry.file_name());
        if !entry.path().is_dir() {
            std::fs::copy(entry.path(), target).unwrap();
            continue;
        }
        std::fs::create_dir(&target).unwrap();
        for file in std::fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    }
    to
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("appendonlydir").join(name)
}

/// Values of all types in two databases, transactions, times to live, removals.
fn fill(client: &mut Client, round: usize) {
    for db in [0, 5] {
        client.ok(&format!("SELECT {db}"));
        for i in 0..60 {
            let n = round * 1_000 + i;
            client.ok(&format!("SET key:{n} value:{n}"));
            client.ok(&format!("SET later:{n} x EX 100000"));
            client.run(&format!("RPUSH list:{} {n} b c", n % 7));
            client.run(&format!("SADD set:{} {n} x y", n % 5));
            client.run(&format!("ZADD zset {n} m:{n}"));
            client.run(&format!("HSET hash:{} f:{n} {n}", n % 3));
            client.run(&format!("XADD stream * n {n}"));
            client.run("INCRBYFLOAT float 1.25");
            client.run(&format!("SETRANGE bits {n} x"));
        }
        client.run("XGROUP CREATE stream group 0");
        client.run("XREADGROUP GROUP group me COUNT 3 STREAMS stream >");
        client.run("MULTI");
        client.run("SPOP set:1");
        client.run("LMOVE list:1 list:2 LEFT RIGHT");
        client.run("RENAME key:3 moved");
        client.run("EXEC");
        client.run("EXPIRE zset 5000");
        client.run("PERSIST zset");
        client.run("DEL key:5 key:6");
        client.run("GEOADD geo 13.361389 38.115556 Palermo");
        client.run("PFADD hll a b c");
        client.run("COPY hash:1 copy");
    }
}

fn rewrite(server: &Server) {
    server.connect().run("BGREWRITEAOF");
    wait_until("it is rewritten", || {
        let info = server.info();
        info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0"
    });
}

#[test]
fn what_redis_logged_is_loaded_whatever_the_number_of_shards() {
    let variants: [(&[&str], bool); 4] = [
        (&[], true),
        (&["--aof-use-rdb-preamble", "no"], true),
        (&["--aof-timestamp-enabled", "yes"], false),
        (&["--appenddirname", "appendonlydir", "--appendfilename", "an odd name.aof"], true),
    ];
    for (knobs, rewrites) in variants {
        let dir = Scratch::new();
        let server = redis(dir.path(), knobs);
        fill(&mut server.connect(), 1);
        if rewrites {
            rewrite(&server);
        }
        fill(&mut server.connect(), 2);
        let before = digest(&server);
        stop(server);
        let knobs: Vec<&str> = knobs.iter().copied().filter(|k| !k.contains("timestamp")).collect();
        let knobs = &knobs[..knobs.len() / 2 * 2];
        for shards in [1, 2, 3, 8] {
            let copy = copy(dir.path());
            let server = kring(copy.path(), shards, knobs);
            assert_eq!(digest(&server), before, "{knobs:?}, {shards} shards");
            assert_eq!(server.info()["loading"], "0");
            // What is on the disk goes on being right for redis-server.
            drop(server);
            assert_eq!(
                digest(&redis(copy.path(), knobs)),
                before,
                "{knobs:?}, {shards} shards, back at Redis"
            );
        }
    }
}

#[test]
fn an_old_single_file_is_moved_and_loaded() {
    let dir = Scratch::new();
    let server = redis(dir.path(), &[]);
    fill(&mut server.connect(), 1);
    rewrite(&server);
    fill(&mut server.connect(), 2);
    let before = digest(&server);
    stop(server);
    let mut names: Vec<_> =
        std::fs::read_dir(file(dir.path(), "")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| !path.to_str().unwrap().ends_with("manifest"));
    names.sort();
    let whole: Vec<u8> = names.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    for shards in [1, 3] {
        let old = Scratch::new();
        std::fs::write(old.path().join("appendonly.aof"), &whole).unwrap();
        let server = kring(old.path(), shards, &[]);
        assert_eq!(digest(&server), before);
        assert!(!old.path().join("appendonly.aof").exists() && file(old.path(), "appendonly.aof").exists());
        drop(server);
        assert_eq!(digest(&redis(old.path(), &[])), before);
        assert_eq!(digest(&kring(old.path(), 2, &[])), before);
    }
}

#[test]
fn a_snapshot_without_a_log_is_where_the_log_starts() {
    let dir = Scratch::new();
    let server = Server::kring(2, &["--dir", dir.path().to_str().unwrap(), DEBUG[0], DEBUG[1]]);
    fill(&mut server.connect(), 1);
    server.connect().ok("SAVE");
    let before = digest(&server);
    stop(server);
    let server = kring(dir.path(), 3, &[]);
    assert_eq!(digest(&server), before);
    assert!(server.log().contains("it starts from the snapshot"), "{}", server.log());
    drop(server);
    std::fs::remove_file(dir.path().join("dump.rdb")).unwrap();
    assert_eq!(digest(&kring(dir.path(), 2, &[])), before);
    assert_eq!(digest(&redis(dir.path(), &[])), before);
}

#[test]
fn a_cut_off_log_is_loaded_as_redis_loads_it() {
    let dir = Scratch::new();
    let server = redis(dir.path(), &[]);
    fill(&mut server.connect(), 1);
    stop(server);
    let name = "appendonly.aof.1.incr.aof";
    let len = std::fs::metadata(file(dir.path(), name)).unwrap().len();
    for cut in [1, 13, 200, 701, 1_300, len - 60, len - 1] {
        let copy = copy(dir.path());
        let log = std::fs::OpenOptions::new().write(true).open(file(copy.path(), name)).unwrap();
        log.set_len(len - cut).unwrap();
        let refused = boot(copy.path(), &["--aof-load-truncated", "no"]);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        let whole = refused.status.code() != Some(1);
        assert!(
            !whole && error.contains("aof-load-truncated is no") && error.contains(name),
            "{cut}: {error}"
        );
        let ours = digest(&kring(copy.path(), 2, &[]));
        let theirs = Scratch::new();
        std::fs::create_dir(theirs.path().join("appendonlydir")).unwrap();
        for entry in std::fs::read_dir(file(dir.path(), "")).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), file(theirs.path(), entry.file_name().to_str().unwrap())).unwrap();
        }
        let log = std::fs::OpenOptions::new().write(true).open(file(theirs.path(), name)).unwrap();
        log.set_len(len - cut).unwrap();
        assert_eq!(ours, digest(&redis(theirs.path(), &[])), "cut by {cut}");
    }
}

/// Starts kring with a log that it does not take: what it said.
fn boot(dir: &Path, more: &[&str]) -> Output {
    let port = free_port().to_string();
    let all = args(dir, more);
    let child = Command::new(KRING).args(["--port", &port, "--shards", "2", "--save", ""]).args(all).output();
    child.unwrap()
}

#[test]
fn what_is_not_a_whole_log_is_refused_in_one_line() {
    let dir = Scratch::new();
    let server = redis(dir.path(), &[]);
    fill(&mut server.connect(), 1);
    rewrite(&server);
    fill(&mut server.connect(), 2);
    stop(server);
    let (incr, base) = ("appendonly.aof.2.incr.aof", "appendonly.aof.2.base.rdb");
    let flip = |path: &Path, at: usize| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 0x41;
        std::fs::write(path, bytes).unwrap();
    };
    type Harm<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: Vec<(&str, Harm<'_>)> = vec![
        ("is missing", Box::new(|d| std::fs::remove_file(file(d, incr)).unwrap())),
        ("is missing", Box::new(|d| std::fs::remove_file(file(d, base)).unwrap())),
        ("lies beside it", Box::new(|d| std::fs::remove_file(file(d, "appendonly.aof.manifest")).unwrap())),
        ("line 1", Box::new(|d| std::fs::write(file(d, "appendonly.aof.manifest"), "what\n").unwrap())),
        ("is damaged", Box::new(|d| flip(&file(d, incr), 0))),
        ("cannot be run", Box::new(|d| std::fs::write(file(d, incr), b"*1\r\n$6\r\nNOSUCH\r\n").unwrap())),
        ("checksum", Box::new(|d| flip(&file(d, base), 300))),
    ];
    for (line, harm) in cases {
        let copy = copy(dir.path());
        harm(copy.path());
        let refused = boot(copy.path(), &[]);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{line}: {error}");
        let last: Vec<&str> = error.trim_end().lines().collect();
        assert!(
            last.len() == 1 && error.starts_with("kring-server: cannot go on with the append-only log"),
            "{error}"
        );
        assert!(error.contains("appendonly.aof"), "{error}");
        assert!(error.contains(line) || line == "checksum", "{line}: {error}");
    }
}

#[test]
fn the_tools_tell_whether_a_log_is_whole() {
    let dir = Scratch::new();
    let server = redis(dir.path(), &[]);
    fill(&mut server.connect(), 1);
    stop(server);
    let tool = |flags: &[&str], path: &Path| {
        let found = Command::new(KRING).args(flags).arg(path).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (found.status.code().unwrap(), text(&found.stdout), text(&found.stderr))
    };
    let (log, incr) = (file(dir.path(), ""), file(dir.path(), "appendonly.aof.1.incr.aof"));
    for path in [&log, &file(dir.path(), "appendonly.aof.manifest"), &incr] {
        let (code, out, err) = tool(&["--check-aof"], path);
        assert!(code == 0 && out.ends_with("whole\n") && err.is_empty(), "{out}{err}");
    }
    let (code, commands, _) = tool(&["--aof-to-resp"], &log);
    assert_eq!(code, 0);
    let fresh = Server::kring(3, &DEBUG);
    let mut client = fresh.connect();
    client.send(commands.as_bytes()).unwrap();
    client.send(b"ECHO done\r\n").unwrap();
    while client.reply() != Reply::Bulk("done".into()) {}
    assert_eq!(digest(&fresh), digest(&kring(copy(dir.path()).path(), 1, &[])));
    let (code, lines, _) = tool(&["--aof-to-text"], &log);
    assert!(code == 0 && lines.contains("\nSELECT 5\n") && lines.contains("\nMULTI\n"), "{lines}");
    // A torn end, and damage.
    let len = std::fs::metadata(&incr).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&incr).unwrap().set_len(len - 3).unwrap();
    let (code, _, err) = tool(&["--check-aof"], &log);
    assert!(code == 1 && err.contains("--fix cuts it") && err.lines().count() == 1, "{err}");
    let (code, out, _) = tool(&["--check-aof", "--fix"], &log);
    assert!(code == 0 && out.contains("cut: "), "{out}");
    assert_eq!(tool(&["--check-aof"], &log).0, 0);
    let mut bytes = std::fs::read(&incr).unwrap();
    let at = bytes.len() / 2 + bytes[bytes.len() / 2..].iter().position(|b| *b == b'*').unwrap();
    bytes[at] = b'?';
    std::fs::write(&incr, bytes).unwrap();
    for flags in [&["--check-aof"][..], &["--check-aof", "--fix"]] {
        let (code, _, err) = tool(flags, &log);
        assert!(code == 1 && err.contains("damaged") && err.lines().count() == 1, "{err}");
    }
    assert_eq!(tool(&["--check-aof"], Path::new("/no/such/log")).0, 2);
    assert_eq!(tool(&["--aof-to-resp"], Path::new("/no/such/log")).0, 2);
}

#[test]
fn what_kring_logged_is_loaded_whatever_the_number_of_shards() {
    for shards in [1, 2, 3, 8] {
        let dir = Scratch::new();
        let always = ["--appendfsync", "always"];
        let server = kring(dir.path(), shards, &always);
        fill(&mut server.connect(), 1);
        server.connect().ok("FLUSHALL");
        fill(&mut server.connect(), 2);
        let before = digest(&server);
        server.signal("KILL");
        drop(server);
        for other in [1, 2, 3, 8] {
            let copy = copy(dir.path());
            assert_eq!(
                digest(&kring(copy.path(), other, &[])),
                before,
                "{shards} shards wrote, {other} read"
            );
        }
        assert_eq!(digest(&redis(dir.path(), &[])), before, "{shards} shards wrote, Redis reads");
    }
}

/// FUNCTION in a log changes the libraries, which the next base has; scripts themselves are refused, their cache is no data.
#[test]
fn libraries_of_functions_in_a_log_are_kept() {
    let dir = Scratch::new();
    let source = |name: &str, body: &str| {
        format!("#!lua name={name}\nredis.register_function('{name}f', function() return {body} end)")
    };
    let server = redis(dir.path(), &[]);
    {
        let mut client = server.connect();
        client.call(&["FUNCTION", "LOAD", &source("before", "1")]);
        client.ok("SET a 1");
        rewrite(&server);
        for (name, body) in [("one", "1"), ("two", "2"), ("three", "3")] {
            client.call(&["FUNCTION", "LOAD", &source(name, body)]);
        }
        client.call(&["FUNCTION", "LOAD", "REPLACE", &source("two", "22")]);
        client.ok("FUNCTION DELETE three");
        let Reply::Bulk(payload) = client.run("FUNCTION DUMP") else { panic!("a payload") };
        client.ok("FUNCTION FLUSH");
        client.call(&[&b"FUNCTION"[..], b"RESTORE", &payload, b"FLUSH"]);
        client.ok("SET b 2");
    }
    let list =
        |server: &Server| String::from_utf8(server.connect().raw_of("FUNCTION LIST WITHCODE")).unwrap();
    let before = list(&server);
    stop(server);
    for shards in [1, 3] {
        let copy = copy(dir.path());
        let server = kring(copy.path(), shards, &[]);
        assert_eq!(server.connect().run("GET b").text(), "2");
        assert!(server.log().contains("3 libraries of functions"));
        assert!(server.connect().run("FUNCTION LIST").text().starts_with("ERR unknown command"));
        rewrite(&server);
        stop(server);
        let back = redis(copy.path(), &[]);
        let list = list(&back);
        for (name, body) in [("before", "1"), ("one", "1"), ("two", "22")] {
            assert!(list.contains(&source(name, body)), "{name}: {list}");
        }
        assert!(!list.contains("three") && list.len() == before.len());
    }
}

#[test]
fn scripts_of_old_logs_are_refused_with_a_line_that_says_so() {
    let command = |words: &[&str]| {
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
        text
    };
    let dir = Scratch::new();
    let cached = [command(&["SET", "a", "1"]), command(&["SCRIPT", "LOAD", "return 1"])].concat();
    std::fs::write(dir.path().join("appendonly.aof"), &cached).unwrap();
    stop(kring(dir.path(), 2, &[]));
    let dir = Scratch::new();
    let script = command(&["EVAL", "redis.call('set', 'b', '2')", "0"]);
    std::fs::write(dir.path().join("appendonly.aof"), cached + &script).unwrap();
    let output = boot(dir.path(), &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("the command 'EVAL'") && text.contains("it runs a script"), "{text}");
}

/// Long enough that commands are dealt out to all shards, several times over, with much between that concerns more than one.
#[test]
fn a_long_log_of_redis_gives_what_it_gives_redis() {
    let dir = Scratch::new();
    let server = redis(dir.path(), &["--aof-use-rdb-preamble", "no", "--appendfsync", "no"]);
    let mut client = server.connect();
    for round in 0..4 {
        for db in [0, 3, 9] {
            client.ok(&format!("SELECT {db}"));
            let mut lines = Vec::new();
            for i in 0..1_500 {
                let (n, long) = (i % 97, "v".repeat(i % 300));
                lines.push(match i % 14 {
                    0 => format!("SET key:{n} {long}{i}"),
                    1 => format!("APPEND key:{n} {i}"),
                    2 => format!("SETRANGE range:{n} {i} {long}x"),
                    3 => format!("RPUSH list:{n} {i} {long}x"),
                    4 => format!("LPOP list:{n}"),
                    5 => format!("HSET hash:{n} f:{i} {long}x"),
                    6 => format!("SADD set:{n} {i} {long}x"),
                    7 => format!("SPOP set:{n}"),
                    8 => format!("ZADD zset:{n} {i} m:{i}"),
                    9 => format!("ZINCRBY zset:{n} 1.5 m:1"),
                    10 => format!("XADD stream:{n} * f {i}{long}"),
                    11 => format!("INCRBYFLOAT float:{n} 1.25"),
                    12 => format!("PEXPIRE key:{n} {}", 100_000_000 + i),
                    _ => format!("PERSIST key:{n}"),
                });
                if i % 500 == 499 {
                    lines.extend(
                        ["MULTI", "SELECT 5", "INCR inner", "SELECT 3", "LPUSH list:1 x", "EXEC"]
                            .map(String::from),
                    );
                    lines.push(format!("SELECT {db}"));
                }
            }
            // Several keys, and all of them.
            for line in [
                "MSET key:1 a key:2 b key:3 c",
                "RENAME key:1 moved",
                "SUNIONSTORE union set:1 set:2",
                "SWAPDB 0 9",
            ] {
                lines.push(line.into());
            }
            if round == 1 && db == 9 {
                lines.push("FLUSHDB".into());
            }
            for chunk in lines.chunks(500) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|line| crate::client::words(line)).collect();
                client.send(&bytes).unwrap();
                chunk.iter().for_each(|line| assert!(!client.reply().is_error(), "{line}"));
            }
        }
    }
    let before = digest(&server);
    stop(server);
    for shards in [1, 2, 5] {
        let copy = copy(dir.path());
        let server = kring(copy.path(), shards, &[]);
        assert_eq!(digest(&server), before, "{shards} shards");
    }
}
