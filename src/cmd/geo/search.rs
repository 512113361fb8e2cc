//! Members by where they are: GEOSEARCH, GEOSEARCHSTORE.

use super::ROW;
use super::found::{finish, search};
use super::query::Query;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Plan};
use crate::ds::zset::Zset;
use crate::resp::Args;

const COST: &str = "O(N+log(M)) for N members in the cells around the shape and M in the set.";

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "geosearch",
        full_name: "geosearch",
        arity: -7,
        flags: flag::READONLY,
        run: geosearch,
        summary: "Gives the members inside a circle or a box.",
        since: "6.2.0",
        complexity: COST,
        syntax: "key:key from:(FROMMEMBER member:string | FROMLONLAT longitude_latitude:(longitude:double latitude:double)) \
                 by:(circle:(BYRADIUS radius:double unit:(m=M | km=KM | ft=FT | mi=MI)) | \
                 box:(BYBOX width:double height:double unit:(m=M | km=KM | ft=FT | mi=MI))) \
                 [order:(asc=ASC | desc=DESC)] [count:(COUNT count:integer [any=ANY])] \
                 [withcoord=WITHCOORD] [withdist=WITHDIST] [withhash=WITHHASH]",
        ..ROW
    },
    Command {
        name: "geosearchstore",
        full_name: "geosearchstore",
        arity: -8,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::one(1, key::OW | key::UPDATE), KeySpec::one(2, key::RO | key::ACCESS)],
        plan: Plan::Keys,
        run: geosearchstore,
        summary: "Stores the members inside a circle or a box under another key.",
        since: "6.2.0",
        complexity: COST,
        syntax: "destination:key source:key \
                 from:(FROMMEMBER member:string | FROMLONLAT longitude_latitude:(longitude:double latitude:double)) \
                 by:(circle:(BYRADIUS radius:double unit:(m=M | km=KM | ft=FT | mi=MI)) | \
                 box:(BYBOX width:double height:double unit:(m=M | km=KM | ft=FT | mi=MI))) \
                 [order:(asc=ASC | desc=DESC)] [count:(COUNT count:integer [any=ANY])] [storedist=STOREDIST]",
        ..ROW
    },
];

fn geosearch(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    let query = Query::search(args.from(2), zset, None, args.at(0))?;
    let found = zset.map_or(Vec::new(), |zset| search(zset, &query));
    finish(cx, &query, found)
}

fn geosearchstore(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(2))?;
    let query = Query::search(args.from(3), zset, Some(args.at(1)), args.at(0))?;
    let found = zset.map_or(Vec::new(), |zset| search(zset, &query));
    finish(cx, &query, found)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn searches_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(3);
            w.config.zset_max_listpack_entries = entries;
            w.run("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge1 17.241510 38.788135 edge2");
            w.expect(&[
                (
                    "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC",
                    "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n",
                ),
                (
                    "GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST COUNT 3",
                    "*3\r\n*2\r\n$7\r\nCatania\r\n$7\r\n56.4413\r\n*2\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n\
                     *2\r\n$5\r\nedge2\r\n$8\r\n279.7403\r\n",
                ),
                (
                    "GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 m WITHHASH WITHCOORD WITHDIST",
                    "*1\r\n*4\r\n$7\r\nPalermo\r\n$6\r\n0.0000\r\n:3479099956230698\r\n\
                     *2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n",
                ),
                ("GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km", ":2\r\n"),
                ("ZRANGE d 0 -1", "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n"),
                ("GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", ":2\r\n"),
                ("ZRANGE d 0 -1", "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n"),
                ("GEOSEARCHSTORE d none FROMLONLAT 15 37 BYRADIUS 200 km", ":0\r\n"),
                ("EXISTS d", ":0\r\n"),
                ("GEOSEARCH none FROMMEMBER x BYRADIUS 200 km", "*0\r\n"),
                (
                    "GEOSEARCH s FROMMEMBER x BYRADIUS 200 km",
                    "-ERR could not decode requested zset member\r\n",
                ),
                ("GEOSEARCH s FROMMEMBER Palermo BYRADIUS -1 km", "-ERR radius cannot be negative\r\n"),
                ("GEOSEARCH s FROMMEMBER Palermo BYRADIUS x km", "-ERR need numeric radius\r\n"),
                (
                    "GEOSEARCH s FROMMEMBER Palermo BYBOX 1 -1 km",
                    "-ERR height or width cannot be negative\r\n",
                ),
                (
                    "GeoSearch s BYRADIUS 1 km ASC WITHDIST",
                    "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GeoSearch\r\n",
                ),
                (
                    "GEOSEARCH s FROMMEMBER Palermo ASC WITHDIST WITHHASH",
                    "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH\r\n",
                ),
                (
                    "GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 km ANY",
                    "-ERR the ANY argument requires COUNT argument\r\n",
                ),
                ("GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 km COUNT 0", "-ERR COUNT must be > 0\r\n"),
                ("GEOSEARCH s FROMMEMBER Palermo BYRADIUS 1 km STOREDIST", "-ERR syntax error\r\n"),
                (
                    "GEOSEARCHSTORE d s FROMMEMBER Palermo BYRADIUS 1 km WITHDIST",
                    "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n",
                ),
            ]);
        }
    }
}
