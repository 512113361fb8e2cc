//! Damaged snapshots, at every offset: whatever a byte becomes, a decoder refuses it or gives a value that works, and takes no
//! memory that the bytes at hand cannot fill.
//!
//! Every number that RDB has for a type and encoding is here: as redis-server 7.0 wrote it (tests/data), as it is written here,
//! or put together by hand. A counting allocator stands under this binary. `KRING_FUZZ=1` leaves nothing out.

#![allow(clippy::unwrap_used)] // a failed test panics

use kring::config::Config;
use kring::ds::listpack::{Element, Listpack};
use kring::ds::{Owned, View};
use kring::persist::empty::is_empty;
use kring::persist::rdb::{Item, Reader};
use kring::persist::rdb_string::{encode_len, encode_string};
use kring::persist::value::{Reading, decode, encode, encode_for_5};
use kring::persist::ziplist;
use kring::store::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Memory at most at a time: so much, and so many bytes for each of the input. LZF alone may make 88 of one.
const BASE: usize = 256 << 10;
const GROWTH: usize = 500;
/// Offsets looked at in a value, and bytes decoded for it with each change, unless all are wanted.
const OFFSETS: usize = 200;
const BYTES: usize = 30_000;

/// Whether all offsets, and all that a byte may become, are wanted.
fn thorough() -> bool {
    std::env::var("KRING_FUZZ").is_ok()
}

struct Counting;

