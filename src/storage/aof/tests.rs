//! Directories of all kinds, loaded by shards that only note what they are given.

use super::*;
use crate::persist::aof::{BLOCK, Framer, Manifest, Part, pad};
use crate::persist::rdb::{Batch, Built, write};
use crate::persist::replay::{Piece, Replayed, Trouble};
use crate::store::{Route, ShardSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

mod closed;
mod faults;
mod leftovers;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("kring-aof-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Scratch(path)
    }

    fn place(&self) -> LogPlace {
        LogPlace { dir: self.0.clone(), dirname: "aofdir".into(), filename: "a.aof".into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("aofdir").join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.0.join("aofdir")).expect("a directory");
        std::fs::write(self.path(name), bytes).expect("written");
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let file = std::fs::OpenOptions::new().append(true).open(self.path(name));
        file.expect("it is there").write_all(bytes).expect("written");
    }

    fn text(&self) -> String {
        String::from_utf8(std::fs::read(self.path("a.aof.manifest")).expect("a manifest")).expect("text")
    }

    fn names(&self) -> Vec<String> {
        let mut names = survey::list(&self.0.join("aofdir")).expect("listed");
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What shards were given.
#[derive(Default, Debug, PartialEq, Clone)]
struct Given {
    /// By stream, in the order in which streams began: its shard and its commands.
    streams: Vec<(u32, usize, String)>,
    keys: Vec<String>,
    keeps_past: Vec<bool>,
}

struct Outcome {
    given: Given,
    recovered: Result<Recovered, String>,
    dir: Option<AofDir>,
}

impl Outcome {
    fn commands(&self) -> Vec<&str> {
        self.given.streams.iter().map(|(.., text)| text.as_str()).collect()
    }

    fn error(&self) -> &str {
        self.recovered.as_ref().expect_err("refused")
    }

    fn warnings(&self) -> Vec<&str> {
        let notes = &self.recovered.as_ref().expect("loaded").notes;
        notes.iter().filter(|n| n.warns).map(|n| n.text.as_str()).collect()
    }
}

/// Loads with so many shards; a stream that comes to `FAIL` fails there.
fn load(scratch: &Scratch, shards: usize, load_truncated: bool, snapshot: Option<PathBuf>) -> Outcome {
    let given = Arc::new(Mutex::new(Given::default()));
    let (for_replay, for_batches) = (given.clone(), given.clone());
    let replay = move |shard: usize, piece: Piece| {
        let mut given = for_replay.lock().expect("one thread");
        let text = String::from_utf8_lossy(&piece.bytes).into_owned();
        let at = text.find("FAIL").map(|at| text[..at].rfind('*').expect("a command"));
        let trouble = at.map(|at| Trouble { at, command: "FAIL".into(), error: "ERR it fails".into() });
        match given.streams.iter_mut().find(|(stream, ..)| *stream == piece.stream) {
            Some((.., all)) => all.push_str(&text),
            None => given.streams.push((piece.stream, shard, text)),
        }
        let replayed = Replayed { stream: piece.stream, spare: piece.bytes, trouble };
        piece.back.send(Replayed { spare: Vec::new(), ..replayed }).expect("somebody listens");
    };
    let (back, built) = channel();
    let deliver = move |shard: usize, batch: Batch| {
        let mut given = for_batches.lock().expect("one thread");
        let keys: Vec<String> = batch.iter().map(|e| String::from_utf8_lossy(&e.key).into_owned()).collect();
        let n = keys.len() as u64;
        given.keys.extend(keys);
        given.keeps_past.push(batch.keeps_past);
        let built = Built { shard, batch: Batch::default(), keys: n, expired: 0, empty: 0, trouble: None };
        back.send(built).expect("somebody listens");
    };
    let (answer, answered) = channel();
    let mut dir = None;
    super::load(
        LoadLog {
            place: scratch.place(),
            snapshot,
            check: true,
            route: Route::new(shards),
            databases: 16,
            load_truncated,
            keeps_history: false,
            goes_on: true,
            deliver: Box::new(deliver),
            built,
            replay: Box::new(replay),
            owner: Box::new(|_| None),
            used_mem: Box::new(|_| {}),
            progress: Box::new(|done, total| assert!(done <= total, "{done} of {total}")),
            answer: Box::new(move |result| answer.send(result).expect("the test waits")),
        },
        &mut dir,
    );
    let recovered = answered.recv().expect("answered");
    let given = given.lock().expect("one thread").clone();
    // Most tests go on as if the process had been killed.
    dir.iter().for_each(AofDir::let_go);
    Outcome { given, recovered, dir }
}

/// The generation that a log goes on with.
fn goes_on(recovered: &Recovered) -> &Generation {
    recovered.generation.as_ref().expect("it goes on")
}

fn command(words: &[&str]) -> String {
    let mut out = Vec::new();
    commands::command(&mut out, words.iter().map(|w| w.as_bytes()));
    String::from_utf8(out).expect("text")
}

fn set(key: &str) -> String {
    command(&["SET", key, "x"])
}

/// A snapshot with these keys.
fn snapshot(keys: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    write::header(&mut out, 10);
    write::select(&mut out, 0);
    for key in keys {
        let value = crate::ds::View::Bytes(b"value");
        write::entry(&mut out, key.as_bytes(), value, Default::default(), (10, false)).expect("it fits");
    }
    let mut all = Vec::new();
    let mut assembly = crate::persist::rdb::Assembly::new(true, false);
    all.extend(assembly.raw(out));
    all.extend(assembly.end());
    all
}

#[test]
fn nothing_at_all_is_an_empty_log() {
    let scratch = Scratch::new("empty");
    let first = load(&scratch, 3, false, None);
    let recovered = first.recovered.expect("loaded");
    assert_eq!(
        (first.given, goes_on(&recovered).number, goes_on(&recovered).files.len()),
        (Given::default(), 1, 3)
    );
    for (shard, file) in goes_on(&recovered).files.iter().enumerate() {
        assert_eq!((file.len, file.framer.sequence()), (BLOCK as u64, 1));
        assert_eq!(usize::from(file.framer.info().shard), shard);
    }
    assert_eq!(
        scratch.text(),
        "file a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\nfile a.aof.3.incr.aof seq 3 type i\n"
    );
    // At every start a new generation begins, whatever the number of shards.
    let second = load(&scratch, 1, false, None).recovered.expect("loaded");
    assert_eq!((goes_on(&second).number, scratch.names().len()), (2, 5));
    assert_eq!(goes_on(&load(&scratch, 2, false, None).recovered.expect("loaded")).number, 3);
}

#[test]
fn files_of_redis_are_read_in_order() {
    let scratch = Scratch::new("redis");
    scratch.put(
        "a.aof.manifest",
        b"file a.aof.2.base.rdb seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\n\
          file a.aof.2.incr.aof seq 2 type i\nfile a.aof.3.incr.aof seq 3 type i\n",
    );
    scratch.put("a.aof.2.base.rdb", &snapshot(&["k1", "k2"]));
    scratch.put("a.aof.1.incr.aof", b"history");
    let (one, two) = (set("one").repeat(20_000), set("two"));
    scratch.put("a.aof.2.incr.aof", format!("#TS:17\r\n{one}").as_bytes());
    scratch.put("a.aof.3.incr.aof", two.as_bytes());
    let outcome = load(&scratch, 2, false, None);
    assert_eq!(outcome.commands(), [&one, &two]);
    assert_eq!((outcome.given.keys.len(), outcome.given.keeps_past.iter().all(|keeps| *keeps)), (2, true));
    let recovered = outcome.recovered.expect("loaded");
    assert_eq!((recovered.loaded.keys, recovered.base_bytes > 0), (2, true));
    assert!(!scratch.names().contains(&"a.aof.1.incr.aof".into()), "history goes");
    assert!(
        scratch
            .text()
            .starts_with("file a.aof.2.base.rdb seq 2 type b\nfile a.aof.2.incr.aof seq 2 type i\n")
    );
}

#[test]
fn one_file_of_an_older_release_becomes_the_base() {
    let scratch = Scratch::new("upgrade");
    let text = set("old");
    for rdb_first in [false, true] {
        for half in [false, true] {
            let _ = std::fs::remove_dir_all(scratch.0.join("aofdir"));
            let head = if rdb_first { snapshot(&["k"]) } else { Vec::new() };
            std::fs::write(scratch.0.join("a.aof"), [&head, text.as_bytes()].concat()).expect("written");
            if half {
                // The process died between the manifest and the move.
                scratch.put("a.aof.manifest", b"file a.aof seq 1 type b\n");
            }
            let outcome = load(&scratch, 2, true, None);
            assert_eq!(outcome.commands(), [&text]);
            assert_eq!(outcome.given.keys.len(), rdb_first as usize);
            assert!(scratch.text().starts_with("file a.aof seq 1 type b\nfile a.aof.1.incr.aof"));
            assert!(!scratch.0.join("a.aof").exists() && scratch.path("a.aof").exists());
            assert_eq!(load(&scratch, 3, true, None).commands()[0], text);
        }
    }
}

#[test]
fn a_log_starts_from_the_snapshot_that_is_there() {
    let scratch = Scratch::new("adopt");
    let path = scratch.0.join("dump.rdb");
    // What follows its end is no part of it, and must not become commands.
    std::fs::write(&path, [snapshot(&["a", "b"]), b"more".to_vec()].concat()).expect("written");
    let outcome = load(&scratch, 2, true, Some(path.clone()));
    // Keys past their time too, as whenever this base is read.
    assert_eq!((outcome.given.keys.len(), outcome.given.keeps_past[0]), (2, true));
    let base = std::fs::read(scratch.path("a.aof.1.base.rdb")).expect("there");
    assert_eq!(base, snapshot(&["a", "b"]));
    assert!(!scratch.path("temp-a.aof.base").exists());
    assert!(scratch.text().starts_with("file a.aof.1.base.rdb seq 1 type b\n"), "{}", scratch.text());
    std::fs::remove_file(&path).expect("it stays where it was");
    let again = load(&scratch, 1, true, None);
    assert_eq!((again.given.keys.len(), again.given.keeps_past[0]), (2, true));
    // A log that is there counts, not the snapshot.
    std::fs::write(&path, snapshot(&["c", "d", "e"])).expect("written");
    assert_eq!(load(&scratch, 1, true, Some(path)).given.keys.len(), 2);
}

#[test]
fn a_cut_off_file_of_redis_is_cut_where_it_is_whole() {
    let scratch = Scratch::new("plain");
    let multi = [command(&["MULTI"]), set("a"), set("b"), command(&["EXEC"])];
    let parts = [set("first"), multi.concat(), set("last")];
    let text = parts.concat();
    let ends = [parts[0].len(), parts[0].len() + parts[1].len(), text.len()];
    for cut in 0..=text.len() {
        let _ = std::fs::remove_dir_all(scratch.0.join("aofdir"));
        scratch.put("a.aof.manifest", b"file a.aof.1.incr.aof seq 1 type i\n");
        scratch.put("a.aof.1.incr.aof", &text.as_bytes()[..cut]);
        let whole = ends.iter().copied().filter(|end| *end <= cut).max().unwrap_or(0);
        if whole != cut {
            let refused = load(&scratch, 1, false, None);
            assert!(refused.error().contains("aof-load-truncated is no"), "{}", refused.error());
            assert_eq!(scratch.path("a.aof.1.incr.aof").metadata().expect("there").len(), cut as u64);
        }
        let outcome = load(&scratch, 1, true, None);
        assert_eq!(outcome.commands().concat(), text[..whole], "cut at {cut}: {:?}", outcome.recovered);
        assert_eq!(outcome.warnings().len(), (whole != cut) as usize, "cut at {cut}");
        assert_eq!(scratch.path("a.aof.1.incr.aof").metadata().expect("there").len(), whole as u64);
    }
}

/// A frame of a test: where it ends in its file, its commands, the transaction it is a part of.
struct Written {
    end: usize,
    text: String,
    part: Option<u64>,
}

/// Three files of a generation with transactions between their shards.
fn written(scratch: &Scratch, number: u64) -> (Vec<String>, Vec<Vec<u8>>, Vec<Vec<Written>>) {
    let mut manifest = Manifest::new("a.aof");
    let names = manifest.begin_generation(3);
    scratch.put("a.aof.manifest", &manifest.format());
    let mut framers: Vec<Framer> = (0..3).map(|s| Framer::new(7, s, number, 3)).collect();
    let (mut files, mut frames) = (vec![Vec::new(); 3], vec![]);
    frames.resize_with(3, Vec::new);
    for s in 0..3 {
        framers[s].begin_file(&mut files[s]);
        pad(&mut files[s]);
    }
    let all: [&[usize]; 9] = [&[0], &[1, 2], &[2], &[0, 1], &[1], &[0, 2], &[0, 1, 2], &[2], &[1]];
    for (id, shards) in all.into_iter().enumerate() {
        let mut participants = ShardSet::EMPTY;
        shards.iter().for_each(|s| participants.insert(*s));
        let part = (shards.len() > 1).then_some(Part { id: id as u64, participants });
        for &s in shards {
            let text = set(&format!("{id}:{s}"));
            framers[s].frame(&mut files[s], text.as_bytes(), part.as_ref());
            frames[s].push(Written { end: files[s].len(), text, part: part.map(|p| p.id) });
            if id % 2 == 0 {
                pad(&mut files[s]);
            }
        }
    }
    (names, files, frames)
}

#[test]
fn torn_files_are_cut_together() {
    let scratch = Scratch::new("torn");
    for file in 0..3 {
        let (_, files, frames) = written(&scratch, 4);
        let ends = frames[file].iter().flat_map(|f| [f.end - 40, f.end - 1, f.end, f.end + 5]);
        for cut in ends.chain([files[file].len()]).filter(|cut| *cut <= files[file].len()) {
            for junk in [&b""[..], b"#kring:1 l=00", &[7; 300]] {
                let _ = std::fs::remove_dir_all(scratch.0.join("aofdir"));
                let (names, files, frames) = written(&scratch, 4);
                for (i, name) in names.iter().enumerate() {
                    let bytes = if i == file { [&files[i][..cut], junk].concat() } else { files[i].clone() };
                    scratch.put(name, &bytes);
                }
                // What is left, to a fixpoint.
                let mut kept: Vec<usize> = frames.iter().map(Vec::len).collect();
                kept[file] = frames[file].iter().filter(|f| f.end <= cut).count();
                loop {
                    let there = |s: usize, id| frames[s][..kept[s]].iter().any(|f| f.part == Some(id));
                    let wanted = |s: usize, id| frames[s].iter().any(|f| f.part == Some(id));
                    let broken = (0..3).find_map(|s| {
                        let lost = |f: &Written| {
                            f.part.is_some_and(|id| (0..3).any(|o| wanted(o, id) && !there(o, id)))
                        };
                        frames[s][..kept[s]].iter().position(lost).map(|at| (s, at))
                    });
                    let Some((s, at)) = broken else { break };
                    kept[s] = at;
                }
                let outcome = load(&scratch, 2, true, None);
                assert!(outcome.recovered.is_ok(), "file {file} at {cut}: {:?}", outcome.recovered);
                let line =
                    |s: usize| -> String { frames[s][..kept[s]].iter().map(|f| f.text.as_str()).collect() };
                for s in 0..3 {
                    let got = &outcome.given.streams[s];
                    let commands = &got.2[got.2.find("*3").unwrap_or(got.2.len())..];
                    assert_eq!(
                        (got.1, commands),
                        (s % 2, line(s).as_str()),
                        "file {file} cut at {cut}, shard {s}"
                    );
                }
                // Whoever comes next finds them whole.
                let again = load(&scratch, 3, false, None);
                assert!(again.recovered.is_ok() && again.warnings().is_empty(), "{:?}", again.recovered);
                assert_eq!(again.given.streams.len(), 3 + 2);
            }
        }
    }
}

/// A file that ends with a whole frame looks like one that ended there. Where others were written later, nothing is cut: it is refused.
#[test]
fn half_a_transaction_before_later_files_is_refused() {
    let scratch = Scratch::new("halves");
    for file in 0..3 {
        let (names, files, frames) = written(&scratch, 4);
        let text = scratch.text() + "file a.aof.9.incr.aof seq 9 type i\n";
        scratch.put("a.aof.manifest", text.as_bytes());
        scratch.put("a.aof.9.incr.aof", &alone_file(5, 6));
        names.iter().zip(&files).for_each(|(name, bytes)| scratch.put(name, bytes));
        assert!(load(&scratch, 2, true, None).recovered.is_ok());
        for frame in frames[file].windows(2).filter(|f| f[1].part.is_some()) {
            scratch.put(&names[file], &files[file][..frame[0].end]);
            for shards in 1..4 {
                let outcome = load(&scratch, shards, true, None);
                let error = outcome.error();
                assert!(error.contains("parts are missing") && !error.contains('\n'), "{error}");
            }
        }
        let _ = std::fs::remove_dir_all(scratch.0.join("aofdir"));
    }
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    type Damage = (&'static str, fn(&Scratch, &[String]), &'static str);
    let damage: [Damage; 12] = [
        ("missing file", |s, n| std::fs::remove_file(s.path(&n[1])).expect("there"), "the file is missing"),
        (
            "no manifest",
            |s, _| std::fs::remove_file(s.path("a.aof.manifest")).expect("there"),
            "lies beside it",
        ),
        ("bad manifest", |s, _| s.put("a.aof.manifest", b"file x\n"), "line 1"),
        ("empty manifest", |s, _| s.put("a.aof.manifest", b""), "is empty"),
        ("another log's file", |s, n| s.put(&n[1], &alone_file(99, 9)), "not of it"),
        (
            "files exchanged",
            |s, n| {
                let bytes = std::fs::read(s.path(&n[0])).expect("there");
                s.put(&n[1], &bytes);
            },
            "not of it",
        ),
        ("a file emptied", |s, n| s.put(&n[2], b""), "what it held is gone"),
        ("a first frame damaged", |s, n| flip(s, &n[0], 20), "first frame"),
        (
            "damage in the middle",
            |s, n| {
                let len = s.path(&n[2]).metadata().expect("there").len();
                flip(s, &n[2], len as usize / 2);
            },
            "damaged",
        ),
        ("a later version", |s, n| s.put(&n[0], b"#kring:9 "), "later version"),
        (
            "a directory",
            |s, n| {
                std::fs::remove_file(s.path(&n[0])).expect("there");
                std::fs::create_dir(s.path(&n[0])).expect("made");
            },
            "is no file",
        ),
        (
            "an older generation",
            |s, n| {
                let text = s.text() + "file a.aof.9.incr.aof seq 9 type i\n";
                s.put("a.aof.manifest", text.as_bytes());
                s.put("a.aof.9.incr.aof", &alone_file(5, 4));
                let _ = n;
            },
            "not a later one",
        ),
    ];
    for (what, harm, line) in damage {
        let scratch = Scratch::new("refused");
        let (names, files, _) = written(&scratch, 4);
        names.iter().zip(&files).for_each(|(name, bytes)| scratch.put(name, bytes));
        // Frames further on know that these were on the disk.
        durable(&scratch, &names[2], &files[2]);
        let before = scratch.names();
        harm(&scratch, &names);
        let after = scratch.names();
        let outcome = load(&scratch, 3, true, None);
        let error = outcome.error();
        assert!(error.contains(line) && !error.contains('\n'), "{what}: {error}");
        assert!(error.contains("a.aof"), "{what}: {error}");
        assert_eq!(scratch.names(), after, "{what}: nothing is touched ({before:?})");
    }
}

fn alone_file(log_id: u64, number: u64) -> Vec<u8> {
    let mut framer = Framer::alone(log_id, number);
    let mut out = Vec::new();
    framer.begin_file(&mut out);
    framer.frame(&mut out, command(&["FLUSHALL"]).as_bytes(), None);
    out
}

fn flip(scratch: &Scratch, name: &str, at: usize) {
    let mut bytes = std::fs::read(scratch.path(name)).expect("there");
    bytes[at] ^= 4;
    scratch.put(name, &bytes);
}

/// Rewrites a file so that its last frame knows the others to be durable.
fn durable(scratch: &Scratch, name: &str, bytes: &[u8]) {
    let mut scan = crate::persist::aof::Scan::new(u32::MAX);
    scan.push(bytes);
    scan.finish();
    let mut framer: Option<Framer> = None;
    let mut out = Vec::new();
    let mut frames = Vec::new();
    while let Some(frame) = scan.next_frame() {
        frames.push((frame.payload.to_vec(), frame.part));
    }
    let info = scan.info().expect("it has one").clone();
    let framer =
        framer.insert(Framer::new(info.log_id, info.shard.into(), info.generation, info.shards.into()));
    framer.begin_file(&mut out);
    for (payload, part) in &frames[1..] {
        framer.set_durable(framer.sequence());
        framer.frame(&mut out, payload, part.as_ref());
    }
    scratch.put(name, &out);
}

#[test]
fn a_command_that_fails_ends_it() {
    let scratch = Scratch::new("trouble");
    let before = set("a").repeat(30_000);
    scratch.put("a.aof.manifest", b"file a.aof.1.incr.aof seq 1 type i\n");
    scratch.put("a.aof.1.incr.aof", format!("#TS:1\r\n{before}{}{before}", command(&["FAIL"])).as_bytes());
    let outcome = load(&scratch, 2, true, None);
    let at = before.len() + 7;
    let line = format!("the command 'FAIL' at byte {at} cannot be run: ERR it fails");
    assert!(outcome.error().ends_with(&line), "{}", outcome.error());
    assert_eq!(scratch.names(), ["a.aof.1.incr.aof", "a.aof.manifest"]);
}

#[test]
fn generations_and_bases_follow_each_other() {
    let scratch = Scratch::new("turns");
    let mut dir = load(&scratch, 2, true, None).dir.expect("it goes on");
    scratch.append("a.aof.1.incr.aof", b"#\n\n\n");
    let turn = |dir: &mut AofDir, ends: &[Option<u64>], whole: Option<&str>, after| {
        let ends = dir.ends(ends);
        dir.turn(Turn { ends, whole: whole.map(|text| Arc::from(text.as_bytes())), after })
    };
    // A turn with an operation on the whole keyspace in it.
    let flush = command(&["FLUSHALL"]);
    let next =
        turn(&mut dir, &[Some(4_096), None], Some(&flush), After::Named).expect("made").expect("files");
    assert_eq!((next.number, next.files[0].name.as_str()), (3, "a.aof.4.incr.aof"));
    assert_eq!(scratch.path("a.aof.1.incr.aof").metadata().expect("there").len(), 4_096, "filler is cut off");
    let names = |n: &[u64]| -> String {
        n.iter().map(|n| format!("file a.aof.{n}.incr.aof seq {n} type i\n")).collect()
    };
    assert_eq!(scratch.text(), names(&[1, 2, 3, 4, 5]));
    // A rewrite: its base takes the place of all before its turn.
    let next = turn(&mut dir, &[Some(4_096); 2], None, After::Named).expect("made").expect("files");
    std::fs::write(scratch.path("temp-a.aof.base"), snapshot(&["k"])).expect("written");
    let base = |from, as_commands| NewBase {
        path: scratch.path("temp-a.aof.base"),
        as_commands,
        from,
        keeps_history: false,
    };
    dir.new_base(base(Some(next.number), false)).expect("in its place");
    assert_eq!(scratch.text(), format!("file a.aof.1.base.rdb seq 1 type b\n{}", names(&[6, 7])));
    assert_eq!(scratch.names().len(), 4);
    // Files that wait for their base are not named before it.
    let text = scratch.text();
    let unnamed = turn(&mut dir, &[Some(4_096), None], None, After::Unnamed).expect("made").expect("files");
    turn(&mut dir, &[Some(4_096); 2], Some(&flush), After::Named).expect("made");
    assert_eq!(scratch.text(), text);
    std::fs::write(scratch.path("temp-a.aof.base"), snapshot(&["k", "l"])).expect("written");
    dir.new_base(base(Some(unnamed.number), true)).expect("in its place");
    assert_eq!(scratch.text(), format!("file a.aof.2.base.aof seq 2 type b\n{}", names(&[8, 9, 10, 11, 12])));
    assert_eq!(scratch.names().len(), 7, "{:?}", scratch.names());
    // A manifest that cannot be written leaves all as it was, and another attempt succeeds.
    let again = turn(&mut dir, &[Some(4_096); 2], None, After::Unnamed).expect("made").expect("files");
    std::fs::write(scratch.path("temp-a.aof.base"), snapshot(&["k", "l"])).expect("written");
    std::fs::create_dir(scratch.path("temp-a.aof.manifest")).expect("made");
    let text = scratch.text();
    assert!(dir.new_base(base(Some(again.number), true)).is_err());
    assert_eq!(scratch.text(), text);
    std::fs::remove_dir(scratch.path("temp-a.aof.manifest")).expect("there");
    std::fs::write(scratch.path("temp-a.aof.base"), snapshot(&["k", "l"])).expect("written");
    dir.new_base(base(Some(again.number), true)).expect("in its place");
    assert_eq!(scratch.text(), format!("file a.aof.3.base.aof seq 3 type b\n{}", names(&[13, 14])));
    let end = turn(&mut dir, &[Some(4_096); 2], None, After::Nothing).expect("ended");
    assert!(end.is_none());
    let outcome = load(&scratch, 1, false, None);
    assert!(outcome.commands()[0].contains("SET\r\n$1\r\nl"), "{:?}", outcome.commands());
    assert_eq!(goes_on(&outcome.recovered.expect("loaded")).number, again.number + 1);
    assert_eq!(
        dir.new_base(base(Some(77), false)),
        Err("the base belongs to no generation of this log".into())
    );
}

#[test]
fn what_cannot_be_made_changes_nothing() {
    let scratch = Scratch::new("fails");
    let mut dir = load(&scratch, 2, true, None).dir.expect("it goes on");
    let (text, names) = (scratch.text(), scratch.names());
    let turn = || Turn { ends: vec![None; 2], whole: None, after: After::Named };
    // The second file's name is taken by a directory.
    std::fs::create_dir(scratch.path("a.aof.4.incr.aof")).expect("made");
    assert!(dir.turn(turn()).is_err_and(|e| e.contains("a.aof.4.incr.aof")));
    std::fs::remove_dir(scratch.path("a.aof.4.incr.aof")).expect("there");
    assert_eq!((scratch.text(), scratch.names()), (text.clone(), names.clone()));
    // The manifest cannot be replaced.
    std::fs::create_dir(scratch.path("temp-a.aof.manifest")).expect("made");
    assert!(dir.turn(turn()).is_err());
    let missing =
        NewBase { path: scratch.path("none"), as_commands: false, from: Some(1), keeps_history: false };
    assert!(dir.new_base(missing.clone()).is_err());
    std::fs::remove_dir(scratch.path("temp-a.aof.manifest")).expect("there");
    assert_eq!((scratch.text(), scratch.names()), (text, names));
    // Then it can.
    assert_eq!(dir.turn(turn()).expect("made").expect("files").number, 2);
    assert!(dir.new_base(missing).is_err());
    // A file in the place of the directory.
    let other = Scratch::new("fails-2");
    std::fs::write(other.0.join("aofdir"), b"x").expect("written");
    assert!(load(&other, 1, true, None).recovered.is_err());
}

#[test]
fn what_redis_appends_behind_frames_is_read() {
    let scratch = Scratch::new("appended");
    drop(load(&scratch, 2, true, None));
    let added = command(&["SELECT", "3"]) + &set("more");
    scratch.append("a.aof.2.incr.aof", added.as_bytes());
    // Twice: as part of the last generation, and of one before it.
    for generations in [2, 4] {
        let outcome = load(&scratch, 2, true, None);
        assert!(outcome.recovered.is_ok(), "{:?}", outcome.recovered);
        assert_eq!(outcome.commands()[2], added);
        assert_eq!(outcome.commands().len(), generations + 1);
        assert_eq!(check(&scratch.0.join("aofdir"), true, &mut Heard::default()), Verdict::Whole);
    }
    // In the last file it may be cut off, in the others it is damage.
    let other = Scratch::new("appended-2");
    drop(load(&other, 2, true, None));
    other.append("a.aof.2.incr.aof", &added.as_bytes()[..added.len() - 4]);
    let outcome = load(&other, 2, true, None);
    // That a database was selected is nobody's business when nothing follows.
    assert_eq!((outcome.commands().len(), outcome.warnings().len()), (2, 1));
    other.append("a.aof.3.incr.aof", added.as_bytes());
    assert!(load(&other, 2, true, None).error().contains("without frames"));
}

#[derive(Default)]
struct Heard(Vec<String>, Vec<String>);

impl Listener for Heard {
    fn good(&mut self, line: &str) {
        self.0.push(line.into());
    }
    fn bad(&mut self, line: &str) {
        self.1.push(line.into());
    }
    fn progress(&mut self, _done: u64, _total: u64) {}
}

#[test]
fn a_log_is_checked_and_mended_from_outside() {
    let scratch = Scratch::new("check");
    let (names, files, frames) = written(&scratch, 4);
    names.iter().zip(&files).for_each(|(name, bytes)| scratch.put(name, bytes));
    let dir = scratch.0.join("aofdir");
    let checked = |path: &Path, fix| {
        let mut heard = Heard::default();
        (check(path, fix, &mut heard), heard)
    };
    assert_eq!(checked(&dir, false).0, Verdict::Whole);
    assert_eq!(checked(&scratch.path("a.aof.manifest"), true).0, Verdict::Whole);
    let len = frames[1].last().expect("some").end - 10;
    scratch.put(&names[1], &files[1][..len]);
    let (verdict, heard) = checked(&dir, false);
    assert_eq!((verdict, heard.1.len()), (Verdict::Damaged, 1), "{:?}", heard.1);
    assert_eq!(scratch.path(&names[1]).metadata().expect("there").len(), len as u64, "only --fix cuts");
    assert_eq!(checked(&dir, true).0, Verdict::Whole);
    assert_eq!(checked(&dir, false).0, Verdict::Whole);
    durable(&scratch, &names[0], &files[0]);
    let middle = scratch.path(&names[0]).metadata().expect("there").len() as usize / 2;
    flip(&scratch, &names[0], middle);
    for fix in [false, true] {
        let (verdict, heard) = checked(&dir, fix);
        assert_eq!((verdict, heard.1.len()), (Verdict::Damaged, 1), "{:?}", heard.1);
    }
    assert_eq!(checked(&scratch.0.join("none"), false).0, Verdict::Unreadable);
    assert_eq!(checked(&scratch.0, false).0, Verdict::Unreadable);
}

#[test]
fn commands_are_shown_in_two_forms() {
    let scratch = Scratch::new("show");
    let plain = [command(&["SELECT", "3"]), set("p")].concat();
    scratch.put("a.aof.manifest", b"file a.aof.1.base.rdb seq 1 type b\nfile a.aof.1.incr.aof seq 1 type i\nfile a.aof.2.incr.aof seq 2 type i\n");
    scratch.put("a.aof.1.base.rdb", &snapshot(&["k"]));
    scratch.put("a.aof.1.incr.aof", plain.as_bytes());
    scratch.put("a.aof.2.incr.aof", &alone_file(1, 1));
    let shown = |form| {
        let mut out = Vec::new();
        let verdict =
            show(&scratch.0.join("aofdir"), form, &mut |b| out.extend_from_slice(b), &mut Heard::default());
        assert_eq!(verdict, Verdict::Whole);
        String::from_utf8(out).expect("text")
    };
    let expected = [
        command(&["SET", "k", "value"]),
        command(&["SELECT", "3"]),
        set("p"),
        command(&["SELECT", "0"]),
        command(&["FLUSHALL"]),
    ];
    assert_eq!(shown(Form::Resp), expected.concat());
    let text = shown(Form::Text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["SELECT 0", "SET k value", "SELECT 3", "SET p x", "SELECT 0", "FLUSHALL"]);
}

/// What is not all of a log does not pass for it.
#[test]
fn a_log_that_is_not_whole_is_shown_up_to_there() {
    for form in [Form::Resp, Form::Text] {
        let scratch = Scratch::new("shown");
        let shown = || {
            let (mut out, mut heard) = (Vec::new(), Heard::default());
            let verdict =
                show(&scratch.0.join("aofdir"), form, &mut |b| out.extend_from_slice(b), &mut heard);
            (verdict, heard.1.join("; "), String::from_utf8(out).expect("text").matches("SET").count())
        };
        let (names, files, frames) = written(&scratch, 4);
        let text = scratch.text() + "file a.aof.9.incr.aof seq 9 type i\n";
        scratch.put("a.aof.manifest", text.as_bytes());
        let all: usize = frames.iter().map(Vec::len).sum();
        for (name, bytes) in names.iter().zip(&files) {
            scratch.put(name, bytes);
        }
        for (end, what) in [("*1\r\n$4\r\nPI", "within a command"), ("hello\r\n", "begins with '*'")] {
            scratch.put("a.aof.9.incr.aof", [&set("p"), end].concat().as_bytes());
            let (verdict, heard, sets) = shown();
            assert_eq!((verdict, sets), (Verdict::Damaged, all + 1), "{heard}");
            assert!(heard.contains(what) && heard.contains("a.aof.9.incr.aof"), "{heard}");
        }
        // The files beside one are shown, those behind it not.
        let last = frames[0].last().expect("some").end;
        scratch.put(&names[0], &files[0][..last - 10]);
        let (verdict, heard, sets) = shown();
        assert_eq!((verdict, sets), (Verdict::Damaged, all - 1), "{heard}");
        assert!(heard.contains(&names[0]), "{heard}");
    }
}
