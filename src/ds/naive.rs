//! The table's twin in plain safe code, and the differential tests that drive both.

use super::entry::{Owned, Payload};
use std::collections::BTreeMap;

/// An entry of the twin.
pub struct Plain<V> {
    pub value: Owned<V>,
    pub expire: Option<i64>,
    pub access: u32,
    pub mark: u8,
}

/// The twin: an ordered map.
pub struct Naive<V>(pub BTreeMap<Vec<u8>, Plain<V>>);

pub fn owned<V>(payload: Payload<V>) -> Owned<V> {
    match payload {
        Payload::Int(n) => Owned::Int(n),
        Payload::Bytes(b) => Owned::Bytes(b.to_vec()),
        Payload::Boxed(v) => Owned::Boxed(v),
    }
}

fn boxed<V>(value: Owned<V>) -> Option<V> {
    match value {
        Owned::Boxed(v) => Some(v),
        Owned::Int(_) | Owned::Bytes(_) => None,
    }
}

impl<V> Naive<V> {
    pub fn upsert(&mut self, key: &[u8], payload: Payload<V>, expire: Option<i64>) -> (Option<V>, bool) {
        let value = owned(payload);
        match self.0.get_mut(key) {
            Some(e) => {
                e.expire = expire;
                e.mark = 0;
                (boxed(std::mem::replace(&mut e.value, value)), true)
            }
            None => {
                self.0.insert(key.to_vec(), Plain { value, expire, access: 0, mark: 0 });
                (None, false)
            }
        }
    }

    pub fn set_payload(&mut self, key: &[u8], payload: Payload<V>) -> Option<V> {
        let e = self.0.get_mut(key).expect("the test looked first");
        boxed(std::mem::replace(&mut e.value, owned(payload)))
    }

    pub fn expires(&self) -> usize {
        self.0.values().filter(|e| e.expire.is_some()).count()
    }

