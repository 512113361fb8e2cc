//! Requests that no client library sends: inline, broken, cut off. What comes back, and whether the connection is closed
//! after it, is compared byte by byte.

use super::compare::How;
use crate::client::Client;
use crate::reply::show;
use crate::server::Server;

/// Each is sent to a fresh connection of both servers.
const REQUESTS: &[&[u8]] = &[
    // Whole ones.
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
    b"*0\r\n*1\r\n$4\r\nPING\r\n",
    b"*-1\r\n*1\r\n$4\r\nPING\r\n",
    b"*-10\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$3\r\nabcXXPING\r\n",
    b"*1\r\n$4\r\nPINGXYPING\r\n",
    // Inline.
    b"PING\r\n",
    b"PING\n",
    b"ping\r\n",
    b"\r\n\r\nPING\r\n",
    b"\nPING\n",
    b"   PING   \r\n",
    b"PING\thello\r\n",
    b"ECHO \"a b\"\r\n",
    b"ECHO 'a b'\r\n",
    b"ECHO \"\\x41\\n\\t\\a\\b\\\"\\\\\\z\"\r\n",
    b"ECHO 'it\\'s'\r\n",
    b"ECHO '\\n'\r\n",
    b"ECHO \"\"\r\n",
    b"ECHO ''\r\n",
    b"ECHO \"\\x4\"\r\n",
    b"ECHO \"\\xzz\"\r\n",
    b"ECHO \"a\"b\r\n",
    b"ECHO 'a'b\r\n",
    b"ECHO \"a\r\n",
    b"ECHO 'a\r\n",
    b"ECHO a\"b c\"\r\n",
    b"ECHO a'b'\r\n",
    b"ECHO \"a\\\r\n",
    b"SET k v\r\nGET k\r\nDEL k\r\n",
    b"NOSUCH a b c\r\n",
    b"NOSUCH 'a b' \"\\x00\"\r\n",
    b"PING\r\r\n",
    b"\xff\xfe\r\n",
    b"GET\r\n",
    b"  \r\nPING\r\n",
    b"\"\"\r\nPING\r\n",
    // Broken.
    b"*abc\r\n",
    b"*\r\nPING\r\n",
    b"* 1\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1x\r\n",
    b"*1.0\r\n",
    b"*1048577\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*-9999999999999999999999\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n\xff\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$4x\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1\r\n$-99999999999999999999\r\n",
    b"*2\r\n$4\r\nECHO\r\n+a\r\n",
    b"*1\r\n$4\r\nPING\r\n*x\r\n",
    b"PING\r\n*x\r\nPING\r\n",
    b"*1\r\n$4\r\nQUIT\r\nPING\r\n",
    b"QUIT\r\n",
    b"quit now\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"HELLO 4\r\n",
    b"HELLO x\r\n",
    b"HELLO 3 AUTH\r\n",
    b"HELLO 3 AUTH a b\r\n",
    b"HELLO 3 SETNAME \"a b\"\r\n",
    b"HELLO 2 SETNAME a NOSUCH\r\n",
    b"*2\r\n$5\r\nHELLO\r\n$1\r\n9\r\n",
    // Cut off.
    b"",
    b"P",
    b"PING",
    b"PING\r",
    b"*",
    b"*1",
    b"*1\r",
    b"*1\r\n",
    b"*1\r\n$",
    b"*1\r\n$4\r\n",
    b"*1\r\n$4\r\nPING",
    b"*1\r\n$4\r\nPING\r",
    b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n",
];

/// Lines longer than Redis takes, and the longest that it does.
fn long_ones() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for length in [65_535, 65_536, 65_537, 70_000] {
        all.push(vec![b'a'; length]);
        all.push([vec![b'a'; length], b"\r\n".to_vec()].concat());
        all.push([b"*".to_vec(), vec![b'1'; length]].concat());
        all.push([b"*1\r\n$".to_vec(), vec![b'1'; length]].concat());
    }
    all.push([b"ECHO ".to_vec(), vec![b'a'; 60_000], b"\r\n".to_vec()].concat());
    all.push(b"PING\r\n".repeat(500));
    all
}

#[test]
fn any_bytes_get_the_bytes_that_redis_sends() {
    let (kring, redis) = (Server::kring(2, &[]), Server::redis(&[]));
    let mut found = Vec::new();
    let all: Vec<Vec<u8>> = REQUESTS.iter().map(|r| r.to_vec()).chain(long_ones()).collect();
    for request in &all {
        for sentinel in [b"".as_slice(), b"*2\r\n$4\r\nECHO\r\n$8\r\nstill on\r\n"] {
            let bytes = [request, sentinel].concat();
            let (r, k) = (answer(&redis, &bytes), answer(&kring, &bytes));
            if r != k {
                found.push(format!("{}\n    redis: {}\n    kring: {}", show(&bytes), show(&r), show(&k)));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// All that the server sends for these bytes and the end of the stream.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut client = server.connect();
    // The server may close before it has taken all.
    let _ = client.send(bytes);
    client.half_close();
    client.until_closed()
}

/// With a password, an unauthenticated client may ask for less.
#[test]
fn unauthenticated_clients_are_held_as_by_redis() {
    let args = ["--requirepass", "secret"];
    let (kring, redis) = (Server::kring(2, &args), Server::redis(&args));
    let scripts: &[&[&str]] = &[
        &[
            "PING",
            "GET a",
            "NOSUCH",
            "GET",
            "AUTH",
            "AUTH wrong",
            "AUTH a b c",
            "AUTH default wrong",
            "AUTH nobody secret",
        ],
        &["AUTH secret", "PING", "GET a", "AUTH wrong", "GET a", "RESET", "GET a"],
        &["AUTH default secret", "GET a"],
        &["HELLO 3", "HELLO 3 AUTH default wrong", "HELLO 2 AUTH default secret SETNAME x", "CLIENT GETNAME"],
        &["*x"],
        &["*11", "PING"],
        &["QUIT"],
    ];
    let mut found = Vec::new();
    for script in scripts {
        let (mut k, mut r) = (kring.connect(), redis.connect());
        for line in *script {
            let ask = |c: &mut Client| {
                let _ = c.send(format!("{line}\r\n").as_bytes());
                c.try_reply().map_or(b"closed".to_vec(), |(_, raw)| raw)
            };
            let (redis, kring) = (ask(&mut r), ask(&mut k));
            let how = if line.starts_with("HELLO 2 AUTH default secret") { How::Kind } else { How::Bytes };
            if !super::compare::same(how, &redis, &kring) {
                found.push(format!("{line}\n    redis: {}\n    kring: {}", show(&redis), show(&kring)));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// A bulk or an array longer than an unauthenticated client may send closes its connection.
#[test]
fn unauthenticated_requests_are_small() {
    let args = ["--requirepass", "secret"];
    let (kring, redis) = (Server::kring(1, &args), Server::redis(&args));
    for request in [b"*11\r\n".as_slice(), b"*10\r\n", b"*1\r\n$16384\r\n", b"*1\r\n$16385\r\n"] {
        let (r, k) = (answer(&redis, request), answer(&kring, request));
        assert_eq!(show(&r), show(&k), "{}", show(request));
    }
}
