//! The botops binary: hands everything to [`botops::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    botops::cli::main(std::env::args_os())
}
