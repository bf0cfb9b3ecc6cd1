//! The source of changes against the fixture API server, request by request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod connection;
mod observed;
mod requests;
