//! BITFIELD and BITFIELD_RO: integers of any width at any bit.

use super::bit::offset;
use crate::base::number::parse_i64;
use crate::cmd::lists::note_changes;
use crate::cmd::row::{category, flag, key};
use crate::cmd::strings::Text;
use crate::cmd::strings::edit::{len_for_write, patch};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::resp::{Args, Error, Out};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "bitfield",
        full_name: "bitfield",
        arity: -2,
        flags: flag::WRITE | flag::DENYOOM,
        categories: category::BITMAP,
        keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE | key::VARIABLE)
            .with_notes("It writes with `SET` and `INCRBY` only.")],
        plan: Plan::Owner,
        run: bitfield,
        summary: "Reads, sets and adds to integers of any width in the string that a key holds.",
        since: "3.2.0",
        group: "bitmap",
        complexity: "O(N), N being the number of operations",
        syntax: "key:key [operation:(GET encoding_offset:(encoding:string offset:integer) | write:([OVERFLOW \
                 wrap_sat_fail:(wrap=WRAP | sat=SAT | fail=FAIL)] write_operation:(SET \
                 encoding_offset_value:(encoding:string offset:integer value:integer) | INCRBY \
                 encoding_offset_increment:(encoding:string offset:integer increment:integer)))) ...]",
        ..Command::BASE
    },
    Command {
        name: "bitfield_ro",
        full_name: "bitfield_ro",
        arity: -2,
        flags: flag::READONLY | flag::FAST,
        categories: category::BITMAP,
        keys: &[KeySpec::one(1, key::RO | key::ACCESS)],
        plan: Plan::Owner,
        run: bitfield_ro,
        summary: "Reads integers of any width in the string that a key holds.",
        since: "6.0.0",
        group: "bitmap",
        complexity: "O(N), N being the number of operations",
        syntax: "key:key [GET encoding_offset:(encoding:string offset:integer) ...GET]",
        ..Command::BASE
    },
];

/// Where an integer lies, and how wide it is: 1 to 64 bits, 63 when it has no sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    signed: bool,
    bits: usize,
    at: usize,
}

/// What becomes of a value that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

#[derive(Clone, Copy, Debug)]
struct Op {
    field: Field,
    action: Action,
    overflow: Overflow,
}

impl Field {
    fn parse(cx: &Cx<'_>, kind: &[u8], at: &[u8]) -> Result<Field, Error> {
        let (signed, width) = match kind {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(Error::BitType),
        };
        let most = if signed { 64 } else { 63 };
        let bits = parse_i64(width).filter(|n| (1..=most).contains(n)).ok_or(Error::BitType)? as usize;
        let at = match at {
            [b'#', number @ ..] => offset(cx, number, bits)?,
            _ => offset(cx, at, 1)?,
        };
        Ok(Field { signed, bits, at })
    }

    /// The bytes that it touches, nine at most.
    fn bytes(self) -> std::ops::RangeInclusive<usize> {
        self.at / 8..=(self.at + self.bits - 1) / 8
    }

    /// How far its last bit is from the end of its bytes.
    fn shift(self) -> usize {
        7 - (self.at + self.bits - 1) % 8
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// Its value in a string, which goes on with zeros.
    fn get(self, text: &[u8]) -> i64 {
        let all = self.bytes().fold(0u128, |n, i| n << 8 | text.get(i).copied().unwrap_or(0) as u128);
        self.extended((all >> self.shift()) as u64)
    }

    /// Gives it a value in a string that is long enough.
    fn set(self, text: &mut [u8], value: i64) {
        let mask = (self.mask() as u128) << self.shift();
        let new = (((value as u64) & self.mask()) as u128) << self.shift();
        let bytes = self.bytes();
        let last = *bytes.end();
        for i in bytes {
            let down = 8 * (last - i);
            text[i] = text[i] & !((mask >> down) as u8) | (new >> down) as u8;
        }
    }

    /// The value that its bits stand for.
    fn extended(self, bits: u64) -> i64 {
        let bits = bits & self.mask();
        let unused = 64 - self.bits;
        if self.signed { (bits << unused) as i64 >> unused } else { bits as i64 }
    }

    /// The least and the greatest value it holds.
    fn bounds(self) -> (i128, i128) {
        let top = self.mask() as i128;
        if self.signed { (-(top >> 1) - 1, top >> 1) } else { (0, top) }
    }

    /// `value` as it can be held; none when it cannot and must not change anything.
    fn fitted(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, greatest) = self.bounds();
        if (least..=greatest).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.extended(value as u64)),
            Overflow::Saturate => Some(value.clamp(least, greatest) as i64),
            Overflow::Fail => None,
        }
    }
}

impl Op {
    fn reads(&self) -> bool {
        self.action == Action::Get
    }

