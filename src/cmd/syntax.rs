//! The notation of [`Command::syntax`](super::Command::syntax), read into the tree of arguments that COMMAND DOCS shows.
//!
//! ```text
//! syntax  = { item }
//! item    = "[" item "]"                             optional
//!         | [TOKEN] name ":" type       { mark }     an argument, after a token if there is one
//!         | name "=" TOKEN              { mark }     a pure token
//!         | [TOKEN] name ":(" items ")" { mark }     several: one of them when "|" parts them, else a block of all
//! mark    = "..."            may come several times
//!         | "...TOKEN"       the same, each time after its token
//!         | "#" n            belongs to key specification n ("#-": to none)
//!         | "@" version      came with this release of Redis
//!         | "@-" version     is deprecated since
//! type    = key | string | integer | double | pattern | unix-time
//! ```
//! Words are parted by blanks; brackets, parentheses and bars part words too. `[name: a | b]` may stand for
//! `[name:(a | b)]`. A name may hold a colon (`ip:port:string`): the last one counts. The token `""` is the empty one.
//! Keys without a `#` belong to the specifications in turn, and to the last one when those run out.
//!
//! For example, of SET: `key:key value:string [condition:(nx=NX | xx=XX)] [EX seconds:integer]`.
//!
//! The tree is made when a client asks for it: nothing is kept, and tests read every row's syntax once.

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl Kind {
    const NAMES: &[(Kind, &str)] = &[
        (Kind::String, "string"),
        (Kind::Integer, "integer"),
        (Kind::Double, "double"),
        (Kind::Key, "key"),
        (Kind::Pattern, "pattern"),
        (Kind::UnixTime, "unix-time"),
        (Kind::PureToken, "pure-token"),
        (Kind::OneOf, "oneof"),
        (Kind::Block, "block"),
    ];

    /// Its name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        Kind::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn of_value(name: &str) -> Option<Kind> {
        let kind = Kind::NAMES.iter().find(|(_, n)| *n == name)?.0;
        (!matches!(kind, Kind::PureToken | Kind::OneOf | Kind::Block)).then_some(kind)
    }
}

/// One argument, or a group of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: Kind,
    pub token: Option<&'static str>,
    /// The command's key specification that a key belongs to.
    pub key_spec: Option<usize>,
    pub since: Option<&'static str>,
    pub deprecated: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    /// The token stands before each, not before the first only.
    pub multiple_token: bool,
    /// What a group holds.
    pub arguments: Vec<Argument>,
}

impl Argument {
    fn new(name: &'static str, kind: Kind, token: Option<&'static str>) -> Argument {
        Argument {
            name,
            kind,
            token,
            key_spec: None,
            since: None,
            deprecated: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            arguments: Vec::new(),
        }
    }
}

/// Reads a row's syntax. `key_specs`: how many the row has. The error says what is wrong, for the author of the row.
pub fn parse(syntax: &'static str, key_specs: usize) -> Result<Vec<Argument>, String> {
    let mut reader = Reader { rest: syntax, key_specs, keys: 0 };
    let (arguments, alternatives) = reader.items("")?;
    match alternatives {
        false => Ok(arguments),
        true => Err("a bar outside of a group".into()),
    }
}

struct Reader {
    rest: &'static str,
    key_specs: usize,
    /// How many keys were read.
    keys: usize,
}

