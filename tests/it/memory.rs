//! `maxmemory`: who goes, who stays, and what is refused when nobody may go.

use crate::client::Client;
use crate::reply::Reply;
use crate::rng::Rng;
use crate::server::{Server, wait_until};

const OOM: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
/// Enough for some ten thousand short keys.
const LIMIT: u64 = 2 << 20;

fn number(server: &Server, field: &str) -> u64 {
    server.info()[field].parse().unwrap_or_else(|_| panic!("{field} is no number"))
}

/// Sends commands made from 0..n in pipelines; how many replies are `+OK`.
fn many(client: &mut Client, n: usize, command: impl Fn(usize) -> String) -> usize {
    let mut ok = 0;
    for from in (0..n).step_by(500) {
        let to = (from + 500).min(n);
        let batch: String = (from..to).map(|i| command(i) + "\r\n").collect();
        client.send(batch.as_bytes()).unwrap();
        ok += (from..to).filter(|_| client.reply().is_ok()).count();
    }
    ok
}

fn present(client: &mut Client, keys: impl Iterator<Item = String>) -> usize {
    let keys: Vec<String> = keys.collect();
    let found = |part: &[String], client: &mut Client| match client.run(&format!("EXISTS {}", part.join(" ")))
    {
        Reply::Int(n) => n as usize,
        other => panic!("{other:?}"),
    };
    keys.chunks(500).map(|part| found(part, client)).sum()
}

fn limited(shards: usize, policy: &str) -> Server {
    let limit = LIMIT.to_string();
    Server::kring(shards, &["--maxmemory", &limit, "--maxmemory-policy", policy])
}

#[test]
fn without_a_policy_writes_are_refused_and_all_else_goes_on() {
    let server = limited(2, "noeviction");
    let mut client = server.connect();
    let stored = many(&mut client, 100_000, |i| format!("SET key:{i} {i:0100}"));
    assert!((5_000..40_000).contains(&stored), "{stored}");
    assert_eq!(client.run("DBSIZE"), Reply::Int(stored as i64));
    // What the last replies took is free again.
    client.ok("CONFIG SET maxmemory 1mb");
    for words in
        ["SET key:0 x", "APPEND key:0 x", "MSET a 1 b 2", "INCR n", "SETRANGE key:0 0 x", "GETSET key:0 x"]
    {
        assert_eq!(client.raw_of(words), OOM, "{words}");
    }
    for words in ["GET key:0", "EXPIRE key:0 100", "TTL key:0", "DEL key:0", "CONFIG SET maxmemory-samples 7"]
    {
        let reply = client.raw_of(words);
        assert!(!reply.starts_with(b"-"), "{words}");
    }
    let info = server.info();
    assert_eq!(info["evicted_keys"], "0");
    assert!(info["errorstat_OOM"].starts_with("count="), "{}", info["errorstat_OOM"]);
    assert!(info["cmdstat_append"].contains("rejected_calls=1"), "{}", info["cmdstat_append"]);
    assert!(number(&server, "total_eviction_exceeded_time") > 0 || number(&server, "used_memory") <= LIMIT);
    // Room, by a higher bound or by fewer keys.
    client.ok("CONFIG SET maxmemory 10mb");
    client.ok("SET key:0 x");
    client.ok("CONFIG SET maxmemory 1");
    assert_eq!(client.raw_of("SET key:0 x"), OOM);
    client.ok("FLUSHALL");
    client.ok("CONFIG SET maxmemory 0");
    client.ok("SET key:0 x");
}

/// Redis says the same, and refuses the same commands.
#[test]
fn the_refusal_is_redis_s() {
    let redis = Server::redis(&["--maxmemory", "1"]);
    let kring = Server::kring(2, &["--maxmemory", "1"]);
    let (mut a, mut b) = (redis.connect(), kring.connect());
    for words in
        ["SET k v", "GET k", "MSET a 1 b 2", "DEL k", "SETBIT b 7 1", "COPY a b", "RENAME a b", "PING"]
    {
        assert_eq!(a.raw_of(words), b.raw_of(words), "{words}");
    }
}

/// As in Redis: an EXEC without room is an EXECABORT to INFO too.
#[test]
fn a_transaction_without_room_is_counted_by_its_own_code() {
    for server in [Server::kring(2, &[]), Server::redis(&[])] {
        let (mut client, mut control) = (server.connect(), server.connect());
        client.ok("MULTI");
        client.run("SET k v");
        control.ok("CONFIG SET maxmemory 1");
        let text = client.run("EXEC").text();
        assert_eq!(
            text,
            "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."
        );
        let info = server.info();
        assert_eq!(info["errorstat_EXECABORT"], "count=1");
        assert!(!info.contains_key("errorstat_OOM"));
    }
}