    /// Removes what is due, in key order.
    pub fn expire(&mut self, now_ms: i64) -> Vec<(Vec<u8>, Option<V>)> {
        self.0
            .extract_if(.., |_, e| e.expire.is_some_and(|at| at <= now_ms))
            .map(|(k, e)| (k, boxed(e.value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::heap::{Blocks, Heap};
    use crate::ds::malloc::Malloc;
    use crate::ds::table::Last;
    use crate::ds::{INLINE_MAX, Table, View, ViewMut};
    use std::cell::Cell;

    thread_local!(static LIVE: Cell<isize> = const { Cell::new(0) });

    /// A value that counts those alive.
    #[derive(Debug, PartialEq, Eq)]
    struct Counted(u64);

    impl Counted {
        fn new(n: u64) -> Self {
            LIVE.set(LIVE.get() + 1);
            Counted(n)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            LIVE.set(LIVE.get() - 1);
        }
    }

    struct Rng(u64);

    impl Rng {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ z >> 31
        }

        fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }
    }

    /// A key by number: mostly short, some long, a few bigger than a u16 says; number 0 is the empty key.
    fn key(n: u64) -> Vec<u8> {
        let text = n.to_string().into_bytes();
        match n {
            0 => Vec::new(),
            n if n % 997 == 1 => text.repeat(30_000),
            n if n % 997 == 2 => [&text[..], &[b'x'; 65_536]].concat()[..65_534 + n as usize % 3].to_vec(),
            n if n % 50 == 3 => text.repeat(100),
            n if n % 3 == 0 => [b"key:", &text[..]].concat(),
            _ => text,
        }
    }

    fn with_payload<T>(rng: &mut Rng, f: impl Fn(Payload<Counted>) -> T) -> (T, T) {
        let len = match rng.below(16) {
            0..4 => rng.below(2_000),
            4 => INLINE_MAX as u64 * rng.below(2),
            _ => rng.below(64),
        } as usize;
        let mut bytes = vec![rng.next() as u8; len];
        bytes.iter_mut().take(64).for_each(|b| *b = rng.next() as u8);
        let n = rng.next();
        match rng.below(4) {
            0 => (f(Payload::Int(n as i64)), f(Payload::Int(n as i64))),
            1 => (f(Payload::Boxed(Counted::new(n))), f(Payload::Boxed(Counted::new(n)))),
            _ => (f(Payload::Bytes(&bytes)), f(Payload::Bytes(&bytes))),
        }
    }

    fn same(view: View<'_, Counted>, value: &Owned<Counted>) {
        match (view, value) {
            (View::Int(a), Owned::Int(b)) => assert_eq!(a, *b),
            (View::Bytes(a), Owned::Bytes(b)) => assert_eq!(a, b),
            (View::Boxed(a), Owned::Boxed(b)) => assert_eq!(a, b),
            (a, b) => panic!("{a:?} is not {b:?}"),
        }
    }

    struct Pair<B: Blocks> {
        table: Table<Counted, B>,
        naive: Naive<Counted>,
        rng: Rng,
        now: i64,
        cursor: usize,
    }

    impl<B: Blocks> Pair<B> {
        fn new(seed: u64) -> Self {
            Pair {
                table: Table::new(seed),
                naive: Naive(BTreeMap::new()),
                rng: Rng(seed),
                now: 1_000,
                cursor: 0,
            }
        }

        fn expire(&mut self) -> Option<i64> {
            (self.rng.below(3) == 0).then(|| self.now + self.rng.below(5_000) as i64)
        }

        /// One random operation on a random key of `keys`; `growing` prefers writes to removals.
        fn step(&mut self, keys: u64, growing: bool) {
            let n = self.rng.below(keys);
            let k = &key(n)[..];
            let hash = self.table.hash(k);
            assert_eq!(self.table.get(hash, k).is_some(), self.naive.0.contains_key(k), "key {n}");
            let action = self.rng.below(20);
            match action {
                0..8 if growing => {
                    let at = self.expire();
                    let payloads = with_payload(&mut self.rng, owned);
                    let a = self.table.upsert(hash, k, borrowed(&payloads.0), at);
                    let b = self.naive.upsert(k, borrowed(&payloads.1), at);
                    assert_eq!(a, b);
                }
                0..8 => {
                    let found = self.table.get_mut(hash, k);
                    let value = if action < 6 {
                        found.map(|m| m.remove())
                    } else {
                        let plain = self.naive.0.get(k).map(|e| &e.value);
                        match (found.and_then(|m| m.delete()), plain) {
                            (Some(v), _) => Some(Owned::Boxed(v)),
                            (None, Some(Owned::Int(n))) => Some(Owned::Int(*n)),
                            (None, Some(Owned::Bytes(b))) => Some(Owned::Bytes(b.clone())),
                            (None, _) => None,
                        }
                    };
                    assert_eq!(value, self.naive.0.remove(k).map(|e| e.value));
                }
                _ => self.change(hash, k, action),
            }
        }

        /// Changes an entry if it is there.
        fn change(&mut self, hash: u64, k: &[u8], action: u64) {
            let at = self.expire();
            let payloads = with_payload(&mut self.rng, owned);
            let bits = self.rng.next();
            let Some(mut m) = self.table.get_mut(hash, k) else { return };
            let plain = self.naive.0.get_mut(k).expect("compared before");
            match action {
                8..11 => {
                    assert_eq!(m.set_expire(at), std::mem::replace(&mut plain.expire, at));
                }
                11..14 => {
                    let a = m.set_payload(borrowed(&payloads.0));
                    assert_eq!(a, self.naive.set_payload(k, borrowed(&payloads.1)));
                }
                14 => {
                    m.set_access(bits as u32 & 0xFF_FFFF);
                    m.set_mark(bits as u8 >> 6);
                    (plain.access, plain.mark) = (bits as u32 & 0xFF_FFFF, bits as u8 >> 6);
                }
                15 => match (m.view_mut(), &mut plain.value) {
                    (ViewMut::Bytes(a), Owned::Bytes(b)) => {
                        a.iter_mut().for_each(|x| *x ^= bits as u8);
                        b.iter_mut().for_each(|x| *x ^= bits as u8);
                    }
                    (ViewMut::Boxed(a), Owned::Boxed(b)) => (a.0, b.0) = (bits, bits),
                    (ViewMut::Int(a), Owned::Int(b)) => assert_eq!(a, *b),
                    (a, b) => panic!("{a:?} is not {b:?}"),
                },
                _ => {
                    let r = m.into_ref();
                    assert_eq!(r.key(), k);
                    assert!(r.heap_bytes() >= 8 + k.len());
                    same(r.view(), &plain.value);
                    assert_eq!(
                        (r.expire_at(), r.access(), r.mark()),
                        (plain.expire, plain.access, plain.mark)
                    );
                    r.set_access(r.access() ^ 1);
                    plain.access ^= 1;
                }
            }
        }

        /// Lets time pass; expires in slices until nothing due is left.
        fn pass_time(&mut self) {
            self.now += self.rng.below(500) as i64;
            let mut due = self.naive.expire(self.now);
            let mut gone = Vec::new();
            let mut idle = 0;
            let budget = 1 + self.rng.below(300) as usize;
            while self.table.min_expire() <= self.now && idle < 10_000 {
                let f = &mut |k: &[u8], v: Option<Last<'_, Counted>>| {
                    gone.push((k.to_vec(), v.and_then(Last::free)));
                };
                let looked = self.table.expire_slice(&mut self.cursor, self.now, budget, f);
                assert!(looked < budget + 14);
                idle += 1;
            }
            gone.sort_by(|a, b| a.0.cmp(&b.0));
            due.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(gone, due);
        }

        fn compare(&self) {
            assert_eq!(self.table.len(), self.naive.0.len());
            assert_eq!(self.table.expires(), self.naive.expires());
            let mut seen = 0;
            for r in self.table.iter() {
                let plain = &self.naive.0[r.key()];
                same(r.view(), &plain.value);
                assert_eq!((r.expire_at(), r.access(), r.mark()), (plain.expire, plain.access, plain.mark));
                seen += 1;
            }
            assert_eq!(seen, self.naive.0.len());
            let stats = self.table.stats();
            assert_eq!((stats.entries, stats.segments), (seen, self.table.segments()));
            assert_eq!(stats.distances.iter().sum::<usize>(), seen);
        }
    }

    fn borrowed(value: &Owned<Counted>) -> Payload<'_, Counted> {
        match value {
            Owned::Int(n) => Payload::Int(*n),
            Owned::Bytes(b) => Payload::Bytes(b),
            Owned::Boxed(v) => Payload::Boxed(Counted::new(v.0)),
        }
    }

