//! The two forms of a hash that are listpacks: see the module's text. Positions are those of a field.

use super::super::View;
use super::super::listpack::{Element, Listpack};
use super::{Expiry, Field};
use bytes::Bytes;

/// Elements of a field in a listpack.
pub const PAIR: usize = 2;
/// Elements of a field in a listpackex.
pub const TRIPLE: usize = 3;

/// In the place of an expiry: the field has none.
const NEVER: Element<'static> = Element::Int(0);

fn expiry_of(element: Element<'_>) -> Option<i64> {
    match element {
        Element::Int(at) if at > 0 => Some(at),
        Element::Int(_) | Element::Str(_) => None,
    }
}

fn element_of(expire_at: Option<i64>) -> Element<'static> {
    expire_at.map_or(NEVER, Element::Int)
}

fn view(element: Element<'_>) -> View<'_, Bytes> {
    match element {
        Element::Int(n) => View::Int(n),
        Element::Str(text) => View::Bytes(text),
    }
}

#[inline]
pub fn find(pack: &Listpack, field: &[u8], width: usize) -> Option<usize> {
    pack.find(pack.first()?, field, width)
}

#[inline]
pub fn value(pack: &Listpack, at: usize) -> View<'_, Bytes> {
    view(pack.get(pack.behind(at)))
}

pub fn expiry(pack: &Listpack, at: usize) -> Option<i64> {
    expiry_of(pack.get(pack.behind(pack.behind(at))))
}

pub fn field(pack: &Listpack, at: usize, width: usize) -> Field<'_> {
    let behind = pack.behind(at);
    let expire_at = (width == TRIPLE).then(|| expiry_of(pack.get(pack.behind(behind)))).flatten();
    Field { name: pack.get(at), value: view(pack.get(behind)), expire_at }
}

/// The earliest expiry: the first field has it.
#[inline]
pub fn min_expire(pack: &Listpack) -> Option<i64> {
    expiry(pack, pack.first()?)
}

/// The fields of a listpack.
pub fn pairs(pack: &Listpack) -> impl Iterator<Item = Field<'_>> {
    let mut rest = pack.iter();
    std::iter::from_fn(move || Some(Field { name: rest.next()?, value: view(rest.next()?), expire_at: None }))
}

/// The fields of a listpackex.
pub fn triples(pack: &Listpack) -> impl Iterator<Item = Field<'_>> {
    let mut rest = pack.iter();
    std::iter::from_fn(move || {
        Some(Field { name: rest.next()?, value: view(rest.next()?), expire_at: expiry_of(rest.next()?) })
    })
}

/// Sets a field of a listpack; whether it is new.
#[inline]
pub fn set_pair(pack: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    match find(pack, field, PAIR) {
        Some(at) => {
            pack.replace(pack.behind(at), Element::of(value));
            false
        }
        None => {
            pack.insert_all(pack.end(), &[Element::of(field), Element::of(value)]);
            true
        }
    }
}

/// Sets a field of a listpackex; whether it is new.
pub fn set_triple(pack: &mut Listpack, field: &[u8], value: &[u8], keep: Expiry) -> bool {
    let Some(at) = find(pack, field, TRIPLE) else {
        pack.insert_all(pack.end(), &[Element::of(field), Element::of(value), NEVER]);
        return true;
    };
    if keep == Expiry::Keep || expiry(pack, at).is_none() {
        pack.replace(pack.behind(at), Element::of(value));
    } else {
        pack.remove(at, TRIPLE);
        pack.insert_all(pack.end(), &[Element::of(field), Element::of(value), NEVER]);
    }
    false
}

/// Where a field with this expiry belongs.
fn place(pack: &Listpack, expire_at: Option<i64>) -> usize {
    let Some(wanted) = expire_at else { return pack.end() };
    let mut at = pack.first();
    while let Some(here) = at {
        let behind = pack.behind(pack.behind(here));
        if expiry_of(pack.get(behind)).is_none_or(|theirs| theirs > wanted) {
            return here;
        }
        at = pack.next(behind);
    }
    pack.end()
}

/// Puts a field of a listpackex in its place; it is not there yet.
pub fn add_triple(pack: &mut Listpack, field: Element<'_>, value: Element<'_>, expire_at: Option<i64>) {
    pack.insert_all(place(pack, expire_at), &[field, value, element_of(expire_at)]);
}

/// Sets or removes the expiry of a field of a listpackex; false when it is not there.
pub fn set_expiry(pack: &mut Listpack, field: &[u8], expire_at: Option<i64>) -> bool {
    let Some(at) = find(pack, field, TRIPLE) else { return false };
    if expiry(pack, at) == expire_at {
        return true;
    }
    let value = pack.get(pack.behind(at)).to_vec();
    pack.remove(at, TRIPLE);
    add_triple(pack, Element::of(field), Element::of(&value), expire_at);
    true
}

/// Removes a field; whether it was there.
pub fn remove(pack: &mut Listpack, field: &[u8], width: usize) -> bool {
    let found = find(pack, field, width);
    if let Some(at) = found {
        pack.remove(at, width);
    }
    found.is_some()
}

/// Removes the fields of a listpackex that are due: those at the front. How many were looked at and removed.
pub fn expire(pack: &mut Listpack, now_ms: i64, budget: usize, f: &mut dyn FnMut(&[u8])) -> (usize, usize) {
    let is_due = |field: &Field<'_>| field.expire_at.is_some_and(|at| at <= now_ms);
    let due = triples(pack).take(budget).take_while(is_due).map(|field| field.name.with(&mut *f)).count();
    if let (Some(first), 1..) = (pack.first(), due) {
        pack.remove(first, due * TRIPLE);
    }
    (due, due)
}

/// The listpackex of a listpack.
pub fn with_expiries(pack: &Listpack) -> Listpack {
    let mut elements = Vec::with_capacity(pack.len() / PAIR * TRIPLE);
    let mut rest = pack.iter();
    while let (Some(field), Some(value)) = (rest.next(), rest.next()) {
        elements.extend([field, value, NEVER]);
    }
    let mut wider = Listpack::new();
    wider.insert_all(wider.end(), &elements);
    wider
}
