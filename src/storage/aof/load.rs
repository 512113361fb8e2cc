//! A dataset from its log: the base, then the stages of incremental files one after the other, each in as many streams as it has
//! files; and then a new generation to write on.

use super::dir::{ASIDE, AofDir, Generation, LogPlace, Note};
use super::feed::{Ended, Feeder, Form, Meal, Owner, Table, damaged};
use super::files;
use super::mend::{self, Mend};
use super::survey::{self, Found, Named, Start, Survey, places};
use crate::persist::aof::{BaseForm, Content, Cut, Log, Manifest, PlainTail, Stage, recover};
use crate::persist::rdb::{Batch, Built, Reader};
use crate::persist::replay::Piece;
use crate::storage::executor;
use crate::storage::load::{Dealer, Loaded, read_file};
use crate::storage::sink::Sink;
use crate::storage::source::Source;
use crate::store::Route;
use glommio::LocalExecutorBuilder;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Instant;

type Result<T> = std::result::Result<T, String>;

/// A log to load.
pub struct LoadLog {
    pub place: LogPlace,
    /// A snapshot that exists: the log starts from it when there is none yet.
    pub snapshot: Option<PathBuf>,
    /// Whether checksums of snapshots are compared.
    pub check: bool,
    pub route: Route,
    pub databases: u64,
    /// `aof-load-truncated`
    pub load_truncated: bool,
    /// `aof-disable-auto-gc`
    pub keeps_history: bool,
    /// Whether a new generation begins: else the files are only read.
    pub goes_on: bool,
    /// Gives entries of a snapshot to their shard; they come back when they are built.
    pub deliver: Box<dyn FnMut(usize, Batch) + Send>,
    pub built: Receiver<Built>,
    /// Gives commands to a shard.
    pub replay: Box<dyn FnMut(usize, Piece) + Send>,
    /// Which shard alone a command concerns.
    pub owner: Owner,
    /// Is told of the memory that a snapshot's dataset took where it was written, in bytes.
    pub used_mem: Box<dyn Fn(u64) + Send>,
    /// Is told of bytes done, and of all.
    pub progress: Box<dyn Fn(u64, u64) + Send>,
    pub answer: Box<dyn FnOnce(Result<Recovered>) + Send>,
}

/// A log that was loaded.
#[derive(Debug)]
pub struct Recovered {
    /// What its snapshot told; the default when there was none.
    pub loaded: Loaded,
    /// Bytes of the base, and of all files.
    pub base_bytes: u64,
    pub bytes: u64,
    /// Where to write on, if the log goes on.
    pub generation: Option<Generation>,
    /// Generations that the manifest names, with it.
    pub generations: u32,
    pub notes: Vec<Note>,
}

/// Where the answer to a request goes.
pub(super) type Answer = Box<dyn FnOnce(Result<Recovered>) + Send>;

impl LoadLog {
    /// The request, and where its answer goes.
    pub(super) fn split(mut self) -> (LoadLog, Answer) {
        let answer = std::mem::replace(&mut self.answer, Box::new(|_| {}));
        (self, answer)
    }
}

/// Loads a log and begins its next generation.
pub(super) fn load(load: LoadLog) -> Result<(Recovered, AofDir)> {
    let LoadLog { place, snapshot, check, route, databases, load_truncated, keeps_history, goes_on, .. } =
        load;
    // Before anything is looked at: what is cut off or tidied up must be nobody else's.
    let claim = files::claim(&place.path())?;
    let mut loading = Loading {
        check,
        load_truncated,
        shards: route.shards(),
        dealer: Dealer::new(route, databases, load.deliver, load.built, load.used_mem),
        feeder: Feeder::new(load.replay),
        owner: load.owner,
        databases,
        progress: load.progress,
        done: 0,
        total: 0,
        closed: false,
        notes: Vec::new(),
    };
    let work = loading.load(&place, snapshot.as_deref());
    let read = executor::run(LocalExecutorBuilder::default(), work).flatten();
    // Whatever happened, what is under way comes home: its shards are not to build when the answer is out.
    let home = loading.dealer.wait_for_all();
    let (manifest, last_number, sizes) = read?;
    home?;
    let mut dir = AofDir::new(place, claim, manifest, last_number);
    loading.notes.extend(dir.tidy(keeps_history)?);
    if let Some(snapshot) = snapshot.filter(|_| sizes.from_snapshot) {
        let work = dir.adopt(&snapshot, sizes.base_bytes, &*loading.progress);
        executor::run(LocalExecutorBuilder::default(), work).flatten()?;
    }
    dir.closed = loading.closed;
    let generation = if goes_on { Some(dir.begin(route.shards())?) } else { None };
    let Loading { dealer, notes, .. } = loading;
    let Sizes { base_bytes, bytes, generations, .. } = sizes;
    let generations = generations + u32::from(goes_on);
    Ok((Recovered { loaded: dealer.loaded, base_bytes, bytes, generation, generations, notes }, dir))
}

