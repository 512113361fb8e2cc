//! The files that were written last, when the process or the machine died: where they have to be cut, and the cutting.
//!
//! A file may end within a write, several writes may be torn, and a transaction may have reached some of its shards only. None of
//! that was known to be on the disk for good. Whatever else is missing or changed is damage, which no cut mends.

use super::dir::Note;
use super::feed::{appended, damaged};
use super::files;
use super::survey::{Found, PAYLOAD_MAX};
use crate::persist::aof::{Commands, Cut, Log, Malformed, Scan, Tail, Tear, recover};
use crate::storage::source::Source;

type Result<T> = std::result::Result<T, String>;

/// A file of the last generation, read once to see how far it goes.
#[derive(Clone, Debug)]
pub struct Seen {
    pub found: Found,
    pub log: Log,
    /// Where its last whole frame ends.
    pub end: u64,
    /// Whether the last of them closes it.
    pub closed: bool,
    /// Where commands without frames begin behind them: Redis went on with this file.
    pub appended: Option<u64>,
    pub frames: u64,
    /// What stands behind that, if it is no blank.
    pub tear: Option<Tear>,
}

/// Where such a file is cut.
#[derive(Clone, Debug)]
pub struct Mend {
    pub found: Found,
    pub cut: Cut,
    /// Whether more goes than blank space.
    pub loses: bool,
    /// As in [`Seen`]: such a file is not cut.
    pub appended: Option<u64>,
    pub tear: Option<Tear>,
}

impl Mend {
    /// What goes, in words.
    pub fn lost(&self) -> String {
        let Mend { cut, found, tear, .. } = self;
        let name = found.path.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = Vec::new();
        if let Some(tear) = tear {
            parts.push(format!("torn {tear}"));
        }
        if cut.dropped_frames > 0 {
            let n = cut.dropped_transactions.len();
            parts.push(format!(
                "{} whole frames that rest on {n} transaction{} not present at every participant",
                cut.dropped_frames,
                if n == 1 { "" } else { "s" }
            ));
        }
        let gone = found.len - cut.end;
        format!("{name} ends at byte {} of {}: {gone} bytes go ({})", cut.end, found.len, parts.join("; "))
    }
}

/// Reads a file to see how far it goes, and what is in its frames if `commands` shall look.
pub(super) async fn see(
    found: &Found,
    shard: usize,
    mut commands: Option<&mut Commands>,
    read: &mut dyn FnMut(u64),
) -> Result<Seen> {
    let name = found.path.display();
    let (mut source, _) = Source::open(&found.path, 0, None).await.map_err(|e| format!("{name}: {e}"))?;
    let (mut scan, mut log) = (Scan::new(PAYLOAD_MAX), Log::new(shard));
    while scan.tail().is_none() {
        let bytes = source.next().await.map_err(|e| format!("{name}: {e}"))?;
        match bytes.len() {
            0 => scan.finish(),
            _ => scan.push(&bytes),
        }
        read(bytes.len() as u64);
        while let Some(frame) = scan.next_frame() {
            log.push(&frame);
            let Some(commands) = &mut commands else { continue };
            commands.restart();
            loop {
                match commands.next(frame.payload) {
                    Ok(None) => break,
                    Ok(Some(_)) => {}
                    Err(e) => {
                        let e = Malformed { at: frame.payload_at + e.at, ..e };
                        return Err(format!("{name}: {}", damaged(&format!("in that {e}"))));
                    }
                }
            }
        }
    }
    source.close().await;
    let appended = scan.tail().and_then(appended);
    let tear = match scan.tail() {
        _ if appended.is_some() => None,
        Some(Tail::Damaged(tear)) => return Err(format!("{name}: {}", damaged(&tear.to_string()))),
        Some(Tail::Torn(tear)) => Some(tear.clone()),
        Some(Tail::Clean) | None => None,
    };
    if scan.frames() == 0 {
        return Err(format!("{name}: its first frame is damaged; restore it from a backup"));
    }
    Ok(Seen {
        found: found.clone(),
        log,
        end: scan.end(),
        frames: scan.frames(),
        closed: scan.is_closed(),
        appended,
        tear,
    })
}

/// Where the files of a generation are cut. Redis goes on with the last file of whole ones only.
pub(super) fn mends(seen: Vec<Seen>) -> Result<Vec<Mend>> {
    let logs: Vec<Log> = seen.iter().map(|seen| seen.log.clone()).collect();
    let cuts = recover(&logs);
    let is_half = |(seen, cut): &(&Seen, &Cut)| seen.closed && cut.dropped_frames > 0;
    if let Some((seen, cut)) = seen.iter().zip(&cuts).find(is_half) {
        let path = seen.found.path.display();
        return Err(format!("{path}: {}", damaged(&half_of_closed(cut))));
    }
    let mend = |(seen, cut): (Seen, Cut)| {
        let loses = seen.tear.is_some() || cut.dropped_frames > 0;
        Mend { found: seen.found, cut, loses, appended: seen.appended, tear: seen.tear }
    };
    let mends: Vec<Mend> = seen.into_iter().zip(cuts).map(mend).collect();
    let went_on = mends.iter().position(|mend| mend.appended.is_some());
    if let Some(i) = went_on
        && (i + 1 < mends.len() || mends.iter().any(|mend| mend.loses))
    {
        let path = &mends[i].found.path;
        let what = "commands without frames follow its frames, but the log before them is not whole";
        return Err(format!("{}: {}", path.display(), damaged(what)));
    }
    Ok(mends)
}

/// A file that was closed has parts of transactions that are not at every participant: when it was closed, all were on the disk.
fn half_of_closed(cut: &Cut) -> String {
    let n = cut.dropped_transactions.len();
    format!(
        "or a file beside it is: from byte {} on, parts of {n} transactions are missing in files of other shards",
        cut.end
    )
}

/// Cuts files, durably, and says what goes.
pub(super) fn cut(mends: &[Mend]) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    let cut = |mend: &&Mend| mend.appended.is_none() && mend.cut.end < mend.found.len;
    for mend in mends.iter().filter(cut) {
        files::cut(&[(&mend.found.path, mend.cut.end)])?;
        if mend.loses {
            notes.push(Note::warn(format!("The log was cut where it is whole: {}", mend.lost())));
        }
    }
    Ok(notes)
}
