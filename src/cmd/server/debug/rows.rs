//! The rows, and who may call them.

use super::{digest, object, populate, protocol, switches};
use crate::cmd::help::help;
use crate::cmd::row::{flag, key};
use crate::cmd::{Command, Cx, Done, KeySpec, Outcome, Plan, Session};
use crate::config::{Config, EnableCommand};
use crate::resp::{Args, Error};

const BASE: Command = Command {
    flags: flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::PROTECTED,
    group: "server",
    complexity: "Depends on subcommand.",
    ..Command::BASE
};

/// What walks all keys runs where it is looked at by nobody else.
const WHOLE: Command = Command { flags: BASE.flags | flag::HEAVY, plan: Plan::All, ..BASE };

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "debug",
    full_name: "debug",
    arity: -2,
    flags: BASE.flags | flag::HIDE_SUBCOMMANDS,
    run: debug,
    summary: "Tools for testing servers and clients.",
    subcommands: &[
        Command {
            name: "assert",
            full_name: "debug|assert",
            arity: 2,
            run: switches::assert_false,
            summary: "Ends the process by an assertion.",
            ..BASE
        },
        Command {
            name: "change-repl-id",
            full_name: "debug|change-repl-id",
            arity: 2,
            plan: Plan::Home,
            run: switches::change_repl_id,
            summary: "Makes a new replication id.",
            ..BASE
        },
        Command {
            name: "config-rewrite-force-all",
            full_name: "debug|config-rewrite-force-all",
            arity: 2,
            plan: Plan::Home,
            run: switches::rewrite_whole_config,
            summary: "Writes the configuration file with a line for every setting.",
            ..BASE
        },
        Command {
            name: "digest",
            full_name: "debug|digest",
            arity: 2,
            run: digest::digest,
            summary: "Digests all keys and values.",
            ..WHOLE
        },
        Command {
            name: "digest-value",
            full_name: "debug|digest-value",
            arity: -2,
            keys: &[KeySpec::range(2, -1, 1, key::RO)],
            plan: Plan::By(digest::shards_of_keys),
            run: digest::digest_value,
            summary: "Digests the values of keys.",
            ..BASE
        },
        Command {
            name: "error",
            full_name: "debug|error",
            arity: 3,
            run: protocol::error,
            summary: "Replies with an error of these words.",
            ..BASE
        },
        Command {
            name: "help",
            full_name: "debug|help",
            arity: 2,
            run: |cx, args| {
                permit(cx)?;
                help(cx.out, args, HELP);
                Ok(Outcome::Done)
            },
            summary: "Lists the subcommands.",
            ..BASE
        },
        Command {
            name: "htstats",
            full_name: "debug|htstats",
            arity: -3,
            run: object::htstats,
            summary: "Tells how the tables of a database are filled.",
            ..WHOLE
        },
        Command {
            name: "htstats-key",
            full_name: "debug|htstats-key",
            arity: -3,
            keys: &[KeySpec::one(2, key::RO)],
            plan: Plan::Owner,
            run: object::htstats_key,
            summary: "Tells how the table of a value is filled.",
            ..BASE
        },
        Command {
            name: "log",
            full_name: "debug|log",
            arity: 3,
            run: switches::log,
            plan: Plan::Home,
            summary: "Writes a line into the log.",
            ..BASE
        },
        Command {
            name: "object",
            full_name: "debug|object",
            arity: 3,
            keys: &[KeySpec::one(2, key::RO)],
            plan: Plan::Owner,
            run: object::object,
            summary: "Tells how a value is kept.",
            ..BASE
        },
        Command {
            name: "oom",
            full_name: "debug|oom",
            arity: 2,
            run: switches::oom,
            summary: "Ends the process by asking for more memory than there can be.",
            ..BASE
        },
        Command {
            name: "panic",
            full_name: "debug|panic",
            arity: 2,
            run: switches::panic,
            summary: "Ends the process by a panic.",
            ..BASE
        },
        Command {
            name: "pause-cron",
            full_name: "debug|pause-cron",
            arity: 3,
            plan: Plan::Home,
            run: switches::pause_cron,
            summary: "Stops what is done by the clock.",
            ..BASE
        },
        Command {
            name: "populate",
            full_name: "debug|populate",
            arity: -3,
            run: populate::populate,
            summary: "Makes string keys.",
            ..WHOLE
        },
        Command {
            name: "protocol",
            full_name: "debug|protocol",
            arity: 3,
            run: protocol::protocol,
            summary: "Replies with a value of a type of the protocol.",
            ..BASE
        },
        Command {
            name: "quicklist-packed-threshold",
            full_name: "debug|quicklist-packed-threshold",
            arity: 3,
            plan: Plan::Home,
            run: switches::packed_threshold,
            summary: "Sets from what length on elements of lists have nodes of their own.",
            ..BASE
        },
        Command {
            name: "loadaof",
            full_name: "debug|loadaof",
            arity: 2,
            plan: Plan::Home,
            run: switches::loadaof,
            summary: "Loads the append-only file again.",
            ..BASE
        },
        Command {
            name: "reload",
            full_name: "debug|reload",
            arity: -2,
            plan: Plan::Home,
            run: switches::reload,
            summary: "Saves a snapshot and loads it again.",
            ..BASE
        },
        Command {
            name: "set-active-expire",
            full_name: "debug|set-active-expire",
            arity: 3,
            plan: Plan::Home,
            run: switches::set_active_expire,
            summary: "Turns active expiry off or on.",
            ..BASE
        },
        Command {
            name: "set-skip-checksum-validation",
            full_name: "debug|set-skip-checksum-validation",
            arity: 3,
            run: switches::skip_checksum,
            summary: "Makes RESTORE take payloads whatever their checksum.",
            ..BASE
        },
        Command {
            name: "sleep",
            full_name: "debug|sleep",
            arity: 3,
            plan: Plan::Home,
            run: switches::sleep,
            summary: "Stops all shards for a while.",
            ..BASE
        },
        Command {
            name: "stringmatch-len",
            full_name: "debug|stringmatch-len",
            arity: 4,
            run: switches::stringmatch_len,
            summary: "Matches a pattern with a text of one letter.",
            ..BASE
        },
    ],
    ..BASE
}];

