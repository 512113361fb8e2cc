//! CONFIG: the knobs, seen and turned at run time. What the knobs are is `crate::config`'s business.

use crate::cmd::help::help;
use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan};
use crate::config::{NOT_TEXT, SetError};
use crate::resp::{Args, Error};
use std::borrow::Cow;

const BASE: Command = Command {
    arity: 2,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
    plan: Plan::Home,
    since: "2.0.0",
    group: "server",
    ..Command::BASE
};

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "config",
    full_name: "config",
    arity: -2,
    summary: "Commands about the configuration.",
    since: "2.0.0",
    group: "server",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "get",
            full_name: "config|get",
            arity: -3,
            plan: Plan::Anywhere,
            run: get,
            summary: "Gives the knobs whose names match any of the patterns.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            syntax: "parameter:( parameter:string ) ...",
            ..BASE
        },
        Command {
            name: "help",
            full_name: "config|help",
            flags: flag::LOADING | flag::STALE,
            plan: Plan::Anywhere,
            run: |cx, args| {
                help(cx.out, args, HELP);
                Ok(Outcome::Done)
            },
            summary: "Lists the subcommands.",
            since: "5.0.0",
            ..BASE
        },
        Command {
            name: "resetstat",
            full_name: "config|resetstat",
            run: resetstat,
            summary: "Starts the counters of INFO anew.",
            ..BASE
        },
        Command {
            name: "rewrite",
            full_name: "config|rewrite",
            run: rewrite_file,
            summary: "Writes the configuration in force to its file.",
            since: "2.8.0",
            ..BASE
        },
        Command {
            name: "set",
            full_name: "config|set",
            arity: -4,
            run: set,
            summary: "Turns knobs, all of them or none.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            syntax: "parameter_value:( parameter:string value:string ) ...",
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            ..BASE
        },
    ],
    ..Command::BASE
}];

const HELP: &[(&str, &str)] = &[
    ("GET <pattern>", "The knobs whose names match the glob <pattern>, and their values."),
    ("SET <directive> <value>", "Turn the knob <directive> to <value>."),
    ("RESETSTAT", "Start the counters of INFO anew."),
    ("REWRITE", "Write the configuration in force to its file."),
];

/// What cannot be set while the dataset is loaded.
const DENIED_LOADING: &[&str] = &["appendonly", "dir", "repl-diskless-load"];

/// The words from argument 2 on. Names are UTF-8: what is not can equal none.
fn words(args: Args<'_>) -> Vec<Cow<'_, str>> {
    args.iter().skip(2).map(String::from_utf8_lossy).collect()
}

fn get(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let patterns = words(args);
    let patterns: Vec<&str> = patterns.iter().map(AsRef::as_ref).collect();
    let found = cx.env.config.matching(&patterns);
    cx.out.map(found.len());
    for (name, value) in found {
        cx.out.bulk(name.as_bytes());
        cx.out.bulk(value.as_bytes());
    }
    Ok(Outcome::Done)
}

/// The settings are tried on a copy; the shards then take them over one by one, all in the same sequence.
fn set(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    let words: Vec<String> = words(args).into_iter().map(Cow::into_owned).collect();
    let pairs: Vec<(&str, &str)> = words.chunks_exact(2).map(|w| (w[0].as_str(), w[1].as_str())).collect();
    let local = cx.session.local || cx.session.unix;
    let refused = |why: SetError| Error::text_of(format!("ERR {why}"));
    // A password that is not what was said would be worse than none.
    if let Some(i) = (3..args.len()).step_by(2).find(|i| std::str::from_utf8(args.at(*i)).is_err()) {
        return Err(refused(SetError::failed(&String::from_utf8_lossy(args.at(i - 1)), NOT_TEXT)));
    }
    if cx.env.saves.is_loading()
        && pairs.iter().any(|(name, _)| DENIED_LOADING.contains(&name.to_ascii_lowercase().as_str()))
    {
        return Err(Error::text_of("LOADING Redis is loading the dataset in memory"));
    }
    let mut config = cx.env.config.clone();
    config.set_all(&pairs, local).map_err(refused)?;
    if config.maxclients as usize > cx.env.server.clients {
        let why = format!(
            "The operating system is not able to handle the specified number of clients, try with {}",
            cx.env.server.clients
        );
        return Err(refused(SetError::failed("maxclients", why)));
    }
    // Also when they are as they were here: another client may be changing them just now, and who opens sockets puts them in order.
    let listens = pairs.iter().any(|(name, _)| ["port", "bind"].iter().any(|n| name.eq_ignore_ascii_case(n)));
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if listens {
        return Ok(Outcome::Everywhere(Order::Listen(pairs)));
    }
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::Configure(pairs)))
}

