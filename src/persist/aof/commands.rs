//! Commands and annotations as they stand in a log, in a frame's payload or in a file of Redis's.
//!
//! ```text
//!  *2\r\n $3\r\n DEL\r\n $1\r\n k\r\n      a command: always in this form, never inline, never empty
//!  #TS:1700000000\r\n                      the time, from here on (`aof-timestamp-enabled`)
//!  #anything\n                             skipped; fewer than 1,024 bytes
//! ```

use super::blank::LINE_MAX;
use crate::base::number::parse_i64;
use crate::resp::{Args, Limits, Parser, ProtocolError, Span, Step, whole};
use memchr::memchr;
use std::fmt;

/// The longest command, so that a place in it fits a [`Span`] with room for the piece it came with.
const COMMAND_MAX: usize = 3 << 30;

/// What is wrong with a log's commands, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// Bytes before what cannot be read.
    pub at: u64,
    pub what: Defect,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// A command begins with `*`; this byte stands there instead.
    NoCommand(u8),
    /// It has no arguments, not even a name.
    Empty,
    /// A count or a length is none.
    Syntax(ProtocolError),
    /// A line that begins with `#` has 1,024 bytes or more.
    LongAnnotation,
    /// The command is longer than any that is read.
    LongCommand,
    /// A frame of kring's, in a file that does not begin as kring's files do: its beginning is damaged.
    Frame,
    /// It ends within a command. In a file that is a truncation; a payload is made of whole commands.
    Short,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Defect::NoCommand(byte) => {
                write!(f, "a command begins with '*', but here stands '{}'", byte.escape_ascii())?;
            }
            Defect::Empty => f.write_str("a command without a name")?,
            Defect::Syntax(error) => {
                let text = error.text();
                let text = text.strip_prefix(b"ERR Protocol error: ").unwrap_or(&text);
                f.write_str(&String::from_utf8_lossy(text))?;
            }
            Defect::LongAnnotation => write!(f, "a line with '#' that is longer than {LINE_MAX} bytes")?,
            Defect::LongCommand => write!(f, "a command of more than {COMMAND_MAX} bytes")?,
            Defect::Frame => f.write_str("a frame of kring's in a file that does not begin with one")?,
            Defect::Short => f.write_str("the end within a command")?,
        }
        write!(f, " (at byte {})", self.at)
    }
}

/// What stands at a place; `end` is the place behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Its arguments are at [`Walk::spans`].
    Command {
        end: usize,
    },
    Time {
        secs: i64,
        end: usize,
    },
    Annotation {
        end: usize,
    },
    /// More is needed to tell.
    Short,
    Bad(Defect),
}

/// Goes through a buffer, one command or annotation after the other. One that is not whole is not read twice.
pub(super) struct Walk {
    limits: Limits,
    /// The command that is being read, if one is.
    parser: Option<Parser>,
    pub spans: Vec<Span>,
}

impl Walk {
    pub fn new(bulk_max: i64) -> Walk {
        let limits = Limits { bulk_max: bulk_max.min(COMMAND_MAX as i64), authenticated: true };
        Walk { limits, parser: None, spans: Vec::new() }
    }

    /// `n` bytes at the start of the buffer have gone.
    pub fn shift(&mut self, n: usize) {
        let Some(parser) = &mut self.parser else { return };
        *parser = parser.shifted(n);
        self.spans.iter_mut().for_each(|span| *span = span.shifted(n));
    }

    /// What stands at `at`. Asked again after [`Found::Short`], `at` is the same place.
    pub fn step(&mut self, buf: &[u8], at: usize) -> Found {
        match buf.get(at) {
            None => Found::Short,
            Some(b'*') => self.command(buf, at),
            Some(b'#') => annotation(&buf[at..], at),
            Some(byte) => Found::Bad(Defect::NoCommand(*byte)),
        }
    }

    fn command(&mut self, buf: &[u8], at: usize) -> Found {
        if self.parser.is_none() {
            self.spans.clear();
            if let Some(end) = whole(buf, at, &mut self.spans) {
                return Found::Command { end };
            }
        }
        let parser = self.parser.get_or_insert(Parser::at(at));
        // The first byte is `*`, so nothing is inline.
        match parser.step(buf, &self.limits, &mut self.spans, &mut Vec::new()) {
            Step::Incomplete { want } if want - at > COMMAND_MAX => Found::Bad(Defect::LongCommand),
            Step::Incomplete { .. } => Found::Short,
            Step::Error(error) => Found::Bad(Defect::Syntax(error)),
            Step::Command { end, .. } => {
                self.parser = None;
                if self.spans.is_empty() { Found::Bad(Defect::Empty) } else { Found::Command { end } }
            }
        }
    }
}

fn annotation(rest: &[u8], at: usize) -> Found {
    let Some(newline) = memchr(b'\n', &rest[..rest.len().min(LINE_MAX)]) else {
        return if rest.len() < LINE_MAX { Found::Short } else { Found::Bad(Defect::LongAnnotation) };
    };
    let end = at + newline + 1;
    let secs = rest[..newline].strip_prefix(b"#TS:").and_then(|secs| parse_i64(secs.trim_ascii_end()));
    match secs {
        Some(secs) => Found::Time { secs, end },
        None => Found::Annotation { end },
    }
}

/// A command of a payload, or the time.
#[derive(Clone, Copy)]
pub enum Item<'a> {
    Command(Args<'a>),
    /// Unix seconds, from here on.
    Time(i64),
}

/// The commands of a frame's payload.
pub struct Commands {
    walk: Walk,
    at: usize,
}

