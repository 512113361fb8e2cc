//! Every call that changes the directory fails once, or from then on for good; the power may fail behind it. What was on the disk
//! before is loaded, whichever manifest there is, and the log heals.

use super::super::files::faults;
use super::*;

/// What is done while calls fail.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Act {
    /// A FLUSHALL ends a generation.
    Turn,
    /// The base of a rewrite is listed.
    Rewrite,
    /// A base and the files behind it are listed, after a failure.
    Mend,
}

/// A file system that makes names durable only when it is asked: what a loss of power leaves is the directory with the manifest
/// of before.
struct Lab {
    scratch: Scratch,
    dir: AofDir,
    /// Commands that are in the log for good.
    wanted: Vec<String>,
}

impl Lab {
    fn new(name: &str) -> Lab {
        let scratch = Scratch::new(name);
        let dir = load(&scratch, 2, true, None).dir.expect("it goes on");
        let mut lab = Lab { scratch, dir, wanted: Vec::new() };
        lab.write("a.aof.1.incr.aof", "first");
        lab
    }

    /// A shard appends a frame to its file.
    fn write(&mut self, name: &str, key: &str) {
        let bytes = std::fs::read(self.scratch.path(name)).expect("there");
        let mut scan = crate::persist::aof::Scan::new(u32::MAX);
        scan.push(&bytes);
        assert!(scan.next_frame().is_some());
        let info = scan.info().expect("it has one").clone();
        let mut framer = Framer::new(info.log_id, info.shard.into(), info.generation, info.shards.into());
        let (mut head, mut frame) = (Vec::new(), Vec::new());
        framer.begin_file(&mut head);
        framer.frame(&mut frame, set(key).as_bytes(), None);
        self.scratch.append(name, &frame);
        self.wanted.push(set(key));
    }

    fn turn(
        &mut self,
        ends: Option<u64>,
        whole: Option<&str>,
        after: After,
    ) -> Result<Option<Generation>, String> {
        let whole = whole.map(|word| Arc::from(command(&[word]).as_bytes()));
        let ends = self.dir.ends(&[ends; 2]);
        self.dir.turn(Turn { ends, whole, after })
    }

    fn base(&mut self, from: u64) -> Result<(), String> {
        let path = self.dir.place().temporary_base();
        std::fs::write(&path, snapshot(&["base"])).expect("written");
        let base = NewBase { path, as_commands: false, from: Some(from), keeps_history: false };
        self.dir.new_base(base).map(drop)
    }

    /// Loads a copy of the directory, with this manifest: its commands, but for those of files' heads, and its keys.
    fn loaded(&self, manifest: &str, what: &str) -> (String, Vec<String>) {
        let copy = Scratch::new(&format!("{}-copy", what.replace(' ', "-")));
        for name in self.scratch.names() {
            copy.put(&name, &std::fs::read(self.scratch.path(&name)).expect("there"));
        }
        copy.put("a.aof.manifest", manifest.as_bytes());
        let outcome = load(&copy, 2, true, None);
        assert!(outcome.recovered.is_ok(), "{what}: {:?}\n{manifest}", outcome.recovered);
        let lines = outcome.commands().concat();
        (lines.lines().filter(|line| !line.starts_with('#')).collect(), outcome.given.keys)
    }

    /// Whatever a loss of power leaves has all that was in the log before, or the base that stands for it.
    fn assert_whole(&self, before: Option<&str>, what: &str) {
        for manifest in before.into_iter().chain([self.scratch.text().as_str()]) {
            let (commands, keys) = self.loaded(manifest, what);
            for wanted in &self.wanted {
                let there = commands.contains(&wanted.replace("\r\n", ""));
                assert!(there || !keys.is_empty(), "{what}: {wanted:?} is gone\n{manifest}");
            }
        }
    }

    /// As the server does after a failure.
    fn heal(&mut self, what: &str) {
        let next = self.turn(None, None, After::Unnamed).unwrap_or_else(|e| panic!("{what}: {e}"));
        self.base(next.expect("files").number).unwrap_or_else(|e| panic!("{what}: {e}"));
        let (commands, keys) = self.loaded(&self.scratch.text(), what);
        assert_eq!((commands.as_str(), keys.len()), ("", 1), "{what}");
        let text = self.scratch.text();
        let mut named: Vec<&str> = text.lines().map(|line| line.split(' ').nth(1).expect("a name")).collect();
        named.push("a.aof.manifest");
        named.sort_unstable();
        let left: Vec<String> =
            self.scratch.names().into_iter().filter(|name| !named.contains(&name.as_str())).collect();
        // What a lasting fault kept from being removed goes at the next start, where its name is not needed before.
        assert!(
            left.iter().all(|name| name.starts_with("temp-") || what.contains("lasting")),
            "{what}: {left:?}"
        );
    }
}

/// Acts while the call after `calls` fails; false: it was not reached.
fn fails_after(act: Act, calls: usize, lasting: bool) -> bool {
    let mut lab = Lab::new(&format!("faults-{act:?}-{calls}-{lasting}"));
    let mut from = 0;
    if act != Act::Turn {
        let ends = std::fs::metadata(lab.scratch.path("a.aof.1.incr.aof")).expect("there").len();
        let after = if act == Act::Mend { After::Unnamed } else { After::Named };
        let next =
            lab.turn(Some(ends).filter(|_| act == Act::Rewrite), None, after).expect("made").expect("files");
        from = next.number;
        if act == Act::Rewrite {
            let name = next.files[0].name.clone();
            lab.write(&name, "second");
        }
    }
    let before = lab.scratch.text();
    let done = if act == Act::Turn {
        faults::begin(calls, lasting);
        lab.turn(None, Some("FLUSHALL"), After::Named).map(drop)
    } else {
        let path = lab.dir.place().temporary_base();
        std::fs::write(&path, snapshot(&["base"])).expect("written");
        faults::begin(calls, lasting);
        let base = NewBase { path, as_commands: false, from: Some(from), keeps_history: false };
        lab.dir.new_base(base).map(drop)
    };
    let failed = faults::end();
    let what = format!("{act:?} {calls} {} {failed:?}", if lasting { "lasting" } else { "once" });
    let what = what.replace(['[', ']', '"', ','], "");
    // What was told to be done is done for good.
    lab.assert_whole(done.is_err().then_some(before.as_str()), &what);
    lab.heal(&what);
    !failed.is_empty()
}

#[test]
fn whatever_call_fails_no_file_goes_that_a_manifest_names() {
    for act in [Act::Turn, Act::Rewrite, Act::Mend] {
        for lasting in [false, true] {
            let reached = (0..100).take_while(|calls| fails_after(act, *calls, lasting)).count();
            assert!((5..100).contains(&reached), "{act:?}: {reached}");
        }
    }
}

#[test]
fn a_name_that_may_not_last_is_told_from_none() {
    let scratch = Scratch::new("unnamed");
    let (from, to) = (scratch.0.join("from"), scratch.0.join("to"));
    for (calls, named) in [(0, false), (1, true)] {
        std::fs::write(&from, b"x").expect("written");
        faults::begin(calls, false);
        let renamed = super::super::files::rename(&from, &to);
        faults::end();
        assert_eq!(matches!(renamed, Err(super::super::files::Unnamed::Unsynced(_))), named, "{renamed:?}");
        assert_eq!(to.exists(), named);
    }
}
