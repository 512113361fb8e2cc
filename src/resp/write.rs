//! Replies. One writer speaks both protocols; large values travel beside the text, not through it.

use crate::base::double::{whole, write_double};
use crate::base::number::I64_TEXT_MAX;
use crate::resp::Error;
use bytes::Bytes;

/// A value at least this long is handed to the socket as it is, not copied into the reply buffer. A GET of 2 to 8 KiB takes as
/// long either way, one of 16 KiB a quarter less when the value is shared, one of 24 KiB a third.
pub const SHARE_FROM: usize = 8 << 10;

/// The protocol that a client has chosen with HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proto {
    #[default]
    Resp2,
    Resp3,
}

impl Proto {
    /// 2 or 3.
    pub fn number(self) -> i64 {
        match self {
            Proto::Resp2 => 2,
            Proto::Resp3 => 3,
        }
    }
}

/// Replies on their way: text in `buf`, and large values beside it, each with its place in the text.
#[derive(Default, Debug)]
pub struct Out {
    buf: Vec<u8>,
    values: Vec<(usize, Bytes)>,
    values_len: usize,
    proto: Proto,
    errors: u32,
}

/// A place in the replies, to which they can be cut back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    values: usize,
    buf: usize,
}

impl Out {
    /// An empty writer over a recycled buffer.
    pub fn with_buffer(mut buf: Vec<u8>, proto: Proto) -> Out {
        buf.clear();
        Out { buf, proto, ..Out::default() }
    }

