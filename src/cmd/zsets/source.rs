//! What the commands of several sets read: a sorted set, or a plain set whose members all have score 1.

use crate::ds::View;
use crate::ds::listpack::Element;
use crate::ds::set::Set;
use crate::ds::zset::Zset;
use crate::resp::Error;
use crate::store::{Keys, Value};

/// See the module's text.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    Sorted(&'a Zset),
    Plain(&'a Set),
}

impl<'a> Source<'a> {
    /// The set under a key; None when the key is absent. `counted`: the lookup counts as a hit or a miss.
    pub fn find(keys: &'a mut Keys<'_>, key: &[u8], counted: bool) -> Result<Option<Source<'a>>, Error> {
        let entry = if counted { keys.read(key) } else { keys.peek(key) };
        match entry.map(|entry| entry.view()) {
            None => Ok(None),
            Some(View::Boxed(Value::Zset(zset))) => Ok(Some(Source::Sorted(zset))),
            Some(View::Boxed(Value::Set(set))) => Ok(Some(Source::Plain(set))),
            Some(_) => Err(Error::WrongType),
        }
    }

    /// The set under a key that [`Source::find`] has found in this call, so that several are in sight at once.
    pub fn again(keys: &'a Keys<'_>, key: &[u8]) -> Option<Source<'a>> {
        let sorted = keys.again::<Zset>(key).map(Source::Sorted);
        sorted.or_else(|| keys.again::<Set>(key).map(Source::Plain))
    }

    pub fn len(self) -> usize {
        match self {
            Source::Sorted(zset) => zset.len(),
            Source::Plain(set) => set.len(),
        }
    }

    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Sorted(zset) => zset.score(member),
            Source::Plain(set) => set.contains_text(member).then_some(1.0),
        }
    }

    /// Gives every member and its score to `f`.
    pub fn each(self, mut f: impl FnMut(Element<'_>, f64)) {
        self.each_while(|member, score| {
            f(member, score);
            true
        });
    }

    /// Gives members and their scores to `f` until it returns false.
    pub fn each_while(self, mut f: impl FnMut(Element<'_>, f64) -> bool) {
        match self {
            Source::Sorted(zset) => zset.walk(0, usize::MAX, false, f),
            Source::Plain(set) => set.each(|member| f(member, 1.0)),
        }
    }
}
