//! DUMP payloads: one value that any Redis of the same or a later format takes with RESTORE.
//!
//! ```text
//!  type: 1 byte | the value as in RDB | RDB version: 2 bytes, little-endian | CRC-64 of all before: 8 bytes, little-endian
//! ```

use super::value::{self, Reading};
use super::{Corrupt, crc64::crc64, rdb};
use crate::ds::{Owned, View};
use crate::store::Value;

/// The version that payloads carry: Redis 7.0's, so that it and everything later takes them, wherever it can hold the value.
const VERSION: u16 = 10;
/// The latest version whose payloads are taken: Redis 7.4's.
const VERSION_MAX: u16 = 12;
/// Types from this number on are Redis 7.4's (hashes whose fields expire): their payloads carry its version.
const NEWER_FROM: u8 = 22;
/// Valkey 9's own version, whose payloads are taken too: they stand in its logs.
const VERSION_OF_VALKEY: u16 = rdb::VERSION_OF_VALKEY as u16;
/// Version and checksum, in bytes.
pub const FOOTER: usize = 10;

/// Why a payload is not restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Its version is unknown or its checksum wrong.
    Footer,
    /// Its value is damaged or of a type that is not known.
    Data,
}

impl From<Corrupt> for Refused {
    fn from(_: Corrupt) -> Refused {
        Refused::Data
    }
}

/// The payload of a value; strings are compressed if `compress` (`rdbcompression`).
pub fn dump(value: View<'_, Value>, compress: bool) -> Vec<u8> {
    let mut out = vec![0];
    out[0] = value::encode(&mut out, value, compress);
    let version = version_of(out[0]);
    seal(&mut out, version);
    out
}

/// The version of the format that a type is of.
fn version_of(kind: u8) -> u16 {
    match kind {
        ..NEWER_FROM => VERSION,
        NEWER_FROM..rdb::VALKEY_TYPES => VERSION_MAX,
        rdb::VALKEY_TYPES.. => VERSION_OF_VALKEY,
    }
}

/// The payload of a value whose bytes are those of an RDB file.
pub fn payload(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + value.len() + FOOTER);
    out.push(kind % rdb::VALKEY_TYPES);
    out.extend_from_slice(value);
    seal(&mut out, version_of(kind));
    out
}