    /// Runs on a string that is long enough, replies, and tells whether it has changed the string. One that has `grown` for it
    /// was changed by whatever writes.
    fn run(&self, text: &mut [u8], out: &mut Out, grown: bool) -> bool {
        let old = self.field.get(text);
        let (wanted, shows_new) = match self.action {
            Action::Get => {
                out.int(old);
                return false;
            }
            // To a field without a sign a negative value is a very large one.
            Action::Set(value) if self.field.signed => (value as i128, false),
            Action::Set(value) => (value as u64 as i128, false),
            Action::Add(by) => (old as i128 + by as i128, true),
        };
        let Some(new) = self.field.fitted(wanted, self.overflow) else {
            out.null();
            return false;
        };
        self.field.set(text, new);
        out.int(if shows_new { new } else { old });
        grown || new != old
    }
}

/// Reads the operations that follow the key.
fn parse(cx: &Cx<'_>, args: Args<'_>) -> Result<Vec<Op>, Error> {
    let mut ops = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut i = 0;
    while i < args.len() {
        let left = args.len() - i - 1;
        if args.is(i, "overflow") && left >= 1 {
            overflow = match args {
                _ if args.is(i + 1, "wrap") => Overflow::Wrap,
                _ if args.is(i + 1, "sat") => Overflow::Saturate,
                _ if args.is(i + 1, "fail") => Overflow::Fail,
                _ => return Err(Error::text_of("ERR Invalid OVERFLOW type specified")),
            };
            i += 2;
            continue;
        }
        let get = args.is(i, "get") && left >= 2;
        let set = args.is(i, "set") && left >= 3;
        let add = args.is(i, "incrby") && left >= 3;
        if !get && !set && !add {
            return Err(Error::Syntax);
        }
        let field = Field::parse(cx, args.at(i + 1), args.at(i + 2))?;
        let action = if get {
            Action::Get
        } else {
            let value = parse_i64(args.at(i + 3)).ok_or(Error::NotInteger)?;
            if set { Action::Set(value) } else { Action::Add(value) }
        };
        ops.push(Op { field, action, overflow });
        i += if get { 3 } else { 4 };
    }
    Ok(ops)
}

fn bitfield(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let ops = parse(cx, args.from(2))?;
    let Some(last) = ops.iter().filter(|op| !op.reads()).map(|op| *op.field.bytes().end()).max() else {
        return read_all(cx, args.at(1), &ops);
    };
    let name = args.at(1);
    let grows = len_for_write(&mut cx.keys, name)?.is_none_or(|len| len <= last);
    cx.out.array(ops.len());
    let out = &mut *cx.out;
    let changes = patch(&mut cx.keys, name, last + 1, |text| {
        ops.iter().map(|op| op.run(text, out, grows) as usize).sum::<usize>()
    });
    if grows || changes > 0 {
        // A string that has grown is logged, also when no operation went through; Redis forgets that one.
        note_changes(&mut cx.keys, name, changes.max(1));
    }
    Ok(Outcome::Done)
}

