//! The form of a hash that is a table. Values of up to [`INLINE_MAX`] bytes lie in the entry of their field, longer ones
//! beside it, shared with the sockets that send them. An expiry is the entry's TTL.

use super::super::malloc::{Malloc, malloc_size};
use super::super::table::{Each, Kept, Stats, Walked};
use super::super::{INLINE_MAX, Payload, Ref, Table, View};
use super::{Expiry, Field, Found};
use crate::ds::listpack::Element;
use bytes::Bytes;

/// See the module's text.
pub struct Fields {
    table: Table<Bytes, Malloc>,
    seed: u64,
    /// Bytes of the values beside their entries.
    long_bytes: usize,
    /// Where the next slice of expiry goes on.
    cursor: usize,
}

/// Bytes that a value takes beside its entry.
fn weight(value: &Bytes) -> usize {
    malloc_size(value.len())
}

fn payload(value: &[u8]) -> Payload<'_, Bytes> {
    if value.len() <= INLINE_MAX {
        Payload::Bytes(value)
    } else {
        Payload::Boxed(Bytes::copy_from_slice(value))
    }
}

fn field<'a>(entry: &Ref<'a, Bytes>) -> Field<'a> {
    Field { name: Element::Str(entry.key()), value: entry.view(), expire_at: entry.expire_at() }
}

impl Fields {
    /// No fields.
    pub fn new(seed: u64) -> Fields {
        Fields { table: Table::new(seed), seed, long_bytes: 0, cursor: 0 }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The shape of its table, and the bytes that this takes.
    pub fn stats(&self) -> (Stats, usize) {
        (self.table.stats(), self.table.bytes())
    }

    /// Bytes of table, entries and values.
    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.long_bytes
    }

    pub fn min_expire(&self) -> Option<i64> {
        (self.table.expires() != 0).then(|| self.table.min_expire())
    }

    pub fn get(&self, field: &[u8]) -> Option<Found<'_>> {
        let entry = self.table.get(self.table.hash(field), field)?;
        Some(Found { value: entry.view(), expire_at: entry.expire_at() })
    }

    /// Adds a field that is not there.
    pub fn add(&mut self, field: &[u8], value: &[u8], expire_at: Option<i64>) {
        let payload = payload(value);
        if let Payload::Boxed(long) = &payload {
            self.long_bytes += weight(long);
        }
        self.table.insert(self.table.hash(field), field, payload, expire_at);
    }

    pub fn set(&mut self, field: &[u8], value: &[u8], expiry: Expiry) -> bool {
        let Some(mut entry) = self.table.get_mut(self.table.hash(field), field) else {
            self.add(field, value, None);
            return true;
        };
        let payload = payload(value);
        let mut weighs = self.long_bytes;
        if let Payload::Boxed(long) = &payload {
            weighs += weight(long);
        }
        if let Some(old) = entry.set_payload(payload) {
            weighs -= weight(&old);
        }
        if expiry == Expiry::Clear {
            entry.set_expire(None);
        }
        self.long_bytes = weighs;
        false
    }

    pub fn set_expire(&mut self, field: &[u8], expire_at: Option<i64>) -> bool {
        match self.table.get_mut(self.table.hash(field), field) {
            Some(mut entry) => {
                entry.set_expire(expire_at);
                true
            }
            None => false,
        }
    }

    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(entry) = self.table.get_mut(self.table.hash(field), field) else { return false };
        if let Some(long) = entry.delete() {
            self.long_bytes -= weight(&long);
        }
        true
    }

    pub fn expire(&mut self, now_ms: i64, budget: usize, f: &mut dyn FnMut(&[u8])) -> (usize, usize) {
        let Fields { table, long_bytes, cursor, .. } = self;
        let mut removed = 0;
        let looked = table.expire_slice(cursor, now_ms, budget, &mut |field, value| {
            removed += 1;
            f(field);
            if let Some(long) = value {
                *long_bytes -= weight(long.value());
            }
        });
        (looked, removed)
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.table.iter().map(|entry| field(&entry))
    }

    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Field<'_>)) -> u64 {
        self.table.scan(cursor, &mut |entry| f(field(&entry)))
    }

    pub fn begin_cut(&mut self, cursor: u64, mut keep: impl FnMut(&Field<'_>, &mut Kept) + Send + 'static) {
        let keep = move |entry: &Ref<'_, Bytes>, kept: &mut Kept| keep(&field(entry), kept);
        self.table.begin_cut_from(cursor, Box::new(Each(keep)));
    }

    pub fn under_cut(&mut self) -> &mut dyn Walked {
        &mut self.table
    }

    pub fn cut_bytes(&self) -> usize {
        self.table.kept_weight()
    }

    pub fn random(&self, rng: &mut dyn FnMut() -> u64) -> Option<Field<'_>> {
        self.table.random(rng).map(|entry| field(&entry))
    }
}

impl Clone for Fields {
    fn clone(&self) -> Self {
        let mut twin = Fields::new(self.seed);
        for entry in self.table.iter() {
            let payload = match entry.view() {
                View::Int(n) => Payload::Int(n),
                View::Bytes(text) => Payload::Bytes(text),
                View::Boxed(long) => Payload::Boxed(long.clone()),
            };
            twin.table.insert(twin.table.hash(entry.key()), entry.key(), payload, entry.expire_at());
        }
        twin.long_bytes = self.long_bytes;
        twin
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
