//! What comes before the load: where the server is, cores, limits, connections, and the team of threads.

use crate::Flags;
use crate::drive::{Driver, Run};
use crate::keys::{Dist, Keys, Rng, part_of};
use crate::report::{MAX_KINDS, Stats};
use crate::workload::{Command, Expect, KeyFormat, Sizes, Workload};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{MsgFlags, recv};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a connection may take to be made, and a PING to be answered on it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Received bytes per provided buffer.
const BUFFER_SIZE: usize = 8 * 1024;
/// Most keys of one MGET.
const MAX_MGET: u32 = 10_000;

/// Where the server listens.
#[derive(Clone)]
pub enum Target {
    Tcp(SocketAddr),
    Unix(String),
}

impl Target {
    pub fn resolve(flags: &Flags) -> Result<Target, String> {
        if let Some(path) = &flags.unix {
            return Ok(Target::Unix(path.clone()));
        }
        let (host, port) = (flags.host.as_str(), flags.port);
        let mut found = (host, port).to_socket_addrs().map_err(|e| format!("cannot resolve {host}: {e}"))?;
        found.next().map(Target::Tcp).ok_or_else(|| format!("cannot resolve {host}"))
    }

    fn connect(&self) -> Result<OwnedFd, String> {
        match self {
            Target::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE);
                let stream = stream.and_then(|s| s.set_nodelay(true).map(|()| s));
                stream.map(Into::into).map_err(|e| format!("cannot connect to {address}: {e}"))
            }
            Target::Unix(path) => UnixStream::connect(path)
                .map(Into::into)
                .map_err(|e| format!("cannot connect to {path}: {e}")),
        }
    }
}

/// Reads a list of cores such as `0,2-3`.
pub fn parse_cpus(list: Option<&str>) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    for piece in list.into_iter().flat_map(|l| l.split(',')) {
        let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
        match (from.trim().parse::<usize>(), to.trim().parse::<usize>()) {
            (Ok(from), Ok(to)) if from <= to && to < CpuSet::count() => cpus.extend(from..=to),
            _ => return Err(format!("--cpu-list: '{piece}' is not a core or a range of cores")),
        }
    }
    Ok(cpus)
}

/// Pins this thread to a core of the list; without a list it floats.
pub fn pin(cpus: &[usize], thread: usize) -> Result<(), String> {
    if cpus.is_empty() {
        return Ok(());
    }
    let cpu = cpus[thread % cpus.len()];
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(nix::unistd::Pid::from_raw(0), &set))
        .map_err(|e| format!("cannot run on core {cpu}: {e}"))
}

/// Raises the limit of open files to `need` if it is lower.
pub fn raise_open_files(need: u64) -> Result<(), String> {
    let limits = getrlimit(Resource::RLIMIT_NOFILE).map_err(|e| format!("cannot read limits: {e}"))?;
    if limits.0 >= need {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, need, limits.1.max(need)).map_err(|e| {
        format!("{need} open files are needed and the limit is {} ({e}): raise ulimit -n", limits.0)
    })
}

/// Opens idle connections; each has answered a PING, so the server knows all of them.
pub fn open_idle(target: &Target, count: usize) -> Result<Vec<OwnedFd>, String> {
    (0..count).map(|_| target.connect().and_then(ping)).collect()
}

fn ping(socket: OwnedFd) -> Result<OwnedFd, String> {
    let failed = |e: std::io::Error| format!("an idle connection does not answer PING: {e}");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").map_err(failed)?;
    let mut reply = [0u8; 128];
    let mut len = 0;
    while len == 0 || reply[len - 1] != b'\n' {
        match stream.read(&mut reply[len..]).map_err(failed)? {
            0 => return Err("the server closed an idle connection".into()),
            n => len += n,
        }
    }
    match reply[0] {
        b'+' => Ok(stream.into()),
        _ => Err(format!("an idle connection got: {}", String::from_utf8_lossy(&reply[..len]).trim_end())),
    }
}