thread_local! {
    /// Bytes that this thread has, and the most it had.
    static HAS: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came, so all that holds of that one holds of this one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HAS.set(HAS.get().wrapping_add(layout.size()));
        PEAK.set(PEAK.get().max(HAS.get()));
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HAS.set(HAS.get().saturating_sub(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `f` and gives the most memory that it had.
fn peak_of(f: impl FnOnce()) -> usize {
    HAS.set(0);
    PEAK.set(0);
    f();
    PEAK.get()
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    encode_string(out, text, true);
}

fn listpack(texts: &[&str]) -> Vec<u8> {
    let mut pack = Listpack::new();
    texts.iter().for_each(|text| pack.push_back(Element::of(text.as_bytes())));
    let mut out = Vec::new();
    string(&mut out, pack.as_bytes());
    out
}

fn ziplist_of(texts: &[&str]) -> Vec<u8> {
    let elements = texts.iter().map(|text| Element::of(text.as_bytes()));
    let mut out = Vec::new();
    string(&mut out, &ziplist::encode(elements, usize::MAX).unwrap());
    out
}

/// Values put together by hand: what nobody writes any more, or only others do.
fn by_hand() -> Vec<(u8, Vec<u8>)> {
    let texts = ["a", "17", "-70000", "a longer text, a longer text, a longer text", "1234567890123"];
    let strings = |texts: &[&str]| {
        let mut out = Vec::new();
        texts.iter().for_each(|text| string(&mut out, text.as_bytes()));
        out
    };
    let counted = |n: u64, body: Vec<u8>| {
        let mut out = Vec::new();
        encode_len(&mut out, n);
        out.extend(body);
        out
    };
    let at = 1_900_000_000_000u64;
    let mut scores = vec![5];
    let mut early = vec![2];
    let mut ex = [&at.to_le_bytes()[..], &[2]].concat();
    let mut valkey = vec![2];
    for (i, text) in texts.iter().enumerate() {
        string(&mut scores, text.as_bytes());
        scores.extend_from_slice([&b"\x033.5"[..], b"\xfe", b"\xff", b"\x0217", b"\x01\x30"][i]);
    }
    for (expires, field) in [(false, "f"), (true, "g")] {
        encode_len(&mut early, if expires { at } else { 0 });
        encode_len(&mut ex, u64::from(expires));
        for out in [&mut early, &mut ex, &mut valkey] {
            string(out, field.as_bytes());
            string(out, b"a value");
        }
        valkey.extend_from_slice(&if expires { at as i64 } else { -1 }.to_le_bytes());
    }
    let triples = listpack(&["f", "v", "1900000000000", "g", "w", "0"]);
    let zipmap = b"\x02\x01f\x03\x00val\x01g\x01\x02v  \xff";
    let node = b"\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81a\x02\0\x01\
        \x02\x01\0\x01\0\x01\x81b\x02\x04\x01\xff\x01\x01\x01";
    let group =
        b"\x01\x01g\x01\x01\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x05\0\0\0\0\0\0\0\x02\x01\x01c\
        \x06\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01";
    vec![
        (1, counted(5, strings(&texts))),
        (3, scores),
        (9, counted(zipmap.len() as u64, zipmap.to_vec())),
        (10, ziplist_of(&texts)),
        (20, listpack(&texts)),
        (21, [&node[..], b"\x01\x01\0\0\x01", group].concat()),
        (22, early),
        (23, triples.clone()),
        (24, ex),
        (25, [&at.to_le_bytes()[..], &triples].concat()),
        (150, valkey),
    ]
}

fn view(value: &Owned<Value>) -> View<'_, Value> {
    match value {
        Owned::Int(n) => View::Int(*n),
        Owned::Bytes(bytes) => View::Bytes(bytes),
        Owned::Boxed(value) => View::Boxed(value),
    }
}

/// Values of every number, several for most.
fn values(reading: &Reading<'_>) -> Vec<(u8, Vec<u8>)> {
    let mut values = by_hand();
    for (kind, body) in &values {
        let mut rest = &body[..];
        assert!(decode(*kind, &mut rest, reading).is_ok() && rest.is_empty(), "type {kind} as made by hand");
    }
    for file in [
        &include_bytes!("data/redis-7.0-strings.rdb")[..],
        include_bytes!("data/redis-7.0-types.rdb"),
        include_bytes!("data/redis-7.0-lfu.rdb"),
    ] {
        let mut reader = Reader::new(true);
        reader.push(file);
        reader.finish();
        loop {
            match reader.next_item().unwrap().unwrap() {
                Item::Entry(entry) => values.push((entry.kind, entry.value.to_vec())),
                Item::End => break,
                _ => {}
            }
        }
    }
    for (kind, body) in values.clone() {
        let value = decode(kind, &mut &body[..], reading).unwrap();
        for (encode, compress) in [
            (encode as fn(&mut Vec<u8>, View<'_, Value>, bool) -> u8, false),
            (encode_for_5, true),
            (encode_for_5, false),
        ] {
            let mut out = Vec::new();
            let kind = encode(&mut out, view(&value), compress);
            values.push((kind, out));
        }
    }
    values.sort();
    values.dedup();
    values
}

/// Decodes, and uses what comes of it.
fn try_out(kind: u8, body: &[u8], reading: &Reading<'_>) {
    let mut rest = body;
    let _ = is_empty(kind, body);
    if let Ok(value) = decode(kind, &mut rest, reading) {
        for encode in [encode, encode_for_5] {
            let mut out = Vec::new();
            let kind = encode(&mut out, view(&value), false);
            assert!(decode(kind, &mut &out[..], reading).is_ok(), "what was read can be written and read");
        }
    }
}

/// What a byte becomes.
fn others(byte: u8) -> impl Iterator<Item = u8> {
    let step = if thorough() { 1 } else { 3 };
    (0..8).step_by(step).map(move |bit| byte ^ 1 << bit).chain([0, 0xff, 0x81, 0xc3])
}

#[test]
fn every_value_damaged_at_every_offset() {
    let config = Config::default();
    let reading = Reading { config: &config, seed: 5 };
    let mut met = BTreeMap::new();
    for (kind, body) in values(&reading) {
        *met.entry(kind).or_insert(0) += 1;
        let offsets = if thorough() { body.len() } else { OFFSETS.min(BYTES / body.len()).max(10) };
        let step = body.len().div_ceil(offsets);
        let mut worst = 0;
        for at in (0..body.len()).step_by(step) {
            worst = worst.max(peak_of(|| try_out(kind, &body[..at], &reading)));
            let mut bad = body.clone();
            for other in others(body[at]) {
                bad[at] = other;
                worst = worst.max(peak_of(|| try_out(kind, &bad, &reading)));
            }
        }
        let bound = BASE + GROWTH * body.len();
        assert!(worst <= bound, "type {kind}, {} bytes: {worst} bytes of memory", body.len());
    }
    let kinds: Vec<u8> = (0..=5).chain(9..=25).chain([150]).collect();
    assert_eq!(met.keys().copied().collect::<Vec<_>>(), kinds, "every number is there");
}

/// A file of one entry of every number that it may have, without a checksum; and how many they are.
fn file_of(magic: &[u8], kinds: impl Fn(u8) -> bool, reading: &Reading<'_>) -> (Vec<u8>, usize) {
    let mut file =
        [magic, b"\xfa\x09redis-ver\x05other\xf5\x03lib\xfe\x00\xfb\x05\x01\xf4\x01\x02\x03"].concat();
    let (mut last, mut entries) = (None, 0);
    for (kind, body) in values(reading).into_iter().filter(|(kind, body)| kinds(*kind) && body.len() < 300) {
        if last != Some(kind) {
            last = Some(kind);
            entries += 1;
            file.extend_from_slice(b"\xfc\xff\xff\xff\xff\x7f\0\0\0\xf8\x05");
            file.extend_from_slice(&[kind % 128, 3, b'k', b':', kind]);
            file.extend_from_slice(&body);
        }
    }
    file.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
    (file, entries)
}

/// Reads a file as a load does; entries, when it is whole.
fn read(file: &[u8], piece: usize, reading: &Reading<'_>) -> Option<usize> {
    let mut reader = Reader::new(true);
    let (mut pieces, mut entries) = (file.chunks(piece), 0);
    loop {
        match reader.next_item() {
            Ok(Some(Item::Entry(entry))) => {
                entries += 1;
                try_out(entry.kind, entry.value, reading);
            }
            Ok(Some(Item::End)) => return Some(entries),
            Ok(Some(_)) => {}
            Ok(None) => match pieces.next() {
                Some(piece) => reader.push(piece),
                None => reader.finish(),
            },
            Err(_) => return None,
        }
    }
}

#[test]
fn whole_files_damaged_at_every_offset() {
    let config = Config::default();
    let reading = Reading { config: &config, seed: 5 };
    let of_redis = file_of(b"REDIS0012", |kind| kind < 26, &reading);
    let of_valkey = file_of(b"VALKEY080", |kind| kind < 22 || kind == 150, &reading);
    for (file, entries) in [of_redis, of_valkey] {
        assert!(entries >= 18, "{entries} of all numbers are short");
        assert_eq!(read(&file, 64, &reading), Some(entries), "{} bytes", file.len());
        let step = if thorough() { 1 } else { 11 };
        let bound = BASE + GROWTH * file.len();
        for at in (0..file.len()).step_by(step) {
            let peak = peak_of(|| assert_eq!(read(&file[..at], 1_000, &reading), None, "cut at {at}"));
            assert!(peak <= bound, "cut at {at}: {peak} bytes of memory");
            let mut bad = file.clone();
            for other in others(file[at]) {
                bad[at] = other;
                let peak = peak_of(|| _ = read(&bad, 1_000, &reading));
                assert!(peak <= bound, "byte {at} as {other}: {peak} bytes of memory");
            }
        }
    }
}
