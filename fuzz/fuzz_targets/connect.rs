#![no_main]

#[path = "../src/connect.rs"]
mod connect;

libfuzzer_sys::fuzz_target!(|data: &[u8]| connect::connect(data));
