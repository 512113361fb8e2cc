//! The value of a hash: fields with values, some with a time of their own to expire.
//!
//! ```text
//!  listpack     | field | value | field | value | ...                    in the order in which fields came
//!  listpackex   | field | value | expiry | field | value | expiry | ...  earliest first; 0: never, at the end
//!  hashtable    a table whose entries hold field, value and, where there is one, the expiry
//! ```
//! A hash begins as a listpack. The first command that gives a field an expiry makes it a listpackex, and what is too
//! large for [`Shape`] makes it a hashtable; it never goes back. Expiries are unix ms, above 0.
//!
//! Nothing here knows the time: a field past its expiry is there until it is removed, and is counted. Who reads compares.
//!
//! | cost | listpack | listpackex | hashtable |
//! |---|---|---|---|
//! | get, set, remove | O(n) | O(n) | O(1) |
//! | set an expiry | O(n) | O(n) | O(1) |
//! | earliest expiry | | O(1) | O(1), a lower bound |
//! | memory of a field of 13 bytes with a value of 10 | 27 | 29 | 43 |

mod fields;
mod packed;
#[cfg(test)]
mod tests;

use super::View;
use super::listpack::{Element, Listpack};
use super::malloc::malloc_size;
use super::table::{Kept, Stats, Walked};
use bytes::Bytes;
use fields::Fields;
use packed::{PAIR, TRIPLE};

/// The latest expiry that a field can have: 2^46 - 1, the year 4199.
pub const EXPIRE_MAX: i64 = (1 << 46) - 1;

/// A listpack of more bytes becomes a table: far below what a listpack can hold.
const PACK_MAX: usize = 1 << 29;

/// What a hash goes by when it is changed.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// A hash of more fields is a table.
    pub entries: usize,
    /// A hash with a longer field or value is a table, bytes.
    pub value: usize,
    /// The secret with which the fields of a table are hashed.
    pub seed: u64,
}

impl Shape {
    fn takes(&self, field: &[u8], value: &[u8]) -> bool {
        field.len() <= self.value && value.len() <= self.value
    }
}

/// What a write does to the expiry of a field that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    Keep,
    Clear,
}

/// A field as it is found.
#[derive(Debug)]
pub struct Found<'a> {
    pub value: View<'a, Bytes>,
    /// Unix ms.
    pub expire_at: Option<i64>,
}

/// A field as it is met on the way through a hash.
#[derive(Debug)]
pub struct Field<'a> {
    pub name: Element<'a>,
    pub value: View<'a, Bytes>,
    /// Unix ms.
    pub expire_at: Option<i64>,
}

/// See the module's text. Two words: most hashes are small ones, and the other forms keep their parts in a box.
#[derive(Clone, Debug)]
pub enum Hash {
    Pack(Listpack),
    Other(Box<Other>),
}

/// The forms that are not a plain listpack.
#[derive(Clone, Debug)]
pub enum Other {
    PackEx(Listpack),
    Table(Box<Fields>),
}

const _: () = assert!(size_of::<Hash>() == 16 && size_of::<Other>() == 16);

impl Default for Hash {
    fn default() -> Self {
        Hash::new()
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Hash {
        Hash::Pack(Listpack::new())
    }

    /// A hash of a listpack of fields and values, which the caller has checked; a table if that is too large for `shape`.
    pub fn of_pairs(pack: Listpack, shape: &Shape) -> Hash {
        let mut hash = Hash::Pack(pack);
        hash.convert_if_long(shape);
        hash
    }

    /// The same of fields, values and expiries, in order.
    pub fn of_triples(pack: Listpack, shape: &Shape) -> Hash {
        let mut hash = Hash::Other(Box::new(Other::PackEx(pack)));
        hash.convert_if_long(shape);
        hash
    }

    /// An empty hash that is a table from the start.
    pub fn table(seed: u64) -> Hash {
        Hash::Other(Box::new(Other::Table(Box::new(Fields::new(seed)))))
    }

    /// How many fields, those past their expiry included.
    pub fn len(&self) -> usize {
        match self {
            Hash::Pack(pack) => pack.len() / PAIR,
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => pack.len() / TRIPLE,
                Other::Table(fields) => fields.len(),
            },
        }
    }

