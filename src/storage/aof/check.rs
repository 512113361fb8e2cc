//! A log looked at from outside: whether it is whole, and what can be mended.

use super::feed::damaged;
use super::files;
use super::mend::{self, Mend};
use super::survey::{self, Found, Survey, list, places};
use crate::config::Config;
use crate::persist::aof::{Commands, Content, Manifest, Opened, PlainCommand, PlainScan, PlainTail, Stage};
use crate::persist::rdb::{self, Reader};
use crate::persist::value::{Reading, decode};
use crate::storage::executor;
use crate::storage::source::Source;
use glommio::LocalExecutorBuilder;
use std::future::Future;
use std::path::{Path, PathBuf};

/// What a log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Whole,
    Damaged,
    Unreadable,
}

/// Who hears what is found.
pub trait Listener {
    /// A line about what is as it should be, or was mended.
    fn good(&mut self, line: &str);
    /// A line about what is not.
    fn bad(&mut self, line: &str);
    /// Bytes done, and all.
    fn progress(&mut self, done: u64, total: u64);
}

/// Why there is no verdict of wholeness.
pub(super) enum Problem {
    Damaged(String),
    Unreadable(String),
}

impl From<String> for Problem {
    fn from(line: String) -> Problem {
        Problem::Damaged(line)
    }
}

pub(super) type Result<T> = std::result::Result<T, Problem>;

pub(super) fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    executor::run(LocalExecutorBuilder::default(), work).map_err(Problem::Unreadable)?
}

/// Whether a log is whole: that of a directory, of a manifest, or one file. With `fix` it is cut where it is whole, when nothing
/// that was acknowledged is lost by that.
pub fn check(path: &Path, fix: bool, to: &mut dyn Listener) -> Verdict {
    let checked = run(async {
        let dir =
            if path.is_dir() { Some(path) } else { path.parent().filter(|p| !p.as_os_str().is_empty()) };
        let _claim = match dir {
            Some(dir) if fix => files::claim(dir).map_err(Problem::Unreadable)?,
            _ => None,
        };
        let survey = survey(path)?;
        let mut check = Check { to: &mut *to, done: 0, total: survey.bytes(), fix, is_whole: true };
        check.all(&survey).await?;
        Ok(check.is_whole)
    });
    match checked {
        Ok(true) => {
            to.good("whole");
            Verdict::Whole
        }
        Ok(false) => Verdict::Damaged,
        Err(problem) => tell(problem, to),
    }
}

pub(super) fn tell(problem: Problem, to: &mut dyn Listener) -> Verdict {
    let (line, verdict) = match problem {
        Problem::Damaged(line) => (line, Verdict::Damaged),
        Problem::Unreadable(line) => (line, Verdict::Unreadable),
    };
    to.bad(&line);
    verdict
}

/// The files of a log. One file is a log of its own.
pub(super) fn survey(path: &Path) -> Result<Survey> {
    let unreadable = |why: String| Problem::Unreadable(why);
    let about = path.metadata().map_err(|e| unreadable(files::failed("look at", path)(e)))?;
    if !about.is_dir() && path.extension().is_none_or(|e| e != "manifest") {
        return one_file(path);
    }
    let manifest = if about.is_dir() { manifest_in(path)? } else { path.to_path_buf() };
    let name = manifest.file_name().unwrap_or_default().to_string_lossy();
    let text = files::read(&manifest).map_err(unreadable)?.unwrap_or_default();
    let append = name.strip_suffix(".manifest").unwrap_or(&name);
    let parsed = Manifest::parse(append, &text).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let dir = manifest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for member in parsed.base().into_iter().chain(parsed.incr()) {
        match std::fs::File::open(dir.join(&member.name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(unreadable(files::failed("open", &dir.join(&member.name))(e)));
            }
            _ => {}
        }
    }
    Ok(Survey::of(dir, parsed)?)
}

/// The manifest of a directory.
fn manifest_in(dir: &Path) -> Result<PathBuf> {
    let mut names = list(dir).map_err(Problem::Unreadable)?;
    names.retain(|name| name.ends_with(".manifest") && !name.starts_with("temp-"));
    match &names[..] {
        [name] => Ok(dir.join(name)),
        [] => Err(Problem::Unreadable(format!("{}: there is no manifest in it", dir.display()))),
        _ => Err(Problem::Unreadable(format!(
            "{}: there are several manifests in it: name one",
            dir.display()
        ))),
    }
}

