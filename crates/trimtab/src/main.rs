//! The program `trimtab`; see the library of the same name.

use std::process::ExitCode;

use clap::Parser as _;
use trimtab::cli::{Cli, status};

fn main() -> ExitCode {
    status(Cli::parse().execute())
}
