//! A short soak, in a process of its own: memory and file descriptors are counted by process.

use std::process::Command;

#[test]
fn connections_and_events_leave_nothing_behind() {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--cycles", "400", "--events", "200000"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&soak.stdout);
    println!("{said}");
    let complaint = String::from_utf8_lossy(&soak.stderr);
    assert!(soak.status.success(), "{said}{complaint}");
}
