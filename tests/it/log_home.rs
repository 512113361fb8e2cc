//! A home of an append-only log: a directory in which servers live one after the other, and how it is looked at from outside.

use crate::client::{Client, words};
use crate::reply::Reply;
use crate::server::{KRING, Scratch, Server, free_port, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BASIC: [&str; 4] = ["--enable-debug-command", "yes", "--appendonly", "yes"];

fn args<'a>(dir: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    ["--dir", dir.to_str().unwrap()].into_iter().chain(BASIC).chain(more.iter().copied()).collect()
}

fn loaded(server: Server) -> Server {
    wait_until("it has loaded", || {
        server.connect().run("PING") != Reply::Error("LOADING Redis is loading the dataset in memory".into())
    });
    server
}

/// kring with a log in a directory that outlives it. Dropping it is `kill -9`.
pub fn kring(dir: &Path, shards: usize, more: &[&str]) -> Server {
    loaded(Server::kring(shards, &args(dir, more)))
}

/// redis-server on the same directory.
pub fn redis(dir: &Path, more: &[&str]) -> Server {
    loaded(Server::redis(&args(dir, more)))
}

/// A start that does not succeed: what it said.
pub fn refused(dir: &Path, more: &[&str]) -> Output {
    let port = free_port().to_string();
    let start = ["--port", &port, "--shards", "2", "--save", ""];
    Command::new("timeout").args(["20", KRING]).args(start).args(args(dir, more)).output().unwrap()
}

pub fn digest(server: &Server) -> String {
    server.connect().run("DEBUG DIGEST").text()
}

/// Ends a server as an operator does.
pub fn stop(mut server: Server) {
    let _ = server.connect().send(b"SHUTDOWN NOSAVE\r\n");
    assert!(server.wait().success(), "{}", server.log());
}

/// A file of the log.
pub fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("appendonlydir").join(name)
}

pub fn manifest(dir: &Path) -> PathBuf {
    file(dir, "appendonly.aof.manifest")
}

/// A copy of a directory that has one level of directories in it.
pub fn copy(from: &Path) -> Scratch {
    let to = Scratch::new();
    let done = Command::new("cp").arg("-r").arg(from.join(".")).arg(to.path()).status();
    assert!(done.is_ok_and(|s| s.success()), "cp of {}", from.display());
    to
}

/// What `redis-check-aof` says of a directory: whether it passes, and its words.
pub fn redis_check(dir: &Path) -> (bool, String) {
    let found = Command::new("redis-check-aof").arg(manifest(dir)).output().expect("redis-check-aof runs");
    (found.status.success(), String::from_utf8_lossy(&found.stdout).into_owned())
}

/// What one of our tools says of a directory: its exit code and its words.
pub fn tool(flags: &[&str], dir: &Path) -> (i32, String) {
    let found = Command::new(KRING).args(flags).arg(dir.join("appendonlydir")).output().unwrap();
    let said = [found.stdout, found.stderr].concat();
    (found.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// Both checkers pass a directory, and redis-server loads it to a dataset with this digest.
pub fn assert_taken(dir: &Path, digest_wanted: &str, more: &[&str]) {
    let (passed, said) = redis_check(dir);
    assert!(passed, "redis-check-aof: {said}");
    let (code, said) = tool(&["--check-aof"], dir);
    assert_eq!(code, 0, "--check-aof: {said}");
    // Redis would write into it.
    let copy = copy(dir);
    let theirs = redis(copy.path(), more);
    assert_eq!(digest(&theirs), digest_wanted, "redis-server loads something else");
}

/// Waits until no rewrite and no save is under way or wanted.
pub fn settle(server: &Server) {
    wait_until("nothing is rewritten or saved any more", || {
        let info = server.info();
        ["aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress"]
            .iter()
            .all(|field| info[*field] == "0")
    });
}

/// A field of INFO.
pub fn info(server: &Server, field: &str) -> String {
    server.info().remove(field).unwrap_or_else(|| panic!("INFO has no {field}"))
}

/// Values of every type, in two databases. All is sent at once.
pub fn fill(client: &mut Client, round: usize) {
    let mut lines: Vec<String> = Vec::new();
    for db in [0, 5] {
        lines.push(format!("SELECT {db}"));
        for n in (0..40).map(|i| round * 1_000 + i) {
            lines.extend([
                format!("SET key:{n} value:{n}"),
                format!("SET later:{n} {} EX 100000", "x".repeat(1 + n % 1_000 * 30)),
                format!("RPUSH list:{} {n} b c", n % 7),
                format!("SADD set:{} {n} x y", n % 5),
                format!("SADD numbers:{} {n} 1 2", n % 5),
                format!("ZADD zset {n} m:{n}"),
                format!("HSET hash:{} f:{n} {n}", n % 3),
                format!("XADD stream * n {n}"),
                "INCRBYFLOAT float 1.25".into(),
            ]);
        }
        let more = [
            "XGROUP CREATE stream group 0",
            "XREADGROUP GROUP group me COUNT 3 STREAMS stream >",
            "MULTI",
            "SPOP set:1",
            "LMOVE list:1 list:2 LEFT RIGHT",
            "RENAME key:3 moved",
            "EXEC",
            "EXPIRE zset 500000",
            "PERSIST zset",
            "DEL key:5 key:6",
            "GEOADD geo 13.361389 38.115556 Palermo",
            "PFADD hll a b c",
            "COPY hash:1 copy",
            "MSET m1 1 m2 2 m3 3 m4 4",
        ];
        lines.extend(more.map(String::from));
    }
    lines.push("SELECT 0".into());
    client.send(&lines.iter().flat_map(|line| words(line)).collect::<Vec<_>>()).unwrap();
    for line in &lines {
        let reply = client.reply();
        // A group that is there already, or a key that is not, is no matter.
        assert!(!reply.is_error() || !line.starts_with("SET"), "{line}: {reply:?}");
    }
}
