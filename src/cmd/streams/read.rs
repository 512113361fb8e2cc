//! XREAD and XREADGROUP: what is new in several streams, and what a consumer was given before.
//!
//! With BLOCK they wait when there is nothing. What `$` and `+` stand for is settled when the call first runs. Who waits in
//! a group is run again at any change of its keys, since a key or a group that goes is an error to it.

use super::effects::Told;
use super::ids::strict_id;
use super::{BASE, reply};
use crate::base::number::parse_i64;
use crate::base::time::Now;
use crate::cmd::block::{Block, timeout_ms};
use crate::cmd::row::{Begin, Find, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan, Where};
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Body, Group, Log, Stream, StreamId};
use crate::resp::{Args, Error, Out};
use crate::store::{Kind, Route, Saved, ShardSet, Wake};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xread",
        full_name: "xread",
        arity: -4,
        flags: flag::READONLY | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[KeySpec { begin: Begin::Keyword { word: "STREAMS", from: 1 }, ..STREAMS }],
        plan: Plan::By(shards_of_streams),
        run: xread,
        summary: "Gives the entries of several streams behind an id of each, and waits for some if it shall.",
        complexity: "O(log M + N) for each stream, with M entries in it and N in the reply",
        syntax: "[COUNT count:integer] [BLOCK milliseconds:integer] STREAMS streams:(key:key ... id:string ...)",
        ..BASE
    },
    Command {
        name: "xreadgroup",
        full_name: "xreadgroup",
        arity: -7,
        flags: flag::WRITE | flag::BLOCKING | flag::MOVABLEKEYS,
        keys: &[KeySpec { begin: Begin::Keyword { word: "STREAMS", from: 4 }, ..STREAMS }],
        plan: Plan::By(shards_of_streams),
        run: xreadgroup,
        summary: "Gives a consumer what its group has not read of several streams, or what it was given before.",
        complexity: "O(log M + N) for each stream, with M entries in it or in the group's list and N in the reply",
        syntax: "GROUP group_consumer:(group:string consumer:string) [COUNT count:integer] \
                 [BLOCK milliseconds:integer] [noack=NOACK] STREAMS streams:(key:key ... id:string ...)",
        ..BASE
    },
];

const STREAMS: KeySpec = KeySpec {
    begin: Begin::Index(0),
    find: Find::Range { last: -1, step: 1, limit: 2 },
    flags: key::RO | key::ACCESS,
    notes: "",
};

const GROUP_IN_XREAD: &str =
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
const NOACK_IN_XREAD: &str =
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
const NO_GROUP_OPTION: &str = "ERR Missing GROUP option for XREADGROUP";
const NEW_IN_XREAD: &str =
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";
const LAST_IN_GROUP: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
     this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty \
     result set.";
const NEWEST_IN_GROUP: &str = "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history \
     of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an \
     empty result set.";

/// A call's arguments.
struct Call<'a> {
    /// Entries of each stream at most; 0: all.
    count: u64,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// How long to wait if there is nothing, in milliseconds (`None`: for ever), if at all.
    block: Option<Option<u64>>,
    /// Keys, then as many ids.
    streams: Args<'a>,
}

impl<'a> Call<'a> {
    fn parse(args: Args<'a>, in_group: bool, now: Now) -> Result<Call<'a>, Error> {
        let streams = args.from(args.len());
        let mut call = Call { count: 0, group: None, no_ack: false, block: None, streams };
        let mut i = 1;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if more > 0 && args.is(i, "block") {
                call.block = Some(timeout_ms(args.at(i + 1), now)?);
                i += 1;
            } else if more > 0 && args.is(i, "count") {
                let count = parse_i64(args.at(i + 1)).ok_or(Error::NotInteger)?;
                call.count = u64::try_from(count).unwrap_or(0);
                i += 1;
            } else if more > 0 && args.is(i, "streams") {
                call.streams = args.from(i + 1);
                break;
            } else if more > 1 && args.is(i, "group") {
                if !in_group {
                    return Err(Error::text_of(GROUP_IN_XREAD));
                }
                call.group = Some((args.at(i + 1), args.at(i + 2)));
                i += 2;
            } else if args.is(i, "noack") {
                if !in_group {
                    return Err(Error::text_of(NOACK_IN_XREAD));
                }
                call.no_ack = true;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if call.streams.is_empty() {
            return Err(Error::Syntax);
        }
        if !call.streams.len().is_multiple_of(2) {
            let (name, id) =
                if in_group { ("xreadgroup", "ID or '>'") } else { ("xread", "ID, '+', or '$'") };
            return Err(Error::text_of(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an {id} must be specified."
            )));
        }
        if in_group && call.group.is_none() {
            return Err(Error::text_of(NO_GROUP_OPTION));
        }
        Ok(call)
    }

    /// How many streams.
    fn len(&self) -> usize {
        self.streams.len() / 2
    }

    fn key(&self, i: usize) -> &'a [u8] {
        self.streams.at(i)
    }

