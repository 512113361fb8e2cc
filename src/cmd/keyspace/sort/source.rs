//! The elements that are sorted.

use super::options::Options;
use crate::ds::View;
use crate::ds::list::End;
use crate::ds::zset::Zset;
use crate::resp::Error;
use crate::store::{Keys, Value};

/// A text in [`Elements`]: from where to where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: usize,
    pub to: usize,
}

/// Texts in one block, so that a million elements are not a million allocations.
#[derive(Default)]
pub struct Elements {
    block: Vec<u8>,
    pub spans: Vec<Span>,
    /// Whether the order of [`Elements::spans`] is what was asked for, LIMIT included.
    pub done: bool,
}

impl Elements {
    /// Adds a text without making it an element.
    pub fn add(&mut self, text: &[u8]) -> Span {
        let from = self.block.len();
        self.block.extend_from_slice(text);
        Span { from, to: self.block.len() }
    }

    fn push(&mut self, text: &[u8]) {
        let span = self.add(text);
        self.spans.push(span);
    }

    /// A text.
    pub fn text(&self, span: Span) -> &[u8] {
        &self.block[span.from..span.to]
    }
}

/// The elements of a key; none of a key that is absent.
pub fn gather(keys: &mut Keys<'_>, key: &[u8], options: &Options<'_>) -> Result<Elements, Error> {
    let mut elements = Elements::default();
    let value = match keys.read(key).map(|entry| entry.view()) {
        None => return Ok(elements),
        Some(View::Boxed(value)) => value,
        Some(View::Int(_) | View::Bytes(_)) => return Err(Error::WrongType),
    };
    match value {
        Value::List(list) => {
            let (mut from, mut count, mut end) = (0, list.len(), End::Front);
            if options.unsorted {
                (from, count) = options.window(list.len());
                elements.done = true;
                if options.descending {
                    (from, end) = (list.len().saturating_sub(from + 1), End::Back);
                }
            }
            list.each(from, count, end, |element| element.with(|text| elements.push(text)));
        }
        Value::Set(set) => set.each(|member| {
            member.with(|text| elements.push(text));
            true
        }),
        Value::Zset(_) => gather_sorted(keys, key, options, &mut elements)?,
        Value::Str(_) | Value::Hash(_) | Value::Stream(_) => return Err(Error::WrongType),
    }
    Ok(elements)
}

/// The members of a sorted set. As in Redis, a listpack becomes a `skiplist` when it is sorted.
fn gather_sorted(
    keys: &mut Keys<'_>,
    key: &[u8],
    options: &Options<'_>,
    elements: &mut Elements,
) -> Result<(), Error> {
    let seed = keys.seed();
    let Some(mut zset) = keys.edit::<Zset>(key)? else { return Ok(()) };
    zset.enlarge(seed);
    let (mut from, mut count) = (0, zset.len());
    if options.unsorted {
        (from, count) = options.window(zset.len());
        elements.done = true;
    }
    zset.walk(from, count, options.unsorted && options.descending, |member, _| {
        member.with(|text| elements.push(text));
        true
    });
    Ok(())
}
