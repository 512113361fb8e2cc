//! What the shards have to tell each other about memory: how much is in use, and which keys would go first.
//!
//! ```text
//!  in use = sum over shards of (store + clients)                  compared with maxmemory
//!  garbage: freed already as far as its key's owner is concerned, and not yet gone; counted apart
//! ```
//! Each account is written by who holds the shard's store (`store`, `keys`, `sign`) or by the shard itself (`clients`), and
//! read by all, relaxed: a figure may be a batch old, which is as exact as it has to be. A check costs a load per shard.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// No key of the shard is known to go.
pub const NO_SIGN: u64 = u64::MAX;

/// One shard's figures.
#[repr(align(128))]
#[derive(Default)]
pub struct Account {
    /// Bytes of the store.
    store: AtomicU64,
    /// Bytes of connections and their buffers.
    clients: AtomicU64,
    /// Bytes of the largest client that may be closed for memory.
    pub largest_client: AtomicU64,
    /// Keys that the policy lets go.
    pub keys: AtomicU64,
    /// What the first of them is known by: [`crate::store::Rule::rank`].
    pub sign: AtomicU64,
}

/// See the module's text.
pub struct Ledger {
    accounts: Vec<Account>,
    /// Since when (monotonic us) memory is over its bound in spite of evictions; 0: it is not.
    exceeded_since_us: AtomicU64,
    exceeded_us: AtomicU64,
}

impl Ledger {
    /// Empty accounts.
    pub fn new(shards: usize) -> Ledger {
        let accounts = (0..shards).map(|_| Account { sign: NO_SIGN.into(), ..Account::default() }).collect();
        Ledger { accounts, exceeded_since_us: AtomicU64::new(0), exceeded_us: AtomicU64::new(0) }
    }

    /// A shard's account.
    #[inline]
    pub fn of(&self, shard: usize) -> &Account {
        &self.accounts[shard]
    }

    /// All accounts, by shard.
    pub fn all(&self) -> &[Account] {
        &self.accounts
    }

    /// Bytes in use by stores and clients.
    #[inline]
    pub fn used(&self) -> u64 {
        self.accounts.iter().map(|a| a.store.load(Relaxed) + a.clients.load(Relaxed)).sum()
    }

    /// The same without what clients take beyond `clients_limit` (0: none) while some may be closed for it: as in Redis they are what
    /// goes, not keys.
    pub fn used_beside(&self, clients_limit: u64) -> u64 {
        let closable =
            clients_limit != 0 && self.accounts.iter().any(|a| a.largest_client.load(Relaxed) != 0);
        let beyond = if closable { self.clients().saturating_sub(clients_limit) } else { 0 };
        self.used().saturating_sub(beyond)
    }

    /// Bytes in use by stores.
    pub fn stores(&self) -> u64 {
        self.accounts.iter().map(|a| a.store.load(Relaxed)).sum()
    }

    /// Bytes in use by clients.
    pub fn clients(&self) -> u64 {
        self.accounts.iter().map(|a| a.clients.load(Relaxed)).sum()
    }

    /// Memory is over its bound although keys were evicted, or none could be.
    pub fn exceeded(&self, now_us: u64) {
        let _ = self.exceeded_since_us.compare_exchange(0, now_us.max(1), Relaxed, Relaxed);
    }

    /// Memory is within its bound.
    #[inline]
    pub fn within(&self, now_us: u64) {
        if self.exceeded_since_us.load(Relaxed) == 0 {
            return;
        }
        let since = self.exceeded_since_us.swap(0, Relaxed);
        if since != 0 {
            self.exceeded_us.fetch_add(now_us.saturating_sub(since), Relaxed);
        }
    }

    /// For how long memory has been over its bound: in all, and this time.
    pub fn exceeded_times_us(&self, now_us: u64) -> (u64, u64) {
        let current = match self.exceeded_since_us.load(Relaxed) {
            0 => 0,
            since => now_us.saturating_sub(since),
        };
        (self.exceeded_us.load(Relaxed) + current, current)
    }

    /// CONFIG RESETSTAT.
    pub fn reset_times(&self) {
        self.exceeded_us.store(0, Relaxed);
        self.exceeded_since_us.store(0, Relaxed);
    }
}

impl Account {
    /// Tells the store's weight.
    #[inline]
    pub fn set_store(&self, bytes: usize) {
        self.store.store(bytes as u64, Relaxed);
    }

    /// Tells the clients' weight.
    #[inline]
    pub fn set_clients(&self, bytes: usize) {
        self.clients.store(bytes as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_add_up() {
        let ledger = Ledger::new(3);
        ledger.of(0).set_store(10);
        ledger.of(2).set_store(5);
        ledger.of(1).set_clients(7);
        assert_eq!((ledger.used(), ledger.stores(), ledger.clients()), (22, 15, 7));
    }

    #[test]
    fn the_time_above_the_bound_is_counted() {
        let ledger = Ledger::new(1);
        ledger.within(5);
        ledger.exceeded(10);
        ledger.exceeded(12);
        assert_eq!(ledger.exceeded_times_us(15), (5, 5));
        ledger.within(20);
        ledger.exceeded(30);
        assert_eq!(ledger.exceeded_times_us(31), (11, 1));
        ledger.reset_times();
        assert_eq!(ledger.exceeded_times_us(40), (0, 0));
    }
}
