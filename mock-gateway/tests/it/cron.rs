//! Jobs beyond what was recorded: their times, their runs, their lists.

use std::time::Duration;

use openclaw_mock_gateway::{Edition, Locality, MockGateway, RunScript};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::client::{Ask, Client, Device, accepted, mock};
use crate::runs::{NEW, OLD};

const ADMIN: [&str; 3] = ["operator.read", "operator.write", "operator.admin"];

async fn admin(gateway: &MockGateway) -> Client {
    let device = Device::new(9);
    let mut ask = Ask::new(gateway, &device).without_device();
    ask.scopes = ADMIN.to_vec();
    accepted(gateway, Locality::Local, &ask).await.0
}

fn turn(every_ms: u64) -> Value {
    json!({
        "name": "a turn", "schedule": {"kind": "every", "everyMs": every_ms},
        "sessionTarget": "isolated", "wakeMode": "now", "delivery": {"mode": "none"},
        "payload": {"kind": "agentTurn", "message": "What is new?"},
    })
}

async fn action(client: &mut Client, action: &str) -> Value {
    loop {
        let event = client.event("cron").await;
        if event["payload"]["action"] == action {
            return event["payload"].clone();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_each_time_it_is_due_by_the_script_until_it_is_disabled() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        gateway.script_runs(|request| {
            RunScript::text(format!("{}: {}", request.method, request.message))
        });
        let mut client = admin(&gateway).await;
        let begin = Instant::now();
        let added = client.call("cron.add", turn(60_000)).await["payload"].take();
        for number in 1..=3 {
            let finished = action(&mut client, "finished").await;
            assert_eq!(finished["status"], "ok", "{edition}: {finished}");
            assert_eq!(finished["summary"], "cron: What is new?", "{edition}");
            assert_eq!(begin.elapsed().as_secs(), number * 60, "{edition}");
        }
        let runs = json!({"id": added["id"], "limit": 2});
        let runs = client.call("cron.runs", runs).await["payload"].take();
        assert_eq!(runs["entries"].as_array().map(Vec::len), Some(2));
        let times: Vec<Option<u64>> = [0, 1]
            .map(|index| runs["entries"][index]["runAtMs"].as_u64())
            .to_vec();
        assert!(
            times[0] > times[1],
            "{edition}: the latest comes first: {times:?}"
        );

        let off = json!({"id": added["id"], "patch": {"enabled": false, "name": "off"}});
        let updated = client.call("cron.update", off).await["payload"].take();
        assert_eq!(updated["name"], "off", "{edition}");
        assert_eq!(updated["state"].get("nextRunAtMs"), None, "{edition}");
        let more = timeout(Duration::from_secs(600), action(&mut client, "started"));
        assert!(more.await.is_err(), "{edition}: it still runs");
        let list = client.call("cron.list", json!({})).await["payload"]["jobs"].take();
        let names: Vec<&Value> = list
            .as_array()
            .expect("jobs")
            .iter()
            .map(|job| &job["name"])
            .collect();
        let own = usize::from(edition == NEW);
        assert_eq!(names.len(), own, "{edition}: {names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_gateway_of_the_new_edition_has_a_job_of_its_own() {
    let gateway = mock(NEW);
    let mut client = admin(&gateway).await;
    let id = client.call("cron.add", turn(1000)).await["payload"]["id"].take();
    let list = client.call("cron.list", json!({"limit": 1})).await["payload"].take();
    assert_eq!(
        (&list["total"], &list["nextOffset"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(list["jobs"][0]["id"], id, "the one that is due first");
    let rest = json!({"offset": 1});
    let rest = client.call("cron.list", rest).await["payload"].take();
    let own = &rest["jobs"][0];
    assert_eq!(own["name"], "heartbeat-main");
    assert_eq!(own["payload"], json!({"kind": "heartbeat"}));
    assert_eq!(rest["hasMore"], false);
    let previews = rest["deliveryPreviews"].as_object().expect("previews");
    assert_eq!(previews.len(), 2);
    let status = client.call("cron.status", json!({})).await["payload"].take();
    assert_eq!(status["jobs"], 2);
}

#[tokio::test(start_paused = true)]
async fn jobs_outlive_a_restart_and_follow_a_clock_that_is_moved() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        gateway.script_runs(|_| RunScript::text("Morning."));
        let mut client = admin(&gateway).await;
        let id = client.call("cron.add", turn(3_600_000)).await["payload"]["id"].take();
        gateway.restart().await.expect("restarted");
        let mut client = admin(&gateway).await;
        let list = client.call("cron.list", json!({})).await["payload"]["jobs"].take();
        let there = list
            .as_array()
            .expect("jobs")
            .iter()
            .any(|job| job["id"] == id);
        assert!(there, "{edition}: {list}");
        let begin = Instant::now();
        gateway.advance_clock(Duration::from_secs(3600));
        let started = timeout(Duration::from_secs(5), action(&mut client, "started")).await;
        assert_eq!(started.expect("it runs")["jobId"], id, "{edition}");
        assert!(begin.elapsed() < Duration::from_secs(1), "{edition}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_to_run_a_job_is_answered_at_once_or_at_its_end() {
    for edition in Edition::ALL {
        let gateway = mock(edition);
        let slow = Duration::from_secs(5);
        gateway.script_runs(move |_| RunScript::text("Well.").delay_first(slow));
        let mut client = admin(&gateway).await;
        let id = client.call("cron.add", turn(3_600_000)).await["payload"]["id"].take();
        let begin = Instant::now();
        let run = json!({"id": id, "mode": "force"});
        let answer = client.call("cron.run", run.clone()).await["payload"].take();
        assert_eq!(answer["ok"], true, "{edition}");
        assert_eq!(
            begin.elapsed() >= slow,
            edition == OLD,
            "{edition}: {answer}"
        );
        if edition == NEW {
            let again = client.call("cron.run", run).await["payload"].take();
            assert_eq!(again["reason"], "already-running", "{again}");
        }
        let refused = client.call("cron.run", json!({"id": "none"})).await;
        assert_eq!(refused["ok"], false, "{edition}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_could_never_run_is_refused() {
    let gateway = mock(NEW);
    let mut client = admin(&gateway).await;
    for (params, says) in [
        (
            json!({"name": "x"}),
            "must have required property 'schedule'",
        ),
        (
            json!({
                "name": "x", "schedule": {"kind": "cron", "expr": "99 * * * *"}, "wakeMode": "now",
                "sessionTarget": "main", "payload": {"kind": "systemEvent", "text": "t"},
            }),
            "at /schedule: no next run",
        ),
    ] {
        let answer = client.call("cron.add", params).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(message, format!("invalid cron.add params: {says}"));
    }
}
