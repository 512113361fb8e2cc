//! The sections' rows.

use super::{activity, keyspace, per_command, process};
use crate::cmd::server::text::Text;
use crate::cmd::{Env, Report};

/// What a section is written from.
pub struct View<'a> {
    pub env: &'a Env<'a>,
    pub reports: &'a [Report],
    pub total: &'a Report,
}

/// Which of INFO's collective words a section answers to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// INFO without a word, `default`, `all`, `everything`.
    Default,
    /// `all`, `everything`.
    All,
}

/// A section of INFO.
pub struct Section {
    pub title: &'static str,
    pub within: Within,
    pub write: fn(&mut Text, &View<'_>),
}

impl Section {
    const fn new(title: &'static str, within: Within, write: fn(&mut Text, &View<'_>)) -> Section {
        Section { title, within, write }
    }

    /// Whether this word of a client asks for the section.
    pub fn is_meant(&self, word: &[u8]) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        is(self.title) || is("all") || is("everything") || (self.within == Within::Default && is("default"))
    }
}

/// All sections, in the order of the reply.
pub const SECTIONS: &[Section] = &[
    Section::new("Server", Within::Default, process::server),
    Section::new("Clients", Within::Default, process::clients),
    Section::new("Memory", Within::Default, process::memory),
    Section::new("Persistence", Within::Default, activity::persistence),
    Section::new("Stats", Within::Default, activity::stats),
    Section::new("Replication", Within::Default, activity::replication),
    Section::new("CPU", Within::Default, process::cpu),
    Section::new("Modules", Within::Default, |_, _| {}),
    Section::new("Commandstats", Within::All, per_command::commandstats),
    Section::new("Errorstats", Within::Default, per_command::errorstats),
    Section::new("Latencystats", Within::All, per_command::latencystats),
    Section::new("Cluster", Within::Default, |text, _| text.field("cluster_enabled", 0)),
    Section::new("Keyspace", Within::Default, keyspace::keyspace),
    Section::new("Shards", Within::All, keyspace::shards),
];
