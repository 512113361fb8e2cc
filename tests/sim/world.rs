//! The world: shards in one thread, their mail, their clients, one clock, and a scheduler that asks a seed what happens next.
//!
//! ```text
//!  step ─┬─ a client: connect, write, half-close, vanish
//!        ├─ a shard: one move of its loop (`shard.rs`): an event, a letter, work, flush, doze off
//!        ├─ another core takes a store for a while, or puts it back (`thieves.rs`)
//!        └─ time passes
//! ```
//! One call into a core is one step, so schedules differ in the order of such calls; what happens inside of one is
//! atomic but for the stores that other cores hold meanwhile, which the thefts stand for.

use crate::client::{Link, Op, What, show};
use crate::crash::{self, LogSide};
use crate::ends::{self, Found};
use crate::net::Board;
use crate::plan::Plan;
use crate::plane::{Answer, Ask, Image};
use crate::revival::Revived;
use crate::rng::Rng;
use crate::scribe::Scribe;
use crate::script::{self, Author, Request};
use crate::shard::{Happened, Shard};
use crate::thieves::Thieves;
use kring::base::time::Now;
use kring::cmd::migration::{self, Trouble};
use kring::cmd::{ServerInfo, ShutdownMode};
use kring::config::Config;
use kring::ring::net::ConnId;
use kring::shard::{Control, Letter, LoadRequest, LogTurn, NewBase, Peer, Planted, SaveRequest, Shared};
use kring::store::Garbage;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Steps without any reply or close after which a run is stuck.
const STALL_STEPS: u64 = 400_000;
/// Per thousand steps of a client that waits for a queue: it says that it asks nothing more.
const PATIENCE: usize = 20;
/// Per thousand steps of a shard that has asked another server: it is answered.
const ANSWERS: usize = 100;
/// Steps between two looks at whether all is quiet.
const LOOK_EVERY: u64 = 32;
/// Seconds since 1970 when a simulation begins.
const EPOCH_SECS: i64 = 1_700_000_000;

/// What other servers are asked: the shard, its ticket, the request.
type Consults = Arc<Mutex<VecDeque<(usize, u64, migration::Request)>>>;

/// What another server answers: the name of its host says it.
fn answer_of(request: &migration::Request) -> migration::Answer {
    let takes = request.host == b"yes";
    let trouble = (!takes).then(|| Trouble::Target(b"ERR no".to_vec()));
    migration::Answer { arrived: vec![takes; request.parcels.len()], trouble }
}

/// The control plane: it frees at once, and writes configurations that nobody reads.
struct Desk {
    written: Arc<Mutex<VecDeque<(usize, u64)>>>,
    saves: Arc<Mutex<VecDeque<SaveRequest>>>,
    asked: Arc<Mutex<VecDeque<Ask>>>,
    consults: Consults,
    planted: Planted,
    /// The process has ended.
    down: Arc<AtomicBool>,
}

impl Control for Desk {
    fn free(&self, garbage: Vec<Garbage>) {
        drop(garbage);
    }

    fn write_config(&self, shard: usize, ticket: u64, _config: Arc<Config>) {
        self.written.lock().expect("one thread").push_back((shard, ticket));
    }

    fn consult(&self, shard: usize, ticket: u64, request: migration::Request) {
        self.consults.lock().expect("one thread").push_back((shard, ticket, request));
    }

    fn consult_now(&self, request: migration::Request) -> migration::Answer {
        answer_of(&request)
    }

    fn purge(&self, _whole: bool) {}

    fn shutdown(&self, _mode: ShutdownMode) {
        self.down.store(true, Ordering::Relaxed);
    }

    fn save(&self, request: SaveRequest) {
        self.saves.lock().expect("one thread").push_back(request);
    }

    fn load(&self, _request: LoadRequest) {}

    fn turn_log(&self, turn: LogTurn) {
        self.asked.lock().expect("one thread").push_back(Ask::Turn(turn));
    }

