//! The documentation against the program and against itself: every link leads somewhere, every
//! command line exists, what is marked as run runs and prints what the page says.

mod blocks;
mod commands;
mod links;
mod pages;
mod runs;
