//! DUMP payloads cross over to a real redis-server and back. Says so and passes where none is installed.

use kring::config::Config;
use kring::ds::{Owned, View};
use kring::persist::dump::{dump, restore};
use kring::persist::value::Reading;
use kring::store::{Value, string_of};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(5);

/// A redis-server of our own, which ends with the test.
struct Redis {
    process: Child,
    stream: BufReader<TcpStream>,
}

impl Redis {
    fn start() -> Option<Redis> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut process = Command::new("redis-server")
            .args(["--save", "", "--bind", "127.0.0.1", "--daemonize", "no", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                return Some(Redis { process, stream: BufReader::new(stream) });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!("redis-server does not listen");
    }

    /// Runs a command and gives its reply: a bulk string's content, else the line.
    fn run(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).expect("redis-server reads");
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("redis-server answers");
        line.truncate(line.len() - 2);
        let Some(len) = line.strip_prefix(b"$") else { return line };
        let len: usize = std::str::from_utf8(len).expect("a length").parse().expect("a length");
        let mut value = vec![0; len + 2];
        self.stream.read_exact(&mut value).expect("redis-server answers");
        value.truncate(len);
        value
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn texts() -> Vec<Vec<u8>> {
    let ints = [0, 1, -1, 127, 128, -128, -129, 32_767, 32_768, -32_769, 1 << 31, i64::MAX, i64::MIN];
    let mut texts: Vec<Vec<u8>> = ints.iter().map(|n| n.to_string().into_bytes()).collect();
    texts.extend([&b""[..], b"a", b"01", b"-0", b"\x00\xff\r\n", b"hello world"].map(<[u8]>::to_vec));
    for len in [20u32, 21, 63, 64, 300, 5_000, 16_383, 16_384, 100_000] {
        texts.push(vec![b'x'; len as usize]);
        texts.push((0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
        texts.push((0..len).map(|i| b"the quick brown fox jumps"[(i * (i % 91) % 25) as usize]).collect());
    }
    texts
}

fn dumped(text: &[u8], compress: bool) -> Vec<u8> {
    match &string_of(text.to_vec()) {
        Owned::Int(n) => dump(View::Int(*n), compress),
        Owned::Bytes(text) => dump(View::Bytes(text), compress),
        Owned::Boxed(value) => dump(View::Boxed(value), compress),
    }
}

fn bytes_of(value: Owned<Value>) -> Vec<u8> {
    match value {
        Owned::Int(n) => n.to_string().into_bytes(),
        Owned::Bytes(text) => text.to_vec(),
        Owned::Boxed(Value::Str(text)) => text.to_vec(),
        Owned::Boxed(other) => panic!("not a string: {other:?}"),
    }
}

#[test]
fn payloads_cross_over_to_redis_and_back() {
    let Some(mut redis) = Redis::start() else {
        eprintln!("skipped: no redis-server here");
        return;
    };
    let config = Config::default();
    let reading = Reading { config: &config, seed: 7 };
    for text in texts() {
        let what = || format!("{} bytes from {:?}", text.len(), &text[..text.len().min(20)]);
        for compress in [true, false] {
            let ours = dumped(&text, compress);
            assert_eq!(redis.run(&[b"RESTORE", b"k", b"0", &ours, b"REPLACE"]), b"+OK", "{}", what());
            assert_eq!(redis.run(&[b"GET", b"k"]), text, "{}", what());
        }
        redis.run(&[b"SET", b"k", &text]);
        let theirs = redis.run(&[b"DUMP", b"k"]);
        assert_eq!(restore(&theirs, &reading).map(bytes_of), Ok(text.clone()), "{}", what());
    }
}
