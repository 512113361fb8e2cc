//! Which keys a cache keeps: a trace is asked of whole cores, with one shard and with several, without sockets and threads, and with a
//! clock that the test moves. The same trace gives the same ratios, every time.
//!
//! As of a real trace (a `.lis` file, unpacked), in seconds instead of minutes:
//! ```text
//! KRING_TRACE=OLTP.lis KRING_TRACE_TURN_US=180 cargo test --release --test hits -- --nocapture
//! ```

#![allow(clippy::unwrap_used)] // a failed test panics

#[path = "doubles/mod.rs"]
mod doubles;

use doubles::server::SmallServer;
use kring::base::prng::{seeded, xorshift};
use kring::config::Config;

const POLICIES: [&str; 4] = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "allkeys-s3fifo"];
/// Requests sent together, none of them twice.
const WINDOW: usize = 32;
const VALUE: [u8; 64] = [b'x'; 64];
/// The trace that is made here: keys by popularity, which falls about as 1 / rank.
const KEYS: u32 = 20_000;
const REQUESTS: usize = 100_000;
/// By how much several shards may be worse than one.
/// (A cache this small loses a percent of its bytes to what eight shards have beside keys, which costs 0.4 to 0.7; the seeds of a build
/// decide. What this test is for costs 6.)
const POINTS: f64 = 1.0;

fn reply_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|w| w == b"\r\n")? + 2;
    if bytes[0] != b'$' || bytes[1] == b'-' {
        return Some(line);
    }
    let len: usize = std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse().ok()?;
    (bytes.len() >= line + len + 2).then_some(line + len + 2)
}

