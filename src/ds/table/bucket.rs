//! A bucket: 14 places for entries in two cache lines, and the probe that searches it.
//!
//! ```text
//! | 14 fingerprints, u8 each | overflow u8 | version u8 |  14 slots, u64 each |   128 bytes, aligned to 128
//! fingerprint: the hash's low 8 bits; 0 means that the place is free (a hash byte of 0 becomes 1)
//! overflow:    how many entries lie in later buckets because this one was full when they came by
//! version:     the snapshot that the bucket was last written under (DESIGN 8)
//! slot:        | tag, high 17 bits | bits 46..3 of the entry's address | tag, low 2 bits | has a TTL |
//! ```
//! One comparison of 16 bytes finds the candidates, so a miss reads one line and a hit two, and the entry. The hash bits in
//! the slot let a segment be rebuilt without reading a single entry.
//!
//! SAFETY contract: a [`BucketRef`] is made for a live, initialised bucket that nobody else touches while the handle is used.

use super::super::entry::Entry;
use std::ptr::NonNull;

/// Places in a bucket.
pub const PLACES: usize = 14;
const ALL: u32 = (1 << PLACES) - 1;
/// Bits of hash in a slot.
pub const TAG_BITS: u32 = 19;
const ADDRESS: usize = 0x0000_7FFF_FFFF_FFF8;
const TTL: usize = 1;

/// See the module's text.
#[repr(C, align(128))]
pub struct Bucket {
    fingerprints: [u8; PLACES],
    overflow: u8,
    version: u8,
    slots: [Slot; PLACES],
}

const _: () = assert!(size_of::<Bucket>() == 128);
const _: () = assert!(size_of::<Slot>() == 8);
const _: () = assert!(std::mem::offset_of!(Bucket, version) == 15);

/// An entry's address with hash bits and the TTL flag around it.
#[derive(Clone, Copy)]
pub struct Slot(*mut u8);

impl Slot {
    #[inline]
    pub fn new(entry: Entry, tag: u32) -> Self {
        debug_assert_eq!(entry.as_ptr().addr() & !ADDRESS, 0, "the heap sees to it");
        let ttl = if entry.expire_at().is_some() { TTL } else { 0 };
        Slot(entry.as_ptr().map_addr(|a| a | ttl)).with_tag(tag)
    }

    #[inline]
    pub fn tag(self) -> u32 {
        let word = self.0.addr();
        ((word >> 47 << 2) | (word >> 1 & 0b11)) as u32
    }

    #[inline]
    pub fn with_tag(self, tag: u32) -> Self {
        debug_assert!(tag < 1 << TAG_BITS);
        let tag = tag as usize;
        Slot(self.0.map_addr(|a| a & (ADDRESS | TTL) | tag >> 2 << 47 | (tag & 0b11) << 1))
    }

    #[inline]
    pub fn has_ttl(self) -> bool {
        self.0.addr() & TTL != 0
    }

    /// The entry. The slot must have been read from an occupied place.
    #[inline]
    pub fn entry(self) -> Entry {
        // SAFETY: occupied places hold slots made from a live entry, whose address is not null.
        unsafe { Entry::from_raw(NonNull::new_unchecked(self.0.map_addr(|a| a & ADDRESS))) }
    }
}

/// The fingerprint of a hash; never 0.
#[inline]
pub fn fingerprint(hash: u64) -> u8 {
    let byte = hash as u8;
    byte | u8::from(byte == 0)
}

/// The set bits of a mask of places, lowest first.
#[derive(Clone, Copy)]
pub struct Places(pub u32);

impl Iterator for Places {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let place = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(place)
    }
}

/// A live bucket.
#[derive(Clone, Copy)]
pub struct BucketRef(*mut Bucket);

impl BucketRef {
    /// # Safety
    /// The bucket is live and initialised, and nobody else touches it while the handle or a copy of it is used.
    #[inline]
    pub unsafe fn from_raw(bucket: *mut Bucket) -> Self {
        BucketRef(bucket)
    }

    /// Writes an empty bucket.
    ///
    /// # Safety
    /// `bucket` is valid for writes and aligned.
    pub unsafe fn init(bucket: *mut Bucket, version: u8) {
        let mut line = [0; 16];
        line[15] = version;
        // SAFETY: the caller's promise. Slots of free places are never read, so they stay as they are.
        unsafe { bucket.cast::<[u8; 16]>().write(line) };
    }

    /// The places whose fingerprint is `fp`; 0 gives the free ones.
    #[inline]
    pub fn matches(self, fp: u8) -> Places {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a bucket starts with 16 bytes aligned to 16, and SSE2 is part of x86-64.
        let mask = unsafe { matches_sse2(self.0.cast(), fp) };
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        // SAFETY: a bucket starts with 16 initialised bytes.
        let mask = matches_naive(unsafe { &self.0.cast::<[u8; 16]>().read() }, fp);
        Places(mask & ALL)
    }

