//! The large entries of a cut: kept in parts, guarded before they change, collected.

use super::super::entry::{Ref, ViewMut};
use super::Table;
use super::cut::Cut;
use super::keeper::{Keeper, Mark};
use super::kept::{Kept, Pieces};
use crate::ds::heap::Blocks;

/// An entry that is kept up to a mark.
pub(super) struct Open<V> {
    pub(super) place: Place<V>,
    pub(super) mark: Mark,
    /// Bytes that are held for it, when that was last looked at.
    pub(super) held: usize,
}

/// Where the value of an open entry is.
pub(super) enum Place<V> {
    /// In the table.
    Here { hash: u64, key: Box<[u8]>, guarded: bool },
    /// Its entry has gone, and the cut has it.
    Gone(V),
}

impl<V> Place<V> {
    /// Whether it is in the table, under a key of this hash.
    pub(super) fn is_of(&self, wanted: u64) -> bool {
        matches!(self, Place::Here { hash, .. } if *hash == wanted)
    }
}

/// An entry whose value keeps by itself what is behind its beginning.
pub(super) struct Guarded {
    pub(super) key: Box<[u8]>,
    pub(super) head: Kept,
    pub(super) mark: Mark,
    /// Bytes that are held for it, when that was last looked at.
    pub(super) held: usize,
}

/// The value of such an entry that has gone.
pub(super) struct Gone<V> {
    pub(super) value: V,
    pub(super) head: Kept,
    pub(super) mark: Mark,
    pub(super) held: usize,
}

/// What the cut of a table tells that of another to which a guarded value goes.
pub struct Passed {
    form: PassedForm,
    mark: Mark,
    held: usize,
}

enum PassedForm {
    Guarded(Kept),
    /// The entry is open: all that is kept and comes before what is behind its mark.
    Open(Pieces),
}

impl<V> Cut<V> {
    /// Keeps a part of a large entry: of the open one, or the beginning of another. What takes memory for the cut alone goes first.
    pub(super) fn keep_part<B: Blocks>(&mut self, table: &mut Table<V, B>) {
        if self.open.is_some() {
            return self.go_on(table, false);
        }
        if let Some(Gone { value, head, mark, held }) = self.gone.pop() {
            self.pieces.for_entry_of(head.of).append(head);
            self.open = Some(Open { place: Place::Gone(value), mark, held });
        } else if let Some((hash, Guarded { key, head, mark, held })) = self.guarded.pop_first() {
            self.pieces.for_entry_of(head.of).append(head);
            self.open = Some(Open { place: Place::Here { hash, key, guarded: true }, mark, held });
        } else if let Some((hash, key)) = self.large.pop_first() {
            let entry = table.large(hash, &key);
            let begins_guarded = self.keeper.begins_guarded(&entry);
            let mark = self.keeper.begin(&entry, self.pieces.for_entry());
            self.open = mark.map(|mark| {
                let guarded = begins_guarded && table.guard_large(&mut *self.keeper, (hash, &key), mark);
                Open { place: Place::Here { hash, key, guarded }, mark, held: 0 }
            });
        }
    }

    /// Keeps the next part of the open entry.
    pub(super) fn go_on<B: Blocks>(&mut self, table: &mut Table<V, B>, at_once: bool) {
        let Some(Open { place, mark, held }) = &mut self.open else { return };
        let keeper = &mut *self.keeper;
        let (next, holds) = match place {
            Place::Gone(value) => {
                let next = collect(keeper, value, *mark, at_once, &mut self.pieces);
                (next, weight_of_gone(keeper, value))
            }
            Place::Here { hash, key, guarded: true } => {
                let value = table.guarded_value(*hash, key);
                let next = collect(keeper, value, *mark, at_once, &mut self.pieces);
                (next, keeper.weights(value).0)
            }
            Place::Here { hash, key, guarded: false } => {
                (keeper.go_on(&table.large(*hash, key), *mark, self.pieces.for_part()), 0)
            }
        };
        let holds = if next.is_some() { holds } else { 0 };
        self.held = self.held - std::mem::replace(held, holds) + holds;
        if let Some(next) = next {
            *mark = next;
            return;
        }
        if let Some(Open { place: Place::Gone(value), .. }) = self.open.take() {
            self.done.push(value);
        }
        self.pieces.append(std::mem::take(&mut self.behind));
    }

