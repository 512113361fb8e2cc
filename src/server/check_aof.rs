//! `kring-server --check-aof [--fix] PATH`: whether a log is whole; and `--aof-to-resp PATH`, `--aof-to-text PATH`: its commands.
//! The path is that of a directory, a manifest or one file.
//!
//! | exit code | |
//! |---|---|
//! | 0 | it is whole, or was made so by `--fix` |
//! | 1 | it is damaged, or ends within a write; standard error says where, one line a finding |
//! | 2 | it cannot be opened or read |
//!
//! `--fix` cuts off what was being written when the process or the machine died, in all files of the last generation together, and
//! says what goes. It was not known to be on the disk for good. Damage elsewhere is never cut.

use crate::storage::aof::{Form, Listener, Verdict, check, show};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Tells a terminal how far it is.
struct Teller {
    shows_progress: bool,
    percent: u64,
}

impl Teller {
    fn new() -> Teller {
        Teller { shows_progress: std::io::stderr().is_terminal(), percent: u64::MAX }
    }
}

impl Listener for Teller {
    fn good(&mut self, line: &str) {
        println!("{line}");
    }

    fn bad(&mut self, line: &str) {
        eprintln!("{line}");
    }

    fn progress(&mut self, done: u64, total: u64) {
        let percent = (done * 100).checked_div(total).unwrap_or(100).min(100);
        if self.shows_progress && std::mem::replace(&mut self.percent, percent) != percent {
            eprint!("\r{percent:3} %\r");
        }
    }
}

fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Whole => 0,
        Verdict::Damaged => 1,
        Verdict::Unreadable => 2,
    })
}

/// Checks a log and says what was found.
pub fn check_aof(path: &Path, fix: bool) -> ExitCode {
    println!("{}:", path.display());
    code(check(path, fix, &mut Teller::new()))
}

/// Prints the commands of a log.
pub fn show_aof(path: &Path, form: Form) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut failed = false;
    let mut write = |bytes: &[u8]| failed |= out.write_all(bytes).is_err();
    let verdict = show(path, form, &mut write, &mut Teller::new());
    // Who reads has gone: there is nobody to tell.
    if failed || out.flush().is_err() {
        return ExitCode::from(2);
    }
    code(verdict)
}
