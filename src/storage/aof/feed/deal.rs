//! A file of Redis's, dealt out to all shards: what concerns one shard alone goes to that shard, in the order of the file, so that
//! all of them replay it side by side.
//!
//! ```text
//!  file:     SET a   SET b   INCR a   MSET a b   SET a   ...
//!  shard 0:  SET a           INCR a | MSET a b | SET a            everybody's commands run alone: those before have run, those
//!  shard 1:          SET b          |          |                  behind have not begun
//! ```
//! The result is that of the file in its order: commands on different shards have no key in common, those on one shard keep their
//! order, and no time passes while a log is replayed. What SELECT says is remembered for the file and told to each shard where it
//! matters. Nobody looks on, so what is between MULTI and EXEC is dealt out like the rest, once the EXEC has come.
//!
//! To let all shards come to an end costs as much as some thousand commands. So after a command that is everybody's, all go to the
//! first shard, which is as before, until [`QUIET`] bytes have come without another.

use super::{Ended, Feeder, Filling, PIECE, SPARE, WINDOW, damaged, explain};
use crate::base::number::parse_i64;
use crate::persist::aof::{Place, PlainCommand, PlainScan, PlainTail};
use crate::persist::replay::{Piece, Replayed};
use crate::resp::Args;
use crate::storage::aof::commands::command;
use crate::storage::source::Source;
use std::collections::VecDeque;
use std::path::Path;

/// Bytes without a command that is everybody's, after which commands are dealt out again.
const QUIET: usize = 256 << 10;
/// The shard that runs what is everybody's.
const FIRST: usize = 0;

/// Tells which shard alone a command concerns, if there is one.
pub type Owner = Box<dyn Fn(Args<'_>) -> Option<usize> + Send>;

/// Among whom commands are dealt out.
pub(in crate::storage::aof) struct Table<'a> {
    pub owner: &'a Owner,
    pub shards: usize,
    pub databases: u64,
}

/// Whose a command is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Shard(usize),
    /// It selects a database, for what follows it in the file.
    Select(u64),
    Everybody,
    /// MULTI or EXEC, of a transaction that is whole.
    Nobody,
}

/// One command, or a transaction: what runs as a whole.
#[derive(Default)]
struct Unit {
    bytes: Vec<u8>,
    /// For each command: where it ends in the bytes, where it begins in the file, and whose it is.
    commands: Vec<(usize, u64, Whose)>,
}

/// A shard's line.
struct Line {
    stream: u32,
    piece: Filling,
    /// The database that is selected at its end.
    db: u64,
    under_way: VecDeque<Vec<(usize, u64)>>,
    begun: bool,
}

enum Mode {
    /// To whom it concerns.
    Apart,
    /// All to the first, for so many bytes without need.
    Together(usize),
}

struct Deal<'a> {
    feeder: &'a mut Feeder,
    path: &'a Path,
    lines: Vec<Line>,
    mode: Mode,
    /// The database that is selected in the file.
    db: u64,
    unit: Unit,
}

impl Feeder {
    /// Replays the commands of a file from a place on, on all shards, and tells of bytes as they are read. What is under way has
    /// come back in any case.
    pub(in crate::storage::aof) async fn deal(
        &mut self,
        path: &Path,
        from: u64,
        table: &Table<'_>,
        read: &mut dyn FnMut(u64),
    ) -> Result<Ended, String> {
        let named = |e: String| format!("{}: {e}", path.display());
        let (mut source, _) = Source::open(path, from, None).await.map_err(named)?;
        let line = |stream| Line {
            stream,
            piece: Filling::default(),
            db: 0,
            under_way: VecDeque::new(),
            begun: false,
        };
        let first = self.streams;
        self.streams += table.shards as u32;
        let lines = (first..self.streams).map(line).collect();
        let mut deal = Deal { feeder: self, path, lines, mode: Mode::Apart, db: 0, unit: Unit::default() };
        let mut scan = PlainScan::new(from, i64::MAX);
        let dealt = deal.run(&mut source, &mut scan, table, read).await;
        let dealt = dealt.and_then(|()| deal.end());
        let home = deal.wait_for_all();
        source.close().await;
        dealt.and(home)?;
        let tail = scan.tail().unwrap_or(PlainTail::Clean);
        Ok(Ended { valid: scan.valid(), tail, appended: None, closed: false, log: None })
    }
}

