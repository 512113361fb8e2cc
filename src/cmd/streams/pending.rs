//! XACK and XPENDING: what a group's consumers were given and have not acknowledged.

use super::edit::ids;
use super::ids::{interval_end, interval_start};
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::{Group, Nack, Stream, StreamId};
use crate::resp::{Args, Error, Out};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xack",
        full_name: "xack",
        arity: -4,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        plan: Plan::Owner,
        run: xack,
        summary: "Acknowledges entries that a group was given.",
        complexity: "O(log N) for each id, with N entries pending",
        syntax: "key:key group:string id:string ...",
        ..BASE
    },
    Command {
        name: "xpending",
        full_name: "xpending",
        arity: -3,
        flags: flag::READONLY,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: xpending,
        summary: "Tells which entries of a group are not acknowledged.",
        complexity: "O(log M + N) with M entries pending and N looked at; without a range O(consumers)",
        syntax: "key:key group:string [filters:([IDLE min-idle-time:integer@6.2.0] start:string end:string \
                 count:integer [consumer:string])]",
        tips: &["nondeterministic_output"],
        ..BASE
    },
];

fn xack(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let mut acknowledged = 0;
    // Redis looks as readers do: a hit or a miss.
    let _ = cx.keys.exists(name);
    if let Some(mut stream) = cx.keys.edit::<Stream>(name)?
        && let Some(mut group) = stream.groups.edit(args.at(2))
    {
        let ids = ids(args.from(3))?;
        acknowledged = ids.into_iter().filter(|id| group.release(*id)).count();
    }
    cx.keys.changed_beside(name, acknowledged as u64);
    cx.out.int(acknowledged as i64);
    Ok(Outcome::Done)
}

/// The long form of XPENDING.
struct Filter<'a> {
    idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: u64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Filter<'a>, Error> {
        let (mut at, mut idle_ms) = (3, 0);
        if args.is(3, "idle") {
            idle_ms = parse_i64(args.at(4)).ok_or(Error::NotInteger)?;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            at = 5;
        }
        let count = parse_i64(args.at(at + 2)).ok_or(Error::NotInteger)?;
        Ok(Filter {
            idle_ms,
            start: interval_start(args.at(at))?,
            end: interval_end(args.at(at + 1))?,
            count: u64::try_from(count).unwrap_or(0),
            consumer: args.get(at + 3),
        })
    }
}

fn xpending(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let filter = match args.len() {
        3 => None,
        6..=9 => Some(Filter::parse(args)?),
        _ => return Err(Error::Syntax),
    };
    let now_ms = cx.env.now.ms();
    let stream = cx.keys.look::<Stream>(args.at(1))?;
    let Some(group) = stream.and_then(|stream| stream.groups.get(args.at(2))) else {
        reply::no_key_or_group(cx.out, args.at(1), args.at(2));
        return Ok(Outcome::Done);
    };
    match filter {
        None => summary(cx.out, group),
        Some(filter) => list(cx.out, group, &filter, now_ms),
    }
    Ok(Outcome::Done)
}

fn summary(out: &mut Out, group: &Group) {
    out.array(4);
    out.int(group.pending() as i64);
    let Some((first, last)) = group.pending_edges() else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    reply::id(out, first);
    reply::id(out, last);
    let mark = out.mark();
    let mut busy = 0;
    for consumer in group.consumers().filter(|consumer| consumer.pending() > 0) {
        out.array(2);
        out.bulk(consumer.name());
        out.bulk_int(consumer.pending() as i64);
        busy += 1;
    }
    out.array_since(mark, busy);
}

fn list(out: &mut Out, group: &Group, filter: &Filter<'_>, now_ms: i64) {
    match filter.consumer {
        None => tell(out, group, filter, now_ms, group.pending_from(filter.start)),
        Some(name) => {
            let consumer = group.find(name).map(|slot| group.consumer(slot));
            let ids = consumer.into_iter().flat_map(|c| c.pending_from(filter.start));
            let own = ids.filter_map(|(id, ())| group.nack(id).map(|nack| (id, nack)));
            tell(out, group, filter, now_ms, own);
        }
    }
}

fn tell<'a>(
    out: &mut Out,
    group: &Group,
    filter: &Filter<'_>,
    now_ms: i64,
    pending: impl Iterator<Item = (StreamId, &'a Nack)>,
) {
    let mark = out.mark();
    let found = pending
        .take_while(|(id, _)| *id <= filter.end)
        .map(|(id, nack)| (id, nack, now_ms.saturating_sub(nack.delivered_ms)))
        .filter(|(.., idle_ms)| filter.idle_ms == 0 || *idle_ms >= filter.idle_ms)
        .take(filter.count as usize);
    let mut told = 0;
    for (id, nack, idle_ms) in found {
        out.array(4);
        reply::id(out, id);
        out.bulk(group.owner(nack).name());
        out.int(idle_ms.max(0));
        out.int(nack.count as i64);
        told += 1;
    }
    out.array_since(mark, told);
}
