//! Members by their names: SADD, SREM, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SMOVE.

use super::frame::{changed, limits, reply};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::set::Set;
use crate::resp::Args;

/// What rows of sets have in common.
const BASE: Command = Command { categories: category::SET, plan: Plan::Owner, group: "set", ..Command::BASE };

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "sadd",
        full_name: "sadd",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::INSERT)],
        run: sadd,
        summary: "Adds members to a set, which is made when there is none.",
        complexity: "O(1) a member",
        syntax: "key:key member:string ...",
        ..BASE
    },
    Command {
        name: "srem",
        full_name: "srem",
        arity: -3,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        run: srem,
        summary: "Removes members from a set, and the set with its last one.",
        complexity: "O(1) a member",
        syntax: "key:key member:string ...",
        ..BASE
    },
    Command {
        name: "sismember",
        full_name: "sismember",
        arity: 3,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::one(1, key::RO)],
        run: sismember,
        summary: "Says whether a string is a member of a set.",
        syntax: "key:key member:string",
        ..BASE
    },
    Command {
        name: "smismember",
        full_name: "smismember",
        arity: -3,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        run: smismember,
        summary: "Says of several strings whether each is a member of a set.",
        since: "6.2.0",
        complexity: "O(1) a string",
        syntax: "key:key member:string ...",
        ..BASE
    },
    Command {
        name: "scard",
        full_name: "scard",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        keys: &[KeySpec::one(1, key::RO)],
        run: scard,
        summary: "Counts the members of a set.",
        syntax: "key:key",
        ..BASE
    },
    Command {
        name: "smembers",
        full_name: "smembers",
        arity: 2,
        flags: flag::READONLY | flag::HEAVY,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        run: smembers,
        summary: "Gives all members of a set.",
        complexity: "O(N) for N members",
        syntax: "key:key",
        tips: &["nondeterministic_output_order"],
        ..BASE
    },
    Command {
        name: "smove",
        full_name: "smove",
        arity: 4,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE), KeySpec::one(2, key::RW | key::INSERT)],
        plan: Plan::Keys,
        run: smove,
        summary: "Takes a member out of one set and puts it into another.",
        syntax: "source:key destination:key member:string",
        ..BASE
    },
];

fn sadd(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, members) = (args.at(1), args.from(2));
    let limits = limits(cx);
    let mut set = cx.keys.edit_or(name, || Set::new(members.at(0), members.len(), &limits))?;
    set.expect(members.len(), &limits);
    let added = members.iter().filter(|member| set.add_text(member, &limits)).count();
    drop(set);
    changed(&mut cx.keys, name, added);
    cx.out.int(added as i64);
    Ok(Outcome::Done)
}

fn srem(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let Some(mut set) = cx.keys.edit::<Set>(name)? else {
        cx.out.int(0);
        return Ok(Outcome::Done);
    };
    let removed = args.from(2).iter().filter(|member| set.remove_text(member)).count();
    set.sweep();
    changed(&mut cx.keys, name, removed);
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

fn sismember(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let found = cx.keys.look::<Set>(args.at(1))?.is_some_and(|set| set.contains_text(args.at(2)));
    cx.out.int(found as i64);
    Ok(Outcome::Done)
}

fn smismember(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let set = cx.keys.look::<Set>(args.at(1))?;
    let members = args.from(2);
    cx.out.array(members.len());
    for member in members.iter() {
        cx.out.int(set.is_some_and(|set| set.contains_text(member)) as i64);
    }
    Ok(Outcome::Done)
}

fn scard(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let len = cx.keys.look::<Set>(args.at(1))?.map_or(0, Set::len);
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

fn smembers(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let Some(set) = cx.keys.look::<Set>(args.at(1))? else {
        cx.out.set(0);
        return Ok(Outcome::Done);
    };
    cx.out.set(set.len());
    set.each(|member| {
        reply(member, cx.out);
        true
    });
    Ok(Outcome::Done)
}

fn smove(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    let limits = limits(cx);
    if cx.keys.edit::<Set>(from)?.is_none() {
        cx.out.int(0);
        return Ok(Outcome::Done);
    }
    cx.keys.edit::<Set>(to)?;
    let Some(mut source) = cx.keys.edit::<Set>(from)? else { unreachable!("it was there") };
    if from == to || !source.contains_text(member) {
        cx.out.int(source.contains_text(member) as i64);
        return Ok(Outcome::Done);
    }
    source.remove_text(member);
    source.sweep();
    cx.keys.changed(from);
    let mut target = cx.keys.edit_or(to, || Set::new(member, 1, &limits))?;
    let added = target.add_text(member, &limits);
    drop(target);
    changed(&mut cx.keys, to, added as usize);
    if !cx.keys.share_store(from, to) {
        cx.keys.effect(from, &[b"SREM", from, member]);
        if added {
            cx.keys.effect(to, &[b"SADD", to, member]);
        }
    }
    cx.out.int(1);
    Ok(Outcome::Done)
}
