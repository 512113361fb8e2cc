//! What MIGRATE sends to other servers: a thread for each request, up to a bound, that waits where a shard may not.
//!
//! ```text
//!  AUTH, SELECT ─> their replies ─> RESTORE ... ─> a reply each: `+` means that the key is there
//! ```
//! Redis sends all of it at once, and a key whose SELECT was refused lands in database 0. Here nothing is restored before the other
//! server has said yes to both; the replies that the client gets are the same.
//!
//! While keys are sent their replies are heard, so that neither side waits for the other to take what it has no room for.
//!
//! As in Redis a connection that has served well is kept for a while: a new one for each call would leave so many behind that are
//! closing that no port is left. It serves those only who say the same password, and say it again, since it may have changed. When
//! it turns out to be closed before the first reply, nothing was restored, and a new one is made.

use crate::base::numa;
use crate::cmd::migration::{Answer, Parcel, Request, Trouble};
use crate::ring::peer::Peer;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Requests that are under way at most; more wait for one of them to end.
const THREADS_MAX: usize = 128;
/// A thread needs little: what it sends is on the heap.
const STACK_BYTES: usize = 256 * 1024;
/// How much is gathered before it is sent.
const PIECE: usize = 64 * 1024;
/// Keys that are sent and not replied to, at most.
const UNHEARD_MAX: usize = 1_024;
/// Connections that are kept, and how long nobody has to need one for it to be closed. A thread stays as long.
const KEPT_MAX: usize = 64;
const KEPT_FOR: Duration = Duration::from_secs(10);

/// What is done with an answer.
type Reply = Box<dyn FnOnce(Answer) + Send>;

/// See the module's text.
pub(super) struct Peers {
    office: Arc<Office>,
    /// The cores that its threads may use: all, though a shard that asks is pinned to one.
    cores: Arc<[usize]>,
}

/// What the threads share.
#[derive(Default)]
struct Office {
    desk: Mutex<Desk>,
    /// A request is on the desk.
    bell: Condvar,
}

#[derive(Default)]
struct Desk {
    /// One a client at most.
    waiting: VecDeque<(Request, Reply)>,
    threads: usize,
    /// How many of them have nothing to do.
    resting: usize,
    /// The latest last.
    kept: VecDeque<Kept>,
}

/// A connection that nobody uses at the moment.
struct Kept {
    whom: Whom,
    peer: Peer,
    since: Instant,
}

/// Whom a connection leads to, and as whom.
#[derive(PartialEq, Eq)]
struct Whom {
    host: Vec<u8>,
    port: Vec<u8>,
    auth: Vec<Vec<u8>>,
}

impl Whom {
    fn of(request: &Request) -> Whom {
        let Request { host, port, auth, .. } = request;
        Whom { host: host.clone(), port: port.clone(), auth: auth.clone() }
    }
}

impl Office {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Closes connections that nobody has needed for long.
    fn clear(&mut self) {
        self.kept.retain(|kept| kept.since.elapsed() < KEPT_FOR);
    }

    /// A connection that is kept, and that the other server has not closed.
    fn take(&mut self, whom: &Whom) -> Option<Peer> {
        self.clear();
        loop {
            let at = self.kept.iter().rposition(|kept| kept.whom == *whom)?;
            let found = self.kept.remove(at).filter(|kept| kept.peer.is_at_rest());
            if let Some(Kept { peer, .. }) = found {
                return Some(peer);
            }
        }
    }

    fn keep(&mut self, whom: Whom, peer: Peer) {
        self.clear();
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { whom, peer, since: Instant::now() });
    }
}

impl Peers {
    pub fn new(cores: Vec<usize>) -> Peers {
        Peers { office: Arc::default(), cores: cores.into() }
    }

    /// How many connections are kept.
    pub fn kept(&self) -> usize {
        self.office.desk().kept.len()
    }

