//! The commands of a log, shown to people or to another server.

use super::check::{Listener, Problem, Result, Verdict, each_entry, each_plain, run, survey, tell};
use super::commands::{command, entry_commands};
use super::feed::{appended, damaged};
use super::survey::{Found, PAYLOAD_MAX, places};
use crate::base::number::parse_i64;
use crate::persist::aof::{
    Commands, Content, Held, Item, Merge, Opened, PlainScan, PlainTail, Readable, Scan, Stage, Tail, Turn,
};
use crate::resp::Args;
use crate::storage::source::Source;
use std::path::Path;

/// How commands are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As a client would send them.
    Resp,
    /// As lines for people.
    Text,
}

/// Shows the commands of a log, from its base to its last whole command. Where one does not end as it should, nothing is shown that came
/// later, and the verdict is that it is damaged: who pipes it into another server must know that it is not all.
pub fn show(path: &Path, form: Form, out: &mut dyn FnMut(&[u8]), to: &mut dyn Listener) -> Verdict {
    let done = run(async {
        let survey = survey(path)?;
        survey.warning.iter().for_each(|warning| to.bad(&format!("warning: {warning}")));
        let mut show = Show { out, form, shown_db: 0, flaw: None };
        if let Some(base) = &survey.base {
            show.one(base).await?;
            show.is_whole()?;
        }
        for stage in &survey.stages {
            let found = &survey.incr[places(stage)];
            match (stage, form) {
                (Stage::Plain { .. }, _) => show.one(&found[0]).await?,
                (_, Form::Text) => show.merged(found).await?,
                (_, Form::Resp) => {
                    for file in found {
                        show.framed(file).await?;
                    }
                }
            }
            show.is_whole()?;
        }
        Ok(())
    });
    match done {
        Ok(()) => Verdict::Whole,
        Err(problem) => tell(problem, to),
    }
}

struct Show<'a> {
    out: &'a mut dyn FnMut(&[u8]),
    form: Form,
    /// The database that is selected by what was shown.
    shown_db: i64,
    /// The first thing that was not as it should be at the end of a file. Those beside it are shown all the same.
    flaw: Option<String>,
}

