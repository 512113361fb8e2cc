//! Boot and shutdown: limits, sockets, cores, one thread a shard, and a main thread that waits for the end.

use super::control::{self, Line, Message, PendingGarbage};
use super::log::Log;
use super::peers::Peers;
use super::sockets::Listeners;
use super::{cores, dataset};
use crate::base::heap::{map_chunks_alone, take_small_pages};
use crate::base::{cpu, numa, pages, prng, shelf};
use crate::cmd::version::{KRING_VERSION, REDIS_VERSION};
use crate::cmd::{FAMILIES, Registry, ServerInfo};
use crate::config::{Config, FatalConfig, Loaded, Rename};
use crate::ring::{self, Bell, Clock, Options, probe};
use crate::shard::{self, Core, Mesh, Notice, Setup, Shared};
use crate::storage::Plane;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal};
use std::fmt;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the control plane reads the process's memory and CPU time.
const LOOK: Duration = Duration::from_millis(100);
const READY: &str = "Ready to accept connections";

/// Why the server does not start, in one line that says what to do.
#[derive(Debug)]
pub enum BootError {
    Ring(ring::Error),
    NoSuchCore {
        core: usize,
        usable: Vec<usize>,
    },
    Listen(String, std::io::Error),
    BadAddress(String),
    NoListener,
    /// A line of the configuration that cannot be followed.
    Config(FatalConfig),
    Processor(&'static str),
    Io {
        what: String,
        error: std::io::Error,
    },
    Shard {
        shard: usize,
        error: String,
    },
    /// The dataset could not be loaded.
    Load(String),
    /// The append-only log could not be loaded, or written on.
    Log(String),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootError::Ring(e) => e.fmt(f),
            BootError::Config(e) => e.fmt(f),
            BootError::NoSuchCore { core, usable } => {
                write!(
                    f,
                    "cpu-list names core {core}, which this process cannot use; usable are {usable:?}: change cpu-list or the CPU affinity"
                )
            }
            BootError::Listen(addr, e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {addr}: the address is in use; stop what listens there or set another port or bind"
                )
            }
            BootError::Listen(addr, e) => {
                write!(f, "cannot listen on {addr}: {e}; check bind, port and unixsocket")
            }
            BootError::BadAddress(name) => {
                write!(f, "bind names {name}, which is no address of any host known here: correct bind")
            }
            BootError::Processor(lacks) => write!(
                f,
                "this processor lacks {lacks}: build for it by changing .cargo/config.toml, or run on x86-64 of 2013 or newer"
            ),
            BootError::NoListener => write!(f, "nothing to listen on: set a port or a unixsocket"),
            BootError::Io { what, error } => write!(f, "{what}: {error}"),
            BootError::Load(why) => {
                write!(
                    f,
                    "cannot load the dataset from {why}; move the file away to start empty, or restore it"
                )
            }
            BootError::Log(why) => write!(f, "cannot go on with the append-only log: {why}"),
            BootError::Shard { shard, error } => write!(f, "shard {shard} stopped: {error}"),
        }
    }
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BootError {
    let what = what.into();
    move |error| BootError::Io { what, error }
}

/// The commands, by the names that clients call them by.
fn registry(renames: &[Rename]) -> Result<Registry, BootError> {
    let mut registry = Registry::new(FAMILIES);
    for rename in renames {
        registry.rename(&rename.from, &rename.to).map_err(|why| BootError::Config(rename.refused(why)))?;
    }
    Ok(registry)
}

