#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openclaw_adapter::__fuzz::node_string(data));
