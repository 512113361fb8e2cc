//! Strings that are numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.

use super::text::{Text, stored_as_is};
use crate::base::longdouble::LongDouble;
use crate::base::number::parse_i64;
use crate::cmd::row::{category, flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan};
use crate::ds::Payload;
use crate::resp::{Args, Error};
use crate::store::int_of;

const INCR: Command = Command {
    name: "incr",
    full_name: "incr",
    arity: 2,
    flags: flag::WRITE | flag::DENYOOM | flag::FAST,
    categories: category::STRING,
    keys: &[KeySpec::one(1, key::RW | key::ACCESS | key::UPDATE)],
    plan: Plan::Owner,
    run: incr,
    summary: "Adds one to the integer that a key holds; no key counts as 0.",
    group: "string",
    syntax: "key:key",
    ..Command::BASE
};

/// Rows of this file.
pub const COMMANDS: &[Command] = &[
    INCR,
    Command {
        name: "decr",
        full_name: "decr",
        run: decr,
        summary: "Takes one from the integer that a key holds; no key counts as 0.",
        ..INCR
    },
    Command {
        name: "incrby",
        full_name: "incrby",
        arity: 3,
        run: incrby,
        summary: "Adds to the integer that a key holds; no key counts as 0.",
        syntax: "key:key increment:integer",
        ..INCR
    },
    Command {
        name: "decrby",
        full_name: "decrby",
        arity: 3,
        run: decrby,
        summary: "Takes from the integer that a key holds; no key counts as 0.",
        syntax: "key:key decrement:integer",
        ..INCR
    },
    Command {
        name: "incrbyfloat",
        full_name: "incrbyfloat",
        arity: 3,
        run: incrbyfloat,
        summary: "Adds to the number that a key holds, integer or not; no key counts as 0.",
        since: "2.6.0",
        syntax: "key:key increment:double",
        ..INCR
    },
];

fn incr(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    add(cx, args.at(1), 1)
}

fn decr(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    add(cx, args.at(1), -1)
}

fn incrby(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let by = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    add(cx, args.at(1), by)
}

fn decrby(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let by = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let by = by.checked_neg().ok_or(Error::text_of("ERR decrement would overflow"))?;
    add(cx, args.at(1), by)
}

#[inline]
fn add(cx: &mut Cx<'_>, name: &[u8], by: i64) -> Done {
    let sum = match cx.keys.write(name) {
        Some(mut entry) => {
            let old = match Text::of(entry.view())? {
                Text::Int(n) => Some(n),
                Text::Bytes(text) => int_of(text),
                Text::Shared(_) => None,
            };
            let sum = old.ok_or(Error::NotInteger)?.checked_add(by).ok_or(Error::Overflow)?;
            entry.set_payload(Payload::Int(sum));
            entry.set_mark(0);
            sum
        }
        None => {
            cx.keys.set(name, Payload::Int(by), None);
            by
        }
    };
    cx.keys.changed(name);
    cx.out.int(sum);
    Ok(Outcome::Done)
}

