//! DEBUG DIGEST and DIGEST-VALUE: 160 bits that two servers have in common when their data are equal.
//!
//! ```text
//!  xor(d, x) = d ^ SHA1(x)                     the order of several does not matter
//!  mix(d, x) = SHA1(d ^ SHA1(x))               the order matters
//!
//!  value(v)  = mix(mix(0, type as u32), text), then xor "!!expire!!" if it has a TTL
//!  stream    = mix(...mix(mix(0, type as u32), "ms.seq")..., names and values), entry by entry
//!  zset      = instead of the text, for each member: xor(mix(mix(0, member), score as %.17g))
//!  dataset   = for each database with keys, ascending: mix(its number as u32),
//!              then for each key: xor(value started from mix(0, key) instead of 0)
//! ```
//! Numbers are big-endian. As keys are joined by xor, shards give their parts in any order. The scheme is Redis's
//! (`debug.c`), so that a dataset can be compared with redis-server's.

use super::rows::permit;
use crate::base::double::write_17g;
use crate::cmd::{Cx, Done, Outcome, Where};
use crate::ds::hash::with_text;
use crate::ds::list::End;
use crate::ds::stream::id::ID_TEXT_MAX;
use crate::ds::stream::{Stream, StreamId};
use crate::ds::zset::Zset;
use crate::ds::{Ref, View};
use crate::resp::Args;
use crate::store::{Kind, Route, ShardSet, Value, kind};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, bytes: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(bytes).into();
        self.0.iter_mut().zip(hash).for_each(|(mine, theirs)| *mine ^= theirs);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn mix_number(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    fn mix_value(&mut self, entry: &Ref<'_, Value>) {
        self.mix_number(kind_number(kind(entry)));
        match entry.view() {
            View::Int(n) => self.mix(itoa::Buffer::new().format(n).as_bytes()),
            View::Bytes(text) => self.mix(text),
            View::Boxed(Value::Str(text)) => self.mix(text),
            View::Boxed(Value::List(list)) => {
                list.each(0, usize::MAX, End::Front, |element| element.with(|text| self.mix(text)));
            }
            View::Boxed(Value::Set(set)) => set.each(|member| {
                member.with(|text| self.xor(text));
                true
            }),
            View::Boxed(Value::Zset(zset)) => self.mix_zset(zset),
            View::Boxed(Value::Hash(hash)) => {
                for field in hash.iter() {
                    let mut one = Digest::default();
                    field.name.with(|name| one.mix(name));
                    with_text(&field.value, |text| one.mix(text));
                    if field.expire_at.is_some() {
                        one.xor(b"!!hexpire!!");
                    }
                    self.xor(&one.0);
                }
            }
            View::Boxed(Value::Stream(stream)) => self.mix_stream(stream),
        }
        if entry.expire_at().is_some() {
            self.xor(b"!!expire!!");
        }
    }

    /// Entries in their order: the id with a dot, then names and values.
    fn mix_stream(&mut self, stream: &Stream) {
        for entry in stream.log.range(StreamId::MIN, StreamId::MAX) {
            self.mix(entry.id.text(b'.', &mut [0; ID_TEXT_MAX]));
            for (name, value) in entry.fields() {
                name.with(|text| self.mix(text));
                value.with(|text| self.mix(text));
            }
        }
    }

    fn mix_zset(&mut self, zset: &Zset) {
        let mut text = Vec::new();
        // Redis 7.2 hashes the shortest text; this stays comparable with the digests of all before it, and of here.
        zset.walk(0, usize::MAX, false, |member, score| {
            let mut one = Digest::default();
            member.with(|member| one.mix(member));
            text.clear();
            write_17g(&mut text, score);
            one.mix(&text);
            self.xor(&one.0);
            true
        });
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Redis's number of a type.
fn kind_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::Zset => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

pub(super) fn digest(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    let used = cx.keys.hand.iter().flat_map(|store| store.dbs().filter(|(_, db)| !db.is_empty()));
    let numbers: BTreeSet<usize> = used.map(|(number, _)| number).collect();
    let mut whole = Digest::default();
    for db in numbers {
        whole.mix_number(db as u32);
        for entry in cx.keys.hand.iter().flat_map(|store| store.db(db).table().iter()) {
            let mut one = Digest::default();
            one.mix(entry.key());
            one.mix_value(&entry);
            whole.xor(&one.0);
        }
    }
    cx.out.simple(&whole.hex());
    Ok(Outcome::Done)
}

/// A call without keys is one too, and needs no store.
pub(super) fn shards_of_keys(args: Args<'_>, route: Route) -> Where {
    let mut shards = ShardSet::EMPTY;
    args.iter().skip(2).for_each(|key| shards.insert(route.owner(key)));
    match (shards.len(), shards.next(0)) {
        (_, None) => Where::Anywhere,
        (1, Some(shard)) => Where::Shard(shard),
        _ => Where::Shards(shards),
    }
}

pub(super) fn digest_value(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.out.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        if let Some(entry) = cx.keys.peek(key) {
            digest.mix_value(&entry);
        }
        cx.out.simple(&digest.hex());
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::config::EnableCommand;

    /// Digests of redis-server 7.0.15 after the same commands.
    #[test]
    fn digests_are_those_of_redis() {
        for shards in [1, 3] {
            let mut world = World::new(shards);
            world.config.enable_debug_command = EnableCommand::Yes;
            assert_eq!(world.run("DEBUG DIGEST"), format!("+{}\r\n", "0".repeat(40)));
            world.run("DEBUG POPULATE 3");
            world.run("DEBUG POPULATE 2 p 4");
            world.run("DEBUG POPULATE 2 q 12");
            assert_eq!(world.run("DEBUG DIGEST"), "+54da63588e322f5e4d42d47f143ac48368574fd2\r\n");
            let mut world = World::new(shards);
            world.config.enable_debug_command = EnableCommand::Yes;
            world.run("SET a b");
            assert_eq!(world.run("DEBUG DIGEST"), "+479783d7290f02957dfbe3408a858ba13eea1709\r\n");
            world.session.db = 3;
            world.run("SET a 123");
            let values = "*2\r\n+89f7f51b707418f666d5b45e053bd5bbbf82ac2b\r\n+0000000000000000000000000000000000000000\r\n";
            assert_eq!(world.run("DEBUG DIGEST-VALUE a none"), values);
            assert_eq!(world.run("DEBUG DIGEST-VALUE"), "*0\r\n");
            world.session.db = 0;
            world.run("EXPIRE a 100");
            assert_eq!(world.run("DEBUG DIGEST"), "+7a54b1af32542458930bb42e9cd892ede55e0761\r\n");
        }
    }
}
