//! CONFIG GET and CONFIG SET on a [`Config`]: names, order, atomicity and errors as in Redis 7.

use super::knob::{Knob, When, find, knobs};
use super::special::EnableCommand;
use super::table::Config;
use crate::base::glob;
use std::fmt;
use std::path::Path;

/// Why CONFIG SET changed nothing. Its text is the reply after `ERR `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No such knob.
    Unknown {
        /// The name as the client wrote it.
        name: String,
    },
    /// The knob or the value is not to be had.
    Failed {
        /// The name as the client wrote it.
        name: String,
        /// The reason, in Redis's words.
        why: String,
    },
}

impl SetError {
    /// A refusal of one argument; also for reasons that only the server can know (a port that is taken, say).
    pub fn failed(name: &str, why: impl Into<String>) -> SetError {
        SetError::Failed { name: name.into(), why: why.into() }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Unknown { name } => {
                write!(f, "Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            SetError::Failed { name, why } => {
                write!(f, "CONFIG SET failed (possibly related to argument '{name}') - {why}")
            }
        }
    }
}

/// The refusal of a value that belongs to a later release.
pub const NOT_SUPPORTED: &str = "not supported by this release of kring";

impl Config {
    /// The value of one knob, by name or alias in any case.
    pub fn get(&self, name: &str) -> Option<String> {
        find(name).map(|(knob, _)| (knob.get)(self))
    }

    /// CONFIG GET: the knobs that any pattern names, each spelling once. An alias counts as a name of its own, as in
    /// Redis, so `*` gives a knob with an alias twice. Order: by pattern, then by row (Redis's is that of a hash).
    pub fn matching(&self, patterns: &[&str]) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pattern in patterns {
            for (knob, spelling) in spellings(pattern) {
                if !found.iter().any(|(name, _)| name.eq_ignore_ascii_case(spelling)) {
                    // An exact name comes back as it was asked for, whatever its case.
                    let asked = pattern.eq_ignore_ascii_case(spelling);
                    let shown = if asked { *pattern } else { spelling };
                    found.push((shown.to_string(), (knob.get)(self)));
                }
            }
        }
        found
    }

    /// CONFIG SET: all pairs or none. Gives the knobs whose value changed, for the server to act on.
    /// `local` says whether the client sits on this host, which matters to protected knobs.
    pub fn set_all(&mut self, pairs: &[(&str, &str)], local: bool) -> Result<Vec<&'static Knob>, SetError> {
        let chosen = self.choose(pairs, local)?;
        let mut next = self.clone();
        for (knob, (name, value)) in chosen.iter().zip(pairs) {
            // A relative directory is relative to the one in force.
            let place = (knob.name == "dir").then(|| Path::new(&self.dir).join(value));
            let value = place.as_ref().and_then(|p| p.to_str()).unwrap_or(value);
            assign(knob, &mut next, value).map_err(|why| SetError::failed(name, why))?;
        }
        if next.dir != self.dir
            && let Ok(dir) = std::fs::canonicalize(&next.dir)
        {
            next.dir = dir.to_string_lossy().into_owned();
        }
        let changed = chosen.into_iter().filter(|knob| !(knob.same)(self, &next)).collect();
        *self = next;
        Ok(changed)
    }

    /// Whether a knob that Redis does not have has this value already: who sets all that CONFIG GET gives may go on.
    fn stays(&self, knob: &'static Knob, value: &str) -> bool {
        let mut next = self.clone();
        knob.section == "kring" && assign(knob, &mut next, value).is_ok() && (knob.same)(self, &next)
    }

    /// The row of each pair, or the first reason why a name may not be set.
    fn choose(&self, pairs: &[(&str, &str)], local: bool) -> Result<Vec<&'static Knob>, SetError> {
        let protected_allowed = match self.enable_protected_configs {
            EnableCommand::No => false,
            EnableCommand::Yes => true,
            EnableCommand::Local => local,
        };
        // As in Redis, all names are looked up before any is judged.
        let known = |(name, _): &(&str, &str)| {
            find(name).map(|(knob, _)| knob).ok_or_else(|| SetError::Unknown { name: (*name).into() })
        };
        let chosen = pairs.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        for (place, (knob, (name, value))) in chosen.iter().zip(pairs).enumerate() {
            let refusal = match knob.when {
                When::Boot if !self.stays(knob, value) => Some("can't set immutable config"),
                When::Protected if !protected_allowed => Some("can't set protected config"),
                _ if pairs[..place].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) => {
                    Some("duplicate parameter")
                }
                _ => None,
            };
            if let Some(why) = refusal {
                return Err(SetError::failed(name, why));
            }
        }
        Ok(chosen)
    }
}

/// The rows that a pattern of CONFIG GET means, each with the spelling to show.
fn spellings(pattern: &str) -> Vec<(&'static Knob, &'static str)> {
    if !pattern.contains(['*', '?', '[']) {
        return find(pattern).into_iter().collect();
    }
    let names =
        |knob: &'static Knob| [Some(knob.name), knob.alias].into_iter().flatten().map(move |n| (knob, n));
    let matches = |name: &str| glob::matches(pattern.as_bytes(), name.as_bytes(), true);
    knobs()
        .iter()
        .filter(|knob| !knob.is_hidden())
        .flat_map(names)
        .filter(|(_, name)| matches(name))
        .collect()
}

