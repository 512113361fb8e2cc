//! XADD, which may trim as it adds, and XTRIM.

use super::BASE;
use super::reply;
use super::trimming::{Options, limits};
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::listpack::BYTES_MAX;
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Body, Limits, Stream, StreamId, Wanted};
use crate::resp::{Args, Error};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "xadd",
        full_name: "xadd",
        arity: -5,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)
            .with_notes("UPDATE for what a trim removes; nothing that is there is changed")],
        plan: Plan::Owner,
        run: xadd,
        summary: "Adds an entry to a stream, and makes the stream if the key is not there.",
        complexity: "O(1) to add; O(N) to trim, N being the number of entries that go",
        syntax: "key:key [nomkstream=NOMKSTREAM@6.2.0] [trim:(strategy:(maxlen=MAXLEN | minid=MINID@6.2.0) \
                 [operator:(equal== | approximately=~)] threshold:string [LIMIT count:integer@6.2.0])] \
                 id_or_auto:(auto_id=* | id:string) field_value:(field:string value:string) ...",
        tips: &["nondeterministic_output"],
        ..BASE
    },
    Command {
        name: "xtrim",
        full_name: "xtrim",
        arity: -4,
        flags: flag::WRITE | flag::HEAVY,
        keys: &[KeySpec::one(1, key::RW | key::DELETE)],
        plan: Plan::Owner,
        run: xtrim,
        summary: "Removes entries from the front of a stream.",
        complexity: "O(N), N being the number of entries that go; whole nodes go at once",
        syntax: "key:key trim:(strategy:(maxlen=MAXLEN | minid=MINID@6.2.0) \
                 [operator:(equal== | approximately=~)] threshold:string [LIMIT count:integer@6.2.0])",
        tips: &["nondeterministic_output"],
        ..BASE
    },
];

const ZERO: &str = "ERR The ID specified in XADD must be greater than 0-0";
const EXHAUSTED: &str = "ERR The stream has exhausted the last possible ID, unable to add more items";
const NOT_ABOVE: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
const TOO_LARGE: &str = "ERR Elements are too large to be stored";

fn xadd(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let options = Options::parse(args, true, cx.env.config)?;
    let fields = args.from(options.fields);
    if fields.len() < 2 || !fields.len().is_multiple_of(2) {
        return Err(Error::Arity("xadd"));
    }
    if options.asks_for_0() {
        return Err(Error::text_of(ZERO));
    }
    let name = args.at(1);
    let wanted = options.id.unwrap_or(Wanted::Auto(cx.env.now.ms().max(0) as u64));
    let limits = limits(cx.env.config);
    let id = if let Some(mut stream) = cx.keys.edit::<Stream>(name)? {
        add(&mut stream, wanted, limits, fields, &options)?
    } else if options.no_mkstream {
        cx.out.null();
        return Ok(Outcome::Done);
    } else {
        // An error must leave no key behind.
        let mut body = Stream::default();
        let id = add(&mut body, wanted, limits, fields, &options)?;
        drop(cx.keys.edit_or(name, || body)?);
        id
    };
    reply::id(cx.out, id);
    cx.keys.changed(name);
    tell(cx, name, args, &options, Some(id));
    Ok(Outcome::Done)
}

/// Says for the log what XADD or XTRIM did, unless that came with an id and a bound that leave nothing to choose.
fn tell(cx: &mut Cx<'_>, name: &[u8], args: Args<'_>, options: &Options, id: Option<StreamId>) {
    let approximate = options.trimming.is_some_and(|trimming| trimming.is_approximate());
    if !cx.keys.logs(name) || !approximate && matches!(options.id, Some(Wanted::Exactly(_))) {
        return;
    }
    // Clients may call it by another name.
    let own: &[u8] = if id.is_some() { b"XADD" } else { b"XTRIM" };
    let mut text = [0; ID_TEXT_MAX];
    let id = id.map(|id| id.text(b'-', &mut text));
    if !approximate {
        // The id stands before the fields.
        return id.into_iter().for_each(|id| {
            cx.keys.effect_with(name, args, &[(0, own), (options.fields - 1, id)]);
        });
    }
    let Some(stream) = cx.keys.again::<Stream>(name) else { return };
    let (mut bound, mut digits) = ([0; ID_TEXT_MAX], itoa::Buffer::new());
    let (word, bound): (&[u8], &[u8]) = match options.trimming {
        Some(trimming) if trimming.is_by_id() && !stream.log.is_empty() => {
            (b"MINID", stream.log.first_id().text(b'-', &mut bound))
        }
        _ => (b"MAXLEN", digits.format(stream.log.len()).as_bytes()),
    };
    let mut words = vec![own, name, word, b"=", bound];
    if let Some(id) = id {
        words.push(id);
        words.extend(args.from(options.fields).iter());
    }
    cx.keys.effect(name, &words);
}

