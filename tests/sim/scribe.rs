//! The storage plane of the simulation: it takes the pieces of snapshots at a seed's will, fails now and then, and checks that
//! each file shows one instant: groups are whole and of one value, and no money is on its way between accounts.

use crate::rng::Rng;
use crate::script::{BALANCE, Topics};
use kring::config::Config;
use kring::ds::Owned;
use kring::persist::dump;
use kring::persist::rdb::{Assembly, Item, Order, Piece, Reader};
use kring::persist::value::{Reading, decode};
use kring::shard::SaveRequest;
use kring::store::Value;
use kring::store::log::write;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// Per thousand pieces: the disk fails.
const FAILURES: usize = 30;

/// A snapshot that is being written.
struct Open {
    request: SaveRequest,
    assembly: Assembly,
    file: Vec<u8>,
    order: Order,
    /// Shards that still walk.
    walking: usize,
}

/// See the module's text.
pub struct Scribe {
    asked: Arc<Mutex<VecDeque<SaveRequest>>>,
    open: Option<Open>,
    /// What shard 0 is to be told.
    pub answers: VecDeque<Result<(), String>>,
    /// Files that were completed.
    pub files: u64,
    /// The base of a log that was completed last, and the last other file.
    pub base: Option<Vec<u8>>,
    pub last: Option<Vec<u8>>,
}

impl Scribe {
    /// Who takes what the shards ask for.
    pub fn new(asked: Arc<Mutex<VecDeque<SaveRequest>>>) -> Scribe {
        Scribe { asked, open: None, answers: VecDeque::new(), files: 0, base: None, last: None }
    }

    /// Takes one piece, if one is there.
    pub fn work(&mut self, rng: &mut Rng, topics: &Topics) {
        if self.open.is_none() {
            let Some(request) = self.asked.lock().expect("one thread").pop_front() else { return };
            let mut assembly = Assembly::new(request.sum, request.compress);
            let file = assembly.raw(request.head.clone());
            let walking = request.inbox.shards();
            self.open = Some(Open { request, assembly, file, walking, order: Order::default() });
        }
        let Some(open) = &mut self.open else { return };
        open.request.inbox.try_next().into_iter().for_each(|piece| open.order.push(piece));
        let Some(piece) = open.order.pop() else { return };
        if rng.permille(FAILURES) {
            self.open = None;
            return self.answers.push_back(Err("the disk is full".into()));
        }
        match piece {
            Piece::Entries { shard, db, kept } => {
                let weight = kept.weight();
                open.assembly.piece(db, kept).iter().for_each(|part| open.file.extend_from_slice(part));
                open.request.inbox.written(shard, weight);
            }
            Piece::Through => open.walking -= 1,
            Piece::GivenUp => {}
        }
        if open.walking == 0 {
            open.file.extend(open.assembly.end());
            check(&open.file, topics);
            let open = self.open.take().expect("just seen");
            if open.request.path.extension().is_some_and(|e| e == "base") {
                self.base = Some(open.file);
            } else {
                self.last = Some(open.file);
            }
            self.files += 1;
            self.answers.push_back(Ok(()));
        }
    }
}

/// A base as commands.
pub fn as_commands(file: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(true);
    reader.push(file);
    reader.finish();
    let mut out = Vec::new();
    loop {
        match reader.next_item().expect("it is whole").expect("it is whole") {
            Item::Entry(entry) => {
                let db = entry.db.to_string();
                let words: [&[u8]; 2] = [b"SELECT", db.as_bytes()];
                write(&mut out, words.into_iter());
                let dump = dump::payload(entry.kind, entry.value);
                let words: [&[u8]; 4] = [b"RESTORE", &entry.key, b"0", &dump];
                write(&mut out, words.into_iter());
            }
            Item::End => return out,
            _ => {}
        }
    }
}

/// The strings of a file, by database and key.
fn read(file: &[u8]) -> BTreeMap<(u64, String), String> {
    let mut reader = Reader::new(true);
    reader.push(file);
    reader.finish();
    let reading = Reading { config: &Config::default(), seed: 1 };
    let mut found = BTreeMap::new();
    loop {
        match reader.next_item().expect("it is whole").expect("it is whole") {
            Item::Entry(entry) => {
                let key = String::from_utf8_lossy(&entry.key).into_owned();
                let value = match decode(entry.kind, &mut &entry.value[..], &reading) {
                    Ok(Owned::Int(n)) => n.to_string(),
                    Ok(Owned::Bytes(text)) => String::from_utf8_lossy(&text).into_owned(),
                    Ok(Owned::Boxed(Value::Str(text))) => String::from_utf8_lossy(&text).into_owned(),
                    _ => continue,
                };
                assert!(found.insert((entry.db, key.clone()), value).is_none(), "{key} is in the file twice");
            }
            Item::End => return found,
            _ => {}
        }
    }
}

fn check(file: &[u8], topics: &Topics) {
    let found = read(file);
    let mut groups: BTreeMap<(u64, &str), Vec<&String>> = BTreeMap::new();
    for ((db, key), value) in &found {
        if let Some((group, _)) = key.split_once(':').filter(|(group, _)| group.starts_with('g')) {
            groups.entry((*db, group)).or_default().push(value);
        }
    }
    for ((db, group), values) in groups {
        let whole = values.len() == topics.width && values.iter().all(|v| *v == values[0]);
        assert!(whole, "torn group {group} of database {db} in a snapshot: {values:?}");
    }
    let account = |i: usize| found.get(&(0, format!("a{i}"))).and_then(|v| v.parse::<i64>().ok());
    if let Some(balances) = (0..topics.accounts).map(account).collect::<Option<Vec<i64>>>() {
        let sum: i64 = balances.iter().sum();
        assert_eq!(sum, topics.accounts as i64 * BALANCE as i64, "money in a snapshot: {balances:?}");
    }
}
