//! ZRANDMEMBER.

use super::{ROW, result};
use crate::base::number::parse_i64;
use crate::base::prng::xorshift;
use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::ds::listpack::Element;
use crate::ds::zset::Zset;
use crate::resp::{Args, Error, Out};
use std::collections::BTreeSet;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "zrandmember",
    full_name: "zrandmember",
    arity: -2,
    flags: flag::READONLY,
    run: zrandmember,
    summary: "Gives members at random.",
    since: "6.2.0",
    complexity: "O(M*log(N)) for M of N members given.",
    syntax: "key:key [options:(count:integer [withscores=WITHSCORES])]",
    tips: &["nondeterministic_output"],
    ..ROW
}];

/// The most draws of one call: a reply of more would not fit into memory anyway.
const DRAWS_MAX: u64 = 1 << 27;

/// How many members are wanted.
#[derive(Clone, Copy)]
enum Wanted {
    /// One, not in an array.
    One,
    /// Different ones.
    Distinct(usize),
    /// Any, perhaps several times.
    Any(usize),
}

fn parse(args: Args<'_>) -> Result<(Wanted, bool), Error> {
    let Some(count) = args.get(2) else { return Ok((Wanted::One, false)) };
    let count = parse_i64(count).ok_or(Error::NotInteger)?;
    if count == i64::MIN {
        return Err(Error::text_of(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        )));
    }
    let with_scores = args.len() == 4 && args.is(3, "withscores");
    if args.len() > 3 && !with_scores {
        return Err(Error::Syntax);
    }
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2
        || count < 0 && count.unsigned_abs() > DRAWS_MAX
    {
        return Err(Error::text_of("ERR value is out of range"));
    }
    let wanted = count.unsigned_abs() as usize;
    Ok((if count < 0 { Wanted::Any(wanted) } else { Wanted::Distinct(wanted) }, with_scores))
}

fn zrandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (wanted, with_scores) = parse(args)?;
    let mut rng = cx.keys.random() | 1;
    let zset = cx.keys.look::<Zset>(args.at(1))?;
    let out = &mut *cx.out;
    match (zset, wanted) {
        (None, Wanted::One) => out.null(),
        (None, _) => out.array(0),
        (Some(zset), Wanted::One) => give(zset, below(&mut rng, zset.len()), out, false),
        (Some(zset), Wanted::Distinct(count)) => distinct(zset, count, &mut rng, out, with_scores),
        (Some(zset), Wanted::Any(count)) => any(zset, count, &mut rng, out, with_scores),
    }
    Ok(Outcome::Done)
}

/// A random number below `bound`, nearly even.
fn below(rng: &mut u64, bound: usize) -> usize {
    ((u128::from(xorshift(rng)) * bound as u128) >> 64) as usize
}

/// Replies with the member of a rank.
fn give(zset: &Zset, rank: usize, out: &mut Out, with_scores: bool) {
    zset.walk(rank, 1, false, |member, score| {
        result::member(out, member, score, with_scores);
        true
    });
}

fn distinct(zset: &Zset, count: usize, rng: &mut u64, out: &mut Out, with_scores: bool) {
    let len = zset.len();
    let count = count.min(len);
    result::begin(out, count, with_scores);
    if count == len || zset.as_listpack().is_some() {
        // Each member in turn, as likely as what is still wanted is among what is left.
        let (mut wanted, mut left) = (count, len);
        zset.walk(0, len, false, |member, score| {
            if below(rng, left) < wanted {
                result::member(out, member, score, with_scores);
                wanted -= 1;
            }
            left -= 1;
            wanted > 0
        });
        return;
    }
    // Floyd's sampling: a rank that was drawn already stands for the newest one.
    let mut drawn = BTreeSet::new();
    for newest in len - count..len {
        let rank = below(rng, newest + 1);
        let rank = if drawn.insert(rank) { rank } else { newest };
        drawn.insert(rank);
        give(zset, rank, out, with_scores);
    }
}

fn any(zset: &Zset, count: usize, rng: &mut u64, out: &mut Out, with_scores: bool) {
    result::begin(out, count, with_scores);
    if zset.as_listpack().is_none() {
        return (0..count).for_each(|_| give(zset, below(rng, zset.len()), out, with_scores));
    }
    // A listpack has no way to a rank but the walk: that is done once.
    let mut members = Vec::with_capacity(zset.len());
    zset.walk(0, usize::MAX, false, |member, score| {
        members.push((member.to_vec(), score));
        true
    });
    for _ in 0..count {
        let (member, score) = &members[below(rng, members.len())];
        result::member(out, Element::Str(member), *score, with_scores);
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;
    use std::collections::BTreeSet;

    #[test]
    fn every_member_has_its_chance_in_both_forms() {
        for entries in [0, 128] {
            let mut w = World::new(2);
            w.config.zset_max_listpack_entries = entries;
            (0..20).for_each(|i| drop(w.run(&format!("ZADD z {i} m{i}"))));
            let met: BTreeSet<String> = (0..600).map(|_| w.run("ZRANDMEMBER z")).collect();
            assert_eq!(met.len(), 20);
            for count in [1, 5, 19, 20, 30] {
                let reply = w.run(&format!("ZRANDMEMBER z {count}"));
                let names: Vec<&str> = reply.split("\r\n").filter(|l| l.starts_with('m')).collect();
                assert_eq!(names.len(), count.min(20), "{reply}");
                assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
                let any = w.run(&format!("ZRANDMEMBER z -{count} WITHSCORES"));
                assert!(any.starts_with(&format!("*{}\r\n", count * 2)));
            }
            let firsts: BTreeSet<String> = (0..600).map(|_| w.run("ZRANDMEMBER z 1")).collect();
            assert_eq!(firsts.len(), 20);
        }
    }

    #[test]
    fn replies_and_errors() {
        let mut w = World::new(1);
        w.expect(&[
            ("ZRANDMEMBER none", "$-1\r\n"),
            ("ZRANDMEMBER none 3", "*0\r\n"),
            ("ZADD z 1.5 a", ":1\r\n"),
            ("ZRANDMEMBER z", "$1\r\na\r\n"),
            ("ZRANDMEMBER z 0", "*0\r\n"),
            ("ZRANDMEMBER z 2 WITHSCORES", "*2\r\n$1\r\na\r\n$3\r\n1.5\r\n"),
            ("ZRANDMEMBER z -2", "*2\r\n$1\r\na\r\n$1\r\na\r\n"),
            ("ZRANDMEMBER z 1 x", "-ERR syntax error\r\n"),
            ("ZRANDMEMBER z 1 WITHSCORES x", "-ERR syntax error\r\n"),
            ("ZRANDMEMBER z x", "-ERR value is not an integer or out of range\r\n"),
            ("ZRANDMEMBER z 9223372036854775807 WITHSCORES", "-ERR value is out of range\r\n"),
            ("ZRANDMEMBER z -134217729", "-ERR value is out of range\r\n"),
            ("SET s v", "+OK\r\n"),
            ("ZRANDMEMBER s", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ]);
        w.proto(Proto::Resp3);
        assert_eq!(w.run("ZRANDMEMBER z 1 WITHSCORES"), "*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n");
    }
}
