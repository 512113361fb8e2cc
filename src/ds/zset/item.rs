//! A member's place in the order: its score, and where the member itself lies.
//!
//! ```text
//! | score f64 | address of the member's entry in the table |      16 bytes, four to a cache line
//! ```
//! Only ties look at the members: scores decide nearly all comparisons without leaving the node.
//!
//! SAFETY contract: an item is good as long as its entry is in its table. An entry's block stays where it is while other
//! members come and go and while its own score changes (a score has one size), so what is to be kept is this: an item leaves
//! the tree before its entry leaves the table.

use super::super::entry::{Entry, Ref};
use std::cmp::Ordering;

/// See the module's text.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub score: f64,
    member: Entry,
}

const _: () = assert!(size_of::<Item>() == 16);

// SAFETY: an item is an address that is followed only by who holds the table that it points into; see `Large`.
unsafe impl Send for Item {}

impl Item {
    /// # Safety
    /// As in the module's text: the item is not used once its entry has left the table.
    pub unsafe fn new(score: f64, member: &Ref<'_, ()>) -> Item {
        // SAFETY: the caller's promise.
        Item { score, member: unsafe { member.entry() } }
    }

    /// The member's bytes; they last as long as the entry, which the tree's owner knows.
    #[inline]
    pub fn member<'a>(self) -> &'a [u8] {
        self.member.key()
    }

    /// Fetches the member's lines.
    #[inline]
    pub fn prefetch(self) {
        self.member.prefetch_key();
    }

    /// The order of a sorted set: by score, and by member where scores are equal.
    #[inline]
    pub fn against(self, score: f64, member: &[u8]) -> Ordering {
        match self.score.partial_cmp(&score) {
            Some(Ordering::Equal) => self.member().cmp(member),
            Some(order) => order,
            None => unreachable!("scores are not NaN"),
        }
    }

    /// The same for two items.
    #[inline]
    pub fn order(&self, other: &Item) -> Ordering {
        if self.score < other.score {
            Ordering::Less
        } else if self.score > other.score {
            Ordering::Greater
        } else {
            self.member().cmp(other.member())
        }
    }
}
