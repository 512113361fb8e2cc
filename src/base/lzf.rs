//! LZF: the byte-wise Lempel-Ziv compression of RDB strings and of the inner nodes of lists. Fast both ways, no header, no
//! checksum.
//!
//! ```text
//!  000nnnnn                     n + 1 literal bytes follow (1 to 32)
//!  lllooooo oooooooo            copy l + 2 bytes (l = 1 to 6) from o + 1 bytes back (1 to 8,192)
//!  111ooooo llllllll oooooooo   copy l + 9 bytes (9 to 264) from o + 1 bytes back
//! ```
//! A copy may overlap what it writes: that is how runs are made. Compression looks for three equal bytes through one hash
//! table of last positions (greedy, no chains), decompression is one pass; both are linear.

/// The longest run of literals.
const LITERALS_MAX: usize = 32;
/// The longest copy.
const COPY_MAX: usize = 264;
/// How far back a copy reaches.
const REACH: usize = 1 << 13;
/// The most positions that are remembered, as a power of two.
const TABLE_BITS_MAX: u32 = 14;
/// Three bytes yield at most [`COPY_MAX`]: what claims to grow more is corrupt.
const GROWTH_MAX: usize = COPY_MAX / 3;

/// Appends `text` compressed, when that takes at most `most` bytes; else leaves `out` as it was.
pub fn compress(text: &[u8], out: &mut Vec<u8>, most: usize) -> bool {
    if u32::try_from(text.len()).is_err() {
        return false;
    }
    let start = out.len();
    let bits = text.len().max(256).ilog2().min(TABLE_BITS_MAX);
    // Position + 1 of the last three bytes that hashed here; 0: none.
    let mut table = vec![0u32; 1 << bits];
    let mut literals_from = 0;
    let mut i = 0;
    while i + 2 < text.len() {
        let found = std::mem::replace(&mut table[slot_of(text, i, bits)], i as u32 + 1) as usize;
        let len = if found > 0 && i + 1 - found <= REACH { common(text, found - 1, i) } else { 0 };
        if len < 3 {
            i += 1;
            continue;
        }
        put_literals(&text[literals_from..i], out);
        put_copy(i - found, len, out);
        if out.len() - start > most {
            out.truncate(start);
            return false;
        }
        i += len;
        literals_from = i;
        // One position inside the copy is enough to carry long repeats on.
        if i + 1 < text.len() {
            table[slot_of(text, i - 1, bits)] = i as u32;
        }
    }
    put_literals(&text[literals_from..], out);
    let fits = out.len() - start <= most;
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Where the three bytes at `i` are remembered.
fn slot_of(text: &[u8], i: usize, bits: u32) -> usize {
    let three = u32::from_le_bytes([text[i], text[i + 1], text[i + 2], 0]);
    (three.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

/// How many bytes from `a` on equal those from `b` on, at most [`COPY_MAX`].
fn common(text: &[u8], a: usize, b: usize) -> usize {
    let end = text.len().min(b + COPY_MAX);
    text[a..].iter().zip(&text[b..end]).take_while(|(x, y)| x == y).count()
}

fn put_literals(text: &[u8], out: &mut Vec<u8>) {
    for run in text.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

/// `back`: distance - 1.
fn put_copy(back: usize, len: usize, out: &mut Vec<u8>) {
    let (high, low) = ((back >> 8) as u8, back as u8);
    match len - 2 {
        short @ 1..=6 => out.extend_from_slice(&[(short as u8) << 5 | high, low]),
        long => out.extend_from_slice(&[7 << 5 | high, (long - 7) as u8, low]),
    }
}

/// Decompresses to exactly `len` bytes; none when the input is not that.
pub fn decompress(mut input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len / GROWTH_MAX > input.len() {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    while let Some((&control, rest)) = input.split_first() {
        input = rest;
        let control = control as usize;
        if control < LITERALS_MAX {
            let (run, rest) = input.split_at_checked(control + 1)?;
            input = rest;
            out.extend_from_slice(run);
        } else {
            let mut n = (control >> 5) + 2;
            if n == 9 {
                n += take_byte(&mut input)?;
            }
            let back = ((control & 0x1f) << 8 | take_byte(&mut input)?) + 1;
            copy_within(&mut out, back, n)?;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

fn take_byte(input: &mut &[u8]) -> Option<usize> {
    let (&byte, rest) = input.split_first()?;
    *input = rest;
    Some(byte as usize)
}

/// Appends `n` bytes that begin `back` bytes before the end, new ones included.
fn copy_within(out: &mut Vec<u8>, back: usize, n: usize) -> Option<()> {
    let from = out.len().checked_sub(back)?;
    let mut left = n;
    while left > 0 {
        // What stands behind `from` repeats every `back` bytes, so each round may copy all of it, twice as much as the last.
        let some = left.min(out.len() - from);
        out.extend_from_within(from..from + some);
        left -= some;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(compress(text, &mut out, usize::MAX));
        out
    }

    /// Text of few letters and many repeats.
    fn sample(seed: u64, len: usize) -> Vec<u8> {
        let mut rng = seeded(seed);
        let letters = 1 + xorshift(&mut rng) % 8;
        let mut text: Vec<u8> = Vec::with_capacity(len);
        while text.len() < len {
            let n = 1 + xorshift(&mut rng) as usize % 300;
            if xorshift(&mut rng).is_multiple_of(3) && text.len() > n {
                let from = xorshift(&mut rng) as usize % (text.len() - n);
                text.extend_from_within(from..from + n);
            } else {
                text.extend((0..n).map(|_| (xorshift(&mut rng) % letters) as u8));
            }
        }
        text.truncate(len);
        text
    }

    #[test]
    fn what_was_packed_unpacks() {
        for seed in 0..300 {
            let text = sample(seed, seed as usize * if seed % 10 == 0 { 97 } else { 3 });
            assert_eq!(decompress(&packed(&text), text.len()), Some(text), "seed {seed}");
        }
        let run = vec![b'x'; 100_000];
        assert!(packed(&run).len() < 100_000 / GROWTH_MAX + 16);
        assert_eq!(decompress(&packed(&run), run.len()), Some(run));
    }

    #[test]
    fn what_redis_packed_unpacks() {
        // DUMP of 64 times x by Redis 7.0.15.
        let payload = [0x01, 0x78, 0x78, 0xe0, 0x33, 0x00, 0x01, 0x78, 0x78];
        assert_eq!(decompress(&payload, 64), Some(vec![b'x'; 64]));
    }

    #[test]
    fn a_bound_that_is_not_met_leaves_nothing_behind() {
        let text: Vec<u8> = (0..=255).collect();
        let mut out = b"before".to_vec();
        assert!(!compress(&text, &mut out, text.len() - 4));
        assert_eq!(out, b"before");
        let text = sample(7, 5_000);
        let exact = packed(&text).len();
        assert!(!compress(&text, &mut out, exact - 1));
        assert_eq!(out, b"before");
        assert!(compress(&text, &mut out, exact));
    }

    #[test]
    fn noise_never_panics_and_never_takes_more_than_it_may() {
        let mut rng = seeded(42);
        for round in 0..20_000 {
            let len = xorshift(&mut rng) as usize % 200;
            let mut noise: Vec<u8> = (0..len).map(|_| xorshift(&mut rng) as u8).collect();
            if round % 2 == 0 {
                noise = packed(&sample(round, 300));
                let at = xorshift(&mut rng) as usize % noise.len();
                noise[at] ^= 1 << (xorshift(&mut rng) % 8);
                noise.truncate(xorshift(&mut rng) as usize % (noise.len() + 1));
            }
            let claim = xorshift(&mut rng) as usize % 600;
            if let Some(text) = decompress(&noise, claim) {
                assert_eq!(text.len(), claim);
            }
        }
        assert_eq!(decompress(&[0xff; 30], usize::MAX), None);
    }
}
