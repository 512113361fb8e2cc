//! AUTH. There is one user, `default`, whose password is `requirepass`; without one any password is right.

use crate::cmd::row::{category, flag};
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error};
use std::hint::black_box;

/// The only user.
const DEFAULT_USER: &[u8] = b"default";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. \
                           Are you sure your configuration is correct?";
const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// This file's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "auth",
    full_name: "auth",
    arity: -2,
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY,
    categories: category::CONNECTION,
    run: auth,
    summary: "Proves to the server who the client is.",
    group: "connection",
    complexity: "O(N) with N the length of the password",
    syntax: "[username:string@6.0.0] password:string",
    ..Command::BASE
}];

fn auth(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    if args.len() == 2 && cx.env.config.requirepass.is_empty() {
        return Err(Error::text_of(NO_PASSWORD));
    }
    let user = if args.len() == 2 { DEFAULT_USER } else { args.at(1) };
    authenticate(cx, user, args.at(args.len() - 1))?;
    cx.out.ok();
    Ok(Outcome::Done)
}

/// Lets the client in when the password is the user's. A wrong one does not throw out who is in already.
pub(super) fn authenticate(cx: &mut Cx<'_>, user: &[u8], password: &[u8]) -> Result<(), Error> {
    let expected = cx.env.config.requirepass.as_bytes();
    let right = expected.is_empty() || same(password, expected);
    if !right || user != DEFAULT_USER {
        return Err(Error::text_of(WRONG));
    }
    cx.session.authenticated = true;
    Ok(())
}

/// Whether two passwords are the same. The time it takes depends on the length of `given` only, so it tells a guesser
/// nothing about `expected`.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let mut differ = (given.len() != expected.len()) as u8;
    for (i, byte) in given.iter().enumerate() {
        let other = expected.get(i % expected.len().max(1)).copied().unwrap_or(0);
        differ = black_box(differ | (byte ^ other));
    }
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn passwords_are_compared_whole() {
        assert!(same(b"secret", b"secret") && same(b"", b""));
        for wrong in [&b"secre"[..], b"secrets", b"secretsecret", b"", b"Secret", b"secreT"] {
            assert!(!same(wrong, b"secret"));
        }
        assert!(!same(b"x", b""));
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn auth_with_and_without_a_password() {
        let mut world = World::new(1);
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        assert_eq!(world.run("AUTH a"), format!("-{NO_PASSWORD}\r\n"));
        assert_eq!(world.run("AUTH a b"), wrong);
        assert_eq!(world.run("AUTH default b"), "+OK\r\n");
        assert_eq!(world.run("AUTH a b c"), "-ERR syntax error\r\n");
        world.config.requirepass = "secret".into();
        world.session.authenticated = false;
        assert_eq!(world.run("AUTH b"), wrong);
        assert_eq!(world.run("AUTH default b"), wrong);
        assert_eq!(world.run("AUTH Default secret"), wrong);
        assert!(!world.session.authenticated);
        assert_eq!(world.run("AUTH secret"), "+OK\r\n");
        assert!(world.session.authenticated);
        assert_eq!(world.run("AUTH no"), wrong);
        assert!(world.session.authenticated);
        assert_eq!(world.run("AUTH default secret"), "+OK\r\n");
    }
}
