//! CLIENT LIST and CLIENT INFO: the connections, a line each, with Redis 7.4's fields.
//!
//! ```text
//! id=3 addr=127.0.0.1:52555 laddr=127.0.0.1:6379 fd=8 name= age=5 idle=0 flags=N db=0 ... lib-name= lib-ver=
//! ```
//! Fields whose feature this server does not have yet show what Redis shows when it is not in use.

use super::family::BASE;
use crate::base::number::parse_i64;
use crate::cmd::row::flag;
use crate::cmd::unknown::c_text;
use crate::cmd::{ClientInfo, Command, Cx, Done, Outcome, Plan, Sections, Session};
use crate::resp::{Args, Error};
use std::fmt::Write;

pub(super) const LIST: Command = Command {
    name: "list",
    full_name: "client|list",
    arity: -2,
    flags: BASE.flags | flag::ADMIN,
    plan: Plan::Gather(Sections::CLIENTS),
    run: client_list,
    summary: "Shows the open connections.",
    since: "2.4.0",
    complexity: "O(N log N) with N the number of connections",
    syntax: "[TYPE normal_master_replica_pubsub:(normal=NORMAL | master=MASTER | replica=REPLICA | \
             pubsub=PUBSUB)@5.0.0] [ID id:(client-id:integer ...)@6.2.0]",
    tips: &["nondeterministic_output"],
    ..BASE
};

pub(super) const INFO: Command = Command {
    name: "info",
    full_name: "client|info",
    arity: 2,
    plan: Plan::Gather(Sections::CLIENTS),
    run: client_info,
    summary: "Shows the connection as CLIENT LIST does.",
    since: "6.2.0",
    tips: &["nondeterministic_output"],
    ..BASE
};

/// The kinds of clients that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Normal,
    Master,
    Replica,
    PubSub,
}

impl Kind {
    /// The kind by its name; `slave` is an old one.
    pub(super) fn named(name: &[u8]) -> Option<Kind> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"normal" => Kind::Normal,
            b"master" => Kind::Master,
            b"replica" | b"slave" => Kind::Replica,
            b"pubsub" => Kind::PubSub,
            _ => return None,
        })
    }

    /// What a client is. Without replication and Pub/Sub all are normal.
    pub(super) fn of(_client: &Session) -> Kind {
        Kind::Normal
    }

    /// The error for a name that is no kind's.
    pub(super) fn unknown(name: &[u8]) -> Vec<u8> {
        [b"ERR Unknown client type '", c_text(name, usize::MAX), b"'"].concat()
    }
}

/// All clients by rising ID. The caller's own session is the one in hand, for that in its shard's report may be older.
pub(super) fn clients(cx: &Cx<'_>) -> Vec<ClientInfo> {
    let mut clients: Vec<ClientInfo> = cx.reports.iter().flat_map(|r| &r.clients).cloned().collect();
    clients.sort_by_key(|c| c.session.id);
    if let Ok(own) = clients.binary_search_by_key(&cx.session.id, |c| c.session.id) {
        clients[own].session = cx.session.clone();
    }
    clients
}

fn client_list(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut lines = String::new();
    let clients = clients(cx);
    if args.len() == 2 {
        clients.iter().for_each(|c| line(&mut lines, cx, c));
    } else if args.len() == 4 && args.is(2, "type") {
        let Some(kind) = Kind::named(args.at(3)) else {
            cx.out.error_bytes(&Kind::unknown(args.at(3)));
            return Ok(Outcome::Done);
        };
        clients.iter().filter(|c| Kind::of(&c.session) == kind).for_each(|c| line(&mut lines, cx, c));
    } else if args.len() > 3 && args.is(2, "id") {
        for id in args.from(3).iter() {
            let id = parse_i64(id).ok_or(Error::text_of("ERR Invalid client ID"))?;
            if let Ok(at) = clients.binary_search_by_key(&id, |c| c.session.id as i64) {
                line(&mut lines, cx, &clients[at]);
            }
        }
    } else {
        return Err(Error::Syntax);
    }
    cx.out.verbatim("txt", lines.as_bytes());
    Ok(Outcome::Done)
}

