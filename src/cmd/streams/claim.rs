//! XCLAIM and XAUTOCLAIM: a consumer takes over what others were given.

use super::effects::Told;
use super::ids::{interval_start, strict_id};
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Body, Group, Log, Stream, StreamId};
use crate::resp::{Args, Error, Out};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xclaim",
        full_name: "xclaim",
        arity: -6,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        plan: Plan::Owner,
        run: xclaim,
        summary: "Makes a consumer the owner of entries that are pending in its group.",
        complexity: "O(log N) for each id, with N entries pending",
        syntax: "key:key group:string consumer:string min-idle-time:string id:string ... [IDLE ms:integer] \
                 [TIME unix-time-milliseconds:unix-time] [RETRYCOUNT count:integer] [force=FORCE] \
                 [justid=JUSTID] [LASTID id:string]",
        tips: &["nondeterministic_output"],
        ..BASE
    },
    Command {
        name: "xautoclaim",
        full_name: "xautoclaim",
        arity: -6,
        flags: flag::WRITE | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        plan: Plan::Owner,
        run: xautoclaim,
        summary: "Makes a consumer the owner of entries that nobody has acknowledged for a while.",
        since: "6.2.0",
        complexity: "O(COUNT * log N), with N entries pending",
        syntax: "key:key group:string consumer:string min-idle-time:string start:string [COUNT count:integer] \
                 [justid=JUSTID]",
        tips: &["nondeterministic_output"],
        ..BASE
    },
];

/// XAUTOCLAIM looks at so many entries for each that it may give.
const ATTEMPTS: u64 = 10;
const COUNT_DEFAULT: u64 = 100;
/// The highest COUNT, as Redis bounds it.
const COUNT_MAX: i64 = i64::MAX / 16;

/// Who claims, and how.
struct Claim {
    slot: u32,
    now_ms: i64,
    min_idle_ms: i64,
    delivered_ms: i64,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
}

/// What became of an id.
enum Claimed {
    Yes,
    No,
    /// The entry is gone, and so is what was pending of it.
    Gone,
    /// The entry is gone, and nothing was pending of it.
    Absent,
}

impl Claim {
    /// Claims an entry and writes it.
    fn one(&self, out: &mut Out, log: &Log, group: &mut Group, id: StreamId, told: &mut Told<'_>) -> Claimed {
        let nack = group.nack(id).copied();
        let Some(entry) = log.get(id) else {
            if !group.release(id) {
                return Claimed::Absent;
            }
            told.gone(id);
            return Claimed::Gone;
        };
        let count = match nack {
            None if !self.force => return Claimed::No,
            // One that is made here counts as delivered once.
            None => 1,
            Some(nack) if self.min_idle_ms > self.now_ms.saturating_sub(nack.delivered_ms) => {
                return Claimed::No;
            }
            Some(nack) => nack.count,
        };
        let count = self.retry_count.unwrap_or(count.wrapping_add(u64::from(!self.just_id)));
        group.assign(id, self.slot, self.delivered_ms, count);
        group.served(self.slot, self.now_ms);
        told.given(id, self.delivered_ms, count);
        if self.just_id {
            reply::id(out, id);
        } else {
            reply::entry(out, &entry);
        }
        Claimed::Yes
    }
}

fn idle_ms(text: &[u8], bad: &'static str) -> Result<i64, Error> {
    Ok(parse_i64(text).ok_or(Error::text_of(bad))?.max(0))
}

/// The options of XCLAIM, behind the ids.
#[derive(Default)]
struct Options {
    delivered_ms: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    /// The position of a word that is no option is the error, or the error itself.
    fn parse(args: Args<'_>, from: usize, now_ms: i64) -> Result<Options, Result<usize, Error>> {
        let number = |at: usize, bad: &'static str| parse_i64(args.at(at)).ok_or(Err(Error::text_of(bad)));
        let mut options = Options::default();
        let mut i = from;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "force") {
                options.force = true;
            } else if args.is(i, "justid") {
                options.just_id = true;
            } else if more && args.is(i, "idle") {
                let idle_ms = number(i + 1, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_ms = Some(now_ms.wrapping_sub(idle_ms));
                i += 1;
            } else if more && args.is(i, "time") {
                options.delivered_ms = Some(number(i + 1, "ERR Invalid TIME option argument for XCLAIM")?);
                i += 1;
            } else if more && args.is(i, "retrycount") {
                let count = number(i + 1, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.retry_count = u64::try_from(count).ok();
                i += 1;
            } else if more && args.is(i, "lastid") {
                options.last_id = strict_id(args.at(i + 1), 0).map_err(Err)?;
                i += 1;
            } else {
                return Err(Ok(i));
            }
            i += 1;
        }
        Ok(options)
    }
}

