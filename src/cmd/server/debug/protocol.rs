//! DEBUG PROTOCOL and DEBUG ERROR: replies for tests of clients. The values are Redis's, byte for byte.

use super::rows::permit;
use crate::cmd::{Cx, Done, Outcome};
use crate::resp::{Args, Error, Out};

pub(super) fn protocol(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let out = &mut *cx.out;
    match args.at(2).to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12_345),
        b"double" => out.double_text("3.141"),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"map" => {
            out.map(3);
            for i in 0..3 {
                out.int(i);
                out.boolean(i == 1);
            }
        }
        b"attrib" => attribute(out),
        b"push" => push(out)?,
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        b"bignum" => big_number(out, "1234567999999999999999999999999999999"),
        _ => {
            return Err(Error::text_of(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(Outcome::Done)
}

/// An attribute goes before the reply that it is about; RESP2 has none.
fn attribute(out: &mut Out) {
    if out.resp3() {
        out.raw(b"|1\r\n");
        out.bulk(b"key-popularity");
        out.array(2);
        out.bulk(b"key:123");
        out.int(90);
    }
    out.bulk(b"Some real reply following the attribute");
}

fn push(out: &mut Out) -> Result<(), Error> {
    if !out.resp3() {
        return Err(Error::text_of("ERR RESP2 is not supported by this command"));
    }
    out.push(2);
    out.bulk(b"server-cpu-usage");
    out.int(42);
    out.bulk(b"Some real reply following the push reply");
    Ok(())
}

/// A number that no integer of the protocol holds: a bulk string to RESP2.
fn big_number(out: &mut Out, digits: &str) {
    if out.resp3() {
        out.raw(format!("({digits}\r\n").as_bytes());
    } else {
        out.bulk(digits.as_bytes());
    }
}

/// `DEBUG ERROR words`: the error is the words, code and all.
pub(super) fn error(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.out.error_bytes(args.at(2));
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::config::EnableCommand;
    use crate::resp::Proto;

    /// The replies of redis-server 7.0.15.
    const REPLIES: &[(&str, &str, &str)] = &[
        ("string", "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"),
        ("integer", ":12345\r\n", ":12345\r\n"),
        ("double", "$5\r\n3.141\r\n", ",3.141\r\n"),
        ("null", "$-1\r\n", "_\r\n"),
        ("array", "*3\r\n:0\r\n:1\r\n:2\r\n", "*3\r\n:0\r\n:1\r\n:2\r\n"),
        ("set", "*3\r\n:0\r\n:1\r\n:2\r\n", "~3\r\n:0\r\n:1\r\n:2\r\n"),
        ("map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
        (
            "attrib",
            "$39\r\nSome real reply following the attribute\r\n",
            "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n",
        ),
        (
            "push",
            "-ERR RESP2 is not supported by this command\r\n",
            ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push reply\r\n",
        ),
        ("verbatim", "$25\r\nThis is a verbatim\nstring\r\n", "=29\r\ntxt:This is a verbatim\nstring\r\n"),
        ("TRUE", ":1\r\n", "#t\r\n"),
        ("false", ":0\r\n", "#f\r\n"),
        (
            "bignum",
            "$37\r\n1234567999999999999999999999999999999\r\n",
            "(1234567999999999999999999999999999999\r\n",
        ),
    ];

    #[test]
    fn replies_are_those_of_redis() {
        let mut world = World::new(1);
        world.config.enable_debug_command = EnableCommand::Yes;
        for (kind, resp2, resp3) in REPLIES {
            world.proto(Proto::Resp2);
            assert_eq!(world.run(&format!("DEBUG PROTOCOL {kind}")), *resp2);
            world.proto(Proto::Resp3);
            assert_eq!(world.run(&format!("DEBUG PROTOCOL {kind}")), *resp3);
        }
        assert!(world.run("DEBUG PROTOCOL foo").starts_with("-ERR Wrong protocol type name. Please use"));
        assert_eq!(world.run("DEBUG ERROR \"FOO bar\\r\\nx\""), "-FOO bar  x\r\n");
    }
}