impl Reader {
    /// The next word or separator; empty at the end.
    fn next(&mut self) -> &'static str {
        let rest = self.rest.trim_start();
        let separator = |c: char| matches!(c, '[' | ']' | '(' | ')' | '|');
        let end = match rest.chars().next() {
            Some(c) if separator(c) => 1,
            _ => rest.find(|c: char| separator(c) || c.is_whitespace()).unwrap_or(rest.len()),
        };
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn peek(&self) -> &'static str {
        Reader { ..*self }.next()
    }

    /// Items up to `close`, which is left for the caller to read, and whether bars part them.
    fn items(&mut self, close: &str) -> Result<(Vec<Argument>, bool), String> {
        let (mut items, mut bars) = (Vec::new(), 0);
        while self.peek() != close {
            match self.next() {
                "" => return Err(format!("'{close}' is missing")),
                word @ (")" | "]") => return Err(format!("'{word}' where '{close}' should be")),
                "|" => bars += 1,
                word => items.push(self.item(word)?),
            }
        }
        match bars == 0 || bars + 1 == items.len() {
            true => Ok((items, bars > 0)),
            false => Err("one item, no more, stands on each side of a bar".into()),
        }
    }

    /// The item that begins with `word`.
    fn item(&mut self, word: &'static str) -> Result<Argument, String> {
        let mut item = if word == "[" {
            let first = self.next();
            let mut inner = self.item(first)?;
            inner.optional = true;
            match self.next() {
                "]" => inner,
                other => return Err(format!("'{other}' where ']' should be")),
            }
        } else {
            self.element(word)?
        };
        while let Some(mark) = self.mark() {
            apply(&mut item, mark)?;
        }
        Ok(item)
    }

    fn element(&mut self, word: &'static str) -> Result<Argument, String> {
        let (word, tail) = split_marks(word);
        if let Some((name, token)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) {
            let token = if token == "\"\"" { "" } else { token };
            return with_marks(Argument::new(name, Kind::PureToken, Some(token)), tail);
        }
        let Some((name, kind)) = word.rsplit_once(':') else {
            let follows = self.next();
            if tail.is_empty() && follows.contains(':') && !follows.contains('=') {
                let mut item = self.element(follows)?;
                // The marks of an element that is written in one word are applied before its token is known.
                item.token = Some(word);
                return Ok(item);
            }
            return Err(format!("'{word}' stands alone"));
        };
        if kind.is_empty() {
            return self.group(name);
        }
        let kind = Kind::of_value(kind).ok_or_else(|| format!("no such type: '{kind}'"))?;
        let mut item = Argument::new(name, kind, None);
        if kind == Kind::Key {
            item.key_spec = self.key_specs.checked_sub(1).map(|last| self.keys.min(last));
            self.keys += 1;
        }
        with_marks(item, tail)
    }

    /// A group whose name was read.
    fn group(&mut self, name: &'static str) -> Result<Argument, String> {
        // `[name: a | b]` ends with the bracket, which the optional item around it reads.
        let parenthesis = self.peek() == "(";
        if parenthesis {
            self.next();
        }
        let (arguments, alternatives) = self.items(if parenthesis { ")" } else { "]" })?;
        if parenthesis {
            self.next();
        }
        let kind = if alternatives { Kind::OneOf } else { Kind::Block };
        Ok(Argument { arguments, ..Argument::new(name, kind, None) })
    }

    /// A mark that stands as a word of its own, or right after a group.
    fn mark(&mut self) -> Option<&'static str> {
        self.peek().starts_with(['@', '#', '.']).then(|| self.next())
    }
}

/// Parts a word from the marks at its end.
fn split_marks(word: &'static str) -> (&'static str, &'static str) {
    // A token may be any sign, so marks are looked for after it has begun.
    let from = word.find(['=', ':']).map_or(0, |at| at + 2).min(word.len());
    let at = word.get(from..).and_then(|w| w.find(['@', '#']).or_else(|| w.find("...")));
    word.split_at(at.map_or(word.len(), |at| at + from))
}

fn with_marks(mut item: Argument, marks: &'static str) -> Result<Argument, String> {
    if !marks.is_empty() {
        apply(&mut item, marks)?;
    }
    Ok(item)
}

