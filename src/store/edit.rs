//! Collections under their keys: looked at, changed in place, made when they are absent, removed when they are empty.

use super::field_expiry::FieldExpiry;
use super::keys::Use;
use super::{Collection, Keys, Value};
use crate::ds::{Mut, Payload, View, ViewMut};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// The key holds another type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongType;

/// A collection that is being changed. It looks like the collection; when it is dropped its weight is taken anew, and its
/// key is filed under the time at which a part of it expires next.
///
/// A command that may have emptied it calls [`Edit::sweep`] at the end. None may leave an empty collection behind, and
/// every one that changed something says so with [`Keys::changed`].
pub struct Edit<'a, T: Collection> {
    entry: Option<Mut<'a, Value>>,
    /// The database's count of bytes in values.
    weight: &'a mut usize,
    before: usize,
    filed: &'a mut FieldExpiry,
    due_before: Option<i64>,
    kind: PhantomData<T>,
}

impl<T: Collection> Edit<'_, T> {
    /// Removes the key if nothing is left in it; whether it was removed.
    pub fn sweep(mut self) -> bool {
        let empty = self.is_empty();
        if let Some(entry) = self.entry.take_if(|_| empty) {
            *self.weight -= self.before;
            if self.due_before.is_some() {
                self.filed.refile(entry.key(), None);
            }
            entry.delete();
        }
        empty
    }
}

impl<T: Collection> Deref for Edit<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self.entry.as_ref().map(Mut::view) {
            Some(View::Boxed(value)) => T::of(value).expect("the type was checked"),
            _ => unreachable!("the type was checked"),
        }
    }
}

impl<T: Collection> DerefMut for Edit<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match self.entry.as_mut().map(Mut::view_mut) {
            Some(ViewMut::Boxed(value)) => T::of_mut(value).expect("the type was checked"),
            _ => unreachable!("the type was checked"),
        }
    }
}

impl<T: Collection> Drop for Edit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.entry.is_none() {
            return;
        }
        *self.weight = *self.weight - self.before + self.heap_bytes();
        let due = self.min_expire();
        if let Some(entry) = self.entry.as_ref().filter(|_| due != self.due_before) {
            self.filed.refile(entry.key(), due);
        }
    }
}

impl Keys<'_> {
    /// Looks a collection up for reading, as [`Keys::read`] does.
    #[inline]
    pub fn look<T: Collection>(&mut self, key: &[u8]) -> Result<Option<&T>, WrongType> {
        match self.read(key).map(|entry| entry.view()) {
            None => Ok(None),
            Some(View::Boxed(value)) => T::of(value).map(Some).ok_or(WrongType),
            Some(View::Int(_) | View::Bytes(_)) => Err(WrongType),
        }
    }

    /// A collection that [`Keys::look`] has found in this call, seen again without a note of it: so that several are in sight
    /// at once, of whatever shards.
    pub fn again<T: Collection>(&self, key: &[u8]) -> Option<&T> {
        let (shard, hash) = self.home(key);
        match self.hand.peek(shard).db(self.db).table().get(hash, key)?.view() {
            View::Boxed(value) => T::of(value),
            View::Int(_) | View::Bytes(_) => None,
        }
    }

    /// Looks a collection up to change it in place.
    #[inline]
    pub fn edit<T: Collection>(&mut self, key: &[u8]) -> Result<Option<Edit<'_, T>>, WrongType> {
        let Some(at) = self.find(key, Use::Write) else { return Ok(None) };
        self.edit_at(at, key)
    }

    /// The same with the key's shard and hash at hand.
    #[inline]
    fn edit_at<T: Collection>(
        &mut self,
        (shard, hash): (usize, u64),
        key: &[u8],
    ) -> Result<Option<Edit<'_, T>>, WrongType> {
        let (table, weight, filed) = self.hand.store(shard).db_mut(self.db).parts_mut(T::KIND);
        let Some(entry) = table.get_mut(hash, key) else { return Ok(None) };
        let (before, due_before) = match entry.view() {
            View::Boxed(value) => {
                let found = T::of(value).ok_or(WrongType)?;
                (found.heap_bytes(), found.min_expire())
            }
            View::Int(_) | View::Bytes(_) => return Err(WrongType),
        };
        Ok(Some(Edit { entry: Some(entry), weight, before, filed, due_before, kind: PhantomData }))
    }

    /// Looks a collection up to change it in place; `new` is put there first when the key is absent.
    #[inline]
    pub fn edit_or<T: Collection>(
        &mut self,
        key: &[u8],
        new: impl FnOnce() -> T,
    ) -> Result<Edit<'_, T>, WrongType> {
        let at = match self.find(key, Use::Write) {
            Some(at) => Some(at),
            None => {
                self.set(key, Payload::Boxed(new().wrap()), None);
                self.find(key, Use::Peek)
            }
        };
        let found = at.map_or(Ok(None), |at| self.edit_at(at, key))?;
        Ok(found.expect("it was there or was put there"))
    }

    /// The secret with which members of new collections are hashed.
    pub fn seed(&self) -> u64 {
        self.hand.iter().next().map_or(0, |store| store.seed())
    }
}