    /// Asks another server. Does not wait.
    pub fn ask(&self, request: Request, reply: Reply) {
        let mut desk = self.office.desk();
        desk.waiting.push_back((request, reply));
        if desk.resting >= desk.waiting.len() {
            return self.office.bell.notify_one();
        }
        if desk.threads == THREADS_MAX {
            return;
        }
        let (office, cores) = (self.office.clone(), self.cores.clone());
        let thread = std::thread::Builder::new().name("kring-peer".into()).stack_size(STACK_BYTES);
        let serve = move || {
            numa::stay_on(&cores);
            serve(&office);
        };
        if thread.spawn(serve).is_ok() {
            desk.threads += 1;
        } else if desk.threads == 0
            && let Some((request, reply)) = desk.waiting.pop_back()
        {
            drop(desk);
            let arrived = vec![false; request.parcels.len()];
            reply(Answer { arrived, trouble: Some(Trouble::Connect) });
        }
    }
}

/// A thread: serves requests until none has come for a while.
fn serve(office: &Office) {
    let mut desk = office.desk();
    loop {
        if let Some((request, reply)) = desk.waiting.pop_front() {
            let whom = Whom::of(&request);
            let kept = desk.take(&whom);
            drop(desk);
            let (answer, peer) = ask(&request, kept);
            // Before the client hears: its next call is to find the connection.
            if let Some(peer) = peer {
                office.desk().keep(whom, peer);
            }
            drop(request);
            reply(answer);
            desk = office.desk();
            continue;
        }
        desk.resting += 1;
        let waited = office.bell.wait_timeout(desk, KEPT_FOR);
        let timed_out;
        (desk, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        desk.resting -= 1;
        if timed_out.timed_out() && desk.waiting.is_empty() {
            desk.clear();
            desk.threads -= 1;
            return;
        }
    }
}

/// Asks another server, and waits until it has answered. Nobody would look after the connection, so it is not kept.
pub(super) fn ask_now(request: &Request) -> Answer {
    ask(request, None).0
}

/// Asks another server over the connection that was kept, or a new one; the answer, and the connection if it is good for more.
fn ask(request: &Request, kept: Option<Peer>) -> (Answer, Option<Peer>) {
    let kept = kept.map(|mut peer| {
        peer.set_timeout(timeout(request));
        peer
    });
    let was_kept = kept.is_some();
    let mut errand = Errand { request, arrived: vec![false; request.parcels.len()], refusal: None, heard: 0 };
    let (mut peer, mut trouble) = errand.run(kept);
    if was_kept && errand.heard == 0 && peer.is_none() && trouble.as_ref().is_some_and(|t| !t.timed_out) {
        // It was closed just now.
        (peer, trouble) = errand.run(None);
    }
    let trouble = errand.refusal.or(trouble.map(|failed| failed.trouble));
    (Answer { arrived: errand.arrived, trouble }, peer)
}

fn timeout(request: &Request) -> Duration {
    Duration::from_millis(request.timeout_ms)
}

/// What ended a talk too early.
struct Failed {
    trouble: Trouble,
    timed_out: bool,
}

impl Failed {
    fn of(trouble: Trouble, why: &std::io::Error) -> Failed {
        // A read that takes too long would block, says Linux.
        Failed { trouble, timed_out: matches!(why.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) }
    }

    fn reading(why: std::io::Error) -> Failed {
        Failed::of(Trouble::Read, &why)
    }

    fn writing(why: std::io::Error) -> Failed {
        Failed::of(Trouble::Write, &why)
    }
}

/// A request, and how far it is.
struct Errand<'a> {
    request: &'a Request,
    /// For each parcel, whether the other server has acknowledged it.
    arrived: Vec<bool>,
    /// The first error that the other server has replied.
    refusal: Option<Trouble>,
    /// Lines that it has said.
    heard: usize,
}

