//! A stream as RDB writes it.
//!
//! ```text
//!  nodes: length | per node: its id (a string of 16 bytes) | its listpack (a string)
//!  entries: length | last id: length, length
//!  from 19 on: first id: length, length | max deleted id: length, length | entries added: length
//!  groups: length | per group:
//!    name: string | last id: length, length | from 19 on: entries read: length, all ones for not known
//!    pending: length | per entry: id, 16 bytes | delivered at, 8 bytes | deliveries: length
//!    consumers: length | per consumer:
//!      name: string | seen at, 8 bytes | from 21 on: active at, 8 bytes
//!      pending: length | per entry: id, 16 bytes
//! ```
//! Ids are big-endian, times are unix ms, little-endian. Numbers are written as lengths are. What is written is 19, which
//! Redis 7.0 reads: when a consumer was last active is not in it, and is taken to be when it was last seen. For `rdb-version 9`
//! it is 15: what was deleted, ever added and read is then reckoned from the entries, as by Redis 7.0 with a file of Redis 5.

use super::Corrupt;
use super::rdb_string::{Text, decode_len, decode_string, encode_len, encode_string, take};
use super::value::Reading;
use crate::ds::listpack::Listpack;
use crate::ds::stream::cut::{Head, Part};
use crate::ds::stream::{Body, Group, Nack, Stream, StreamId};
use crate::ds::table::{Kept, Mark};

/// RDB's numbers for it: Redis 5, 7.0, 7.2.
pub const KINDS: &[u8] = &[LISTPACKS, LISTPACKS_2, LISTPACKS_3];
const LISTPACKS: u8 = 15;
const LISTPACKS_2: u8 = 19;
const LISTPACKS_3: u8 = 21;

/// Appends the content and gives its number.
pub fn encode(out: &mut Vec<u8>, stream: &Stream, compress: bool) -> u8 {
    encode_as(LISTPACKS_2, out, stream, compress)
}

/// Appends the content as Redis 5 reads it, and gives its number.
pub fn encode_for_5(out: &mut Vec<u8>, stream: &Stream, compress: bool) -> u8 {
    encode_as(LISTPACKS, out, stream, compress)
}

/// See [`super::value::begin`]. The parts are nodes, and all else as the last one; the mark is a node's id.
pub fn begin(out: &mut Vec<u8>, stream: &Stream) -> (u8, Mark) {
    let nodes = stream.log.nodes().len() as u64;
    encode_len(out, nodes);
    (LISTPACKS_2, Mark { at: [0; 2], left: nodes + 1 })
}

/// See [`super::value::go_on`].
pub fn go_on(out: &mut Vec<u8>, stream: &Stream, mark: Mark, until: usize, compress: bool) -> Mark {
    let (from, mut count) = (StreamId::new(mark.at[0], mark.at[1]), 0);
    for (id, node) in stream.log.nodes().iter_from(from) {
        if out.len() >= until {
            return mark.after(count, [id.ms, id.seq]);
        }
        encode_node(out, id, node.as_bytes(), compress);
        count += 1;
    }
    encode_rest(LISTPACKS_2, out, stream, compress);
    mark.after(count + 1, mark.at)
}

/// See [`super::value::guard`].
pub fn guard(stream: &mut Stream, mark: Mark) -> bool {
    stream.begin_cut(StreamId::new(mark.at[0], mark.at[1]));
    true
}

/// See [`super::value::collect`]. All behind the nodes counts as the last part, however often it is gone on with.
pub fn collect(kept: &mut Kept, stream: &mut Stream, mark: Mark, until: usize, compress: bool) -> Mark {
    let (out, mut count) = (&mut kept.bytes, 0);
    while out.len() < until {
        let more = stream.give(&mut |part| {
            count += u64::from(matches!(part, Part::Node(..)));
            encode_part(out, part, compress);
        });
        if !more {
            count += 1;
            break;
        }
    }
    mark.after(count, mark.at)
}

/// A part, as [`LISTPACKS_2`] has it.
fn encode_part(out: &mut Vec<u8>, part: Part<'_>, compress: bool) {
    match part {
        Part::Node(id, block) => encode_node(out, id, block, compress),
        Part::Head(head) => encode_head(LISTPACKS_2, out, &head),
        Part::Group { name, last_id, entries_read, pending } => {
            encode_string(out, name, compress);
            encode_id(out, last_id);
            encode_len(out, entries_read.unwrap_or(u64::MAX));
            encode_len(out, pending as u64);
        }
        Part::Nack(id, nack) => encode_nack(out, id, nack),
        Part::Consumers(count) => encode_len(out, count as u64),
        Part::Consumer { name, seen_ms, pending } => encode_consumer(out, name, seen_ms, pending, compress),
        Part::Own(id) => out.extend_from_slice(&id.to_bytes()),
    }
}

