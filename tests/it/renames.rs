//! `rename-command`: what clients may call, against the oracle, and what a log says.

use crate::log_home::{digest, kring, refused, stop, tool};
use crate::server::{Scratch, Server};
use std::path::Path;

const RENAMES: &[&str] = &[
    "--rename-command",
    "FLUSHALL",
    "badger",
    "--rename-command",
    "set",
    "Put-something-under-a-key",
    "--rename-command",
    "CONFIG",
    "",
    "--rename-command",
    "mset",
    "PUTS",
    "--rename-command",
    "xgroup",
    "xg",
    "--rename-command",
    "multi",
    "begin",
    "--rename-command",
    "get",
    "config",
    "--rename-command",
    "xadd",
    "xa",
    "--rename-command",
    "xtrim",
    "xt",
    "--rename-command",
    "restore",
    "put-back",
    "--rename-command",
    "append",
    LONG,
];

const LONG: &str = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

#[test]
fn clients_call_commands_as_the_configuration_says() {
    let redis = Server::redis(RENAMES);
    for shards in [1, 3] {
        let ours = Server::kring(shards, RENAMES);
        let (mut a, mut b) = (redis.connect(), ours.connect());
        for line in [
            "BADGER",
            "FLUSHALL",
            "flushall x",
            "put-SOMETHING-under-a-key k v",
            "SET k v",
            "CONFIG k",
            "config",
            "GET k",
            "puts a 1 b 2 c 3",
            "puts a",
            "MSET a 1",
            "MGET a b c k",
            "xg CREATE s g $ MKSTREAM",
            "XGROUP CREATE s g $",
            "xg nosuch",
            &format!("{LONG} long v"),
            &format!("{LONG}x long v"),
            "begin",
            "put-something-under-a-key k w",
            "config k",
            "get k",
            "exec",
            "MULTI",
            "COMMAND COUNT",
            "COMMAND INFO flushall",
            "COMMAND INFO set",
            "COMMAND INFO get",
            "COMMAND GETKEYS set a b",
            "COMMAND GETKEYS put-something-under-a-key a b",
            "COMMAND GETKEYS puts a 1 b 2",
            "COMMAND DOCS set",
            "DBSIZE",
            "badger",
            "DBSIZE",
        ] {
            let (theirs, ours) = (a.raw_of(line), b.raw_of(line));
            if line == "COMMAND COUNT" {
                continue; // kring has not all of Redis's commands, and some of later releases
            }
            assert_eq!(crate::reply::show(&ours), crate::reply::show(&theirs), "{line}, {shards} shards");
        }
        let [theirs, ours] = [&mut a, &mut b].map(|client| client.run("xg help").array()[0].text());
        assert_eq!(ours, theirs);
        let list = b.run("COMMAND LIST");
        let names: Vec<String> = list.array().iter().map(|name| name.text()).collect();
        assert!(names.contains(&"flushall".into()), "by its own name, as Redis lists it");
        assert!(!names.contains(&"config".into()));
        assert_eq!(
            b.run("COMMAND COUNT").int() as usize,
            names.iter().filter(|name| !name.contains('|')).count()
        );
    }
}

#[test]
fn what_cannot_be_renamed_is_said_as_redis_says_it() {
    for (line, why) in [
        (["--rename-command", "nosuch", "x"], "No such command in rename-command"),
        (["--rename-command", "get", "set"], "Target command name already exists"),
    ] {
        let dir = Scratch::new();
        let output = refused(dir.path(), &line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("FATAL CONFIG FILE ERROR") && said.trim_end().ends_with(why), "{said}");
    }
}

fn write(server: &Server) {
    let mut client = server.connect();
    for line in [
        "put-something-under-a-key k v",
        "puts a 1 b 2 c 3 d 4 e 5",
        "LPUSH l x y",
        "xg CREATE s g $ MKSTREAM",
        "begin",
        "put-something-under-a-key k w",
        "INCR n",
        "exec",
        "DEL a b",
        "xa s * f v",
        "xa s MAXLEN ~ 100 * f v",
        "xa s 99999999999999-1 f v",
        "xt s MAXLEN ~ 100",
    ] {
        assert!(!client.run(line).is_error(), "{line}");
    }
    let payload = client.run("DUMP n").bytes().to_vec();
    for ttl in [&b"0"[..], b"10000000"] {
        assert!(client.call(&[&b"put-back"[..], b"copy", ttl, &payload, b"REPLACE"]).is_ok());
    }
    // By one write, which is logged as it came, and by several.
    let batch: String = (0..50).map(|i| format!("put-something-under-a-key key:{i} {i}\r\n")).collect();
    client.send(batch.as_bytes()).unwrap();
    (0..50).for_each(|_| assert!(client.reply().is_ok()));
}

fn commands_of(dir: &Path) -> String {
    tool(&["--aof-to-text"], dir).1.to_ascii_lowercase()
}

#[test]
fn a_log_has_the_commands_own_names() {
    for shards in [1, 3] {
        let dir = Scratch::new();
        let always = [RENAMES, &["--appendfsync", "always"]].concat();
        let server = kring(dir.path(), shards, &always);
        write(&server);
        let wanted = digest(&server);
        stop(server);
        let said = commands_of(dir.path());
        assert!(!said.contains("put") && !said.contains("xg ") && !said.contains("xa "), "{said}");
        // With the names and without, and by Redis, who knows no other.
        for more in [&always[..], &[]] {
            let again = kring(dir.path(), 2, more);
            assert_eq!(digest(&again), wanted);
            stop(again);
        }
        crate::log_home::assert_taken(dir.path(), &wanted, &[]);
    }
}

#[test]
fn a_log_of_redis_has_names_as_they_were_sent() {
    let dir = Scratch::new();
    let theirs = crate::log_home::redis(dir.path(), RENAMES);
    write(&theirs);
    let wanted = digest(&theirs);
    stop(theirs);
    let ours = kring(dir.path(), 3, RENAMES);
    assert_eq!(digest(&ours), wanted);
}
