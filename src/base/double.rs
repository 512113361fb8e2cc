//! Doubles as Redis reads and writes them: C's `strtod`, and [the texts](write) that scores have.
//!
//! Reading is correctly rounded (to nearest, ties to even), decimal and hexadecimal. Whole numbers, which most scores are,
//! take a short way in both directions.

mod write;

pub use write::{whole, write_17g, write_double};

/// Digits of an integer that a double holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
/// Exponents of hexadecimal doubles are held to this: far beyond, all are infinity or 0.
const HEX_EXPONENT_MAX: i64 = 1 << 20;

/// What [`strtod`] found at the beginning of a text.
#[derive(Clone, Copy, Debug)]
struct Read {
    value: f64,
    /// Bytes that belong to it; 0 when there is no number.
    len: usize,
    /// It is beyond the largest double, or below the smallest and not 0.
    out_of_range: bool,
    /// It is below the normal doubles, and a decimal fraction is never met there exactly: C calls that out of range, too.
    is_tiny: bool,
}

/// Reads a double as Redis reads scores: the whole text must be a number that a double can hold, which may be infinite but not
/// NaN.
#[inline]
pub fn parse_double(text: &[u8]) -> Option<f64> {
    parse_whole(text).or_else(|| parse_any(text))
}

/// A short decimal integer.
#[inline]
fn parse_whole(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > EXACT_DIGITS {
        return None;
    }
    let mut value = 0u64;
    for &d in digits {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        value = value * 10 + u64::from(d);
    }
    Some(if negative { -(value as f64) } else { value as f64 })
}

fn parse_any(text: &[u8]) -> Option<f64> {
    if text.first().is_none_or(|b| is_space(*b)) {
        return None;
    }
    let read = strtod(text);
    (read.len == text.len() && !read.out_of_range && !read.value.is_nan()).then_some(read.value)
}

/// Reads a double as Redis reads the ends of ranges: leading blanks, infinity by overflow and the empty text (0) are taken, and
/// a NUL ends the text. Not NaN.
pub fn parse_bound(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_whole(text) {
        return Some(value);
    }
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    let read = strtod(text);
    (read.len == text.len() && !read.value.is_nan()).then_some(read.value)
}

/// Reads a double as SORT reads weights: leading blanks and the empty text (0) are taken, and a NUL ends the text. Not NaN, and
/// nothing that a double cannot hold.
pub fn parse_weight(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_whole(text) {
        return Some(value);
    }
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    let read = strtod(text);
    let fits = !read.out_of_range && !read.is_tiny && !read.value.is_nan();
    (read.len == text.len() && fits).then_some(read.value)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The number at the beginning of a text, as C's `strtod` finds it.
fn strtod(text: &[u8]) -> Read {
    let blanks = text.iter().take_while(|b| is_space(**b)).count();
    let (sign, negative) = match text.get(blanks) {
        Some(b'-') => (1, true),
        Some(b'+') => (1, false),
        _ => (0, false),
    };
    let before = blanks + sign;
    let mut read = unsigned(&text[before..]);
    if read.len > 0 {
        read.len += before;
    }
    if negative {
        read.value = -read.value;
    }
    read
}

fn unsigned(text: &[u8]) -> Read {
    let starts =
        |word: &str| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word.as_bytes());
    let exact = |value, len| Read { value, len, out_of_range: false, is_tiny: false };
    if starts("infinity") {
        return exact(f64::INFINITY, 8);
    }
    if starts("inf") {
        return exact(f64::INFINITY, 3);
    }
    if starts("nan") {
        return exact(f64::NAN, 3 + nan_payload(&text[3..]));
    }
    if starts("0x")
        && let Some(read) = hexadecimal(&text[2..])
    {
        return Read { len: read.len + 2, ..read };
    }
    decimal(text)
}