#[inline]
fn add(
    body: &mut Body,
    wanted: Wanted,
    limits: Limits,
    fields: Args<'_>,
    options: &Options,
) -> Result<StreamId, Error> {
    let log = &mut body.log;
    if log.last_id == StreamId::MAX {
        return Err(Error::text_of(EXHAUSTED));
    }
    let id = log.id_for(wanted).ok_or(Error::text_of(NOT_ABOVE))?;
    if fields.iter().map(<[u8]>::len).sum::<usize>() > BYTES_MAX {
        return Err(Error::text_of(TOO_LARGE));
    }
    log.append(id, limits, fields.iter());
    if let Some(trimming) = options.trimming {
        trimming.apply(log);
    }
    Ok(id)
}

fn xtrim(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let options = Options::parse(args, false, cx.env.config)?;
    let name = args.at(1);
    let mut removed = 0;
    if let (Some(mut stream), Some(trimming)) = (cx.keys.edit::<Stream>(name)?, options.trimming) {
        removed = trimming.apply(&mut stream.log);
    }
    reply::changed_by(cx, name, removed);
    if removed > 0 && options.trimming.is_some_and(|trimming| trimming.is_approximate()) {
        tell(cx, name, args, &options, None);
    }
    cx.out.int(removed as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn ids_follow_the_clock_and_each_other() {
        let mut w = World::new(2);
        w.expect(&[
            ("XADD s * a 1", "$15\r\n1700000000000-0\r\n"),
            ("XADD s * a 1", "$15\r\n1700000000000-1\r\n"),
            ("XADD s 1700000000005-3 a 1", "$15\r\n1700000000005-3\r\n"),
            ("XADD s * a 1", "$15\r\n1700000000005-4\r\n"),
            ("XADD s 1700000000005-* a 1", "$15\r\n1700000000005-5\r\n"),
            ("XADD no NOMKSTREAM * a 1", "$-1\r\n"),
            ("EXISTS no", ":0\r\n"),
            ("XADD no 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0\r\n"),
            ("EXISTS no", ":0\r\n"),
        ]);
        w.advance_ms(10);
        w.expect(&[("XADD s * a 1", "$15\r\n1700000000010-0\r\n"), ("XLEN s", ":6\r\n")]);
    }

    #[test]
    fn nodes_are_as_large_as_the_knobs_say() {
        for (entries, bytes, keys) in [(100, 4096, 1), (3, 4096, 4), (0, 60, 5), (0, 0, 1), (1, 0, 10)] {
            let mut w = World::new(1);
            w.config.stream_node_max_entries = entries;
            w.config.stream_node_max_bytes = bytes;
            for n in 1..11 {
                w.run(&format!("XADD s {n}-1 field value"));
            }
            let info = w.run("XINFO STREAM s");
            assert!(info.contains(&format!("radix-tree-keys\r\n:{keys}\r\n")), "{entries} {bytes}: {info}");
        }
    }

    #[test]
    fn changes_are_counted() {
        let mut w = World::new(1);
        for (line, dirty) in [
            ("XADD s 1-1 a 1", 1),
            ("XADD s 1-2 a 1", 2),
            ("XADD s 1-2 a 1", 2),
            ("XADD s MAXLEN 1 1-3 a 1", 3),
            ("XADD s 1-4 a 1", 4),
            ("XTRIM s MAXLEN 0", 6),
            ("XTRIM s MAXLEN 0", 6),
            ("XGROUP CREATE s g 0", 7),
            ("XADD s 2-1 a 1", 8),
            ("XREADGROUP GROUP g c STREAMS s >", 10),
            ("XACK s g 2-1 2-1", 11),
            ("XDEL s 2-1 9-9", 12),
        ] {
            w.run(line);
            assert_eq!(w.hand.peek(0).dirty, dirty, "{line}");
        }
    }
}
