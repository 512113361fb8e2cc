//! Commands about connections, seen from several of them on several shards.

use crate::client::{Client, words};
use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::collections::{BTreeMap, BTreeSet};

/// CLIENT LIST: a map of fields for each client.
fn list(client: &mut Client) -> Vec<BTreeMap<String, String>> {
    let text = client.run("CLIENT LIST").text();
    let fields = |line: &str| -> BTreeMap<String, String> {
        line.split(' ').filter_map(|f| f.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    text.lines().map(fields).collect()
}

#[test]
fn client_list_shows_the_clients_of_all_shards() {
    let server = Server::kring(4, &[]);
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    let mut ids = BTreeSet::new();
    for (i, client) in clients.iter_mut().enumerate() {
        client.ok(&format!("CLIENT SETNAME name-{i}"));
        client.ok(&format!("SELECT {}", i % 3));
        ids.insert(client.run("CLIENT ID").int());
    }
    assert_eq!(ids.len(), 12, "an id is given once");
    let listed = list(&mut clients[5]);
    for i in 0..12 {
        let named: Vec<_> = listed.iter().filter(|c| c["name"] == format!("name-{i}")).collect();
        assert_eq!(named.len(), 1, "name-{i}");
        assert_eq!(named[0]["db"], (i % 3).to_string());
        assert!(named[0]["addr"].starts_with("127.0.0.1:") && ids.contains(&named[0]["id"].parse().unwrap()));
    }
    let order: Vec<i64> = listed.iter().map(|c| c["id"].parse().unwrap()).collect();
    assert!(order.is_sorted(), "Redis lists by age: {order:?}");
}

#[test]
fn client_kill_reaches_every_shard() {
    let server = Server::kring(3, &[]);
    let mut killer = server.connect();
    let mut victims: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    let ids: Vec<i64> = victims.iter_mut().map(|v| v.run("CLIENT ID").int()).collect();
    assert_eq!(killer.run(&format!("CLIENT KILL ID {}", ids[0])), Reply::Int(1));
    assert_eq!(victims[0].until_closed(), b"");
    assert_eq!(killer.run(&format!("CLIENT KILL ID {}", ids[0])), Reply::Int(0));
    let addr = list(&mut killer).iter().find(|c| c["id"] == ids[1].to_string()).unwrap()["addr"].clone();
    killer.ok(&format!("CLIENT KILL {addr}"));
    assert_eq!(victims[1].until_closed(), b"");
    let killed = killer.run("CLIENT KILL TYPE normal").int();
    assert!(killed >= 4, "{killed}");
    victims[2..].iter_mut().for_each(|v| assert_eq!(v.until_closed(), b""));
    // Itself last, with its reply.
    killer.send(b"CLIENT KILL TYPE normal SKIPME no\r\n").unwrap();
    assert_eq!(killer.until_closed(), b":1\r\n");
}

#[test]
fn client_pause_holds_writes_back_on_every_shard() {
    let server = Server::kring(3, &[]);
    let mut control = server.connect();
    control.ok("MSET a 1 b 1 c 1 d 1");
    control.ok("CLIENT PAUSE 100000 WRITE");
    let mut writers: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for (writer, key) in writers.iter_mut().zip(["a", "b", "c", "d"]) {
        writer.send(format!("GET {key}\r\nSET {key} 2\r\nGET {key}\r\n").as_bytes()).unwrap();
        assert_eq!(writer.reply(), Reply::Bulk(b"1".to_vec()), "reads go on");
    }
    let ones = Reply::Array(vec![Reply::Bulk(b"1".to_vec()); 4]);
    assert_eq!(control.run("MGET a b c d"), ones);
    control.ok("CLIENT UNPAUSE");
    for writer in &mut writers {
        assert!(writer.reply().is_ok());
        assert_eq!(writer.reply(), Reply::Bulk(b"2".to_vec()));
    }
    // A pause that ends by itself holds everything, and lets go.
    control.ok("CLIENT PAUSE 200");
    assert_eq!(writers[0].run("PING"), Reply::Simple(b"PONG".to_vec()));
}

#[test]
fn who_leaves_in_a_pause_is_gone_at_once_with_what_it_asked_for() {
    for shards in [1, 3] {
        let server = Server::kring(shards, &[]);
        let mut control = server.connect();
        control.ok("CLIENT PAUSE 100000 WRITE");
        let mut writers: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        for writer in &mut writers {
            writer.send(&words("INCR n")).unwrap();
        }
        wait_until("they wait", || server.info()["blocked_clients"] == "6");
        // One that sends and leaves at once, too.
        let mut hasty = server.connect();
        hasty.send(&words("INCR n")).unwrap();
        drop(hasty);
        let stays = writers.pop().unwrap();
        drop(writers);
        // The control's, the asker's, and the one that stays.
        wait_until("they are gone", || server.info()["connected_clients"] == "3");
        control.ok("CLIENT UNPAUSE");
        let mut stays = stays;
        assert_eq!(stays.reply().int(), 1);
        assert_eq!(control.run("GET n").text(), "1");
    }
}

#[test]
fn client_reply_off_and_skip_keep_silent() {
    let server = Server::kring(3, &[]);
    let mut client = server.connect();
    client
        .send(b"CLIENT REPLY OFF\r\nSET a 1\r\nSET b 2\r\nMGET a b\r\nCLIENT REPLY ON\r\nGET a\r\n")
        .unwrap();
    assert!(client.reply().is_ok());
    assert_eq!(client.reply(), Reply::Bulk(b"1".to_vec()));
    client.send(b"CLIENT REPLY SKIP\r\nSET a 2\r\nGET a\r\n").unwrap();
    assert_eq!(client.reply(), Reply::Bulk(b"2".to_vec()));
    client.send(b"CLIENT REPLY SKIP\r\nRESET\r\nGET a\r\n").unwrap();
    assert_eq!(client.reply(), Reply::Bulk(b"2".to_vec()), "nor is a RESET heard that was to be skipped");
    client.send(b"CLIENT REPLY OFF\r\nRESET\r\nGET a\r\n").unwrap();
    assert_eq!(client.reply(), Reply::Simple(b"RESET".to_vec()), "off ends with it");
    assert_eq!(client.reply(), Reply::Bulk(b"2".to_vec()));
}

#[test]
fn reset_brings_a_connection_back_to_its_beginning() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    client.run("HELLO 3 SETNAME me");
    client.ok("SELECT 5");
    assert_eq!(client.run("RESET"), Reply::Simple(b"RESET".to_vec()));
    assert_eq!(client.raw_of("GET nosuch"), b"$-1\r\n");
    assert_eq!(client.run("CLIENT GETNAME"), Reply::Null);
    client.ok("SET a 1");
    assert_eq!(server.connect().run("GET a"), Reply::Bulk(b"1".to_vec()));
}

#[test]
fn settings_take_effect_on_every_shard() {
    let server = Server::kring(4, &[]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    clients[0].ok("CONFIG SET slowlog-log-slower-than 0 proto-max-bulk-len 1mb");
    for client in &mut clients {
        assert_eq!(client.run("CONFIG GET proto-max-bulk-len").array()[1].text(), "1048576");
        assert!(client.run("SETRANGE key 1048576 x").is_error());
    }
    wait_until("the slow log has commands of all clients", || {
        let log = clients[3].run("SLOWLOG GET 128");
        let peers: BTreeSet<String> = log.array().iter().map(|e| e.array()[4].text()).collect();
        peers.len() >= 8
    });
    clients[1].ok("CONFIG SET requirepass secret");
    let mut fresh = server.connect();
    assert_eq!(fresh.run("GET a"), Reply::Error(b"NOAUTH Authentication required.".to_vec()));
    fresh.ok("AUTH secret");
    assert_eq!(fresh.run("GET a"), Reply::Null);
    fresh.ok("CONFIG SET slowlog-log-slower-than -1");
    fresh.ok("SLOWLOG RESET");
    assert_eq!(fresh.run("SLOWLOG LEN"), Reply::Int(0));
}

/// INFO counts over all shards.
#[test]
fn info_sums_up_over_the_shards() {
    let server = Server::kring(3, &[]);
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    clients[0].ok("CONFIG RESETSTAT");
    for client in &mut clients {
        for i in 0..50 {
            client.ok(&format!("SET key:{i} v"));
            client.run(&format!("GET key:{i}"));
            client.run(&format!("GET nosuch:{i}"));
        }
        assert!(client.run("GET").is_error());
    }
    let info = server.info();
    let stat = |name: &str| info[name].split(',').next().unwrap().to_string();
    assert_eq!(stat("cmdstat_set"), "calls=300");
    assert_eq!(stat("cmdstat_get"), "calls=600");
    assert_eq!((info["keyspace_hits"].as_str(), info["keyspace_misses"].as_str()), ("300", "300"));
    assert_eq!(info["errorstat_ERR"], "count=6");
    assert!(info["db0"].starts_with("keys=50,expires=0,avg_ttl=0"), "{}", info["db0"]);
}
