//! BITOP.

use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::{Text, put_raw};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};
use bytes::Bytes;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "bitop",
    full_name: "bitop",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM | flag::HEAVY,
    categories: category::BITMAP,
    keys: &[KeySpec::one(2, key::OW | key::UPDATE), KeySpec::range(3, -1, 1, key::RO | key::ACCESS)],
    plan: Plan::Keys,
    run: bitop,
    summary: "Combines strings bit by bit and keeps the result in a key.",
    since: "2.6.0",
    group: "bitmap",
    complexity: "O(N), N being the bytes of all strings",
    syntax: "operation:string destkey:key key:key ...",
    ..Command::BASE
}];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    And,
    Or,
    Xor,
    Not,
}

fn bitop(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let op = match args {
        _ if args.is(1, "and") => Op::And,
        _ if args.is(1, "or") => Op::Or,
        _ if args.is(1, "xor") => Op::Xor,
        _ if args.is(1, "not") => Op::Not,
        _ => return Err(Error::Syntax),
    };
    if op == Op::Not && args.len() != 4 {
        return Err(Error::text_of("ERR BITOP NOT must be called with a single source key."));
    }
    let sources = args.from(3).iter().map(|name| match cx.keys.read(name) {
        Some(entry) => Ok(Text::of(entry.view())?.hold()),
        None => Ok(Bytes::new()),
    });
    let sources = sources.collect::<Result<Vec<Bytes>, Error>>()?;
    let result = combine(op, &sources);
    let (target, len) = (args.at(2), result.len());
    if len > 0 {
        put_raw(&mut cx.keys, target, result);
        cx.keys.changed(target);
    } else if cx.keys.delete(target) {
        cx.keys.changed(target);
    }
    cx.out.int(len as i64);
    Ok(Outcome::Done)
}

/// The strings combined; shorter ones count as padded with zeros. The loops are plain, one byte at a time, which is the
/// form that the compiler turns into vector instructions.
fn combine(op: Op, sources: &[Bytes]) -> Vec<u8> {
    let Some((first, rest)) = sources.split_first() else { return Vec::new() };
    let mut result = Vec::with_capacity(sources.iter().map(Bytes::len).max().unwrap_or(0));
    result.extend_from_slice(first);
    result.resize(result.capacity(), 0);
    if op == Op::Not {
        result.iter_mut().for_each(|r| *r = !*r);
    }
    for source in rest {
        let both = result.iter_mut().zip(source);
        match op {
            Op::And => {
                both.for_each(|(r, s)| *r &= s);
                result[source.len()..].fill(0);
            }
            Op::Or => both.for_each(|(r, s)| *r |= s),
            Op::Xor => both.for_each(|(r, s)| *r ^= s),
            Op::Not => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn operations() {
        let mut w = World::new(3);
        w.run("MSET a abcdef b abc n 54");
        assert_eq!(w.run("BITOP AND d a b"), ":6\r\n");
        assert_eq!(w.run("GET d"), "$6\r\nabc\0\0\0\r\n");
        assert_eq!(w.encoding("d"), "raw");
        assert_eq!(w.run("BITOP or d b a"), ":6\r\n");
        assert_eq!(w.run("GET d"), "$6\r\nabcdef\r\n");
        assert_eq!(w.run("BITOP XOR d a b"), ":6\r\n");
        assert_eq!(w.run("GET d"), "$6\r\n\0\0\0def\r\n");
        assert_eq!(w.run("BITOP OR d n"), ":2\r\n");
        assert_eq!(w.run("GET d"), "$2\r\n54\r\n");
        assert_eq!(w.encoding("d"), "raw");
        assert_eq!(w.run("BITOP AND d a nokey"), ":6\r\n");
        assert_eq!(w.run("GET d"), "$6\r\n\0\0\0\0\0\0\r\n");
        w.run("SET t ab EX 100");
        assert_eq!(w.run("BITOP NOT t t"), ":2\r\n");
        assert_eq!(w.run("BITOP NOT t t"), ":2\r\n");
        assert_eq!(w.run("GET t"), "$2\r\nab\r\n");
        assert_eq!(w.expire_at("t"), None);
        assert_eq!(w.run("BITOP NOT t nokey"), ":0\r\n");
        assert_eq!(w.run("GET t"), "$-1\r\n");
    }

    #[test]
    fn errors() {
        let mut w = World::new(2);
        assert_eq!(w.run("BITOP FOO d a"), "-ERR syntax error\r\n");
        assert_eq!(w.run("BITOP NOT d a b"), "-ERR BITOP NOT must be called with a single source key.\r\n");
        assert_eq!(w.run("BITOP AND d"), "-ERR wrong number of arguments for 'bitop' command\r\n");
    }

    #[test]
    fn long_strings() {
        let mut w = World::new(2);
        w.run_args(&[b"SET", b"a", &[0xf0; 5_000]]);
        w.run_args(&[b"SET", b"b", &[0x3c; 4_000]]);
        for (op, bits) in [("AND", 4_000 * 2), ("OR", 4_000 * 6 + 1_000 * 4), ("XOR", 4_000 * 4 + 1_000 * 4)]
        {
            assert_eq!(w.run(&format!("BITOP {op} a2 a b")), ":5000\r\n");
            assert_eq!(w.run("BITCOUNT a2"), format!(":{bits}\r\n"));
        }
        assert_eq!(w.run("BITOP NOT a a"), ":5000\r\n");
        assert_eq!(w.hold("a"), [0x0f; 5_000][..]);
    }
}
