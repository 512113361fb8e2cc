//! Encodings against each other and against plain registers; damaged strings.

use super::*;
use crate::base::prng::{seeded, xorshift};

const SPARSE_MAX: usize = 3_000;

#[test]
fn an_empty_one_is_redis_s() {
    assert_eq!(new(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!((is_one(&new()), kept(&new()), count(&new())), (true, Some(0), Ok(0)));
}

#[test]
fn an_element_goes_where_redis_puts_it() {
    let mut text = new();
    assert_eq!(add(&mut text, b"a", SPARSE_MAX), Ok(true));
    assert_eq!(add(&mut text, b"a", SPARSE_MAX), Ok(false));
    let runs: Vec<(u8, usize)> = runs(&text[HEADER..]).map(|run| (run.value, run.len)).collect();
    assert_eq!(runs, [(0, 12_711), (2, 1), (0, 3_672)]);
    assert_eq!((kept(&text), count(&text)), (None, Ok(1)));
    keep(&mut text, 1);
    assert_eq!(kept(&text), Some(1));
    invalidate(&mut text);
    assert_eq!(kept(&text), None);
}

/// Sparse against dense against plain registers, through the change from one to the other.
#[test]
fn encodings_agree() {
    let mut rng = seeded(9);
    for sparse_max in [0, 20, 100, 3_000, 16_000] {
        let (mut text, mut wide, mut plain) = (new(), new(), [0; REGISTERS]);
        assert_eq!(make_dense(&mut wide), Ok(()));
        for n in 0..5_000u64 {
            let element = (xorshift(&mut rng) % 4_000).to_string();
            let (index, value) = place(element.as_bytes());
            let changes = plain[index] < value;
            plain[index] = plain[index].max(value);
            assert_eq!(would_change(&text, element.as_bytes()), Ok(changes));
            assert_eq!(add(&mut text, element.as_bytes(), sparse_max), Ok(changes));
            assert_eq!(add_dense(&mut wide, element.as_bytes()), changes);
            assert!(is_one(&text) && (text.len() <= sparse_max.max(18) || !is_sparse(&text)));
            if n % 250 == 0 {
                assert_eq!(registers(&text).as_deref(), Ok(&plain));
                assert_eq!(registers(&wide).as_deref(), Ok(&plain));
                assert_eq!(count(&text), Ok(count_registers(&plain)));
                assert_eq!(count(&wide), count(&text));
            }
        }
        assert_eq!(is_sparse(&text), sparse_max == 16_000);
    }
}

#[test]
fn estimates_are_close() {
    assert_eq!(self_test(5, SPARSE_MAX), Ok(()));
}

/// Strings with a right header and anything behind it.
#[test]
fn damage_is_found_and_never_panics() {
    let mut rng = seeded(31);
    let mut good = new();
    (0..300u32).for_each(|n| _ = add(&mut good, &n.to_le_bytes(), SPARSE_MAX));
    let mut refused = 0;
    for _ in 0..10_000 {
        let mut text = good.clone();
        for _ in 0..1 + xorshift(&mut rng) % 3 {
            let at = HEADER + xorshift(&mut rng) as usize % (text.len() - HEADER);
            text[at] = xorshift(&mut rng) as u8;
        }
        if xorshift(&mut rng).is_multiple_of(4) {
            text.truncate(HEADER + xorshift(&mut rng) as usize % (text.len() - HEADER));
        }
        refused += usize::from(count(&text).is_err());
        assert_eq!(count(&text).is_err(), registers(&text).is_err());
        let element = xorshift(&mut rng).to_le_bytes();
        let _ = would_change(&text, &element);
        if add(&mut text, &element, SPARSE_MAX).is_ok() {
            assert!(is_one(&text));
        }
        let mut dense = text.clone();
        let _ = make_dense(&mut dense);
        let _ = raise(&mut text, REGISTERS - 1, 40, SPARSE_MAX);
    }
    assert!(refused > 5_000, "{refused}");
    for bad in [
        &b""[..],
        b"HYLL",
        b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff",
        b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0\x7f\xff",
    ] {
        assert!(!is_one(bad));
    }
    let mut wide = new();
    assert_eq!(make_dense(&mut wide), Ok(()));
    wide[HEADER..].fill(0xff);
    assert!(count(&wide).is_ok(), "registers of 63 are no elements, and no harm");
}
