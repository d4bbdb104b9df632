//! The openclaw-mock-gateway program.
fn main() {}
