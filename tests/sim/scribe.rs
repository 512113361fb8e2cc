//! The storage plane of the simulation: it takes the pieces of snapshots at a seed's will, fails now and then, and checks that
//! each file shows one instant: groups are whole and of one value, no money is on its way between accounts, nor a token between lists
//! that are large, and a stream that is large ends with the entry that another key names.

use crate::rng::Rng;
use crate::script::{BALANCE, HOARDS, RIVER, RIVER_MARK, Topics, hoard_token};
use kring::config::Config;
use kring::ds::Owned;
use kring::ds::list::End;
use kring::ds::stream::StreamId;
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

/// What is looked at of a file, by database and key.
#[derive(Default)]
struct Contents {
    strings: BTreeMap<(u64, String), String>,
    lists: BTreeMap<(u64, String), Vec<String>>,
    /// The first value of each entry.
    streams: BTreeMap<(u64, String), Vec<String>>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(file: &[u8]) -> Contents {
    let mut reader = Reader::new(true);
    reader.push(file);
    reader.finish();
    let reading = Reading { config: &Config::default(), seed: 1 };
    let mut found = Contents::default();
    loop {
        match reader.next_item().expect("it is whole").expect("it is whole") {
            Item::Entry(entry) => {
                let at = (entry.db, text(&entry.key));
                let value = match decode(entry.kind, &mut &entry.value[..], &reading) {
                    Ok(Owned::Int(n)) => n.to_string(),
                    Ok(Owned::Bytes(bytes)) => text(&bytes),
                    Ok(Owned::Boxed(Value::Str(bytes))) => text(&bytes),
                    Ok(Owned::Boxed(Value::List(list))) => {
                        let mut all = Vec::new();
                        list.each(0, usize::MAX, End::Front, |element| all.push(text(&element.to_vec())));
                        assert!(found.lists.insert(at, all).is_none(), "a list is in the file twice");
                        continue;
                    }
                    Ok(Owned::Boxed(Value::Stream(stream))) => {
                        let entries = stream.log.range(StreamId::MIN, StreamId::MAX);
                        let values = entries.flat_map(|entry| entry.fields().take(1));
                        let all = values.map(|(_, value)| text(&value.to_vec())).collect();
                        assert!(found.streams.insert(at, all).is_none(), "a stream is in the file twice");
                        continue;
                    }
                    Ok(_) => continue,
                    Err(_) => panic!("torn value of {at:?} in a snapshot"),
                };
                assert!(found.strings.insert(at, value).is_none(), "a string is in the file twice");
            }
            Item::End => return found,
            _ => {}
        }
    }
}

/// Every token is in one of the lists, once, and the last entry of the stream is the one that was named with it.
fn check_hoards(found: &Contents, topics: &Topics) {
    let lists = HOARDS.iter().filter_map(|name| found.lists.get(&(0, name.to_string())));
    let mut tokens: Vec<&String> = lists.flatten().collect();
    if !tokens.is_empty() {
        let mut all: Vec<String> = (0..topics.hoard).map(hoard_token).collect();
        tokens.sort();
        all.sort();
        let count = tokens.len();
        assert!(tokens.into_iter().eq(&all), "torn hoard in a snapshot: {count} tokens");
    }
    if let Some(mark) = found.strings.get(&(0, RIVER_MARK.into())) {
        let river = &found.streams[&(0, RIVER.into())];
        let whole = river.len() <= topics.hoard && river.last() == Some(mark);
        assert!(whole, "torn river in a snapshot: {} entries, {:?} is not {mark}", river.len(), river.last());
    }
}

fn check(file: &[u8], topics: &Topics) {
    let found = read(file);
    check_hoards(&found, topics);
    let found = found.strings;
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
