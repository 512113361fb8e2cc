//! From registers to a cardinality: O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017
//! (arXiv:1702.01284), algorithm 6. It needs no table of biases and no special case for few or many elements.

use super::{REGISTERS, VALUE_BITS};

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers hold each value. A register of a string that a client made up may hold up to 63.
pub struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts some registers.
    #[inline]
    pub fn add(&mut self, value: u8, registers: usize) {
        let cell = &mut self.0[usize::from(value & 63)];
        *cell = cell.saturating_add(registers as u32);
    }

    /// The cardinality.
    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let top = VALUE_BITS as usize;
        let full = f64::from(self.0[top + 1]);
        let mut z = m * tau((m - full) / m);
        for count in self.0[1..=top].iter().rev() {
            z += f64::from(*count);
            z *= 0.5;
        }
        z += m * sigma(f64::from(self.0[0]) / m);
        (ALPHA * m * m / z).round() as u64
    }
}

/// x + the sum of x^(2^k) * 2^(k-1) for k from 1 on.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// (1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k for k from 1 on) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
