//! Damaged payloads: valid ones of every type and encoding, with bits flipped, bytes changed and ends cut off, go to RESTORE under a right
//! checksum. Each is refused, or makes a value that every command of its type can use, and that is dumped and restored as it is.
//!
//! ```text
//! KRING_FUZZ=1000000 cargo test --release --test fuzz
//! ```
//! makes so many runs; `--lib damage` instead as many in each test of `src/persist` that damages what has no place in a payload of
//! today: older forms, whole files. A payload that fails is printed.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed test panics

#[path = "../doubles/mod.rs"]
mod doubles;
#[path = "../it/reply.rs"]
#[allow(dead_code, reason = "it is read, not asked")]
mod reply;
#[path = "../history/rng.rs"]
mod rng;
mod samples;

use doubles::server::SmallServer;
use kring::config::{Config, EnableCommand, SavePoints};
use kring::persist::dump;
use reply::{Reply, show};
use rng::Rng;

/// Runs, unless `KRING_FUZZ` says otherwise.
const RUNS: usize = 10_000;
/// What one change may do at most to the length of a payload.
const INSERTED_MAX: usize = 9;

/// The runs of a test.
fn runs() -> usize {
    std::env::var("KRING_FUZZ").ok().map_or(RUNS, |n| n.parse().expect("KRING_FUZZ is a number"))
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn reply_len(bytes: &[u8]) -> Option<usize> {
    Reply::parse(bytes).map(|(_, used)| used)
}

/// A server, and the commands that use values.
struct Bench {
    server: SmallServer,
}

impl Bench {
    fn new() -> Bench {
        let enable_debug_command = EnableCommand::Yes;
        let save = SavePoints(vec![]);
        let config = Config { save, protected_mode: false, enable_debug_command, ..Config::default() };
        Bench { server: SmallServer::new(1, config) }
    }

    /// The reply to one command.
    fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.server.ask(&request(words), 1, reply_len).pop().unwrap()
    }

    /// The replies to lines of words.
    fn lines(&mut self, lines: &[&str]) -> Vec<Vec<u8>> {
        let requests = lines.iter().flat_map(|line| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            request(&words)
        });
        self.server.ask(&requests.collect::<Vec<u8>>(), lines.len(), reply_len)
    }

    /// The bytes of a bulk reply; nil is `None`.
    fn bulk(&mut self, words: &[&[u8]]) -> Option<Vec<u8>> {
        let reply = self.call(words);
        let head = reply.windows(2).position(|w| w == b"\r\n")? + 2;
        (reply[0] == b'$' && !reply.starts_with(b"$-1")).then(|| reply[head..reply.len() - 2].to_vec())
    }

    /// Uses a value that was restored, in every way in which its type is used, and leaves nothing of it.
    fn use_up(&mut self) {
        self.survives_a_copy();
        let kind = self.call(&[b"TYPE", b"f"]);
        let kind = String::from_utf8(kind[1..kind.len() - 2].to_vec()).unwrap();
        let (count, per_element, uses) = samples::uses(&kind);
        let [counted, listed] = &self.lines(count)[..] else { panic!("two commands") };
        let number = |reply: &[u8]| -> i64 {
            let line = reply[1..].split(|b| *b == b'\r').next().unwrap();
            std::str::from_utf8(line).unwrap().parse().unwrap()
        };
        // Fields whose time is over are counted until somebody meets them, and not listed.
        let (all, listed) = (number(counted) * per_element, number(listed));
        assert!(all == listed || kind == "hash" && all > listed, "{count:?}: {all} and {listed}");
        self.lines(uses);
        let gone = self.call(&[b"DEL", b"f"]);
        assert!(matches!(&gone[..], b":0\r\n" | b":1\r\n"));
    }

    /// What is dumped is restored to the same.
    fn survives_a_copy(&mut self) {
        let Some(payload) = self.bulk(&[b"DUMP", b"f"]) else { panic!("it was restored") };
        assert_eq!(self.call(&[b"RESTORE", b"g", b"0", &payload, b"REPLACE"]), b"+OK\r\n");
        let [one, two, ..] =
            &self.lines(&["DEBUG DIGEST-VALUE f", "DEBUG DIGEST-VALUE g", "MEMORY USAGE f"])[..]
        else {
            panic!("three commands")
        };
        assert!(one == two && !one.starts_with(b"-"), "another digest of its copy: {}", show(two));
    }
}