impl Show<'_> {
    /// Whether all files so far were shown to their ends.
    fn is_whole(&mut self) -> Result<()> {
        self.flaw.take().map_or(Ok(()), |flaw| Err(Problem::Damaged(flaw)))
    }

    /// A file that is no part of a generation of several.
    async fn one(&mut self, found: &Found) -> Result<()> {
        match found.content {
            Content::Framed if self.form == Form::Text => self.merged(std::slice::from_ref(found)).await,
            Content::Framed => self.framed(found).await,
            Content::Rdb => {
                let end = self.snapshot(found).await?;
                self.plain(found, end).await
            }
            Content::Plain | Content::Blank | Content::Unknown => self.plain(found, 0).await,
        }
    }

    /// A snapshot, as the commands that make it: where it ends.
    async fn snapshot(&mut self, found: &Found) -> Result<u64> {
        let (mut readable, mut db, mut text) = (Readable::new(1, i64::MAX), 0, Vec::new());
        let (out, form) = (&mut *self.out, self.form);
        let (_, end) = each_entry(&found.path, &mut |entry| {
            let bytes = entry_commands(entry, &mut db).ok_or("a value is damaged")?;
            if form == Form::Resp {
                out(&bytes);
                return Ok(());
            }
            let mut scan = PlainScan::new(0, i64::MAX);
            scan.push(&bytes);
            text.clear();
            while let Some(command) = scan.next_command() {
                readable.command(&mut text, 0, command.args);
            }
            out(&text);
            Ok(())
        })
        .await?;
        self.shown_db = db as i64;
        Ok(end)
    }

    /// Commands without frames, from a place in a file on.
    async fn plain(&mut self, found: &Found, from: u64) -> Result<()> {
        let (mut readable, mut text) = (Readable::new(1, i64::MAX), Vec::new());
        let (out, form, shown_db) = (&mut *self.out, self.form, &mut self.shown_db);
        let mut db = 0;
        let (tail, _) = each_plain(&found.path, from, &mut |_| {}, &mut |command| {
            text.clear();
            match form {
                Form::Text => readable.plain(&mut text, 0, command),
                Form::Resp => resp(&mut text, command.args, &mut db, shown_db),
            }
            out(&text);
        })
        .await?;
        let what = match tail {
            PlainTail::Clean => return Ok(()),
            PlainTail::Malformed(what) => damaged(&format!("in that {what}")),
            PlainTail::Truncated { at } => {
                format!("it ends within a command or a transaction (at byte {at}), which is not shown")
            }
        };
        self.flaw.get_or_insert(format!("{}: {what}", found.path.display()));
        Ok(())
    }

    /// A file of frames, for itself.
    async fn framed(&mut self, found: &Found) -> Result<()> {
        let (mut frames, mut commands, mut text) =
            (Frames::open(found).await?, Commands::new(i64::MAX), Vec::new());
        let mut db = 0;
        while let Some(held) = frames.next().await? {
            commands.restart();
            text.clear();
            while let Some(item) = commands.next(&held.payload).map_err(|e| frames.problem(&e.to_string()))? {
                if let Item::Command(args) = item {
                    resp(&mut text, args, &mut db, &mut self.shown_db);
                }
            }
            (self.out)(&text);
        }
        self.went_on(found, &frames).await
    }

    /// What Redis has appended behind a file's frames.
    async fn went_on(&mut self, found: &Found, frames: &Frames) -> Result<()> {
        if let Some(from) = frames.scan.tail().and_then(appended) {
            return self.plain(found, from).await;
        }
        self.note_end(frames);
        Ok(())
    }

    /// A file of frames was shown.
    fn note_end(&mut self, frames: &Frames) {
        let what = match frames.scan.tail() {
            Some(Tail::Torn(tear)) => format!("it is torn {tear}"),
            Some(Tail::Damaged(tear)) => damaged(&tear.to_string()),
            Some(Tail::Clean) | None => return,
        };
        self.flaw.get_or_insert(format!("{}: {what}", frames.name));
    }

    /// The files of a generation, in the order of time as far as it is known.
    async fn merged(&mut self, found: &[Found]) -> Result<()> {
        let (mut readable, mut text) = (Readable::new(found.len(), i64::MAX), Vec::new());
        let shard = |f: &Found| match &f.opened {
            Opened::Framed(info) => usize::from(info.shard),
            Opened::Blank | Opened::Plain => 0,
        };
        if let Some(Opened::Framed(info)) = found.first().map(|f| &f.opened) {
            readable.file(&mut text, info);
        }
        let shards: Vec<usize> = found.iter().map(shard).collect();
        let mut merge = Merge::new(shards.iter().copied());
        let mut files = Vec::new();
        for file in found {
            files.push(Frames::open(file).await?);
        }
        loop {
            match merge.next_turn() {
                Turn::Feed(i) => {
                    let next = files[i].next().await?;
                    merge.feed(i, next);
                }
                Turn::Show(i, held) => {
                    let shown = readable.frame(&mut text, i, shards[i], &held);
                    shown.map_err(|e| files[i].problem(&e.to_string()))?;
                    (self.out)(&text);
                    text.clear();
                }
                Turn::Done => break,
            }
        }
        let Some((last, others)) = files.split_last() else { return Ok(()) };
        others.iter().for_each(|frames| self.note_end(frames));
        match found.last() {
            Some(found) => self.went_on(found, last).await,
            None => Ok(()),
        }
    }
}

/// A command as a client sends it, behind a SELECT where its database is another than the last shown.
fn resp(out: &mut Vec<u8>, args: Args<'_>, db: &mut i64, shown_db: &mut i64) {
    if args.len() == 2
        && args.is(0, "select")
        && let Some(selected) = parse_i64(args.at(1))
    {
        *db = selected;
        return;
    }
    if std::mem::replace(shown_db, *db) != *db {
        command(out, [&b"SELECT"[..], db.to_string().as_bytes()].into_iter());
    }
    command(out, args.iter());
}

/// The frames of a file, as far as they are whole.
struct Frames {
    name: String,
    source: Source,
    scan: Scan,
}

impl Frames {
    async fn open(found: &Found) -> Result<Frames> {
        let name = found.path.display().to_string();
        let opened = Source::open(&found.path, 0, None).await;
        let (source, _) = opened.map_err(|e| Problem::Unreadable(format!("{name}: {e}")))?;
        Ok(Frames { name, source, scan: Scan::new(PAYLOAD_MAX) })
    }

    fn problem(&self, what: &str) -> Problem {
        Problem::Damaged(format!("{}: {what}", self.name))
    }

    async fn next(&mut self) -> Result<Option<Held>> {
        loop {
            if let Some(frame) = self.scan.next_frame() {
                return Ok(Some(Held::from(&frame)));
            }
            if self.scan.tail().is_some() {
                return Ok(None);
            }
            let bytes = self.source.next().await;
            let bytes = bytes.map_err(|e| Problem::Unreadable(format!("{}: {e}", self.name)))?;
            match bytes.len() {
                0 => self.scan.finish(),
                _ => self.scan.push(&bytes),
            }
        }
    }
}
