//! Where clients come in, and which shard they get.

use crate::client::Client;
use crate::reply::Reply;
use crate::server::{Server, wait_until};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

#[test]
fn a_unix_socket_serves_beside_tcp_and_goes_with_the_server() {
    let path = std::env::temp_dir().join(format!("kring-it-{}.sock", std::process::id()));
    let mut server = Server::kring(2, &["--unixsocket", path.to_str().unwrap(), "--unixsocketperm", "700"]);
    let mut unix = Client::unix(&path).unwrap();
    unix.ok("SET a 1");
    assert_eq!(server.connect().run("GET a"), Reply::Bulk(b"1".to_vec()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[test]
fn a_server_may_listen_on_a_unix_socket_alone() {
    let path = std::env::temp_dir().join(format!("kring-it-alone-{}.sock", std::process::id()));
    // The test's own TCP port only shows when the server is up: it is on 127.0.0.1 alone.
    let server = Server::kring(1, &["--bind", "127.0.0.1", "--unixsocket", path.to_str().unwrap()]);
    let mut clients: Vec<Client> = (0..20).map(|_| Client::unix(&path).unwrap()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.run("INCR n"), Reply::Int(i as i64 + 1));
    }
    drop(server);
}

#[test]
fn ipv6_and_ipv4_are_served_by_default() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this host has no IPv6: nothing to test");
        return;
    }
    let server = Server::kring(2, &[]);
    let mut six = Client::tcp((Ipv6Addr::LOCALHOST, server.port)).unwrap();
    six.ok("SET a 6");
    assert_eq!(server.connect().run("GET a"), Reply::Bulk(b"6".to_vec()));
}

#[test]
fn bind_keeps_other_addresses_out() {
    let server = Server::kring(1, &["--bind", "127.0.0.1"]);
    assert!(Client::tcp((Ipv4Addr::new(127, 0, 0, 2), server.port)).is_err());
    assert_eq!(server.connect().run("PING"), Reply::Simple(b"PONG".to_vec()));
}

/// Clients of each shard, from INFO.
fn clients_of_shards(server: &Server) -> BTreeMap<String, i64> {
    let info = server.info();
    let shards = info.iter().filter(|(k, v)| k.starts_with("shard") && v.contains("clients="));
    let clients = |v: &str| v.split(',').find_map(|f| f.strip_prefix("clients=")?.parse().ok());
    shards.map(|(k, v)| (k.clone(), clients(v).unwrap())).collect()
}

#[test]
fn connections_are_spread_evenly_over_the_shards() {
    for shards in [2, 3, 8] {
        let server = Server::kring(shards, &[]);
        let mut all: Vec<Client> = Vec::new();
        for count in [shards, 3 * shards + 1, 100] {
            while all.len() < count {
                let mut client = server.connect();
                assert_eq!(client.run("PING"), Reply::Simple(b"PONG".to_vec()));
                all.push(client);
            }
            // The connection that asks is one more, and those that asked before may still be on their way out.
            wait_until("the shards' clients are at most one apart", || {
                let clients = clients_of_shards(&server);
                assert_eq!(clients.len(), shards, "{clients:?}");
                let (least, most) = (clients.values().min().unwrap(), clients.values().max().unwrap());
                clients.values().sum::<i64>() == count as i64 + 1 && most - least <= 1
            });
        }
    }
}

#[test]
fn many_connections_come_and_go() {
    let server = Server::kring(3, &[]);
    for round in 0..20 {
        let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(b"INCR n\r\n").unwrap();
        }
        let mut sum: i64 = clients.iter_mut().map(|c| c.reply().int()).sum();
        // Each number once, in whatever order.
        sum -= (0..100).map(|i| round * 100 + i + 1).sum::<i64>();
        assert_eq!(sum, 0, "round {round}");
    }
    wait_until("all are gone", || server.info()["connected_clients"] == "1");
}
