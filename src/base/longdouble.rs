//! The x87 extended double, in software: what INCRBYFLOAT counts in, since Redis uses C's `long double`.
//!
//! ```text
//!  value = mantissa * 2^exponent     mantissa: 64 bits, its top bit set unless the value is subnormal or 0
//!                                    exponent: -16445 (subnormals too) to 16320
//! ```
//! Reading does what `strtold` does (decimal and hexadecimal, correctly rounded to nearest, ties to even), adding what
//! the FPU does, writing what `%.17Lf` does, exactly, with trailing zeros cut. Short decimals take about 100 ns; the
//! rest goes through a plain big integer, as exact as it is slow: some 10 us for hundreds of digits.

use std::cmp::Ordering;

/// The exponent of the smallest subnormal, and of all of them.
const EXPONENT_MIN: i32 = -16_445;
/// The exponent of the largest values.
const EXPONENT_MAX: i32 = 16_320;
/// The longest text that is read, as in Redis.
const TEXT_MAX: usize = 5 * 1024;
/// Digits that are written behind the point.
const PLACES: usize = 17;
/// Decimal exponents beyond these are infinity or 0, whatever the digits are.
const DECIMAL_MAX: i64 = 4_933;
const DECIMAL_MIN: i64 = -4_952;

/// An x87 extended double that is not NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl Default for LongDouble {
    fn default() -> Self {
        LongDouble::ZERO
    }
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        LongDouble::rounded(value < 0, value.unsigned_abs() as u128, 0, false)
    }
}

impl LongDouble {
    const ZERO: LongDouble = LongDouble { negative: false, mantissa: 0, exponent: EXPONENT_MIN };
    const INFINITY: LongDouble = LongDouble { negative: false, mantissa: 1 << 63, exponent: i32::MAX };

    /// Whether this is plus or minus infinity.
    pub fn is_infinite(self) -> bool {
        self.exponent > EXPONENT_MAX
    }

    /// The value nearest to `bits * 2^exponent`, or to slightly more when `more` says that something below was cut off.
    /// With `more`, `bits` has 66 significant bits or more.
    fn rounded(negative: bool, bits: u128, exponent: i32, more: bool) -> LongDouble {
        if bits == 0 {
            return LongDouble { negative, ..LongDouble::ZERO };
        }
        let width = 128 - bits.leading_zeros() as i32;
        let exponent_to = (exponent + width - 64).max(EXPONENT_MIN);
        let cut = exponent_to - exponent;
        let (mut mantissa, mut exponent) = match cut {
            ..=0 => ((bits << -cut) as u64, exponent_to),
            129.. => (0, exponent_to),
            _ => {
                let kept = bits.checked_shr(cut as u32).unwrap_or(0) as u64;
                let rest = bits << (128 - cut);
                let up = match rest.cmp(&(1 << 127)) {
                    Ordering::Greater => true,
                    Ordering::Equal => more || kept & 1 == 1,
                    Ordering::Less => false,
                };
                match kept.checked_add(up as u64) {
                    Some(kept) => (kept, exponent_to),
                    None => (1 << 63, exponent_to + 1),
                }
            }
        };
        if exponent > EXPONENT_MAX {
            LongDouble { mantissa, exponent, .. } = LongDouble::INFINITY;
        }
        LongDouble { negative, mantissa, exponent }
    }

