//! kring-server: reads its configuration, starts, and says in one line why if it cannot.

#![forbid(unsafe_code)]

use kring::config::{Start, from_args};
use kring::server::BootError;
use kring::storage::aof::Form;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: kring::base::heap::Allocator = kring::base::heap::Allocator;

fn main() -> ExitCode {
    die_of_panics();
    let args = std::env::args_os().skip(1).map(|arg| arg.into_string()).collect::<Result<Vec<_>, _>>();
    let args = match args {
        Ok(args) => args,
        Err(arg) => {
            eprintln!("kring-server: arguments must be UTF-8 text, and {} is not", arg.display());
            return ExitCode::FAILURE;
        }
    };
    let loaded = match from_args(&args, &mut std::io::stdin()) {
        Ok(Start::Run(loaded)) => *loaded,
        Ok(Start::CheckRdb(path)) => return kring::server::check_rdb(&path),
        Ok(Start::CheckAof { path, fix }) => return kring::server::check_aof(&path, fix),
        Ok(Start::AofToResp(path)) => return kring::server::show_aof(&path, Form::Resp),
        Ok(Start::AofToText(path)) => return kring::server::show_aof(&path, Form::Text),
        Ok(Start::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(fatal) => {
            eprint!("{}", fatal.0);
            return ExitCode::FAILURE;
        }
    };
    match kring::server::serve(loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(BootError::Config(fatal)) => {
            eprint!("{}", fatal.0);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("kring-server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A panic in any thread is the end of the process, in builds that unwind too: half a server serves nobody.
fn die_of_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}
