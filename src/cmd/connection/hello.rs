//! HELLO: choose the protocol, and perhaps authenticate and take a name on the way.

use super::auth::authenticate;
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag};
use crate::cmd::session::client_name;
use crate::cmd::unknown::c_text;
use crate::cmd::version::REDIS_VERSION;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error, Proto};

const NOT_A_VERSION: &str = "ERR Protocol version is not an integer or out of range";
const NO_PROTO: &str = "NOPROTO unsupported protocol version";
const NO_AUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                       <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                       version at the same time";

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "hello",
    full_name: "hello",
    arity: -1,
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
    categories: category::CONNECTION,
    run: hello,
    summary: "Greets the server and chooses the protocol.",
    since: "6.0.0",
    group: "connection",
    syntax: "[arguments:(protover:integer [AUTH username_password:(username:string password:string)] \
             [SETNAME clientname:string])]",
    ..Command::BASE
}];

fn hello(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let proto = match args.get(1).map(parse_i64) {
        None => None,
        Some(None) => return Err(Error::text_of(NOT_A_VERSION)),
        Some(Some(2)) => Some(Proto::Resp2),
        Some(Some(3)) => Some(Proto::Resp3),
        Some(Some(_)) => return Err(Error::text_of(NO_PROTO)),
    };
    let (mut login, mut name) = (None, None);
    let mut i = 2;
    while i < args.len() {
        let follow = args.len() - 1 - i;
        if args.is(i, "auth") && follow >= 2 {
            login = Some((args.at(i + 1), args.at(i + 2)));
            i += 3;
        } else if args.is(i, "setname") && follow >= 1 {
            name = Some(client_name(args.at(i + 1))?);
            i += 2;
        } else {
            let option = c_text(args.at(i), usize::MAX);
            cx.out.error_bytes(&[b"ERR Syntax error in HELLO option '", option, b"'"].concat());
            return Ok(Outcome::Done);
        }
    }
    if let Some((user, password)) = login {
        authenticate(cx, user, password)?;
    }
    if !cx.session.authenticated {
        return Err(Error::text_of(NO_AUTH));
    }
    if let Some(name) = name {
        cx.session.name = name;
    }
    if let Some(proto) = proto {
        cx.session.proto = proto;
        cx.out.set_proto(proto);
    }
    greet(cx);
    Ok(Outcome::Done)
}

fn greet(cx: &mut Cx<'_>) {
    let (id, proto) = (cx.session.id as i64, cx.session.proto.number());
    let out = &mut *cx.out;
    out.map(7);
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.int(proto);
    out.bulk(b"id");
    out.int(id);
    out.bulk(b"mode");
    out.bulk(b"standalone");
    out.bulk(b"role");
    out.bulk(b"master");
    out.bulk(b"modules");
    out.array(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    fn greeting(head: &str, proto: u8) -> String {
        format!(
            "{head}\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n${}\r\n{REDIS_VERSION}\r\n$5\r\nproto\r\n:{proto}\r\n\
             $2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n",
            REDIS_VERSION.len()
        )
    }

    #[test]
    fn hello_answers_in_the_protocol_it_chose() {
        let mut world = World::new(1);
        assert_eq!(world.run("HELLO"), greeting("*14", 2));
        assert_eq!(world.run("hello 3 setname me"), greeting("%7", 3));
        assert_eq!(world.session.proto, Proto::Resp3);
        assert_eq!(world.run("CLIENT GETNAME"), "$2\r\nme\r\n");
        assert_eq!(world.run("HELLO"), greeting("%7", 3));
        assert_eq!(world.run("HELLO 2 AUTH default x SETNAME \"\""), greeting("*14", 2));
        assert_eq!(world.run("CLIENT GETNAME"), "$-1\r\n");
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn hello_refuses() {
        let mut world = World::new(1);
        for (line, expected) in [
            ("HELLO x", "ERR Protocol version is not an integer or out of range"),
            ("HELLO 99999999999999999999", "ERR Protocol version is not an integer or out of range"),
            ("HELLO 1", "NOPROTO unsupported protocol version"),
            ("HELLO 4 FOO", "NOPROTO unsupported protocol version"),
            ("HELLO 3 FOO", "ERR Syntax error in HELLO option 'FOO'"),
            ("HELLO 3 SetName", "ERR Syntax error in HELLO option 'SetName'"),
            ("HELLO 3 AUTH default", "ERR Syntax error in HELLO option 'AUTH'"),
            (
                "HELLO 3 SETNAME \"a b\"",
                "ERR Client names cannot contain spaces, newlines or special characters.",
            ),
            ("HELLO 3 AUTH x y", "WRONGPASS invalid username-password pair or user is disabled."),
        ] {
            assert_eq!(world.run(line), format!("-{expected}\r\n"), "{line}");
        }
        assert_eq!(world.session.proto, Proto::Resp2);
        world.config.requirepass = "secret".into();
        world.session.authenticated = false;
        assert_eq!(world.run("HELLO 3"), format!("-{NO_AUTH}\r\n"));
        assert_eq!(world.run("HELLO 3 SETNAME me"), format!("-{NO_AUTH}\r\n"));
        assert_eq!((world.session.proto, &*world.session.name), (Proto::Resp2, ""));
        assert_eq!(world.run("HELLO 3 AUTH default secret"), greeting("%7", 3));
    }
}