fn encode_as(kind: u8, out: &mut Vec<u8>, stream: &Stream, compress: bool) -> u8 {
    let log = &stream.log;
    encode_len(out, log.nodes().len() as u64);
    log.nodes().iter().for_each(|(id, node)| encode_node(out, id, node.as_bytes(), compress));
    encode_rest(kind, out, stream, compress);
    kind
}

fn encode_node(out: &mut Vec<u8>, id: StreamId, block: &[u8], compress: bool) {
    encode_len(out, 16);
    out.extend_from_slice(&id.to_bytes());
    encode_string(out, block, compress);
}

/// What stands behind the nodes.
fn encode_rest(kind: u8, out: &mut Vec<u8>, stream: &Stream, compress: bool) {
    encode_head(kind, out, &Head::of(&stream.log, stream.groups.len()));
    stream.groups.iter().for_each(|group| encode_group(kind, out, group, compress));
}

/// What is known of the entries, and how many groups there are.
fn encode_head(kind: u8, out: &mut Vec<u8>, head: &Head) {
    encode_len(out, head.len);
    encode_id(out, head.last_id);
    if kind != LISTPACKS {
        encode_id(out, head.first_id);
        encode_id(out, head.max_deleted);
        encode_len(out, head.added);
    }
    encode_len(out, head.groups as u64);
}

fn encode_id(out: &mut Vec<u8>, id: StreamId) {
    encode_len(out, id.ms);
    encode_len(out, id.seq);
}

fn encode_group(kind: u8, out: &mut Vec<u8>, group: &Group, compress: bool) {
    encode_string(out, group.name(), compress);
    encode_id(out, group.last_id);
    if kind != LISTPACKS {
        encode_len(out, group.entries_read.unwrap_or(u64::MAX));
    }
    encode_len(out, group.pending() as u64);
    group.pending_from(StreamId::MIN).for_each(|(id, nack)| encode_nack(out, id, nack));
    encode_len(out, group.consumers_len() as u64);
    for consumer in group.consumers() {
        encode_consumer(out, consumer.name(), consumer.seen_ms, consumer.pending(), compress);
        for (id, ()) in consumer.pending_from(StreamId::MIN) {
            out.extend_from_slice(&id.to_bytes());
        }
    }
}

fn encode_nack(out: &mut Vec<u8>, id: StreamId, nack: &Nack) {
    out.extend_from_slice(&id.to_bytes());
    out.extend_from_slice(&nack.delivered_ms.to_le_bytes());
    encode_len(out, nack.count);
}

/// A consumer, without the ids of its entries.
fn encode_consumer(out: &mut Vec<u8>, name: &[u8], seen_ms: i64, pending: usize, compress: bool) {
    encode_string(out, name, compress);
    out.extend_from_slice(&seen_ms.to_le_bytes());
    encode_len(out, pending as u64);
}

/// Takes a stream off the front. All that its parts say of each other must agree.
pub fn decode(kind: u8, input: &mut &[u8], _reading: &Reading<'_>) -> Result<Stream, Corrupt> {
    let mut stream = Stream::default();
    let Body { log, groups, .. } = &mut *stream;
    for _ in 0..decode_len(input)? {
        let master = decode_string(input)?.into_bytes();
        let master = StreamId::from_bytes(master.try_into().map_err(|_| Corrupt)?);
        let pack = Listpack::from_bytes(decode_string(input)?.into_bytes()).ok_or(Corrupt)?;
        log.adopt(master, pack).ok_or(Corrupt)?;
    }
    if decode_len(input)? != log.len() {
        return Err(Corrupt);
    }
    let last_live = log.last_id;
    log.last_id = decode_id(input)?;
    if log.last_id < last_live {
        return Err(Corrupt);
    }
    log.added = log.len();
    if kind != LISTPACKS {
        // The first entry is known from the entries.
        decode_id(input)?;
        log.max_deleted = decode_id(input)?;
        log.added = decode_len(input)?;
        if log.added < log.len() {
            return Err(Corrupt);
        }
    }
    for _ in 0..decode_len(input)? {
        let name = decode_string(input)?.into_bytes();
        let last_id = decode_id(input)?;
        let read = if kind == LISTPACKS { log.added_up_to(last_id) } else { decode_read(input)? };
        if !groups.create(&name, last_id, read) {
            return Err(Corrupt);
        }
        let mut group = groups.edit(&name).ok_or(Corrupt)?;
        decode_group(kind, input, &mut group)?;
    }
    Ok(stream)
}

