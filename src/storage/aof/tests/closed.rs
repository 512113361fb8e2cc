//! Files that are closed, and what is damage in them; the generation that follows says that they were.

use super::super::files::faults;
use super::*;

/// A log of two files with three frames each. The middle ones are parts of one transaction.
struct Lab {
    scratch: Scratch,
    dir: AofDir,
}

impl Lab {
    fn new(name: &str) -> Lab {
        let scratch = Scratch::new(name);
        let outcome = load(&scratch, 2, true, None);
        let generation = outcome.recovered.expect("loaded").generation.expect("it goes on");
        let part = Part { id: 7, participants: ShardSet::all(2) };
        for mut file in generation.files {
            let mut bytes = Vec::new();
            for (key, part) in [("a", None), ("b", Some(&part)), ("c", None)] {
                file.framer.frame(&mut bytes, set(key).as_bytes(), part);
            }
            scratch.append(&file.name, &bytes);
        }
        Lab { scratch, dir: outcome.dir.expect("it goes on") }
    }

    /// The generation ends in order.
    fn end(&mut self, whole: Option<&str>, after: After) -> Option<Generation> {
        let ends = self.dir.ends(&[Some(u64::MAX); 2]);
        let whole = whole.map(|word| Arc::from(command(&[word]).as_bytes()));
        self.dir.turn(Turn { ends, whole, after }).expect("it ends")
    }

    /// What a start, and the check, say of a copy in which a file is changed.
    fn said(&self, name: &str, change: impl Fn(&mut Vec<u8>)) -> (Result<(), String>, Verdict) {
        let copy = Scratch::new("closed-copy");
        for name in self.scratch.names() {
            copy.put(&name, &std::fs::read(self.scratch.path(&name)).expect("there"));
        }
        let mut bytes = std::fs::read(self.scratch.path(name)).expect("there");
        change(&mut bytes);
        copy.put(name, &bytes);
        let verdict = check(&copy.0.join("aofdir"), false, &mut Heard::default());
        (load(&copy, 2, true, None).recovered.map(drop), verdict)
    }
}

/// Damages the first frame behind the one that opens the file.
fn flip(bytes: &mut [u8]) {
    bytes[BLOCK + 140] ^= 1;
}

/// Takes the frame that closes it from a file.
fn open(bytes: &mut Vec<u8>) {
    let end = bytes.windows(13).rposition(|w| w == b"#kring-end:1\n").expect("it is closed");
    let head = bytes[..end].windows(9).rposition(|w| w == b"#kring:1 ").expect("a frame");
    bytes.truncate(head);
}

const FIRST: &str = "a.aof.1.incr.aof";

#[test]
fn what_was_written_before_an_end_in_order_is_never_taken_for_a_tear() {
    let mut lab = Lab::new("closed");
    let (loaded, verdict) = lab.said(FIRST, |bytes| flip(bytes));
    assert_eq!((loaded, verdict), (Ok(()), Verdict::Damaged), "a crash may have left that: it is cut");
    lab.end(None, After::Nothing);
    let (loaded, verdict) = lab.said(FIRST, |_| {});
    assert_eq!((loaded, verdict), (Ok(()), Verdict::Whole));
    let (loaded, verdict) = lab.said(FIRST, |bytes| flip(bytes));
    let why = loaded.expect_err("damage");
    assert!(why.contains("a.aof.1.incr.aof: it is damaged at byte 4096, where frame 1 is due"), "{why}");
    assert_eq!((why.lines().count(), verdict), (1, Verdict::Damaged));
    // The other file's closing frame tells that the transaction was whole.
    let (loaded, verdict) = lab.said(FIRST, |bytes| bytes.truncate(BLOCK));
    let why = loaded.expect_err("damage");
    assert!(why.contains("a.aof.2.incr.aof: it is damaged or a file beside it is"), "{why}");
    assert_eq!(verdict, Verdict::Damaged);
    // The frame that closes a file may be torn itself: nothing else is missing.
    let (loaded, verdict) = lab.said(FIRST, |bytes| bytes.truncate(bytes.len() - 1));
    assert_eq!((loaded, verdict), (Ok(()), Verdict::Damaged));
}

