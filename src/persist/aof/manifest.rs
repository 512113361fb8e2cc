//! The manifest: which files a log is made of, in the form of Redis 7.
//!
//! ```text
//!  file appendonly.aof.2.base.rdb seq 2 type b       b: the base, at most one: all data at one moment
//!  file appendonly.aof.1.incr.aof seq 1 type h       h: history, not needed any more, to be deleted
//!  file appendonly.aof.2.incr.aof seq 2 type i       i: incremental, in the order of replay; seq rises
//!  # a comment
//! ```
//! Words come in pairs of a name and a value; unknown names are skipped. A file's name is quoted where it has to be. A
//! generation of N shards has N incremental files, one behind the other, shard 0 first; what each of them is its first
//! frame says ([`stages`](super::stages)), so that to Redis they are plain incremental files, replayed one after the other.

use super::quoted::push_word;
use crate::config::split_words;
use std::fmt;
use std::io::Write;

/// The longest line that is read, without its newline (Redis's bound).
const LINE_MAX: usize = 1024;

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Base,
    Incr,
    History,
}

/// The form of a base file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BaseForm {
    Rdb,
    Aof,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Without a path.
    pub name: String,
    pub seq: u64,
    pub kind: Kind,
}

/// The files of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// `appendfilename`: what all names begin with.
    append: String,
    base: Option<Member>,
    incr: Vec<Member>,
    history: Vec<Member>,
}

/// What is wrong with a manifest, and in which line (from 1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub line: usize,
    pub why: Refusal,
}

/// What is wrong with a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    Empty,
    LongLine,
    /// The line is no sequence of names and values, or lacks one of file, seq and type.
    Format,
    Path(String),
    Type(String),
    SecondBase,
    /// This sequence follows that one.
    Order {
        seq: u64,
        before: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Refusal::Empty => return f.write_str("the AOF manifest is empty"),
            Refusal::LongLine => write!(f, "the line is longer than {LINE_MAX} bytes, or cut off")?,
            Refusal::Format => f.write_str("expected 'file NAME seq NUMBER type b|h|i'")?,
            Refusal::Path(name) => write!(f, "the file '{name}' is a path, it must be just a name")?,
            Refusal::Type(kind) => write!(f, "unknown type '{kind}', it must be b, h or i")?,
            Refusal::SecondBase => f.write_str("a second base file")?,
            Refusal::Order { seq, before } => {
                write!(f, "incremental file {seq} follows {before}, the numbers must rise")?;
            }
        }
        write!(f, " (line {} of the AOF manifest)", self.line)
    }
}

impl Manifest {
    /// The manifest of a log that has no files yet.
    pub fn new(append: &str) -> Manifest {
        Manifest { append: append.into(), base: None, incr: Vec::new(), history: Vec::new() }
    }

    /// The manifest of a log that is one file so far, as before Redis 7: it becomes the base, under its old name.
    pub fn of_single_file(append: &str) -> Manifest {
        let base = Member { name: append.into(), seq: 1, kind: Kind::Base };
        Manifest { base: Some(base), ..Manifest::new(append) }
    }

    /// The name of the manifest's file.
    pub fn file_name(append: &str) -> String {
        format!("{append}.manifest")
    }

    /// The name under which it is written before it is renamed.
    pub fn temp_name(append: &str) -> String {
        format!("temp-{append}.manifest")
    }

    /// Reads a manifest.
    pub fn parse(append: &str, text: &[u8]) -> Result<Manifest, Refused> {
        let mut manifest = Manifest::new(append);
        if text.is_empty() {
            return Err(Refused { line: 1, why: Refusal::Empty });
        }
        for (i, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
            if !line.starts_with(b"#") {
                let added = member(line).and_then(|member| manifest.add(member));
                added.map_err(|why| Refused { line: i + 1, why })?;
            }
        }
        Ok(manifest)
    }

    fn add(&mut self, member: Member) -> Result<(), Refusal> {
        let list = match member.kind {
            Kind::Base if self.base.is_some() => return Err(Refusal::SecondBase),
            Kind::Base => {
                self.base = Some(member);
                return Ok(());
            }
            Kind::History => &mut self.history,
            Kind::Incr => {
                let before = self.incr.last().map_or(0, |last| last.seq);
                if member.seq <= before {
                    return Err(Refusal::Order { seq: member.seq, before });
                }
                &mut self.incr
            }
        };
        list.push(member);
        Ok(())
    }

