//! SAVE, BGSAVE and LASTSAVE.

use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, SaveKind};
use crate::resp::{Args, Error};

const BASE: Command = Command {
    flags: flag::ADMIN | flag::NOSCRIPT | flag::NO_ASYNC_LOADING,
    plan: Plan::Home,
    group: "server",
    ..Command::BASE
};

/// This family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "bgrewriteaof",
        full_name: "bgrewriteaof",
        arity: 1,
        run: |_, _| Ok(Outcome::Everywhere(Order::Rewrite)),
        summary: "Writes a new base of the append-only log while clients are served, and drops what it holds from the log.",
        complexity: "O(1)",
        ..BASE
    },
    Command {
        name: "bgsave",
        full_name: "bgsave",
        run: bgsave,
        summary: "Writes a snapshot of all databases while clients are served.",
        complexity: "O(1)",
        syntax: "[schedule=SCHEDULE@3.2.2]",
        ..BASE
    },
    Command {
        name: "lastsave",
        full_name: "lastsave",
        arity: 1,
        flags: flag::LOADING | flag::STALE | flag::FAST,
        categories: crate::cmd::row::category::ADMIN | crate::cmd::row::category::DANGEROUS,
        plan: Plan::Anywhere,
        run: lastsave,
        summary: "Tells when the last snapshot was completed, in Unix time.",
        tips: &["nondeterministic_output"],
        ..BASE
    },
    Command {
        name: "save",
        full_name: "save",
        arity: 1,
        flags: BASE.flags | flag::NO_MULTI,
        run: |_, _| Ok(Outcome::Everywhere(Order::Save(SaveKind::Foreground))),
        summary: "Writes a snapshot of all databases and replies when it is on the disk.",
        complexity: "O(N) where N is the total number of keys in all databases",
        ..BASE
    },
];

/// The reply comes from whoever starts it.
fn bgsave(_cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "schedule")) {
        return Err(Error::Syntax);
    }
    let kind = if args.len() == 2 { SaveKind::Scheduled } else { SaveKind::Background };
    Ok(Outcome::Everywhere(Order::Save(kind)))
}

fn lastsave(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.int(cx.env.saves.last_save_secs());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn words_are_checked_as_redis_does() {
        let mut world = World::new(2);
        for (line, reply) in [
            ("BGSAVE foo", "-ERR syntax error\r\n"),
            ("BGSAVE schedule schedule", "-ERR syntax error\r\n"),
            ("SAVE x", "-ERR wrong number of arguments for 'save' command\r\n"),
            ("LASTSAVE x", "-ERR wrong number of arguments for 'lastsave' command\r\n"),
            ("LASTSAVE", ":1700000000\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
            assert!(!matches!(world.outcome, Some(Outcome::Everywhere(_))));
        }
        for (line, kind) in [
            ("BGSAVE", SaveKind::Background),
            ("bgsave SCHEDULE", SaveKind::Scheduled),
            ("save", SaveKind::Foreground),
        ] {
            assert_eq!(world.run(line), "", "the reply comes when it is carried out");
            let Some(Outcome::Everywhere(Order::Save(found))) = world.outcome else { panic!("an order") };
            assert_eq!(found, kind);
        }
    }
}