    /// A large entry of this hash is about to be changed: it is guarded, or else kept to its end.
    pub(super) fn guard<B: Blocks>(&mut self, table: &mut Table<V, B>, hash: u64) {
        if let Some(Open { place: Place::Here { hash: open, key, guarded }, mark, held }) = &mut self.open
            && *open == hash
        {
            *guarded = *guarded || table.guard_large(&mut *self.keeper, (hash, key), *mark);
            if *guarded {
                let holds = self.keeper.weights(table.guarded_value(hash, key)).0;
                self.held = self.held - std::mem::replace(held, holds) + holds;
                return;
            }
            while self.is_open(hash) {
                self.go_on(table, true);
            }
            return;
        }
        if let Some(Guarded { key, held, .. }) = self.guarded.get_mut(&hash) {
            let holds = self.keeper.weights(table.guarded_value(hash, key)).0;
            self.held = self.held - std::mem::replace(held, holds) + holds;
            return;
        }
        let Some(key) = self.large.remove(&hash) else { return };
        let mut head = Kept::default();
        let mut mark = self.keeper.begin(&table.large(hash, &key), &mut head);
        if let Some(mark) = mark.filter(|mark| table.guard_large(&mut *self.keeper, (hash, &key), *mark)) {
            self.guarded.insert(hash, Guarded { key, head, mark, held: 0 });
            return;
        }
        let pieces = if self.open.is_some() { &mut self.behind } else { &mut self.pieces };
        pieces.for_entry().append(head);
        while let Some(at) = mark {
            mark = self.keeper.go_on(&table.large(hash, &key), at, pieces.for_part());
        }
    }

    /// Whether the value of this hash is guarded.
    pub(super) fn guards(&self, hash: u64) -> bool {
        let open = self.open.as_ref().map(|open| &open.place);
        matches!(open, Some(Place::Here { hash: open, guarded: true, .. }) if *open == hash)
            || self.guarded.contains_key(&hash)
    }

    /// The entry of this hash has gone: its value, which was guarded, is the cut's.
    pub(super) fn hand_over(&mut self, hash: u64, value: V) {
        let holds = weight_of_gone(&*self.keeper, &value);
        if let Some(open) = self.open.as_mut().filter(|open| open.place.is_of(hash)) {
            self.held = self.held - std::mem::replace(&mut open.held, holds) + holds;
            open.place = Place::Gone(value);
        } else if let Some(Guarded { head, mark, held, .. }) = self.guarded.remove(&hash) {
            self.held = self.held - held + holds;
            self.gone.push(Gone { value, head, mark, held: holds });
        }
    }

    /// The guarded value of a hash goes to another key of the table, which is not there.
    pub(super) fn follow(&mut self, from: u64, to: u64, new_key: &[u8]) {
        if let Some(Open { place: Place::Here { hash, key, .. }, .. }) = &mut self.open
            && *hash == from
        {
            (*hash, *key) = (to, new_key.into());
        } else if let Some(guarded) = self.guarded.remove(&from) {
            self.guarded.insert(to, Guarded { key: new_key.into(), ..guarded });
        }
    }

    /// The guarded value of a hash goes to another table; this one has the given number. None: it is not guarded, or has to stay.
    fn pass_on(&mut self, hash: u64, number: usize, may_be_open: bool) -> Option<Passed> {
        if self.is_open(hash) {
            let Open { mark, held, .. } = self.open.take_if(|_| may_be_open)?;
            self.held -= held;
            let mut pieces = std::mem::replace(&mut self.pieces, std::mem::take(&mut self.behind));
            pieces.leave(number);
            return Some(Passed { form: PassedForm::Open(pieces), mark, held });
        }
        let Guarded { mut head, mark, held, .. } = self.guarded.remove(&hash)?;
        self.held -= held;
        head.of.get_or_insert(number);
        Some(Passed { form: PassedForm::Guarded(head), mark, held })
    }

    /// A guarded value comes from another table.
    fn take_over(&mut self, hash: u64, key: &[u8], Passed { form, mark, held }: Passed) {
        let key = key.into();
        self.held += held;
        match form {
            PassedForm::Guarded(head) => _ = self.guarded.insert(hash, Guarded { key, head, mark, held }),
            PassedForm::Open(pieces) => {
                assert!(self.open.is_none(), "one entry is open at a time");
                self.behind = std::mem::replace(&mut self.pieces, pieces);
                self.open = Some(Open { place: Place::Here { hash, key, guarded: true }, mark, held });
            }
        }
    }

