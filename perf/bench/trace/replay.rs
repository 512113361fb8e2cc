//! Cache-aside against one server: GET, and on a miss SET.
//!
//! Requests go out in windows without a repetition, so that a key's SET is always ahead of its next GET; the SETs of a
//! window's misses go with the next window's GETs.

use super::file::Trace;
use crate::replies::{Reply, Scanner};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Requests in a window at most.
const WINDOW: usize = 32;
/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a replay counted.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hits {
    pub hits: u64,
    pub requests: u64,
}

impl Hits {
    pub fn ratio(self) -> f64 {
        self.hits as f64 / self.requests.max(1) as f64
    }
}

/// A connection that waits for its replies.
pub struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl Client {
    pub fn connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, out: Vec::new(), read: vec![0; 64 << 10] })
    }

    fn add(&mut self, args: &[&[u8]]) {
        // A write into memory cannot fail.
        let _ = write!(self.out, "*{}\r\n", args.len());
        for arg in args {
            let _ = write!(self.out, "${}\r\n", arg.len());
            self.out.extend_from_slice(arg);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends what was added and gives each of the `n` replies to `f`.
    fn exchange(&mut self, n: usize, mut f: impl FnMut(usize, &Reply<'_>)) -> Result<(), String> {
        self.stream.write_all(&self.out).map_err(|e| format!("cannot send: {e}"))?;
        self.out.clear();
        let (mut scanner, mut seen) = (Scanner::new(), 0);
        while seen < n {
            let len = self.stream.read(&mut self.read).map_err(|e| format!("no reply: {e}"))?;
            if len == 0 {
                return Err("the server closed the connection".into());
            }
            let fed = scanner.feed(&self.read[..len], |reply| {
                f(seen, &reply);
                seen += 1;
            });
            fed.map_err(|e| e.0.to_string())?;
        }
        Ok(())
    }

    /// A command that must not fail.
    pub fn run(&mut self, words: &str) -> Result<(), String> {
        self.add(&words.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let mut error = None;
        self.exchange(1, |_, reply| {
            if let Reply::Error(text) = reply {
                error = Some(format!("{words}: {}", String::from_utf8_lossy(text)));
            }
        })?;
        error.map_or(Ok(()), Err)
    }

    /// A number out of INFO.
    pub fn info(&mut self, section: &str, field: &str) -> Result<u64, String> {
        self.stream.write_all(format!("INFO {section}\r\n").as_bytes()).map_err(|e| e.to_string())?;
        let mut text = Vec::new();
        loop {
            let len = self.stream.read(&mut self.read).map_err(|e| format!("no INFO: {e}"))?;
            text.extend_from_slice(&self.read[..len]);
            let mut whole = false;
            Scanner::new().feed(&text, |_| whole = true).map_err(|e| e.0.to_string())?;
            if whole || len == 0 {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let found = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok());
        found.ok_or_else(|| format!("INFO {section} has no {field}"))
    }

    /// Sets every key once.
    pub fn load(&mut self, trace: &Trace, default_size: usize) -> Result<(), String> {
        let all: Vec<u32> = (0..trace.keys.len() as u32).collect();
        for part in all.chunks(WINDOW) {
            self.set(trace, part, default_size);
            let mut error = None;
            self.exchange(part.len(), |_, reply| note(&mut error, reply))?;
            error.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn set(&mut self, trace: &Trace, keys: &[u32], default_size: usize) {
        for &key in keys {
            let size = match trace.sizes[key as usize] {
                0 => default_size,
                size => size as usize,
            };
            let value = vec![b'x'; size];
            self.add(&[b"SET", &trace.keys[key as usize], &value]);
        }
    }

    /// Replays the trace.
    pub fn replay(&mut self, trace: &Trace, default_size: usize) -> Result<Hits, String> {
        let mut hits = Hits::default();
        let (mut window, mut missed) = (Vec::with_capacity(WINDOW), Vec::new());
        // By key: the last window it was in.
        let mut seen = vec![0u32; trace.keys.len()];
        let mut number = 1;
        for (i, &key) in trace.requests.iter().enumerate() {
            let again = seen[key as usize] == number;
            if again || window.len() == WINDOW {
                self.window(trace, &mut window, &mut missed, default_size, &mut hits)?;
                number += 1;
            }
            seen[key as usize] = number;
            window.push(key);
            if i + 1 == trace.requests.len() {
                self.window(trace, &mut window, &mut missed, default_size, &mut hits)?;
            }
        }
        Ok(hits)
    }

    fn window(
        &mut self,
        trace: &Trace,
        window: &mut Vec<u32>,
        missed: &mut Vec<u32>,
        default_size: usize,
        hits: &mut Hits,
    ) -> Result<(), String> {
        let sets = missed.len();
        self.set(trace, missed, default_size);
        missed.clear();
        window.iter().for_each(|key| self.add(&[b"GET", &trace.keys[*key as usize]]));
        let mut error = None;
        self.exchange(sets + window.len(), |i, reply| match reply {
            Reply::Bulk(_) => hits.hits += 1,
            Reply::Nil if i >= sets => missed.push(window[i - sets]),
            reply => note(&mut error, reply),
        })?;
        hits.requests += window.len() as u64;
        window.clear();
        error.map_or(Ok(()), Err)
    }
}

/// Keeps the first error.
fn note(error: &mut Option<String>, reply: &Reply<'_>) {
    if let Reply::Error(text) = reply {
        error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
    }
}