    fn new_base(&self, base: NewBase) {
        self.asked.lock().expect("one thread").push_back(Ask::Base(base));
    }

    fn note(&self, _text: String, _warns: bool) {}

    fn planted(&self) -> Planted {
        self.planted
    }
}

/// A client and its connection.
struct Client {
    /// Who writes its script; `None`: the requests come from the test.
    author: Option<Author>,
    link: Option<Link>,
    links: usize,
    budget: usize,
    raw: Vec<Vec<u8>>,
}

/// All of it.
pub struct World {
    pub plan: Plan,
    rng: Rng,
    shared: Arc<Shared>,
    shards: Vec<Shard>,
    board: Rc<Board>,
    /// The queue from shard `a` to shard `b` is number `a * shards + b`.
    mail: Vec<VecDeque<Letter>>,
    clients: Vec<Client>,
    pub ops: Vec<Op>,
    step: u64,
    /// The last step in which a client got something.
    progress: u64,
    now: Now,
    written: Arc<Mutex<VecDeque<(usize, u64)>>>,
    consults: Consults,
    pub scribe: Scribe,
    pub log: Option<LogSide>,
    down: Arc<AtomicBool>,
    /// Keys with a time to live that were found gone, or there.
    pub died: u64,
    pub lived: u64,
}

impl World {
    /// A world as planned; nobody is connected.
    pub fn new(plan: Plan) -> World {
        let n = plan.shards;
        let written = Arc::new(Mutex::new(VecDeque::new()));
        let saves = Arc::new(Mutex::new(VecDeque::new()));
        let asked = Arc::new(Mutex::new(VecDeque::new()));
        let consults = Consults::default();
        let down = Arc::new(AtomicBool::new(false));
        let desk = Box::new(Desk {
            written: written.clone(),
            saves: saves.clone(),
            asked: asked.clone(),
            consults: consults.clone(),
            planted: plan.planted,
            down: down.clone(),
        });
        let info = ServerInfo {
            shards: n,
            clients: 20_000,
            config_file: "sim.conf".into(),
            ..ServerInfo::default()
        };
        let shared = Arc::new(Shared::new(info, plan.config.databases as usize, plan.seed, desk));
        let now = Now { wall_us: EPOCH_SECS * 1_000_000, mono_us: 1_000_000 };
        let thieves = Thieves::new(shared.clone(), plan.seed, plan.thefts, plan.hold, &plan.topics);
        let board = Board::new(n, thieves);
        let config = Arc::new(plan.config.clone());
        let shard = |id| Shard::new(id, &shared, &config, &board, now, (plan.late_pieces, plan.fill_from));
        let mut shards: Vec<Shard> = (0..n).map(shard).collect();
        shards[0].slow_ms = plan.slow_ms;
        let mail = (0..n * n).map(|_| VecDeque::new()).collect();
        let clients = Vec::new();
        let rng = Rng::new(plan.seed ^ 0x5eed);
        let log = plan.log.map(|log| LogSide::new(log, n, plan.seed, asked));
        let mut world = World {
            plan,
            rng,
            shared,
            shards,
            board,
            mail,
            clients,
            ops: vec![],
            step: 0,
            progress: 0,
            now,
            written,
            consults,
            scribe: Scribe::new(saves),
            log,
            down,
            died: 0,
            lived: 0,
        };
        world.begin_log();
        world
    }

    /// The log begins, as when a server has come up.
    fn begin_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        log.begin(&self.shared, &mut self.shards);
        self.shards[0].core.begin_turn(self.now);
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// How often somebody passed by and looked at a group.
    pub fn looks(&self) -> u64 {
        self.board.thieves.borrow().seen
    }