    /// The value of a guarded entry of this hash leaves the table, to live on: what it has not handed over is kept.
    pub(super) fn keep_guarded<B: Blocks>(&mut self, table: &mut Table<V, B>, hash: u64) {
        while self.is_open(hash) {
            self.go_on(table, true);
        }
        let Some(Guarded { key, head, mark, held }) = self.guarded.remove(&hash) else { return };
        self.held -= held;
        let pieces = if self.open.is_some() { &mut self.behind } else { &mut self.pieces };
        pieces.for_entry_of(head.of).append(head);
        let mut mark = Some(mark);
        while let Some(at) = mark {
            mark = collect(&mut *self.keeper, table.guarded_value(hash, &key), at, true, pieces);
        }
    }

    /// Nobody wants what is kept any more. Gives the values that it has.
    pub(super) fn release<B: Blocks>(mut self, table: &mut Table<V, B>) -> Vec<V> {
        let mut guarded: Vec<_> =
            self.guarded.into_iter().map(|(hash, guarded)| (hash, guarded.key)).collect();
        match self.open.take().map(|open| open.place) {
            Some(Place::Gone(value)) => self.done.push(value),
            Some(Place::Here { hash, key, guarded: true }) => guarded.push((hash, key)),
            Some(Place::Here { guarded: false, .. }) | None => {}
        }
        for (hash, key) in guarded {
            self.keeper.release(table.guarded_value(hash, &key));
        }
        self.done.extend(self.gone.into_iter().map(|gone| gone.value));
        self.done
    }
}

/// Bytes of a value that nobody else has any more.
fn weight_of_gone<V>(keeper: &dyn Keeper<V>, value: &V) -> usize {
    let (kept, own) = keeper.weights(value);
    kept + own
}

/// Collects a part of a guarded value. It may be empty, and then no piece begins with it: the last part of a value never is.
fn collect<V>(
    keeper: &mut dyn Keeper<V>,
    value: &mut V,
    mark: Mark,
    at_once: bool,
    pieces: &mut Pieces,
) -> Option<Mark> {
    let mut part = Kept::default();
    let next = keeper.collect(value, mark, at_once, &mut part);
    assert!(next.is_some() || !part.is_empty(), "a value ends with a part");
    if !part.is_empty() {
        pieces.for_part().append(part);
    }
    next
}

impl<V, B: Blocks> Table<V, B> {
    /// A large entry that was noted.
    fn large(&self, hash: u64, key: &[u8]) -> Ref<'_, V> {
        self.get(hash, key).expect("an entry is kept before it goes")
    }

    /// Its value, where that does not lie in the entry.
    fn value_of_large(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let (_, entry) = self.find(hash, key).expect("an entry is kept before it goes");
        // SAFETY: the entry is this table's, which is borrowed alone as long as the value is.
        match unsafe { entry.view_mut() } {
            ViewMut::Boxed(value) => Some(value),
            ViewMut::Int(_) | ViewMut::Bytes(_) => None,
        }
    }

    /// The value of one that is guarded.
    fn guarded_value(&mut self, hash: u64, key: &[u8]) -> &mut V {
        self.value_of_large(hash, key).expect("a guarded value is kept before it leaves its place")
    }

    fn guard_large(&mut self, keeper: &mut dyn Keeper<V>, (hash, key): (u64, &[u8]), mark: Mark) -> bool {
        self.value_of_large(hash, key).is_some_and(|value| keeper.guard(value, mark))
    }

    /// A guarded value is about to be taken out and put under another key of the table, which is not there.
    pub fn follow(&mut self, from: u64, to: u64, new_key: &[u8]) {
        if self.can_take_over(to)
            && let Some(cut) = &mut self.cut
        {
            cut.follow(from, to, new_key);
        }
    }

    /// A guarded value is about to be taken out and put into another table under a cut: what that has to know, by [`Table::take_over`].
    /// This one has the given number. None: it is not guarded, or open and `may_be_open` is not, and is kept when it is taken out.
    pub fn pass_on(&mut self, hash: u64, number: usize, may_be_open: bool) -> Option<Passed> {
        self.cut.as_mut()?.pass_on(hash, number, may_be_open)
    }

    /// A guarded value is about to come from another table, under a key that is not there.
    pub fn take_over(&mut self, hash: u64, key: &[u8], passed: Passed) {
        if let Some(cut) = &mut self.cut {
            cut.take_over(hash, key, passed);
        }
    }

    /// Whether a cut is under way that can look after a guarded value under a key of this hash.
    pub fn can_take_over(&self, hash: u64) -> bool {
        self.cut.as_ref().is_some_and(|cut| !cut.is_noted(hash))
    }
}
