//! What stands in a request where a template has `<name>`: values on the edges, and enough plain ones that commands
//! meet each other's data.

use crate::rng::Rng;
use std::time::{SystemTime, UNIX_EPOCH};

/// Few keys, so that commands meet. Tags keep some on one shard; some are binary, empty or long.
const KEYS: &[&[u8]] = &[
    b"a", b"b", b"c", b"key:1", b"key:2", b"key:3", b"{t}1", b"{t}2", b"{t}3", b"x{t}", b"", b"\xff\x00\r\n", b"with space",
    b"{}", b"a{}b", b"{{x}}",
    b"long.................................................................................................................key",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "7",
    "10",
    "100",
    "-100",
    "255",
    "256",
    "9999",
    "10000",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775806",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
];

const NOT_INTEGERS: &[&str] = &[
    "",
    " 1",
    "1 ",
    "+1",
    "01",
    "-0",
    "1.0",
    "1e3",
    "abc",
    "0x10",
    "9223372036854775808",
    "-9223372036854775809",
    "--1",
];

const FLOATS: &[&str] = &[
    "0",
    "1.5",
    "-1.5",
    "0.1",
    "3.0e3",
    "1e-7",
    "1e17",
    "1e300",
    "-1e300",
    "5e-324",
    "1.7976931348623157e308",
    "3.14159265358979",
    "0.3",
    "100",
    "1e4000",
    "inf",
    "-inf",
    "nan",
    "0x1p3",
    " 1",
    "1 ",
    "1.",
    ".5",
    "",
    "abc",
    "1e",
    "123456789012345678",
];

/// Around zero, the ends of short strings, and far away.
const OFFSETS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "5",
    "8",
    "10",
    "43",
    "44",
    "45",
    "100",
    "-1",
    "-2",
    "-3",
    "-5",
    "-10",
    "-44",
    "-100",
    "1000",
    "-1000",
    "9223372036854775807",
    "-9223372036854775808",
];

const BIT_OFFSETS: &[&str] = &["0", "1", "7", "8", "9", "15", "31", "63", "64", "100", "1000", "8191"];
const BAD_BIT_OFFSETS: &[&str] = &["-1", "4294967296", "9223372036854775807", "abc", ""];

const PATTERNS: &[&str] = &[
    "*", "", "a", "?", "key:*", "key:[12]", "key:[^1]", "[a-c]", "\\{t\\}?", "*t*", "[", "\\", "*{*}*",
    "[z-a]", "key:[1",
];

