//! The botops binary; [`botops::cli`] does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    botops::cli::main(std::env::args_os())
}
