//! The request parser: whole commands are found in place, as spans of the buffer they arrived in.
//!
//! ```text
//!  *2\r\n $3\r\n GET\r\n $5\r\n hello\r\n          multibulk: count, then per argument a length and its bytes
//!                ^span         ^span
//!  GET "he\x6clo"\r\n                              inline: words, with quotes and escapes; its words are copied
//! ```
//! A parser holds the state of one command, so that a large one that comes in pieces is read once, not once per
//! piece. Cost: a short GET takes about 15 ns.

use memchr::memchr;

/// The longest inline request, and the longest line that gives a count or a length.
const LINE_MAX: usize = 64 * 1024;
/// The most arguments that one command may announce.
const ARGS_MAX: i64 = i32::MAX as i64;
/// What a client that has not authenticated may send: arguments, and bytes in one.
const UNAUTHENTICATED_ARGS: i64 = 10;
const UNAUTHENTICATED_BULK: i64 = 16_384;
/// Room that is reserved for announced arguments before they arrive; more grows with what really comes.
const SPANS_AHEAD: usize = 1_024;

/// Where an argument lies in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` to `end` of a buffer.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// The same argument when `n` bytes before it have gone from its buffer.
    pub fn shifted(self, n: usize) -> Span {
        Span { start: self.start - n as u32, end: self.end - n as u32 }
    }

    /// Where it ends.
    #[inline]
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// How many bytes.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The argument.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..self.end as usize]
    }

    /// Whether the argument is the empty string.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The arguments of one command, its name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// Arguments that lie in `buf` at `spans`.
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Self {
        Args { buf, spans }
    }

    /// How many, the name included.
    #[inline]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`; 0 is the command's name. The caller has checked the arity.
    #[inline]
    pub fn at(self, i: usize) -> &'a [u8] {
        self.spans[i].of(self.buf)
    }

    /// Argument `i`, when there is one.
    pub fn get(self, i: usize) -> Option<&'a [u8]> {
        (i < self.spans.len()).then(|| self.at(i))
    }

    /// Whether argument `i` is the word `word`, in any case.
    pub fn is(self, i: usize, word: &str) -> bool {
        self.at(i).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The arguments from `i` on.
    pub fn from(self, i: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[i.min(self.spans.len())..] }
    }

    /// The first `n` arguments, or as many as there are.
    pub fn first(self, n: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[..n.min(self.spans.len())] }
    }

    /// The arguments from `i` on, before `end`.
    pub fn range(self, i: usize, end: usize) -> Args<'a> {
        Args { buf: self.buf, spans: &self.spans[i..end] }
    }

    /// All of them in turn.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        self.spans.iter().map(move |s| &self.buf[s.start as usize..s.end as usize])
    }
}

/// Why a request cannot be read. The client gets the text and is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    BigInline,
    BigCountLine,
    BigLengthLine,
    Count,
    Length,
    UnauthenticatedCount,
    UnauthenticatedLength,
    ExpectedBulk(u8),
    Quotes,
}

impl ProtocolError {
    /// The reply's text, code first.
    pub fn text(self) -> Vec<u8> {
        let what = match self {
            ProtocolError::BigInline => "too big inline request",
            ProtocolError::BigCountLine => "too big mbulk count string",
            ProtocolError::BigLengthLine => "too big bulk count string",
            ProtocolError::Count => "invalid multibulk length",
            ProtocolError::Length => "invalid bulk length",
            ProtocolError::UnauthenticatedCount => "unauthenticated multibulk length",
            ProtocolError::UnauthenticatedLength => "unauthenticated bulk length",
            ProtocolError::Quotes => "unbalanced quotes in request",
            ProtocolError::ExpectedBulk(got) => {
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                // As in Redis, a NUL ends the text.
                if got != 0 {
                    text.extend_from_slice(&[got, b'\'']);
                }
                return text;
            }
        };
        format!("ERR Protocol error: {what}").into_bytes()
    }
}

/// What bounds a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument (`proto-max-bulk-len`).
    pub bulk_max: i64,
    /// Whether the client may send more than it takes to authenticate.
    pub authenticated: bool,
}

