//! From a name to its row: an open-addressing table over the first eight bytes of the name, made once.

use super::Command;
use super::row::flag;
use crate::resp::Args;

/// All commands. A command's number indexes per-command metrics; subcommands have numbers too.
pub struct Registry {
    rows: Vec<&'static Command>,
    /// For each row, the numbers of its subcommands: `first .. first + len`.
    subs: Vec<(u32, u32)>,
    top: Vec<u32>,
    slots: Vec<Slot>,
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
    Subcommand(&'static str),
}

/// The longest name that is looked up; no command's is longer.
const NAME_MAX: usize = 64;

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
        let mut slots = vec![VACANT; (commands * 4).next_power_of_two()];
        for (id, row) in rows.iter().enumerate().take(commands) {
            let name = row.name.as_bytes();
            let lower = word(name);
            let slot = Slot {
                folded: fold(lower, name.len()),
                lower,
                upper: word(&name.to_ascii_uppercase()),
                found: Some(Found { id: id as u32, row }),
                short: name.len() <= 8,
            };
            let mut at = spread(slot.folded) & (slots.len() - 1);
            while let Some(other) = slots[at].found {
                assert!(other.row.name != row.name, "two rows of one name: {}", row.name);
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = slot;
        }
        Registry { rows, subs, top: (0..commands as u32).collect(), slots }
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

    /// A command by its name, in any case.
    #[inline]
    pub fn command(&self, name: &[u8]) -> Option<Found> {
        if name.len() > NAME_MAX {
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
                if plain || found.row.name.as_bytes().eq_ignore_ascii_case(name) {
                    return Some(found);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
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
        let found = self.command(args.at(0)).ok_or(Missing::Command)?;
        if found.row.subcommands.is_empty() || args.len() < 2 {
            return Ok(found);
        }
        self.within(found, args)
    }

    fn within(&self, found: Found, args: Args<'_>) -> Result<Found, Missing> {
        match self.subcommand(found, args.at(1)) {
            Some(sub) if !found.row.is(flag::HIDE_SUBCOMMANDS) || sub.row.takes(args.len()) => Ok(sub),
            _ if found.row.is(flag::HIDE_SUBCOMMANDS) => Ok(found),
            _ => Err(Missing::Subcommand(found.row.name)),
        }
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
}
