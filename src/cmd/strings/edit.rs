//! Changes in place: APPEND and SETRANGE, and what the bit commands change strings with.
//!
//! A string in its entry is changed there as long as its length stays; a longer one is taken out of its entry, which
//! leaves it without a copy when no socket shares it, and grows with room to spare: as much again as it needs, 1 MiB
//! at most. So n small appends to a string cost O(n) and at most 1 MiB of slack.

use super::text::{Text, put_raw, stored};
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::{INLINE_MAX, Payload, ViewMut};
use crate::resp::{Args, Error};
use crate::store::{Keys, RAW, Value};
use bytes::{Bytes, BytesMut};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "append",
        full_name: "append",
        arity: 3,
        flags: flag::WRITE | flag::DENYOOM | flag::FAST,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::INSERT)],
        plan: Plan::Owner,
        run: append,
        summary: "Appends to the string that a key holds, or sets it.",
        since: "2.0.0",
        group: "string",
        complexity: "O(N), N being the bytes appended",
        syntax: "key:key value:string",
        ..Command::BASE
    },
    Command {
        name: "setrange",
        full_name: "setrange",
        arity: 4,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::STRING,
        keys: &[KeySpec::one(1, key::RW | key::UPDATE)],
        plan: Plan::Owner,
        run: setrange,
        summary: "Overwrites a part of the string that a key holds, with zeros up to it when it was shorter.",
        since: "2.2.0",
        group: "string",
        complexity: "O(N), N being the bytes written",
        syntax: "key:key offset:integer value:string",
        ..Command::BASE
    },
];

/// The most room that growing leaves to spare, in bytes.
const SPARE_MAX: usize = 1 << 20;

/// The length of the string that a command is about to change; none: no such key.
pub(in crate::cmd) fn len_for_write(keys: &mut Keys<'_>, name: &[u8]) -> Result<Option<usize>, Error> {
    keys.write(name).map(|entry| Ok(Text::of(entry.view())?.len())).transpose()
}

/// Lets `change` at the string of a key, made `len` bytes long with zeros at its end if it was shorter or absent.
/// The caller has checked the type.
pub(in crate::cmd) fn patch<R>(
    keys: &mut Keys<'_>,
    name: &[u8],
    len: usize,
    change: impl FnOnce(&mut [u8]) -> R,
) -> R {
    let Some(mut entry) = keys.write(name) else {
        let mut text = vec![0; len];
        let result = change(&mut text);
        put_raw(keys, name, text);
        return result;
    };
    match entry.view_mut() {
        ViewMut::Bytes(bytes) if bytes.len() >= len => {
            let result = change(bytes);
            entry.set_mark(RAW);
            return result;
        }
        ViewMut::Boxed(Value::Str(shared)) if shared.len() >= len => {
            return shared.change(change);
        }
        ViewMut::Int(_) | ViewMut::Bytes(_) | ViewMut::Boxed(_) => {}
    }
    let mut text = take_out(keys, name, len);
    text.resize(len.max(text.len()), 0);
    let result = change(&mut text);
    put_back(keys, name, text);
    result
}

/// Takes the string of a key that is there out of it, with capacity for `len` bytes. [`put_back`] must follow.
fn take_out(keys: &mut Keys<'_>, name: &[u8], len: usize) -> BytesMut {
    if let Some(Value::Str(text)) = keys.lift_value(name) {
        return with_room(text.into_mut(), len);
    }
    let mut text = BytesMut::with_capacity(roomy(len));
    if let Some(entry) = keys.peek(name)
        && let Ok(old) = Text::of(entry.view())
    {
        old.with(|old| text.extend_from_slice(old));
    }
    text
}

fn put_back(keys: &mut Keys<'_>, name: &[u8], text: BytesMut) {
    match text.len() <= INLINE_MAX {
        true => keys.set_value(name, Payload::Bytes(&text), RAW),
        false => keys.set_value(name, Payload::Boxed(Value::string(text)), RAW),
    }
}

/// The capacity for a string that has just grown to `len` bytes.
fn roomy(len: usize) -> usize {
    if len <= INLINE_MAX { len } else { len + len.min(SPARE_MAX) }
}

