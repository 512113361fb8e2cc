//! Weights of elements, and the order that they make.

use super::options::Options;
use super::partial;
use super::source::{Elements, Span};
use crate::base::double::parse_weight;
use crate::resp::Error;
use crate::store::Keys;
use std::cmp::Ordering;

/// An element and what it is compared by.
struct Item {
    element: Span,
    weight: Weight,
}

#[derive(Clone, Copy)]
enum Weight {
    Number(f64),
    /// The text of the element, or of the key that BY names.
    Text(Span),
    /// That key is absent: it comes before all others.
    Absent,
}

/// Sorts the elements and leaves those of them that LIMIT leaves.
pub fn sort(elements: &mut Elements, keys: &mut Keys<'_>, options: &Options<'_>) -> Result<(), Error> {
    let (first, count) = options.window(elements.spans.len());
    if !elements.done && options.unsorted {
        elements.spans.truncate(first + count);
        elements.spans.drain(..first);
    } else if !elements.done {
        let mut items = weigh(elements, keys, options)?;
        let order = |one: &Item, other: &Item| {
            let order = compare(elements, options, one, other);
            if options.descending { order.reverse() } else { order }
        };
        match count < items.len() && options.by.is_some() {
            true => partial::sort(&mut items, first..first + count, &order),
            false => items.sort_by(order),
        }
        let sorted = items[first..first + count].iter().map(|item| item.element).collect();
        elements.spans = sorted;
    }
    Ok(())
}

fn weigh(elements: &mut Elements, keys: &mut Keys<'_>, options: &Options<'_>) -> Result<Vec<Item>, Error> {
    let (mut items, mut key, mut bad) = (Vec::with_capacity(elements.spans.len()), Vec::new(), false);
    let mut number = |text: &[u8]| {
        let number = parse_weight(text);
        bad |= number.is_none();
        Weight::Number(number.unwrap_or(0.0))
    };
    for i in 0..elements.spans.len() {
        let element = elements.spans[i];
        let weight = match (&options.by, options.alpha) {
            (None, true) => Weight::Text(element),
            (None, false) => number(elements.text(element)),
            (Some(by), true) => {
                let text = by.look(keys, elements.text(element), &mut key, |text| text.hold());
                text.map_or(Weight::Absent, |text| Weight::Text(elements.add(&text)))
            }
            (Some(by), false) => {
                let weight = by.look(keys, elements.text(element), &mut key, |text| text.with(&mut number));
                weight.unwrap_or(Weight::Number(0.0))
            }
        };
        items.push(Item { element, weight });
    }
    match bad {
        true => Err(Error::text_of("ERR One or more scores can't be converted into double")),
        false => Ok(items),
    }
}

fn compare(elements: &Elements, options: &Options<'_>, one: &Item, other: &Item) -> Ordering {
    let text = |span| match options.store {
        Some(_) => elements.text(span),
        // As C compares texts.
        None => up_to_nul(elements.text(span)),
    };
    match (one.weight, other.weight) {
        (Weight::Number(a), Weight::Number(b)) => match a.partial_cmp(&b) {
            None | Some(Ordering::Equal) => elements.text(one.element).cmp(elements.text(other.element)),
            Some(order) => order,
        },
        (Weight::Text(a), Weight::Text(b)) => text(a).cmp(text(b)),
        (Weight::Text(_), _) => Ordering::Greater,
        (_, Weight::Text(_)) => Ordering::Less,
        _ => Ordering::Equal,
    }
}

fn up_to_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}