#[test]
fn every_policy_keeps_memory_bounded_and_spares_whom_it_should() {
    for shards in [1, 3] {
        for policy in [
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-s3fifo",
            "volatile-s3fifo",
        ] {
            let server = limited(shards, policy);
            let mut client = server.connect();
            assert_eq!(many(&mut client, 3_000, |i| format!("SET stays:{i} {i:0100}")), 3_000);
            let stored = many(&mut client, 40_000, |i| format!("SET goes:{i} {i:0100} EX {}", 1_000 + i));
            assert_eq!(stored, 40_000, "{policy}: nothing is refused while keys can go");
            let evicted = number(&server, "evicted_keys");
            assert!(evicted > 20_000, "{policy}: {evicted}");
            wait_until("within the bound", || number(&server, "used_memory") <= LIMIT + 64 * 1024);
            let stays = present(&mut client, (0..3_000).map(|i| format!("stays:{i}")));
            if policy.starts_with("volatile") {
                assert_eq!(stays, 3_000, "{policy}");
            } else {
                assert!(stays < 3_000, "{policy}");
            }
            if policy == "volatile-ttl" {
                let early = present(&mut client, (0..20_000).map(|i| format!("goes:{i}")));
                let late = present(&mut client, (20_000..40_000).map(|i| format!("goes:{i}")));
                assert!(early * 20 < late, "{early} and {late}");
            }
        }
    }
}

#[test]
fn volatile_policies_refuse_when_no_key_has_a_ttl() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "volatile-s3fifo"] {
        let server = limited(3, policy);
        let mut client = server.connect();
        let stored = many(&mut client, 50_000, |i| format!("SET key:{i} {i:0100}"));
        assert!((5_000..40_000).contains(&stored), "{policy}: {stored}");
        // One key that may go goes, and then there is none any more.
        assert_eq!(client.run("EXPIRE key:1 1000"), Reply::Int(1));
        client.ok("CONFIG SET maxmemory 1mb");
        wait_until("the only key with a TTL went", || client.run("EXISTS key:1") == Reply::Int(0));
        assert_eq!(client.raw_of("SET key:0 x"), OOM);
        assert_eq!(present(&mut client, (2..50_000).map(|i| format!("key:{i}"))), stored - 2, "{policy}");
    }
}

/// Keys that were read often stay under LFU.
#[test]
fn what_is_used_often_stays() {
    let server = limited(2, "allkeys-lfu");
    let mut client = server.connect();
    client.ok("CONFIG SET lfu-log-factor 0");
    assert_eq!(many(&mut client, 1_000, |i| format!("SET hot:{i} {i:0100}")), 1_000);
    for _ in 0..20 {
        many(&mut client, 1_000, |i| format!("GET hot:{i}"));
    }
    many(&mut client, 40_000, |i| format!("SET cold:{i} {i:0100}"));
    let hot = present(&mut client, (0..1_000).map(|i| format!("hot:{i}")));
    // While a batch holds both stores the other core evicts from what it has.
    assert!(hot > 960, "{hot}");
}

#[test]
fn policies_and_bounds_change_live() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    assert_eq!(many(&mut client, 30_000, |i| format!("SET key:{i} {i:0100}")), 30_000);
    client.ok("CONFIG SET maxmemory 2mb maxmemory-policy allkeys-lru");
    wait_until("the shards evict by themselves", || number(&server, "used_memory") <= LIMIT);
    client.ok("CONFIG SET maxmemory-policy noeviction");
    many(&mut client, 5_000, |i| format!("SET more:{i} {i:0100}"));
    assert_eq!(client.raw_of("SET k v"), OOM);
    for policy in ["allkeys-lfu", "allkeys-s3fifo", "allkeys-random", "allkeys-lru", "allkeys-s3fifo"] {
        client.ok(&format!("CONFIG SET maxmemory-policy {policy}"));
        assert_eq!(many(&mut client, 5_000, |i| format!("SET {policy}:{i} {i:0100}")), 5_000);
    }
    client.ok("CONFIG SET maxmemory 50%");
    assert_eq!(
        client.run("CONFIG GET maxmemory"),
        Reply::Array(vec![Reply::Bulk(b"maxmemory".to_vec()), Reply::Bulk(b"50%".to_vec())])
    );
    assert_eq!(number(&server, "maxmemory"), number(&server, "total_system_memory") / 2);
}

/// One shard gets all that is new, the other seven hold what is old: the old goes.
#[test]
fn a_skewed_keyspace_gives_up_its_globally_worst_keys() {
    for policy in ["allkeys-lfu", "allkeys-s3fifo"] {
        skewed(policy);
    }
}

