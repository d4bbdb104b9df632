//! What holds on real gateways holds on the mock of the same edition, seen by the same program.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use openclaw_mock_gateway::{Direction, Edition, Frame, MockGateway, ReloadMode};
use openclaw_tests::model::{MockModel, Model};
use openclaw_tests::net::Address;
use openclaw_tests::scenarios::{
    ALL, Gateway, Outcome, Paired, Pending, Place, RUNS, Refused, Reply, Scenario, Secrets, Side,
    adapter_program, run,
};
use serde_json::Value;

/// How long 2026.9.6 tells its clients that it is starting; measured 0.5 to 2 s.
const STARTING: Duration = Duration::from_secs(1);

/// How long to wait for the backend's next question.
const ASKS_WITHIN: Duration = Duration::from_secs(30);

/// Frames that a failure shows.
const SHOWN: usize = 40;

/// A mock in process and an operator who needs no CLI.
struct Mock {
    gateway: MockGateway,
    model: MockModel,
    up: AtomicBool,
}

impl Mock {
    async fn start(edition: Edition, scenario: &Scenario) -> Self {
        let starting = match edition {
            Edition::V2026_9_6 if scenario.name == "gateway-starting" => STARTING,
            _ => Duration::ZERO,
        };
        let gateway = MockGateway::builder()
            .edition(edition)
            .reload(ReloadMode::AsTheEdition)
            .startup_delay(starting)
            .start()
            .await;
        Self {
            model: MockModel::of(&gateway),
            gateway,
            up: AtomicBool::new(true),
        }
    }
}

impl Gateway for Mock {
    fn version(&self) -> &str {
        self.gateway.edition().version()
    }

    fn place(&self, side: Side) -> Place {
        Place {
            url: match side {
                Side::Remote => self.gateway.url(),
                Side::Local => self.gateway.local_url(),
            },
            prefix: Vec::new(),
            headers: Vec::new(),
        }
    }

    fn token(&self) -> String {
        self.gateway.token_on_disk()
    }

    fn can_remove(&self) -> bool {
        self.gateway.edition() == Edition::V2026_9_6
    }

    fn start(&self) -> Reply<'_, ()> {
        Box::pin(async {
            self.gateway.start_again().await?;
            self.up.store(true, Ordering::Relaxed);
            Ok(())
        })
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn ended(&self) -> Reply<'_, String> {
        // It lives in this process and does not end by itself.
        Box::pin(std::future::pending())
    }

    fn stop(&self) -> Reply<'_, ()> {
        Box::pin(async {
            self.gateway.stop().await;
            self.up.store(false, Ordering::Relaxed);
            Ok(())
        })
    }

    fn kill(&self) -> Reply<'_, ()> {
        Box::pin(async {
            self.gateway.kill();
            self.up.store(false, Ordering::Relaxed);
            Ok(())
        })
    }

    fn pending(&self) -> Reply<'_, Vec<Pending>> {
        Box::pin(async {
            let rows = self.gateway.pending().into_iter().map(|row| Pending {
                request_id: row.request_id,
                device_id: row.device_id,
                display_name: row.display_name,
                platform: row.platform,
                scopes: row.scopes,
            });
            Ok(rows.collect())
        })
    }

    fn paired(&self) -> Reply<'_, Vec<Paired>> {
        Box::pin(async {
            let rows = self.gateway.paired().into_iter().map(|row| Paired {
                device_id: row.device_id,
                scopes: row.scopes,
            });
            Ok(rows.collect())
        })
    }

    fn approve<'a>(&'a self, request_id: &'a str) -> Reply<'a, Instant> {
        Box::pin(async move {
            self.gateway.approve(request_id)?;
            Ok(Instant::now())
        })
    }

    fn reject<'a>(&'a self, request_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.gateway.reject(request_id)?) })
    }

    fn remove<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.gateway.remove(device_id)?) })
    }

    fn rotate<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.gateway.rotate(device_id, "operator", None)?) })
    }

    fn revoke<'a>(&'a self, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.gateway.revoke_operator(device_id)?) })
    }

    fn edit_token<'a>(&'a self, token: &'a str) -> Reply<'a, ()> {
        Box::pin(async move { Ok(self.gateway.set_token_on_disk(token)?) })
    }

    fn pass_time(&self, time: Duration) -> Reply<'_, ()> {
        Box::pin(async move {
            self.gateway.advance_clock(time);
            // The connect under way may have been judged before; the one after it is judged now,
            // and done with when another one comes.
            let seen = self.gateway.connects();
            self.gateway
                .wait_for(|now| now.connects >= seen + 2, ASKS_WITHIN)
                .await
                .context("the backend asks again")?;
            Ok(())
        })
    }

    fn refused(&self, why: Refused) -> Reply<'_, usize> {
        let of_the_kind = move |message: &str| match why {
            Refused::ForCredentials => message.starts_with("unauthorized"),
            Refused::AtAll => true,
        };
        let connects =
            |frame: &Frame| frame.direction == Direction::In && frame.json["method"] == "connect";
        let frames = self.gateway.frames();
        let ids: HashSet<(u64, String)> = frames
            .iter()
            .filter(|frame| connects(frame))
            .map(|frame| (frame.connection, frame.json["id"].to_string()))
            .collect();
        let refused = frames
            .iter()
            .filter(|frame| frame.direction == Direction::Out)
            .filter(|frame| ids.contains(&(frame.connection, frame.json["id"].to_string())))
            .filter_map(|frame| frame.json["error"]["message"].as_str())
            .filter(|message| of_the_kind(message))
            .count();
        Box::pin(async move { Ok(refused) })
    }

    fn model(&self) -> Option<&dyn Model> {
        Some(&self.model)
    }

    fn door(&self) -> anyhow::Result<Address> {
        let url = self.gateway.local_url();
        let address = url.strip_prefix("ws://").context("a URL of another kind")?;
        Ok(Address::Tcp(address.parse()?))
    }

    fn emit(&self, event: &str, payload: &Value) -> bool {
        self.gateway.emit(event, payload);
        true
    }

    fn log_tail(&self) -> String {
        let frames = self.gateway.frames();
        let mut tail = String::new();
        for frame in frames.iter().skip(frames.len().saturating_sub(SHOWN)) {
            let arrow = if frame.direction == Direction::In {
                "<-"
            } else {
                "->"
            };
            let text: String = frame.json.to_string().chars().take(240).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(tail, "    {} {arrow} {text}", frame.connection);
        }
        tail
    }
}

