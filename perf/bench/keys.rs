//! Random numbers and the choice of keys: uniform, Zipf, or each once, in order or scattered.
//!
//! Zipf is drawn by rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
//! monotone discrete distributions", 1996): exact for any exponent above 0 and any number of keys, no tables,
//! fewer than 1.1 rounds per draw, about 40 ns. Key 0 is the hottest, key 1 the next, and so on.

/// xoshiro256++ (D. Blackman, S. Vigna): small, fast, and good enough for any load.
#[derive(Clone)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The stream of a seed; splitmix64 spreads it, so near seeds give unrelated streams.
    pub fn new(seed: u64) -> Self {
        let mut x = seed;
        Rng(std::array::from_fn(|_| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    pub fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `0..n`, with a bias of at most n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `0.0 <= x < 1.0`, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A `--dist` value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dist {
    Uniform,
    Zipf(f64),
    Seq,
    Scatter,
}

impl std::str::FromStr for Dist {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Ok(Dist::Uniform),
            None if text == "seq" => Ok(Dist::Seq),
            None if text == "scatter" => Ok(Dist::Scatter),
            None if text == "zipf" => Ok(Dist::Zipf(0.99)),
            Some(("zipf", s)) => match s.parse::<f64>() {
                Ok(s) if s.is_finite() && s > 0.0 => Ok(Dist::Zipf(s)),
                _ => Err("the exponent of zipf must be a number above 0".into()),
            },
            _ => Err("want uniform, seq, scatter, zipf or zipf:EXPONENT".into()),
        }
    }
}

/// Chooses keys as numbers in `0..count`.
pub enum Keys {
    Uniform(u64),
    Zipf(Zipf),
    /// In turn, round and round, in `first..end`, by steps that meet each key once a round.
    Seq {
        next: u64,
        first: u64,
        end: u64,
        step: u64,
    },
}

impl Keys {
    /// The chooser of thread `part` of `parts`; with `Seq` and `Scatter` each walks its own part of the keys.
    pub fn new(dist: Dist, count: u64, part: u64, parts: u64) -> Self {
        match dist {
            Dist::Uniform => Keys::Uniform(count),
            Dist::Zipf(exponent) => Keys::Zipf(Zipf::new(count, exponent)),
            Dist::Seq | Dist::Scatter => {
                let (first, end) = part_of(count, part, parts);
                let end = end.max(first + 1);
                let step = if dist == Dist::Seq { 1 } else { far_step(end - first) };
                Keys::Seq { next: first, first, end, step }
            }
        }
    }

    pub fn draw(&mut self, rng: &mut Rng) -> u64 {
        match self {
            Keys::Uniform(count) => rng.below(*count),
            Keys::Zipf(zipf) => zipf.draw(rng) - 1,
            Keys::Seq { next, first, end, step } => {
                let key = *next;
                *next = if *end - key > *step { key + *step } else { *first + (*step - (*end - key)) };
                key
            }
        }
    }
}

/// A step that walks round `len` keys and meets each once: by the golden section, so that neighbours in time are far apart.
fn far_step(len: u64) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let golden = (len as f64 * 0.618_033_988_75) as u64;
    (golden.max(1)..=len).find(|step| gcd(*step, len) == 1).unwrap_or(1)
}

/// Bounds of part `part` when `0..count` is cut into `parts` that differ by one at most.
pub fn part_of(count: u64, part: u64, parts: u64) -> (u64, u64) {
    let cut = |p: u64| (u128::from(count) * u128::from(p) / u128::from(parts)) as u64;
    (cut(part), cut(part + 1))
}

/// Ranks `1..=n`, rank k with probability proportional to k^-exponent.
pub struct Zipf {
    n: f64,
    exponent: f64,
    /// Integrals of the hat at the two ends.
    left: f64,
    right: f64,
    /// A draw this close below its rank needs no rejection test.
    sure: f64,
}