impl Deal<'_> {
    async fn run(
        &mut self,
        source: &mut Source,
        scan: &mut PlainScan,
        table: &Table<'_>,
        read: &mut dyn FnMut(u64),
    ) -> Result<(), String> {
        loop {
            while let Some(command) = scan.next_command() {
                let place = command.place;
                self.unit.add(&command, whose(&command, table));
                if matches!(place, Place::Outside | Place::Exec) {
                    self.deal_unit()?;
                }
            }
            match scan.tail() {
                Some(PlainTail::Malformed(what)) => {
                    return Err(format!("{}: {}", self.path.display(), damaged(&format!("in that {what}"))));
                }
                // A transaction whose EXEC has not come is left out.
                Some(_) => return Ok(()),
                None => {}
            }
            let bytes = source.next().await.map_err(|e| format!("{}: {e}", self.path.display()))?;
            match bytes.len() {
                0 => scan.finish(),
                _ => scan.push(&bytes),
            }
            read(bytes.len() as u64);
        }
    }

    /// The unit is whole: it goes where it belongs.
    fn deal_unit(&mut self) -> Result<(), String> {
        let unit = std::mem::take(&mut self.unit);
        let needs_all = unit.commands.iter().any(|(.., whose)| *whose == Whose::Everybody);
        match &mut self.mode {
            Mode::Apart if needs_all => {
                self.drain()?;
                self.mode = Mode::Together(0);
                self.put_whole(&unit)?;
            }
            Mode::Apart => self.put_apart(&unit)?,
            Mode::Together(quiet) => {
                *quiet = if needs_all { 0 } else { *quiet + unit.bytes.len() };
                let goes_apart = *quiet >= QUIET;
                self.put_whole(&unit)?;
                if goes_apart {
                    self.drain()?;
                    self.mode = Mode::Apart;
                }
            }
        }
        self.unit = unit.emptied();
        Ok(())
    }

    fn put_apart(&mut self, unit: &Unit) -> Result<(), String> {
        for (bytes, at, whose) in unit.iter() {
            match whose {
                Whose::Shard(shard) => {
                    self.select(shard, at);
                    self.lines[shard].piece.add(bytes, at);
                    self.send_if_full(shard)?;
                }
                Whose::Select(db) => self.db = db,
                Whose::Everybody | Whose::Nobody => {}
            }
        }
        Ok(())
    }

    /// The first shard gets all of it, as it stands in the file.
    fn put_whole(&mut self, unit: &Unit) -> Result<(), String> {
        self.select(FIRST, unit.commands.first().map_or(0, |first| first.1));
        for (bytes, at, whose) in unit.iter() {
            self.lines[FIRST].piece.add(bytes, at);
            if let Whose::Select(db) = whose {
                self.db = db;
            }
        }
        self.lines[FIRST].db = self.db;
        self.send_if_full(FIRST)
    }

    /// Tells a shard which database is selected, if it does not know.
    fn select(&mut self, shard: usize, at: u64) {
        let (db, line) = (self.db, &mut self.lines[shard]);
        if std::mem::replace(&mut line.db, db) != db {
            let mut text = Vec::new();
            command(&mut text, [&b"SELECT"[..], db.to_string().as_bytes()].into_iter());
            line.piece.add(&text, at);
        }
    }

    fn send_if_full(&mut self, shard: usize) -> Result<(), String> {
        if self.lines[shard].piece.bytes.len() >= PIECE { self.send(shard, false) } else { Ok(()) }
    }

    /// Sends a shard its piece, once it has replayed enough of those before.
    fn send(&mut self, shard: usize, last: bool) -> Result<(), String> {
        while self.lines[shard].under_way.len() >= WINDOW {
            self.wait_for_one()?;
        }
        let line = &mut self.lines[shard];
        let spare = self.feeder.spare.pop().unwrap_or_default();
        let next = Filling { bytes: spare, ..Filling::default() };
        let Filling { bytes, places, .. } = std::mem::replace(&mut line.piece, next);
        line.under_way.push_back(places);
        line.begun = true;
        let piece = Piece { stream: line.stream, bytes, last, back: self.feeder.back.clone() };
        (self.feeder.deliver)(shard, piece);
        Ok(())
    }

    /// Lets all shards come to the end of what they were given.
    fn drain(&mut self) -> Result<(), String> {
        for shard in 0..self.lines.len() {
            if !self.lines[shard].piece.bytes.is_empty() {
                self.send(shard, false)?;
            }
        }
        self.wait_for_all()
    }

    /// Sends what is left, to all who have heard of the file.
    fn end(&mut self) -> Result<(), String> {
        for shard in 0..self.lines.len() {
            if self.lines[shard].begun || !self.lines[shard].piece.bytes.is_empty() {
                self.send(shard, true)?;
            }
        }
        Ok(())
    }

    /// A piece comes back.
    fn wait_for_one(&mut self) -> Result<(), String> {
        let Replayed { stream, spare, trouble } =
            self.feeder.replayed.recv().map_err(|_| "the shards have stopped")?;
        if self.feeder.spare.len() < SPARE {
            self.feeder.spare.push(spare);
        }
        let Some(line) = self.lines.iter_mut().find(|line| line.stream == stream) else { return Ok(()) };
        let places = line.under_way.pop_front().unwrap_or_default();
        trouble.map_or(Ok(()), |trouble| Err(explain(self.path, &places, &trouble)))
    }

    /// Waits for what is under way; the first error of those that come back.
    fn wait_for_all(&mut self) -> Result<(), String> {
        let mut first = Ok(());
        while self.lines.iter().any(|line| !line.under_way.is_empty()) {
            let came = self.wait_for_one();
            first = first.and(came);
        }
        first
    }
}

