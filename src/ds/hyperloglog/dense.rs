//! Dense registers: 6 bits each, low bits first, so that four of them take three bytes.

/// Largest value of a register's 6 bits.
const MAX: u8 = 63;

/// Where a register begins: its byte, and the bit in it.
#[inline]
fn at(index: usize) -> (usize, u32) {
    (index * 6 / 8, (index * 6 % 8) as u32)
}

/// A register's value.
#[inline]
pub fn get(registers: &[u8], index: usize) -> u8 {
    let (byte, bit) = at(index);
    // The last register ends with the last byte: there is no next one to read then.
    let next = registers.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[byte], next]) >> bit) as u8 & MAX
}

/// Makes a register hold `value` at least; whether it changed.
#[inline]
pub fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    if get(registers, index) >= value {
        return false;
    }
    let (byte, bit) = at(index);
    let (mask, bits) = (u16::from(MAX) << bit, u16::from(value) << bit);
    let [low, high] = mask.to_le_bytes();
    registers[byte] = registers[byte] & !low | bits as u8;
    if high != 0 {
        registers[byte + 1] = registers[byte + 1] & !high | (bits >> 8) as u8;
    }
    true
}

/// Gives every register's number and value.
#[inline]
pub fn each(registers: &[u8], f: &mut impl FnMut(usize, u8)) {
    let (groups, _) = registers.as_chunks::<3>();
    for (i, [a, b, c]) in groups.iter().enumerate() {
        let word = u32::from_le_bytes([*a, *b, *c, 0]);
        for n in 0..4 {
            f(i * 4 + n, (word >> (6 * n)) as u8 & MAX);
        }
    }
}
