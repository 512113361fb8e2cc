//! What a scan makes of files that were cut, bent, torn and mixed up.

use super::*;
use crate::base::prng::{seeded, xorshift};
use crate::persist::aof::{BLOCK, Framer, filler, pad};
use crate::store::ShardSet;

const MAX: u32 = 1 << 20;

/// Offset, end, sequence, payload and part of a frame.
type Whole = (u64, u64, u64, Vec<u8>, Option<Part>);

/// What a scan found: the frames, the verdict, and the end.
#[derive(PartialEq, Debug)]
struct Seen {
    frames: Vec<Whole>,
    tail: Tail,
    end: u64,
}

fn seen(file: &[u8], piece: usize) -> Seen {
    let mut scan = Scan::new(MAX);
    let mut frames = Vec::new();
    let mut take = |scan: &mut Scan| {
        while let Some(f) = scan.next_frame() {
            assert_eq!(&file[f.payload_at as usize..f.end as usize], f.payload);
            frames.push((f.offset, f.end, f.sequence, f.payload.to_vec(), f.part));
        }
    };
    for bytes in file.chunks(piece) {
        scan.push(bytes);
        take(&mut scan);
        assert_eq!(scan.tail(), None);
    }
    scan.finish();
    take(&mut scan);
    let tail = scan.tail().expect("a verdict").clone();
    assert_eq!(scan.frames(), frames.len() as u64);
    Seen { frames, tail, end: scan.end() }
}