    /// Lets the planned clients write all that they have to, and everything come to its end.
    pub fn run(&mut self) {
        for client in 0..self.plan.clients {
            let author = Some(Author::new(client));
            let budget = self.plan.budget;
            self.clients.push(Client { author, link: None, links: 0, budget, raw: vec![] });
        }
        let asks = |c: &Client| c.budget > 0 || c.link.as_ref().is_some_and(|l| !l.ended);
        while !self.is_down() && self.clients.iter().any(asks) {
            self.step();
        }
        self.drain();
    }

    /// Whether the process has ended: nothing moves any more.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// What has to be there before the first client comes.
    pub fn prepare(&mut self) {
        let requests = ends::setup(&self.plan.topics);
        self.ask(requests.iter().map(|words| Request::of(words)).collect());
    }

    /// What is left at the end.
    pub fn found(&mut self) -> Found {
        let requests = ends::looks(&self.plan.topics);
        let replies = self.ask(requests.iter().map(|words| Request::of(words)).collect());
        Found::read(&self.plan.topics, &replies)
    }

    /// The process has ended: its last snapshot holds all that was acknowledged, and nobody has seen what it does not hold.
    pub fn check_shutdown(&mut self) {
        let Some(base) = self.scribe.last.take() else { panic!("no snapshot before the end") };
        let image = Image { base: Some(base), stages: vec![] };
        let mut revived = Revived::new(&image, 2).unwrap_or_else(|why| panic!("{why}"));
        if let Err(why) = crash::check(&mut revived, &self.ops, &self.plan, true, self.step) {
            panic!("after SHUTDOWN: {why}");
        }
    }

    /// Sends requests on one fresh connection and waits for everything to come to its end. The raw replies.
    pub fn ask(&mut self, requests: Vec<Request>) -> Vec<Vec<u8>> {
        let at = self.clients.len();
        self.clients.push(Client { author: None, link: None, links: 0, budget: 0, raw: vec![] });
        self.connect(at);
        requests.into_iter().for_each(|r| self.write(at, r));
        // Who says no more in a pause is not answered.
        let waits = |world: &World| world.clients[at].link.as_ref().is_some_and(|l| !l.waiting.is_empty());
        while self.plan.topics.pauses > 0 && !self.is_down() && waits(self) {
            self.step();
        }
        self.half_close(at);
        self.drain();
        self.clients.pop().expect("pushed above").raw
    }

    /// Goes on until nothing is under way, then checks that everything is in its place.
    fn drain(&mut self) {
        while !self.is_down() && !self.is_quiet() {
            (0..LOOK_EVERY).for_each(|_| self.step());
        }
        if self.is_down() {
            for client in 0..self.clients.len() {
                self.cut_off(client);
            }
            return;
        }
        for (s, cell) in self.shared.cells.iter().enumerate() {
            assert!(!cell.is_wanted(), "store {s} is wanted by nobody");
            let store = cell.take().unwrap_or_else(|| panic!("store {s} is lost"));
            assert_eq!(store.shard(), s);
            assert!(!store.is_observed(), "somebody who is gone watches a key of store {s}");
            let _nobody_waits = cell.put(store);
        }
        assert_eq!(self.shared.connected(), 0, "connections counted");
        let first = self.shards[0].core.config();
        assert!(self.shards.iter().all(|s| s.core.config() == first), "shards differ in their configuration");
    }

    fn is_quiet(&self) -> bool {
        self.thefts() == 0
            && self.mail.iter().all(VecDeque::is_empty)
            && self.written.lock().expect("one thread").is_empty()
            && self.consults.lock().expect("one thread").is_empty()
            && self.log.as_ref().is_none_or(LogSide::is_idle)
            && self.clients.iter().all(|c| c.link.is_none() && c.budget == 0)
            && self.shards.iter().all(Shard::is_quiet)
    }

