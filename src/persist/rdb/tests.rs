//! Files that redis-server 7.0.15 wrote, files written here, and what damage does to both.

use super::write::{self, Traits};
use super::*;
use crate::base::prng::{seeded, xorshift};
use crate::config::Config;
use crate::ds::{Owned, View};
use crate::persist::crc64::crc64;
use crate::persist::value::{Reading, decode};
use crate::store::Value;

/// Strings, databases, expiries, compression, a library of functions.
const STRINGS: &[u8] = include_bytes!("../../../tests/data/redis-7.0-strings.rdb");
/// All types, in most encodings that 7.0 writes.
const TYPES: &[u8] = include_bytes!("../../../tests/data/redis-7.0-types.rdb");
/// With `maxmemory-policy` allkeys-lru, then allkeys-lfu.
const LRU: &[u8] = include_bytes!("../../../tests/data/redis-7.0-lru.rdb");
const LFU: &[u8] = include_bytes!("../../../tests/data/redis-7.0-lfu.rdb");

/// An item in words.
fn show(item: Item<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    match item {
        Item::Version(version) => format!("version {version}"),
        Item::Aux { name, .. } => format!("aux {}", text(&name)),
        Item::Library(source) => format!("library {}", text(&source)),
        Item::Sizes { db, keys, expires } => format!("db {db}: {keys} {expires}"),
        Item::End => "end".into(),
        Item::Entry(e) => {
            let mut shown = format!("{} {} type {}", e.db, text(&e.key), e.kind);
            if e.kind == 0 {
                let reading = Reading { config: &Config::default(), seed: 1 };
                shown += &match decode(e.kind, &mut &e.value[..], &reading) {
                    Ok(Owned::Int(n)) => format!(" {n}"),
                    Ok(Owned::Bytes(bytes)) => format!(" {} bytes: {}", bytes.len(), text(&bytes)),
                    Ok(Owned::Boxed(Value::Str(bytes))) => {
                        format!(" {} bytes: {}", bytes.len(), text(&bytes))
                    }
                    other => format!(" {other:?}"),
                };
            }
            if let Some(at) = e.expire_at {
                shown += &format!(" until {at}");
            }
            match (e.idle_secs, e.frequency) {
                (Some(secs), None) => shown + &format!(" idle {secs}"),
                (None, Some(uses)) => shown + &format!(" used {uses}"),
                _ => shown,
            }
        }
    }
}

/// All items of a file that comes in pieces of these lengths, again and again.
fn read(file: &[u8], pieces: &[usize]) -> Result<Vec<String>, Broken> {
    let mut reader = Reader::new(true);
    let (mut items, mut at) = (Vec::new(), 0);
    for len in pieces.iter().cycle() {
        let piece = &file[at..file.len().min(at + len)];
        at += piece.len();
        reader.push(piece);
        if at == file.len() {
            reader.finish();
        }
        while let Some(item) = reader.next_item()? {
            items.push(show(item));
        }
        if at == file.len() {
            return Ok(items);
        }
    }
    Ok(items)
}

fn whole(file: &[u8]) -> Result<Vec<String>, Broken> {
    read(file, &[file.len().max(1)])
}

fn entries(file: &[u8]) -> Vec<String> {
    let items = whole(file).expect("it is whole");
    assert_eq!(items.last().map(String::as_str), Some("end"));
    let mut entries: Vec<String> = items.into_iter().filter(|i| i.contains(" type ")).collect();
    entries.sort();
    entries
}

#[test]
fn strings_of_redis_are_read() {
    let items = whole(STRINGS).expect("it is whole");
    assert_eq!(items[0], "version 10");
    for wanted in ["aux redis-ver", "aux ctime", "db 0: 7 2", "db 3: 1 0", "library #!lua name=mylib"] {
        assert!(items.iter().any(|i| i.starts_with(wanted)), "{wanted}: {items:#?}");
    }
    let long = "x".repeat(40);
    assert_eq!(
        entries(STRINGS),
        [
            "0 12345 type 0 5 bytes: value".to_string(),
            "0 big type 0 9223372036854775807".into(),
            format!("0 compressed type 0 5000 bytes: {long}"),
            "0 empty type 0 0 bytes: ".into(),
            "0 later type 0 1 until 4102444800123".into(),
            "0 number type 0 -7".into(),
            "0 soon type 0 1 bytes: v until 4102444800000".into(),
            "3 other type 0 5 bytes: three".into(),
        ]
    );
}

