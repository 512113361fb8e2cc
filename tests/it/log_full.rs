//! A disk that is full, and has room again: a small file system of its own, where the machine lets us mount one.
//!
//! ```text
//!  write ─ a large file takes the rest ─ write until it is refused ─┬─ a copy is started: what was acknowledged is there
//!                                                                   └─ the large file goes ─ it heals ─ kill -9 ─ start: all is there
//! ```

use crate::client::{Client, words};
use crate::log_home::{assert_taken, copy, digest, file, fill, info, kring, manifest, settle, stop};
use crate::reply::Reply;
use crate::server::{Scratch, Server, wait_until};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How large the file systems are.
const MEGABYTES: usize = 32;
const MISCONF: &str = "MISCONF Errors writing to the AOF file: No space left on device";
/// How long it may take until writes are taken again.
const HEALS_WITHIN: Duration = Duration::from_secs(12);
const TICKETS_MAX: usize = 100_000;

/// A small file system, until it is dropped.
struct Small {
    at: Scratch,
    _image: Scratch,
}

impl Small {
    /// `None`, with a line that says why, where we may not mount.
    fn mount(kind: &str) -> Option<Small> {
        let (at, image) = (Scratch::new(), Scratch::new());
        let (target, disk) = (at.path().to_str().unwrap(), image.path().join("disk"));
        let size = format!("size={MEGABYTES}m");
        let done = match kind {
            "tmpfs" => run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", target]),
            _ => {
                std::fs::File::create(&disk).unwrap().set_len((MEGABYTES as u64) << 20).unwrap();
                let disk = disk.to_str().unwrap();
                run("mkfs.ext4", &["-q", "-F", disk])
                    .and_then(|()| run("mount", &["-o", "loop", disk, target]))
            }
        };
        match done {
            Ok(()) => Some(Small { at, _image: image }),
            Err(why) => {
                eprintln!("skipped: a small {kind} cannot be mounted here: {why}");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    fn hog(&self) -> PathBuf {
        self.path().join("hog")
    }

    /// Leaves no room, and takes what others give back.
    fn fill_up(&self) {
        let mut hog = std::fs::OpenOptions::new().create(true).append(true).open(self.hog()).unwrap();
        for piece in [1 << 20, 64 << 10, 4 << 10, 512] {
            while hog.write_all(&vec![b'h'; piece]).is_ok() {}
        }
        drop(hog.sync_all());
    }

    fn make_room(&self) {
        std::fs::remove_file(self.hog()).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Whoever used it has ended; lazily, should that not be so.
        drop(run("umount", &["-l", self.path().to_str().unwrap()]));
    }
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stderr).trim().to_string()),
    }
}

/// Writes tickets until one is not taken: the number of those that were.
fn write_until_refused(client: &mut Client, from: usize) -> usize {
    let pad = "p".repeat(1_000);
    for n in from..TICKETS_MAX {
        // Under `always` the connection is closed: nobody can say what was kept.
        let Ok(()) = client.send(&words(&format!("SET ticket:{n} {n}-{pad}"))) else { return n };
        match client.try_reply() {
            Ok((reply, _)) if reply.is_ok() => {}
            Ok((reply, _)) => {
                assert_eq!(reply.text(), MISCONF);
                return n;
            }
            Err(_) => return n,
        }
    }
    panic!("{TICKETS_MAX} writes were taken by a full disk");
}

/// Tickets that are not there.
fn missing(server: &Server, tickets: usize) -> Vec<usize> {
    let mut client = server.connect();
    (0..tickets).filter(|n| client.run(&format!("EXISTS ticket:{n}")) == Reply::Int(0)).collect()
}