    fn id(&self, i: usize) -> &'a [u8] {
        self.streams.at(self.len() + i)
    }

    /// The end of a call that gave nothing: it waits if it shall.
    fn give_up(&self, cx: &mut Cx<'_>, args: Args<'_>, wake: Wake, after: Option<&[StreamId]>) -> Done {
        let Some(timeout) = self.block else {
            cx.out.null_array();
            return Ok(Outcome::Done);
        };
        let first = args.len() - self.streams.len();
        let keys = first..first + self.len();
        let args = after.map(|after| {
            let mut texts = vec![[0; ID_TEXT_MAX]; after.len()];
            let ids = after.iter().zip(&mut texts).map(|(id, buf)| id.text(b'-', buf));
            Saved::of(args.iter().take(keys.end).chain(ids))
        });
        Ok(Outcome::Block(Box::new(Block { wake, args, ..Block::on(Kind::Stream, keys, timeout) })))
    }
}

/// Where the streams live. A call that cannot be read needs no store to say so.
fn shards_of_streams(args: Args<'_>, route: Route) -> Where {
    let Ok(call) = Call::parse(args, args.is(0, "xreadgroup"), Now::default()) else {
        return Where::Anywhere;
    };
    let mut shards = ShardSet::EMPTY;
    (0..call.len()).for_each(|i| shards.insert(route.owner(call.key(i))));
    match (shards.len(), shards.next(0)) {
        (_, None) => Where::Anywhere,
        (1, Some(shard)) => Where::Shard(shard),
        _ => Where::Shards(shards),
    }
}

/// Writes what stands before a stream's entries.
fn open_stream(out: &mut Out, key: &[u8]) {
    if !out.resp3() {
        out.array(2);
    }
    out.bulk(key);
}

fn xread(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let call = Call::parse(args, false, cx.env.now)?;
    let mut after = Vec::with_capacity(call.len());
    for i in 0..call.len() {
        if !cx.keys.holds(call.key(i)) {
            // It waits there too, and is run again there.
            after.push(StreamId::MAX);
            continue;
        }
        let log = cx.keys.look::<Stream>(call.key(i))?.map(|stream| &stream.log);
        after.push(match (call.id(i), log) {
            (b">", _) => return Err(Error::text_of(NEW_IN_XREAD)),
            (b"$" | b"+", None) => StreamId::MIN,
            (b"$", Some(log)) => log.last_id,
            // The newest entry is the one behind the id before its own.
            (b"+", Some(log)) => log.last_live().and_then(StreamId::prev).unwrap_or(log.last_id),
            (text, _) => strict_id(text, 0)?,
        });
    }
    let (mark, mut served) = (cx.out.mark(), 0);
    for (i, after) in after.iter().enumerate() {
        // Nothing is above the highest id.
        let Some(start) = after.next() else { continue };
        let Some(stream) = cx.keys.look::<Stream>(call.key(i))? else { continue };
        if !has_after(&stream.log, *after) {
            continue;
        }
        open_stream(cx.out, call.key(i));
        reply::entries(cx.out, stream.log.range(start, StreamId::MAX), call.count);
        served += 1;
    }
    if served == 0 {
        return call.give_up(cx, args, Wake { kind: Kind::Stream, any: false }, Some(&after));
    }
    finish(cx, mark, served)
}

/// Whether a stream has an entry above an id.
fn has_after(log: &Log, id: StreamId) -> bool {
    log.last_id > id && log.last_live().is_some_and(|last| last > id)
}

