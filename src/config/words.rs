//! The syntax of a line of redis.conf: words split at white space, with two kinds of quotes.
//!
//! ```text
//! plain        up to white space
//! "quoted"     \n \r \t \b \a  \xHH  and \ before any other character for that character
//! 'quoted'     \' only
//! ```
//! A closing quote must be followed by white space or the end. O(n) in the line.
//!
//! A line is text: bytes above 127 that `\xHH` makes, or a file holds, must form UTF-8, which all values of knobs do.

/// Why a line cannot be split into words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadLine {
    Unbalanced,
    NotText,
}

impl BadLine {
    /// As Redis says it, where Redis has this error.
    pub fn text(self) -> &'static str {
        match self {
            BadLine::Unbalanced => "Unbalanced quotes in configuration line",
            BadLine::NotText => NOT_TEXT,
        }
    }
}

/// What is said of a value that is not UTF-8.
pub const NOT_TEXT: &str = "argument must be UTF-8 text";

/// Splits a line into words.
pub fn split_words(line: &[u8]) -> Result<Vec<String>, BadLine> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let (word, tail) = split_word(rest).ok_or(BadLine::Unbalanced)?;
        words.push(String::from_utf8(word).map_err(|_| BadLine::NotText)?);
        rest = tail;
    }
}

/// The first word of `rest`, which does not start with white space, and what follows it.
fn split_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Some((word, rest)),
            [byte, ..] if byte.is_ascii_whitespace() || *byte == 0 => return Some((word, &rest[1..])),
            [b'"', quoted @ ..] => return closed(double_quoted(quoted, word)?),
            [b'\'', quoted @ ..] => return closed(single_quoted(quoted, word)?),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A quoted word must end where its quotes end.
fn closed((word, rest): (Vec<u8>, &[u8])) -> Option<(Vec<u8>, &[u8])> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some((word, rest))
}

fn double_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some((word, tail)),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn single_quoted(mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some((word, tail)),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// `text` in double quotes, so that [`split_words`] gives it back.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'\\' | b'"' => quoted.extend(['\\', byte as char]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            8 => quoted.push_str("\\b"),
            7 => quoted.push_str("\\a"),
            b' '..=b'~' => quoted.push(byte as char),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_redis_splits_them() {
        let cases: [(&str, Result<&[&str], BadLine>); 14] = [
            ("", Ok(&[])),
            ("  a  b\t c\r\n", Ok(&["a", "b", "c"])),
            ("a \"\" ''", Ok(&["a", "", ""])),
            (r#"p "a\"b\x41\n\q""#, Ok(&["p", "a\"bA\nq"])),
            (r"p 'it\'s \n'", Ok(&["p", r"it's \n"])),
            (r#""\xc3\xa9""#, Ok(&["é"])),
            (r#""\xzz""#, Ok(&["xzz"])),
            ("é", Ok(&["é"])),
            ("a\"b\"", Ok(&["ab"])),
            ("\"a\"b", Err(BadLine::Unbalanced)),
            ("'a'b", Err(BadLine::Unbalanced)),
            ("\"a", Err(BadLine::Unbalanced)),
            ("'a", Err(BadLine::Unbalanced)),
            (r#""\xff""#, Err(BadLine::NotText)),
        ];
        for (line, words) in cases {
            let words = words.map(|words| words.iter().map(|w| w.to_string()).collect::<Vec<_>>());
            assert_eq!(split_words(line.as_bytes()), words, "{line}");
        }
    }

    #[test]
    fn quotes_round_trip() {
        for text in ["", "plain", "a b", "\"\\'", "\n\r\t\u{7}\u{8}\0\u{7f}", "é€"] {
            assert_eq!(split_words(quote(text).as_bytes()), Ok(vec![text.to_string()]), "{text:?}");
        }
        assert_eq!(quote("a\"b c\u{1}"), r#""a\"b c\x01""#);
    }
}
