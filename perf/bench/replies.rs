//! Finds the boundaries of RESP2 replies in a stream that arrives in arbitrary pieces, and little else.
//!
//! A reply is reported once it is whole: its type, and the length of a bulk or an array. The bytes of a bulk are
//! skipped, not copied, but its end is checked; so a server that sends a wrong length is found at the next reply.
//! Cost: a `memchr` per line and a skip per bulk, about 10 ns for a small reply.

/// Longest line that is kept when it is cut by the end of a buffer; error texts beyond that are shortened.
const MAX_LINE: usize = 512;
/// Deepest nesting of arrays that is followed.
const MAX_DEPTH: usize = 8;

/// A whole reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    Status,
    Error(&'a [u8]),
    Integer,
    Bulk(u64),
    Nil,
    /// Elements at the top level, and error replies anywhere inside.
    Array {
        len: u64,
        errors: u64,
    },
}

/// The stream is not RESP2; says what was wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct BadReply(pub &'static str);

enum State {
    /// Before a type byte.
    Start,
    /// In the line after this type byte.
    Line(u8),
    /// In a bulk: bytes left, CR and LF included.
    Body(u64),
}

/// The scanner of one connection.
pub struct Scanner {
    state: State,
    /// The beginning of a line that was cut; empty otherwise.
    cut: Vec<u8>,
    /// Elements still to come, per open array.
    open: Vec<u64>,
    top: (u64, u64),
    bulk: u64,
}

impl Scanner {
    pub fn new() -> Self {
        Scanner { state: State::Start, cut: Vec::new(), open: Vec::new(), top: (0, 0), bulk: 0 }
    }

