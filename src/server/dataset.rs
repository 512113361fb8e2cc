//! The dataset at boot: which file it is loaded from, and what the log says of it.

use super::control::{self, Message};
use super::log::Log;
use crate::cmd::save::LogState;
use crate::config::{Config, delay_us};
use crate::ring::Bell;
use crate::shard::{LoadRequest, Notice, Shared};
use crate::storage::aof::{Generation, Note, Recovered};
use crate::storage::{Loaded, Plane};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Instant;

/// The snapshot of a configuration, if there is one. What exists and cannot be looked at counts: it must not be overwritten.
pub(super) fn file(config: &Config) -> Option<PathBuf> {
    if config.dbfilename.is_empty() {
        return None;
    }
    let path = Path::new(&config.dir).join(&config.dbfilename);
    path.try_exists().unwrap_or(true).then_some(path)
}

/// Has it loaded while the shards run; the main thread hears how it ended.
pub(super) fn load(
    path: PathBuf,
    config: &Config,
    shared: &Shared,
    storage: &Plane,
    shards: &[(Bell, Sender<Notice>)],
    main: &Sender<Message>,
) {
    let request = LoadRequest {
        path,
        check: config.rdbchecksum,
        databases: u64::from(config.databases),
        delay_us: delay_us(config.key_load_delay),
        replace: false,
        saves: shared.saves.clone(),
    };
    let main = main.clone();
    let answer = move |done: Result<Loaded, String>| {
        let _ = main.send(Message::Loaded(done));
    };
    control::load(storage, shards, request, Box::new(answer));
}

/// How far a load is, where somebody watches.
pub(super) fn show_progress(shared: &Shared) {
    let stderr = std::io::stderr();
    if let Some(load) = shared.saves.load_now()
        && stderr.is_terminal()
    {
        let percent = (load.done_bytes * 100).checked_div(load.total_bytes).unwrap_or(0);
        eprint!("\rLoading: {percent:3} %\r");
    }
}

/// The dataset is there: clients may come.
pub(super) fn loaded(loaded: Loaded, shared: &Shared, log: &Log, began: Instant) {
    tell(&loaded, log);
    log.notice(&format!("DB loaded from disk: {:.3} seconds", began.elapsed().as_secs_f64()));
    let Loaded { keys, expired, libraries, .. } = loaded;
    shared.saves.end_load(keys, expired, libraries);
}

/// The dataset is there from its log: clients may come once every shard has its file, if the log goes on.
pub(super) fn log_loaded(
    recovered: Recovered,
    shared: &Shared,
    shards: &[(Bell, Sender<Notice>)],
    main: &Sender<Message>,
    log: &Log,
) {
    let Recovered { loaded, bytes, generation, generations, notes, .. } = recovered;
    if loaded != Loaded::default() {
        tell(&loaded, log);
    }
    for Note { text, warns } in notes {
        if warns { log.warning(&text) } else { log.notice(&text) }
    }
    let goes_on = generation.is_some();
    if let Some(generation) = generation {
        log_on(generation, shared, shards, main);
    }
    shared.saves.log.set_base_bytes(bytes);
    shared.saves.log.set_generations(generations);
    if goes_on {
        shared.saves.log.set_state(LogState::On);
    }
    let before = loaded.libraries.clone();
    for failed in shared.saves.end_load(loaded.keys, loaded.expired, loaded.libraries) {
        log.warning(&format!("Left undone, as redis-server would: {failed}"));
    }
    let libraries = shared.saves.libraries();
    if libraries != before {
        tell_libraries(libraries.len(), log);
    }
}

/// Every shard gets its file, and logs what is changed from here on.
fn log_on(
    generation: Generation,
    shared: &Shared,
    shards: &[(Bell, Sender<Notice>)],
    main: &Sender<Message>,
) {
    control::hand_out(generation, shards, main);
    for (shard, cell) in shared.cells.iter().enumerate() {
        let store = loop {
            // What was replayed has run: at most its owner has it, for a slice of its own work.
            match cell.take() {
                Some(store) => break store,
                None => std::thread::yield_now(),
            }
        };
        let mut store = store;
        store.log.switch(true);
        if !cell.put(store).is_quiet() {
            shards[shard].0.ring();
        }
    }
}

fn tell_libraries(libraries: usize, log: &Log) {
    if libraries > 0 {
        log.warning(&format!(
            "{libraries} libraries of functions cannot be called in this release; the next snapshot has them again"
        ));
    }
}

/// What a snapshot told of itself.
fn tell(loaded: &Loaded, log: &Log) {
    let Loaded { version, keys, expired, empty, aux, libraries, left_over, direct, .. } = loaded;
    let field = |name: &str| aux.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let (program, by) = match (field("redis-ver"), field("valkey-ver")) {
        (_, Some(by)) => ("Valkey ", by),
        (by, None) => ("", by.unwrap_or("unknown")),
    };
    log.notice(&format!("Loading RDB produced by {program}version {by} (RDB version {version})"));
    if let Some(ctime) = field("ctime").and_then(|secs| secs.parse::<i64>().ok()) {
        let now_secs = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(ctime, |d| d.as_secs() as i64);
        log.notice(&format!("RDB age {} seconds", now_secs - ctime));
    }
    if !direct {
        log.notice("The snapshot was read through the page cache: its file system refuses O_DIRECT");
    }
    if *left_over > 0 {
        log.warning(&format!("{left_over} bytes behind the end of the snapshot were left alone"));
    }
    tell_libraries(libraries.len(), log);
    let done = format!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}");
    match empty {
        0 => log.notice(&format!("{done}.")),
        _ => log.warning(&format!("{done}, empty keys skipped: {empty}.")),
    }
}
