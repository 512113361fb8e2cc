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
use crate::ds::stream::{Body, Group, Stream, StreamId};
use crate::ds::table::Mark;

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
    let log = &stream.log;
    encode_len(out, log.len());
    encode_id(out, log.last_id);
    if kind != LISTPACKS {
        encode_id(out, log.first_id());
        encode_id(out, log.max_deleted);
        encode_len(out, log.added);
    }
    encode_len(out, stream.groups.len() as u64);
    stream.groups.iter().for_each(|group| encode_group(kind, out, group, compress));
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
    for (id, nack) in group.pending_from(StreamId::MIN) {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&nack.delivered_ms.to_le_bytes());
        encode_len(out, nack.count);
    }
    encode_len(out, group.consumers_len() as u64);
    for consumer in group.consumers() {
        encode_string(out, consumer.name(), compress);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        encode_len(out, consumer.pending() as u64);
        for (id, ()) in consumer.pending_from(StreamId::MIN) {
            out.extend_from_slice(&id.to_bytes());
        }
    }
}

/// Takes a stream off the front. All that its parts say of each other must agree.
pub fn decode(kind: u8, input: &mut &[u8], _reading: &Reading<'_>) -> Result<Stream, Corrupt> {
    let mut stream = Stream::default();
    let Body { log, groups } = &mut *stream;
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
