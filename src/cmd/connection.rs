//! Commands about the connection itself.

use super::row::{category, flag};
use super::{Command, Cx, Done, Outcome, Plan};
use crate::base::number::parse_i64;
use crate::resp::{Args, Error};

/// This family's rows.
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
        flags: flag::FAST,
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
        flags: flag::ALLOW_BUSY | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH,
        categories: category::CONNECTION,
        plan: Plan::Home,
        run: quit,
        summary: "Closes the connection after the replies that are due.",
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
    let index = parse_i64(args.at(1)).filter(|i| i32::try_from(*i).is_ok()).ok_or(Error::NotInteger)?;
    let databases = cx.env.config.databases as i64;
    if !(0..databases).contains(&index) {
        return Err(Error::DbIndex);
    }
    cx.session.db = index as usize;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn quit(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Close)
}
