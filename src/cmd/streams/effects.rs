//! What the commands of groups did, as the log says it: who has been given which entries, when and how often, in absolute terms.
//!
//! ```text
//!  XCLAIM key group consumer 0 id TIME ms RETRYCOUNT n FORCE JUSTID LASTID id       given, or given again
//!  XACK key group id                                                                pending, but the entry is gone
//!  XGROUP CREATECONSUMER key group consumer                                         came, and was given nothing
//!  XGROUP SETID key group id ENTRIESREAD n                                          the group has read on
//! ```
//! Redis 7.0 sends the last of these under NOACK only, so that its readers lose count of what the group has read; later releases send
//! it always, and so is it done here.

use crate::cmd::Cx;
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Group, StreamId};

/// What one call did to a group.
pub(super) struct Told<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    /// Whether any of it is kept.
    on: bool,
    /// The consumer came with this call.
    came: bool,
    /// When, how often.
    given: Vec<(StreamId, i64, u64)>,
    gone: Vec<StreamId>,
}

impl<'a> Told<'a> {
    /// Nothing yet.
    pub fn new(cx: &Cx<'_>, key: &'a [u8], group: &'a [u8], consumer: &'a [u8]) -> Told<'a> {
        let on = cx.keys.logs(key);
        Told { key, group, consumer, on, came: false, given: Vec::new(), gone: Vec::new() }
    }

    /// The consumer came with this call.
    pub fn came(&mut self) {
        self.came = true;
    }

    /// An entry was given to the consumer: when (unix ms), and how often in all.
    #[inline]
    pub fn given(&mut self, id: StreamId, ms: i64, count: u64) {
        if self.on {
            self.given.push((id, ms, count));
        }
    }

    /// An entry is pending no more, since it is gone.
    pub fn gone(&mut self, id: StreamId) {
        if self.on {
            self.gone.push(id);
        }
    }

    /// What the group remembers at the end.
    pub fn end(group: &Group) -> (StreamId, Option<u64>) {
        (group.last_id, group.entries_read)
    }

    /// Tells it. `before` and `after` are the group at the beginning and at the end.
    pub fn tell(self, cx: &mut Cx<'_>, before: (StreamId, Option<u64>), after: (StreamId, Option<u64>)) {
        if !self.on {
            return;
        }
        cx.keys.say(self.key);
        let mut last = [0; ID_TEXT_MAX];
        let last = after.0.text(b'-', &mut last);
        if self.came && self.given.is_empty() {
            cx.keys.effect(self.key, &[b"XGROUP", b"CREATECONSUMER", self.key, self.group, self.consumer]);
        }
        for (id, ms, count) in &self.given {
            self.tell_given(cx, *id, *ms, *count, last);
        }
        for id in &self.gone {
            cx.keys.effect(self.key, &[b"XACK", self.key, self.group, id.text(b'-', &mut [0; ID_TEXT_MAX])]);
        }
        if before != after {
            let mut digits = itoa::Buffer::new();
            let read = after.1.map_or("-1", |read| digits.format(read)).as_bytes();
            let words = [b"XGROUP", &b"SETID"[..], self.key, self.group, last, b"ENTRIESREAD", read];
            cx.keys.effect(self.key, &words);
        }
    }

    fn tell_given(&self, cx: &mut Cx<'_>, id: StreamId, ms: i64, count: u64, last: &[u8]) {
        let mut text = [0; ID_TEXT_MAX];
        let id = id.text(b'-', &mut text);
        let (mut time, mut times) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (time, times) = (time.format(ms).as_bytes(), times.format(count).as_bytes());
        let who = [b"XCLAIM", self.key, self.group, self.consumer, b"0", id];
        let how = [b"TIME", time, b"RETRYCOUNT", times, b"FORCE", b"JUSTID", b"LASTID", last];
        cx.keys.effect(self.key, &[&who[..], &how[..]].concat());
    }
}