    /// Whether it holds nothing, so that its key goes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Hash::Pack(pack) => pack.is_empty(),
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => pack.is_empty(),
                Other::Table(fields) => fields.len() == 0,
            },
        }
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Hash::Pack(pack) => malloc_size(pack.bytes()),
            Hash::Other(other) => {
                malloc_size(size_of::<Other>())
                    + match &**other {
                        Other::PackEx(pack) => malloc_size(pack.bytes()),
                        Other::Table(fields) => malloc_size(size_of::<Fields>()) + fields.bytes(),
                    }
            }
        }
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        match self {
            Hash::Pack(_) => "listpack",
            Hash::Other(other) => match &**other {
                Other::PackEx(_) => "listpackex",
                Other::Table(_) => "hashtable",
            },
        }
    }

    /// The shape of its table and the bytes of that, when it is one.
    pub fn stats(&self) -> Option<(Stats, usize)> {
        match self {
            Hash::Pack(_) => None,
            Hash::Other(other) => match &**other {
                Other::PackEx(_) => None,
                Other::Table(fields) => Some(fields.stats()),
            },
        }
    }

    /// No field expires before this, unix ms; None when no field has an expiry.
    #[inline]
    pub fn min_expire(&self) -> Option<i64> {
        match self {
            Hash::Pack(_) => None,
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => packed::min_expire(pack),
                Other::Table(fields) => fields.min_expire(),
            },
        }
    }

    /// Looks a field up.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<Found<'_>> {
        match self {
            Hash::Pack(pack) => {
                let at = packed::find(pack, field, PAIR)?;
                Some(Found { value: packed::value(pack, at), expire_at: None })
            }
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => {
                    let at = packed::find(pack, field, TRIPLE)?;
                    Some(Found { value: packed::value(pack, at), expire_at: packed::expiry(pack, at) })
                }
                Other::Table(fields) => fields.get(field),
            },
        }
    }

    /// Makes it ready for so many fields more, some of which may be there: more than a listpack may hold make it a table at
    /// once, as in Redis since 7.2.
    #[inline]
    pub fn expect(&mut self, more: usize, shape: &Shape) {
        if more > shape.entries {
            self.convert(shape.seed);
        }
    }

    /// Sets a field; whether it is new. A new one has no expiry.
    pub fn set(&mut self, field: &[u8], value: &[u8], expiry: Expiry, shape: &Shape) -> bool {
        if !shape.takes(field, value) || self.pack_is_full(field.len() + value.len()) {
            self.convert(shape.seed);
        }
        let new = match self {
            Hash::Pack(pack) => packed::set_pair(pack, field, value),
            Hash::Other(other) => match &mut **other {
                Other::PackEx(pack) => packed::set_triple(pack, field, value, expiry),
                Other::Table(fields) => return fields.set(field, value, expiry),
            },
        };
        self.convert_if_long(shape);
        new
    }

    /// Sets the expiry of a field (unix ms), or removes it; false when there is no such field.
    pub fn set_expire(&mut self, field: &[u8], at: Option<i64>) -> bool {
        debug_assert!(at.is_none_or(|at| (1..=EXPIRE_MAX).contains(&at)));
        match self {
            Hash::Pack(pack) if at.is_none() => packed::find(pack, field, PAIR).is_some(),
            Hash::Pack(pack) if packed::find(pack, field, PAIR).is_none() => false,
            Hash::Pack(_) => {
                self.carry_expiries();
                self.set_expire(field, at)
            }
            Hash::Other(other) => match &mut **other {
                Other::PackEx(pack) => packed::set_expiry(pack, field, at),
                Other::Table(fields) => fields.set_expire(field, at),
            },
        }
    }

    /// Makes a listpack a listpackex: what a command does that may set expiries, as in Redis even if it then sets none.
    pub fn carry_expiries(&mut self) {
        if let Hash::Pack(pack) = self {
            *self = Hash::Other(Box::new(Other::PackEx(packed::with_expiries(pack))));
        }
    }

    /// Removes a field; whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Pack(pack) => packed::remove(pack, field, PAIR),
            Hash::Other(other) => match &mut **other {
                Other::PackEx(pack) => packed::remove(pack, field, TRIPLE),
                Other::Table(fields) => fields.remove(field),
            },
        }
    }

    /// Removes fields that expire at or before `now_ms` and names each to `f`, looking at about `budget` of them at most. How many
    /// were looked at, and how many were removed.
    pub fn expire_slice(&mut self, now_ms: i64, budget: usize, f: &mut dyn FnMut(&[u8])) -> (usize, usize) {
        match self {
            Hash::Pack(_) => (0, 0),
            Hash::Other(other) => match &mut **other {
                Other::PackEx(pack) => packed::expire(pack, now_ms, budget, f),
                Other::Table(fields) => fields.expire(now_ms, budget, f),
            },
        }
    }

    /// All fields.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Field<'_>> + '_> {
        match self {
            Hash::Pack(pack) => Box::new(packed::pairs(pack)),
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => Box::new(packed::triples(pack)),
                Other::Table(fields) => Box::new(fields.iter()),
            },
        }
    }

    /// Gives all fields to `f`.
    pub fn for_each(&self, f: &mut dyn FnMut(Field<'_>)) {
        match self {
            Hash::Pack(pack) => packed::pairs(pack).for_each(f),
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => packed::triples(pack).for_each(f),
                Other::Table(fields) => fields.iter().for_each(f),
            },
        }
    }

    /// Gives some fields to `f` and the cursor of the next ones: start with 0, 0 means done. A field that is there during a
    /// whole walk is met at least once. A hash that is no table gives all at once.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Field<'_>)) -> u64 {
        match self {
            Hash::Pack(pack) => packed::pairs(pack).for_each(f),
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => packed::triples(pack).for_each(f),
                Other::Table(fields) => return fields.scan(cursor, f),
            },
        }
        0
    }

    /// From now on a table keeps what a scan had not given before this cursor: `keep` appends and counts it ([`super::Table::begin_cut`]).
    /// Whether it is a table.
    pub fn begin_cut(
        &mut self,
        cursor: u64,
        keep: impl FnMut(&Field<'_>, &mut Kept) + Send + 'static,
    ) -> bool {
        let fields = self.table_mut();
        fields.map(|fields| fields.begin_cut(cursor, keep)).is_some()
    }

    /// The table, which may be under a cut.
    pub fn under_cut(&mut self) -> Option<&mut dyn Walked> {
        self.table_mut().map(Fields::under_cut)
    }

    /// Bytes that it keeps for a cut.
    pub fn cut_bytes(&self) -> usize {
        match self {
            Hash::Pack(_) => 0,
            Hash::Other(other) => match &**other {
                Other::PackEx(_) => 0,
                Other::Table(fields) => fields.cut_bytes(),
            },
        }
    }

    fn table_mut(&mut self) -> Option<&mut Fields> {
        match self {
            Hash::Pack(_) => None,
            Hash::Other(other) => match &mut **other {
                Other::PackEx(_) => None,
                Other::Table(fields) => Some(fields),
            },
        }
    }

    /// A field at random; None when there is none.
    pub fn random(&self, rng: &mut dyn FnMut() -> u64) -> Option<Field<'_>> {
        let (pack, width) = match self {
            Hash::Pack(pack) => (pack, PAIR),
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => (pack, TRIPLE),
                Other::Table(fields) => return fields.random(rng),
            },
        };
        let nth = rng().checked_rem((pack.len() / width) as u64)?;
        Some(packed::field(pack, pack.seek(nth as i64 * width as i64)?, width))
    }

    /// The listpack of fields and values, when it is one.
    pub fn as_pairs(&self) -> Option<&Listpack> {
        match self {
            Hash::Pack(pack) => Some(pack),
            Hash::Other(_) => None,
        }
    }

    /// The listpack of fields, values and expiries, when it is one.
    pub fn as_triples(&self) -> Option<&Listpack> {
        match self {
            Hash::Pack(_) => None,
            Hash::Other(other) => match &**other {
                Other::PackEx(pack) => Some(pack),
                Other::Table(_) => None,
            },
        }
    }

    fn pack(&self) -> Option<&Listpack> {
        self.as_pairs().or_else(|| self.as_triples())
    }

    fn pack_is_full(&self, more: usize) -> bool {
        self.pack().is_some_and(|pack| pack.bytes() + more > PACK_MAX)
    }

    fn convert_if_long(&mut self, shape: &Shape) {
        if self.pack().is_some() && self.len() > shape.entries {
            self.convert(shape.seed);
        }
    }

    /// Makes it a table, if it is none.
    pub fn convert(&mut self, seed: u64) {
        if self.pack().is_none() {
            return;
        }
        let mut table = Fields::new(seed);
        for Field { name, value, expire_at } in self.iter() {
            name.with(|name| with_text(&value, |text| table.add(name, text, expire_at)));
        }
        *self = Hash::Other(Box::new(Other::Table(Box::new(table))));
    }
}

/// Lets `f` see the text of a value.
#[inline]
pub fn with_text<R>(value: &View<'_, Bytes>, f: impl FnOnce(&[u8]) -> R) -> R {
    match value {
        View::Int(n) => f(itoa::Buffer::new().format(*n).as_bytes()),
        View::Bytes(text) => f(text),
        View::Boxed(text) => f(text),
    }
}
