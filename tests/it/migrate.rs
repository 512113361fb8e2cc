//! MIGRATE between processes: kring and redis-server as either end, and peers that a test scripts.

use crate::client::{Client, request, words};
use crate::log_home;
use crate::reply::Reply;
use crate::server::{Scratch, Server, free_port, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The servers that a test runs on: with borrowing and without, with loans at once.
const SERVERS: &[(usize, &[&str])] =
    &[(1, &[]), (2, &[]), (3, &[]), (8, &[]), (8, &["--take-spin-ns", "0"]), (5, &["--borrow", "no"])];
/// How long somebody has to be silent to count as waiting.
const SILENCE: Duration = Duration::from_millis(60);

fn on_each(mut test: impl FnMut(&Server)) {
    for (shards, args) in SERVERS {
        let args = [&["--enable-debug-command", "yes"][..], args].concat();
        let server = Server::kring(*shards, &args);
        test(&server);
        // Nothing is left under way.
        server.connect().ok("SET end 1");
        assert_eq!(server.info()["blocked_clients"], "0");
    }
}

/// A scripted peer: it accepts whatever comes before RESTORE, tells of each RESTORE, and replies to it as it is told.
struct Peer {
    port: u16,
    seen: Receiver<Vec<String>>,
    replies: Sender<Vec<u8>>,
}

impl Peer {
    fn start() -> Peer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, seen) = channel();
        let (replies, told) = channel::<Vec<u8>>();
        // It ends with the process at the latest: nobody waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serve(stream.unwrap(), &tell, &told).is_none() {
                    return;
                }
            }
        });
        Peer { port, seen, replies }
    }

    /// Waits for a RESTORE: its key.
    fn key(&self) -> String {
        self.seen.recv_timeout(crate::client::PATIENCE).expect("a RESTORE comes")[1].clone()
    }

    fn reply(&self, text: &str) {
        self.replies.send(text.into()).unwrap();
    }
}

/// A reply that is the last of its connection: this closes as soon as something is asked again.
const LAST: &str = "+OK\r\n and that is all";

