//! What concerns the log as a whole: its beginning, its bases, its failures, and who waits meanwhile.

use super::*;
use crate::cmd::save::SaveFor;

const OTHER: ConnId = ConnId(1 << 32 | 1);
const MISCONF: &str = "-MISCONF Errors writing to the AOF file: No space left on device\r\n";
const ENOSPC: i32 = 28;

impl Lab {
    /// Turns without anything new, a tenth of a second each.
    fn rest(&mut self) {
        for _ in 0..6 {
            self.now.mono_us += 100_000;
            self.turn("");
        }
    }

    fn asked(&self) -> (usize, usize, usize) {
        let asked = self.asked.lock().expect("no panic");
        (asked.turns.len(), asked.saves.len(), asked.bases.len())
    }

    fn errno(&self) -> i32 {
        self.core.shared.saves.log.errno()
    }

    fn saved(&mut self, result: Result<(), String>) {
        self.core.saved(&mut self.disk, result);
        self.rest();
    }

    fn made(&mut self, number: u64) {
        self.open_file(number);
        self.core.generation_made(&mut self.disk, Ok(number));
        self.rest();
    }

    /// All writes end well.
    fn land_all(&mut self) {
        for _ in 0..4 {
            while !self.disk.writes.is_empty() {
                self.end_write(0, Ok(()));
            }
            self.rest();
        }
    }

    /// The log is switched on: its first base is being made.
    fn start(fsync: &'static str) -> Lab {
        let mut lab =
            Lab::of(Config { appendfsync: fsync, save: SavePoints(Vec::new()), ..Config::default() });
        lab.turn("CONFIG SET appendonly yes");
        lab.rest();
        assert_eq!((lab.replies().as_str(), lab.asked()), ("+OK\r\n", (1, 1, 0)));
        lab.made(1);
        lab
    }
}

#[test]
fn a_log_that_could_not_begin_refuses_nothing() {
    for while_it_starts in [true, false] {
        let mut lab = Lab::start("always");
        lab.turn("SET a 1");
        lab.turn("");
        assert_eq!(lab.replies(), "+OK\r\n");
        if while_it_starts {
            lab.end_write(0, Err(ENOSPC));
        }
        lab.turn("SET b 1");
        assert_eq!(lab.replies(), "+OK\r\n", "nothing is promised yet");
        lab.saved(Err("cannot write: No space left on device (os error 28)".into()));
        if !while_it_starts {
            lab.end_write(0, Err(ENOSPC));
        }
        lab.rest();
        lab.turn("SET c 1; PING; CONFIG GET appendonly");
        let text = "+OK\r\n+PONG\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n";
        assert_eq!((lab.replies().as_str(), lab.errno()), (text, 0));
        assert_eq!(lab.core.shared.saves.log.state(), LogState::Off);
        // The next attempt succeeds, and nothing of this one is remembered.
        lab.now.mono_us += 6_000_000;
        lab.now.wall_us += 6_000_000;
        lab.rest();
        assert_eq!(lab.asked(), (2, 2, 0));
        lab.disk.writes.clear();
        lab.made(2);
        lab.saved(Ok(()));
        assert_eq!(lab.asked(), (2, 2, 1));
        lab.core.base_made(&mut lab.disk, Ok(100));
        lab.turn("SET d 1");
        lab.land_all();
        assert_eq!((lab.replies().as_str(), lab.errno()), ("+OK\r\n", 0));
    }
}

#[test]
fn a_log_that_failed_while_it_began_is_mended() {
    let mut lab = Lab::start("always");
    lab.turn("SET a 1");
    lab.rest();
    lab.end_write(0, Err(ENOSPC));
    lab.saved(Ok(()));
    lab.core.base_made(&mut lab.disk, Ok(100));
    lab.replies();
    lab.turn("SET b 1");
    assert_eq!(lab.replies(), MISCONF);
    lab.now.wall_us += 6_000_000;
    lab.rest();
    assert_eq!(lab.asked(), (2, 2, 1), "a new base is made");
    lab.made(2);
    lab.saved(Ok(()));
    lab.core.base_made(&mut lab.disk, Ok(100));
    lab.turn("SET b 1");
    lab.land_all();
    assert_eq!(lab.replies(), "+OK\r\n");
}

