//! The command line: `[file] [--name value...]... [-]`, as redis-server takes it.
//!
//! Flags become lines of configuration behind the file's. Which arguments belong to which flag follows Redis and not
//! clap's rules: what follows `--name` at once is its value whatever it looks like, the next `--` starts another
//! flag, and an unknown flag is an unknown directive with a line number. clap knows the flags from the rows and
//! prints them for `--help`.

use super::knob::{Status, knobs};
use super::load::{FatalConfig, Loaded, Loader, read_file};
use super::table::Config;
use super::words::quote;
use clap::{Arg, ArgAction, Command};
use std::io::Read;
use std::path::PathBuf;

/// Bytes of configuration that the standard input may bring.
const MAX_STDIN: u64 = 16 << 20;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Run with this.
    Run(Box<Loaded>),
    /// Print this and end well.
    Print(String),
    /// Check a snapshot and end.
    CheckRdb(PathBuf),
    /// Check a log (a file, a manifest or a directory), cut off what is torn if it shall be mended, and end.
    CheckAof { path: PathBuf, fix: bool },
    /// Print the commands of a log and end.
    AofToResp(PathBuf),
    /// The same, as lines for people.
    AofToText(PathBuf),
}

/// Reads the configuration that `args` (without the program's name) ask for.
pub fn from_args(args: &[String], stdin: &mut dyn Read) -> Result<Start, FatalConfig> {
    match args.first().map(String::as_str) {
        Some("-v" | "--version") => return Ok(Start::Print(version())),
        Some("-h" | "--help") => return Ok(Start::Print(help())),
        Some("--check-rdb") => {
            let [_, file] = args else {
                return Err(FatalConfig("--check-rdb takes one file\n".into()));
            };
            return Ok(Start::CheckRdb(PathBuf::from(file)));
        }
        Some("--check-aof") => {
            let (path, fix) = match args {
                [_, path] if path != "--fix" => (path, false),
                [_, fix, path] | [_, path, fix] if fix == "--fix" => (path, true),
                _ => {
                    let usage = "--check-aof takes [--fix] and one file, manifest or directory\n";
                    return Err(FatalConfig(usage.into()));
                }
            };
            return Ok(Start::CheckAof { path: PathBuf::from(path), fix });
        }
        Some(flag @ ("--aof-to-resp" | "--aof-to-text")) => {
            let [_, path] = args else {
                return Err(FatalConfig(format!("{flag} takes one file, manifest or directory\n")));
            };
            let path = PathBuf::from(path);
            return Ok(if flag == "--aof-to-resp" { Start::AofToResp(path) } else { Start::AofToText(path) });
        }
        _ => {}
    }
    let (file, rest) = match args.split_first() {
        Some((file, rest)) if !file.starts_with('-') => (Some(file), rest),
        _ => (None, args),
    };
    let (from_stdin, flags) = match rest {
        [flags @ .., last] if last == "-" => (true, flags),
        [first, flags @ ..] if first == "-" && file.is_none() => (true, flags),
        flags => (false, flags),
    };
    let path = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file)));
    let mut text = path.as_deref().map(read_file).transpose()?.unwrap_or_default();
    if from_stdin {
        let read = stdin.take(MAX_STDIN).read_to_end(&mut text);
        read.map_err(|error| FatalConfig(format!("Fatal error, can't read the standard input: {error}\n")))?;
    }
    if !flags.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(flag_lines(flags).as_bytes());
    }
    let mut loader = Loader::default();
    loader.read_text(&text)?;
    Ok(Start::Run(Box::new(loader.finish(path)?)))
}

