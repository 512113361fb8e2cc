//! One key with its value: a single block of the table's heap.
//!
//! ```text
//! | access 24 | flags 8 | klen 16 | vlen 16 |   header, 8 bytes, aligned to 8; flags: kind, mark, where the block came from
//! | expire at, unix ms, i64                 |   only with HAS_TTL: a key without TTL pays nothing for it
//! | key length, u64                         |   only with BIG_KEY: keys of 65,535 bytes and more (klen is 65,535)
//! | key bytes ...                               |
//! | Bytes: value bytes right behind the key     |
//! | Int:   padding to 8, i64                    |
//! | Boxed: padding to 8, the V itself           |
//! ```
//! A 16-byte key with a 32-byte value takes 8 + 16 + 32 = 56 bytes, which is a size class of the heap. The padding costs
//! nothing: sizes are rounded to 8 anyway. A `V` lies in the block itself, so a small one (an enum over boxed structures)
//! costs neither an allocation nor a cache line of its own; it may move whenever the table is changed.
//!
//! `access` and `mark` mean nothing here: they are the store's (eviction clock or LFU counter; encoding).
//!
//! SAFETY contract: an [`Entry`] is a plain pointer to a block written by [`Entry::write`]; whoever makes one promises the
//! block lives as long as the handle is used. References handed out cover the key or the value only, never the header, so
//! that `access` may change while they live.

use super::heap::Blocks;
use super::table::prefetch;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Longest value kept inside an entry, bytes: with a key of ordinary length it fits the largest block of a slab. What lies
/// there can be moved together when memory is short, and no socket wants to share so little.
pub const INLINE_MAX: usize = 16_000;
/// Largest value of the access bits.
pub const ACCESS_MAX: u32 = (1 << 24) - 1;
/// Longest key, bytes (Redis's bound too).
pub const KEY_MAX: usize = 512 << 20;

/// What a read of a value gives.
#[derive(Debug)]
pub enum View<'a, V> {
    Int(i64),
    Bytes(&'a [u8]),
    Boxed(&'a V),
}

/// What a change in place gives. `Bytes` keep their length.
#[derive(Debug)]
pub enum ViewMut<'a, V> {
    Int(i64),
    Bytes(&'a mut [u8]),
    Boxed(&'a mut V),
}

/// What is written. `Bytes` are at most [`INLINE_MAX`] long.
#[derive(Debug)]
pub enum Payload<'a, V> {
    Int(i64),
    Bytes(&'a [u8]),
    Boxed(V),
}

/// What a removal gives back.
#[derive(Debug, PartialEq, Eq)]
pub enum Owned<V> {
    Int(i64),
    Bytes(Vec<u8>),
    Boxed(V),
}

const KIND: u8 = 0b11;
const INT: u8 = 0;
const BYTES: u8 = 1;
const BOXED: u8 = 2;
/// The block lies in a slab.
const SLAB: u8 = 0x04;
/// Its value is the bytes that it adds before the key.
const HAS_TTL: u8 = 0x08;
/// Twice the bytes that it adds before the key.
const BIG_KEY: u8 = 0x10;
const MARK_SHIFT: u8 = 5;
const MARK: u8 = 0b11 << MARK_SHIFT;
const HEADER: usize = 8;
const BIG: usize = u16::MAX as usize;

/// The header, unpacked.
#[derive(Clone, Copy)]
struct Header {
    access: u32,
    flags: u8,
    klen: u16,
    vlen: u16,
}

impl Header {
    fn pack(self) -> u64 {
        u64::from(self.access & ACCESS_MAX)
            | u64::from(self.flags) << 24
            | u64::from(self.klen) << 32
            | u64::from(self.vlen) << 48
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        Header {
            access: word as u32 & ACCESS_MAX,
            flags: (word >> 24) as u8,
            klen: (word >> 32) as u16,
            vlen: (word >> 48) as u16,
        }
    }

    #[inline]
    fn key_offset(self) -> usize {
        HEADER + usize::from(self.flags & HAS_TTL) + usize::from((self.flags & BIG_KEY) >> 1)
    }
}

/// What a payload is, without its content: enough for a block's size.
#[derive(Clone, Copy)]
struct Shape {
    kind: u8,
    vlen: usize,
}

impl Shape {
    #[inline]
    fn of<V>(payload: &Payload<V>) -> Self {
        match payload {
            Payload::Int(_) => Shape { kind: INT, vlen: 8 },
            Payload::Bytes(b) => {
                assert!(b.len() <= INLINE_MAX, "longer values are boxed");
                Shape { kind: BYTES, vlen: b.len() }
            }
            Payload::Boxed(_) => {
                const { assert!(align_of::<V>() <= 8 && size_of::<V>() <= INLINE_MAX) };
                Shape { kind: BOXED, vlen: size_of::<V>() }
            }
        }
    }

    #[inline]
    fn value_offset(self, key_end: usize) -> usize {
        if self.kind == BYTES { key_end } else { key_end.next_multiple_of(8) }
    }
}

/// Whether two keys are the same. Most are short: two loads that overlap cover 8 to 16 bytes, or, twice as wide, up to 32, and
/// save a call.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
        17..=32 => a.first_chunk::<16>() == b.first_chunk() && a.last_chunk::<16>() == b.last_chunk(),
        _ => a == b,
    }
}

