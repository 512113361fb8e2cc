//! Whole databases: emptying them, exchanging them.

use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag};
use crate::cmd::{Command, Cx, Done, Order, Outcome, Plan, SaveKind};
use crate::resp::{Args, Error};
use crate::store::log;

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "swapdb",
        full_name: "swapdb",
        arity: 3,
        flags: flag::WRITE | flag::FAST,
        categories: category::KEYSPACE | category::DANGEROUS,
        plan: Plan::All,
        run: swapdb,
        summary: "Exchanges two databases: each client sees the other's keys at once.",
        since: "4.0.0",
        group: "server",
        complexity: "O(S) for S shards.",
        syntax: "index1:integer index2:integer",
        ..Command::BASE
    },
    Command {
        name: "flushdb",
        full_name: "flushdb",
        arity: -1,
        flags: flag::WRITE,
        categories: category::KEYSPACE | category::DANGEROUS,
        plan: Plan::All,
        run: flushdb,
        summary: "Removes all keys of the selected database.",
        group: "server",
        complexity: "O(S) for S shards; memory is freed in the background.",
        syntax: "[async:(async=ASYNC@4.0.0 | sync=SYNC@6.2.0)]",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Command::BASE
    },
    Command {
        name: "flushall",
        full_name: "flushall",
        arity: -1,
        flags: flag::WRITE,
        categories: category::KEYSPACE | category::DANGEROUS,
        plan: Plan::AllAtHome,
        run: flushall,
        summary: "Removes all keys of all databases.",
        group: "server",
        complexity: "O(S * D) for S shards and D databases; memory is freed in the background.",
        syntax: "[async:(async=ASYNC@4.0.0 | sync=SYNC@6.2.0)]",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Command::BASE
    },
];

fn swapdb(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let index = |at: usize, error: &'static str| {
        parse_i64(args.at(at)).and_then(|index| i32::try_from(index).ok()).ok_or(Error::text_of(error))
    };
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    let databases = cx.env.config.databases as usize;
    let checked = |index: i32| usize::try_from(index).ok().filter(|i| *i < databases).ok_or(Error::DbIndex);
    let (first, second) = (checked(first)?, checked(second)?);
    let now_ms = cx.keys.now.ms();
    cx.keys.hand.iter_mut().for_each(|store| store.swap(first, second, now_ms));
    if first != second {
        let (mut a, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        log_whole(cx, None, &[b"SWAPDB", a.format(first).as_bytes(), b.format(second).as_bytes()]);
    } else {
        cx.keys.hand.iter_mut().for_each(|store| store.log.say());
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

/// Logs what concerns all shards; of a database, if it is one's. A generation of files ends with it, so what had nothing to do is
/// not logged.
fn log_whole(cx: &mut Cx<'_>, db: Option<usize>, words: &[&[u8]]) {
    if !cx.keys.hand.logs() {
        return;
    }
    let mut resp = Vec::new();
    if let Some(db) = db {
        let mut digits = itoa::Buffer::new();
        log::write(&mut resp, [b"SELECT", digits.format(db).as_bytes()].into_iter());
    }
    log::write(&mut resp, words.iter().copied());
    cx.keys.hand.log_whole(&resp);
}

/// Checks the option of FLUSHDB and FLUSHALL. Both kinds do the same here: the memory is always freed off the hot path.
fn check_flush_option(args: Args<'_>) -> Result<(), Error> {
    match args.len() {
        1 => Ok(()),
        2 if args.is(1, "async") || args.is(1, "sync") => Ok(()),
        _ => Err(Error::Syntax),
    }
}

fn flushdb(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    check_flush_option(args)?;
    let db = cx.keys.db;
    let removed = cx.keys.hand.iter_mut().map(|store| store.flush(db)).sum::<usize>();
    if removed > 0 {
        log_whole(cx, Some(db), &[b"FLUSHDB"]);
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

fn flushall(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    check_flush_option(args)?;
    let removed = cx.keys.hand.iter_mut().map(|store| store.flush_all()).sum::<usize>();
    if removed > 0 {
        log_whole(cx, None, &[b"FLUSHALL"]);
    }
    cx.env.saves.doom();
    if !cx.env.config.save.0.is_empty() {
        // As in Redis, the file is not to bring back what was removed: the reply comes when there is an empty one.
        return Ok(Outcome::Everywhere(Order::Save(SaveKind::Emptied)));
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::cmd::{Order, Outcome, SaveKind};
    use crate::config::SavePoints;

    #[test]
    fn replies_are_redis_s() {
        let mut world = World::new(3);
        world.config.save = SavePoints(vec![]);
        world.expect(&[
            ("SET a 0", "+OK\r\n"),
            ("SELECT 1", "+OK\r\n"),
            ("SET b 1", "+OK\r\n"),
            ("SET c 1", "+OK\r\n"),
            ("DBSIZE", ":2\r\n"),
            ("SWAPDB 0 1", "+OK\r\n"),
            ("DBSIZE", ":1\r\n"),
            ("GET a", "$1\r\n0\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("DBSIZE", ":2\r\n"),
            ("SWAPDB 0 0", "+OK\r\n"),
            ("DBSIZE", ":2\r\n"),
            ("SWAPDB x 1", "-ERR invalid first DB index\r\n"),
            ("SWAPDB 1 x", "-ERR invalid second DB index\r\n"),
            ("SWAPDB 99999999999 1", "-ERR invalid first DB index\r\n"),
            ("SWAPDB 1 99999999999", "-ERR invalid second DB index\r\n"),
            ("SWAPDB 16 1", "-ERR DB index is out of range\r\n"),
            ("SWAPDB 0 16", "-ERR DB index is out of range\r\n"),
            ("SWAPDB 0 -1", "-ERR DB index is out of range\r\n"),
            ("SWAPDB 0", "-ERR wrong number of arguments for 'swapdb' command\r\n"),
            ("FLUSHDB NOW", "-ERR syntax error\r\n"),
            ("FLUSHDB ASYNC SYNC", "-ERR syntax error\r\n"),
            ("FLUSHALL x", "-ERR syntax error\r\n"),
            ("FLUSHALL ASYNC ASYNC", "-ERR syntax error\r\n"),
            ("DBSIZE", ":2\r\n"),
            ("FLUSHDB", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
            ("SELECT 1", "+OK\r\n"),
            ("DBSIZE", ":1\r\n"),
            ("FLUSHDB async", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
            ("SET a 1", "+OK\r\n"),
            ("SELECT 0", "+OK\r\n"),
            ("SET a 1", "+OK\r\n"),
            ("FLUSHALL SYNC", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
            ("SELECT 1", "+OK\r\n"),
            ("DBSIZE", ":0\r\n"),
            ("FLUSHALL", "+OK\r\n"),
            ("DBSIZE x", "-ERR wrong number of arguments for 'dbsize' command\r\n"),
        ]);
    }

    #[test]
    fn what_is_flushed_is_left_for_the_shards_to_free() {
        let mut world = World::new(2);
        (0..50).for_each(|i| drop(world.run(&format!("SET key:{i} v"))));
        world.run("FLUSHALL");
        for store in world.hand.iter_mut() {
            assert!(store.take_garbage().is_some());
            assert_eq!(store.db(0).len(), 0);
        }
        assert_eq!(world.run("FLUSHALL"), "", "with save points the reply comes with the file");
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::Save(SaveKind::Emptied)))));
        assert!(world.hand.iter_mut().all(|store| store.take_garbage().is_none()), "nothing was there");
    }
}