    /// What is not quiet, for a failure.
    fn describe(&self) -> String {
        let links = self.clients.iter().enumerate().filter_map(|(i, c)| Some((i, c.link.as_ref()?)));
        let links: Vec<String> = links
            .map(|(i, l)| format!("client {i} on shard {}: {} owed", l.shard, l.waiting.len()))
            .collect();
        let mail: usize = self.mail.iter().map(VecDeque::len).sum();
        let shards: Vec<String> = self.shards.iter().filter(|s| !s.is_quiet()).map(Shard::describe).collect();
        format!("{links:#?}, {mail} letters, {} thefts, {shards:#?}", self.thefts())
    }

    /// One step.
    fn step(&mut self) {
        if self.is_down() {
            return;
        }
        self.step += 1;
        assert!(self.step < self.progress + STALL_STEPS, "stuck: {}", self.describe());
        if self.rng.permille(self.plan.ticks) {
            self.pass_time();
        }
        self.board.open.set(self.clients.iter().any(|c| c.link.is_some()));
        self.board.moment();
        if self.rng.permille(100) {
            self.scribe.work(&mut self.rng, &self.plan.topics);
        }
        self.step_log();
        if self.plan.topics.queues > 0 && self.step.is_multiple_of(LOOK_EVERY) {
            self.look_at_lines();
        }
        if !self.clients.is_empty() && self.rng.below(100) < self.plan.client_share {
            let client = self.rng.below(self.clients.len());
            return self.client_step(client);
        }
        let shard = self.rng.below(self.shards.len());
        self.shard_step(shard);
    }

    fn pass_time(&mut self) {
        let us = if self.rng.permille(50) { 120_000 } else { self.rng.between(1, 2_000) };
        self.now.wall_us += us as i64;
        self.now.mono_us += us as u64;
    }

    /// Nobody waits for a key that is there, whenever nobody is at the store; nobody's reply is lost. Notes who is in line.
    fn look_at_lines(&mut self) {
        for (s, cell) in self.shared.cells.iter().enumerate() {
            let Some(store) = cell.take() else { continue };
            let overlooked = store.overlooked(self.now);
            for queue in 0..self.plan.topics.queues {
                let name = self.plan.topics.queue_name(queue);
                let waits = (0..).map_while(|at| store.in_line(0, name.as_bytes(), at));
                // Whose time is up is passed over, before its home has seen it.
                let waits = waits.filter(|wait| !wait.is_over() && wait.waiter.until_us > self.now.mono_us);
                for wait in waits {
                    let words: Vec<_> = wait.saved.args().iter().map(String::from_utf8_lossy).collect();
                    let (waiter, text) = (&wait.waiter, words.join(" "));
                    let here = |l: &&Link| l.shard == waiter.home && l.id.0 == waiter.conn;
                    let link = self.clients.iter().filter_map(|c| c.link.as_ref()).find(here);
                    let ops = link.into_iter().flat_map(|link| &link.waiting).map(|(op, _)| *op);
                    let mut same = ops.filter(|op| self.ops[*op].text == text && !text.ends_with(" 0"));
                    if let Some(op) = same.next() {
                        let seen = self.ops[op].seen.get_or_insert((self.step, 0));
                        seen.1 = self.step;
                    }
                }
            }
            self.board.call(s, cell.put(store));
            assert!(overlooked.is_none(), "somebody waits for what is there: {overlooked:?} of store {s}");
        }
        let under_way =
            !self.mail.iter().all(VecDeque::is_empty) || self.shards.iter().any(|s| s.core.is_busy());
        let forgotten = !under_way && self.shards.iter().any(|s| s.core.expects_word());
        assert!(!forgotten, "somebody waits whose wait is over, and hears nothing");
    }

    fn thefts(&self) -> usize {
        self.board.thieves.borrow().held()
    }

