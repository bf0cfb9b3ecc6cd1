//! The service proxy.

fn main() {}
