//! PFADD, PFCOUNT, PFMERGE.

use super::text::{bytes_of, in_place, put_back};
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::put_raw;
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hyperloglog::{
    REGISTERS, Registers, add, add_dense, count, count_registers, invalidate, is_sparse, keep, kept,
    make_dense, merge, new, raise, would_change,
};
use crate::resp::{Args, Error};

/// What rows of this file have in common.
const BASE: Command = Command {
    arity: -2,
    categories: category::HYPERLOGLOG,
    plan: Plan::Keys,
    since: "2.8.9",
    group: "hyperloglog",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "pfadd",
        full_name: "pfadd",
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::INSERT)],
        plan: Plan::Owner,
        run: pfadd,
        summary: "Adds elements to a HyperLogLog, which is made when there is none.",
        complexity: "O(1) an element",
        syntax: "key:key [element:string ...]",
        ..BASE
    },
    Command {
        name: "pfcount",
        full_name: "pfcount",
        flags: flag::READONLY | flag::MAY_REPLICATE,
        keys: &[
            KeySpec::range(1, -1, 1, key::RW | key::ACCESS).with_notes("It may keep the count in the key.")
        ],
        run: pfcount,
        summary: "Estimates how many distinct elements were added to HyperLogLogs.",
        complexity: "O(1) for one key that was counted before; else O(N) for N keys, each some microseconds",
        syntax: "key:key ...",
        ..BASE
    },
    Command {
        name: "pfmerge",
        full_name: "pfmerge",
        flags: flag::WRITE | flag::DENYOOM,
        keys: &[
            KeySpec::one(1, key::RW | key::ACCESS | key::INSERT),
            KeySpec::range(2, -1, 1, key::RO | key::ACCESS),
        ],
        run: pfmerge,
        summary: "Adds what several HyperLogLogs have seen to another.",
        complexity: "O(N) for N keys, each some microseconds",
        syntax: "destkey:key [sourcekey:key ...]",
        ..BASE
    },
];

fn sparse_max(cx: &Cx<'_>) -> usize {
    cx.env.config.hll_sparse_max_bytes as usize
}

fn pfadd(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, elements) = (args.at(1), args.from(2));
    let sparse_max = sparse_max(cx);
    let mut changes = 0;
    match cx.keys.write(name) {
        None => {
            let mut text = new();
            changes += 1;
            for element in elements.iter() {
                changes += add(&mut text, element, sparse_max)? as usize;
            }
            invalidate(&mut text);
            put_raw(&mut cx.keys, name, text);
        }
        Some(entry) => {
            let text = bytes_of(entry.view())?;
            if !is_sparse(text) {
                in_place(entry, |text| {
                    changes = elements.iter().filter(|element| add_dense(text, element)).count();
                    if changes > 0 {
                        invalidate(text);
                    }
                });
            } else if any_change(text, elements)? {
                let mut text = text.to_vec();
                for element in elements.iter() {
                    changes += add(&mut text, element, sparse_max)? as usize;
                }
                invalidate(&mut text);
                put_back(&mut cx.keys, name, text);
            } else {
                in_place(entry, |_| {});
            }
        }
    }
    if changes > 0 {
        cx.keys.changed(name);
        cx.keys.store_of(name).dirty += changes as u64 - 1;
    }
    cx.out.int((changes > 0) as i64);
    Ok(Outcome::Done)
}

fn any_change(text: &[u8], elements: Args<'_>) -> Result<bool, Error> {
    for element in elements.iter() {
        if would_change(text, element)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn pfcount(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let total = match args.len() {
        2 => count_one(cx, args.at(1))?,
        _ => {
            let mut all = Box::new([0; REGISTERS]);
            merge_all(cx, args.from(1), &mut all)?;
            count_registers(&all)
        }
    };
    cx.out.int(total as i64);
    Ok(Outcome::Done)
}

/// One key's cardinality, which is kept in it.
fn count_one(cx: &mut Cx<'_>, name: &[u8]) -> Result<u64, Error> {
    let Some(entry) = cx.keys.read(name) else { return Ok(0) };
    let text = bytes_of(entry.view())?;
    let before = kept(text);
    let total = before.map_or_else(|| count(text), Ok)?;
    // The use was noted above.
    let touch = std::mem::replace(&mut cx.keys.touch, false);
    if let Some(entry) = cx.keys.write(name) {
        in_place(entry, |text| {
            if before.is_none() {
                keep(text, total);
            }
        });
    }
    cx.keys.touch = touch;
    if before.is_none() {
        // What is kept is part of the string, so this is a write.
        cx.keys.changed(name);
    }
    Ok(total)
}

/// Merges all keys into registers; whether one of them was dense.
fn merge_all(cx: &mut Cx<'_>, names: Args<'_>, into: &mut Registers) -> Result<bool, Error> {
    let mut dense = false;
    for name in names.iter() {
        if let Some(entry) = cx.keys.read(name) {
            let text = bytes_of(entry.view())?;
            dense |= !is_sparse(text);
            merge(into, text)?;
        }
    }
    Ok(dense)
}

fn pfmerge(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let sparse_max = sparse_max(cx);
    let mut all = Box::new([0; REGISTERS]);
    let dense = merge_all(cx, args.from(1), &mut all)?;
    let target = match cx.keys.write(name) {
        Some(entry) => Some(bytes_of(entry.view())?.to_vec()),
        None => None,
    };
    let is_new = target.is_none();
    let mut text = target.unwrap_or_else(new);
    if dense {
        make_dense(&mut text)?;
    }
    for (index, value) in all.iter().enumerate().filter(|(_, value)| **value > 0) {
        raise(&mut text, index, *value, sparse_max)?;
    }
    invalidate(&mut text);
    if is_new {
        put_raw(&mut cx.keys, name, text);
    } else {
        put_back(&mut cx.keys, name, text);
    }
    cx.keys.changed(name);
    cx.out.ok();
    Ok(Outcome::Done)
}
