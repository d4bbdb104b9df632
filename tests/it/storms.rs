//! Many clients and one gateway, on virtual time.

use std::time::Duration;

use openclaw_tests::storm::{Flap, Outage, Policy, Strictness, flapping, restart, wrong_token};
use openclaw_tests::tier;

const SECOND: Duration = Duration::from_secs(1);

fn clients() -> usize {
    usize::try_from(tier::size("STORM", 200, 1_000)).unwrap()
}

#[test]
fn a_fleet_comes_back_spread_out_and_soon() {
    let outage = Outage::Crash(10 * SECOND);
    let clients = clients();
    let ours = restart(clients, Policy::Adapter, outage);
    println!("{ours:?}");
    assert_eq!(ours.accepted, clients, "nobody has to come twice");
    assert!(ours.peak_second <= clients / 4, "{ours:?}");
    assert!(ours.peak_instant <= clients / 50, "{ours:?}");
    assert!(ours.all_back <= 30 * SECOND, "{ours:?}");

    // What is avoided: everybody in the same instant.
    let theirs = restart(clients, Policy::Official, outage);
    println!("{theirs:?}");
    assert_eq!(theirs.peak_instant, clients);
}

#[test]
fn a_restart_in_process_is_taken_up_within_a_second_and_not_in_one_instant() {
    let clients = clients();
    let ours = restart(clients, Policy::Adapter, Outage::Restart);
    println!("{ours:?}");
    assert!(ours.all_back <= SECOND, "{ours:?}");
    assert!(ours.peak_instant <= clients / 20, "{ours:?}");
}

#[test]
fn a_gateway_that_starts_is_asked_as_rarely_as_it_wants_and_not_in_one_instant() {
    let clients = clients();
    let ours = restart(clients, Policy::Adapter, Outage::Starting(3 * SECOND));
    println!("{ours:?}");
    assert!(ours.accepted <= clients * 7, "{ours:?}");
    assert!(ours.peak_instant <= clients / 20, "{ours:?}");
    assert!(ours.all_back <= 5 * SECOND, "{ours:?}");
}

#[test]
fn a_wrong_token_costs_a_gateway_one_attempt_of_each_client() {
    let counts = wrong_token(clients(), Strictness::Strangers, 3600 * SECOND);
    assert!(counts.iter().all(|&count| count == 1), "{counts:?}");
}

#[test]
fn an_outdated_fleet_costs_a_gateway_two_attempts_of_each_client() {
    let counts = wrong_token(clients(), Strictness::Outdated, 3600 * SECOND);
    assert!(counts.iter().all(|&count| count == 2), "{counts:?}");
}

#[test]
fn clients_that_are_locked_out_for_others_failures_wait_ever_longer() {
    let counts = wrong_token(100, Strictness::OneAddress, 3600 * SECOND);
    // One, two, three, four minutes, then five.
    assert!(counts.iter().all(|&count| count <= 15), "{counts:?}");
}

#[test]
fn a_gateway_that_throws_everybody_out_is_not_hammered() {
    for flap in Flap::ALL {
        let count = flapping(flap, 600 * SECOND);
        println!("{flap:?}: {count}");
        assert!((15..=35).contains(&count), "{flap:?}: {count}");
    }
}
