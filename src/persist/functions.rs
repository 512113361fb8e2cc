//! Libraries of functions: they are kept, not run. What the commands in a log make of them that change them.
//!
//! ```text
//!  FUNCTION LOAD [REPLACE] source            a source begins with a line  #!lua name=mylib
//!  FUNCTION DELETE name
//!  FUNCTION FLUSH [ASYNC | SYNC]
//!  FUNCTION RESTORE payload [FLUSH | APPEND | REPLACE]
//!
//!  payload: F5 source, F5 source, ... | RDB version: 2 bytes | CRC-64: 8 bytes      what FUNCTION DUMP gives
//! ```

use super::Corrupt;
use super::rdb::op;
use super::rdb_string::decode_string;
use crate::persist::dump;
use crate::resp::Args;

/// What a release before 7.0 logs of a script unless told otherwise: the script itself.
const OLD_SCRIPT: &str = "it runs a script, which kring cannot do yet; redis-server logs what scripts do, not scripts, \
    since release 7.0, and after BGREWRITEAOF of any release the log has none";

/// A change of the libraries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Load { source: Vec<u8>, replace: bool },
    Delete(Vec<u8>),
    Flush,
    Restore { sources: Vec<Vec<u8>>, policy: Policy },
}

/// What becomes of the libraries that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// They go.
    Flush,
    /// They stay, and must have other names.
    Append,
    /// Those of the same names go.
    Replace,
}

/// What a command means that only a log may have, where scripts do not run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meant {
    Change(Change),
    /// It concerns the cache of scripts, which is no data.
    Nothing,
}

/// What a command of a log means that no client may give. None: it is no such command.
pub fn meant(args: Args<'_>) -> Option<Result<Meant, String>> {
    if args.is(0, "function") {
        return Some(change(args).map(Meant::Change));
    }
    if ["eval", "evalsha", "fcall"].iter().any(|name| args.is(0, name)) {
        return Some(Err(OLD_SCRIPT.into()));
    }
    // Releases before 7.0 log it.
    let caches =
        args.is(0, "script") && ["load", "flush"].iter().any(|word| args.len() > 1 && args.is(1, word));
    caches.then_some(Ok(Meant::Nothing))
}

fn change(args: Args<'_>) -> Result<Change, String> {
    let is = |i: usize, word: &str| args.len() > i && args.is(i, word);
    match args.len() {
        3 if is(1, "load") => load(args.at(2), false),
        4 if is(1, "load") && is(2, "replace") => load(args.at(3), true),
        3 if is(1, "delete") => Ok(Change::Delete(args.at(2).to_vec())),
        2 if is(1, "flush") => Ok(Change::Flush),
        3 if is(1, "flush") && (is(2, "async") || is(2, "sync")) => Ok(Change::Flush),
        3 if is(1, "restore") => restore(args.at(2), Policy::Append),
        4 if is(1, "restore") => {
            let policies =
                [("flush", Policy::Flush), ("append", Policy::Append), ("replace", Policy::Replace)];
            let policy = policies.iter().find(|(word, _)| is(3, word));
            let (_, policy) = policy.ok_or("it has a policy that is none")?;
            restore(args.at(2), *policy)
        }
        _ => Err("it is no change of libraries that redis-server logs".into()),
    }
}

fn load(source: &[u8], replace: bool) -> Result<Change, String> {
    name_of(source).ok_or("its library has no name: a library begins with #!lua name=mylib")?;
    Ok(Change::Load { source: source.to_vec(), replace })
}

fn restore(payload: &[u8], policy: Policy) -> Result<Change, String> {
    let mut rest = dump::unseal(payload).ok_or("its payload has a wrong version or checksum")?.0;
    let mut sources: Vec<Vec<u8>> = Vec::new();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let source = match *byte {
            op::LIBRARY => decode_string(&mut rest).map(|text| text.into_bytes()),
            _ => Err(Corrupt),
        };
        let source = source.map_err(|_| "its payload is damaged")?;
        let name = name_of(&source).ok_or("a library in its payload has no name")?;
        if sources.iter().any(|other| name_of(other) == Some(name)) {
            return Err("its payload has a library twice".into());
        }
        sources.push(source);
    }
    Ok(Change::Restore { sources, policy })
}

/// The name in a library's first line.
pub fn name_of(source: &[u8]) -> Option<&[u8]> {
    let line = source.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    // The engine.
    words.next()?;
    let name =
        words.find_map(|word| word.split_at_checked(5).filter(|(is, _)| is.eq_ignore_ascii_case(b"name=")));
    let is_right =
        |name: &&[u8]| !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    name.map(|(_, name)| name).filter(is_right)
}

/// Makes a change. As in redis-server, one that cannot be made leaves all as it was; what is wrong with it.
pub fn apply(libraries: &mut Vec<Vec<u8>>, change: Change) -> Result<(), String> {
    let find = |libraries: &[Vec<u8>], name: &[u8]| libraries.iter().position(|l| name_of(l) == Some(name));
    match change {
        Change::Flush => libraries.clear(),
        Change::Delete(name) => {
            let at = find(libraries, &name);
            libraries.remove(at.ok_or_else(|| format!("FUNCTION DELETE: {}", told(&name, "is not there")))?);
        }
        Change::Load { source, replace } => {
            let policy = if replace { Policy::Replace } else { Policy::Append };
            return add(libraries, vec![source], policy, "FUNCTION LOAD");
        }
        Change::Restore { sources, policy } => return add(libraries, sources, policy, "FUNCTION RESTORE"),
    }
    Ok(())
}