/// Appends version and checksum.
fn seal(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    let crc = crc64(0, out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The value that a payload holds.
pub fn restore(payload: &[u8], reading: &Reading<'_>) -> Result<Owned<Value>, Refused> {
    let (body, version) = unseal(payload).ok_or(Refused::Footer)?;
    read_body(body, version, reading)
}

/// The same, whatever stands in the footer: for tests with damaged payloads.
pub fn restore_unchecked(payload: &[u8], reading: &Reading<'_>) -> Result<Owned<Value>, Refused> {
    let (body, footer) = payload.split_last_chunk::<FOOTER>().ok_or(Refused::Footer)?;
    read_body(body, u16::from_le_bytes([footer[0], footer[1]]), reading)
}

fn read_body(body: &[u8], version: u16, reading: &Reading<'_>) -> Result<Owned<Value>, Refused> {
    let (&byte, mut rest) = body.split_first().ok_or(Refused::Data)?;
    let kind = rdb::type_of(byte, version == VERSION_OF_VALKEY).ok_or(Refused::Data)?;
    let value = value::decode(kind, &mut rest, reading)?;
    if rest.is_empty() { Ok(value) } else { Err(Refused::Data) }
}

/// What stands before the footer, and the version, when the footer is right.
pub(super) fn unseal(payload: &[u8]) -> Option<(&[u8], u16)> {
    let (sealed, crc) = payload.split_last_chunk::<8>()?;
    let (body, version) = sealed.split_last_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let known = version <= VERSION_MAX || version == VERSION_OF_VALKEY;
    (known && crc64(0, sealed) == u64::from_le_bytes(*crc)).then_some((body, version))
}

const _: () = assert!(FOOTER == size_of::<u16>() + size_of::<u64>());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;

    fn dumped(value: View<'_, Value>) -> Vec<u8> {
        dump(value, true)
    }

    fn read(payload: &[u8]) -> Result<Owned<Value>, Refused> {
        restore(payload, &Reading { config: &Config::default(), seed: 7 })
    }

    fn bytes_of(value: Owned<Value>) -> Vec<u8> {
        match value {
            Owned::Int(n) => n.to_string().into_bytes(),
            Owned::Bytes(b) => b.to_vec(),
            Owned::Boxed(Value::Str(b)) => b.to_vec(),
            Owned::Boxed(other) => panic!("{other:?}"),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// What Redis 7.0.15 answers to DUMP, where nothing is compressed.
    const GOLDEN: &[(&str, &str)] = &[
        ("", "00000a005d9b5c400f7fa2da"),
        ("a", "0001610a00bffeef9b8f367db4"),
        ("0", "00c0000a009840a778f8500308"),
        ("-1", "00c0ff0a000c937e2485089dc5"),
        ("127", "00c07f0a000db5eb315254c514"),
        ("128", "00c180000a00eb7ab3b510cf4b65"),
        ("-128", "00c0800a009966326d2f0c5bd9"),
        ("-129", "00c17fff0a001760822854808480"),
        ("32767", "00c1ff7f0a00495a37da17f4d52b"),
        ("32768", "00c2008000000a0045d82eedd5bda910"),
        ("2147483647", "00c2ffffff7f0a002c74e59ee02eada1"),
        ("2147483648", "000a323134373438333634380a00e7b129a34c1d76ee"),
        ("-2147483648", "00c2000000800a00c74f873e33558187"),
        ("-2147483649", "000b2d323134373438333634390a00c261377908f2028c"),
        ("9223372036854775807", "0013393232333337323033363835343737353830370a003a657e9481e85f22"),
        ("01", "000230310a006cddc441144c7da4"),
        ("xxxxxxxxxxxxxxxxxxxx", "001478787878787878787878787878787878787878780a005b3c81eca58cc56b"),
    ];

    #[test]
    fn payloads_are_redis_s_byte_for_byte() {
        for (text, payload) in GOLDEN {
            let stored = match text.parse::<i64>() {
                Ok(n) if n.to_string() == *text => View::Int(n),
                _ => View::Bytes(text.as_bytes()),
            };
            assert_eq!(hex(&dumped(stored)), *payload, "{text}");
            assert_eq!(
                hex(&dumped(View::Bytes(text.as_bytes()))),
                *payload,
                "{text}, not stored as an integer"
            );
        }
    }

    #[test]
    fn every_damage_is_refused() {
        let text: Vec<u8> = b"abcabcabcabcabcabcabcabcabcabcabcabcabc, and then some".to_vec();
        let payload = dumped(View::Bytes(&text));
        assert_eq!(read(&payload).map(bytes_of), Ok(text));
        for bit in 0..payload.len() * 8 {
            let mut bad = payload.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read(&bad), Err(Refused::Footer)), "bit {bit}");
        }
        for cut in 0..payload.len() {
            assert!(matches!(read(&payload[..cut]), Err(Refused::Footer)), "cut to {cut}");
        }
    }

    /// A right checksum over wrong content, as a hostile client would send. `KRING_FUZZ` makes more.
    #[test]
    fn damage_under_a_right_checksum_never_panics() {
        let mut rng = seeded(11);
        let text: Vec<u8> = (0..200u8).map(|i| i % 7).collect();
        let good = dumped(View::Bytes(&text));
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
        for _ in 0..runs {
            let mut bad = good[..good.len() - FOOTER].to_vec();
            for _ in 0..1 + xorshift(&mut rng) % 3 {
                let at = xorshift(&mut rng) as usize % bad.len();
                bad[at] = xorshift(&mut rng) as u8;
            }
            bad.truncate(xorshift(&mut rng) as usize % (bad.len() + 1));
            seal(&mut bad, VERSION);
            if let Ok(value) = read(&bad) {
                assert!(bytes_of(value).len() <= 100 * bad.len());
            }
        }
    }

    #[test]
    fn versions_types_and_leftovers() {
        let sealed = |version: u16, body: &[u8]| {
            let mut all = [body, &version.to_le_bytes()].concat();
            let crc = crc64(0, &all);
            all.extend_from_slice(&crc.to_le_bytes());
            read(&all).map(bytes_of)
        };
        assert_eq!(sealed(VERSION_MAX, b"\x00\x01a"), Ok(b"a".to_vec()));
        assert_eq!(sealed(1, b"\x00\x01a"), Ok(b"a".to_vec()));
        assert_eq!(sealed(VERSION_MAX + 1, b"\x00\x01a"), Err(Refused::Footer));
        for (version, refused) in [(79, Refused::Footer), (81, Refused::Footer), (80, Refused::Data)] {
            assert_eq!(sealed(version, b"\x18\0\0\0\0\0\0\0\0\x00"), Err(refused), "{version}");
        }
        assert_eq!(sealed(VERSION_OF_VALKEY, b"\x00\x01a"), Ok(b"a".to_vec()));
        assert_eq!(sealed(VERSION, b"\x08\x01a"), Err(Refused::Data), "no such type");
        assert_eq!(sealed(VERSION, b"\x00\x01ab"), Err(Refused::Data));
        assert_eq!(sealed(VERSION, b""), Err(Refused::Data));
    }

    #[test]
    fn values_come_back_in_the_form_that_they_would_be_stored_in() {
        assert!(matches!(read(&dumped(View::Bytes(b"12345678901"))), Ok(Owned::Int(12_345_678_901))));
        let long = vec![7u8; 100_000];
        let payload = dumped(View::Boxed(&Value::string(long.clone())));
        assert!(payload.len() < 2_000);
        assert!(matches!(read(&payload), Ok(Owned::Boxed(Value::Str(b))) if **b == long));
    }
}