    /// The protocol that replies are written in.
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Changes the protocol for what follows.
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
    }

    /// Whether replies are written in RESP3.
    pub fn resp3(&self) -> bool {
        self.proto == Proto::Resp3
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.values_len + self.buf.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many error replies were written since the last call.
    pub fn take_errors(&mut self) -> u32 {
        std::mem::take(&mut self.errors)
    }

    /// Whether error replies were written since [`Out::take_errors`].
    #[inline]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Where the replies end now.
    pub fn mark(&self) -> Mark {
        Mark { values: self.values.len(), buf: self.buf.len() }
    }

    /// Forgets all that was written since `mark`.
    pub fn cut(&mut self, mark: Mark) {
        while self.values.len() > mark.values
            && let Some((_, value)) = self.values.pop()
        {
            self.values_len -= value.len();
        }
        self.buf.truncate(mark.buf);
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        self.values.clear();
        self.values_len = 0;
        self.buf.clear();
    }

    /// The first error text written since `mark`, without its `-`.
    pub fn error_since(&self, mark: Mark) -> Option<&[u8]> {
        let text = self.buf.get(mark.buf..)?.strip_prefix(b"-")?;
        Some(&text[..memchr::memchr(b'\r', text)?])
    }

    /// Appends all that `other` holds.
    pub fn append(&mut self, other: &mut Out) {
        let before = self.buf.len();
        if before == 0 {
            std::mem::swap(&mut self.buf, &mut other.buf);
        } else {
            self.buf.extend_from_slice(&other.buf);
        }
        other.buf.clear();
        self.values.extend(other.values.drain(..).map(|(at, value)| (before + at, value)));
        self.values_len += std::mem::take(&mut other.values_len);
        self.errors += other.take_errors();
    }

    /// Takes everything out: the text, and the values with their places in it. `spare` becomes the new buffer.
    pub fn take(&mut self, spare: Vec<u8>) -> (Vec<u8>, Vec<(usize, Bytes)>) {
        self.values_len = 0;
        (std::mem::replace(&mut self.buf, spare), std::mem::take(&mut self.values))
    }

    /// Whether all that waits is in the reply buffer.
    pub fn is_plain(&self) -> bool {
        self.values.is_empty()
    }

    /// The reply buffer's capacity, for INFO and for its recycling.
    pub fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// A line of a kind and a number. Most lengths and counts have two digits or one.
    #[inline]
    fn line(&mut self, kind: u8, number: i64) {
        if let 10..100 = number {
            let (tens, ones) = ((number as u8) / 10 + b'0', (number as u8) % 10 + b'0');
            return self.buf.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        self.other_line(kind, number);
    }

    #[inline(never)]
    fn other_line(&mut self, kind: u8, number: i64) {
        if let 0..10 = number {
            return self.buf.extend_from_slice(&[kind, number as u8 + b'0', b'\r', b'\n']);
        }
        self.buf.push(kind);
        self.buf.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.buf.extend_from_slice(b"\r\n");
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.buf.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string: no CR or LF in it.
    pub fn simple(&mut self, text: &str) {
        self.buf.push(b'+');
        self.buf.extend_from_slice(text.as_bytes());
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An error of the table.
    pub fn error(&mut self, error: &Error) {
        match error {
            Error::Quote(text) => self.error_bytes(text),
            _ => self.error_text(&error.text()),
        }
    }

    /// An error by its whole text, code first. CR and LF become spaces, but for those at the end, which go, as in Redis.
    pub fn error_text(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// An error whose text quotes what a client sent.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let is_end = |b: &u8| matches!(b, b'\r' | b'\n');
        let end = text.iter().rposition(|b| !is_end(b)).map_or(0, |last| last + 1);
        self.errors += 1;
        self.buf.push(b'-');
        self.buf.extend(text[..end].iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        match value {
            0 => self.buf.extend_from_slice(b":0\r\n"),
            1 => self.buf.extend_from_slice(b":1\r\n"),
            _ => self.line(b':', value),
        }
    }

    /// A boolean: an integer to RESP2.
    pub fn boolean(&mut self, value: bool) {
        match (self.proto, value) {
            (Proto::Resp2, _) => self.int(value as i64),
            (Proto::Resp3, true) => self.buf.extend_from_slice(b"#t\r\n"),
            (Proto::Resp3, false) => self.buf.extend_from_slice(b"#f\r\n"),
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        self.buf.reserve(value.len() + I64_TEXT_MAX + 5);
        self.line(b'$', value.len() as i64);
        self.buf.extend_from_slice(value);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// A bulk string that may be shared instead of copied.
    pub fn bulk_shared(&mut self, value: &Bytes) {
        if value.len() < SHARE_FROM {
            return self.bulk(value);
        }
        self.line(b'$', value.len() as i64);
        self.values_len += value.len();
        self.values.push((self.buf.len(), value.clone()));
        self.buf.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A text with a format, `txt` or `mkd`: a plain bulk string to RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        self.line(b'=', text.len() as i64 + 4);
        self.buf.extend_from_slice(format.as_bytes());
        self.buf.push(b':');
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.buf.extend_from_slice(match self.proto {
            Proto::Resp2 => b"$-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// No array.
    pub fn null_array(&mut self) {
        self.buf.extend_from_slice(match self.proto {
            Proto::Resp2 => b"*-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// An array of `len` replies that follow.
    pub fn array(&mut self, len: usize) {
        self.line(b'*', len as i64);
    }

    /// A map of `len` pairs that follow: a flat array to RESP2.
    pub fn map(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.array(len * 2),
            Proto::Resp3 => self.line(b'%', len as i64),
        }
    }

    /// A set of `len` replies that follow.
    pub fn set(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.array(len),
            Proto::Resp3 => self.line(b'~', len as i64),
        }
    }

    /// An out-of-band message of `len` replies: an array to RESP2.
    pub fn push(&mut self, len: usize) {
        match self.proto {
            Proto::Resp2 => self.array(len),
            Proto::Resp3 => self.line(b'>', len as i64),
        }
    }

    /// Makes an array of the `len` replies written since `mark`: for those that nobody could count before. None of them may
    /// be shared.
    pub fn array_since(&mut self, mark: Mark, len: usize) {
        self.insert(mark, |out| out.array(len));
    }

    /// Makes a map of the `len` pairs written since `mark`, as [`Out::array_since`] does.
    pub fn map_since(&mut self, mark: Mark, len: usize) {
        self.insert(mark, |out| out.map(len));
    }

    /// Puts a bulk string before what was written since `mark`.
    pub fn bulk_since(&mut self, mark: Mark, value: &[u8]) {
        self.insert(mark, |out| out.bulk(value));
    }

    /// Writes, and moves what was written to `mark`.
    fn insert(&mut self, mark: Mark, write: impl FnOnce(&mut Out)) {
        assert!(self.values.len() == mark.values, "no shared value lies between");
        let end = self.buf.len();
        write(self);
        let written = self.buf.len() - end;
        self.buf[mark.buf..].rotate_right(written);
    }

    /// A double by its text: a bulk string to RESP2.
    pub fn double_text(&mut self, text: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(text.as_bytes()),
            Proto::Resp3 => {
                self.buf.push(b',');
                self.buf.extend_from_slice(text.as_bytes());
                self.buf.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A double, as Redis writes it: a bulk string to RESP2.
    pub fn double(&mut self, value: f64) {
        if let Some(n) = whole(value).filter(|n| *n != 0) {
            // Most scores.
            match self.proto {
                Proto::Resp2 => self.bulk_int(n),
                Proto::Resp3 => {
                    self.buf.push(b',');
                    self.buf.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                    self.buf.extend_from_slice(b"\r\n");
                }
            }
            return;
        }
        let mut text = Vec::new();
        write_double(&mut text, value);
        match self.proto {
            Proto::Resp2 => self.bulk(&text),
            Proto::Resp3 => {
                self.buf.push(b',');
                self.buf.extend_from_slice(&text);
                self.buf.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Bytes that are a reply already.
    pub fn raw(&mut self, reply: &[u8]) {
        self.buf.extend_from_slice(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &mut Out) -> String {
        let (text, values) = out.take(Vec::new());
        let mut all = text.clone();
        for (at, value) in values.iter().rev() {
            all.splice(at..at, value.iter().copied());
        }
        String::from_utf8(all).expect("ascii")
    }

    #[test]
    fn both_protocols() {
        for (proto, expected) in [
            (Proto::Resp2, "$-1\r\n*-1\r\n*2\r\n:1\r\n$3\r\nabc\r\n$3\r\n1.5\r\n*0\r\n"),
            (Proto::Resp3, "_\r\n_\r\n%1\r\n#t\r\n=7\r\ntxt:abc\r\n,1.5\r\n~0\r\n"),
        ] {
            let mut out = Out::with_buffer(Vec::new(), proto);
            out.null();
            out.null_array();
            out.map(1);
            out.boolean(true);
            out.verbatim("txt", b"abc");
            out.double_text("1.5");
            out.set(0);
            assert_eq!(text(&mut out), expected);
        }
    }

    #[test]
    fn doubles_in_both_protocols() {
        for (value, shown) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (-7.0, "-7"),
            (1e17, "100000000000000000"),
            (0.1, "0.1"),
            (f64::INFINITY, "inf"),
        ] {
            let mut out = Out::with_buffer(Vec::new(), Proto::Resp2);
            out.double(value);
            assert_eq!(text(&mut out), format!("${}\r\n{shown}\r\n", shown.len()));
            out.set_proto(Proto::Resp3);
            out.double(value);
            assert_eq!(text(&mut out), format!(",{shown}\r\n"));
        }
    }

    #[test]
    fn shared_values_keep_their_place_and_can_be_cut_off() {
        let value = Bytes::from(vec![b'v'; SHARE_FROM]);
        let mut out = Out::default();
        out.ok();
        let mark = out.mark();
        out.bulk_shared(&value);
        out.int(7);
        let whole = format!("+OK\r\n${}\r\n{}\r\n:7\r\n", SHARE_FROM, "v".repeat(SHARE_FROM));
        assert_eq!(out.len(), whole.len());
        let mut other = Out::default();
        other.append(&mut out);
        assert_eq!(out.len(), 0);
        assert_eq!(text(&mut other), whole);
        out.ok();
        out.bulk_shared(&value);
        out.cut(mark);
        assert_eq!(text(&mut out), "+OK\r\n");
    }

    #[test]
    fn what_is_counted_last_still_stands_first() {
        let mut out = Out::with_buffer(Vec::new(), Proto::Resp3);
        out.ok();
        let outer = out.mark();
        out.bulk(b"key");
        let inner = out.mark();
        (0..12).for_each(|n| out.int(n));
        out.array_since(inner, 12);
        out.map_since(outer, 1);
        out.bulk_since(outer, b"first");
        let numbers: String = (0..12).map(|n| format!(":{n}\r\n")).collect();
        assert_eq!(text(&mut out), format!("+OK\r\n$5\r\nfirst\r\n%1\r\n$3\r\nkey\r\n*12\r\n{numbers}"));
    }

    #[test]
    fn errors_hold_no_line_breaks_and_are_counted() {
        let mut out = Out::default();
        let mark = out.mark();
        out.error_text("ERR a\r\nb");
        assert_eq!(out.error_since(mark), Some(&b"ERR a  b"[..]));
        assert_eq!(out.take_errors(), 1);
        assert_eq!(text(&mut out), "-ERR a  b\r\n");
    }
}
