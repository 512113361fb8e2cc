//! MIGRATE: keys leave for another server, or are copied to it.
//!
//! Redis stands still from the first byte that it sends to the last reply. Here only those wait who want a key that is on its way:
//! it is locked, so nobody writes what would be lost, and nobody reads what may have been changed over there already. What the other
//! server has acknowledged is deleted, as a DEL; everything else stays. COPY locks nothing: it is over, for all that anybody can
//! tell, when the values are read.
//!
//! In a transaction the stores stay in hand until the other server has answered, as if this were Redis.

use crate::base::number::parse_i64;
use crate::cmd::migration::{Answer, Migration, Parcel, Request, State};
use crate::cmd::row::{Begin, Find, category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan, Where};
use crate::persist::dump;
use crate::resp::{Args, Error};
use crate::store::{Route, ShardSet};
use std::ops::Range;

/// Where the options begin.
const OPTIONS: usize = 6;
/// What a timeout of zero or less means.
const DEFAULT_TIMEOUT_MS: u64 = 1_000;
const KEY_AND_KEYS: &str =
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
/// A key was written to by somebody whom its lock could not keep off.
const TOUCHED: &str =
    "ERR A key has changed while it was on its way: it stays here, and the target instance has it as it was";

const FLAGS: u32 = key::RW | key::ACCESS | key::DELETE;

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "migrate",
    full_name: "migrate",
    arity: -6,
    flags: flag::WRITE | flag::MOVABLEKEYS,
    categories: category::KEYSPACE | category::DANGEROUS,
    keys: &[
        KeySpec::one(3, FLAGS),
        KeySpec {
            begin: Begin::Keyword { word: "KEYS", from: -2 },
            find: Find::Range { last: -1, step: 1, limit: 0 },
            flags: FLAGS | key::INCOMPLETE,
            notes: "A key or a password may be spelled like the word.",
        },
    ],
    plan: Plan::By(place),
    run: migrate,
    summary: "Moves keys to another server, or copies them.",
    since: "2.6.0",
    group: "generic",
    complexity: "O(N) for values of N bytes in all, here and there.",
    syntax: "host:string port:integer key_or_empty_string:(key:key | empty_string=\"\") destination-db:integer \
             timeout:integer [copy=COPY@3.0.0] [replace=REPLACE@3.0.0] \
             [authentication: [AUTH password:string@4.0.7] | [AUTH2 username_password:(username:string \
             password:string)@6.0.0]] [KEYS key:key@3.0.6 ...]",
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

/// What a call wants.
struct Wish {
    copy: bool,
    replace: bool,
    /// The name that AUTH2 says, and the password that the later of AUTH and AUTH2 does.
    user: Option<usize>,
    password: Option<usize>,
    keys: Range<usize>,
}

impl Wish {
    fn parse(args: Args<'_>) -> Result<Wish, Error> {
        let mut wish = Wish { copy: false, replace: false, user: None, password: None, keys: 3..4 };
        let mut i = OPTIONS;
        while i < args.len() {
            let more = args.len() - 1 - i;
            let taken = match () {
                _ if args.is(i, "copy") => {
                    wish.copy = true;
                    0
                }
                _ if args.is(i, "replace") => {
                    wish.replace = true;
                    0
                }
                _ if args.is(i, "auth") && more >= 1 => 1,
                _ if args.is(i, "auth2") && more >= 2 => 2,
                _ if args.is(i, "keys") => {
                    if !args.at(3).is_empty() {
                        return Err(Error::text_of(KEY_AND_KEYS));
                    }
                    wish.keys = i + 1..args.len();
                    break;
                }
                _ => return Err(Error::Syntax),
            };
            match taken {
                0 => {}
                1 => wish.password = Some(i + 1),
                _ => (wish.user, wish.password) = (Some(i + 1), Some(i + 2)),
            }
            i += 1 + taken;
        }
        Ok(wish)
    }
}

