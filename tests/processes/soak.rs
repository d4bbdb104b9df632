//! A short soak, in a process of its own: memory and file descriptors are counted by process.

use std::process::Command;

use openclaw_tests::tier;

use super::alone;

#[test]
fn connections_and_events_leave_nothing_behind() {
    let _alone = alone();
    let cycles = tier::size("SOAK_CYCLES", 100, 400).to_string();
    let events = tier::size("SOAK_EVENTS", 20_000, 200_000).to_string();
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--cycles", &cycles, "--events", &events])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&soak.stdout);
    println!("{said}");
    let complaint = String::from_utf8_lossy(&soak.stderr);
    assert!(soak.status.success(), "{said}{complaint}");
}