/// Runs the server until a signal or SHUTDOWN ends it.
pub fn serve(loaded: Loaded) -> Result<(), BootError> {
    let Loaded { mut config, warnings, path, renames } = loaded;
    let registry = Arc::new(registry(&renames)?);
    if let Some(lacks) = cpu::missing() {
        return Err(BootError::Processor(lacks));
    }
    map_chunks_alone();
    if config.disable_thp {
        take_small_pages();
    }
    let cores = cores::assign(&config)?;
    let shards = cores.len();
    let granted = probe::check(config.maxclients as usize, shards).map_err(BootError::Ring)?;
    std::env::set_current_dir(&config.dir).map_err(io(format!("cannot change to dir {}", config.dir)))?;
    let log = Log::open(&config.logfile, config.loglevel)
        .map_err(io(format!("cannot open logfile {}", config.logfile)))?;
    let (mut sockets, listeners) = Listeners::open(&config).inspect_err(|e| log.warning(&e.to_string()))?;
    if config.daemonize {
        nix::unistd::daemon(true, false)
            .map_err(|e| BootError::Io { what: "cannot daemonize".into(), error: e.into() })?;
    }
    warnings.iter().for_each(|w| log.warning(w));
    if granted.clients < config.maxclients as usize {
        log.warning(&format!(
            "maxclients lowered from {} to {}: raise the limit of open files (ulimit -n)",
            config.maxclients, granted.clients
        ));
        config.maxclients = granted.clients as u32;
    }
    let pidfile = Pidfile::create(&config, &log);
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    signals
        .thread_block()
        .map_err(|e| BootError::Io { what: "cannot block signals".into(), error: e.into() })?;

    let info = server_info(&cores, path.as_deref(), granted.clients);
    log.notice(&format!(
        "kring {KRING_VERSION} (speaks Redis {REDIS_VERSION}), PID: {}, {shards} shard{} on cores {}",
        info.pid,
        if shards == 1 { "" } else { "s" },
        cores.iter().map(|c| c.map_or("any".into(), |c| c.to_string())).collect::<Vec<_>>().join(",")
    ));
    let (main, inbox) = channel();
    let process = start((Arc::new(config), registry), info, path, cores, listeners, &main)?;
    let waiter = main.clone();
    spawn("kring-signal", move || {
        while let Ok(signal) = signals.wait()
            && waiter.send(Message::Signal(signal)).is_ok()
        {}
    })?;
    // Test suites and tools wait for these lines of Redis's.
    log.notice("Server initialized");
    if !process.shared.saves.is_loading() {
        log.notice(READY);
    }
    let ended = wait_for_end(&process, &mut sockets, &inbox, &log);
    drop(sockets);
    process.stop.store(true, Ordering::Relaxed);
    process.bells.iter().for_each(Bell::ring);
    for thread in process.threads {
        // A shard that panicked has aborted the process already.
        let _ = thread.join();
    }
    drop(pidfile);
    if !process.unixsocket.is_empty() {
        let _ = std::fs::remove_file(&process.unixsocket);
    }
    log.notice("Stopped");
    ended
}

/// A running server, as the main thread holds it.
struct Process {
    shared: Arc<Shared>,
    bells: Vec<Bell>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    unixsocket: String,
    /// To the shards.
    lines: Vec<(Bell, Sender<Notice>)>,
    main: Sender<Message>,
}

fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, BootError> {
    std::thread::Builder::new().name(name.into()).spawn(f).map_err(io("cannot start a thread"))
}

/// What every shard's thread needs to set itself up.
struct Plan {
    id: usize,
    core: Option<usize>,
    config: Arc<Config>,
    shared: Arc<Shared>,
    mesh: Mesh,
    bell: Bell,
    clock: Clock,
    notices: Receiver<Notice>,
    listeners: Vec<OwnedFd>,
    sleepers: Arc<[AtomicBool]>,
    stop: Arc<AtomicBool>,
    rings: Arc<Vec<OnceLock<RawFd>>>,
    all_open: Arc<Barrier>,
}