    /// Reads a number as `strtold` would, all of `text` and nothing but. None for what is none, for NaN, and for
    /// what is too large or so small that it becomes 0. `inf` and `infinity` are read.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_MAX {
            return None;
        }
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, ..LongDouble::INFINITY });
        }
        let (value, is_zero) = match digits {
            [b'0', b'x' | b'X', hex @ ..] => read_hexadecimal(hex)?,
            _ => read_decimal(digits)?,
        };
        let lost = value.is_infinite() || (value.mantissa == 0 && !is_zero);
        (!lost).then_some(LongDouble { negative, ..value })
    }

    /// As a double: infinite when it is too large for one, and never 0 unless it is.
    pub fn to_f64(self) -> f64 {
        if self.mantissa == 0 {
            return 0.0;
        }
        let magnitude = self.mantissa as f64 * 2f64.powi(self.exponent.clamp(-2_000, 2_000));
        let magnitude = magnitude.max(f64::MIN_POSITIVE);
        if self.negative { -magnitude } else { magnitude }
    }

    /// The sum, rounded. None when it is infinite or no number.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        if self.is_infinite() || other.is_infinite() {
            return None;
        }
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if self.mantissa == 0 { other } else { self });
        }
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // What is more than 62 bits below can only be the rounding's tie-breaker. The higher one is normal then.
        let shift = (high.exponent - low.exponent).min(62);
        let exponent = high.exponent - shift;
        let below = (exponent - low.exponent) as u32;
        let a = (high.mantissa as u128) << shift;
        let b = if below < 64 { low.mantissa >> below } else { 0 } as u128;
        let more = below >= 64 || low.mantissa & ((1 << below) - 1) != 0;
        let sum = if high.negative == low.negative {
            LongDouble::rounded(high.negative, a + b, exponent, more)
        } else if a >= b {
            LongDouble::rounded(high.negative, a - b - more as u128, exponent, more)
        } else {
            LongDouble::rounded(low.negative, b - a, exponent, more)
        };
        (!sum.is_infinite()).then_some(sum)
    }

    /// The value with up to 17 decimals and no trailing zeros; 0 has no sign. The value is finite.
    pub fn to_text(self) -> Vec<u8> {
        let mut digits = if self.exponent < 0 {
            let scaled = self.mantissa as u128 * 10u128.pow(PLACES as u32);
            round_shift(scaled, self.exponent.unsigned_abs()).to_string().into_bytes()
        } else {
            let mut digits = Big::from(self.mantissa).shifted(self.exponent as usize).decimal();
            digits.extend_from_slice(&[b'0'; PLACES]);
            digits
        };
        if digits.len() <= PLACES {
            digits.splice(0..0, std::iter::repeat_n(b'0', PLACES + 1 - digits.len()));
        }
        let point = digits.len() - PLACES;
        let decimals = digits[point..].iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
        digits.truncate(point + decimals);
        if decimals > 0 {
            digits.insert(point, b'.');
        }
        if self.negative && digits != b"0" {
            digits.insert(0, b'-');
        }
        digits
    }
}

/// `value / 2^shift`, rounded to nearest, ties to even.
fn round_shift(value: u128, shift: u32) -> u128 {
    if shift >= 128 {
        // `value` is below 2^121, so far less than half.
        return 0;
    }
    let kept = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let up = match rest.cmp(&(1 << (shift - 1))) {
        Ordering::Greater => true,
        Ordering::Equal => kept & 1 == 1,
        Ordering::Less => false,
    };
    kept + up as u128
}

/// Splits `digits[.digits][mark[sign]digits]` into whole digits, decimals and exponent. An exponent too long to count is
/// cut to one that is beyond all bounds.
fn split(text: &[u8], mark: u8) -> Option<(&[u8], &[u8], i64)> {
    let is_digit = |b: &u8| if mark == b'p' { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    let run = |text: &[u8]| text.iter().take_while(|b| is_digit(b)).count();
    let (whole, rest) = text.split_at(run(text));
    let (decimals, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(run(rest)),
        _ => (&b""[..], rest),
    };
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => return Some((whole, decimals, 0)),
        [first, exponent @ ..] if first.eq_ignore_ascii_case(&mark) => exponent,
        _ => return None,
    };
    let (sign, exponent) = match exponent {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, exponent),
    };
    if exponent.is_empty() || !exponent.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = exponent.iter().fold(0i64, |n, d| (n * 10 + (d - b'0') as i64).min(1_000_000));
    Some((whole, decimals, sign * size))
}

/// The digits of both parts without leading zeros.
fn significant<'a>(whole: &'a [u8], decimals: &'a [u8]) -> impl Iterator<Item = u8> + Clone + 'a {
    whole.iter().chain(decimals).copied().skip_while(|d| *d == b'0')
}

