//! Sorting so far that one range is in order: Bentley and McIlroy, "Engineering a Sort Function" (1993), without the parts that
//! do not meet the range.
//!
//! The order of elements that are equal to the comparison follows from the algorithm's every swap, and a client sees it: Redis uses
//! this one for BY with LIMIT. So what is chosen as a pivot, and when parts are too short to be split, is as in the paper.

use std::cmp::Ordering;
use std::ops::Range;

/// Shorter parts are sorted by insertion.
const SHORT: usize = 7;
/// Longer parts take the median of three medians as the pivot.
const LONG: usize = 40;

/// Brings the items in the range to where they are when all are sorted.
pub fn sort<T>(items: &mut [T], wanted: Range<usize>, order: &impl Fn(&T, &T) -> Ordering) {
    if !wanted.is_empty() {
        let levels = 4 * (items.len().max(2).ilog2() as usize + 1);
        part(items, 0, &wanted, order, levels);
    }
}

/// `base` is where the part begins, `levels` how often it may yet be split: unlucky pivots must not take quadratic time.
fn part<T>(
    items: &mut [T],
    base: usize,
    wanted: &Range<usize>,
    order: &impl Fn(&T, &T) -> Ordering,
    levels: usize,
) {
    if items.len() < SHORT {
        return insertion(items, order);
    }
    if levels == 0 {
        return items.sort_by(order);
    }
    let pivot = pivot(items, order);
    items.swap(0, pivot);
    let (less, greater) = split(items, order);
    let len = items.len();
    for (from, count) in [(0, less), (len - greater, greater)] {
        let (first, last) = (base + from, base + from + count);
        if count > 1 && first < wanted.end && wanted.start < last {
            part(&mut items[from..from + count], first, wanted, order, levels - 1);
        }
    }
}

fn insertion<T>(items: &mut [T], order: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && order(&items[at - 1], &items[at]).is_gt() {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

fn pivot<T>(items: &[T], order: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (mut low, mut middle, mut high) = (0, items.len() / 2, items.len() - 1);
    if items.len() == SHORT {
        return middle;
    }
    if items.len() > LONG {
        let step = items.len() / 8;
        low = median(items, [low, low + step, low + 2 * step], order);
        middle = median(items, [middle - step, middle, middle + step], order);
        high = median(items, [high - 2 * step, high - step, high], order);
    }
    median(items, [low, middle, high], order)
}

fn median<T>(items: &[T], [a, b, c]: [usize; 3], order: &impl Fn(&T, &T) -> Ordering) -> usize {
    let less = |one: usize, other: usize| order(&items[one], &items[other]).is_lt();
    match less(a, b) {
        true if less(b, c) => b,
        true if less(a, c) => c,
        true => a,
        false if order(&items[b], &items[c]).is_gt() => b,
        false if less(a, c) => a,
        false => c,
    }
}

/// Splits into what is less than the first item, equal to it, and greater; how many are less, and how many greater.
fn split<T>(items: &mut [T], order: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let len = items.len();
    // Equal ones are gathered at both ends: before `low`, and behind `high`.
    let (mut low, mut up, mut down, mut high) = (1, 1, len - 1, len - 1);
    loop {
        while up <= down {
            match order(&items[up], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(low, up);
                    low += 1;
                }
                Ordering::Less => {}
            }
            up += 1;
        }
        while up <= down {
            match order(&items[down], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    items.swap(down, high);
                    high -= 1;
                }
                Ordering::Greater => {}
            }
            down -= 1;
        }
        if up > down {
            break;
        }
        items.swap(up, down);
        up += 1;
        down -= 1;
    }
    let (less, greater) = (up - low, high - down);
    // And then brought to the middle.
    let moved = low.min(less);
    (0..moved).for_each(|i| items.swap(i, up - moved + i));
    let moved = greater.min(len - 1 - high);
    (0..moved).for_each(|i| items.swap(up + i, len - moved + i));
    (less, greater)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};

    #[test]
    fn the_range_is_as_if_all_were_sorted() {
        let mut rng = seeded(3);
        for round in 0..2_000 {
            let len = xorshift(&mut rng) as usize % if round % 50 == 0 { 2_000 } else { 60 };
            let values = 1 + xorshift(&mut rng) % 100;
            let items: Vec<u64> = (0..len).map(|_| xorshift(&mut rng) % values).collect();
            let start = xorshift(&mut rng) as usize % (len + 1);
            let end = start + xorshift(&mut rng) as usize % (len - start + 1);
            let (mut partly, mut sorted) = (items.clone(), items);
            sort(&mut partly, start..end, &u64::cmp);
            sorted.sort_unstable();
            assert_eq!(partly[start..end], sorted[start..end]);
            partly.sort_unstable();
            assert_eq!(partly, sorted, "nothing is lost");
        }
    }

    /// Input on which each pivot is nearly the least (McIlroy, "A Killer Adversary for Quicksort", 1999).
    #[test]
    fn no_input_takes_quadratic_time() {
        use std::cell::{Cell, RefCell};
        let len = 20_000;
        let values = RefCell::new(vec![usize::MAX; len]);
        let (solid, candidate, compared) = (Cell::new(0), Cell::new(0), Cell::new(0usize));
        let order = |a: &usize, b: &usize| {
            compared.set(compared.get() + 1);
            let mut values = values.borrow_mut();
            if values[*a] == usize::MAX && values[*b] == usize::MAX {
                values[if *a == candidate.get() { *a } else { *b }] = solid.get();
                solid.set(solid.get() + 1);
            }
            if values[*a] == usize::MAX {
                candidate.set(*a);
            } else if values[*b] == usize::MAX {
                candidate.set(*b);
            }
            values[*a].cmp(&values[*b])
        };
        let mut items: Vec<usize> = (0..len).collect();
        sort(&mut items, 0..len - 1, &order);
        assert!(compared.get() < 200 * len, "{}", compared.get());
    }
}
