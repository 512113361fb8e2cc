//! Cuts of lists of all shapes, while two twins change: one under a cut and one that is not.

use super::super::tests::Twins;
use super::super::{End, Limits, List, Saved};
use super::*;
use crate::base::lzf;
use crate::ds::listpack::Listpack;

/// Appends the texts of a node.
fn add(texts: &mut Vec<Vec<u8>>, node: Saved<'_>) {
    let (bytes, plain) = match node {
        Saved::Whole { bytes, plain } => (bytes.to_vec(), plain),
        Saved::Squeezed { lzf, len, plain } => (lzf::decompress(lzf, len).expect("it was compressed"), plain),
    };
    if plain {
        return texts.push(bytes);
    }
    let pack = Listpack::from_bytes(bytes).expect("it is whole");
    texts.extend(pack.iter().map(|element| element.to_vec()));
}

/// The texts of the nodes from a rank on.
fn from_rank(list: &List, rank: usize) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    list.save(rank, |node| {
        add(&mut texts, node);
        true
    });
    texts
}

/// Changes a list between the nodes that it gives, some steps at a time, and sees what a list does that is under no cut.
fn run(limits: Limits, length: usize, seed: u64) -> bool {
    let mut twins = Twins::new(limits, seed);
    for i in 0..length {
        twins.push(End::Back, format!("{i}{}", "-".repeat(i % 40)).into_bytes());
    }
    (0..40).for_each(|_| twins.step());
    let nodes = twins.list.nodes();
    let from = twins.below(nodes);
    let expected = from_rank(&twins.list, from);
    let mut free = twins.twin();
    if !twins.list.begin_cut(from as u64) {
        return false;
    }
    let (mut found, mut left) = (Vec::new(), nodes - from);
    let pace = 1 + twins.below(20);
    let gives_up = twins.below(8) == 0;
    free.below(20);
    free.below(8);
    while left > 0 && !(gives_up && left < nodes / 2) {
        for _ in 0..pace {
            twins.step();
            free.step();
            assert_eq!(twins.list.encoding(), free.list.encoding(), "to whom commands go does not show");
        }
        let some = left.min(1 + left * pace / 100);
        (0..some).for_each(|_| twins.list.give(|node| add(&mut found, node)));
        left -= some;
        free.check();
        twins.check();
    }
    assert!(left > 0 || found == expected, "seed {seed}, {limits:?}, {length}");
    assert!(left > 0 || twins.list.cut_bytes() == 0);
    twins.list.end_cut();
    assert_eq!(twins.list.cut_bytes(), 0);
    for _ in 0..20 {
        twins.step();
        free.step();
        assert_eq!(twins.list.encoding(), free.list.encoding());
    }
    twins.check();
    true
}

#[test]
fn what_was_there_is_given_whatever_becomes_of_the_list() {
    let mut cuts = 0;
    for seed in 0..if cfg!(miri) { 4 } else { 150 } {
        let limits = Limits::new([1, 3, -1, -2, 128, 1][seed as usize % 6], [0, 1, 3][seed as usize % 3]);
        let length = if cfg!(miri) { 30 } else { [20, 300, 2_500][seed as usize / 6 % 3] };
        cuts += u64::from(run(limits, length, seed + 1));
    }
    assert!(cfg!(miri) || cuts > 100, "{cuts}");
}

/// Who changes one element keeps a node, who removes many copies nothing, and what was copied is let go of when it is given.
#[test]
fn a_change_keeps_what_it_touches() {
    let mut twins = Twins::new(Limits::new(-2, 0), 5);
    (0..100_000).for_each(|i: u32| twins.push(End::Back, i.to_string().into_bytes()));
    let (nodes, expected) = (twins.list.nodes(), from_rank(&twins.list, 0));
    assert!(twins.list.begin_cut(0) && nodes > 20);
    twins.push(End::Back, b"x".to_vec());
    let one = twins.list.cut_bytes();
    assert!(one > 0 && one <= 8 << 10);
    twins.push(End::Back, b"y".to_vec());
    twins.pop(End::Back);
    assert_eq!(twins.list.cut_bytes(), one, "a node is kept once");
    twins.list.remove(1_000, 90_000);
    assert!(twins.list.cut_bytes() > (nodes / 2) << 12);
    let mut found = Vec::new();
    (0..nodes).for_each(|_| twins.list.give(|node| add(&mut found, node)));
    assert!(found == expected && twins.list.cut_bytes() == 0);
    twins.push(End::Back, b"z".to_vec());
    assert_eq!(twins.list.cut_bytes(), 0, "what was given is nobody's concern");
}

#[test]
fn numbers_follow_their_nodes() {
    let spelt = |numbers: &mut Numbers, nodes| numbers.spell(nodes).map(|each| Vec::from(each.clone()));
    let mut numbers = Numbers::From(10);
    assert_eq!((numbers.remove(0, 5), numbers.remove(3, 4)), (Some(10), Some(14)));
    assert_eq!((numbers.find(12, 3), numbers.find(14, 3), numbers.find(10, 3)), (Some(1), None, None));
    numbers.insert(1, 3);
    assert_eq!((numbers.forget(0, 4), numbers.forget(0, 4), numbers.remove(1, 4)), (Some(11), None, None));
    assert_eq!(spelt(&mut numbers, 3), Some(vec![NEW, 12, 13]));
    let mut rest = numbers.split_off(1);
    rest.append(Numbers::None, (2, 1));
    assert_eq!(spelt(&mut rest, 3), Some(vec![12, 13, NEW]));
    let mut none = Numbers::None;
    none.append(Numbers::None, (2, 2));
    assert!(matches!(none, Numbers::None));
    none.append(Numbers::From(7), (1, 2));
    assert_eq!(spelt(&mut none, 3), Some(vec![NEW, 7, 8]));
}
