//! Outages that last beyond a run's end, requests that are answered by a close, and halves of characters.

use std::time::Duration;

use openclaw_adapter::{LostReason, RunOutcome};
use openclaw_mock_gateway::Edition;
use serde_json::{Value, json};

use super::cuts::with;
use super::road::{Cut, Road};
use super::{NEW, Stage, TEXT, spoken};

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_during_an_outage_is_done_with_its_whole_answer() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            for frame in 2..12 {
                let outage = Cut::Outage(frame, Duration::from_secs(120));
                let (stage, read, made) = with(edition, by_chat, &[outage]).await;
                let place = format!("{edition:?}, chat {by_chat}, frame {frame}: {read:?}");
                assert_eq!(read.outcome.answer(), Some(TEXT), "{place}");
                assert_eq!((stage.begun(), made), (1, 1), "{place}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_answered_by_a_close_is_sent_once_and_the_outcome_says_why() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            for code in [1002, 1003, 1007, 1009] {
                let method = if by_chat { "chat.send" } else { "agent" };
                let cuts = vec![Cut::Close(method, code); 10];
                let (stage, read, made) = with(edition, by_chat, &cuts).await;
                let RunOutcome::Lost { reason, .. } = &read.outcome else {
                    panic!("{read:?}")
                };
                assert!(
                    matches!(reason, LostReason::ConnectionClosed { code: named, .. } if *named == code),
                    "{reason:?}"
                );
                assert_eq!(
                    (stage.begun(), made),
                    (0, 1),
                    "{edition:?} {by_chat} {code}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_character_in_an_answer_or_a_history_takes_nothing_else_away() {
    let half = Cut::Rewrite("three", r"\ud83d");
    let expected = TEXT.replace("three", "\u{fffd}");
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let (_, read, _) = with(edition, by_chat, std::slice::from_ref(&half)).await;
            assert_eq!(read.outcome.answer(), Some(&*expected), "{read:?}");
            assert_eq!(read.text, expected);
        }
    }
    let stage = Stage::new(NEW, spoken);
    let road = Road::default();
    road.cut(half);
    let client = road.client(&stage.gateway);
    let mut run = client.agent().run("tests", "hi").start();
    assert_eq!(run.outcome().await.answer(), Some(&*expected));
    let session_key = run.session_key().unwrap().to_owned();
    let history: Value = client
        .call_raw("chat.history", &json!({"sessionKey": session_key}))
        .await
        .unwrap();
    assert!(history.to_string().contains(&expected), "{history}");
    client.close().await;
}
