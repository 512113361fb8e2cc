//! The older searches: GEORADIUS, GEORADIUSBYMEMBER, and the forms of them that only read.

use super::ROW;
use super::found::{finish, search};
use super::query::Query;
use crate::cmd::row::{Begin, Deprecated, Find, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Plan, Where};
use crate::ds::zset::Zset;
use crate::resp::Args;
use crate::store::{Route, ShardSet};

const COST: &str = "O(N+log(M)) for N members in the cells around the circle and M in the set.";
const SOURCE: KeySpec = KeySpec::one(1, key::RO | key::ACCESS);

/// The key behind a word among the options.
const fn behind(word: &'static str, from: i32) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word, from },
        find: Find::Range { last: 0, step: 1, limit: 0 },
        flags: key::OW | key::UPDATE,
        notes: "",
    }
}

const fn instead(instead: &'static str) -> Option<Deprecated> {
    Some(Deprecated { since: "6.2.0", instead })
}

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "georadius",
        full_name: "georadius",
        arity: -6,
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
        keys: &[SOURCE, behind("STORE", 6), behind("STOREDIST", 6)],
        plan: Plan::By(shards),
        run: georadius,
        summary: "Gives or stores the members within a radius of a position.",
        complexity: COST,
        syntax: "key:key longitude:double latitude:double radius:double unit:(m=M | km=KM | ft=FT | mi=MI) \
                 [withcoord=WITHCOORD] [withdist=WITHDIST] [withhash=WITHHASH] \
                 [count:(COUNT count:integer [any=ANY@6.2.0])] [order:(asc=ASC | desc=DESC)] \
                 [STORE key:key] [STOREDIST key:key]",
        deprecated: instead("`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
        ..ROW
    },
    Command {
        name: "georadiusbymember",
        full_name: "georadiusbymember",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM | flag::MOVABLEKEYS,
        keys: &[SOURCE, behind("STORE", 5), behind("STOREDIST", 5)],
        plan: Plan::By(shards),
        run: georadiusbymember,
        summary: "Gives or stores the members within a radius of a member.",
        complexity: COST,
        syntax: "key:key member:string radius:double unit:(m=M | km=KM | ft=FT | mi=MI) \
                 [withcoord=WITHCOORD] [withdist=WITHDIST] [withhash=WITHHASH] \
                 [count:(COUNT count:integer [any=ANY])] [order:(asc=ASC | desc=DESC)] \
                 [STORE key:key] [STOREDIST key:key]",
        deprecated: instead(
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
        ..ROW
    },
    Command {
        name: "georadius_ro",
        full_name: "georadius_ro",
        arity: -6,
        flags: flag::READONLY,
        run: georadius_ro,
        summary: "Gives the members within a radius of a position.",
        since: "3.2.10",
        complexity: COST,
        syntax: "key:key longitude:double latitude:double radius:double unit:(m=M | km=KM | ft=FT | mi=MI) \
                 [withcoord=WITHCOORD] [withdist=WITHDIST] [withhash=WITHHASH] \
                 [count:(COUNT count:integer [any=ANY@6.2.0])] [order:(asc=ASC | desc=DESC)]",
        deprecated: instead("`GEOSEARCH` with the `BYRADIUS` argument"),
        ..ROW
    },
    Command {
        name: "georadiusbymember_ro",
        full_name: "georadiusbymember_ro",
        arity: -5,
        flags: flag::READONLY,
        run: georadiusbymember_ro,
        summary: "Gives the members within a radius of a member.",
        since: "3.2.10",
        complexity: COST,
        syntax: "key:key member:string radius:double unit:(m=M | km=KM | ft=FT | mi=MI) \
                 [withcoord=WITHCOORD] [withdist=WITHDIST] [withhash=WITHHASH] \
                 [count:(COUNT count:integer [any=ANY])] [order:(asc=ASC | desc=DESC)]",
        deprecated: instead("`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
        ..ROW
    },
];

/// The shards of the source and of everything behind STORE or STOREDIST: the last of these counts, which key specifications
/// cannot say.
fn shards(args: Args<'_>, route: Route) -> Where {
    let mut found = ShardSet::one(route.owner(args.at(1)));
    for i in 4..args.len() - 1 {
        if args.is(i, "store") || args.is(i, "storedist") {
            found.insert(route.owner(args.at(i + 1)));
        }
    }
    match (found.len(), found.next(0)) {
        (1, Some(shard)) => Where::Shard(shard),
        _ => Where::Shards(found),
    }
}

fn georadius(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    run(cx, args, false, true)
}

fn georadius_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    run(cx, args, false, false)
}

fn georadiusbymember(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    run(cx, args, true, true)
}

fn georadiusbymember_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    run(cx, args, true, false)
}

fn run(cx: &mut Cx<'_>, args: Args<'_>, member: bool, stores: bool) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    let query = Query::radius(args.from(2), zset, member, stores)?;
    let found = zset.map_or(Vec::new(), |zset| search(zset, &query));
    finish(cx, &query, found)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn circles() {
        let mut w = World::new(3);
        w.run("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
        w.expect(&[
            ("GEORADIUS s 15 37 200 km DESC", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n"),
            ("GEORADIUS_RO s 15 37 100 km WITHDIST", "*1\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n"),
            ("GEORADIUSBYMEMBER s Palermo 200 km COUNT 1", "*1\r\n$7\r\nPalermo\r\n"),
            ("GEORADIUSBYMEMBER_RO s Palermo 200 mi COUNT 1 DESC", "*1\r\n$7\r\nCatania\r\n"),
            ("GEORADIUS s 15 37 200 km STORE a STOREDIST b", ":2\r\n"),
            ("EXISTS a b", ":1\r\n"),
            ("ZRANGE b 0 0 WITHSCORES", "*2\r\n$7\r\nCatania\r\n$16\r\n56.4412578701582\r\n"),
            ("GEORADIUSBYMEMBER none x 200 km STORE b", ":0\r\n"),
            ("EXISTS b", ":0\r\n"),
            ("GEORADIUSBYMEMBER none x bad unit", "*0\r\n"),
            ("GEORADIUS_RO s 15 37 200 km STORE a", "-ERR syntax error\r\n"),
            ("GEORADIUS s 15 37 200 km STORE", "-ERR syntax error\r\n"),
            (
                "GEORADIUS s 15 37 200 km STORE a WITHDIST",
                "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n",
            ),
            ("GEORADIUS s 15 37 200 yd", "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n"),
            ("GEORADIUS s 15 97 200 km", "-ERR invalid longitude,latitude pair 15.000000,97.000000\r\n"),
            ("GEORADIUS none 15 37 200 km", "*0\r\n"),
        ]);
    }
}
