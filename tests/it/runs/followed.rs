//! Runs over good connections, and over gateways that stop.

use std::time::Duration;

use openclaw_adapter::{Error, LostReason, Run, RunItem, RunOutcome, ToolStep};
use openclaw_mock_gateway::{self as mock, Edition};
use serde_json::json;

use super::road::Road;
use super::{NEW, OLD, Stage, TEXT, begin, read, spoken};

#[tokio::test(start_paused = true)]
async fn a_run_tells_its_text_as_it_grows() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let stage = Stage::new(edition, spoken);
            let client = Road::default().client(&stage.gateway);
            let mut run = begin(&client, by_chat);
            let told = read(&mut run).await;
            assert_eq!(told.outcome.answer(), Some(TEXT), "{told:?}");
            let texts = told
                .items
                .iter()
                .filter(|item| matches!(item, RunItem::Text(_)));
            assert!(texts.count() >= 4, "{told:?}");
            let RunOutcome::Done { usage, .. } = told.outcome else {
                panic!()
            };
            // Only the final answer to `agent` tells the tokens, and the history.
            assert!(by_chat || usage.is_some_and(|usage| usage.output == Some(7)));
            client.close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_runs_ten_at_a_time_say_each_their_own() {
    for edition in Edition::ALL {
        let stage = Stage::new(edition, spoken);
        stage.gateway.script_runs(|request| {
            mock::RunScript::text(format!("To {}.", request.message)).deltas(3)
        });
        let client = Road::default().client(&stage.gateway);
        client.ready().await.unwrap();
        for ten in 0..10 {
            let runs = (0..10).map(|one| {
                let message = format!("message {ten}{one}");
                let run = client.agent().run(format!("s{one}"), &message).start();
                (run, message)
            });
            for (mut run, message) in runs.collect::<Vec<_>>() {
                let told = read(&mut run).await;
                assert_eq!(told.outcome.answer(), Some(&*format!("To {message}.")));
                assert_eq!(told.text, format!("To {message}."));
            }
        }
        assert_eq!(client.stats().runs, 0);
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_fails_the_run_in_both_generations() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let stage = Stage::new(edition, || {
                mock::RunScript::silent()
                    .fails("500 fake upstream says 500")
                    .attempts(3)
            });
            let client = Road::default().client(&stage.gateway);
            let mut run = begin(&client, by_chat);
            let told = read(&mut run).await;
            let RunOutcome::Failed { error, .. } = &told.outcome else {
                panic!("{edition:?}, chat {by_chat}: {told:?}")
            };
            assert!(!error.message.is_empty());
            assert!(
                told.items
                    .iter()
                    .any(|item| matches!(item, RunItem::Retrying(_))),
                "{told:?}"
            );
            client.close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_seen_from_start_to_result() {
    let stage = Stage::new(NEW, || {
        mock::RunScript::text("I read it.").tool(
            "read",
            json!({"path":"hello.txt"}),
            "file content\n",
        )
    });
    let client = Road::default().client(&stage.gateway);
    let told = read(&mut begin(&client, false)).await;
    let steps: Vec<_> = told
        .items
        .iter()
        .filter_map(|item| match item {
            RunItem::Tool(tool) => Some(match &tool.step {
                ToolStep::Started { .. } => "started",
                ToolStep::Update { .. } => "update",
                ToolStep::Ended {
                    is_error: false, ..
                } => "ended",
                _ => "other",
            }),
            _ => None,
        })
        .collect();
    assert_eq!(
        (steps.first(), steps.last()),
        (Some(&"started"), Some(&"ended")),
        "{told:?}"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_ends_once_as_aborted() {
    for (edition, by_chat) in [(NEW, false), (NEW, true), (OLD, true)] {
        let stage = Stage::new(edition, || spoken().hangs());
        let client = Road::default().client(&stage.gateway);
        let mut run = begin(&client, by_chat);
        while !matches!(run.next().await.unwrap(), RunItem::Text(_)) {}
        assert!(run.abort().await.unwrap(), "{edition:?}");
        let outcome = run.outcome().await;
        let RunOutcome::Aborted { text, .. } = &outcome else {
            panic!("{edition:?}, chat {by_chat}: {outcome:?}")
        };
        assert!(TEXT.starts_with(&**text) && !text.is_empty());
        assert!(!run.abort().await.unwrap());
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_id_from_two_clients_is_one_run_with_one_outcome() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let stage = Stage::new(edition, spoken);
            let clients = [
                Road::default().client(&stage.gateway),
                Road::default().client(&stage.gateway),
            ];
            let mut runs = Vec::new();
            for client in &clients {
                client.ready().await.unwrap();
                runs.push(if by_chat {
                    client.chat().send("tests", "hi").with_id("k-1").await
                } else {
                    client.agent().run("tests", "hi").with_id("k-1").await
                });
            }
            for run in runs {
                let told = read(&mut run.unwrap()).await;
                assert_eq!(
                    told.outcome.answer(),
                    Some(TEXT),
                    "{edition:?} {by_chat} {told:?}"
                );
                assert_eq!(told.text, TEXT);
            }
            // And once more, when it is over.
            let mut run = if by_chat {
                clients[1].chat().send("tests", "hi").with_id("k-1").start()
            } else {
                clients[1].agent().run("tests", "hi").with_id("k-1").start()
            };
            let told = read(&mut run).await;
            assert_eq!(
                told.outcome.answer(),
                Some(TEXT),
                "{edition:?} {by_chat} {told:?}"
            );
            assert_eq!(stage.begun(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_followed_from_elsewhere_by_its_id() {
    for edition in Edition::ALL {
        let stage = Stage::new(edition, spoken);
        let one = Road::default().client(&stage.gateway);
        let run = one.agent().run("tests", "hi").await.unwrap();
        let other = Road::default().client(&stage.gateway);
        other.ready().await.unwrap();
        let mut attached = Run::attach(&other, run.id(), run.session_key().unwrap());
        // Dropping a run ends the following, not the run.
        drop(run);
        let told = read(&mut attached).await;
        assert_eq!(told.outcome.answer(), Some(TEXT), "{edition:?} {told:?}");
        assert_eq!(stage.begun(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_run_is_an_error_and_no_run() {
    for edition in Edition::ALL {
        let stage = Stage::new(edition, spoken);
        let client = Road::default().client(&stage.gateway);
        let refused = client.agent().run("tests", "hi").param("nonsense", 1).await;
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::Call { .. }), "{error}");
        assert_eq!(client.stats().runs, 0);
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_drains_its_run_on_the_new_generation_and_loses_it_on_the_old_one() {
    for edition in Edition::ALL {
        let stage = Stage::new(edition, || spoken().delay_per_delta(Duration::from_secs(2)));
        let client = Road::default().client(&stage.gateway);
        let mut run = begin(&client, false);
        while !matches!(run.next().await.unwrap(), RunItem::Text(_)) {}
        stage.gateway.stop().await;
        stage.gateway.start_again().await.unwrap();
        let outcome = run.outcome().await;
        if edition == NEW {
            assert_eq!(outcome.answer(), Some(TEXT), "{outcome:?}");
        } else {
            assert!(
                matches!(
                    outcome,
                    RunOutcome::Lost {
                        reason: LostReason::GatewayRestarted,
                        ..
                    }
                ),
                "{outcome:?}"
            );
        }
        assert_eq!(stage.begun(), 1);
        client.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_killed_is_never_asked_twice() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let stage = Stage::new(edition, spoken);
            let client = Road::default().client(&stage.gateway);
            let mut run = begin(&client, by_chat);
            while !matches!(run.next().await.unwrap(), RunItem::Text(_)) {}
            stage.gateway.kill();
            stage.gateway.start_again().await.unwrap();
            let since = tokio::time::Instant::now();
            let outcome = run.outcome().await;
            let place = format!("{edition:?}, chat {by_chat}: {outcome:?}");
            if edition == NEW && by_chat {
                // The gateway goes on with the turn under another id.
                assert!(
                    matches!(
                        outcome,
                        RunOutcome::Done {
                            answered_by: Some(_),
                            ..
                        }
                    ),
                    "{place}"
                );
                assert_eq!(outcome.text(), TEXT);
            } else {
                assert!(matches!(outcome, RunOutcome::Lost { .. }), "{place}");
                assert!(TEXT.starts_with(outcome.text()) && !outcome.text().is_empty());
            }
            assert!(since.elapsed() < Duration::from_secs(1200));
            let frames = stage.gateway.frames();
            let key = |frame: &&mock::Frame| {
                frame.direction == mock::Direction::In
                    && frame.json["params"]["idempotencyKey"] == run.id()
            };
            assert_eq!(frames.iter().filter(key).count(), 1, "{place}");
            client.close().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_closed_lets_go_of_its_runs() {
    let stage = Stage::new(NEW, || spoken().hangs());
    let client = Road::default().client(&stage.gateway);
    let mut run = begin(&client, false);
    while !matches!(run.next().await.unwrap(), RunItem::Text(_)) {}
    client.close().await;
    assert!(matches!(
        run.outcome().await,
        RunOutcome::Lost {
            reason: LostReason::ClientStopped,
            ..
        }
    ));
}