fn client_info(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let mut text = String::new();
    if let Some(own) = clients(cx).iter().find(|c| c.session.id == cx.session.id) {
        line(&mut text, cx, own);
    }
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// One letter a fact, in Redis's order; N when there is none.
fn flags(client: &ClientInfo) -> String {
    let transaction = client.session.transaction.as_ref();
    let letters: String = [
        (client.session.is_queueing(), 'x'),
        (client.blocked, 'b'),
        (transaction.is_some_and(|t| t.is_dirty()), 'd'),
        (client.closing, 'c'),
        (client.session.unix, 'U'),
        (client.session.no_evict, 'e'),
        (client.session.no_touch, 'T'),
    ]
    .iter()
    .filter_map(|(is, letter)| is.then_some(letter))
    .collect();
    if letters.is_empty() { "N".into() } else { letters }
}

fn line(text: &mut String, cx: &Cx<'_>, client: &ClientInfo) {
    let s = &client.session;
    let now = cx.env.now.secs();
    let words = s.name.len() + s.lib_name.len() + s.lib_ver.len() + s.addr.len() + s.laddr.len();
    // An unread request may lie in a buffer that is not the client's own.
    let query_room = client.query_capacity.max(client.query_bytes);
    let (multi, multi_memory, watched) = match &s.transaction {
        Some(t) => (if t.queueing { t.queued as i64 } else { -1 }, t.memory, t.watching()),
        None => (-1, 0, 0),
    };
    let total =
        size_of::<Session>() + multi_memory + words + query_room + client.out_capacity + client.chunk_bytes;
    let command = s.last_command.map_or("NULL", |id| cx.env.registry.row(id).full_name);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi={multi} watch={watched}",
        s.id,
        s.addr,
        s.laddr,
        s.fd,
        s.name,
        (now - s.since_secs).max(0),
        (now - s.last_secs).max(0),
        flags(client),
        s.db,
    );
    let _ = write!(
        text,
        " qbuf={} qbuf-free={} argv-mem=0 multi-mem={multi_memory} rbs={} rbp={} obl={} oll={} omem={} tot-mem={total} events={}",
        client.query_bytes,
        query_room - client.query_bytes,
        client.out_capacity,
        client.out_capacity,
        client.out_bytes,
        client.chunks,
        client.chunk_bytes,
        if client.chunks > 0 { "rw" } else { "r" },
    );
    let _ = writeln!(
        text,
        " cmd={command} user=default redir=-1 resp={} lib-name={} lib-ver={}",
        s.proto.number(),
        s.lib_name,
        s.lib_ver,
    );
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    /// A connection with this ID.
    pub(in crate::cmd::client) fn client(id: u64) -> ClientInfo {
        let mut session = Session::new(id, 1_699_999_990);
        session.addr = format!("127.0.0.1:{}", 5_000 + id).into();
        session.laddr = "127.0.0.1:6379".into();
        session.fd = 7 + id as i32;
        ClientInfo {
            session,
            query_bytes: 26,
            query_capacity: 100,
            out_bytes: 0,
            out_capacity: 64,
            chunks: 0,
            chunk_bytes: 0,
            blocked: false,
            closing: false,
            shard: 0,
        }
    }

    /// Two shards with clients 1 and 3, and 2.
    pub(in crate::cmd::client) fn world() -> World {
        let mut world = World::new(2);
        world.reports[0].clients = vec![client(3), client(1)];
        world.reports[1].clients = vec![client(2)];
        world.session = client(1).session;
        world
    }

    fn ids(reply: &str) -> Vec<&str> {
        reply.lines().filter_map(|l| l.strip_prefix("id=")?.split(' ').next()).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_redis() {
        let mut world = world();
        world.run("CLIENT SETNAME me");
        world.run("CLIENT SETINFO LIB-NAME lib");
        let found = world.registry.command(b"client").unwrap();
        world.session.last_command = world.registry.subcommand(found, b"info").map(|f| f.id);
        let reply = world.run("CLIENT INFO");
        let (head, text) = reply.split_once("\r\n").unwrap();
        assert_eq!(head, format!("${}", text.len() - 2));
        let total = size_of::<Session>() + 2 + 3 + 14 + 14 + 164;
        assert_eq!(
            text,
            format!(
                "id=1 addr=127.0.0.1:5001 laddr=127.0.0.1:6379 fd=8 name=me age=10 idle=10 flags=N db=0 sub=0 psub=0 \
                 ssub=0 multi=-1 watch=0 qbuf=26 qbuf-free=74 argv-mem=0 multi-mem=0 rbs=64 rbp=64 obl=0 oll=0 omem=0 \
                 tot-mem={total} events=r cmd=client|info user=default redir=-1 resp=2 lib-name=lib lib-ver=\n\r\n"
            )
        );
        world.proto(Proto::Resp3);
        world.session.no_evict = true;
        world.session.no_touch = true;
        world.session.unix = true;
        let reply = world.run("CLIENT INFO");
        assert!(reply.starts_with('=') && reply.contains("\r\ntxt:id=1 "), "{reply}");
        assert!(reply.contains(" flags=UeT ") && reply.contains(" resp=3 "), "{reply}");
    }

    #[test]
    fn lists_are_sorted_and_chosen_from() {
        let mut world = world();
        for (line, expected) in [
            ("CLIENT LIST", &["1", "2", "3"][..]),
            ("CLIENT LIST TYPE normal", &["1", "2", "3"]),
            ("CLIENT LIST TYPE PubSub", &[]),
            ("CLIENT LIST type slave", &[]),
            ("CLIENT LIST ID 3 9 1 3 0 -1", &["3", "1", "3"]),
        ] {
            assert_eq!(ids(&world.run(line).replace("\r\nid", "\nid")), expected, "{line}");
        }
        assert!(world.run("CLIENT LIST").contains(" cmd=NULL "));
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn lists_are_refused() {
        let mut world = world();
        for (line, expected) in [
            ("CLIENT LIST x", "-ERR syntax error\r\n"),
            ("CLIENT LIST ID", "-ERR syntax error\r\n"),
            ("CLIENT LIST TYPE normal x", "-ERR syntax error\r\n"),
            ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'\r\n"),
            ("CLIENT LIST ID 1 x", "-ERR Invalid client ID\r\n"),
            ("CLIENT LIST ID 999", "$0\r\n\r\n"),
        ] {
            assert_eq!(world.run(line), expected, "{line}");
        }
    }
}