/// What a step of the parser found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A command, up to this offset. No spans: an empty line or an empty array, to be skipped.
    Command { end: usize, inline: bool },
    /// The command is not complete. `want` is the least length of the buffer that can change that.
    Incomplete { want: usize },
    /// It never will be.
    Error(ProtocolError),
}

/// The state of one command that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parser {
    /// Where to go on, from the start of the buffer.
    pos: usize,
    /// Arguments still to come; 0 before the count is known.
    left: usize,
    /// The length of the argument that has begun.
    bulk: Option<usize>,
}

/// A line that gives a number, or why there is none.
enum Line {
    Number { value: i64, next: usize },
    Bad,
    Missing,
}

/// The most arguments that [`whole`] reads.
const WHOLE_ARGS: i64 = 32;

/// The plain case: a multibulk command that starts at `pos`, is here as a whole, and has few and short arguments. Appends their
/// spans and gives its end; else leaves everything to [`Parser::step`]. For clients that have authenticated.
#[inline]
pub fn whole(buf: &[u8], pos: usize, spans: &mut Vec<Span>) -> Option<usize> {
    if buf.get(pos) != Some(&b'*') {
        return None;
    }
    let Line::Number { value, next } = short_number_line(buf, pos + 1)? else { return None };
    if !(1..=WHOLE_ARGS).contains(&value) {
        return None;
    }
    let first = spans.len();
    let mut at = next;
    for _ in 0..value {
        let Some(span) = argument(buf, at) else {
            spans.truncate(first);
            return None;
        };
        spans.push(span);
        at = span.end as usize + 2;
    }
    Some(at)
}

/// An argument that starts at `at`, is here as a whole and short; none leaves it to [`Parser::step`].
#[inline(always)]
pub fn argument(buf: &[u8], at: usize) -> Option<Span> {
    let (len, start) = match *buf.get(at..)?.first_chunk::<5>()? {
        // Most lengths have two digits.
        [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _] => {
            (usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), at + 5)
        }
        [b'$', ..] => match short_number_line(buf, at + 1)? {
            Line::Number { value, next } => (value as usize, next),
            Line::Bad | Line::Missing => return None,
        },
        _ => return None,
    };
    let end = start + len;
    (end + 2 <= buf.len()).then(|| Span::new(start, end))
}

impl Parser {
    /// Whether no command has been begun.
    pub fn is_fresh(&self) -> bool {
        self.left == 0
    }

    /// Where it goes on.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// A parser for a command that starts at `pos` of its buffer.
    pub fn at(pos: usize) -> Parser {
        Parser { pos, ..Parser::default() }
    }

    /// The same state when `n` bytes before the command have gone from its buffer.
    pub fn shifted(mut self, n: usize) -> Parser {
        self.pos -= n;
        self
    }

