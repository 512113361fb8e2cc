//! Building what a snapshot holds: batches of entries that the storage plane has read, at the owner of their keys.

use super::Core;
use crate::base::time::Now;
use crate::ds::Owned;
use crate::persist::empty::is_empty;
use crate::persist::rdb::{Batch, Built, Entry};
use crate::persist::value::{Reading, decode};
use crate::ring::net::World;
use crate::store::access::{lfu_new, lfu_of};
use crate::store::lru;
use crate::store::{Keys, Policy, Taken, Value};
use std::sync::mpsc::Sender;

/// Batches that a shard builds in one turn.
const BATCHES_PER_TURN: usize = 4;
/// Memory that a batch keeps for its next use, in bytes.
const KEPT: usize = 256 << 10;

/// A batch to build.
pub struct Delivery {
    pub batch: Batch,
    /// Whether keys that are there are replaced; else they are an error.
    pub replace: bool,
    /// Where the batch goes afterwards.
    pub back: Sender<Built>,
}

/// What became of an entry.
enum Came {
    There,
    /// Its time was over.
    Expired,
    /// It has no elements.
    Empty,
}

impl Core {
    /// A batch has come. It is built in this shard's own time.
    pub fn deliver(&mut self, delivery: Delivery) {
        self.deliveries.push_back(delivery);
    }

    /// Builds some of the batches that have come, when the store is at home.
    pub(super) fn build(&mut self, net: &mut dyn World) {
        for _ in 0..BATCHES_PER_TURN {
            if self.deliveries.is_empty() || !self.take(net, self.id) {
                return;
            }
            let Some(Delivery { mut batch, replace, back }) = self.deliveries.pop_front() else { break };
            let mut built = Built {
                shard: self.id,
                batch: Batch::default(),
                keys: 0,
                expired: 0,
                empty: 0,
                trouble: None,
            };
            for entry in batch.iter() {
                match self.build_one(&entry, replace, batch.keeps_past) {
                    Ok(Came::There) => built.keys += 1,
                    Ok(Came::Expired) => built.expired += 1,
                    Ok(Came::Empty) => built.empty += 1,
                    Err(why) => {
                        built.trouble = Some(why);
                        break;
                    }
                }
            }
            self.put_back(net);
            batch.clear(KEPT);
            built.batch = batch;
            // Who reads the file has given up when nobody takes it.
            let _ = back.send(built);
        }
    }

    /// Builds one entry, whose store is in hand.
    fn build_one(&mut self, entry: &Entry<'_>, replace: bool, keeps_past: bool) -> Result<Came, String> {
        if !keeps_past && entry.expire_at.is_some_and(|at| at < self.now.ms()) {
            return Ok(Came::Expired);
        }
        let key = || String::from_utf8_lossy(&entry.key).into_owned();
        let reading = Reading { config: &self.config, seed: self.hand.peek(self.id).seed() };
        let mut rest = entry.value;
        let value = decode(entry.kind, &mut rest, &reading);
        let value: Owned<Value> = match value {
            Ok(value) if rest.is_empty() => value,
            _ if is_empty(entry.kind, entry.value) => {
                self.shared.control.note(format!("skipping empty key: {}", key()), true);
                return Ok(Came::Empty);
            }
            _ => {
                let (kind, at) = (entry.kind, entry.offset);
                return Err(format!("the value of key '{}' is damaged (type {kind}, at byte {at})", key()));
            }
        };
        let access = access_of(entry, self.access, self.now);
        let mut keys = Keys {
            hand: &mut self.hand,
            db: entry.db as usize,
            now: if keeps_past { self.now.before_all() } else { self.now },
            policy: self.access,
            touch: false,
            ahead: None,
            random: &mut self.random,
        };
        let content = Taken { value, expire_at: entry.expire_at, access, mark: 0 };
        if keys.add(&entry.key, content, replace) {
            return Ok(Came::There);
        }
        Err(format!("key '{}' of database {} comes twice (at byte {})", key(), entry.db, entry.offset))
    }
}

/// The access bits of an entry, from what its file tells and the policy in force counts.
fn access_of(entry: &Entry<'_>, policy: Policy, now: Now) -> u32 {
    match policy.lfu {
        Some(_) => entry.frequency.map_or(lfu_new(now.secs()), |n| lfu_of(n, now.secs())),
        None => lru::idle_since(entry.idle_secs.unwrap_or(0), now),
    }
}
