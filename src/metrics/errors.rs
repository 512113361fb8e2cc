//! How many error replies there were, by their code: INFO's `errorstat_` lines.

/// How many codes are told apart. Codes that come after count as [`OVERFLOW_CODE`], as in Redis.
pub const ERROR_CODES_MAX: usize = 128;
/// What the rest counts as.
pub const OVERFLOW_CODE: &str = "ERRORSTATS_OVERFLOW";
/// A code ends with a space within so many bytes, else it is none and the error counts as `ERR`.
const CODE_MAX: usize = 31;

/// Error replies by code. At most [`ERROR_CODES_MAX`] and one entries, sorted: looking one up costs a binary search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    counts: Vec<(Box<str>, u64)>,
}

impl ErrorCounts {
    /// Counts an error reply by its text, without the `-`.
    pub fn note(&mut self, text: &[u8]) {
        let code = match text.iter().take(CODE_MAX).position(|&b| b == b' ') {
            Some(end) => std::str::from_utf8(&text[..end]).unwrap_or("ERR"),
            None => "ERR",
        };
        self.count(code, 1);
    }

    fn count(&mut self, code: &str, n: u64) {
        match self.counts.binary_search_by(|(known, _)| known.as_ref().cmp(code)) {
            Ok(at) => self.counts[at].1 += n,
            Err(_) if self.counts.len() >= ERROR_CODES_MAX && code != OVERFLOW_CODE => {
                self.count(OVERFLOW_CODE, n);
            }
            Err(at) => self.counts.insert(at, (code.into(), n)),
        }
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &ErrorCounts) {
        for (code, n) in &other.counts {
            self.count(code, *n);
        }
    }

    /// Codes and counts, by code.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(code, n)| (code.as_ref(), *n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_count_by_their_code() {
        let mut counts = ErrorCounts::default();
        for text in ["WRONGTYPE Operation", "ERR a", "ERR b", "nospace", ""] {
            counts.note(text.as_bytes());
        }
        counts.note(b"averyveryveryveryveryverylongword indeed");
        counts.note(b"\xff\xfe x");
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("ERR", 6), ("WRONGTYPE", 1)]);
        let mut sum = counts.clone();
        sum.add(&counts);
        assert_eq!(sum.iter().next(), Some(("ERR", 12)));
    }

    #[test]
    fn the_number_of_codes_is_bounded() {
        let mut counts = ErrorCounts::default();
        for i in 0..1_000 {
            counts.note(format!("CODE{i} x").as_bytes());
        }
        let of = |code: &str| counts.iter().find(|(c, _)| *c == code).map(|(_, n)| n);
        assert_eq!(counts.iter().count(), ERROR_CODES_MAX + 1);
        assert_eq!(of("CODE0"), Some(1));
        assert_eq!(of(OVERFLOW_CODE), Some(1_000 - ERROR_CODES_MAX as u64));
    }
}
