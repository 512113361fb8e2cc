//! The log's files as Redis sees them: a directory with frames, padding and filler passes `redis-check-aof`, and redis-server
//! loads it to the keys that it says.

use crate::client::{Client, request};
use crate::log_home;
use crate::server::{Scratch, Server};
use kring::persist::aof::{
    BLOCK, BaseForm, Framer, Held, Log, Manifest, Merge, Opened, Part, Readable, Scan, Stage, Tail, Turn,
    Why, filler, pad, recover, stages,
};
use kring::store::ShardSet;
use std::path::Path;
use std::process::Command;

const APPEND: &str = "appendonly.aof";
/// A generation of two shards, an operation on the whole keyspace, and another generation.
const FILES: usize = 5;

fn commands(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| request(&line.split(' ').collect::<Vec<_>>())).collect()
}

/// A file that is being written.
struct File {
    framer: Framer,
    bytes: Vec<u8>,
}

impl File {
    fn begin(mut framer: Framer) -> File {
        let mut bytes = Vec::new();
        framer.begin_file(&mut bytes);
        pad(&mut bytes);
        File { framer, bytes }
    }

    /// A write of one frame for each payload.
    fn write(&mut self, payloads: &[(&[&str], Option<&Part>)]) {
        for (lines, part) in payloads {
            self.framer.frame(&mut self.bytes, &commands(lines), *part);
        }
        pad(&mut self.bytes);
        self.framer.set_durable(self.framer.sequence());
    }

    /// Fills the file ahead.
    fn fill(&mut self, blocks: usize) {
        let end = self.bytes.len();
        self.bytes.resize(end + blocks * BLOCK, 0);
        filler(&mut self.bytes[end..]);
    }
}

fn shard_files(generation: u64) -> [File; 2] {
    [0, 1].map(|shard| File::begin(Framer::new(0x00c0_ffee + generation, shard, generation, 2)))
}

fn log() -> Vec<Vec<u8>> {
    let part = Part { id: 1, participants: ShardSet::all(2) };
    let [mut a, mut b] = shard_files(1);
    a.write(&[(&["SELECT 0", "SET gone 1"], None)]);
    b.write(&[(&["SELECT 3", "SET gone 1"], None)]);
    let mut alone = File::begin(Framer::alone(7, 2));
    alone.write(&[(&["FLUSHALL"], None)]);
    let [mut c, mut d] = shard_files(3);
    c.write(&[
        (&["SELECT 0", "MULTI", "SET a 1", "INCR a", "EXEC"], None),
        (&["MULTI", "SET m0 x", "EXEC"], Some(&part)),
    ]);
    c.write(&[(&["RPUSH list 1 2 3", "PEXPIREAT list 99999999999999"], None)]);
    d.write(&[(&["SELECT 3", "SET b 5"], None), (&["SELECT 0", "SET m1 y"], Some(&part)), (&[], None)]);
    let big = "v".repeat(3 * BLOCK);
    d.write(&[(&[&format!("SET big {big}")], None)]);
    d.write(&[(&["SET #key #kring:1", "DEL m0x"], None)]);
    let mut files = [a, b, alone, c, d];
    files.iter_mut().enumerate().for_each(|(i, file)| file.fill(i % 3));
    files.map(|file| file.bytes).into()
}

/// Writes the log to `appendonlydir` of a directory and gives the names of its files.
fn put(dir: &Path, files: &[Vec<u8>]) -> Vec<String> {
    let dir = dir.join("appendonlydir");
    std::fs::create_dir(&dir).unwrap();
    let mut manifest = Manifest::new(APPEND);
    let mut names = manifest.begin_generation(2);
    names.push(manifest.standalone());
    names.extend(manifest.begin_generation(2));
    assert_eq!((names.len(), files.len()), (FILES, FILES));
    names.iter().zip(files).for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());
    std::fs::write(dir.join(Manifest::file_name(APPEND)), manifest.format()).unwrap();
    names
}

fn check(path: &Path) -> (bool, String) {
    let out = Command::new("redis-check-aof").arg(path).output().expect("redis-check-aof runs");
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
}

fn assert_loaded(client: &mut Client) {
    for (words, reply) in [
        ("DBSIZE", "6"),
        ("GET a", "2"),
        ("GET m0", "x"),
        ("GET m1", "y"),
        ("LRANGE list 0 -1", "1 2 3"),
        ("STRLEN big", "12288"),
        ("GET #key", "#kring:1"),
        ("SELECT 3", "OK"),
        ("GET b", "5"),
        ("DBSIZE", "1"),
    ] {
        let found = client.run(words);
        let text = match words.starts_with("LRANGE") {
            true => found.array().iter().map(|item| item.text()).collect::<Vec<_>>().join(" "),
            false => found.text(),
        };
        assert_eq!(text, reply, "{words}");
    }
}