    /// Scans the next piece of the stream; calls `f` for every reply that it completes.
    pub fn feed(&mut self, mut data: &[u8], mut f: impl FnMut(Reply<'_>)) -> Result<(), BadReply> {
        while let Some(&first) = data.first() {
            match self.state {
                State::Start => {
                    self.state = State::Line(first);
                    data = &data[1..];
                }
                State::Line(kind) => {
                    let Some(end) = memchr::memchr(b'\n', data) else {
                        let room = MAX_LINE - self.cut.len().min(MAX_LINE);
                        self.cut.extend_from_slice(&data[..data.len().min(room)]);
                        // The last byte may be the CR of the line's end.
                        if room < data.len() && data.ends_with(b"\r") {
                            self.cut.truncate(MAX_LINE - 1);
                            self.cut.push(b'\r');
                        }
                        return Ok(());
                    };
                    let (line, rest) = data.split_at(end + 1);
                    data = rest;
                    if self.cut.is_empty() {
                        self.line(kind, line, &mut f)?;
                    } else {
                        let mut whole = std::mem::take(&mut self.cut);
                        whole.extend_from_slice(line);
                        self.line(kind, &whole, &mut f)?;
                    }
                }
                State::Body(left) => {
                    let n = left.min(data.len() as u64) as usize;
                    check_end(left, &data[..n])?;
                    data = &data[n..];
                    self.state = State::Body(left - n as u64);
                    if left == n as u64 {
                        self.state = State::Start;
                        self.element(Reply::Bulk(self.bulk), &mut f);
                    }
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, kind: u8, line: &[u8], f: &mut impl FnMut(Reply<'_>)) -> Result<(), BadReply> {
        let Some(text) = line.strip_suffix(b"\r\n") else { return Err(BadReply("a line ends without CR")) };
        self.state = State::Start;
        match kind {
            b'+' => self.element(Reply::Status, f),
            b'-' => self.element(Reply::Error(text), f),
            b':' => number(text).map(|_| self.element(Reply::Integer, f))?,
            b'$' => match number(text)? {
                -1 => self.element(Reply::Nil, f),
                n => {
                    self.bulk = u64::try_from(n).map_err(|_| BadReply("a negative bulk length"))?;
                    self.state = State::Body(self.bulk + 2);
                }
            },
            b'*' => match number(text)? {
                -1 => self.element(Reply::Nil, f),
                n => self.array(u64::try_from(n).map_err(|_| BadReply("a negative array length"))?, f)?,
            },
            _ => return Err(BadReply("an unknown reply type")),
        }
        Ok(())
    }

    fn array(&mut self, len: u64, f: &mut impl FnMut(Reply<'_>)) -> Result<(), BadReply> {
        if self.open.is_empty() {
            self.top = (len, 0);
        }
        if len == 0 {
            self.element(Reply::Array { len: 0, errors: 0 }, f);
            return Ok(());
        }
        if self.open.len() == MAX_DEPTH {
            return Err(BadReply("arrays nested too deep"));
        }
        self.open.push(len);
        Ok(())
    }

    /// A value that is not an open array ends here, and perhaps the arrays around it.
    fn element(&mut self, reply: Reply<'_>, f: &mut impl FnMut(Reply<'_>)) {
        if self.open.is_empty() {
            return f(reply);
        }
        self.top.1 += u64::from(matches!(reply, Reply::Error(_)));
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.open.pop();
        }
        f(Reply::Array { len: self.top.0, errors: self.top.1 });
    }
}

/// Checks those of the last two bytes of a bulk that lie in `piece`, whose first byte is `left` from the end.
fn check_end(left: u64, piece: &[u8]) -> Result<(), BadReply> {
    for (back, want) in [(2, b'\r'), (1, b'\n')] {
        if left >= back && piece.get((left - back) as usize).is_some_and(|&got| got != want) {
            return Err(BadReply("a bulk is longer than its length says"));
        }
    }
    Ok(())
}

fn number(text: &[u8]) -> Result<i64, BadReply> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadReply("a bad number"));
    }
    let n = digits.iter().fold(0i64, |n, d| n * 10 + i64::from(d - b'0'));
    Ok(if negative { -n } else { n })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies as text, fed in the pieces that `cuts` makes.
    fn scan(data: &[u8], cuts: &[usize]) -> Result<Vec<String>, BadReply> {
        let mut scanner = Scanner::new();
        let mut found = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain([&data.len()]) {
            scanner.feed(&data[from..to], |reply| found.push(format!("{reply:?}")))?;
            from = to;
        }
        Ok(found)
    }

    const STREAM: &[u8] = b"+OK\r\n-ERR no\r\n:-12\r\n$3\r\nab\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n\
        *3\r\n$1\r\na\r\n*2\r\n-ERR x\r\n*0\r\n$-1\r\n+QUEUED\r\n$13\r\n\r\n$1\r\n*2\r\n+\r\n\r\n";

    #[test]
    fn finds_every_kind() {
        let found = scan(STREAM, &[]).unwrap();
        let want = [
            Reply::Status,
            Reply::Error(b"ERR no"),
            Reply::Integer,
            Reply::Bulk(3),
            Reply::Bulk(0),
            Reply::Nil,
            Reply::Nil,
            Reply::Array { len: 0, errors: 0 },
            Reply::Array { len: 3, errors: 1 },
            Reply::Status,
            Reply::Bulk(13),
        ];
        assert_eq!(found, want.map(|r| format!("{r:?}")));
    }

    #[test]
    fn split_at_every_pair_of_bytes() {
        let whole = scan(STREAM, &[]).unwrap();
        for a in 0..=STREAM.len() {
            for b in a..=STREAM.len() {
                assert_eq!(scan(STREAM, &[a, b]).unwrap(), whole, "cut at {a} and {b}");
            }
        }
        let every: Vec<usize> = (1..STREAM.len()).collect();
        assert_eq!(scan(STREAM, &every).unwrap(), whole);
    }

    #[test]
    fn finds_what_is_wrong() {
        let bad: [&[u8]; 7] =
            [b"$3\r\nabcd\r\n", b"$3\r\nab\r\n+", b"$x\r\n", b"$-2\r\n", b"+OK\n", b"HTTP/1.1\r\n", b":\r\n"];
        for stream in bad {
            let every: Vec<usize> = (1..stream.len()).collect();
            assert!(scan(stream, &[]).is_err() && scan(stream, &every).is_err(), "{stream:?}");
        }
    }

    #[test]
    fn shortens_a_long_error_that_is_cut() {
        let mut stream = vec![b'x'; 3 * MAX_LINE];
        stream[0] = b'-';
        stream.extend_from_slice(b"\r\n+OK\r\n");
        for cut in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 2 * MAX_LINE, 3 * MAX_LINE, 3 * MAX_LINE + 1] {
            assert_eq!(scan(&stream, &[cut]).unwrap().len(), 2, "cut at {cut}");
        }
        let every: Vec<usize> = (1..stream.len()).collect();
        assert_eq!(scan(&stream, &every).unwrap().len(), 2);
    }
}
