//! The self-test behind PFSELFTEST: registers hold what they are told, both encodings agree, and the error is small.

use super::{HEADER, REGISTERS, add, add_dense, count, dense, make_dense, new};
use crate::base::prng::{seeded, xorshift};

/// Times that all registers are written and read.
const CYCLES: usize = 20;
/// Distinct elements at most: some 50 ms of work.
const ELEMENTS: u64 = 1_000_000;
/// Up to so many elements a sparse one is kept beside the dense one.
const SPARSE_ELEMENTS: u64 = 1_000;
/// Standard errors that an estimate may be off.
const ERRORS: f64 = 6.0;

/// Tests the implementation; the error says what is wrong.
pub fn self_test(seed: u64, sparse_max: usize) -> Result<(), String> {
    registers(seed)?;
    estimates(seed, sparse_max)
}

fn registers(seed: u64) -> Result<(), String> {
    let mut rng = seeded(seed);
    for _ in 0..CYCLES {
        let mut packed = vec![0; REGISTERS * 6 / 8];
        let plain: Vec<u8> = (0..REGISTERS).map(|_| (xorshift(&mut rng) % 64) as u8).collect();
        for (i, value) in plain.iter().enumerate() {
            dense::raise(&mut packed, i, *value);
        }
        if let Some(i) = (0..REGISTERS).find(|i| dense::get(&packed, *i) != plain[*i]) {
            return Err(format!("register {i} should be {} but is {}", plain[i], dense::get(&packed, i)));
        }
    }
    Ok(())
}

fn estimates(seed: u64, sparse_max: usize) -> Result<(), String> {
    let damaged = |_| "the runs do not add up".to_string();
    let (mut sparse, mut wide) = (new(), new());
    make_dense(&mut wide).map_err(damaged)?;
    let (error, mut checkpoint) = (1.04 / (REGISTERS as f64).sqrt(), 1);
    for n in 1..=ELEMENTS {
        let element = (n ^ seed).to_le_bytes();
        add_dense(&mut wide, &element);
        if n <= SPARSE_ELEMENTS {
            add(&mut sparse, &element, sparse_max).map_err(damaged)?;
        }
        if n != checkpoint {
            continue;
        }
        checkpoint *= 10;
        let estimate = count(&wide).map_err(damaged)?;
        if n <= SPARSE_ELEMENTS && count(&sparse).map_err(damaged)? != estimate {
            return Err(format!("the encodings differ after {n} elements"));
        }
        // Of few elements one more or less is within what chance allows.
        if estimate.abs_diff(n) as f64 > (error * ERRORS * n as f64).max(1.0) {
            return Err(format!("{n} elements are taken for {estimate}"));
        }
    }
    debug_assert_eq!(wide.len(), HEADER + REGISTERS * 6 / 8);
    Ok(())
}