fn finish(cx: &mut Cx<'_>, mark: crate::resp::Mark, served: usize) -> Done {
    if cx.out.resp3() {
        cx.out.map_since(mark, served);
    } else {
        cx.out.array_since(mark, served);
    }
    Ok(Outcome::Done)
}

/// What XREADGROUP gives of a stream.
enum Which {
    /// Its store is not in hand: the client waits there too, and is run again there.
    Elsewhere,
    /// `>`: what the group has not read.
    New,
    /// What the consumer was given and has not acknowledged, behind an id.
    Given(StreamId),
}

fn xreadgroup(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let call = Call::parse(args, true, cx.env.now)?;
    let (group_name, consumer) = call.group.unwrap_or_default();
    let mut which = Vec::with_capacity(call.len());
    for i in 0..call.len() {
        if !cx.keys.holds(call.key(i)) {
            which.push(Which::Elsewhere);
            continue;
        }
        let stream = cx.keys.look::<Stream>(call.key(i))?;
        if stream.is_none_or(|stream| stream.groups.get(group_name).is_none()) {
            let tail = b"' in XREADGROUP with GROUP option";
            let parts = [b"NOGROUP No such key '", call.key(i), b"' or consumer group '", group_name, tail];
            reply::error_quoting(cx.out, &parts);
            return Ok(Outcome::Done);
        }
        which.push(match call.id(i) {
            b"$" => return Err(Error::text_of(LAST_IN_GROUP)),
            b"+" => return Err(Error::text_of(NEWEST_IN_GROUP)),
            b">" => Which::New,
            text => match strict_id(text, 0)? {
                // As in Redis, the highest id stands for what is new.
                StreamId::MAX => Which::New,
                id => Which::Given(id),
            },
        });
    }
    let (mark, mut served) = (cx.out.mark(), 0);
    let now_ms = cx.env.now.ms();
    for (i, which) in which.iter().enumerate() {
        if matches!(which, Which::Elsewhere) {
            continue;
        }
        let name = call.key(i);
        let mut told = Told::new(cx, name, group_name, consumer);
        // Redis looks twice: a hit each time.
        let _ = cx.keys.exists(name);
        let Some(mut stream) = cx.keys.edit::<Stream>(name)? else { continue };
        let Body { log, groups, .. } = &mut **stream;
        let Some(mut group) = groups.edit(group_name) else { continue };
        let found = group.find(consumer);
        let slot = found.or_else(|| group.create(consumer, now_ms)).ok_or(Error::Syntax)?;
        group.saw(slot, now_ms);
        if found.is_none() {
            told.came();
        }
        let before = Told::end(&group);
        let serves = match which {
            Which::Given(after) => {
                open_stream(cx.out, name);
                history(cx.out, (log, &mut group, slot), *after, call.count, now_ms, &mut told);
                true
            }
            Which::New if has_after(log, group.last_id) => {
                open_stream(cx.out, name);
                deliver(cx.out, (log, &mut group, slot), &call, now_ms, &mut told);
                true
            }
            Which::New | Which::Elsewhere => false,
        };
        let after = Told::end(&group);
        drop(group);
        drop(stream);
        told.tell(cx, before, after);
        served += usize::from(serves);
        // In 7.4, to be given again what was given is no change.
        let changes = u64::from(serves && matches!(which, Which::New)) + u64::from(found.is_none());
        cx.keys.changed_beside(name, changes);
    }
    if served == 0 {
        return call.give_up(cx, args, Wake { kind: Kind::Stream, any: true }, None);
    }
    finish(cx, mark, served)
}

/// Gives a consumer what its group has not read.
fn deliver(
    out: &mut Out,
    (log, group, slot): (&Log, &mut Group, u32),
    call: &Call<'_>,
    now_ms: i64,
    told: &mut Told<'_>,
) {
    let Some(start) = group.last_id.next() else { return out.array(0) };
    let mark = out.mark();
    let mut given = 0;
    for entry in log.range(start, StreamId::MAX) {
        let counts = group.last_id >= log.first_id() && !log.has_gaps_from(group.last_id);
        group.entries_read = match group.entries_read.filter(|_| counts) {
            Some(read) => read.checked_add(1),
            None => log.added_up_to(entry.id),
        };
        group.last_id = entry.id;
        reply::entry(out, &entry);
        if !call.no_ack {
            group.assign(entry.id, slot, now_ms, 1);
            group.served(slot, now_ms);
            told.given(entry.id, now_ms, 1);
        }
        given += 1;
        if given == call.count {
            break;
        }
    }
    out.array_since(mark, given as usize);
}

