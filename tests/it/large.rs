//! Large values: on their way in they are received straight into their requests, on their way out sent without a copy, whatever
//! happens to the connection meanwhile.

use crate::client::{Client, request, words};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::{Server, wait_until};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SET_BEGUN: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n";

fn value(rng: &mut Rng, len: usize) -> Vec<u8> {
    let salt = rng.next() as usize;
    (0..len).map(|i| (i * 31 + i / 251 + salt) as u8).collect()
}

/// A field of the line of CLIENT LIST whose client has this name.
fn client_field(client: &mut Client, name: &str, field: &str) -> Option<String> {
    let list = client.run("CLIENT LIST").text();
    let line = list.lines().find(|line| line.contains(&format!(" name={name} ")))?.to_string();
    line.split(' ').find_map(|pair| pair.strip_prefix(&format!("{field}="))).map(str::to_string)
}

/// A client with a name that has sent the first `sent` bytes of a value of 4 MB.
fn begun(server: &Server, name: &str, sent: usize) -> Client {
    let mut client = server.connect();
    client.ok(&format!("CLIENT SETNAME {name}"));
    client.send(&[SET_BEGUN, &vec![b'v'; sent]].concat()).unwrap();
    let mut other = server.connect();
    let all = (SET_BEGUN.len() + sent).to_string();
    wait_until("what was sent is there", || {
        client_field(&mut other, name, "qbuf").as_deref() == Some(all.as_str())
    });
    client
}

#[test]
fn large_requests_cut_anywhere_among_small_ones_arrive_as_they_were_sent() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let (mut client, mut other) = (server.connect(), server.connect());
        let mut rng = Rng::new(seed());
        for round in 0..40 {
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for i in 0..1 + rng.next() % 4 {
                let key = format!("{}:{i}", round % 5).into_bytes();
                let near = [100, 16_384, 32_768, 65_536, 200_000, 1_000_000][rng.next() as usize % 6];
                let len = near - 60 + rng.next() as usize % 120;
                let value = value(&mut rng, len);
                match rng.next() % 4 {
                    0 => {
                        bytes.extend(request(&[b"SET".as_slice(), &key, &value]));
                        expected.push(Reply::Simple(b"OK".to_vec()));
                    }
                    1 => {
                        bytes.extend(request(&[b"MSET".as_slice(), b"a", &value, &key, &value, b"b", b"x"]));
                        expected.push(Reply::Simple(b"OK".to_vec()));
                    }
                    2 => {
                        bytes.extend(request(&[b"ECHO".as_slice(), &value]));
                        expected.push(Reply::Bulk(value));
                        continue;
                    }
                    _ => {
                        bytes.extend([words("MULTI"), request(&[b"SET".as_slice(), &key, &value])].concat());
                        bytes.extend([words("STRLEN b"), words("EXEC")].concat());
                        let (ok, queued) = ("OK", "QUEUED");
                        expected.extend([ok, queued, queued].map(|s| Reply::Simple(s.into())));
                        expected.push(Reply::Array(vec![Reply::Simple(b"OK".to_vec()), Reply::Int(1)]));
                    }
                }
                bytes.extend([request(&[b"GET".as_slice(), &key]), words("PING")].concat());
                expected.extend([Reply::Bulk(value), Reply::Simple(b"PONG".to_vec())]);
            }
            bytes.splice(0..0, words("SET b y"));
            expected.insert(0, Reply::Simple(b"OK".to_vec()));
            let mut writer = client.writer();
            let cuts: Vec<_> = (0..rng.next() % 6).map(|_| rng.next() as usize % bytes.len()).collect();
            let sender = std::thread::spawn(move || {
                let (mut cuts, mut from) = (cuts, 0);
                cuts.sort_unstable();
                for cut in cuts {
                    writer.write_all(&bytes[from..cut]).unwrap();
                    from = cut;
                    sleep(Duration::from_millis(2));
                }
                writer.write_all(&bytes[from..]).unwrap();
            });
            for (i, reply) in expected.iter().enumerate() {
                assert!(client.reply() == *reply, "round {round}, reply {i}");
            }
            sender.join().unwrap();
            assert_eq!(other.run("PING"), Reply::Simple(b"PONG".to_vec()));
        }
    }
}

