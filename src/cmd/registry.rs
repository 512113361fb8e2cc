//! From a name to its row: an open-addressing table over the first eight bytes of the name, made once.
//!
//! `rename-command` gives commands other names, or none, for clients. Logs know every command by its own name: what a log of kring holds
//! was written so whatever the client called it, and a log of Redis holds names as they were sent.

use super::Command;
use super::row::flag;
use crate::resp::Args;

/// All commands. A command's number indexes per-command metrics; subcommands have numbers too.
pub struct Registry {
    rows: Vec<&'static Command>,
    /// For each row, the numbers of its subcommands: `first .. first + len`.
    subs: Vec<(u32, u32)>,
    /// The commands that clients can call.
    top: Vec<u32>,
    names: Names,
    /// The commands by their own names, where `names` has others.
    own_names: Option<Names>,
}

/// Names and the commands that they stand for.
#[derive(Clone)]
struct Names {
    slots: Vec<Slot>,
    /// Bytes of the longest.
    longest: usize,
    /// By a command's number, when it is called by another name than its own.
    others: Vec<(u32, Box<str>)>,
}

/// A command that was found: its number and row.
#[derive(Clone, Copy)]
pub struct Found {
    pub id: u32,
    pub row: &'static Command,
}

/// Why no command was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    Command,
    /// The container is there, its subcommand is not.
    Subcommand,
}

/// The first eight bytes of a name, and its length.
#[inline]
fn word(name: &[u8]) -> u64 {
    let part = |at: usize| {
        name.get(at..at + 4).and_then(|p| p.first_chunk::<4>()).map_or(0, |p| u32::from_le_bytes(*p))
    };
    let n = name.len();
    match n {
        0 => 0,
        // Three loads that overlap cover one to three bytes.
        1..4 => name[0] as u64 | (name[n / 2] as u64) << (n / 2 * 8) | (name[n - 1] as u64) << ((n - 1) * 8),
        4..8 => part(0) as u64 | (part(n - 4) as u64) << ((n - 4) * 8),
        _ => part(0) as u64 | (part(4) as u64) << 32,
    }
}

/// Lower case, and distinct by length. Setting bit 5 folds more than letters; the comparison after it tells those apart.
#[inline]
fn fold(word: u64, len: usize) -> u64 {
    (word | 0x2020_2020_2020_2020) ^ (len as u64) << 57
}