/// Replaces a knob's value with what one text spells.
fn assign(knob: &Knob, config: &mut Config, value: &str) -> Result<(), String> {
    if knob.accumulates {
        (knob.assign)(config, &[String::new()])?;
    }
    (knob.assign)(config, &value_words(knob, vec![value.into()]))?;
    if knob.status.is_off() && !(knob.same)(config, &Config::default()) {
        return Err(NOT_SUPPORTED.into());
    }
    Ok(())
}

/// The words of a value: a knob of several words may have them all in one text.
pub fn value_words(knob: &Knob, words: Vec<String>) -> Vec<String> {
    match words.as_slice() {
        [all] if knob.several_words => all.split(' ').map(String::from).collect(),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::redis70::REDIS70;

    fn refusal(config: &mut Config, pairs: &[(&str, &str)]) -> String {
        config.set_all(pairs, true).expect_err("must be refused").to_string()
    }

    #[test]
    fn every_name_of_redis_is_there_with_its_default() {
        let config = Config::default();
        let all = config.matching(&["*"]);
        for (name, default) in REDIS70 {
            let (_, value) =
                all.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} is missing"));
            // `dir` is the working directory.
            if *name != "dir" {
                assert_eq!(value, default, "{name}");
            }
        }
    }

    #[test]
    fn names_are_told_once_and_in_any_case() {
        let config = Config::default();
        assert_eq!(config.matching(&["HZ", "hz", "h?"]), [("HZ".to_string(), "10".to_string())]);
        assert_eq!(config.matching(&["nosuch"]), []);
        let names: Vec<_> = config.matching(&["*-TIME-LIMIT", "busy*"]).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["lua-time-limit", "busy-reply-threshold"]);
    }

    #[test]
    fn every_default_is_accepted_as_its_own_value() {
        for knob in knobs() {
            let mut config = Config::default();
            let shown = (knob.get)(&config);
            if shown.is_empty() && knob.name == "replicaof" {
                continue; // `replicaof` is only ever unset by "no one".
            }
            assert_eq!(assign(knob, &mut config, &shown), Ok(()), "{}", knob.name);
            assert_eq!(config, Config::default(), "{}", knob.name);
        }
    }

    #[test]
    fn set_is_all_or_nothing() {
        let mut config = Config::default();
        let error = refusal(&mut config, &[("hz", "30"), ("timeout", "abc")]);
        assert_eq!(
            error,
            "CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer"
        );
        assert_eq!(config, Config::default());
        let changed = config.set_all(&[("hz", "99999"), ("timeout", "0"), ("MAXCLIENTS", "7")], false);
        let changed: Vec<_> = changed.expect("valid").iter().map(|knob| knob.name).collect();
        assert_eq!(changed, ["hz", "maxclients"]);
        assert_eq!((config.hz, config.maxclients), (500, 7));
    }

    #[test]
    fn set_refuses_in_redis_words() {
        let mut config = Config::default();
        for (pairs, text) in [
            (
                &[("hz", "1"), ("foo", "1")][..],
                "Unknown option or number of arguments for CONFIG SET - 'foo'",
            ),
            (
                &[("timeout", "5"), ("TIMEOUT", "5")],
                "CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter",
            ),
            (
                &[("databases", "3")],
                "CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
            ),
            (
                &[("dir", "/")],
                "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
            ),
            (
                &[("oom-score-adj", "yes")],
                "CONFIG SET failed (possibly related to argument 'oom-score-adj') - not supported by this release of kring",
            ),
            (
                &[("appendonly", "maybe")],
                "CONFIG SET failed (possibly related to argument 'appendonly') - argument must be 'yes' or 'no'",
            ),
            (
                &[("notify-keyspace-events", "KEA")],
                "CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - not supported by this release of kring",
            ),
        ] {
            assert_eq!(refusal(&mut config, pairs), text);
        }
        assert_eq!(config, Config::default());
        assert_eq!(
            config.set_all(
                &[("save", "3600 1 300 100 60 10000"), ("appendonly", "no"), ("maxmemory", "0")],
                true
            ),
            Ok(vec![])
        );
    }

    #[test]
    fn protected_knobs_follow_their_switch() {
        let mut config = Config { enable_protected_configs: EnableCommand::Local, ..Config::default() };
        assert!(config.set_all(&[("dir", "/")], false).is_err());
        assert!(config.set_all(&[("dir", "/")], true).is_ok());
        assert_eq!(config.dir, "/");
    }

    #[test]
    fn one_text_may_hold_several_words() {
        let mut config = Config::default();
        let pairs = [("client-output-buffer-limit", "normal 1mb 2 3"), ("shutdown-on-sigterm", "now save")];
        config.set_all(&pairs, true).expect("valid");
        assert_eq!(config.client_output_buffer_limit.normal.hard, 1 << 20);
        assert_eq!(config.get("shutdown-on-sigterm").as_deref(), Some("save now"));
    }
}