/// Applies marks that are written without blanks between them.
fn apply(item: &mut Argument, marks: &'static str) -> Result<(), String> {
    if let Some(rest) = marks.strip_prefix("...") {
        item.multiple = true;
        item.multiple_token = !rest.is_empty();
        return match rest.is_empty() || item.token.is_none_or(|token| token == rest) {
            true => Ok(()),
            false => Err(format!("'{rest}' is repeated but is not the token")),
        };
    }
    let end = marks[1..].find("...").or_else(|| marks[1..].find(['@', '#'])).map_or(marks.len(), |at| at + 1);
    let (mark, rest) = marks.split_at(end);
    if let Some(version) = mark.strip_prefix("@-") {
        item.deprecated = Some(version);
    } else if let Some(version) = mark.strip_prefix('@') {
        item.since = Some(version);
    } else if mark == "#-" {
        item.key_spec = None;
    } else {
        let spec = mark.strip_prefix('#').and_then(|n| n.parse().ok());
        item.key_spec = Some(spec.ok_or_else(|| format!("no such mark: '{mark}'"))?);
    }
    if rest.is_empty() { Ok(()) } else { apply(item, rest) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cmd::{Command, FAMILIES};

    /// The tree in canonical notation.
    pub(in crate::cmd) fn render(arguments: &[Argument], key_specs: usize) -> String {
        fn one(a: &Argument, specs: usize, keys: &mut usize) -> String {
            let inside = |separator: &str, keys: &mut usize| {
                let all: Vec<String> = a.arguments.iter().map(|a| one(a, specs, keys)).collect();
                format!("{}:({})", a.name, all.join(separator))
            };
            let token = |text: String| a.token.map_or(text.clone(), |token| format!("{token} {text}"));
            let mut text = match a.kind {
                Kind::PureToken => match a.token.unwrap() {
                    "" => format!("{}=\"\"", a.name),
                    token => format!("{}={token}", a.name),
                },
                Kind::OneOf => token(inside(" | ", keys)),
                Kind::Block => token(inside(" ", keys)),
                kind => token(format!("{}:{}", a.name, kind.name())),
            };
            if a.kind == Kind::Key {
                let expected = specs.checked_sub(1).map(|last| last.min(*keys));
                *keys += 1;
                if a.key_spec != expected {
                    text += &a.key_spec.map_or("#-".into(), |n| format!("#{n}"));
                }
            }
            text += &a.since.map_or(String::new(), |v| format!("@{v}"));
            text += &a.deprecated.map_or(String::new(), |v| format!("@-{v}"));
            if a.multiple_token {
                text += &format!(" ...{}", a.token.unwrap());
            } else if a.multiple {
                text += " ...";
            }
            if a.optional { format!("[{text}]") } else { text }
        }
        let mut keys = 0;
        let all: Vec<String> = arguments.iter().map(|a| one(a, key_specs, &mut keys)).collect();
        all.join(" ")
    }

    #[test]
    fn canonical_notation_reads_back() {
        for (specs, syntax) in [
            (0, ""),
            (
                1,
                "key:key value:string [condition:(nx=NX | xx=XX)@2.6.12] [get=GET@6.2.0] [EX seconds:integer]",
            ),
            (1, "key:key ..."),
            (2, "source:key destination:key#0 [key:key#- ...]"),
            (1, "a:(b:key c:string) ... [GET pattern:pattern ...GET] [d=\"\"]"),
            (
                0,
                "filter:(ip:port:string@-2.8.12 | new:([ID id:integer@2.8.12] | [TYPE t:(a=A | b=B@5.0.0)@1.0.0]) ...)",
            ),
            (0, "[operator:(equal== | approximately=~)] id_or_auto:(auto_id=* | id:string)"),
        ] {
            assert_eq!(render(&parse(syntax, specs).unwrap(), specs), syntax);
        }
    }

    #[test]
    fn loose_notation_means_the_same() {
        for (loose, canonical) in [
            ("key:key...", "key:key ..."),
            ("[key:key]...", "[key:key ...]"),
            ("[condition: nx=NX | xx=XX]", "[condition:(nx=NX | xx=XX)]"),
            ("[a: b:integer [c: d=D | e=E]]", "[a:(b:integer [c:(d=D | e=E)])]"),
            ("a:( b=B|c=C )@1.0.0...", "a:(b=B | c=C)@1.0.0 ..."),
            ("[GET a:string...GET]", "[GET a:string ...GET]"),
            ("a:string@1.0.0@-2.0.0...", "a:string@1.0.0@-2.0.0 ..."),
        ] {
            assert_eq!(render(&parse(loose, 1).unwrap(), 1), canonical, "{loose}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (syntax, expected) in [
            ("a", "'a' stands alone"),
            ("A b=C", "'A' stands alone"),
            ("a:text", "no such type: 'text'"),
            ("[a:string", "'' where ']' should be"),
            ("a:(b:string", "')' is missing"),
            ("a:(b:string]", "']' where ')' should be"),
            ("a:(b:string c:string | d:string)", "one item, no more, stands on each side of a bar"),
            ("a:string | b:string", "a bar outside of a group"),
            ("A b:string ...B", "'B' is repeated but is not the token"),
            ("a:key#x", "no such mark: '#x'"),
        ] {
            assert_eq!(parse(syntax, 1).unwrap_err(), expected, "{syntax}");
        }
    }

    #[test]
    fn every_row_can_be_read() {
        let all = FAMILIES.iter().flat_map(|rows| rows.iter());
        let rows: Vec<&Command> = all.flat_map(|row| std::iter::once(row).chain(row.subcommands)).collect();
        for row in rows {
            if let Err(why) = parse(row.syntax, row.keys.len()) {
                panic!("{}: {why}: {}", row.full_name, row.syntax);
            }
        }
    }
}