fn command(text: &str) -> Vec<u8> {
    format!("*2\r\n$3\r\nGET\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A log of four writes, each durable before the next when `acknowledged`: its bytes, and where each frame ends.
fn log(acknowledged: bool) -> (Vec<u8>, Vec<u64>) {
    let (file, ends, _) = written(acknowledged);
    (file, ends)
}

/// The same, with what has made it.
fn written(acknowledged: bool) -> (Vec<u8>, Vec<u64>, Framer) {
    let mut framer = Framer::new(0xabcd_0123_4567_89ef, 1, 3, 2);
    let mut file = Vec::new();
    let mut ends = Vec::new();
    framer.begin_file(&mut file);
    ends.push(file.len() as u64);
    pad(&mut file);
    let part = Part { id: 77, participants: ShardSet::all(2) };
    for write in 0..3 {
        if acknowledged {
            framer.set_durable(framer.sequence());
        }
        framer.frame(&mut file, &command("plain"), None);
        ends.push(file.len() as u64);
        if write != 1 {
            framer.frame(&mut file, &command("part\n#kring:1 l="), Some(&part));
            ends.push(file.len() as u64);
        }
        pad(&mut file);
    }
    (file, ends, framer)
}

fn filled(blocks: usize) -> Vec<u8> {
    let mut bytes = vec![0; blocks * BLOCK];
    filler(&mut bytes);
    bytes
}

#[test]
fn a_log_is_read_as_it_was_written_however_it_is_cut_into_pieces() {
    let (mut file, ends) = log(true);
    for tail in [Vec::new(), filled(2), vec![0; 3000], [vec![0; BLOCK], filled(1), vec![0; 512]].concat()] {
        let len = file.len();
        file.extend(tail);
        let whole = seen(&file, file.len());
        assert_eq!(whole.tail, Tail::Clean);
        assert_eq!(whole.frames.iter().map(|f| f.1).collect::<Vec<_>>(), ends);
        assert_eq!(whole.frames[1].3, command("plain"));
        assert_eq!(whole.frames[2].4.map(|p| p.id), Some(77));
        for piece in [1, 2, 3, 7, 94, 95, 96, 511, 4095, 4096, 5000] {
            assert_eq!(seen(&file, piece), whole, "pieces of {piece}");
        }
        file.truncate(len);
    }
}

#[test]
fn a_cut_at_every_byte_leaves_the_whole_frames_and_the_right_verdict() {
    let (file, ends) = log(true);
    let all = seen(&file, BLOCK).frames;
    for cut in 0..=file.len() {
        let found = seen(&file[..cut], BLOCK);
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(found.frames, all[..whole], "cut at {cut}");
        let within = all.get(whole).map(|next| next.0).filter(|start| (cut as u64) > start + 1);
        match (&found.tail, within) {
            (Tail::Clean, None) => {}
            (Tail::Torn(Tear { at, why: Why::Short, due, later: None }), Some(start)) => {
                assert_eq!((*at, *due), (start, whole as u64), "cut at {cut}");
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn a_bit_changed_anywhere_never_gives_a_wrong_frame() {
    for acknowledged in [true, false] {
        let (file, ends) = log(acknowledged);
        let all = seen(&file, file.len()).frames;
        let mut bent = file.clone();
        // Every bit once; with the other log a sample does.
        for bit in (0..file.len() * 8).step_by(if acknowledged { 1 } else { 11 }) {
            bent[bit / 8] ^= 1 << (bit % 8);
            let at = (bit / 8) as u64;
            let before = ends.iter().filter(|end| **end <= at).count();
            let found = seen(&bent, bent.len());
            assert_eq!(found.frames, all[..before], "bit {bit}");
            assert_eq!(found.end, if before == 0 { 0 } else { ends[before - 1] }, "bit {bit}");
            // What a write of a later moment knew of: the frames before it.
            let known = if !acknowledged || before == ends.len() { 0 } else { all[ends.len() - 1].2 - 1 };
            let last_write = at >= (file.len() - BLOCK) as u64;
            match found.tail {
                Tail::Damaged(tear) => assert!(known > tear.due && !last_write, "bit {bit}: {tear}"),
                Tail::Torn(tear) => assert!(known <= tear.due || last_write, "bit {bit}: {tear}"),
                Tail::Clean => panic!("bit {bit}"),
            }
            bent[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn lost_writes_are_told_from_lost_acknowledged_ones() {
    for (acknowledged, fill) in
        [(true, filled(1)), (true, vec![0; BLOCK]), (false, filled(1)), (false, vec![0; BLOCK])]
    {
        let (mut file, ends) = log(acknowledged);
        file[BLOCK..2 * BLOCK].copy_from_slice(&fill);
        let found = seen(&file, 1000);
        assert_eq!((found.frames.len(), found.end), (1, ends[0]));
        let tear = match found.tail {
            Tail::Damaged(tear) if acknowledged => tear,
            Tail::Torn(tear) if !acknowledged => tear,
            other => panic!("{other:?}"),
        };
        assert_eq!((tear.why, tear.due, tear.at), (Why::Sequence(3), 1, 2 * BLOCK as u64));
        let durable = if acknowledged { 4 } else { 0 };
        let later = Later { at: 2 * BLOCK as u64, sequence: 3, frames: 3, durable };
        assert_eq!(tear.later, Some(later));
    }
}

#[test]
fn a_bit_changed_anywhere_in_front_of_the_closing_frame_is_damage() {
    let (mut file, mut ends, mut framer) = written(false);
    let closing = file.len();
    framer.end_file(&mut file);
    ends.push(file.len() as u64);
    let whole = seen(&file, BLOCK);
    assert_eq!((&whole.tail, whole.frames.len()), (&Tail::Clean, ends.len()));
    let closed = |file: &[u8]| {
        let mut scan = Scan::new(MAX);
        scan.push(file);
        while scan.next_frame().is_some() {}
        scan.is_closed()
    };
    assert!(closed(&file) && !closed(&file[..file.len() - 1]) && !closed(&file[..closing]));
    for at in 0..file.len() {
        let mut bent = file.clone();
        bent[at] ^= 1 << (at % 8);
        let found = seen(&bent, BLOCK);
        assert_eq!(found.frames, whole.frames[..found.frames.len()], "bit at {at}");
        match found.tail {
            // Padding that is still a line of its own.
            Tail::Clean => assert_eq!(found.frames, whole.frames, "bit at {at}"),
            Tail::Damaged(tear) => assert!((tear.at as usize) < closing, "bit at {at}: {tear:?}"),
            // Only the frame that closes the file goes.
            Tail::Torn(tear) => assert_eq!(tear.due as usize, ends.len() - 1, "bit at {at}: {tear:?}"),
        }
    }
}

#[test]
fn a_hole_in_front_of_a_frame_hides_none() {
    let (mut file, _) = log(false);
    file[BLOCK - 512..BLOCK].fill(0);
    let Tail::Torn(tear) = seen(&file, 100).tail else { panic!() };
    assert_eq!((tear.why, tear.at), (Why::Hole, (BLOCK - 512) as u64));
    assert_eq!(tear.later.as_ref().map(|later| (later.sequence, later.frames)), Some((1, 5)));
    assert!(tear.to_string().ends_with("5 whole frames follow from byte 4096 on, none is missing"), "{tear}");
}

#[test]
fn frames_of_another_log_are_not_taken_for_ours() {
    let (mut file, ends) = log(true);
    for (log_id, shard) in [(1, 1), (0xabcd_0123_4567_89ef, 0)] {
        let len = file.len();
        let mut foreign = Framer::new(log_id, shard, 3, 2);
        for _ in 0..=ends.len() {
            let start = file.len();
            foreign.frame(&mut file, b"", None);
            if foreign.sequence() <= ends.len() as u64 {
                file.truncate(start);
            }
        }
        let found = seen(&file, 4096);
        assert_eq!(found.frames.len(), ends.len());
        let why = Why::Foreign { log_id, shard: shard as u16 };
        let tear = Tear { at: len as u64, why, due: ends.len() as u64, later: None };
        assert_eq!(found.tail, Tail::Torn(tear));
        file.truncate(len);
    }
}

#[test]
fn a_first_frame_has_to_say_what_file_it_is() {
    let mut file = Vec::new();
    let mut framer = Framer::new(5, 0, 0, 1);
    framer.frame(&mut file, b"*1\r\n$4\r\nPING\r\n", None);
    let Tail::Torn(tear) = seen(&file, 10).tail else { panic!() };
    assert_eq!((tear.at, tear.why), (0, Why::Nameless));
}

#[test]
fn no_more_is_kept_than_the_limit_says() {
    let mut scan = Scan::new(1000u32);
    let mut file = Vec::new();
    let mut framer = Framer::new(5, 0, 0, 1);
    framer.begin_file(&mut file);
    framer.frame(&mut file, &[b'x'; 1000], None);
    framer.frame(&mut file, &[b'x'; 1001], None);
    let start = file.len();
    framer.frame(&mut file, &[b'x'; 1000], None);
    for piece in file.chunks(100) {
        scan.push(piece);
        while scan.next_frame().is_some() {}
        assert!(scan.buf.len() <= scan.memory_max() + 100, "{}", scan.buf.len());
    }
    scan.finish();
    assert!(scan.next_frame().is_none());
    let Some(Tail::Torn(tear)) = scan.tail() else { panic!() };
    assert_eq!((tear.why, tear.due), (Why::TooLong(1001), 2));
    assert_eq!(tear.later.as_ref().map(|later| later.at), Some(start as u64));
}

#[test]
fn random_bytes_never_panic_and_never_give_a_frame() {
    let mut state = seeded(11);
    let alphabet = b"#kring:1 l=0s=q=d=n=x=p=c=\n\0 *$af09";
    for _ in 0..3_000 {
        let len = xorshift(&mut state) % 600;
        let mut file: Vec<u8> =
            (0..len).map(|_| alphabet[(xorshift(&mut state) % alphabet.len() as u64) as usize]).collect();
        if xorshift(&mut state).is_multiple_of(2) {
            file.splice(0..0, MARK.iter().copied());
        }
        let whole = seen(&file, file.len().max(1));
        assert!(whole.frames.is_empty());
        assert_eq!(seen(&file, 1 + (xorshift(&mut state) % 50) as usize), whole);
    }
}

/// A disk that holds a filled file: every write in flight when it stops arrived sector by sector, or not.
struct Crash {
    file: Vec<u8>,
    /// Where each write ends in sequences and bytes.
    writes: Vec<(u64, usize)>,
    /// Writes that were acknowledged.
    acknowledged: usize,
}

fn crash(state: &mut u64) -> Crash {
    let mut below = |n: usize| (xorshift(state) % n as u64) as usize;
    let mut framer = Framer::new(0x1234, 0, 1, 1);
    let (mut disk, mut writes, mut acknowledged) = (Vec::new(), Vec::<(u64, usize)>::new(), 0);
    let count = 1 + below(6);
    let stop = below(count + 1);
    for write in 0..count {
        let mut bytes = Vec::new();
        if write == 0 {
            framer.begin_file(&mut bytes);
        }
        (0..1 + below(3)).for_each(|_| {
            let payload = command(&"v".repeat(below(3000)));
            framer.frame(&mut bytes, &payload, None);
        });
        pad(&mut bytes);
        let mut sectors = vec![0; bytes.len()];
        if below(2) == 0 {
            filler(&mut sectors);
        }
        for at in (0..bytes.len()).step_by(512) {
            if write < stop || below(3) > 0 {
                sectors[at..at + 512].copy_from_slice(&bytes[at..at + 512]);
            }
        }
        disk.extend(sectors);
        writes.push((framer.sequence(), disk.len()));
        // Acknowledgements come late, but in order.
        if write < stop && below(2) == 0 {
            acknowledged = write + 1;
            framer.set_durable(framer.sequence());
        }
    }
    disk.extend(filled(below(2)));
    Crash { file: disk, writes, acknowledged }
}

#[test]
fn a_crash_costs_nothing_that_was_acknowledged_and_is_no_damage() {
    let mut state = seeded(3);
    for round in 0..1_500 {
        let Crash { file, writes, acknowledged } = crash(&mut state);
        let found = seen(&file, 1 + (xorshift(&mut state) % 9000) as usize);
        let durable = acknowledged.checked_sub(1).map_or(0, |last| writes[last].0);
        assert!(found.frames.len() as u64 >= durable, "round {round}");
        assert!(!matches!(found.tail, Tail::Damaged(_)), "round {round}: {:?}", found.tail);
    }
}

#[test]
fn acknowledged_bytes_that_are_lost_are_damage_when_a_later_frame_knew_of_them() {
    let (file, _) = log(true);
    for block in 0..file.len() / BLOCK {
        for sector in (block * BLOCK..(block + 1) * BLOCK).step_by(512) {
            for lost in [0u8, 0xff, b' '] {
                let mut file = file.clone();
                if file[sector..sector + 512].iter().all(|b| *b == b'#' || *b == b' ' || *b == b'\n') {
                    continue; // Padding holds nothing to lose.
                }
                file[sector..sector + 512].fill(lost);
                let tail = seen(&file, 4096).tail;
                // The last frame knew of the blocks before the last.
                let known = block + 1 < file.len() / BLOCK;
                assert_eq!(
                    matches!(tail, Tail::Damaged(_)),
                    known,
                    "block {block}, sector {sector}: {tail:?}"
                );
                // A last write of which nothing is left is one that never was.
                let clean = tail == Tail::Clean;
                assert!(!clean || !known && lost == 0, "block {block}, sector {sector}");
            }
        }
    }
}

#[test]
fn a_changed_length_is_seen_before_its_payload_is_waited_for() {
    let mut file = Vec::new();
    let mut framer = Framer::new(5, 0, 0, 1);
    framer.begin_file(&mut file);
    let start = file.len();
    framer.frame(&mut file, b"*1\r\n$4\r\nPING\r\n", None);
    pad(&mut file);
    let length = start + file[start..].windows(3).position(|w| w == b" n=").unwrap() + 3;
    file[length + 6] = b'1';
    let mut scan = Scan::new(u64::MAX);
    scan.push(&file);
    assert!(scan.next_frame().is_some());
    assert!(scan.next_frame().is_none());
    assert!(scan.rest().len() < MARK.len(), "the rest was searched already");
    scan.finish();
    assert!(scan.next_frame().is_none());
    assert!(matches!(scan.tail(), Some(Tail::Torn(Tear { why: Why::Header, later: None, .. }))));
}

#[test]
fn what_redis_appended_is_not_cut_off() {
    let (file, ends) = log(true);
    let select = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".as_slice();
    let multi = b"#TS:1700000000\r\n*1\r\n$5\r\nMULTI\r\n".as_slice();
    let whole = *ends.last().unwrap() as usize;
    for (kept, fill) in [(whole, 0), (file.len(), 0), (file.len(), 1)] {
        let file = [&file[..kept], &filled(fill)].concat();
        for begin in [select, multi] {
            let appended = [&file, begin, &command("x")].concat();
            let found = [1, 30, appended.len()].map(|piece| seen(&appended, piece));
            assert_eq!(found[0].frames.len(), ends.len());
            let tear =
                Tear { at: file.len() as u64, why: Why::Appended, due: ends.len() as u64, later: None };
            assert!(found.iter().all(|found| found.tail == Tail::Damaged(tear.clone())), "{found:?}");
            // Its last command may be cut off, as usual.
            let cut = seen(&appended[..appended.len() - 3], 100);
            assert_eq!(cut.tail, Tail::Damaged(tear));
        }
        // The payload of a frame whose beginning never came.
        for torn in
            [[&command("x"), b"".as_slice()], [select, b"#\n"], [select, b"\0"], [b"*2\r\n$6\r\nSEL", b""]]
        {
            let torn = [&file, torn[0], torn[1]].concat();
            let Tail::Torn(tear) = seen(&torn, 50).tail else { panic!() };
            assert_eq!((tear.why, tear.at), (Why::Header, file.len() as u64));
        }
    }
}
