//! What a client says about itself: ID, GETNAME, SETNAME, SETINFO, REPLY, NO-EVICT, NO-TOUCH.

use super::family::BASE;
use crate::cmd::row::flag;
use crate::cmd::session::{ReplyMode, client_name, shown_word};
use crate::cmd::unknown::c_text;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error};

pub(super) const ID: Command = Command {
    name: "id",
    full_name: "client|id",
    arity: 2,
    run: client_id,
    summary: "Tells the connection's ID.",
    since: "5.0.0",
    ..BASE
};

pub(super) const GETNAME: Command = Command {
    name: "getname",
    full_name: "client|getname",
    arity: 2,
    run: client_getname,
    summary: "Tells the connection's name.",
    since: "2.6.9",
    ..BASE
};

pub(super) const SETNAME: Command = Command {
    name: "setname",
    full_name: "client|setname",
    arity: 3,
    run: client_setname,
    summary: "Names the connection.",
    since: "2.6.9",
    syntax: "connection-name:string",
    ..BASE
};

pub(super) const SETINFO: Command = Command {
    name: "setinfo",
    full_name: "client|setinfo",
    arity: 4,
    run: client_setinfo,
    summary: "Notes the name or the version of the client's library.",
    since: "7.2.0",
    syntax: "attr:(LIB-NAME libname:string | LIB-VER libver:string)",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    ..BASE
};

pub(super) const REPLY: Command = Command {
    name: "reply",
    full_name: "client|reply",
    arity: 3,
    run: client_reply,
    summary: "Says whether the connection wants replies.",
    since: "3.2.0",
    syntax: "on_off_skip:(on=ON | off=OFF | skip=SKIP)",
    ..BASE
};

pub(super) const NO_EVICT: Command = Command {
    name: "no-evict",
    full_name: "client|no-evict",
    arity: 3,
    flags: BASE.flags | flag::ADMIN,
    run: client_no_evict,
    summary: "Keeps the connection open when clients take too much memory.",
    since: "7.0.0",
    syntax: "enabled:(on=ON | off=OFF)",
    ..BASE
};

pub(super) const NO_TOUCH: Command = Command {
    name: "no-touch",
    full_name: "client|no-touch",
    arity: 3,
    run: client_no_touch,
    summary: "Says whether the connection's reads count as a use of the keys.",
    since: "7.2.0",
    syntax: "enabled:(on=ON | off=OFF)",
    ..BASE
};

fn client_id(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.int(cx.session.id as i64);
    Ok(Outcome::Done)
}

fn client_getname(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    match cx.session.name.as_bytes() {
        b"" => cx.out.null(),
        name => cx.out.bulk(name),
    }
    Ok(Outcome::Done)
}

fn client_setname(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.session.name = client_name(args.at(2))?;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn client_setinfo(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let option = c_text(args.at(2), usize::MAX);
    let place = if args.is(2, "lib-name") {
        &mut cx.session.lib_name
    } else if args.is(2, "lib-ver") {
        &mut cx.session.lib_ver
    } else {
        cx.out.error_bytes(&[b"ERR Unrecognized option '", option, b"'"].concat());
        return Ok(Outcome::Done);
    };
    let Some(value) = shown_word(args.at(3)) else {
        let why = b" cannot contain spaces, newlines or special characters.";
        cx.out.error_bytes(&[b"ERR ", option, why].concat());
        return Ok(Outcome::Done);
    };
    *place = value;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn client_reply(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.is(2, "on") {
        cx.session.reply = ReplyMode::On;
        cx.out.ok();
    } else if args.is(2, "off") {
        cx.session.reply = ReplyMode::Off;
    } else if !args.is(2, "skip") {
        return Err(Error::Syntax);
    } else if cx.session.reply != ReplyMode::Off {
        cx.session.reply = ReplyMode::SkipNext;
    }
    Ok(Outcome::Done)
}

/// Argument 2 as ON or OFF.
fn on_off(args: Args<'_>) -> Result<bool, Error> {
    match (args.is(2, "on"), args.is(2, "off")) {
        (false, false) => Err(Error::Syntax),
        (on, _) => Ok(on),
    }
}

fn client_no_evict(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.session.no_evict = on_off(args)?;
    cx.out.ok();
    Ok(Outcome::Done)
}

fn client_no_touch(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    cx.session.no_touch = on_off(args)?;
    cx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn a_client_has_a_name_and_a_library() {
        let mut world = World::new(1);
        let bad = "cannot contain spaces, newlines or special characters.\r\n";
        for (line, expected) in [
            ("CLIENT ID", ":1\r\n".to_string()),
            ("CLIENT GETNAME", "$-1\r\n".to_string()),
            ("CLIENT SETNAME me", "+OK\r\n".to_string()),
            ("CLIENT SETNAME \"a b\"", format!("-ERR Client names {bad}")),
            ("CLIENT SETNAME \"a\\n\"", format!("-ERR Client names {bad}")),
            ("CLIENT SETNAME \"\\xc3\\xa9\"", format!("-ERR Client names {bad}")),
            ("CLIENT GETNAME", "$2\r\nme\r\n".to_string()),
            ("CLIENT SETNAME \"\"", "+OK\r\n".to_string()),
            ("CLIENT GETNAME", "$-1\r\n".to_string()),
            ("CLIENT SETINFO lib-name kring-rs", "+OK\r\n".to_string()),
            ("CLIENT SETINFO LIB-VER 1.0", "+OK\r\n".to_string()),
            ("CLIENT SETINFO Lib-Ver \"1 0\"", format!("-ERR Lib-Ver {bad}")),
            ("CLIENT SETINFO x y", "-ERR Unrecognized option 'x'\r\n".to_string()),
            (
                "CLIENT SETNAME a b",
                "-ERR wrong number of arguments for 'client|setname' command\r\n".to_string(),
            ),
            ("CLIENT", "-ERR wrong number of arguments for 'client' command\r\n".to_string()),
        ] {
            assert_eq!(world.run(line), expected, "{line}");
        }
        assert_eq!((&*world.session.lib_name, &*world.session.lib_ver), ("kring-rs", "1.0"));
    }

    #[test]
    fn replies_and_policies_are_switched() {
        let mut world = World::new(1);
        for (line, expected, mode) in [
            ("CLIENT REPLY skip", "", ReplyMode::SkipNext),
            ("CLIENT REPLY off", "", ReplyMode::Off),
            ("CLIENT REPLY SKIP", "", ReplyMode::Off),
            ("CLIENT REPLY on", "+OK\r\n", ReplyMode::On),
            ("CLIENT REPLY x", "-ERR syntax error\r\n", ReplyMode::On),
        ] {
            assert_eq!((&*world.run(line), world.session.reply), (expected, mode), "{line}");
        }
        assert_eq!(world.run("CLIENT NO-EVICT on"), "+OK\r\n");
        assert_eq!(world.run("CLIENT NO-TOUCH ON"), "+OK\r\n");
        assert!(world.session.no_evict && world.session.no_touch);
        assert_eq!(world.run("CLIENT NO-EVICT off"), "+OK\r\n");
        assert_eq!(world.run("CLIENT NO-TOUCH x"), "-ERR syntax error\r\n");
        assert!(!world.session.no_evict && world.session.no_touch);
    }
}
