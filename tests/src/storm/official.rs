//! A client with the reconnect policy of the official one, as 2026.9.6 has it: one second, doubled to
//! thirty, no jitter, started over at hello-ok; a starting gateway is asked again exactly when it says.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use super::{Door, SECRET};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How an attempt, or a connection, ended.
enum End {
    /// Without having been let in.
    Failed,
    /// The gateway said when to come back.
    Later(Duration),
    /// After hello-ok.
    Lost,
}

/// Connects again and again, until it is dropped.
pub(super) async fn run(door: Arc<Door>, client: usize, address: IpAddr) {
    let mut delay = FIRST;
    loop {
        let pause = match connect(&door, client, address).await {
            End::Failed => delay,
            End::Later(hint) => hint,
            End::Lost => {
                delay = FIRST;
                delay
            }
        };
        delay = (delay * 2).min(LONGEST);
        sleep(pause).await;
    }
}

async fn connect(door: &Door, client: usize, address: IpAddr) -> End {
    let Ok(stream) = door.enter(client, address) else {
        return End::Failed;
    };
    let Ok((mut socket, _)) = tokio_tungstenite::client_async("ws://gateway/", stream).await else {
        return End::Failed;
    };
    // The challenge.
    let _ = socket.next().await;
    let connect = json!({"type":"req","id":"1","method":"connect","params":{
        "minProtocol":4,"maxProtocol":4,
        "client":{"id":"gateway-client","version":"1","platform":"linux","mode":"backend"},
        "role":"operator","scopes":["operator.read"],"auth":{"token":SECRET}}});
    if socket
        .send(Message::text(connect.to_string()))
        .await
        .is_err()
    {
        return End::Failed;
    }
    let mut is_live = false;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap_or_default();
        if frame["type"] == "res" && frame["ok"] == true {
            is_live = true;
        } else if let Some(ms) = frame["error"]["retryAfterMs"].as_u64() {
            return End::Later(Duration::from_millis(ms));
        }
    }
    if is_live { End::Lost } else { End::Failed }
}
