//! What is said of a command that does not exist.
use crate::resp::Args;
pub fn unknown_command(args: Args<'_>) -> Vec<u8> {
    format!("ERR unknown command '{}', with args beginning with: ", String::from_utf8_lossy(args.at(0)))
        .into_bytes()
}
pub fn unknown_subcommand(parent: &str, args: Args<'_>) -> Vec<u8> {
    format!(
        "ERR unknown subcommand '{}'. Try {} HELP.",
        String::from_utf8_lossy(args.at(1)),
        parent.to_ascii_uppercase()
    )
    .into_bytes()
}