impl Commands {
    /// Arguments have at most `bulk_max` bytes.
    pub fn new(bulk_max: i64) -> Commands {
        Commands { walk: Walk::new(bulk_max), at: 0 }
    }

    /// From here on another payload.
    pub fn restart(&mut self) {
        self.at = 0;
        self.walk.parser = None;
    }

    /// The payload's next command; none at its end.
    pub fn next<'a>(&'a mut self, payload: &'a [u8]) -> Result<Option<Item<'a>>, Malformed> {
        while self.at < payload.len() {
            // From here on: the place of an argument fits a [`Span`] in a payload of any length.
            let rest = &payload[self.at..];
            let found = self.walk.step(rest, 0);
            let malformed = |what| Err(Malformed { at: self.at as u64, what });
            match found {
                Found::Annotation { end } => self.at += end,
                Found::Time { secs, end } => {
                    self.at += end;
                    return Ok(Some(Item::Time(secs)));
                }
                Found::Command { end } => {
                    self.at += end;
                    return Ok(Some(Item::Command(Args::new(rest, &self.walk.spans))));
                }
                Found::Short => return malformed(Defect::Short),
                Found::Bad(what) => return malformed(what),
            }
        }
        Ok(None)
    }
}

/// How many of a payload's first bytes are whole, at most `most`, but one command at least; `units`: what is between MULTI and EXEC
/// stays together.
pub fn part(payload: &[u8], most: usize, units: bool) -> Result<usize, Malformed> {
    let mut commands = Commands::new(i64::MAX);
    let (mut end, mut in_multi) = (0, false);
    while commands.at < payload.len() {
        if let Some(Item::Command(args)) = commands.next(payload)? {
            let is = |name: &str| args.len() == 1 && args.at(0).eq_ignore_ascii_case(name.as_bytes());
            in_multi = units && (is("MULTI") || in_multi && !is("EXEC"));
        }
        if in_multi {
            continue;
        }
        if end > 0 && commands.at > most {
            break;
        }
        end = commands.at;
    }
    // A unit without an end is not cut apart.
    Ok(if end == 0 { payload.len() } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(payload: &[u8]) -> (Vec<String>, Option<Malformed>) {
        let mut commands = Commands::new(1 << 20);
        let mut found = Vec::new();
        loop {
            match commands.next(payload) {
                Ok(None) => return (found, None),
                Ok(Some(Item::Time(secs))) => found.push(format!("at {secs}")),
                Ok(Some(Item::Command(args))) => {
                    let words: Vec<_> = args.iter().map(|a| a.escape_ascii().to_string()).collect();
                    found.push(words.join(" "));
                }
                Err(malformed) => return (found, Some(malformed)),
            }
        }
    }

    #[test]
    fn a_payload_is_read_to_its_end() {
        let payload =
            b"#TS:1700000000\r\n*1\r\n$4\r\nPING\r\n#note\n#\n*2\r\n$3\r\nGET\r\n$3\r\n#\r\n\r\n#TS:x\n";
        assert_eq!(all(payload), (vec!["at 1700000000".into(), "PING".into(), "GET #\\r\\n".into()], None));
        assert_eq!(all(b""), (Vec::new(), None));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        let long = [b"#".as_slice(), &[b' '; 1023], b"\n"].concat();
        let long_in_time = [b"#".as_slice(), &[b' '; 1021], b"\n"].concat();
        assert_eq!(all(&long_in_time), (Vec::new(), None));
        let cases: [(&[u8], &str); 9] = [
            (b"PING\r\n", "a command begins with '*', but here stands 'P' (at byte 0)"),
            (b"#\n\0\0", "a command begins with '*', but here stands '\\x00' (at byte 2)"),
            (b"*0\r\n", "a command without a name (at byte 0)"),
            (b"*x\r\n", "invalid multibulk length (at byte 0)"),
            (b"*1\r\n$-1\r\n", "invalid bulk length (at byte 0)"),
            (b"*1\r\n$1048577\r\n", "invalid bulk length (at byte 0)"),
            (b"*1\r\n+OK\r\n", "expected '$', got '+' (at byte 0)"),
            (b"*1\r\n$4\r\nPIN", "the end within a command (at byte 0)"),
            (&long, "a line with '#' that is longer than 1023 bytes (at byte 0)"),
        ];
        for (payload, text) in cases {
            assert_eq!(all(payload).1.map(|m| m.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_payload_is_cut_between_units_or_commands() {
        let (set, multi, exec) =
            ("*2\r\n$3\r\nDEL\r\n$1\r\na\r\n", "*1\r\n$5\r\nMULTI\r\n", "*1\r\n$4\r\nEXEC\r\n");
        let unit = [multi, set, set, exec].concat();
        let payload = [set, set, &unit, set].concat();
        let cut = |most, units| {
            let (mut rest, mut sizes) = (payload.as_bytes(), Vec::new());
            while !rest.is_empty() {
                let end = part(rest, most, units).unwrap();
                sizes.push(end);
                rest = &rest[end..];
            }
            sizes
        };
        let (one, whole) = (set.len(), unit.len());
        assert_eq!(cut(1, true), [one, one, whole, one]);
        assert_eq!(cut(2 * one, true), [2 * one, whole, one]);
        assert_eq!(cut(2 * one + whole, true), [2 * one + whole, one]);
        assert_eq!(cut(1 << 20, true), [payload.len()]);
        assert_eq!(cut(1, false), [one, one, multi.len(), one, one, exec.len(), one]);
        assert!(part(b"*1\r\n$4\r\nPI", 1, true).is_err());
        assert_eq!(part(multi.as_bytes(), 1, true), Ok(multi.len()));
    }
}