    /// Reads on in `buf`, which starts where it did at the last step. The spans of a command's arguments are appended to
    /// `spans`; those of an inline command lie in `inline`, which its words are appended to.
    #[inline]
    pub fn step(&mut self, buf: &[u8], limits: &Limits, spans: &mut Vec<Span>, inline: &mut Vec<u8>) -> Step {
        if self.left == 0 {
            match buf.get(self.pos) {
                None => return Step::Incomplete { want: self.pos + 1 },
                Some(b'*') => {}
                Some(_) => return self.inline(buf, spans, inline),
            }
            if let Some(step) = self.count(buf, limits, spans) {
                return step;
            }
        }
        while self.left > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.length(buf, limits) {
                    Ok(len) => len,
                    Err(step) => return step,
                },
            };
            if buf.len() < self.pos + len + 2 {
                self.bulk = Some(len);
                return Step::Incomplete { want: self.pos + len + 2 };
            }
            spans.push(Span::new(self.pos, self.pos + len));
            self.pos += len + 2;
            self.left -= 1;
            self.bulk = None;
        }
        Step::Command { end: self.pos, inline: false }
    }

    /// Reads the `*count` line. `None`: go on with the arguments.
    fn count(&mut self, buf: &[u8], limits: &Limits, spans: &mut Vec<Span>) -> Option<Step> {
        match number_line(buf, self.pos + 1) {
            Line::Missing if buf.len() - self.pos > LINE_MAX => {
                Some(Step::Error(ProtocolError::BigCountLine))
            }
            Line::Missing => Some(Step::Incomplete { want: buf.len() + 1 }),
            Line::Number { value, .. } if value > UNAUTHENTICATED_ARGS && !limits.authenticated => {
                Some(Step::Error(if value > ARGS_MAX {
                    ProtocolError::Count
                } else {
                    ProtocolError::UnauthenticatedCount
                }))
            }
            Line::Number { value, next } if value <= ARGS_MAX => {
                self.pos = next;
                if value <= 0 {
                    return Some(Step::Command { end: next, inline: false });
                }
                self.left = value as usize;
                spans.reserve(self.left.min(SPANS_AHEAD));
                None
            }
            _ => Some(Step::Error(ProtocolError::Count)),
        }
    }

    /// Reads the `$length` line of the next argument.
    #[inline]
    fn length(&mut self, buf: &[u8], limits: &Limits) -> Result<usize, Step> {
        let Some(&mark) = buf.get(self.pos) else { return Err(Step::Incomplete { want: self.pos + 1 }) };
        if mark == b'\r' && self.pos + 1 < buf.len() {
            return Err(Step::Error(ProtocolError::ExpectedBulk(mark)));
        }
        match number_line(buf, self.pos + 1) {
            Line::Missing if buf.len() - self.pos > LINE_MAX => {
                Err(Step::Error(ProtocolError::BigLengthLine))
            }
            Line::Missing => Err(Step::Incomplete { want: buf.len() + 1 }),
            _ if mark != b'$' => Err(Step::Error(ProtocolError::ExpectedBulk(mark))),
            Line::Number { value, next } if (0..=limits.bulk_max).contains(&value) => {
                if value > UNAUTHENTICATED_BULK && !limits.authenticated {
                    return Err(Step::Error(ProtocolError::UnauthenticatedLength));
                }
                self.pos = next;
                Ok(value as usize)
            }
            _ => Err(Step::Error(ProtocolError::Length)),
        }
    }

    fn inline(&mut self, buf: &[u8], spans: &mut Vec<Span>, inline: &mut Vec<u8>) -> Step {
        let rest = &buf[self.pos..];
        let Some(newline) = memchr(b'\n', rest) else {
            if rest.len() > LINE_MAX {
                return Step::Error(ProtocolError::BigInline);
            }
            return Step::Incomplete { want: buf.len() + 1 };
        };
        let end = self.pos + newline + 1;
        let line = &rest[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.pos = end;
        match split_words(line, spans, inline) {
            true => Step::Command { end, inline: true },
            false => Step::Error(ProtocolError::Quotes),
        }
    }
}

/// Reads `digits\r\n` at `from`.
#[inline(always)]
fn number_line(buf: &[u8], from: usize) -> Line {
    short_number_line(buf, from).unwrap_or_else(|| any_number_line(buf, from))
}

/// Nearly all counts and lengths have one to three digits, and bytes after them: no loop, and one bounds check.
#[inline(always)]
fn short_number_line(buf: &[u8], from: usize) -> Option<Line> {
    let &[a, b, c, d, _] = buf.get(from..)?.first_chunk::<5>()?;
    let digit = |b: u8| b.wrapping_sub(b'0');
    let (a, second, third) = (digit(a), digit(b), digit(c));
    if b == b'\r' && a <= 9 {
        return Some(Line::Number { value: a.into(), next: from + 3 });
    }
    if a == 0 || a > 9 || second > 9 {
        return None;
    }
    let two = i64::from(a) * 10 + i64::from(second);
    if c == b'\r' {
        return Some(Line::Number { value: two, next: from + 4 });
    }
    (d == b'\r' && third <= 9).then(|| Line::Number { value: two * 10 + i64::from(third), next: from + 5 })
}

/// The same, for numbers of any length, cut off or not.
fn any_number_line(buf: &[u8], from: usize) -> Line {
    let Some(cr) = buf.get(from..).and_then(|rest| memchr(b'\r', rest)) else { return Line::Missing };
    if from + cr + 1 >= buf.len() {
        return Line::Missing;
    }
    match crate::base::number::parse_i64(&buf[from..from + cr]) {
        Some(value) => Line::Number { value, next: from + cr + 2 },
        None => Line::Bad,
    }
}

