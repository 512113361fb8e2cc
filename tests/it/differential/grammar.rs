//! Templates to requests.
//!
//! ```text
//! SET <key> <val> {EX <ttl>|NX|GET}*
//! word      itself               {a b|c}  one of the alternatives     x?  x or nothing
//! <name>    a value, see values  x*  none to three of x               x+  one to four of x
//! ```
//! One request in thirty or so is broken on purpose: an argument dropped, added, replaced or doubled.

use super::values;
use crate::rng::Rng;

pub enum Node {
    Word(Vec<u8>),
    Value(&'static str),
    OneOf(Vec<Vec<Node>>),
    Times(Box<Node>, usize, usize),
}

/// A template, parsed.
pub fn parse(template: &'static str) -> Vec<Node> {
    let mut rest = template;
    let nodes = sequence(&mut rest);
    assert!(rest.is_empty(), "{template}: stray {rest:?}");
    nodes
}

fn sequence(rest: &mut &'static str) -> Vec<Node> {
    let mut nodes = Vec::new();
    loop {
        *rest = rest.trim_start();
        let node = match rest.bytes().next() {
            None | Some(b'|' | b'}') => return nodes,
            Some(b'<') => {
                let (name, after) = rest[1..].split_once('>').expect("`<` has its `>`");
                *rest = after;
                Node::Value(name)
            }
            Some(b'{') => {
                let mut ways = Vec::new();
                loop {
                    *rest = &rest[1..];
                    ways.push(sequence(rest));
                    if rest.starts_with('}') {
                        *rest = &rest[1..];
                        break;
                    }
                    assert!(rest.starts_with('|'), "`{{` has its `}}`");
                }
                Node::OneOf(ways)
            }
            Some(_) => {
                let end = rest.find([' ', '|', '}']).unwrap_or(rest.len());
                let word = &rest[..end];
                *rest = &rest[end..];
                nodes.push(Node::Word(word.as_bytes().to_vec()));
                continue;
            }
        };
        let (low, high) = match rest.bytes().next() {
            Some(b'?') => (0, 1),
            Some(b'*') => (0, 3),
            Some(b'+') => (1, 4),
            _ => {
                nodes.push(node);
                continue;
            }
        };
        *rest = &rest[1..];
        nodes.push(Node::Times(Box::new(node), low, high));
    }
}

/// A request, and the keys that the template put into it.
#[derive(Clone, Default)]
pub struct Request {
    pub args: Vec<Vec<u8>>,
    pub keys: Vec<Vec<u8>>,
}

pub fn generate(nodes: &[Node], rng: &mut Rng) -> Request {
    let mut request = Request::default();
    nodes.iter().for_each(|node| walk(node, rng, &mut request));
    if rng.one_in(30) {
        break_it(&mut request.args, rng);
    }
    if rng.one_in(10) {
        request.args[0].iter_mut().for_each(|b| *b = if rng.one_in(2) { b.to_ascii_lowercase() } else { *b });
    }
    request
}

fn walk(node: &Node, rng: &mut Rng, request: &mut Request) {
    match node {
        Node::Word(word) => request.args.push(word.clone()),
        Node::Value(name) => {
            let value = values::value(name, rng);
            if *name == "key" {
                request.keys.push(value.clone());
            }
            request.args.push(value);
        }
        Node::OneOf(ways) => rng.pick(ways).iter().for_each(|n| walk(n, rng, request)),
        Node::Times(node, low, high) => {
            let times = low + rng.below(high - low + 1);
            (0..times).for_each(|_| walk(node, rng, request));
        }
    }
}

fn break_it(args: &mut Vec<Vec<u8>>, rng: &mut Rng) {
    let at = 1 + rng.below(args.len());
    match rng.below(4) {
        0 if args.len() > 1 => drop(args.pop()),
        1 if at < args.len() => args[at] = values::junk(rng),
        2 if at < args.len() => args.insert(at, args[at].clone()),
        _ => args.push(values::junk(rng)),
    }
}

#[test]
fn templates_give_what_they_say() {
    let nodes = parse("SET <key> 5 {EX <ttl>|NX}? {A|B B}");
    let mut rng = Rng::new(3);
    for _ in 0..200 {
        let mut request = Request::default();
        nodes.iter().for_each(|n| walk(n, &mut rng, &mut request));
        assert_eq!(request.args[0], b"SET");
        assert_eq!(request.args[1], request.keys[0]);
        assert!((4..=7).contains(&request.args.len()));
        assert!(matches!(request.args.last().unwrap().as_slice(), b"A" | b"B"));
    }
}