    #[test]
    fn table_is_its_twin() {
        is_its_twin::<Heap>();
    }

    #[test]
    fn table_of_allocated_blocks_is_its_twin() {
        is_its_twin::<Malloc>();
    }

    fn is_its_twin<B: Blocks>() {
        let (seeds, steps) = if cfg!(miri) { (1, 2_000) } else { (6, 150_000) };
        for seed in 0..seeds {
            let mut pair = Pair::<B>::new(seed);
            let keys = [40, 300, 3_000, 20_000, 60_000, 100_000][seed as usize % 6];
            for step in 0..steps {
                pair.step(keys, step / (steps / 5) % 2 == 0);
                if step % 1_000 == 0 {
                    pair.pass_time();
                }
                if step % (steps / 10) == 0 {
                    pair.compare();
                }
            }
            pair.compare();
            drop(pair);
            assert_eq!(LIVE.get(), 0, "seed {seed}: values leaked or dropped twice");
        }
    }

    #[test]
    fn emptied_tables_hold_nothing() {
        emptied_holds_nothing::<Heap>();
        emptied_holds_nothing::<Malloc>();
    }

    fn emptied_holds_nothing<B: Blocks>() {
        let mut pair = Pair::<B>::new(99);
        for _ in 0..if cfg!(miri) { 1_000 } else { 40_000 } {
            pair.step(120_000, true);
        }
        pair.compare();
        assert!(pair.table.segments() > 1);
        for k in std::mem::take(&mut pair.naive.0).into_keys() {
            let hash = pair.table.hash(&k);
            pair.table.get_mut(hash, &k).expect("it is in the twin").remove();
        }
        assert_eq!((pair.table.len(), pair.table.expires(), pair.table.bytes()), (0, 0, 0));
        assert_eq!(LIVE.get(), 0);
        pair.step(10, true);
        pair.compare();
    }
}
