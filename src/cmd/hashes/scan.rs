//! HSCAN. A listpack comes whole in one call; the cursor of a table is its own (see `ds/table/walk.rs`).

use super::lookup::{due, reply_name, text};
use crate::base::glob;
use crate::base::number::{parse_i64, parse_u64};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::hash::Hash;
use crate::resp::{Args, Error, Out};

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "hscan",
    full_name: "hscan",
    arity: -3,
    flags: flag::READONLY,
    categories: category::HASH,
    keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
    plan: Plan::Owner,
    run: hscan,
    summary: "Walks over the fields of a hash in small steps.",
    since: "2.8.0",
    group: "hash",
    complexity: "O(1) a call; O(N) for a whole walk over N fields.",
    syntax: "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [novalues=NOVALUES@7.4.0]",
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// How many fields a call looks at, unless COUNT says otherwise.
const SCAN_COUNT: u64 = 10;
/// The places of a table that a call looks at for each field it was asked for: a sparse one ends a call, too.
const SCAN_PLACES: u64 = 10;

/// What HSCAN was asked for.
struct Wish<'a> {
    pattern: Option<&'a [u8]>,
    count: u64,
    values: bool,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>) -> Result<Wish<'a>, Error> {
        let mut wish = Wish { pattern: None, count: SCAN_COUNT, values: true };
        let mut i = 3;
        while i < args.len() {
            if args.is(i, "novalues") {
                wish.values = false;
                i += 1;
                continue;
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
            i += 2;
        }
        Ok(wish)
    }
}

fn hscan(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut cursor = parse_u64(args.at(2)).ok_or(Error::InvalidCursor)?;
    let now_ms = cx.keys.now.ms();
    let Some(hash) = cx.keys.look::<Hash>(args.at(1))? else {
        // As in Redis, nobody looks at the options then.
        cx.out.array(2);
        cx.out.bulk(b"0");
        cx.out.array(0);
        return Ok(Outcome::Done);
    };
    let wish = Wish::parse(args)?;
    let mut replies = Out::with_buffer(Vec::new(), cx.out.proto());
    let (mut seen, mut found, mut places) = (0, 0, wish.count.saturating_mul(SCAN_PLACES));
    loop {
        cursor = hash.scan(cursor, &mut |field| {
            seen += 1;
            let matches = |pattern: &[u8]| field.name.with(|name| glob::matches(pattern, name, false));
            if due(field.expire_at, now_ms) || !wish.pattern.is_none_or(matches) {
                return;
            }
            found += 1;
            reply_name(&mut replies, &field);
            if wish.values {
                text(&field.value).reply(&mut replies);
            }
        });
        places -= 1;
        if cursor == 0 || seen >= wish.count || places == 0 {
            break;
        }
    }
    cx.out.array(2);
    cx.out.bulk(cursor.to_string().as_bytes());
    cx.out.array(if wish.values { found * 2 } else { found });
    cx.out.append(&mut replies);
    Ok(Outcome::Done)
}