/// A value by the name that stands between `<` and `>` in a template.
pub fn value(name: &str, rng: &mut Rng) -> Vec<u8> {
    match name {
        "key" => rng.pick(KEYS).to_vec(),
        "val" => string(rng),
        "int" if rng.one_in(8) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        "int" => rng.pick(INTEGERS).as_bytes().to_vec(),
        "float" => rng.pick(FLOATS).as_bytes().to_vec(),
        "off" if rng.one_in(12) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        "off" => rng.pick(OFFSETS).as_bytes().to_vec(),
        // Where a string is made to reach: never so far that it takes megabytes.
        "reach" => rng
            .pick(&["0", "1", "3", "10", "44", "100", "2000", "-1", "536870912", "9223372036854775807", "x"])
            .as_bytes()
            .to_vec(),
        "bitoff" if rng.one_in(10) => rng.pick(BAD_BIT_OFFSETS).as_bytes().to_vec(),
        "bitoff" => rng.pick(BIT_OFFSETS).as_bytes().to_vec(),
        "fieldoff" => rng
            .pick(&["0", "1", "7", "8", "63", "100", "#0", "#1", "#2", "#10", "-1", "#-1", "abc", "#"])
            .as_bytes()
            .to_vec(),
        "bit" if rng.one_in(12) => rng.pick(&["2", "-1", "x", ""]).as_bytes().to_vec(),
        "bit" => rng.pick(&["0", "1"]).as_bytes().to_vec(),
        "field" => rng
            .pick(&[
                "u8", "i8", "u1", "i1", "u4", "i5", "u16", "i16", "u32", "i32", "u63", "i64", "i63", "u64",
                "i65", "u0", "i0", "x8", "8", "u", "U8",
            ])
            .as_bytes()
            .to_vec(),
        "fieldval" => loop {
            let value = rng.pick(INTEGERS);
            if !value.starts_with("-92") {
                return value.as_bytes().to_vec();
            }
        },
        "elem" => element(rng),
        "index" if rng.one_in(30) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        "index" if rng.one_in(20) => rng.pick(INTEGERS).as_bytes().to_vec(),
        "index" => (rng.below(40) as i64 - 20).to_string().into_bytes(),
        "count" if rng.one_in(20) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        "count" => (rng.below(12) as i64 - 1).to_string().into_bytes(),
        "hash" => rng.pick(&["h1", "h2", "h3", "{t}h", "s", "none"]).as_bytes().to_vec(),
        "hfield" => hash_field(rng),
        "hval" if rng.one_in(3) => rng.pick(FLOATS).as_bytes().to_vec(),
        "hval" => string(rng),
        "zkey" => rng.pick(&["z1", "z2", "z3", "{t}z", "x{t}", "str"]).as_bytes().to_vec(),
        "lkey" => rng.pick(&["l1", "l2", "l3"]).as_bytes().to_vec(),
        "gkey" => rng.pick(&["g1", "g2", "{t}g", "text"]).as_bytes().to_vec(),
        // Only written to: what STOREDIST leaves are no positions.
        "stored" => rng.pick(&["d1", "d2", "{t}d", "str"]).as_bytes().to_vec(),
        "member" => member(rng),
        "score" if rng.one_in(20) => rng.pick(FLOATS).as_bytes().to_vec(),
        "score" => rng.pick(SCORES).as_bytes().to_vec(),
        "bound" if rng.one_in(12) => rng.pick(FLOATS).as_bytes().to_vec(),
        "bound" if rng.one_in(3) => [b"(", rng.pick(SCORES).as_bytes()].concat(),
        "bound" => rng.pick(SCORES).as_bytes().to_vec(),
        "lex" => match rng.below(12) {
            0 | 1 => b"-".to_vec(),
            2 | 3 => b"+".to_vec(),
            4 => rng.pick(&["", "a", "+a", "-a", "(", "["]).as_bytes().to_vec(),
            n if n % 2 == 0 => [b"[".to_vec(), member(rng)].concat(),
            _ => [b"(".to_vec(), member(rng)].concat(),
        },
        "lon" => coordinate(rng, 180.0),
        "lat" => coordinate(rng, 85.05),
        "near" => format!("{:.4}", 10.0 + rng.below(20_000) as f64 / 10_000.0).into_bytes(),
        "radius" if rng.one_in(20) => rng.pick(&["-1", "x", "0", "nan", "1e9"]).as_bytes().to_vec(),
        "radius" => format!("{}", rng.pick(&[1, 10, 100, 1_000]) * (1 + rng.below(300))).into_bytes(),
        "unit" if rng.one_in(25) => b"yd".to_vec(),
        "unit" => rng.pick(&["m", "km", "ft", "mi", "KM"]).as_bytes().to_vec(),
        "pat" => rng.pick(PATTERNS).as_bytes().to_vec(),
        "sid" => rng
            .pick(&[
                "1-1",
                "2-1",
                "2-*",
                "3",
                "5-0",
                "7-7",
                "0-0",
                "1-",
                "9-9",
                "18446744073709551615-0",
                "x",
            ])
            .as_bytes()
            .to_vec(),
        "db" if rng.one_in(12) => rng.pick(&["-1", "16", "abc", ""]).as_bytes().to_vec(),
        "db" => rng.pick(&["0", "1", "2"]).as_bytes().to_vec(),
        "ttl" => lifetime(rng, 1),
        "pttl" => lifetime(rng, 1_000),
        "future" => moment(rng, 1, false),
        "future_ms" => moment(rng, 1_000, false),
        "at" => moment(rng, 1, true),
        "at_ms" => moment(rng, 1_000, true),
        other => panic!("no value is called <{other}>"),
    }
}

/// Scores with ties, and with the ends of what doubles can do.
const SCORES: &[&str] = &[
    "0",
    "1",
    "1",
    "2",
    "2",
    "3",
    "5",
    "10",
    "-1",
    "-3",
    "0.5",
    "1.1",
    "2.5",
    "-0",
    "inf",
    "-inf",
    "1e17",
    "3.3e-5",
    "123456789012",
    "0.1",
    "1e300",
    "-1e300",
];

/// A member of few, so that they meet: names, integers, now and then a long or a binary one.
fn member(rng: &mut Rng) -> Vec<u8> {
    match rng.below(24) {
        0 => vec![b'm'; 60 + rng.below(10)],
        1 => rng.pick(&[&b""[..], b"\xff\x00", b"a\r\n", b"-0", b"01"]).to_vec(),
        2..=7 => rng
            .pick(&["0", "1", "7", "-5", "100", "5000", "70000", "9223372036854775807"])
            .as_bytes()
            .to_vec(),
        _ => format!("m{}", rng.below(14)).into_bytes(),
    }
}

