//! `kill -9` at random moments, and what is there afterwards.
//!
//! ```text
//!  clients, each with keys of its own: every key's states, in order, the acknowledged ones with the time ─┐
//!  one more, from time to time: FLUSHALL, BGREWRITEAOF, CONFIG SET                                         ├─ kill -9 ─ start ─ compare
//!                                                                                                         ─┘
//! ```
//! A key must be in a state that is not older than the last acknowledged one (`always`), or than the last that was acknowledged two
//! seconds before (`everysec`). What several keys were given at once is there at all of them or at none. `KRING_CRASH_ROUNDS` sets
//! the number of rounds, `KRING_SEED` another seed.

use crate::client::{Client, words};
use crate::log_home::{self, assert_taken, digest, redis_check};
use crate::reply::Reply;
use crate::rng::{Rng, seed};
use crate::server::Scratch;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

/// Rounds of a plain `cargo test`.
const ROUNDS: usize = 8;
const CLIENTS: usize = 4;
/// How much `everysec` may lose.
const MAY_LOSE: Duration = Duration::from_secs(2);
/// Databases: of most keys, and two that one client swaps.
const PLAIN: usize = 0;
const SWAPPED: [usize; 2] = [1, 2];
/// Commands that a client sends at once, at most.
const BATCH: usize = 6;

/// A key: database and name.
type Key = (usize, String);
/// What is at a key; `None`: nothing.
type State = Option<String>;

/// All states that a key was given, in the order of the requests. The first one was there at the beginning.
struct History {
    states: Vec<State>,
    /// The last one that was acknowledged, and the last one that must be there whatever was lost.
    acked: usize,
    certain: usize,
    /// It may go by itself from then on.
    goes: Option<Instant>,
}

/// What one request does: states for keys, all at once.
#[derive(Default)]
struct Effect {
    keys: Vec<(Key, usize)>,
    acked: Option<Instant>,
}

#[derive(Default)]
struct Model {
    keys: BTreeMap<Key, History>,
    effects: Vec<Effect>,
}

impl Model {
    fn now(&self, key: &Key) -> State {
        self.keys.get(key).and_then(|h| h.states.last().cloned()).flatten()
    }

    /// A request that is about to be sent.
    fn ask(&mut self, states: Vec<(Key, State)>) -> usize {
        let give = |(key, state): (Key, State)| {
            let new = || History { states: vec![None], acked: 0, certain: 0, goes: None };
            let history = self.keys.entry(key.clone()).or_insert_with(new);
            history.states.push(state);
            (key, history.states.len() - 1)
        };
        let keys = states.into_iter().map(give).collect();
        self.effects.push(Effect { keys, acked: None });
        self.effects.len() - 1
    }

    fn acknowledge(&mut self, effect: usize) {
        self.effects[effect].acked = Some(Instant::now());
    }

    /// The server was killed: what has to be there.
    fn close(&mut self, killed: Instant, strict: bool) {
        for effect in &self.effects {
            let Some(at) = effect.acked else { continue };
            for (key, place) in &effect.keys {
                let history = self.keys.get_mut(key).unwrap();
                history.acked = history.acked.max(*place);
                if strict || at + MAY_LOSE < killed {
                    history.certain = history.certain.max(*place);
                }
            }
        }
    }

    /// Compares with what is there.
    fn check(&self, found: &BTreeMap<Key, String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let now = Instant::now();
        let fits = |key: &Key| -> Vec<usize> {
            let (history, state) = (&self.keys[key], found.get(key));
            let went = state.is_none() && history.goes.is_some_and(|at| at <= now);
            let fits = |place: &usize| went || history.states[*place].as_ref() == state;
            (history.certain..history.states.len()).filter(fits).collect()
        };
        for (key, history) in &self.keys {
            if fits(key).is_empty() {
                let any = history.states.iter().position(|s| s.as_ref() == found.get(key));
                wrong.push(format!(
                    "{key:?}: found {:?}, which is state {any:?} of {}, acknowledged {}, certain {}",
                    found.get(key),
                    history.states.len() - 1,
                    history.acked,
                    history.certain
                ));
            }
        }
        let strangers = found.iter().filter(|(key, _)| !self.keys.contains_key(*key));
        wrong.extend(strangers.map(|(key, state)| format!("{key:?}: nobody wrote {state:?}")));
        for (n, effect) in self.effects.iter().enumerate().filter(|(_, effect)| effect.keys.len() > 1) {
            let may = |there: bool| {
                effect.keys.iter().all(|(key, place)| {
                    let fits = fits(key);
                    // A key that fits nowhere was told of.
                    fits.is_empty() || fits.iter().any(|fit| (fit >= place) == there)
                })
            };
            if !may(true) && !may(false) {
                wrong.push(format!("request {n} is torn: {:?}", effect.keys));
            }
        }
        wrong
    }

