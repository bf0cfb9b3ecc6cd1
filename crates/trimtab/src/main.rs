//! The program `trimtab`; see the library of the same name.

use std::process::ExitCode;

use clap::Parser as _;
use trimtab::cli::Cli;
use trimtab_core::Printable;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trimtab: {}", Printable(&in_words(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. Those whose text an error has in its own are not said twice.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.ends_with(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}