/// A positive value, and whether it was written as 0.
fn read_decimal(text: &[u8]) -> Option<(LongDouble, bool)> {
    let (whole, decimals, exponent) = split(text, b'e')?;
    let digits = significant(whole, decimals);
    let count = digits.clone().count() as i64;
    if count == 0 {
        return Some((LongDouble::ZERO, true));
    }
    let exponent = exponent - decimals.len() as i64;
    let magnitude = count + exponent;
    if magnitude > DECIMAL_MAX {
        return Some((LongDouble::INFINITY, false));
    }
    if magnitude < DECIMAL_MIN {
        return Some((LongDouble::ZERO, false));
    }
    if count <= 19 && (-27..=0).contains(&exponent) {
        let digits = digits.fold(0u64, |n, d| n * 10 + (d - b'0') as u64);
        return Some((quotient_short(digits, -exponent as u32), false));
    }
    let mut big = Big::default();
    for chunk in digits.collect::<Vec<u8>>().chunks(19) {
        let value = chunk.iter().fold(0u64, |n, d| n * 10 + (d - b'0') as u64);
        big.mul_add(10u64.pow(chunk.len() as u32), value);
    }
    let value = if exponent >= 0 {
        big.mul_pow10(exponent as u32);
        big.rounded(0)
    } else {
        let mut divisor = Big::from(1);
        divisor.mul_pow10(exponent.unsigned_abs() as u32);
        big.divided(&divisor)
    };
    Some((value, false))
}

/// `digits / 10^places`; not 0, at most 27 places: 5^27 fits into 63 bits.
fn quotient_short(digits: u64, places: u32) -> LongDouble {
    let up = digits.leading_zeros();
    let dividend = ((digits << up) as u128) << 64;
    let divisor = 5u128.pow(places);
    let exponent = -64 - up as i32 - places as i32;
    LongDouble::rounded(false, dividend / divisor, exponent, !dividend.is_multiple_of(divisor))
}

/// As [`read_decimal`], for what follows `0x`.
fn read_hexadecimal(text: &[u8]) -> Option<(LongDouble, bool)> {
    let (whole, decimals, exponent) = split(text, b'p')?;
    let digits = significant(whole, decimals);
    let count = digits.clone().count() as i64;
    // 28 digits have at least 109 significant bits; of the rest only matters whether there is any.
    let value = |d: u8| (d as char).to_digit(16).unwrap_or(0) as u128;
    let taken = count.min(28);
    let bits = digits.clone().take(taken as usize).fold(0u128, |n, d| n << 4 | value(d));
    let more = digits.skip(taken as usize).any(|d| d != b'0');
    let exponent = exponent + 4 * (count - taken - decimals.len() as i64);
    Some((LongDouble::rounded(false, bits, exponent as i32, more), count == 0))
}

/// A natural number of any size: 64-bit limbs, the least first, no zeros at the end.
#[derive(Clone, Default)]
struct Big(Vec<u64>);

impl From<u64> for Big {
    fn from(value: u64) -> Big {
        Big(if value == 0 { vec![] } else { vec![value] })
    }
}