fn decode_id(input: &mut &[u8]) -> Result<StreamId, Corrupt> {
    Ok(StreamId { ms: decode_len(input)?, seq: decode_len(input)? })
}

fn decode_read(input: &mut &[u8]) -> Result<Option<u64>, Corrupt> {
    match decode_len(input)? {
        u64::MAX => Ok(None),
        read => i64::try_from(read).map(|_| Some(read)).map_err(|_| Corrupt),
    }
}

fn decode_raw<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Corrupt> {
    take(input, N)?.try_into().map_err(|_| Corrupt)
}

fn decode_group(kind: u8, input: &mut &[u8], group: &mut Group) -> Result<(), Corrupt> {
    // What is pending waits for its consumer to be read. The input holds them all, so it bounds them.
    let pending = decode_len(input)?;
    let mut waiting: Vec<(StreamId, i64, u64)> = Vec::new();
    for _ in 0..pending {
        let id = StreamId::from_bytes(decode_raw(input)?);
        let delivered_ms = i64::from_le_bytes(decode_raw(input)?);
        waiting.push((id, delivered_ms, decode_len(input)?));
    }
    waiting.sort_unstable_by_key(|(id, ..)| *id);
    if waiting.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Corrupt);
    }
    for _ in 0..decode_len(input)? {
        let name: Text<'_> = decode_string(input)?;
        let seen_ms = i64::from_le_bytes(decode_raw(input)?);
        let active_ms = if kind == LISTPACKS_3 { i64::from_le_bytes(decode_raw(input)?) } else { seen_ms };
        let slot = group.create(&name.into_bytes(), seen_ms).ok_or(Corrupt)?;
        group.served(slot, active_ms);
        for _ in 0..decode_len(input)? {
            let id = StreamId::from_bytes(decode_raw(input)?);
            let at = waiting.binary_search_by_key(&id, |(id, ..)| *id).map_err(|_| Corrupt)?;
            if group.nack(id).is_some() {
                return Err(Corrupt);
            }
            group.assign(id, slot, waiting[at].1, waiting[at].2);
        }
    }
    // Each has found its consumer.
    if group.pending() == waiting.len() { Ok(()) } else { Err(Corrupt) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::config::Config;
    use crate::ds::stream::{Limits, Trim};

    fn read(kind: u8, bytes: &[u8]) -> Result<Stream, Corrupt> {
        let mut input = bytes;
        let stream = decode(kind, &mut input, &Reading { config: &Config::default(), seed: 7 })?;
        if input.is_empty() { Ok(stream) } else { Err(Corrupt) }
    }

    fn written(stream: &Stream) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, stream, true), LISTPACKS_2);
        out
    }

    fn add(stream: &mut Stream, ms: u64, fields: &[&[u8]]) {
        let limits = Limits { bytes: 4096, entries: 3 };
        stream.log.append(StreamId::new(ms, ms % 3), limits, fields.iter().copied());
    }

    fn sample() -> Stream {
        let mut stream = Stream::default();
        for ms in 1..20 {
            let value = (ms * 1_000_003).to_string();
            match ms % 4 {
                0 => add(&mut stream, ms, &[b"only", b"12"]),
                _ => add(
                    &mut stream,
                    ms,
                    &[b"name", value.as_bytes(), b"other", b"a longer value, a longer value"],
                ),
            }
        }
        stream.log.delete(&[StreamId::new(5, 2), StreamId::new(9, 0)]);
        stream.log.trim(Trim::MaxLen(15), false, 0);
        for name in [&b"one"[..], b"two", b"empty"] {
            stream.groups.create(name, StreamId::new(7, 1), Some(7).filter(|_| name != b"two"));
        }
        for name in [&b"one"[..], b"two"] {
            let mut group = stream.groups.edit(name).expect("made");
            for consumer in [&b"x"[..], b"y", b"idle"] {
                group.create(consumer, 1_700_000_000_000);
            }
            for ms in 3..12 {
                let slot = group.find(if ms % 2 == 0 { b"x" } else { b"y" }).expect("made");
                group.assign(StreamId::new(ms, ms % 3), slot, 1_700_000_000_000 + ms as i64, ms);
            }
        }
        stream
    }

    #[test]
    fn what_is_written_is_read_back() {
        for stream in [sample(), Stream::default()] {
            let bytes = written(&stream);
            let back = read(LISTPACKS_2, &bytes).expect("whole");
            assert_eq!(written(&back), bytes);
            assert_eq!(back.log.first_id(), stream.log.first_id());
            for cut in 0..bytes.len() {
                assert!(read(LISTPACKS_2, &bytes[..cut]).is_err(), "cut to {cut}");
            }
            let mut old = Vec::new();
            assert_eq!(encode_for_5(&mut old, &stream, true), LISTPACKS);
            let back = read(LISTPACKS, &old).expect("whole");
            assert_eq!((back.log.len(), back.log.last_id), (stream.log.len(), stream.log.last_id));
            let mut again = Vec::new();
            encode_for_5(&mut again, &back, true);
            assert_eq!(again, old, "groups and what is pending too");
        }
    }

    /// A random command.
    fn change(stream: &mut Stream, rng: &mut u64, now_ms: i64) {
        let mut below = |n: u64| xorshift(rng) % n;
        let (name, other) = ([b'a' + below(4) as u8], [b'a' + below(4) as u8]);
        let (first, last) = (stream.log.first_id().ms, stream.log.last_id.ms);
        let id = StreamId::new(first + below(last - first + 3), 0);
        match below(22) {
            0..5 => {
                let limits = Limits { bytes: 4096, entries: 1 + below(9) };
                let fields: [&[u8]; 2] = [b"name", &b"some value"[..below(10) as usize]];
                stream.log.append(StreamId::new(last + 1 + below(2), 0), limits, fields.into_iter());
            }
            5..7 => _ = stream.log.delete(&[id, id.next().expect("there is one")]),
            7 => {
                let left = stream.log.len().saturating_sub(below(20));
                stream.log.trim(Trim::MaxLen(left), below(2) == 0, 0);
            }
            8 if below(9) == 0 => _ = stream.log.trim(Trim::MaxLen(below(3)), false, 0),
            // XSETID: ids may come again.
            9 => stream.log.last_id = stream.log.last_live().unwrap_or(StreamId::new(last / 2, 0)),
            10 => (stream.log.added, stream.log.max_deleted) = (stream.log.added + below(9), id),
            11 if below(3) == 0 => _ = stream.groups.destroy(&name),
            12 => _ = stream.groups.create(&name, id, Some(below(9))),
            _ => {
                let Some(mut group) = stream.groups.edit(&name) else { return };
                match below(12) {
                    0 => group.last_id = id,
                    1 => group.entries_read = None,
                    2 if below(3) == 0 => _ = group.delete(&other),
                    3 => _ = group.find(&other).map(|slot| group.saw(slot, now_ms)),
                    4 => _ = group.find(&other).map(|slot| group.served(slot, now_ms)),
                    5..8 => (0..5).for_each(|n| _ = group.release(StreamId::new(id.ms + n, 0))),
                    8 => group.redeliver(id, now_ms),
                    _ => {
                        let slot = group.find(&other).or_else(|| group.create(&other, now_ms));
                        (0..below(30)).for_each(|n| {
                            group.assign(StreamId::new(id.ms + n, 0), slot.expect("made"), now_ms, n)
                        });
                    }
                }
            }
        }
    }

    /// The bytes of a stream that is guarded at some node and changes until all is collected are those of its instant.
    #[test]
    fn a_stream_that_changes_is_collected_as_it_was() {
        for seed in 0..200 {
            let mut rng = seeded(seed + 1);
            let mut stream = Stream::default();
            (0..[20, 200, 3_000][seed as usize % 3]).for_each(|ms| change(&mut stream, &mut rng, ms));
            let (mut expected, mut kept) = (Vec::new(), Kept::default());
            encode(&mut expected, &stream, false);
            let (_, mut mark) = begin(&mut kept.bytes, &stream);
            let skipped = xorshift(&mut rng) % mark.left;
            for _ in 0..skipped {
                let until = kept.bytes.len() + 1;
                mark = go_on(&mut kept.bytes, &stream, mark, until, false);
            }
            if mark.left == 0 {
                assert!(kept.bytes == expected);
                continue;
            }
            assert!(guard(&mut stream, mark));
            let (pace, part) = (xorshift(&mut rng) % 20, xorshift(&mut rng) as usize % 500);
            let gives_up = xorshift(&mut rng).is_multiple_of(8);
            while mark.left > 0 && !(gives_up && xorshift(&mut rng).is_multiple_of(20)) {
                (0..pace).for_each(|ms| change(&mut stream, &mut rng, 10_000 + ms as i64));
                let before = kept.bytes.len();
                mark = collect(&mut kept, &mut stream, mark, before + part.max(1), false);
                assert!(kept.bytes.len() > before, "no part is empty");
            }
            assert!(mark.left > 0 || kept.bytes == expected, "seed {seed}");
            assert!(mark.left > 0 || stream.cut_bytes() == 0, "seed {seed}");
            stream.end_cut();
            assert_eq!(stream.cut_bytes(), 0);
            use_all(&mut stream);
        }
    }

    #[test]
    fn older_and_newer_numbers_are_read() {
        // A group of one consumer, pending 1-1, as each release writes it after XADD 1-1 a b.
        let node = b"\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81a\x02\0\x01\
            \x02\x01\0\x01\0\x01\x81b\x02\x04\x01\xff\x01\x01\x01";
        let counters = b"\x01\x01\0\0\x01";
        let pending =
            b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x05\0\0\0\0\0\0\0\x02\x01\x01c\x06\0\0\0\0\0\0\0";
        let own = b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01";
        let group = b"\x01\x01g\x01\x01";
        let active = b"\x07\0\0\0\0\0\0\0";
        let five = [&node[..], group, pending, own].concat();
        let seven = [&node[..], counters, group, b"\x01", pending, own].concat();
        let newer = [&node[..], counters, group, b"\x01", pending, active, own].concat();
        for (kind, bytes, active_ms) in [(15, &five, 6), (19, &seven, 6), (21, &newer, 7)] {
            let stream = read(kind, bytes).unwrap_or_else(|_| panic!("{kind}"));
            assert_eq!(
                (stream.log.len(), stream.log.added, stream.log.first_id()),
                (1, 1, StreamId::new(1, 1))
            );
            let group = stream.groups.get(b"g").expect("there");
            assert_eq!(group.entries_read, Some(1));
            let consumer = group.consumers().next().expect("there");
            assert_eq!((consumer.seen_ms, consumer.active_ms, consumer.pending()), (6, active_ms, 1));
            let nack = group.nack(StreamId::new(1, 1)).expect("there");
            assert_eq!((nack.delivered_ms, nack.count), (5, 2));
            for other in [15, 19, 21].into_iter().filter(|other| *other != kind) {
                assert!(read(other, bytes).is_err(), "{kind} as {other}");
            }
        }
    }

    /// As many runs as `KRING_FUZZ` says.
    #[test]
    fn damage_never_panics_nor_makes_what_cannot_be() {
        let runs = std::env::var("KRING_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000u64);
        let mut rng = seeded(19);
        let mut plain = Vec::new();
        encode(&mut plain, &sample(), false);
        for _ in 0..runs {
            let mut bad = plain.clone();
            for _ in 0..1 + xorshift(&mut rng) % 3 {
                let n = xorshift(&mut rng);
                let at = (n >> 8) as usize % bad.len();
                if n & 1 == 0 { bad[at] ^= 1 << (n >> 1 & 7) } else { bad[at] = (n >> 1) as u8 }
            }
            if xorshift(&mut rng).is_multiple_of(4) {
                bad.truncate(xorshift(&mut rng) as usize % bad.len());
            }
            let kind = KINDS[(xorshift(&mut rng) % 6).saturating_sub(3) as usize % 3];
            if let Ok(mut stream) = read(if kind == 15 { 19 } else { kind }, &bad) {
                use_all(&mut stream);
            }
        }
    }

    /// Reads all, and edits all away.
    fn use_all(stream: &mut Stream) {
        let ids: Vec<StreamId> = stream.log.range(StreamId::MIN, StreamId::MAX).map(|e| e.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b) && ids.len() as u64 == stream.log.len());
        assert_eq!(stream.log.range_back(StreamId::MIN, StreamId::MAX).count(), ids.len());
        let fields = stream.log.range(StreamId::MIN, StreamId::MAX).flat_map(|e| e.fields());
        assert!(fields.map(|(n, v)| n.text_len() + v.text_len()).sum::<usize>() < 10_000_000);
        assert_eq!(written(&read(LISTPACKS_2, &written(stream)).expect("whole")), written(stream));
        let names: Vec<Vec<u8>> = stream.groups.iter().map(|g| g.name().to_vec()).collect();
        for name in names {
            let mut group = stream.groups.edit(&name).expect("there");
            let pending: Vec<StreamId> = group.pending_from(StreamId::MIN).map(|(id, _)| id).collect();
            assert!(pending.iter().all(|id| group.release(*id)));
            assert!(group.consumers().all(|consumer| consumer.pending() == 0));
        }
        stream.log.trim(Trim::MaxLen(ids.len() as u64 / 2), false, 0);
        stream.log.delete(&ids);
        assert!(stream.log.is_empty());
    }
}