    /// Its text, as Redis writes it.
    pub fn format(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for member in self.base.iter().chain(&self.history).chain(&self.incr) {
            let kind = match member.kind {
                Kind::Base => 'b',
                Kind::History => 'h',
                Kind::Incr => 'i',
            };
            out.extend_from_slice(b"file ");
            push_word(&mut out, member.name.as_bytes());
            // A vector takes what is written.
            let _ = writeln!(out, " seq {} type {kind}", member.seq);
        }
        out
    }

    /// What the names of its files begin with.
    pub fn append(&self) -> &str {
        &self.append
    }

    /// The base file.
    pub fn base(&self) -> Option<&Member> {
        self.base.as_ref()
    }

    /// The incremental files, in the order of replay.
    pub fn incr(&self) -> &[Member] {
        &self.incr
    }

    /// The files that are not needed any more.
    pub fn history(&self) -> &[Member] {
        &self.history
    }

    /// Whether there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// Adds the files of a new generation, one a shard: their names, shard 0 first.
    pub fn begin_generation(&mut self, shards: usize) -> Vec<String> {
        (0..shards).map(|_| self.add_incr()).collect()
    }

    /// Adds a file for an operation on the whole keyspace, between two generations: its name.
    pub fn standalone(&mut self) -> String {
        self.add_incr()
    }

    fn add_incr(&mut self) -> String {
        let seq = 1 + self.incr.iter().chain(&self.history).map(|m| m.seq).max().unwrap_or(0);
        let name = format!("{}.{seq}.incr.aof", self.append);
        self.incr.push(Member { name: name.clone(), seq, kind: Kind::Incr });
        name
    }

    /// Replaces the base, which becomes history: the new one's name.
    pub fn new_base(&mut self, form: BaseForm) -> String {
        let seq = 1 + self.base.iter().chain(&self.history).map(|m| m.seq).max().unwrap_or(0);
        let form = match form {
            BaseForm::Rdb => "rdb",
            BaseForm::Aof => "aof",
        };
        let name = format!("{}.{seq}.base.{form}", self.append);
        let old = self.base.replace(Member { name: name.clone(), seq, kind: Kind::Base });
        if let Some(old) = old {
            self.history.insert(0, Member { kind: Kind::History, ..old });
        }
        name
    }

    /// Makes history of the incremental files below `seq`: a new base holds what they say. How many.
    pub fn retire(&mut self, seq: u64) -> usize {
        let count = self.incr.partition_point(|member| member.seq < seq);
        let old = self.incr.drain(..count).map(|old| Member { kind: Kind::History, ..old });
        self.history.splice(0..0, old);
        count
    }

    /// Forgets the history: the names of the files to be deleted, once the manifest without them is on disk.
    pub fn purge(&mut self) -> Vec<String> {
        self.history.drain(..).map(|member| member.name).collect()
    }
}

