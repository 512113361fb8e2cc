//! A sorted set in either form, and when it changes from one to the other.

use super::large::Large;
use super::pack::Pack;
use crate::ds::listpack::{Element, Listpack};
use crate::ds::malloc::malloc_size;
use crate::ds::table::{Kept, Stats, Walked};

/// Up to where a sorted set is a listpack: members, and bytes of each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub entries: usize,
    pub value: usize,
}

/// See the module's text.
#[derive(Clone)]
pub struct Zset(Form);

#[derive(Clone)]
enum Form {
    Pack(Pack),
    Large(Box<Large>),
}

const _: () = assert!(size_of::<Zset>() == 16);

impl std::fmt::Debug for Zset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zset({}, {} members)", self.encoding(), self.len())
    }
}

/// What [`Zset::scan`] has met, and where to go on (0: it is over).
pub type ScanStep<'a> = &'a mut dyn FnMut(Element<'_>, f64);

impl Zset {
    /// An empty one, whose first member will have this length.
    pub fn new(first: usize, limits: Limits, seed: u64) -> Zset {
        let small = limits.entries > 0 && first <= limits.value;
        Zset(if small { Form::Pack(Pack::default()) } else { Form::Large(Box::new(Large::new(seed))) })
    }

    /// One with all that was gathered, in the form that fits.
    pub fn from_gathered(mut gathered: Large, limits: Limits) -> Zset {
        gathered.build();
        let mut longest = 0;
        if gathered.len() <= limits.entries {
            gathered.walk(0, usize::MAX, false, |member, _| {
                longest = longest.max(member.len());
                true
            });
        }
        if gathered.len() > limits.entries || longest > limits.value {
            return Zset(Form::Large(Box::new(gathered)));
        }
        let mut pack = Pack::default();
        let mut fits = true;
        gathered.walk(0, usize::MAX, false, |member, score| {
            fits = pack.has_room(member.len());
            if fits {
                pack.push(member, score);
            }
            fits
        });
        Zset(if fits { Form::Pack(pack) } else { Form::Large(Box::new(gathered)) })
    }

    /// One of a listpack from outside, if it holds a sorted set. More members than are allowed make it large, as in Redis, but
    /// long ones do not.
    pub fn from_listpack(pack: Listpack, limits: Limits, seed: u64) -> Option<Zset> {
        let mut zset = Zset(Form::Pack(Pack::from_listpack(pack)?));
        if zset.len() > limits.entries {
            zset.enlarge(seed);
        }
        Some(zset)
    }

    /// The listpack, while it is one.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Form::Pack(pack) => Some(pack.listpack()),
            Form::Large(_) => None,
        }
    }

    /// How many members.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.len(),
            Form::Large(large) => large.len(),
        }
    }

    /// Whether it holds nothing, so that its key goes.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Pack(pack) => pack.is_empty(),
            Form::Large(large) => large.is_empty(),
        }
    }

    /// Bytes that it takes beside its entry, as allocated. O(1): asked around every write.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Pack(pack) => malloc_size(pack.listpack().bytes()),
            Form::Large(large) => malloc_size(size_of::<Large>()) + large.heap_bytes(),
        }
    }

    /// Its encoding by Redis's name.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Pack(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// The shape of the table of a large one, and the bytes of that.
    pub fn stats(&self) -> Option<(Stats, usize)> {
        match &self.0 {
            Form::Pack(_) => None,
            Form::Large(large) => Some(large.stats()),
        }
    }

    /// A member's score.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Pack(pack) => pack.score(member),
            Form::Large(large) => large.score(member),
        }
    }

    /// Adds a member that is not there. The score is not NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: Limits, seed: u64) {
        if let Form::Pack(pack) = &mut self.0 {
            let fits =
                pack.len() < limits.entries && member.len() <= limits.value && pack.has_room(member.len());
            if fits {
                return pack.insert(member, score);
            }
            self.enlarge(seed);
        }
        if let Form::Large(large) = &mut self.0 {
            large.insert(member, score);
        }
    }

    /// Gives a member that is there another score, which is not NaN.
    pub fn rescore(&mut self, member: &[u8], old: f64, new: f64) {
        match &mut self.0 {
            Form::Pack(pack) => {
                pack.remove(member);
                pack.insert(member, new);
            }
            Form::Large(large) => large.rescore(member, old, new),
        }
    }

    /// Makes it ready for so many members more, some of which may be there: more than a listpack may hold make it large at once,
    /// as in Redis since 7.2.
    #[inline]
    pub fn expect(&mut self, more: usize, limits: Limits, seed: u64) {
        if more > limits.entries {
            self.enlarge(seed);
        }
    }

    /// Gives it the large form.
    pub fn enlarge(&mut self, seed: u64) {
        if let Form::Large(_) = self.0 {
            return;
        }
        let mut large = Large::new(seed);
        self.walk(0, usize::MAX, false, |member, score| {
            member.with(|member| large.gather(member, score));
            true
        });
        large.build();
        self.0 = Form::Large(Box::new(large));
    }

    /// Takes a member out and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Pack(pack) => pack.remove(member),
            Form::Large(large) => large.remove(member),
        }
    }

    /// Takes the members of ranks `from..to` out; both are ranks that exist, or the end.
    pub fn remove_range(&mut self, from: usize, to: usize) {
        match &mut self.0 {
            _ if from >= to => {}
            Form::Pack(pack) => pack.remove_range(from, to),
            Form::Large(large) => large.remove_range(from, to),
        }
    }

    /// A member's rank from the lowest, and its score. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Form::Pack(pack) => pack.rank(member),
            Form::Large(large) => large.rank(member),
        }
    }

    /// How many members have scores of which `holds` is true, which is so of the lowest up to some bound. O(log n).
    pub fn count_scores(&self, holds: impl Fn(f64) -> bool) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.count_while(|score, _| holds(score)),
            Form::Large(large) => large.count_scores(holds),
        }
    }

    /// The same by members, in a set whose scores are all equal.
    pub fn count_members(&self, holds: impl Fn(&[u8]) -> bool) -> usize {
        match &self.0 {
            Form::Pack(pack) => pack.count_while(|_, member| holds(member)),
            Form::Large(large) => large.count_while(|_, member| holds(member)),
        }
    }

    /// Gives `f` up to `count` members from rank `from` on, until it returns false; with `reverse` from the highest down, `from`
    /// being counted from there. O(log n + count).
    pub fn walk(
        &self,
        from: usize,
        count: usize,
        reverse: bool,
        mut f: impl FnMut(Element<'_>, f64) -> bool,
    ) {
        match &self.0 {
            Form::Pack(pack) => pack.walk(from, count, reverse, f),
            Form::Large(large) => {
                large.walk(from, count, reverse, |member, score| f(Element::Str(member), score));
            }
        }
    }

    /// Gives `f` some members and gives the cursor to go on from; start with 0, 0 means done. A listpack is met at once. What
    /// is there during a whole scan is met.
    pub fn scan(&self, cursor: u64, f: ScanStep<'_>) -> u64 {
        match &self.0 {
            Form::Pack(pack) => {
                pack.walk(0, usize::MAX, false, |member, score| {
                    f(member, score);
                    true
                });
                0
            }
            Form::Large(large) => large.scan(cursor, &mut |member, score| f(Element::Str(member), score)),
        }
    }

    /// From now on a large one keeps its members up to the one of this rank, in no order: `keep` appends and counts them
    /// ([`crate::ds::Table::begin_cut`]). Whether it is large.
    pub fn begin_cut(
        &mut self,
        rank: usize,
        keep: impl FnMut(&[u8], f64, &mut Kept) + Send + 'static,
    ) -> bool {
        match &mut self.0 {
            Form::Pack(_) => return false,
            Form::Large(large) => large.begin_cut(rank, keep),
        }
        true
    }

    /// The table of members, which may be under a cut.
    pub fn under_cut(&mut self) -> Option<&mut dyn Walked> {
        match &mut self.0 {
            Form::Pack(_) => None,
            Form::Large(large) => Some(large.under_cut()),
        }
    }

    /// Bytes that it keeps for a cut.
    pub fn cut_bytes(&self) -> usize {
        match &self.0 {
            Form::Pack(_) => 0,
            Form::Large(large) => large.cut_bytes(),
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        match &self.0 {
            Form::Pack(pack) => assert!(Pack::from_listpack(pack.listpack().clone()).is_some()),
            Form::Large(large) => assert!(large.check() < 8),
        }
    }
}