/// The reply comes when the file is written.
fn rewrite_file(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    if cx.env.server.config_file.is_empty() {
        return Err(Error::text_of("ERR The server is running without a config file"));
    }
    Ok(Outcome::Everywhere(Order::WriteConfig))
}

fn resetstat(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::ResetStats))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn sockets_are_opened_and_closed_in_one_place() {
        let mut world = World::new(2);
        world.run("CONFIG SET hz 20");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::Configure(_)))));
        // As it is already, too.
        world.run("CONFIG SET hz 20 Port 6379");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::Listen(_)))));
    }

    /// Replies of redis-server 7.0.15.
    #[test]
    fn replies_are_those_of_redis() {
        let mut world = World::new(2);
        for (line, reply) in [
            ("CONFIG GET nosuch", "*0\r\n"),
            ("CONFIG GET maxclients MAXCLIENTS", "*2\r\n$10\r\nmaxclients\r\n$5\r\n10000\r\n"),
            ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n"),
            (
                "CONFIG SET nosuch 1",
                "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n",
            ),
            ("CONFIG SET maxclients 1 timeout", "-ERR syntax error\r\n"),
            (
                "CONFIG SET timeout 1 timeout 2",
                "-ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter\r\n",
            ),
            (
                "CONFIG SET databases 4",
                "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config\r\n",
            ),
            (
                "CONFIG SET hz 20 maxclients 20001",
                "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not \
                 able to handle the specified number of clients, try with 20000\r\n",
            ),
            ("CONFIG REWRITE", "-ERR The server is running without a config file\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
            assert!(!matches!(world.outcome, Some(Outcome::Everywhere(_))), "{line}");
        }
        assert!(world.run("CONFIG HELP").starts_with("*11\r\n+CONFIG <subcommand>"));
        world.proto(Proto::Resp3);
        assert_eq!(world.run("CONFIG GET hz"), "%1\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    }

    #[test]
    fn a_value_that_is_not_text_is_refused() {
        let mut world = World::new(1);
        let reply = world.run_bytes(&[b"CONFIG", b"SET", b"hz", b"20", b"requirepass", b"p\xe4ss"]);
        assert_eq!(
            String::from_utf8_lossy(&reply),
            "-ERR CONFIG SET failed (possibly related to argument 'requirepass') - argument must be UTF-8 text\r\n"
        );
        assert!(!matches!(world.outcome, Some(Outcome::Everywhere(_))));
    }

    #[test]
    fn some_knobs_are_denied_while_loading() {
        let mut world = World::new(1);
        world.saves.begin_load(0);
        let denied = "-LOADING Redis is loading the dataset in memory\r\n";
        assert_eq!(world.run("CONFIG SET hz 20 DIR /"), denied);
        assert_eq!(world.run("CONFIG SET hz 20"), "+OK\r\n");
    }

    #[test]
    fn what_is_set_goes_to_every_shard() {
        let mut world = World::new(2);
        assert_eq!(world.run("CONFIG SET Timeout 5 hz 20"), "+OK\r\n");
        let Some(Outcome::Everywhere(Order::Configure(pairs))) = &world.outcome else { panic!("an order") };
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(*pairs, [of("Timeout", "5"), of("hz", "20")]);
        assert_eq!(world.run("CONFIG RESETSTAT"), "+OK\r\n");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::ResetStats))));
    }
}