impl Big {
    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 64 - top.leading_zeros() as usize)
    }

    fn mul_add(&mut self, factor: u64, summand: u64) {
        let mut carry = summand as u128;
        for limb in &mut self.0 {
            carry += *limb as u128 * factor as u128;
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            self.0.push(carry as u64);
        }
    }

    fn mul_pow10(&mut self, exponent: u32) {
        (0..exponent / 19).for_each(|_| self.mul_add(10u64.pow(19), 0));
        self.mul_add(10u64.pow(exponent % 19), 0);
    }

    fn shifted(&self, by: usize) -> Big {
        let (limbs, bits) = (by / 64, by % 64);
        let mut shifted = vec![0; limbs];
        let mut carry = 0u128;
        for limb in &self.0 {
            carry |= (*limb as u128) << bits;
            shifted.push(carry as u64);
            carry >>= 64;
        }
        if carry != 0 {
            shifted.push(carry as u64);
        }
        Big(shifted)
    }

    fn double(&mut self) {
        self.mul_add(2, 0);
    }

    fn at_least(&self, other: &Big) -> bool {
        let by_size = self.0.len().cmp(&other.0.len());
        by_size.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_ge()
    }

    /// Takes away `other`, which is not more.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = false;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let (less, first) = limb.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(borrow as u64);
            (*limb, borrow) = (less, first || second);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The value nearest to this times `2^exponent`.
    fn rounded(&self, exponent: i32) -> LongDouble {
        let cut = self.0.len().saturating_sub(2);
        let bits = self.0[cut..].iter().rev().fold(0u128, |n, limb| n << 64 | *limb as u128);
        let more = self.0[..cut].iter().any(|limb| *limb != 0);
        if bits >> 66 == 0 && more {
            // The top limb is nearly empty: one more makes the bits that rounding needs.
            return self.shifted(62).rounded(exponent - 62);
        }
        LongDouble::rounded(false, bits, exponent + 64 * cut as i32, more)
    }

    /// The value nearest to `self / divisor`, neither being 0: 67 or 68 bits of the quotient, by shifting and subtracting.
    fn divided(&self, divisor: &Big) -> LongDouble {
        let up = 67 + divisor.bits() as i32 - self.bits() as i32;
        let (mut rest, divisor) = match up {
            0.. => (self.shifted(up as usize), divisor.shifted(67)),
            _ => (self.clone(), divisor.shifted(67 + up.unsigned_abs() as usize)),
        };
        let mut quotient = 0u128;
        for _ in 0..=67 {
            quotient <<= 1;
            if rest.at_least(&divisor) {
                rest.subtract(&divisor);
                quotient |= 1;
            }
            rest.double();
        }
        LongDouble::rounded(false, quotient, -up, !rest.0.is_empty())
    }

    fn decimal(mut self) -> Vec<u8> {
        const CHUNK: u64 = 10u64.pow(19);
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            let mut rest = 0u128;
            for limb in self.0.iter_mut().rev() {
                rest = rest << 64 | *limb as u128;
                *limb = (rest / CHUNK as u128) as u64;
                rest %= CHUNK as u128;
            }
            chunks.push(rest as u64);
            while self.0.last() == Some(&0) {
                self.0.pop();
            }
        }
        let Some((top, rest)) = chunks.split_last() else { return b"0".to_vec() };
        let mut text = top.to_string();
        rest.iter().rev().for_each(|chunk| text.push_str(&format!("{chunk:019}")));
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums made by C's `long double`: `a b sum`, or an error's name for the sum.
    fn check(golden: &str) -> usize {
        for line in golden.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let sum = match (LongDouble::parse(words[0].as_bytes()), LongDouble::parse(words[1].as_bytes())) {
                (Some(a), Some(b)) => a.checked_add(b).map_or(b"infinite".to_vec(), LongDouble::to_text),
                _ => b"invalid".to_vec(),
            };
            assert_eq!(String::from_utf8_lossy(&sum), words[2], "{} + {}", words[0], words[1]);
        }
        golden.lines().count()
    }

    #[test]
    fn sums_are_those_of_the_x87() {
        assert!(check(include_str!("../../tests/data/longdouble.txt")) >= 200);
    }

    #[test]
    fn the_short_way_agrees_with_division() {
        let mut random = crate::base::prng::seeded(5);
        for _ in 0..20_000 {
            let digits = crate::base::prng::xorshift(&mut random) >> (random % 63);
            let places = (random >> 7) as u32 % 28;
            if digits == 0 {
                continue;
            }
            let mut divisor = Big::from(1);
            divisor.mul_pow10(places);
            assert_eq!(
                quotient_short(digits, places),
                Big::from(digits).divided(&divisor),
                "{digits}e-{places}"
            );
        }
    }

    #[test]
    fn what_is_no_number() {
        for bad in [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "0x",
            "0x.",
            "0x1p",
            "0x1p-",
            "1_0",
            "1 ",
            " 1",
            "++1",
            "+-1",
            "nan",
            "NaN(1)",
            "infinit",
            "in",
            "1e4933",
            "1e99999999999999999999",
            "1e-4951",
            "1\0",
            "1f",
            "1.5.2",
            "0xg",
            "1p3",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(LongDouble::parse(b"-iNf").is_some_and(LongDouble::is_infinite));
        assert!(LongDouble::parse(b"Infinity").is_some_and(LongDouble::is_infinite));
        assert_eq!(LongDouble::parse(&[b'1'; TEXT_MAX]), None);
        assert_eq!(LongDouble::parse(b"0e99999"), Some(LongDouble::ZERO));
        assert!(LongDouble::parse(b"3.6e-4951").is_some(), "the smallest subnormal");
    }

    #[test]
    fn integers_are_exact() {
        for n in [0, 1, -1, i64::MAX, i64::MIN, 1 << 53 | 1] {
            assert_eq!(LongDouble::from(n).to_text(), n.to_string().into_bytes());
            assert_eq!(LongDouble::parse(n.to_string().as_bytes()), Some(LongDouble::from(n)));
        }
    }
}
