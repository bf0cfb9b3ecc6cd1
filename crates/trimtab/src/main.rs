//! The program `trimtab`; see the library of the same name.

use std::process::ExitCode;

use clap::Parser as _;
use trimtab::cli::Cli;
use trimtab_core::Printable;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trimtab: {}", Printable(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
