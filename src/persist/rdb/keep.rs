//! Keeping the entries of a cut as they stand in a file.

use super::write::{Traits, entry, entry_head};
use crate::base::time::Now;
use crate::ds::table::{Keeper, Kept};
use crate::ds::{Ref, View};
use crate::store::Value;
use crate::store::access::{Lfu, lfu_counter};
use crate::store::lru;

/// Strings from this length on are shared with the file's writer, who compresses them: no shard waits for that.
const SHARE_FROM: usize = 64 * 1024;

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
    /// The time of the cut.
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
            Uses::Idle => traits.idle_secs = Some(lru::idle_secs(entry.access(), self.now)),
            Uses::Frequency(lfu) => {
                traits.frequency = Some(lfu_counter(entry.access(), self.now.secs(), lfu) as u8);
            }
        }
        traits
    }
}

impl Keeper<Value> for Form {
    fn keep(&mut self, kept: &Ref<'_, Value>, into: &mut Kept) {
        let traits = self.traits(kept);
        match kept.view() {
            View::Boxed(Value::Str(text)) if text.len() >= SHARE_FROM => {
                // A string's type is 0, as which the head writes it.
                entry_head(&mut into.bytes, kept.key(), traits);
                into.shared.push((into.bytes.len(), (**text).clone()));
            }
            value => {
                let form = (self.version, self.compress);
                if let Err(new) = entry(&mut into.bytes, kept.key(), value, traits, form) {
                    let (key, needs) = (String::from_utf8_lossy(kept.key()), new.needs);
                    into.trouble.get_or_insert_with(|| {
                        format!(
                            "the value of key '{key}' needs rdb-version {needs}, but it is {}",
                            self.version
                        )
                    });
                }
            }
        }
    }
}
