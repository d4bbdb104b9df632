//! The published cases, played against a gateway and compared with what a real one answered.
//!
//! A case is a short conversation with a known course: a client connects in some way, perhaps a
//! local operator acts, and everything the gateway sent is kept. The recordings of two real
//! gateways are the fixtures; [`run_case`] plays a case against any [`Target`] and [`compare`]
//! holds the result against the fixture. The client here is made of JSON values and its own
//! signatures, and shares nothing with the adapter or the mock gateway, so a mistake in one of
//! them cannot hide in this.

mod after_hello;
mod client;
mod compare;
mod device;
mod handshake;
mod local;
mod normalise;
mod operator;
mod pairing;
mod script;
mod tokens;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

pub use compare::{Difference, compare, recorded_names};

/// The gateway releases whose answers were recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edition {
    /// 2026.2.9, protocol 3.
    V2026_2_9,
    /// 2026.9.6, protocol 4.
    V2026_9_6,
}

impl Edition {
    /// The version as npm names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2026_2_9 => "2026.2.9",
            Self::V2026_9_6 => "2026.9.6",
        }
    }

    fn protocol(self) -> u32 {
        match self {
            Self::V2026_2_9 => 3,
            Self::V2026_9_6 => 4,
        }
    }
}

/// A running gateway to play cases against; how it was started does not matter here.
#[derive(Clone)]
pub struct Target {
    /// Which recordings it is held to.
    pub edition: Edition,
    /// `ws://host:port` of the gateway, reached in such a way that the client counts as local.
    pub local_url: String,
    /// The same gateway, reached in such a way that the client counts as remote.
    pub remote_url: String,
    /// Headers that a remote client sends on the upgrade, for instance what a trusted proxy adds.
    pub remote_headers: Vec<(String, String)>,
    /// The address under which the gateway sees remote clients.
    pub remote_ip: String,
    /// The gateway's shared token.
    pub token: String,
    /// Nobody else has used this gateway. Lists are then compared whole; otherwise only the rows
    /// of devices that the case itself made are.
    pub fresh: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("edition", &self.edition)
            .field("local_url", &self.local_url)
            .field("remote_url", &self.remote_url)
            .field("remote_ip", &self.remote_ip)
            .field("fresh", &self.fresh)
            .finish_non_exhaustive()
    }
}

/// What a gateway said during one case, normalised as the recordings are: values that differ from
/// run to run are placeholders, and equal placeholders are equal values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaseLog(Value);

impl CaseLog {
    /// The log as JSON.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

macro_rules! names {
    ($with:tt; $($name:ident)+) => {
        /// The names of all cases, in the order in which they were recorded.
        pub const CASES: &[&str] = &[$(stringify!($name)),+];

        /// Calls the given macro once with the names of all cases, so that each can be made a test.
        #[macro_export]
        macro_rules! for_each_case {
            ($with callback:ident) => {
                $with callback! { $($name)+ }
            };
        }
    };
}

names! { $;
    unpaired_remote unpaired_sig_v2 unpaired_sig_v3 unpaired_sig_v1 wrong_token no_token
    signed_with_other_token bad_signature stale_timestamp missing_nonce wrong_nonce
    wrong_device_id no_device unknown_client_id unknown_client_mode unknown_role node_role
    protocol_too_old protocol_too_new protocol_3_only protocol_4_only protocol_3_to_4 extra_param
    missing_client instance_id first_request_not_connect raw_garbage raw_not_frame
    raw_connect_no_id silent_client forwarded_header local_backend local_cli local_wrong_token
    local_cli_then_list pending_is_kept pair_then_connect pair_list_shape device_token_as_token
    device_token_field device_token_with_wrong_shared wrong_device_token wrong_shared_when_paired
    scope_upgrade role_upgrade platform_change approve_unknown reject_then_reconnect
    remove_live_device revoke_live_token pairing_events pairing_scope_needed rpc_errors
    after_garbage after_not_frame after_event after_req_no_id oversize_after_hello tick_event
}

fn more_cases() -> Result<Map<String, Value>> {
    serde_json::from_str(include_str!("../../fixtures/more-cases.json"))
        .context("the file of more cases is not JSON")
}

/// The names of the cases beyond the published ones, which were recorded from the same gateways.
///
/// # Errors
///
/// When their file cannot be read.
pub fn more_names() -> Result<Vec<String>> {
    Ok(more_cases()?.into_iter().map(|(name, _)| name).collect())
}

/// Waits until the gateway lets a local operator in; a new one refuses everybody for a while after
/// it has begun to listen.
///
/// # Errors
///
/// When it has not done so within `limit`; the error says what the last refusal was.
pub async fn ready(target: &Target, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        match operator::Operator::admin(target).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Plays the case `name` against `target` and returns what the gateway said.
///
/// Time limits inside are generous but finite, so a gateway that says nothing ends in an error.
///
/// # Errors
///
/// When the name is unknown, the gateway cannot be reached, or it leaves the course of the case so
/// far that the next step is impossible (for instance a device that is not paired after approval).
pub async fn run_case(target: &Target, name: &str) -> Result<CaseLog> {
    let course = async {
        if let Some(attempt) = handshake::attempt(target, name) {
            return Ok(vec![Value::Array(attempt.play(target).await?.into_log())]);
        }
        match name {
            "first_request_not_connect" | "raw_garbage" | "raw_not_frame" | "raw_connect_no_id" => {
                handshake::first_message(target, name).await
            }
            "silent_client" => handshake::silent_client(target).await,
            "local_cli_then_list" => local::cli_then_list(target).await,
            "pending_is_kept" => pairing::pending_is_kept(target).await,
            "pair_then_connect" => pairing::pair_then_connect(target).await,
            "pair_list_shape" => pairing::pair_list_shape(target).await,
            "scope_upgrade" => pairing::scope_upgrade(target).await,
            "role_upgrade" => pairing::role_upgrade(target).await,
            "platform_change" => pairing::platform_change(target).await,
            "approve_unknown" => pairing::approve_unknown(target).await,
            "reject_then_reconnect" => pairing::reject_then_reconnect(target).await,
            "pairing_events" => pairing::pairing_events(target).await,
            "device_token_as_token" => tokens::as_token(target).await,
            "device_token_field" => tokens::in_its_field(target).await,
            "device_token_with_wrong_shared" => tokens::with_wrong_shared(target).await,
            "wrong_device_token" => tokens::wrong_device_token(target).await,
            "wrong_shared_when_paired" => tokens::wrong_shared_when_paired(target).await,
            "remove_live_device" => tokens::remove_live_device(target).await,
            "revoke_live_token" => tokens::revoke_live_token(target).await,
            "pairing_scope_needed" => after_hello::pairing_scope_needed(target).await,
            "rpc_errors" => after_hello::rpc_errors(target).await,
            "after_garbage" | "after_not_frame" | "after_event" | "after_req_no_id" => {
                after_hello::odd_message(target, name).await
            }
            "oversize_after_hello" => after_hello::oversize(target).await,
            "tick_event" => after_hello::tick(target).await,
            _ => match more_cases()?.get(name) {
                Some(steps) => script::play(target, steps).await,
                None => bail!("there is no case of this name"),
            },
        }
    };
    let mut log = Value::Array(
        course
            .await
            .with_context(|| format!("case {name} of {}", target.edition.as_str()))?,
    );
    normalise::normalise(&mut log, &target.remote_ip);
    Ok(CaseLog(log))
}