/// A file as a log of its own.
fn one_file(path: &Path) -> Result<Survey> {
    std::fs::File::open(path).map_err(|e| Problem::Unreadable(files::failed("open", path)(e)))?;
    let found = Found::of(path)?;
    let (base, incr, stages) = match &found.opened {
        Opened::Framed(info) => {
            let generation = info.generation;
            let stage = match (info.alone, info.shards) {
                (false, 1) => Stage::Generation { generation, first: 0, shards: 1 },
                // Of the others nothing is known: neither what is missing at them, nor where to cut.
                _ => Stage::Alone { generation, file: 0 },
            };
            (None, vec![found], vec![stage])
        }
        _ => (Some(found), Vec::new(), Vec::new()),
    };
    Ok(Survey { manifest: Manifest::new(""), base, incr, stages, warning: None })
}

struct Check<'a> {
    to: &'a mut dyn Listener,
    done: u64,
    total: u64,
    fix: bool,
    is_whole: bool,
}

impl Check<'_> {
    async fn all(&mut self, survey: &Survey) -> Result<()> {
        if let Some(warning) = &survey.warning {
            self.to.bad(&format!("warning: {warning}"));
        }
        if let Some(base) = &survey.base {
            self.plain(base, survey.stages.is_empty()).await?;
        }
        for (i, stage) in survey.stages.iter().enumerate() {
            let found = &survey.incr[places(stage)];
            let is_last = i + 1 == survey.stages.len();
            match stage {
                Stage::Plain { .. } => self.plain(&found[0], is_last).await?,
                Stage::Generation { .. } | Stage::Alone { .. } => {
                    let ends = matches!(stage, Stage::Generation { .. }) && is_last;
                    let open = self.generation(found, ends).await?;
                    if let Some(file) = open.filter(|_| survey.is_to_be_closed(i)) {
                        return Err(survey::unclosed(&found[file]).into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Files of frames. Only the last may have torn ends. The first that is not closed.
    async fn generation(&mut self, found: &[Found], is_last: bool) -> Result<Option<usize>> {
        let (mut seen, mut open) = (Vec::new(), None);
        for (shard, found) in found.iter().enumerate() {
            let mut commands = Commands::new(i64::MAX);
            let (done, total, to) = (&mut self.done, self.total, &mut self.to);
            let mut read = |bytes| {
                *done += bytes;
                to.progress(*done, total);
            };
            let one = mend::see(found, shard, Some(&mut commands), &mut read).await?;
            if let Opened::Framed(info) = &found.opened {
                self.to.good(&format!(
                    "  {}: generation {}, {}, {} frames in {} bytes, by {}",
                    found.name(),
                    info.generation,
                    if info.alone {
                        "alone".into()
                    } else {
                        format!("shard {} of {}", info.shard, info.shards)
                    },
                    one.frames,
                    one.end,
                    info.creator
                ));
            }
            if open.is_none() && (!one.closed || one.appended.is_some()) {
                open = Some(shard);
            }
            seen.push(one);
        }
        let mends = mend::mends(seen)?;
        if let Some((found, from)) = mends.last().and_then(|mend| Some((&mend.found, mend.appended?))) {
            self.commands(found, from, is_last).await?;
        }
        let losing: Vec<&Mend> = mends.iter().filter(|mend| mend.loses).collect();
        let Some(first) = losing.first() else { return Ok(open) };
        if !is_last {
            let why = "files that were written later follow it, so nothing may be missing, or it was checked without its \
                       fellows: check the directory, or restore the file from a backup";
            return Err(format!("{}: {}; {why}", first.found.path.display(), first.lost()).into());
        }
        if self.fix {
            for mend in &losing {
                self.to.good(&format!("  cut: {}", mend.lost()));
            }
            mend::cut(&mends)?;
            return Ok(open);
        }
        self.is_whole = false;
        for mend in &losing {
            self.to.bad(&format!("{}: {}; --fix cuts it there", mend.found.path.display(), mend.lost()));
        }
        Ok(open)
    }

    /// A file without frames.
    async fn plain(&mut self, found: &Found, is_last: bool) -> Result<()> {
        let name = found.name();
        if found.content == Content::Framed {
            return self.generation(std::slice::from_ref(found), false).await.map(drop);
        }
        let mut from = 0;
        if found.content == Content::Rdb {
            let (keys, end) = each_entry(&found.path, &mut |entry| check_value(entry)).await?;
            self.to.good(&format!("  {name}: a snapshot of {keys} keys in {end} bytes"));
            from = end;
        }
        if from == found.len && from > 0 {
            self.done += found.len;
            return Ok(());
        }
        self.commands(found, from, is_last).await
    }

    /// Commands without frames, from a place in a file on.
    async fn commands(&mut self, found: &Found, from: u64, is_last: bool) -> Result<()> {
        let name = found.name();
        let mut n = 0u64;
        let (done, total, to) = (&mut self.done, self.total, &mut self.to);
        let mut read = |bytes| {
            *done += bytes;
            to.progress(*done, total);
        };
        let (tail, valid) = each_plain(&found.path, from, &mut read, &mut |_| n += 1).await?;
        self.to.good(&format!("  {name}: {n} commands in {} bytes", found.len - from));
        match tail {
            PlainTail::Clean => Ok(()),
            PlainTail::Malformed(what) => {
                Err(format!("{}: {}", found.path.display(), damaged(&format!("in that {what}"))).into())
            }
            PlainTail::Truncated { at } => {
                let gone = found.len - valid;
                let what =
                    format!("it ends within a command or a transaction (at byte {at}): {gone} bytes go");
                if !is_last {
                    return Err(format!("{}: {what}, but other files follow it", found.path.display()).into());
                }
                if self.fix {
                    files::cut(&[(&found.path, valid)])?;
                    self.to.good(&format!("  cut: {name} ends at byte {valid} now: {what}"));
                    return Ok(());
                }
                self.is_whole = false;
                self.to.bad(&format!("{}: {what}; --fix cuts it at byte {valid}", found.path.display()));
                Ok(())
            }
        }
    }
}

fn check_value(entry: &rdb::Entry<'_>) -> std::result::Result<(), String> {
    let mut rest = entry.value;
    let built = decode(entry.kind, &mut rest, &Reading { config: &Config::default(), seed: 0 });
    if built.is_ok() && rest.is_empty() {
        return Ok(());
    }
    let key = String::from_utf8_lossy(&entry.key);
    Err(format!("the value of key '{key}' is damaged (type {}, at byte {})", entry.kind, entry.offset))
}

/// Shows `f` the entries of a snapshot: how many there are, and where it ends in its file.
pub(super) async fn each_entry(
    path: &Path,
    f: &mut dyn FnMut(&rdb::Entry<'_>) -> std::result::Result<(), String>,
) -> Result<(u64, u64)> {
    let name = path.display();
    let (mut source, _) =
        Source::open(path, 0, None).await.map_err(|e| Problem::Unreadable(format!("{name}: {e}")))?;
    let (mut reader, mut keys) = (Reader::new(true), 0);
    loop {
        let bytes = source.next().await.map_err(|e| Problem::Unreadable(format!("{name}: {e}")))?;
        match bytes.len() {
            0 => reader.finish(),
            _ => reader.push(&bytes),
        }
        while let Some(item) = reader.next_item().map_err(|e| format!("{name}: {e}"))? {
            match item {
                rdb::Item::End => {
                    source.close().await;
                    return Ok((keys, reader.position()));
                }
                rdb::Item::Entry(entry) => {
                    f(&entry).map_err(|e| format!("{name}: {e}"))?;
                    keys += 1;
                }
                _ => {}
            }
        }
    }
}

/// Shows `f` the commands of a file without frames: how it ends, and where it would have to be cut.
pub(super) async fn each_plain(
    path: &Path,
    from: u64,
    read: &mut dyn FnMut(u64),
    f: &mut dyn FnMut(&PlainCommand<'_>),
) -> Result<(PlainTail, u64)> {
    let unreadable = |e: String| Problem::Unreadable(format!("{}: {e}", path.display()));
    let (mut source, _) = Source::open(path, from, None).await.map_err(unreadable)?;
    let mut scan = PlainScan::new(from, i64::MAX);
    loop {
        while let Some(command) = scan.next_command() {
            f(&command);
        }
        if let Some(tail) = scan.tail() {
            source.close().await;
            return Ok((tail, scan.valid()));
        }
        let bytes = source.next().await.map_err(unreadable)?;
        match bytes.len() {
            0 => scan.finish(),
            _ => scan.push(&bytes),
        }
        read(bytes.len() as u64);
    }
}
