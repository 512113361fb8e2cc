//! The `redis` crate, as an application would use it.

use crate::server::Server;
use redis::{Commands, Connection};
use std::collections::HashSet;

fn connect(server: &Server, protocol: &str) -> Connection {
    let url = format!("redis://127.0.0.1:{}/{protocol}", server.port);
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn smoke(protocol: &str) {
    let server = Server::kring(3, &[]);
    let mut c = connect(&server, protocol);
    let _: () = c.set("name", "kring").unwrap();
    assert_eq!(c.get::<_, String>("name").unwrap(), "kring");
    assert_eq!(c.get::<_, Option<String>>("nosuch").unwrap(), None);
    assert_eq!(c.incr::<_, _, i64>("n", 41).unwrap(), 41);
    assert_eq!(c.incr::<_, _, i64>("n", 1).unwrap(), 42);
    assert!(c.incr::<_, _, i64>("name", 1).is_err());

    let many: Vec<(String, usize)> = (0..500).map(|i| (format!("key:{i}"), i)).collect();
    let _: () = c.mset(&many).unwrap();
    let keys: Vec<String> = many.iter().map(|(k, _)| k.clone()).collect();
    assert_eq!(c.mget::<_, Vec<usize>>(&keys).unwrap(), (0..500).collect::<Vec<_>>());

    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.incr(key, 1).ignore().get(key);
    }
    assert_eq!(pipe.query::<Vec<usize>>(&mut c).unwrap(), (1..501).collect::<Vec<_>>());

    let found: HashSet<String> = c.scan_match::<_, String>("key:*").unwrap().map(Result::unwrap).collect();
    assert_eq!(found, keys.iter().cloned().collect());
    assert_eq!(c.del::<_, usize>(&keys).unwrap(), 500);

    let _: () = c.set_ex("soon", "v", 1_000).unwrap();
    assert!((990..=1_000).contains(&c.ttl::<_, i64>("soon").unwrap()));
    assert!(c.rename::<_, _, ()>("soon", "later").is_ok());
    assert_eq!(c.exists::<_, bool>("soon").ok(), Some(false));
    assert!(c.setbit::<_, bool>("bits", 7, true).is_ok());
    assert_eq!(c.bitcount::<_, usize>("bits").unwrap(), 1);
    let info: redis::InfoDict = redis::cmd("INFO").query(&mut c).unwrap();
    assert_eq!(info.get::<String>("redis_mode").unwrap(), "standalone");
}

#[test]
fn a_public_client_in_resp2() {
    smoke("");
}

#[test]
fn a_public_client_in_resp3() {
    smoke("?protocol=resp3");
}
