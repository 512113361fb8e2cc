//! From text to a [`Config`]: lines, includes, what this release ignores and what it refuses.
//!
//! Later lines win over earlier ones, flags over files. So whether a knob of a later release is really wanted is
//! judged at the end, on the value that won.

use super::knob::{Knob, Status, find, knobs};
use super::live::{NOT_SUPPORTED, value_words};
use super::table::Config;
use super::value::errno_text;
use super::words::split_words;
use crate::base::glob;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Files that may include one another in a chain.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Directives of old releases, each with one value, that Redis still reads and forgets.
const FORGOTTEN: [&str; 3] = ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

/// What the default user may be told without any effect. Redis writes such a line when it rewrites a file, with `#` and the SHA-256 of
/// `requirepass` if there is one.
const DEFAULT_USER: [&str; 9] =
    ["on", "nopass", "sanitize-payload", "~*", "&*", "+@all", "allkeys", "allchannels", "allcommands"];

/// A configuration that cannot be used: the text for the standard error, all lines of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatalConfig(pub String);

impl std::fmt::Display for FatalConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FatalConfig {}

/// A configuration, and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The effective values.
    pub config: Config,
    /// A line for each thing asked for that has no effect.
    pub warnings: Vec<String>,
    /// The file given, as an absolute path.
    pub path: Option<PathBuf>,
    /// `rename-command`, in the order of the lines.
    pub renames: Vec<Rename>,
}

/// A line `rename-command`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rename {
    pub from: String,
    /// Empty: clients cannot call it.
    pub to: String,
    place: Place,
}

impl Rename {
    /// The line cannot be followed, and why.
    pub fn refused(&self, why: &str) -> FatalConfig {
        fatal(&self.place, why)
    }
}

/// Where a knob was set last, for a refusal that comes at the end.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    line: usize,
    text: String,
}

/// Reads texts one after the other into one configuration.
#[derive(Default)]
pub struct Loader {
    config: Config,
    warnings: Vec<String>,
    renames: Vec<Rename>,
    places: HashMap<&'static str, Place>,
    /// Of the default user's passwords.
    hashes: Vec<(String, Place)>,
    depth: usize,
}

impl Loader {
    /// Reads the lines of a file or of flags.
    pub fn read_text(&mut self, text: &[u8]) -> Result<(), FatalConfig> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let place = Place { line: index + 1, text: String::from_utf8_lossy(line).into_owned() };
            let words = split_words(line).map_err(|bad| fatal(&place, bad.text()))?;
            self.read_words(words, place)?;
        }
        Ok(())
    }

    fn read_words(&mut self, words: Vec<String>, place: Place) -> Result<(), FatalConfig> {
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        let name = name.to_ascii_lowercase();
        if let Some((knob, _)) = find(&name) {
            return self.read_knob(knob, values.to_vec(), place);
        }
        match (name.as_str(), values.len()) {
            ("include", 1) => self.include(&values[0], &place),
            ("user", 1..) if only_default_user(values) => {
                let hashes = values.iter().filter_map(|rule| rule.strip_prefix('#'));
                self.hashes.extend(hashes.map(|hash| (hash.to_ascii_lowercase(), place.clone())));
                Ok(())
            }
            ("user" | "loadmodule", 1..) => Err(fatal(&place, NOT_SUPPORTED)),
            ("rename-command", 2) => {
                let (from, to) = (values[0].clone(), values[1].clone());
                self.renames.push(Rename { from, to, place });
                Ok(())
            }
            (old, 1) if FORGOTTEN.contains(&old) => {
                self.warnings.push(format!("{old} is ignored: Redis has dropped it"));
                Ok(())
            }
            _ => Err(fatal(&place, "Bad directive or wrong number of arguments")),
        }
    }

    fn read_knob(
        &mut self,
        knob: &'static Knob,
        values: Vec<String>,
        place: Place,
    ) -> Result<(), FatalConfig> {
        if knob.accumulates && !self.places.contains_key(knob.name) {
            (knob.assign)(&mut self.config, &[String::new()]).map_err(|error| fatal(&place, &error))?;
        }
        let values = value_words(knob, values);
        (knob.assign)(&mut self.config, &values).map_err(|error| fatal(&place, &error))?;
        self.places.insert(knob.name, place);
        Ok(())
    }

    fn include(&mut self, pattern: &str, place: &Place) -> Result<(), FatalConfig> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err(fatal(place, "files include one another without end"));
        }
        self.depth += 1;
        // Redis works in `dir` from the moment it reads that line, so relative paths are relative to it.
        for path in expand(Path::new(&self.config.dir), pattern) {
            let text = read_file(&path)?;
            self.read_text(&text)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Judges the values that won, and gives the effective configuration.
    pub fn finish(mut self, path: Option<PathBuf>) -> Result<Loaded, FatalConfig> {
        let off = Config::default();
        let hash = sha256(&self.config.requirepass);
        if let Some((_, place)) = self.hashes.iter().find(|(other, _)| *other != hash) {
            return Err(fatal(place, NOT_SUPPORTED));
        }
        for knob in knobs() {
            match knob.status {
                _ if (knob.same)(&self.config, &off) => {}
                Status::Works => {}
                Status::Inert(why) => self.warnings.push(format!("{} has no effect: {why}", knob.name)),
                Status::Pending => {
                    self.warnings.push(format!("{} is ignored: {NOT_SUPPORTED}", knob.name));
                    (knob.copy)(&off, &mut self.config);
                }
                Status::Refused => {
                    let place = self.places.get(knob.name).expect("only a line can change a value");
                    return Err(fatal(place, NOT_SUPPORTED));
                }
            }
        }
        if let Ok(dir) = std::fs::canonicalize(&self.config.dir) {
            self.config.dir = dir.to_string_lossy().into_owned();
        }
        Ok(Loaded { config: self.config, warnings: self.warnings, path, renames: self.renames })
    }
}

