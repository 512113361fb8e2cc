//! A server process of a test: started on a free port in a directory of its own, ended when dropped.

use crate::client::{Client, PATIENCE};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to answer its first PING.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);
/// Ports tried before a start is given up.
const PORTS_TRIED: usize = 20;

/// The binary under test.
pub const KRING: &str = env!("CARGO_BIN_EXE_kring-server");

pub struct Server {
    child: Child,
    pub port: u16,
    dir: Scratch,
}

impl Server {
    /// kring with so many shards.
    pub fn kring(shards: usize, args: &[&str]) -> Server {
        let shards = shards.to_string();
        let mut all = vec!["--shards", &shards];
        all.extend(args);
        Server::start(KRING, &all)
    }

    /// kring on this very port; `None` when it is taken.
    pub fn kring_on(port: u16, shards: usize, args: &[&str]) -> Option<Server> {
        let dir = Scratch::new();
        let shards = shards.to_string();
        let all: Vec<&str> = ["--shards", &shards].into_iter().chain(args.iter().copied()).collect();
        let child = attempt(KRING, &all, port, dir.path())?;
        Some(Server { child, port, dir })
    }

    /// The oracle. Tests that need it fail with one line when it is not installed.
    pub fn redis(args: &[&str]) -> Server {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        assert!(
            found.is_ok(),
            "redis-server is not on PATH: install the package redis-server (tests/run does)"
        );
        Server::start("redis-server", args)
    }

    fn start(program: &str, args: &[&str]) -> Server {
        for _ in 0..PORTS_TRIED {
            let dir = Scratch::new();
            let port = free_port();
            if let Some(child) = attempt(program, args, port, dir.path()) {
                return Server { child, port, dir };
            }
        }
        panic!("{program} found no free port in {PORTS_TRIED} attempts");
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub fn connect(&self) -> Client {
        Client::tcp(self.addr()).unwrap_or_else(|e| panic!("cannot connect: {e}; log:\n{}", self.log()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that it works in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn log(&self) -> String {
        read_log(self.dir.path())
    }

    /// Sends a signal by name, as in `kill -s`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(done.is_ok_and(|s| s.success()), "kill -s {name}");
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not stop; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory in bytes, from /proc.
    pub fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("a process has VmRSS");
        let kb: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("kB");
        kb * 1024
    }

    /// The fields of INFO, of all sections.
    pub fn info(&self) -> BTreeMap<String, String> {
        let text = self.connect().run("INFO everything").text();
        text.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.into(), v.trim_end().into())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the server on port {}:\n{}", self.port, self.log());
        }
    }
}

/// Starts the program; `None` when the port was taken meanwhile.
fn attempt(program: &str, args: &[&str], port: u16, dir: &Path) -> Option<Child> {
    let out = std::fs::File::create(dir.join("out")).expect("a new directory takes a file");
    let err = out.try_clone().expect("a file handle is copied");
    let mut child = Command::new(program)
        .args(["--port", &port.to_string(), "--save", ""])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {program}: {e}"));
    let deadline = Instant::now() + BOOT_PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            let log = read_log(dir);
            if log.contains("in use") {
                return None;
            }
            panic!("{program} {args:?} ended with {status}:\n{log}");
        }
        let answered = Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok_and(|mut c| {
            // Any reply will do: with a password it is an error.
            c.send(b"PING\r\n").is_ok() && c.try_reply().is_ok()
        });
        if answered {
            return Some(child);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{program} {args:?} does not answer:\n{}", read_log(dir));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_log(dir: &Path) -> String {
    let bytes = std::fs::read(dir.join("out")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A port that nobody has, below the range that the kernel gives to outgoing connections. No two calls in this process
/// get the same.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + (std::process::id().wrapping_mul(131) + step) % COUNT) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// A directory that goes when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kring-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary directory takes a directory");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Looks again and again until `done` is true; panics when it takes longer than anything here should.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