/// A pointer to a live block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(NonNull<u8>);

impl Entry {
    /// # Safety
    /// `block` was written by [`Entry::write`] and lives as long as the handle or a copy of it is used; while it does, nobody
    /// else touches the block.
    #[inline]
    pub unsafe fn from_raw(block: NonNull<u8>) -> Self {
        Entry(block)
    }

    #[inline]
    pub fn as_ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Fetches the block's first 88 bytes, in two lines or three: header, key, and a short value or the beginning of a long one.
    #[inline]
    pub fn prefetch(self) {
        prefetch(self.as_ptr());
        prefetch(self.as_ptr().wrapping_add(64));
        prefetch(self.as_ptr().wrapping_add(87));
    }

    /// Fetches header and a short key: often one line.
    #[inline]
    pub fn prefetch_key(self) {
        prefetch(self.as_ptr());
        prefetch(self.as_ptr().wrapping_add(31));
    }

    /// Takes a block out of `heap` and writes an entry into it.
    #[inline]
    pub fn write<V, B: Blocks>(
        heap: &mut B,
        key: &[u8],
        payload: Payload<V>,
        expire: Option<i64>,
        access: u32,
        mark: u8,
    ) -> Self {
        let shape = Shape::of(&payload);
        let (entry, key_end) = Self::write_key(heap, key, expire, shape, access, mark);
        entry.put(payload, shape, key_end);
        entry
    }

    /// A copy with another TTL in a block of its own. The value is copied bit by bit: the old block is to be freed without
    /// dropping it.
    pub fn with_expire<B: Blocks>(self, heap: &mut B, expire: Option<i64>) -> Self {
        let h = self.header();
        let (shape, at) = self.value_at();
        let (copy, key_end) = Self::write_key(heap, self.key(), expire, shape, h.access, self.mark());
        // SAFETY: the copy's block was sized for this shape; the two blocks are disjoint.
        unsafe {
            let to = copy.as_ptr().add(shape.value_offset(key_end));
            to.copy_from_nonoverlapping(self.as_ptr().add(at), shape.vlen);
        }
        copy
    }

