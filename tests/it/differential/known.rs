//! Differences that are meant: kring is Redis 7.4, the oracle 7.0. Each with its reason.

/// Whether the two replies to this request differ as they should.
pub fn is_known(request: &[Vec<u8>], redis: &[u8], kring: &[u8]) -> bool {
    let name = request.first().map(|n| n.to_ascii_lowercase()).unwrap_or_default();
    KNOWN
        .iter()
        .any(|k| k.commands.contains(&String::from_utf8_lossy(&name).as_ref()) && (k.holds)(redis, kring))
}

struct Known {
    commands: &'static [&'static str],
    /// What Redis 7.0 says and what kring says, when it is this difference.
    holds: fn(&[u8], &[u8]) -> bool,
}

const KNOWN: &[Known] = &[
    // Since 7.2, BITCOUNT and BITPOS look at their arguments before the key: a missing key hides no error.
    Known {
        commands: &["bitcount", "bitpos"],
        holds: |redis, kring| redis.starts_with(b":") && kring.starts_with(b"-ERR"),
    },
    // 7.0 reads a cursor with strtoul, which takes "" and "-1"; 7.4 wants the digits of an unsigned number.
    Known {
        commands: &["scan"],
        holds: |redis, kring| redis.starts_with(b"*") && kring == b"-ERR invalid cursor\r\n",
    },
];