    /// What is there is where the next round begins.
    fn begin(found: BTreeMap<Key, String>) -> Model {
        let new =
            |(key, state)| (key, History { states: vec![Some(state)], acked: 0, certain: 0, goes: None });
        Model { keys: found.into_iter().map(new).collect(), effects: Vec::new() }
    }
}

/// All keys and what is there, in words.
fn contents(client: &mut Client) -> BTreeMap<Key, String> {
    let mut found = BTreeMap::new();
    for db in [PLAIN, SWAPPED[0], SWAPPED[1]] {
        client.ok(&format!("SELECT {db}"));
        for key in client.scan("COUNT 1000") {
            let key = String::from_utf8(key).unwrap();
            let state = match client.run(&format!("TYPE {key}")).text().as_str() {
                "string" => match client.run(&format!("GET {key}")) {
                    // It went since.
                    Reply::Null => continue,
                    value => value.text(),
                },
                "list" => texts(&client.run(&format!("LRANGE {key} 0 -1"))),
                "hash" => texts(&client.run(&format!("HGET {key} f"))),
                "none" => continue,
                other => panic!("{key} is a {other}"),
            };
            found.insert((db, key), state);
        }
    }
    found
}

fn texts(reply: &Reply) -> String {
    match reply {
        Reply::Array(items) => items.iter().map(Reply::text).collect::<Vec<_>>().join(" "),
        other => other.text(),
    }
}

/// A client of a round.
struct Writer<'a> {
    id: usize,
    rng: Rng,
    model: &'a Mutex<Model>,
    /// Held to write by who does something to all keys.
    all: &'a RwLock<()>,
    done: &'a AtomicBool,
    serial: usize,
}

