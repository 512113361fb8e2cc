//! SHUTDOWN.

use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, ShutdownMode};
use crate::resp::{Args, Error};

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "shutdown",
    full_name: "shutdown",
    arity: -1,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::NO_MULTI | flag::ALLOW_BUSY,
    plan: Plan::Home,
    run: shutdown,
    summary: "Stops the server.",
    group: "server",
    complexity: "O(1)",
    syntax: "[nosave_save:( nosave=NOSAVE | save=SAVE )] [now=NOW@7.0.0] [force=FORCE@7.0.0] [abort=ABORT@7.0.0]",
    ..Command::BASE
}];

/// On success there is no reply: the connection closes with the server. ABORT replies when the server goes on.
fn shutdown(_cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    Ok(Outcome::Everywhere(Order::Shutdown(parse(args)?)))
}

fn parse(args: Args<'_>) -> Result<ShutdownMode, Error> {
    let mut mode = ShutdownMode::default();
    for i in 1..args.len() {
        let option = match args.at(i).to_ascii_lowercase().as_slice() {
            b"nosave" => &mut mode.nosave,
            b"save" => &mut mode.save,
            b"now" => &mut mode.now,
            b"force" => &mut mode.force,
            b"abort" => &mut mode.abort,
            _ => return Err(Error::Syntax),
        };
        *option = true;
    }
    let other = mode.save || mode.nosave || mode.now || mode.force;
    if (mode.abort && other) || (mode.save && mode.nosave) {
        return Err(Error::Syntax);
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn options_that_conflict_are_refused() {
        let mut world = World::new(1);
        for (line, reply) in [
            ("SHUTDOWN foo", "-ERR syntax error\r\n"),
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n"),
            ("SHUTDOWN ABORT NOW", "-ERR syntax error\r\n"),
            ("SHUTDOWN NOSAVE ABORT", "-ERR syntax error\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
        assert!(world.outcome.is_none());
    }

    #[test]
    fn a_shutdown_says_nothing() {
        let mut world = World::new(1);
        assert_eq!(world.run("SHUTDOWN now NoSave FORCE"), "");
        let Some(Outcome::Everywhere(Order::Shutdown(mode))) = world.outcome else {
            panic!("an order was expected")
        };
        assert_eq!(mode, ShutdownMode { nosave: true, now: true, force: true, ..ShutdownMode::default() });
        assert_eq!(world.run("SHUTDOWN abort ABORT"), "");
        let Some(Outcome::Everywhere(Order::Shutdown(mode))) = world.outcome else {
            panic!("an order was expected")
        };
        assert_eq!(mode, ShutdownMode { abort: true, ..ShutdownMode::default() });
    }
}