/// A few changes to the bytes of a value.
fn damage(rng: &mut Rng, value: &mut Vec<u8>) {
    for _ in 0..rng.between(1, 3) {
        if value.is_empty() {
            return;
        }
        let at = rng.below(value.len());
        match rng.below(10) {
            0..=4 => value[at] ^= 1 << rng.below(8),
            5 => value[at] = rng.below(256) as u8,
            6 => value[at] = rng.pick(&[0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xfe, 0xff, 0]),
            7 => {
                let more = vec![rng.below(256) as u8; rng.between(1, INSERTED_MAX)];
                value.splice(at..at, more);
            }
            8 => {
                let end = value.len().min(at + rng.between(1, INSERTED_MAX));
                value.drain(at..end);
            }
            _ => value.truncate(at),
        }
    }
}

/// Prints the payload that a panic was about.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nof {}: RESTORE f 0 \"{}\"\n", self.0, self.1.escape_ascii());
        }
    }
}

#[test]
fn damage_to_any_payload_is_refused_or_harmless() {
    let mut bench = Bench::new();
    let samples = samples::all(&mut bench);
    let kinds: Vec<u8> = samples.iter().map(|(_, payload)| payload[0]).collect();
    let mut rng = Rng::new(1);
    let (mut taken, mut refused) = (0, 0);
    for run in 0..runs() {
        let (name, good) = &samples[run % samples.len()];
        let mut value = good[1..good.len() - dump::FOOTER].to_vec();
        damage(&mut rng, &mut value);
        let kind = if rng.permille(60) { rng.pick(&kinds) } else { good[0] };
        let mut payload = dump::payload(kind, &value);
        let unsealed = rng.permille(30);
        if unsealed {
            let bit = rng.below(payload.len() * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
        }
        let _shown = Shown(name, &payload);
        let reply = bench.call(&[b"RESTORE", b"f", b"0", &payload, b"REPLACE"]);
        match &reply[..] {
            b"+OK\r\n" => {
                assert!(!unsealed, "a wrong checksum");
                taken += 1;
                bench.use_up();
            }
            b"-ERR Bad data format\r\n" => refused += 1,
            b"-ERR DUMP payload version or checksum are wrong\r\n" if unsealed => refused += 1,
            other => panic!("RESTORE says {}", show(other)),
        }
    }
    println!("{} runs over {} payloads: {taken} taken, {refused} refused", taken + refused, samples.len());
    // Damage that is always found, or never, shows little.
    assert!(taken > runs() / 100 && refused > runs() / 10, "{taken} taken, {refused} refused");
}

/// Undamaged, they are what they say: every encoding that there is.
#[test]
fn the_samples_have_every_encoding() {
    let mut bench = Bench::new();
    let mut found = std::collections::BTreeSet::new();
    for (name, payload) in samples::all(&mut bench) {
        let reply = bench.call(&[b"RESTORE", b"f", b"0", &payload, b"REPLACE"]);
        assert_eq!(reply, b"+OK\r\n", "{name}");
        let kind = bench.call(&[b"TYPE", b"f"]);
        let encoding = bench.bulk(&[b"OBJECT", b"ENCODING", b"f"]).unwrap();
        found.insert(format!("{} {}", String::from_utf8_lossy(&kind[1..]).trim(), encoding.escape_ascii()));
        bench.use_up();
    }
    let wanted = [
        "hash hashtable",
        "hash listpack",
        "hash listpackex",
        "list listpack",
        "list quicklist",
        "set hashtable",
        "set intset",
        "set listpack",
        "stream stream",
        "string embstr",
        "string int",
        "string raw",
        "zset listpack",
        "zset skiplist",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
}
