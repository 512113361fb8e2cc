//! CLIENT's row, and CLIENT HELP.

use super::{kill, list, pause, settings};
use crate::cmd::help::help;
use crate::cmd::row::{category, flag};
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::Args;

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "client",
    full_name: "client",
    arity: -2,
    subcommands: &[
        settings::ID,
        settings::GETNAME,
        settings::SETNAME,
        settings::SETINFO,
        settings::REPLY,
        settings::NO_EVICT,
        settings::NO_TOUCH,
        list::LIST,
        list::INFO,
        kill::KILL,
        pause::PAUSE,
        pause::UNPAUSE,
        pause::UNBLOCK,
        HELP,
    ],
    summary: "Holds the commands about client connections.",
    since: "2.4.0",
    group: "connection",
    complexity: "Depends on the subcommand.",
    ..Command::BASE
}];

/// What most subcommands start from.
pub(super) const BASE: Command = Command {
    flags: flag::NOSCRIPT | flag::LOADING | flag::STALE,
    categories: category::CONNECTION,
    group: "connection",
    ..Command::BASE
};

const HELP: Command = Command {
    name: "help",
    full_name: "client|help",
    arity: 2,
    flags: flag::LOADING | flag::STALE,
    run: client_help,
    summary: "Lists the subcommands.",
    since: "5.0.0",
    ..BASE
};

fn client_help(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    help(
        cx.out,
        "client",
        &[
            ("GETNAME", "Tell the name of this connection."),
            ("ID", "Tell the ID of this connection."),
            ("INFO", "Show this connection as LIST does."),
            ("KILL <ip:port>", "Close the connection from <ip:port>."),
            ("KILL <option> <value> [<option> <value> [...]]", "Close the connections that fit all of these options:\n* ADDR (<ip:port>|<unixsocket>:0)\n  The client's address.\n* ID <client-id>\n  The connection's ID.\n* LADDR (<ip:port>|<unixsocket>:0)\n  The address it connected to.\n* MAXAGE <seconds>\n  Open for at least this long.\n* SKIPME (YES|NO)\n  Whether to spare this connection (default: yes).\n* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n  The kind of client.\n* USER <username>\n  The user it is logged in as."),
            ("LIST [options ...]", "Show the connections, all or those that fit an option:\n* ID <client-id> [<client-id> [...]]\n  Those with these IDs.\n* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)\n  Those of this kind."),
            ("NO-EVICT (ON|OFF)", "Keep this connection open when clients take too much memory."),
            ("NO-TOUCH (ON|OFF)", "Leave the last access of keys alone when this connection uses them."),
            ("PAUSE <timeout> [WRITE|ALL]", "Hold back commands, all or those that write, for <timeout> milliseconds."),
            ("REPLY (ON|OFF|SKIP)", "Say whether this connection wants replies."),
            ("SETINFO <option> <value>", "Tell about the client's library. Options:\n* LIB-NAME <name>\n  What it is called.\n* LIB-VER <version>\n  Its version."),
            ("SETNAME <name>", "Name this connection."),
            ("UNBLOCK <clientid> [TIMEOUT|ERROR]", "End the wait of a blocked client."),
            ("UNPAUSE", "End a PAUSE."),
        ],
    );
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn help_names_every_subcommand() {
        let help = World::new(1).run("CLIENT HELP").to_ascii_lowercase();
        for row in COMMANDS[0].subcommands {
            assert!(help.contains(&format!("\n+{}", row.name)), "{}", row.name);
        }
    }
}