/// Gives a consumer again what it has not acknowledged. Of an entry that is gone only the id is left.
fn history(
    out: &mut Out,
    (log, group, slot): (&Log, &mut Group, u32),
    after: StreamId,
    count: u64,
    now_ms: i64,
    told: &mut Told<'_>,
) {
    let mark = out.mark();
    let mut given = 0;
    let mut from = after.next();
    while let Some(start) = from
        && (count == 0 || given < count)
    {
        let Some((id, ())) = group.consumer(slot).pending_from(start).next() else { break };
        match log.get(id) {
            Some(entry) => {
                reply::entry(out, &entry);
                group.redeliver(id, now_ms);
                // Redis does not log it; but it is what the group knows.
                told.given(id, now_ms, group.nack(id).map_or(1, |nack| nack.count));
            }
            None => {
                out.array(2);
                reply::id(out, id);
                out.null_array();
            }
        }
        given += 1;
        from = id.next();
    }
    out.array_since(mark, given as usize);
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn streams_of_several_shards_are_read_together() {
        for shards in [1, 5] {
            let mut w = World::new(shards);
            for key in ["a", "b", "c"] {
                w.run(&format!("XADD {key} 1-1 k {key}"));
                w.run(&format!("XGROUP CREATE {key} g 0"));
            }
            let of = |key: &str| {
                format!("$1\r\n{key}\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nk\r\n$1\r\n{key}\r\n")
            };
            let three = |head: &str, item: &str| {
                ["a", "b", "c"].iter().fold(head.to_string(), |all, key| all + item + &of(key))
            };
            assert_eq!(w.run("XREAD STREAMS a b c 0 0 0"), three("*3\r\n", "*2\r\n"));
            assert_eq!(w.run("XREADGROUP GROUP g me STREAMS a b c > > >"), three("*3\r\n", "*2\r\n"));
            assert_eq!(w.run("XREADGROUP GROUP g me STREAMS a b c > > >"), "*-1\r\n");
            w.proto(Proto::Resp3);
            assert_eq!(w.run("XREADGROUP GROUP g me STREAMS a b c 0 0 0"), three("%3\r\n", ""));
            assert_eq!(w.run("XREAD STREAMS a b c 0 0 0"), three("%3\r\n", ""));
            assert_eq!(w.run("XREAD STREAMS a $"), "_\r\n");
        }
    }

    /// As the documentation of 7.4 has it.
    #[test]
    fn plus_is_the_newest_entry() {
        let mut w = World::new(1);
        w.expect(&[
            ("XREAD STREAMS s +", "*-1\r\n"),
            ("XADD s 1-0 a 1", "$3\r\n1-0\r\n"),
            ("XADD s 2-0 a 2", "$3\r\n2-0\r\n"),
            ("XADD s 3-0 a 3", "$3\r\n3-0\r\n"),
            ("XDEL s 3-0", ":1\r\n"),
            (
                "XREAD STREAMS s +",
                "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n",
            ),
            ("XTRIM s MAXLEN 0", ":2\r\n"),
            ("XREAD STREAMS s +", "*-1\r\n"),
        ]);
        let unbalanced = "list of streams: for each stream key an";
        w.expect(&[
            ("XREAD STREAMS s", "-ERR wrong number of arguments for 'xread' command\r\n"),
            (
                "XREAD STREAMS s s 0",
                &format!("-ERR Unbalanced 'xread' {unbalanced} ID, '+', or '$' must be specified.\r\n"),
            ),
            (
                "XREADGROUP GROUP g c STREAMS s s >",
                &format!("-ERR Unbalanced 'xreadgroup' {unbalanced} ID or '>' must be specified.\r\n"),
            ),
        ]);
    }
}
