//! A connection at its home: what it has sent and not run, what it is owed, and what it waits for.
//!
//! An idle one costs its struct, its session and two addresses: no buffers (they come from the shard's pool when
//! there is something to hold).

use super::block::{Blocked, Early};
use super::hold::Holds;
use crate::cmd::{Report, Session};
use crate::resp::{Out, Parser, Span};
use crate::ring::Message;
use crate::ring::net::{Chunk, ConnId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As CLIENT LIST shows them: the peer's address and ours.
    pub addr: Arc<str>,
    pub laddr: Arc<str>,
    pub fd: i32,
    pub unix: bool,
    pub local: bool,
}

/// What a connection waits for. Its requests run only while it waits for nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    Nothing,
    /// A job of its is away.
    Job,
    /// A store that is away.
    Store,
    /// Reports or an order: the ticket.
    Ticket(u64),
    /// CLIENT PAUSE.
    Pause,
    /// Its peer to read replies.
    Reader,
    /// Keys, or time to pass.
    Block,
    /// A key that is locked.
    Lock,
}

impl Waits {
    /// Whether INFO and CLIENT LIST call it blocked.
    pub fn is_blocked(self) -> bool {
        matches!(self, Waits::Block | Waits::Pause)
    }
}

/// Requests that have arrived and not run.
#[derive(Default)]
pub(super) struct Input {
    pub buf: Vec<u8>,
    /// Everything before this has run.
    pub at: usize,
    /// The state of the command that starts at `at`, and its spans so far (offsets in `buf`).
    pub parser: Parser,
    pub spans: Vec<Span>,
    /// Nothing can run before the buffer is this long.
    pub want: usize,
    /// What was in `buf`, and the room in it, when the driver took it to receive more.
    pub filling: Option<(usize, usize)>,
    /// The last piece of the argument that has begun came straight.
    pub is_straight: bool,
    /// Bytes of the job that is under way with some of its requests.
    pub mailed: usize,
}

impl Input {
    /// Bytes that it takes, the job's included.
    fn memory(&self) -> usize {
        size_of::<Input>() + self.room() + self.spans.capacity() * size_of::<Span>() + self.mailed
    }
}

/// Bytes that have run are cut off once there are so many of them.
const COMPACT_FROM: usize = 64 * 1024;

impl Input {
    /// Bytes that have not run.
    pub fn len(&self) -> usize {
        self.filling.map_or(self.buf.len(), |(len, _)| len) - self.at
    }

    /// Room for requests.
    pub fn room(&self) -> usize {
        self.filling.map_or(self.buf.capacity(), |(_, room)| room)
    }

    /// Bytes without which nothing can run, as far as is known.
    pub fn missing(&self) -> usize {
        if self.filling.is_some() { 0 } else { self.want.saturating_sub(self.buf.len()) }
    }

    /// Takes the buffer, to be filled up to the length that is given with it. There is room for that, and none that is not needed:
    /// what is stored in it is the larger for it.
    pub fn lend(&mut self) -> (Vec<u8>, usize) {
        let mut buf = std::mem::take(&mut self.buf);
        if self.at > 0 || buf.capacity() < self.want {
            let mut fitting = Vec::with_capacity(self.want - self.at);
            fitting.extend_from_slice(&buf[self.at..]);
            buf = fitting;
            self.cut_off(self.at);
        }
        self.filling = Some((buf.len(), buf.capacity()));
        (buf, self.want)
    }

    /// Has become shorter by so many bytes, which have run.
    fn cut_off(&mut self, bytes: usize) {
        self.parser = self.parser.shifted(bytes);
        self.spans.iter_mut().for_each(|span| *span = span.shifted(bytes));
        self.want = self.want.saturating_sub(bytes);
        self.at -= bytes;
    }

