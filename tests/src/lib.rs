//! Harness shared by the tests.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod dice;
pub mod model;
pub mod net;
pub mod peer;
pub mod road;
pub mod scenarios;
pub mod schedule;
pub mod sim;
pub mod soak;
pub mod storm;
pub mod tier;
mod virtual_time;

/// The code of the pages that belong to no crate is compiled with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/protocol-mapping.md")]
    mod protocol_mapping {}
    #[doc = include_str!("../../docs/guides/connect.md")]
    mod connect {}
    #[doc = include_str!("../../docs/guides/run-agents.md")]
    mod run_agents {}
    #[doc = include_str!("../../docs/guides/watch.md")]
    mod watch {}
    #[doc = include_str!("../../docs/guides/test-with-the-mock.md")]
    mod test_with_the_mock {}
    #[doc = include_str!("../../mock-gateway/README.md")]
    mod mock_gateway {}
}