fn bitfield_ro(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let ops = parse(cx, args.from(2))?;
    if !ops.iter().all(Op::reads) {
        return Err(Error::text_of("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read_all(cx, args.at(1), &ops)
}

/// Runs operations that only read.
fn read_all(cx: &mut Cx<'_>, name: &[u8], ops: &[Op]) -> Done {
    let out = &mut *cx.out;
    let mut reply = |text: &[u8]| {
        out.array(ops.len());
        ops.iter().for_each(|op| out.int(op.field.get(text)));
    };
    match cx.keys.read(name) {
        Some(entry) => Text::of(entry.view())?.with(reply),
        None => reply(b""),
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::prng::{seeded, xorshift};
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn replies() {
        let mut w = World::new(2);
        for (rest, reply) in [
            ("", "*0\r\n"),
            ("OVERFLOW WRAP", "*0\r\n"),
            ("get i64 0", "*1\r\n:0\r\n"),
            ("get u8 #536870911", "*1\r\n:0\r\n"),
            ("get u8 4294967295", "*1\r\n:0\r\n"),
            ("set u8 0 256 get u8 0", "*2\r\n:0\r\n:0\r\n"),
            ("overflow sat set u8 0 256 get u8 0", "*2\r\n:0\r\n:255\r\n"),
            ("overflow fail set u8 0 256 get u8 0", "*2\r\n$-1\r\n:255\r\n"),
            ("overflow fail incrby u8 0 1 overflow wrap incrby u8 0 1", "*2\r\n$-1\r\n:0\r\n"),
            ("set u8 0 -1", "*1\r\n:0\r\n"),
            ("overflow sat set u8 0 -1 get u8 0", "*2\r\n:255\r\n:255\r\n"),
            ("overflow sat incrby u8 0 -300", "*1\r\n:0\r\n"),
            ("overflow sat set i8 0 -300 get i8 0", "*2\r\n:0\r\n:-128\r\n"),
            (
                "overflow sat incrby i64 0 9223372036854775807 incrby i64 0 9223372036854775807",
                "*2\r\n:-1\r\n:9223372036854775806\r\n",
            ),
            (
                "set i64 0 9223372036854775807 incrby i64 0 1",
                "*2\r\n:9223372036854775806\r\n:-9223372036854775808\r\n",
            ),
        ] {
            assert_eq!(w.run(&format!("BITFIELD k {rest}")), reply, "{rest}");
        }
        assert_eq!(w.encoding("k"), "raw");
        assert_eq!(w.run("BITFIELD_RO k get u8 0"), "*1\r\n:128\r\n");
        assert_eq!(w.run("BITFIELD_RO k overflow wrap get u8 #0"), "*1\r\n:128\r\n");
        assert_eq!(w.run("BITFIELD_RO nokey get u8 0 get i3 7"), "*2\r\n:0\r\n:0\r\n");
        assert_eq!(w.run("BITFIELD grown overflow fail incrby u8 100 300"), "*1\r\n$-1\r\n");
        assert_eq!(w.run("STRLEN grown"), ":14\r\n");
        w.proto(Proto::Resp3);
        assert_eq!(w.run("BITFIELD k overflow fail incrby u8 0 300"), "*1\r\n_\r\n");
    }

    #[test]
    fn reading_leaves_the_encoding() {
        let mut w = World::new(1);
        w.run("SET n 10");
        assert_eq!(w.run("BITFIELD n get u8 0"), "*1\r\n:49\r\n");
        assert_eq!(w.encoding("n"), "int");
        assert_eq!(w.run("BITFIELD n set u8 0 49"), "*1\r\n:49\r\n");
        assert_eq!(w.encoding("n"), "raw");
        assert_eq!(w.run("BITFIELD none get u8 0"), "*1\r\n:0\r\n");
        assert_eq!(w.run("GET none"), "$-1\r\n");
    }

    #[test]
    fn errors() {
        let mut w = World::new(1);
        for bad in ["get", "get u8", "set u8 0", "overflow", "foo", "foo u8 0", "incrby u8 0", "get u8 0 bar"]
        {
            assert_eq!(w.run(&format!("BITFIELD k {bad}")), "-ERR syntax error\r\n", "{bad}");
        }
        for bad in ["u64", "x8", "u0", "i65", "u08", "U8", "u", "i", "i-1"] {
            let reply = w.run(&format!("BITFIELD k get {bad} 0"));
            assert_eq!(reply, format!("-{}\r\n", Error::BitType.text()), "{bad}");
        }
        for bad in ["abc", "-1", "#-1", "4294967296", "#536870912", "#9223372036854775807", ""] {
            let reply = w.run(&format!("BITFIELD k get u8 \"{bad}\""));
            assert_eq!(reply, "-ERR bit offset is not an integer or out of range\r\n", "{bad}");
        }
        assert_eq!(w.run("BITFIELD k set u8 0 abc"), "-ERR value is not an integer or out of range\r\n");
        assert_eq!(w.run("BITFIELD k overflow foo"), "-ERR Invalid OVERFLOW type specified\r\n");
        let read_only = "-ERR BITFIELD_RO only supports the GET subcommand\r\n";
        assert_eq!(w.run("BITFIELD_RO k set u8 0 1"), read_only);
        assert_eq!(w.run("BITFIELD_RO k incrby u8 0 1"), read_only);
        assert_eq!(w.run("BITFIELD_RO k set u8 0"), "-ERR syntax error\r\n");
    }

    #[test]
    fn fields_agree_with_one_bit_at_a_time() {
        let mut random = seeded(23);
        for _ in 0..5_000 {
            let mut text: Vec<u8> = (0..16).map(|_| xorshift(&mut random) as u8).collect();
            let signed = xorshift(&mut random) & 1 == 0;
            let bits = 1 + xorshift(&mut random) as usize % if signed { 64 } else { 63 };
            let field = Field { signed, bits, at: xorshift(&mut random) as usize % (128 - bits + 1) };
            let bit = |text: &[u8], i: usize| text[i / 8] >> (7 - i % 8) & 1;
            let value = xorshift(&mut random) as i64;
            let before = text.clone();
            field.set(&mut text, value);
            for i in 0..128 {
                let want = match (field.at..field.at + bits).contains(&i) {
                    true => (value >> (field.at + bits - 1 - i) & 1) as u8,
                    false => bit(&before, i),
                };
                assert_eq!(bit(&text, i), want, "{field:?} bit {i}");
            }
            let naive = (field.at..field.at + bits).fold(0i128, |n, i| n << 1 | bit(&text, i) as i128);
            let sign = if signed && bit(&text, field.at) == 1 { 1i128 << bits } else { 0 };
            assert_eq!(field.get(&text) as i128, naive - sign, "{field:?}");
        }
    }
}