/// `text` with capacity for `len` bytes, moved to a roomier place if need be.
fn with_room(text: BytesMut, len: usize) -> BytesMut {
    if len <= text.capacity() {
        return text;
    }
    // `BytesMut::reserve` always doubles; for a string of 400 MiB that is too much.
    let mut text = Vec::from(text);
    text.reserve_exact(roomy(len) - text.len());
    BytesMut::from(Bytes::from(text))
}

/// Whether a string may grow to `size` plus `more` bytes.
fn check_size(cx: &Cx<'_>, size: usize, more: usize) -> Result<usize, Error> {
    size.checked_add(more)
        .filter(|total| *total as u64 <= cx.env.config.proto_max_bulk_len)
        .ok_or(Error::StringTooLong)
}

fn append(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, tail) = (args.at(1), args.at(2));
    let total = match len_for_write(&mut cx.keys, name)? {
        None => {
            cx.keys.set(name, stored(tail), None);
            tail.len()
        }
        Some(len) => {
            let total = check_size(cx, len, tail.len())?;
            let mut text = take_out(&mut cx.keys, name, total);
            text.extend_from_slice(tail);
            put_back(&mut cx.keys, name, text);
            total
        }
    };
    cx.keys.changed(name);
    cx.out.int(total as i64);
    Ok(Outcome::Done)
}

