//! Reading a snapshot: from a file to batches for the shards that own its keys.

use super::sink::text;
use crate::persist::rdb::{Batch, Built, Entry, Item, Reader};
use crate::store::Route;
use glommio::LocalExecutorBuilder;
use glommio::io::{BufferedFile, DmaFile, DmaStreamReader, DmaStreamReaderBuilder};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Bytes read at a time, and how many such reads are ahead.
const READ: usize = 512 << 10;
const READS_AHEAD: usize = 4;
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
    let Load { path, check, route, databases, delay_us, deliver, built, progress, answer } = load;
    let mut dealer = Dealer {
        route,
        databases,
        batches: (0..route.shards()).map(|_| Batch::default()).collect(),
        under_way: vec![0; route.shards()],
        spare: Vec::new(),
        deliver,
        built,
        loaded: Loaded::default(),
    };
    let done = LocalExecutorBuilder::default().make().map_err(|e| e.to_string()).and_then(|executor| {
        let read = executor.run(read_file(&path, Reader::new(check), (&mut dealer, delay_us), &*progress));
        // Whatever happened, what is under way comes home: its shards are not to build when the answer is out.
        let home = dealer.wait_for_all();
        read.and(home)
    });
    let what = |why: String| format!("{}: {why}", path.display());
    answer(done.map(|()| dealer.loaded).map_err(what));
}

/// A file, read from its beginning.
enum Source {
    Direct(DmaStreamReader),
    Buffered { file: BufferedFile, at: u64 },
}

impl Source {
    async fn open(path: &Path) -> Result<(Source, u64), String> {
        match DmaFile::open(path).await {
            Ok(file) => {
                let len = file.file_size().await.map_err(text)?;
                let reader =
                    DmaStreamReaderBuilder::new(file).with_buffer_size(READ).with_read_ahead(READS_AHEAD);
                Ok((Source::Direct(reader.build()), len))
            }
            Err(_) => {
                let file = BufferedFile::open(path).await.map_err(text)?;
                let len = file.file_size().await.map_err(text)?;
                Ok((Source::Buffered { file, at: 0 }, len))
            }
        }
    }

    /// Pushes the next bytes into the reader; how many there were.
    async fn push_to(&mut self, reader: &mut Reader) -> Result<usize, String> {
        let bytes = match self {
            Source::Direct(stream) => stream.get_buffer_aligned(READ as u64).await.map_err(text)?,
            Source::Buffered { file, at } => {
                let bytes = file.read_at(*at, READ).await.map_err(text)?;
                *at += bytes.len() as u64;
                bytes
            }
        };
        reader.push(&bytes);
        Ok(bytes.len())
    }

    async fn close(self) {
        // It was read to its end: a failing close changes nothing.
        let _ = match self {
            Source::Direct(stream) => stream.close().await,
            Source::Buffered { file, .. } => file.close().await,
        };
    }
}

async fn read_file(
    path: &Path,
    mut reader: Reader,
    (dealer, delay_us): (&mut Dealer, f64),
    progress: &(dyn Fn(u64, u64) + Send),
) -> Result<(), String> {
    let (mut source, len) = Source::open(path).await.map_err(|e| format!("it cannot be opened: {e}"))?;
    dealer.loaded.direct = matches!(source, Source::Direct(_));
    progress(0, len);
    let mut owed_us = 0.0;
    loop {
        let got = source.push_to(&mut reader).await.map_err(|e| format!("it cannot be read: {e}"))?;
        if got == 0 {
            reader.finish();
        }
        while let Some(item) = reader.next_item().map_err(|e| e.to_string())? {
            if let Item::End = item {
                let at = reader.position();
                (dealer.loaded.bytes, dealer.loaded.left_over) = (at, len.saturating_sub(at));
                source.close().await;
                progress(len, len);
                return dealer.deliver_all();
            }
            owed_us += delay_us * matches!(item, Item::Entry(_)) as u8 as f64;
            dealer.take(item)?;
            if owed_us >= 1.0 {
                glommio::timer::sleep(Duration::from_micros(std::mem::take(&mut owed_us) as u64)).await;
                progress(reader.position(), len);
            }
        }
        progress(reader.position(), len);
    }
}

/// Deals entries out to their owners.
struct Dealer {
    route: Route,
    databases: u64,
    batches: Vec<Batch>,
    under_way: Vec<usize>,
    spare: Vec<Batch>,
    deliver: Box<dyn FnMut(usize, Batch) + Send>,
    built: Receiver<Built>,
    loaded: Loaded,
}

impl Dealer {
    fn take(&mut self, item: Item<'_>) -> Result<(), String> {
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match item {
            Item::Version(version) => self.loaded.version = version,
            Item::Aux { name, value } => self.loaded.aux.push((shown(&name), shown(&value))),
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
        let batch = std::mem::replace(&mut self.batches[shard], spare);
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

    fn wait_for_all(&mut self) -> Result<(), String> {
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
