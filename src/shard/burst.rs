//! Short requests of several connections that came together: what they will look at is sent for before the first of them runs, and the
//! stores stay in hand from one to the next.
//!
//! ```text
//!  events of a turn:   GET a (conn 3) | GET b (conn 9) | SET c (conn 4) | ...
//!                      └ expect: take stores, send for buckets, then for entries ┘  data, data, data, ... end_burst
//! ```
//! A request that comes alone has nothing that its memory could be waited for with: its bucket and then its entry, in no cache among
//! millions, cost more than all else that it does in user space. And with several shards each would take a store from another
//! core and give it back. So connections that do not pipeline are served as one that does. Each of them may find
//! something else to be true than was expected: then it runs as ever.

use super::Core;
use crate::ds::Table;
use crate::ring::net::{ConnId, World};
use crate::store::{ShardSet, Value};

/// The most requests that are expected together.
pub const BURST: usize = 8;
/// Requests of up to so many bytes: longer ones are pipelines, or take longer than their memory.
const SHORT: usize = 192;

/// What a request will look at.
struct Look {
    shard: usize,
    db: usize,
    hash: u64,
}

impl Core {
    /// These requests follow, by [`Core::data`] in this order; then comes [`Core::end_burst`].
    pub fn expect<'a>(&mut self, net: &mut dyn World, requests: impl Iterator<Item = (ConnId, &'a [u8])>) {
        let mut looks: [Option<Look>; BURST] = [const { None }; BURST];
        let mut set = ShardSet::EMPTY;
        let mut n = 0;
        for (id, bytes) in requests.take(BURST) {
            if let Some(look) = self.look_at(id, bytes) {
                set.insert(look.shard);
                looks[n] = Some(look);
                n += 1;
            }
        }
        if n < 2 || !self.take_for_burst(net, &set) {
            return;
        }
        self.in_burst = true;
        let steps: [fn(&Table<Value>, u64); 2] =
            [Table::prefetch, |table, hash| _ = table.prefetch_entry(hash)];
        for send in steps {
            for look in looks.iter().flatten().filter(|look| self.hand.has(look.shard)) {
                send(self.hand.peek(look.shard).db(look.db).table(), look.hash);
            }
        }
    }

    /// What a short request of one brief command will look at, as far as its first bytes and its connection tell.
    #[inline(never)]
    fn look_at(&mut self, id: ConnId, bytes: &[u8]) -> Option<Look> {
        if bytes.len() > SHORT {
            return None;
        }
        let conn = self.conns.get(id.index())?.as_ref()?;
        if !conn.may_run() || conn.input.is_some() {
            return None;
        }
        let db = conn.session.as_ref()?.db;
        let known = self.heads.read(bytes, 0, &mut self.batch.spans);
        self.batch.spans.clear();
        let known = known?;
        let key = known.key_span.of(bytes);
        let shard = self.shared.route.owner(key);
        let may_borrow = self.policy.may_borrow(self.id, shard, known.found.row);
        may_borrow.then(|| Look { shard, db, hash: self.shared.hasher.hash(key) })
    }

    /// Takes those of these stores that are there. None, when replies have to wait for what the log says of each store.
    fn take_for_burst(&mut self, net: &mut dyn World, set: &ShardSet) -> bool {
        if self.shared.saves.log.is_strict() {
            return false;
        }
        for shard in set.iter() {
            self.take_now(shard);
        }
        if self.hand.is_crossed() {
            self.put_back(net);
        }
        self.hand.held() > 0
    }

    /// Whether stores may stay in hand after these requests, since more of a burst is to come and they are like others of it.
    #[inline]
    pub(super) fn is_short_of_burst(&self, requests: &[u8]) -> bool {
        self.in_burst && requests.len() <= SHORT
    }

    /// A burst is over.
    pub fn end_burst(&mut self, net: &mut dyn World) {
        self.in_burst = false;
        self.put_back(net);
    }
}
