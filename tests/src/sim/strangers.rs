//! Other clients at the same address, who do not know the token.

use futures_util::{SinkExt as _, StreamExt as _};
use openclaw_mock_gateway::{Locality, MockGateway};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

/// Logs in once with a wrong token; whatever the gateway says to it.
pub(super) async fn knock(gateway: &MockGateway, locality: Locality) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(gateway.serve(theirs, locality));
    let Ok((mut socket, _)) = tokio_tungstenite::client_async("ws://gateway/", ours).await else {
        return;
    };
    let connect = json!({"type":"req","id":"1","method":"connect","params":{
        "minProtocol":3,"maxProtocol":4,
        "client":{"id":"gateway-client","version":"1","platform":"elsewhere","mode":"backend"},
        "role":"operator","scopes":["operator.read"],"auth":{"token":"not-the-token"}}});
    // The challenge.
    let _ = socket.next().await;
    let _ = socket.send(Message::text(connect.to_string())).await;
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Close(_)) {
            return;
        }
    }
}