impl Errand<'_> {
    /// Talks to the other server, over this connection or a new one; the connection if all was heard, and what went wrong if not.
    fn run(&mut self, kept: Option<Peer>) -> (Option<Peer>, Option<Failed>) {
        let talked = self.open(kept).and_then(|opened| {
            let Some(mut peer) = opened else { return Ok(None) };
            self.send_parcels(&mut peer)?;
            Ok(Some(peer))
        });
        talked.map_or_else(|failed| (None, Some(failed)), |peer| (peer, None))
    }

    /// A connection, as whom and to which database the request says. None when the other server has refused.
    fn open(&mut self, kept: Option<Peer>) -> Result<Option<Peer>, Failed> {
        let mut peer = kept.map_or_else(|| self.connect(), Ok)?;
        let (mut opening, auth) = (Vec::new(), &self.request.auth);
        if !auth.is_empty() {
            let words: Vec<&[u8]> = auth.iter().map(Vec::as_slice).collect();
            put(&mut opening, &[&[&b"AUTH"[..]], &words[..]].concat());
        }
        put(&mut opening, &[b"SELECT", self.request.db.to_string().as_bytes()]);
        peer.send(&opening).map_err(Failed::writing)?;
        for _ in 0..1 + !auth.is_empty() as usize {
            self.hear(&mut peer)?;
        }
        Ok(self.refusal.is_none().then_some(peer))
    }

    fn connect(&self) -> Result<Peer, Failed> {
        let unknown = || Failed { trouble: Trouble::Connect, timed_out: false };
        let host = std::str::from_utf8(&self.request.host).map_err(|_| unknown())?;
        let port = u16::try_from(leading_number(&self.request.port)).map_err(|_| unknown())?;
        Peer::connect(host, port, timeout(self.request)).map_err(|why| match why.kind() {
            // Redis finds out when it writes.
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable => Failed::writing(why),
            _ => Failed::of(Trouble::Connect, &why),
        })
    }

    /// The next reply; whether it is a yes.
    fn hear(&mut self, peer: &mut Peer) -> Result<bool, Failed> {
        let line = peer.line().map_err(Failed::reading)?;
        self.heard += 1;
        let refusal = refused(line);
        let is_yes = refusal.is_none();
        self.refusal = self.refusal.take().or(refusal.map(Trouble::Target));
        Ok(is_yes)
    }

    /// Sends what has not expired, and hears what becomes of it.
    fn send_parcels(&mut self, peer: &mut Peer) -> Result<(), Failed> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let (mut unheard, mut piece) = (VecDeque::new(), Vec::new());
        for (i, Parcel { key, expire_at, payload }) in self.request.parcels.iter().enumerate() {
            let ttl = match expire_at {
                None => "0".to_string(),
                Some(at) if *at < now_ms => continue,
                Some(at) => (at - now_ms).max(1).to_string(),
            };
            let words: [&[u8]; 5] = [b"RESTORE", key, ttl.as_bytes(), payload, b"REPLACE"];
            put(&mut piece, &words[..4 + self.request.replace as usize]);
            unheard.push_back(i);
            if piece.len() >= PIECE || unheard.len() >= UNHEARD_MAX {
                peer.send(&piece).map_err(Failed::writing)?;
                piece.clear();
                self.hear_to(UNHEARD_MAX / 2, &mut unheard, peer)?;
            }
        }
        peer.send(&piece).map_err(Failed::writing)?;
        self.hear_to(0, &mut unheard, peer)
    }

    /// Hears what becomes of parcels that were sent, until so many are left.
    fn hear_to(&mut self, left: usize, unheard: &mut VecDeque<usize>, peer: &mut Peer) -> Result<(), Failed> {
        while unheard.len() > left
            && let Some(i) = unheard.pop_front()
        {
            self.arrived[i] = self.hear(peer)?;
        }
        Ok(())
    }
}

/// Why a reply is no yes. Whoever does not say `+` has not understood.
fn refused(line: Vec<u8>) -> Option<Vec<u8>> {
    match line.split_first() {
        Some((b'+', _)) => None,
        Some((b'-', why)) => Some(why.to_vec()),
        _ => Some(line),
    }
}

/// A command as RESP.
fn put(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The number that a text begins with, as `atoi` reads it: 0 when there is none.
fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    sign * digits.fold(0i64, |n, b| n.saturating_mul(10).saturating_add(i64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_redis_does() {
        for (text, number) in [
            (&b"6379"[..], 6_379),
            (b" 7x", 7),
            (b"+8", 8),
            (b"-9", -9),
            (b"x", 0),
            (b"", 0),
            (b"99999999999999999999", i64::MAX),
        ] {
            assert_eq!(leading_number(text), number);
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        assert_eq!(refused(b"+OK".to_vec()), None);
        assert_eq!(refused(b"-ERR no".to_vec()), Some(b"ERR no".to_vec()));
        assert_eq!(refused(b"HTTP/1.1 400".to_vec()), Some(b"HTTP/1.1 400".to_vec()));
        assert_eq!(refused(Vec::new()), Some(Vec::new()));
    }
}