/// Which arguments are keys; none when the call is wrong.
pub fn key_arguments(args: Args<'_>) -> Range<usize> {
    Wish::parse(args).map_or(0..0, |wish| wish.keys)
}

/// The same as COMMAND GETKEYS sees it, who looks at nothing but where KEYS is.
pub fn named_keys(args: Args<'_>) -> Range<usize> {
    let mut keys = 3..4;
    options(args, |i, _| {
        let found = args.is(i, "keys");
        if found && !args.at(3).is_empty() {
            keys = 0..0;
        } else if found && i + 1 < args.len() {
            keys = i + 1..args.len();
        }
    });
    keys
}

/// Whether an argument is a password, or the name that goes with one.
pub fn is_secret(args: Args<'_>, at: usize) -> bool {
    let mut found = false;
    options(args, |i, taken| found |= (i + 1..=i + taken).contains(&at));
    found
}

/// Calls `f` with each option's place and how many arguments belong to it, to KEYS and no further.
fn options(args: Args<'_>, mut f: impl FnMut(usize, usize)) {
    let mut i = OPTIONS;
    while i < args.len() {
        let taken = match () {
            _ if args.is(i, "keys") => return f(i, 0),
            _ if args.is(i, "auth") => 1,
            _ if args.is(i, "auth2") => 2,
            _ => 0,
        };
        f(i, taken);
        i += 1 + taken;
    }
}

fn place(args: Args<'_>, route: Route) -> Where {
    let mut set = ShardSet::EMPTY;
    key_arguments(args).for_each(|at| set.insert(route.owner(args.at(at))));
    Where::of(set)
}

fn migrate(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    match cx.session.migration.take() {
        None => begin(cx, args),
        Some(migration) => finish(cx, *migration),
    }
}

fn begin(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let wish = Wish::parse(args)?;
    let timeout_ms = parse_i64(args.at(5)).ok_or(Error::NotInteger)?;
    let db = parse_i64(args.at(4)).ok_or(Error::NotInteger)?;
    let mut parcels = Vec::new();
    for key in wish.keys.map(|at| args.at(at)) {
        let Some(entry) = cx.keys.read(key) else { continue };
        let (expire_at, payload) = (entry.expire_at(), dump::dump(entry.view(), true));
        parcels.push(Parcel { key: key.into(), expire_at, payload });
    }
    if parcels.is_empty() {
        cx.out.simple("NOKEY");
        return Ok(Outcome::Done);
    }
    let (here, holder) = (cx.keys.db, cx.session.id);
    let keys: Vec<Box<[u8]>> = parcels.iter().map(|parcel| parcel.key.clone()).collect();
    if !wish.copy {
        keys.iter().for_each(|key| cx.keys.store_of(key).lock(here, key, holder));
    }
    let request = Request {
        host: args.at(1).to_vec(),
        port: args.at(2).to_vec(),
        timeout_ms: u64::try_from(timeout_ms).ok().filter(|ms| *ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS),
        auth: wish.user.into_iter().chain(wish.password).map(|at| args.at(at).to_vec()).collect(),
        db,
        replace: wish.replace,
        parcels,
    };
    cx.session.migration = Some(Box::new(Migration {
        state: State::Asks(Box::new(request)),
        keys,
        copied: wish.copy,
        doomed: false,
        began_us: cx.env.now.mono_us,
    }));
    Ok(Outcome::Consult)
}

