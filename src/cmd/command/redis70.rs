//! Every row against what redis-server 7.0.15 says of its command (`tests/data/redis-7.0-commands.txt`, a command a
//! line: COMMAND INFO and COMMAND DOCS without their prose).

use super::info::{categories, first_last_step};
use crate::cmd::row::{Begin, Find, category, flag, key};
use crate::cmd::syntax::{parse, tests::render};
use crate::cmd::{Command, FAMILIES, KeySpec};

const FACTS: &str = include_str!("../../../tests/data/redis-7.0-commands.txt");

/// Where Redis 7.4, which counts, differs from 7.0: command and field.
const NEWER: &[(&str, &str)] = &[
    ("client|kill", "syntax"), // MAXAGE
    ("lcs", "syntax"),         // the name of MINMATCHLEN's argument
    ("pfmerge", "syntax"),     // sources may be left out
    ("hscan", "syntax"),       // NOVALUES
    ("zrank", "arity"),        // WITHSCORE
    ("zrank", "syntax"),
    ("zrevrank", "arity"),
    ("zrevrank", "syntax"),
    ("wait", "flags"), // blocking, and scripts may call it
    ("wait", "categories"),
];

fn named(bits: u32, table: &[(u32, &str)], prefix: &str) -> String {
    let names: Vec<String> =
        table.iter().filter(|(b, _)| bits & b != 0).map(|(_, n)| format!("{prefix}{n}")).collect();
    names.join(",")
}

fn spec(spec: &KeySpec) -> String {
    let begin = match spec.begin {
        Begin::Index(at) => format!("index:{at}"),
        Begin::Keyword { word, from } => format!("keyword:{word},{from}"),
        Begin::Option { .. } | Begin::Unknown => "unknown".into(),
    };
    let find = match spec.find {
        _ if spec.is_unknown() => "unknown".into(),
        Find::Range { last, step, limit } => format!("range:{last},{step},{limit}"),
        Find::Count { num, first, step } => format!("keynum:{num},{first},{step}"),
    };
    format!("{}/{begin}/{find}", named(spec.flags, key::NAMES, ""))
}

fn fields(row: &Command) -> [(&'static str, String); 9] {
    let (first, last, step) = first_last_step(row);
    let syntax = match parse(row.syntax, row.keys.len()) {
        Ok(arguments) => render(&arguments, row.keys.len()),
        Err(why) => why,
    };
    let keys: Vec<String> = row.keys.iter().map(spec).collect();
    [
        ("arity", row.arity.to_string()),
        ("flags", named(row.flags, flag::NAMES, "")),
        ("first, last, step", format!("{first},{last},{step}")),
        ("categories", named(categories(row), category::NAMES, "@")),
        ("tips", row.tips.join(",")),
        ("key specs", keys.join(" ")),
        ("since", row.since.into()),
        ("group", row.group.into()),
        ("syntax", syntax),
    ]
}

#[test]
fn rows_say_what_redis_says() {
    let mut wrong = Vec::new();
    let mut check = |row: &Command| {
        let line = FACTS.lines().find(|line| line.split('\t').next() == Some(row.full_name));
        let Some(line) = line else { return };
        for ((name, ours), theirs) in fields(row).iter().zip(line.split('\t').skip(1)) {
            if ours != theirs && !NEWER.contains(&(row.full_name, name)) {
                wrong.push(format!("{} {name}:\n  ours  {ours}\n  Redis {theirs}", row.full_name));
            }
        }
    };
    for row in FAMILIES.iter().flat_map(|rows| rows.iter()) {
        check(row);
        if !row.is(flag::HIDE_SUBCOMMANDS) {
            row.subcommands.iter().for_each(&mut check);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_notation_holds_all_of_redis() {
    for line in FACTS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&'static str> = line.split('\t').collect();
        let specs = fields[6].split(' ').filter(|s| !s.is_empty()).count();
        let parsed = parse(fields[9], specs).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(render(&parsed, specs), fields[9]);
    }
}