#[derive(Default)]
struct Sizes {
    base_bytes: u64,
    bytes: u64,
    generations: u32,
    from_snapshot: bool,
}

struct Loading {
    check: bool,
    load_truncated: bool,
    shards: usize,
    dealer: Dealer,
    feeder: Feeder,
    owner: Owner,
    databases: u64,
    progress: Box<dyn Fn(u64, u64) + Send>,
    /// Bytes that were read, and all.
    done: u64,
    total: u64,
    /// Whether the files that were read last are closed.
    closed: bool,
    notes: Vec<Note>,
}

impl Loading {
    /// Loads what there is: the manifest that the log goes on with, and the highest number of a generation so far.
    async fn load(&mut self, place: &LogPlace, snapshot: Option<&Path>) -> Result<(Manifest, u64, Sizes)> {
        let manifest = match survey::start(place, snapshot)? {
            Start::Manifest(manifest) => manifest,
            Start::Upgrade(manifest) => {
                self.upgrade(place, &manifest)?;
                manifest
            }
            Start::Snapshot(path) => {
                // It is read twice: into the shards, and into the base.
                self.total = 2 * path.metadata().map_or(0, |about| about.len());
                // Keys past their time too: the file becomes the base, which is read before all time. Whoever meets such a key, or the
                // active expiry, logs that it goes.
                self.snapshot(&path, true).await?;
                self.say(format!("There is no log yet: it starts from the snapshot {}", path.display()));
                let bytes = self.dealer.loaded.bytes;
                let sizes = Sizes { base_bytes: bytes, bytes, generations: 0, from_snapshot: true };
                return Ok((Manifest::new(&place.filename), 0, sizes));
            }
            Start::Empty => return Ok((Manifest::new(&place.filename), 0, Sizes::default())),
        };
        let survey = Survey::of(&place.path(), manifest)?;
        self.notes.extend(survey.warning.clone().map(Note::warn));
        self.total = survey.bytes();
        (self.progress)(0, self.total);
        let began = Instant::now();
        if let Some(base) = &survey.base {
            let is_last = survey.stages.is_empty();
            self.plain("base", base, is_last).await?;
        }
        for i in 0..survey.stages.len() {
            self.stage(&survey, i).await?;
        }
        self.say_loaded("append only file", None, began);
        let base_bytes = survey.base.as_ref().map_or(0, |base| base.len);
        let bytes = self.total;
        let last_number = survey.last_number();
        let sizes = Sizes { base_bytes, bytes, generations: survey.generations(), from_snapshot: false };
        Ok((survey.manifest, last_number, sizes))
    }

    /// The one file of an older release becomes the base. The manifest comes first: it tells of a move that was cut short.
    fn upgrade(&mut self, place: &LogPlace, manifest: &Manifest) -> Result<()> {
        let old = place.old_file();
        files::make_dir(&place.path())?;
        files::replace(&place.manifest(), &manifest.format())?;
        files::rename(&old, &place.file(&place.filename))?;
        self.say(format!(
            "{} is the base of the log now: it was moved into {}",
            old.display(),
            place.dirname
        ));
        Ok(())
    }

    fn say(&mut self, text: String) {
        self.notes.push(Note::say(text));
    }

    fn say_loaded(&mut self, what: &str, file: Option<&Path>, began: Instant) {
        let name =
            file.and_then(Path::file_name).map_or(String::new(), |n| format!(" {}", n.to_string_lossy()));
        self.say(format!("DB loaded from {what}{name}: {:.3} seconds", began.elapsed().as_secs_f64()));
    }