/// Degrees: anywhere, at the ends, or beyond them.
fn coordinate(rng: &mut Rng, max: f64) -> Vec<u8> {
    let part = rng.below(2_000_001) as f64 / 1_000_000.0 - 1.0;
    match rng.below(30) {
        0 => rng.pick(&["0", "180", "-180", "85.05112878", "-85.05112878", "x"]).as_bytes().to_vec(),
        1 => rng.pick(&["181", "-180.0001", "86", "nan", "inf"]).as_bytes().to_vec(),
        _ => format!("{:.6}", part * max).into_bytes(),
    }
}

/// A stored string: integers, sizes around the encodings' limits, binary, now and then a large one.
fn string(rng: &mut Rng) -> Vec<u8> {
    match rng.below(16) {
        0..=4 => rng.pick(INTEGERS).as_bytes().to_vec(),
        5 => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        6..=7 => rng.pick(FLOATS).as_bytes().to_vec(),
        8 => Vec::new(),
        9..=11 => (0..1 + rng.below(12)).map(|_| rng.next() as u8).collect(),
        12 => vec![b'e'; 43 + rng.below(3)],
        13 => vec![0xff; 1 + rng.below(20)],
        14 => vec![0; 1 + rng.below(20)],
        _ => (0..rng.below(3_000)).map(|i| b'a' + (i % 26) as u8).collect(),
    }
}

/// A member of a collection: few short ones, so that they meet, and now and then one that makes encodings change.
fn element(rng: &mut Rng) -> Vec<u8> {
    match rng.below(40) {
        0..=7 => rng.pick(INTEGERS).as_bytes().to_vec(),
        8..=10 => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        11..=13 => (0..rng.below(100)).map(|_| rng.next() as u8).collect(),
        14 => vec![b'm'; 60 + rng.below(8)],
        15 => vec![b'l'; 1_000 * (1 + rng.below(12))],
        _ => vec![b'a' + rng.below(8) as u8],
    }
}

/// Few names, so that fields meet: numbers, binary ones, lengths around the bounds of encodings.
fn hash_field(rng: &mut Rng) -> Vec<u8> {
    match rng.below(12) {
        0..=4 => format!("f{}", rng.below(9)).into_bytes(),
        5..=7 => rng.below(12).to_string().into_bytes(),
        8 => rng.pick(INTEGERS).as_bytes().to_vec(),
        9 => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
        10 => vec![b'l'; 63 + rng.below(3)],
        _ => vec![rng.below(4) as u8, 0xff, 0],
    }
}

/// A lifetime in units of which `unit` make a second: long, past, or wrong. Nothing that ends during a test.
fn lifetime(rng: &mut Rng, unit: u64) -> Vec<u8> {
    let text = match rng.below(20) {
        0 => "0".into(),
        1 => "-1".into(),
        2 => rng
            .pick(&["9223372036854775807", "-9223372036854775808", "9223372036854775", "99999999999999999"])
            .to_string(),
        3 => rng.pick(NOT_INTEGERS).replace("01", "0x1").replace("+1", "+x"),
        _ => ((100_000 + rng.next() % 1_000_000_000) * unit).to_string(),
    };
    text.into_bytes()
}

/// A point in time: far ahead, wrong, or, where a command deletes at once what is past, past. (SET stores what is past, and
/// when it goes is up to each server's active expiry.)
fn moment(rng: &mut Rng, unit: u64, past: bool) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    // The day, so that a seed gives the same requests for a while.
    let day = now / 86_400 * 86_400;
    let text = match rng.below(20) {
        0 if past => "1".into(),
        1 => "0".into(),
        2 => "-5".into(),
        3 => rng
            .pick(&["9223372036854775807", "-9223372036854775808", "9223372036854775", "abc", ""])
            .to_string(),
        _ => ((day + 200_000 + rng.next() % 1_000_000_000) * unit).to_string(),
    };
    text.into_bytes()
}

/// What a request that is being broken gets in the place of an argument. No small positive number: as a lifetime it
/// would end during the test.
pub fn junk(rng: &mut Rng) -> Vec<u8> {
    const JUNK: &[&str] = &[
        "",
        "abc",
        "-1",
        "0",
        "NX",
        "XX",
        "GET",
        "KEEPTTL",
        "COUNT",
        "*",
        "EX",
        "PX",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "1.5",
        "\u{e9}",
    ];
    rng.pick(JUNK).as_bytes().to_vec()
}
