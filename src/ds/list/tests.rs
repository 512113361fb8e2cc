//! Lists of all shapes against a vector of texts.

use super::{Builder, End, Limits, List, Saved};
use crate::base::lzf;
use crate::base::prng::{seeded, xorshift};
use crate::ds::listpack::{Element, Listpack};
use std::ops::ControlFlow;

pub(super) struct Twins {
    pub list: List,
    texts: Vec<Vec<u8>>,
    limits: Limits,
    rng: u64,
}

fn all(list: &List, start: End) -> Vec<Vec<u8>> {
    let from = if start == End::Front { 0 } else { list.len().saturating_sub(1) };
    let mut found = Vec::new();
    list.walk(from, start, |element| {
        found.push(element.to_vec());
        ControlFlow::Continue(())
    });
    found
}

impl Twins {
    pub fn new(limits: Limits, seed: u64) -> Twins {
        Twins { list: List::new(), texts: Vec::new(), limits, rng: seeded(seed) }
    }

    /// Others that do the same from now on.
    pub fn twin(&self) -> Twins {
        let (list, texts) = (self.list.clone(), self.texts.clone());
        Twins { list, texts, ..*self }
    }

    pub fn below(&mut self, n: usize) -> usize {
        xorshift(&mut self.rng) as usize % n
    }

    fn end(&mut self) -> End {
        if self.below(2) == 0 { End::Front } else { End::Back }
    }

    fn text(&mut self) -> Vec<u8> {
        match self.below(12) {
            0..=2 => (xorshift(&mut self.rng) as i64 >> self.below(64)).to_string().into_bytes(),
            3 => vec![b'r'; self.below(3_000)],
            4 => (0..self.below(200)).map(|i| (i * i % 251) as u8).collect(),
            5 if self.below(8) == 0 => vec![b'L'; 4_000 + self.below(70_000)],
            _ => vec![b'a' + self.below(4) as u8; self.below(3)],
        }
    }

    pub fn push(&mut self, end: End, text: Vec<u8>) {
        self.list.make_room(text.len(), 1, self.limits);
        self.list.push(end, Element::of(&text));
        match end {
            End::Front => self.texts.insert(0, text),
            End::Back => self.texts.push(text),
        }
    }

    pub fn pop(&mut self, end: End) {
        let popped = self.list.pop(end, |element| element.to_vec());
        self.list.shrink(self.limits);
        let wanted = match end {
            _ if self.texts.is_empty() => None,
            End::Front => Some(self.texts.remove(0)),
            End::Back => self.texts.pop(),
        };
        assert_eq!(popped, wanted);
    }

    pub fn step(&mut self) {
        let (end, text) = (self.end(), self.text());
        let index = self.below(self.texts.len() + 1);
        match self.below(14) {
            0..=3 => self.push(end, text),
            4 | 5 => self.pop(end),
            6 | 7 => {
                let after = self.below(2) == 0;
                if index < self.texts.len() {
                    self.list.make_room(text.len(), 1, self.limits);
                    self.list.insert(index, after, Element::of(&text));
                    self.texts.insert(index + usize::from(after), text);
                }
            }
            8 | 9 => {
                self.list.make_room(text.len(), 1, self.limits);
                assert_eq!(self.list.replace(index, Element::of(&text)), index < self.texts.len());
                self.list.shrink(self.limits);
                if index < self.texts.len() {
                    self.texts[index] = text;
                }
            }
            10 => {
                let most = [5, 5, 100][self.below(3)];
                let most = self.below(most);
                self.list.remove(index, most);
                self.list.shrink(self.limits);
                self.texts.drain(index..(index + most).min(self.texts.len()));
            }
            11 => {
                let most = 1 + self.below(4);
                let found = self.positions(&text, end);
                let removed = self.list.remove_equal(&text, end, most);
                self.list.shrink(self.limits);
                assert_eq!(removed, found.len().min(most));
                let gone = &found[..removed];
                let mut i = 0;
                self.texts.retain(|_| {
                    i += 1;
                    !gone.contains(&(i - 1))
                });
            }
            12 => {
                let (count, mut found) = (self.below(20), Vec::new());
                self.list.each(index, count, end, |element| found.push(element.to_vec()));
                let wanted: Vec<Vec<u8>> = match end {
                    End::Front => self.texts.iter().skip(index).take(count).cloned().collect(),
                    End::Back if index == self.texts.len() => Vec::new(),
                    End::Back => self.texts[..=index].iter().rev().take(count).cloned().collect(),
                };
                assert_eq!(found, wanted);
            }
            _ => {
                let mut found = Vec::new();
                self.list.matches(&text, usize::MAX, end, |index| {
                    found.push(index);
                    ControlFlow::Continue(())
                });
                assert_eq!(found, self.positions(&text, end));
                assert_eq!(self.list.position(&text), self.positions(&text, End::Front).first().copied());
            }
        }
        assert_eq!(self.list.len(), self.texts.len());
        assert_eq!(self.list.is_empty(), self.texts.is_empty());
    }

