//! Templates to commands.
//!
//! ```text
//! word   itself        {a b|c}  one of the alternatives, which may be empty       <name>  a value, see `value`
//! ```

use crate::base::prng::xorshift;

pub struct Grammar {
    templates: Vec<&'static str>,
}

impl Grammar {
    /// Templates, one a line; a number before it says how often it stands there.
    pub fn new(text: &'static str) -> Grammar {
        let mut templates = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (times, template) = match line.split_once(' ').map(|(n, rest)| (n.parse(), rest)) {
                Some((Ok(times), rest)) => (times, rest),
                _ => (2, line),
            };
            templates.extend(std::iter::repeat_n(template, times));
        }
        Grammar { templates }
    }

    pub fn command(&self, random: &mut u64, now_ms: i64) -> Vec<Vec<u8>> {
        let mut rest = self.templates[xorshift(random) as usize % self.templates.len()];
        let mut words = Vec::new();
        expand(&mut rest, random, now_ms, &mut words);
        assert!(rest.is_empty(), "stray {rest}");
        words
    }
}

/// Reads up to the end of an alternative.
fn expand(rest: &mut &'static str, random: &mut u64, now_ms: i64, words: &mut Vec<Vec<u8>>) {
    loop {
        *rest = rest.trim_start();
        match rest.bytes().next() {
            None | Some(b'|' | b'}') => return,
            Some(b'{') => {
                let mut ways = Vec::new();
                while !rest.starts_with('}') {
                    *rest = &rest[1..];
                    let mut way = Vec::new();
                    expand(rest, random, now_ms, &mut way);
                    ways.push(way);
                }
                *rest = &rest[1..];
                let chosen = xorshift(random) as usize % ways.len();
                words.append(&mut ways[chosen]);
            }
            Some(b'<') => {
                let (name, after) = rest[1..].split_once('>').expect("`<` has its `>`");
                *rest = after;
                words.push(value(name, random, now_ms));
            }
            Some(_) => {
                let end = rest.find([' ', '|', '}']).unwrap_or(rest.len());
                words.push(rest.as_bytes()[..end].to_vec());
                *rest = &rest[end..];
            }
        }
    }
}

fn value(name: &str, random: &mut u64, now_ms: i64) -> Vec<u8> {
    let mut below = |n: i64| (xorshift(random) % n as u64) as i64;
    let text = match name {
        // Keys of a type, now and then another's.
        "s" | "l" | "e" | "h" | "z" | "x" | "p" => {
            let of = if below(25) == 0 { ["s", "l", "e", "h", "z", "x"][below(6) as usize] } else { name };
            format!("{of}{}", below(5))
        }
        "k" => format!("{}{}", ["s", "l", "e", "h", "z", "x", "p"][below(7) as usize], below(5)),
        "v" => match below(8) {
            0 => "x".repeat(below(300) as usize),
            1 if below(10) == 0 => "long".repeat(below(20_000) as usize),
            2 | 3 => (below(2000) - 1000).to_string(),
            4 => format!("{}.{}", below(50), below(100)),
            _ => format!("v{}", below(20)),
        },
        "int" => (below(200) - 100).to_string(),
        "n" => below(6).to_string(),
        "count" => (1 + below(3)).to_string(),
        "i" => (below(12) - 6).to_string(),
        "off" => below(40).to_string(),
        "bit" => below(2).to_string(),
        "float" => format!("{}.{}e{}", below(20) - 10, below(1000), below(4)),
        "score" => format!("{}.{}", below(20) - 10, below(4) * 25),
        "f" => format!("f{}", below(7)),
        "m" => match below(3) {
            // Some of these stand in names of keys.
            0 => below(8).to_string(),
            _ => format!("m{}", below(12)),
        },
        "g" => format!("g{}", below(2)),
        "c" => format!("c{}", below(3)),
        "ttl" => (1 + below(3)).to_string(),
        "pttl" => (1 + below(3000)).to_string(),
        "at" => (now_ms / 1000 + below(5) - 1).to_string(),
        "atms" => (now_ms + below(4000) - 500).to_string(),
        "db" => below(super::DBS as i64).to_string(),
        "id" => match below(6) {
            0 => format!("{}-*", below(50)),
            1 => format!("{}-{}", below(60), below(3)),
            _ => "*".to_string(),
        },
        // An id that may be there.
        "old" => match below(3) {
            0 => format!("{}-0", now_ms - below(3000)),
            1 => format!("{}-{}", below(50), below(3)),
            _ => "0".to_string(),
        },
        "lon" => format!("{}.5", below(170) - 85),
        "lat" => format!("{}.25", below(80) - 40),
        other => panic!("no value of that name: {other}"),
    };
    text.into_bytes()
}
