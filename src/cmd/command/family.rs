//! COMMAND's row, COMMAND COUNT and COMMAND HELP.

use super::{docs, getkeys, info, list};
use crate::cmd::help::help;
use crate::cmd::row::{category, flag};
use crate::cmd::{Command, Cx, Done, Outcome, Registry};
use crate::resp::Args;

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "command",
    full_name: "command",
    arity: -1,
    run: info::command,
    subcommands: &[
        COUNT,
        info::INFO,
        list::LIST,
        docs::DOCS,
        getkeys::GETKEYS,
        getkeys::GETKEYSANDFLAGS,
        HELP,
    ],
    summary: "Tells the facts of all commands.",
    complexity: "O(N) with N the number of commands",
    tips: &["nondeterministic_output_order"],
    ..BASE
}];

/// What the rows of this family start from.
pub(super) const BASE: Command = Command {
    flags: flag::LOADING | flag::STALE,
    categories: category::CONNECTION,
    since: "2.8.13",
    group: "server",
    ..Command::BASE
};

const COUNT: Command = Command {
    name: "count",
    full_name: "command|count",
    arity: 2,
    run: command_count,
    summary: "Tells how many commands there are.",
    ..BASE
};

const HELP: Command = Command {
    name: "help",
    full_name: "command|help",
    arity: 2,
    run: command_help,
    summary: "Lists the subcommands.",
    since: "5.0.0",
    ..BASE
};

/// A command or a subcommand (`client|id`) that COMMAND shows.
pub(super) fn lookup(registry: &Registry, name: &[u8]) -> Option<&'static Command> {
    let Some(bar) = memchr::memchr(b'|', name) else {
        return registry.command(name).map(|found| found.row);
    };
    let parent = registry.command(&name[..bar])?;
    let sub = registry.subcommand(parent, &name[bar + 1..])?;
    (!parent.row.is(flag::HIDE_SUBCOMMANDS)).then_some(sub.row)
}

/// The subcommands that COMMAND shows of a row.
pub(super) fn visible(row: &Command) -> &'static [Command] {
    if row.is(flag::HIDE_SUBCOMMANDS) { &[] } else { row.subcommands }
}

fn command_count(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.int(cx.env.registry.commands().len() as i64);
    Ok(Outcome::Done)
}

fn command_help(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    help(
        cx.out,
        args,
        &[
            ("(no subcommand)", "Tell the facts of every command."),
            ("COUNT", "Tell how many commands there are."),
            ("DOCS [<command-name> ...]", "Describe these commands, or all."),
            ("GETKEYS <full-command>", "Tell which arguments of a call are keys."),
            ("GETKEYSANDFLAGS <full-command>", "The same, with what the call does to each key."),
            ("INFO [<command-name> ...]", "Tell the facts of these commands, or of all."),
            (
                "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]",
                "Name the commands, all or those of a module, of an ACL category or with such a name.",
            ),
        ],
    );
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn help_names_every_subcommand() {
        let help = World::new(1).run("COMMAND HELP").to_ascii_lowercase();
        for row in COMMANDS[0].subcommands {
            assert!(help.contains(&format!("\n+{}", row.name)), "{}", row.name);
        }
    }

    #[test]
    fn commands_are_counted_without_subcommands() {
        let mut world = World::new(1);
        let expected = format!(":{}\r\n", world.registry.commands().len());
        assert_eq!(world.run("COMMAND COUNT"), expected);
    }

    #[test]
    fn names_are_looked_up_with_their_parents() {
        let world = World::new(1);
        let name = |text: &[u8]| lookup(&world.registry, text).map(|row| row.full_name);
        assert_eq!(name(b"GET"), Some("get"));
        assert_eq!(name(b"Client|Id"), Some("client|id"));
        for missing in [&b"nope"[..], b"client|nope", b"get|x", b"client|id|x", b"|", b"client|", b""] {
            assert_eq!(name(missing), None);
        }
    }
}
