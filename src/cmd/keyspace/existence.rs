//! Whether keys are there, and making them go.

use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::Args;
use crate::store::kind;

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "del",
        full_name: "del",
        arity: -2,
        flags: flag::WRITE,
        categories: category::KEYSPACE,
        keys: &[KeySpec::range(1, -1, 1, key::RM | key::DELETE)],
        plan: Plan::Keys,
        run: del,
        summary: "Removes keys.",
        group: "generic",
        complexity: "O(N) for N keys; large values are freed in the background.",
        syntax: "key:key ...",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "unlink",
        full_name: "unlink",
        arity: -2,
        flags: flag::WRITE | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::range(1, -1, 1, key::RM | key::DELETE)],
        plan: Plan::Keys,
        run: unlink,
        summary: "Removes keys and frees their memory in the background.",
        since: "4.0.0",
        group: "generic",
        complexity: "O(N) for N keys; large values are freed in the background.",
        syntax: "key:key ...",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "exists",
        full_name: "exists",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::range(1, -1, 1, key::RO)],
        plan: Plan::Keys,
        run: exists,
        summary: "Counts which of the keys exist; a key named twice counts twice.",
        group: "generic",
        complexity: "O(N) for N keys.",
        syntax: "key:key ...",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "touch",
        full_name: "touch",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::range(1, -1, 1, key::RO)],
        plan: Plan::Keys,
        run: touch,
        summary: "Counts which of the keys exist and notes their use.",
        since: "3.2.1",
        group: "generic",
        complexity: "O(N) for N keys.",
        syntax: "key:key ...",
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        ..Command::BASE
    },
    Command {
        name: "type",
        full_name: "type",
        arity: 2,
        flags: flag::READONLY | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RO)],
        plan: Plan::Owner,
        run: r#type,
        summary: "Names the type of what a key holds.",
        group: "generic",
        syntax: "key:key",
        ..Command::BASE
    },
];

fn del(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut removed = 0;
    let names = args.from(1);
    cx.keys.each_ahead(
        names.len(),
        |i| names.at(i),
        |keys, _, key| {
            if keys.delete(key) {
                keys.changed(key);
                removed += 1;
            }
        },
    );
    cx.out.int(removed);
    Ok(Outcome::Done)
}

// The store frees whatever is large off the hot path, so there is nothing that DEL does and UNLINK does not.
fn unlink(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    del(cx, args)
}

fn exists(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut found = 0;
    let names = args.from(1);
    cx.keys.each_ahead(names.len(), |i| names.at(i), |keys, _, key| found += keys.exists(key) as i64);
    cx.out.int(found);
    Ok(Outcome::Done)
}

fn touch(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    // The one command that moves the access clock under CLIENT NO-TOUCH too.
    cx.keys.touch = true;
    let mut found = 0;
    let names = args.from(1);
    cx.keys.each_ahead(names.len(), |i| names.at(i), |keys, _, key| found += keys.read(key).is_some() as i64);
    cx.out.int(found);
    Ok(Outcome::Done)
}

fn r#type(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = cx.keys.inspect(args.at(1)).map_or("none", |entry| kind(&entry).name());
    cx.out.simple(name);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn replies_are_redis_s() {
        World::new(3).expect(&[
            ("SET a 1", "+OK\r\n"),
            ("SET b 2", "+OK\r\n"),
            ("EXISTS a b a nosuch", ":3\r\n"),
            ("DEL a nosuch a", ":1\r\n"),
            ("UNLINK b b", ":1\r\n"),
            ("EXISTS a b", ":0\r\n"),
            ("SET k v", "+OK\r\n"),
            ("TOUCH k k nosuch", ":2\r\n"),
            ("TYPE k", "+string\r\n"),
            ("TYPE nosuch", "+none\r\n"),
            ("DEL", "-ERR wrong number of arguments for 'del' command\r\n"),
            ("UNLINK", "-ERR wrong number of arguments for 'unlink' command\r\n"),
            ("EXISTS", "-ERR wrong number of arguments for 'exists' command\r\n"),
            ("TOUCH", "-ERR wrong number of arguments for 'touch' command\r\n"),
            ("TYPE", "-ERR wrong number of arguments for 'type' command\r\n"),
            ("TYPE a b", "-ERR wrong number of arguments for 'type' command\r\n"),
        ]);
    }

    #[test]
    fn expired_keys_do_not_count() {
        let mut world = World::new(2);
        for command in ["EXISTS k", "DEL k", "UNLINK k", "TOUCH k"] {
            world.run("SET k v");
            world.run("PEXPIRE k 10");
            world.advance_ms(10);
            assert_eq!(world.run(command), ":0\r\n", "{command}");
        }
        assert_eq!(world.run("TYPE k"), "+none\r\n");
        let expired: u64 = world.hand.iter().map(|store| store.tally.expired).sum();
        assert_eq!(expired, 4);
    }

    #[test]
    fn only_removals_are_changes() {
        let mut world = World::new(2);
        world.run("SET a 1");
        let dirty = |world: &World| world.hand.iter().map(|store| store.dirty).sum::<u64>();
        let before = dirty(&world);
        world.run("EXISTS a b");
        world.run("TOUCH a b");
        world.run("DEL b c");
        assert_eq!(dirty(&world), before);
        world.run("DEL a b");
        assert_eq!(dirty(&world), before + 1);
    }

    #[test]
    fn touch_notes_a_use_and_exists_does_not() {
        let mut world = World::new(1);
        world.run("SET k v");
        world.advance_ms(9_000);
        world.run("EXISTS k");
        world.run("TYPE k");
        assert_eq!(world.run("OBJECT IDLETIME k"), ":9\r\n");
        world.run("TOUCH k");
        assert_eq!(world.run("OBJECT IDLETIME k"), ":0\r\n");
    }
}