/// Flags as lines of configuration.
fn flag_lines(flags: &[String]) -> String {
    let mut text = String::new();
    let mut wants_value = false;
    for (place, flag) in flags.iter().enumerate() {
        let Some(line) = flag.strip_prefix("--").filter(|_| !wants_value) else {
            text.push_str(&quote(flag));
            text.push(' ');
            wants_value = false;
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        text.push(' ');
        // A bare `--save` switches saving off; a whole line in one argument ("--hz 10") has its value.
        let bare = flags.get(place + 1).is_none_or(|next| next.starts_with("--"));
        if bare && line.eq_ignore_ascii_case("save") {
            text.push_str("\"\"");
        } else {
            wants_value = !line.contains(' ');
        }
    }
    text
}

fn version() -> String {
    format!("kring server v={} bits=64\n", env!("CARGO_PKG_VERSION"))
}

/// The text of `--help`: one flag a row.
pub fn help() -> String {
    let mut command = Command::new("kring-server")
        .about("A Redis-compatible, thread-per-core io_uring data server")
        .override_usage("kring-server [/path/to/redis.conf] [--name value...]... [-]")
        .after_help(
            "A lone - as the last argument reads more configuration from the standard input.\n\n\
             Examples:\n  kring-server --port 7777 --shards 4\n  kring-server /etc/redis/redis.conf --loglevel verbose\n  \
             echo 'maxclients 100' | kring-server -",
        )
        .disable_help_flag(true)
        .arg(Arg::new("config").value_name("FILE").help("Configuration in the syntax of redis.conf"))
        .arg(
            Arg::new("check-rdb")
                .long("check-rdb")
                .value_name("FILE")
                .help("Checks a snapshot and ends: exit code 0 if it is whole, 1 if not, 2 if it cannot be read"),
        )
        .arg(
            Arg::new("check-aof").long("check-aof").value_name("[--fix] FILE|MANIFEST|DIR").num_args(1..).help(
                "Checks a log and ends: exit code 0 if it is whole, 1 if not, 2 if it cannot be read; --fix cuts off the \
                 writes at its end that were under way when the process died",
            ),
        )
        .arg(
            Arg::new("aof-to-resp")
                .long("aof-to-resp")
                .value_name("FILE|MANIFEST|DIR")
                .help("Prints the commands of a log as a client would send them, and ends; exit codes as above"),
        )
        .arg(
            Arg::new("aof-to-text")
                .long("aof-to-text")
                .value_name("FILE|MANIFEST|DIR")
                .help("Prints the commands of a log as lines for people, and ends"),
        )
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::SetTrue).help("Prints this"))
        .arg(Arg::new("version").short('v').long("version").action(ArgAction::SetTrue).help("Prints the version"));
    let defaults = Config::default();
    for knob in knobs() {
        let default = match (knob.get)(&defaults) {
            empty if empty.is_empty() => "empty".into(),
            shown => shown,
        };
        let note = match knob.status {
            Status::Works => String::new(),
            Status::Inert(why) => format!(" No effect: {why}."),
            Status::Pending | Status::Refused => " Not in this release.".into(),
        };
        let text = format!("{}{note} [{}; default: {default}]", knob.doc.trim(), (knob.takes)(&knob.rule));
        let arg = Arg::new(knob.name).long(knob.name).value_name("VALUE").num_args(1..);
        command = command.arg(arg.help(text).help_heading(knob.section));
    }
    command.render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(args: &[&str], stdin: &str) -> Result<Start, FatalConfig> {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
        from_args(&args, &mut stdin.as_bytes())
    }

    fn run(args: &[&str], stdin: &str) -> Loaded {
        match start(args, stdin) {
            Ok(Start::Run(loaded)) => *loaded,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refusal(args: &[&str]) -> String {
        let FatalConfig(error) = start(args, "").expect_err("must be refused");
        error.lines().skip(2).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn flags_take_values_as_redis_takes_them() {
        let config = run(
            &["--port", "7777", "--BIND", "127.0.0.1", "-::1", "--hz 20", "--save", "--timeout", "5"],
            "",
        )
        .config;
        assert_eq!((config.port, config.hz, config.timeout), (7777, 20, 5));
        assert_eq!(config.bind, ["127.0.0.1", "-::1"]);
        assert_eq!(run(&["--requirepass", "--secret"], "").config.requirepass, "--secret");
        assert_eq!(run(&["--unixsocket", "a b\"c"], "").config.unixsocket, "a b\"c");
        assert_eq!(run(&[], "").config.port, 6379);
    }

    #[test]
    fn flags_are_refused_as_redis_refuses_them() {
        let at = "Reading the configuration file, at line";
        for (args, text) in [
            (&["--port"][..], "2|>>> 'port'|wrong number of arguments"),
            (&["--foo", "bar"], "2|>>> 'foo \"bar\"'|Bad directive or wrong number of arguments"),
            (&["--port=12"], "2|>>> 'port=12'|Bad directive or wrong number of arguments"),
            (&["-port", "12"], "2|>>> '\"-port\" \"12\"'|Bad directive or wrong number of arguments"),
            (&["--port", "--hz", "1"], "2|>>> 'port \"--hz\" \"1\"'|wrong number of arguments"),
            (&["--save", "--hz", "zz"], "3|>>> 'hz \"zz\"'|argument couldn't be parsed into an integer"),
            (&["--tls-port", "7"], "2|>>> 'tls-port \"7\"'|not supported by this release of kring"),
        ] {
            assert_eq!(refusal(args), format!("{at} {text}"), "{args:?}");
        }
    }

    #[test]
    fn file_then_stdin_then_flags() {
        let path = std::env::temp_dir().join(format!("kring-flags-{}.conf", std::process::id()));
        std::fs::write(&path, "port 1\nhz 1\ntimeout 1\n").expect("a file");
        let name = path.to_string_lossy();
        let loaded = run(&[&name, "--timeout", "3", "-"], "hz 2\ntimeout 2");
        assert_eq!((loaded.config.port, loaded.config.hz, loaded.config.timeout), (1, 2, 3));
        assert_eq!(loaded.path.as_deref(), Some(path.as_path()));
        assert_eq!(run(&["-"], "port 9").config.port, 9);
        std::fs::remove_file(&path).expect("it was there");
        let FatalConfig(error) = start(&[&name], "").expect_err("missing");
        assert_eq!(
            error,
            format!("Fatal error, can't open config file '{name}': No such file or directory\n")
        );
    }

    #[test]
    fn help_names_every_knob() {
        let Ok(Start::Print(help)) = start(&["--help"], "") else { panic!("help is printed") };
        for knob in knobs() {
            assert!(help.contains(&format!("--{} <VALUE>", knob.name)), "{}", knob.name);
        }
        assert!(matches!(start(&["-v"], ""), Ok(Start::Print(version)) if version.contains("v=")));
    }
}
