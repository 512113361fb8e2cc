//! Giving keys other names, other databases, or twins.
//!
//! What moves keeps its TTL and its access clock; what is copied keeps its TTL and starts a new clock. A long string is
//! shared by its copies.

use crate::cmd::effects::tell_state;
use crate::cmd::lists::note_changes;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::{Owned, View};
use crate::resp::{Args, Error};
use crate::store::{Keys, Taken};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rename",
        full_name: "rename",
        arity: 3,
        flags: flag::WRITE,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE), KeySpec::one(2, key::OW | key::UPDATE)],
        plan: Plan::Keys,
        run: rename,
        summary: "Renames a key; what had the new name before is gone.",
        group: "generic",
        syntax: "key:key newkey:key",
        ..Command::BASE
    },
    Command {
        name: "renamenx",
        full_name: "renamenx",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::DELETE), KeySpec::one(2, key::OW | key::INSERT)],
        plan: Plan::Keys,
        run: renamenx,
        summary: "Renames a key unless the new name is taken.",
        group: "generic",
        syntax: "key:key newkey:key",
        ..Command::BASE
    },
    Command {
        name: "copy",
        full_name: "copy",
        arity: -3,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS), KeySpec::one(2, key::OW | key::UPDATE)],
        plan: Plan::Keys,
        run: copy,
        summary: "Copies a key to another name, in this or another database.",
        since: "6.2.0",
        group: "generic",
        complexity: "O(1) for strings; O(N) for collections of N elements.",
        syntax: "source:key destination:key [DB destination-db:integer] [replace=REPLACE]",
        ..Command::BASE
    },
    Command {
        name: "move",
        full_name: "move",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        categories: category::KEYSPACE,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
        plan: Plan::Owner,
        run: r#move,
        summary: "Moves a key to another database unless it has one of that name.",
        group: "generic",
        syntax: "key:key db:integer",
        ..Command::BASE
    },
];