    /// Reads the files of the stage of this number.
    async fn stage(&mut self, survey: &Survey, number: usize) -> Result<()> {
        let (stage, is_last) = (&survey.stages[number], number + 1 == survey.stages.len());
        let found = &survey.incr[places(stage)];
        if let Stage::Plain { .. } = stage {
            self.closed = false;
            return self.plain("incr file", &found[0], is_last).await;
        }
        let began = Instant::now();
        let ends = match stage {
            Stage::Generation { .. } if is_last => self.mend(found).await?,
            _ => found.iter().map(|f| f.len).collect(),
        };
        let meal = |(i, (file, end)): (usize, (&Found, u64))| Meal {
            path: file.path.clone(),
            form: Form::Frames { end },
            shard: i % self.shards,
            // Those of the last have been looked at.
            writer: (!is_last && found.len() > 1).then_some(i),
        };
        let meals: Vec<Meal> = found.iter().zip(ends).enumerate().map(meal).collect();
        let mut ended = self.feed(&meals).await?;
        let open = ended.iter().position(|end| !end.closed || end.appended.is_some());
        if let Some(i) = open.filter(|_| survey.is_to_be_closed(number)) {
            return Err(survey::unclosed(&found[i]));
        }
        self.closed = open.is_none();
        let logs: Vec<Log> = ended.iter_mut().filter_map(|e| e.log.take()).collect();
        if let Some(cut) = recover(&logs).iter().find(|cut| cut.dropped_frames > 0) {
            return Err(halves(&found[cut.shard].path, cut));
        }
        for (i, from) in ended.iter().enumerate().filter_map(|(i, e)| Some((i, e.appended?))) {
            if i + 1 < found.len() {
                let what = damaged("in that commands without frames follow its frames");
                return Err(format!("{}: {what}", found[i].path.display()));
            }
            self.commands(&found[i], Form::Plain { from }, is_last).await?;
        }
        found.iter().for_each(|found| self.say_loaded("incr file", Some(&found.path), began));
        Ok(())
    }

    /// Cuts the files that were written last, where they have to be cut: where they end.
    async fn mend(&mut self, found: &[Found]) -> Result<Vec<u64>> {
        let mut seen = Vec::new();
        for (shard, found) in found.iter().enumerate() {
            seen.push(mend::see(found, shard, None, &mut |_| {}).await?);
        }
        let mends = mend::mends(seen)?;
        if let Some(mend) = mends.iter().find(|mend| mend.loses && !self.load_truncated) {
            return Err(truncated(&mend.found.path, &mend.lost()));
        }
        self.notes.extend(mend::cut(&mends)?);
        // What Redis has appended is met when the frames before it have run.
        let end = |mend: &Mend| mend.appended.map_or(mend.cut.end, |_| mend.found.len);
        Ok(mends.iter().map(end).collect())
    }

    /// A file without frames, perhaps with a snapshot at its beginning.
    async fn plain(&mut self, what: &str, found: &Found, is_last: bool) -> Result<()> {
        let began = Instant::now();
        let form = match found.content {
            Content::Rdb => {
                self.snapshot(&found.path, true).await?;
                // What is behind it are commands.
                self.dealer.loaded.left_over = 0;
                Form::Plain { from: self.dealer.loaded.bytes }
            }
            Content::Framed => Form::Frames { end: found.len },
            Content::Plain | Content::Blank | Content::Unknown => Form::Plain { from: 0 },
        };
        let reads_on = !matches!(form, Form::Plain { from } if from == found.len);
        if reads_on {
            self.commands(found, form, is_last).await?;
        }
        self.say_loaded(what, Some(&found.path), began);
        Ok(())
    }

    /// The commands of one file, which may be cut off if it is the last.
    async fn commands(&mut self, found: &Found, form: Form, is_last: bool) -> Result<()> {
        let ended = match form {
            Form::Plain { from } if self.shards > 1 => vec![self.deal(&found.path, from).await?],
            _ => self.feed(&[Meal { path: found.path.clone(), form, shard: 0, writer: None }]).await?,
        };
        match ended.first() {
            Some(Ended { valid, tail: PlainTail::Truncated { at }, .. }) => {
                self.cut_off(found, *valid, *at, is_last)
            }
            _ => Ok(()),
        }
    }

