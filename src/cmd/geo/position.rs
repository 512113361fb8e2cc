//! Single positions: GEOADD, GEOPOS, GEODIST, GEOHASH.

use super::ROW;
use super::arguments::{position, unit_m};
use crate::base::geohash::{self, Cell, Position, STEP_MAX};
use crate::base::geoshape::distance;
use crate::cmd::row::{flag, key};
use crate::cmd::zsets::{How, add};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome};
use crate::ds::zset::Zset;
use crate::resp::{Args, Error, Out};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "geoadd",
        full_name: "geoadd",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        run: geoadd,
        summary: "Adds positions under names, or changes them.",
        complexity: "O(log(N)) for each position, N being the members of the set.",
        syntax: "key:key [condition:(nx=NX | xx=XX)@6.2.0] [change=CH@6.2.0] \
                 longitude_latitude_member:(longitude:double latitude:double member:string) ...",
        ..ROW
    },
    Command {
        name: "geopos",
        full_name: "geopos",
        arity: -2,
        flags: flag::READONLY,
        run: geopos,
        summary: "Gives the positions of members.",
        complexity: "O(1) for each member.",
        syntax: "key:key member:string ...",
        ..ROW
    },
    Command {
        name: "geodist",
        full_name: "geodist",
        arity: -4,
        flags: flag::READONLY,
        run: geodist,
        summary: "Gives the distance of two members.",
        syntax: "key:key member1:string member2:string [unit:(m=M | km=KM | ft=FT | mi=MI)]",
        ..ROW
    },
    Command {
        name: "geohash",
        full_name: "geohash",
        arity: -2,
        flags: flag::READONLY,
        run: geohash,
        summary: "Gives the positions of members as geohash strings.",
        complexity: "O(1) for each member.",
        syntax: "key:key member:string ...",
        ..ROW
    },
];

fn geoadd(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut how = How::default();
    let mut i = 2;
    while i < args.len() {
        match () {
            _ if args.is(i, "nx") => how.nx = true,
            _ if args.is(i, "xx") => how.xx = true,
            _ if args.is(i, "ch") => how.ch = true,
            _ => break,
        }
        i += 1;
    }
    let places = args.from(i);
    if !places.len().is_multiple_of(3) || how.nx && how.xx {
        return Err(Error::Syntax);
    }
    let mut pairs = Vec::with_capacity(places.len() / 3);
    for at in (0..places.len()).step_by(3) {
        let cell = Cell::of(position(places, at)?, STEP_MAX);
        pairs.push((cell.bits as f64, places.at(at + 2)));
    }
    if pairs.is_empty() {
        return Err(Error::Syntax);
    }
    add(cx, args.at(1), &pairs, how)
}

/// Where a member is.
pub(super) fn position_of(zset: &Zset, member: &[u8]) -> Option<Position> {
    zset.score(member).map(|score| Cell::of_score(score).center())
}

/// A position as an array of two doubles.
pub(super) fn reply_position(out: &mut Out, at: Position) {
    out.array(2);
    out.double_text(&degrees(at.longitude));
    out.double_text(&degrees(at.latitude));
}

/// Degrees with up to 17 places, without trailing zeros.
fn degrees(value: f64) -> String {
    let text = format!("{value:.17}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// A distance as a bulk string of four places.
pub(super) fn reply_distance(out: &mut Out, distance: f64) {
    out.bulk(format!("{distance:.4}").as_bytes());
}

fn geopos(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    cx.out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(at) => reply_position(cx.out, at),
            None => cx.out.null_array(),
        }
    }
    Ok(Outcome::Done)
}

fn geodist(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let unit_m = match args.len() {
        4 => 1.0,
        5 => unit_m(args.at(4))?,
        _ => return Err(Error::Syntax),
    };
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    let ends = zset.and_then(|zset| Some((position_of(zset, args.at(2))?, position_of(zset, args.at(3))?)));
    match ends {
        Some((a, b)) => reply_distance(cx.out, distance(a, b) / unit_m),
        None => cx.out.null(),
    }
    Ok(Outcome::Done)
}

fn geohash(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    cx.out.array(args.len() - 2);
    for member in args.from(2).iter() {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(at) => cx.out.bulk(&geohash::text(at)),
            None => cx.out.null(),
        }
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn sicily() {
        let mut w = World::new(2);
        w.expect(&[
            ("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2\r\n"),
            ("ZSCORE s Palermo", "$16\r\n3479099956230698\r\n"),
            ("GEODIST s Palermo Catania", "$11\r\n166274.1516\r\n"),
            ("GEODIST s Palermo Catania km", "$8\r\n166.2742\r\n"),
            ("GEODIST s Palermo Catania MI", "$8\r\n103.3182\r\n"),
            ("GEODIST s Palermo none", "$-1\r\n"),
            ("GEODIST none a b", "$-1\r\n"),
            ("GEODIST s a b m x", "-ERR syntax error\r\n"),
            ("GEODIST s a b yd", "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n"),
            ("GEOHASH s Palermo x", "*2\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n"),
            (
                "GEOPOS s Palermo x",
                "*2\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n",
            ),
            ("GEOPOS none x", "*1\r\n*-1\r\n"),
            ("GEOPOS none", "*0\r\n"),
            ("GEOADD s NX 1 1 Palermo", ":0\r\n"),
            ("GEOADD s XX CH 1 1 Palermo 2 2 new", ":1\r\n"),
            ("GEOADD s NX XX 1 1 a", "-ERR syntax error\r\n"),
            ("GEOADD s 1 1", "-ERR wrong number of arguments for 'geoadd' command\r\n"),
            ("GEOADD s 1 1 a 2", "-ERR syntax error\r\n"),
            ("GEOADD s NX CH CH", "-ERR syntax error\r\n"),
            ("GEOADD s 181 1 a", "-ERR invalid longitude,latitude pair 181.000000,1.000000\r\n"),
            ("GEOADD s 1 -86.5 a", "-ERR invalid longitude,latitude pair 1.000000,-86.500000\r\n"),
            ("GEOADD s x 1 a", "-ERR value is not a valid float\r\n"),
            ("SET str v", "+OK\r\n"),
            ("GEOPOS str a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("GEOADD str 1 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
        w.proto(Proto::Resp3);
        assert_eq!(
            w.run("GEOPOS s Catania x"),
            "*2\r\n*2\r\n,15.08726745843887329\r\n,37.50266842333162032\r\n_\r\n"
        );
        assert_eq!(w.run("GEODIST s Catania Catania"), "$6\r\n0.0000\r\n");
    }
}
