//! A stream as a plain map, the twin that random edits are compared with.

use super::*;
use crate::base::prng::{seeded, xorshift};
use crate::ds::listpack::Listpack;
use std::collections::BTreeMap;

type Fields = Vec<Vec<u8>>;

#[derive(Default)]
struct Naive {
    entries: BTreeMap<StreamId, Fields>,
    last_id: StreamId,
    max_deleted: StreamId,
    added: u64,
}

fn fields_of(entry: &Entry<'_>) -> Fields {
    entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]).collect()
}

fn check(log: &Log, naive: &Naive) {
    assert_eq!((log.len(), log.last_id), (naive.entries.len() as u64, naive.last_id));
    assert_eq!((log.max_deleted, log.added), (naive.max_deleted, naive.added));
    assert_eq!(log.first_id(), naive.entries.keys().next().copied().unwrap_or_default());
    assert_eq!(log.last_live(), naive.entries.keys().next_back().copied());
    let blocks: usize = log.nodes().iter().map(|(_, node)| node.heap_bytes()).sum();
    assert_eq!(log.heap_bytes(), log.nodes().bytes() + blocks);
    let all = log.range(StreamId::MIN, StreamId::MAX).map(|e| (e.id, fields_of(&e)));
    assert!(all.eq(naive.entries.iter().map(|(id, f)| (*id, f.clone()))));
    // Every block is a whole listpack, and what it says is so.
    let mut twin = Log::default();
    for (master, node) in log.nodes().iter() {
        let pack = Listpack::from_bytes(node.as_bytes().to_vec()).expect("a listpack");
        twin.adopt(master, pack).expect("a node");
    }
    assert_eq!((twin.len(), twin.first_id()), (log.len(), log.first_id()));
}

fn some_fields(rng: &mut u64) -> Fields {
    let n = xorshift(rng);
    let pairs = if n.is_multiple_of(4) { 1 + (n as usize >> 2 & 3) } else { 2 };
    (0..2 * pairs)
        .map(|i| match (i % 2, xorshift(rng) % 8) {
            (0, 0) => b"other".to_vec(),
            (0, _) => format!("{i}").into_bytes(),
            (_, 0) => vec![b'v'; (xorshift(rng) % 300) as usize],
            (_, 1) => (xorshift(rng) as i64).to_string().into_bytes(),
            _ => (xorshift(rng) % 200).to_string().into_bytes(),
        })
        .collect()
}

#[test]
fn it_does_what_a_plain_map_does() {
    for (seed, bytes, entries) in [(1, 4096, 100), (2, 4096, 3), (3, 100, 0), (4, 0, 200), (5, 0, 1)] {
        let limits = Limits { bytes, entries };
        let mut rng = seeded(seed);
        let (mut log, mut naive) = (Log::default(), Naive::default());
        for step in 0..4_000u64 {
            let n = xorshift(&mut rng);
            match n % 16 {
                0..10 => {
                    let fields = some_fields(&mut rng);
                    let wanted = match n >> 8 & 3 {
                        0 => Wanted::Auto(step / 3),
                        1 => Wanted::Within(naive.last_id.ms + (n >> 16 & 1)),
                        _ => Wanted::Exactly(StreamId::new(naive.last_id.ms + (n >> 16 & 7), n >> 20 & 7)),
                    };
                    let Some(id) = log.id_for(wanted) else {
                        assert!(matches!(wanted, Wanted::Exactly(id) if id <= naive.last_id));
                        continue;
                    };
                    assert!(id > naive.last_id);
                    log.append(id, limits, fields.iter().map(Vec::as_slice));
                    naive.entries.insert(id, fields);
                    (naive.last_id, naive.added) = (id, naive.added + 1);
                }
                10..14 => {
                    let mut ids: Vec<StreamId> = naive.entries.keys().copied().collect();
                    ids.push(StreamId::new(n >> 8 & 1023, 1));
                    let picked: Vec<StreamId> =
                        (0..3).map(|_| ids[xorshift(&mut rng) as usize % ids.len()]).collect();
                    let gone = picked.iter().filter(|id| naive.entries.remove(id).is_some());
                    let gone: Vec<StreamId> = gone.copied().collect();
                    assert_eq!(log.delete(&picked), gone.len() as u64);
                    naive.max_deleted = gone.into_iter().fold(naive.max_deleted, StreamId::max);
                }
                14 => {
                    let max = (n >> 8) % (naive.entries.len() as u64 + 10);
                    let exact = n >> 40 & 1 == 0;
                    let removed = log.trim(Trim::MaxLen(max), !exact, 0);
                    let goes = naive.entries.len().saturating_sub(max as usize);
                    assert!(removed <= goes as u64 && (!exact || removed == goes as u64));
                    (0..removed).for_each(|_| drop(naive.entries.pop_first()));
                }
                _ => {
                    let min = naive.entries.keys().nth((n >> 8) as usize % 20).copied().unwrap_or_default();
                    let removed = log.trim(Trim::MinId(min), false, 0);
                    let before = naive.entries.len();
                    naive.entries.retain(|id, _| *id >= min);
                    assert_eq!(removed as usize, before - naive.entries.len());
                }
            }
            let mut probe = || StreamId::new(xorshift(&mut rng) % (naive.last_id.ms + 2), n & 7);
            let (start, end) = (probe(), probe());
            let model = || naive.entries.range(start..).take_while(|(id, _)| **id <= end).map(|(id, _)| *id);
            assert!(log.range(start, end).map(|e| e.id).eq(model()));
            let mut back: Vec<StreamId> = log.range_back(start, end).map(|e| e.id).collect();
            back.reverse();
            assert!(back.into_iter().eq(model()));
            assert_eq!(log.get(start).is_some(), naive.entries.contains_key(&start));
            if step % 50 == 0 {
                check(&log, &naive);
                check(&log.clone(), &naive);
            }
        }
        check(&log, &naive);
        assert_eq!(log.trim(Trim::MaxLen(0), true, 0), naive.entries.len() as u64);
        assert_eq!(log.heap_bytes(), log.nodes().bytes());
    }
}

#[test]
fn blocks_are_redis_s_byte_for_byte() {
    // From DUMP of redis-server 7.0.15 after XADD 1-1 a 1 b 22, XADD 1-5 a x b y, XADD 3-0 c 1, XDEL 1-5.
    let theirs: &[u8] = b"\x3f\x00\x00\x00\x19\x00\x02\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00\x01\
        \x02\x01\x00\x01\x00\x01\x01\x01\x16\x01\x05\x01\x03\x01\x00\x01\x04\x01\x81x\x02\x81y\x02\x05\x01\
        \x00\x01\x02\x01\xdf\xff\x02\x01\x01\x81c\x02\x01\x01\x06\x01\xff";
    let mut log = Log::default();
    let limits = Limits { bytes: 4096, entries: 100 };
    let mut add = |ms, seq, fields: &[&[u8]]| {
        log.append(StreamId::new(ms, seq), limits, fields.iter().copied());
    };
    add(1, 1, &[b"a", b"1", b"b", b"22"]);
    add(1, 5, &[b"a", b"x", b"b", b"y"]);
    add(3, 0, &[b"c", b"1"]);
    assert_eq!(log.delete(&[StreamId::new(1, 5)]), 1);
    assert_eq!(log.nodes().first().map(|(_, node)| node.as_bytes()), Some(theirs));
}