#[test]
fn who_stops_in_the_middle_may_go_on_and_is_shown_with_what_came() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let mut client = begun(&server, "stops", 1_500_000);
        let mut other = server.connect();
        assert_eq!(other.run("EXISTS k"), Reply::Int(0));
        client.send(&vec![b'v'; 2_500_000]).unwrap();
        client.send(b"\r").unwrap();
        sleep(Duration::from_millis(50));
        assert_eq!(other.run("EXISTS k"), Reply::Int(0));
        client.send(b"\n").unwrap();
        assert!(client.reply().is_ok());
        assert!(other.run("GET k") == Reply::Bulk(vec![b'v'; 4_000_000]));
    }
}

#[test]
fn who_goes_or_is_killed_in_the_middle_leaves_nothing() {
    let server = Server::kring(1, &[]);
    let mut other = server.connect();
    let used = |server: &Server| server.info()["used_memory"].parse::<u64>().unwrap();
    let before = used(&server);
    for round in 0..30 {
        let mut client = begun(&server, "goes", 100_000 * (round % 3) + 50_000);
        match round % 3 {
            0 => drop(client),
            1 => {
                let id = client_field(&mut other, "goes", "id").expect("it is there");
                assert_eq!(other.run(&format!("CLIENT KILL ID {id}")), Reply::Int(1));
                assert_eq!(client.until_closed(), b"");
            }
            _ => {
                client.half_close();
                assert_eq!(client.until_closed(), b"");
            }
        }
        wait_until("it is gone", || client_field(&mut other, "goes", "id").is_none());
    }
    assert_eq!(other.run("EXISTS k"), Reply::Int(0));
    wait_until("its memory is", || used(&server) < before + (2 << 20));
}

#[test]
fn a_large_argument_that_stands_still_is_idle_and_one_that_comes_slowly_is_not() {
    let server = Server::kring(1, &["--timeout", "1"]);
    let mut still = begun(&server, "still", 100_000);
    let mut slow = begun(&server, "slow", 100_000);
    let waiting = std::thread::spawn(move || assert_eq!(still.until_closed(), b""));
    let until = Instant::now() + Duration::from_secs(4);
    let mut sent = 100_000;
    while Instant::now() < until {
        slow.send(&vec![b'v'; 1_000]).unwrap();
        sent += 1_000;
        sleep(Duration::from_millis(100));
    }
    waiting.join().unwrap();
    slow.send(&[&vec![b'v'; 4_000_000 - sent][..], b"\r\n"].concat()).unwrap();
    assert!(slow.reply().is_ok());
}

#[test]
fn the_query_buffer_limit_holds_within_a_large_argument() {
    let server = Server::kring(1, &["--client-query-buffer-limit", "1mb"]);
    let mut client = begun(&server, "within", 1_000_000);
    let _ = client.send(&vec![b'v'; 100_000]);
    assert_eq!(client.until_closed(), b"");
    assert_eq!(server.info()["client_query_buffer_limit_disconnections"], "1");
}

#[test]
fn a_server_stops_while_large_arguments_are_under_way() {
    let mut server = Server::kring(2, &[]);
    let clients: Vec<_> = (0..5).map(|i| begun(&server, &format!("c{i}"), 300_000)).collect();
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(began.elapsed() < Duration::from_secs(5));
    for mut client in clients {
        client.until_closed();
    }
}

#[test]
fn many_large_values_in_one_reply_come_whole_also_to_a_slow_reader() {
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    let mut rng = Rng::new(seed());
    let values: Vec<_> = (0..150).map(|i| value(&mut rng, 8_000 + i * 100)).collect();
    for (i, value) in values.iter().enumerate() {
        assert!(client.call(&[b"SET".as_slice(), format!("v:{i}").as_bytes(), value]).is_ok());
    }
    let keys: Vec<_> = (0..values.len()).map(|i| format!("v:{i}")).collect();
    client.send(&words(&format!("MGET {}", keys.join(" "))).repeat(3)).unwrap();
    sleep(Duration::from_millis(100));
    for _ in 0..3 {
        assert!(client.reply() == Reply::Array(values.iter().cloned().map(Reply::Bulk).collect()));
    }
    // And one by one, small ones between.
    let one_by_one: String = keys.iter().map(|key| format!("GET {key}\r\nSTRLEN {key}\r\n")).collect();
    client.send(one_by_one.as_bytes()).unwrap();
    for value in values {
        let len = value.len() as i64;
        assert!(client.reply() == Reply::Bulk(value));
        assert_eq!(client.reply(), Reply::Int(len));
    }
}
