//! tmp
use kring::ds::{ClockHand, Payload, Table};
fn expire_all(seed: u64, compact: bool) -> bool {
    let r = std::panic::catch_unwind(|| {
        let mut table = Table::<String>::new(seed);
        for n in 0..500_000u64 {
            let key = format!("k{}", n * 2 + (seed & 1)).into_bytes();
            table.upsert(table.hash(&key), &key, Payload::Bytes(&[0; 32]), Some(n as i64 % 1_000));
        }
        let (mut cursor, mut hand) = (0, ClockHand::default());
        for now in [100, 200, 300, 310, 330, 350, 400, 500, 700, 1000] {
            for i in 0..40 {
                let l = table.expire_slice(&mut cursor, now, 2_048, &mut |_, _| ());
                if compact && i % 2 == 0 {
                    table.compact(&mut hand, 128);
                }
                if l < 2048 {
                    break;
                }
            }
        }
        while !table.is_empty() {
            table.expire_slice(&mut cursor, 1_000, 2_048, &mut |_, _| ());
            if compact {
                table.compact(&mut hand, 128);
            }
        }
    });
    r.is_ok()
}
#[test]
fn alone() {
    let bad: Vec<u64> = (0..25).filter(|s| !expire_all(*s, false)).collect();
    assert!(bad.is_empty(), "{bad:?}");
}
#[test]
fn compacted() {
    let bad: Vec<u64> = (0..25).filter(|s| !expire_all(*s, true)).collect();
    assert!(bad.is_empty(), "{bad:?}");
}
