//! The house rules that a machine can check (see the source map in README.md). Each test lists every place that breaks
//! its rule, so that one run is enough to mend them all.
//!
//! `KRING_WRITE_DOCS=1 cargo test --test tidy` writes the generated tables into tuning.md.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a failed test panics

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The layers: a module imports lower numbers only; modules that share a number do not see each other.
const LAYERS: &[(&str, u32)] = &[
    ("base", 0),
    ("config", 1),
    ("metrics", 0),
    ("ds", 1),
    ("resp", 1),
    ("ring", 1),
    ("store", 2),
    ("persist", 3),
    ("cmd", 4),
    ("shard", 5),
    ("storage", 5),
    ("server", 6),
];

/// Where `unsafe` may be.
const UNSAFE: &[&str] = &["base", "ds", "ring"];
/// What does no I/O and reads no clock, and the parts of `std` that would.
const PURE: &[&str] = &["ds", "store", "persist", "cmd"];
const IMPURE: &[&str] = &["std::time", "std::net", "std::fs", "std::thread", "crate::ring"];
/// Lines of a file at most.
const MAX_LINES: usize = 1_000;
/// Lines above an `unsafe` in which its SAFETY comment may begin.
const SAFETY_WITHIN: usize = 12;
/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "manager", "common", "misc"];

struct File {
    /// From the project's root.
    path: String,
    text: String,
    /// The text without comments, strings and characters: same lines, same columns.
    code: String,
}

impl File {
    /// The module of the first level, for a file of src/.
    fn layer(&self) -> Option<&'static (&'static str, u32)> {
        let first = self.path.strip_prefix("src/")?.split(['/', '.']).next()?;
        LAYERS.iter().find(|(name, _)| *name == first)
    }

    fn is_in(&self, layers: &[&str]) -> bool {
        self.layer().is_some_and(|(name, _)| layers.contains(name))
    }

    /// Whether all of it is for tests.
    fn is_test(&self) -> bool {
        self.path.contains("/tests") || self.path.ends_with("/testing.rs")
    }

    /// The code without the tests at the bottom of the file.
    fn shipped(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let end = self.code.find("#[cfg(test)]\nmod tests").unwrap_or(self.code.len());
        &self.code[..end]
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folders: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join(folder), &mut paths));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        File { path, code: code_only(&text), text }
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => walk(&path, paths),
            Some(e) if e == "rs" => paths.push(path),
            _ => {}
        }
    }
}

/// Blanks comments, strings and character literals, and keeps the lines.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = match rest[0] {
            b'/' if rest.starts_with(b"//") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => text[at..].find("*/").map_or(rest.len(), |n| n + 2),
            b'"' => quoted(rest),
            b'r' if is_raw(bytes, at) => raw_string(&text[at..]),
            b'\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(rest[0]);
            at += 1;
            continue;
        }
        out.extend(rest[..length].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
        at += length;
    }
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn is_raw(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b' ', |i| bytes[i]);
    let word = before.is_ascii_alphanumeric() && before != b'b' || before == b'_';
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    !word && bytes.get(at + 1 + hashes) == Some(&b'"')
}

fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    rest[body..].find(&end).map_or(rest.len(), |n| body + n + end.len())
}

/// The length of a character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return rest[2..].iter().skip(1).position(|b| *b == b'\'').map_or(0, |n| n + 4);
    }
    let close = rest.iter().skip(1).take(5).position(|b| *b == b'\'');
    match close {
        Some(n) if n >= 1 && std::str::from_utf8(&rest[1..=n]).is_ok_and(|c| c.chars().count() == 1) => n + 2,
        _ => 0,
    }
}

/// Where `word` stands in the code as a whole word.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let bytes = code.as_bytes();
        !is_name(at.checked_sub(1).and_then(|i| bytes.get(i))) && !is_name(bytes.get(at + word.len()))
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Panics with all that was found.
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn every_module_has_a_layer() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'));
    let found: Vec<String> =
        modules.filter(|m| LAYERS.iter().all(|(name, _)| name != m)).map(String::from).collect();
    assert_none("modules without a layer in tests/tidy.rs", &found);
}

#[test]
fn layers_look_down() {
    let mut found = Vec::new();
    for file in files(&["src"]) {
        let Some((own, number)) = file.layer() else { continue };
        for at in places(&file.code, "crate").collect::<Vec<_>>() {
            let Some(rest) = file.code[at..].strip_prefix("crate::") else { continue };
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
            let Some((other, below)) = LAYERS.iter().find(|(layer, _)| *layer == name) else { continue };
            if other != own && below >= number {
                found.push(format!("{}:{} imports {other}", file.path, line_of(&file.code, at)));
            }
        }
    }
    assert_none("a layer imports lower numbers only", &found);
}

#[test]
fn imports_of_several_modules_name_them_one_by_one() {
    // `use crate::{a, b}` would hide layers from the check above.
    let found: Vec<String> =
        files(&["src"]).iter().filter(|f| f.code.contains("use crate::{")).map(|f| f.path.clone()).collect();
    assert_none("write one `use crate::module` a module", &found);
}

