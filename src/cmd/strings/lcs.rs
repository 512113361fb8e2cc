//! LCS: the longest common subsequence of two strings.
//!
//! The textbook dynamic programme (Wagner and Fischer 1974): `length(i, j)` is the LCS's length for the first `i` and
//! `j` bytes, O(N * M) in time and, when the sequence itself is asked for, in memory: 4 bytes a cell. The length alone
//! takes two rows. Walking back from the end prefers `j - 1` when both neighbours are as good; that is what decides
//! which of several longest sequences Redis gives.

use super::text::Text;
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error, Out};
use bytes::Bytes;

/// Rows of this file.
pub const COMMANDS: &[Command] = &[Command {
    name: "lcs",
    full_name: "lcs",
    arity: -3,
    flags: flag::READONLY | flag::HEAVY,
    categories: category::STRING,
    keys: &[KeySpec::range(1, 1, 1, key::RO | key::ACCESS)],
    plan: Plan::Keys,
    run: lcs,
    summary: "Finds the longest common subsequence of two strings.",
    since: "7.0.0",
    group: "string",
    complexity: "O(N*M), N and M being the lengths of the strings",
    syntax: "key1:key key2:key [len=LEN] [idx=IDX] [MINMATCHLEN min-match-len:integer] \
             [withmatchlen=WITHMATCHLEN]",
    ..Command::BASE
}];

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    min_match_len: usize,
    with_match_len: bool,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut i = 0;
        while i < args.len() {
            if args.is(i, "len") {
                options.len = true;
            } else if args.is(i, "idx") {
                options.idx = true;
            } else if args.is(i, "withmatchlen") {
                options.with_match_len = true;
            } else if args.is(i, "minmatchlen") && i + 1 < args.len() {
                i += 1;
                let min = parse_i64(args.at(i)).ok_or(Error::NotInteger)?;
                options.min_match_len = usize::try_from(min).unwrap_or(0);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if options.len && options.idx {
            return Err(Error::text_of("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

fn lcs(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let a = string(cx, args.at(1))?;
    let b = string(cx, args.at(2))?;
    let options = Options::parse(args.from(3))?;
    check_memory(cx, &a, &b)?;
    if options.len {
        cx.out.int(length(&a, &b) as i64);
        return Ok(Outcome::Done);
    }
    let table = Table::fill(&a, &b)?;
    if options.idx {
        reply_matches(cx.out, &table.matches(&a, &b), table.at(a.len(), b.len()), &options);
        return Ok(Outcome::Done);
    }
    // The matches come last first.
    let matches = table.matches(&a, &b);
    let common: Vec<u8> = matches.iter().rev().flat_map(|m| &a[m.a..m.a + m.len]).copied().collect();
    cx.out.bulk(&common);
    Ok(Outcome::Done)
}

/// A string; no key is an empty one.
fn string(cx: &mut Cx<'_>, name: &[u8]) -> Result<Bytes, Error> {
    match cx.keys.read(name) {
        None => Ok(Bytes::new()),
        Some(entry) => match Text::of(entry.view()) {
            Ok(text) => Ok(text.hold()),
            Err(_) => Err(Error::text_of("ERR The specified keys must contain string values")),
        },
    }
}

/// Redis bounds the table's size whether or not the reply needs it.
fn check_memory(cx: &Cx<'_>, a: &[u8], b: &[u8]) -> Result<(), Error> {
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    if cells.saturating_mul(size_of::<u32>() as u64) > cx.env.config.proto_max_bulk_len {
        return Err(Error::text_of(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    Ok(())
}

/// The LCS's length, with one row at a time.
fn length(a: &[u8], b: &[u8]) -> u32 {
    let mut row = vec![0u32; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Bytes that both strings have in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// `length(i, j)` for all `i` and `j`, a row for each `i`.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn fill(a: &[u8], b: &[u8]) -> Result<Table, Error> {
        let width = b.len() + 1;
        let mut cells = Vec::new();
        cells.try_reserve_exact((a.len() + 1) * width).map_err(|_| {
            Error::text_of("ERR Insufficient memory, failed allocating transient memory for LCS")
        })?;
        cells.resize((a.len() + 1) * width, 0u32);
        for (i, x) in a.iter().enumerate() {
            let (done, rest) = cells.split_at_mut((i + 1) * width);
            let (above, row) = (&done[i * width..], &mut rest[..width]);
            for (j, y) in b.iter().enumerate() {
                row[j + 1] = if x == y { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
        Ok(Table { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The runs that make up the sequence, the last one first.
    fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        let mut in_run = false;
        while i > 0 && j > 0 {
            if a[i - 1] != b[j - 1] {
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1
                } else {
                    j -= 1
                }
                in_run = false;
                continue;
            }
            (i, j) = (i - 1, j - 1);
            match found.last_mut() {
                Some(run) if in_run => *run = Match { a: i, b: j, len: run.len + 1 },
                _ => found.push(Match { a: i, b: j, len: 1 }),
            }
            in_run = true;
        }
        found
    }
}

fn reply_matches(out: &mut Out, matches: &[Match], len: u32, options: &Options) {
    let shown = || matches.iter().filter(|m| m.len >= options.min_match_len);
    out.map(2);
    out.bulk(b"matches");
    out.array(shown().count());
    for m in shown() {
        out.array(2 + options.with_match_len as usize);
        for first in [m.a, m.b] {
            out.array(2);
            out.int(first as i64);
            out.int((first + m.len - 1) as i64);
        }
        if options.with_match_len {
            out.int(m.len as i64);
        }
    }
    out.bulk(b"len");
    out.int(len as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn replies() {
        let mut w = World::new(3);
        w.run("MSET a ohmytext b mynewtext");
        assert_eq!(w.run("LCS a b"), "$6\r\nmytext\r\n");
        assert_eq!(w.run("LCS a b WITHMATCHLEN"), "$6\r\nmytext\r\n");
        assert_eq!(w.run("LCS a b LEN"), ":6\r\n");
        assert_eq!(
            w.run("LCS a b IDX"),
            "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n\
             *2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"
        );
        assert_eq!(
            w.run("LCS a b IDX MINMATCHLEN -4 WITHMATCHLEN"),
            "*4\r\n$7\r\nmatches\r\n*2\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n*3\r\n*2\r\n:2\r\n:3\r\n\
             *2\r\n:0\r\n:1\r\n:2\r\n$3\r\nlen\r\n:6\r\n"
        );
        assert_eq!(w.run("LCS no1 no2"), "$0\r\n\r\n");
        assert_eq!(w.run("LCS no1 no2 LEN"), ":0\r\n");
        assert_eq!(w.run("LCS a no2 IDX"), "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
        w.proto(Proto::Resp3);
        assert_eq!(
            w.run("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN"),
            "%2\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n"
        );
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        assert_eq!(
            w.run("LCS a b LEN IDX"),
            "-ERR If you want both the length and indexes, please just use IDX.\r\n"
        );
        assert_eq!(w.run("LCS a b FOO"), "-ERR syntax error\r\n");
        assert_eq!(w.run("LCS a b MINMATCHLEN"), "-ERR syntax error\r\n");
        assert_eq!(w.run("LCS a b MINMATCHLEN x"), "-ERR value is not an integer or out of range\r\n");
        w.run("SETRANGE a 19999 x");
        w.run("SETRANGE b 19999 x");
        assert_eq!(
            w.run("LCS a b LEN"),
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n"
        );
    }

    #[test]
    fn the_length_is_that_of_the_sequence() {
        let mut random = seeded(3);
        for _ in 0..300 {
            let mut text = || -> Vec<u8> {
                (0..xorshift(&mut random) % 30).map(|_| b'a' + (xorshift(&mut random) % 3) as u8).collect()
            };
            let (a, b) = (text(), text());
            let table = Table::fill(&a, &b).expect("small");
            let matches = table.matches(&a, &b);
            assert_eq!(length(&a, &b), table.at(a.len(), b.len()));
            assert_eq!(matches.iter().map(|m| m.len).sum::<usize>() as u32, length(&a, &b));
            assert!(matches.iter().all(|m| a[m.a..m.a + m.len] == b[m.b..m.b + m.len]));
            assert!(matches.windows(2).all(|w| w[1].a + w[1].len <= w[0].a && w[1].b + w[1].len <= w[0].b));
        }
    }
}
