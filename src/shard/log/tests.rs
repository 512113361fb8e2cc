//! The owner's end of the log on a disk that completes nothing by itself.

use super::super::NewBase;
use super::super::{Control, LoadRequest, LogTurn, Peer, SaveRequest, Shared};
use super::*;
use crate::base::time::Now;
use crate::cmd::save::LogState;
use crate::cmd::{ServerInfo, ShutdownMode};
use crate::config::{Config, SavePoints};
use crate::persist::aof::{Scan, Tail};
use crate::ring::net::{Chunk, ConnId, Net};
use crate::store::Garbage;
use std::cell::Cell;
use std::sync::Mutex;

const NOW: Now = Now { wall_us: 1_700_000_000_000_000, mono_us: 1 };
const CONN: ConnId = ConnId(1 << 32);
const FILE: FileId = FileId(0);

mod whole;

/// What the control plane was asked for.
#[derive(Default)]
struct Asked {
    turns: Vec<LogTurn>,
    saves: Vec<SaveRequest>,
    bases: Vec<NewBase>,
    stops: usize,
}

#[derive(Default)]
struct Desk(Arc<Mutex<Asked>>);

impl Control for Desk {
    fn free(&self, _: Vec<Garbage>) {}
    fn write_config(&self, _: usize, _: u64, _: Arc<Config>) {}
    fn purge(&self, _whole: bool) {}
    fn shutdown(&self, _: ShutdownMode) {
        self.0.lock().expect("no test panics here").stops += 1;
    }
    fn save(&self, save: SaveRequest) {
        self.0.lock().expect("no test panics here").saves.push(save);
    }
    fn load(&self, _: LoadRequest) {}
    fn note(&self, _: String, _: bool) {}
    fn turn_log(&self, turn: LogTurn) {
        self.0.lock().expect("no test panics here").turns.push(turn);
    }
    fn new_base(&self, base: NewBase) {
        self.0.lock().expect("no test panics here").bases.push(base);
    }
}

/// A world with a disk that completes nothing by itself.
#[derive(Default)]
struct Disk {
    writes: Vec<FileWrite>,
    syncs: usize,
    image: Vec<u8>,
    sent: Vec<u8>,
    chunks: Vec<(ConnId, Chunk)>,
    closed: Vec<ConnId>,
    /// System calls in the middle of a turn.
    starts: usize,
    ticks_ns: Cell<u64>,
}

impl Net for Disk {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.sent.extend_from_slice(&chunk.bytes());
        self.chunks.push((conn, chunk));
    }
    fn start_now(&mut self) {
        self.starts += 1;
    }
    fn pause_recv(&mut self, _: ConnId) {}
    fn resume_recv(&mut self, _: ConnId) {}
    fn close(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }
    fn wake(&mut self, _: usize) {}
    fn write_file(&mut self, write: FileWrite) {
        self.writes.push(write);
    }
    fn sync_file(&mut self, _: FileId) {
        self.syncs += 1;
    }
    fn close_file(&mut self, _: FileId) {}
}

impl World for Disk {
    fn ticks_ns(&self) -> u64 {
        self.ticks_ns.set(self.ticks_ns.get() + 1_000);
        self.ticks_ns.get()
    }
    fn sleep_us(&mut self, _: u64) {}
}

struct Lab {
    core: Core,
    disk: Disk,
    asked: Arc<Mutex<Asked>>,
    now: Now,
}

impl Lab {
    fn new(fsync: &'static str) -> Lab {
        // Without save points: FLUSHALL would wait for a snapshot.
        Lab::of(Config {
            appendonly: true,
            appendfsync: fsync,
            save: SavePoints(Vec::new()),
            ..Config::default()
        })
    }