/// Plays one scenario on a mock of its own.
async fn holds(edition: Edition, name: &str) -> anyhow::Result<()> {
    let scenario = ALL
        .iter()
        .chain(RUNS)
        .find(|scenario| scenario.name == name)
        .with_context(|| format!("there is no scenario {name}"))?;
    let program = adapter_program()?;
    let gateway: Arc<dyn Gateway> = Arc::new(Mock::start(edition, scenario).await);
    match run(scenario, &gateway, &program, &Secrets::default())
        .await
        .outcome
    {
        Outcome::Passed(_) => Ok(()),
        Outcome::Failed(why) => bail!("{}: {why}", scenario.row),
        Outcome::Skipped(_) => {
            // Both sides agree on what this edition cannot show.
            anyhow::ensure!(
                name == "device-removed" && edition == Edition::V2026_2_9,
                "{name} was skipped"
            );
            Ok(())
        }
    }
}

/// How long an approval takes is a fact about real gateways and their CLI; on the mock it would only
/// repeat, twenty times, what the scenario `approval` shows once.
const MEASURED_ONLY: &str = "approval-latency";

macro_rules! scenarios {
    ($($test:ident: $name:literal,)+) => {
        const PLAYED: &[&str] = &[$($name),+];

        mod edition_2026_2_9 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() -> anyhow::Result<()> {
                    super::holds(super::Edition::V2026_2_9, $name).await
                }
            )+
        }

        mod edition_2026_9_6 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() -> anyhow::Result<()> {
                    super::holds(super::Edition::V2026_9_6, $name).await
                }
            )+
        }
    };
}

scenarios! {
    a_new_remote_backend_waits_for_the_request_the_operator_sees: "first-start",
    an_approved_backend_is_ready_by_itself_and_keeps_its_device_token: "approval",
    a_request_nobody_approves_for_five_minutes_is_still_approvable: "nobody-approves",
    a_rejected_backend_asks_anew: "rejected",
    a_restarted_backend_needs_no_approval: "backend-restart",
    two_connections_with_one_identity_are_both_live: "two-connections",
    a_gateway_stopped_and_started_gets_its_backend_back: "gateway-sigterm",
    a_gateway_killed_and_started_gets_its_backend_back: "gateway-sigkill",
    a_backend_waits_for_a_gateway_that_is_starting: "gateway-starting",
    a_wrong_token_stops_a_device_never_approved: "wrong-token-new-device",
    an_approved_device_comes_in_by_its_own_token: "wrong-token-approved-device",
    a_rewritten_token_file_is_enough: "token-file",
    a_backend_without_a_token_does_not_dial: "no-token",
    a_changed_shared_token_does_not_lock_an_approved_device_out: "shared-token-changes",
    a_removed_device_asks_for_approval_again: "device-removed",
    a_rotated_or_revoked_token_is_replaced: "token-rotated-revoked",
    more_scopes_than_approved_are_asked_for: "more-scopes",
    a_lost_state_directory_means_a_new_identity: "state-deleted",
    the_gateways_own_loopback_needs_no_approval: "own-loopback",
    either_signature_version_is_enough: "signature-version",
    what_the_model_streams_is_what_the_run_says: "streams",
    a_cut_connection_costs_a_run_nothing: "cuts",
    a_paragraph_said_twice_is_shown_as_the_edition_shows_it: "repeats",
    a_run_is_drained_or_lost_when_the_gateway_stops: "run-sigterm",
    a_run_has_one_honest_end_when_the_gateway_is_killed: "run-sigkill",
    one_key_is_one_run_for_everybody_who_has_it: "same-key",
    a_model_that_fails_fails_the_run: "failing-models",
    a_run_that_nobody_wants_any_more_is_aborted: "aborts",
    a_tool_is_seen_from_its_start_to_its_result: "tool-events",
    what_a_scope_forbids_is_asked_once_and_not_in_a_loop: "read-only",
    a_call_that_no_gateway_would_read_is_not_sent: "max-payload",
    a_consumer_that_sleeps_slows_nobody: "sleeping-consumer",
    a_watch_outlives_twenty_restarts: "subscription-restarts",
}

#[test]
fn every_scenario_is_played_on_the_mock_or_left_out_by_name() {
    let missing: Vec<&str> = ALL
        .iter()
        .chain(RUNS)
        .map(|scenario| scenario.name)
        .filter(|name| !PLAYED.contains(name) && *name != MEASURED_ONLY)
        .collect();
    assert!(missing.is_empty(), "not played on the mock: {missing:?}");
}
