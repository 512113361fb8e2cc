//! One logical database of one shard: its table, and what its large values weigh.

use super::field_expiry::FieldExpiry;
use super::fifo::Fifo;
use super::lru::Renewal;
use super::store::frees_slowly;
use super::{Garbage, Kind, PerKind, Value};
use crate::ds::{ClockHand, Payload, Table, ViewMut};

/// A heap is loose when it holds this much that is not used, and this part of what is: while nothing presses, and while memory is
/// near its bound.
const LOOSE: Slack = Slack { bytes: 4 << 20, percent: 25 };
const LOOSE_WHEN_SHORT: Slack = Slack { bytes: 4 << 20, percent: 2 };

/// What a heap may hold and not use.
struct Slack {
    bytes: usize,
    percent: usize,
}

/// Expiry waits longer for a segment to be worth it while fewer of the entries that it looks at are due, percent, and less while
/// more are: dead entries are then about this part of those with a TTL, and each costs some forty looks at most.
const FEW_DUE: usize = 2;
const MANY_DUE: usize = 3;
/// By so much at a time, and no longer than this.
const GRACE_STEP_MS: i64 = 10;
const GRACE_MAX_MS: i64 = 400;
/// A slice that looked at fewer says nothing of the rest.
const JUDGED_FROM: usize = 100;

/// Hears of a key and of fields of its hash.
pub(super) type NoteFields<'a> = dyn FnMut(&[u8], &[Vec<u8>]) + 'a;

/// What a slice of active expiry did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Expired {
    pub looked_at: usize,
    /// Keys.
    pub removed: usize,
    /// Fields of hashes.
    pub fields: usize,
}

impl Expired {
    pub fn add(&mut self, other: Expired) {
        self.looked_at += other.looked_at;
        self.removed += other.removed;
        self.fields += other.fields;
    }

    /// Whether much of what was looked at was due, so that more is by now.
    pub fn is_dense(&self) -> bool {
        self.looked_at >= JUDGED_FROM && self.removed * 100 >= FEW_DUE * self.looked_at
    }
}

/// What a database counts of a key's content: nothing of a small one.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    bytes: usize,
    kind: Option<Kind>,
    /// As [`Value::min_expire`].
    due: Option<i64>,
}

impl Weight {
    pub fn of(value: &Value) -> Weight {
        Weight { bytes: value.heap_bytes(), kind: Some(value.kind()), due: value.min_expire() }
    }

    #[inline]
    pub fn of_payload(payload: &Payload<'_, Value>) -> Weight {
        match payload {
            Payload::Boxed(value) => Weight::of(value),
            Payload::Int(_) | Payload::Bytes(_) => Weight::default(),
        }
    }

    #[inline]
    pub fn of_old(value: Option<&Value>) -> Weight {
        value.map_or_else(Weight::default, Weight::of)
    }
}

/// One logical database of one shard.
pub struct Db {
    table: Table<Value>,
    values: PerKind,
    expire_cursor: usize,
    /// For how long a segment's first entry is due before the segment is gone through.
    grace_ms: i64,
    field_expiry: FieldExpiry,
    /// How far compaction has come.
    compacted: ClockHand,
    /// How far stamps of uses have been renewed.
    renewal: Renewal,
    /// The queues of an `s3fifo` policy.
    fifo: Option<Box<Fifo>>,
    /// The number that it had when the cut under way was made.
    pub(super) cut_as: usize,
}

impl Db {
    pub(super) fn new(seed: u64) -> Db {
        Db {
            table: Table::new(seed),
            values: PerKind::default(),
            expire_cursor: 0,
            grace_ms: 0,
            field_expiry: FieldExpiry::new(seed),
            compacted: ClockHand::default(),
            renewal: Renewal::default(),
            fifo: None,
            cut_as: 0,
        }
    }

    /// How many keys, expired ones that nobody has met included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// How many keys have a TTL.
    pub fn expires(&self) -> usize {
        self.table.expires()
    }

    /// How many hashes have fields with a TTL.
    pub fn field_expires(&self) -> usize {
        self.field_expiry.len()
    }

    /// Bytes of the entry by which a hash is found when a field of it is due, if it has any that expire.
    pub fn filed_bytes(&self, key: &[u8]) -> Option<usize> {
        self.field_expiry.entry_bytes(key)
    }

    /// The table, for scans and samples.
    pub fn table(&self) -> &Table<Value> {
        &self.table
    }

    pub(super) fn table_mut(&mut self) -> &mut Table<Value> {
        &mut self.table
    }

    /// The queues of an `s3fifo` policy, if there are some.
    pub(super) fn fifo(&self) -> Option<&Fifo> {
        self.fifo.as_deref()
    }

    /// The table, and the queues of an `s3fifo` policy, made now if there were none.
    pub(super) fn with_fifo(&mut self, now_ms: i64) -> (&mut Table<Value>, &mut Fifo) {
        (&mut self.table, self.fifo.get_or_insert_with(|| Box::new(Fifo::new(now_ms))))
    }

    /// The table, and how far its stamps have been renewed.
    pub(super) fn for_renewal(&mut self) -> (&mut Table<Value>, &mut Renewal) {
        (&mut self.table, &mut self.renewal)
    }

    /// Another policy is in force.
    pub(super) fn drop_fifo(&mut self) {
        self.fifo = None;
    }

    /// The table, the count of bytes in values of a type, and which hashes have fields that expire.
    #[inline]
    pub(super) fn parts_mut(&mut self, kind: Kind) -> (&mut Table<Value>, &mut usize, &mut FieldExpiry) {
        (&mut self.table, self.values.of_mut(kind), &mut self.field_expiry)
    }

    pub(super) fn into_table(self) -> Table<Value> {
        self.table
    }