/// Serves a connection until it ends. `None`: the test is over.
fn serve(mut stream: TcpStream, tell: &Sender<Vec<String>>, told: &Receiver<Vec<u8>>) -> Option<()> {
    let (mut read, mut chunk, mut ends) = (Vec::new(), vec![0; 64 * 1024], false);
    loop {
        while let Some((command, used)) = whole(&read) {
            read.drain(..used);
            if ends {
                return Some(());
            }
            let mut reply = match command[0].as_str() {
                "RESTORE" => {
                    tell.send(command).ok()?;
                    told.recv().ok()?
                }
                _ => b"+OK\r\n".to_vec(),
            };
            ends = reply == LAST.as_bytes();
            if ends {
                reply.truncate("+OK\r\n".len());
            }
            if reply.is_empty() || stream.write_all(&reply).is_err() {
                return Some(());
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return Some(()),
            Ok(n) => read.extend_from_slice(&chunk[..n]),
        }
    }
}

fn whole(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    if bytes.is_empty() {
        return None;
    }
    let (command, used) = Reply::parse(bytes)?;
    let text = |word: &Reply| String::from_utf8_lossy(word.bytes()).into_owned();
    Some((command.array().iter().map(text).collect(), used))
}

/// A request under way.
struct Asked {
    stream: TcpStream,
    what: String,
}

fn ask(server: &Server, lines: &[&str]) -> Asked {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    for line in lines {
        stream.write_all(&request(&spelled(line))).unwrap();
    }
    Asked { stream, what: lines.join("; ") }
}

impl Asked {
    /// The first bytes that come within this time, if any do.
    fn heard(&mut self, within: Duration) -> Option<String> {
        self.stream.set_read_timeout(Some(within)).unwrap();
        let mut read = vec![0; 64 * 1024];
        match self.stream.read(&mut read) {
            Ok(n) => Some(String::from_utf8_lossy(&read[..n]).into_owned()),
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(why) => panic!("{}: {why}", self.what),
        }
    }

    fn assert_waits(&mut self) {
        let heard = self.heard(SILENCE);
        assert_eq!(heard, None, "{} does not wait", self.what);
    }

    fn assert_hears(&mut self, reply: &str) {
        let heard = self.heard(crate::client::PATIENCE);
        assert_eq!(heard.as_deref(), Some(reply), "{}", self.what);
    }
}

/// MIGRATE of keys to a peer, with a timeout of 10 s.
fn migrate(server: &Server, port: u16, keys: &str) -> Asked {
    ask(server, &[&format!("MIGRATE 127.0.0.1 {port} _ 0 10000 KEYS {keys}")])
}

/// Words with `_` for the empty string.
fn spelled(line: &str) -> Vec<&str> {
    line.split(' ').map(|word| if word == "_" { "" } else { word }).collect()
}

fn call(client: &mut Client, line: &str) -> Reply {
    client.call(&spelled(line))
}

/// Keys of every type, in every form, some with a TTL.
fn fill(client: &mut Client) -> Vec<String> {
    for line in [
        "SET int 12345",
        "SET short abc PX 1000000",
        "SETRANGE raw 100 x",
        "RPUSH list a 1 -5 3000000000",
        "SADD intset 1 2 300000",
        "SADD set a b 1",
        "HSET hash f v g 7",
        "ZADD zset 1 a 2.5 b -inf c",
        "GEOADD geo 13.361389 38.115556 Palermo",
        "PFADD hll a b c",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v g w",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g me COUNT 1 STREAMS stream >",
        "PEXPIRE zset 2000000",
        "EXPIRE stream 5000",
    ] {
        let reply = client.run(line);
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }
    let long: Vec<u8> = (0..300_000u32).map(|i| (i * 7_919 % 251) as u8).collect();
    client.call(&[b"SET", &b"long"[..], &long]);
    for i in 0..600 {
        client.run(&format!("RPUSH longlist element:{i}"));
        client.run(&format!("SADD longset member:{i}"));
        client.run(&format!("HSET longhash field:{i} value:{i}"));
        client.run(&format!("ZADD longzset {i}.5 member:{i}"));
        client.run(&format!("SADD longintset {}", i * 3));
    }
    client.scan("COUNT 1000").into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}

fn debug_args() -> [&'static str; 2] {
    ["--enable-debug-command", "yes"]
}

#[test]
fn every_type_arrives_whole_whoever_sends_it() {
    let ends: [(usize, usize); 7] = [(0, 1), (0, 8), (1, 0), (2, 0), (3, 0), (8, 0), (8, 3)];
    let start = |shards: usize| match shards {
        0 => Server::redis(&debug_args()),
        shards => Server::kring(shards, &debug_args()),
    };
    for (from, to) in ends {
        let (source, target) = (start(from), start(to));
        let (mut s, mut t) = (source.connect(), target.connect());
        let keys = fill(&mut s);
        let digest = s.run("DEBUG DIGEST").text();
        let times: Vec<i64> = keys.iter().map(|key| s.run(&format!("PEXPIRETIME {key}")).int()).collect();
        for (i, key) in keys.iter().enumerate() {
            // One alone, and copies that replace each other.
            let options = ["COPY", "COPY REPLACE"][i % 2];
            let line = format!("MIGRATE 127.0.0.1 {} {key} 0 5000 {options}", target.port);
            assert!(s.run(&line).is_ok(), "{line}");
        }
        assert_eq!(s.run("DEBUG DIGEST").text(), digest);
        assert_eq!(t.run("DEBUG DIGEST").text(), digest, "{from} to {to}");
        let line = format!("MIGRATE 127.0.0.1 {} _ 0 5000 REPLACE KEYS {}", target.port, keys.join(" "));
        assert!(call(&mut s, &line).is_ok(), "{line}");
        assert_eq!(s.run("DBSIZE").int(), 0);
        assert_eq!(t.run("DEBUG DIGEST").text(), digest, "{from} to {to}");
        for (key, time) in keys.iter().zip(times) {
            let there = t.run(&format!("PEXPIRETIME {key}")).int();
            assert!(there == time || time > 0 && (there - time).abs() < 2_000, "{key}: {time} {there}");
            assert_eq!(there > 0, time > 0);
        }
        // And back, into another database.
        let line = format!("MIGRATE 127.0.0.1 {} _ 3 5000 KEYS {}", source.port, keys.join(" "));
        assert!(call(&mut t, &line).is_ok(), "{line}");
        s.ok("SELECT 3");
        assert_eq!((s.run("DBSIZE").int(), t.run("DBSIZE").int()), (keys.len() as i64, 0));
    }
}

/// Calls of which each has its own fresh keys: `a`, `b` and `c` at the source, `b` at the target too. Wrong passwords come before right
/// ones: Redis keeps a connection that has said a right one.
const CALLS: &[&str] = &[
    "MIGRATE 127.0.0.1 T a 0 1000",
    "MIGRATE localhost T a 0 1000",
    "MIGRATE 127.0.0.1 T a 0 1000 COPY",
    "MIGRATE 127.0.0.1 T b 0 1000",
    "MIGRATE 127.0.0.1 T b 0 1000 REPLACE",
    "MIGRATE 127.0.0.1 T b 0 1000 COPY REPLACE",
    "MIGRATE 127.0.0.1 T a 5 1000 replace copy",
    "MIGRATE 127.0.0.1 T a 0 0",
    "MIGRATE 127.0.0.1 T a 0 -7",
    "MIGRATE 127.0.0.1 T nosuch 0 1000",
    "MIGRATE 127.0.0.1 T _ 0 1000",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS nosuch other",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS a",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS a c nosuch",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS a b c",
    "MIGRATE 127.0.0.1 T _ 0 1000 KEYS a a c",
    "MIGRATE 127.0.0.1 T _ 0 1000 REPLACE KEYS a a c",
    "MIGRATE 127.0.0.1 T _ 0 1000 REPLACE KEYS a b c",
    "MIGRATE 127.0.0.1 T _ 0 1000 COPY REPLACE KEYS a b c",
    "MIGRATE 127.0.0.1 T a 0 1000 KEYS b",
    "MIGRATE 127.0.0.1 T a 0 1000 NOPE",
    "MIGRATE 127.0.0.1 T a 0 1000 AUTH",
    "MIGRATE 127.0.0.1 T a 0 1000 AUTH2 x",
    "MIGRATE 127.0.0.1 T a 0 1000 AUTH2",
    "MIGRATE 127.0.0.1 T a x 1000",
    "MIGRATE 127.0.0.1 T a 0 x",
    "MIGRATE 127.0.0.1 T a 0 99999999999999999999",
    "MIGRATE 127.0.0.1 T nosuch x y NOPE",
    "MIGRATE 127.0.0.1 F a 0 1000",
    "MIGRATE 127.0.0.1 0 a 0 1000",
    "MIGRATE 127.0.0.1 nonsense a 0 1000",
    "MIGRATE 127.0.0.1 S a 0 100",
    "MIGRATE 127.0.0.1 S _ 0 100 KEYS a b",
    "MIGRATE 127.0.0.1 P a 0 1000",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH wrong",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH2 nobody secret",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH2 nobody secret AUTH secret",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH secret",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH2 default secret",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH2 default wrong AUTH secret",
    "MIGRATE 127.0.0.1 P a 0 1000 AUTH wrong AUTH2 default secret COPY",
    "MIGRATE 127.0.0.1 P _ 0 1000 AUTH2 default secret KEYS a c",
    "MIGRATE 127.0.0.1 T a 0",
    "MIGRATE",
];

/// The same, but here Redis puts the key into database 0 of the target and says that it could not.
const SAFER: &[&str] = &[
    "MIGRATE 127.0.0.1 T a 99 1000",
    "MIGRATE 127.0.0.1 T _ 99 1000 KEYS a b c",
    "MIGRATE 127.0.0.1 T a 0 1000 AUTH unasked",
];

#[test]
fn replies_and_what_is_left_are_redis_s() {
    let (target, locked) = (Server::redis(&[]), Server::redis(&["--requirepass", "secret"]));
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ports = [
        ("T", target.port),
        ("P", locked.port),
        ("F", free_port()),
        ("S", silent.local_addr().unwrap().port()),
    ];
    let mut t = target.connect();
    let mut p = locked.connect();
    p.ok("AUTH secret");
    let mut outcome = |server: &Server, line: &str| {
        let mut s = server.connect();
        s.ok("FLUSHALL");
        t.ok("FLUSHALL");
        p.ok("FLUSHALL");
        s.ok("MSET a 1 b 2 c 3");
        t.ok("SET b old");
        let port =
            |word: &str| ports.iter().find(|(name, _)| *name == word).map(|(_, port)| port.to_string());
        let words = spelled(line).into_iter().map(|word| port(word).unwrap_or(word.into()));
        s.send(&request(&words.collect::<Vec<String>>())).unwrap();
        let mut seen = vec![s.raw()];
        seen.push(s.raw_of("MGET a b c"));
        seen.push(t.raw_of("MGET a b c"));
        t.ok("SELECT 5");
        seen.push(t.raw_of("MGET a b c"));
        t.ok("SELECT 0");
        seen.push(p.raw_of("MGET a b c"));
        seen.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect::<Vec<_>>()
    };
    let redis = Server::redis(&[]);
    let wanted: Vec<_> = CALLS.iter().map(|line| outcome(&redis, line)).collect();
    let safer: Vec<_> = SAFER.iter().map(|line| outcome(&redis, line)).collect();
    on_each(|server| {
        for (line, wanted) in CALLS.iter().zip(&wanted) {
            assert_eq!(outcome(server, line), *wanted, "{line}");
        }
        for (line, wanted) in SAFER.iter().zip(&safer) {
            let found = outcome(server, line);
            assert_eq!(found[..2], wanted[..2], "{line}");
            assert_eq!(found[2], "*3\r\n$-1\r\n$3\r\nold\r\n$-1\r\n", "{line}");
        }
    });
}

#[test]
fn command_tells_what_redis_does() {
    let redis = Server::redis(&[]);
    let (server, mut r) = (Server::kring(2, &[]), redis.connect());
    let mut k = server.connect();
    for line in [
        "COMMAND GETKEYS MIGRATE h 1 k 0 10",
        "COMMAND GETKEYS MIGRATE h 1 k 0 10 COPY REPLACE",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10 KEYS a",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10 COPY AUTH pw KEYS a b keys",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10 AUTH keys KEYS keys b",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10 AUTH2 u keys KEYS a",
        "COMMAND GETKEYS MIGRATE h 1 k 0 10 KEYS a",
        "COMMAND GETKEYS MIGRATE h 1 _ 0 10 KEYS",
        "COMMAND GETKEYS MIGRATE h 1 k 0",
        "COMMAND GETKEYS MIGRATE h 1 k 0 10 NOPE",
        "COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 10",
        "COMMAND GETKEYSANDFLAGS MIGRATE h 1 _ 0 10 KEYS a b",
    ] {
        assert_eq!(call(&mut k, line), call(&mut r, line), "{line}");
    }
}

#[test]
fn only_who_wants_a_key_under_way_waits_for_it() {
    on_each(|server| {
        let peer = Peer::start();
        let mut client = server.connect();
        client.ok("MSET k stale j 1 {k}other 2 n 5 m 3");
        let mut moves = migrate(server, peer.port, "k j n m");
        peer.key();
        moves.assert_waits();
        // Everybody else goes on, in the same store too.
        assert_eq!(client.run("GET {k}other").text(), "2");
        assert_eq!(client.run("DBSIZE").int(), 5);
        client.ok("SELECT 1");
        client.ok("SET m elsewhere");
        client.ok("SET k elsewhere");
        client.ok("SELECT 0");
        let mut waiting = [
            ask(server, &["GET k"]),
            ask(server, &["SET j new"]),
            ask(server, &["INCR n"]),
            ask(server, &["MULTI", "SET x 1", "APPEND k more", "EXEC"]),
            ask(server, &["MGET {k}other k"]),
            ask(server, &["PING", "EXISTS k"]),
            ask(server, &["SELECT 1", "MOVE m 0"]),
            ask(server, &["MIGRATE 127.0.0.1 1 k 0 100"]),
            ask(server, &["SORT k"]),
        ];
        let early = ["", "", "", "+OK\r\n+QUEUED\r\n+QUEUED\r\n", "", "+PONG\r\n", "+OK\r\n", "", ""];
        for (asked, early) in waiting.iter_mut().zip(early) {
            let mut heard = String::new();
            while heard.len() < early.len() {
                heard += &asked.heard(crate::client::PATIENCE).expect("it is answered");
            }
            assert_eq!(heard, early, "{}", asked.what);
            asked.assert_waits();
        }
        peer.reply("+OK\r\n");
        for (key, reply) in [("j", "+OK\r\n"), ("n", "-ERR no room\r\n")] {
            assert_eq!(peer.key(), key);
            moves.assert_waits();
            peer.reply(reply);
        }
        assert_eq!(peer.key(), "m");
        peer.reply("+OK\r\n");
        moves.assert_hears("-ERR Target instance replied with error: ERR no room\r\n");
        waiting[1].assert_hears("+OK\r\n");
        waiting[2].assert_hears(":6\r\n");
        waiting[3].assert_hears("*2\r\n+OK\r\n:4\r\n");
        waiting[6].assert_hears(":1\r\n");
        // The transaction may have come before or after those that read.
        let anything: Vec<String> =
            [0, 4, 5, 7, 8].map(|i| waiting[i].heard(crate::client::PATIENCE).expect("it goes on")).to_vec();
        assert!(anything.iter().all(|heard| !heard.contains("stale")), "{anything:?}");
        assert_eq!(client.run("MGET j n").array()[0].text(), "new");
    });
}

/// What becomes of a key that is on its way: what happens meanwhile, what the peer says, what the client hears, what is left.
#[test]
fn a_key_is_here_or_there_whatever_happens_meanwhile() {
    let gone = "$-1\r\n";
    let there = "$1\r\nv\r\n";
    let touched = "-ERR A key has changed while it was on its way: it stays here, and the target instance has it as it was\r\n";
    let cases: [(&str, &str, &str, &str); 11] = [
        ("PING", "+OK\r\n", "+OK\r\n", gone),
        ("PING", "-BUSYKEY no\r\n", "-ERR Target instance replied with error: BUSYKEY no\r\n", there),
        ("PING", "", "-IOERR error or timeout reading to target instance\r\n", there),
        (
            "PING",
            "HTTP/1.1 400 Bad\r\n",
            "-ERR Target instance replied with error: HTTP/1.1 400 Bad\r\n",
            there,
        ),
        ("FLUSHALL", "+OK\r\n", "+OK\r\n", gone),
        ("FLUSHALL", "-ERR no\r\n", "-ERR Target instance replied with error: ERR no\r\n", gone),
        ("SWAPDB 0 1", "+OK\r\n", "+OK\r\n", gone),
        ("CONFIG SET requirepass x", "+OK\r\n", "+OK\r\n", gone),
        ("CLIENT PAUSE 200 WRITE", "+OK\r\n", "+OK\r\n", gone),
        // What was loaded anew may be another.
        ("DEBUG RELOAD", "+OK\r\n", touched, there),
        ("BGSAVE", "+OK\r\n", "+OK\r\n", gone),
    ];
    on_each(|server| {
        let mut other = server.connect();
        for (meanwhile, said, heard, left) in cases {
            let peer = Peer::start();
            other.ok("SET k v");
            let mut moves = migrate(server, peer.port, "k");
            peer.key();
            other.run(meanwhile);
            peer.reply(said);
            moves.assert_hears(heard);
            other.call(&["CONFIG", "SET", "requirepass", ""]);
            assert_eq!(other.raw_of("GET k"), left.as_bytes(), "{meanwhile} {said}");
            other.ok("SELECT 1");
            assert_eq!(other.run("DBSIZE").int(), 0, "{meanwhile} {said}");
            other.ok("SELECT 0");
            other.ok("FLUSHALL");
        }
    });
}

/// What has begun comes to its end, whatever would be refused by now.
#[test]
fn new_limits_do_not_stop_what_is_under_way() {
    on_each(|server| {
        let mut other = server.connect();
        let many: Vec<String> = (0..12).map(|i| format!("key:{i}")).collect();
        let (many, long) = (many.join(" "), "k".repeat(1_500_000));
        // This client was not asked for a password, and then is.
        other.ok("CONFIG SET requirepass x");
        let stream = TcpStream::connect(server.addr()).unwrap();
        wait_until("it is connected", || other.run("CLIENT LIST").text().lines().count() == 2);
        other.call(&["CONFIG", "SET", "requirepass", ""]);
        let peer = Peer::start();
        other.ok("SET key:3 v");
        let mut moves = Asked { stream, what: "MIGRATE of many".into() };
        let line = format!("MIGRATE 127.0.0.1 {} _ 0 10000 KEYS {many}", peer.port);
        moves.stream.write_all(&request(&spelled(&line))).unwrap();
        peer.key();
        other.ok("CONFIG SET requirepass x");
        peer.reply("+OK\r\n");
        moves.assert_hears("+OK\r\n");
        other.call(&["CONFIG", "SET", "requirepass", ""]);
        // And this one sends more than there may be then.
        other.ok(&format!("SET {long} v"));
        let peer = Peer::start();
        let mut moves = migrate(server, peer.port, &long);
        peer.key();
        other.ok("CONFIG SET proto-max-bulk-len 1mb");
        peer.reply("+OK\r\n");
        moves.assert_hears("+OK\r\n");
        other.ok("CONFIG SET proto-max-bulk-len 512mb");
        assert_eq!(other.run(&format!("EXISTS key:3 {long}")).int(), 0);
    });
}

#[test]
fn fields_whose_time_comes_meanwhile_keep_no_hash_here() {
    on_each(|server| {
        let (peer, mut other) = (Peer::start(), server.connect());
        other.run("HSET h f 1 g 2");
        other.run("HPEXPIRE h 100 FIELDS 1 f");
        let mut moves = migrate(server, peer.port, "h");
        peer.key();
        wait_until("the field is gone", || server.info()["expired_subkeys"] == "1");
        peer.reply("+OK\r\n");
        moves.assert_hears("+OK\r\n");
        assert_eq!(other.run("EXISTS h").int(), 0);
    });
}

/// Who feeds somebody that would write to a key under way waits, and who reads it by a pattern.
#[test]
fn a_key_under_way_is_not_touched_by_those_who_do_not_name_it() {
    on_each(|server| {
        for (to, feeds) in [("to", "RPUSH from e"), ("{from}to", "RPUSH first e"), ("to", "MULTI")] {
            let (peer, mut other) = (Peer::start(), server.connect());
            other.run(&format!("RPUSH {to} old"));
            other.run("RPUSH l 1");
            other.ok("SET w_1 weight");
            let mut blocked = [
                ask(server, &[&format!("BLMOVE from {to} LEFT RIGHT 0")]),
                ask(server, &["BLMOVE first from LEFT LEFT 0"]),
            ];
            wait_until("both wait", || server.info()["blocked_clients"] == "2");
            let mut moves = migrate(server, peer.port, &format!("{to} w_1"));
            assert_eq!(peer.key(), to);
            let lines: &[&str] = if feeds == "MULTI" { &["MULTI", "RPUSH from e", "EXEC"] } else { &[feeds] };
            let mut feeds = ask(server, lines);
            let mut reads = ask(server, &["SORT l GET w_*"]);
            let mut early = String::new();
            while lines.len() > 1 && early.len() < "+OK\r\n+QUEUED\r\n".len() {
                early += &feeds.heard(crate::client::PATIENCE).expect("it is queued");
            }
            feeds.assert_waits();
            reads.assert_waits();
            // What concerns neither goes on.
            other.run("RPUSH elsewhere e");
            assert_eq!(other.run("SORT l GET v_*").array().len(), 1);
            peer.reply("+OK\r\n");
            assert_eq!(peer.key(), "w_1");
            peer.reply("+OK\r\n");
            moves.assert_hears("+OK\r\n");
            feeds.assert_hears(if lines.len() > 1 { "*1\r\n:1\r\n" } else { ":1\r\n" });
            reads.assert_hears("*1\r\n$-1\r\n");
            blocked[0].assert_hears("$1\r\ne\r\n");
            assert_eq!(other.run(&format!("LRANGE {to} 0 -1")).array().len(), 1);
            drop(blocked);
            wait_until("nobody waits", || server.info()["blocked_clients"] == "0");
            other.ok("FLUSHALL");
        }
    });
}

/// A peer that does not read on before its replies are taken: megabytes of them, on the way of as many requests.
#[test]
fn replies_are_heard_while_keys_are_sent() {
    const KEYS: usize = 100_000;
    let server = Server::kring(2, &[]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut read, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        let refusal = format!("-ERR {}\r\n", "x".repeat(400));
        loop {
            let mut used = 0;
            while let Some((command, more)) = whole(&read[used..]) {
                used += more;
                let reply = if command[0] == "SELECT" { "+OK\r\n" } else { &refusal };
                if stream.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
            read.drain(..used);
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(n) => read.extend_from_slice(&chunk[..n]),
            }
        }
    });
    let mut client = server.connect();
    let keys: Vec<String> = (0..KEYS).map(|i| format!("key:{i}")).collect();
    let pairs: Vec<&str> = keys.iter().flat_map(|key| [key.as_str(), "v"]).collect();
    assert!(client.call(&[&["MSET"], &pairs[..]].concat()).is_ok());
    let reply = call(&mut client, &format!("MIGRATE 127.0.0.1 {port} _ 0 5000 KEYS {}", keys.join(" ")));
    assert!(reply.text().starts_with("ERR Target instance replied with error: ERR xxx"), "{reply:?}");
    assert_eq!(client.run("DBSIZE").int() as usize, KEYS);
}

