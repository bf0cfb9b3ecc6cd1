//! The daemon's loop against a fake kernel: with time paused, or with the fixture API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod admin;
mod api;
mod audit;
mod bad_input;
mod heals;
mod health_checks;
mod kernel;
mod repair;
mod rig;
mod rounds;
mod startup_taint;
mod traffic;
mod warnings;