/// The files that the manifest names, and the manifest, and the snapshot, with what is in them.
fn listed(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let text = std::fs::read_to_string(manifest(dir)).unwrap();
    let names = text.lines().map(|line| file(dir, line.split(' ').nth(1).unwrap()));
    let all = names.chain([manifest(dir), dir.join("dump.rdb")]);
    all.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

fn assert_refuses(server: &Server, tickets: usize) {
    let mut client = server.connect();
    assert_eq!(client.run("SET more 1").text(), MISCONF);
    assert_eq!(client.run("PING").text(), MISCONF);
    assert_eq!(client.run("MSET a 1 b 2 c 3 d 4").text(), MISCONF);
    if tickets > 0 {
        assert_eq!(client.run(&format!("EXISTS ticket:{}", tickets - 1)), Reply::Int(1));
    }
    assert_eq!(client.run("GET key:1001").text(), "value:1001");
    assert_eq!(info(server, "aof_last_write_status"), "err");
}

fn a_full_disk_stops_writes_and_heals(kind: &str, fsync: &str, shards: usize) {
    let Some(disk) = Small::mount(kind) else { return };
    let dir = disk.path();
    let server = kring(dir, shards, &["--appendfsync", fsync]);
    let mut client = server.connect();
    fill(&mut client, 1);
    client.ok("SAVE");
    disk.fill_up();
    let mut tickets = 0;
    // What a file was filled ahead by is given back at first: with it, it may heal for a moment.
    wait_until("it stays full", || {
        tickets = write_until_refused(&mut server.connect(), tickets);
        let again = Instant::now() + Duration::from_secs(7);
        while Instant::now() < again {
            disk.fill_up();
            std::thread::sleep(Duration::from_millis(50));
        }
        info(&server, "aof_last_write_status") == "err"
    });
    assert_refuses(&server, tickets);
    // Neither a snapshot nor a new base can be written: what is there stays.
    let before = listed(dir);
    let mut client = server.connect();
    client.run("BGSAVE");
    client.run("BGREWRITEAOF");
    settle(&server);
    client.run("BGREWRITEAOF");
    settle(&server);
    client.run("BGSAVE");
    settle(&server);
    assert_eq!(info(&server, "rdb_last_bgsave_status"), "err");
    assert!(listed(dir) == before, "files changed; log:\n{}", server.log());
    // Another attempt may be under way just now.
    wait_until("no temporary file is left", || !file(dir, "temp-temp-appendonly.aof.base").exists());
    // A crash now: what was promised is there.
    let left = copy(dir);
    let crashed = kring(left.path(), 2, &[]);
    let lost = missing(&crashed, tickets);
    // Nothing that `everysec` has acknowledged is old here.
    assert!(lost.is_empty() || fsync != "always", "{kind} {fsync}: {} of {tickets}: {lost:?}", lost.len());
    drop(crashed);
    // A stop would lose what is in memory only.
    let refused = client.run("SHUTDOWN NOSAVE");
    assert_eq!(refused.text(), "ERR Errors trying to SHUTDOWN. Check logs.");
    disk.make_room();
    let began = Instant::now();
    wait_until("it heals", || info(&server, "aof_last_write_status") == "ok");
    assert!(began.elapsed() < HEALS_WITHIN, "{:?}", began.elapsed());
    let mut client = server.connect();
    assert_eq!(client.run("PING").text(), "PONG");
    client.ok("SET more 1");
    assert_eq!(client.run("WAITAOF 1 0 5000").array()[0], Reply::Int(1));
    assert!(missing(&server, tickets).is_empty());
    let wanted = digest(&server);
    drop(server);
    let server = kring(dir, 3, &[]);
    assert_eq!(digest(&server), wanted, "{}", server.log());
    assert!(missing(&server, tickets).is_empty());
    stop(server);
    let outside = copy_of_log(dir);
    assert_taken(outside.path(), &wanted, &[]);
}

/// The log alone, where there is room.
fn copy_of_log(dir: &Path) -> Scratch {
    let to = copy(dir);
    drop(std::fs::remove_file(to.path().join("hog")));
    to
}

#[test]
fn a_full_ext4_under_always() {
    a_full_disk_stops_writes_and_heals("ext4", "always", 2);
}

#[test]
fn a_full_ext4_under_everysec() {
    a_full_disk_stops_writes_and_heals("ext4", "everysec", 3);
}

#[test]
fn a_full_tmpfs_under_always() {
    a_full_disk_stops_writes_and_heals("tmpfs", "always", 1);
}

#[test]
fn a_full_tmpfs_under_everysec() {
    a_full_disk_stops_writes_and_heals("tmpfs", "everysec", 2);
}

#[test]
fn where_little_is_free_little_is_filled_ahead() {
    let Some(disk) = Small::mount("ext4") else { return };
    let server = kring(disk.path(), 2, &["--appendfsync", "always"]);
    let mut client = server.connect();
    // A write of each takes a block.
    let pad = "p".repeat(3_000);
    let mut written = 0;
    let mut write = |tag: usize, count: usize| {
        for n in 0..count {
            client.ok(&format!("SET {{{tag}}}:{n} {pad}"));
        }
        written += count * 4_096;
        written
    };
    // One shard has much, the other nothing: what is filled ahead for the one must leave room for the other.
    let bytes = write(0, 750);
    let files = std::fs::read_dir(file(disk.path(), "")).unwrap();
    let len: u64 = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(len < bytes as u64 + (MEGABYTES as u64) * (1 << 20) / 4, "{len} bytes in files for {bytes}");
    for tag in 1..9 {
        write(tag, 300);
    }
    assert_eq!(info(&server, "aof_last_write_status"), "ok");
    stop(server);
}

#[test]
fn a_disk_that_fills_up_again_and_again_loses_nothing() {
    let Some(disk) = Small::mount("ext4") else { return };
    let server = kring(disk.path(), 2, &["--appendfsync", "always"]);
    let mut tickets = 0;
    for round in 0..2 {
        disk.fill_up();
        tickets = write_until_refused(&mut server.connect(), tickets);
        wait_until("it is told", || info(&server, "aof_last_write_status") == "err");
        // Room for the next files, not for the base: it is begun and fails.
        std::fs::OpenOptions::new().write(true).open(disk.hog()).unwrap().set_len(1 << 20).unwrap();
        disk.fill_up();
        std::thread::sleep(Duration::from_millis(300 * round));
        disk.make_room();
        wait_until("it heals", || info(&server, "aof_last_write_status") == "ok");
    }
    assert!(missing(&server, tickets).is_empty());
    let wanted = digest(&server);
    drop(server);
    assert_eq!(digest(&kring(disk.path(), 1, &[])), wanted);
}

#[test]
fn a_file_system_without_o_direct_is_told_of_once() {
    let Some(disk) = Small::mount("tmpfs") else { return };
    let probe = disk.path().join("probe");
    let target = format!("of={}", probe.display());
    let direct = run("dd", &["if=/dev/zero", &target, "bs=4096", "count=1", "oflag=direct"]).is_ok();
    let server = kring(disk.path(), 3, &[]);
    let mut client = server.connect();
    client.ok("SET a 1");
    client.ok("FLUSHALL");
    client.ok("SET a 2");
    client.run("BGREWRITEAOF");
    settle(&server);
    let line = "The append-only log is written through the page cache: its file system refuses O_DIRECT";
    assert_eq!(server.log().matches(line).count(), usize::from(!direct), "{}", server.log());
    let wanted = digest(&server);
    stop(server);
    assert_eq!(digest(&kring(disk.path(), 1, &[])), wanted);
}