    fn of(config: Config) -> Lab {
        let asked = Arc::default();
        let info = ServerInfo { shards: 1, clients: 10_000, ..ServerInfo::default() };
        let shared = Arc::new(Shared::new(info, 16, 7, Box::new(Desk(Arc::clone(&asked)))));
        let on = config.appendonly;
        let mut core = Core::new(0, shared.clone(), Arc::new(config), NOW);
        core.open(CONN, Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true });
        let mut lab = Lab { core, disk: Disk::default(), asked, now: NOW };
        if on {
            let mut store = shared.cells[0].take().expect("it is at home");
            store.log.switch(true);
            let _ = shared.cells[0].put(store);
            shared.saves.log.set_state(LogState::On);
            lab.open_file(1);
        }
        lab
    }

    fn open_file(&mut self, generation: u64) {
        let mut framer = Framer::new(9, 0, generation, 1);
        let mut image = Vec::new();
        framer.begin_file(&mut image);
        pad(&mut image);
        let len = image.len() as u64;
        self.disk.image = image;
        let start = LogStart { file: FILE, framer: Box::new(framer), len, direct: false };
        self.core.log_opened(&mut self.disk, start);
    }

    fn turn(&mut self, requests: &str) {
        self.core.begin_turn(self.now);
        if !requests.is_empty() {
            let text: String = requests.split(';').map(|line| format!("{}\r\n", line.trim())).collect();
            self.core.data(&mut self.disk, CONN, text.as_bytes());
        }
        self.core.work(&mut self.disk);
        self.core.flush(&mut self.disk);
        for (conn, chunk) in std::mem::take(&mut self.disk.chunks) {
            self.core.sent(&mut self.disk, conn, chunk, Ok(()));
        }
        self.core.flush(&mut self.disk);
    }

    /// The `n`th write under way ends.
    fn end_write(&mut self, n: usize, result: Result<(), i32>) {
        let write = self.disk.writes.remove(n);
        if result.is_ok() {
            let end = write.at as usize + write.pages.len();
            self.disk.image.resize(self.disk.image.len().max(end), 0);
            let bytes: Vec<u8> = write.pages.iter().flatten().copied().collect();
            self.disk.image[write.at as usize..end].copy_from_slice(&bytes);
        }
        self.core.written(&mut self.disk, write, result);
    }

    fn replies(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.disk.sent)).into_owned()
    }

    /// The commands that the file holds.
    fn logged(&self) -> String {
        let mut scan = Scan::new(1u64 << 20);
        scan.push(&self.disk.image);
        scan.finish();
        let mut all = Vec::new();
        while let Some(frame) = scan.next_frame() {
            all.extend_from_slice(frame.payload);
        }
        assert!(matches!(scan.tail(), Some(Tail::Clean)), "{:?}", scan.tail());
        let text = String::from_utf8_lossy(&all).into_owned();
        let words = text.split("\r\n").filter(|w| !w.starts_with(['*', '$', '#']) && !w.is_empty());
        words.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn who_waits_for_a_store_makes_no_system_call_for_replies_that_are_held_back() {
    for (fsync, starts) in [("always", 0), ("everysec", 1)] {
        let mut lab = Lab::new(fsync);
        lab.core.begin_turn(NOW);
        lab.core.data(&mut lab.disk, CONN, b"SET a 1\r\n");
        lab.core.flush_meanwhile(&mut lab.disk, ConnId(CONN.0 + 1));
        assert_eq!((lab.disk.starts, lab.disk.chunks.len()), (starts, starts), "{fsync}");
    }
}

#[test]
fn always_replies_when_the_write_and_all_before_it_are_on_the_disk() {
    let mut lab = Lab::new("always");
    lab.turn("SET a 1");
    lab.turn("SET b 2");
    assert_eq!((lab.disk.writes.len(), lab.replies()), (2, String::new()));
    assert!(lab.disk.writes.iter().all(|write| write.durable));
    lab.end_write(1, Ok(()));
    lab.turn("");
    assert_eq!(lab.replies(), "", "the first may still be lost, and then the second is");
    lab.turn("GET a");
    lab.end_write(0, Ok(()));
    lab.turn("");
    lab.turn("");
    assert_eq!(lab.replies(), "+OK\r\n+OK\r\n$1\r\n1\r\n");
    lab.turn("GET b; PING");
    assert_eq!(lab.replies(), "$1\r\n2\r\n+PONG\r\n", "nothing is under way");
    assert_eq!(lab.logged(), "SELECT 0 SET a 1 SET b 2");
}

/// `always`, by writes and syncs.
fn by_syncs() -> Lab {
    Lab::of(Config {
        appendonly: true,
        appendfsync: "always",
        log_commit: "fdatasync",
        save: SavePoints(Vec::new()),
        ..Config::default()
    })
}

#[test]
fn a_commit_by_a_write_and_a_sync_replies_after_the_sync() {
    let mut lab = by_syncs();
    lab.turn("SET a 1");
    lab.turn("SET b 2");
    assert_eq!(lab.disk.writes.len(), 2);
    assert!(lab.disk.writes.iter().all(|write| !write.durable));
    lab.end_write(0, Ok(()));
    lab.turn("");
    assert_eq!((lab.disk.syncs, lab.replies()), (1, String::new()), "it was written, no more");
    lab.end_write(0, Ok(()));
    lab.turn("");
    assert_eq!(lab.disk.syncs, 1, "one at a time");
    lab.core.synced(&mut lab.disk, FILE, Ok(()));
    lab.turn("");
    lab.turn("");
    assert_eq!(
        (lab.disk.syncs, lab.replies()),
        (2, "+OK\r\n".into()),
        "the second came too late for the sync"
    );
    lab.core.synced(&mut lab.disk, FILE, Err(5));
    lab.turn("");
    assert_eq!((lab.replies(), lab.disk.closed.len()), (String::new(), 1), "nobody can say what it became");
}

#[test]
fn what_was_not_synced_keeps_no_shard_awake_that_cannot_sync_it() {
    let mut lab = by_syncs();
    lab.turn("SET a 1; FLUSHALL; SET b 1");
    lab.end_write(0, Ok(()));
    (0..3).for_each(|_| lab.turn(""));
    assert_eq!((lab.core.log.state, lab.core.log.unsynced), (State::Waiting, true));
    assert_eq!(lab.core.log.next_us(), u64::MAX, "the next file is being made");
    lab.core.log.state = State::Open;
    lab.core.log.failed = true;
    assert_eq!(lab.core.log.next_us(), u64::MAX, "it has failed");
}

#[test]
fn the_way_of_commits_follows_what_they_take() {
    let mut lab = Lab::new("always");
    let commit = |lab: &mut Lab, dsync_us: u64| {
        lab.turn("SET a 1");
        let durable = lab.disk.writes[0].durable;
        lab.now.mono_us += if durable { dsync_us } else { 100 };
        lab.core.begin_turn(lab.now);
        lab.end_write(0, Ok(()));
        lab.turn("");
        if !durable {
            lab.now.mono_us += 100;
            lab.core.begin_turn(lab.now);
            lab.core.synced(&mut lab.disk, FILE, Ok(()));
        }
        lab.turn("");
        lab.turn("");
        assert_eq!(lab.replies(), "+OK\r\n");
        durable
    };
    let count = |lab: &mut Lab, dsync_us| (0..500).filter(|_| commit(lab, dsync_us)).count();
    assert!(count(&mut lab, 150) > 450, "durable writes are faster");
    let shared = lab.core.shared.clone();
    assert_eq!(shared.saves.log.commits(), ("dsync", 150));
    lab.now.mono_us += 120_000_000;
    assert!(count(&mut lab, 4_000) < 150, "they are not any more");
    assert_eq!(shared.saves.log.commits(), ("fdatasync", 200));
    assert!(lab.logged().ends_with("SET a 1"));
}

#[test]
fn everysec_gathers_and_syncs() {
    let mut lab = Lab::new("everysec");
    lab.turn("SET a 1");
    lab.turn("SET b 2");
    assert_eq!(lab.replies(), "+OK\r\n+OK\r\n");
    assert!(lab.disk.writes.is_empty());
    lab.now.mono_us += DELAY_US + 1;
    lab.turn("");
    assert_eq!(lab.disk.writes.len(), 1);
    let board = lab.core.shared.clone();
    lab.end_write(0, Ok(()));
    lab.now.mono_us += SYNC_US;
    lab.turn("");
    assert_eq!((lab.disk.syncs, board.saves.log.of(0).durable()), (1, 0));
    lab.turn("WAITAOF 1 0 0");
    assert_eq!(lab.replies(), "");
    lab.core.synced(&mut lab.disk, FILE, Ok(()));
    lab.turn("");
    assert_eq!(lab.replies(), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(board.saves.log.of(0).durable(), board.saves.log.of(0).logged());
    lab.turn("WAITAOF 1 0 0");
    assert_eq!(lab.replies(), "*2\r\n:1\r\n:0\r\n", "nothing was written since");
    assert_eq!(lab.logged(), "SELECT 0 SET a 1 SET b 2");
}

#[test]
fn a_failure_refuses_writes_and_lets_nothing_out_that_may_be_lost() {
    let mut lab = Lab::new("always");
    lab.turn("SET a 1");
    lab.end_write(0, Ok(()));
    lab.turn("");
    assert_eq!(lab.replies(), "+OK\r\n");
    lab.turn("SET a 2");
    lab.end_write(0, Err(28));
    lab.turn("");
    assert_eq!((lab.replies(), lab.disk.closed.len()), (String::new(), 1), "nobody can say what it became");
    lab.core.closed(CONN);
    lab.core.open(CONN, Peer { addr: "a".into(), laddr: "b".into(), fd: 1, unix: false, local: true });
    lab.turn("SET b 1; GET a; PING");
    let misconf = "-MISCONF Errors writing to the AOF file: No space left on device\r\n";
    assert_eq!(lab.replies(), format!("{misconf}$1\r\n2\r\n{misconf}"));
}

/// The next files are there before the base that has what could not be written: who has slept meanwhile must not take the one for the other.
#[test]
fn files_without_their_base_let_nothing_out_that_may_be_lost() {
    let mut lab = Lab::new("always");
    lab.turn("SET a 1");
    lab.end_write(0, Err(28));
    lab.open_file(2);
    let line = lab.core.shared.clone();
    assert_eq!(line.saves.log.of(0).durable(), line.saves.log.of(0).logged());
    lab.turn("");
    assert_eq!((lab.replies(), lab.disk.closed.len()), (String::new(), 1));
}

#[test]
fn a_turn_splits_what_comes_before_from_what_comes_behind() {
    let mut lab = Lab::new("always");
    lab.turn("SET a 1; FLUSHALL; SET b 1");
    lab.turn("SET c 1");
    assert_eq!(lab.disk.writes.len(), 1, "what is behind the turn waits");
    lab.end_write(0, Ok(()));
    (0..3).for_each(|_| lab.turn(""));
    assert_eq!(lab.logged(), "SELECT 0 SET a 1");
    let turn = lab.asked.lock().expect("no panic").turns.pop().expect("a turn");
    let [Some(end)] = &turn.ends[..] else { panic!("one shard: {turn:?}") };
    assert_eq!(end.len, lab.disk.image.len() as u64);
    let (mut scan, file) = (Scan::new(u32::MAX), [&lab.disk.image[..], &end.closing].concat());
    scan.push(&file);
    while scan.next_frame().is_some_and(|frame| frame.durable <= frame.sequence) {}
    assert!(scan.is_closed(), "the file is whole");
    assert_eq!(turn.whole.as_deref(), Some(&b"*1\r\n$8\r\nFLUSHALL\r\n"[..]));
    assert_eq!(lab.replies(), "");
    lab.open_file(3);
    lab.core.generation_made(&mut lab.disk, Ok(3));
    (0..3).for_each(|_| lab.turn(""));
    while !lab.disk.writes.is_empty() {
        lab.end_write(0, Ok(()));
        (0..3).for_each(|_| lab.turn(""));
    }
    assert_eq!(lab.replies(), "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(lab.logged(), "SELECT 0 SET b 1 SET c 1");
}

#[test]
fn writes_wait_for_a_disk_that_does_not_keep_up() {
    for fsync in ["always", "everysec"] {
        let mut lab = Lab::new(fsync);
        lab.turn("SET a 1");
        lab.now.mono_us += 30_000;
        lab.turn("");
        assert_eq!(lab.disk.writes.len(), 1);
        lab.replies();
        lab.now.mono_us += BEHIND_US + 1;
        lab.turn("");
        lab.turn("INCR b");
        assert_eq!(lab.replies(), "");
        lab.end_write(0, Ok(()));
        for _ in 0..5 {
            lab.now.mono_us += 30_000;
            lab.turn("");
            while !lab.disk.writes.is_empty() {
                lab.end_write(0, Ok(()));
            }
        }
        assert!(lab.replies().ends_with(":1\r\n"), "{fsync}");
        assert!(lab.logged().contains("INCR"));
    }
}

#[test]
fn long_stretches_are_several_frames_and_what_no_reader_takes_is_an_error() {
    let units: Vec<String> = (10..40).map(|n| format!("*2\r\n$3\r\nDEL\r\n$2\r\n{n}\r\n")).collect();
    let bytes = units.concat().into_bytes();
    let part = crate::persist::aof::Part { id: 1, participants: crate::store::ShardSet::one(0) };
    let (from, end) = (units[0].len() * 10, units[0].len() * 20);
    let rest = |bytes: Vec<u8>| {
        let breaks = vec![Break::Part { from, end, part }];
        let taken = Taken { position: bytes.len() as u64, bytes, breaks, from: 0 };
        Rest { taken, at: 0, breaks: 0, position: 0 }
    };
    let framed = |most| {
        let (mut framer, mut out) = (Framer::new(1, 0, 1, 1), Vec::new());
        framer.begin_file(&mut out);
        let mut rest = rest(bytes.clone());
        assert!(frame(&mut framer, &mut rest, &mut out, most).is_ok());
        assert_eq!((rest.at, rest.position), (bytes.len(), bytes.len() as u64));
        let mut scan = Scan::new(1u64 << 20);
        scan.push(&out);
        scan.finish();
        assert!(scan.next_frame().is_some());
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        while let Some(frame) = scan.next_frame() {
            all.extend_from_slice(frame.payload);
            sizes.push(frame.payload.len());
        }
        assert_eq!(all, bytes);
        sizes
    };
    let unit = units[0].len();
    assert_eq!(framed(FRAME_MOST), [10 * unit; 3]);
    // A part of a transaction is one frame, whatever it takes.
    assert_eq!(framed(4 * unit), [4, 4, 2, 10, 4, 4, 2].map(|n| n * unit));
    let mut broken = bytes.clone();
    broken[unit * 12] = b'x';
    let mut rest = rest(broken);
    assert!(frame(&mut Framer::new(1, 0, 1, 1), &mut rest, &mut Vec::new(), unit).is_err());
    skip(&mut rest);
    assert_eq!((rest.at, rest.position), (bytes.len(), bytes.len() as u64));
}

#[test]
fn what_is_filled_ahead_is_a_share_of_what_is_free() {
    const MIB: u64 = 1 << 20;
    for (most, room, shards, wanted) in [
        (FILL_MOST, u64::MAX, 512, FILL_MOST),
        (FILL_MOST, 40 * MIB, 2, 5 * MIB / 2),
        (FILL_FIRST, 40 * MIB, 2, FILL_FIRST),
        (FILL_MOST, 16 * MIB, 2, MIB),
        // Less than a piece is nothing.
        (FILL_MOST, 16 * MIB - 1, 2, 0),
        (FILL_FIRST, 0, 1, 0),
    ] {
        assert_eq!(fill_wanted(most, room, shards), wanted, "{room} for {shards}");
    }
}
