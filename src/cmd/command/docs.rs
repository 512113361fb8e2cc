//! COMMAND DOCS: what people read of a command, and its arguments for clients that complete or check them.

use super::family::{BASE, lookup, visible};
use crate::cmd::syntax::{self, Argument, Kind};
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Out};

pub(super) const DOCS: Command = Command {
    name: "docs",
    full_name: "command|docs",
    arity: -2,
    run: command_docs,
    summary: "Describes these commands, or all.",
    since: "7.0.0",
    complexity: "O(N) with N the number of commands asked for",
    syntax: "[command-name:string ...]",
    tips: &["nondeterministic_output_order"],
    ..BASE
};

fn command_docs(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let registry = cx.env.registry;
    let rows: Vec<&Command> = match args.len() {
        2 => registry.commands().collect(),
        _ => args.from(2).iter().filter_map(|name| lookup(registry, name)).collect(),
    };
    write_rows(cx.out, &rows);
    Ok(Outcome::Done)
}

fn write_rows(out: &mut Out, rows: &[&'static Command]) {
    out.map(rows.len());
    for row in rows {
        out.bulk(row.full_name.as_bytes());
        describe(out, row);
    }
}

fn text(out: &mut Out, name: &str, value: &str) {
    out.bulk(name.as_bytes());
    out.bulk(value.as_bytes());
}

fn describe(out: &mut Out, row: &'static Command) {
    // A test reads every row's syntax, so there are arguments here unless there are none.
    let arguments = syntax::parse(row.syntax, row.keys.len()).unwrap_or_default();
    let subcommands: Vec<&Command> = visible(row).iter().collect();
    let optional = [!row.complexity.is_empty(), !arguments.is_empty(), !subcommands.is_empty()];
    let deprecation = if row.deprecated.is_some() { 3 } else { 0 };
    out.map(3 + optional.iter().filter(|there| **there).count() + deprecation);
    text(out, "summary", row.summary);
    text(out, "since", row.since);
    text(out, "group", row.group);
    if !row.complexity.is_empty() {
        text(out, "complexity", row.complexity);
    }
    if let Some(deprecated) = row.deprecated {
        out.bulk(b"doc_flags");
        out.set(1);
        out.simple("deprecated");
        text(out, "deprecated_since", deprecated.since);
        text(out, "replaced_by", deprecated.instead);
    }
    if !arguments.is_empty() {
        out.bulk(b"arguments");
        list(out, &arguments);
    }
    if !subcommands.is_empty() {
        out.bulk(b"subcommands");
        write_rows(out, &subcommands);
    }
}

fn list(out: &mut Out, arguments: &[Argument]) {
    out.array(arguments.len());
    arguments.iter().for_each(|a| argument(out, a));
}

fn argument(out: &mut Out, a: &Argument) {
    let group = matches!(a.kind, Kind::OneOf | Kind::Block);
    let flags: Vec<&str> =
        [(a.optional, "optional"), (a.multiple, "multiple"), (a.multiple_token, "multiple_token")]
            .iter()
            .filter_map(|(is, name)| is.then_some(*name))
            .collect();
    let optional = [
        a.key_spec.is_some(),
        a.token.is_some(),
        a.since.is_some(),
        a.deprecated.is_some(),
        !flags.is_empty(),
    ];
    // Either the text that stands for it, or what it is made of.
    out.map(3 + optional.iter().filter(|there| **there).count());
    text(out, "name", a.name);
    text(out, "type", a.kind.name());
    if !group {
        text(out, "display_text", a.name);
    }
    if let Some(index) = a.key_spec {
        out.bulk(b"key_spec_index");
        out.int(index as i64);
    }
    let texts = [("token", a.token), ("since", a.since), ("deprecated_since", a.deprecated)];
    texts.iter().filter_map(|(name, value)| Some((name, (*value)?))).for_each(|(name, v)| text(out, name, v));
    if !flags.is_empty() {
        out.bulk(b"flags");
        out.set(flags.len());
        flags.iter().for_each(|flag| out.simple(flag));
    }
    if group {
        out.bulk(b"arguments");
        list(out, &a.arguments);
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    /// The structure is that of redis-server 7.0.15, with the `display_text` of 7.2.
    #[test]
    fn docs_are_maps_of_maps() {
        let mut world = World::new(1);
        world.proto(Proto::Resp3);
        let summary = "Answers the message it was given.";
        assert_eq!(
            world.run("COMMAND DOCS nope ECHO"),
            format!(
                "%1\r\n$4\r\necho\r\n%5\r\n$7\r\nsummary\r\n${}\r\n{summary}\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n\
                 $10\r\nconnection\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\narguments\r\n*1\r\n%3\r\n$4\r\nname\r\n\
                 $7\r\nmessage\r\n$4\r\ntype\r\n$6\r\nstring\r\n$12\r\ndisplay_text\r\n$7\r\nmessage\r\n",
                summary.len()
            )
        );
        let pause = world.run("COMMAND DOCS client|pause");
        let mode = "%5\r\n$4\r\nname\r\n$4\r\nmode\r\n$4\r\ntype\r\n$5\r\noneof\r\n$5\r\nsince\r\n$5\r\n6.2.0\r\n\
                    $5\r\nflags\r\n~1\r\n+optional\r\n$9\r\narguments\r\n*2\r\n%4\r\n$4\r\nname\r\n$5\r\nwrite\r\n\
                    $4\r\ntype\r\n$10\r\npure-token\r\n$12\r\ndisplay_text\r\n$5\r\nwrite\r\n$5\r\ntoken\r\n$5\r\nWRITE\r\n";
        assert!(pause.contains(mode), "{pause}");
        let get = world.run("COMMAND DOCS get");
        assert!(get.contains("$14\r\nkey_spec_index\r\n:0\r\n"), "{get}");
        let quit = world.run("COMMAND DOCS quit");
        assert!(
            quit.contains("$9\r\ndoc_flags\r\n~1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n"),
            "{quit}"
        );
        let client = world.run("COMMAND DOCS client");
        assert!(client.contains("$11\r\nsubcommands\r\n%14\r\n$9\r\nclient|id\r\n%4\r\n"), "{client}");
        world.proto(Proto::Resp2);
        assert_eq!(world.run("COMMAND DOCS nope"), "*0\r\n");
        assert!(world.run("COMMAND DOCS echo").starts_with("*2\r\n$4\r\necho\r\n*10\r\n"));
        let all = world.run("COMMAND DOCS");
        assert!(all.starts_with(&format!("*{}\r\n", 2 * world.registry.commands().len())));
    }
}