fn add(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// A server that is used as a cache.
struct Cache {
    server: SmallServer,
    hits: usize,
    asked: usize,
    missed: Vec<u32>,
}

impl Cache {
    fn new(shards: usize, knobs: &[(&str, &str)], turn_us: i64) -> Cache {
        let mut config = Config::default();
        config.set_all(knobs, true).unwrap();
        let mut server = SmallServer::new(shards, config);
        server.turn_us = turn_us;
        Cache { server, hits: 0, asked: 0, missed: Vec::new() }
    }

    fn info(&mut self, field: &str) -> u64 {
        let mut request = Vec::new();
        add(&mut request, &[b"INFO", b"everything"]);
        let text = String::from_utf8(self.server.ask(&request, 1, reply_len).remove(0)).unwrap();
        let value = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap().trim().parse().unwrap()
    }

    fn note(out: &mut Vec<u8>, keys: &[u32]) -> usize {
        keys.iter().for_each(|k| add(out, &[b"SET", k.to_string().as_bytes(), &VALUE]));
        keys.len()
    }

    /// Asks for these keys, and sets those that the last window missed.
    fn window(&mut self, keys: &[u32]) {
        let mut out = Vec::new();
        let sets = Cache::note(&mut out, &std::mem::take(&mut self.missed));
        keys.iter().for_each(|k| add(&mut out, &[b"GET", k.to_string().as_bytes()]));
        let replies = self.server.ask(&out, sets + keys.len(), reply_len);
        assert!(
            replies[..sets].iter().all(|r| r == b"+OK\r\n"),
            "a SET failed: {:?}",
            replies[..sets].iter().max()
        );
        let missed = replies[sets..].iter().zip(keys).filter(|(r, _)| *r == b"$-1\r\n").map(|(_, k)| *k);
        self.missed = missed.collect();
        self.hits += keys.len() - self.missed.len();
        self.asked += keys.len();
    }

    /// Hits in percent.
    fn replay(&mut self, trace: &[u32]) -> f64 {
        let mut window = Vec::new();
        for key in trace {
            if window.len() == WINDOW || window.contains(key) {
                self.window(&window);
                window.clear();
            }
            window.push(*key);
        }
        self.window(&window);
        100.0 * self.hits as f64 / self.asked as f64
    }
}

/// Bytes of an empty server, and what all keys of a trace add.
fn footprint(shards: usize, trace: &[u32]) -> (u64, u64) {
    let mut server = Cache::new(shards, &[], 1_000);
    let empty = server.info("used_memory");
    let mut keys = trace.to_vec();
    keys.sort_unstable();
    keys.dedup();
    for part in keys.chunks(WINDOW) {
        let mut out = Vec::new();
        let sets = Cache::note(&mut out, part);
        server.server.ask(&out, sets, reply_len);
    }
    (empty, server.info("used_memory") - empty)
}

/// By policy and part of the footprint (in percent): hits in percent.
fn ratios(shards: usize, trace: &[u32], parts: &[f64], turn_us: i64) -> Vec<Vec<f64>> {
    let (empty, own) = footprint(shards, trace);
    let mut all = Vec::new();
    for policy in POLICIES {
        let mut row = Vec::new();
        for part in parts {
            let limit = (empty + (own as f64 * part / 100.0) as u64).to_string();
            let mut cache =
                Cache::new(shards, &[("maxmemory-policy", policy), ("maxmemory", &limit)], turn_us);
            row.push(cache.replay(trace));
            let (used, over) = (cache.info("used_memory"), cache.info("evicted_keys"));
            println!(
                "{shards} shards, {policy}, {part}%: {:.2} of 100 hit, {over} evicted, {used} of {limit} bytes",
                row[row.len() - 1]
            );
        }
        all.push(row);
    }
    all
}

/// The blocks of a `.lis` file: `start count ..` a line.
fn read(path: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(path).unwrap();
    let numbers = text.lines().map(|line| {
        let mut words = line.split(' ').map(|word| word.parse::<u32>().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    });
    numbers.flat_map(|(start, count)| start..start + count).collect()
}

fn made_up() -> Vec<u32> {
    let mut random = seeded(7);
    let mut draw = || {
        let part = (xorshift(&mut random) >> 11) as f64 / (1u64 << 53) as f64;
        f64::from(KEYS).powf(part) as u32
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

/// With several stores in hand, a batch once evicted from the first of them whatever it set.
#[test]
fn eight_shards_keep_as_good_keys_as_one() {
    let (trace, parts, turn_us) = match std::env::var("KRING_TRACE") {
        Ok(path) => {
            let turn_us = std::env::var("KRING_TRACE_TURN_US").map_or(1_000, |us| us.parse().unwrap());
            (read(&path), vec![1.0, 10.0], turn_us)
        }
        Err(_) => (made_up(), vec![10.0], 1_000),
    };
    let [one, eight] = [1, 8].map(|shards| ratios(shards, &trace, &parts, turn_us));
    for (policy, (one, eight)) in POLICIES.iter().zip(one.iter().zip(&eight)) {
        for ((one, eight), part) in one.iter().zip(eight).zip(&parts) {
            assert!(one - eight <= POINTS, "{policy}, {part}%: 1 shard {one:.2}, 8 shards {eight:.2}");
        }
    }
}

/// Stamps that tell milliseconds apart come round in half an hour, those in seconds in 97 days: a walk over the keys has to be there first.
#[test]
fn idle_times_stay_true_for_days_and_years() {
    const KEYS: u32 = 3_000;
    let idle_secs = |turn_secs: i64, turns: usize, knobs: &[(&str, &str)]| {
        let mut cache = Cache::new(3, knobs, 100_000);
        let mut out = Vec::new();
        let sets = Cache::note(&mut out, &(0..KEYS).collect::<Vec<u32>>());
        cache.server.ask(&out, sets, reply_len);
        cache.server.turn_us = turn_secs * 1_000_000;
        (0..turns).for_each(|_| cache.server.turn());
        cache.server.turn_us = 1;
        let mut out = Vec::new();
        (0..KEYS).for_each(|k| add(&mut out, &[b"OBJECT", b"IDLETIME", k.to_string().as_bytes()]));
        let replies = cache
            .server
            .ask(&out, KEYS as usize, |bytes| Some(bytes.windows(2).position(|w| w == b"\r\n")? + 2));
        let told =
            replies.iter().map(|r| String::from_utf8_lossy(&r[1..r.len() - 2]).parse::<u64>().unwrap());
        (told.clone().min().unwrap(), told.max().unwrap())
    };
    let bounded = [("maxmemory", "1gb"), ("maxmemory-policy", "allkeys-lru")];
    let (least, most) = idle_secs(20, 8_640, &bounded);
    assert!(least >= 2 * 86_400 - 2 && most <= 2 * 86_400 + 3, "{least} to {most} after two days");
    let (least, most) = idle_secs(86_400, 1_000, &[]);
    assert!(least >= 86_400_000 - 70 && most <= 86_400_000 + 70, "{least} to {most} after 1,000 days");
}

/// The hand of S3-FIFO must go round several times where every key was used: it once gave up for the moment, and the command ran with no
/// key gone for it.
#[test]
fn a_search_goes_on_until_a_key_is_found() {
    const MANY: u32 = 60_000;
    let trace: Vec<u32> = (0..MANY).collect();
    let (empty, own) = footprint(1, &trace);
    let limit = (empty + own + own / 20).to_string();
    let mut cache = Cache::new(1, &[("maxmemory-policy", "allkeys-s3fifo"), ("maxmemory", &limit)], 0);
    (0..5).for_each(|_| {
        cache.replay(&trace);
    });
    assert_eq!(cache.info("evicted_keys"), 0);
    let mut request = Vec::new();
    let value = vec![b'x'; (own / 20) as usize];
    add(&mut request, &[b"SET", b"new", &value]);
    add(&mut request, &[b"SET", b"newer", &value]);
    add(&mut request, &[b"INFO", b"stats"]);
    let replies = cache.server.ask(&request, 3, reply_len);
    let text = String::from_utf8_lossy(&replies[2]);
    let evicted = text.lines().find_map(|l| l.strip_prefix("evicted_keys:")).unwrap();
    assert!(evicted.parse::<u64>().unwrap() > 0, "{evicted} went");
}