fn finish(cx: &mut Cx<'_>, mut migration: Migration) -> Done {
    let Answer { arrived, trouble } = migration.take_answer();
    let holder = cx.session.id;
    let mut touched = false;
    if !migration.copied {
        for (key, _) in migration.keys.iter().zip(arrived).filter(|(_, arrived)| *arrived) {
            // A store that was loaded anew knows of no lock.
            let (db, untouched) = cx.keys.store_of(key).locked(key, holder).unwrap_or((cx.keys.db, false));
            let mut there = cx.keys.in_db(db);
            if there.peek(key).is_none() {
                continue;
            }
            if !untouched {
                touched = true;
                continue;
            }
            there.delete(key);
            there.changed(key);
            there.effect(key, &[b"DEL", key]);
        }
        migration.keys.iter().for_each(|key| cx.keys.store_of(key).unlock(key, holder));
    }
    if migration.doomed {
        // The replies before this one are forgotten already.
        return Ok(Outcome::Close);
    }
    match trouble {
        // What has arrived nevertheless is gone from here: so this is no failure of the whole.
        Some(trouble) => cx.out.error(&trouble.error()),
        None if touched => cx.out.error_text(TOUCHED),
        None => cx.out.ok(),
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::migration::Trouble;
    use crate::cmd::testing::World;

    /// A call that asks, answered.
    fn answered(world: &mut World, line: &str, arrived: &[bool], trouble: Option<Trouble>) -> String {
        assert_eq!(world.run(line), "");
        assert!(matches!(world.outcome, Some(Outcome::Consult)), "{line}");
        let migration = world.session.migration.as_mut().expect("it asks");
        assert_eq!(migration.take_request().map(|r| r.parcels.len()), Some(arrived.len()));
        migration.state = State::Told(Answer { arrived: arrived.to_vec(), trouble });
        let reply = world.run(line);
        assert!(world.session.migration.is_none() && world.hand.iter().all(|store| !store.has_locks()));
        reply
    }

    #[test]
    fn wrong_calls_are_refused_as_redis_does() {
        let (syntax, int) = ("-ERR syntax error\r\n", "-ERR value is not an integer or out of range\r\n");
        World::new(3).expect(&[
            ("MIGRATE h 1 k 0", "-ERR wrong number of arguments for 'migrate' command\r\n"),
            ("MIGRATE h 1 k 0 10 WHAT", syntax),
            ("MIGRATE h 1 k 0 10 AUTH", syntax),
            ("MIGRATE h 1 k 0 10 AUTH2 u", syntax),
            ("MIGRATE h 1 k 0 10 COPY REPLACE KEYS a", &format!("-{KEY_AND_KEYS}\r\n")),
            ("MIGRATE h 1 k x 10", int),
            ("MIGRATE h 1 k 0 x", int),
            ("MIGRATE h 1 k x 10 WHAT", syntax),
            ("MIGRATE h 1 k 0 10", "+NOKEY\r\n"),
            ("MIGRATE h 1 \"\" 0 10", "+NOKEY\r\n"),
            ("MIGRATE h 1 \"\" 0 10 KEYS", "+NOKEY\r\n"),
            ("MIGRATE h 1 \"\" 0 10 COPY AUTH KEYS REPLACE KEYS a b", "+NOKEY\r\n"),
        ]);
    }

    #[test]
    fn a_request_says_what_the_call_says() {
        let mut world = World::new(3);
        world.run("SET a 1");
        world.run("SET b 2 PX 1000");
        world.run("SELECT 0");
        world.run("MIGRATE host 7000 \"\" -3 0 replace AUTH2 me pw keys a nosuch b");
        let migration = world.session.migration.as_mut().expect("it asks");
        let request = migration.take_request().expect("once");
        assert!(migration.take_request().is_none());
        assert_eq!((&request.host[..], &request.port[..]), (&b"host"[..], &b"7000"[..]));
        assert_eq!((request.timeout_ms, request.db, request.replace), (1_000, -3, true));
        assert_eq!(request.auth, [b"me".to_vec(), b"pw".to_vec()]);
        let parcels: Vec<_> = request.parcels.iter().map(|p| (&p.key[..], p.expire_at)).collect();
        let at = world.expire_at("b");
        assert_eq!(parcels, [(&b"a"[..], None), (&b"b"[..], at)]);
    }

    #[test]
    fn a_name_stays_with_the_password_that_is_said_last() {
        for (said, auth) in [
            ("", &[][..]),
            ("AUTH a AUTH b", &["b"]),
            ("AUTH a AUTH2 b c", &["b", "c"]),
            ("AUTH2 a b AUTH c", &["a", "c"]),
        ] {
            let mut world = World::new(1);
            world.run("SET k v");
            world.run(&format!("MIGRATE h 1 k 0 10 {said}"));
            let request = world.session.migration.as_mut().and_then(|migration| migration.take_request());
            let found = request.map(|request| request.auth).unwrap_or_default();
            assert_eq!(found, auth.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>(), "{said}");
        }
    }

    #[test]
    fn what_has_arrived_is_gone_and_the_rest_stays() {
        let mut world = World::new(3);
        let line = "MIGRATE h 1 \"\" 0 10 KEYS a b c";
        for (arrived, trouble, reply, left) in [
            ([true; 3], None, "+OK\r\n", "*3\r\n$-1\r\n$-1\r\n$-1\r\n"),
            (
                [true, false, true],
                Some(Trouble::Target(b"BUSYKEY Target\r\nkey".to_vec())),
                "-ERR Target instance replied with error: BUSYKEY Target  key\r\n",
                "*3\r\n$-1\r\n$1\r\n2\r\n$-1\r\n",
            ),
            (
                [false; 3],
                Some(Trouble::Connect),
                "-IOERR error or timeout connecting to the client\r\n",
                "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n",
            ),
        ] {
            world.run("MSET a 1 b 2 c 3");
            assert_eq!(answered(&mut world, line, &arrived, trouble), reply);
            assert_eq!(world.run("MGET a b c"), left);
        }
    }

    #[test]
    fn a_key_that_has_changed_in_spite_of_its_lock_stays() {
        let mut world = World::new(2);
        world.run("SET k v");
        assert_eq!(world.run("MIGRATE h 1 k 0 10"), "");
        // Who runs commands keeps others off; this goes behind its back.
        world.session.migration.as_mut().expect("it asks").take_request();
        let migration = world.session.migration.take();
        world.run("SET k w");
        world.session.migration = migration;
        let told = State::Told(Answer { arrived: vec![true], trouble: None });
        world.session.migration.as_mut().expect("it waits").state = told;
        assert_eq!(world.run("MIGRATE h 1 k 0 10"), format!("-{TOUCHED}\r\n"));
        assert_eq!(world.run("GET k"), "$1\r\nw\r\n");
    }

    #[test]
    fn a_copy_locks_and_deletes_nothing_and_a_key_named_twice_goes_once() {
        let mut world = World::new(2);
        world.run("SET k v");
        assert_eq!(world.run("MIGRATE h 1 k 0 10 COPY"), "");
        assert!(world.hand.iter().all(|store| !store.has_locks()));
        world.session.migration = None;
        assert_eq!(answered(&mut world, "MIGRATE h 1 k 0 10 COPY", &[true], None), "+OK\r\n");
        assert_eq!(world.run("GET k"), "$1\r\nv\r\n");
        let twice = "MIGRATE h 1 \"\" 0 10 KEYS k k";
        assert_eq!(answered(&mut world, twice, &[true, true], None), "+OK\r\n");
        assert_eq!(world.run("EXISTS k"), ":0\r\n");
    }

    #[test]
    fn passwords_are_secret_and_keys_are_not() {
        let words: Vec<&[u8]> =
            b"migrate h 1 _ 0 10 copy auth keys auth2 keys auth keys auth k".split(|b| *b == b' ').collect();
        let text = words.concat();
        let mut at = 0;
        let spans: Vec<_> = words
            .iter()
            .map(|word| {
                at += word.len();
                crate::resp::Span::new(at - word.len(), at)
            })
            .collect();
        let args = Args::new(&text, &spans);
        let secret: Vec<usize> = (0..args.len()).filter(|i| is_secret(args, *i)).collect();
        assert_eq!(secret, [8, 10, 11]);
    }
}
