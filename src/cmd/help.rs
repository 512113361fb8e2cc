//! The reply to HELP of a command that has subcommands: Redis's frame around our own words.

use crate::resp::{Args, Out};

/// Replies with the help of a command, by the name that it was called by: a usage line and a description (one line or more) for each
/// subcommand.
pub fn help(out: &mut Out, called: Args<'_>, subcommands: &[(&str, &str)]) {
    let lines: usize = subcommands.iter().map(|(_, text)| 1 + text.lines().count()).sum();
    out.array(lines + 3);
    out.simple(&format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        String::from_utf8_lossy(called.at(0)).to_ascii_uppercase()
    ));
    for (usage, text) in subcommands {
        out.simple(usage);
        text.lines().for_each(|line| out.simple(&format!("    {line}")));
    }
    out.simple("HELP");
    out.simple("    Prints this help.");
}