#[test]
fn a_flushall_is_acknowledged_when_its_turn_is_made() {
    let mut lab = Lab::of(Config { appendonly: true, appendfsync: "always", ..Config::default() });
    lab.turn("SET a 1");
    lab.land_all();
    assert_eq!(lab.replies(), "+OK\r\n");
    lab.turn("FLUSHALL");
    lab.rest();
    assert_eq!(lab.asked(), (1, 1, 0));
    // The empty snapshot is there first: the log may still lose it.
    lab.saved(Ok(()));
    assert_eq!(lab.replies(), "");
    lab.made(3);
    assert_eq!(lab.replies(), "+OK\r\n");
    // And when the turn fails, nobody can say what became of it.
    lab.turn("SET a 1");
    lab.land_all();
    lab.replies();
    lab.turn("FLUSHALL");
    lab.rest();
    lab.core.generation_made(&mut lab.disk, Err("No space left on device (os error 28)".into()));
    lab.saved(Ok(()));
    assert_eq!((lab.replies().as_str(), lab.disk.closed.len()), ("", 1));
}

#[test]
fn a_flushall_does_not_wait_for_a_rewrite() {
    let mut lab = Lab::of(Config { appendonly: true, appendfsync: "everysec", ..Config::default() });
    lab.turn("SET a 1; BGREWRITEAOF");
    lab.land_all();
    assert!(lab.replies().ends_with("rewriting started\r\n"));
    assert_eq!(lab.asked(), (1, 1, 0));
    lab.made(2);
    lab.turn("FLUSHALL");
    lab.rest();
    assert_eq!((lab.replies().as_str(), lab.asked().1), ("+OK\r\n", 1));
    // An empty snapshot follows the base.
    lab.saved(Ok(()));
    assert_eq!(lab.asked().1, 2);
    assert_ne!(lab.asked.lock().expect("no panic").saves[1].what, SaveFor::Log);
}

#[test]
fn a_flushall_gives_up_a_base_that_nothing_rests_on() {
    let mut lab = Lab::of(Config::default());
    lab.turn("SET a 1; BGREWRITEAOF; FLUSHALL");
    lab.rest();
    assert!(lab.asked.lock().expect("no panic").saves[0].inbox.is_given_up());
    lab.saved(Err("it was given up".into()));
    assert_eq!(lab.asked(), (0, 2, 0));
    lab.saved(Ok(()));
    let text = "+OK\r\n+Background append only file rewriting started\r\n+OK\r\n";
    assert_eq!((lab.replies().as_str(), lab.asked()), (text, (0, 3, 0)), "the base is made again");
}

#[test]
fn several_things_that_all_stores_are_wanted_for_come_in_order() {
    let mut lab = Lab::start("everysec");
    lab.saved(Ok(()));
    assert_eq!(lab.asked(), (1, 1, 1));
    // The store is away: whoever wants it sends for it.
    let shared = lab.core.shared.clone();
    let store = shared.cells[0].take().expect("it is at home");
    lab.turn("SHUTDOWN SAVE");
    lab.turn("");
    lab.core.base_made(&mut lab.disk, Err("No space left on device (os error 28)".into()));
    lab.turn("");
    assert_eq!(lab.asked(), (1, 1, 1));
    let _ = shared.cells[0].put(store);
    lab.rest();
    assert_eq!(lab.asked(), (1, 2, 1), "the snapshot is not forgotten");
    assert_eq!(lab.core.log.state, State::Off, "nor is the end of the log");
    lab.saved(Ok(()));
    assert_eq!(lab.asked.lock().expect("no panic").stops, 1);
}

#[test]
fn a_wait_that_ends_in_vain_while_the_log_fails_is_answered() {
    let mut lab = Lab::new("always");
    lab.core.open(OTHER, Peer { addr: "c".into(), laddr: "b".into(), fd: 2, unix: false, local: true });
    lab.turn("");
    for request in ["BLPOP list 1\r\n", "BLPOP list 0\r\n"] {
        lab.core.data(&mut lab.disk, OTHER, request.as_bytes());
        if request.contains(" 0") {
            break;
        }
        lab.turn("SET a 1");
        lab.end_write(0, Err(ENOSPC));
        lab.rest();
        assert_eq!(lab.disk.closed, [CONN]);
        lab.now.mono_us += 1_000_000;
        lab.rest();
        assert_eq!(lab.replies(), "*-1\r\n");
        assert_eq!(lab.disk.closed, [CONN], "who waited in vain is not closed");
    }
    assert_ne!(lab.errno(), 0);
}

