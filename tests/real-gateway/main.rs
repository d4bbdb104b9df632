//! Runs the scenarios on real gateways.
fn main() {}