    fn client_step(&mut self, at: usize) {
        let client = &self.clients[at];
        let Some(link) = &client.link else {
            if client.budget > 0 {
                self.connect(at);
            }
            return;
        };
        if client.author.is_none() {
            return;
        }
        if self.rng.permille(self.plan.drops) {
            return self.vanish(at);
        }
        // Who waits for long may lose patience.
        let waits = link.waiting.front().is_some_and(|(op, _)| self.ops[*op].waits());
        if waits && !link.ended && self.rng.permille(PATIENCE) {
            return self.half_close(at);
        }
        if link.ended || link.waiting.len() >= self.plan.depth {
            return;
        }
        if client.budget == 0 {
            return self.say_goodbye(at);
        }
        let burst = self.rng.between(1, self.plan.burst).min(client.budget);
        self.clients[at].budget -= burst;
        for _ in 0..burst {
            let Some(author) = &mut self.clients[at].author else { return };
            let requests = author.next(&mut self.rng, &self.plan.topics);
            requests.into_iter().for_each(|r| self.write(at, r));
        }
    }

    fn connect(&mut self, at: usize) {
        let name: Arc<str> = format!("10.0.0.{at}:1").into();
        let peer = Peer { addr: name.clone(), laddr: name, fd: 9, unix: false, local: true };
        let shard = self.shards[0].core.place(&peer).expect("fewer than maxclients");
        let id = self.shards[shard].adopt(at, peer);
        let client = &mut self.clients[at];
        client.links += 1;
        let mut link = Link::new(shard, id, client.links);
        link.bears_refusal = self.plan.topics.faulty;
        client.link = Some(link);
        if let Some(author) = &mut client.author {
            author.reconnect();
        }
    }

    fn write(&mut self, at: usize, request: Request) {
        let mut bytes = request.bytes;
        if self.plan.torn && request.text.starts_with("MSET") && matches!(request.what, What::Put { .. }) {
            bytes = tear(&request.text);
        }
        let Some(link) = &mut self.clients[at].link else { return };
        link.written += bytes.len();
        link.waiting.push_back((self.ops.len(), link.written));
        let (client, number) = (at, link.number);
        self.ops.push(Op::new(request.text, request.what, client, number));
        if let Some(socket) = self.shards[link.shard].net.socket(link.id) {
            socket.up.extend_from_slice(&bytes);
        }
    }

    fn half_close(&mut self, at: usize) {
        let Some(link) = &mut self.clients[at].link else { return };
        link.ended = true;
        if let Some(socket) = self.shards[link.shard].net.socket(link.id) {
            socket.half_closed = true;
        }
    }

    fn say_goodbye(&mut self, at: usize) {
        // Behind a request that waits a QUIT is never read.
        let last = if self.plan.topics.queues == 0 {
            script::goodbye(&mut self.rng, &self.plan.topics)
        } else {
            None
        };
        let Some(last) = last else { return self.half_close(at) };
        self.write(at, last);
        if let Some(link) = &mut self.clients[at].link {
            link.ended = true;
        }
    }

    /// A client goes away with requests and replies under way.
    fn vanish(&mut self, at: usize) {
        let Some(link) = self.cut_off(at) else { return };
        // From now on nobody tells how far the core got: all of it may take effect yet.
        for (op, _) in &link.waiting {
            self.ops[*op].invoked.get_or_insert(self.step);
        }
        let Some(socket) = self.shards[link.shard].net.socket(link.id) else { return };
        socket.aborted = true;
        if self.rng.permille(500) {
            let kept = socket.fed + self.rng.below(socket.up.len() - socket.fed + 1);
            socket.up.truncate(kept);
        }
    }

    /// A client's connection is no more.
    fn cut_off(&mut self, at: usize) -> Option<Link> {
        let link = self.clients[at].link.take()?;
        self.died += link.mortals.died;
        self.lived += link.mortals.lived;
        Some(link)
    }