fn setrange(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (name, text) = (args.at(1), args.at(3));
    let offset = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let at = usize::try_from(offset).map_err(|_| Error::text_of("ERR offset is out of range"))?;
    let len = len_for_write(&mut cx.keys, name)?.unwrap_or(0);
    if text.is_empty() {
        cx.out.int(len as i64);
        return Ok(Outcome::Done);
    }
    let end = check_size(cx, at, text.len())?;
    patch(&mut cx.keys, name, end, |bytes| bytes[at..end].copy_from_slice(text));
    cx.keys.changed(name);
    cx.out.int(len.max(end) as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::cmd::testing::World;

    #[test]
    fn append_makes_raw_strings() {
        let mut w = World::new(2);
        assert_eq!(w.run("APPEND k 12"), ":2\r\n");
        assert_eq!(w.encoding("k"), "int", "to no key it is a SET");
        assert_eq!(w.run("APPEND k 3"), ":3\r\n");
        assert_eq!(w.encoding("k"), "raw");
        assert_eq!(w.run("GET k"), "$3\r\n123\r\n");
        assert_eq!(w.run("INCR k"), ":124\r\n");
        assert_eq!(w.encoding("k"), "int");
        assert_eq!(w.run("APPEND k \"\""), ":3\r\n");
        assert_eq!(w.encoding("k"), "raw");
        w.run("SET k v EX 100");
        w.run("APPEND k w");
        assert_eq!(w.expire_at("k"), Some(w.now.ms() + 100_000));
        w.run("SET k x");
        assert_eq!(w.encoding("k"), "embstr");
    }

    #[test]
    fn setrange_overwrites_and_pads() {
        let mut w = World::new(2);
        assert_eq!(w.run("SETRANGE nokey 3 \"\""), ":0\r\n");
        assert_eq!(w.run("GET nokey"), "$-1\r\n");
        assert_eq!(w.run("SETRANGE k 2 ab"), ":4\r\n");
        assert_eq!(w.run("GET k"), "$4\r\n\0\0ab\r\n");
        assert_eq!(w.encoding("k"), "raw");
        assert_eq!(w.run("SETRANGE k 1 xyz"), ":4\r\n");
        assert_eq!(w.run("GET k"), "$4\r\n\0xyz\r\n");
        w.run("SET n 10");
        assert_eq!(w.run("SETRANGE n 0 \"\""), ":2\r\n");
        assert_eq!(w.encoding("n"), "int");
        assert_eq!(w.run("SETRANGE n 0 2"), ":2\r\n");
        assert_eq!(w.run("GET n"), "$2\r\n20\r\n");
        assert_eq!(w.encoding("n"), "raw");
        assert_eq!(w.run("SETRANGE n -1 x"), "-ERR offset is out of range\r\n");
        assert_eq!(w.run("SETRANGE n abc x"), "-ERR value is not an integer or out of range\r\n");
    }

    #[test]
    fn strings_have_a_largest_size() {
        let mut w = World::new(1);
        let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
        assert_eq!(w.run("SETRANGE k 536870912 x"), too_long);
        assert_eq!(w.run("SETRANGE k 9223372036854775807 x"), too_long);
        w.config.proto_max_bulk_len = 10;
        assert_eq!(w.run("SETRANGE k 9 x"), ":10\r\n");
        assert_eq!(w.run("APPEND k y"), too_long);
        assert_eq!(w.run("APPEND k \"\""), ":10\r\n");
        assert_eq!(w.run("SETRANGE k 10 x"), too_long);
        assert_eq!(w.run("SETRANGE k 10 \"\""), ":10\r\n");
    }

    #[test]
    fn a_string_that_a_reply_shares_is_not_changed_in_it() {
        let mut w = World::new(1);
        w.run_args(&[b"SET", b"k", &[b'x'; 20_000]]);
        let shared = w.hold("k");
        assert_eq!(w.run("SETRANGE k 0 y"), ":20000\r\n");
        assert_eq!(w.run("APPEND k z"), ":20001\r\n");
        assert!(shared.iter().all(|b| *b == b'x') && shared.len() == 20_000);
        assert_eq!(w.run("GETRANGE k 0 1"), "$2\r\nyx\r\n");
    }

    /// What an append leaves free is taken from the allocator, so it counts; and it still does when a reply shares the string.
    #[test]
    fn room_to_spare_counts() {
        let mut w = World::new(1);
        w.run_args(&[b"SET", b"k", &[b'x'; 20_000]]);
        let counted = |w: &World| w.hand.peek(0).db(0).value_bytes();
        assert_eq!(counted(&w), 32 + 20_480);
        w.run("APPEND k y");
        assert!((40_000..50_000).contains(&counted(&w)), "{}", counted(&w));
        let shared = w.hold("k");
        for words in ["SETRANGE k 0 zz", "APPEND k z", "SETBIT k 9 1"] {
            w.run(words);
            assert_eq!(counted(&w), w.weight("k"), "{words}");
            assert!(counted(&w) > 40_000, "{words}: {}", counted(&w));
        }
        drop(shared);
        w.run("SETRANGE k 0 z");
        assert_eq!(counted(&w), w.weight("k"));
        w.run("DEL k");
        assert_eq!(counted(&w), 0);
    }

    #[test]
    fn growing_leaves_room() {
        assert_eq!(roomy(100), 100);
        assert_eq!(roomy(20_000), 40_000);
        assert_eq!(roomy(5 << 20), 6 << 20);
        let mut text = BytesMut::from(&[1u8; 17_000][..]);
        let mut moves = 0;
        for _ in 0..100_000 {
            let before = text.as_ptr();
            let len = text.len() + 30;
            text = with_room(text, len);
            text.resize(len, 2);
            text = BytesMut::from(text.freeze());
            moves += (before != text.as_ptr()) as u32;
        }
        assert!(moves < 16, "{moves} moves");
        assert!(text.capacity() <= text.len() + SPARE_MAX);
    }

    #[test]
    fn appends_and_overwrites_agree_with_a_vector() {
        let mut w = World::new(2);
        let mut random = seeded(11);
        for _ in 0..40 {
            w.run("DEL k");
            let mut model: Vec<u8> = Vec::new();
            w.run_args(&[b"SET", b"k", b""]);
            for _ in 0..60 {
                let r = xorshift(&mut random);
                let text: Vec<u8> = (0..r >> 32 & 0xff).map(|i| (r >> (i % 40)) as u8).collect();
                if r & 1 == 0 {
                    model.extend_from_slice(&text);
                    assert_eq!(w.run_args(&[b"APPEND", b"k", &text]), format!(":{}\r\n", model.len()));
                } else if !text.is_empty() {
                    let at = (r >> 8) as usize % 3_000;
                    model.resize(model.len().max(at + text.len()), 0);
                    model[at..at + text.len()].copy_from_slice(&text);
                    let reply = w.run_args(&[b"SETRANGE", b"k", at.to_string().as_bytes(), &text]);
                    assert_eq!(reply, format!(":{}\r\n", model.len()));
                }
            }
            assert_eq!(w.hold("k"), model);
        }
        assert_eq!(w.hand.iter().map(|s| s.db(0).value_bytes()).sum::<usize>(), w.weight("k"));
    }
}