    /// A block with all but the value, and the offset of the key's end.
    #[inline]
    fn write_key<B: Blocks>(
        heap: &mut B,
        key: &[u8],
        expire: Option<i64>,
        shape: Shape,
        access: u32,
        mark: u8,
    ) -> (Self, usize) {
        assert!(key.len() <= KEY_MAX);
        let mut flags = shape.kind | mark << MARK_SHIFT & MARK;
        if expire.is_some() {
            flags |= HAS_TTL;
        }
        if key.len() >= BIG {
            flags |= BIG_KEY;
        }
        let mut header = Header { access, flags, klen: key.len().min(BIG) as u16, vlen: shape.vlen as u16 };
        let key_at = header.key_offset();
        let key_end = key_at + key.len();
        let (block, slab) = heap.alloc(shape.value_offset(key_end) + shape.vlen);
        header.flags |= if slab { SLAB } else { 0 };
        // SAFETY: the block holds at least the bytes up to the value's end; header, TTL and length sit at multiples of 8.
        unsafe {
            let p = block.as_ptr();
            p.cast::<u64>().write(header.pack());
            if let Some(at) = expire {
                p.add(HEADER).cast::<i64>().write(at);
            }
            if key.len() >= BIG {
                p.add(key_at - 8).cast::<u64>().write(key.len() as u64);
            }
            p.add(key_at).copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        (Entry(block), key_end)
    }

    /// Writes kind and value behind the key. The block must have room for them.
    #[inline]
    fn put<V>(self, payload: Payload<V>, shape: Shape, key_end: usize) {
        let mut header = self.header();
        header.flags = header.flags & !KIND | shape.kind;
        header.vlen = shape.vlen as u16;
        let at = shape.value_offset(key_end);
        // SAFETY: callers sized the block for this shape; `at` is aligned to 8 for Int and V.
        unsafe {
            self.0.cast::<u64>().write(header.pack());
            let value = self.as_ptr().add(at);
            match payload {
                Payload::Int(n) => value.cast::<i64>().write(n),
                Payload::Bytes(b) => value.copy_from_nonoverlapping(b.as_ptr(), b.len()),
                Payload::Boxed(v) => value.cast::<V>().write(v),
            }
        }
    }

    #[inline]
    fn header(self) -> Header {
        // SAFETY: the block starts with its header.
        Header::unpack(unsafe { self.0.cast::<u64>().read() })
    }

    #[inline]
    fn key_len(self, h: Header) -> usize {
        if h.flags & BIG_KEY == 0 {
            return usize::from(h.klen);
        }
        // SAFETY: the flag says that the length lies before the key.
        unsafe { self.as_ptr().add(h.key_offset() - 8).cast::<u64>().read() as usize }
    }

    /// The key's bytes, for as long as the caller's promise holds.
    #[inline]
    pub fn key<'a>(self) -> &'a [u8] {
        let h = self.header();
        // SAFETY: the key lies there; the promise made with the handle covers the lifetime.
        unsafe { std::slice::from_raw_parts(self.as_ptr().add(h.key_offset()), self.key_len(h)) }
    }

    /// Whether the entry's key is `key`.
    #[inline]
    pub fn key_is(self, key: &[u8]) -> bool {
        let h = self.header();
        if key.len() >= BIG {
            return usize::from(h.klen) == BIG && self.key() == key;
        }
        if usize::from(h.klen) != key.len() {
            return false;
        }
        let key_at = HEADER + usize::from(h.flags & HAS_TTL);
        // SAFETY: a key shorter than BIG lies there, of that length.
        is_same(key, unsafe { std::slice::from_raw_parts(self.as_ptr().add(key_at), key.len()) })
    }

    /// Kind, length and offset of the value.
    #[inline]
    fn value_at(self) -> (Shape, usize) {
        let h = self.header();
        let shape = Shape { kind: h.flags & KIND, vlen: usize::from(h.vlen) };
        (shape, shape.value_offset(h.key_offset() + self.key_len(h)))
    }

    /// # Safety
    /// The value was written with the same `V`, and is not changed while the view lives.
    #[inline]
    pub unsafe fn view<'a, V>(self) -> View<'a, V> {
        let (shape, at) = self.value_at();
        // SAFETY: the value lies at `at`, as its kind says; the caller's promise for the lifetime.
        unsafe {
            let value = self.as_ptr().add(at);
            match shape.kind {
                INT => View::Int(value.cast::<i64>().read()),
                BYTES => View::Bytes(std::slice::from_raw_parts(value, shape.vlen)),
                _ => View::Boxed(&*value.cast::<V>()),
            }
        }
    }

    /// # Safety
    /// The value was written with the same `V`, and nobody else looks at it while the view lives.
    #[inline]
    pub unsafe fn view_mut<'a, V>(self) -> ViewMut<'a, V> {
        let (shape, at) = self.value_at();
        // SAFETY: as in `view`.
        unsafe {
            let value = self.as_ptr().add(at);
            match shape.kind {
                INT => ViewMut::Int(value.cast::<i64>().read()),
                BYTES => ViewMut::Bytes(std::slice::from_raw_parts_mut(value, shape.vlen)),
                _ => ViewMut::Boxed(&mut *value.cast::<V>()),
            }
        }
    }

    /// Moves the value out. The entry may then only be overwritten or freed.
    ///
    /// # Safety
    /// The value was written with the same `V` and is not read again.
    pub unsafe fn take<V>(self) -> Owned<V> {
        let (shape, at) = self.value_at();
        // SAFETY: as in `view`; a V is moved out once, by the caller's promise.
        unsafe {
            let value = self.as_ptr().add(at);
            match shape.kind {
                INT => Owned::Int(value.cast::<i64>().read()),
                BYTES => Owned::Bytes(std::slice::from_raw_parts(value, shape.vlen).to_vec()),
                _ => Owned::Boxed(value.cast::<V>().read()),
            }
        }
    }

    /// As [`Entry::take`], for overwriting: only a `V` is given back, nothing is copied.
    ///
    /// # Safety
    /// As [`Entry::take`].
    #[inline]
    pub unsafe fn take_boxed<V>(self) -> Option<V> {
        let (shape, at) = self.value_at();
        if shape.kind != BOXED {
            return None;
        }
        // SAFETY: as in `take`.
        Some(unsafe { self.as_ptr().add(at).cast::<V>().read() })
    }

    #[inline]
    pub fn is_boxed(self) -> bool {
        self.header().flags & KIND == BOXED
    }

    /// Bytes asked of the heap for this entry.
    #[inline]
    pub fn size(self) -> usize {
        let (shape, at) = self.value_at();
        at + shape.vlen
    }

    /// Bytes that its block takes.
    #[inline]
    pub fn block_size<B: Blocks>(self) -> usize {
        B::block_size(self.size(), self.header().flags & SLAB != 0)
    }

    /// Overwrites the value when the new one fits the block's size class; gives the payload back when not. The old value must
    /// have been taken out.
    #[inline]
    pub fn overwrite<V, B: Blocks>(self, payload: Payload<V>) -> Result<(), Payload<V>> {
        let h = self.header();
        let key_end = h.key_offset() + self.key_len(h);
        let shape = Shape::of(&payload);
        let slab = h.flags & SLAB != 0;
        if B::block_size(shape.value_offset(key_end) + shape.vlen, slab) != B::block_size(self.size(), slab) {
            return Err(payload);
        }
        self.put(payload, shape, key_end);
        Ok(())
    }

    /// Writes a text over another when neither has a TTL and both fit the same size class, and clears the mark: what most SETs do.
    /// Else nothing happens, and false is said.
    #[inline]
    pub fn rewrite<B: Blocks>(self, text: &[u8]) -> bool {
        let h = self.header();
        if h.flags & (KIND | HAS_TTL | BIG_KEY) != BYTES || text.len() > INLINE_MAX {
            return false;
        }
        let key_end = HEADER + usize::from(h.klen);
        let (before, after) = (key_end + usize::from(h.vlen), key_end + text.len());
        let slab = h.flags & SLAB != 0;
        if before != after && B::block_size(before, slab) != B::block_size(after, slab) {
            return false;
        }
        let header = Header { flags: h.flags & !MARK, vlen: text.len() as u16, ..h };
        // SAFETY: the value of a key without TTL, shorter than BIG, lies at `key_end`, and the block has room for the new one.
        unsafe {
            self.0.cast::<u64>().write(header.pack());
            self.as_ptr().add(key_end).copy_from_nonoverlapping(text.as_ptr(), text.len());
        }
        true
    }

    #[inline]
    pub fn expire_at(self) -> Option<i64> {
        if self.header().flags & HAS_TTL == 0 {
            return None;
        }
        // SAFETY: the flag says that the TTL lies behind the header.
        Some(unsafe { self.as_ptr().add(HEADER).cast::<i64>().read() })
    }

    /// Changes the TTL of an entry that has one.
    #[inline]
    pub fn set_expire_in_place(self, at: i64) {
        debug_assert!(self.expire_at().is_some());
        // SAFETY: the entry has a TTL, so the field exists.
        unsafe { self.as_ptr().add(HEADER).cast::<i64>().write(at) };
    }

    #[inline]
    pub fn access(self) -> u32 {
        self.header().access
    }

    #[inline]
    pub fn set_access(self, access: u32) {
        self.update_header(|h| h.access = access);
    }

    #[inline]
    pub fn mark(self) -> u8 {
        (self.header().flags & MARK) >> MARK_SHIFT
    }

    #[inline]
    pub fn set_mark(self, mark: u8) {
        self.update_header(|h| h.flags = h.flags & !MARK | mark << MARK_SHIFT & MARK);
    }

    #[inline]
    fn update_header(self, change: impl FnOnce(&mut Header)) {
        let mut h = self.header();
        change(&mut h);
        // SAFETY: the block starts with its header, which no reference covers; tables are not shared between threads.
        unsafe { self.0.cast::<u64>().write(h.pack()) };
    }

    /// Frees the block; the value must have been taken out or need no drop.
    ///
    /// # Safety
    /// The block came from `heap` and no copy of the handle is used again.
    #[inline]
    pub unsafe fn free<B: Blocks>(self, heap: &mut B) {
        let (size, slab) = (self.size(), self.header().flags & SLAB != 0);
        // SAFETY: the caller's promise; the size is the one that it was allocated with, or of the same class.
        unsafe { heap.free(self.0, size, slab) };
    }
}

/// An entry being read. The access bits may be updated through it (a table is never shared between threads).
pub struct Ref<'a, V> {
    entry: Entry,
    table: PhantomData<&'a V>,
}

