//! Redis's glob patterns: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, and `\x` for a literal `x`.
//!
//! Bytes, not characters. Iterative: on a mismatch only the latest `*` takes one byte more, for an earlier one could
//! not reach further than the latest does. So the cost is O(pattern x text) at worst, also for `a*a*a*a*b`.
//!
//! Oddities kept from Redis: a class that is never closed ends with the pattern; `[z-a]` means `[a-z]`; a `\` at the
//! pattern's end stands for itself; in a class `\` makes the next byte literal; the empty text matches the empty pattern only,
//! not `*` (KEYS and SCAN take a plain `*` for no pattern at all).

/// The most stars, runs of them counted once, that may come into play: Redis goes no deeper, and then finds no match.
const STARS_MAX: usize = 1_000;

/// Whether all of `text` matches `pattern`; `nocase` ignores the case of ASCII letters.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // Where to go on after the latest star, and the first byte of text that it does not yet cover.
    let mut star: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if let Some(b'*') = pattern.get(p) {
            p += pattern[p..].iter().take_while(|b| **b == b'*').count();
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            star = Some((p, t));
            continue;
        }
        let step = match text.get(t) {
            None if p == pattern.len() => return true,
            // Nothing is left that any star could give up.
            None => return false,
            Some(byte) => one(&pattern[p..], *byte, nocase),
        };
        match (step, star) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((after, covered))) => {
                p = after;
                t = covered + 1;
                star = Some((after, t));
            }
            (None, None) => return false,
        }
    }
}

/// The length of the pattern's first element if that matches `byte`. Never a star.
fn one(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    let fold = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', ..] => {
            let (found, length) = class(pattern, fold(byte), fold);
            found.then_some(length)
        }
        [b'\\', escaped, ..] => (fold(*escaped) == fold(byte)).then_some(2),
        [literal, ..] => (fold(*literal) == fold(byte)).then_some(1),
    }
}

/// Whether the class at the pattern's start holds `byte`, and the class's length.
fn class(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, usize) {
    let negated = pattern.get(1) == Some(&b'^');
    let mut at = if negated { 2 } else { 1 };
    let mut found = false;
    let length = loop {
        match pattern[at..] {
            [] => break at,
            [b']', ..] => break at + 1,
            [b'\\', escaped, ..] => {
                found |= fold(escaped) == byte;
                at += 2;
            }
            [first, b'-', last, ..] => {
                let (low, high) = (first.min(last), first.max(last));
                found |= (fold(low)..=fold(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= fold(literal) == byte;
                at += 1;
            }
        }
    };
    (found != negated, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, matched) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("*", "abc", true),
            ("**", "abc", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abcbc", true),
            ("a*b", "abc", false),
            ("a", "ab", false),
            ("ab", "a", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("?", "", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("[", "[", false),
            ("[]", "]", false),
            ("[^]", "x", true),
            ("[a", "a", true),
            ("[a-", "-", true),
            (r"[\]]", "]", true),
            (r"[a\-c]", "-", true),
            (r"[a\-c]", "b", false),
            (r"\*", "*", true),
            (r"\*", "a", false),
            (r"a\", r"a\", true),
            (r"\\", r"\", true),
            ("*[a]*", "xax", true),
            ("a*?", "a", false),
            ("a*?", "ab", true),
            ("*a*b*", "ab", true),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), matched, "{pattern} {text}");
        }
        assert!(matches(b"H[A-C]*O", b"hbllo", true));
        assert!(!matches(b"H[A-C]*O", b"hbllo", false));
        assert!(matches(b"\xff?\0", b"\xff\xfe\0", false), "bytes, not characters");
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product() {
        let text = vec![b'a'; 2000];
        let mut pattern = b"a*".repeat(500);
        pattern.push(b'b');
        // A matcher that tries every split would not end; this one makes a million steps.
        assert!(!matches(&pattern, &text, false));
    }

    #[test]
    fn stars_beyond_redis_depth_match_nothing() {
        let text = vec![b'a'; 1_200];
        assert!(matches(&b"*?".repeat(1_000), &text, false) && !matches(&b"*?".repeat(1_001), &text, false));
        assert!(matches(&b"*".repeat(5_000), &text, false), "a run is one");
    }

    /// The definition itself, exponential and plain, for patterns without classes and escapes.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([literal, rest @ ..], [byte, tail @ ..]) => literal == byte && naive(rest, tail),
            _ => false,
        }
    }

    #[test]
    fn it_agrees_with_the_definition() {
        // All patterns of up to 5 out of 4 symbols, all texts of up to 5 out of 2.
        let words = |symbols: &[u8]| {
            let (mut all, mut longest) = (vec![Vec::new()], vec![Vec::new()]);
            for _ in 0..5 {
                let longer =
                    |word: &Vec<u8>| symbols.iter().map(|s| [word.as_slice(), &[*s]].concat()).collect();
                longest = longest.iter().flat_map(|word| -> Vec<Vec<u8>> { longer(word) }).collect();
                all.extend(longest.clone());
            }
            all
        };
        let texts = words(b"ab");
        for pattern in words(b"ab*?") {
            for text in &texts {
                let expected = if text.is_empty() { pattern.is_empty() } else { naive(&pattern, text) };
                assert_eq!(matches(&pattern, text, false), expected, "{pattern:?} {text:?}");
            }
        }
    }
}