fn xclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, now_ms) = (args.at(1), cx.env.now.ms());
    let mut told = Told::new(cx, name, args.at(2), args.at(3));
    // Redis looks as readers do: a hit or a miss.
    let _ = cx.keys.exists(name);
    let stream = cx.keys.edit::<Stream>(name)?;
    let Some(mut stream) = stream.filter(|stream| stream.groups.get(args.at(2)).is_some()) else {
        reply::no_key_or_group(cx.out, name, args.at(2));
        return Ok(Outcome::Done);
    };
    let min_idle_ms = idle_ms(args.at(4), "ERR Invalid min-idle-time argument for XCLAIM")?;
    // What is no id any more must be an option.
    let ids: Vec<StreamId> = args.from(5).iter().map_while(|text| strict_id(text, 0).ok()).collect();
    let options = match Options::parse(args, 5 + ids.len(), now_ms) {
        Ok(options) => options,
        Err(Err(error)) => return Err(error),
        Err(Ok(at)) => {
            reply::error_quoting(cx.out, &[b"ERR Unrecognized XCLAIM option '", args.at(at), b"'"]);
            return Ok(Outcome::Done);
        }
    };
    let Body { log, groups, .. } = &mut **stream;
    let Some(mut group) = groups.edit(args.at(2)) else { return Err(Error::NoSuchKey) };
    let before = Told::end(&group);
    group.last_id = group.last_id.max(options.last_id);
    let (slot, came) = consumer(&mut group, args.at(3), now_ms, &mut told)?;
    let claim = Claim {
        slot,
        now_ms,
        min_idle_ms,
        // A time that cannot be is taken for now.
        delivered_ms: options.delivered_ms.filter(|ms| (0..=now_ms).contains(ms)).unwrap_or(now_ms),
        retry_count: options.retry_count,
        force: options.force,
        just_id: options.just_id,
    };
    let mark = cx.out.mark();
    let (mut claimed, mut gone) = (0, 0);
    for id in ids {
        match claim.one(cx.out, log, &mut group, id, &mut told) {
            Claimed::Yes => claimed += 1,
            Claimed::Gone => gone += 1,
            Claimed::No | Claimed::Absent => {}
        }
    }
    cx.out.array_since(mark, claimed);
    let after = Told::end(&group);
    drop(group);
    drop(stream);
    told.tell(cx, before, after);
    // As in Redis, LASTID alone is a change too.
    let moved = before != after && claimed as u64 + gone == 0;
    cx.keys.changed_beside(name, claimed as u64 + gone + u64::from(came) + u64::from(moved));
    Ok(Outcome::Done)
}

/// The consumer who claims, made if it is not there, and whether it was made.
fn consumer(group: &mut Group, name: &[u8], now_ms: i64, told: &mut Told<'_>) -> Result<(u32, bool), Error> {
    let found = group.find(name);
    let slot = found.or_else(|| group.create(name, now_ms)).ok_or(Error::NoSuchKey)?;
    group.saw(slot, now_ms);
    if found.is_none() {
        told.came();
    }
    Ok((slot, found.is_none()))
}

