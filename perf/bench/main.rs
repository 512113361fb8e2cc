//! kring-bench: a load generator for Redis-compatible servers, light enough to saturate a server's core from one core.
//!
//! Each thread drives its connections from one io_uring: a multishot recv each, one system call per turn, requests
//! copied from templates, replies counted and checked without being built. See perf/README.md for how to read it.
//!
//! | file | what |
//! |---|---|
//! | `main.rs` | flags, threads, phases |
//! | `drive.rs` | a thread's loop, closed and open |
//! | `pacing.rs` | the open loop's arrivals |
//! | `workload.rs`, `keys.rs` | the mix, requests, keys |
//! | `replies.rs` | reply boundaries |
//! | `report.rs`, `procfs.rs` | percentiles, plot, JSON; CPU and memory of processes |
//! | `client_ring.rs` | the ring; all `unsafe` is there |
//! | `constant.rs` | the server that only answers |
//! | `trace/` | recorded requests against caches of several sizes |

mod client_ring;
mod constant;
mod drive;
mod keys;
mod pacing;
mod procfs;
mod replies;
mod report;
mod setup;
mod trace;
mod workload;

use clap::Parser;
use drive::{OpenLoop, Run, STOP};
use keys::Dist;
use nix::sys::signal::{SigSet, Signal};
use procfs::Cpu;
use report::{Cost, Memory, Report, Stats};
use setup::{Phase, Target, Team};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use workload::Sizes;

/// How long a run lasts when neither --requests nor --seconds says so.
const DEFAULT_SECONDS: f64 = 10.0;
/// How long the constant server serves when --seconds does not say so.
const DEFAULT_SERVE_SECONDS: f64 = 600.0;
/// Requests per write while filling the keyspace.
const LOAD_PIPELINE: usize = 64;
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// Load generator for Redis-compatible servers.
#[derive(Parser, Clone, Debug)]
#[command(name = "kring-bench", version, args_override_self = true)]
pub struct Flags {
    /// Server's host
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Server's port
    #[arg(long, short, default_value_t = 6379)]
    port: u16,
    /// Server's Unix socket, instead of host and port
    #[arg(long, value_name = "PATH")]
    unix: Option<String>,
    /// Connections, over all threads
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    clients: u32,
    /// Requests in flight per connection
    #[arg(long, short = 'P', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// Requests to send; ends the run
    #[arg(long, short = 'n')]
    requests: Option<u64>,
    /// Seconds to measure; ends the run [default: 10 if --requests is not given]
    #[arg(long, short)]
    seconds: Option<f64>,
    /// Seconds of load before measuring starts
    #[arg(long, default_value_t = 0.0)]
    warmup: f64,
    /// Open loop: requests per second, sent on schedule whatever the server does
    #[arg(long, short)]
    rate: Option<f64>,
    /// Open loop: Poisson arrivals instead of even ones
    #[arg(long, requires = "rate")]
    poisson: bool,
    /// Open loop: keep the time by spinning, which takes the client's whole core
    #[arg(long, requires = "rate")]
    spin: bool,
    /// Number of keys
    #[arg(long, short, default_value_t = 1_000_000)]
    keys: u64,
    /// What keys start with
    #[arg(long, default_value = "key:")]
    key_prefix: String,
    /// Digits of a key's number
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=19))]
    key_width: u32,
    /// Puts {TAG} in front of every key, so that all live in one hash slot
    #[arg(long, value_name = "TAG")]
    hash_tag: Option<String>,
    /// Choice of keys: uniform, seq, scatter (each once, far apart), zipf, zipf:EXPONENT
    #[arg(long, default_value = "uniform")]
    dist: Dist,
    /// SET:GET
    #[arg(long, default_value = "1:10")]
    ratio: String,
    /// Size of values: BYTES or MIN-MAX
    #[arg(long, short, default_value = "64")]
    data_size: Sizes,
    /// Commands instead of SET and GET, with __key__, __same__ and __data__ in them; may be repeated
    #[arg(long, value_name = "TEMPLATE")]
    commands: Vec<String>,
    /// Weight of each of --commands, in their order [default: 1]
    #[arg(long, value_name = "N", requires = "commands")]
    command_ratio: Vec<u64>,
    /// MGET of N keys instead of GET
    #[arg(long, value_name = "N", conflicts_with = "commands")]
    mget: Option<u32>,
    /// Sets every key once before the run, unmeasured
    #[arg(long)]
    load: bool,
    /// Ends after --load
    #[arg(long, requires = "load")]
    load_only: bool,
    /// Threads
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Cores to pin threads to, in turn: 1 or 0,2-3
    #[arg(long, value_name = "LIST")]
    cpu_list: Option<String>,
    /// Seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Server's process, to show its CPU time per operation and its memory
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Extra connections that are open and idle during the run
    #[arg(long, value_name = "N", default_value_t = 0)]
    idle: usize,
    /// Writes the numbers as JSON; - for stdout instead of the report
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// Replays a trace, cache-aside, against servers that are started here: a .lis, .csv or list of keys, also .zst; or zipf, scan
    #[arg(long, value_name = "FILE")]
    trace: Option<String>,
    /// With --trace: a server to start, with its options; may be repeated
    #[arg(long, value_name = "PROGRAM ARGS", default_values_t = [String::from("redis-server"), String::from("kring-server --shards 1")])]
    trace_server: Vec<String>,
    /// With --trace: policies to try; one that a server does not know is left out
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "allkeys-lru,allkeys-lfu,allkeys-random,allkeys-s3fifo"
    )]
    trace_policies: Vec<String>,
    /// With --trace: cache sizes in percent of the footprint
    #[arg(long, value_name = "LIST", default_value = "0.1,1,10,50")]
    trace_sizes: String,
    /// With --trace: each server gets a part of its `own` footprint, or all the `same` as the first
    #[arg(long, value_name = "own|same", default_value = "own", value_parser = ["own", "same"])]
    trace_memory: String,
    /// Be a server that answers GET with a constant of --data-size and all else with +OK
    #[arg(long, value_name = "ADDR:PORT")]
    serve_constant: Option<String>,
}

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kring-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), String> {
    for (name, seconds) in [("seconds", flags.seconds), ("warmup", Some(flags.warmup)), ("rate", flags.rate)]
    {
        if seconds.is_some_and(|s| !(0.0..=1e9).contains(&s) || (s == 0.0 && name != "warmup")) {
            return Err(format!("--{name} must be a number above 0"));
        }
    }
    stop_on_signals()?;
    let cpus = setup::parse_cpus(flags.cpu_list.as_deref())?;
    if let Some(address) = &flags.serve_constant {
        setup::pin(&cpus, 0)?;
        let limit = Duration::from_secs_f64(flags.seconds.unwrap_or(DEFAULT_SERVE_SECONDS));
        return constant::serve(address, flags.data_size.max, limit);
    }
    if let Some(path) = &flags.trace {
        return trace::run(flags, path);
    }
    setup::raise_open_files(flags.clients as u64 + flags.idle as u64 + 64 + u64::from(flags.threads) * 4)?;
    let target = Target::resolve(flags)?;
    let start_kib = server_rss(flags)?;
    let team = Team::start(flags, &target, &cpus)?;
    if flags.load {
        let run = Run { pipeline: LOAD_PIPELINE, ..endless() };
        team.begin(Phase::Load, run);
        let stats = team.finish()?;
        complain(&stats)?;
        if STOP.load(Ordering::Relaxed) {
            return Err("interrupted while loading".into());
        }
        let (keys, seconds) = (stats.ops(), stats.seconds());
        eprintln!("loaded {keys} keys in {seconds:.1} s ({:.0}/s)", keys as f64 / seconds.max(1e-9));
        if flags.load_only {
            return Ok(());
        }
    }
    let idle = setup::open_idle(&target, flags.idle)?;
    let memory = Memory { start_kib, idle_kib: server_rss(flags)?, end_kib: 0 };
    let report = measure(flags, &team, memory)?;
    let open = setup::still_open(&idle);
    let report = Report { idle: (flags.idle > 0).then_some((idle.len(), open)), ..report };
    match flags.json.as_deref() {
        Some("-") => print!("{}", report.json()),
        Some(path) => {
            std::fs::write(path, report.json()).map_err(|e| format!("cannot write {path}: {e}"))?;
            print!("{}", report.text());
        }
        None => print!("{}", report.text()),
    }
    Ok(())
}