fn add(
    libraries: &mut Vec<Vec<u8>>,
    sources: Vec<Vec<u8>>,
    policy: Policy,
    what: &str,
) -> Result<(), String> {
    let is_new = |library: &Vec<u8>| sources.iter().any(|source| name_of(source) == name_of(library));
    match policy {
        Policy::Flush => libraries.clear(),
        Policy::Replace => libraries.retain(|library| !is_new(library)),
        Policy::Append => {
            if let Some(name) = libraries.iter().find(|library| is_new(library)).and_then(|l| name_of(l)) {
                return Err(format!("{what}: {}", told(name, "is there already")));
            }
        }
    }
    libraries.extend(sources);
    Ok(())
}

fn told(name: &[u8], what: &str) -> String {
    format!("library '{}' {what}", String::from_utf8_lossy(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::testing::with_args;

    const SOURCE: &[u8] = b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)";

    fn payload(sources: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        for source in sources {
            body.push(op::LIBRARY);
            crate::persist::rdb_string::encode_string(&mut body, source, true);
        }
        body.extend_from_slice(&[10, 0]);
        let crc = crate::persist::crc64::crc64(0, &body);
        body.extend_from_slice(&crc.to_le_bytes());
        body
    }

    #[test]
    fn names_are_found_as_redis_finds_them() {
        for (source, name) in [
            (&b"#!lua name=mylib\nx"[..], Some(&b"mylib"[..])),
            (b"#!lua  NAME=a_1", Some(b"a_1")),
            (b"#!LUA name=x \r\ny", Some(b"x")),
            (b"#!lua\nname=x", None),
            (b"#!lua name=\n", None),
            (b"#!lua name=a-b\n", None),
            (b"name=x", None),
            (b"", None),
        ] {
            assert_eq!(name_of(source), name, "{}", String::from_utf8_lossy(source));
        }
    }

    #[test]
    fn changes_make_what_they_make_in_redis() {
        let (a, b) = (b"#!lua name=a\n1".as_slice(), b"#!lua name=b\n2".as_slice());
        let a2 = b"#!lua name=a\n3".as_slice();
        let (both, again) = (payload(&[a, b]), payload(&[a2]));
        type Words<'a> = &'a [&'a [u8]];
        let script: &[(Words<'_>, Words<'_>, &str)] = &[
            (&[b"load", a], &[a], ""),
            (&[b"LOAD", a2], &[a], "FUNCTION LOAD: library 'a' is there already"),
            (&[b"load", b"Replace", a2], &[a2], ""),
            (&[b"delete", b"b"], &[a2], "FUNCTION DELETE: library 'b' is not there"),
            (&[b"restore", &both], &[a2], "FUNCTION RESTORE: library 'a' is there already"),
            (&[b"restore", &both, b"REPLACE"], &[a, b], ""),
            (&[b"delete", b"a"], &[b], ""),
            (&[b"restore", &again, b"append"], &[b, a2], ""),
            (&[b"restore", &both, b"flush"], &[a, b], ""),
            (&[b"flush", b"async"], &[], ""),
            (&[b"flush"], &[], ""),
        ];
        let mut libraries = Vec::new();
        for (words, expected, error) in script {
            let words = [&[&b"FUNCTION"[..]], *words].concat();
            let Some(Ok(Meant::Change(change))) = with_args(&words, meant) else { panic!("{words:?}") };
            let done = apply(&mut libraries, change).err().unwrap_or_default();
            assert_eq!(
                (done.as_str(), &libraries[..]),
                (*error, &expected.iter().map(|l| l.to_vec()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn what_is_no_change_is_told() {
        let twice = payload(&[SOURCE, SOURCE]);
        let mut flipped = payload(&[SOURCE]);
        flipped[5] ^= 1;
        let value = dump::payload(0, b"\x01a");
        let words: &[&[&[u8]]] = &[
            &[b"function"],
            &[b"function", b"list"],
            &[b"function", b"load", b"no name"],
            &[b"function", b"load", b"lua", SOURCE],
            &[b"function", b"flush", b"x"],
            &[b"function", b"restore", b"x"],
            &[b"function", b"restore", &flipped],
            &[b"function", b"restore", &value],
            &[b"function", b"restore", &twice],
            &[b"function", b"restore", &twice, b"x"],
            &[b"EVAL", b"return 1", b"0"],
            &[b"evalsha", b"x", b"0"],
        ];
        for words in words {
            assert!(with_args(words, |args| meant(args).is_some_and(|m| m.is_err())), "{words:?}");
        }
        assert_eq!(with_args(&[b"script", b"LOAD", b"return 1"], meant), Some(Ok(Meant::Nothing)));
        assert_eq!(with_args(&[b"script"], meant), None);
        assert_eq!(with_args(&[b"get", b"k"], meant), None);
    }
}