fn rename(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, newkey) = (args.at(1), args.at(2));
    cx.keys.write(key).ok_or(Error::NoSuchKey)?;
    if key != newkey {
        carry(&mut cx.keys, key, newkey, None);
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

fn renamenx(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (key, newkey) = (args.at(1), args.at(2));
    cx.keys.write(key).ok_or(Error::NoSuchKey)?;
    // The same name is a name that is taken.
    let free = cx.keys.peek(newkey).is_none();
    if free {
        carry(&mut cx.keys, key, newkey, None);
    }
    cx.out.int(free as i64);
    Ok(Outcome::Done)
}

/// Moves a key that is there to another name, in this database or another.
fn carry(keys: &mut Keys<'_>, key: &[u8], newkey: &[u8], db: Option<usize>) {
    let db = db.unwrap_or(keys.db);
    let Some(content) = keys.take_for(key, newkey, db) else { return };
    // One change in all.
    note_changes(keys, key, 0);
    if !keys.share_store(key, newkey) {
        keys.effect(key, &[b"DEL", key]);
    }
    let mut there = keys.in_db(db);
    there.place(newkey, content);
    there.changed(newkey);
}

fn copy(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (source, destination) = (args.at(1), args.at(2));
    let (mut db, mut replace) = (cx.keys.db, false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "db") && i + 1 < args.len() {
            i += 1;
            db = cx.database(args.at(i))?;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    if db == cx.keys.db && source == destination {
        return Err(Error::SameObject);
    }
    let content = twin(&mut cx.keys, source);
    let mut there = cx.keys.in_db(db);
    let done = match content {
        Some(content) if replace || there.peek(destination).is_none() => {
            there.place(destination, content);
            there.changed(destination);
            if !there.share_store(source, destination) {
                // In its database, which the command's keys do not tell.
                tell_state(&mut there, destination);
            }
            true
        }
        _ => false,
    };
    cx.out.int(done as i64);
    Ok(Outcome::Done)
}

/// A copy of a key's content.
fn twin(keys: &mut Keys<'_>, key: &[u8]) -> Option<Taken> {
    let access = keys.new_access();
    let entry = keys.read(key)?;
    let value = match entry.view() {
        View::Int(n) => Owned::Int(n),
        View::Bytes(text) => Owned::Bytes(text.to_vec()),
        View::Boxed(value) => Owned::Boxed(value.clone()),
    };
    Some(Taken { value, expire_at: entry.expire_at(), access, mark: entry.mark() })
}

fn r#move(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let key = args.at(1);
    let db = cx.database(args.at(2))?;
    if db == cx.keys.db {
        return Err(Error::SameObject);
    }
    let moves = cx.keys.write(key).is_some() && cx.keys.in_db(db).peek(key).is_none();
    if moves {
        carry(&mut cx.keys, key, key, Some(db));
    }
    cx.out.int(moves as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::ds::View;
    use crate::store::Value;
    use crate::store::access::Lfu;

    #[test]
    fn renames_reply_as_redis_does() {
        World::new(3).expect(&[
            ("SET k v", "+OK\r\n"),
            ("EXPIRE k 100", ":1\r\n"),
            ("RENAME k j", "+OK\r\n"),
            ("EXISTS k", ":0\r\n"),
            ("TTL j", ":100\r\n"),
            ("RENAME nosuch j", "-ERR no such key\r\n"),
            ("RENAME nosuch nosuch", "-ERR no such key\r\n"),
            ("RENAME j j", "+OK\r\n"),
            ("RENAMENX j j", ":0\r\n"),
            ("RENAMENX nosuch nosuch", "-ERR no such key\r\n"),
            ("RENAMENX nosuch k", "-ERR no such key\r\n"),
            ("SET other o", "+OK\r\n"),
            ("RENAMENX j other", ":0\r\n"),
            ("RENAMENX j fresh", ":1\r\n"),
            ("GET fresh", "$1\r\nv\r\n"),
            ("TTL fresh", ":100\r\n"),
            ("RENAME fresh other", "+OK\r\n"),
            ("GET other", "$1\r\nv\r\n"),
            ("TTL other", ":100\r\n"),
            ("SET plain p", "+OK\r\n"),
            ("RENAME plain other", "+OK\r\n"),
            ("TTL other", ":-1\r\n"),
            ("RENAME a", "-ERR wrong number of arguments for 'rename' command\r\n"),
            ("RENAMENX a b c", "-ERR wrong number of arguments for 'renamenx' command\r\n"),
        ]);
    }

    #[test]
    fn copies_and_moves_reply_as_redis_does() {
        World::new(3).expect(&[
            ("SET k v", "+OK\r\n"),
            ("EXPIRE k 100", ":1\r\n"),
            ("COPY k k", "-ERR source and destination objects are the same\r\n"),
            ("COPY k k DB 0", "-ERR source and destination objects are the same\r\n"),
            ("COPY k j", ":1\r\n"),
            ("TTL j", ":100\r\n"),
            ("GET j", "$1\r\nv\r\n"),
            ("SET k w", "+OK\r\n"),
            ("COPY k j", ":0\r\n"),
            ("COPY k j REPLACE", ":1\r\n"),
            ("GET j", "$1\r\nw\r\n"),
            ("TTL j", ":-1\r\n"),
            ("COPY nosuch j REPLACE", ":0\r\n"),
            ("COPY nosuch x", ":0\r\n"),
            ("COPY k k DB 1", ":1\r\n"),
            ("COPY k k DB 1", ":0\r\n"),
            ("COPY k k DB 1 REPLACE REPLACE", ":1\r\n"),
            ("COPY k x DB", "-ERR syntax error\r\n"),
            ("COPY k x DB 16", "-ERR DB index is out of range\r\n"),
            ("COPY k x DB -1", "-ERR DB index is out of range\r\n"),
            ("COPY k x DB abc", "-ERR value is not an integer or out of range\r\n"),
            (
                "COPY k x DB 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
            ),
            ("COPY k x NOPE", "-ERR syntax error\r\n"),
            ("COPY k x DB 1 DB 2", ":1\r\n"),
            ("COPY nosuch nosuch", "-ERR source and destination objects are the same\r\n"),
            ("COPY k", "-ERR wrong number of arguments for 'copy' command\r\n"),
            ("SELECT 2", "+OK\r\n"),
            ("GET x", "$1\r\nw\r\n"),
            ("MOVE x 2", "-ERR source and destination objects are the same\r\n"),
            ("MOVE x 1", ":1\r\n"),
            ("MOVE x 1", ":0\r\n"),
            ("MOVE x 16", "-ERR DB index is out of range\r\n"),
            ("MOVE x -1", "-ERR DB index is out of range\r\n"),
            ("MOVE x abc", "-ERR value is not an integer or out of range\r\n"),
            (
                "MOVE x 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n",
            ),
            ("MOVE nosuch 1", ":0\r\n"),
            ("MOVE nosuch 2", "-ERR source and destination objects are the same\r\n"),
            ("MOVE x", "-ERR wrong number of arguments for 'move' command\r\n"),
            ("SELECT 1", "+OK\r\n"),
            ("GET x", "$1\r\nw\r\n"),
            ("GET k", "$1\r\nw\r\n"),
            ("SELECT 2", "+OK\r\n"),
            ("SET x again", "+OK\r\n"),
            ("MOVE x 1", ":0\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("SET t 1", "+OK\r\n"),
            ("EXPIRE t 100", ":1\r\n"),
            ("MOVE t 1", ":1\r\n"),
            ("SELECT 1", "+OK\r\n"),
            ("TTL t", ":100\r\n"),
            ("EXISTS t", ":1\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("EXISTS t", ":0\r\n"),
        ]);
    }

    #[test]
    fn a_long_string_is_shared_by_its_copies() {
        let mut world = World::new(4);
        world.run_args(&[b"SET", b"long", &[b'x'; 100_000]]);
        assert_eq!(world.run("COPY long twin"), ":1\r\n");
        let parts: Vec<*const u8> = world
            .hand
            .iter()
            .flat_map(|store| store.db(0).table().iter())
            .map(|entry| match entry.view() {
                View::Boxed(Value::Str(bytes)) => bytes.as_ptr(),
                _ => panic!("a long string"),
            })
            .collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], parts[1]);
        world.run("DEL long");
        assert_eq!(world.run("GET twin").len(), 100_000 + "$100000\r\n\r\n".len());
        let weights: usize = world.hand.iter().map(|store| store.db(0).value_bytes()).sum();
        assert_eq!(weights, Value::string(vec![b'x'; 100_000]).heap_bytes());
    }

    #[test]
    fn a_rename_keeps_the_count_of_uses_and_a_copy_starts_anew() {
        let mut world = World::new(2);
        world.policy.lfu = Some(Lfu { log_factor: 0, decay_minutes: 0 });
        world.run("SET k v");
        (0..20).for_each(|_| drop(world.run("GET k")));
        world.run("RENAME k j");
        assert_eq!(world.run("OBJECT FREQ j"), ":26\r\n");
        world.run("COPY j twin");
        assert_eq!(world.run("OBJECT FREQ twin"), ":5\r\n");
    }

    #[test]
    fn an_expired_key_is_in_nobody_s_way() {
        for command in ["RENAMENX k old", "COPY k old", "MOVE k 1"] {
            let mut world = World::new(2);
            for line in
                ["SELECT 1", "SET k 1", "PEXPIRE k 10", "SELECT 0", "SET old 1", "PEXPIRE old 10", "SET k v"]
            {
                world.run(line);
            }
            assert_eq!(world.run(command), ":0\r\n", "{command}");
            world.advance_ms(10);
            assert_eq!(world.run(command), ":1\r\n", "{command}");
        }
    }

    #[test]
    fn an_expired_key_cannot_be_renamed_copied_or_moved() {
        let mut world = World::new(2);
        world.run("SET k v");
        world.run("PEXPIRE k 10");
        world.advance_ms(10);
        assert_eq!(world.run("RENAME k j"), "-ERR no such key\r\n");
        assert_eq!(world.run("COPY k j"), ":0\r\n");
        assert_eq!(world.run("MOVE k 1"), ":0\r\n");
    }
}