#[test]
fn connections_are_kept_for_those_who_ask_for_the_same() {
    let (server, target) = (Server::kring(2, &[]), Server::kring(1, &[]));
    let mut client = server.connect();
    // Whether it went, and how many connections are kept.
    let mut moves = |port: u16, what: &str| {
        client.ok("SET k v");
        let reply = call(&mut client, &format!("MIGRATE 127.0.0.1 {port} k {what}"));
        (reply.is_ok(), server.info()["migrate_cached_sockets"].parse::<usize>().unwrap())
    };
    let mut there = target.connect();
    for db in [0, 0, 3, 0, 3] {
        assert_eq!(moves(target.port, &format!("{db} 5000")), (true, 1), "{db}");
        there.ok(&format!("SELECT {db}"));
        assert_eq!(there.run("DEL k").int(), 1, "{db}");
    }
    assert_eq!(moves(target.port, "99 5000"), (false, 0));
    assert_eq!(moves(target.port, "0 5000 REPLACE"), (true, 1));
    // The two, that of the first PING, and those of this test.
    assert_eq!(target.info()["total_connections_received"], "5");
    // They are closed behind the back of who keeps them, and who comes then wants a password.
    let port = target.port;
    drop(target);
    let target = Server::kring_on(port, 1, &["--requirepass", "secret"]).expect("the port is free again");
    assert!(!moves(port, "0 5000").0);
    assert!(moves(port, "0 5000 REPLACE AUTH secret").0);
    // It does not open the door to others.
    assert!(!moves(port, "0 5000 REPLACE").0);
    assert!(moves(port, "0 5000 REPLACE AUTH secret").0);
    // Nor does it stay open for those whose password is no more.
    let mut there = target.connect();
    there.ok("AUTH secret");
    there.ok("CONFIG SET requirepass other");
    assert!(!moves(port, "0 5000 REPLACE AUTH secret").0);
    assert!(moves(port, "0 5000 REPLACE AUTH other").0);
}

