//! The value of a set: members, each once, in no order.
//!
//! | form | encoding | when |
//! |---|---|---|
//! | an intset | `intset` | all members are integers, and no more than `set-max-intset-entries` |
//! | a listpack | `listpack` | no more than `set-max-listpack-entries`, none longer than `set-max-listpack-value` |
//! | a table | `hashtable` | else |
//!
//! Forms change one way only, as members come in, except that a result of integers may be made an intset at its end. When
//! exactly is Redis 7.4's, since OBJECT ENCODING shows it.
//!
//! A member is an [`Element`]: an integer when it is the text of one, unless it comes out of a table, which knows texts only.

mod members;
mod small;
#[cfg(test)]
mod tests;

use super::intset::{self, Intset};
use super::listpack::{self, Element, Listpack};
use super::malloc::malloc_size;
use super::table::{Kept, Stats, Walked};
use crate::base::number::parse_i64;
use members::Members;
use small::{Form, FormMut, Small};

/// A member.
pub type Member<'a> = Element<'a>;

/// Where forms change, and the secret of tables.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most members of an intset.
    pub ints: usize,
    /// The most members of a listpack.
    pub entries: usize,
    /// The longest member of a listpack, bytes.
    pub value: usize,
    /// What members of new tables are hashed with.
    pub seed: u64,
}

impl Limits {
    /// The most members of an intset, whatever the configuration says.
    fn ints(&self) -> usize {
        self.ints.min(intset::LEN_MAX)
    }
}

/// See the module's text.
#[derive(Clone)]
pub enum Set {
    Small(Small),
    Table(Box<Members>),
}

const _: () = assert!(size_of::<Set>() == 16);

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.encoding(), self.len())
    }
}

/// The largest listpack that still takes a member: room is left for what stands around it.
const PACK_MAX: usize = listpack::BYTES_MAX - 16;

/// Whether an intset may become a listpack that takes this text too. Its members are judged by the widest two.
fn ints_fit(ints: &Intset, text: &[u8], limits: &Limits) -> bool {
    let ends = [ints.min(), ints.max()].into_iter().flatten().map(Element::Int);
    let (mut longest, mut widest) = (text.len(), 0);
    for end in ends {
        longest = longest.max(end.text_len());
        widest = widest.max(end.size());
    }
    ints.len() < limits.entries && longest <= limits.value && widest * ints.len() + text.len() <= PACK_MAX
}

impl From<Intset> for Set {
    fn from(ints: Intset) -> Set {
        Set::Small(ints.into())
    }
}

impl From<Listpack> for Set {
    fn from(pack: Listpack) -> Set {
        Set::Small(pack.into())
    }
}

impl Set {
    /// The shape of its table and the bytes of that, when it is one.
    pub fn stats(&self) -> Option<(Stats, usize)> {
        match self {
            Set::Table(table) => Some(table.stats()),
            _ => None,
        }
    }

    /// An empty set for `hint` members or so, of which this is the first.
    pub fn new(first: &[u8], hint: usize, limits: &Limits) -> Set {
        match Element::of(first) {
            Element::Int(_) if hint <= limits.ints => Set::ints(),
            _ if hint <= limits.entries => Set::pack(),
            _ => Set::table(limits.seed),
        }
    }

    /// An empty set that begins as an intset.
    pub fn ints() -> Set {
        Intset::new().into()
    }

    /// An empty set that begins as a listpack.
    pub fn pack() -> Set {
        Listpack::new().into()
    }

    /// An empty set that is a table.
    pub fn table(seed: u64) -> Set {
        Set::Table(Box::new(Members::new(seed)))
    }

