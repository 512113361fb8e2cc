//! Reading a snapshot: from a file to batches for the shards that own its keys.

use super::executor;
use super::source::Source;
use crate::persist::rdb::{Batch, Built, Entry, Item, Reader};
use crate::store::Route;
use glommio::LocalExecutorBuilder;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A batch goes to its shard when it has so many bytes.
const BATCH: usize = 64 << 10;
/// Batches of one shard under way at a time.
const BATCHES: usize = 16;

/// A snapshot to read.
pub struct Load {
    pub path: PathBuf,
    /// Whether its checksum is compared.
    pub check: bool,
    pub route: Route,
    pub databases: u64,
    /// Microseconds to wait for each entry.
    pub delay_us: f64,
    /// Gives a batch to a shard.
    pub deliver: Box<dyn FnMut(usize, Batch) + Send>,
    /// Batches that were built come back here.
    pub built: Receiver<Built>,
    /// Is told of bytes done, and of all.
    pub progress: Box<dyn Fn(u64, u64) + Send>,
    /// Is told of the memory that the dataset took where it was written, in bytes.
    pub used_mem: Box<dyn Fn(u64) + Send>,
    pub answer: Box<dyn FnOnce(Result<Loaded, String>) + Send>,
}

/// A snapshot that was read.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Loaded {
    pub version: u32,
    pub bytes: u64,
    pub keys: u64,
    pub expired: u64,
    /// Collections without elements, which were left out.
    pub empty: u64,
    pub aux: Vec<(String, String)>,
    /// Sources of libraries of functions.
    pub libraries: Vec<Vec<u8>>,
    /// Bytes behind the end.
    pub left_over: u64,
    /// Whether it was read around the page cache.
    pub direct: bool,
}

/// Reads it.
pub(super) fn load(load: Load) {
    let Load { path, check, route, databases, delay_us, deliver, built, progress, used_mem, answer } = load;
    let mut dealer = Dealer::new(route, databases, deliver, built, used_mem);
    let work = read_file(&path, Reader::new(check), (&mut dealer, delay_us), &progress);
    let read = executor::run(LocalExecutorBuilder::default(), work).flatten();
    // Whatever happened, what is under way comes home: its shards are not to build when the answer is out.
    let home = dealer.wait_for_all();
    let done = read.and(home);
    let what = |why: String| format!("{}: {why}", path.display());
    answer(done.map(|()| dealer.loaded).map_err(what));
}

/// Reads a snapshot from the beginning of a file to its own end, and deals its entries out.
pub(super) async fn read_file(
    path: &Path,
    mut reader: Reader,
    (dealer, delay_us): (&mut Dealer, f64),
    progress: &dyn Fn(u64, u64),
) -> Result<(), String> {
    let (mut source, len) =
        Source::open(path, 0, None).await.map_err(|e| format!("it cannot be opened: {e}"))?;
    dealer.loaded.direct = source.is_direct();
    progress(0, len);
    let mut owed_us = 0.0;
    loop {
        let bytes = source.next().await.map_err(|e| format!("it cannot be read: {e}"))?;
        if bytes.is_empty() {
            reader.finish();
        } else {
            reader.push(&bytes);
        }
        while let Some(item) = reader.next_item().map_err(|e| e.to_string())? {
            if let Item::End = item {
                let at = reader.position();
                (dealer.loaded.bytes, dealer.loaded.left_over) = (at, len.saturating_sub(at));
                source.close().await;
                progress(at, len);
                return dealer.deliver_all();
            }
            owed_us += delay_us * matches!(item, Item::Entry(_)) as u8 as f64;
            dealer.take(item)?;
            if owed_us >= 1.0 {
                std::thread::sleep(Duration::from_micros(std::mem::take(&mut owed_us) as u64));
                progress(reader.position(), len);
            }
        }
        progress(reader.position(), len);
    }
}

/// Deals entries out to their owners.
pub(super) struct Dealer {
    route: Route,
    databases: u64,
    batches: Vec<Batch>,
    under_way: Vec<usize>,
    spare: Vec<Batch>,
    deliver: Box<dyn FnMut(usize, Batch) + Send>,
    built: Receiver<Built>,
    used_mem: Box<dyn Fn(u64) + Send>,
    /// Keys past their time are kept.
    pub keeps_past: bool,
    pub loaded: Loaded,
}

impl Dealer {
    pub fn new(
        route: Route,
        databases: u64,
        deliver: Box<dyn FnMut(usize, Batch) + Send>,
        built: Receiver<Built>,
        used_mem: Box<dyn Fn(u64) + Send>,
    ) -> Dealer {
        Dealer {
            route,
            databases,
            batches: (0..route.shards()).map(|_| Batch::default()).collect(),
            under_way: vec![0; route.shards()],
            spare: Vec::new(),
            deliver,
            built,
            used_mem,
            keeps_past: false,
            loaded: Loaded::default(),
        }
    }

    fn take(&mut self, item: Item<'_>) -> Result<(), String> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match item {
            Item::Version(version) => self.loaded.version = version,
            Item::Aux { name, value } => {
                if *name == *b"used-mem" {
                    (self.used_mem)(shown(&value).parse().unwrap_or(0));
                }
                self.loaded.aux.push((shown(&name), shown(&value)));
            }
            Item::Library(source) => self.loaded.libraries.push(source.into_owned()),
            Item::Sizes { .. } | Item::End => {}
            Item::Entry(entry) => return self.deal(&entry),
        }
        Ok(())
    }

    fn deal(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        if entry.db >= self.databases {
            return Err(format!(
                "it holds keys of database {}, but databases is {}: raise it to load the file",
                entry.db, self.databases
            ));
        }
        let shard = self.route.owner(&entry.key);
        self.batches[shard].push(entry);
        if self.batches[shard].weight() >= BATCH { self.deliver(shard) } else { Ok(()) }
    }

    /// Gives a shard its batch, once it has built enough of those before.
    fn deliver(&mut self, shard: usize) -> Result<(), String> {
        while self.under_way[shard] >= BATCHES {
            self.wait_for_one()?;
        }
        let spare = self.spare.pop().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.batches[shard], spare);
        batch.keeps_past = self.keeps_past;
        self.under_way[shard] += 1;
        (self.deliver)(shard, batch);
        Ok(())
    }

    fn deliver_all(&mut self) -> Result<(), String> {
        (0..self.batches.len())
            .filter(|s| !self.batches[*s].is_empty())
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|s| self.deliver(s))
    }

    /// A batch comes back.
    fn wait_for_one(&mut self) -> Result<(), String> {
        let built = self.built.recv().map_err(|_| "the shards have stopped")?;
        self.under_way[built.shard] -= 1;
        self.loaded.keys += built.keys;
        self.loaded.expired += built.expired;
        self.loaded.empty += built.empty;
        self.spare.push(built.batch);
        built.trouble.map_or(Ok(()), Err)
    }

    pub fn wait_for_all(&mut self) -> Result<(), String> {
        let mut first = Ok(());
        while self.under_way.iter().any(|n| *n > 0) {
            let built = self.wait_for_one();
            if first.is_ok() {
                first = built;
            }
            if self.under_way.iter().any(|n| *n > 0)
                && first.as_ref().is_err_and(|e| e.contains("have stopped"))
            {
                break;
            }
        }
        first
    }
}
