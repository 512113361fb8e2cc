//! Writing a snapshot: from the pieces that shards send to a file with its name.

use super::executor::{self, Share, rest};
use super::sink::Sink;
use crate::persist::rdb::{Assembly, Inbox, Order, Piece};
use glommio::LocalExecutorBuilder;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the writer sleeps when no piece is there. Blocks under way get on meanwhile.
const PAUSE: Duration = Duration::from_micros(500);

/// Memory that the kernel pins for an executor, and entries of each of its rings. Few: blocks come from the heap as well, and the default
/// of 10 MiB, zeroed and pinned in one call, held a core that it shares with a shard for 4 to 9 ms.
const PINNED: usize = 64 << 10;
const RING: usize = 16;

/// How long the writer sleeps at a time when it is told to be slow, in microseconds: then it looks whether it is wanted still.
const NAP_US: f64 = 10_000.0;

/// A snapshot to write.
pub struct Save {
    /// The name that the file gets when it is complete.
    pub path: PathBuf,
    /// Somebody does nothing else until it is done.
    pub is_awaited: bool,
    /// What it begins with.
    pub head: Vec<u8>,
    /// Whether it ends with a checksum.
    pub sum: bool,
    pub compress: bool,
    /// Microseconds to wait for each entry.
    pub delay_us: f64,
    pub inbox: Inbox,
    /// Is told of entries and bytes as they come.
    pub progress: Box<dyn Fn(u64, u64) + Send>,
    pub answer: Box<dyn FnOnce(Result<Saved, String>) + Send>,
}

/// A snapshot that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saved {
    pub bytes: u64,
    pub entries: u64,
    /// Whether it went around the page cache.
    pub direct: bool,
}

/// Writes it; the file of that name is the old one or the new one, whatever happens.
pub(super) fn save(save: Save) {
    let Save { path, is_awaited, head, sum, compress, delay_us, inbox, progress, answer } = save;
    // It may take long, and if nobody waits for it clients who want the same core come first: from the start, since an executor that was
    // made at the common priority held a shard on its core for up to 1.8 ms. (A load comes first, at full speed.)
    let share = if is_awaited { Share::common() } else { Share::least() };
    let builder = LocalExecutorBuilder::default().io_memory(PINNED).ring_depth(RING);
    let work = write_file(&path, head, Assembly::new(sum, compress), (&inbox, delay_us), (&*progress, share));
    let done = executor::run(builder, work).flatten();
    // Shards that still send learn from the lost line that nobody listens.
    drop(inbox);
    answer(done);
}

/// The name that the file has while it grows. It is always the same one: what a killed process leaves is overwritten.
fn temporary(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    Some(path.with_file_name(format!("temp-{name}")))
}

async fn write_file(
    path: &Path,
    head: Vec<u8>,
    mut assembly: Assembly,
    pieces: (&Inbox, f64),
    (progress, share): (&(dyn Fn(u64, u64) + Send), Share),
) -> Result<Saved, String> {
    let name = temporary(path).ok_or("dbfilename is empty")?;
    let mut sink =
        Sink::create(name.clone()).await.map_err(|e| format!("cannot open {}: {e}", name.display()))?;
    match write_pieces(&mut sink, head, &mut assembly, pieces, (progress, share)).await {
        Ok(()) => {
            let saved = Saved { bytes: sink.len(), entries: assembly.entries(), direct: sink.is_direct() };
            let finished = sink.finish(path).await;
            finished.map(|()| saved).map_err(|e| {
                let _ = std::fs::remove_file(&name);
                format!("cannot complete {}: {e}", path.display())
            })
        }
        Err(why) => {
            sink.discard().await;
            Err(why)
        }
    }
}

