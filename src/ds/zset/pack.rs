//! The small form of a sorted set: a listpack of members and scores in turn, in order, as Redis lays it out.
//!
//! ```text
//!  | member | score | member | score | ...       a score that is a whole number is stored as an integer, others as text
//! ```
//! Everything is O(bytes), which the thresholds keep small. A score of -0 is a whole number here, so it becomes 0, as in Redis.

use crate::base::double::{parse_double, whole, write_double};
use crate::ds::listpack::{BYTES_MAX, Element, Listpack};
use std::cmp::Ordering;

/// The longest text of a score: sign, digits, point, exponent.
const SCORE_TEXT_MAX: usize = 32;
/// What a listpack may grow to, in bytes: with room for what surrounds an element.
const PACK_MAX: usize = BYTES_MAX - 1024;

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Pack(Listpack);

/// Where a member stands: the position of its element, and its rank.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    rank: usize,
    score: f64,
}

impl Pack {
    /// Takes a listpack from outside; None unless it holds pairs in order, each member once, with scores that are numbers.
    pub fn from_listpack(pack: Listpack) -> Option<Pack> {
        if !is_sorted_set(&pack)? {
            return None;
        }
        // Members are looked for in the form that they are stored in here: the text of an integer as an integer.
        if pack.iter().all(|element| is_shortest(element)) {
            return Some(Pack(pack));
        }
        let mut own = Listpack::new();
        // All at once: there may be millions, from outside.
        let elements: Vec<Element<'_>> = pack.iter().map(Element::shortest).collect();
        own.insert_all(own.end(), &elements);
        Some(Pack(own))
    }

    pub fn listpack(&self) -> &Listpack {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len() / 2
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a member of this length may come in without the block's growing out of bounds.
    pub fn has_room(&self, member: usize) -> bool {
        self.0.bytes() + member + SCORE_TEXT_MAX < PACK_MAX
    }

    fn score_at(&self, member_at: usize) -> f64 {
        score_from(self.0.get(self.0.behind(member_at))).expect("a member is followed by its score")
    }

    fn find(&self, member: &[u8]) -> Option<usize> {
        self.0.first().and_then(|first| self.0.find(first, member, 2))
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|at| self.score_at(at))
    }

    /// The places of all members, in order.
    fn places(&self) -> impl Iterator<Item = Place> {
        let at = std::iter::successors(self.0.first(), |at| self.0.next(self.0.behind(*at)));
        at.enumerate().map(|(rank, at)| Place { at, rank, score: self.score_at(at) })
    }

    /// Adds a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        let element = Element::of(member);
        let behind = self.places().find(|place| {
            place.score > score
                || place.score == score && compare(self.0.get(place.at), element) == Ordering::Greater
        });
        self.put(behind.map_or(self.0.end(), |place| place.at), element, score);
    }

    /// Adds a member behind all others, where it belongs.
    pub fn push(&mut self, member: &[u8], score: f64) {
        self.put(self.0.end(), Element::of(member), score);
    }

    fn put(&mut self, at: usize, member: Element<'_>, score: f64) {
        let mut text = Vec::new();
        let score = match whole(score) {
            Some(n) => Element::Int(n),
            None => {
                write_double(&mut text, score);
                Element::of(&text)
            }
        };
        self.0.insert_all(at, &[member, score]);
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.find(member)?;
        let score = self.score_at(at);
        self.0.remove(at, 2);
        Some(score)
    }

    /// Takes the members of ranks `from..to` out.
    pub fn remove_range(&mut self, from: usize, to: usize) {
        if let Some(at) = self.0.seek(2 * from as i64) {
            self.0.remove(at, 2 * (to - from));
        }
    }

    /// How many members from the lowest on `holds` is true of.
    pub fn count_while(&self, holds: impl Fn(f64, &[u8]) -> bool) -> usize {
        let first =
            self.places().find(|place| !self.0.get(place.at).with(|member| holds(place.score, member)));
        first.map_or(self.len(), |place| place.rank)
    }

    /// A member's rank and score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let element = Element::of(member);
        let found = self.places().find(|place| self.0.get(place.at) == element)?;
        Some((found.rank, found.score))
    }

    /// Gives `f` up to `count` members from rank `from` on, until it returns false; from the highest down with `reverse`.
    pub fn walk(
        &self,
        from: usize,
        count: usize,
        reverse: bool,
        mut f: impl FnMut(Element<'_>, f64) -> bool,
    ) {
        if from >= self.len() {
            return;
        }
        let from = if reverse { self.len() - 1 - from } else { from };
        let mut at = self.0.seek(2 * from as i64);
        for _ in 0..count {
            let Some(here) = at else { return };
            if !f(self.0.get(here), self.score_at(here)) {
                return;
            }
            at = match reverse {
                false => self.0.next(self.0.behind(here)),
                true => self.0.before(here).and_then(|score| self.0.before(score)),
            };
        }
    }
}

/// Whether an element is not a string that could be an integer.
fn is_shortest(element: Element<'_>) -> bool {
    match element {
        Element::Int(_) => true,
        Element::Str(text) => Element::of(text) == element,
    }
}

/// Whether a listpack holds a sorted set; None when a member has no score.
fn is_sorted_set(pack: &Listpack) -> Option<bool> {
    let mut members = Vec::with_capacity(pack.len() / 2);
    let mut elements = pack.iter();
    let mut last: Option<(Element<'_>, f64)> = None;
    while let Some(member) = elements.next() {
        let score = score_from(elements.next()?)?;
        if last.is_some_and(|(before, s)| order(before, s, score, member) != Ordering::Less) {
            return Some(false);
        }
        last = Some((member, score));
        members.push(member);
    }
    members.sort_unstable_by(|a, b| compare(*a, *b));
    Some(members.windows(2).all(|pair| compare(pair[0], pair[1]) != Ordering::Equal))
}

/// The score that an element is; None when it is no number.
fn score_from(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(n) => Some(n as f64),
        Element::Str(text) => parse_double(text),
    }
}

/// How two elements' texts compare.
fn compare(a: Element<'_>, b: Element<'_>) -> Ordering {
    a.with(|a| b.with(|b| a.cmp(b)))
}

/// How a member and its score stand to another score and member.
fn order(member: Element<'_>, score: f64, other_score: f64, other: Element<'_>) -> Ordering {
    match score.partial_cmp(&other_score) {
        Some(Ordering::Equal) | None => compare(member, other),
        Some(order) => order,
    }
}
