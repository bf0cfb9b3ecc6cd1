//! Checks the documentation: every link has a target, every command line exists, and blocks marked
//! as run do run and print what the page says.

mod blocks;
mod commands;
mod links;
mod pages;
mod runs;