#[inline]
fn spread(folded: u64) -> usize {
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// A place in the table. A name of at most eight bytes in plain upper or lower case needs no further comparison.
#[derive(Clone, Copy)]
struct Slot {
    folded: u64,
    lower: u64,
    upper: u64,
    found: Option<Found>,
    short: bool,
}

const VACANT: Slot = Slot { folded: 0, lower: 0, upper: 0, found: None, short: false };

impl Registry {
    /// The registry of these families.
    pub fn new(families: &[&'static [Command]]) -> Registry {
        let mut rows: Vec<&'static Command> = families.iter().flat_map(|f| f.iter()).collect();
        let commands = rows.len();
        let mut subs = vec![(0, 0); commands];
        for i in 0..commands {
            let list = rows[i].subcommands;
            subs[i] = (rows.len() as u32, list.len() as u32);
            rows.extend(list);
        }
        subs.resize(rows.len(), (0, 0));
        let found = |id: usize| Found { id: id as u32, row: rows[id] };
        let names = Names::new((0..commands).map(|id| (rows[id].name, found(id))));
        Registry { subs, top: (0..commands as u32).collect(), names, own_names: None, rows }
    }

    /// Clients call the command `from` by the name `to` from now on, or, if that is empty, not at all.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), &'static str> {
        let Some(Found { id, .. }) = self.command(from.as_bytes()) else {
            return Err("No such command in rename-command");
        };
        let called: Vec<(Found, String)> =
            self.top.iter().map(|&id| (self.found(id), self.name(id).into())).collect();
        let mut called: Vec<_> = called.into_iter().filter(|(found, _)| found.id != id).collect();
        if called.iter().any(|(_, name)| name.eq_ignore_ascii_case(to)) {
            return Err("Target command name already exists");
        }
        if !to.is_empty() {
            called.push((self.found(id), to.to_ascii_lowercase()));
        }
        let own = self.own_names.take().unwrap_or_else(|| self.names.clone());
        self.top = called.iter().map(|(found, _)| found.id).collect();
        self.top.sort_unstable();
        self.names = Names::new(called.iter().map(|(found, name)| (name.as_str(), *found)));
        self.own_names = Some(own);
        Ok(())
    }

    /// Whether clients call some command by another name than its own.
    #[inline]
    pub fn has_other_names(&self) -> bool {
        self.own_names.is_some()
    }

    fn found(&self, id: u32) -> Found {
        Found { id, row: self.row(id) }
    }

    /// What clients call a command.
    fn name(&self, id: u32) -> &str {
        let other = self.names.others.iter().find(|(of, _)| *of == id);
        other.map_or(self.row(id).name, |(_, name)| name)
    }

    /// How many rows, subcommands included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row by its number.
    pub fn row(&self, id: u32) -> &'static Command {
        self.rows[id as usize]
    }

    /// The commands (no subcommands), in the order of their families.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = &'static Command> + '_ {
        self.top.iter().map(|id| self.rows[*id as usize])
    }

    /// A command by the name that clients call it by, in any case.
    #[inline]
    pub fn command(&self, name: &[u8]) -> Option<Found> {
        self.names.find(name)
    }

    /// A command by its own name, in any case.
    pub fn own(&self, name: &[u8]) -> Option<Found> {
        self.own_names.as_ref().unwrap_or(&self.names).find(name)
    }

    /// A subcommand of a command, by its name in any case.
    pub fn subcommand(&self, parent: Found, name: &[u8]) -> Option<Found> {
        let (first, len) = self.subs[parent.id as usize];
        (first..first + len)
            .map(|id| Found { id, row: self.rows[id as usize] })
            .find(|found| found.row.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The row that runs for these arguments: a container's subcommand when there is one. A container that hides its
    /// subcommands runs itself when none takes these arguments, so that it words the error.
    #[inline]
    pub fn find(&self, args: Args<'_>) -> Result<Found, Missing> {
        self.variant(self.command(args.at(0)), args)
    }

    /// The same for a command of a log.
    pub fn find_logged(&self, args: Args<'_>) -> Result<Found, Missing> {
        self.variant(self.own(args.at(0)).or_else(|| self.command(args.at(0))), args)
    }

    #[inline]
    fn variant(&self, found: Option<Found>, args: Args<'_>) -> Result<Found, Missing> {
        let found = found.ok_or(Missing::Command)?;
        if found.row.subcommands.is_empty() || args.len() < 2 {
            return Ok(found);
        }
        self.within(found, args)
    }

    fn within(&self, found: Found, args: Args<'_>) -> Result<Found, Missing> {
        match self.subcommand(found, args.at(1)) {
            Some(sub) if !found.row.is(flag::HIDE_SUBCOMMANDS) || sub.row.takes(args.len()) => Ok(sub),
            _ if found.row.is(flag::HIDE_SUBCOMMANDS) => Ok(found),
            _ => Err(Missing::Subcommand),
        }
    }
}

impl Names {
    /// At most as many names as there are commands; none twice.
    fn new<'a>(names: impl ExactSizeIterator<Item = (&'a str, Found)>) -> Names {
        let mut slots = vec![VACANT; (names.len() * 4).next_power_of_two()];
        let (mut others, mut longest) = (Vec::new(), 0);
        for (name, found) in names {
            let bytes = name.as_bytes();
            let lower = word(bytes);
            let slot = Slot {
                folded: fold(lower, bytes.len()),
                lower,
                upper: word(&bytes.to_ascii_uppercase()),
                found: Some(found),
                short: bytes.len() <= 8,
            };
            let mut at = spread(slot.folded) & (slots.len() - 1);
            while let Some(other) = slots[at].found {
                assert!(other.row.name != name, "two rows of one name: {name}");
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = slot;
            longest = longest.max(bytes.len());
            if name != found.row.name {
                others.push((found.id, name.into()));
            }
        }
        Names { slots, longest, others }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<Found> {
        if name.len() > self.longest {
            return None;
        }
        let word = word(name);
        let folded = fold(word, name.len());
        let mut at = spread(folded) & (self.slots.len() - 1);
        loop {
            let slot = &self.slots[at];
            let found = slot.found?;
            if slot.folded == folded {
                let plain = slot.short && (word == slot.upper || word == slot.lower);
                if plain || self.is_called(found, name) {
                    return Some(found);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn is_called(&self, found: Found, name: &[u8]) -> bool {
        let other = self.others.iter().find(|(id, _)| *id == found.id);
        other.map_or(found.row.name, |(_, name)| name).as_bytes().eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::FAMILIES;

    #[test]
    fn every_command_is_found_in_any_case() {
        let registry = Registry::new(FAMILIES);
        for row in registry.commands() {
            assert_eq!(row.name, row.name.to_ascii_lowercase());
            for name in [row.name.to_string(), row.name.to_ascii_uppercase()] {
                let found = registry.command(name.as_bytes()).expect("listed, so found");
                assert!(std::ptr::eq(found.row, row));
            }
            for sub in row.subcommands {
                assert_eq!(sub.full_name, format!("{}|{}", row.name, sub.name));
            }
        }
        assert!(registry.command(b"nosuch").is_none());
        assert!(registry.command(b"").is_none());
        assert!(registry.command(&[b'g'; 300]).is_none());
        assert!(registry.command(b"ge\x14").is_none(), "bit 5 folds more than letters");
    }

    #[test]
    fn commands_have_other_names_or_none() {
        let mut registry = Registry::new(FAMILIES);
        let all = registry.commands().len();
        let row = |found: Option<Found>| found.map(|found| found.row.name);
        assert_eq!(registry.rename("nosuch", "x"), Err("No such command in rename-command"));
        assert_eq!(registry.rename("get", "SET"), Err("Target command name already exists"));
        assert_eq!(registry.rename("GET", "get"), Ok(()), "its own name is free");
        assert_eq!(registry.rename("FlushAll", "Badger"), Ok(()));
        assert_eq!(registry.rename("config", ""), Ok(()));
        assert_eq!(registry.rename("del", "a-name-that-is-longer-than-eight-bytes"), Ok(()));
        assert_eq!(registry.rename("set", "del"), Ok(()), "it is free again");
        assert_eq!(registry.commands().len(), all - 1);
        for (name, called, own) in [
            ("flushall", None, Some("flushall")),
            ("bAdger", Some("flushall"), None),
            ("CONFIG", None, Some("config")),
            ("A-name-that-is-longer-than-eight-bytes", Some("del"), None),
            ("a-name-that-is-longer-than-eight-bytez", None, None),
            ("del", Some("set"), Some("del")),
            ("get", Some("get"), Some("get")),
        ] {
            assert_eq!(row(registry.command(name.as_bytes())), called, "{name}");
            assert_eq!(row(registry.own(name.as_bytes())), own, "{name}");
        }
        // As long as a checksum in hexadecimal digits, which is how passwords are made up.
        let long = "0123456789abcdef".repeat(8);
        assert_eq!(registry.rename("append", &long), Ok(()));
        assert_eq!(row(registry.command(long.as_bytes())), Some("append"));
        assert_eq!(row(registry.command(format!("{long}0").as_bytes())), None);
        assert_eq!(registry.rename("badger", "flushall"), Ok(()), "and back");
        assert_eq!(row(registry.command(b"flushall")), Some("flushall"));
    }
}