/// Whether a `user` line says no more than what the default user is anyway.
fn only_default_user(values: &[String]) -> bool {
    let (name, rules) = (&values[0], &values[1..]);
    let is_harmless =
        |rule: &String| rule.starts_with('#') || DEFAULT_USER.contains(&rule.to_ascii_lowercase().as_str());
    name == "default" && rules.iter().all(is_harmless)
}

/// The SHA-256 of a text, in hex.
fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file of the configuration.
pub fn read_file(path: &Path) -> Result<Vec<u8>, FatalConfig> {
    std::fs::read(path).map_err(|error| {
        let (path, error) = (path.display(), errno_text(&error));
        FatalConfig(format!("Fatal error, can't open config file '{path}': {error}\n"))
    })
}

fn fatal(place: &Place, error: &str) -> FatalConfig {
    let (version, Place { line, text }) = (env!("CARGO_PKG_VERSION"), place);
    FatalConfig(format!(
        "\n*** FATAL CONFIG FILE ERROR (kring {version}) ***\n\
         Reading the configuration file, at line {line}\n>>> '{text}'\n{error}\n"
    ))
}

/// The files that a pattern names, in alphabetical order. A pattern without wildcards names one, be it there or not;
/// one that matches nothing names none.
fn expand(base: &Path, pattern: &str) -> Vec<PathBuf> {
    let wild = |part: &str| part.contains(['*', '?', '[']);
    if !wild(pattern) {
        return vec![if base == Path::new(".") { PathBuf::from(pattern) } else { base.join(pattern) }];
    }
    let mut found = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { base.to_path_buf() }];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = found
            .iter()
            .flat_map(|dir| if wild(part) { entries(dir, part) } else { vec![dir.join(part)] })
            .collect();
    }
    found.retain(|path| path.exists());
    found.sort();
    found
}