const HELP: &[(&str, &str)] = &[
    ("ASSERT", "End the process by an assertion."),
    ("CHANGE-REPL-ID", "Make a new replication id."),
    ("CONFIG-REWRITE-FORCE-ALL", "As CONFIG REWRITE, with a line for every setting."),
    ("DIGEST", "A digest of all keys and values, which equal data give on any server."),
    ("DIGEST-VALUE <key> [<key> ...]", "Digests of the values of these keys."),
    ("ERROR <string>", "Reply with this error."),
    ("HTSTATS <dbid> [full]", "How the tables of a database are filled."),
    ("HTSTATS-KEY <key> [full]", "How the table is filled that the value of <key> is."),
    ("LOG <message>", "Write <message> into the log."),
    ("OBJECT <key>", "How the value of <key> is kept."),
    ("OOM", "End the process by asking for more memory than there can be."),
    ("PANIC", "End the process by a panic."),
    (
        "PAUSE-CRON <0|1>",
        "With 1 nothing is done by the clock, but for what ends waits and what goes to the disk.",
    ),
    (
        "POPULATE <count> [<prefix>] [<size>]",
        "Make <count> string keys named key:<num> (or <prefix>:<num>), values of <size> bytes if given.",
    ),
    (
        "PROTOCOL <type>",
        "Reply with a test value of <type>: string, integer, double, bignum, null, array, set, map, attrib,\npush, verbatim, true, false.",
    ),
    (
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "Elements of lists that come from now on have nodes of their own from this length on; 0: when no node takes them.",
    ),
    ("LOADAOF", "Bring the append-only log to the disk, empty the dataset, and load the log again."),
    (
        "RELOAD [option ...]",
        "Save a snapshot and load it again. Options: MERGE (keys that are there are replaced), NOFLUSH (they stay),\nNOSAVE (load what is on the disk).",
    ),
    (
        "SET-ACTIVE-EXPIRE <0|1>",
        "With 0 keys expire only when somebody meets them, with 1 also by themselves.",
    ),
    (
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "With 1 RESTORE takes payloads whatever version and checksum they carry.",
    ),
    ("SLEEP <seconds>", "Stop all shards for <seconds>, with decimals if wanted."),
    ("STRINGMATCH-LEN <len> <pattern>", "Whether <pattern> matches the letter a, <len> times."),
];

/// Whether this client may use DEBUG.
pub fn permit(cx: &Cx<'_>) -> Result<(), Error> {
    refusal(cx.env.config, cx.session).map_or(Ok(()), |text| Err(Error::text_of(text)))
}

/// Why a client may not use DEBUG, unless it may.
pub fn refusal(config: &Config, session: &Session) -> Option<&'static str> {
    let allowed = match config.enable_debug_command {
        EnableCommand::Yes => true,
        EnableCommand::Local => session.local || session.unix,
        EnableCommand::No => false,
    };
    const REFUSED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart the server.";
    (!allowed).then_some(REFUSED)
}

/// What fits no subcommand.
fn debug(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    Err(unknown(args))
}

/// The error for a call that no subcommand takes.
pub fn unknown(args: Args<'_>) -> Error {
    Error::text_of(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
        String::from_utf8_lossy(args.at(1))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;

    #[test]
    fn debug_is_off_unless_allowed() {
        let mut world = World::new(1);
        for line in ["DEBUG SLEEP 0", "DEBUG foo", "DEBUG HELP", "DEBUG OBJECT k", "DEBUG DIGEST"] {
            assert!(world.run(line).starts_with("-ERR DEBUG command not allowed. If the enable-"), "{line}");
        }
        assert_eq!(world.run("DEBUG"), "-ERR wrong number of arguments for 'debug' command\r\n");
        world.config.enable_debug_command = EnableCommand::Local;
        assert!(world.run("DEBUG HELP").starts_with("*49\r\n"));
        world.session.local = false;
        assert!(world.run("DEBUG HELP").starts_with("-ERR DEBUG command not allowed."));
    }

    #[test]
    fn what_fits_no_subcommand_gets_redis_error() {
        let mut world = World::new(1);
        world.config.enable_debug_command = EnableCommand::Yes;
        for sub in
            ["JMAP", "object", "object k a", "sleep", "set-active-expire", "populate 1 r 3 4", "digest x"]
        {
            let name = sub.split(' ').next().unwrap_or_default();
            let error = format!(
                "-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.\r\n"
            );
            assert_eq!(world.run(&format!("DEBUG {sub}")), error);
        }
    }
}
