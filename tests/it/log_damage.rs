//! Damage to a log between an end and the next start: it is refused in one line, or told of, never loaded in silence.

use crate::log_home::{
    assert_taken, digest, file, fill, kring, manifest, redis, refused, settle, stop, tool,
};
use crate::server::{Scratch, Server, wait_until};
use std::path::{Path, PathBuf};

/// The files of a kind that the manifest names.
fn files(dir: &Path, kind: char) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(manifest(dir)).unwrap();
    let is_it = |line: &&str| line.ends_with(&format!(" type {kind}"));
    text.lines().filter(is_it).map(|line| file(dir, line.split(' ').nth(1).unwrap())).collect()
}

/// Transactions over all shards, one a write.
fn transfer(server: &Server, rounds: usize) {
    let mut client = server.connect();
    for round in 0..rounds {
        client.run("MULTI");
        (0..8).for_each(|key| drop(client.run(&format!("SET key:{key} {round}"))));
        client.run("EXEC");
    }
}

/// Neither a start nor the check, with or without `--fix`, takes the directory: all say so in one line that has these words.
fn assert_refused(dir: &Path, words: &str, fsync: &str) {
    let before = std::fs::read(manifest(dir)).unwrap();
    let said = refused(dir, &["--appendfsync", fsync]);
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!((said.status.code(), error.trim_end().lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains(words), "{words}: {error}");
    for flags in [&["--check-aof"][..], &["--check-aof", "--fix"]] {
        let (code, said) = tool(flags, dir);
        assert!(code == 1 && said.contains(words), "{flags:?}: {words}: {said}");
    }
    assert_eq!(std::fs::read(manifest(dir)).unwrap(), before);
}

#[test]
fn damage_behind_an_end_in_order_is_no_tear() {
    for (fsync, how) in [("everysec", "SHUTDOWN"), ("no", "TERM"), ("no", "off")] {
        let dir = Scratch::new();
        let mut server = kring(dir.path(), 2, &["--appendfsync", fsync]);
        transfer(&server, 50);
        let wanted = digest(&server);
        match how {
            "off" => {
                server.connect().run("CONFIG SET appendonly no");
                wait_until("it is off", || server.info()["aof_enabled"] == "0");
                // kill -9: nothing that follows makes the log whole.
                drop(server);
            }
            "TERM" => {
                server.signal("TERM");
                assert!(server.wait().success());
            }
            _ => stop(server),
        }
        assert_taken(dir.path(), &wanted, &[]);
        let first = &files(dir.path(), 'i')[0];
        let whole = std::fs::read(first).unwrap();
        let mut bytes = whole.clone();
        let at = bytes.len() / 3;
        let at = at + bytes[at..].windows(3).position(|w| w == b"SET").unwrap();
        bytes[at] ^= 1;
        std::fs::write(first, &bytes).unwrap();
        assert_refused(dir.path(), "it is damaged at byte", fsync);
        std::fs::write(first, &whole).unwrap();
        let server = kring(dir.path(), 2, &["--appendfsync", fsync]);
        assert_eq!(digest(&server), wanted);
        stop(server);
        // Now others follow it: a file that is cut where a frame ends shows too, though no transaction is torn by that.
        let block = whole.len() - whole.len() % 4096;
        std::fs::write(first, &whole[..block]).unwrap();
        assert_refused(dir.path(), "its end is missing", fsync);
        std::fs::write(first, &whole).unwrap();
        assert_taken(dir.path(), &wanted, &[]);
    }
}

/// Takes the line of the base out of the manifest: its file's name.
fn forget_base(dir: &Path) -> PathBuf {
    let base = files(dir, 'b').remove(0);
    let text = std::fs::read_to_string(manifest(dir)).unwrap();
    let left: String = text.split_inclusive('\n').filter(|line| !line.ends_with(" type b\n")).collect();
    std::fs::write(manifest(dir), left).unwrap();
    base
}

#[test]
fn a_base_that_the_manifest_does_not_name_is_missed() {
    let dir = Scratch::new();
    let server = kring(dir.path(), 2, &[]);
    fill(&mut server.connect(), 1);
    server.connect().run("BGREWRITEAOF");
    settle(&server);
    transfer(&server, 2);
    stop(server);
    let base = forget_base(dir.path());
    assert_refused(dir.path(), "names no base", "everysec");
    // Whoever wants what is left moves the base away; it is said what that means.
    std::fs::remove_file(base).unwrap();
    let (code, said) = tool(&["--check-aof"], dir.path());
    assert!(code == 0 && said.contains("warning: ") && said.contains("names no base"), "{said}");
    let server = kring(dir.path(), 2, &[]);
    assert!(server.log().contains("names no base"), "{}", server.log());
    stop(server);
    // A log that begins with file 1 may be whole without a base: Redis loads it, and so do we, but not in silence.
    let dir = Scratch::new();
    let server = redis(dir.path(), &[]);
    fill(&mut server.connect(), 1);
    let wanted = digest(&server);
    stop(server);
    forget_base(dir.path());
    let (code, said) = tool(&["--check-aof"], dir.path());
    assert!(code == 0 && said.contains("warning: ") && said.contains("names no base"), "{said}");
    let server = kring(dir.path(), 2, &[]);
    assert_eq!(digest(&server), wanted);
    assert!(server.log().contains("names no base"), "{}", server.log());
}
