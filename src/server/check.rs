//! `kring-server --check-rdb FILE`: whether a snapshot is whole, down to every value in it, and what it holds.
//!
//! | exit code | |
//! |---|---|
//! | 0 | it is whole |
//! | 1 | it is damaged, or not to be read by this release; standard error says where |
//! | 2 | the file cannot be opened or read |

use crate::config::Config;
use crate::persist::empty::is_empty;
use crate::persist::rdb::{Broken, Entry, Item, Reader};
use crate::persist::value::{Reading, decode};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const WHOLE: u8 = 0;
const DAMAGED: u8 = 1;
const UNREADABLE: u8 = 2;
/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// A database in numbers.
#[derive(Default)]
struct Count {
    keys: u64,
    expires: u64,
    past: u64,
}

/// Why a file is not whole.
enum Failure {
    Io(std::io::Error),
    Broken(Broken),
    /// A value, by its key.
    Value {
        key: String,
        kind: u8,
        offset: u64,
    },
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Failure {
        Failure::Broken(broken)
    }
}

/// Checks a file and says what was found.
pub fn check_rdb(path: &Path) -> ExitCode {
    let name = path.display();
    let (code, why) = match check(path) {
        Ok(()) => return ExitCode::from(WHOLE),
        Err(Failure::Io(error)) => (UNREADABLE, format!("it cannot be read: {error}")),
        Err(Failure::Broken(broken)) => (DAMAGED, broken.to_string()),
        Err(Failure::Value { key, kind, offset }) => {
            (DAMAGED, format!("the value of key '{key}' is damaged (type {kind}, at byte {offset})"))
        }
    };
    eprintln!("{name}: {why}");
    ExitCode::from(code)
}

fn check(path: &Path) -> Result<(), Failure> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let shows_progress = std::io::stderr().is_terminal();
    let mut reader = Reader::new(true);
    let mut counts: BTreeMap<u64, Count> = BTreeMap::new();
    let mut piece = vec![0; PIECE];
    println!("{}: {len} bytes", path.display());
    loop {
        let got = file.read(&mut piece)?;
        reader.push(&piece[..got]);
        if got == 0 {
            reader.finish();
        }
        while let Some(item) = reader.next_item()? {
            if let Item::End = item {
                report(&reader, &counts);
                return Ok(());
            }
            look(item, now_ms, &mut counts)?;
        }
        if shows_progress {
            eprint!("\r{:3} %\r", (reader.position() * 100).checked_div(len).unwrap_or(100));
        }
    }
}

fn look(item: Item<'_>, now_ms: i64, counts: &mut BTreeMap<u64, Count>) -> Result<(), Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match item {
        Item::Version(version) => println!("  RDB version {version}"),
        Item::Aux { name, value } => println!("  {} = {}", text(&name), text(&value)),
        Item::Library(source) => println!("  library of functions, {} bytes", source.len()),
        Item::Sizes { .. } | Item::End => {}
        Item::Entry(entry) => {
            check_value(&entry)?;
            let count = counts.entry(entry.db).or_default();
            count.keys += 1;
            count.expires += u64::from(entry.expire_at.is_some());
            count.past += u64::from(entry.expire_at.is_some_and(|at| at < now_ms));
        }
    }
    Ok(())
}

/// Builds the value, as a load would.
fn check_value(entry: &Entry<'_>) -> Result<(), Failure> {
    let mut rest = entry.value;
    let built = decode(entry.kind, &mut rest, &Reading { config: &Config::default(), seed: 0 });
    if built.is_ok() && rest.is_empty() || is_empty(entry.kind, entry.value) {
        return Ok(());
    }
    let key = String::from_utf8_lossy(&entry.key).into_owned();
    Err(Failure::Value { key, kind: entry.kind, offset: entry.offset })
}

fn report(reader: &Reader, counts: &BTreeMap<u64, Count>) {
    for (db, Count { keys, expires, past }) in counts {
        println!("  database {db}: {keys} keys, {expires} of them with a time to live, {past} past it");
    }
    println!("  checksum {}", if reader.has_checksum() { "right" } else { "absent" });
    if reader.left_over() > 0 {
        println!("  more bytes follow behind the end");
    }
    println!("  whole: {} keys", counts.values().map(|c| c.keys).sum::<u64>());
}
