//! The reconnect demo.
fn main() {}
