//! CLIENT PAUSE, UNPAUSE and UNBLOCK: holding clients back, and letting them go.

use super::family::BASE;
use crate::base::number::parse_i64;
use crate::cmd::row::flag;
use crate::cmd::unknown::unknown_or_arity;
use crate::cmd::{Command, Cx, Done, Order, Outcome, PauseMode, Plan, Sections};
use crate::resp::{Args, Error};

pub(super) const PAUSE: Command = Command {
    name: "pause",
    full_name: "client|pause",
    arity: -3,
    flags: BASE.flags | flag::ADMIN,
    plan: Plan::Home,
    run: client_pause,
    summary: "Holds back the commands of all clients for some time.",
    since: "2.9.50",
    syntax: "timeout:integer [mode:(write=WRITE | all=ALL)@6.2.0]",
    ..BASE
};

pub(super) const UNPAUSE: Command = Command {
    name: "unpause",
    full_name: "client|unpause",
    arity: 2,
    flags: BASE.flags | flag::ADMIN,
    plan: Plan::Home,
    run: client_unpause,
    summary: "Ends a pause.",
    since: "6.2.0",
    complexity: "O(N) with N the number of clients held back",
    ..BASE
};

pub(super) const UNBLOCK: Command = Command {
    name: "unblock",
    full_name: "client|unblock",
    arity: -3,
    flags: BASE.flags | flag::ADMIN,
    plan: Plan::Gather(Sections::WAITS),
    run: client_unblock,
    summary: "Ends the wait of a client that a blocking command holds.",
    since: "5.0.0",
    complexity: "O(log N) with N the number of connections",
    syntax: "client-id:integer [timeout_error:(timeout=TIMEOUT | error=ERROR)]",
    ..BASE
};

fn client_pause(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 4 {
        cx.out.error_bytes(&unknown_or_arity(args));
        return Ok(Outcome::Done);
    }
    let mode = match args.len() {
        4 if args.is(3, "write") => PauseMode::Write,
        4 if !args.is(3, "all") => {
            return Err(Error::text_of("ERR CLIENT PAUSE mode must be WRITE or ALL"));
        }
        _ => PauseMode::All,
    };
    let timeout =
        parse_i64(args.at(2)).ok_or(Error::text_of("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(Error::text_of("ERR timeout is negative"));
    }
    let until_ms =
        cx.env.now.ms().checked_add(timeout).ok_or(Error::text_of("ERR timeout is out of range"))?;
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::Pause { until_ms, mode }))
}

fn client_unpause(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::Unpause))
}

fn client_unblock(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 4 {
        cx.out.error_bytes(&unknown_or_arity(args));
        return Ok(Outcome::Done);
    }
    if args.len() == 4 && !args.is(3, "timeout") && !args.is(3, "error") {
        return Err(Error::text_of("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    }
    let id = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let mut waits = cx.reports.iter().flat_map(|report| &report.waits);
    // It may have been served since its shard reported: who claims it ends it.
    let Some(wait) = waits.find(|wait| wait.waiter.id as i64 == id && wait.claim()) else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    wait.end();
    cx.out.int(1);
    let error = args.len() == 4 && args.is(3, "error");
    Ok(Outcome::Everywhere(Order::Unblock { wait: wait.clone(), error }))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::cmd::{Order, Outcome, PauseMode};

    #[test]
    fn a_pause_has_an_end_and_a_mode() {
        let mut world = World::new(1);
        let now = world.now.ms();
        for (line, expected) in [
            ("CLIENT PAUSE 0", (now, PauseMode::All)),
            ("CLIENT PAUSE 100 write", (now + 100, PauseMode::Write)),
            ("CLIENT PAUSE 100 ALL", (now + 100, PauseMode::All)),
        ] {
            assert_eq!(world.run(line), "+OK\r\n", "{line}");
            match world.outcome {
                Some(Outcome::Everywhere(Order::Pause { until_ms, mode })) => {
                    assert_eq!((until_ms, mode), expected, "{line}");
                }
                _ => panic!("{line}: no pause"),
            }
        }
        assert_eq!(world.run("CLIENT UNPAUSE"), "+OK\r\n");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::Unpause))));
    }

    /// The expected texts are those of redis-server 7.0.15 (a timeout out of range: 7.4's).
    #[test]
    fn mistakes_are_refused() {
        let mut world = World::new(1);
        let arity = |word| {
            format!("-ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP.\r\n")
        };
        for (line, expected) in [
            ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\r\n".to_string()),
            ("CLIENT PAUSE -1", "-ERR timeout is negative\r\n".to_string()),
            ("CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range\r\n".to_string()),
            ("CLIENT PAUSE x y", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n".to_string()),
            ("CLIENT PAUSE 1 write x", arity("PAUSE")),
            ("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range\r\n".to_string()),
            ("CLIENT UNBLOCK 1", ":0\r\n".to_string()),
            ("CLIENT UNBLOCK 1 error", ":0\r\n".to_string()),
            ("CLIENT UNBLOCK x foo", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n".to_string()),
            ("CLIENT unblock 1 ERROR x", arity("unblock")),
        ] {
            assert_eq!(world.run(line), expected, "{line}");
        }
    }
}
