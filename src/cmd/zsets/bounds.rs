//! Ranges as arguments, and the ranks that they come to.

use crate::base::double::parse_bound;
use crate::base::number::parse_i64;
use crate::ds::zset::Zset;
use crate::resp::Error;

/// Ranks `from..to`, both of them ranks of the set or its end.
pub type Ranks = (usize, usize);

/// The two ends of a range of ranks as they were given: negative ones count from the end.
#[derive(Clone, Copy)]
pub struct ByRank {
    start: i64,
    stop: i64,
}

impl ByRank {
    pub fn parse(start: &[u8], stop: &[u8]) -> Result<ByRank, Error> {
        let read = |text| parse_i64(text).ok_or(Error::NotInteger);
        Ok(ByRank { start: read(start)?, stop: read(stop)? })
    }

    /// The ranks in a set of `len` members.
    pub fn ranks(self, len: usize) -> Ranks {
        let len = len as i64;
        let from_end = |n: i64| if n < 0 { n.saturating_add(len).max(0) } else { n };
        // A stop before the first member takes none, unlike a start there.
        let stop = if self.stop < -len { -1 } else { from_end(self.stop).min(len - 1) };
        let start = from_end(self.start).min(len);
        (start as usize, (stop + 1).max(start) as usize)
    }
}

/// A range of scores.
#[derive(Clone, Copy)]
pub struct ByScore {
    pub min: f64,
    pub max: f64,
    pub min_exclusive: bool,
    pub max_exclusive: bool,
}

impl ByScore {
    pub fn parse(min: &[u8], max: &[u8]) -> Result<ByScore, Error> {
        let read = |text: &[u8]| {
            let (exclusive, number) = match text.split_first() {
                Some((b'(', rest)) => (true, rest),
                _ => (false, text),
            };
            let bound = parse_bound(number).ok_or(Error::text_of("ERR min or max is not a float"))?;
            Ok::<_, Error>((bound, exclusive))
        };
        let ((min, min_exclusive), (max, max_exclusive)) = (read(min)?, read(max)?);
        Ok(ByScore { min, max, min_exclusive, max_exclusive })
    }

    /// The ranks of the members whose scores are inside.
    pub fn ranks(&self, zset: &Zset) -> Ranks {
        let below = |score: f64| if self.min_exclusive { score <= self.min } else { score < self.min };
        let within = |score: f64| if self.max_exclusive { score < self.max } else { score <= self.max };
        let from = zset.count_scores(below);
        (from, zset.count_scores(within).max(from))
    }
}

/// One end of a range of members.
#[derive(Clone, Copy)]
enum Edge<'a> {
    Lowest,
    Highest,
    Inclusive(&'a [u8]),
    Exclusive(&'a [u8]),
}

impl<'a> Edge<'a> {
    fn parse(text: &'a [u8]) -> Result<Edge<'a>, Error> {
        // A NUL ends the text, as in C.
        let alone = text.get(1).is_none_or(|b| *b == 0);
        match text.split_first() {
            Some((b'-', _)) if alone => Ok(Edge::Lowest),
            Some((b'+', _)) if alone => Ok(Edge::Highest),
            Some((b'[', member)) => Ok(Edge::Inclusive(member)),
            Some((b'(', member)) => Ok(Edge::Exclusive(member)),
            _ => Err(Error::text_of("ERR min or max not valid string range item")),
        }
    }

    /// Whether a member lies before this edge; one on it does if `on` says so.
    fn is_behind(self, member: &[u8], on: bool) -> bool {
        match self {
            Edge::Lowest => false,
            Edge::Highest => true,
            Edge::Inclusive(edge) if on => member <= edge,
            Edge::Inclusive(edge) => member < edge,
            Edge::Exclusive(edge) if on => member < edge,
            Edge::Exclusive(edge) => member <= edge,
        }
    }
}

/// A range of members, in a set whose scores are all equal.
#[derive(Clone, Copy)]
pub struct ByLex<'a> {
    min: Edge<'a>,
    max: Edge<'a>,
}

impl<'a> ByLex<'a> {
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Result<ByLex<'a>, Error> {
        Ok(ByLex { min: Edge::parse(min)?, max: Edge::parse(max)? })
    }

    /// The ranks of the members inside.
    pub fn ranks(&self, zset: &Zset) -> Ranks {
        let from = zset.count_members(|member| self.min.is_behind(member, false));
        (from, zset.count_members(|member| self.max.is_behind(member, true)).max(from))
    }
}

/// A range of any kind.
#[derive(Clone, Copy)]
pub enum Range<'a> {
    Rank(ByRank),
    Score(ByScore),
    Lex(ByLex<'a>),
}

impl Range<'_> {
    /// The ranks inside, counted from the lowest member.
    pub fn ranks(&self, zset: &Zset) -> Ranks {
        match self {
            Range::Rank(range) => range.ranks(zset.len()),
            Range::Score(range) => range.ranks(zset),
            Range::Lex(range) => range.ranks(zset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_from_both_ends() {
        for (start, stop, len, ranks) in [
            ("0", "-1", 3, (0, 3)),
            ("1", "1", 3, (1, 2)),
            ("-2", "-1", 3, (1, 3)),
            ("-100", "1", 3, (0, 2)),
            ("2", "1", 3, (2, 2)),
            ("5", "9", 3, (3, 3)),
            ("0", "-4", 3, (0, 0)),
            ("0", "-100", 3, (0, 0)),
            ("-9223372036854775808", "9223372036854775807", 3, (0, 3)),
            ("9223372036854775807", "-9223372036854775808", 3, (3, 3)),
            ("0", "-1", 0, (0, 0)),
        ] {
            let range = ByRank::parse(start.as_bytes(), stop.as_bytes()).unwrap();
            assert_eq!(range.ranks(len), ranks, "{start} {stop} of {len}");
        }
    }
}