#[test]
fn unsafe_stays_where_it_may_be_and_says_why() {
    let mut found = Vec::new();
    for file in files(&["src", "perf", "tests", "benches"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for at in places(&file.code, "unsafe").collect::<Vec<_>>() {
            let line = line_of(&file.code, at);
            let place = format!("{}:{line}", file.path);
            // perf/ holds a load generator with a ring of its own, the others counting allocators.
            let counts =
                ["tests/bounded_growth.rs", "tests/no_alloc.rs", "tests/hostile.rs", "tests/weights.rs"]
                    .contains(&file.path.as_str());
            let exempt = file.path.starts_with("perf/") || counts;
            if !file.is_in(UNSAFE) && !exempt {
                found.push(format!("{place} is outside of {}", UNSAFE.join(", ")));
            }
            let above = &lines[line.saturating_sub(1 + SAFETY_WITHIN)..line];
            // A function says what its caller must hold instead.
            let told = above.iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety"));
            // The type of a function pointer, as in `unsafe extern "C" fn`, claims nothing.
            let is_type =
                file.code[at..].starts_with("unsafe fn(") || file.code[at..].starts_with("unsafe extern");
            if !told && !is_type {
                found.push(format!("{place} has no SAFETY comment"));
            }
        }
    }
    assert_none("unsafe", &found);
}

#[test]
fn what_is_pure_reads_no_clock_and_no_file() {
    let mut found = Vec::new();
    for file in files(&["src"]).iter().filter(|f| f.is_in(PURE)) {
        for name in IMPURE {
            let at = places(file.shipped(), name);
            found.extend(at.map(|at| format!("{}:{} uses {name}", file.path, line_of(&file.code, at))));
        }
    }
    assert_none("ds, store, persist and cmd do no I/O", &found);
}

#[test]
fn files_are_short_and_open_with_their_purpose() {
    let mut found = Vec::new();
    for file in files(&["src", "perf", "tests", "benches"]) {
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            found.push(format!("{} has {lines} lines, {MAX_LINES} is the most", file.path));
        }
        if !file.text.starts_with("//! ") {
            found.push(format!("{} does not open with `//! `", file.path));
        }
    }
    assert_none("files", &found);
}

#[test]
fn modules_have_names_that_say_something() {
    let empty = |path: &str| {
        Path::new(path).iter().any(|part| {
            let name = part.to_str().unwrap();
            EMPTY_NAMES.contains(&name.strip_suffix(".rs").unwrap_or(name))
        })
    };
    let found: Vec<String> = files(&["src", "perf", "tests", "benches"])
        .into_iter()
        .map(|f| f.path)
        .filter(|p| empty(p))
        .collect();
    assert_none("names that say nothing", &found);
}

#[test]
fn mod_files_hold_docs_and_declarations_only() {
    let mut found = Vec::new();
    for file in files(&["src", "tests"]).iter().filter(|f| f.path.ends_with("/mod.rs")) {
        for (i, line) in file.code.lines().enumerate() {
            let item = line.strip_prefix("pub ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
            let item = item.strip_prefix("pub(crate) ").unwrap_or(item);
            let starts = ["fn ", "struct ", "enum ", "trait ", "impl", "macro_rules!", "static "];
            if starts.iter().any(|s| item.starts_with(s)) {
                found.push(format!("{}:{} {}", file.path, i + 1, line.trim_end()));
            }
        }
    }
    assert_none("mod.rs holds docs and declarations only", &found);
}

#[test]
fn nothing_is_left_to_do() {
    let mut found = Vec::new();
    for file in files(&["src", "perf", "tests", "benches"]) {
        for name in ["todo!", "unimplemented!", "dbg!"] {
            let at = file.code.match_indices(name);
            found.extend(at.map(|(at, _)| format!("{}:{} {name}", file.path, line_of(&file.code, at))));
        }
    }
    assert_none("unfinished code", &found);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains('=') && !line.contains('#') {
            found.push(line.to_string());
        }
    }
    assert_none("Cargo.toml: dependencies without a reason in a comment", &found);
}

#[test]
fn tuning_md_has_the_table_of_knobs() {
    generated("knobs", &kring::config::markdown_table());
}

#[test]
fn tuning_md_has_the_table_of_metrics() {
    let mut table = String::from("| metric | meaning |\n|---|---|\n");
    for metric in kring::metrics::METRICS {
        let _ = writeln!(table, "| `{}` | {} |", metric.name, metric.doc.trim());
    }
    generated("metrics", &table);
}

/// tuning.md holds `text` between the markers of that name.
fn generated(name: &str, text: &str) {
    // Two tests write to the file.
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let path = root().join("tuning.md");
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let whole = std::fs::read_to_string(&path).unwrap_or_default();
    let inside = whole.split_once(&open).and_then(|(before, rest)| {
        let (inside, after) = rest.split_once(&close)?;
        Some((before, inside, after))
    });
    if inside.is_some_and(|(_, inside, _)| inside.trim() == text.trim()) {
        return;
    }
    let write = std::env::var_os("KRING_WRITE_DOCS").is_some_and(|v| v == "1");
    assert!(
        write,
        "tuning.md does not hold the table of {name}: run KRING_WRITE_DOCS=1 cargo test --test tidy"
    );
    let table = format!("{open}{}\n{close}", text.trim());
    let whole = match inside {
        Some((before, _, after)) => format!("{before}{table}{after}"),
        None => format!("{}\n\n{table}\n", whole.trim_end()),
    };
    std::fs::write(&path, whole.trim_start()).unwrap();
}

#[test]
fn code_is_told_from_text() {
    let code = code_only(
        "let a = \"unsafe\"; // unsafe\nlet b = 'x'; let c: &'a str = r#\"un\"safe\"#; /* unsafe */ d('\\'', '\\n');",
    );
    assert!(!code.contains("unsafe") && !code.contains("safe\""), "{code}");
    assert!(code.contains("let c: &'a str"), "{code}");
    assert_eq!(code.lines().count(), 2);
    assert!(code.ends_with(");"));
    assert_eq!(places("unsafe { unsafety } (unsafe)", "unsafe").count(), 2);
}
