//! The typed groups against the mock, which answers as gateways of both generations do.

use std::time::Duration;

use openclaw_adapter::api::exec_approvals::{Decided, Decision, Requested};
use openclaw_adapter::api::{cron, models, sessions};
use openclaw_adapter::{
    Client, Config, EventFilter, EventItem, EventPayload, EventStream, MemoryStore, Token,
};
use openclaw_mock_gateway::{Edition, MockGateway};
use serde_json::json;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

async fn gateway(edition: Edition) -> MockGateway {
    MockGateway::builder().edition(edition).start().await
}

async fn connect(gateway: &MockGateway) -> Client {
    let config = Config::builder()
        .url(gateway.local_url())
        .token(Token::new(gateway.token()).unwrap())
        .store(MemoryStore::new())
        .scopes([
            "operator.read",
            "operator.write",
            "operator.admin",
            "operator.approvals",
        ])
        .capabilities(["exec-approvals"])
        .build()
        .unwrap();
    timeout(LIMIT, Client::connect(config))
        .await
        .unwrap()
        .unwrap()
}

/// The next event of this type that is meant.
async fn event<E: EventPayload>(stream: &mut EventStream, is_it: impl Fn(&E) -> bool) -> E {
    let next = async {
        loop {
            match stream.next().await.expect("the stream has ended") {
                EventItem::Event(event) => match event.parse::<E>() {
                    Some(payload) if is_it(payload.as_ref().unwrap()) => return payload.unwrap(),
                    _ => {}
                },
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(LIMIT, next).await.expect("no such event")
}

#[tokio::test]
async fn a_session_is_made_found_renamed_and_deleted() {
    let gateway = gateway(Edition::V2026_9_6).await;
    let client = connect(&gateway).await;
    let group = client.sessions();
    let create = sessions::Create::new().key("agent:main:work").label("Work");
    assert_eq!(group.create(create).await.unwrap().key, "agent:main:work");
    let described = group.describe("agent:main:work").await.unwrap();
    assert_eq!(described.session.unwrap().label.as_deref(), Some("Work"));
    let found = group.resolve(sessions::Resolve::new().label("Work")).await;
    assert_eq!(found.unwrap().key.as_deref(), Some("agent:main:work"));
    let patch = sessions::Patch::new("agent:main:work").label("Play");
    assert_eq!(group.patch(patch).await.unwrap().key, "agent:main:work");
    let list = group.list(sessions::List::new()).await.unwrap();
    assert!(
        list.sessions
            .iter()
            .any(|row| row.label.as_deref() == Some("Play"))
    );
    let deleted = group.delete("agent:main:work").await.unwrap();
    assert_eq!(deleted.deleted, Some(true));
    let again = group.delete("agent:main:work").await.unwrap();
    assert_eq!(again.deleted, Some(false), "it may be done again at will");
}

#[tokio::test]
async fn a_job_is_added_changed_run_and_removed_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = gateway(edition).await;
        let client = connect(&gateway).await;
        let mut events = client.events_where(EventFilter::named([cron::Happened::NAME]));
        let add = cron::Add::new(
            "report",
            cron::Schedule::every_ms(3_600_000),
            cron::Target::Main,
            cron::WakeMode::NextHeartbeat,
            cron::Payload::system_event("look at the numbers"),
        );
        let job = client.cron().add(add).await.unwrap();
        let is_hourly = matches!(
            job.schedule,
            cron::Schedule::Every {
                every_ms: 3_600_000,
                ..
            }
        );
        assert!(is_hourly, "{:?}", job.schedule);
        let is_mine = |happened: &cron::Happened| happened.job_id == job.id;
        let added = event::<cron::Happened>(&mut events, is_mine).await;
        assert_eq!(added.action, cron::Action::Added);

        let patch = cron::JobPatch::new().enabled(false);
        let changed = client.cron().update(&*job.id, patch).await.unwrap();
        assert_eq!(changed.enabled, Some(false));
        let all = cron::List::new().include_disabled(true);
        let list = client.cron().list(all).await.unwrap();
        assert!(list.jobs.iter().any(|one| one.id == job.id));
        let on = client.cron().list(cron::List::new()).await.unwrap();
        assert!(!on.jobs.iter().any(|one| one.id == job.id));

        let due = cron::Run::new(&*job.id).mode(cron::RunMode::Due);
        let ran = client.call(due).await.unwrap();
        assert_eq!(
            (ran.ran, ran.reason.as_deref()),
            (Some(false), Some("not-due"))
        );
        assert!(
            client
                .cron()
                .runs(&*job.id)
                .await
                .unwrap()
                .entries
                .is_empty()
        );
        assert!(client.cron().status().await.unwrap().enabled.unwrap());
        let removed = client.cron().remove(&*job.id).await.unwrap();
        assert_eq!(removed.removed, Some(true));
        let gone = |happened: &cron::Happened| {
            happened.job_id == job.id && happened.action == cron::Action::Removed
        };
        event::<cron::Happened>(&mut events, gone).await;
    }
}

#[tokio::test]
async fn a_command_is_asked_for_seen_and_allowed_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = gateway(edition).await;
        let (asker, approver) = (connect(&gateway).await, connect(&gateway).await);
        let names = [Requested::NAME, Decided::NAME];
        let mut events = approver.events_where(EventFilter::named(names));
        let asking = tokio::spawn(async move {
            let request = json!({"command":"echo hi","host":"gateway","timeoutMs":60_000});
            asker
                .call_raw("exec.approval.request", request)
                .within(LIMIT)
                .await
        });
        let requested = event::<Requested>(&mut events, |_| true).await;
        assert_eq!(requested.request.command, "echo hi");
        let approvals = approver.exec_approvals();
        if edition.protocol() >= 4 {
            let waiting = approvals.list().await.unwrap();
            assert_eq!(waiting[0].id, requested.id);
            let one = approvals.get(&*requested.id).await.unwrap();
            assert!(one.allowed_decisions.contains(&Decision::AllowOnce));
        }
        let resolved = approvals.resolve(&*requested.id, Decision::AllowOnce).await;
        assert_eq!(resolved.unwrap().ok, Some(true));
        let decided = event::<Decided>(&mut events, |_| true).await;
        assert_eq!(
            (decided.id, decided.decision),
            (requested.id, Decision::AllowOnce)
        );
        let answer = asking.await.unwrap().unwrap();
        assert_eq!(answer["decision"], "allow-once");
    }
}

#[tokio::test]
async fn models_agents_health_and_status_answer_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = gateway(edition).await;
        let client = connect(&gateway).await;
        let models = client.models().list(models::List::new()).await.unwrap();
        assert!(models.models.iter().all(|model| !model.id.is_empty()));
        let agents = client.agents().list().await.unwrap();
        assert!(
            agents
                .agents
                .iter()
                .any(|agent| agent.id == agents.default_id)
        );
        let health = client.health().await.unwrap();
        assert_eq!(health.default_agent_id, Some(agents.default_id));
        let status = client.status().await.unwrap();
        assert_eq!(status.runtime_version.is_some(), edition.protocol() >= 4);
    }
}