    /// Appends what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at >= COMPACT_FROM && self.at > self.buf.len() / 2 {
            // Also before a command that has begun: of a stream of large ones each chunk may end within one.
            self.buf.drain(..self.at);
            self.cut_off(self.at);
        }
        // An argument's room is made at once, as announced: growing step by step would copy a large one many times, and pages
        // that nothing is written to cost nothing.
        let missing = self.want.saturating_sub(self.buf.len()).max(bytes.len());
        if self.buf.capacity() - self.buf.len() < missing {
            let more = if self.buf.len() < DOUBLE_BELOW { self.buf.len() } else { self.buf.len() / 4 };
            self.buf.reserve_exact(missing.max(more));
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Puts commands that were under way before what is here.
    pub fn push_front(&mut self, bytes: &[u8]) {
        match self.at.checked_sub(bytes.len()) {
            // They still stand there, or others that have run.
            Some(at) => {
                self.buf[at..self.at].copy_from_slice(bytes);
                self.restart(at);
            }
            None => {
                self.buf.splice(..self.at, bytes.iter().copied());
                self.restart(0);
            }
        }
    }

    /// What has run up to `at` is done; the next command is parsed afresh.
    pub fn restart(&mut self, at: usize) {
        self.at = at;
        self.parser = Parser::at(at);
        self.spans.clear();
        self.want = 0;
    }
}

/// The most large values that go out by one send: more would hardly cost less, and what is out counts as owed until all of it is.
const VALUES_AT_ONCE: usize = 16;

/// Smaller buffers grow to the double, larger ones by a quarter.
const DOUBLE_BELOW: usize = 1 << 20;

/// A connection.
pub(super) struct Conn {
    pub id: ConnId,
    /// At home unless a job has it; then `shown` is what CLIENT LIST shows.
    pub session: Option<Box<Session>>,
    pub shown: Option<Box<Session>>,
    pub input: Option<Box<Input>>,
    pub out: Out,
    /// Chunks that wait behind the one under way.
    pub chunks: VecDeque<Chunk>,
    pub chunk_bytes: usize,
    /// Which of them wait for the disk. None on most servers.
    pub holds: Option<Box<Holds>>,
    pub is_held: bool,
    /// Bytes of the chunk under way; 0: none.
    pub sending: usize,
    /// What the driver has last said of the peer's taking it ([`crate::ring::net::Net::progress`]); asked where idle clients are
    /// closed.
    pub taken: u64,
    pub waits: Waits,
    /// The reports that its next command asked for.
    pub reports: Option<Vec<Report>>,
    /// What it waits for when it is blocked.
    pub blocked: Option<Box<Blocked>>,
    /// That it was served, before the job came home that says it waits.
    pub early: Option<Box<Early>>,
    /// Close when all replies are out.
    pub closing: bool,
    /// The peer sends no more.
    pub eof: bool,
    /// The driver has been told to close it.
    pub closed: bool,
    /// To be closed when the job is back that is away with its keys.
    pub doomed: bool,
    pub recv_paused: bool,
    /// What [`Conn::memory`] was when it was last counted.
    pub counted: usize,
    pub in_ready: bool,
    pub in_dirty: bool,
    /// How often in a row the next command's store was away.
    pub put_off: u8,
    /// Since when (monotonic us) replies are over the soft limit; 0: they are not.
    pub soft_since_us: u64,
}

impl Conn {
    pub fn new(id: ConnId, session: Box<Session>) -> Conn {
        Conn {
            id,
            session: Some(session),
            shown: None,
            input: None,
            out: Out::default(),
            chunks: VecDeque::new(),
            chunk_bytes: 0,
            holds: None,
            is_held: false,
            sending: 0,
            taken: 0,
            waits: Waits::Nothing,
            reports: None,
            blocked: None,
            early: None,
            closing: false,
            eof: false,
            closed: false,
            doomed: false,
            recv_paused: false,
            counted: 0,
            in_ready: false,
            in_dirty: false,
            put_off: 0,
            soft_since_us: 0,
        }
    }