    fn positions(&self, text: &[u8], end: End) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.texts.len()).filter(|i| self.texts[*i] == text).collect();
        if end == End::Back {
            found.reverse();
        }
        found
    }

    pub fn check(&self) {
        self.list.check();
        assert_eq!(all(&self.list, End::Front), self.texts);
        let mut back = all(&self.list, End::Back);
        back.reverse();
        assert_eq!(back, self.texts);
    }
}

const SIZES: &[i32] = &[1, 2, 3, 16, 128, 0, -1, -2, -5, -6, i32::MAX, i32::MIN];

#[test]
fn random_edits_match_a_vector() {
    for (seed, &size) in SIZES.iter().enumerate() {
        for depth in [0, 1, 2, 5, u32::MAX] {
            let mut twins = Twins::new(Limits::new(size, depth), seed as u64 * 7 + u64::from(depth));
            for round in 0..if cfg!(miri) { 30 } else { 400 } {
                twins.step();
                if round % 10 == 0 {
                    twins.check();
                }
            }
            twins.check();
        }
    }
}

/// An element of its own node that splits another brings two: what was a node from the end is then inside by two.
#[test]
fn nodes_that_two_others_push_inwards_are_compressed() {
    let mut list = List::new();
    let limits = Limits::new(16, 2);
    for i in 0..16 * 6 {
        list.make_room(40, 1, limits);
        list.push(End::Back, Element::of(format!("{i:-<40}").as_bytes()));
    }
    assert_eq!(list.nodes(), 6);
    list.insert(4 * 16 + 8, false, Element::Str(&vec![b'L'; 50_000]));
    assert_eq!(list.nodes(), 8);
    list.check();
}

/// Knobs that change while lists live: nodes are as they were when the list became one of nodes.
#[test]
fn limits_may_change() {
    let mut twins = Twins::new(Limits::new(2, 1), 99);
    for round in 0..2_000 {
        twins.step();
        if round % 50 == 0 {
            let size = SIZES[twins.below(SIZES.len())];
            twins.limits = Limits::new(size, twins.below(4) as u32);
            twins.check();
        }
    }
}

/// Enough nodes that chunks are split, emptied and joined.
#[test]
fn many_nodes() {
    for depth in [0, 1] {
        let mut twins = Twins::new(Limits::new(1, depth), 5);
        for i in 0..3_000 {
            let end = twins.end();
            twins.push(end, format!("{i:->60}").into_bytes());
        }
        twins.check();
        for _ in 0..1_500 {
            let index = twins.below(twins.texts.len());
            twins.list.insert(index, false, Element::of(b"new"));
            twins.texts.insert(index, b"new".to_vec());
        }
        twins.check();
        for _ in 0..40 {
            let index = twins.below(twins.texts.len());
            let many = twins.below(150);
            twins.list.remove(index, many);
            twins.texts.drain(index..(index + many).min(twins.texts.len()));
            twins.check();
        }
        for _ in 0..200 {
            twins.step();
        }
        while !twins.texts.is_empty() {
            let end = twins.end();
            twins.pop(end);
        }
        twins.check();
        assert_eq!(twins.list.encoding(), "quicklist", "an empty one has no node to become a listpack");
    }
}

#[test]
fn encodings_change_where_redis_changes_them() {
    let limits = Limits::new(4, 0);
    let mut twins = Twins::new(limits, 1);
    for i in 0..4 {
        twins.push(End::Back, vec![b'a' + i]);
    }
    assert_eq!(twins.list.encoding(), "listpack");
    twins.push(End::Back, b"e".to_vec());
    assert_eq!((twins.list.encoding(), twins.list.nodes()), ("quicklist", 2));
    twins.pop(End::Back);
    assert_eq!((twins.list.encoding(), twins.list.nodes()), ("quicklist", 1));
    twins.pop(End::Back);
    assert_eq!(twins.list.encoding(), "quicklist");
    twins.pop(End::Back);
    assert_eq!(twins.list.encoding(), "listpack", "at half of the bound");

    let limits = Limits::new(-1, 0);
    let mut list = List::new();
    list.make_room(4_089, 1, limits);
    assert_eq!(list.encoding(), "listpack");
    list.make_room(4_090, 1, limits);
    assert_eq!(list.encoding(), "quicklist");
}

