//! The mock gateway answers every recorded case as the real gateway of its edition did.

use futures_util::StreamExt as _;
use futures_util::stream;
use openclaw_mock_gateway::MockGateway;
use openclaw_tests::conformance::{
    CASES, Edition, Target, compare, more_names, recorded_names, run_case,
};

/// Plays one case against a mock of its own and fails with what is different.
async fn is_answered_as_recorded(edition: Edition, name: &str) {
    if let Err(error) = play(edition, name).await {
        panic!("{error:#}");
    }
}

async fn play(edition: Edition, name: &str) -> anyhow::Result<()> {
    let gateway = MockGateway::builder()
        .edition(edition.as_str().parse()?)
        .start()
        .await;
    let target = Target {
        edition,
        local_url: gateway.local_url(),
        remote_url: gateway.url(),
        remote_headers: Vec::new(),
        remote_ip: "10.77.0.2".to_owned(),
        token: gateway.token(),
        fresh: true,
    };
    let log = run_case(&target, name).await?;
    compare(edition, name, &log)
}

macro_rules! published {
    ($($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                super::is_answered_as_recorded(EDITION, stringify!($name)).await;
            }
        )+
    };
}

mod edition_2026_2_9 {
    use super::Edition;

    const EDITION: Edition = Edition::V2026_2_9;

    openclaw_tests::for_each_case!(published);

    #[tokio::test(flavor = "multi_thread")]
    async fn more_cases_are_answered_as_recorded() {
        super::more_cases(EDITION).await;
    }
}

mod edition_2026_9_6 {
    use super::Edition;

    const EDITION: Edition = Edition::V2026_9_6;

    openclaw_tests::for_each_case!(published);

    #[tokio::test(flavor = "multi_thread")]
    async fn more_cases_are_answered_as_recorded() {
        super::more_cases(EDITION).await;
    }
}

async fn more_cases(edition: Edition) {
    // A few at a time: a gateway that waits for the processor too long gives up on its clients.
    let results: Vec<_> = stream::iter(more_names().unwrap())
        .map(|name| tokio::spawn(async move { play(edition, &name).await }))
        .buffer_unordered(4)
        .collect()
        .await;
    let differences: Vec<_> = results
        .into_iter()
        .filter_map(|result| result.unwrap().err())
        .collect();
    assert!(
        differences.is_empty(),
        "{} cases are answered differently:\n{}",
        differences.len(),
        differences
            .iter()
            .map(|error| format!("{error:#}"))
            .collect::<Vec<_>>()
            .join(
                "
"
            ),
    );
}

#[test]
fn every_recorded_case_is_played() {
    for edition in [Edition::V2026_2_9, Edition::V2026_9_6] {
        let mut played: Vec<_> = CASES.iter().map(|&name| name.to_owned()).collect();
        played.extend(more_names().unwrap());
        played.sort();
        assert_eq!(
            played,
            recorded_names(edition).unwrap(),
            "{}",
            edition.as_str()
        );
    }
}