/// The length of what C allows behind `nan`: letters, digits and underscores in parentheses.
fn nan_payload(text: &[u8]) -> usize {
    if text.first() != Some(&b'(') {
        return 0;
    }
    let inside = text[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if text.get(1 + inside) == Some(&b')') { inside + 2 } else { 0 }
}

/// The length of digits with at most one point among them, and whether there is a digit.
fn mantissa(text: &[u8], is_digit: fn(&u8) -> bool) -> (usize, bool) {
    let whole = text.iter().take_while(|b| is_digit(b)).count();
    if text.get(whole) != Some(&b'.') {
        return (whole, whole > 0);
    }
    let places = text[whole + 1..].iter().take_while(|b| is_digit(b)).count();
    (whole + 1 + places, whole + places > 0)
}

/// The length of an exponent after one of these letters; 0 when no digit follows.
fn exponent(text: &[u8], letter: u8) -> usize {
    if text.first().is_none_or(|b| b.to_ascii_lowercase() != letter) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    let digits = text[1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 { 0 } else { 1 + sign + digits }
}

fn decimal(text: &[u8]) -> Read {
    let (digits, any) = mantissa(text, u8::is_ascii_digit);
    if !any {
        return Read { value: 0.0, len: 0, out_of_range: false, is_tiny: false };
    }
    let len = digits + exponent(&text[digits..], b'e');
    let number = std::str::from_utf8(&text[..len]).ok().and_then(|t| t.parse::<f64>().ok());
    let value = number.expect("digits, a point and an exponent are a number");
    let zero = text[..digits].iter().all(|b| matches!(b, b'0' | b'.'));
    let out_of_range = value.is_infinite() || value == 0.0 && !zero;
    Read { value, len, out_of_range, is_tiny: value.is_subnormal() }
}

/// What follows `0x`.
fn hexadecimal(text: &[u8]) -> Option<Read> {
    let (digits, any) = mantissa(text, u8::is_ascii_hexdigit);
    if !any {
        return None;
    }
    let power = exponent(&text[digits..], b'p');
    let (mut bits, mut scale, mut more, mut behind) = (0u64, 0i64, false, false);
    for &byte in &text[..digits] {
        let Some(digit) = (byte as char).to_digit(16) else {
            behind = true;
            continue;
        };
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
            scale -= 4 * i64::from(behind);
        } else {
            more |= digit != 0;
            scale += 4 * i64::from(!behind);
        }
    }
    let power_text = std::str::from_utf8(&text[digits..digits + power]).unwrap_or("");
    let written = match power_text.get(1..) {
        None | Some("") => 0,
        Some(number) => number
            .parse::<i64>()
            .unwrap_or_else(|_| if number.starts_with('-') { -HEX_EXPONENT_MAX } else { HEX_EXPONENT_MAX }),
    };
    let power_of_two = written.clamp(-HEX_EXPONENT_MAX, HEX_EXPONENT_MAX).saturating_add(scale);
    let value = scaled(bits, more, power_of_two);
    let out_of_range = value.is_infinite() || value == 0.0 && bits != 0;
    Some(Read { value, len: digits + power, out_of_range, is_tiny: false })
}

/// The double nearest to `bits * 2^power`, or to slightly more with `more`; ties to even.
fn scaled(bits: u64, more: bool, power: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let shift = bits.leading_zeros();
    let (bits, power) = (bits << shift, power - i64::from(shift));
    // The value is 1.xxx * 2^(power + 63).
    if power + 63 > 1_023 {
        return f64::INFINITY;
    }
    // Bits that are cut off: 11, and more of what is below the smallest normal double.
    let cut = 11 + (-1_022 - (power + 63)).max(0);
    if cut > 64 {
        return 0.0;
    }
    let wide = u128::from(bits) << 64;
    let kept = (wide >> (64 + cut)) as u64;
    let rest = wide << (64 - cut);
    let half = 1u128 << 127;
    let up = rest > half || rest == half && (more || kept & 1 == 1);
    let rounded = (kept + u64::from(up)) as f64;
    // Both factors are powers of two within reach, and the product is exact.
    let power = power + cut;
    let first = power.max(-1_000);
    rounded * power_of_two(first) * power_of_two(power - first)
}

/// 2 to a power between the normal doubles' bounds.
fn power_of_two(power: i64) -> f64 {
    f64::from_bits(((power + 1_023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_strtod_reads_them() {
        for (text, value) in [
            ("0", 0.0),
            ("-5", -5.0),
            ("007", 7.0),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E+3", 1000.0),
            ("5e-324", 5e-324),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("+INF", f64::INFINITY),
            ("0x10", 16.0),
            ("0x.8", 0.5),
            ("-0X1.8p1", -3.0),
            ("0x1p-1074", 5e-324),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x10000000000000000000000000000000001p-136", 1.0),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.0 + 4.0 * f64::EPSILON / 2.0),
            ("0x1.000000000000080000000001p0", 1.0 + f64::EPSILON),
            ("0e-400", 0.0),
            ("123456789012345678", 123456789012345680.0),
        ] {
            assert_eq!(parse_double(text.as_bytes()), Some(value), "{text}");
            assert_eq!(parse_bound(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_double(b"-0").is_some_and(|v| v == 0.0 && v.is_sign_negative()));
        for bad in [
            "", " 1", "1 ", "1e", "1e+", "nan", "nan(12)", "-nan", "0x", "0xp1", ".", "e5", "1e400", "-1e400",
        ] {
            assert_eq!(parse_double(bad.as_bytes()), None, "{bad:?}");
        }
        for bad in ["1e-400", "0x1p1024", "0x1p-1076", "1\0", "1_0", "infi", "--1", "1,5", "\u{e9}"] {
            assert_eq!(parse_double(bad.as_bytes()), None, "{bad:?}");
        }
        for (text, value) in
            [("", 0.0), (" \t7", 7.0), ("1e400", f64::INFINITY), ("2\0x", 2.0), ("1e-400", 0.0)]
        {
            assert_eq!(parse_bound(text.as_bytes()), Some(value), "{text:?}");
        }
        for bad in ["1 ", "x", "nan", " ", "0x", "(1"] {
            assert_eq!(parse_bound(bad.as_bytes()), None, "{bad:?}");
        }
        // As redis-server 7.0.15 says of a list of one, fresh from its start: it forgets to clear what an earlier one was told.
        for (text, value) in [
            ("", Some(0.0)),
            (" 7", Some(7.0)),
            ("2.2250738585072014e-308", Some(f64::MIN_POSITIVE)),
            ("0x1p-1074", Some(5e-324)),
            ("2.2250738585072011e-308", None),
            ("5e-324", None),
            ("1e-400", None),
            ("1e400", None),
            ("nan", None),
        ] {
            assert_eq!(parse_weight(text.as_bytes()), value, "{text:?}");
        }
    }
}
