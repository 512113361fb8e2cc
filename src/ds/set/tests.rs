//! Sets against a tree of texts, in every form, and the moments at which forms change.

use super::*;
use crate::base::prng::{seeded, xorshift};
use std::collections::BTreeSet;

const DEFAULT: Limits = Limits { ints: 512, entries: 128, value: 64, seed: 3 };

fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
    let mut all = Vec::new();
    set.each(|member| {
        all.push(member.to_vec());
        true
    });
    let distinct: BTreeSet<Vec<u8>> = all.iter().cloned().collect();
    assert_eq!(distinct.len(), all.len());
    distinct
}

fn of(members: impl IntoIterator<Item = impl ToString>, limits: &Limits) -> Set {
    let mut set = Set::ints();
    members.into_iter().for_each(|member| _ = set.add_text(member.to_string().as_bytes(), limits));
    set
}

#[test]
fn random_edits_match_a_tree() {
    let mut rng = seeded(17);
    for round in 0..40 {
        let limits =
            Limits { ints: [0, 5, 60, 512][round % 4], entries: [0, 3, 40, 128][round / 4 % 4], ..DEFAULT };
        let (mut set, mut twin): (Set, BTreeSet<Vec<u8>>) = (Set::ints(), BTreeSet::new());
        let spread = 1 + xorshift(&mut rng) % 200;
        for _ in 0..600 {
            let n = xorshift(&mut rng) % spread;
            let text = match xorshift(&mut rng) % 8 {
                0 => format!("text:{n}"),
                1 => "x".repeat(n as usize),
                _ => (n as i64 - 50).to_string(),
            };
            let text = text.as_bytes();
            match xorshift(&mut rng) % 5 {
                0 => assert_eq!(set.remove_text(text), twin.remove(text)),
                1 => assert_eq!(set.remove(Element::Str(text)), twin.remove(text)),
                2 => assert_eq!(set.add(Element::Str(text), &limits), twin.insert(text.to_vec())),
                _ => assert_eq!(set.add_text(text, &limits), twin.insert(text.to_vec())),
            }
            assert_eq!(set.contains_text(text), twin.contains(text));
            assert_eq!(set.contains(Element::of(text)), twin.contains(text));
            assert_eq!((set.len(), set.is_empty()), (twin.len(), twin.is_empty()));
        }
        assert_eq!(texts(&set), twin);
        assert_eq!(texts(&set.clone()), twin);
        assert_eq!(set.clone().encoding(), set.encoding());
        let mut scanned = BTreeSet::new();
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, &mut |member| _ = scanned.insert(member.to_vec()));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, twin);
        if let Some(member) = set.random(|| xorshift(&mut rng)) {
            assert!(twin.contains(&member.to_vec()));
        }
    }
}

#[test]
fn forms_change_where_redis_s_do() {
    assert_eq!(of(0..512, &DEFAULT).encoding(), "intset");
    assert_eq!(of(0..513, &DEFAULT).encoding(), "hashtable");
    let with = |mut set: Set, text: &str| {
        assert!(set.add_text(text.as_bytes(), &DEFAULT));
        set.encoding()
    };
    assert_eq!(with(of(0..127, &DEFAULT), "a"), "listpack");
    assert_eq!(with(of(0..128, &DEFAULT), "a"), "hashtable");
    assert_eq!(with(of(0..5, &DEFAULT), &"a".repeat(64)), "listpack");
    assert_eq!(with(of(0..5, &DEFAULT), &"a".repeat(65)), "hashtable");
    let named = |n: usize| of((0..n).map(|i| format!("m{i}")), &DEFAULT);
    assert_eq!(named(128).encoding(), "listpack");
    assert_eq!(named(129).encoding(), "hashtable");
    assert_eq!(with(named(3), "5"), "listpack");
    let narrow = Limits { value: 3, ..DEFAULT };
    let mut set = of([1, 20_000], &narrow);
    assert!(set.add_text(b"a", &narrow));
    assert_eq!(set.encoding(), "hashtable", "20000 is too long for a listpack");
}

#[test]
fn new_sets_have_the_form_that_the_hint_asks_for() {
    for (first, hint, encoding) in [
        ("1", 1, "intset"),
        ("1", 512, "intset"),
        ("1", 513, "hashtable"),
        ("a", 128, "listpack"),
        ("a", 129, "hashtable"),
        ("01", 1, "listpack"),
    ] {
        assert_eq!(Set::new(first.as_bytes(), hint, &DEFAULT).encoding(), encoding, "{first} {hint}");
    }
    let few = Limits { ints: 3, ..DEFAULT };
    assert_eq!(Set::new(b"1", 4, &few).encoding(), "listpack");
    let mut set = of(0..3, &few);
    set.expect(3, &few);
    assert_eq!(set.encoding(), "intset");
    set.expect(4, &few);
    assert_eq!(set.encoding(), "hashtable");
    set.make_ints(&few);
    assert_eq!((set.encoding(), set.len()), ("intset", 3));
}

#[test]
fn weights_follow_the_members() {
    let mut set = Set::ints();
    assert_eq!(set.heap_bytes(), 8);
    for n in 0..20_000 {
        set.add_text(format!("member:{n:07}").as_bytes(), &DEFAULT);
    }
    assert!((set.heap_bytes() / set.len()) < 48, "{}", set.heap_bytes() / set.len());
}
