//! What the servers count: changes since the last snapshot, hits and misses, after every line of the scripts in `cases`.

use super::cases::{SCRIPTS, step};
use super::pair::Pair;

/// The fields of INFO that are compared.
const FIELDS: &[&str] = &["rdb_changes_since_last_save", "keyspace_hits", "keyspace_misses"];
/// Families whose commands are about connections or the server.
const FAMILIES_LEFT_OUT: &[&str] = &["connection", "server", "command", "transactions"];
/// BITCOUNT and BITPOS look at their arguments first, XSETID refuses more than 7.0 does, XREAD looks only once for a stream that
/// can have nothing behind the highest id, and XREADGROUP counts no change when it gives again what it gave (7.4).
const COMMANDS_LEFT_OUT: &[&str] = &["bitcount", "bitpos", "xsetid", "xread", "xreadgroup"];

/// The fields of one server.
fn counted(info: &[u8]) -> Vec<i64> {
    let text = String::from_utf8_lossy(info);
    let of = |field: &str| text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':')?.parse().ok());
    FIELDS.iter().map(|field| of(field).unwrap_or_default()).collect()
}

#[test]
fn changes_hits_and_misses_are_counted_as_in_redis() {
    let mut pair = Pair::start(3, 1);
    let mut compared = 0;
    for (family, text) in SCRIPTS.iter().filter(|(family, _)| !FAMILIES_LEFT_OUT.contains(family)) {
        pair.reset();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            if line == "---" {
                pair.reset();
                continue;
            }
            let step = step(line).unwrap_or_else(|| panic!("{family}.txt: cannot read {line}"));
            let name = String::from_utf8_lossy(&step.args[0]).to_ascii_lowercase();
            let ask = |pair: &mut Pair| pair.both(&[b"INFO".to_vec()]);
            let before = ask(&mut pair);
            let (kring, redis) = pair.both(&step.args);
            let after = ask(&mut pair);
            let differ = |before: &[u8], after: &[u8]| -> Vec<i64> {
                counted(after).iter().zip(counted(before)).map(|(a, b)| a - b).collect()
            };
            let (of_kring, of_redis) = (differ(&before.0, &after.0), differ(&before.1, &after.1));
            // What replies otherwise, a random member or an error, may count otherwise: `cases` compares it.
            // A BITFIELD that only makes the string grow is a change here, for the log's sake.
            let comparable = kring.first() == redis.first()
                && !COMMANDS_LEFT_OUT.contains(&name.as_str())
                && !(name == "bitfield" && line.contains("FAIL"));
            if comparable && of_kring != of_redis {
                pair.note(
                    line,
                    format!("{line}: {FIELDS:?}\n    redis: {of_redis:?}\n    kring: {of_kring:?}"),
                );
            }
            compared += usize::from(comparable);
        }
    }
    assert!(compared > 1_000, "only {compared} lines were compared");
    pair.assert_alike("counts");
}
