//! The rows of SORT and SORT_RO, where they run, and what they reply or store.

use super::options::Options;
use super::order::sort as put_in_order;
use super::pattern::Pattern;
use super::source::{Elements, gather};
use crate::cmd::effects::{tell_result, tell_state};
use crate::cmd::lists::{limits, note_changes};
use crate::cmd::row::{Begin, Find, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan, Where};
use crate::ds::Owned;
use crate::ds::list::Builder;
use crate::ds::listpack::Element;
use crate::resp::Args;
use crate::store::{Collection, Kind, Route, ShardSet, kind};

const SOURCE: KeySpec = KeySpec::one(1, key::RO | key::ACCESS);
const FOUND: KeySpec = KeySpec {
    begin: Begin::Unknown,
    notes: "BY and GET name keys by the elements that are sorted.",
    ..SOURCE
};
const STORED: KeySpec = KeySpec {
    begin: Begin::Option { word: "store", skips: &[("limit", 2), ("get", 1), ("by", 1)] },
    find: Find::Range { last: 0, step: 1, limit: 0 },
    flags: key::OW | key::UPDATE,
    notes: "STORE may stand anywhere among the options.",
};

const SORT: Command = Command {
    arity: -2,
    categories: category::SET | category::SORTEDSET | category::LIST | category::DANGEROUS,
    group: "generic",
    complexity: "O(N+M*log(M)), N being the number of elements and M the number of those returned",
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sort",
        full_name: "sort",
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS | flag::HEAVY,
        keys: &[SOURCE, FOUND, STORED],
        plan: Plan::By(shards_of_sort),
        run: sort,
        summary: "Sorts a list, a set or a sorted set, and gives or stores the result.",
        syntax: "key:key [BY pattern:pattern#1] [LIMIT offset_count:(offset:integer count:integer)] [GET pattern:pattern#1 ...GET] \
                 [order:(asc=ASC | desc=DESC)] [sorting=ALPHA] [STORE destination:key#2]",
        ..SORT
    },
    Command {
        name: "sort_ro",
        full_name: "sort_ro",
        flags: flag::READONLY | flag::MOVABLEKEYS | flag::HEAVY,
        keys: &[SOURCE, FOUND],
        plan: Plan::By(shards_of_sort_ro),
        run: sort_ro,
        summary: "Sorts a list, a set or a sorted set, and gives the result.",
        since: "7.0.0",
        syntax: "key:key [BY pattern:pattern#1] [LIMIT offset_count:(offset:integer count:integer)] [GET pattern:pattern#1 ...GET] \
                 [order:(asc=ASC | desc=DESC)] [sorting=ALPHA]",
        ..SORT
    },
];

fn shards_of_sort(args: Args<'_>, route: Route) -> Where {
    shards(args, route, true)
}

fn shards_of_sort_ro(args: Args<'_>, route: Route) -> Where {
    shards(args, route, false)
}

fn shards(args: Args<'_>, route: Route, may_store: bool) -> Where {
    let mut shards = ShardSet::one(route.owner(args.at(1)));
    if let Ok(options) = Options::parse(args, may_store) {
        for pattern in options.patterns() {
            match pattern.tagged() {
                Some(tagged) => shards.insert(route.owner(tagged)),
                None if route.shards() > 1 => return Where::All,
                None => {}
            }
        }
        options.store.iter().for_each(|key| shards.insert(route.owner(key)));
    }
    match (shards.len(), shards.next(0)) {
        (1, Some(shard)) => Where::Shard(shard),
        _ => Where::Shards(shards),
    }
}

/// Whether a call may look a key up that no argument of it names.
pub fn may_look_up(args: Args<'_>, key: &[u8]) -> bool {
    Options::parse(args, true).is_ok_and(|options| options.patterns().any(|pattern| pattern.may_name(key)))
}

fn sort(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let options = Options::parse(args, true)?;
    run(cx, args.at(1), options)
}

fn sort_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let options = Options::parse(args, false)?;
    run(cx, args.at(1), options)
}

fn run(cx: &mut Cx<'_>, name: &[u8], mut options: Options<'_>) -> Done {
    let is_set = cx.keys.peek(name).is_some_and(|entry| kind(&entry) == Kind::Set);
    if options.unsorted && is_set && options.store.is_some() {
        // A set has no order of its own, and what is stored must not depend on chance.
        (options.unsorted, options.alpha, options.by) = (false, true, None);
    }
    let mut elements = gather(&mut cx.keys, name, &options)?;
    put_in_order(&mut elements, &mut cx.keys, &options)?;
    match options.store {
        Some(destination) => store(cx, &elements, &options, destination),
        None => reply(cx, &elements, &options),
    }
    Ok(Outcome::Done)
}

