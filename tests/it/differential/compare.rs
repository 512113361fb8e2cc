//! When two replies are the same.

use crate::reply::{Reply, show};

/// How a row's replies compare. Errors always compare by their bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Byte by byte.
    Bytes,
    /// An integer that two clocks a little apart may give: a lifetime, an idle time. Negative ones are answers, not times.
    Near(u64),
    /// An array or a map in any order.
    AnyOrder,
    /// The same kind of reply, whatever it holds.
    Kind,
}

pub fn same(how: How, redis: &[u8], kring: &[u8]) -> bool {
    if redis == kring {
        return true;
    }
    let parsed = |raw: &[u8]| Reply::parse(raw).map(|(reply, _)| reply);
    let (Some(r), Some(k)) = (parsed(redis), parsed(kring)) else { return false };
    if r.is_error() || k.is_error() {
        return false;
    }
    match how {
        How::Bytes => false,
        How::Near(within) => match (r, k) {
            (Reply::Int(r), Reply::Int(k)) => r >= 0 && k >= 0 && r.abs_diff(k) <= within,
            _ => false,
        },
        How::AnyOrder => redis[0] == kring[0] && sorted(&r) == sorted(&k),
        How::Kind => redis[0] == kring[0],
    }
}

/// The bytes of each item of an array; none of what is no array.
pub fn items(raw: &[u8]) -> Vec<&[u8]> {
    let mut items = vec![];
    let Some(head) = raw.windows(2).position(|w| w == b"\r\n").filter(|_| raw.starts_with(b"*")) else {
        return items;
    };
    let mut at = head + 2;
    while at < raw.len()
        && let Some((_, used)) = Reply::parse(&raw[at..])
    {
        items.push(&raw[at..at + used]);
        at += used;
    }
    items
}

/// The items of an array in one order.
pub fn sorted(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) | Reply::Set(items) => {
            let mut items: Vec<String> = items.iter().map(|i| format!("{i:?}")).collect();
            items.sort_unstable();
            items
        }
        Reply::Map(pairs) => {
            let mut pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k:?} {v:?}")).collect();
            pairs.sort_unstable();
            pairs
        }
        other => vec![format!("{other:?}")],
    }
}

/// A difference, told.
pub fn differ(request: &[Vec<u8>], redis: &[u8], kring: &[u8]) -> String {
    format!("{}\n    redis: {}\n    kring: {}", quote(request), show(redis), show(kring))
}

/// A request as redis-cli would take it.
pub fn quote(request: &[Vec<u8>]) -> String {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"\\'".contains(&b);
    let words = request.iter().map(|arg| match !arg.is_empty() && arg.iter().all(|b| plain(*b)) {
        true => show(arg),
        false => format!("\"{}\"", show(arg)),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn lifetimes_compare_with_slack_and_answers_exactly() {
    assert!(same(How::Near(2), b":100\r\n", b":99\r\n"));
    assert!(!same(How::Near(2), b":-1\r\n", b":-2\r\n"));
    assert!(!same(How::Near(2), b":1\r\n", b":-1\r\n"));
    assert!(same(How::AnyOrder, b"*2\r\n+a\r\n+b\r\n", b"*2\r\n+b\r\n+a\r\n"));
    assert!(!same(How::Kind, b"-ERR a\r\n", b"-ERR b\r\n"));
}
