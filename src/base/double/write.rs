//! Doubles written: the shortest text that reads back, as Redis prints scores since 7.2, and `printf`'s `%.17g`.
//!
//! The shortest text of `digits * 10^power`, n digits, the first of which counts 10^e (so e = power + n - 1):
//! ```text
//!  a whole number up to 2^62    all its digits          100000000000000000
//!  power >= 0, e < n + 7        the digits and zeros    12345678901234567000
//!  -7 < power < 0, or |e| < 4   with a point            0.00001   1.1   0.0001234567890123
//!  else                         with an exponent        1e-7   1.234567891011e+5   1e+300
//! ```
//! That is the layout of the library that Redis uses (fpconv). Its digits come from Grisu2, which in about one of a thousand
//! doubles gives some that are not the shortest, though they read back; these here always are.

use std::io::Write;

/// Digits that tell any two doubles apart.
const DIGITS: i32 = 17;
/// Whole numbers below this are exact, and `%.17g` writes them as integers.
const WHOLE_MAX: f64 = 1e15;
/// More zeros than this are not put behind the digits of a large number.
const PADDING: i32 = 7;
/// So many places behind the point make a text with an exponent, unless the number is about this near to 1.
const PLACES: i32 = 7;
const SMALL: i32 = 4;
/// The longest text of digits, point and exponent of a double above 0: 17, 1, 5; and room.
const SHORTEST_MAX: usize = 32;

/// The integer that a double is, when Redis would store it as one.
#[inline]
pub fn whole(value: f64) -> Option<i64> {
    const BOUND: f64 = (i64::MAX / 2) as f64;
    let n = value as i64;
    ((-BOUND..=BOUND).contains(&value) && n as f64 == value).then_some(n)
}

/// The text of what has no digits.
fn not_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"nan"
    } else if value > 0.0 {
        b"inf"
    } else {
        b"-inf"
    }
}

/// Appends the shortest text of a double, laid out as in the module's text: what replies hold, and listpacks.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 && value.is_sign_negative() {
        return out.extend_from_slice(b"-0");
    }
    if let Some(n) = whole(value) {
        return out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }
    if !value.is_finite() {
        return out.extend_from_slice(not_finite(value));
    }
    let mut buffer = [0; SHORTEST_MAX];
    let (digits, first) = shortest(value.abs(), &mut buffer);
    if value < 0.0 {
        out.push(b'-');
    }
    let count = digits.len() as i32;
    let power = first - count + 1;
    if power >= 0 && first < count + PADDING {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', power as usize));
    } else if power < 0 && (power > -PLACES || first.abs() < SMALL) {
        if first < 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-first - 1) as usize));
            out.extend_from_slice(digits);
        } else {
            let (before, behind) = digits.split_at(first as usize + 1);
            out.extend_from_slice(before);
            out.push(b'.');
            out.extend_from_slice(behind);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if first < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(first.abs()).as_bytes());
    }
}

/// The fewest digits that tell a finite double above 0 from all others, and the power of ten that the first one counts.
fn shortest(value: f64, buffer: &mut [u8; SHORTEST_MAX]) -> (&[u8], i32) {
    // d.ddde-7
    let mut rest = &mut buffer[..];
    write!(rest, "{value:e}").expect("a double's digits and exponent fit");
    let written = SHORTEST_MAX - rest.len();
    let end = buffer.iter().position(|b| *b == b'e').expect("it has an exponent");
    let exponent = std::str::from_utf8(&buffer[end + 1..written]).ok().and_then(|text| text.parse().ok());
    let mut count = end;
    if end > 1 {
        buffer.copy_within(2..end, 1);
        count -= 1;
    }
    (&buffer[..count], exponent.expect("an exponent is an integer"))
}

/// Appends a double as `%.17g` writes it: what digests are made of, and what a scan of a large sorted set gives.
pub fn write_17g(out: &mut Vec<u8>, value: f64) {
    if value.abs() < WHOLE_MAX && value as i64 as f64 == value && (value != 0.0 || value.is_sign_positive()) {
        return out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    if !value.is_finite() {
        return out.extend_from_slice(not_finite(value));
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    // d.dddddddddddddddde-7
    let text = format!("{:.*e}", DIGITS as usize - 1, value.abs());
    let (digits, exponent) = text.split_once('e').expect("it has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_digit).collect();
    let kept = digits.iter().rposition(|d| *d != b'0').map_or(1, |last| last + 1);
    let point = |out: &mut Vec<u8>, whole: usize| {
        out.extend_from_slice(&digits[..whole.min(kept)]);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(kept)));
        if kept > whole {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..kept]);
        }
    };
    if !(-4..DIGITS).contains(&exponent) {
        point(out, 1);
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.abs()).as_bytes());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(&digits[..kept]);
    } else {
        point(out, exponent as usize + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_double;
    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write_17g(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_written_as_c_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.10000000000000001"),
            (1.5, "1.5"),
            (-2.25, "-2.25"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e17, "1e+17"),
            (1e100, "1e+100"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1.0 / 3.0, "0.33333333333333331"),
            (3.0e-5, "3.0000000000000001e-05"),
            (12345.678, "12345.678"),
            (99_999_999_999_999.95, "99999999999999.953"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    fn shortest_text(value: f64) -> String {
        let mut out = Vec::new();
        write_double(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_written_as_redis_writes_them_since_7_2() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1.1, "1.1"),
            (-2.25, "-2.25"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-5, "0.00001"),
            (1.5e-6, "1.5e-6"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (-3.25e-100, "-3.25e-100"),
            (0.001_234_567_890_123, "0.001234567890123"),
            (0.000_123_456_78, "1.2345678e-4"),
            (123_456.789_101_1, "1.234567891011e+5"),
            (1_234.567_891_011, "1234.567891011"),
            (12345.678, "12345.678"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e17, "100000000000000000"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (4_611_686_018_427_388_928.0, "4611686018427389000"),
            (12_345_678_901_234_567_000.0, "12345678901234567000"),
            (1e19, "1e+19"),
            (1.25e21, "1.25e+21"),
            (-1e300, "-1e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(shortest_text(value), text);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut rng = crate::base::prng::seeded(3);
        for _ in 0..20_000 {
            let value = f64::from_bits(crate::base::prng::xorshift(&mut rng));
            if !value.is_nan() {
                let back = parse_double(written(value).as_bytes());
                assert_eq!(back.map(f64::to_bits), Some(value.to_bits()), "{value:e}");
                let short = shortest_text(value);
                let back = parse_double(short.as_bytes());
                assert_eq!(back.map(f64::to_bits), Some(value.to_bits()), "{value:e}");
                assert!(short.len() <= SHORTEST_MAX, "{short}");
            }
            let short = (value.to_bits() % 1_000_000) as f64 / 100.0;
            assert_eq!(parse_double(written(short).as_bytes()), Some(short));
        }
    }
}