fn reply(cx: &mut Cx<'_>, elements: &Elements, options: &Options<'_>) {
    let mut key = Vec::new();
    cx.out.array(elements.spans.len() * options.gets.len().max(1));
    for span in &elements.spans {
        let element = elements.text(*span);
        if options.gets.is_empty() {
            cx.out.bulk(element);
        }
        for get in &options.gets {
            if get.is_element() {
                cx.out.bulk(element);
            } else if get.look(&mut cx.keys, element, &mut key, |text| text.reply(cx.out)).is_none() {
                cx.out.null();
            }
        }
    }
}

fn store(cx: &mut Cx<'_>, elements: &Elements, options: &Options<'_>, destination: &[u8]) {
    let (mut list, mut key) = (Builder::new(limits(cx.env.config)), Vec::new());
    for span in &elements.spans {
        let element = elements.text(*span);
        if options.gets.is_empty() {
            list.push(Element::of(element));
        }
        for get in &options.gets {
            if get.is_element() {
                list.push(Element::of(element));
                continue;
            }
            // What is absent is stored as an empty text.
            let found = get
                .look(&mut cx.keys, element, &mut key, |text| text.with(|text| list.push(Element::of(text))));
            if found.is_none() {
                list.push(Element::Str(b""));
            }
        }
    }
    let list = list.finish();
    let len = list.len();
    if len > 0 {
        cx.keys.put(destination, Owned::Boxed(list.wrap()), None, 0);
        note_changes(&mut cx.keys, destination, len);
    } else if cx.keys.delete(destination) {
        cx.keys.changed(destination);
    }
    if options.patterns().any(Pattern::has_field) {
        // A field past its time does not count here; for who replays this no time has passed.
        tell_state(&mut cx.keys, destination);
    } else {
        tell_result(&mut cx.keys, destination);
    }
    cx.out.int(len as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    fn array(texts: &[&str]) -> String {
        let bulks = texts.iter().map(|text| match *text {
            "nil" => "$-1\r\n".to_string(),
            text => format!("${}\r\n{text}\r\n", text.len()),
        });
        format!("*{}\r\n{}", texts.len(), bulks.collect::<String>())
    }

    #[test]
    fn elements_are_sorted_by_themselves() {
        let mut world = World::new(3);
        world.run("RPUSH l 10 9 -3 2.5 1e2");
        for (line, sorted) in [
            ("SORT l", &["-3", "2.5", "9", "10", "1e2"][..]),
            ("SORT l DESC", &["1e2", "10", "9", "2.5", "-3"]),
            ("SORT l ALPHA", &["-3", "10", "1e2", "2.5", "9"]),
            ("SORT l ALPHA DESC LIMIT 1 2", &["2.5", "1e2"]),
            ("SORT l LIMIT 1 2", &["2.5", "9"]),
            ("SORT l LIMIT -5 2", &["-3", "2.5"]),
            ("SORT l LIMIT 3 -1", &["10", "1e2"]),
            ("SORT l LIMIT 9 1", &[]),
            ("SORT l LIMIT 0 0", &[]),
            ("SORT l BY nosort", &["10", "9", "-3", "2.5", "1e2"]),
            ("SORT l BY nosort DESC LIMIT 1 2", &["2.5", "-3"]),
            ("SORT_RO l BY nosort LIMIT 1 2 BY w_*", &["9", "-3"]),
            ("SORT nosuch", &[]),
        ] {
            assert_eq!(world.run(line), array(sorted), "{line}");
        }
        world.expect(&[
            ("RPUSH l x", ":6\r\n"),
            ("SORT l", "-ERR One or more scores can't be converted into double\r\n"),
            ("SORT l STORE d", "-ERR One or more scores can't be converted into double\r\n"),
            ("RPUSH far 1e400", ":1\r\n"),
            ("SORT far", "-ERR One or more scores can't be converted into double\r\n"),
            ("RPUSH near 1e-400", ":1\r\n"),
            ("SORT near", "-ERR One or more scores can't be converted into double\r\n"),
            ("SORT l LIMIT 0", "-ERR syntax error\r\n"),
            ("SORT l LIMIT a 1", "-ERR value is not an integer or out of range\r\n"),
            ("SORT l NOSUCH", "-ERR syntax error\r\n"),
            ("SORT_RO l STORE d", "-ERR syntax error\r\n"),
            ("SET s v", "+OK\r\n"),
            ("SORT s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
    }

    #[test]
    fn other_keys_say_what_elements_weigh_and_stand_for() {
        for shards in [1, 4] {
            let mut world = World::new(shards);
            world.run("RPUSH l 1 2 3 4");
            world.run("MSET w_1 30 w_2 10 w_3 20 d_1 one d_3 three");
            for (line, sorted) in [
                ("SORT l BY w_*", &["4", "2", "3", "1"][..]),
                ("SORT l BY w_* DESC GET #", &["1", "3", "2", "4"]),
                ("SORT l BY w_* GET d_* GET #", &["nil", "4", "nil", "2", "three", "3", "one", "1"]),
                ("SORT l BY d_* ALPHA", &["2", "4", "1", "3"]),
                ("SORT l BY d_* ALPHA DESC LIMIT 0 3", &["3", "1", "2"]),
                ("SORT l GET nostar LIMIT 0 1", &["nil"]),
                ("SORT l BY w_*->f", &["1", "2", "3", "4"]),
            ] {
                assert_eq!(world.run(line), array(sorted), "{line}");
            }
            world.expect(&[
                ("SORT l BY d_*", "-ERR One or more scores can't be converted into double\r\n"),
                ("SORT l BY w_* GET d_* STORE d", ":4\r\n"),
                ("LRANGE d 0 -1", &array(&["", "", "three", "one"])),
                ("SORT l LIMIT 9 1 STORE d", ":0\r\n"),
                ("EXISTS d", ":0\r\n"),
                ("SORT l DESC STORE l", ":4\r\n"),
                ("LRANGE l 0 -1", &array(&["4", "3", "2", "1"])),
            ]);
        }
    }

    #[test]
    fn sets_are_sorted_and_fields_of_hashes_looked_up() {
        for shards in [1, 4] {
            let mut world = World::new(shards);
            for line in [
                "SADD s 3 1 2",
                "SADD words b a c",
                "HSET h_1 w 5 n one",
                "HSET h_2 w 4",
                "HSET h_3 w 6 n three",
            ] {
                world.run(line);
            }
            world.expect(&[
                ("SORT s DESC", &array(&["3", "2", "1"])),
                ("SORT s BY h_*->w GET # GET h_*->n", &array(&["2", "nil", "1", "one", "3", "three"])),
                ("SORT s BY h_*->none GET h_*->", &array(&["nil", "nil", "nil"])),
                ("SORT words ALPHA LIMIT 1 5", &array(&["b", "c"])),
                ("SORT words BY nosort DESC STORE d", ":3\r\n"),
                ("LRANGE d 0 -1", &array(&["c", "b", "a"])),
                ("HPEXPIRE h_1 10 FIELDS 1 w", "*1\r\n:1\r\n"),
            ]);
            world.advance_ms(10);
            assert_eq!(
                world.run("SORT s BY h_*->w"),
                array(&["1", "2", "3"]),
                "a field past its time is absent"
            );
            assert!(world.run("SORT h_1").starts_with("-WRONGTYPE"));
        }
    }

    #[test]
    fn tags_keep_a_call_on_few_shards() {
        let route = Route::new(8);
        let place = |line: &str| {
            let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let (mut buffer, mut spans) = (Vec::new(), Vec::new());
            for arg in args {
                spans.push(crate::resp::Span::new(buffer.len(), buffer.len() + arg.len()));
                buffer.extend_from_slice(arg);
            }
            shards_of_sort(Args::new(&buffer, &spans), route)
        };
        let owner = route.owner(b"{t}");
        assert_eq!(place("SORT {t}l BY {t}w_* GET # GET {t}d_*->f STORE {t}d"), Where::Shard(owner));
        assert_eq!(place("SORT {t}l BY nosort GET #"), Where::Shard(owner));
        assert_eq!(place("SORT {t}l BY w_*"), Where::All);
        assert_eq!(place("SORT {t}l GET w_* GET"), Where::Shard(owner));
        assert!(matches!(place("SORT {t}l STORE other"), Where::Shards(_)));
    }
}
