//! Traces that are made here, from a seed: `zipf` (popularity falls as rank^-0.9), and `scan`, the same with a scan of
//! keys that come once, now and then.

use super::file::{Collector, Trace};
use crate::keys::{Dist, Keys, Rng};

const KEYS: u64 = 100_000;
const REQUESTS: u64 = 800_000;
const EXPONENT: f64 = 0.9;
/// A scan comes after so many requests, and is so long.
const SCAN_EVERY: u64 = 80_000;
const SCAN: u64 = 20_000;

/// The trace of this name.
pub fn named(name: &str, seed: u64) -> Option<Trace> {
    let scans = match name {
        "zipf" => false,
        "scan" => true,
        _ => return None,
    };
    let mut keys = Keys::new(Dist::Zipf(EXPONENT), KEYS, 0, 1);
    let mut rng = Rng::new(seed);
    let mut all = Collector::default();
    for n in 0..REQUESTS {
        all.ask(keys.draw(&mut rng).to_string().as_bytes(), 0);
        if scans && n % SCAN_EVERY == SCAN_EVERY / 2 {
            (0..SCAN).for_each(|k| all.ask(format!("scan{}", n + k).as_bytes(), 0));
        }
    }
    Some(all.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_their_names_say() {
        let zipf = named("zipf", 1).expect("known");
        assert_eq!(zipf.requests.len() as u64, REQUESTS);
        assert!(zipf.keys.len() as u64 <= KEYS);
        assert!(named("other", 1).is_none());
    }
}