impl Zipf {
    pub fn new(n: u64, exponent: f64) -> Self {
        let mut zipf = Zipf { n: n as f64, exponent, left: 0.0, right: 0.0, sure: 0.0 };
        zipf.left = zipf.integral(1.5) - 1.0;
        zipf.right = zipf.integral(n as f64 + 0.5);
        zipf.sure = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.weight(2.0));
        zipf
    }

    pub fn draw(&self, rng: &mut Rng) -> u64 {
        loop {
            let u = self.right + rng.unit() * (self.left - self.right);
            let x = self.inverse(u);
            let k = x.round().clamp(1.0, self.n);
            if k - x <= self.sure || u >= self.integral(k + 0.5) - self.weight(k) {
                return k as u64;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// Integral of x^-exponent, 0 at x = 1; `expm1` keeps it exact near exponent 1, where it becomes ln x.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.exponent) * log;
        if t.abs() < 1e-12 { log } else { t.exp_m1() / t * log }
    }

    fn inverse(&self, y: f64) -> f64 {
        let t = (y * (1.0 - self.exponent)).max(-1.0);
        let log = if t.abs() < 1e-12 { y } else { t.ln_1p() / t * y };
        log.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-square per degree of freedom of draws against the exact probabilities.
    fn misfit(n: u64, exponent: f64) -> f64 {
        const DRAWS: u64 = 400_000;
        let zipf = Zipf::new(n, exponent);
        let mut rng = Rng::new(7);
        let mut seen = vec![0u64; n as usize + 1];
        for _ in 0..DRAWS {
            seen[zipf.draw(&mut rng) as usize] += 1;
        }
        assert_eq!(seen[0], 0);
        let total: f64 = (1..=n).map(|k| (k as f64).powf(-exponent)).sum();
        let terms = (1..=n).map(|k| {
            let want = DRAWS as f64 * (k as f64).powf(-exponent) / total;
            (seen[k as usize] as f64 - want).powi(2) / want
        });
        terms.sum::<f64>() / (n.max(2) - 1) as f64
    }

    #[test]
    fn zipf_has_the_exact_shape() {
        for exponent in [0.5, 0.99, 1.0, 1.2, 2.0] {
            let misfit = misfit(100, exponent);
            assert!((0.6..1.5).contains(&misfit), "exponent {exponent}: {misfit}");
        }
        assert_eq!(misfit(1, 0.99), 0.0);
    }

    #[test]
    fn zipf_of_many_keys_stays_in_bounds_and_hits_the_head() {
        const DRAWS: u64 = 200_000;
        let (n, exponent) = (10_000_000u64, 0.99);
        let zipf = Zipf::new(n, exponent);
        let mut rng = Rng::new(1);
        let mut head = 0u64;
        for _ in 0..DRAWS {
            let k = zipf.draw(&mut rng);
            assert!((1..=n).contains(&k));
            head += u64::from(k <= 100);
        }
        let sum = |to: u64| (1..=to).map(|k| (k as f64).powf(-exponent)).sum::<f64>();
        let want = sum(100) / sum(n);
        let got = head as f64 / DRAWS as f64;
        assert!((got / want - 1.0).abs() < 0.02, "{got} for {want}");
    }

    #[test]
    fn uniform_is_flat_and_seq_is_whole() {
        let mut rng = Rng::new(3);
        let mut keys = Keys::new(Dist::Uniform, 10, 0, 1);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[keys.draw(&mut rng) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");

        let mut all: Vec<u64> = Vec::new();
        for part in 0..3 {
            let mut keys = Keys::new(Dist::Seq, 10, part, 3);
            let (first, end) = part_of(10, part, 3);
            all.extend((first..end).map(|_| keys.draw(&mut rng)));
            assert_eq!(keys.draw(&mut rng), first);
        }
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn scatter_meets_each_key_once_and_jumps() {
        let mut rng = Rng::new(3);
        for (count, parts) in [(1, 1), (2, 1), (3, 2), (10, 3), (1_000, 1), (1_001, 4)] {
            let mut all: Vec<u64> = Vec::new();
            for part in 0..parts {
                let mut keys = Keys::new(Dist::Scatter, count, part, parts);
                let (first, end) = part_of(count, part, parts);
                all.extend((first..end).map(|_| keys.draw(&mut rng)));
                assert_eq!(keys.draw(&mut rng), first);
            }
            if count == 1_000 {
                assert!(all.windows(2).all(|w| w[0].abs_diff(w[1]) > 300));
            }
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn reads_its_flag() {
        assert_eq!("zipf:1.2".parse(), Ok(Dist::Zipf(1.2)));
        assert_eq!("zipf".parse(), Ok(Dist::Zipf(0.99)));
        assert_eq!("seq".parse(), Ok(Dist::Seq));
        assert_eq!("scatter".parse(), Ok(Dist::Scatter));
        for bad in ["zipf:0", "zipf:-1", "zipf:x", "zipf:inf", "gauss", ""] {
            assert!(bad.parse::<Dist>().is_err(), "{bad}");
        }
    }
}