impl Unit {
    fn add(&mut self, command: &PlainCommand<'_>, whose: Whose) {
        self.bytes.extend_from_slice(command.text);
        self.commands.push((self.bytes.len(), command.offset, whose));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], u64, Whose)> {
        let mut from = 0;
        self.commands.iter().map(move |(end, at, whose)| {
            let bytes = &self.bytes[from..*end];
            from = *end;
            (bytes, *at, *whose)
        })
    }

    fn emptied(mut self) -> Unit {
        self.commands.clear();
        self.bytes.clear();
        // One long command is not to be kept room for.
        self.bytes.shrink_to(PIECE);
        self
    }
}

fn whose(command: &PlainCommand<'_>, table: &Table<'_>) -> Whose {
    let args = command.args;
    match command.place {
        Place::Multi | Place::Exec => return Whose::Nobody,
        Place::Outside | Place::Within => {}
    }
    if args.len() == 2 && args.is(0, "select") {
        let db = parse_i64(args.at(1)).and_then(|db| u64::try_from(db).ok());
        // Of one that cannot be selected the shard tells.
        return db.filter(|db| *db < table.databases).map_or(Whose::Everybody, Whose::Select);
    }
    (table.owner)(args).map_or(Whose::Everybody, Whose::Shard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::persist::replay::Trouble;
    use glommio::LocalExecutorBuilder;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    const SHARDS: usize = 3;

    /// Commands as they ran: shard, database, text.
    type Ran = Vec<(usize, u64, String)>;

    /// A shard's number from a key that ends with it.
    fn owner(args: Args<'_>) -> Option<usize> {
        let key = (args.len() == 3 && args.is(0, "set")).then(|| args.at(1))?;
        Some(usize::from(*key.last()? - b'0') % SHARDS)
    }

    /// Deals a file out to shards that run all at once, but for those that fail.
    fn deal(file: &[u8], name: &str) -> (Result<Ended, String>, Ran) {
        let path = std::env::temp_dir().join(format!("kring-deal-{name}-{}", std::process::id()));
        std::fs::write(&path, file).expect("written");
        let ran: Arc<Mutex<Ran>> = Arc::default();
        let (log, mut dbs) = (ran.clone(), BTreeMap::new());
        let deliver = move |shard: usize, piece: Piece| {
            let db = dbs.entry(piece.stream).or_insert(0);
            let mut scan = PlainScan::new(0, i64::MAX);
            scan.push(&piece.bytes);
            let mut trouble = None;
            while let Some(command) = scan.next_command() {
                let words: Vec<String> =
                    command.args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
                if words[0] == "SELECT" && words[1] != "99" {
                    *db = words[1].parse().expect("a number");
                    continue;
                }
                if words[0] == "BAD" || words[0] == "SELECT" {
                    let at = command.offset as usize;
                    trouble.get_or_insert(Trouble { at, command: words[0].clone(), error: "no".into() });
                }
                log.lock().expect("nobody panics").push((shard, *db, words.join(" ")));
            }
            let replayed = Replayed { stream: piece.stream, spare: Vec::new(), trouble };
            piece.back.send(replayed).expect("it is waited for");
        };
        let mut feeder = Feeder::new(Box::new(deliver));
        let owner: Owner = Box::new(owner);
        let table = Table { owner: &owner, shards: SHARDS, databases: 16 };
        let executor = LocalExecutorBuilder::default().make().expect("an executor");
        let mut bytes = 0;
        let ended = executor.run(feeder.deal(&path, 0, &table, &mut |n| bytes += n));
        std::fs::remove_file(&path).expect("removed");
        assert!(ended.is_err() || bytes == file.len() as u64);
        let ran = std::mem::take(&mut *ran.lock().expect("nobody panics"));
        (ended, ran)
    }

    fn text(line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let words: Vec<&str> = line.split(' ').collect();
        command(&mut out, words.iter().map(|word| word.as_bytes()));
        out
    }

    /// What ran is what the file says: all of it, each shard's in order, and nothing passes by what is everybody's.
    #[test]
    fn order_is_kept_where_it_matters() {
        for (seed, everybody, long) in [(1, 200, 10), (2, 5_000, 100), (3, 30, 10), (4, 3_000, 2_000)] {
            let mut rng = seeded(seed);
            let mut below = |n: u64| xorshift(&mut rng) % n;
            let (mut file, mut db, mut expected) = (Vec::new(), 0, Vec::new());
            let mut in_multi = false;
            for i in 0..12_000 {
                let value = format!("{i}:{}", "v".repeat(below(long) as usize));
                let line = match below(everybody) {
                    0 => format!("FLUSHALL {i}"),
                    1..4 => {
                        db = below(16);
                        file.extend(text(&format!("select {db}").to_uppercase()));
                        continue;
                    }
                    4 | 5 => {
                        in_multi = !in_multi;
                        file.extend(text(if in_multi { "MULTI" } else { "EXEC" }));
                        continue;
                    }
                    _ => format!("SET key{} {value}", below(30)),
                };
                file.extend(text(&line));
                expected.push((db, line));
            }
            if in_multi {
                file.extend(text("EXEC"));
            }
            let (ended, ran) = deal(&file, "order");
            assert_eq!(ended.expect("all is well").tail, PlainTail::Clean);
            let ran: Vec<_> =
                ran.into_iter().filter(|(_, _, line)| line != "MULTI" && line != "EXEC").collect();
            let number = |line: &str| -> usize {
                let word = line.rsplit(' ').next().unwrap_or_default();
                word.split(':').next().unwrap_or_default().parse().expect("a number")
            };
            let mut sorted: Vec<_> = ran.iter().map(|(_, db, line)| (*db, line.clone())).collect();
            sorted.sort_by_key(|(_, line)| number(line));
            assert!(sorted == expected, "all of it, in its databases, seed {seed}");
            let mut last = BTreeMap::new();
            for (i, (_, db, line)) in ran.iter().enumerate() {
                let n = number(line);
                if line.starts_with("FLUSHALL") {
                    assert!(
                        ran[..i].iter().all(|(.., l)| number(l) < n),
                        "{line} runs when all before it have"
                    );
                    assert!(ran[i..].iter().all(|(.., l)| number(l) >= n), "and nothing behind it");
                } else {
                    let key = (*db, line.split(' ').nth(1).unwrap_or_default().to_owned());
                    assert!(last.insert(key, n).is_none_or(|before| before < n), "{line} in order");
                }
            }
            let shards: std::collections::BTreeSet<usize> = ran.iter().map(|(shard, ..)| *shard).collect();
            assert!(shards.len() == SHARDS || everybody < 1_000, "all have part in it, seed {seed}");
        }
    }

    #[test]
    fn what_is_cut_off_or_wrong_is_told_with_its_place() {
        let lines = ["SET a1 1", "SET a2 2", "MULTI", "SET a3 3", "SET a1 4"];
        let file: Vec<u8> = lines.iter().flat_map(|line| text(line)).collect();
        let whole = text(lines[0]).len() + text(lines[1]).len();
        let (ended, ran) = deal(&file, "cut");
        let ended = ended.expect("cut off is no error yet");
        assert_eq!((ended.valid, ended.tail), (whole as u64, PlainTail::Truncated { at: file.len() as u64 }));
        assert_eq!(ran.len(), 2, "the transaction has no end: {ran:?}");
        for (bad, command) in [("BAD x", "BAD"), ("SELECT 99", "SELECT"), ("SET a4 x", "")] {
            let file = [file[..whole].to_vec(), text("SELECT 3"), text(bad), text("SET a2 5")].concat();
            let (ended, ran) = deal(&file, "bad");
            if command.is_empty() {
                assert!(ended.is_ok() && ran.iter().any(|(_, db, line)| *db == 3 && line == "SET a4 x"));
                continue;
            }
            let at = whole + text("SELECT 3").len();
            let error = ended.expect_err("refused");
            assert!(
                error.contains(&format!("the command '{command}' at byte {at} cannot be run")),
                "{error}"
            );
        }
        let (ended, _) = deal(&[&file[..whole], b"nonsense\r\n"].concat(), "nonsense");
        assert!(ended.is_err_and(|e| e.contains("a command begins with '*'")));
    }
}
