//! Several strings at once: MGET, MSET, MSETNX.

use super::text::{Text, stored};
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "mget",
        full_name: "mget",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::range(1, -1, 1, key::RO | key::ACCESS)],
        plan: Plan::Keys,
        run: mget,
        summary: "Gives the strings that several keys hold.",
        group: "string",
        complexity: "O(N), N being the number of keys",
        syntax: "key:key ...",
        tips: &["request_policy:multi_shard"],
        ..Command::BASE
    },
    Command {
        name: "mset",
        full_name: "mset",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::range(1, -1, 2, key::OW | key::UPDATE)],
        plan: Plan::Keys,
        run: mset,
        summary: "Sets several keys to strings, all at once.",
        since: "1.0.1",
        group: "string",
        complexity: "O(N), N being the number of keys",
        syntax: "key_value:(key:key value:string) ...",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        ..Command::BASE
    },
    Command {
        name: "msetnx",
        full_name: "msetnx",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::range(1, -1, 2, key::OW | key::INSERT)],
        plan: Plan::Keys,
        run: msetnx,
        summary: "Sets several keys to strings, all at once, unless one of them is there.",
        since: "1.0.1",
        group: "string",
        complexity: "O(N), N being the number of keys",
        syntax: "key_value:(key:key value:string) ...",
        tips: &["request_policy:multi_shard", "response_policy:agg_min"],
        ..Command::BASE
    },
];

fn mget(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let names = args.from(1);
    let Cx { keys, out, .. } = cx;
    out.array(names.len());
    keys.each_ahead(
        names.len(),
        |i| names.at(i),
        |keys, _, name| match keys.read(name).map(|entry| Text::of(entry.view())) {
            Some(Ok(text)) => text.reply(out),
            Some(Err(_)) | None => out.null(),
        },
    );
    Ok(Outcome::Done)
}

/// The keys and values of a call.
fn pairs<'a>(args: Args<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    (1..args.len() - 1).step_by(2).map(move |i| (args.at(i), args.at(i + 1)))
}

fn set_all(cx: &mut Cx<'_>, args: Args<'_>) {
    cx.keys.each_ahead(
        args.len() / 2,
        |i| args.at(1 + 2 * i),
        |keys, i, name| {
            keys.set(name, stored(args.at(2 + 2 * i)), None);
            keys.changed(name);
        },
    );
}

fn check_pairs(args: Args<'_>, command: &'static str) -> Result<(), Error> {
    if args.len().is_multiple_of(2) { Err(Error::Arity(command)) } else { Ok(()) }
}

fn mset(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    check_pairs(args, "mset")?;
    set_all(cx, args);
    cx.out.ok();
    Ok(Outcome::Done)
}

fn msetnx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    check_pairs(args, "msetnx")?;
    let free = pairs(args).all(|(name, _)| cx.keys.write(name).is_none());
    if free {
        set_all(cx, args);
    }
    cx.out.int(free as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn many_keys() {
        let mut w = World::new(3);
        assert_eq!(w.run("MSETNX a 1 b 2 a 3"), ":1\r\n");
        assert_eq!(w.run("MGET a b c"), "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n");
        assert_eq!(w.run("MSETNX c 1 b 5"), ":0\r\n");
        assert_eq!(w.run("MGET c"), "*1\r\n$-1\r\n");
        w.run("SET a 1 EX 100");
        assert_eq!(w.run("MSET a 1 a 2"), "+OK\r\n");
        assert_eq!(w.run("GET a"), "$1\r\n2\r\n");
        assert_eq!(w.expire_at("a"), None);
        w.proto(Proto::Resp3);
        assert_eq!(w.run("MGET c a"), "*2\r\n_\r\n$1\r\n2\r\n");
    }

    #[test]
    fn pairs_must_be_whole() {
        let mut w = World::new(2);
        for line in ["MSET a", "MSET a 1 b"] {
            assert_eq!(w.run(line), "-ERR wrong number of arguments for 'mset' command\r\n");
        }
        assert_eq!(w.run("MSETNX a 1 b"), "-ERR wrong number of arguments for 'msetnx' command\r\n");
        assert_eq!(w.run("MGET"), "-ERR wrong number of arguments for 'mget' command\r\n");
        assert_eq!(w.run("GET a"), "$-1\r\n");
    }
}