impl<'a, V> Ref<'a, V> {
    /// # Safety
    /// The entry holds a `V` if it is boxed, and nothing changes or frees it during `'a`.
    #[inline]
    pub(super) unsafe fn new(entry: Entry) -> Self {
        Ref { entry, table: PhantomData }
    }

    /// A handle that outlasts the loan of the table.
    ///
    /// # Safety
    /// It is not used once the entry has left the table or its block may have moved.
    #[inline]
    pub(super) unsafe fn entry(&self) -> Entry {
        self.entry
    }

    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.entry.key()
    }

    #[inline]
    pub fn view(&self) -> View<'a, V> {
        // SAFETY: the promise made in `new`.
        unsafe { self.entry.view() }
    }

    /// When the key expires, unix ms.
    #[inline]
    pub fn expire_at(&self) -> Option<i64> {
        self.entry.expire_at()
    }

    /// The 24 access bits: the store's eviction clock or counter.
    #[inline]
    pub fn access(&self) -> u32 {
        self.entry.access()
    }

    #[inline]
    pub fn set_access(&self, access: u32) {
        self.entry.set_access(access);
    }

    /// The 2 bits that are the user's.
    #[inline]
    pub fn mark(&self) -> u8 {
        self.entry.mark()
    }

    /// Bytes that the entry takes in the blocks of its table, size class included.
    pub fn heap_bytes_in<B: Blocks>(&self) -> usize {
        self.entry.block_size::<B>()
    }

    /// The same for a table with a heap of its own.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes_in::<super::heap::Heap>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::heap::Heap;
    use super::*;

    #[test]
    fn keys_are_compared_to_the_last_byte() {
        for len in 0..70 {
            let key: Vec<u8> = (0..len).collect();
            assert!(is_same(&key, &key.clone()));
            for i in 0..key.len() {
                let mut other = key.clone();
                other[i] ^= 1;
                assert!(!is_same(&key, &other), "{len}, {i}");
            }
        }
    }

    #[test]
    fn a_text_is_rewritten_only_where_it_fits_and_nothing_expires() {
        let mut heap = Heap::new();
        let mut write = |payload, expire| Entry::write::<u64, Heap>(&mut heap, b"key", payload, expire, 7, 2);
        let entry = write(Payload::Bytes(b"12345"), None);
        assert!(entry.rewrite::<Heap>(b"ab"));
        // SAFETY: it is of this type, and lives as long as the heap.
        assert!(matches!(unsafe { entry.view::<u64>() }, View::Bytes(b"ab")));
        assert_eq!((entry.key(), entry.access(), entry.mark(), entry.size()), (&b"key"[..], 7, 0, 13));
        assert!(!entry.rewrite::<Heap>(b"123456"));
        // SAFETY: as above.
        assert!(matches!(unsafe { entry.view::<u64>() }, View::Bytes(b"ab")));
        assert!(!write(Payload::Bytes(b"12345"), Some(1)).rewrite::<Heap>(b"12345"));
        assert!(!write(Payload::Int(5), None).rewrite::<Heap>(b"12345678"));
        assert!(!write(Payload::Boxed(5), None).rewrite::<Heap>(b"12345678"));
    }
}