impl Writer<'_> {
    fn key(&mut self, kind: char) -> Key {
        (PLAIN, format!("{kind}{}:{}", self.id, self.rng.below(12)))
    }

    /// A value that no other request has.
    fn value(&mut self) -> String {
        self.serial += 1;
        let pad = if self.rng.one_in(40) { 9_000 } else { self.rng.below(60) };
        format!("{}.{}.{}", self.id, self.serial, "x".repeat(pad))
    }

    /// A request on one key: its words, and what is there then.
    fn single(&mut self, model: &Model) -> (String, (Key, State)) {
        match self.rng.below(6) {
            0 => {
                let key = self.key('n');
                let next = model.now(&key).map_or(0, |n| n.parse::<i64>().unwrap()) + 1;
                (format!("INCR {}", key.1), (key, Some(next.to_string())))
            }
            1 => {
                let (key, value) = (self.key('l'), self.value());
                match model.now(&key) {
                    Some(list) if list.len() > 300 => (format!("DEL {}", key.1), (key, None)),
                    Some(list) => {
                        (format!("LPUSH {} {value}", key.1), (key, Some(format!("{value} {list}"))))
                    }
                    None => (format!("LPUSH {} {value}", key.1), (key, Some(value))),
                }
            }
            2 => {
                let (key, value) = (self.key('h'), self.value());
                (format!("HSET {} f {value}", key.1), (key, Some(value)))
            }
            3 if self.rng.one_in(4) => {
                let key = self.key('s');
                (format!("UNLINK {}", key.1), (key, None))
            }
            4 => {
                let (key, value) = (self.key('t'), self.value());
                (format!("SET {} {value} EX 100000", key.1), (key, Some(value)))
            }
            _ => {
                let (key, value) = (self.key('s'), self.value());
                (format!("SET {} {value}", key.1), (key, Some(value)))
            }
        }
    }

    /// A key that goes by itself.
    fn brief(&mut self, model: &mut Model) -> (String, Vec<(Key, State)>) {
        let (key, value, ms) = (self.key('b'), self.value(), 20 + self.rng.below(200));
        let line = format!("SET {} {value} PX {ms}", key.1);
        let ask = vec![(key.clone(), Some(value))];
        let new = || History { states: vec![None], acked: 0, certain: 0, goes: None };
        // From now on it may be absent: earlier ones go the same way.
        model.keys.entry(key).or_insert_with(new).goes = Some(Instant::now());
        (line, ask)
    }

    /// A request: its lines, and what is where afterwards.
    fn request(&mut self, model: &mut Model) -> (Vec<String>, Vec<(Key, State)>) {
        match self.rng.below(8) {
            0 => {
                let value = self.value();
                let mut keys: BTreeMap<Key, State> = BTreeMap::new();
                (0..2 + self.rng.below(3))
                    .for_each(|_| drop(keys.insert(self.key('m'), Some(value.clone()))));
                let words: Vec<String> = keys.keys().map(|key| format!("{} {value}", key.1)).collect();
                (vec![format!("MSET {}", words.join(" "))], keys.into_iter().collect())
            }
            1 => {
                let mut lines = vec!["MULTI".into()];
                let mut states: BTreeMap<Key, State> = BTreeMap::new();
                for _ in 0..2 + self.rng.below(4) {
                    let (line, (key, state)) = self.single(model);
                    // What a later one says of a key rests on an earlier one: once is enough.
                    if let std::collections::btree_map::Entry::Vacant(place) = states.entry(key) {
                        place.insert(state);
                        lines.push(line);
                    }
                }
                lines.push("EXEC".into());
                (lines, states.into_iter().collect())
            }
            2 => {
                let (line, states) = self.brief(model);
                (vec![line], states)
            }
            _ => {
                let (line, state) = self.single(model);
                (vec![line], vec![state])
            }
        }
    }

    /// Sends requests until the server is gone.
    fn write(mut self, mut client: Client) {
        let (model, all) = (self.model, self.all);
        while !self.done.load(Ordering::Relaxed) {
            let turn = all.read().unwrap();
            let mut asked = Vec::new();
            let mut bytes = Vec::new();
            for _ in 0..1 + self.rng.below(BATCH) {
                let mut model = model.lock().unwrap();
                let (lines, states) = self.request(&mut model);
                asked.push((lines.len(), model.ask(states)));
                lines.iter().for_each(|line| bytes.extend(words(line)));
            }
            if client.send(&bytes).is_err() {
                return;
            }
            for (lines, effect) in asked {
                for _ in 0..lines {
                    let Ok((reply, _)) = client.try_reply() else { return };
                    assert!(!reply.is_error(), "{reply:?}");
                }
                model.lock().unwrap().acknowledge(effect);
            }
            drop(turn);
        }
    }

    /// The client that swaps two databases and empties one of them.
    fn swap(mut self, mut client: Client) {
        let (shared, all) = (self.model, self.all);
        let mut selected = usize::MAX;
        while !self.done.load(Ordering::Relaxed) {
            let turn = all.read().unwrap();
            let db = *self.rng.pick(&SWAPPED);
            let mut model = shared.lock().unwrap();
            let names: Vec<Key> = model.keys.keys().filter(|key| key.0 != PLAIN).cloned().collect();
            let (line, states) = match self.rng.below(12) {
                0 => {
                    let other = |key: &Key| (SWAPPED[0] + SWAPPED[1] - key.0, key.1.clone());
                    let mut states = BTreeMap::new();
                    for key in &names {
                        states.insert(other(key), model.now(key));
                        states.entry(key.clone()).or_insert(model.now(&other(key)));
                    }
                    (format!("SWAPDB {} {}", SWAPPED[0], SWAPPED[1]), states.into_iter().collect())
                }
                1 => {
                    let gone = names.into_iter().filter(|key| key.0 == db);
                    ("FLUSHDB".into(), gone.map(|key| (key, None)).collect())
                }
                _ => {
                    let (key, value) = ((db, format!("w:{}", self.rng.below(6))), self.value());
                    (format!("SET {} {value}", key.1), vec![(key, Some(value))])
                }
            };
            let effect = model.ask(states);
            drop(model);
            if selected != db {
                let Ok(()) = client.send(&words(&format!("SELECT {db}"))) else { return };
                let Ok(_) = client.try_reply() else { return };
                selected = db;
            }
            let Ok(()) = client.send(&words(&line)) else { return };
            let Ok((reply, _)) = client.try_reply() else { return };
            assert!(!reply.is_error(), "{line}: {reply:?}");
            shared.lock().unwrap().acknowledge(effect);
            drop(turn);
        }
    }

    /// The one who disturbs the others.
    fn disturb(mut self, mut client: Client, mixed: bool) {
        while !self.done.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5 + self.rng.below(120) as u64));
            let line = match self.rng.below(if mixed { 6 } else { 4 }) {
                0 => {
                    let turn = self.all.write().unwrap();
                    let mut model = self.model.lock().unwrap();
                    let gone = model.keys.keys().cloned().map(|key| (key, None)).collect();
                    let effect = model.ask(gone);
                    drop(model);
                    let Ok(()) = client.send(&words("FLUSHALL")) else { return };
                    let Ok((reply, _)) = client.try_reply() else { return };
                    assert!(reply.is_ok(), "{reply:?}");
                    self.model.lock().unwrap().acknowledge(effect);
                    drop(turn);
                    continue;
                }
                1..4 => "BGREWRITEAOF",
                4 => "CONFIG SET appendfsync always",
                _ => "CONFIG SET appendfsync everysec",
            };
            let Ok(()) = client.send(&words(line)) else { return };
            let Ok(_) = client.try_reply() else { return };
        }
    }
}