#[test]
fn files_that_others_follow_have_not_lost_their_end() {
    let mut lab = Lab::new("followed");
    lab.end(Some("FLUSHALL"), After::Named);
    lab.end(None, After::Named);
    // 1 and 2, FLUSHALL in 3, 4 and 5, 6 and 7.
    for name in [FIRST, "a.aof.2.incr.aof", "a.aof.3.incr.aof", "a.aof.4.incr.aof", "a.aof.5.incr.aof"] {
        let (loaded, verdict) = lab.said(name, |_| {});
        assert_eq!((loaded, verdict), (Ok(()), Verdict::Whole), "{name}");
        let (loaded, verdict) = lab.said(name, open);
        let why = loaded.expect_err("cut off");
        assert!(why.contains(&format!("{name}: its end is missing")) && why.lines().count() == 1, "{why}");
        assert_eq!(verdict, Verdict::Damaged, "{name}");
    }
    // At a start too.
    lab.end(None, After::Nothing);
    lab.dir.let_go();
    load(&lab.scratch, 2, true, None).recovered.expect("loaded");
    assert!(lab.said("a.aof.7.incr.aof", open).0.is_err_and(|e| e.contains("its end is missing")));
    // Nothing is asked of files that a crash left, and those that follow them say nothing of them.
    load(&lab.scratch, 2, true, None).recovered.expect("loaded");
    let (loaded, verdict) = lab.said("a.aof.8.incr.aof", |_| {});
    assert_eq!((loaded, verdict), (Ok(()), Verdict::Whole));
    // Who takes a FLUSHALL out of the manifest, or one with the files before it, may do so.
    let text = lab.scratch.text();
    for gone in [&[3][..], &[3, 4, 5], &[1, 2, 3]] {
        let is_gone = |line: &&str| gone.iter().any(|n| line.contains(&format!("a.aof.{n}.incr")));
        let left: Vec<&str> = text.lines().filter(|line| !is_gone(line)).collect();
        lab.scratch.put("a.aof.manifest", (left.join("\n") + "\n").as_bytes());
        let (loaded, verdict) = lab.said(FIRST, |_| {});
        assert_eq!((loaded, verdict), (Ok(()), Verdict::Whole), "without {gone:?}");
    }
}

#[test]
fn files_are_closed_together() {
    let mut lab = Lab::new("together");
    faults::begin(usize::MAX, false);
    lab.end(None, After::Nothing);
    let made = faults::made().join(", ");
    faults::end();
    let twice = |what: &str| [what; 2].join(", ");
    let sync = twice("sync a file");
    assert_eq!(made, [twice("cut a file"), sync.clone(), twice("write a file"), sync].join(", "));
}

#[test]
fn a_file_that_cannot_be_closed_is_as_good() {
    // Two files are cut and synced, four calls; then they are closed.
    for calls in 4..8 {
        let mut lab = Lab::new("unclosed");
        faults::begin(calls, false);
        let next = lab.end(None, After::Named).expect("files");
        assert_eq!(faults::end().len(), 1);
        assert!(next.files.iter().all(|file| !file.framer.info().after_closed), "after {calls} calls");
        let (loaded, verdict) = lab.said(FIRST, |_| {});
        assert_eq!((loaded, verdict), (Ok(()), Verdict::Whole), "after {calls} calls");
    }
    // Nor are files closed when one of them is not whole.
    let mut lab = Lab::new("broken");
    let ends = lab.dir.ends(&[Some(u64::MAX), None]);
    let next = lab.dir.turn(Turn { ends, whole: None, after: After::Named }).expect("made").expect("files");
    assert!(next.files.iter().all(|file| !file.framer.info().after_closed));
    assert_eq!(lab.said(FIRST, |_| {}), (Ok(()), Verdict::Whole));
}
