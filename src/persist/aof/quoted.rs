//! Words as `redis-cli` shows them and as a manifest holds names: plain, or in double quotes with escapes.

use std::io::Write;

/// Whether a word has to be quoted to be read back as it is.
pub(super) fn needs_quotes(word: &[u8]) -> bool {
    word.is_empty() || word[0] == b'#' || word.iter().any(|b| !b.is_ascii_graphic() || b"\\\"'".contains(b))
}

/// Appends a word, quoted if it must be.
pub(super) fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    if !needs_quotes(word) {
        return out.extend_from_slice(word);
    }
    out.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            7 => out.extend_from_slice(b"\\a"),
            b' '..=b'~' => out.push(byte),
            // A vector takes what is written.
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_when_they_must_be() {
        let cases: [(&[u8], &str); 7] = [
            (b"plain:key-1{x}", "plain:key-1{x}"),
            (b"", "\"\""),
            (b"a b", "\"a b\""),
            (b"it's", "\"it's\""),
            (b"#x", "\"#x\""),
            (b"\"\\\n\r\t\x07\x08", r#""\"\\\n\r\t\a\b""#),
            (b"\x00\xff", "\"\\x00\\xff\""),
        ];
        for (word, text) in cases {
            let mut out = Vec::new();
            push_word(&mut out, word);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