async fn write_pieces(
    sink: &mut Sink,
    head: Vec<u8>,
    assembly: &mut Assembly,
    (inbox, delay_us): (&Inbox, f64),
    (progress, mut share): (&(dyn Fn(u64, u64) + Send), Share),
) -> Result<(), String> {
    let failed = |e: String| format!("cannot write the snapshot: {e}");
    sink.write(&assembly.raw(head)).await.map_err(failed)?;
    let (mut walking, mut order, mut owed_us) = (inbox.shards(), Order::default(), 0.0);
    while walking > 0 {
        share.look();
        if inbox.is_given_up() {
            return Err("it was given up".into());
        }
        let came = inbox.try_next();
        let is_idle = came.is_none();
        came.into_iter().for_each(|piece| order.push(piece));
        match order.pop() {
            None if is_idle => rest(PAUSE).await,
            None => {}
            Some(Piece::Entries { shard, db, kept }) => {
                if let Some(trouble) = kept.trouble {
                    return Err(trouble);
                }
                let weight = kept.weight();
                owed_us += delay_us * kept.entries as f64;
                while owed_us >= 1.0 && !inbox.is_given_up() {
                    let began = Instant::now();
                    rest(Duration::from_micros(owed_us.min(NAP_US) as u64)).await;
                    // On a busy machine a nap is longer than it should be: the next ones are shorter.
                    owed_us -= began.elapsed().as_secs_f64() * 1e6;
                }
                for bytes in assembly.piece(db, kept) {
                    sink.write(&bytes).await.map_err(failed)?;
                }
                inbox.written(shard, weight);
                progress(assembly.entries(), sink.len());
            }
            Some(Piece::Through) => walking -= 1,
            Some(Piece::GivenUp) => {}
        }
    }
    sink.write(&assembly.end()).await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::table::Kept;
    use crate::persist::rdb::{Item, Reader, line, write};
    use std::sync::mpsc::channel;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("kring-save-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        dir
    }

    fn pieces(n: usize) -> Kept {
        let mut kept = Kept::default();
        for i in 0..n {
            let value = crate::ds::View::Bytes(b"some value that is not short");
            write::entry(
                &mut kept.bytes,
                format!("key:{i}").as_bytes(),
                value,
                Default::default(),
                (10, false),
            )
            .expect("it fits");
            kept.entries += 1;
        }
        kept
    }

    fn run(path: &Path, send: impl FnOnce(&crate::persist::rdb::Line)) -> Result<Saved, String> {
        let (line, inbox) = line(2);
        send(&line);
        let mut head = Vec::new();
        write::header(&mut head, 10);
        let (to, from) = channel();
        let answer = Box::new(move |result| to.send(result).expect("the test waits"));
        let progress = Box::new(|_, _| {});
        save(Save {
            path: path.into(),
            is_awaited: false,
            head,
            sum: true,
            compress: true,
            delay_us: 0.0,
            inbox,
            progress,
            answer,
        });
        from.recv().expect("answered")
    }

    fn count(path: &Path) -> u64 {
        let mut reader = Reader::new(true);
        reader.push(&std::fs::read(path).expect("it is there"));
        reader.finish();
        let mut entries = 0;
        loop {
            match reader.next_item().expect("it is whole") {
                Some(Item::Entry(_)) => entries += 1,
                Some(Item::End) => return entries,
                Some(_) => {}
                None => panic!("it ends"),
            }
        }
    }

    #[test]
    fn files_of_any_size_are_written_whole() {
        let dir = scratch("sizes");
        let path = dir.join("dump.rdb");
        for n in [0, 1, 80, 11_000, 60_000] {
            let saved = run(&path, |line| {
                assert!(line.send(0, 0, pieces(n)));
                line.send(1, 3, pieces(n / 2));
                line.through();
                line.through();
            })
            .expect("written");
            assert_eq!((saved.entries, count(&path)), ((n + n / 2) as u64, saved.entries));
            assert_eq!(std::fs::metadata(&path).expect("there").len(), saved.bytes);
            assert_eq!(std::fs::read_dir(&dir).expect("listed").count(), 1, "no temporary file is left");
        }
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn an_entry_in_several_pieces_stays_together() {
        let dir = scratch("together");
        let path = dir.join("dump.rdb");
        let part = |bytes: &[u8], goes_on| Kept { bytes: bytes.to_vec(), goes_on, ..Kept::default() };
        let saved = run(&path, |line| {
            let (one, two) = (pieces(1_000).bytes, pieces(700).bytes);
            line.send(0, 0, Kept { entries: 1_000, ..part(&one[..5_000], true) });
            line.send(1, 2, Kept { entries: 700, ..part(&two[..301], true) });
            line.send(1, 2, part(&two[301..20_000], true));
            line.send(0, 0, part(&one[5_000..30_000], true));
            line.send(1, 2, part(&two[20_000..], false));
            line.send(1, 2, pieces(30));
            line.through();
            line.send(0, 0, part(&one[30_000..], false));
            line.send(0, 1, pieces(20));
            line.through();
        })
        .expect("written");
        assert_eq!((saved.entries, count(&path)), (1_750, 1_750));
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_fails_leaves_the_old_file() {
        let dir = scratch("fails");
        let path = dir.join("dump.rdb");
        std::fs::write(&path, "old").expect("written");
        let failing: [fn(&crate::persist::rdb::Line); 2] = [
            |line| {
                line.send(0, 0, pieces(30_000));
                line.give_up();
            },
            |line| {
                let mut kept = pieces(1);
                kept.trouble = Some("too new".into());
                line.send(0, 0, kept);
            },
        ];
        for send in failing {
            assert!(run(&path, send).is_err());
            assert_eq!(std::fs::read(&path).expect("there"), b"old");
            assert_eq!(std::fs::read_dir(&dir).expect("listed").count(), 1);
        }
        let nowhere = run(&dir.join("no/dump.rdb"), |line| (0..2).for_each(|_| line.through()));
        assert!(nowhere.is_err_and(|e| e.contains("No such file")));
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