fn start(
    (config, registry): (Arc<Config>, Arc<Registry>),
    info: ServerInfo,
    path: Option<std::path::PathBuf>,
    cores: Vec<Option<usize>>,
    listeners: Vec<OwnedFd>,
    main: &Sender<Message>,
) -> Result<Process, BootError> {
    let shards = cores.len();
    let (garbage, heap) = channel();
    let pending = Arc::new(PendingGarbage::default());
    let freed = pending.clone();
    spawn("kring-free", move || control::free_all(&heap, &freed))?;
    let nodes = numa::nodes();
    if nodes.is_empty() {
        spawn("kring-pages", || pages::serve(0))?;
    }
    for node in nodes {
        spawn("kring-pages", move || {
            numa::stay_on(&node.cpus);
            pages::serve(node.number)
        })?;
    }
    let mut bells = Vec::new();
    let mut notices = Vec::new();
    let mut lines = Vec::new();
    for _ in 0..shards {
        let bell = Bell::new().map_err(BootError::Ring)?;
        let (to, from) = channel();
        lines.push((bell.clone(), to));
        notices.push(from);
        bells.push(bell);
    }
    let storage = Plane::start().map_err(io("cannot start the storage thread"))?;
    let (plane, to_shards) = (storage.clone(), lines.clone());
    let line = Line {
        main: main.clone(),
        garbage,
        pending,
        storage,
        registry: registry.clone(),
        peers: Peers::new(cores::usable()),
        config_file: path,
        log_place: Mutex::new(control::log_place(&config)),
        shards: lines,
    };
    let seed = prng::seeded(info.started_us as u64 ^ u64::from(info.pid) << 40);
    let mut shared = Shared::new(info, config.databases as usize, seed, Box::new(line));
    shared.registry = registry;
    let shared = Arc::new(shared);
    let snapshot = dataset::file(&config);
    if snapshot.is_some() || config.appendonly {
        // Before any shard runs: no client is to see a dataset that is not there yet.
        shared.saves.begin_load(shared.server.started_us / 1_000_000);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let sleepers: Arc<[AtomicBool]> = (0..shards).map(|_| AtomicBool::new(false)).collect();
    let rings = Arc::new((0..shards).map(|_| OnceLock::new()).collect::<Vec<_>>());
    let all_open = Arc::new(Barrier::new(shards + 1));
    let clock = Clock::calibrate();
    let mut listeners = Some(listeners);
    let (report, opened) = channel();
    let mut threads = Vec::new();
    for (id, (mesh, notices)) in Mesh::all(shards).into_iter().zip(notices).enumerate() {
        let plan = Plan {
            id,
            core: cores[id],
            config: config.clone(),
            shared: shared.clone(),
            mesh,
            bell: bells[id].clone(),
            clock,
            notices,
            listeners: listeners.take().unwrap_or_default(),
            sleepers: sleepers.clone(),
            stop: stop.clone(),
            rings: rings.clone(),
            all_open: all_open.clone(),
        };
        let (report, main) = (report.clone(), main.clone());
        threads.push(spawn(&format!("kring-shard-{id}"), move || {
            let ended = run_shard(plan, &report);
            let _ = main.send(Message::Ended { shard: id, error: ended.err().map(|e| e.to_string()) });
        })?);
    }
    for _ in 0..shards {
        if let Ok(Err(e)) = opened.recv() {
            return Err(BootError::Ring(e));
        }
    }
    all_open.wait();
    if config.appendonly {
        let main = main.clone();
        let answer = move |done| {
            let _ = main.send(Message::LogLoaded(done));
        };
        let from = (control::log_place(&config), snapshot, true);
        let with = (&*config, shared.registry.clone());
        control::load_log(&plane, &to_shards, from, with, shared.saves.clone(), Box::new(answer));
    } else if let Some(path) = snapshot {
        dataset::load(path, &config, &shared, &plane, &to_shards, main);
    }
    let (lines, main) = (to_shards, main.clone());
    Ok(Process { shared, bells, threads, stop, unixsocket: config.unixsocket.clone(), lines, main })
}

/// A shard's thread: pin, open the ring here (it belongs to this thread), wait for the others, run.
fn run_shard(plan: Plan, report: &Sender<Result<(), ring::Error>>) -> Result<(), ring::Error> {
    if let Some(core) = plan.core {
        cores::pin(core);
        if plan.shared.server.cores.iter().filter(|c| **c == plan.core).count() > 1 {
            // One that wakes would often stop another with a store in hand.
            cpu::wait_for_turn();
        }
    }
    let config = &plan.config;
    let options = Options {
        entries: config.ring_entries,
        // The kernel wants room for at least as many completions as submissions.
        cq_entries: Options::default().cq_entries.max(2 * config.ring_entries),
        recv_buffers: config.recv_buffers,
        recv_buffer_bytes: config.recv_buffer_bytes,
        zero_copy_from: if config.zero_copy_from == 0 { usize::MAX } else { config.zero_copy_from as usize },
        ..Options::default()
    };
    let (mut ring, pool) = match ring::open(&options) {
        Ok(opened) => opened,
        Err(e) => {
            let _ = report.send(Err(e.clone()));
            return Err(e);
        }
    };
    let _ = plan.rings[plan.id].set(ring.fd());
    let _ = report.send(Ok(()));
    plan.all_open.wait();
    ring.set_peers(plan.rings.iter().map(|r| *r.get().expect("set before the barrier")).collect());
    ring.hang(plan.bell);
    for listener in plan.listeners {
        ring.listen(listener);
    }
    let core = Core::new(plan.id, plan.shared, plan.config, plan.clock.now());
    let Plan { id, mesh, clock, notices, sleepers, stop, .. } = plan;
    shelf::have();
    shard::run(Setup { core, ring, pool, mesh, clock, sleepers, id, notices, stop })
}

/// Watches over the process until something ends it.
fn wait_for_end(
    process: &Process,
    sockets: &mut Listeners,
    inbox: &Receiver<Message>,
    log: &Log,
) -> Result<(), BootError> {
    let began = Instant::now();
    let mut interrupted = false;
    let mut said = Vec::new();
    loop {
        look_at_memory(&process.shared);
        dataset::show_progress(&process.shared);
        let message = inbox.recv_timeout(LOOK);
        log.keep_level(&process.shared.log_level);
        match message {
            Ok(Message::GoesOn) => interrupted = false,
            Ok(Message::Signal(signal)) => {
                log.warning(&format!("Received {signal}, scheduling shutdown"));
                let interrupt = signal == Signal::SIGINT;
                if interrupt && std::mem::replace(&mut interrupted, true) {
                    log.warning("Received a second SIGINT: exiting now");
                    std::process::exit(1);
                }
                let (bell, letterbox) = &process.lines[0];
                let _ = letterbox.send(Notice::Terminate { interrupt });
                bell.ring();
            }
            Ok(Message::Listen { from, ticket, pairs }) => {
                let result = sockets.change(pairs, log);
                let (bell, letterbox) = &process.lines[0];
                let _ = letterbox.send(Notice::Listens { from, ticket, result });
                bell.ring();
            }
            Ok(Message::Shutdown) => {
                log.warning("kring is now ready to exit, bye bye...");
                return Ok(());
            }
            Ok(Message::Loaded(Ok(loaded))) => {
                dataset::loaded(loaded, &process.shared, log, began);
                log.notice(READY);
            }
            Ok(Message::Loaded(Err(why))) => {
                log.warning(&format!(
                    "Cannot load the dataset from {why}. Terminating server after rdb file reading failure."
                ));
                return Err(BootError::Load(why));
            }
            Ok(Message::LogLoaded(Ok(recovered))) => {
                dataset::log_loaded(recovered, &process.shared, &process.lines, &process.main, log);
                log.notice(READY);
            }
            Ok(Message::LogReloaded(Ok(recovered))) => {
                dataset::log_loaded(recovered, &process.shared, &process.lines, &process.main, log);
                let (bell, letterbox) = &process.lines[0];
                let _ = letterbox.send(Notice::Reloaded(Ok(())));
                bell.ring();
            }
            // As in Redis: what is in memory has nothing to do with the log, which is not to be written on.
            Ok(Message::LogLoaded(Err(why)) | Message::LogReloaded(Err(why))) => {
                let error = BootError::Log(why);
                log.warning(&error.to_string());
                return Err(error);
            }
            Ok(Message::Note { text, warns: true }) => log.warning(&text),
            Ok(Message::Note { text, warns: false }) => log.notice(&text),
            Ok(Message::Once(text)) => {
                if !said.contains(&text) {
                    log.warning(&text);
                    said.push(text);
                }
            }
            Ok(Message::Ended { shard, error }) => {
                let error = error.unwrap_or_else(|| "unexpectedly".into());
                return Err(BootError::Shard { shard, error });
            }
            Err(_) => {}
        }
    }
}

/// Reads resident memory and CPU time for INFO.
fn look_at_memory(shared: &Shared) {
    let board = &shared.memory;
    // This is the main thread.
    for (who, user_us, sys_us) in [
        (UsageWho::RUSAGE_SELF, &board.cpu_user_us, &board.cpu_sys_us),
        (UsageWho::RUSAGE_THREAD, &board.cpu_main_user_us, &board.cpu_main_sys_us),
    ] {
        if let Ok(usage) = getrusage(who) {
            let us = |t: nix::sys::time::TimeVal| t.tv_sec() as u64 * 1_000_000 + t.tv_usec() as u64;
            user_us.store(us(usage.user_time()), Ordering::Relaxed);
            sys_us.store(us(usage.system_time()), Ordering::Relaxed);
        }
    }
    let used = shared.ledger.used() + shared.saves.log.buffered();
    board.used_peak.fetch_max(used, Ordering::Relaxed);
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|t| t.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    let rss = pages * 4_096;
    board.rss.store(rss, Ordering::Relaxed);
    // The first look comes before the first client.
    let _ = board.startup.compare_exchange(0, rss, Ordering::Relaxed, Ordering::Relaxed);
    board.rss_peak.fetch_max(rss, Ordering::Relaxed);
}

fn server_info(cores: &[Option<usize>], path: Option<&std::path::Path>, clients: usize) -> ServerInfo {
    let started_us = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_micros() as i64);
    let mut seed = prng::seeded(started_us as u64 ^ u64::from(std::process::id()) << 32);
    let run_id = (0..5).map(|_| format!("{:08x}", prng::xorshift(&mut seed) as u32)).collect();
    let os = nix::sys::utsname::uname().map_or(String::from("Linux"), |u| {
        let part = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
        format!("{} {} {}", part(u.sysname()), part(u.release()), part(u.machine()))
    });
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let total_kb = memory.and_then(|m| m.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok());
    ServerInfo {
        run_id,
        pid: std::process::id(),
        executable: std::env::current_exe().map_or(String::new(), |p| p.display().to_string()),
        config_file: path.map_or(String::new(), |p| p.display().to_string()),
        os,
        started_us,
        shards: cores.len(),
        cores: cores.to_vec(),
        clients,
        total_memory: total_kb.unwrap_or(0) * 1_024,
    }
}

/// The pid file, removed at the end.
struct Pidfile(Option<String>);

impl Pidfile {
    /// As in Redis, a file that cannot be written keeps nobody from serving.
    fn create(config: &Config, log: &Log) -> Pidfile {
        let path = match (config.pidfile.as_str(), config.daemonize) {
            ("", false) => return Pidfile(None),
            ("", true) => "/var/run/redis.pid",
            (path, _) => path,
        };
        match std::fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Pidfile(Some(path.to_string())),
            Err(error) => {
                log.warning(&format!("Failed to write PID file {path}: {error}"));
                Pidfile(None)
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