/// What a round is like.
#[derive(Debug)]
struct Round {
    number: usize,
    shards: usize,
    always: bool,
    mixed: bool,
    knobs: Vec<&'static str>,
    lives: Duration,
}

impl Round {
    fn draw(number: usize, rng: &mut Rng) -> Round {
        let always = number.is_multiple_of(2);
        let mut knobs = vec!["--appendfsync", if always { "always" } else { "everysec" }];
        if rng.one_in(3) {
            knobs.extend(["--auto-aof-rewrite-min-size", "100kb", "--auto-aof-rewrite-percentage", "30"]);
        }
        if rng.one_in(4) {
            knobs.extend(["--aof-use-rdb-preamble", "no"]);
        }
        if rng.one_in(4) {
            knobs.extend(["--aof-timestamp-enabled", "yes"]);
        }
        knobs.extend(["--log-commit", *rng.pick(&["auto", "dsync", "fdatasync"])]);
        let longest = if always { 500 } else { 2_800 };
        let lives = Duration::from_millis(10 + rng.below(longest) as u64);
        Round { number, shards: 1 + rng.below(3), always, mixed: !always && rng.one_in(2), knobs, lives }
    }
}

/// A life of a server, and its end.
fn live(dir: &Scratch, round: &Round, rng: &mut Rng, found: BTreeMap<Key, String>) -> Model {
    let server = log_home::kring(dir.path(), round.shards, &round.knobs);
    let model = Mutex::new(Model::begin(found));
    let (all, done) = (RwLock::new(()), AtomicBool::new(false));
    let seed = rng.next();
    let writer = |id: usize| Writer {
        id,
        rng: Rng::new(seed ^ id as u64),
        model: &model,
        all: &all,
        done: &done,
        serial: round.number << 32,
    };
    let killed = std::thread::scope(|scope| {
        for id in 0..CLIENTS {
            let (writer, client) = (writer(id), server.connect());
            scope.spawn(move || writer.write(client));
        }
        let (swapper, client) = (writer(CLIENTS), server.connect());
        scope.spawn(move || swapper.swap(client));
        let (disturber, client) = (writer(CLIENTS + 1), server.connect());
        scope.spawn(move || disturber.disturb(client, round.mixed));
        std::thread::sleep(round.lives);
        server.signal("KILL");
        done.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let mut model = model.into_inner().unwrap();
    model.close(killed, round.always);
    model
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_nothing_is_torn() {
    let rounds = std::env::var("KRING_CRASH_ROUNDS").map_or(ROUNDS, |n| n.parse().expect("a number"));
    let mut rng = Rng::new(seed());
    let dir = Scratch::new();
    let mut found = BTreeMap::new();
    let mut requests = 0;
    for number in 0..rounds {
        let round = Round::draw(number, &mut rng);
        let model = live(&dir, &round, &mut rng, found);
        requests += model.effects.iter().filter(|effect| effect.acked.is_some()).count();
        let left = log_home::copy(dir.path());
        let server = log_home::kring(dir.path(), 1 + rng.below(3), &["--appendfsync", "always"]);
        let mut client = server.connect();
        found = contents(&mut client);
        let wrong = model.check(&found);
        if !wrong.is_empty() {
            let kept = std::env::temp_dir().join(format!("kring-crash-{}", std::process::id()));
            let _ = std::fs::rename(left.path(), &kept);
            panic!("seed {}: {round:?}: what the kill left is in {kept:?}:\n{}", seed(), wrong.join("\n"));
        }
        if !server.log().contains("The log was cut") {
            let (passed, said) = redis_check(left.path());
            assert!(passed, "{round:?}: {said}");
        }
        // What goes by itself goes now: the digests are of the same keys.
        client.ok("SELECT 0");
        found.keys().filter(|key| key.1.starts_with('b')).for_each(|key| {
            client.run(&format!("DEL {}", key.1));
        });
        found.retain(|key, _| !key.1.starts_with('b'));
        let digest = digest(&server);
        drop(server);
        assert_taken(dir.path(), &digest, &[]);
        if (number + 1).is_multiple_of(20) {
            eprintln!("{} rounds, {requests} requests acknowledged", number + 1);
        }
    }
    eprintln!("{rounds} rounds, {requests} requests acknowledged");
}