    fn shard_step(&mut self, at: usize) {
        let n = self.shards.len();
        let senders: Vec<usize> = (0..n).filter(|from| !self.mail[from * n + at].is_empty()).collect();
        let letter = (!senders.is_empty()).then(|| self.rng.pick(&senders) * n + at);
        let written = self.written.lock().expect("one thread").front().is_some_and(|w| w.0 == at);
        let saved = at == 0 && !self.scribe.answers.is_empty();
        let consult = self.consults.lock().expect("one thread").iter().position(|(shard, ..)| *shard == at);
        let consult = consult.filter(|_| self.rng.permille(ANSWERS));
        let told = self.log.as_ref().is_some_and(|log| !log.plane.answers[at].is_empty());
        let cell = &self.shared.cells[at];
        let slowest_ms = self.shards.iter().map(|shard| shard.clock_ms(self.now)).min().unwrap_or(0);
        let shard = &mut self.shards[at];
        let happened = shard.step(
            &mut self.rng,
            self.now,
            letter.is_some(),
            written || saved || told || consult.is_some(),
            cell,
        );
        match happened {
            Happened::Nothing => {}
            Happened::ReadsMail => {
                let letter = letter.and_then(|queue| self.mail[queue].pop_front());
                shard.core.mail(&mut shard.net, letter.expect("checked above"));
            }
            Happened::ReadsNotice => {
                if told {
                    self.hear(at);
                    return self.post(at);
                }
                if saved && let Some(result) = self.scribe.answers.pop_front() {
                    shard.core.saved(&mut shard.net, result);
                    return self.post(at);
                }
                if let Some((_, ticket, request)) =
                    consult.and_then(|i| self.consults.lock().expect("one thread").remove(i))
                {
                    shard.core.consulted(&mut shard.net, ticket, answer_of(&request));
                    return self.post(at);
                }
                let notice = self.written.lock().expect("one thread").pop_front();
                let (_, ticket) = notice.expect("checked above");
                shard.core.config_written(&mut shard.net, ticket, Ok(()));
            }
            Happened::Fed { conn, client, fed } => {
                if let Some(link) = link_of(&mut self.clients, client, at, conn) {
                    link.fed(fed, &mut self.ops, self.step, slowest_ms);
                }
            }
            Happened::Delivered { conn, client, bytes } => {
                self.progress = self.step;
                if let Some(link) = link_of(&mut self.clients, client, at, conn) {
                    link.in_doubt = self.shared.saves.log.errno() != 0;
                    let raw = link.receive(&bytes, &mut self.ops, self.step, self.now.ms());
                    if self.clients[client].author.is_none() {
                        self.clients[client].raw.extend(raw);
                    }
                }
            }
            Happened::Closed { conn, client } => self.closed(at, conn, client),
        }
        self.post(at);
        let slept_us = std::mem::take(&mut self.shards[at].net.slept_us);
        self.now.wall_us += slept_us as i64;
        self.now.mono_us += slept_us;
    }

    /// A shard hears of the storage plane.
    fn hear(&mut self, at: usize) {
        let Some(log) = &mut self.log else { return };
        let shard = &mut self.shards[at];
        match log.plane.answers[at].pop_front() {
            Some(Answer::Opened(start)) => {
                let file = start.file;
                shard.core.log_opened(&mut shard.net, start);
                log.opened(&self.shared, at, file);
            }
            Some(Answer::Made(result)) => shard.core.generation_made(&mut shard.net, result),
            Some(Answer::Based(result)) => shard.core.base_made(&mut shard.net, result),
            None => {}
        }
    }

