//! The openclaw-adapter program.
fn main() {}