/// The measured run, with the CPU time of server and client over the same window.
fn measure(flags: &Flags, team: &Team, memory: Memory) -> Result<Report, String> {
    let origin = Instant::now();
    let warmup = Duration::from_secs_f64(flags.warmup);
    let seconds = flags.seconds.or(flags.requests.is_none().then_some(DEFAULT_SECONDS));
    let length = seconds.map_or(FOREVER, Duration::from_secs_f64);
    let threads = f64::from(flags.threads);
    let open = flags.rate.map(|r| OpenLoop { rate: r / threads, poisson: flags.poisson, spin: flags.spin });
    team.begin(
        Phase::Run,
        Run {
            origin,
            from_ns: warmup.as_nanos() as u64,
            until_ns: (warmup + length).as_nanos() as u64,
            requests: flags.requests.unwrap_or(u64::MAX),
            pipeline: flags.pipeline as usize,
            open,
        },
    );
    let sample = || -> Result<(Cpu, Option<Cpu>), String> {
        let server = flags.server_pid.map(|pid| Cpu::of(pid).map_err(|e| no_server(pid, e)));
        let client = Cpu::of(std::process::id()).map_err(|e| format!("cannot read /proc/self: {e}"))?;
        Ok((client, server.transpose()?))
    };
    std::thread::sleep(warmup.saturating_sub(origin.elapsed()));
    let (client, server) = sample()?;
    let stats = team.finish()?;
    let (client_end, server_end) = sample()?;
    let cost = |from: &Cpu, to: &Cpu| {
        let (total_s, user_s, system_s) = to.since(from);
        Cost { total_s, user_s, system_s }
    };
    let memory = Memory { end_kib: server_rss(flags)?, ..memory };
    let server = server.zip(server_end).map(|(from, to)| (cost(&from, &to), memory));
    Ok(Report { stats, offered: flags.rate, client: cost(&client, &client_end), server, idle: None })
}

fn endless() -> Run {
    let (until_ns, requests) = (FOREVER.as_nanos() as u64, u64::MAX);
    Run { origin: Instant::now(), from_ns: 0, until_ns, requests, pipeline: 1, open: None }
}

/// An error reply while loading means that the numbers after it would mislead.
fn complain(stats: &Stats) -> Result<(), String> {
    match &stats.first_error {
        Some(error) => Err(format!("loading failed: {error}")),
        None => Ok(()),
    }
}

fn server_rss(flags: &Flags) -> Result<u64, String> {
    flags.server_pid.map_or(Ok(0), |pid| procfs::rss_kib(pid).map_err(|e| no_server(pid, e)))
}

fn no_server(pid: u32, error: std::io::Error) -> String {
    format!("cannot read /proc/{pid} of --server-pid: {error}")
}

/// SIGINT and SIGTERM end the run early; what was measured is still told. A second one ends the process.
fn stop_on_signals() -> Result<(), String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|e| format!("cannot block signals: {e}"))?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}
