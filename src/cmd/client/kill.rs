//! CLIENT KILL, in the old form by address and in the new one by options that must all fit.

use super::family::BASE;
use super::list::{Kind, clients};
use crate::base::number::parse_i64;
use crate::cmd::row::flag;
use crate::cmd::unknown::c_text;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, Sections, Session};
use crate::resp::{Args, Error};

pub(super) const KILL: Command = Command {
    name: "kill",
    full_name: "client|kill",
    arity: -3,
    flags: BASE.flags | flag::ADMIN,
    plan: Plan::Gather(Sections::CLIENTS),
    run: client_kill,
    summary: "Closes connections.",
    since: "2.4.0",
    complexity: "O(N) with N the number of connections",
    syntax: "filter:(ip:port:string@-2.8.12 | new-format:([ID client-id:integer@2.8.12] | \
             [TYPE normal_master_slave_pubsub:(normal=NORMAL | master=MASTER@3.2.0 | slave=SLAVE | \
             replica=REPLICA@5.0.0 | pubsub=PUBSUB)@2.8.12] | [USER username:string] | [ADDR ip:port:string] | \
             [LADDR ip:port:string@6.2.0] | [SKIPME yes/no:string] | [MAXAGE maxage:integer@7.4.0]) ...)",
    ..BASE
};

/// Which clients to close: those that fit every option that is given.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    max_age: Option<i64>,
    spare_caller: bool,
}

impl Filter<'_> {
    fn fits(&self, client: &Session, caller: u64, now: i64) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind == Kind::of(client))
            && self.addr.is_none_or(|addr| addr == client.addr.as_bytes())
            && self.laddr.is_none_or(|laddr| laddr == client.laddr.as_bytes())
            && self.max_age.is_none_or(|age| now - client.since_secs >= age)
            && !(self.spare_caller && client.id == caller)
    }
}

fn client_kill(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let old_form = args.len() == 3;
    let filter = if old_form {
        Filter { addr: Some(args.at(2)), ..Filter::default() }
    } else {
        match parse(args)? {
            Ok(filter) => filter,
            Err(text) => {
                cx.out.error_bytes(&text);
                return Ok(Outcome::Done);
            }
        }
    };
    let (caller, now) = (cx.session.id, cx.env.now.secs());
    let all = clients(cx);
    let mut ids: Vec<u64> =
        all.iter().map(|c| &c.session).filter(|s| filter.fits(s, caller, now)).map(|s| s.id).collect();
    // Every shard looks each of its clients up among them.
    ids.sort_unstable();
    match (old_form, ids.len()) {
        (true, 0) => return Err(Error::text_of("ERR No such client")),
        (true, _) => cx.out.ok(),
        (false, n) => cx.out.int(n as i64),
    }
    Ok(if ids.is_empty() { Outcome::Done } else { Outcome::Everywhere(Order::Kill(ids)) })
}

/// Reads the options of the new form; the inner error quotes what the client sent.
fn parse(args: Args<'_>) -> Result<Result<Filter<'_>, Vec<u8>>, Error> {
    let mut filter = Filter { spare_caller: true, ..Filter::default() };
    for i in (2..args.len()).step_by(2) {
        let value = args.get(i + 1).ok_or(Error::Syntax)?;
        if args.is(i, "id") {
            let id = parse_i64(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
            filter.id = Some(id.ok_or(Error::text_of("ERR client-id should be greater than 0"))?);
        } else if args.is(i, "maxage") {
            let age =
                parse_i64(value).ok_or(Error::text_of("ERR maxage is not an integer or out of range"))?;
            if age <= 0 {
                return Err(Error::text_of("ERR maxage should be greater than 0"));
            }
            filter.max_age = Some(age);
        } else if args.is(i, "type") {
            match Kind::named(value) {
                Some(kind) => filter.kind = Some(kind),
                None => return Ok(Err(Kind::unknown(value))),
            }
        } else if args.is(i, "addr") {
            filter.addr = Some(value);
        } else if args.is(i, "laddr") {
            filter.laddr = Some(value);
        } else if args.is(i, "user") {
            // There is one user, and everybody is it.
            if value != b"default" {
                return Ok(Err([b"ERR No such user '", c_text(value, usize::MAX), b"'"].concat()));
            }
        } else if args.is(i, "skipme") {
            filter.spare_caller = match (args.is(i + 1, "yes"), args.is(i + 1, "no")) {
                (false, false) => return Err(Error::Syntax),
                (yes, _) => yes,
            };
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(Ok(filter))
}

#[cfg(test)]
mod tests {
    use crate::cmd::client::list::tests::world;
    use crate::cmd::{Order, Outcome};

    #[test]
    fn clients_are_chosen_by_all_options() {
        let mut world = world();
        for (line, reply, expected) in [
            ("CLIENT KILL 127.0.0.1:5002", "+OK\r\n", &[2][..]),
            ("CLIENT KILL 127.0.0.1:5001", "+OK\r\n", &[1]),
            ("CLIENT KILL nobody", "-ERR No such client\r\n", &[]),
            ("CLIENT KILL ID 3", ":1\r\n", &[3]),
            ("CLIENT KILL ID 1", ":0\r\n", &[]),
            ("CLIENT KILL ID 1 SKIPME no", ":1\r\n", &[1]),
            ("CLIENT KILL TYPE normal", ":2\r\n", &[2, 3]),
            ("CLIENT KILL TYPE pubsub SKIPME NO", ":0\r\n", &[]),
            ("CLIENT KILL user default skipme no", ":3\r\n", &[1, 2, 3]),
            ("CLIENT KILL LADDR 127.0.0.1:6379", ":2\r\n", &[2, 3]),
            ("CLIENT KILL LADDR 127.0.0.1:6379 ADDR 127.0.0.1:5003", ":1\r\n", &[3]),
            ("CLIENT KILL ADDR x ID 3", ":0\r\n", &[]),
            ("CLIENT KILL MAXAGE 10", ":2\r\n", &[2, 3]),
            ("CLIENT KILL MAXAGE 11", ":0\r\n", &[]),
        ] {
            world.outcome = None;
            assert_eq!(world.run(line), reply, "{line}");
            match (&world.outcome, expected) {
                (Some(Outcome::Everywhere(Order::Kill(ids))), _) => assert_eq!(ids, expected, "{line}"),
                (_, expected) => assert!(expected.is_empty(), "{line}"),
            }
        }
    }

    /// The expected texts are those of redis-server 7.0.15 (MAXAGE: 7.4's).
    #[test]
    fn kills_are_refused() {
        let mut world = world();
        for (line, expected) in [
            ("CLIENT KILL", "ERR wrong number of arguments for 'client|kill' command"),
            ("CLIENT KILL ID x", "ERR client-id should be greater than 0"),
            ("CLIENT KILL ID 0", "ERR client-id should be greater than 0"),
            ("CLIENT KILL TYPE x", "ERR Unknown client type 'x'"),
            ("CLIENT KILL USER x", "ERR No such user 'x'"),
            ("CLIENT KILL SKIPME x", "ERR syntax error"),
            ("CLIENT KILL FOO x", "ERR syntax error"),
            ("CLIENT KILL FOO x y", "ERR syntax error"),
            ("CLIENT KILL ID 3 TYPE", "ERR syntax error"),
            ("CLIENT KILL MAXAGE x", "ERR maxage is not an integer or out of range"),
            ("CLIENT KILL MAXAGE 0", "ERR maxage should be greater than 0"),
        ] {
            assert_eq!(world.run(line), format!("-{expected}\r\n"), "{line}");
        }
    }
}