fn xautoclaim(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, now_ms) = (args.at(1), cx.env.now.ms());
    // Redis looks as readers do: a hit or a miss.
    let _ = cx.keys.exists(name);
    let min_idle_ms = idle_ms(args.at(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = interval_start(args.at(5))?;
    let (mut count, mut just_id) = (COUNT_DEFAULT, false);
    let mut i = 6;
    while i < args.len() {
        if i + 1 < args.len() && args.is(i, "count") {
            let number = parse_i64(args.at(i + 1)).filter(|n| (1..=COUNT_MAX).contains(n));
            count = number.ok_or(Error::text_of("ERR COUNT must be > 0"))? as u64;
            i += 1;
        } else if args.is(i, "justid") {
            just_id = true;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    let mut told = Told::new(cx, name, args.at(2), args.at(3));
    let stream = cx.keys.edit::<Stream>(name)?;
    let Some(mut stream) = stream.filter(|stream| stream.groups.get(args.at(2)).is_some()) else {
        reply::no_key_or_group(cx.out, name, args.at(2));
        return Ok(Outcome::Done);
    };
    let Body { log, groups, .. } = &mut **stream;
    let Some(mut group) = groups.edit(args.at(2)) else { return Err(Error::NoSuchKey) };
    let before = Told::end(&group);
    let (slot, came) = consumer(&mut group, args.at(3), now_ms, &mut told)?;
    let claim =
        Claim { slot, now_ms, min_idle_ms, delivered_ms: now_ms, retry_count: None, force: false, just_id };
    let changes = claim.from(cx.out, (log, &mut group), start, count, &mut told);
    drop(group);
    drop(stream);
    told.tell(cx, before, before);
    cx.keys.changed_beside(name, changes + u64::from(came));
    Ok(Outcome::Done)
}

impl Claim {
    /// Claims pending entries from an id on, `count` at most, and writes where to go on, the entries, and the ids of those
    /// that are gone. How many changes that were.
    fn from(
        &self,
        out: &mut Out,
        (log, group): (&Log, &mut Group),
        start: StreamId,
        count: u64,
        told: &mut Told<'_>,
    ) -> u64 {
        let (mut left, mut attempts) = (count, count.saturating_mul(ATTEMPTS));
        let (mut claimed, mut gone) = (0, Vec::new());
        let mut from = Some(start);
        let pending =
            |group: &Group, from: Option<StreamId>| group.pending_from(from?).next().map(|(id, _)| id);
        let whole = out.mark();
        while attempts > 0 && left > 0 {
            let Some(id) = pending(group, from) else { break };
            attempts -= 1;
            from = id.next();
            match self.one(out, log, group, id, told) {
                Claimed::Yes => claimed += 1,
                Claimed::Gone => gone.push(id),
                Claimed::No | Claimed::Absent => continue,
            }
            left -= 1;
        }
        out.array_since(whole, claimed);
        let next = pending(group, from).unwrap_or(StreamId::MIN);
        out.bulk_since(whole, next.text(b'-', &mut [0; ID_TEXT_MAX]));
        out.array_since(whole, 3);
        out.array(gone.len());
        gone.iter().for_each(|id| reply::id(out, *id));
        claimed as u64 + gone.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn what_waits_long_enough_changes_hands() {
        let mut w = World::new(2);
        for n in 1..4 {
            w.run(&format!("XADD s {n}-1 a {n}"));
        }
        w.run("XGROUP CREATE s g 0");
        w.run("XREADGROUP GROUP g one COUNT 2 STREAMS s >");
        w.advance_ms(100);
        w.run("XREADGROUP GROUP g one COUNT 1 STREAMS s >");
        w.expect(&[
            ("XCLAIM s g two 50 1-1 3-1 JUSTID", "*1\r\n$3\r\n1-1\r\n"),
            ("XDEL s 2-1", ":1\r\n"),
            ("XAUTOCLAIM s g two 50 0 JUSTID", "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$3\r\n2-1\r\n"),
            (
                "XPENDING s g - + 10",
                "*2\r\n*4\r\n$3\r\n1-1\r\n$3\r\ntwo\r\n:0\r\n:1\r\n*4\r\n$3\r\n3-1\r\n$3\r\none\r\n:0\r\n:1\r\n",
            ),
            ("XCLAIM s g two 0 3-1 IDLE 30 RETRYCOUNT 9", "*1\r\n*2\r\n$3\r\n3-1\r\n*2\r\n$1\r\na\r\n$1\r\n3\r\n"),
            ("XPENDING s g IDLE 10 - + 10 two", "*1\r\n*4\r\n$3\r\n3-1\r\n$3\r\ntwo\r\n:30\r\n:9\r\n"),
            ("XAUTOCLAIM s g one 0 - COUNT 1 JUSTID", "*3\r\n$3\r\n3-1\r\n*1\r\n$3\r\n1-1\r\n*0\r\n"),
        ]);
    }
}