    /// The next chunk to send, if there is one.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        if self.chunks.is_empty() {
            if self.out.is_empty() {
                return None;
            }
            if self.out.is_plain() {
                return Some(Chunk::Owned(self.out.take(Vec::new()).0));
            }
            self.shelve_replies();
        }
        let chunk = self.chunks.pop_front()?;
        self.chunk_bytes -= chunk.len();
        self.holds.iter_mut().for_each(|holds| holds.sent += 1);
        Some(chunk)
    }

    /// Makes chunks of the replies gathered.
    pub fn shelve_replies(&mut self) {
        let (text, values) = self.out.take(Vec::new());
        self.chunk_bytes += text.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>();
        if values.is_empty() {
            return self.chunks.push_back(Chunk::Owned(text));
        }
        if values.len() <= VALUES_AT_ONCE {
            return self.chunks.push_back(Chunk::Mixed(Message::new(text, values)));
        }
        let (mut values, mut from) = (values.into_iter().peekable(), 0);
        while values.peek().is_some() {
            let here = values.by_ref().take(VALUES_AT_ONCE);
            let here: Vec<_> = here.map(|(at, value)| (at - from, value)).collect();
            let last = here.last().map_or(0, |(at, _)| from + at);
            let to = if values.peek().is_some() { last } else { text.len() };
            self.chunks.push_back(Chunk::Mixed(Message::new(text[from..to].to_vec(), here)));
            from = to;
        }
    }

    /// Nobody hears the replies that are not on their way yet.
    pub fn forget_replies(&mut self) {
        self.out.clear();
        self.chunks.clear();
        self.chunk_bytes = 0;
        (self.holds, self.is_held) = (None, false);
    }

    /// Reply bytes that the peer has not taken.
    pub fn owed(&self) -> usize {
        self.out.len() + self.chunk_bytes + self.sending
    }

    /// Request bytes that have not run.
    pub fn unread(&self) -> usize {
        self.input.as_ref().map_or(0, |i| i.len())
    }

    /// Bytes that it takes: itself, its requests, its replies, what it has queued and watches.
    pub fn memory(&self) -> usize {
        let session = self.session.as_ref().or(self.shown.as_ref());
        let transaction = session.and_then(|s| s.transaction.as_ref()).map_or(0, |t| t.memory);
        let input = self.input.as_ref().map_or(0, |input| input.memory());
        let output = self.out.capacity().max(self.out.len()) + self.chunk_bytes + self.sending;
        size_of::<Conn>() + size_of::<Session>() + input + output + transaction
    }

    /// Bytes have come from the peer, or it has taken some: it is not idle.
    #[inline]
    pub fn note_use(&mut self, now_secs: i64) {
        if let Some(session) = self.session.as_mut().or(self.shown.as_mut()) {
            session.last_secs = now_secs;
        }
    }

    /// Whether its requests may run now.
    pub fn may_run(&self) -> bool {
        self.waits == Waits::Nothing && !self.closing && !self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Limits, SHARE_FROM, Step};

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Conn>() <= 328, "{}", size_of::<Conn>());
        assert!(size_of::<Session>() <= 320, "{}", size_of::<Session>());
    }

    #[test]
    fn what_the_parser_noted_and_what_was_mailed_counts() {
        let mut conn = Conn::new(ConnId(0), Box::new(Session::new(0, 0)));
        let empty = conn.memory();
        let spans = Vec::with_capacity(1_000);
        conn.input = Some(Box::new(Input { spans, mailed: 5_000, ..Input::default() }));
        assert_eq!(conn.memory(), empty + size_of::<Input>() + 1_000 * size_of::<Span>() + 5_000);
    }

    #[test]
    fn input_keeps_what_has_not_run() {
        let mut input = Input::default();
        input.push(b"abcdef");
        input.restart(4);
        input.push_front(b"XY");
        assert_eq!((&input.buf[input.at..], input.len()), (&b"XYef"[..], 4));
        input.restart(input.at + 1);
        input.push(b"g");
        assert_eq!(&input.buf[input.at..], b"Yefg");
    }

    #[test]
    fn a_buffer_with_the_driver_has_room_for_what_is_missing_and_counts() {
        let mut input = Input::default();
        input.push(b"PING\r\n*2\r\n$3\r\nGET\r\n$90000\r\nkey");
        let limits = Limits { bulk_max: i64::MAX, authenticated: true };
        input.restart(6);
        let step = input.parser.step(&input.buf, &limits, &mut input.spans, &mut Vec::new());
        let Step::Incomplete { want } = step else { panic!("{step:?}") };
        input.want = want;
        let (left, missing) = (input.len(), input.missing());
        assert_eq!(missing, 90_002 - 3);
        let (mut buf, until) = input.lend();
        assert_eq!((buf.len(), buf.capacity(), until), (left, left + missing, left + missing));
        assert_eq!((input.len(), input.room(), input.missing()), (left, until, 0));
        assert_eq!(input.memory() - size_of::<Input>() - input.spans.capacity() * size_of::<Span>(), until);
        buf.resize(until, b'x');
        (input.buf, input.filling) = (buf, None);
        let step = input.parser.step(&input.buf, &limits, &mut input.spans, &mut Vec::new());
        assert_eq!(step, Step::Command { end: until, inline: false });
        assert_eq!((input.spans[0].of(&input.buf), input.spans[1].len()), (&b"GET"[..], 90_000));
    }

    #[test]
    fn large_values_go_out_some_at_a_time_and_in_order() {
        for values in [1, VALUES_AT_ONCE, VALUES_AT_ONCE + 1, 5 * VALUES_AT_ONCE] {
            let mut conn = Conn::new(ConnId(0), Box::new(Session::new(0, 0)));
            let mut all = Vec::new();
            conn.out.ok();
            all.extend_from_slice(b"+OK\r\n");
            for i in 0..values {
                let value = vec![i as u8; SHARE_FROM + i];
                conn.out.bulk_shared(&value.clone().into());
                conn.out.int(7);
                all.extend([format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n:7\r\n"].concat());
            }
            assert_eq!(conn.owed(), all.len());
            let (mut sent, mut chunks) = (Vec::new(), 0);
            while let Some(chunk) = conn.next_chunk() {
                assert!(!chunk.is_empty() && chunk.len() <= VALUES_AT_ONCE * (SHARE_FROM + values + 20));
                sent.extend_from_slice(&chunk.bytes());
                chunks += 1;
                assert_eq!(conn.owed() + sent.len(), all.len());
            }
            assert!(sent == all, "{values}");
            assert_eq!(chunks, values.div_ceil(VALUES_AT_ONCE));
        }
    }

    /// Each chunk ends within a request, its last argument announced.
    #[test]
    fn what_has_run_goes_though_the_next_request_has_begun() {
        let request = [b"*2\r\n$3\r\nGET\r\n$90000\r\n".as_slice(), &[b'k'; 90_000], b"\r\n"].concat();
        let limits = Limits { bulk_max: i64::MAX, authenticated: true };
        let (mut input, mut ran) = (Input::default(), 0);
        let stream = request.repeat(50);
        let (begun, rest) = stream.split_at(50);
        input.push(begun);
        for chunk in rest.chunks(request.len()) {
            input.push(chunk);
            assert!(input.buf.capacity() < 4 * request.len(), "{ran} have run");
            let Input { buf, at, parser, spans, want, .. } = &mut input;
            loop {
                match parser.step(buf, &limits, spans, &mut Vec::new()) {
                    Step::Command { end, .. } => {
                        assert_eq!((spans[0].of(buf), spans[1].of(buf)), (&b"GET"[..], &[b'k'; 90_000][..]));
                        spans.clear();
                        (*at, *parser) = (end, Parser::at(end));
                        ran += 1;
                    }
                    Step::Incomplete { want: more } => {
                        *want = more;
                        break;
                    }
                    Step::Error(e) => panic!("{e:?}"),
                }
            }
        }
        assert_eq!((ran, input.len()), (50, 0));
    }
}
