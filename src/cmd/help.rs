//! The HELP subcommands' reply.

use crate::resp::Out;

/// Replies with what `name` can do: a line for the command, `lines`, and two for HELP itself.
pub fn help(out: &mut Out, name: &str, lines: &[&str]) {
    out.array(lines.len() + 3);
    out.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| out.simple(line));
    out.simple("HELP");
    out.simple("    Prints this help.");
}
