//! The connection is cut at every frame of a run: it ends as if nothing had happened, and is asked once.

use std::sync::atomic::Ordering;

use openclaw_adapter::{LostReason, RunItem, RunOutcome};
use openclaw_mock_gateway::Edition;

use super::road::{Cut, Road};
use super::{NEW, OLD, Stage, TEXT, Told, begin, read, spoken};

/// One run whose first connection is cut; whether it was.
pub(crate) async fn with(edition: Edition, by_chat: bool, cuts: &[Cut]) -> (Stage, Told, usize) {
    let stage = Stage::new(edition, spoken);
    let road = Road::default();
    for cut in cuts {
        road.cut(cut.clone());
    }
    let client = road.client(&stage.gateway);
    client.ready().await.unwrap();
    let mut run = begin(&client, by_chat);
    let told = read(&mut run).await;
    let made = road.made();
    let stats = client.stats();
    assert_eq!(
        (stats.calls, stats.unanswered),
        (0, 0),
        "something was left"
    );
    client.close().await;
    (stage, told, made)
}

#[tokio::test(start_paused = true)]
async fn a_run_survives_a_cut_at_any_frame_from_the_gateway() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            let mut frame = 0;
            loop {
                let (stage, told, made) = with(edition, by_chat, &[Cut::Down(frame)]).await;
                let place = format!("{edition:?}, chat {by_chat}, frame {frame}: {told:?}");
                assert_eq!(told.outcome.answer(), Some(TEXT), "{place}");
                assert_eq!(told.text, TEXT, "{place}");
                assert_eq!(stage.begun(), 1, "{place}");
                if made == 0 {
                    break;
                }
                frame += 1;
            }
            assert!(frame > 8, "{edition:?}: only {frame} frames");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_survives_a_cut_on_every_connection() {
    for edition in Edition::ALL {
        for by_chat in [false, true] {
            for frames in [2, 3, 5] {
                let cuts = vec![Cut::Down(frames); 12];
                let (stage, told, made) = with(edition, by_chat, &cuts).await;
                assert!(made > 0);
                assert_eq!(
                    told.outcome.answer(),
                    Some(TEXT),
                    "{edition:?} {by_chat} {frames} {told:?}"
                );
                assert_eq!(told.text, TEXT);
                assert_eq!(stage.begun(), 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_arrived_is_sent_again_only_where_keys_are_known() {
    for by_chat in [false, true] {
        let method = if by_chat { "chat.send" } else { "agent" };
        let (stage, told, _) = with(NEW, by_chat, &[Cut::Up(method)]).await;
        assert_eq!(told.outcome.answer(), Some(TEXT), "{told:?}");
        assert_eq!(stage.begun(), 1);

        let (stage, told, _) = with(OLD, by_chat, &[Cut::Up(method)]).await;
        assert!(
            matches!(
                told.outcome,
                RunOutcome::Lost {
                    reason: LostReason::NoTrace,
                    ..
                }
            ),
            "{told:?}"
        );
        assert_eq!(stage.begun.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interruption_is_told() {
    let (_, told, _) = with(NEW, false, &[Cut::Down(8)]).await;
    let marks: Vec<_> = told
        .items
        .iter()
        .filter_map(|item| match item {
            RunItem::Accepted { joined, .. } => Some(format!("accepted {joined}")),
            RunItem::Interrupted => Some("interrupted".to_owned()),
            RunItem::Resumed { restarted, .. } => Some(format!("resumed {restarted}")),
            _ => None,
        })
        .collect();
    assert_eq!(marks, ["accepted false", "interrupted", "resumed false"]);
}
