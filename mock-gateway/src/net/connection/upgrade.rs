//! The upgrade: whether a socket becomes a connection.

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::engine::state::Phase;
use crate::model::connection::Session;
use crate::model::fault::{Point, What};
use crate::model::peer::{Locality, attribute};
use crate::net::connection::{CLOSE_TIMEOUT, Connection};
use crate::wire;
use crate::wire::ws::outbox::{Out, Outbox, Writer};
use crate::wire::ws::upgrade::{Head, accept_response, http_response};

pub(super) async fn answer_http<S>(
    mut stream: S,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let response = http_response(status, headers, body);
    let _ = timeout(CLOSE_TIMEOUT, async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    })
    .await;
}

pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Refused {
    fn new(status: u16, kind: &str, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type".to_owned(), format!("{kind}; charset=utf-8"))];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }
}

/// Decides on an upgrade and registers the connection.
pub(super) fn admit_upgrade(
    engine: &Arc<Engine>,
    locality: Locality,
    head: &Head,
) -> Result<(Connection, Writer), Refused> {
    let facts = engine.facts();
    let plain = |status, body: &str| Refused::new(status, "text/plain", body);
    if let Some(What::Http {
        status,
        headers,
        body,
    }) = engine.lock().faults.at(&Point::Upgrade)
    {
        return Err(Refused {
            status,
            headers,
            body,
        });
    }
    let key = head
        .websocket_key()
        .ok_or_else(|| plain(426, "Upgrade Required"))?;
    let client = attribute(&engine.settings, locality, head).map_err(|_| {
        let body = json!({"error": {
            "message": "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and \
                        make the proxy overwrite or safely rebuild forwarded client headers.",
            "type": "proxy_attribution_required",
        }});
        Refused::new(403, "application/json", body.to_string())
    })?;
    let mut state = engine.lock();
    if matches!(
        state.phase,
        Phase::Draining | Phase::Closing | Phase::Stopped
    ) {
        return Err(plain(503, "Gateway websocket admission closed"));
    }
    let unauthenticated = state.unauthenticated.entry(client.ip).or_default();
    if facts
        .max_preauth_sockets_per_ip
        .is_some_and(|max| *unauthenticated >= max)
    {
        return Err(plain(503, "Too many unauthenticated sockets"));
    }
    *unauthenticated += 1;
    state.next_session += 1;
    let (outbox, writer) = Outbox::new();
    let connection = Connection {
        engine: Arc::clone(engine),
        id: state.next_session,
        outbox: outbox.clone(),
        stop_reading: Arc::new(Notify::new()),
    };
    let nonce = uuid::Uuid::new_v4().to_string();
    outbox.send(Out::Raw(accept_response(key).into_bytes()));
    let now = engine.clock.now_ms();
    let mut payload = json!({"nonce": nonce, "ts": now});
    if !facts.challenge_capabilities.is_empty() {
        payload["capabilities"] = json!(facts.challenge_capabilities);
    }
    let fault = state.faults.at(&Point::Challenge);
    match fault {
        Some(What::ChallengeWithoutTs) => drop(payload["ts"].take()),
        Some(What::ChallengeWithoutNonce) => drop(payload["nonce"].take()),
        _ => {}
    }
    if let Some(members) = payload.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let in_place = fault
        .filter(|what| !matches!(what, What::ChallengeWithoutTs | What::ChallengeWithoutNonce));
    if in_place.is_none() {
        let challenge = wire::event("connect.challenge", &payload, None);
        state.recorder.sent(connection.id, &challenge, now);
        outbox.send(Out::Text(challenge));
    }
    let mut session = Session {
        id: connection.id,
        conn_id: uuid::Uuid::new_v4().to_string(),
        nonce,
        client,
        outbox,
        stop_reading: Arc::clone(&connection.stop_reading),
        held: None,
        live: None,
        seq: 0,
        unauthorized_calls: 0,
        subscriptions: crate::model::subscriptions::Subscriptions::default(),
    };
    if let Some(what) = in_place {
        session.inject(&what);
    }
    state.sessions.insert(connection.id, session);
    Ok((connection, writer))
}