fn member(line: &[u8]) -> Result<Member, Refusal> {
    // Redis reads a manifest that was cut off as one with a line that is too long.
    let Some(line) = line.strip_suffix(b"\n").filter(|line| line.len() < LINE_MAX) else {
        return Err(Refusal::LongLine);
    };
    let words = split_words(line).map_err(|_| Refusal::Format)?;
    if words.len() < 6 || words.len() % 2 == 1 {
        return Err(Refusal::Format);
    }
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let (field, value) = (&pair[0], &pair[1]);
        if field.eq_ignore_ascii_case("file") {
            if value.contains(['/', '\\']) {
                return Err(Refusal::Path(value.clone()));
            }
            name = Some(value.clone()).filter(|name| !name.is_empty());
        } else if field.eq_ignore_ascii_case("seq") {
            seq = value.parse().ok().filter(|seq| (1..=i64::MAX as u64).contains(seq));
        } else if field.eq_ignore_ascii_case("type") {
            kind = Some(value.as_str());
        }
    }
    let (Some(name), Some(seq), Some(kind)) = (name, seq, kind) else { return Err(Refusal::Format) };
    let kind = match kind.bytes().next() {
        Some(b'b') => Kind::Base,
        Some(b'i') => Kind::Incr,
        Some(b'h') => Kind::History,
        _ => return Err(Refusal::Type(kind.into())),
    };
    Ok(Member { name, seq, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "appendonly.aof";

    fn refused(text: &str) -> String {
        Manifest::parse(A, text.as_bytes()).unwrap_err().to_string()
    }

    fn text(manifest: &Manifest) -> String {
        String::from_utf8(manifest.format()).unwrap()
    }

    #[test]
    fn a_manifest_of_redis_reads_and_writes_alike() {
        let golden = include_bytes!("../../../tests/data/redis-7.0-appendonly.manifest");
        let append = "my \"odd\" name.aof";
        let mut manifest = Manifest::parse(append, golden).unwrap();
        assert_eq!(manifest.format(), golden);
        assert_eq!(manifest.base().unwrap().name, "my \"odd\" name.aof.3.base.rdb");
        assert_eq!((manifest.incr().len(), manifest.history().len()), (1, 2));
        assert_eq!(
            manifest.incr()[0],
            Member { name: format!("{append}.3.incr.aof"), seq: 3, kind: Kind::Incr }
        );
        assert_eq!(manifest.begin_generation(1), [format!("{append}.4.incr.aof")]);
        assert_eq!(manifest.new_base(BaseForm::Aof), format!("{append}.4.base.aof"));
    }

    #[test]
    fn a_log_lives_through_generations_and_rewrites() {
        let mut manifest = Manifest::new(A);
        assert!(manifest.is_empty());
        assert_eq!(manifest.begin_generation(2), ["appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof"]);
        assert_eq!(manifest.standalone(), "appendonly.aof.3.incr.aof");
        assert_eq!(manifest.begin_generation(1), ["appendonly.aof.4.incr.aof"]);
        assert_eq!(manifest.new_base(BaseForm::Rdb), "appendonly.aof.1.base.rdb");
        assert_eq!(manifest.retire(4), 3);
        assert_eq!(
            text(&manifest),
            "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
             file appendonly.aof.2.incr.aof seq 2 type h\nfile appendonly.aof.3.incr.aof seq 3 type h\n\
             file appendonly.aof.4.incr.aof seq 4 type i\n"
        );
        assert_eq!(Manifest::parse(A, &manifest.format()), Ok(manifest.clone()));
        assert_eq!(manifest.purge().len(), 3);
        assert_eq!(manifest.new_base(BaseForm::Rdb), "appendonly.aof.2.base.rdb");
        assert_eq!(manifest.retire(u64::MAX), 1);
        assert_eq!(manifest.begin_generation(1), ["appendonly.aof.5.incr.aof"], "no name is used twice");
        assert_eq!(manifest.purge(), ["appendonly.aof.4.incr.aof", "appendonly.aof.1.base.rdb"]);
    }

    #[test]
    fn names_go_round_whatever_is_in_them() {
        for append in ["plain", "a b", "it's", "\"q\"", "tab\there", "é\u{1}", "#1"] {
            let mut manifest = Manifest::new(append);
            manifest.begin_generation(3);
            manifest.new_base(BaseForm::Aof);
            assert_eq!(Manifest::parse(append, &manifest.format()), Ok(manifest), "{append:?}");
        }
        let single = Manifest::of_single_file(A);
        assert_eq!(text(&single), "file appendonly.aof seq 1 type b\n");
    }

    #[test]
    fn comments_other_names_and_other_order_are_read() {
        let text = "# a comment\n  TYPE incr color \"light blue\" seq 7 file x.7.incr.aof\r\n";
        let manifest = Manifest::parse(A, text.as_bytes()).unwrap();
        assert_eq!(manifest.incr(), [Member { name: "x.7.incr.aof".into(), seq: 7, kind: Kind::Incr }]);
        assert!(Manifest::parse(A, b"# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_one_line() {
        let format = "expected 'file NAME seq NUMBER type b|h|i' (line 1 of the AOF manifest)";
        for text in [
            "\n",
            "x\n",
            "file a seq 1\n",
            "file a seq 1 type\n",
            "file a seq 0 type b\n",
            "file a seq -1 type b\n",
            "file a seq x type b\n",
            "file a seq 9223372036854775808 type b\n",
            "file \"\" seq 1 type b\n",
            "file \"a seq 1 type b\n",
            "name a seq 1 type b\n",
        ] {
            assert_eq!(refused(text), format, "{text:?}");
        }
        assert_eq!(refused(""), "the AOF manifest is empty");
        let b = "file a seq 1 type b\n";
        let cases = [
            (
                "file a seq 1 type b",
                "the line is longer than 1024 bytes, or cut off (line 1 of the AOF manifest)",
            ),
            (&format!("{b}{b}"), "a second base file (line 2 of the AOF manifest)"),
            ("file a seq 1 type x\n", "unknown type 'x', it must be b, h or i (line 1 of the AOF manifest)"),
            (
                "file a seq 2 type i\n# two\nfile b seq 2 type i\n",
                "incremental file 2 follows 2, the numbers must rise (line 3 of the AOF manifest)",
            ),
            (
                "file ../a seq 1 type b\n",
                "the file '../a' is a path, it must be just a name (line 1 of the AOF manifest)",
            ),
        ];
        for (text, line) in cases {
            assert_eq!(refused(text), line);
        }
        let long = format!("file {} seq 1 type b\n", "x".repeat(1024));
        assert!(refused(&long).starts_with("the line is longer than 1024 bytes"));
    }
}