/// Splits an inline request into words as Redis does: blanks separate, `"` quotes with escapes, `'` quotes plainly.
/// False when a quote is not closed, or not followed by a blank.
pub(crate) fn split_words(line: &[u8], spans: &mut Vec<Span>, words: &mut Vec<u8>) -> bool {
    let mut rest = line;
    loop {
        let blank = rest.iter().take_while(|b| is_blank(**b)).count();
        rest = &rest[blank..];
        if rest.is_empty() {
            return true;
        }
        let start = words.len();
        let Some(used) = one_word(rest, words) else { return false };
        spans.push(Span::new(start, words.len()));
        rest = &rest[used..];
    }
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Appends the first word of `text` to `words`; how many bytes of `text` it took.
fn one_word(text: &[u8], words: &mut Vec<u8>) -> Option<usize> {
    let mut i = 0;
    loop {
        match text.get(i) {
            None | Some(0) => return Some(i.max(1).min(text.len())),
            Some(b'"') => return quoted(text, i + 1, words),
            Some(b'\'') => return plainly_quoted(text, i + 1, words),
            Some(&b) if is_blank(b) => return Some(i),
            Some(&b) => words.push(b),
        }
        i += 1;
    }
}

fn ends_word(text: &[u8], after: usize) -> Option<usize> {
    match text.get(after) {
        None => Some(after),
        Some(&b) if is_blank(b) => Some(after),
        Some(_) => None,
    }
}

fn quoted(text: &[u8], mut i: usize, words: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*text.get(i)?, text.get(i + 1), text.get(i + 2), text.get(i + 3)) {
            (b'"', ..) => return ends_word(text, i + 1),
            (b'\\', Some(b'x'), Some(&hi), Some(&lo)) if hi.is_ascii_hexdigit() && lo.is_ascii_hexdigit() => {
                words.push(hex(hi) << 4 | hex(lo));
                i += 3;
            }
            (b'\\', Some(&escaped), ..) => {
                words.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                i += 1;
            }
            (b, ..) => words.push(b),
        }
        i += 1;
    }
}

