//! The commands.

use super::{doctor, graph, histogram};
use crate::cmd::help::help;
use crate::cmd::row::flag;
use crate::cmd::server::text::Text;
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, Report, Sections};
use crate::metrics::{LatencyEvent, LatencyEvents};
use crate::resp::{Args, Error};

const BASE: Command = Command {
    arity: 2,
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE,
    plan: Plan::Gather(Sections::LATENCY),
    since: "2.8.13",
    group: "server",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    ..Command::BASE
};

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "latency",
    full_name: "latency",
    arity: -2,
    summary: "Commands about latency.",
    since: "2.8.13",
    group: "server",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "doctor",
            full_name: "latency|doctor",
            run: doctor,
            summary: "Says in words where time goes.",
            ..BASE
        },
        Command {
            name: "graph",
            full_name: "latency|graph",
            arity: 3,
            run: graph,
            summary: "Draws the history of an event.",
            syntax: "event:string",
            ..BASE
        },
        Command {
            name: "help",
            full_name: "latency|help",
            flags: flag::LOADING | flag::STALE,
            plan: Plan::Anywhere,
            run: |cx, args| {
                help(cx.out, args, HELP);
                Ok(Outcome::Done)
            },
            summary: "Lists the subcommands.",
            tips: &[],
            ..BASE
        },
        Command {
            name: "histogram",
            full_name: "latency|histogram",
            arity: -2,
            plan: Plan::Gather(Sections::COMMANDS),
            run: histogram::histogram,
            summary: "Tells how long commands take, cumulatively in buckets.",
            since: "7.0.0",
            complexity: "O(N) where N is the number of commands with latency information being retrieved.",
            syntax: "[command:string ...]",
            ..BASE
        },
        Command {
            name: "history",
            full_name: "latency|history",
            arity: 3,
            run: history,
            summary: "Gives the history of an event.",
            syntax: "event:string",
            ..BASE
        },
        Command {
            name: "latest",
            full_name: "latency|latest",
            run: latest,
            summary: "Gives the latest entry of each event.",
            ..BASE
        },
        Command {
            name: "reset",
            full_name: "latency|reset",
            arity: -2,
            run: reset,
            summary: "Forgets the history of some or all events.",
            syntax: "[event:string ...]",
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            ..BASE
        },
    ],
    ..Command::BASE
}];

const HELP: &[(&str, &str)] = &[
    ("DOCTOR", "Where time goes, in words."),
    ("GRAPH <event>", "The history of <event>, drawn."),
    ("HISTORY <event>", "Times and milliseconds of <event>."),
    ("LATEST", "The latest entry of each event."),
    ("RESET [<event> ...]", "Forget these events (default: all)."),
    (
        "HISTOGRAM [COMMAND ...]",
        "How long these commands take (default: all), cumulatively in buckets of microseconds.",
    ),
];

fn events(cx: &Cx<'_>) -> LatencyEvents {
    Report::total(cx.reports).latency
}

/// The event that a client names, in any case.
fn find<'a>(events: &'a LatencyEvents, name: &[u8]) -> Option<&'a LatencyEvent> {
    events.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, event)| event)
}

fn latest(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let events = events(cx);
    cx.out.array(events.iter().count());
    for (name, event) in events.iter() {
        let (secs, ms) = event.entries.last().copied().unwrap_or_default();
        cx.out.array(4);
        cx.out.bulk(name.as_bytes());
        cx.out.int(secs);
        cx.out.int(ms as i64);
        cx.out.int(event.max_ms as i64);
    }
    Ok(Outcome::Done)
}

fn history(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let events = events(cx);
    let entries = find(&events, args.at(2)).map_or(&[][..], |event| &event.entries);
    cx.out.array(entries.len());
    for (secs, ms) in entries {
        cx.out.array(2);
        cx.out.int(*secs);
        cx.out.int(*ms as i64);
    }
    Ok(Outcome::Done)
}

fn reset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let names: Vec<String> =
        args.iter().skip(2).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let count = events(cx).reset(&names);
    cx.out.int(count as i64);
    Ok(Outcome::Everywhere(Order::ResetLatency(names)))
}

fn graph(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let events = events(cx);
    let name = String::from_utf8_lossy(args.at(2));
    let Some(event) = find(&events, args.at(2)).filter(|event| !event.entries.is_empty()) else {
        return Err(Error::text_of(format!("ERR No samples available for event '{name}'")));
    };
    let mut text = Text::default();
    graph::draw(&mut text, &name, event, cx.keys.now.secs());
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn doctor(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let mut text = Text::default();
    doctor::diagnose(&mut text, &events(cx), cx.env.config, cx.keys.now.secs());
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    fn world() -> World {
        let mut world = World::new(2);
        for (i, ms) in [2, 4, 6, 8].into_iter().enumerate() {
            world.reports[i % 2].latency.note("command", 1_699_999_996 + i as i64, ms);
        }
        world
    }

    #[test]
    fn events_of_all_shards_are_one_history() {
        let mut world = world();
        assert_eq!(world.run("LATENCY LATEST"), "*1\r\n*4\r\n$7\r\ncommand\r\n:1699999999\r\n:8\r\n:8\r\n");
        let history = world.run("LATENCY HISTORY Command");
        assert!(
            history.starts_with("*4\r\n*2\r\n:1699999996\r\n:2\r\n*2\r\n:1699999997\r\n:4\r\n"),
            "{history}"
        );
        assert_eq!(world.run("LATENCY HISTORY foo"), "*0\r\n");
        assert_eq!(world.run("LATENCY GRAPH foo"), "-ERR No samples available for event 'foo'\r\n");
    }

    #[test]
    fn reset_counts_what_it_forgets() {
        let mut world = world();
        assert_eq!(world.run("LATENCY RESET x"), ":0\r\n");
        assert_eq!(world.run("LATENCY RESET COMMAND command"), ":1\r\n");
        assert_eq!(world.run("LATENCY RESET"), ":1\r\n");
        let Some(Outcome::Everywhere(Order::ResetLatency(names))) = world.outcome else {
            panic!("an order was expected")
        };
        assert!(names.is_empty());
    }

    #[test]
    fn the_graph_has_the_shape_of_redis() {
        let graph = world().run("LATENCY GRAPH command");
        let expected = format!(
            "command - high 8 ms, low 2 ms (all time high 8 ms)\n{}\n   #\n  #|\n o||\n_|||\n    \n4321\nssss\n",
            "-".repeat(80)
        );
        assert_eq!(graph, format!("${}\r\n{expected}\r\n", expected.len()));
        let mut world = World::new(1);
        for (i, ms) in [20, 10, 15].into_iter().enumerate() {
            world.reports[0].latency.note("command", 1_699_999_997 + i as i64, ms);
        }
        let graph = world.run("LATENCY GRAPH command");
        assert!(graph.ends_with("-\n#  \n| _\n| |\n|_|\n   \n321\nsss\n\r\n"), "{graph}");
    }
}