#[test]
fn every_type_of_redis_is_stepped_over() {
    let expected = [
        ("bits", 0),
        ("h:big", 16),
        ("h:huge", 4),
        ("h:small", 16),
        ("hll", 0),
        ("l:big", 18),
        ("l:plain", 18),
        ("l:small", 18),
        ("s", 0),
        ("s:big", 2),
        ("s:ht", 2),
        ("s:int", 11),
        ("s:small", 2),
        ("x:big", 19),
        ("x:small", 19),
        ("z:big", 5),
        ("z:skip", 5),
        ("z:small", 17),
        ("only", 0),
    ];
    let found = entries(TYPES);
    assert_eq!(found.len(), expected.len());
    for (found, (key, kind)) in found.iter().zip(expected) {
        assert!(found[1..].starts_with(&format!(" {key} type {kind}")), "{found}");
    }
    for file in [LRU, LFU] {
        let found = entries(file);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|e| e.contains(if file == LRU { " idle " } else { " used " })), "{found:?}");
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    for file in [STRINGS, TYPES] {
        let expected = whole(file);
        assert!(expected.is_ok());
        for pieces in [&[1usize][..], &[2], &[3, 1, 7], &[64], &[1_000, 1], &[9], &[8, 2]] {
            assert_eq!(read(file, pieces), expected, "{pieces:?}");
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for file in [STRINGS, TYPES, LFU] {
        for len in 0..file.len() {
            let broken = whole(&file[..len]).expect_err("cut");
            assert_eq!(broken.what, What::Truncated, "cut to {len}");
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    for file in [STRINGS, LFU] {
        for bit in 0..file.len() * 8 {
            let mut bad = file.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            // A checksum that became 0 is none; that takes more than one bit.
            assert!(whole(&bad).is_err(), "bit {bit}");
        }
    }
}

/// Under a right checksum, as a hostile writer would give it.
#[test]
fn damage_never_panics_and_takes_no_memory() {
    let mut rng = seeded(5);
    let rounds = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let reading = Reading { config: &Config::default(), seed: 1 };
    for round in 0..rounds {
        let file = [STRINGS, TYPES, LRU][round % 3];
        let mut bad = file[..file.len() - 8].to_vec();
        for _ in 0..1 + xorshift(&mut rng) % 3 {
            let at = xorshift(&mut rng) as usize % bad.len();
            bad[at] = if xorshift(&mut rng).is_multiple_of(2) { xorshift(&mut rng) as u8 } else { 0x81 };
        }
        let crc = crc64(0, &bad);
        bad.extend_from_slice(&crc.to_le_bytes());
        let mut reader = Reader::new(true);
        reader.push(&bad);
        reader.finish();
        while let Ok(Some(item)) = reader.next_item() {
            if let Item::Entry(entry) = item {
                let _ = decode(entry.kind, &mut &entry.value[..], &reading);
            }
        }
        assert!(reader.buf_capacity() <= 2 * bad.len());
    }
}

fn write_one(version: u8, sum: bool) -> Vec<u8> {
    let mut file = Vec::new();
    write::header(&mut file, version);
    write::aux(&mut file, "redis-ver", "7.4.2");
    write::library(&mut file, b"#!lua name=lib", true);
    write::select(&mut file, 9);
    write::sizes(&mut file, 3, 1);
    let form = (version, true);
    let traits = Traits { expire_at: Some(4_102_444_800_123), idle_secs: Some(70), frequency: None };
    write::entry(&mut file, b"a", View::Bytes(b"text"), traits, form).expect("a string fits");
    let traits = Traits { frequency: Some(200), ..Traits::default() };
    write::entry(&mut file, b"b", View::Int(-5), traits, form).expect("a string fits");
    write::select(&mut file, 0);
    write::entry(&mut file, b"a", View::Bytes(&[b'z'; 300]), Traits::default(), form).expect("a string fits");
    write::end(&mut file);
    let crc = if sum { crc64(0, &file) } else { 0 };
    file.extend_from_slice(&crc.to_le_bytes());
    file
}

#[test]
fn what_is_written_is_read_back() {
    for version in VERSIONS_WRITTEN {
        for sum in [true, false] {
            let items = whole(&write_one(version, sum)).expect("it is whole");
            assert_eq!(
                items,
                [
                    format!("version {version}"),
                    "aux redis-ver".into(),
                    "library #!lua name=lib".into(),
                    "db 9: 3 1".into(),
                    "9 a type 0 4 bytes: text until 4102444800123 idle 70".into(),
                    "9 b type 0 -5 used 200".into(),
                    format!("0 a type 0 300 bytes: {}", "z".repeat(40)),
                    "end".into(),
                ]
            );
        }
    }
}

#[test]
fn old_and_foreign_files() {
    let refused = |bytes: &[u8]| whole(bytes).expect_err("refused").what;
    assert_eq!(refused(b"VALKEY081\xff"), What::ValkeyVersion(81));
    assert_eq!(refused(b"VALKEY011\xff"), What::ValkeyVersion(11));
    assert_eq!(refused(b"VALKEY\x0080\xff"), What::NotRdb);
    assert_eq!(refused(b"REDIS0080\xff"), What::Version(80));
    assert_eq!(refused(b"VALKEY080\xf3\x01j\x01\x01\x02"), What::SlotImport);
    assert_eq!(refused(b"REDIS0012\xf3\x01k\x00"), What::UnknownType(0xf3));
    // What is Redis's own is not in Valkey's files, and the number that stands for Valkey's hash here is in none.
    assert_eq!(refused(b"VALKEY080\x18\x01k"), What::UnknownType(24));
    assert_eq!(refused(b"VALKEY080\x17\x01k"), What::UnknownType(23));
    assert_eq!(refused(b"VALKEY080\x96\x01k"), What::UnknownType(150));
    assert_eq!(refused(b"REDIS0012\x96\x01k"), What::UnknownType(150));
    assert_eq!(refused(b"REDIS0013\xff"), What::Version(13));
    assert_eq!(refused(b"REDIS0000\xff"), What::NotRdb);
    assert_eq!(refused(b"*1\r\n$4\r\nPING\r\n"), What::NotRdb);
    assert_eq!(refused(b""), What::Truncated);
    assert_eq!(refused(b"REDIS0010\x06\x01k"), What::Module);
    assert_eq!(refused(b"REDIS0010\x07\x01k"), What::Module);
    assert_eq!(refused(b"REDIS0010\xf7\x01k"), What::Module);
    assert_eq!(refused(b"REDIS0010\x08\x01k"), What::UnknownType(8));
    assert_eq!(refused(b"REDIS0010\x1a\x01k"), What::UnknownType(26));
    assert_eq!(refused(b"REDIS0010\xf6\x01k"), What::OldFunctions);
    // Without a checksum, as before version 5; expiry in seconds.
    let old = whole(b"REDIS0001\xfe\x00\xfd\x10\x00\x00\x00\x00\x01k\x01v\xff").expect("it is whole");
    assert_eq!(old, ["version 1", "0 k type 0 1 bytes: v until 16000", "end"]);
    let slots = whole(b"REDIS0012\xf4\x01\x02\x03\xff\0\0\0\0\0\0\0\0").expect("it is whole");
    assert_eq!(slots, ["version 12", "end"]);
}

/// As Valkey 9 writes it: a hash whose fields expire has its own form, all else is Redis 7.2's.
#[test]
fn a_file_of_valkey_9_is_read() {
    let mut file = b"VALKEY080\xfa\x0avalkey-ver\x059.0.1\xfe\x00\xf4\x05\x02\x01\x16\x01h\x03".to_vec();
    let at: i64 = 4_102_444_800_123;
    for (field, value, expire_at) in [("a", "1", -1), ("b", "two", at), ("c", "", -1)] {
        for text in [field, value] {
            crate::persist::rdb_string::encode_string(&mut file, text.as_bytes(), true);
        }
        file.extend_from_slice(&i64::to_le_bytes(expire_at));
    }
    file.extend_from_slice(b"\x00\x01s\x01v\xff");
    let crc = crc64(0, &file);
    file.extend_from_slice(&crc.to_le_bytes());
    for pieces in [&[1usize][..], &[7], &[1_000]] {
        let items = read(&file, pieces).expect("it is whole");
        let shown = ["version 80", "aux valkey-ver", "0 h type 150", "0 s type 0 1 bytes: v", "end"];
        assert_eq!(items, shown);
    }
    let mut reader = Reader::new(true);
    reader.push(&file);
    let hash = loop {
        match reader.next_item() {
            Ok(Some(Item::Entry(entry))) => break (entry.kind, entry.value.to_vec()),
            Ok(Some(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    let config = Config::default();
    let reading = Reading { config: &config, seed: 1 };
    let fields = |value: Owned<Value>| match value {
        Owned::Boxed(Value::Hash(hash)) => {
            let mut all: Vec<_> = hash.iter().map(|f| (f.name.to_vec(), f.expire_at)).collect();
            all.sort();
            all
        }
        other => panic!("{other:?}"),
    };
    let expected = [(b"a".to_vec(), None), (b"b".to_vec(), Some(at)), (b"c".to_vec(), None)];
    assert_eq!(fields(decode(hash.0, &mut &hash.1[..], &reading).expect("a hash")), expected);
    // A payload of it has Valkey's number and version, and comes back.
    let payload = crate::persist::dump::payload(hash.0, &hash.1);
    assert_eq!((payload[0], &payload[payload.len() - 10..payload.len() - 8]), (22, &[80, 0][..]));
    assert_eq!(fields(crate::persist::dump::restore(&payload, &reading).expect("whole")), expected);
    for bad in [0i64, -2, i64::MAX, i64::MIN] {
        let mut value = hash.1.clone();
        let last = value.len() - 8;
        value[last..].copy_from_slice(&bad.to_le_bytes());
        assert!(decode(hash.0, &mut &value[..], &reading).is_err(), "{bad}");
    }
}

#[test]
fn what_follows_the_end_is_left() {
    let mut file = write_one(10, true);
    file.extend_from_slice(b"*1\r\n");
    let mut reader = Reader::new(true);
    reader.push(&file);
    while !matches!(reader.next_item(), Ok(Some(Item::End))) {}
    assert_eq!(reader.left_over(), 4);
    assert_eq!(reader.next_item(), Ok(None));
}