fn plainly_quoted(text: &[u8], mut i: usize, words: &mut Vec<u8>) -> Option<usize> {
    loop {
        match (*text.get(i)?, text.get(i + 1)) {
            (b'\\', Some(b'\'')) => {
                words.push(b'\'');
                i += 1;
            }
            (b'\'', _) => return ends_word(text, i + 1),
            (b, _) => words.push(b),
        }
        i += 1;
    }
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).map_or(0, |d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Limits = Limits { bulk_max: 512 << 20, authenticated: true };

    type Commands = Vec<Vec<Vec<u8>>>;

    /// Feeds `input` in pieces that end at `cuts`, and collects the commands.
    fn feed(input: &[u8], cuts: &[usize], limits: &Limits) -> (Commands, Option<ProtocolError>) {
        let (mut spans, mut inline, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let mut parser = Parser::default();
        for &cut in cuts.iter().chain([&input.len()]) {
            loop {
                match parser.step(&input[..cut], limits, &mut spans, &mut inline) {
                    Step::Incomplete { want } => {
                        assert!(want > cut, "a parser must ask for more than it has");
                        break;
                    }
                    Step::Error(e) => return (found, Some(e)),
                    Step::Command { end, inline: is_inline } => {
                        let args = Args::new(if is_inline { &inline } else { input }, &spans);
                        if !args.is_empty() {
                            found.push(args.iter().map(<[u8]>::to_vec).collect());
                        }
                        spans.clear();
                        inline.clear();
                        parser = Parser::at(end);
                    }
                }
            }
        }
        (found, None)
    }

    fn words(list: &[&str]) -> Vec<Vec<u8>> {
        list.iter().map(|w| w.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_pipeline_parses_alike_however_it_is_cut() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n\0b\r\n\r\n*0\r\n*-1\r\nPING\r\n*1\r\n$0\r\n\r\nset \"a b\" 'c\\'d' \"\\x41\\n\"\n*1\r\n$4\r\nQUIT\r\n";
        let whole = feed(input, &[], &OPEN);
        assert_eq!(whole.1, None);
        assert_eq!(whole.0.len(), 5);
        assert_eq!(whole.0[3], words(&["set", "a b", "c'd", "A\n"]));
        for a in 0..input.len() {
            assert_eq!(feed(input, &[a], &OPEN), whole, "cut at {a}");
            for b in a..input.len() {
                assert_eq!(feed(input, &[a, b], &OPEN), whole, "cut at {a} and {b}");
            }
        }
    }

    #[test]
    fn errors_are_those_of_redis_however_they_are_cut() {
        use ProtocolError::*;
        let cases: &[(&[u8], ProtocolError)] = &[
            (b"*x\r\n", Count),
            (b"*2147483648\r\n", Count),
            (b"*01\r\n", Count),
            (b"*1\r\nx3\r\n", ExpectedBulk(b'x')),
            (b"*1\r\n$-1\r\n", Length),
            (b"*1\r\n$536870913\r\n", Length),
            (b"*1\r\n$a\r\n", Length),
            (b"get 'x\r\n", Quotes),
            (b"get \"x\"y\r\n", Quotes),
        ];
        for (input, error) in cases {
            for cut in 0..input.len() {
                assert_eq!(
                    feed(input, &[cut], &OPEN).1,
                    Some(*error),
                    "{:?}",
                    input.escape_ascii().to_string()
                );
            }
        }
        assert_eq!(feed(&[b'a'; LINE_MAX + 1], &[], &OPEN).1, Some(BigInline));
        let long = |head: &[u8]| [head, &[b'1'; LINE_MAX + 1]].concat();
        assert_eq!(feed(&long(b"*"), &[], &OPEN).1, Some(BigCountLine));
        assert_eq!(feed(&long(b"*1\r\n$"), &[], &OPEN).1, Some(BigLengthLine));
        let shut = Limits { authenticated: false, ..OPEN };
        assert_eq!(feed(b"*11\r\n", &[], &shut).1, Some(UnauthenticatedCount));
        assert_eq!(feed(b"*1\r\n$16385\r\n", &[], &shut).1, Some(UnauthenticatedLength));
        assert_eq!(feed(b"*10\r\n$16384\r\n", &[], &shut).1, None);
    }

    /// What the plain case reads, the parser reads alike; what it leaves is no loss.
    #[test]
    fn the_plain_case_is_its_twin() {
        let lens = (0..=120).chain([999, 1_000, 1_001, 10_000]);
        let good = lens.map(|len: usize| (len.to_string(), len));
        let odd = ["01", "00", "+5", "-1", "1x", "x1", ":1", "1:", "1/", "/1", "", "5\n", "1 "];
        let odd = odd.into_iter().map(|text| (text.to_string(), 10));
        for (text, len) in good.chain(odd) {
            let input = [b"*1\r\n$", text.as_bytes(), b"\r\n", &vec![b'v'; len], b"\r\n"].concat();
            for end in 0..=input.len() {
                let (mut spans, mut plain) = (Vec::new(), Vec::new());
                let step = Parser::default().step(&input[..end], &OPEN, &mut spans, &mut Vec::new());
                if let Some(end) = whole(&input[..end], 0, &mut plain) {
                    assert_eq!((step, spans), (Step::Command { end, inline: false }, plain), "{text:?}");
                }
            }
            if (10..100).contains(&len) && text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) {
                assert_eq!(whole(&input, 0, &mut Vec::new()).is_some(), !text.starts_with('0'), "{text:?}");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic_and_parse_alike_however_they_are_cut() {
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let alphabet = b"*$0123\r\nGETa\"'\\x- ";
        for _ in 0..20_000 {
            let len = next() % 40;
            let input: Vec<u8> = (0..len).map(|_| alphabet[next() as usize % alphabet.len()]).collect();
            let whole = feed(&input, &[], &OPEN);
            let cut = next() as usize % (input.len() + 1);
            assert_eq!(feed(&input, &[cut], &OPEN), whole, "{:?}", input.escape_ascii().to_string());
        }
    }
}
