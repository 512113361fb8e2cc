//! What looks at memory from outside: redis-cli's samplers, MEMORY PURGE, and a bound that comes late.

use crate::client::Client;
use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::process::Command;

/// What redis-cli prints with this flag.
fn cli(server: &Server, flag: &str) -> String {
    let port = server.addr().port().to_string();
    let out = Command::new("redis-cli").args(["-p", &port, flag]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{flag}: {text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

/// Some keys of every type, one of each larger than the others.
fn fill(client: &mut Client) {
    for n in 0..20 {
        client.ok(&format!("SET string:{n} {n:0100}"));
        for (command, key, more) in [
            ("RPUSH", "list", "a"),
            ("SADD", "set", "a"),
            ("ZADD", "zset", "1 a"),
            ("HSET", "hash", "field a"),
            ("XADD", "stream", "* field a"),
        ] {
            client.run(&format!("{command} {key}:{n} {more}"));
        }
    }
    client.ok(&format!("SET string:big {}", "x".repeat(50_000)));
    for n in 0..500 {
        for (command, key, more) in [
            ("RPUSH", "list", format!("element:{n}")),
            ("SADD", "set", format!("member:{n}")),
            ("ZADD", "zset", format!("{n} member:{n}")),
            ("HSET", "hash", format!("field:{n} value")),
            ("XADD", "stream", format!("* field {n}")),
        ] {
            client.run(&format!("{command} {key}:big {more}"));
        }
    }
}

#[test]
fn redis_cli_finds_the_biggest_and_the_hottest_keys() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
        let mut client = server.connect();
        fill(&mut client);
        for flag in ["--bigkeys", "--memkeys"] {
            let text = cli(&server, flag);
            for kind in ["string", "list", "set", "zset", "hash", "stream"] {
                let found = text.lines().any(|l| {
                    l.starts_with("Biggest") && l.contains(kind) && l.contains(&format!("\"{kind}:big\""))
                });
                assert!(found, "{flag}, {kind}: {text}");
            }
            assert!(text.contains("126 keys"), "{flag}: {text}");
        }
        for _ in 0..300 {
            client.run("GET string:7");
        }
        let text = cli(&server, "--hotkeys");
        let hot: Vec<&str> = text.lines().filter(|line| line.starts_with("hot key found")).take(6).collect();
        assert!(hot.iter().any(|line| line.contains("string:7")), "{text}");
    }
}

/// While there was no bound nobody kept the account of what stores weigh, and here active expiry does not either.
#[test]
fn a_bound_that_comes_late_knows_what_is_there() {
    let server = Server::kring(3, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ok("DEBUG SET-ACTIVE-EXPIRE 0");
    client.ok("DEBUG POPULATE 60000 key 100");
    let used = |server: &Server| server.info()["used_memory"].parse::<u64>().unwrap();
    assert!(used(&server) > 6 << 20, "{}", used(&server));
    client.ok("CONFIG SET maxmemory-policy allkeys-random maxmemory 3mb");
    // Nobody writes.
    wait_until("memory is within the bound", || used(&server) <= 3 << 20);
    let Reply::Int(left) = client.run("DBSIZE") else { panic!("a number") };
    assert!((10_000..50_000).contains(&left), "{left}");
}

#[test]
fn a_purge_gives_memory_back() {
    let server = Server::kring(2, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    let empty = server.resident_bytes();
    client.ok("DEBUG POPULATE 150000 key 300");
    for n in 0..3_000 {
        client.run(&format!(
            "SADD set:{n} {}",
            (0..40).map(|m| format!("member-{n}-{m} ")).collect::<String>()
        ));
    }
    let full = server.resident_bytes() - empty;
    assert!(full > 50 << 20, "{full}");
    client.ok("FLUSHALL");
    wait_until("the memory is given back", || {
        client.ok("MEMORY PURGE");
        server.resident_bytes().saturating_sub(empty) < full / 3
    });
}

/// Databases count by their keys, and the peak is no lower than what somebody has been told.
#[test]
fn a_flush_counts_keys_and_leaves_the_peak() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &["--enable-debug-command", "yes"]);
        let mut client = server.connect();
        let mut told = 0;
        for n in 0..40 {
            // Gone again before the next look of the control plane.
            client.ok("DEBUG POPULATE 2000 key 1000");
            let info = server.info();
            told = told.max(info["used_memory"].parse::<u64>().unwrap());
            client.ok("FLUSHALL ASYNC");
            wait_until("all is freed", || server.info()["lazyfree_pending_objects"] == "0");
            let info = server.info();
            assert_eq!(info["lazyfreed_objects"], (2_000 * (n + 1)).to_string());
            assert!(info["used_memory_peak"].parse::<u64>().unwrap() >= told, "{n}");
        }
    }
}

/// The flags of the largest mapping, where the allocator's blocks lie.
fn flags_of_largest_mapping(server: &Server) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", server.pid())).unwrap();
    let (mut size, mut largest) = (0, (0, Vec::new()));
    for line in maps.lines() {
        if let Some(text) = line.strip_prefix("Size:") {
            size = text.split_whitespace().next().unwrap().parse::<u64>().unwrap();
        } else if let Some(text) = line.strip_prefix("VmFlags:")
            && size > largest.0
        {
            largest = (size, text.split_whitespace().map(String::from).collect());
        }
    }
    largest.1
}

#[test]
fn the_allocators_memory_is_not_of_huge_pages_unless_it_is_asked_for() {
    for (args, in_small_pages) in [(&[][..], true), (&["--disable-thp", "no"], false)] {
        let server = Server::kring(1, args);
        let flags = flags_of_largest_mapping(&server);
        let has = |flag: &str| flags.iter().any(|f| f == flag);
        assert_eq!(has("nh"), in_small_pages, "{args:?}: {flags:?}");
        // Where the kernel has no huge pages none are asked for.
        assert!(!(has("hg") && in_small_pages), "{args:?}: {flags:?}");
    }
}

/// Mappings of their own for large blocks would be at ever new addresses, and what the allocator keeps about addresses grows with them.
#[test]
fn large_values_lie_in_the_allocators_memory() {
    let server = Server::kring(1, &[]);
    let mut client = server.connect();
    let mappings =
        || std::fs::read_to_string(format!("/proc/{}/maps", server.pid())).unwrap().lines().count();
    let before = mappings();
    for n in 0..2_000 {
        client.ok(&format!("SET key:{n} {}", "v".repeat(20_000 + 10 * n)));
    }
    let after = mappings();
    assert!(after < before + 40, "{before} mappings, then {after}");
}

#[test]
fn what_large_values_leave_goes_back_by_itself() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    let empty = server.resident_bytes();
    for n in 0..300 {
        client.ok(&format!("SET key:{n} {}", "v".repeat(200_000)));
    }
    let full = server.resident_bytes() - empty;
    assert!(full > 50 << 20, "{full}");
    client.ok("FLUSHALL");
    wait_until("the memory is given back", || server.resident_bytes().saturating_sub(empty) < full / 3);
}
