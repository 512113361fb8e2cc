//! What stands in a file where nothing is said: lines of spaces, which everyone who reads a Redis AOF skips.
//!
//! ```text
//!  # 510 spaces LF                 a blank line; eight fill a block
//!  # k spaces LF                   0 <= k: what is left to the next multiple of 512
//! ```
//! *Padding* leads from a write's last frame to the end of its block, *filler* stands beyond it, where the file was filled
//! ahead. Both look alike: who reads needs no difference, since sequence numbers tell whether a frame is missing. A line
//! never crosses a multiple of 512 bytes (a sector, the unit that a drive writes as a whole) unless one byte alone is
//! left before it, so a block of which only some sectors were written still is made of whole lines.

/// The unit of writing.
pub const BLOCK: usize = 4096;
/// The length of a full blank line.
const LINE: usize = 512;
/// The longest line that Redis's loader and `redis-check-aof` skip, newline included.
pub(super) const LINE_MAX: usize = 1023;

static FULL: [u8; BLOCK] = full();

const fn full() -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        block[at] = b'#';
        block[at + LINE - 1] = b'\n';
        at += LINE;
    }
    block
}

/// Fills a write up to the next multiple of [`BLOCK`], by a block more when one byte alone is left.
pub fn pad(out: &mut Vec<u8>) {
    let mut left = out.len().next_multiple_of(BLOCK) - out.len();
    if left == 1 {
        left += BLOCK;
    }
    let start = out.len();
    out.resize(start + left, b' ');
    filler(&mut out[start..]);
}

/// Makes blank lines of `space`, which ends at a multiple of 512 bytes of its file (a block, as a rule) and is empty or has 2
/// bytes at least.
pub fn filler(space: &mut [u8]) {
    assert!(space.len() != 1, "a line takes 2 bytes");
    let mut rest = space;
    while !rest.is_empty() {
        let line = match rest.len() % LINE {
            0 => LINE,
            1 => LINE + 1,
            more => more,
        };
        let (line, behind) = rest.split_at_mut(line);
        line.fill(b' ');
        line[0] = b'#';
        line[line.len() - 1] = b'\n';
        rest = behind;
    }
}

/// What stands at the start of a line.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Blank {
    /// This many bytes of whole blank lines.
    Lines(usize),
    /// A blank line that is not whole yet.
    Short,
    /// Something else.
    Not,
}

/// Whether `text` begins with a blank line.
pub(super) fn blank(text: &[u8]) -> Blank {
    if text.starts_with(&FULL) {
        return Blank::Lines(BLOCK);
    }
    let Some((b'#', rest)) = text.split_first() else { return Blank::Not };
    match rest.iter().take(LINE_MAX - 1).position(|b| *b != b' ') {
        Some(spaces) if rest[spaces] == b'\n' => Blank::Lines(spaces + 2),
        None if rest.len() < LINE_MAX - 1 => Blank::Short,
        _ => Blank::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_of_every_length_is_made_of_blank_lines() {
        for len in 0..2 * BLOCK + 1 {
            let mut out = vec![b'x'; len];
            pad(&mut out);
            assert_eq!(out.len() % BLOCK, 0, "{len}");
            assert!(out.len() < len + BLOCK + 2, "{len}");
            let mut at = len;
            while at < out.len() {
                let line = out[at..].iter().position(|b| *b == b'\n').unwrap() + 1;
                assert!((2..=LINE_MAX).contains(&line), "{len}");
                let Blank::Lines(blank) = blank(&out[at..]) else { panic!("{len}: not blank at {at}") };
                at += blank;
            }
            assert_eq!(at, out.len(), "{len}");
        }
    }

    #[test]
    fn blank_lines_are_told_from_others() {
        let long = |spaces| [b"#".as_slice(), &vec![b' '; spaces], b"\n"].concat();
        assert_eq!(blank(b"#\n#"), Blank::Lines(2));
        assert_eq!(blank(&long(1021)), Blank::Lines(1023));
        assert_eq!(blank(&long(1022)), Blank::Not, "too long for Redis");
        assert_eq!(blank(&long(1021)[..1022]), Blank::Short);
        assert_eq!(blank(b"#"), Blank::Short);
        assert_eq!(blank(b"#  x\n"), Blank::Not);
        assert_eq!(blank(b"*1\r\n"), Blank::Not);
        assert_eq!(blank(b""), Blank::Not);
        assert_eq!(blank(&[FULL, FULL].concat()), Blank::Lines(BLOCK));
    }
}
