//! HRANDFIELD. Fields past their time are removed first, so that none of them is drawn.

use super::lookup::{due, reply_name, text};
use crate::base::number::parse_i64;
use crate::base::prng::xorshift;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::View;
use crate::ds::hash::{Field, Hash};
use crate::resp::{Args, Error, Out};
use std::collections::HashSet;

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "hrandfield",
    full_name: "hrandfield",
    arity: -2,
    flags: flag::READONLY | flag::HEAVY,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: hrandfield,
    summary: "Gives fields at random, with their values if asked.",
    since: "6.2.0",
    group: "hash",
    complexity: "O(N) for N fields asked for.",
    syntax: "key:key [options:(count:integer [withvalues=WITHVALUES])]",
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// The most draws of one call: a reply of more would not fit into memory anyway.
const DRAWS_MAX: u64 = 1 << 28;
/// A table is drawn from at random while it has this many times the fields that are wanted; else it is thinned out.
const DRAW_BELOW: usize = 3;

/// What was asked for.
struct Wish {
    count: u64,
    /// The same field may come several times.
    repeats: bool,
    values: bool,
}

impl Wish {
    /// None: a single field, not in an array.
    fn parse(args: Args<'_>) -> Result<Option<Wish>, Error> {
        let Some(count) = args.get(2) else { return Ok(None) };
        let count = parse_i64(count).ok_or(Error::NotInteger)?;
        if count == i64::MIN {
            return Err(Error::text_of(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        let values = args.len() > 3;
        if values && (args.len() > 4 || !args.is(3, "withvalues")) {
            return Err(Error::Syntax);
        }
        let wish = Wish { count: count.unsigned_abs(), repeats: count < 0, values };
        if values && wish.count > i64::MAX as u64 / 2 || wish.repeats && wish.count > DRAWS_MAX {
            return Err(Error::text_of("ERR value is out of range"));
        }
        Ok(Some(wish))
    }
}

fn hrandfield(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wish = Wish::parse(args)?;
    let key = args.at(1);
    remove_due(cx, key)?;
    let mut state = cx.keys.random() | 1;
    let mut rng = || xorshift(&mut state);
    let hash = cx.keys.look::<Hash>(key)?;
    match (hash, wish) {
        (None, None) => cx.out.null(),
        (None, Some(_)) => cx.out.array(0),
        (Some(hash), None) => match hash.random(&mut rng) {
            Some(field) => reply_name(cx.out, &field),
            None => cx.out.null(),
        },
        (Some(hash), Some(wish)) => draw(cx.out, hash, &wish, &mut rng),
    }
    Ok(Outcome::Done)
}

/// Removes all fields whose time has come.
fn remove_due(cx: &mut Cx<'_>, key: &[u8]) -> Result<(), Error> {
    let now_ms = cx.keys.now.ms();
    let earliest = cx.keys.peek(key).and_then(|entry| match entry.view() {
        View::Boxed(value) => value.min_expire(),
        View::Int(_) | View::Bytes(_) => None,
    });
    if !due(earliest, now_ms) {
        return Ok(());
    }
    let Some(mut hash) = cx.keys.edit::<Hash>(key)? else { return Ok(()) };
    let mut gone: Vec<Vec<u8>> = Vec::new();
    // A table that shrinks on the way moves fields, so one walk may miss some; one that removes none has missed none.
    loop {
        let (_, removed) = hash.expire_slice(now_ms, usize::MAX, &mut |field| gone.push(field.to_vec()));
        if removed == 0 {
            break;
        }
    }
    hash.sweep();
    cx.keys.fields_gone(key, &gone);
    Ok(())
}

fn draw(out: &mut Out, hash: &Hash, wish: &Wish, rng: &mut dyn FnMut() -> u64) {
    let wanted = usize::try_from(wish.count).unwrap_or(usize::MAX);
    if wish.repeats || wanted == 1 {
        head(out, wanted, wish);
        return draw_with_repeats(out, hash, wanted, wish, rng);
    }
    let count = wanted.min(hash.len());
    head(out, count, wish);
    if count == hash.len() {
        hash.for_each(&mut |field| reply(out, field, wish));
    } else if count.saturating_mul(DRAW_BELOW) > hash.len() || !is_table(hash) {
        thin_out(out, hash, count, wish, rng);
    } else {
        let mut drawn = HashSet::with_capacity(count);
        while drawn.len() < count {
            let Some(field) = hash.random(rng) else { return };
            if drawn.insert(field.name.to_vec()) {
                reply(out, field, wish);
            }
        }
    }
}

fn is_table(hash: &Hash) -> bool {
    hash.as_pairs().is_none() && hash.as_triples().is_none()
}

fn draw_with_repeats(out: &mut Out, hash: &Hash, count: usize, wish: &Wish, rng: &mut dyn FnMut() -> u64) {
    if is_table(hash) {
        for _ in 0..count {
            if let Some(field) = hash.random(rng) {
                reply(out, field, wish);
            }
        }
        return;
    }
    // The way to the nth field of a listpack is long: it is gone once.
    let fields: Vec<Field<'_>> = hash.iter().collect();
    for _ in 0..count {
        let nth = rng() % fields.len() as u64;
        reply_ref(out, &fields[nth as usize], wish);
    }
}

/// Goes through all fields and leaves out the surplus at random (Knuth's selection sampling).
fn thin_out(out: &mut Out, hash: &Hash, count: usize, wish: &Wish, rng: &mut dyn FnMut() -> u64) {
    let (mut left, mut wanted) = (hash.len() as u64, count as u64);
    hash.for_each(&mut |field| {
        if rng() % left < wanted {
            reply(out, field, wish);
            wanted -= 1;
        }
        left -= 1;
    });
}

fn head(out: &mut Out, fields: usize, wish: &Wish) {
    let flat = wish.values && !out.resp3();
    out.array(if flat { fields * 2 } else { fields });
}

fn reply(out: &mut Out, field: Field<'_>, wish: &Wish) {
    reply_ref(out, &field, wish);
}

fn reply_ref(out: &mut Out, field: &Field<'_>, wish: &Wish) {
    if wish.values && out.resp3() {
        out.array(2);
    }
    reply_name(out, field);
    if wish.values {
        text(&field.value).reply(out);
    }
}