#[test]
fn inner_nodes_are_compressed_and_take_less() {
    let text = |i: usize| format!("element number {i:05}, and what they have in common").into_bytes();
    let made = |depth| {
        let limits = Limits::new(-1, depth);
        let mut list = List::new();
        for i in 0..5_000 {
            list.make_room(60, 1, limits);
            list.push(End::Back, Element::of(&text(i)));
        }
        list.check();
        list
    };
    let (plain, squeezed) = (made(0), made(2));
    assert!(squeezed.heap_bytes() * 3 < plain.heap_bytes());
    assert_eq!(all(&squeezed, End::Back), all(&plain, End::Back));
    let mut saved = (0, 0);
    squeezed.save(0, |node| {
        match node {
            Saved::Whole { bytes, plain } => {
                assert!(!plain && Listpack::from_bytes(bytes.to_vec()).is_some());
                saved.0 += 1;
            }
            Saved::Squeezed { lzf, len, plain } => {
                let bytes = lzf::decompress(lzf, len).expect("it was compressed");
                assert!(!plain && Listpack::from_bytes(bytes).is_some());
                saved.1 += 1;
            }
        }
        true
    });
    assert_eq!(saved, (4, squeezed.nodes() - 4));
    let twin = squeezed.clone();
    twin.check();
    assert_eq!(all(&twin, End::Front), all(&squeezed, End::Front));
}

#[test]
fn a_replaced_element_cannot_make_a_node_endless() {
    let limits = Limits::new(-1, 0);
    let mut list = List::new();
    for _ in 0..3_000 {
        list.make_room(1, 1, limits);
        list.push(End::Back, Element::Str(b"a"));
    }
    for i in 0..3_000 {
        list.make_room(4_000, 1, limits);
        list.replace(i, Element::Str(&[b'b'; 4_000]));
    }
    list.check();
    list.save(0, |node| match node {
        Saved::Whole { bytes, .. } => bytes.len() <= 3 * 4_096 || panic!("{}", bytes.len()),
        Saved::Squeezed { .. } => panic!("nothing is compressed"),
    });
}

#[test]
fn what_was_saved_is_built_again() {
    let limits = Limits::new(3, 0);
    let mut builder = Builder::new(limits);
    for text in [b"a", b"b", b"c"] {
        builder.push(Element::Str(text));
    }
    let list = builder.finish();
    assert_eq!((list.encoding(), list.len()), ("listpack", 3));
    let mut builder = Builder::new(limits);
    builder.push_pack(Listpack::new());
    builder.push_plain(vec![b'x'; 10_000]);
    let list = builder.finish();
    assert_eq!((list.encoding(), list.len()), ("quicklist", 1));
    let mut builder = Builder::new(limits);
    let mut huge = Listpack::new();
    huge.insert_all(huge.end(), &vec![Element::Int(7); 600_000]);
    builder.push_pack(huge);
    let list = builder.finish();
    assert_eq!((list.nodes(), list.len()), (200_000, 600_000));
    list.check();
    assert!(Builder::new(limits).finish().is_empty());
}

#[test]
fn a_threshold_gives_shorter_texts_nodes_of_their_own() {
    let plain_nodes = |limits: Limits| {
        let mut list = List::new();
        for i in 0..300 {
            list.make_room(60, 1, limits);
            list.push(End::Back, Element::of("x".repeat(i % 7).as_bytes()));
        }
        list.check();
        let mut found = 0;
        list.save(0, |node| {
            found += usize::from(matches!(node, Saved::Whole { plain: true, .. }));
            true
        });
        for from in 0..=list.nodes() {
            let mut left = 0;
            list.save(from, |_| {
                left += 1;
                true
            });
            assert_eq!(left, list.nodes() - from);
        }
        (found, list.encoding())
    };
    assert_eq!(plain_nodes(Limits::new(100, 0)), (0, "quicklist"));
    // Those that come while it is a listpack stay in one.
    let (found, encoding) = plain_nodes(Limits { packed_from: 6, ..Limits::new(100, 0) });
    assert_eq!(encoding, "quicklist");
    assert!((27..=29).contains(&found), "{found}");
}
