//! What is asked: the mix of commands, and requests made from templates.
//!
//! A template is the RESP2 bytes of a command with holes for keys and values:
//!
//! ```text
//! "SET __key__ __data__"  ->  [*3..$3..SET..$16..key:] [key: 12 digits] [..$64..] [data] [..]
//! ```
//!
//! Keys are zero-padded to one width, so all lengths but those of values are known beforehand and a request is a few
//! copies: about 15 ns for a GET. Values are slices of one pool of random letters and digits at a moving offset.

use crate::keys::{Keys, Rng};
use crate::replies::Reply;

/// Bytes of random text that values are cut from, on top of the largest value.
const DATA_POOL: usize = 16 * 1024;
/// Most digits of a key's number.
pub const MAX_KEY_WIDTH: usize = 19;

/// Sizes of values, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub min: usize,
    pub max: usize,
}

impl std::str::FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        match (min.parse(), max.parse()) {
            (Ok(min), Ok(max)) if min <= max && max <= 512 << 20 => Ok(Sizes { min, max }),
            _ => Err("want BYTES or MIN-MAX, at most 512 MB".into()),
        }
    }
}

/// How keys look: `prefix` and a number of `width` digits.
#[derive(Clone, Debug)]
pub struct KeyFormat {
    pub prefix: String,
    pub width: usize,
}

enum Part {
    Bytes(Vec<u8>),
    Key,
    /// The key drawn last, once more.
    Same,
    /// A value without its header, as all have one size.
    Data,
    /// A value with its header.
    SizedData,
}

/// What a right answer to a command looks like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expect {
    Anything,
    Status,
    /// A bulk of a size the load could have written, or nil.
    Value(Sizes),
    Array(u64),
}

/// The verdict on a reply.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    Good,
    Miss,
    Error,
    Wrong,
}

impl Expect {
    /// Judges a reply to the command.
    pub fn judge(self, reply: Reply<'_>) -> Verdict {
        match (self, reply) {
            (_, Reply::Error(_)) => Verdict::Error,
            (_, Reply::Array { errors: 1.., .. }) => Verdict::Error,
            (Expect::Anything, _) | (Expect::Status, Reply::Status) => Verdict::Good,
            (Expect::Value(_), Reply::Nil) => Verdict::Miss,
            (Expect::Value(s), Reply::Bulk(n)) if (s.min as u64..=s.max as u64).contains(&n) => Verdict::Good,
            (Expect::Array(want), Reply::Array { len, .. }) if want == len => Verdict::Good,
            _ => Verdict::Wrong,
        }
    }
}

/// One kind of request of the mix.
pub struct Command {
    pub name: String,
    pub weight: u64,
    pub expect: Expect,
    /// How many replies a request gets: one for each of its commands.
    pub replies: u32,
    parts: Vec<Part>,
}

impl Command {
    /// Reads a template such as `SET __key__ __data__`: words apart by spaces, `__key__` anywhere in a word, and behind one
    /// `__same__` for the same key once more; `__data__` as a word of its own. Several commands with `;` between them are one request, sent together.
    pub fn parse(
        text: &str,
        weight: u64,
        expect: Expect,
        keys: &KeyFormat,
        sizes: Sizes,
    ) -> Result<Self, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let name = words.first().ok_or("a command is empty")?.to_ascii_uppercase();
        let mut parts = Vec::new();
        let commands: Vec<&[&str]> = words.split(|word| *word == ";").collect();
        if commands.iter().any(|command| command.is_empty()) {
            return Err(format!("in '{text}', a command is empty"));
        }
        let replies = commands.len() as u32;
        let expect = if replies > 1 { Expect::Anything } else { expect };
        let mut bytes = String::new();
        let mut drawn = false;
        for (i, word) in commands.iter().flat_map(|command| command.iter().enumerate()) {
            if i == 0 {
                let of = commands.iter().find(|command| std::ptr::eq(&command[0], word));
                bytes += &format!("*{}\r\n", of.map_or(0, |command| command.len()));
            }
            if *word == "__data__" {
                let sized = sizes.min == sizes.max;
                if sized {
                    bytes += &format!("${}\r\n", sizes.max);
                }
                parts.push(Part::Bytes(std::mem::take(&mut bytes).into_bytes()));
                parts.push(if sized { Part::Data } else { Part::SizedData });
            } else if word.contains("__data__") {
                return Err(format!("in '{text}', __data__ must be a word of its own"));
            } else {
                let holes = word.matches("__key__").count() + word.matches("__same__").count();
                let fixed = word.replace("__key__", "").replace("__same__", "").len();
                bytes += &format!("${}\r\n", fixed + holes * (keys.prefix.len() + keys.width));
                let mut rest = *word;
                for _ in 0..holes {
                    let (key, same) = (rest.find("__key__"), rest.find("__same__"));
                    let is_key = same.is_none_or(|same| key.is_some_and(|key| key < same));
                    let (part, mark) = if is_key { (Part::Key, "__key__") } else { (Part::Same, "__same__") };
                    drawn |= is_key;
                    if !drawn {
                        return Err(format!("in '{text}', __same__ has no __key__ in front of it"));
                    }
                    let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
                    bytes += before;
                    bytes += &keys.prefix;
                    parts.push(Part::Bytes(std::mem::take(&mut bytes).into_bytes()));
                    parts.push(part);
                    rest = after;
                }
                bytes += rest;
            }
            bytes += "\r\n";
        }
        parts.push(Part::Bytes(bytes.into_bytes()));
        Ok(Command { name, weight, expect, replies, parts })
    }
}