    /// A file of Redis's ends within a command or a transaction.
    fn cut_off(&mut self, found: &Found, valid: u64, at: u64, is_last: bool) -> Result<()> {
        let gone = found.len - valid;
        let text = format!(
            "it ends within {} (at byte {at}): {gone} bytes go, from byte {valid} on",
            if at < found.len { "a command" } else { "a transaction" }
        );
        if !is_last {
            let what = "other files follow it, so nothing may be missing; restore it from a backup";
            return Err(format!("{}: {text}; {what}", found.path.display()));
        }
        if !self.load_truncated {
            return Err(truncated(&found.path, &text));
        }
        files::cut(&[(&found.path, valid)])?;
        let name = found.path.file_name().unwrap_or_default().to_string_lossy();
        self.notes.push(Note::warn(format!("The log was cut where it is whole: {name}: {text}")));
        Ok(())
    }

    /// Replays a file of Redis's on all shards.
    async fn deal(&mut self, path: &Path, from: u64) -> Result<Ended> {
        let (done, total, progress) = (&mut self.done, self.total, &self.progress);
        let mut read = |bytes: u64| {
            *done += bytes;
            progress((*done).min(total), total);
        };
        let table = Table { owner: &self.owner, shards: self.shards, databases: self.databases };
        self.feeder.deal(path, from, &table, &mut read).await
    }

    async fn feed(&mut self, meals: &[Meal]) -> Result<Vec<Ended>> {
        let (done, total, progress) = (&mut self.done, self.total, &self.progress);
        let mut read = |bytes: u64| {
            *done += bytes;
            progress((*done).min(total), total);
        };
        self.feeder.feed(meals, &mut read).await
    }

    /// Reads a snapshot, from the beginning of a file.
    async fn snapshot(&mut self, path: &Path, keeps_past: bool) -> Result<()> {
        self.dealer.keeps_past = keeps_past;
        let (before, all, progress) = (self.done, self.total, &self.progress);
        let told = |done: u64, total: u64| progress(before + done, all.max(total));
        let read = read_file(path, Reader::new(self.check), (&mut self.dealer, 0.0), &told).await;
        // Commands may follow: all entries are there before the first of them.
        let home = self.dealer.wait_for_all();
        read.and(home).map_err(|e| format!("{}: {e}", path.display()))?;
        self.done += self.dealer.loaded.bytes;
        Ok(())
    }
}

/// Whether a name is that of a file in the making.
fn is_temporary(name: &str, filename: &str) -> bool {
    name.strip_prefix("temp-").is_some_and(|rest| {
        survey::is_ours(rest, filename).is_some()
            || rest == Manifest::file_name(filename)
            || rest == format!("{filename}.base")
            || rest == format!("{filename}.commands")
            // While it is written it has one more.
            || rest == format!("temp-{filename}.base")
    })
}

/// The name that a file had before it had to move out of the way.
fn listed_name(name: &str) -> &str {
    match name.rsplit_once(ASIDE) {
        Some((before, number)) if number.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => name,
    }
}

/// A file that others follow has parts of transactions whose other parts are gone: a file beside it was cut off, where nothing else
/// tells of it.
fn halves(path: &Path, cut: &Cut) -> String {
    format!(
        "{}: of {} transactions in it, from behind byte {} on, parts are missing in the files of other shards, and files that were written \
         later follow; restore the files that the manifest names from a backup",
        path.display(),
        cut.dropped_transactions.len(),
        cut.end
    )
}

fn truncated(path: &Path, what: &str) -> String {
    format!(
        "{}: {what}; aof-load-truncated is no: set it to yes, or run kring-server --check-aof --fix, to go on without them",
        path.display()
    )
}

