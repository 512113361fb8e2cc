//! SSCAN. A small set comes whole in one call; the cursor of a table is its own (see `ds/table/walk.rs`).

use super::frame::reply;
use crate::base::glob;
use crate::base::number::{parse_i64, parse_u64};
use crate::cmd::keyspace::iteration::NOVALUES;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::set::Set;
use crate::resp::{Args, Error, Out};

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "sscan",
    full_name: "sscan",
    arity: -3,
    flags: flag::READONLY,
    categories: category::SET,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: sscan,
    summary: "Walks over the members of a set in small steps.",
    since: "2.8.0",
    group: "set",
    complexity: "O(1) a call; O(N) for a whole walk over N members.",
    syntax: "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// How many members a call looks at, unless COUNT says otherwise.
const SCAN_COUNT: u64 = 10;
/// The places of a table that a call looks at for each member it was asked for: a sparse one ends a call, too.
const SCAN_PLACES: u64 = 10;

/// The pattern and the count that SSCAN was asked for.
fn wish(args: Args<'_>) -> Result<(Option<&[u8]>, u64), Error> {
    let (mut pattern, mut wanted) = (None, SCAN_COUNT);
    for i in (3..args.len()).step_by(2) {
        if args.is(i, "novalues") {
            return Err(Error::text_of(NOVALUES));
        }
        let value = args.get(i + 1).ok_or(Error::Syntax)?;
        if args.is(i, "count") {
            let count = parse_i64(value).ok_or(Error::NotInteger)?;
            wanted = u64::try_from(count).ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
        } else if args.is(i, "match") {
            pattern = Some(value).filter(|pattern| *pattern != b"*");
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok((pattern, wanted))
}

fn sscan(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut cursor = parse_u64(args.at(2)).ok_or(Error::InvalidCursor)?;
    let mut replies = Out::with_buffer(Vec::new(), cx.out.proto());
    let mut found = 0;
    // As in Redis, nobody looks at the options of a walk over nothing.
    match cx.keys.look::<Set>(args.at(1))? {
        None => cursor = 0,
        Some(set) => {
            let (pattern, wanted) = wish(args)?;
            let (mut seen, mut places) = (0, wanted.saturating_mul(SCAN_PLACES));
            loop {
                cursor = set.scan(cursor, &mut |member| {
                    seen += 1;
                    if pattern.is_none_or(|pattern| member.with(|text| glob::matches(pattern, text, false))) {
                        reply(member, &mut replies);
                        found += 1;
                    }
                });
                places -= 1;
                if cursor == 0 || seen >= wanted || places == 0 {
                    break;
                }
            }
        }
    }
    cx.out.array(2);
    cx.out.bulk(cursor.to_string().as_bytes());
    cx.out.array(found);
    cx.out.append(&mut replies);
    Ok(Outcome::Done)
}
