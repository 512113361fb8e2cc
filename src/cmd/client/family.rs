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

const KILL_HELP: &str = "\
Close the connections that fit all of these options:
* ADDR (<ip:port>|<unixsocket>:0)
  The client's address.
* ID <client-id>
  The connection's ID.
* LADDR (<ip:port>|<unixsocket>:0)
  The address it connected to.
* MAXAGE <seconds>
  Open for at least this long.
* SKIPME (YES|NO)
  Whether to spare this connection (default: yes).
* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
  The kind of client.
* USER <username>
  The user it is logged in as.";

const LIST_HELP: &str = "\
Show the connections, all or those that fit an option:
* ID <client-id> [<client-id> [...]]
  Those with these IDs.
* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)
  Those of this kind.";

const SETINFO_HELP: &str = "\
Tell about the client's library. Options:
* LIB-NAME <name>
  What it is called.
* LIB-VER <version>
  Its version.";

fn client_help(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    help(
        cx.out,
        args,
        &[
            ("GETNAME", "Tell the name of this connection."),
            ("ID", "Tell the ID of this connection."),
            ("INFO", "Show this connection as LIST does."),
            ("KILL <ip:port>", "Close the connection from <ip:port>."),
            ("KILL <option> <value> [<option> <value> [...]]", KILL_HELP),
            ("LIST [options ...]", LIST_HELP),
            ("NO-EVICT (ON|OFF)", "Keep this connection open when clients take too much memory."),
            ("NO-TOUCH (ON|OFF)", "Leave the last access of keys alone when this connection uses them."),
            (
                "PAUSE <timeout> [WRITE|ALL]",
                "Hold back commands, all or those that write, for <timeout> milliseconds.",
            ),
            ("REPLY (ON|OFF|SKIP)", "Say whether this connection wants replies."),
            ("SETINFO <option> <value>", SETINFO_HELP),
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