    #[inline]
    pub fn free_places(self) -> Places {
        self.matches(0)
    }

    #[inline]
    pub fn occupied(self) -> Places {
        Places(!self.matches(0).0 & ALL)
    }

    #[inline]
    pub fn slot(self, place: usize) -> Slot {
        debug_assert!(self.occupied().any(|p| p == place));
        // SAFETY: places are below PLACES and occupied ones are initialised.
        unsafe { (&raw const (*self.0).slots).cast::<Slot>().add(place).read() }
    }

    #[inline]
    pub fn fingerprint(self, place: usize) -> u8 {
        assert!(place < PLACES);
        // SAFETY: in bounds, and the bucket is live.
        unsafe { self.0.cast::<u8>().add(place).read() }
    }

    /// Fills a place.
    #[inline]
    pub fn set(self, place: usize, fp: u8, slot: Slot) {
        assert!(place < PLACES);
        // SAFETY: in bounds, and the bucket is live.
        unsafe {
            self.0.cast::<u8>().add(place).write(fp);
            (&raw mut (*self.0).slots).cast::<Slot>().add(place).write(slot);
        }
    }

    /// Replaces the slot of an occupied place.
    #[inline]
    pub fn set_slot(self, place: usize, slot: Slot) {
        self.set(place, self.fingerprint(place), slot);
    }

    /// Frees a place.
    #[inline]
    pub fn clear(self, place: usize) {
        assert!(place < PLACES);
        // SAFETY: in bounds, and the bucket is live.
        unsafe { self.0.cast::<u8>().add(place).write(0) };
    }

    #[inline]
    pub fn overflow(self) -> u8 {
        // SAFETY: the bucket is live.
        unsafe { (*self.0).overflow }
    }

    /// Counts an entry that went on to a later bucket.
    #[inline]
    pub fn pass(self) {
        // SAFETY: the bucket is live. The count cannot overflow: `segment::PROBES` sees to it.
        unsafe { (*self.0).overflow += 1 }
    }

    /// Takes back a [`BucketRef::pass`].
    #[inline]
    pub fn unpass(self) {
        // SAFETY: the bucket is live.
        unsafe { (*self.0).overflow -= 1 }
    }

    /// The snapshot version that the bucket was last written under.
    #[inline]
    pub fn version(self) -> u8 {
        // SAFETY: the bucket is live.
        unsafe { (*self.0).version }
    }

    /// Marks the bucket as written under this version.
    #[inline]
    pub fn set_version(self, version: u8) {
        // SAFETY: the bucket is live.
        unsafe { (*self.0).version = version }
    }

    /// Fetches both lines.
    #[inline]
    pub fn prefetch(self) {
        prefetch(self.0.cast());
        prefetch(self.0.cast::<u8>().wrapping_add(64));
    }
}

/// Fetches the cache line of an address, which need not be valid.
#[inline]
pub fn prefetch(p: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint and does not fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(p.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = p;
}

/// Bit i is set when byte i of the 16 at `bytes` is `byte`.
///
/// # Safety
/// `bytes` is valid for 16 bytes and aligned to 16.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn matches_sse2(bytes: *const u8, byte: u8) -> u32 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_load_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: the caller's promise; SSE2 is part of x86-64.
    unsafe {
        let line = _mm_load_si128(bytes.cast::<__m128i>());
        _mm_movemask_epi8(_mm_cmpeq_epi8(line, _mm_set1_epi8(byte as i8))) as u32
    }
}

/// The plain twin of the SIMD probe: Miri, other processors, and its test run it.
#[cfg(any(test, miri, not(target_arch = "x86_64")))]
fn matches_naive(bytes: &[u8; 16], byte: u8) -> u32 {
    bytes.iter().enumerate().fold(0, |mask, (i, &b)| mask | u32::from(b == byte) << i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn probe_is_its_twin() {
        #[repr(align(16))]
        struct Line([u8; 16]);
        let mut state = 1u64;
        for _ in 0..10_000 {
            let mut line = Line([0; 16]);
            for b in &mut line.0 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *b = (state >> 61) as u8;
            }
            for byte in 0..9 {
                // SAFETY: the line is 16 aligned bytes.
                assert_eq!(unsafe { matches_sse2(line.0.as_ptr(), byte) }, matches_naive(&line.0, byte));
            }
        }
    }

    #[test]
    fn an_empty_bucket_is_empty() {
        let mut bucket = std::mem::MaybeUninit::<Bucket>::uninit();
        // SAFETY: the memory is ours.
        let b = unsafe {
            BucketRef::init(bucket.as_mut_ptr(), 3);
            BucketRef::from_raw(bucket.as_mut_ptr())
        };
        assert_eq!((b.occupied().count(), b.free_places().count()), (0, PLACES));
        assert_eq!((b.overflow(), b.version()), (0, 3));
    }
}
