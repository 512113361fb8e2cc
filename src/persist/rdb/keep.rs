//! Keeping the entries of a cut as they stand in a file.

use super::write::{TooNew, Traits, entry, entry_head};
use super::{VERSION_OF_7_0, least_version};
use crate::base::time::Now;
use crate::ds::table::{Keeper, Kept, Mark};
use crate::ds::{Ref, View};
use crate::persist::value;
use crate::store::Value;
use crate::store::access::{Lfu, lfu_counter};
use crate::store::lru;

/// Strings from this length on are shared with the file's writer, who compresses them: no shard waits for that.
const SHARE_FROM: usize = 64 * 1024;
/// Bytes of a part of a large value: a shard writes so much at a time.
pub const PART: usize = 8 * 1024;

/// A value of so many parts is guarded before it is changed, if it can be; one of fewer is written at once.
const GUARDED_FROM: usize = 8;

/// What a file tells of the use of keys: what the policy of eviction counts.
#[derive(Clone, Copy, Debug)]
pub enum Uses {
    Nothing,
    Idle,
    Frequency(Lfu),
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// One of [`super::VERSIONS_WRITTEN`].
    pub version: u8,
    pub compress: bool,
    pub uses: Uses,
    /// Values that take more bytes than this are written in parts of as many: [`PART`].
    pub part: usize,
    /// The time of the cut. Keys that were used since then are found with a later one.
    pub now: Now,
}

/// What keeps entries in this form.
pub fn keeper(form: Form) -> Box<dyn Keeper<Value>> {
    Box::new(form)
}

impl Form {
    fn traits(&self, entry: &Ref<'_, Value>) -> Traits {
        let mut traits = Traits { expire_at: entry.expire_at(), ..Traits::default() };
        match self.uses {
            Uses::Nothing => {}
            Uses::Idle => traits.idle_secs = Some(lru::idle_secs_then(entry.access(), self.now)),
            Uses::Frequency(lfu) => {
                traits.frequency = Some(lfu_counter(entry.access(), self.now.secs(), lfu) as u8);
            }
        }
        traits
    }
}

/// A value that may be written in parts. In the oldest form lists and streams are made whole, since one may turn out not to fit into it.
fn in_parts<'a>(view: View<'a, Value>, form: &Form) -> Option<&'a Value> {
    let View::Boxed(value) = view else { return None };
    let is_old = form.version < VERSION_OF_7_0;
    match value {
        Value::Str(_) => None,
        Value::List(_) | Value::Stream(_) if is_old => None,
        Value::List(_) | Value::Set(_) | Value::Zset(_) | Value::Hash(_) | Value::Stream(_) => {
            (value.heap_bytes() > form.part).then_some(value)
        }
    }
}

impl Form {
    /// Whether a value is to be guarded, if it can be, before it is changed.
    fn is_guarded(&self, value: &Value) -> bool {
        value.heap_bytes() >= GUARDED_FROM * self.part
    }

    fn refuse(&self, new: TooNew, key: &[u8], into: &mut Kept) {
        let (key, needs) = (String::from_utf8_lossy(key), new.needs);
        into.trouble.get_or_insert_with(|| {
            format!("the value of key '{key}' needs rdb-version {needs}, but it is {}", self.version)
        });
    }
}

impl Keeper<Value> for Form {
    fn is_large(&self, entry: &Ref<'_, Value>) -> bool {
        in_parts(entry.view(), self).is_some_and(value::has_parts)
    }

    fn begin(&mut self, entry: &Ref<'_, Value>, kept: &mut Kept) -> Option<Mark> {
        let value = in_parts(entry.view(), self)?;
        let before = kept.bytes.len();
        let kind_at = entry_head(&mut kept.bytes, entry.key(), self.traits(entry));
        let (kind, mark) = value::begin(&mut kept.bytes, value)?;
        kept.entries += 1;
        kept.bytes[kind_at] = kind;
        let needs = least_version(kind);
        if needs > self.version {
            kept.bytes.truncate(before);
            self.refuse(TooNew { needs }, entry.key(), kept);
            return None;
        }
        Some(mark)
    }

    fn go_on(&mut self, entry: &Ref<'_, Value>, mark: Mark, kept: &mut Kept) -> Option<Mark> {
        let value = in_parts(entry.view(), self)?;
        let next = value::go_on(&mut kept.bytes, value, mark, self.part, self.compress);
        (next.left > 0).then_some(next)
    }

    fn begins_guarded(&self, entry: &Ref<'_, Value>) -> bool {
        matches!(entry.view(), View::Boxed(value @ Value::Stream(_)) if self.is_guarded(value))
    }

    fn guard(&mut self, value: &mut Value, mark: Mark) -> bool {
        self.is_guarded(value) && value::guard(value, mark, self.compress)
    }

    fn collect(&mut self, value: &mut Value, mark: Mark, at_once: bool, kept: &mut Kept) -> Option<Mark> {
        // Who waits for all of a long list or stream does not wait for its compression, which is most of the work.
        let next = value::collect(kept, value, mark, self.part, self.compress && !at_once);
        (next.left > 0).then_some(next)
    }

    fn release(&mut self, value: &mut Value) {
        value::release(value);
    }

    fn weights(&self, value: &Value) -> (usize, usize) {
        (value::cut_bytes(value), value.heap_bytes())
    }

    fn keep(&mut self, kept: &Ref<'_, Value>, into: &mut Kept) {
        let traits = self.traits(kept);
        into.entries += 1;
        match kept.view() {
            View::Boxed(Value::Str(text)) if text.len() >= SHARE_FROM => {
                // A string's type is 0, as which the head writes it.
                entry_head(&mut into.bytes, kept.key(), traits);
                into.shared.push((into.bytes.len(), (**text).clone()));
            }
            value => {
                let form = (self.version, self.compress);
                if let Err(new) = entry(&mut into.bytes, kept.key(), value, traits, form) {
                    self.refuse(new, kept.key(), into);
                }
            }
        }
    }
}
