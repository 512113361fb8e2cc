//! PING, ECHO, SELECT, QUIT, RESET.

use crate::cmd::row::{Deprecated, category, flag};
use crate::cmd::transaction::rows::needs_of_watched;
use crate::cmd::transaction::unwatch_all;
use crate::cmd::{Command, Cx, Done, Outcome, Plan};
use crate::resp::{Args, Error};

/// What QUIT and RESET are like: they end a transaction too.
const ENDS: u32 = flag::ALLOW_BUSY
    | flag::NOSCRIPT
    | flag::LOADING
    | flag::STALE
    | flag::FAST
    | flag::NO_AUTH
    | flag::UNQUEUED;

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "ping",
        full_name: "ping",
        arity: -1,
        flags: flag::FAST,
        categories: category::CONNECTION,
        run: ping,
        summary: "Answers PONG, or the message it was given.",
        group: "connection",
        syntax: "[message:string]",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Command::BASE
    },
    Command {
        name: "echo",
        full_name: "echo",
        arity: 2,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        categories: category::CONNECTION,
        run: echo,
        summary: "Answers the message it was given.",
        group: "connection",
        syntax: "message:string",
        ..Command::BASE
    },
    Command {
        name: "select",
        full_name: "select",
        arity: 2,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        categories: category::CONNECTION,
        run: select,
        summary: "Selects the database for the commands that follow.",
        group: "connection",
        syntax: "index:integer",
        ..Command::BASE
    },
    Command {
        name: "quit",
        full_name: "quit",
        arity: -1,
        flags: ENDS,
        categories: category::CONNECTION,
        plan: Plan::Home,
        run: quit,
        summary: "Closes the connection after the replies that are due.",
        group: "connection",
        deprecated: Some(Deprecated { since: "7.2.0", instead: "closing the connection" }),
        ..Command::BASE
    },
    Command {
        name: "reset",
        full_name: "reset",
        arity: 1,
        flags: ENDS,
        categories: category::CONNECTION,
        plan: Plan::Session(needs_of_watched),
        run: reset,
        summary: "Puts the connection back to how it was when it was opened.",
        since: "6.2.0",
        group: "connection",
        ..Command::BASE
    },
];

fn ping(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match args.len() {
        1 => cx.out.raw(b"+PONG\r\n"),
        2 => cx.out.bulk(args.at(1)),
        _ => return Err(Error::Arity("ping")),
    }
    Ok(Outcome::Done)
}

fn echo(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.out.bulk(args.at(1));
    Ok(Outcome::Done)
}

fn select(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.session.db = cx.database(args.at(1))?;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn quit(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Close)
}

fn reset(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    unwatch_all(cx.session, &mut cx.keys);
    cx.session.reset(cx.env.config.requirepass.is_empty());
    cx.out.set_proto(cx.session.proto);
    cx.out.simple("RESET");
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::Outcome;
    use crate::cmd::session::ReplyMode;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn ping_echo_and_select() {
        let mut world = World::new(1);
        for (line, expected) in [
            ("PING", "+PONG\r\n"),
            ("PING hi", "$2\r\nhi\r\n"),
            ("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"),
            ("ECHO \"\"", "$0\r\n\r\n"),
            ("SELECT 15", "+OK\r\n"),
            ("SELECT 16", "-ERR DB index is out of range\r\n"),
            ("SELECT -1", "-ERR DB index is out of range\r\n"),
            (
                "SELECT 2147483648",
                "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
            ),
            ("SELECT x", "-ERR value is not an integer or out of range\r\n"),
        ] {
            assert_eq!(world.run(line), expected, "{line}");
        }
        assert_eq!(world.session.db, 15);
        assert_eq!(world.run("QUIT now"), "+OK\r\n");
        assert!(matches!(world.outcome, Some(Outcome::Close)));
    }

    #[test]
    fn reset_forgets_all_but_the_identity() {
        let mut world = World::new(1);
        world.config.requirepass = "secret".into();
        world.proto(Proto::Resp3);
        world.session.db = 3;
        world.session.reply = ReplyMode::Off;
        world.session.no_evict = true;
        world.session.lib_name = "lib".into();
        assert_eq!(world.run("CLIENT SETNAME me"), "+OK\r\n");
        assert_eq!(world.run("RESET"), "+RESET\r\n");
        let session = &world.session;
        assert_eq!((session.id, session.db, session.proto), (1, 0, Proto::Resp2));
        assert!(!session.authenticated && !session.no_evict && session.name.is_empty());
        assert_eq!((session.reply, &*session.lib_name), (ReplyMode::On, "lib"));
        world.config.requirepass.clear();
        world.run("RESET");
        assert!(world.session.authenticated);
    }
}