#[test]
fn redis_takes_the_logs_files_for_its_own() {
    let dir = Scratch::new();
    let names = put(dir.path(), &log());
    let manifest = dir.path().join("appendonlydir").join(Manifest::file_name(APPEND));
    let (passed, said) = check(&manifest);
    assert!(passed, "{said}");
    for name in &names {
        let (passed, said) = check(&dir.path().join("appendonlydir").join(name));
        assert!(passed, "{name}: {said}");
    }
    let server = log_home::redis(dir.path(), &[]);
    assert_loaded(&mut server.connect());
}

#[test]
fn redis_goes_on_where_kring_stopped_and_the_manifest_reads_both() {
    let dir = Scratch::new();
    put(dir.path(), &log());
    let server = log_home::redis(dir.path(), &[]);
    let mut client = server.connect();
    crate::server::wait_until("Redis has loaded", || !client.run("SET new 1").is_error());
    drop(server);
    // It appended to the last file, behind our filler: a command without a frame.
    let last = dir.path().join("appendonlydir").join(format!("{APPEND}.{FILES}.incr.aof"));
    let mut scan = Scan::new(1u32 << 20);
    scan.push(&std::fs::read(last).unwrap());
    scan.finish();
    while scan.next_frame().is_some() {}
    let Some(Tail::Damaged(tear)) = scan.tail() else { panic!("{:?}", scan.tail()) };
    assert_eq!(tear.why, Why::Appended, "{tear}");
    let server = log_home::redis(dir.path(), &[]);
    let mut client = server.connect();
    crate::server::wait_until("Redis has loaded", || !client.run("BGREWRITEAOF").is_error());
    crate::server::wait_until("the manifest is rewritten", || {
        let info = client.run("INFO persistence").text();
        info.contains("aof_rewrite_in_progress:0") && !info.contains("aof_last_rewrite_time_sec:-1")
    });
    drop(server);
    let text = std::fs::read(dir.path().join("appendonlydir").join(Manifest::file_name(APPEND))).unwrap();
    let mut manifest = Manifest::parse(APPEND, &text).unwrap();
    assert_eq!(manifest.format(), text);
    assert_eq!(manifest.incr()[0].seq, FILES as u64 + 1);
    assert_eq!(manifest.new_base(BaseForm::Rdb), format!("{APPEND}.2.base.rdb"));
}

#[test]
fn the_files_read_back_as_stages_and_as_a_script() {
    let files = log();
    let mut opened = Vec::new();
    let mut frames = Vec::new();
    for file in &files {
        let mut scan = Scan::new(1u32 << 20);
        let mut held = Vec::new();
        for piece in file.chunks(1000) {
            scan.push(piece);
            while let Some(frame) = scan.next_frame() {
                held.push((Held::from(&frame), frame.end));
            }
        }
        scan.finish();
        assert!(scan.next_frame().is_none());
        assert_eq!(scan.tail(), Some(&Tail::Clean));
        opened.push(Opened::Framed(scan.info().unwrap().clone()));
        frames.push(held);
    }
    let expected = [
        Stage::Generation { generation: 1, first: 0, shards: 2 },
        Stage::Alone { generation: 2, file: 2 },
        Stage::Generation { generation: 3, first: 3, shards: 2 },
    ];
    assert_eq!(stages(&opened), Ok(expected.to_vec()));

    let mut logs = [Log::new(0), Log::new(1)];
    for (log, frames) in logs.iter_mut().zip(&frames[3..]) {
        frames.iter().for_each(|(held, end)| log.push_mark(*end, held.part.as_ref()));
    }
    assert!(recover(&logs).iter().all(|cut| cut.dropped_frames == 0));

    let (mut readable, mut script) = (Readable::new(2, 1 << 20), Vec::new());
    let mut merge = Merge::new(0..2);
    let mut queues: Vec<_> = frames.drain(3..).map(Vec::into_iter).collect();
    loop {
        match merge.next_turn() {
            Turn::Feed(file) => merge.feed(file, queues[file].next().map(|(held, _)| held)),
            Turn::Show(file, held) => readable.frame(&mut script, file, file, &held).unwrap(),
            Turn::Done => break,
        }
    }
    // What a client sends who types it in has the same effect.
    let server = Server::redis(&[]);
    let mut client = server.connect();
    let script = String::from_utf8(script).unwrap();
    for line in script.lines().filter(|line| !line.starts_with("# ")) {
        client.send(format!("{line}\r\n").as_bytes()).unwrap();
        assert!(!client.reply().is_error(), "{line}");
    }
    client.ok("SELECT 0");
    assert_loaded(&mut client);
}
