//! What a row of the knob table is, and how a knob is found by name.

use super::table::{Config, KNOBS};
use std::collections::HashMap;
use std::sync::LazyLock;

/// When a knob may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// By CONFIG SET too.
    Live,
    /// Only by the file and the flags.
    Boot,
    /// By CONFIG SET where `enable-protected-configs` allows it.
    Protected,
}

/// Whether this release honours a knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what its line says.
    Works,
    /// Accepted, kept and shown, but it changes nothing, for this reason. A value other than the default is warned of.
    Inert(&'static str),
    /// Belongs to a later release. Harmless to miss: a value other than the default is dropped with a warning at boot.
    Pending,
    /// Belongs to a later release and promises durability, security or topology: a value other than the default
    /// stops the boot, for a server that only seems to keep such a promise is worse than none.
    Refused,
}

impl Status {
    /// Whether the knob can only have its default value.
    pub fn is_off(self) -> bool {
        matches!(self, Status::Pending | Status::Refused)
    }
}

/// What a value must look like, beyond its Rust type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Whatever the type takes.
    Any,
    /// A decimal number between bounds (inclusive).
    Int(i64, i64),
    /// Any decimal number from 0, moved silently between these bounds.
    Clamped(i64, i64),
    /// Bytes between bounds (inclusive), with units k, kb, m, mb, g, gb.
    Memory(i64, i64),
    /// An octal number up to this one.
    Octal(i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Words out of these, as one flag set.
    Flags(&'static [&'static str]),
    /// Up to so many words.
    Words(usize),
    /// The name of a file without a path, else this error.
    FileName(&'static str),
    /// A directory that exists.
    Directory,
    /// Letters of keyspace event classes.
    EventClasses,
    /// Text with `{variables}` of the process title.
    TitleTemplate,
}

/// One row: all that is known of a knob.
pub struct Knob {
    /// The name in redis.conf.
    pub name: &'static str,
    /// An older name, as good as the first.
    pub alias: Option<&'static str>,
    /// The heading it stands under in documentation.
    pub section: &'static str,
    /// One line.
    pub doc: &'static str,
    /// The shape of its values.
    pub rule: Rule,
    /// When it may change.
    pub when: When,
    /// Whether it has an effect.
    pub status: Status,
    /// What values it takes, in words.
    pub takes: fn(&Rule) -> String,
    /// The value as CONFIG GET shows it.
    pub get: fn(&Config) -> String,
    /// Reads the words of one line into the field. The error is Redis's text; the field is then unchanged.
    pub assign: fn(&mut Config, &[String]) -> Result<(), String>,
    /// The rest of each line that CONFIG REWRITE writes, in order, and whether it differs from the default.
    pub lines: fn(&Config) -> Vec<(String, bool)>,
    /// Puts `from`'s value into `to`.
    pub copy: fn(from: &Config, to: &mut Config),
    /// Whether both hold the same value.
    pub same: fn(&Config, &Config) -> bool,
    /// Whether repeated lines of a file add to the value instead of replacing it.
    pub accumulates: bool,
    /// Whether one text holds several words, so that CONFIG SET splits it.
    pub several_words: bool,
}

impl Knob {
    /// Whether CONFIG GET shows it only to who knows its name.
    pub fn is_hidden(&self) -> bool {
        self.section == "For tests"
    }
}

impl std::fmt::Debug for Knob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knob").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Knob {
    fn eq(&self, other: &Knob) -> bool {
        self.name == other.name
    }
}

/// All rows, in the order of documentation.
pub fn knobs() -> &'static [Knob] {
    KNOBS
}

/// Finds a row by name or alias, in any case. The second value is the spelling that CONFIG GET shows.
pub fn find(name: &str) -> Option<(&'static Knob, &'static str)> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Knob>> = LazyLock::new(|| {
        let names = KNOBS.iter().map(|k| (k.name, k));
        let aliases = KNOBS.iter().filter_map(|k| k.alias.map(|a| (a, k)));
        names.chain(aliases).collect()
    });
    let lower = name.to_ascii_lowercase();
    BY_NAME.get_key_value(lower.as_str()).map(|(spelling, knob)| (*spelling, *knob)).map(|(s, k)| (k, s))
}
