//! The tests of the service. This is the part to copy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openclaw_adapter::{Config, ConfigBuilder, MemoryStore, Token};
use openclaw_examples::{soon, wait_until};
use openclaw_mock_gateway::{Edition, Fault, MockGateway, On, RunScript, partial_json};
use serde_json::json;

use crate::service::{Summaries, SummaryError, SupportTicket};

const TICKET: SupportTicket<'static> = SupportTicket {
    number: 42,
    revision: 1,
    text: "Everything is printed twice.",
};
const SUMMARY: &str = "A printer prints twice.";

/// Configures a client that counts as remote: it has to be approved.
fn remote(gateway: &MockGateway) -> ConfigBuilder {
    Config::builder()
        .url(gateway.url())
        .token(Token::new(gateway.token()).unwrap())
        .store(MemoryStore::new()) // a new device each time, and nothing on the disk
}

/// Starts a service that counts as local and needs no approval. For tests that are not about pairing.
async fn service_beside(gateway: &MockGateway) -> Summaries {
    let summaries = Summaries::start(remote(gateway).url(gateway.local_url())).unwrap();
    soon("connect", summaries.ready()).await.unwrap();
    summaries
}

#[tokio::test]
async fn a_summary_is_what_the_agent_says_of_the_ticket() {
    for edition in [Edition::V2026_9_6, Edition::V2026_2_9] {
        let gateway = MockGateway::builder().edition(edition).start().await;
        // Dropping the mock fails the test unless the agent was asked just once, and this.
        On::method("agent")
            .with(partial_json(json!({
                "sessionKey": "agent:main:ticket-42",
                "message": "Summarise this ticket in one sentence.\n\nEverything is printed twice.",
            })))
            .respond(RunScript::text(SUMMARY).deltas(3))
            .expect(1)
            .mount(&gateway);
        let summaries = service_beside(&gateway).await;
        assert_eq!(summaries.of(&TICKET).await.unwrap(), SUMMARY);
        summaries.stop().await;
    }
}

#[tokio::test]
async fn a_service_that_nobody_has_approved_is_unavailable_until_somebody_does() {
    let gateway = MockGateway::start().await;
    gateway.script_runs(|_| RunScript::text(SUMMARY));
    let summaries = Summaries::start(remote(&gateway)).unwrap();
    let limit = Duration::from_secs(60);
    let request = gateway.wait_for_pending(limit).await.unwrap();
    assert_eq!(request.display_name.as_deref(), Some("summaries"));
    let refused = summaries.of(&TICKET).await.unwrap_err();
    assert!(matches!(refused, SummaryError::Unavailable(_)), "{refused}");

    gateway.approve(&request.request_id).unwrap();
    soon("connect", summaries.ready()).await.unwrap();
    assert_eq!(summaries.of(&TICKET).await.unwrap(), SUMMARY);
}

#[tokio::test]
async fn two_who_ask_for_the_same_summary_ask_the_agent_once() {
    let gateway = MockGateway::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    gateway.script_runs({
        let asked = Arc::clone(&asked);
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            RunScript::text(SUMMARY)
        }
    });
    let summaries = service_beside(&gateway).await;
    let (one, two) = tokio::join!(summaries.of(&TICKET), summaries.of(&TICKET));
    assert_eq!(one.unwrap(), SUMMARY);
    assert_eq!(two.unwrap(), SUMMARY);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lost_connection_does_not_lose_the_summary_nor_ask_twice() {
    let gateway = MockGateway::start().await;
    On::runs()
        .respond(RunScript::text(SUMMARY).delay_first(Duration::from_millis(500)))
        .expect(1)
        .mount(&gateway);
    let summaries = service_beside(&gateway).await;
    let cut = async {
        let asked = async || Ok(gateway.frames().iter().any(|f| f.json["method"] == "agent"));
        wait_until("the agent was asked", asked).await.unwrap();
        gateway.inject(Fault::drop_connection());
    };
    let (summary, ()) = tokio::join!(summaries.of(&TICKET), cut);
    assert_eq!(summary.unwrap(), SUMMARY);
}

#[tokio::test]
async fn an_agent_that_fails_is_not_taken_for_a_summary() {
    // The old generation sends the model's error as if it were an answer.
    for edition in [Edition::V2026_9_6, Edition::V2026_2_9] {
        let gateway = MockGateway::builder().edition(edition).start().await;
        gateway.script_runs(|_| {
            RunScript::silent()
                .fails("the model is overloaded")
                .attempts(1)
        });
        let summaries = service_beside(&gateway).await;
        let failed = summaries.of(&TICKET).await.unwrap_err();
        assert!(matches!(failed, SummaryError::Failed(_)), "{failed}");
    }
}
