//! ZSCAN.

use super::ROW;
use crate::base::double::{write_17g, write_double};
use crate::base::glob;
use crate::base::number::{parse_i64, parse_u64};
use crate::cmd::keyspace::iteration::NOVALUES;
use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::ds::zset::Zset;
use crate::resp::{Args, Error, Out};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "zscan",
    full_name: "zscan",
    arity: -3,
    flags: flag::READONLY,
    run: zscan,
    summary: "Walks over the members of a sorted set and their scores in small steps.",
    since: "2.8.0",
    complexity: "O(1) a call; O(N) for a whole walk over N members.",
    syntax: "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
    tips: &["nondeterministic_output"],
    ..ROW
}];

/// How many members a call looks at, unless COUNT says otherwise.
const COUNT: u64 = 10;
/// The places in the table that a call looks at for each member it was asked for.
const PLACES: u64 = 10;

struct Wish<'a> {
    pattern: Option<&'a [u8]>,
    count: u64,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>) -> Result<Wish<'a>, Error> {
        let mut wish = Wish { pattern: None, count: COUNT };
        for i in (0..args.len()).step_by(2) {
            if args.is(i, "novalues") {
                return Err(Error::text_of(NOVALUES));
            }
            let value = args.get(i + 1).ok_or(Error::Syntax)?;
            if args.is(i, "count") {
                let count = parse_i64(value).ok_or(Error::NotInteger)?;
                wish.count = u64::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
            } else if args.is(i, "match") {
                wish.pattern = Some(value).filter(|pattern| *pattern != b"*");
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(wish)
    }
}

fn zscan(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut cursor = parse_u64(args.at(2)).ok_or(Error::InvalidCursor)?;
    let mut found = Out::with_buffer(Vec::new(), cx.out.proto());
    let mut members = 0;
    match cx.keys.look::<Zset>(args.at(1))? {
        // An absent key hides errors in what follows, as in Redis.
        None => cursor = 0,
        Some(zset) => {
            let wish = Wish::parse(args.from(3))?;
            let (mut seen, mut places) = (0, wish.count.saturating_mul(PLACES));
            let mut text = Vec::new();
            // A listpack holds the texts of its scores; those of a large sorted set are printed another way, as in Redis.
            let write = if zset.as_listpack().is_some() { write_double } else { write_17g };
            loop {
                cursor = zset.scan(cursor, &mut |member, score| {
                    seen += 1;
                    member.with(|member| {
                        if wish.pattern.is_none_or(|pattern| glob::matches(pattern, member, false)) {
                            members += 1;
                            found.bulk(member);
                            text.clear();
                            write(&mut text, score);
                            found.bulk(&text);
                        }
                    });
                });
                places -= 1;
                if cursor == 0 || seen >= wish.count || places == 0 {
                    break;
                }
            }
        }
    }
    cx.out.array(2);
    cx.out.bulk(cursor.to_string().as_bytes());
    cx.out.array(members * 2);
    cx.out.append(&mut found);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn replies_and_errors() {
        World::new(2).expect(&[
            ("ZSCAN none 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("ZSCAN none 0 COUNT x", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("ZSCAN none x", "-ERR invalid cursor\r\n"),
            ("ZADD z 1.5 a inf b", ":2\r\n"),
            ("ZSCAN z 0", "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$3\r\ninf\r\n"),
            ("ZSCAN z 0 MATCH b", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$3\r\ninf\r\n"),
            ("ZSCAN z 0 COUNT 0", "-ERR syntax error\r\n"),
            ("ZSCAN z 0 COUNT x", "-ERR value is not an integer or out of range\r\n"),
            ("ZSCAN z 0 TYPE zset", "-ERR syntax error\r\n"),
            ("ZSCAN z 0 COUNT", "-ERR syntax error\r\n"),
            ("ZSCAN z 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
            ("ZSCAN z 0 COUNT 5 novalues", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
            ("ZSCAN none 0 NOVALUES", "*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SET s v", "+OK\r\n"),
            ("ZSCAN s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
    }

    #[test]
    fn scores_are_printed_as_each_encoding_has_them() {
        let mut w = World::new(1);
        w.run("ZADD z 1.1 a 1e17 b");
        let small = "*4\r\n$1\r\na\r\n$3\r\n1.1\r\n$1\r\nb\r\n$18\r\n100000000000000000\r\n";
        assert_eq!(w.run("ZSCAN z 0"), format!("*2\r\n$1\r\n0\r\n{small}"));
        w.config.zset_max_listpack_entries = 0;
        w.run("ZADD large 1.1 a");
        assert!(w.run("ZSCAN large 0").ends_with("$1\r\na\r\n$18\r\n1.1000000000000001\r\n"));
    }

    #[test]
    fn a_walk_meets_all() {
        let mut w = World::new(1);
        (0..700).for_each(|i| drop(w.run(&format!("ZADD z {i} m{i}"))));
        let (mut cursor, mut met) = ("0".to_string(), 0);
        loop {
            let reply = w.run(&format!("ZSCAN z {cursor} COUNT 20"));
            let lines: Vec<&str> = reply.split("\r\n").collect();
            cursor = lines[2].to_string();
            met += lines.iter().filter(|l| l.starts_with('m')).count();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(met, 700);
    }
}
