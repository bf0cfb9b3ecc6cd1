//! The project's commands: `cargo xtask guest | test | demo | observe | bench | chart | docs | image`.

mod bench;
mod cargo;
mod chart;
mod demo;
mod docs;
mod guest;
mod image;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Trimtab's commands for its developers")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run a command as root on a kernel that has IPVS
    Guest(guest::Arguments),
    /// Run every test of every tier
    Test(test::Arguments),
    /// Show Trimtab at work on a real kernel
    Demo(demo::Arguments),
    /// Let Prometheus watch two nodes with traffic, and ask it every query of the dashboards
    Observe(demo::Arguments),
    /// Measure Trimtab on a real kernel
    Bench(bench::Arguments),
    /// Render the Helm chart and hold it against the tree
    Chart(chart::Arguments),
    /// Build the book and check links and commands in the documentation
    Docs(docs::Arguments),
    /// Make the container image, without a container engine
    Image(image::Arguments),
}

fn main() -> ExitCode {
    let (result, failure) = match Cli::parse().task {
        // A command's own status passes through, so what is not the command's has a number apart.
        Task::Guest(arguments) => (guest::main(&arguments), guest::NO_VERDICT),
        Task::Test(arguments) => (test::main(&arguments), 1),
        Task::Demo(arguments) => (demo::main(&arguments), 1),
        Task::Observe(arguments) => (demo::observe(&arguments), 1),
        Task::Bench(arguments) => (bench::main(&arguments), 1),
        Task::Chart(arguments) => (chart::main(&arguments), 1),
        Task::Docs(arguments) => (docs::main(&arguments), 1),
        Task::Image(arguments) => (image::main(&arguments), 1),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(failure)
        }
    }
}