#[test]
fn no_appendfsync_on_rewrite_spares_snapshots_too() {
    for spares in [false, true] {
        let mut lab = Lab::of(Config {
            appendonly: true,
            appendfsync: "everysec",
            no_appendfsync_on_rewrite: spares,
            ..Config::default()
        });
        lab.turn("BGSAVE; SET a 1");
        for _ in 0..3 {
            lab.rest();
            while !lab.disk.writes.is_empty() {
                lab.end_write(0, Ok(()));
            }
            lab.rest();
        }
        assert_eq!(lab.disk.syncs, usize::from(!spares));
        lab.saved(Ok(()));
        lab.rest();
        assert_eq!(lab.disk.syncs, 1);
    }
}

#[test]
fn a_generation_of_a_rewrite_that_failed_is_not_the_next_ones() {
    let mut lab = Lab::start("everysec");
    lab.saved(Ok(()));
    lab.core.base_made(&mut lab.disk, Ok(100));
    let rewrite = |lab: &mut Lab| {
        lab.turn("BGREWRITEAOF");
        lab.land_all();
        lab.replies()
    };
    assert_eq!(rewrite(&mut lab), "+Background append only file rewriting started\r\n");
    lab.saved(Err("No space left on device".into()));
    assert_eq!(rewrite(&mut lab), "+Background append only file rewriting started\r\n");
    assert_eq!(lab.asked(), (2, 3, 1));
    lab.made(2);
    lab.land_all();
    lab.saved(Ok(()));
    assert_eq!(lab.asked(), (3, 3, 1), "the second base begins with generation 3, which is not made yet");
    lab.made(3);
    assert_eq!(lab.asked(), (3, 3, 2));
    assert_eq!(lab.asked.lock().unwrap().bases[1].from, Some(3));
}

#[test]
fn a_base_of_a_rewrite_that_failed_is_not_the_next_ones() {
    let mut lab = Lab::start("everysec");
    lab.saved(Ok(()));
    lab.core.base_made(&mut lab.disk, Ok(100));
    lab.turn("SET a 1; BGREWRITEAOF");
    lab.land_all();
    lab.made(2);
    lab.turn("FLUSHALL");
    lab.land_all();
    lab.saved(Ok(()));
    assert_eq!(lab.asked(), (3, 2, 2), "its base is to be listed, and FLUSHALL's generation to be made");
    lab.core.generation_made(&mut lab.disk, Err("No space left on device (os error 28)".into()));
    lab.now.mono_us += 6_000_000;
    lab.now.wall_us += 6_000_000;
    lab.rest();
    lab.land_all();
    assert_eq!(lab.asked(), (4, 3, 2), "the way out of the failure");
    lab.core.base_made(&mut lab.disk, Ok(100));
    assert_ne!(lab.errno(), 0, "what is written now is listed by nobody yet");
    lab.made(4);
    lab.saved(Ok(()));
    assert_eq!((lab.asked(), lab.asked.lock().unwrap().bases[2].from), ((4, 3, 3), Some(4)));
    lab.core.base_made(&mut lab.disk, Ok(100));
    assert_eq!(lab.errno(), 0);
}

#[test]
fn a_cut_that_is_given_up_while_its_store_is_away_ends_when_it_is_back() {
    let mut lab = Lab::of(Config { save: SavePoints(Vec::new()), ..Config::default() });
    for first in (0..20_000).step_by(500) {
        let pairs: String = (first..first + 500).map(|i| format!(" key:{i} some-value:{i}")).collect();
        lab.turn(&format!("MSET{pairs}"));
    }
    lab.turn("BGSAVE");
    let shared = lab.core.shared.clone();
    let store = shared.cells[0].take().expect("it is at home");
    assert!(store.cut().is_some(), "it is not through");
    lab.saved(Err("No space left on device".into()));
    let _ = shared.cells[0].put(store);
    lab.rest();
    let store = shared.cells[0].take().expect("it is at home");
    assert_eq!((store.cut(), store.kept_weight()), (None, 0));
}
