//! COMMAND LIST: the names of commands and subcommands, all or filtered.

use super::family::{BASE, visible};
use super::info::categories;
use crate::base::glob;
use crate::cmd::row::category;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error};

pub(super) const LIST: Command = Command {
    name: "list",
    full_name: "command|list",
    arity: -2,
    run: command_list,
    summary: "Names the commands.",
    since: "7.0.0",
    complexity: "O(N) with N the number of commands",
    syntax: "[FILTERBY filterby:(MODULE module-name:string | ACLCAT category:string | PATTERN pattern:pattern)]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

/// Which commands are named.
enum Filter<'a> {
    None,
    /// Bits of [`category`]; none for a name that no category has.
    Category(u32),
    Pattern(&'a [u8]),
    /// Of a module: there are no modules.
    Module,
}

impl Filter<'_> {
    fn takes(&self, row: &Command) -> bool {
        match self {
            Filter::None => true,
            Filter::Category(bits) => categories(row) & bits != 0,
            Filter::Pattern(pattern) => glob::matches(pattern, row.full_name.as_bytes(), true),
            Filter::Module => false,
        }
    }
}

fn command_list(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let filter = match args.len() {
        2 => Filter::None,
        5 if args.is(2, "filterby") && args.is(3, "module") => Filter::Module,
        5 if args.is(2, "filterby") && args.is(3, "pattern") => Filter::Pattern(args.at(4)),
        5 if args.is(2, "filterby") && args.is(3, "aclcat") => {
            let found = category::NAMES.iter().find(|(_, name)| args.is(4, name));
            Filter::Category(found.map_or(0, |(bit, _)| *bit))
        }
        _ => return Err(Error::Syntax),
    };
    let rows = cx.env.registry.commands().flat_map(|row| std::iter::once(row).chain(visible(row)));
    let names: Vec<&str> = rows.filter(|row| filter.takes(row)).map(|row| row.full_name).collect();
    cx.out.array(names.len());
    names.iter().for_each(|name| cx.out.bulk(name.as_bytes()));
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    fn names(reply: &str) -> Vec<&str> {
        reply.lines().filter(|line| !line.starts_with(['$', '*', '-'])).collect()
    }

    #[test]
    fn names_are_filtered() {
        let mut world = World::new(1);
        let all = world.run("COMMAND LIST");
        assert!(names(&all).contains(&"get") && names(&all).contains(&"client|kill"));
        let reply = world.run("COMMAND LIST FILTERBY pattern CLIENT|G*");
        assert_eq!(names(&reply), ["client|getname"]);
        let reply = world.run("COMMAND LIST FILTERBY ACLCAT Connection");
        assert!(names(&reply).contains(&"client|id") && !names(&reply).contains(&"get"));
        assert!(!names(&reply).contains(&"client"), "a container has its own categories");
        let reply = world.run("COMMAND LIST FILTERBY ACLCAT dangerous");
        assert!(names(&reply).contains(&"client|kill"));
    }

    #[test]
    fn unknown_filters_are_refused_and_unknown_values_match_nothing() {
        let mut world = World::new(1);
        for (line, expected) in [
            ("COMMAND LIST FILTERBY MODULE x", "*0\r\n"),
            ("COMMAND LIST FILTERBY ACLCAT @read", "*0\r\n"),
            ("COMMAND LIST FILTERBY", "-ERR syntax error\r\n"),
            ("COMMAND LIST x module y", "-ERR syntax error\r\n"),
            ("COMMAND LIST filterby foo y", "-ERR syntax error\r\n"),
            ("COMMAND LIST FILTERBY PATTERN a b", "-ERR syntax error\r\n"),
        ] {
            assert_eq!(world.run(line), expected, "{line}");
        }
    }
}
