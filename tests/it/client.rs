//! A raw connection: sends any bytes, reads replies with their bytes kept.

use crate::reply::{Reply, show};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a reply may take. Generous: the machine may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes asked of the socket at a time.
const CHUNK: usize = 64 * 1024;

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub struct Client {
    stream: Stream,
    /// Bytes read and not yet given out: those from `at`.
    read: Vec<u8>,
    at: usize,
}

impl Client {
    pub fn tcp(addr: impl Into<SocketAddr>) -> std::io::Result<Client> {
        let stream = TcpStream::connect(addr.into())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Tcp(stream), read: Vec::new(), at: 0 })
    }

    pub fn unix(path: &Path) -> std::io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Unix(stream), read: Vec::new(), at: 0 })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(s) => s.write_all(bytes),
            Stream::Unix(s) => s.write_all(bytes),
        }
    }

    /// Sends a request and takes its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        let request = request(args);
        self.send(&request).unwrap_or_else(|e| panic!("{e} on sending {}", show(&request)));
        self.reply()
    }

    /// Sends a request given as words and takes its reply.
    pub fn run(&mut self, words: &str) -> Reply {
        self.call(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// As `run`, where nothing but `+OK` will do.
    pub fn ok(&mut self, words: &str) {
        let reply = self.run(words);
        assert!(reply.is_ok(), "{words}: {reply:?}");
    }

    /// As `run`, and gives the bytes of the reply.
    pub fn raw_of(&mut self, words: &str) -> Vec<u8> {
        let reply = self.send(&request(&words.split_whitespace().collect::<Vec<_>>()));
        reply.unwrap_or_else(|e| panic!("{e} on sending {words}"));
        self.raw()
    }

    /// The next reply.
    pub fn reply(&mut self) -> Reply {
        self.take_reply().0
    }

    /// The bytes of the next reply.
    pub fn raw(&mut self) -> Vec<u8> {
        self.take_reply().1
    }

    /// The next reply and its bytes.
    pub fn take_reply(&mut self) -> (Reply, Vec<u8>) {
        self.try_reply().unwrap_or_else(|e| panic!("no reply: {e}"))
    }

    /// The next reply and its bytes; an error when the connection is closed or nothing comes.
    pub fn try_reply(&mut self) -> std::io::Result<(Reply, Vec<u8>)> {
        let mut tried = usize::MAX;
        loop {
            // A large reply is parsed again only when it has grown by half, or may be whole: the cost stays linear.
            let have = self.read.len() - self.at;
            if tried == usize::MAX
                || have < CHUNK
                || have >= tried + tried / 2
                || self.read.ends_with(b"\r\n")
            {
                if let Some((reply, used)) = Reply::parse(&self.read[self.at..]) {
                    let raw = self.read[self.at..self.at + used].to_vec();
                    self.at += used;
                    return Ok((reply, raw));
                }
                tried = have;
            }
            if self.fill()? == 0 {
                return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed"));
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        if self.at == self.read.len() {
            self.read.clear();
            self.at = 0;
        }
        let old = self.read.len();
        self.read.resize(old + CHUNK, 0);
        let got = match &mut self.stream {
            Stream::Tcp(s) => s.read(&mut self.read[old..]),
            Stream::Unix(s) => s.read(&mut self.read[old..]),
        };
        self.read.truncate(old + *got.as_ref().unwrap_or(&0));
        got
    }

    /// All that SCAN finds on its way round.
    pub fn scan(&mut self, options: &str) -> BTreeSet<Vec<u8>> {
        /// Calls after which a cursor that does not come home is a failure.
        const CALLS: usize = 100_000;
        let mut found = BTreeSet::new();
        let mut cursor = String::from("0");
        for _ in 0..CALLS {
            let reply = self.run(&format!("SCAN {cursor} {options}"));
            found.extend(reply.array()[1].array().iter().map(|k| k.bytes().to_vec()));
            cursor = reply.array()[0].text();
            if cursor == "0" {
                return found;
            }
        }
        panic!("SCAN does not end");
    }

    /// Everything until the server closes. A reset is an end as well: it tells of bytes that the server did not read.
    pub fn until_closed(&mut self) -> Vec<u8> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => break,
                Err(e) => panic!("the server did not close: {e}; it sent {}", show(&self.read[self.at..])),
            }
        }
        let rest = self.read[self.at..].to_vec();
        self.at = self.read.len();
        rest
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub fn half_close(&mut self) {
        let done = match &self.stream {
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
        };
        // The server may have closed already.
        let _ = done;
    }

    /// A second handle to write with while this one reads.
    pub fn writer(&self) -> Box<dyn Write + Send> {
        match &self.stream {
            Stream::Tcp(s) => Box::new(s.try_clone().unwrap()),
            Stream::Unix(s) => Box::new(s.try_clone().unwrap()),
        }
    }
}

/// A request in RESP.
pub fn request<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A request in RESP, from words.
pub fn words(line: &str) -> Vec<u8> {
    request(&line.split_whitespace().collect::<Vec<_>>())
}
