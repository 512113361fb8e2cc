//! What the servers say of themselves: the facts of every command that both have, the fields of INFO, the knobs.

use super::compare::sorted;
use crate::client::Client;
use crate::reply::Reply;
use crate::server::Server;
use std::collections::{BTreeMap, BTreeSet};

/// A reply that is a map in RESP3 and a flat array in RESP2, as a map.
fn map(reply: &Reply) -> BTreeMap<String, Reply> {
    match reply {
        Reply::Map(pairs) => pairs.iter().map(|(k, v)| (k.text(), v.clone())).collect(),
        Reply::Array(items) => items.chunks(2).map(|p| (p[0].text(), p[1].clone())).collect(),
        other => panic!("no map: {other:?}"),
    }
}

/// The commands that kring has and Redis 7.0 too.
fn shared_commands(kring: &mut Client, redis: &mut Client) -> Vec<String> {
    let list = |c: &mut Client| -> BTreeSet<String> {
        c.run("COMMAND LIST").array().iter().map(Reply::text).collect()
    };
    let (k, r) = (list(kring), list(redis));
    let shared: Vec<String> = k.intersection(&r).cloned().collect();
    assert!(shared.len() > 60, "kring has only these of Redis's commands: {shared:?}");
    shared
}

/// One line per difference in facts: arity, flags, keys, categories, tips, key specs, subcommands.
fn compare_info(name: &str, kring: &Reply, redis: &Reply, found: &mut Vec<String>) {
    const FIELDS: &[&str] =
        &["name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs"];
    let (Reply::Array(k), Reply::Array(r)) = (kring, redis) else {
        return found.push(format!("{name}: kring {kring:?}, redis {redis:?}"));
    };
    for (i, field) in FIELDS.iter().enumerate() {
        let in_any_order = matches!(*field, "flags" | "categories" | "tips");
        let same = match in_any_order {
            true => sorted(&k[i]) == sorted(&r[i]),
            false => without_notes(&k[i]) == without_notes(&r[i]),
        };
        let longer = *field == "arity" && LONGER.contains(&name);
        if !same && !longer {
            found.push(format!("{name}, {field}\n    redis: {:?}\n    kring: {:?}", r[i], k[i]));
        }
    }
    let subcommands = |reply: &Reply| -> BTreeMap<String, Reply> {
        reply.array().iter().map(|sub| (sub.array()[0].text(), sub.clone())).collect()
    };
    let (k, r) = (subcommands(&k[9]), subcommands(&r[9]));
    for (name, of_kring) in &k {
        if let Some(of_redis) = r.get(name) {
            compare_info(name, of_kring, of_redis, found);
        }
    }
}

/// The notes of a key spec are prose, and kring's is its own.
fn without_notes(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) => {
            let mut kept: Vec<Reply> = items.iter().map(without_notes).collect();
            if let Some(at) = kept.iter().position(|i| *i == Reply::Bulk(b"notes".to_vec())) {
                kept.drain(at..at + 2);
            }
            Reply::Array(kept)
        }
        other => other.clone(),
    }
}

