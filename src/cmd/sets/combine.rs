//! Intersection, union and difference of sets that are all in sight.
//!
//! | | cost |
//! |---|---|
//! | intersection | members of the smallest set, each looked up in the others until one lacks it |
//! | union | all members |
//! | difference by probing | members of the first set, each looked up in the others until one has it |
//! | difference by subtracting | all members: a copy of the first set, from which the others' are removed |
//!
//! Which difference is cheaper follows from the sizes. Results grow through the forms of a set as Redis's do, since OBJECT
//! ENCODING shows in which form a stored one ended.

use crate::ds::listpack::Element;
use crate::ds::set::{Limits, Member, Set};

fn same(a: &Set, b: &Set) -> bool {
    std::ptr::eq(a, b)
}

/// Gives what all sets have to `found` until it returns false. There is at least one set.
pub fn inter<'a>(sets: &mut [&'a Set], mut found: impl FnMut(Member<'a>) -> bool) {
    sets.sort_by_key(|set| set.len());
    let [smallest, others @ ..] = &*sets else { return };
    smallest.each(|member| {
        let everywhere = others.iter().all(|set| same(set, smallest) || set.contains(member));
        !everywhere || found(member)
    });
}

/// The intersection as it is stored.
pub fn inter_stored(sets: &mut [&Set], limits: &Limits) -> Set {
    sets.sort_by_key(|set| set.len());
    let of_ints = sets.first().is_some_and(|set| set.as_ints().is_some());
    let mut result = if of_ints { Set::ints() } else { Set::pack() };
    let mut only_ints = true;
    inter(sets, |member| {
        only_ints = only_ints && member.with(|text| matches!(Element::of(text), Element::Int(_)));
        result.add(member, limits);
        true
    });
    if only_ints {
        result.make_ints(limits);
    }
    result
}

/// An empty set for a result that is replied: an intset if that will do, else a table, which is quickest.
pub fn scratch(sets: &[Option<&Set>], limits: &Limits) -> Set {
    let ints = sets.iter().flatten().all(|set| set.as_ints().is_some());
    if ints { Set::ints() } else { Set::table(limits.seed) }
}

/// The union, put into `result`.
pub fn union(sets: &[Option<&Set>], mut result: Set, limits: &Limits) -> Set {
    for set in sets.iter().flatten() {
        set.each(|member| {
            result.add(member, limits);
            true
        });
    }
    result
}

/// How a difference is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It is empty.
    Nothing,
    Probe,
    Subtract,
}

/// The better way. Probing gets some advantage: it ends early where sets have much in common.
pub fn way(sets: &[Option<&Set>]) -> Way {
    let [Some(first), others @ ..] = sets else { return Way::Nothing };
    if others.iter().flatten().any(|set| same(set, first)) {
        return Way::Nothing;
    }
    let there = sets.iter().flatten();
    let (probe, subtract) =
        there.fold((0, 0), |(probe, subtract), set| (probe + first.len(), subtract + set.len()));
    if probe / 2 <= subtract { Way::Probe } else { Way::Subtract }
}

/// Gives the members of the first set that no other has to `found`. The largest of the others is asked first.
pub fn probe<'a>(sets: &[Option<&'a Set>], mut found: impl FnMut(Member<'a>)) {
    let [Some(first), others @ ..] = sets else { return };
    let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    first.each(|member| {
        if !others.iter().any(|set| set.contains(member)) {
            found(member);
        }
        true
    });
}

/// The first set's members, put into `result`, less those of the others.
pub fn subtract(sets: &[Option<&Set>], result: Set, limits: &Limits) -> Set {
    let [first, others @ ..] = sets else { return result };
    let mut result = union(&[*first], result, limits);
    for set in others.iter().flatten() {
        set.each(|member| {
            result.remove(member);
            true
        });
        if result.is_empty() {
            break;
        }
    }
    result
}

/// The difference as it is stored.
pub fn diff_stored(sets: &[Option<&Set>], limits: &Limits) -> Set {
    let mut result = Set::ints();
    match way(sets) {
        Way::Nothing => {}
        Way::Probe => probe(sets, |member| _ = result.add(member, limits)),
        Way::Subtract => return subtract(sets, result, limits),
    }
    result
}
