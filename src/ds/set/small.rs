//! The small forms of a set in one block, told apart by how it begins.
//!
//! ```text
//!  | 2, 4 or 8 u32 | ...                 an intset: its width
//!  | 7, or 9 and more, u32 | ...         a listpack: its total bytes
//! ```
//! Two types that each own a block would need a word more to tell which it is, in every entry that holds a set.

use super::Member;
use crate::ds::intset::Intset;
use crate::ds::listpack::{Element, Listpack};

/// See the module's text.
#[derive(Clone)]
pub struct Small(Box<[u8]>);

/// A small set, seen as what it is.
pub enum Form<'a> {
    Ints(&'a Intset),
    Pack(&'a Listpack),
}

/// The same, to change it.
pub enum FormMut<'a> {
    Ints(&'a mut Intset),
    Pack(&'a mut Listpack),
}

impl From<Intset> for Small {
    fn from(ints: Intset) -> Small {
        Small(ints.into_block())
    }
}

impl From<Listpack> for Small {
    fn from(pack: Listpack) -> Small {
        Small(pack.into_block())
    }
}

impl Small {
    #[inline]
    fn is_ints(&self) -> bool {
        matches!(self.0[..4], [2 | 4 | 8, 0, 0, 0])
    }

    #[inline]
    pub fn form(&self) -> Form<'_> {
        if self.is_ints() { Form::Ints(Intset::over(&self.0)) } else { Form::Pack(Listpack::over(&self.0)) }
    }

    #[inline]
    pub fn form_mut(&mut self) -> FormMut<'_> {
        if self.is_ints() {
            FormMut::Ints(Intset::over_mut(&mut self.0))
        } else {
            FormMut::Pack(Listpack::over_mut(&mut self.0))
        }
    }

    /// Bytes of the block.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    pub fn len(&self) -> usize {
        match self.form() {
            Form::Ints(ints) => ints.len(),
            Form::Pack(pack) => pack.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self.form() {
            Form::Ints(ints) => ints.is_empty(),
            Form::Pack(pack) => pack.is_empty(),
        }
    }

    #[inline]
    pub fn contains(&self, member: Member<'_>) -> bool {
        match (self.form(), member) {
            (Form::Ints(ints), Element::Int(n)) => ints.contains(n),
            (Form::Ints(_), Element::Str(_)) => false,
            (Form::Pack(pack), _) => pack.iter().any(|element| element == member),
        }
    }

    pub fn remove(&mut self, member: Member<'_>) -> bool {
        match (self.form_mut(), member) {
            (FormMut::Ints(ints), Element::Int(n)) => ints.remove(n),
            (FormMut::Ints(_), Element::Str(_)) => false,
            (FormMut::Pack(pack), _) => {
                let Some(at) = pack.positions().find(|at| pack.get(*at) == member) else { return false };
                pack.remove(at, 1);
                true
            }
        }
    }

    /// Gives the members to `f` until it returns false.
    pub fn each<'a>(&'a self, mut f: impl FnMut(Member<'a>) -> bool) {
        match self.form() {
            Form::Ints(ints) => _ = ints.iter().map(Element::Int).all(f),
            Form::Pack(pack) => _ = pack.iter().all(&mut f),
        }
    }

    /// Member number `index`.
    pub fn nth(&self, index: usize) -> Option<Member<'_>> {
        match self.form() {
            Form::Ints(ints) => ints.get(index).map(Element::Int),
            Form::Pack(pack) => pack.seek(index as i64).map(|at| pack.get(at)),
        }
    }
}