    /// Whether it holds nothing, so that its key goes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            Set::Small(small) => small.is_empty(),
            Set::Table(table) => table.len() == 0,
        }
    }

    /// How many members.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Set::Small(small) => small.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Set::Small(small) => malloc_size(small.bytes()),
            Set::Table(table) => malloc_size(size_of::<Members>()) + table.bytes(),
        }
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        match self {
            Set::Small(small) => match small.form() {
                Form::Ints(_) => "intset",
                Form::Pack(_) => "listpack",
            },
            Set::Table(_) => "hashtable",
        }
    }

    /// The intset that it is.
    pub fn as_ints(&self) -> Option<&Intset> {
        match self {
            Set::Small(small) => match small.form() {
                Form::Ints(ints) => Some(ints),
                Form::Pack(_) => None,
            },
            Set::Table(_) => None,
        }
    }

    /// Whether it is a table, so that a walk may go on later.
    pub fn is_table(&self) -> bool {
        matches!(self, Set::Table(_))
    }

    /// Whether a text is a member.
    #[inline]
    pub fn contains_text(&self, text: &[u8]) -> bool {
        match self {
            Set::Small(small) => small.contains(Element::of(text)),
            Set::Table(table) => table.contains(text),
        }
    }

    /// Whether a member of another set is one of this too.
    #[inline]
    pub fn contains(&self, member: Member<'_>) -> bool {
        match (self, member) {
            // From a table an integer comes as text.
            (Set::Small(small), Element::Str(text)) => small.contains(Element::of(text)),
            (Set::Small(small), Element::Int(_)) => small.contains(member),
            (Set::Table(table), _) => member.with(|text| table.contains(text)),
        }
    }

    /// Adds a text; whether it was absent.
    #[inline]
    pub fn add_text(&mut self, text: &[u8], limits: &Limits) -> bool {
        match self {
            Set::Small(_) => self.add_small(Element::of(text), limits),
            Set::Table(table) => table.insert(text),
        }
    }

    /// Adds a member of another set; whether it was absent.
    #[inline]
    pub fn add(&mut self, member: Member<'_>, limits: &Limits) -> bool {
        match (&mut *self, member) {
            (Set::Small(_), Element::Str(text)) => self.add_small(Element::of(text), limits),
            (Set::Small(_), Element::Int(_)) => self.add_small(member, limits),
            (Set::Table(table), _) => member.with(|text| table.insert(text)),
        }
    }

    fn add_small(&mut self, member: Member<'_>, limits: &Limits) -> bool {
        let Set::Small(small) = self else { return self.add(member, limits) };
        match (small.form_mut(), member) {
            (FormMut::Ints(ints), Element::Int(n)) => {
                if ints.len() < limits.ints() {
                    return ints.insert(n);
                }
                if ints.contains(n) {
                    return false;
                }
            }
            (FormMut::Ints(ints), Element::Str(text)) => {
                if ints_fit(ints, text, limits) {
                    self.make_pack();
                    return self.add_small(member, limits);
                }
            }
            (FormMut::Pack(pack), _) => {
                if pack.iter().any(|element| element == member) {
                    return false;
                }
                let len = member.text_len();
                if pack.len() < limits.entries && len <= limits.value && pack.bytes() + len <= PACK_MAX {
                    pack.push_back(member);
                    return true;
                }
            }
        }
        self.make_table(limits.seed);
        self.add(member, limits)
    }

    /// Removes a text; whether it was a member.
    #[inline]
    pub fn remove_text(&mut self, text: &[u8]) -> bool {
        match self {
            Set::Small(small) => small.remove(Element::of(text)),
            Set::Table(table) => table.remove(text),
        }
    }

    /// Removes a member of another set; whether it was one of this.
    pub fn remove(&mut self, member: Member<'_>) -> bool {
        match (&mut *self, member) {
            (Set::Small(small), Element::Int(_)) => small.remove(member),
            (_, Element::Str(text)) => self.remove_text(text),
            (Set::Table(table), Element::Int(_)) => member.with(|text| table.remove(text)),
        }
    }

    /// Gives the members to `f` until it returns false.
    pub fn each<'a>(&'a self, mut f: impl FnMut(Member<'a>) -> bool) {
        match self {
            Set::Small(small) => small.each(f),
            Set::Table(table) => _ = table.iter().all(&mut f),
        }
    }

    /// A member, nearly uniformly at random.
    pub fn random(&self, mut rng: impl FnMut() -> u64) -> Option<Member<'_>> {
        match self {
            Set::Small(small) => small.nth((rng() % small.len().max(1) as u64) as usize),
            Set::Table(table) => table.random(rng),
        }
    }

    /// Some members, and the cursor to go on from; 0 means done. A small set comes whole, whatever the cursor.
    pub fn scan(&self, cursor: u64, f: &mut dyn FnMut(Member<'_>)) -> u64 {
        match self {
            Set::Small(small) => {
                small.each(|member| {
                    f(member);
                    true
                });
                0
            }
            Set::Table(table) => table.scan(cursor, f),
        }
    }

    /// From now on a table keeps what a scan had not given before this cursor: `keep` appends and counts it ([`super::Table::begin_cut`]).
    /// Whether it is a table.
    pub fn begin_cut(&mut self, cursor: u64, keep: impl FnMut(&[u8], &mut Kept) + Send + 'static) -> bool {
        match self {
            Set::Small(_) => return false,
            Set::Table(table) => table.begin_cut(cursor, keep),
        }
        true
    }

    /// The table, which may be under a cut.
    pub fn under_cut(&mut self) -> Option<&mut dyn Walked> {
        match self {
            Set::Small(_) => None,
            Set::Table(table) => Some(table.under_cut()),
        }
    }

    /// Bytes that it keeps for a cut.
    pub fn cut_bytes(&self) -> usize {
        match self {
            Set::Small(_) => 0,
            Set::Table(table) => table.cut_bytes(),
        }
    }

    /// About to get so many members at once: a table takes them better.
    pub fn expect(&mut self, more: usize, limits: &Limits) {
        let Set::Small(small) = self else { return };
        let most = match small.form() {
            Form::Ints(_) => limits.ints,
            Form::Pack(_) => limits.entries,
        };
        if more > most {
            self.make_table(limits.seed);
        }
    }

    /// All members are integers: makes it an intset unless they are too many.
    pub fn make_ints(&mut self, limits: &Limits) {
        if self.as_ints().is_some() || self.len() > limits.ints() {
            return;
        }
        let mut sorted: Vec<i64> = Vec::with_capacity(self.len());
        self.each(|member| {
            sorted.extend(match member {
                Element::Int(n) => Some(n),
                Element::Str(text) => parse_i64(text),
            });
            true
        });
        sorted.sort_unstable();
        let mut ints = Intset::new();
        sorted.into_iter().for_each(|n| _ = ints.insert(n));
        *self = ints.into();
    }

    fn make_pack(&mut self) {
        let mut pack = Listpack::new();
        if let Some(ints) = self.as_ints() {
            let members: Vec<Member<'_>> = ints.iter().map(Element::Int).collect();
            pack.insert_all(pack.end(), &members);
        }
        *self = pack.into();
    }

    /// Makes it a table.
    pub fn make_table(&mut self, seed: u64) {
        let mut table = Box::new(Members::new(seed));
        self.each(|member| {
            member.with(|text| table.insert(text));
            true
        });
        *self = Set::Table(table);
    }
}
