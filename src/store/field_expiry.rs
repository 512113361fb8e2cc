//! Which hashes of a database hold fields with an expiry, each filed under the time of the earliest.
//!
//! It is a table of their keys whose TTLs are those times, so what makes keys expire in slices finds hashes with due fields
//! too. A hash without expiries is not in it and pays nothing; a database without such hashes has no table.

use crate::ds::{Payload, Table};

/// See the module's text.
pub(super) struct FieldExpiry {
    seed: u64,
    filed: Option<Box<Filed>>,
}

struct Filed {
    keys: Table<()>,
    cursor: usize,
}

impl FieldExpiry {
    pub fn new(seed: u64) -> FieldExpiry {
        FieldExpiry { seed, filed: None }
    }

    /// How many hashes.
    pub fn len(&self) -> usize {
        self.filed.as_ref().map_or(0, |filed| filed.keys.len())
    }

    /// Bytes that it takes, as allocated.
    pub fn bytes(&self) -> usize {
        self.filed.as_ref().map_or(0, |filed| size_of::<Filed>() + filed.keys.bytes())
    }

    /// Bytes of a key's entry in it, if it is there.
    pub fn entry_bytes(&self, key: &[u8]) -> Option<usize> {
        let keys = &self.filed.as_ref()?.keys;
        Some(keys.get(keys.hash(key), key)?.heap_bytes())
    }

    /// Files a key under the time of its earliest expiry (unix ms, or a lower bound of it); None: it has none any more.
    pub fn refile(&mut self, key: &[u8], at: Option<i64>) {
        if at.is_none() && self.filed.is_none() {
            return;
        }
        let seed = self.seed;
        let filed = self.filed.get_or_insert_with(|| Box::new(Filed { keys: Table::new(seed), cursor: 0 }));
        let hash = filed.keys.hash(key);
        match (filed.keys.get_mut(hash, key), at) {
            (Some(mut entry), Some(_)) => drop(entry.set_expire(at)),
            (Some(entry), None) => drop(entry.delete()),
            (None, Some(_)) => drop(filed.keys.insert(hash, key, Payload::Bytes(b""), at)),
            (None, None) => {}
        }
        if filed.keys.is_empty() {
            self.filed = None;
        }
    }

    /// Takes out keys whose time has come and gives them to `f`. Looks at about `budget` at most; how many it did.
    pub fn take_due(&mut self, now_ms: i64, budget: usize, f: &mut dyn FnMut(&[u8])) -> usize {
        let Some(filed) = &mut self.filed else { return 0 };
        let looked = filed.keys.expire_slice(&mut filed.cursor, now_ms, budget, &mut |key, _| f(key));
        if filed.keys.is_empty() {
            self.filed = None;
        }
        looked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_when_they_are_due() {
        let mut filed = FieldExpiry::new(1);
        assert_eq!((filed.len(), filed.bytes()), (0, 0));
        filed.refile(b"none", None);
        for i in 0..1_000i64 {
            filed.refile(&i.to_be_bytes(), Some(i + 1));
        }
        filed.refile(&5i64.to_be_bytes(), Some(5_000));
        filed.refile(&6i64.to_be_bytes(), None);
        assert_eq!(filed.len(), 999);
        let mut due = Vec::new();
        while due.len() < 498 {
            assert!(filed.take_due(500, 20, &mut |key| due.push(key.to_vec())) < 20 + 14);
        }
        filed.take_due(500, 2_000, &mut |key| due.push(key.to_vec()));
        assert_eq!((due.len(), filed.len()), (498, 501));
        while filed.take_due(9_000, 2_000, &mut |_| {}) != 0 {}
        assert_eq!((filed.len(), filed.bytes()), (0, 0));
    }
}