/// How many of the idle connections the server has not closed.
pub fn still_open(idle: &[OwnedFd]) -> usize {
    let alive = |fd: &&OwnedFd| {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        recv(fd.as_raw_fd(), &mut [0u8], flags) == Err(nix::errno::Errno::EAGAIN)
    };
    idle.iter().filter(alive).count()
}

/// What a run is made of.
#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    /// Every key set once.
    Load,
    /// The mix that the flags ask for.
    Run,
}

impl Phase {
    /// The thread's workload, and its share of the requests.
    fn workload(self, flags: &Flags, thread: u64, run: &Run) -> Result<(Workload, u64), String> {
        let threads = u64::from(flags.threads);
        let share = |total: u64| part_of(total, thread, threads).1 - part_of(total, thread, threads).0;
        let (dist, requests) = match self {
            Phase::Load => (Dist::Seq, share(flags.keys)),
            Phase::Run if run.requests == u64::MAX => (flags.dist, u64::MAX),
            Phase::Run => (flags.dist, share(run.requests)),
        };
        let keys = Keys::new(dist, flags.keys, thread, threads);
        let rng = Rng::new(flags.seed.wrapping_mul(1_000_003).wrapping_add(thread));
        let load = Workload::new(mix(flags, self)?, keys, flags.key_width as usize, flags.data_size, rng);
        Ok((load, requests))
    }
}

/// The commands of a phase.
fn mix(flags: &Flags, phase: Phase) -> Result<Vec<Command>, String> {
    let tag = flags.hash_tag.as_ref().map_or(String::new(), |t| format!("{{{t}}}"));
    let keys = KeyFormat { prefix: format!("{tag}{}", flags.key_prefix), width: flags.key_width as usize };
    let sizes: Sizes = flags.data_size;
    let command = |text: &str, weight, expect| Command::parse(text, weight, expect, &keys, sizes);
    if phase == Phase::Load {
        return Ok(vec![command("SET __key__ __data__", 1, Expect::Status)?]);
    }
    if !flags.commands.is_empty() {
        if flags.commands.len() > MAX_KINDS || flags.command_ratio.len() > flags.commands.len() {
            return Err(format!("at most {MAX_KINDS} --commands, and one --command-ratio for each"));
        }
        let weights = flags.command_ratio.iter().copied().chain(std::iter::repeat(1));
        let commands = flags.commands.iter().zip(weights);
        let commands = commands.map(|(text, weight)| command(text, weight, Expect::Anything));
        return some(commands.collect::<Result<Vec<_>, _>>()?);
    }
    let ratio = flags.ratio.split_once(':').and_then(|(s, g)| Some((s.parse().ok()?, g.parse().ok()?)));
    let (sets, gets): (u32, u32) = ratio.ok_or("--ratio wants SET:GET, such as 1:10")?;
    let read = match flags.mget {
        Some(n) if (1..=MAX_MGET).contains(&n) => {
            let text = format!("MGET{}", " __key__".repeat(n as usize));
            command(&text, gets.into(), Expect::Array(n.into()))?
        }
        Some(_) => return Err(format!("--mget wants 1 to {MAX_MGET} keys")),
        None => command("GET __key__", gets.into(), Expect::Value(sizes))?,
    };
    some(vec![command("SET __key__ __data__", sets.into(), Expect::Status)?, read])
}

fn some(mut commands: Vec<Command>) -> Result<Vec<Command>, String> {
    commands.retain(|c| c.weight > 0);
    if commands.is_empty() { Err("all ratios are 0".into()) } else { Ok(commands) }
}

enum Message {
    Ready,
    /// A phase is over.
    Measured(Stats),
    Failed(String),
}

/// The threads, each with its connections.
pub struct Team {
    phases: Vec<Sender<(Phase, Run)>>,
    messages: Receiver<Message>,
}