#[test]
fn command_info_states_the_facts_of_redis() {
    let (kring, redis) = (Server::kring(2, &[]), Server::redis(&[]));
    let (mut k, mut r) = (kring.connect(), redis.connect());
    let mut found = Vec::new();
    for name in shared_commands(&mut k, &mut r) {
        let ask = |c: &mut Client| c.run(&format!("COMMAND INFO {name}")).array()[0].clone();
        // 7.4's WAIT blocks, says its row, and scripts may call it.
        if name != "wait" {
            compare_info(&name, &ask(&mut k), &ask(&mut r), &mut found);
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// Commands whose arguments 7.4 describes otherwise: a new filter, another name, WITHSCORE.
const NEWER: &[&str] = &["client|kill", "lcs", "pfmerge", "hscan", "zrank", "zrevrank"];
/// Commands that take more arguments since.
const LONGER: &[&str] = &["zrank", "zrevrank"];

/// Since, group and the tree of arguments. Summaries are kring's own words; `display_text` came with 7.2, `token` and the
/// rest are as in 7.0.
#[test]
fn command_docs_have_the_arguments_of_redis() {
    let (kring, redis) = (Server::kring(2, &[]), Server::redis(&[]));
    let (mut k, mut r) = (kring.connect(), redis.connect());
    let mut found = Vec::new();
    for name in shared_commands(&mut k, &mut r) {
        let ask = |c: &mut Client| map(&map(&c.run(&format!("COMMAND DOCS {name}")))[&name]);
        let (k, r) = (ask(&mut k), ask(&mut r));
        for field in ["since", "group", "arguments"] {
            let of = |docs: &BTreeMap<String, Reply>| docs.get(field).map(|f| format!("{:?}", plain(f)));
            if of(&k) != of(&r) && !NEWER.contains(&name.as_str()) {
                let (k, r) = (of(&k).unwrap_or_default(), of(&r).unwrap_or_default());
                found.push(format!("{name}, {field}\n    redis: {r}\n    kring: {k}"));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// Without the fields that are prose or newer.
fn plain(reply: &Reply) -> Reply {
    const LEFT_OUT: &[&[u8]] = &[b"display_text", b"summary", b"since"];
    let Reply::Array(items) = reply else { return reply.clone() };
    let named = |r: &Reply| matches!(r, Reply::Bulk(b) if LEFT_OUT.contains(&b.as_slice()));
    if !items.is_empty()
        && items.len().is_multiple_of(2)
        && items.chunks(2).all(|p| matches!(p[0], Reply::Bulk(_)))
    {
        let kept = items.chunks(2).filter(|p| !named(&p[0])).flat_map(|p| [p[0].clone(), plain(&p[1])]);
        return Reply::Array(kept.collect());
    }
    Reply::Array(items.iter().map(plain).collect())
}

/// Fields of INFO that belong to what kring does not have, or not in this release.
const NO_FIELDS: &[&str] = &[
    // jemalloc's and Lua's memory.
    "allocator_",
    "rss_overhead_",
    "used_memory_lua",
    "used_memory_vm_",
    "used_memory_scripts",
    "number_of_",
    "mem_clients_",
    "mem_cluster_links",
    "mem_replication_backlog",
    "mem_total_replication_buffers",
    "mem_aof_buffer",
    "active_defrag",
    "lazyfree",
    "total_active_defrag",
    "current_active_defrag",
];

#[test]
fn info_has_the_sections_and_fields_of_redis() {
    let (kring, redis) = (Server::kring(2, &[]), Server::redis(&[]));
    let fields = |c: &mut Client| -> BTreeMap<String, BTreeSet<String>> {
        let text = c.run("INFO all").text();
        let mut section = String::new();
        let mut fields: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("# ") {
                section = name.to_string();
                fields.entry(section.clone()).or_default();
            } else if let Some((name, _)) = line.split_once(':') {
                fields.entry(section.clone()).or_default().insert(name.to_string());
            }
        }
        fields
    };
    let (mut k, mut r) = (kring.connect(), redis.connect());
    for client in [&mut k, &mut r] {
        client.ok("SET a 1");
        assert!(client.run("GET").is_error());
    }
    let (k, r) = (fields(&mut k), fields(&mut r));
    let mut found = Vec::new();
    for (section, names) in &r {
        let Some(have) = k.get(section) else {
            found.push(format!("section {section}"));
            continue;
        };
        let known = |name: &str| {
            NO_FIELDS.iter().any(|n| name.starts_with(n))
                || name.starts_with("cmdstat_")
                || name.starts_with("latency_percentiles")
        };
        found.extend(names.difference(have).filter(|n| !known(n)).map(|n| format!("{section}: {n}")));
    }
    assert!(found.is_empty(), "INFO lacks\n{}", found.join("\n"));
}

#[test]
fn config_get_has_the_knobs_of_redis() {
    let (kring, redis) = (Server::kring(2, &[]), Server::redis(&[]));
    let knobs = |s: &Server| map(&s.connect().run("CONFIG GET *"));
    let (k, r) = (knobs(&kring), knobs(&redis));
    let missing: Vec<_> = r.keys().filter(|name| !k.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
