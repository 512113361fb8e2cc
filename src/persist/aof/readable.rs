//! A log as lines for people: its commands as `redis-cli` takes them, what frames them as comments.
//!
//! ```text
//!  # generation 3, 2 shards, by kring-0.1.0
//!  # shard 1, frame 12 at byte 40960, transaction 00000000000000ff of shards 0, 1
//!  # time 1700000000
//!  SELECT 2
//!  SET "a key" value
//! ```
//! Each file selects databases for itself. Where they are merged, a SELECT is shown when the next command is for another
//! database than the one before it, so that the lines, run in this order, make the same data.

use super::commands::{Commands, Item, Malformed};
use super::header::FileInfo;
use super::merge::Held;
use super::plain::{Place, PlainCommand};
use super::quoted::push_word;
use crate::base::number::parse_i64;
use crate::resp::Args;
use std::io::Write;

/// Writes lines for the files of a generation, or for one file of Redis's.
pub struct Readable {
    commands: Commands,
    /// The database of the commands shown last.
    shown_db: Option<i64>,
    shown_time: Option<i64>,
    /// Per file: the database that it has selected.
    dbs: Vec<i64>,
}

impl Readable {
    /// For so many files, with arguments of at most `bulk_max` bytes.
    pub fn new(files: usize, bulk_max: i64) -> Readable {
        Readable { commands: Commands::new(bulk_max), shown_db: None, shown_time: None, dbs: vec![0; files] }
    }

    /// The comment that opens a stage.
    pub fn file(&mut self, out: &mut Vec<u8>, info: &FileInfo) {
        let FileInfo { generation, shards, creator, .. } = info;
        let what = if info.alone { "on the whole keyspace".into() } else { format!("{shards} shards") };
        comment(out, format_args!("generation {generation}, {what}, by {creator}"));
    }

    /// A frame of a file, whose log is that of `shard`.
    pub fn frame(
        &mut self,
        out: &mut Vec<u8>,
        file: usize,
        shard: usize,
        frame: &Held,
    ) -> Result<(), Malformed> {
        let part = frame.part.map_or(String::new(), |part| {
            let shards: Vec<String> = part.participants.iter().map(|s| s.to_string()).collect();
            format!(", transaction {:016x} of shards {}", part.id, shards.join(", "))
        });
        comment(out, format_args!("shard {shard}, frame {} at byte {}{part}", frame.sequence, frame.offset));
        self.commands.restart();
        let mut lines = Lines { shown_db: &mut self.shown_db, shown_time: &mut self.shown_time, out };
        while let Some(item) = self.commands.next(&frame.payload)? {
            match item {
                Item::Time(secs) => lines.time(secs),
                Item::Command(args) => lines.command(&mut self.dbs[file], args),
            }
        }
        Ok(())
    }

    /// A command by itself.
    pub fn command(&mut self, out: &mut Vec<u8>, file: usize, args: Args<'_>) {
        let mut lines = Lines { shown_db: &mut self.shown_db, shown_time: &mut self.shown_time, out };
        lines.command(&mut self.dbs[file], args);
    }

    /// A command of a file of Redis's.
    pub fn plain(&mut self, out: &mut Vec<u8>, file: usize, command: &PlainCommand<'_>) {
        let mut lines = Lines { shown_db: &mut self.shown_db, shown_time: &mut self.shown_time, out };
        if let Some(secs) = command.time {
            lines.time(secs);
        }
        if matches!(command.place, Place::Multi | Place::Outside) {
            comment(lines.out, format_args!("at byte {}", command.offset));
        }
        lines.command(&mut self.dbs[file], command.args);
    }
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
    shown_db: &'a mut Option<i64>,
    shown_time: &'a mut Option<i64>,
}

impl Lines<'_> {
    fn time(&mut self, secs: i64) {
        if self.shown_time.replace(secs) != Some(secs) {
            comment(self.out, format_args!("time {secs}"));
        }
    }

    fn command(&mut self, db: &mut i64, args: Args<'_>) {
        if args.len() == 2
            && args.is(0, "select")
            && let Some(selected) = parse_i64(args.at(1))
        {
            *db = selected;
            return;
        }
        if self.shown_db.replace(*db) != Some(*db) {
            // A vector takes what is written.
            let _ = writeln!(self.out, "SELECT {db}");
        }
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.out.push(b' ');
            }
            push_word(self.out, arg);
        }
        self.out.push(b'\n');
    }
}

fn comment(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes what is written.
    let _ = writeln!(out, "# {text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::aof::{Framer, Part, PlainScan};
    use crate::store::ShardSet;

    fn held(sequence: u64, payload: &[u8], part: Option<Part>) -> Held {
        Held { offset: 4096 * sequence, sequence, payload: payload.to_vec(), part }
    }

    #[test]
    fn frames_of_several_shards_read_as_one_script() {
        let mut readable = Readable::new(2, 1000);
        let mut out = Vec::new();
        readable.file(&mut out, Framer::new(1, 0, 3, 2).info());
        let part = Some(Part { id: 255, participants: ShardSet::all(2) });
        let select = b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n".as_slice();
        let set = b"*3\r\n$3\r\nSET\r\n$3\r\na k\r\n$1\r\n1\r\n".as_slice();
        let frames = [
            (0, held(1, &[b"#TS:1700000000\r\n", select, set].concat(), part)),
            (1, held(9, &[b"#TS:1700000000\r\n", set].concat(), part)),
            (0, held(2, set, None)),
            (0, held(3, set, None)),
        ];
        for (file, frame) in &frames {
            readable.frame(&mut out, *file, *file, frame).unwrap();
        }
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "# generation 3, 2 shards, by kring-{version}\n\
             # shard 0, frame 1 at byte 4096, transaction 00000000000000ff of shards 0, 1\n\
             # time 1700000000\nSELECT 2\nSET \"a k\" 1\n\
             # shard 1, frame 9 at byte 36864, transaction 00000000000000ff of shards 0, 1\n\
             SELECT 0\nSET \"a k\" 1\n\
             # shard 0, frame 2 at byte 8192\nSELECT 2\nSET \"a k\" 1\n\
             # shard 0, frame 3 at byte 12288\nSET \"a k\" 1\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let bad = held(4, b"*1\r\n$4\r\nPIN", None);
        assert!(readable.frame(&mut Vec::new(), 0, 0, &bad).is_err());
    }

    #[test]
    fn files_of_redis_read_alike() {
        let file = b"#TS:5\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$0\r\n\r\n*1\r\n$4\r\nEXEC\r\n";
        let mut scan = PlainScan::new(0, 1000);
        scan.push(file);
        let (mut readable, mut out) = (Readable::new(1, 1000), Vec::new());
        while let Some(command) = scan.next_command() {
            readable.plain(&mut out, 0, &command);
        }
        let expected = "# time 5\n# at byte 7\n# at byte 30\nSELECT 0\nMULTI\nDEL \"\"\nEXEC\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
