//! A reply of either protocol, parsed, and how many bytes it takes, so that the raw bytes can be compared as well.

use std::fmt;

#[derive(Clone, PartialEq)]
pub enum Reply {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`.
    Null,
    Array(Vec<Reply>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Bool(bool),
    Double(Vec<u8>),
    BigNumber(Vec<u8>),
    Verbatim(Vec<u8>),
}

impl Reply {
    /// The reply at the start of `bytes` and its length, or `None` when more bytes are needed. Bytes that no server
    /// may send are a panic: the test has failed.
    pub fn parse(bytes: &[u8]) -> Option<(Reply, usize)> {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let line = &bytes[1..end];
        let at = end + 2;
        let reply = match bytes[0] {
            b'+' => Reply::Simple(line.to_vec()),
            b'-' => Reply::Error(line.to_vec()),
            b':' => Reply::Int(number(line)),
            b',' => Reply::Double(line.to_vec()),
            b'(' => Reply::BigNumber(line.to_vec()),
            b'#' => Reply::Bool(line == b"t"),
            b'_' => Reply::Null,
            b'$' | b'=' | b'!' => {
                let length = number(line);
                if length < 0 {
                    return Some((Reply::Null, at));
                }
                let length = length as usize;
                let body = bytes.get(at..at + length)?.to_vec();
                let tail = bytes.get(at + length..at + length + 2)?;
                assert_eq!(tail, b"\r\n", "a bulk string must end with CR LF");
                let reply = match bytes[0] {
                    b'$' => Reply::Bulk(body),
                    b'=' => Reply::Verbatim(body),
                    _ => Reply::Error(body),
                };
                return Some((reply, at + length + 2));
            }
            b'*' | b'~' | b'>' => {
                let count = number(line);
                if count < 0 {
                    return Some((Reply::Null, at));
                }
                let (items, used) = items(&bytes[at..], count as usize)?;
                let reply = match bytes[0] {
                    b'*' => Reply::Array(items),
                    b'~' => Reply::Set(items),
                    _ => Reply::Push(items),
                };
                return Some((reply, at + used));
            }
            b'%' => {
                let (items, used) = items(&bytes[at..], 2 * number(line) as usize)?;
                let pairs = items.chunks(2).map(|p| (p[0].clone(), p[1].clone())).collect();
                return Some((Reply::Map(pairs), at + used));
            }
            other => panic!("no reply starts with {:?}: {:?}", other as char, show(bytes)),
        };
        Some((reply, at))
    }

    /// The string inside a simple, bulk or verbatim string.
    pub fn text(&self) -> String {
        match self {
            Reply::Simple(b) | Reply::Bulk(b) | Reply::Error(b) | Reply::Double(b) => show_plain(b),
            Reply::Verbatim(b) => show_plain(&b[4..]),
            Reply::Int(n) => n.to_string(),
            other => panic!("no text: {other:?}"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Reply::Simple(b) | Reply::Bulk(b) | Reply::Error(b) | Reply::Double(b) => b,
            Reply::Verbatim(b) => &b[4..],
            other => panic!("no bytes: {other:?}"),
        }
    }

    pub fn int(&self) -> i64 {
        match self {
            Reply::Int(n) => *n,
            other => panic!("no integer: {other:?}"),
        }
    }

    pub fn array(&self) -> &[Reply] {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => items,
            other => panic!("no array: {other:?}"),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    pub fn is_ok(&self) -> bool {
        *self == Reply::Simple(b"OK".to_vec())
    }
}

fn number(line: &[u8]) -> i64 {
    std::str::from_utf8(line)
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or_else(|| panic!("no number: {:?}", show(line)))
}

fn items(bytes: &[u8], count: usize) -> Option<(Vec<Reply>, usize)> {
    let mut items = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let (item, used) = Reply::parse(&bytes[at..])?;
        items.push(item);
        at += used;
    }
    Some((items, at))
}

/// How many bytes of `show` a message quotes.
const SHOWN: usize = 300;

/// Bytes as a message quotes them: escaped, and cut when long.
pub fn show(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let more = if cut.len() < bytes.len() { format!("... ({} bytes)", bytes.len()) } else { String::new() };
    format!("{}{more}", cut.escape_ascii())
}

fn show_plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Simple(b) => write!(f, "+{}", show(b)),
            Reply::Error(b) => write!(f, "-{}", show(b)),
            Reply::Int(n) => write!(f, ":{n}"),
            Reply::Bulk(b) => write!(f, "\"{}\"", show(b)),
            Reply::Null => write!(f, "null"),
            Reply::Array(items) => f.debug_list().entries(items).finish(),
            Reply::Set(items) => f.debug_set().entries(items).finish(),
            Reply::Push(items) => write!(f, "push{items:?}"),
            Reply::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(k, v)| (k, v))).finish(),
            Reply::Bool(b) => write!(f, "{b}"),
            Reply::Double(b) => write!(f, ",{}", show(b)),
            Reply::BigNumber(b) => write!(f, "({}", show(b)),
            Reply::Verbatim(b) => write!(f, "={}", show(b)),
        }
    }
}

#[test]
fn replies_are_parsed_and_measured() {
    let all = b"*3\r\n:1\r\n$3\r\na\r\n\r\n%1\r\n+k\r\n,1.5\r\n";
    let (reply, used) = Reply::parse(all).unwrap();
    assert_eq!(used, all.len());
    assert_eq!(reply.array()[1].bytes(), b"a\r\n");
    for cut in 0..all.len() {
        assert_eq!(Reply::parse(&all[..cut]), None);
    }
    assert_eq!(Reply::parse(b"$-1\r\n"), Some((Reply::Null, 5)));
    assert_eq!(Reply::parse(b"=7\r\ntxt:abc\r\n").unwrap().0.text(), "abc");
}
