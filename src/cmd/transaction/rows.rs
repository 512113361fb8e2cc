//! The commands' rows and functions.

use super::state::{Transaction, Watched};
use crate::cmd::row::{Needs, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan, Session, Where};
use crate::resp::{Args, Error};
use crate::store::{Keys, Route};

const NO_MULTI: &str = "without MULTI";
const SPOILED: &str = "EXECABORT Transaction discarded because of previous errors.";

const BASE: Command = Command {
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY | flag::UNQUEUED,
    categories: category::TRANSACTION,
    group: "transactions",
    ..Command::BASE
};

/// This family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "multi",
        full_name: "multi",
        arity: 1,
        run: multi,
        summary: "Begins a transaction: the commands that follow wait for EXEC.",
        since: "1.2.0",
        ..BASE
    },
    Command {
        name: "exec",
        full_name: "exec",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::SKIP_SLOWLOG | flag::UNQUEUED,
        plan: Plan::Session(needs_of_exec),
        run: exec,
        summary: "Runs the commands of the transaction as one.",
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        ..BASE
    },
    Command {
        name: "discard",
        full_name: "discard",
        arity: 1,
        plan: Plan::Session(needs_of_watched),
        run: discard,
        summary: "Ends a transaction without running it.",
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        ..BASE
    },
    Command {
        name: "watch",
        full_name: "watch",
        arity: -2,
        keys: &[KeySpec::range(1, -1, 1, key::RO)],
        plan: Plan::Keys,
        run: watch,
        summary: "Lets the next EXEC run only if none of the keys changes before.",
        since: "2.2.0",
        complexity: "O(1) for every key.",
        syntax: "key:key ...",
        ..BASE
    },
    Command {
        name: "unwatch",
        full_name: "unwatch",
        arity: 1,
        flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ALLOW_BUSY,
        plan: Plan::Session(needs_of_watched),
        run: unwatch,
        summary: "Forgets all watched keys.",
        since: "2.2.0",
        ..BASE
    },
];

/// The stores of the keys that a session watches.
pub(in crate::cmd) fn needs_of_watched(session: &Session, _args: Args<'_>, route: Route) -> Needs {
    let place = session.transaction.as_ref().map(|t| t.watched_place(route));
    Needs::at(place.unwrap_or(Where::Anywhere))
}

/// What the queue needs, unless it will not run.
fn needs_of_exec(session: &Session, args: Args<'_>, route: Route) -> Needs {
    match &session.transaction {
        Some(t) if t.queueing && !t.spoiled && !t.is_dirty() => t.queue.needs(t.watched_place(route)),
        Some(t) if t.queueing => needs_of_watched(session, args, route),
        _ => Needs::at(Where::Anywhere),
    }
}

fn multi(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let transaction = cx.session.transaction.get_or_insert_default();
    if transaction.queueing {
        return Err(Error::text_of("ERR MULTI calls can not be nested"));
    }
    transaction.queueing = true;
    cx.out.ok();
    Ok(Outcome::Done)
}

/// The transaction that MULTI has begun.
fn begun<'a>(cx: &'a mut Cx<'_>, command: &str) -> Result<&'a mut Transaction, Error> {
    let transaction = cx.session.transaction.as_deref_mut().filter(|t| t.queueing);
    transaction.ok_or(Error::text_of(format!("ERR {command} {NO_MULTI}")))
}

fn exec(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let transaction = begun(cx, "EXEC")?;
    let (spoiled, dirty) = (transaction.spoiled, transaction.is_dirty());
    let dirty = dirty || watched_expired(cx);
    unwatch_all(cx.session, &mut cx.keys);
    if !spoiled && !dirty {
        return Ok(Outcome::Exec);
    }
    cx.session.transaction = None;
    if spoiled {
        return Err(Error::text_of(SPOILED));
    }
    cx.out.null_array();
    Ok(Outcome::Done)
}

/// Whether a watched key has expired since it is watched, without anybody having met it.
fn watched_expired(cx: &mut Cx<'_>) -> bool {
    let Some(transaction) = &cx.session.transaction else { return false };
    let Some(watcher) = &transaction.watcher else { return false };
    let now_ms = cx.keys.now.ms();
    let mut keys = transaction.keys.iter();
    keys.any(|w| cx.keys.store_of(&w.key).watched_expired(w.db, &w.key, watcher, now_ms))
}

