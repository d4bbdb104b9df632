//! The other side repeats in its own words what it was told: a careless proxy's error page, or a
//! gateway that wants our secrets in our logs.

use openclaw_adapter::{Client, ConnectionState};
use openclaw_mock_gateway::{Fault, MockGateway};
use openclaw_tests::peer;
use serde_json::json;

use crate::canary::Canaries;
use crate::life::until;
use crate::witness;

/// What [`peer::builder`] logs in with.
const TOKEN: &str = "shared-token-0123";

fn watched(builder: openclaw_adapter::ConfigBuilder) -> Client {
    Client::start(builder.on_state(witness::state).build().unwrap())
}

pub(crate) async fn a_gateway_that_repeats_what_it_was_told() {
    let mut canaries = Canaries::default();
    canaries.add("the shared token", TOKEN.as_bytes());
    let (builder, mut peer) = peer::builder();
    let client = watched(builder);

    let (link, request) = peer.connect().await;
    assert_eq!(request["params"]["auth"]["token"], TOKEN);
    link.close(1011, &format!("no such token: {TOKEN}")).await;
    until(&client, |state| {
        matches!(state, ConnectionState::BackingOff { .. })
    })
    .await;
    client.retry_now();

    let (mut link, request) = peer.connect().await;
    link.answer(&request, peer::hello()).await;
    client.ready().await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw("health", json!({})).await }
    });
    let request = link.request().await;
    let refusal = json!({"code":"INVALID_REQUEST","message":format!("not for {TOKEN}"),
        "details":{"token":TOKEN}});
    link.refuse(&request, refusal).await;
    witness::error(&call.await.unwrap().unwrap_err());
    link.close(1008, &format!("away with {TOKEN}")).await;

    let (mut link, request) = peer.connect().await;
    let refusal = json!({"code":"INVALID_REQUEST",
        "message":format!("unauthorized: gateway token mismatch: {TOKEN}"),
        "details":{"code":"AUTH_TOKEN_MISMATCH","seen":[{"token":TOKEN}],TOKEN:1}});
    link.refuse(&request, refusal).await;
    until(&client, ConnectionState::is_stopped).await;
    witness::error(&client.ready().await.unwrap_err());
    client.close().await;

    let mut said = witness::take();
    // At DEBUG `tungstenite` tells a close reason in the words of the other side. They are 123 bytes at
    // most, and nothing of ours: taking that level out of every `log` as well would be too much.
    let is_other = |line: &&str| {
        !line.contains("tungstenite::protocol Received close frame")
            && !line.contains("tungstenite::protocol Replying to close with")
    };
    said.log = said.log.lines().filter(is_other).collect();
    assert!(said.texts.contains("no such token: ") && said.texts.contains("away with "));
    assert!(said.texts.contains("not for ") && said.texts.contains("mismatch: "));
    said.assert_silence(&canaries);
}

pub(crate) async fn a_proxy_that_repeats_what_it_was_told() {
    let mut canaries = Canaries::default();
    let key = canaries.make("the value of an extra header");
    let gateway = MockGateway::builder().token(TOKEN).start().await;
    let page = format!("<title>403 X-Proxy-Key: {key}</title>");
    let location = format!("/login/{key}?key={key}");
    gateway.inject(Fault::http_with(403, &[("Location", &location)], &page));
    let builder = openclaw_adapter::Config::builder()
        .url(gateway.url())
        .token(openclaw_adapter::Token::new(TOKEN).unwrap())
        .store(openclaw_adapter::MemoryStore::new())
        .header("X-Proxy-Key", &key);
    let client = watched(builder);
    until(&client, ConnectionState::is_stopped).await;
    witness::error(&client.ready().await.unwrap_err());
    client.close().await;

    let said = witness::take();
    assert!(said.texts.contains("403 X-Proxy-Key: "), "{}", said.texts);
    said.assert_silence(&canaries);
}