/// The mix of commands of one thread, with its random stream.
pub struct Workload {
    commands: Vec<Command>,
    total_weight: u64,
    keys: Keys,
    width: usize,
    sizes: Sizes,
    data: Vec<u8>,
    data_at: usize,
    pub rng: Rng,
}

impl Workload {
    /// `keys` chooses the numbers, `width` is their number of digits. At least one weight is not 0.
    pub fn new(commands: Vec<Command>, keys: Keys, width: usize, sizes: Sizes, mut rng: Rng) -> Self {
        const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let data = (0..sizes.max + DATA_POOL).map(|_| LETTERS[rng.below(62) as usize]).collect();
        let total_weight = commands.iter().map(|c| c.weight).sum();
        assert!(total_weight > 0 && (1..=MAX_KEY_WIDTH).contains(&width));
        Workload { commands, total_weight, keys, width, sizes, data, data_at: 0, rng }
    }

    /// The commands, in the order of the kinds that `write` returns.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Appends the next request; returns its kind.
    pub fn write(&mut self, out: &mut Vec<u8>) -> u8 {
        let mut kind = 0;
        if self.commands.len() > 1 {
            let mut at = self.rng.below(self.total_weight);
            while at >= self.commands[kind].weight {
                at -= self.commands[kind].weight;
                kind += 1;
            }
        }
        let mut key = 0;
        for part in &self.commands[kind].parts {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Key => {
                    key = self.keys.draw(&mut self.rng);
                    write_digits(out, key, self.width);
                }
                Part::Same => write_digits(out, key, self.width),
                Part::Data | Part::SizedData => {
                    let spread = (self.sizes.max - self.sizes.min) as u64;
                    let mut size = self.sizes.max;
                    if let Part::SizedData = part {
                        size -= self.rng.below(spread + 1) as usize;
                        out.push(b'$');
                        out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
                        out.extend_from_slice(b"\r\n");
                    }
                    out.extend_from_slice(&self.data[self.data_at..self.data_at + size]);
                    self.data_at = (self.data_at + 61) % DATA_POOL;
                }
            }
        }
        kind as u8
    }
}