    /// The content of a key was replaced, or left.
    #[inline]
    pub(super) fn account(&mut self, key: &[u8], left: Weight, came: Weight) {
        if let Some(kind) = left.kind {
            *self.values.of_mut(kind) -= left.bytes;
        }
        if let Some(kind) = came.kind {
            *self.values.of_mut(kind) += came.bytes;
        }
        if left.due != came.due {
            self.field_expiry.refile(key, came.due);
        }
    }

    /// Bytes that the database takes, as allocated.
    pub fn bytes(&self) -> usize {
        let fifo = self.fifo.as_ref().map_or(0, |fifo| fifo.bytes());
        self.table.bytes() + self.field_expiry.bytes() + self.values.sum() + fifo
    }

    /// Bytes that are neither entries nor values: the table's index, the queues of an `s3fifo` policy.
    pub fn overhead(&self) -> usize {
        self.table.index_bytes() + self.fifo.as_ref().map_or(0, |fifo| fifo.bytes())
    }

    /// Bytes of large values.
    pub fn value_bytes(&self) -> usize {
        self.values.sum()
    }

    /// The same by type. Short strings lie in their entries and are none of these.
    pub fn values(&self) -> PerKind {
        self.values
    }

    /// Moves entries together if the heap holds much more than they take, else segments, if their huge pages do; how many, `None` if
    /// neither does. `short`: memory is near its bound.
    pub(super) fn compact_slice(&mut self, buckets: usize, short: bool) -> Option<usize> {
        let Slack { bytes, percent } = if short { LOOSE_WHEN_SHORT } else { LOOSE };
        let is_loose = |slack: usize, of: usize| slack > bytes + of / 100 * percent;
        if is_loose(self.table.heap_slack(), self.table.bytes()) {
            return Some(self.table.compact(&mut self.compacted, buckets));
        }
        let is_index_loose = is_loose(self.table.index_slack(), self.table.index_bytes());
        is_index_loose.then(|| self.table.compact_index())
    }

    /// Removes expired keys, and names each to `gone`.
    pub(super) fn expire_slice(
        &mut self,
        (now_ms, short): (i64, bool),
        budget: usize,
        garbage: &mut Vec<Garbage>,
        gone: &mut dyn FnMut(&[u8]),
    ) -> Expired {
        if self.table.expires() == 0 {
            return Expired::default();
        }
        let mut removed = 0;
        let values = &mut self.values;
        let field_expiry = &mut self.field_expiry;
        let grace_ms = if short { 0 } else { self.grace_ms };
        let when = (now_ms, grace_ms);
        let looked_at =
            self.table.expire_overdue(&mut self.expire_cursor, when, budget, &mut |key, value| {
                removed += 1;
                gone(key);
                let Some(last) = value else { return };
                let value = last.value();
                *values.of_mut(value.kind()) -= value.heap_bytes();
                if value.min_expire().is_some() {
                    field_expiry.refile(key, None);
                }
                if frees_slowly(value) {
                    garbage.extend(last.free().map(Garbage::Value));
                }
            });
        if looked_at >= JUDGED_FROM {
            self.grace_ms = match removed * 100 / looked_at {
                0..FEW_DUE => (self.grace_ms + GRACE_STEP_MS).min(GRACE_MAX_MS),
                FEW_DUE..MANY_DUE => self.grace_ms,
                _ => self.grace_ms / 2,
            };
        }
        Expired { looked_at, removed, fields: 0 }
    }

    /// Removes fields of hashes whose time has come, and keys that have none left; names the keys to `changed`, with their fields if
    /// `names_fields`. Half of the budget finds the hashes, and all of these get a share of the rest: none can be passed over again and again.
    pub(super) fn expire_fields(
        &mut self,
        (now_ms, budget): (i64, usize),
        garbage: &mut Vec<Garbage>,
        names_fields: bool,
        changed: &mut NoteFields<'_>,
    ) -> Expired {
        let mut gone = Vec::new();
        let mut due = Vec::new();
        let looked_at = self.field_expiry.take_due(now_ms, budget / 2, &mut |key| due.push(key.to_vec()));
        let mut total = Expired { looked_at, ..Expired::default() };
        for (i, key) in due.iter().enumerate() {
            let share = budget.saturating_sub(total.looked_at) / (due.len() - i);
            let before = total.fields;
            gone.clear();
            let mut note = |field: &[u8]| {
                if names_fields {
                    gone.push(field.to_vec());
                }
            };
            self.expire_fields_of(key, (now_ms, share.max(1)), &mut total, garbage, &mut note);
            if total.fields != before {
                changed(key, &gone);
            }
        }
        total
    }

    /// One hash of those; files its key anew.
    fn expire_fields_of(
        &mut self,
        key: &[u8],
        (now_ms, budget): (i64, usize),
        total: &mut Expired,
        garbage: &mut Vec<Garbage>,
        gone: &mut dyn FnMut(&[u8]),
    ) {
        let Some(mut entry) = self.table.get_mut(self.table.hash(key), key) else { return };
        let ViewMut::Boxed(Value::Hash(hash)) = entry.view_mut() else { return };
        let before = hash.heap_bytes();
        let (looked_at, fields) = hash.expire_slice(now_ms, budget, gone);
        let (empty, after, due) = (hash.is_empty(), hash.heap_bytes(), hash.min_expire());
        total.looked_at += looked_at;
        total.fields += fields;
        let weight = self.values.of_mut(Kind::Hash);
        *weight = *weight - before + after;
        if !empty {
            return self.field_expiry.refile(key, due);
        }
        *self.values.of_mut(Kind::Hash) -= after;
        if let Some(value) = entry.delete().filter(frees_slowly) {
            garbage.push(Garbage::Value(value));
        }
    }
}