/// What a directory has that matches; names with a leading dot only where the pattern has one.
fn entries(dir: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let matches = |name: &String| {
        name.starts_with('.') == pattern.starts_with('.')
            && glob::matches(pattern.as_bytes(), name.as_bytes(), false)
    };
    names.filter(matches).map(|name| dir.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Loaded, FatalConfig> {
        let mut loader = Loader::default();
        loader.read_text(text.as_bytes())?;
        loader.finish(None)
    }

    /// The line number and the reason in a refusal of `text`.
    fn refusal(text: &str) -> (String, String) {
        let FatalConfig(error) = load(text).expect_err(text);
        let lines: Vec<_> = error.lines().map(String::from).collect();
        assert_eq!(
            lines[1],
            format!("*** FATAL CONFIG FILE ERROR (kring {}) ***", env!("CARGO_PKG_VERSION"))
        );
        (lines[2].rsplit(' ').next().expect("a number").into(), lines[4].clone())
    }

    #[test]
    fn a_refusal_looks_as_redis_prints_it() {
        let FatalConfig(error) = load("\n# x\n maxclients abc\n").expect_err("no number");
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "\n*** FATAL CONFIG FILE ERROR (kring {version}) ***\nReading the configuration file, at line 3\n\
             >>> 'maxclients abc'\nargument couldn't be parsed into an integer\n"
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn wrong_values_get_redis_texts() {
        for (line, error) in [
            ("foo bar", "Bad directive or wrong number of arguments"),
            ("include a b", "Bad directive or wrong number of arguments"),
            ("list-max-ziplist-entries", "Bad directive or wrong number of arguments"),
            ("port 1 2", "wrong number of arguments"),
            ("port", "wrong number of arguments"),
            ("port 1 # no comment here", "wrong number of arguments"),
            ("port \"1", "Unbalanced quotes in configuration line"),
            (r#"requirepass "p\xe4ss""#, "argument must be UTF-8 text"),
            ("port 70000", "argument must be between 0 and 65535 inclusive"),
            ("tcp-backlog -1", "argument must be between 0 and 2147483647 inclusive"),
            ("maxclients 5000000000", "argument must be between 1 and 4294967295 inclusive"),
            ("hz 010", "argument couldn't be parsed into an integer"),
            ("appendonly maybe", "argument must be 'yes' or 'no'"),
            ("loglevel xx", "argument(s) must be one of the following: debug, verbose, notice, warning"),
            ("maxmemory 5x", "argument must be a memory value"),
            ("maxmemory-clients 5x", "argument must be a memory or percent value"),
            ("proto-max-bulk-len 1k", "argument must be between 1048576 and 536870912 inclusive"),
            ("unixsocketperm 999", "argument couldn't be parsed as an octal number"),
            ("unixsocketperm 7777", "argument must be between 0 and 777 inclusive"),
            ("save 0 1", "Invalid save parameters"),
            ("save \"\" \"\"", "Invalid save parameters"),
            ("save 1", "Invalid save parameters"),
            ("oom-score-adj-values 1 2", "wrong number of arguments"),
            ("notify-keyspace-events Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            ("proc-title-template {foo}", "template format is invalid or contains unknown variables"),
            ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
            ("appenddirname \"\"", "appenddirname can't be empty"),
            ("dir /nonexistent", "No such file or directory"),
            ("bind a b c d e f g h i j k l m n o p q", "Too many bind addresses specified."),
            ("replicaof localhost x", "Invalid master port"),
            ("shards 513", "argument must be between 0 and 512 inclusive"),
        ] {
            assert_eq!(refusal(line), ("1".into(), error.into()), "{line}");
        }
    }

    #[test]
    fn what_a_later_release_promises_is_refused_or_ignored() {
        for line in [
            "replicaof localhost 1",
            "slaveof localhost 1",
            "cluster-enabled yes",
            "tls-port 1",
            "aclfile /x",
            "user alice on",
            "user default on #abc",
            "loadmodule /x",
        ] {
            assert_eq!(refusal(&format!("port 1\n{line}")), ("2".into(), NOT_SUPPORTED.into()), "{line}");
        }
        let loaded =
            load("save 60 1\noom-score-adj yes\nio-threads 4\nlua-replicate-commands yes").expect("harmless");
        assert_eq!(
            (loaded.config.save.0.len(), loaded.config.oom_score_adj, loaded.config.io_threads),
            (1, "no", 4)
        );
        assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
        let quiet =
            "save \"\"\nappendonly no\nmaxmemory 0\nreplicaof no one\nuser default on nopass ~* &* +@all";
        assert_eq!(load(quiet).expect("nothing asked for").warnings, [""; 0]);
        assert!(load("cluster-enabled yes\ncluster-enabled no").is_ok(), "the last line wins");
    }

    /// As CONFIG REWRITE of redis-server 7.0 leaves them.
    #[test]
    fn the_default_user_of_a_rewritten_file_has_the_password_of_requirepass() {
        let user = "user default on sanitize-payload #725e023a3e9aaca0f70784acc254c9526f92ca0ee53f8f67d298cebf86f027ce ~* &* +@all";
        for lines in [format!("requirepass \"a b!\"\n{user}"), format!("{user}\nrequirepass 'a b!'")] {
            let config = load(&lines).expect("the same password").config;
            assert_eq!(config.requirepass, "a b!");
        }
        for lines in [format!("requirepass other\n{user}"), format!("port 1\n{user}")] {
            assert_eq!(refusal(&lines), ("2".into(), NOT_SUPPORTED.into()), "{lines}");
        }
    }

    #[test]
    fn lines_are_read_as_redis_reads_them() {
        let text = "PORT \"1\"  \r\n   # x\nLogLevel WARNING\nbind '127.0.0.1' -::1\nrequirepass \"a b\\x21\"\n\
                    client-output-buffer-limit normal 1kb 2 3\nclient-output-buffer-limit replica 0 0 0\n\
                    unixsocketperm 0700\nlua-time-limit 7\nhz 1\nhz 2";
        let config = load(text).expect("valid").config;
        assert_eq!((config.port, config.unixsocketperm, config.hz), (1, 0o700, 2));
        assert_eq!(config.bind, ["127.0.0.1", "-::1"]);
        assert_eq!(config.requirepass, "a b!");
        assert_eq!(config.get("loglevel").as_deref(), Some("warning"));
        let limits = "normal 1024 2 3 slave 0 0 0 pubsub 33554432 8388608 60";
        assert_eq!(config.get("client-output-buffer-limit").as_deref(), Some(limits));
        assert_eq!(config.busy_reply_threshold, 7);
        assert_eq!(load("bind \"1.1.1.1 2.2.2.2\"").expect("valid").config.bind.len(), 2);
    }

    #[test]
    fn files_include_files() {
        let dir = std::env::temp_dir().join(format!("kring-include-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("conf.d")).expect("a directory");
        for (name, text) in [
            ("conf.d/b.conf", "port 2"),
            ("conf.d/a.conf", "port 1\nhz 1"),
            ("conf.d/.c.conf", "port 3"),
            ("loop.conf", "include loop.conf"),
        ] {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        let dir_line = format!("dir {}\n", dir.display());
        let config = load(&format!("{dir_line}hz 3\ninclude conf.d/*.conf\ninclude none/*.conf"))
            .expect("valid")
            .config;
        assert_eq!((config.port, config.hz), (2, 1), "alphabetical order, no hidden files");
        let absolute = load(&format!("include {}/conf.?/[ab].conf", dir.display())).expect("valid");
        assert_eq!(absolute.config.port, 2);
        let missing = load(&format!("{dir_line}include none.conf")).expect_err("missing");
        let text = format!(
            "Fatal error, can't open config file '{}/none.conf': No such file or directory\n",
            dir.display()
        );
        assert_eq!(missing.0, text);
        assert!(load(&format!("{dir_line}include loop.conf")).is_err(), "an endless chain ends");
        std::fs::remove_dir_all(&dir).expect("it was there");
    }

    #[test]
    fn the_stock_file_of_debian_loads() {
        let Ok(text) = std::fs::read("/etc/redis/redis.conf") else { return };
        let here = |line: &&[u8]| !line.starts_with(b"dir ");
        let text = text.split(|b| *b == b'\n').filter(here).collect::<Vec<_>>().join(&b'\n');
        let mut loader = Loader::default();
        loader.read_text(&text).expect("valid");
        let loaded = loader.finish(None).expect("nothing of a later release");
        assert_eq!((loaded.config.daemonize, loaded.warnings), (true, vec![]));
    }
}