impl AofDir {
    /// Removes what a crash has left behind, as far as it is surely ours and holds nothing that anybody could want back:
    ///
    /// - temporary files, and a base that still has its temporary name too;
    /// - files that hold no more than the frame that opens them;
    /// - FLUSHALL and the like standing alone, behind all that the manifest names.
    ///
    /// The same where it had to move out of the way of a name (`.unlisted-N`). Whatever else no manifest names may be what somebody
    /// has taken out of the manifest, to undo something, and wants to put back: it stays, and is told of.
    pub(super) fn tidy(&mut self, keeps_history: bool) -> Result<Vec<Note>> {
        let place = self.place().clone();
        let mut names = survey::list(&place.path())?;
        if !names.is_empty() {
            // Who wrote the manifest, or made the directory, may have failed to make that last.
            files::sync_dir(&place.path())?;
            files::sync_dir(&place.dir)?;
        }
        let mut notes = if keeps_history { Vec::new() } else { self.remove_history() };
        names.sort();
        let mut unlisted: Vec<&String> = names.iter().filter(|name| self.is_unlisted(name)).collect();
        // Temporary names tell of others until the end.
        unlisted.sort_by_key(|name| is_temporary(name, &place.filename));
        let twin = survey::inode(&place.temporary_base());
        let (mut aside, mut aside_bytes) = (0, 0);
        for name in unlisted {
            let path = place.file(name);
            let is_twin = twin.is_some() && survey::inode(&path) == twin;
            let is_void =
                || survey::is_leftover(&path) || survey::is_void_operation(&path, self.last_number());
            let is_incr = survey::is_ours(listed_name(name), &place.filename) == Some(Named::Incr);
            if is_temporary(name, &place.filename) || is_twin || is_incr && is_void() {
                files::remove(&path)?;
                notes.push(Note::say(format!("Removed {name}, which an earlier run left behind unfinished")));
            } else if listed_name(name) != name {
                aside += 1;
                aside_bytes += path.metadata().map_or(0, |about| about.len());
            } else {
                notes.push(Note::warn(format!(
                    "{name} is not named by the manifest of the log: it was left alone"
                )));
            }
        }
        if aside > 0 {
            notes.push(Note::say(format!(
                "{aside} files ({aside_bytes} bytes) in {} are no part of the log and had to move out of its way (*{ASIDE}*): remove \
                 them if you do not miss anything",
                place.dirname
            )));
        }
        Ok(notes)
    }

    /// Whether a name is one that we give, and the manifest does not name it.
    fn is_unlisted(&self, name: &str) -> bool {
        let manifest = self.manifest();
        let mut members = manifest.base().into_iter().chain(manifest.incr()).chain(manifest.history());
        let filename = &self.place().filename;
        let ours = is_temporary(name, filename) || survey::is_ours(listed_name(name), filename).is_some();
        ours && !members.any(|member| member.name == name)
    }

    /// A snapshot, which has so many bytes, becomes the base of a log that has nothing yet. It is copied, around the page cache: a
    /// link would be the same file, and who puts a backup into the snapshot's place might write into it.
    async fn adopt(&mut self, snapshot: &Path, bytes: u64, progress: &dyn Fn(u64, u64)) -> Result<()> {
        let mut next = self.manifest().clone();
        let name = next.new_base(BaseForm::Rdb);
        let place = self.place().clone();
        self.claim()?;
        let told = |e| format!("cannot copy {}: {e}", snapshot.display());
        let mut sink = Sink::create(place.temporary_base()).await.map_err(told)?;
        let copied = copy(snapshot, bytes, &mut sink, progress).await;
        if copied.is_err() {
            sink.discard().await;
            return copied.map_err(told);
        }
        sink.finish(&place.file(&name)).await.map_err(told)?;
        Ok(self.commit(next)?)
    }
}

/// Copies the first bytes of a file; what stands behind the end of a snapshot is no part of it.
async fn copy(from: &Path, bytes: u64, to: &mut Sink, progress: &dyn Fn(u64, u64)) -> Result<()> {
    let (mut source, _) = Source::open(from, 0, Some(bytes)).await?;
    loop {
        let piece = source.next().await?;
        if piece.is_empty() {
            break;
        }
        to.write(&piece).await?;
        progress(bytes + to.len(), 2 * bytes);
    }
    source.close().await;
    if to.len() == bytes { Ok(()) } else { Err(format!("it has {} bytes where it had {bytes}", to.len())) }
}