#[test]
fn a_kept_connection_that_is_closed_just_then_is_made_again() {
    let (server, peer) = (Server::kring(2, &[]), Peer::start());
    let mut other = server.connect();
    for (said, heard) in [
        ("+OK\r\n", "+OK\r\n"),
        ("+OK\r\n", "+OK\r\n"),
        (LAST, "+OK\r\n"),
        // Made again, and not once more: the key may be there.
        ("", "-IOERR error or timeout reading to target instance\r\n"),
        ("-ERR no\r\n", "-ERR Target instance replied with error: ERR no\r\n"),
    ] {
        other.ok("SET k v");
        let mut moves = migrate(&server, peer.port, "k");
        assert_eq!(peer.key(), "k");
        peer.reply(said);
        moves.assert_hears(heard);
        assert_eq!(other.run("EXISTS k").int(), !heard.starts_with('+') as i64);
    }
}

#[test]
fn a_client_that_goes_or_is_killed_leaves_no_key_behind() {
    on_each(|server| {
        let mut other = server.connect();
        for (kills, said, left) in [(false, "+OK\r\n", 0), (false, "-ERR no\r\n", 1), (true, "+OK\r\n", 0)] {
            let peer = Peer::start();
            other.ok("SET k v");
            let moves = migrate(server, peer.port, "k");
            peer.key();
            if kills {
                let clients = other.run("CLIENT LIST").text();
                let line = clients.lines().find(|line| line.contains("cmd=migrate")).unwrap();
                let id = line.split([' ', '=']).nth(1).unwrap();
                assert_eq!(other.run(&format!("CLIENT KILL ID {id}")).int(), 1);
            } else {
                drop(moves);
            }
            let mut waits = ask(server, &["EXISTS k"]);
            waits.assert_waits();
            peer.reply(said);
            waits.assert_hears(&format!(":{left}\r\n"));
            wait_until("the client is gone", || !other.run("CLIENT LIST").text().contains("cmd=migrate"));
        }
    });
}