fn discard(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    begun(cx, "DISCARD")?;
    unwatch_all(cx.session, &mut cx.keys);
    cx.session.transaction = None;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn watch(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let transaction = cx.session.transaction.get_or_insert_default();
    if transaction.queueing {
        return Err(Error::text_of("ERR WATCH inside MULTI is not allowed"));
    }
    // As in Redis, who has to fail anyway watches nothing more.
    if !transaction.is_dirty() {
        let watcher = transaction.watcher.get_or_insert_default();
        let (db, now_ms) = (cx.keys.db, cx.keys.now.ms());
        for key in args.from(1).iter() {
            if cx.keys.store_of(key).watch(db, key, watcher, now_ms) {
                transaction.keys.push(Watched { db, key: key.into() });
            }
        }
        transaction.count_memory();
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

fn unwatch(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    unwatch_all(cx.session, &mut cx.keys);
    cx.out.ok();
    Ok(Outcome::Done)
}

/// Forgets the watched keys of a session. Their stores are in hand.
pub fn unwatch_all(session: &mut Session, keys: &mut Keys<'_>) {
    let Some(transaction) = &mut session.transaction else { return };
    if let Some(watcher) = transaction.watcher.take() {
        for Watched { db, key } in transaction.keys.drain(..) {
            keys.store_of(&key).unwatch(db, &key, &watcher);
        }
        transaction.count_memory();
    }
    if !transaction.queueing {
        session.transaction = None;
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::cmd::{Outcome, Session};

    /// Another client's session, in place of the first one's.
    fn other(world: &mut World) -> Session {
        let mut session = Session::new(2, 0);
        session.authenticated = true;
        std::mem::replace(&mut world.session, session)
    }

    #[test]
    fn mistakes_are_redis_s() {
        World::new(2).expect(&[
            ("EXEC", "-ERR EXEC without MULTI\r\n"),
            ("DISCARD", "-ERR DISCARD without MULTI\r\n"),
            ("UNWATCH", "+OK\r\n"),
            ("MULTI", "+OK\r\n"),
            ("MULTI", "-ERR MULTI calls can not be nested\r\n"),
            ("WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n"),
            ("DISCARD", "+OK\r\n"),
            ("WATCH a", "+OK\r\n"),
            ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ]);
    }

    #[test]
    fn a_watched_key_that_changes_stops_exec() {
        for (change, dirty) in [
            ("SET k 2", true),
            ("DEL k", true),
            ("DEL j", false),
            ("GET k", false),
            ("EXPIRE k 100", true),
            ("PERSIST k", false),
            ("APPEND k x", true),
            ("RENAME k j", true),
            ("COPY j k REPLACE", false),
            ("FLUSHALL", true),
            ("FLUSHDB", true),
            ("SWAPDB 0 1", true),
            ("SWAPDB 1 2", false),
            ("MOVE k 1", true),
            ("TOUCH k", false),
        ] {
            let mut world = World::new(3);
            world.expect(&[("SET k 1", "+OK\r\n"), ("WATCH k nosuch", "+OK\r\n"), ("MULTI", "+OK\r\n")]);
            let watcher = other(&mut world);
            world.run(change);
            world.session = watcher;
            let reply = world.run("EXEC");
            assert_eq!(reply, if dirty { "*-1\r\n" } else { "" }, "{change}");
            assert_eq!(matches!(world.outcome, Some(Outcome::Exec)), !dirty, "{change}");
            assert!(world.hand.iter().all(|store| store.watched_keys() == 0), "{change}");
        }
    }

    #[test]
    fn time_changes_a_watched_key_too() {
        for (wait_ms, look, dirty) in [(9, false, false), (10, false, true), (10, true, true)] {
            let mut world = World::new(2);
            world.expect(&[("SET k 1 PX 10", "+OK\r\n"), ("WATCH k", "+OK\r\n"), ("MULTI", "+OK\r\n")]);
            world.advance_ms(wait_ms);
            if look {
                let watcher = other(&mut world);
                world.run("GET k");
                world.session = watcher;
            }
            assert_eq!(world.run("EXEC").is_empty(), !dirty, "{wait_ms} {look}");
        }
        // What was over before the watch began is no change.
        let mut world = World::new(2);
        world.run("SET k 1 PX 10");
        world.advance_ms(10);
        world.expect(&[("WATCH k", "+OK\r\n"), ("GET k", "$-1\r\n"), ("MULTI", "+OK\r\n"), ("EXEC", "")]);
    }

    #[test]
    fn unwatch_discard_and_reset_forget() {
        for (forget, reply) in [("UNWATCH", "+OK\r\n"), ("RESET", "+RESET\r\n")] {
            let mut world = World::new(4);
            world.expect(&[("WATCH a b c d e", "+OK\r\n"), ("WATCH a", "+OK\r\n"), (forget, reply)]);
            assert!(world.hand.iter().all(|store| !store.is_observed()), "{forget}");
            world.expect(&[("SET a 1", "+OK\r\n"), ("MULTI", "+OK\r\n"), ("EXEC", "")]);
        }
        let mut world = World::new(4);
        world.expect(&[("WATCH a b c d e", "+OK\r\n"), ("MULTI", "+OK\r\n"), ("DISCARD", "+OK\r\n")]);
        assert!(world.session.transaction.is_none());
        assert!(world.hand.iter().all(|store| !store.is_observed()));
    }
}
