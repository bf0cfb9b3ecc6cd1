//! The program `trimtab`; see the library of the same name.

use std::process::ExitCode;

use clap::Parser as _;
use trimtab::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trimtab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