#[test]
fn a_peer_that_is_silent_holds_a_key_for_its_time_only() {
    on_each(|server| {
        let peer = Peer::start();
        let mut other = server.connect();
        other.ok("SET k v");
        let began = Instant::now();
        let mut moves = ask(server, &[&format!("MIGRATE 127.0.0.1 {} k 0 300", peer.port)]);
        peer.key();
        let mut waits = ask(server, &["GET k"]);
        waits.assert_waits();
        moves.assert_hears("-IOERR error or timeout reading to target instance\r\n");
        assert!(began.elapsed() >= Duration::from_millis(300));
        waits.assert_hears("$1\r\nv\r\n");
        peer.reply("");
    });
}

#[test]
fn a_server_may_send_to_itself() {
    on_each(|server| {
        let mut client = server.connect();
        let port = server.port;
        client.ok("MSET a 1 b 2 c 3");
        let line = format!("MIGRATE 127.0.0.1 {port} _ 1 5000 KEYS a b");
        assert!(call(&mut client, &line).is_ok());
        assert_eq!(client.run("DBSIZE").int(), 1);
        client.ok("SELECT 1");
        assert_eq!(client.raw_of("MGET a b"), b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        client.ok("SELECT 0");
        // What waits for itself gets nowhere, as in Redis.
        let timeout = b"-IOERR error or timeout reading to target instance\r\n";
        assert_eq!(client.raw_of(&format!("MIGRATE 127.0.0.1 {port} c 0 100 REPLACE")), timeout);
        assert_eq!(client.run("GET c").text(), "3");
        client.ok("MULTI");
        client.run(&format!("MIGRATE 127.0.0.1 {port} c 2 100"));
        let reply = client.raw_of("EXEC");
        assert!(reply.starts_with(b"*1\r\n-IOERR error or timeout"), "{}", String::from_utf8_lossy(&reply));
        assert_eq!(client.run("GET c").text(), "3");
    });
}

#[test]
fn in_a_transaction_it_is_one_of_its_commands() {
    let (redis, target) = (Server::redis(&[]), Server::redis(&[]));
    let run = |server: &Server| {
        let (mut s, mut t) = (server.connect(), target.connect());
        t.ok("FLUSHALL");
        s.ok("MSET a 1 b 2 c 3");
        let mut watcher = server.connect();
        watcher.ok("WATCH a");
        let port = target.port;
        for line in [
            "MULTI",
            "APPEND a 0",
            &format!("MIGRATE 127.0.0.1 {port} a 0 1000"),
            "EXISTS a",
            "INCR a",
            &format!("MIGRATE 127.0.0.1 {port} _ 0 1000 KEYS b c a"),
            "DBSIZE",
            &format!("MIGRATE 127.0.0.1 {port} nosuch 0 1000"),
            "SET a last",
        ] {
            call(&mut s, line);
        }
        let mut seen = vec![s.raw_of("EXEC"), s.raw_of("MGET a b c"), t.raw_of("MGET a b c")];
        watcher.ok("MULTI");
        seen.push(watcher.raw_of("EXEC"));
        s.ok("FLUSHALL");
        seen
    };
    let wanted = run(&redis);
    on_each(|server| assert_eq!(run(server), wanted));
}

#[test]
fn who_watches_hears_of_it_and_books_are_kept_as_in_redis() {
    let (redis, target) = (Server::redis(&[]), Server::redis(&[]));
    let run = |server: &Server| {
        let mut s = server.connect();
        target.connect().ok("FLUSHALL");
        s.ok("CONFIG SET slowlog-log-slower-than 0");
        s.ok("MSET a 1 b 2");
        s.ok("CONFIG RESETSTAT");
        let field = |name: &str| server.info().get(name).cloned().unwrap_or_default();
        let changes: i64 = field("rdb_changes_since_last_save").parse().unwrap();
        let mut watcher = server.connect();
        watcher.ok("WATCH a");
        let port = target.port;
        assert!(call(&mut s, &format!("MIGRATE 127.0.0.1 {port} _ 0 1000 KEYS a b nosuch")).is_ok());
        call(&mut s, &format!("MIGRATE 127.0.0.1 {port} a 0 1000 AUTH2 secret word"));
        watcher.ok("MULTI");
        assert_eq!(watcher.run("EXEC"), Reply::Null);
        s.ok("SET c 3");
        assert!(s.run(&format!("MIGRATE 127.0.0.1 {port} c 0 1000 AUTH2 secret word")).is_error());
        let slow = s.run("SLOWLOG GET 50");
        let slow: Vec<String> = slow.array().iter().map(|entry| format!("{:?}", entry.array()[3])).collect();
        let slow = slow.into_iter().filter(|entry| entry.contains("redacted")).count();
        let calls = field("cmdstat_migrate");
        let calls: Vec<&str> = calls.split(',').filter(|part| !part.starts_with("usec")).collect();
        let changed = field("rdb_changes_since_last_save").parse::<i64>().unwrap() - changes;
        (
            slow,
            calls.join(","),
            changed,
            field("keyspace_hits"),
            field("keyspace_misses"),
            field("errorstat_ERR"),
        )
    };
    let wanted = run(&redis);
    on_each(|server| assert_eq!(run(server), wanted));
}

#[test]
fn the_log_says_what_has_left() {
    for shards in [1, 3, 8] {
        let (home, target) = (Scratch::new(), Server::kring(2, &debug_args()));
        let server = log_home::kring(home.path(), shards, &["--appendfsync", "always"]);
        let mut client = server.connect();
        let keys: Vec<String> = (0..30).map(|i| format!("key:{i}")).collect();
        for key in &keys {
            client.ok(&format!("SET {key} value:{key} EX 1000"));
        }
        let (stay, go) = keys.split_at(10);
        let port = target.port;
        for line in [
            format!("MIGRATE 127.0.0.1 {port} {} 0 1000 COPY", stay[0]),
            format!("MIGRATE 127.0.0.1 {port} _ 0 1000 KEYS {}", go.join(" ")),
        ] {
            assert!(call(&mut client, &line).is_ok(), "{line}");
        }
        let digest = log_home::digest(&server);
        drop(server);
        log_home::assert_taken(home.path(), &digest, &[]);
        let server = log_home::kring(home.path(), 2, &[]);
        assert_eq!(log_home::digest(&server), digest);
        assert_eq!(server.connect().run("DBSIZE").int(), stay.len() as i64);
    }
}

/// Counters that many clients raise while they are carried away, again and again: no increment is lost, and none is seen twice.
#[test]
fn no_write_is_lost_under_load() {
    const KEYS: [&str; 6] = ["a", "b", "c", "{a}2", "{b}2", "d"];
    for (shards, args) in [(1, &[][..]), (3, &[]), (8, &["--take-spin-ns", "0"]), (5, &["--borrow", "no"])] {
        let (source, target) = (Server::kring(shards, args), Server::kring(2, &[]));
        let (done, raised) = (AtomicBool::new(false), AtomicI64::new(0));
        let mut carried = 0;
        std::thread::scope(|scope| {
            for id in 0..4 {
                let (mut client, done, raised) = (source.connect(), &done, &raised);
                scope.spawn(move || {
                    let mut n = id;
                    while !done.load(Ordering::Relaxed) {
                        let (one, two) = (KEYS[n % 6], KEYS[(n + 2) % 6]);
                        n += 1;
                        for line in [
                            format!("INCR {one}"),
                            "MULTI".into(),
                            format!("INCR {one}"),
                            format!("INCR {two}"),
                            "EXEC".into(),
                        ] {
                            client.send(&words(&line)).unwrap();
                        }
                        for _ in 0..5 {
                            let reply = client.reply();
                            assert!(!reply.is_error(), "{reply:?}");
                        }
                        raised.fetch_add(3, Ordering::Relaxed);
                    }
                });
            }
            let (mut s, mut t) = (source.connect(), target.connect());
            for round in 0..150 {
                let keys = &KEYS[round % 3..round % 3 + 1 + round % 4];
                let line = format!("MIGRATE 127.0.0.1 {} _ 0 5000 KEYS {}", target.port, keys.join(" "));
                let reply = call(&mut s, &line);
                assert!(!reply.is_error(), "{line}: {reply:?}");
                for key in keys {
                    let found = t.run(&format!("GETDEL {key}"));
                    carried += if found == Reply::Null { 0 } else { found.text().parse::<i64>().unwrap() };
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut s = source.connect();
        let left = KEYS.map(|key| s.run(&format!("GET {key}")));
        let left: i64 =
            left.iter().filter(|r| **r != Reply::Null).map(|r| r.text().parse::<i64>().unwrap()).sum();
        assert_eq!(carried + left, raised.into_inner(), "{shards} shards {args:?}");
        assert!(carried > 0);
    }
}

#[test]
fn a_server_stops_though_a_peer_is_silent() {
    for shards in [1, 3] {
        let mut server = Server::kring(shards, &[]);
        let peer = Peer::start();
        server.connect().ok("SET k v");
        let _moves = migrate(&server, peer.port, "k");
        peer.key();
        let began = Instant::now();
        let _ = server.connect().send(b"SHUTDOWN NOSAVE\r\n");
        assert!(server.wait().success());
        assert!(began.elapsed() < Duration::from_secs(8), "it waits for the peer");
    }
}