impl Team {
    /// Starts the threads and connects them.
    pub fn start(flags: &Flags, target: &Target, cpus: &[usize]) -> Result<Team, String> {
        if flags.clients < flags.threads {
            return Err("--clients must be at least --threads".into());
        }
        let digits = flags.keys.max(1).ilog10() + 1;
        if flags.keys == 0 || (flags.keys - 1).max(1).ilog10() + 1 > flags.key_width {
            return Err(format!("--keys must be at least 1, and --key-width at least {digits} for so many"));
        }
        mix(flags, Phase::Run)?;
        let (send, messages) = channel();
        let mut phases = Vec::new();
        for thread in 0..u64::from(flags.threads) {
            let (phase, todo) = channel();
            phases.push(phase);
            let (flags, target, cpus, send) = (flags.clone(), target.clone(), cpus.to_vec(), send.clone());
            std::thread::spawn(move || {
                if let Err(error) = member(&flags, &target, &cpus, thread, &todo, &send) {
                    // Nobody listens any more when another thread has failed before.
                    let _ = send.send(Message::Failed(error));
                }
            });
        }
        let team = Team { phases, messages };
        team.await_all()?;
        Ok(team)
    }

    /// Starts a phase on all threads.
    pub fn begin(&self, phase: Phase, run: Run) {
        for sender in &self.phases {
            // A thread that is gone has left a message, which `finish` finds.
            let _ = sender.send((phase, run));
        }
    }

    /// Awaits the phase's end; the numbers of all threads.
    pub fn finish(&self) -> Result<Stats, String> {
        let mut all = Stats::default();
        for message in self.await_all()? {
            if let Message::Measured(stats) = message {
                all.merge(stats);
            }
        }
        Ok(all)
    }

    /// One message from each thread; a failure of any ends it.
    fn await_all(&self) -> Result<Vec<Message>, String> {
        let mut got = Vec::new();
        while got.len() < self.phases.len() {
            match self.messages.recv() {
                Ok(Message::Failed(error)) => return Err(error),
                Ok(message) => got.push(message),
                Err(_) => return Err("a thread of load ended early".into()),
            }
        }
        Ok(got)
    }
}

/// The life of a thread.
fn member(
    flags: &Flags,
    target: &Target,
    cpus: &[usize],
    thread: u64,
    todo: &Receiver<(Phase, Run)>,
    send: &Sender<Message>,
) -> Result<(), String> {
    pin(cpus, thread as usize)?;
    // The kernel may delay a timer by this much; 50 us by default.
    let _ = nix::sys::prctl::set_timerslack(1);
    let (first, end) = part_of(flags.clients.into(), thread, flags.threads.into());
    let sockets = (first..end).map(|_| target.connect()).collect::<Result<Vec<_>, _>>()?;
    let mut driver = Driver::new(sockets, BUFFER_SIZE)?;
    let _ = send.send(Message::Ready);
    while let Ok((phase, run)) = todo.recv() {
        let (load, requests) = phase.workload(flags, thread, &run)?;
        let stats = driver.run(load, Run { requests, ..run })?;
        let _ = send.send(Message::Measured(stats));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn reads_core_lists() {
        assert_eq!(parse_cpus(Some("0,2-4")), Ok(vec![0, 2, 3, 4]));
        assert_eq!(parse_cpus(None), Ok(vec![]));
        for bad in ["", "x", "3-1", "1,,2", "99999"] {
            assert!(parse_cpus(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn mixes_follow_the_flags() {
        let names = |args: &[&str]| {
            let flags = Flags::parse_from(["kring-bench"].iter().chain(args));
            mix(&flags, Phase::Run).map(|m| m.iter().map(|c| (c.name.clone(), c.weight)).collect::<Vec<_>>())
        };
        let pair = |a: &str, n: u64| (a.to_string(), n);
        assert_eq!(names(&[]), Ok(vec![pair("SET", 1), pair("GET", 10)]));
        assert_eq!(names(&["--ratio", "0:1", "--mget", "3"]), Ok(vec![pair("MGET", 1)]));
        let custom = ["--commands", "incr c", "--commands", "lpush l __data__", "--command-ratio", "3"];
        assert_eq!(names(&custom), Ok(vec![pair("INCR", 3), pair("LPUSH", 1)]));
        assert!(names(&["--ratio", "0:0"]).is_err() && names(&["--ratio", "1"]).is_err());
    }
}
