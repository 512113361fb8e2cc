//! What MIGRATE sends to other servers: a thread for each request, up to a bound, that waits where a shard may not.
//!
//! ```text
//!  AUTH, SELECT ─> their replies ─> RESTORE, as many as there are keys ─> a reply each: `+` means that the key is there
//! ```
//! Redis sends all of it at once, and a key whose SELECT was refused lands in database 0. Here nothing is restored before the other
//! server has said yes to both; the replies that the client gets are the same.

use crate::base::numa;
use crate::cmd::migration::{Answer, Parcel, Request, Trouble};
use crate::ring::peer::Peer;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Requests that are under way at most; more wait for one of them to end.
const THREADS_MAX: usize = 128;
/// A thread needs little: what it sends is on the heap.
const STACK_BYTES: usize = 256 * 1024;
/// How much is gathered before it is sent.
const PIECE: usize = 64 * 1024;

/// What is done with an answer.
type Reply = Box<dyn FnOnce(Answer) + Send>;

/// See the module's text.
pub(super) struct Peers {
    desk: Arc<Mutex<Desk>>,
    /// The cores that its threads may use: all, though a shard that asks is pinned to one.
    cores: Arc<[usize]>,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<(Request, Reply)>,
    threads: usize,
}

fn open(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    pub fn new(cores: Vec<usize>) -> Peers {
        Peers { desk: Arc::default(), cores: cores.into() }
    }

    /// Asks another server. Does not wait.
    pub fn ask(&self, request: Request, reply: Reply) {
        let mut desk = open(&self.desk);
        desk.waiting.push_back((request, reply));
        if desk.threads == THREADS_MAX {
            return;
        }
        let (shared, cores) = (self.desk.clone(), self.cores.clone());
        let thread = std::thread::Builder::new().name("kring-peer".into()).stack_size(STACK_BYTES);
        let serve = move || {
            numa::stay_on(&cores);
            serve(&shared);
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

/// A thread: serves requests until none waits.
fn serve(desk: &Mutex<Desk>) {
    loop {
        let mut open = open(desk);
        let Some((request, reply)) = open.waiting.pop_front() else {
            open.threads -= 1;
            return;
        };
        drop(open);
        let answer = ask_now(&request);
        drop(request);
        reply(answer);
    }
}

/// Asks another server, and waits until it has answered.
pub(super) fn ask_now(request: &Request) -> Answer {
    let mut arrived = vec![false; request.parcels.len()];
    let trouble = talk(request, &mut arrived).err();
    Answer { arrived, trouble }
}

/// Talks to another server, and notes what it has acknowledged.
fn talk(request: &Request, arrived: &mut [bool]) -> Result<(), Trouble> {
    let host = std::str::from_utf8(&request.host).map_err(|_| Trouble::Connect)?;
    let port = u16::try_from(leading_number(&request.port)).map_err(|_| Trouble::Connect)?;
    let timeout = Duration::from_millis(request.timeout_ms);
    let mut peer = Peer::connect(host, port, timeout).map_err(|why| match why.kind() {
        // Redis finds out when it writes.
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable => Trouble::Write,
        _ => Trouble::Connect,
    })?;
    open_database(&mut peer, request)?;
    let sent = send_parcels(&mut peer, request).map_err(|_| Trouble::Write)?;
    let mut refusal = None;
    for i in sent {
        match peer.line() {
            Ok(line) => match refused(line) {
                None => arrived[i] = true,
                Some(why) => {
                    refusal.get_or_insert(Trouble::Target(why));
                }
            },
            Err(_) => {
                refusal.get_or_insert(Trouble::Read);
                break;
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Says who comes, and to which database.
fn open_database(peer: &mut Peer, request: &Request) -> Result<(), Trouble> {
    let mut opening = Vec::new();
    if !request.auth.is_empty() {
        let words: Vec<&[u8]> = request.auth.iter().map(Vec::as_slice).collect();
        put(&mut opening, &[&[&b"AUTH"[..]], &words[..]].concat());
    }
    put(&mut opening, &[b"SELECT", request.db.to_string().as_bytes()]);
    peer.send(&opening).map_err(|_| Trouble::Write)?;
    let replies = if request.auth.is_empty() { 1 } else { 2 };
    let mut refusal = None;
    for _ in 0..replies {
        let line = peer.line().map_err(|_| Trouble::Read)?;
        refusal = refusal.or(refused(line));
    }
    refusal.map_or(Ok(()), |why| Err(Trouble::Target(why)))
}

/// Sends what has not expired: the numbers of the parcels.
fn send_parcels(peer: &mut Peer, request: &Request) -> std::io::Result<Vec<usize>> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let mut sent = Vec::with_capacity(request.parcels.len());
    let mut piece = Vec::new();
    for (i, Parcel { key, expire_at, payload }) in request.parcels.iter().enumerate() {
        let ttl = match expire_at {
            None => "0".to_string(),
            Some(at) if *at < now_ms => continue,
            Some(at) => (at - now_ms).max(1).to_string(),
        };
        let words: [&[u8]; 5] = [b"RESTORE", key, ttl.as_bytes(), payload, b"REPLACE"];
        put(&mut piece, &words[..4 + request.replace as usize]);
        sent.push(i);
        if piece.len() >= PIECE {
            peer.send(&piece)?;
            piece.clear();
        }
    }
    peer.send(&piece)?;
    Ok(sent)
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