fn skewed(policy: &str) {
    let server = limited(8, policy);
    let mut client = server.connect();
    client.ok("CONFIG SET lfu-log-factor 0");
    // Old and never used, all over; the new ones of one shard are used at once.
    assert_eq!(many(&mut client, 8_000, |i| format!("SET old:{i} {i:0100}")), 8_000);
    for from in (0..20_000).step_by(500) {
        let round = |i: usize| format!("SET {{tag}}:{} {:0100}", from + i, i);
        assert_eq!(many(&mut client, 500, round), 500);
        many(&mut client, 500, |i| format!("GET {{tag}}:{}", from + i));
        many(&mut client, 500, |i| format!("GET {{tag}}:{}", from + i));
    }
    let old = present(&mut client, (0..8_000).map(|i| format!("old:{i}")));
    let new = present(&mut client, (0..20_000).map(|i| format!("{{tag}}:{i}")));
    assert!(old < 800 && new > 6_000, "{policy}: old {old}, new {new}");
}

#[test]
fn large_values_make_their_room_before_they_come() {
    const MB: u64 = 1 << 20;
    let server = Server::kring(2, &["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut client = server.connect();
    let value = vec![b'x'; MB as usize];
    for i in 0..400 {
        let reply = client.call(&[b"SET".as_slice(), format!("big:{i}").as_bytes(), &value]);
        assert!(reply.is_ok(), "{i}: {reply:?}");
    }
    wait_until("within the bound", || number(&server, "used_memory") <= 65 * MB);
    assert!(server.resident_bytes() < 160 * MB, "{}", server.resident_bytes() / MB);
    assert!(number(&server, "evicted_keys") > 300);
}

/// What one shard frees another cannot use, so where memory is short nobody keeps it.
#[test]
fn large_values_of_several_shards_leave_no_memory_behind() {
    const MB: u64 = 1 << 20;
    const MOST: u64 = 64 * MB;
    let limit = MOST.to_string();
    let server = Server::kring(4, &["--maxmemory", &limit, "--maxmemory-policy", "allkeys-random"]);
    let value = vec![b'x'; 4 << 20];
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let writers = (1..7u64).map(|seed| {
            let (server, value) = (&server, &value);
            scope.spawn(move || {
                let (mut client, mut random) = (server.connect(), Rng::new(seed));
                for _ in 0..60 {
                    let (mut batch, mut n) = (Vec::new(), 0);
                    while batch.len() < value.len() {
                        // As many of each order of magnitude.
                        let (key, size) = (random.below(3_000), 8 << random.below(20));
                        batch.extend(format!("*3\r\n$3\r\nSET\r\n$4\r\n{key:04}\r\n${size}\r\n").as_bytes());
                        batch.extend(&value[..size]);
                        batch.extend(b"\r\n");
                        n += 1;
                    }
                    client.send(&batch).unwrap();
                    assert!((0..n).all(|_| client.reply().is_ok()));
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            seen.push(server.resident_bytes());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    seen.sort_unstable();
    let usual = seen[seen.len() / 2];
    assert!(usual < MOST / 100 * 105 + 64 * MB, "{} MB", usual / MB);
}

#[test]
fn the_largest_client_goes_when_clients_take_too_much() {
    let server = Server::kring(3, &["--maxmemory-clients", "4mb"]);
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    let mut spared = server.connect();
    spared.ok("CLIENT NO-EVICT on");
    // Requests that are not complete: they stay in the query buffer.
    let part = |len: usize| format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${len}\r\n{}", "x".repeat(200_000));
    spared.send(part(1_500_000).as_bytes()).unwrap();
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(part(800_000 + i * 10_000).as_bytes()).unwrap();
    }
    wait_until("somebody was closed", || number(&server, "evicted_clients") > 0);
    assert!(clients.last_mut().is_some_and(|c| c.try_reply().is_err()), "the largest goes first");
    assert!(number(&server, "evicted_clients") < 6, "no more than needed");
    assert!(spared.send(b"x").is_ok());
}

#[test]
fn clients_that_take_too_much_go_before_keys_do() {
    for shards in [1, 2] {
        let server = Server::kring(
            shards,
            &[
                "--maxmemory",
                "11mb",
                "--maxmemory-policy",
                "allkeys-lru",
                "--maxmemory-clients",
                "3mb",
                "--output-high-water",
                "4mb",
            ],
        );
        let mut control = server.connect();
        control.ok("CLIENT NO-EVICT ON");
        for key in 0..50 {
            control.run(&format!("SETRANGE {key} 100000 x"));
        }
        // Each asks for much at once, and reads nothing.
        let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            let _ = client.send("MGET 1 2 3 4 5 6 7 8\r\n".repeat(20).as_bytes());
        }
        wait_until("clients go", || number(&server, "evicted_clients") > 0);
        for _ in 0..100 {
            control.run("SET k x");
        }
        assert_eq!(number(&server, "evicted_keys"), 0, "{shards} shards");
        assert_eq!(control.run("DBSIZE").int(), 51);
    }
}
