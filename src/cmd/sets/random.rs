//! Members at random: SPOP, SRANDMEMBER.
//!
//! SPOP first chooses, then removes by name: what it did can be told as an SREM, whatever the dice said.

use super::frame::{changed, reply};
use crate::base::number::parse_i64;
use crate::base::prng::{seeded, xorshift};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::set::{Member, Set};
use crate::resp::{Args, Error};
use ahash::RandomState;
use std::collections::HashSet;

/// What rows of this file have in common.
const BASE: Command = Command {
    arity: -2,
    categories: category::SET,
    plan: Plan::Owner,
    group: "set",
    complexity: "O(N), N being the count; O(1) without it",
    tips: &["nondeterministic_output"],
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "spop",
        full_name: "spop",
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE)],
        run: spop,
        summary: "Takes members out of a set at random.",
        syntax: "key:key [count:integer@3.2.0]",
        ..BASE
    },
    Command {
        name: "srandmember",
        full_name: "srandmember",
        flags: flag::READONLY | flag::HEAVY,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        run: srandmember,
        summary: "Gives members of a set at random: distinct ones, or for a negative count any.",
        syntax: "key:key [count:integer@2.6.0]",
        ..BASE
    },
];

/// The most members that one call gives with repetitions: a bound for the reply, far above any use.
const PICKS_MAX: u64 = 1 << 27;
/// From this part of a table on (one in so many), drawing until enough are distinct costs more than shuffling all.
const SHUFFLE_FROM: usize = 3;

/// Dice for one call: the set and the keyspace's own generator cannot be held at once.
fn dice(cx: &mut Cx<'_>) -> impl FnMut() -> u64 + use<> {
    let mut state = seeded(cx.keys.random());
    move || xorshift(&mut state)
}

/// `count` distinct members of a set that has more.
fn choose<'a>(set: &'a Set, count: usize, mut dice: impl FnMut() -> u64) -> Vec<Member<'a>> {
    let mut chosen = Vec::with_capacity(count);
    if set.is_table() && count < set.len() / SHUFFLE_FROM {
        let mut seen = HashSet::with_capacity_and_hasher(count, RandomState::with_seeds(1, 2, 3, 4));
        while chosen.len() < count {
            let Some(member) = set.random(&mut dice) else { break };
            if member.with(|text| seen.insert(text.to_vec())) {
                chosen.push(member);
            }
        }
        return chosen;
    }
    set.each(|member| {
        chosen.push(member);
        true
    });
    for i in 0..count {
        let other = i + (dice() % (chosen.len() - i) as u64) as usize;
        chosen.swap(i, other);
    }
    chosen.truncate(count);
    chosen
}

fn spop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match args.len() {
        2 => spop_one(cx, args.at(1)),
        3 => spop_count(cx, args),
        _ => Err(Error::Syntax),
    }
}

fn spop_one(cx: &mut Cx<'_>, name: &[u8]) -> Done {
    let dice = dice(cx);
    let Some(mut set) = cx.keys.edit::<Set>(name)? else {
        cx.out.null();
        return Ok(Outcome::Done);
    };
    let member = set.random(dice).map(|member| member.to_vec()).unwrap_or_default();
    cx.out.bulk(&member);
    set.remove_text(&member);
    set.sweep();
    cx.keys.changed(name);
    cx.keys.effect(name, &[b"SREM", name, &member]);
    Ok(Outcome::Done)
}

fn spop_count(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let count = parse_i64(args.at(2)).and_then(|n| usize::try_from(n).ok()).ok_or(Error::NegativeValue)?;
    let name = args.at(1);
    let dice = dice(cx);
    let Some(mut set) = cx.keys.edit::<Set>(name)?.filter(|_| count > 0) else {
        cx.out.set(0);
        return Ok(Outcome::Done);
    };
    let len = set.len();
    cx.out.set(count.min(len));
    if count >= len {
        set.each(|member| {
            reply(member, cx.out);
            true
        });
        drop(set);
        // Redis gives a whole set by way of its union, which is a hit.
        let _ = cx.keys.exists(name);
        // By way of the key, so that a large set is freed where it delays nobody.
        cx.keys.delete(name);
        changed(&mut cx.keys, name, len);
        cx.keys.effect(name, &[b"DEL", name]);
        return Ok(Outcome::Done);
    }
    let chosen: Vec<Vec<u8>> = choose(&set, count, dice).iter().map(|member| member.to_vec()).collect();
    for member in &chosen {
        cx.out.bulk(member);
        set.remove_text(member);
    }
    drop(set);
    changed(&mut cx.keys, name, count);
    if cx.keys.logs(name) {
        let words: Vec<&[u8]> = [b"SREM", name].into_iter().chain(chosen.iter().map(Vec::as_slice)).collect();
        cx.keys.effect(name, &words);
    }
    Ok(Outcome::Done)
}

/// SRANDMEMBER's count: how many, and whether they may repeat.
fn count_of(text: &[u8]) -> Result<(u64, bool), Error> {
    let count = parse_i64(text).ok_or(Error::NotInteger)?;
    if count == i64::MIN {
        return Err(Error::text_of(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    if count < 0 && count.unsigned_abs() > PICKS_MAX {
        return Err(Error::text_of("ERR value is out of range"));
    }
    Ok((count.unsigned_abs(), count < 0))
}

fn srandmember(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let counted = match args.len() {
        2 => None,
        3 => Some(count_of(args.at(2))?),
        _ => return Err(Error::Syntax),
    };
    let mut dice = dice(cx);
    let set = cx.keys.look::<Set>(args.at(1))?;
    let (set, count, repeats) = match (set, counted) {
        (None, None) => {
            cx.out.null();
            return Ok(Outcome::Done);
        }
        (None, Some(_)) | (_, Some((0, _))) => {
            cx.out.array(0);
            return Ok(Outcome::Done);
        }
        (Some(set), None) => {
            set.random(dice).into_iter().for_each(|member| reply(member, cx.out));
            return Ok(Outcome::Done);
        }
        (Some(set), Some((count, repeats))) => (set, usize::try_from(count).unwrap_or(usize::MAX), repeats),
    };
    if repeats {
        cx.out.array(count);
        for _ in 0..count {
            set.random(&mut dice).into_iter().for_each(|member| reply(member, cx.out));
        }
    } else if count >= set.len() {
        cx.out.array(set.len());
        set.each(|member| {
            reply(member, cx.out);
            true
        });
    } else {
        cx.out.array(count);
        choose(set, count, dice).into_iter().for_each(|member| reply(member, cx.out));
    }
    Ok(Outcome::Done)
}
