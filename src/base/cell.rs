//! The cell that a store is taken from and put back to: one cache line, one atomic word.
//!
//! ```text
//!  word: 0                 empty: somebody holds the value
//!        pointer           here: whoever swaps it for 0 owns the value
//!  wanted: true            the owner waits for the value: borrowers leave it alone until it has had its turn
//!  callers: bits           these want to hear when it is back: others may come before them
//!  holder: a number        who took it last, as far as takers say so: a hint
//! ```
//! A take is one swap, a put one store: about 20 cycles each when the line is near.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A cache-line-aligned `Option<Box<T>>` that any thread may take from and put back to.
#[repr(align(128))]
pub struct Cell<T> {
    value: AtomicPtr<T>,
    wanted: AtomicBool,
    callers: AtomicU64,
    holder: AtomicU32,
}

/// Who has to hear that a value is back.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Back {
    /// The owner, who waits for it.
    pub wanted: bool,
    /// Who asked to be called: a bit for each [`caller_bit`].
    pub callers: u64,
}

impl Back {
    /// Nobody has to.
    #[inline]
    pub fn is_quiet(self) -> bool {
        !self.wanted && self.callers == 0
    }
}

/// The bit of a caller by its number; several may share one, and are called together.
pub fn caller_bit(caller: usize) -> u64 {
    1 << (caller % 64)
}

impl<T: Send> Cell<T> {
    /// A cell with a value in it.
    pub fn new(value: Box<T>) -> Self {
        Cell {
            value: AtomicPtr::new(Box::into_raw(value)),
            wanted: AtomicBool::new(false),
            callers: AtomicU64::new(0),
            holder: AtomicU32::new(0),
        }
    }

    /// Takes the value, unless it is away or its owner waits for it.
    pub fn take(&self) -> Option<Box<T>> {
        if self.wanted.load(Ordering::SeqCst) {
            return None;
        }
        self.take_as_owner()
    }

    /// Takes the value when it is there, also when it is wanted. For the owner alone.
    pub fn take_as_owner(&self) -> Option<Box<T>> {
        // A plain load first: spinning on a swap would move the line from core to core for nothing.
        if self.value.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let taken = self.value.swap(ptr::null_mut(), Ordering::SeqCst);
        if taken.is_null() {
            return None;
        }
        // SAFETY: a non-null word is always a pointer that `Box::into_raw` gave (`new`, `put`), and the swap
        // left null behind, so nobody else can take the same pointer.
        Some(unsafe { Box::from_raw(taken) })
    }

    /// Puts the value back, and says who must be woken for it. Callers are told once.
    pub fn put(&self, value: Box<T>) -> Back {
        let before = self.value.swap(Box::into_raw(value), Ordering::SeqCst);
        assert!(before.is_null(), "a value was put into a cell that holds one");
        let mut callers = self.callers.load(Ordering::SeqCst);
        if callers != 0 {
            callers = self.callers.swap(0, Ordering::SeqCst);
        }
        Back { wanted: self.wanted.load(Ordering::SeqCst), callers }
    }

    /// A taker says who it is.
    #[inline]
    pub fn set_holder(&self, holder: usize) {
        self.holder.store(holder as u32, Ordering::Relaxed);
    }

    /// Who took the value last, as far as takers have said so.
    #[inline]
    pub fn holder(&self) -> usize {
        self.holder.load(Ordering::Relaxed) as usize
    }

    /// Asks to be called when the value is put back. Between asking and sleeping the caller must look once more: a put that came
    /// before does not know of it.
    pub fn call(&self, caller: usize) {
        self.callers.fetch_or(caller_bit(caller), Ordering::SeqCst);
    }

    /// Whether the value is here.
    pub fn is_home(&self) -> bool {
        !self.value.load(Ordering::SeqCst).is_null()
    }

    /// The owner says whether it waits. Between saying so and sleeping it must try to take once more: a put
    /// that came before does not know of the wish.
    pub fn set_wanted(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::SeqCst);
    }

    /// Whether the owner waits for the value.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: as in `take_as_owner`; `&mut self` rules out any other taker.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn one_taker_at_a_time() {
        let cell = Cell::new(Box::new(7));
        let held = cell.take().expect("there");
        assert!(cell.take().is_none());
        assert!(cell.put(held).is_quiet());
        assert_eq!(cell.take().as_deref(), Some(&7));
    }

    #[test]
    fn callers_are_told_once() {
        let cell = Cell::new(Box::new(7));
        let held = cell.take().expect("there");
        assert!(!cell.is_home());
        cell.call(3);
        cell.call(64);
        assert_eq!(cell.put(held), Back { wanted: false, callers: caller_bit(3) | caller_bit(0) });
        assert!(cell.is_home());
        let held = cell.take().expect("there");
        assert!(cell.put(held).is_quiet());
    }

    #[test]
    fn a_wanted_value_is_the_owners() {
        let cell = Cell::new(Box::new(7));
        let held = cell.take().expect("there");
        cell.set_wanted(true);
        assert!(cell.put(held).wanted, "the putter learns that the owner waits");
        assert!(cell.take().is_none());
        assert!(cell.take_as_owner().is_some());
    }

    #[test]
    fn many_threads_count_without_losing_one() {
        let cell = Arc::new(Cell::new(Box::new(0u64)));
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let cell = cell.clone();
                std::thread::spawn(move || {
                    for _ in 0..rounds {
                        let mut v = loop {
                            if let Some(v) = cell.take() {
                                break v;
                            }
                            std::thread::yield_now();
                        };
                        *v += 1;
                        assert!(cell.put(v).is_quiet());
                    }
                })
            })
            .collect();
        for t in threads {
            t.join().expect("no panic");
        }
        assert_eq!(*cell.take().expect("there"), 4 * rounds);
    }
}