    /// The disk and the storage plane go on; now and then it is looked at what a crash would leave.
    fn step_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        log.disk.borrow_mut().moment();
        if self.rng.permille(100) {
            log.plane.work(&mut self.scribe.base);
        }
        // Best right after somebody got a reply.
        let likely = if self.progress + 1 == self.step { 20 } else { 1 };
        if self.rng.below(10_000) < log.plan.crashes * likely {
            log.crash(&self.shared, &self.ops, &self.plan, self.step);
        }
    }

    /// From now on the disk fails as planned, or never.
    pub fn fail_writes(&mut self, fail: bool) {
        if let Some(log) = &mut self.log {
            log.disk.borrow_mut().faults = if fail { log.plan.faults } else { 0 };
        }
    }

    /// Compares what the disk holds, once all has come to rest, with what the server does.
    pub fn compare_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        let Some(mut revived) = log.last(&self.shared, &self.plan) else { return };
        let requests = ends::looks(&self.plan.topics);
        let words: Vec<Vec<&str>> = requests.iter().map(|r| r.iter().map(String::as_str).collect()).collect();
        let words: Vec<&[&str]> = words.iter().map(|words| &words[..]).collect();
        let here = self.look(&words);
        crash::same(&mut revived, &requests, &here);
    }

    /// Goes on until all that was logged is on the disk, as far as the configuration promises it.
    pub fn settle_log(&mut self) {
        for _ in 0..STALL_STEPS {
            let Some(log) = &self.log else { return };
            if log.is_idle() && log.is_settled(&self.shared, &self.plan) {
                return;
            }
            self.step();
            self.progress = self.step;
        }
        let lines = self.shared.saves.log.all().iter();
        let lines: Vec<_> = lines
            .map(|l| (l.logged(), l.written.load(std::sync::atomic::Ordering::Relaxed), l.durable()))
            .collect();
        panic!("the log does not come to rest: {}, logged, written, durable: {lines:?}", self.describe());
    }

    /// The server has closed a connection: the client sees it, and it must have had a reason.
    fn closed(&mut self, shard: usize, conn: ConnId, client: usize) {
        self.progress = self.step;
        let Some(link) = link_of(&mut self.clients, client, shard, conn) else { return };
        let topics = &self.plan.topics;
        let may_be_killed = topics.kills > 0 || topics.faulty;
        // As in Redis, who says no more while CLIENT PAUSE holds its commands back is gone, and they are not run.
        let may_be_dropped = topics.pauses > 0 && link.ended;
        if !link.ended_well(&self.ops) && !may_be_killed && !may_be_dropped {
            let owed: Vec<&Op> = link.waiting.iter().map(|(op, _)| &self.ops[*op]).collect();
            panic!("client {client} was cut off; it is owed {owed:#?}");
        }
        self.cut_off(client);
    }

    /// What a core wrote goes into the queues, and wakes who sleeps.
    fn post(&mut self, from: usize) {
        let n = self.shards.len();
        for (to, letter) in self.shards[from].core.drain_mail() {
            assert_ne!(from, to, "a letter to itself");
            self.mail[from * n + to].push_back(letter);
            self.board.wake(to);
        }
    }

    /// A counter of INFO, over all shards.
    pub fn counter(&mut self, field: &str) -> u64 {
        let raw = self.ask(vec![Request::new(&["INFO", "everything"], false, What::Anything)]).concat();
        let text = String::from_utf8_lossy(&raw);
        let value = |line: &str| line.strip_prefix(field)?.strip_prefix(':')?.parse().ok();
        text.lines().find_map(value).unwrap_or_else(|| panic!("INFO lacks {field}"))
    }

    /// The reply to each of these requests, as text; for looking at the end of a run.
    pub fn look(&mut self, requests: &[&[&str]]) -> Vec<String> {
        let requests = requests.iter().map(|words| Request::new(words, false, What::Anything)).collect();
        self.ask(requests).iter().map(|raw| show(raw)).collect()
    }
}

/// The link of a client, if it is still this connection.
fn link_of(clients: &mut [Client], client: usize, shard: usize, conn: ConnId) -> Option<&mut Link> {
    clients.get_mut(client)?.link.as_mut().filter(|l| l.shard == shard && l.id == conn)
}

/// An MSET as two commands with one reply: its first pair as a plain SET whose reply is dropped.
fn tear(text: &str) -> Vec<u8> {
    let words: Vec<&str> = text.split(' ').collect();
    let first = format!("CLIENT REPLY SKIP\r\nSET {} {}\r\n", words[1], words[2]);
    format!("{first}MSET {}\r\n", words[3..].join(" ")).into_bytes()
}