fn incrbyfloat(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let name = args.at(1);
    let old = match cx.keys.write(name) {
        Some(entry) => Some(match Text::of(entry.view())? {
            Text::Int(n) => LongDouble::from(n),
            Text::Bytes(text) => LongDouble::parse(text).ok_or(Error::NotFloat)?,
            Text::Shared(text) => LongDouble::parse(text).ok_or(Error::NotFloat)?,
        }),
        None => None,
    };
    let by = LongDouble::parse(args.at(2)).ok_or(Error::NotFloat)?;
    let sum = old.unwrap_or_default().checked_add(by).ok_or(Error::NanOrInfinity)?.to_text();
    match old {
        Some(_) => cx.keys.set_value(name, stored_as_is(&sum), 0),
        None => cx.keys.set(name, stored_as_is(&sum), None),
    }
    cx.keys.changed(name);
    // Not as it came: the log's reader may round otherwise.
    cx.keys.effect(name, &[b"SET", name, &sum, b"KEEPTTL"]);
    cx.out.bulk(&sum);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn integers() {
        let mut w = World::new(2);
        let overflow = "-ERR increment or decrement would overflow\r\n";
        let not_integer = "-ERR value is not an integer or out of range\r\n";
        assert_eq!(w.run("INCR n"), ":1\r\n");
        assert_eq!(w.run("DECR n"), ":0\r\n");
        assert_eq!(w.run("INCRBY n 41"), ":41\r\n");
        assert_eq!(w.run("DECRBY n -1"), ":42\r\n");
        assert_eq!(w.run("DECR m"), ":-1\r\n");
        assert_eq!(w.encoding("n"), "int");
        assert_eq!(w.run("DECRBY n -9223372036854775808"), "-ERR decrement would overflow\r\n");
        assert_eq!(w.run("DECRBY new -9223372036854775808"), "-ERR decrement would overflow\r\n");
        w.run("SET f 9223372036854775807");
        assert_eq!(w.run("INCR f"), overflow);
        assert_eq!(w.run("INCRBY f -1"), ":9223372036854775806\r\n");
        w.run("SET f -9223372036854775808");
        assert_eq!(w.run("DECR f"), overflow);
        assert_eq!(w.run("DECRBY f 1"), overflow);
        assert_eq!(w.run("INCRBY f 9223372036854775808"), not_integer);
        for bad in ["abc", "1.5", " 1", "", "01", "9223372036854775808"] {
            w.run_args(&[b"SET", b"f", bad.as_bytes()]);
            assert_eq!(w.run("INCR f"), not_integer, "{bad:?}");
        }
        w.run_args(&[b"SET", b"f", &[b'1'; 2_000]]);
        assert_eq!(w.run("INCR f"), not_integer);
    }

    #[test]
    fn the_ttl_stays() {
        let mut w = World::new(1);
        w.run("SET n 1 EX 100");
        let at = w.expire_at("n");
        w.run("INCR n");
        assert_eq!(w.expire_at("n"), at);
        w.run("INCRBYFLOAT n 1.5");
        assert_eq!(w.expire_at("n"), at);
        assert!(at.is_some());
    }

    #[test]
    fn floats() {
        let mut w = World::new(2);
        for (by, sum) in [
            ("0x10", "16"),
            ("5.0e3", "5016"),
            ("+1", "5017"),
            ("-5017", "0"),
            ("0.1", "0.1"),
            ("0.2", "0.3"),
            ("-0.3", "0"),
            ("-1e-19", "0"),
            ("17179869184", "17179869184"),
            ("0.1", "17179869184.09999999962747097"),
            ("0.2", "17179869184.29999999888241291"),
            ("1e17", "100000017179869184.296875"),
        ] {
            assert_eq!(w.run(&format!("INCRBYFLOAT k {by}")), format!("${}\r\n{sum}\r\n", sum.len()));
        }
        assert_eq!(w.run("SET k 10"), "+OK\r\n");
        assert_eq!(w.run("INCRBYFLOAT k 1"), "$2\r\n11\r\n");
        assert_eq!(w.encoding("k"), "embstr");
        assert_eq!(w.run("INCR k"), ":12\r\n");
        assert_eq!(w.encoding("k"), "int");
        w.run("APPEND k 5");
        assert_eq!(w.run("INCRBYFLOAT k 1"), "$3\r\n126\r\n");
        assert_eq!(w.encoding("k"), "embstr");
        assert_eq!(
            w.run("INCRBYFLOAT z 1e60"),
            "$60\r\n999999999999999999999373423426722168652130621984886772203520\r\n"
        );
        assert_eq!(w.encoding("z"), "raw");
        assert!(w.run("INCRBYFLOAT huge 1e4000").starts_with("$4000\r\n99999999999999999999654638"));
        assert!(w.run("INCRBYFLOAT huge 1").starts_with("$4000\r\n"));
        assert_eq!(w.encoding("huge"), "raw");
    }

    #[test]
    fn float_errors() {
        let mut w = World::new(1);
        let not_float = "-ERR value is not a valid float\r\n";
        for bad in ["abc", "", "nan", "-nan", "1e5000", "1e-5000", " 1", "1 ", "1e", "0x", "1\0"] {
            assert_eq!(w.run_args(&[b"INCRBYFLOAT", b"k", bad.as_bytes()]), not_float, "{bad:?}");
        }
        for bad in ["inf", "-INF", "+Infinity"] {
            let reply = w.run(&format!("INCRBYFLOAT k {bad}"));
            assert_eq!(reply, "-ERR increment would produce NaN or Infinity\r\n");
        }
        assert_eq!(w.run("GET k"), "$-1\r\n");
        w.run("SET k abc");
        assert_eq!(w.run("INCRBYFLOAT k 1"), not_float);
        w.run("SET k 1.1e4932");
        assert_eq!(w.run("INCRBYFLOAT k 1.1e4932"), "-ERR increment would produce NaN or Infinity\r\n");
    }
}