/// Appends `n` with exactly `width` digits.
fn write_digits(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; MAX_KEY_WIDTH];
    let digits = &mut digits[..width];
    let mut at = width;
    while n > 0 && at > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(digits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Dist;

    const SIZES: Sizes = Sizes { min: 4, max: 4 };

    fn format() -> KeyFormat {
        KeyFormat { prefix: "key:".into(), width: 12 }
    }

    fn workload(templates: &[(&str, u64)], sizes: Sizes) -> Workload {
        let commands = templates
            .iter()
            .map(|(t, w)| Command::parse(t, *w, Expect::Anything, &format(), sizes).unwrap())
            .collect();
        Workload::new(commands, Keys::new(Dist::Seq, 1000, 0, 1), 12, sizes, Rng::new(1))
    }

    #[test]
    fn keys_have_one_width() {
        for (n, width, want) in [(0, 1, "0"), (123, 12, "000000000123"), (999, 3, "999"), (7, 4, "0007")] {
            let mut out = Vec::new();
            write_digits(&mut out, n, width);
            assert_eq!(out, want.as_bytes());
        }
    }

    #[test]
    fn templates_become_resp() {
        let mut load = workload(&[("get __key__", 1)], SIZES);
        let mut out = Vec::new();
        load.write(&mut out);
        load.write(&mut out);
        let want =
            "*2\r\n$3\r\nget\r\n$16\r\nkey:000000000000\r\n*2\r\n$3\r\nget\r\n$16\r\nkey:000000000001\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);

        let mut load = workload(&[("MSET {a}__key__ __data__ __key__-__key__ __data__", 1)], SIZES);
        let mut out = Vec::new();
        load.write(&mut out);
        let out = String::from_utf8(out).unwrap();
        let words: Vec<&str> = out.split("\r\n").collect();
        assert_eq!(words[..5], ["*5", "$4", "MSET", "$19", "{a}key:000000000000"]);
        assert_eq!((words[5], words[6].len()), ("$4", 4));
        assert_eq!(words[7..10], ["$33", "key:000000000001-key:000000000002", "$4"]);
        assert_eq!((words.len(), words[11]), (12, ""));
        let mut load = workload(&[("ZADD z __key__ m:__same__ __key__ __same__x", 1)], SIZES);
        let mut out = Vec::new();
        load.write(&mut out);
        let out = String::from_utf8(out).unwrap();
        let words: Vec<&str> = out.split("\r\n").collect();
        assert_eq!(words[5..9], ["$16", "key:000000000000", "$18", "m:key:000000000000"]);
        assert_eq!(words[9..13], ["$16", "key:000000000001", "$17", "key:000000000001x"]);
        let mut load = workload(&[("MULTI ; INCR __key__ ; EXEC", 1)], SIZES);
        let mut out = Vec::new();
        load.write(&mut out);
        let want = "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$16\r\nkey:000000000000\r\n*1\r\n$4\r\nEXEC\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
        assert_eq!(load.commands()[0].replies, 3);
        for bad in ["SET __same__ __key__", "SET __key__ x__data__", "  ", "PING ; ; PING", "PING ;"] {
            assert!(Command::parse(bad, 1, Expect::Anything, &format(), SIZES).is_err());
        }
    }

    #[test]
    fn sizes_spread_over_their_range_and_the_mix_over_its_weights() {
        let sizes = Sizes { min: 0, max: 9 };
        let mut load = workload(&[("SET k __data__", 1), ("GET k", 9), ("PING", 0)], sizes);
        let mut kinds = [0u32; 3];
        let mut lens = [0u32; 10];
        let mut out = Vec::new();
        for _ in 0..20_000 {
            out.clear();
            let kind = load.write(&mut out);
            kinds[kind as usize] += 1;
            if kind == 0 {
                let words: Vec<&[u8]> = out.split(|b| *b == b'\n').collect();
                let len = words[6].len() - 1;
                assert_eq!(words[5], format!("${len}\r").as_bytes());
                lens[len] += 1;
            }
        }
        assert!((1_800..2_200).contains(&kinds[0]) && kinds[2] == 0, "{kinds:?}");
        assert!(lens.iter().all(|n| (130..270).contains(n)), "{lens:?}");
    }

    #[test]
    fn judges_replies() {
        let value = Expect::Value(Sizes { min: 3, max: 5 });
        assert_eq!(value.judge(Reply::Bulk(3)), Verdict::Good);
        assert_eq!(value.judge(Reply::Bulk(6)), Verdict::Wrong);
        assert_eq!(value.judge(Reply::Nil), Verdict::Miss);
        assert_eq!(value.judge(Reply::Status), Verdict::Wrong);
        assert_eq!(Expect::Status.judge(Reply::Error(b"ERR")), Verdict::Error);
        assert_eq!(Expect::Array(2).judge(Reply::Array { len: 2, errors: 0 }), Verdict::Good);
        assert_eq!(Expect::Array(2).judge(Reply::Array { len: 3, errors: 0 }), Verdict::Wrong);
        assert_eq!(Expect::Anything.judge(Reply::Array { len: 2, errors: 1 }), Verdict::Error);
    }

    #[test]
    fn reads_sizes() {
        assert_eq!("64".parse(), Ok(Sizes { min: 64, max: 64 }));
        assert_eq!("16-1024".parse(), Ok(Sizes { min: 16, max: 1024 }));
        assert!("9-3".parse::<Sizes>().is_err() && "x".parse::<Sizes>().is_err());
    }
}
