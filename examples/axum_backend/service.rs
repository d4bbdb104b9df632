//! The service. This is the part to copy.

use std::convert::Infallible;
use std::future::IntoFuture as _;
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use openclaw_adapter::{
    Client, ConnectionState, Drained, Error, Recovery, Run, RunItem, RunOutcome, ToolStep,
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The time that runs have to end once the service stops. Shorter than the time before a container's runtime
/// kills: 30 s in Kubernetes, 10 s with `docker stop`.
const PATIENCE: Duration = Duration::from_secs(8);

/// The time that the gateway has to accept a question.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The routes. All of them share one connection to the gateway.
pub(crate) fn router(client: Client) -> Router {
    Router::new()
        .route("/ask", post(ask))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(client)
}

/// Serves until `stop`, then lets active requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    client: Client,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Drained> {
    let (stop_accepting, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(client.clone())).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut server = tokio::spawn(server.into_future());
    stop.await;

    // From here on no connection is accepted and no run begins. When the time is over, runs that are left end
    // as lost, so that their streams end as well; the gateway goes on with them.
    let _ = stop_accepting.send(());
    let left = client.drain(PATIENCE).await;
    // Only a client that does not read its answer can delay the server now.
    if let Ok(ended) = timeout(Duration::from_secs(1), &mut server).await {
        ended??;
    } else {
        server.abort();
    }
    Ok(left)
}

/// The body of `POST /ask`.
#[derive(Deserialize)]
struct Question {
    /// The conversation: the agent remembers its messages.
    session: String,
    question: String,
}

/// Streams the agent's answer as server-sent events.
async fn ask(
    State(client): State<Client>,
    Json(asked): Json<Question>,
) -> Result<impl IntoResponse, Refused> {
    let (events, mut unread) = mpsc::channel(16);
    let (reply, accepted) = oneshot::channel();
    // In a task of its own: the client may disconnect at any time, and this function ends then.
    tokio::spawn(async move {
        let run = client.agent().run(asked.session, asked.question);
        match run.within(ACCEPT_TIMEOUT).await {
            Ok(run) => {
                let _ = reply.send(Ok(run.id().to_owned()));
                follow(run, events).await;
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    });
    // Waits until the gateway has accepted the question, so that a refusal becomes the status of the response.
    // With its id and session a run can be followed again, from another process too: `Run::attach`.
    let run_id = accepted.await.unwrap_or(Err(Error::Closed))?;
    let run_id = [("x-run-id", run_id)];
    let stream = stream::poll_fn(move |cx| unread.poll_recv(cx)).map(Ok::<_, Infallible>);
    Ok((run_id, Sse::new(stream).keep_alive(KeepAlive::default())))
}

/// Forwards the items of a run, and stops the run when the client has disconnected.
async fn follow(mut run: Run, events: mpsc::Sender<Event>) {
    loop {
        let item = tokio::select! {
            item = run.next() => item,
            () = events.closed() => break,
        };
        let Some(item) = item else { return };
        let Some(event) = event_of(item) else {
            continue;
        };
        if events.send(event).await.is_err() {
            break;
        }
    }
    // A dropped run would go on, and cost tokens. 2026.2.9 cannot stop it.
    if let Err(error) = run.abort().await {
        tracing::debug!(%error, run = run.id(), "the client has disconnected, and the run cannot be stopped");
    }
}

/// Makes the event for the browser. The texts of all `text` events are the answer; one with `replaced`
/// replaces those before it. The last event is `end`.
fn event_of(item: RunItem) -> Option<Event> {
    let (name, data) = match item {
        RunItem::Text(more) => (
            "text",
            json!({ "delta": more.delta, "replaced": more.replaced }),
        ),
        RunItem::Tool(tool) => {
            let step = match tool.step {
                ToolStep::Started { .. } => "started",
                ToolStep::Ended {
                    is_error: false, ..
                } => "ended",
                ToolStep::Ended { .. } => "failed",
                _ => return None,
            };
            ("tool", json!({ "name": tool.name, "step": step }))
        }
        RunItem::Retrying(_) => ("status", json!({ "status": "retrying" })),
        RunItem::Interrupted => ("status", json!({ "status": "interrupted" })),
        RunItem::Resumed { .. } => ("status", json!({ "status": "resumed" })),
        RunItem::Ended(outcome) => {
            // A model's or a gateway's error may say more than a browser should see.
            if !matches!(outcome, RunOutcome::Done { .. }) {
                tracing::warn!("a run has {outcome}");
            }
            (
                "end",
                json!({ "outcome": outcome.kind(), "text": outcome.text() }),
            )
        }
        _ => return None,
    };
    Some(Event::default().event(name).data(data.to_string()))
}

/// Liveness: the process answers. Restarting it would not help against a gateway that is down or an approval
/// that is missing.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Readiness: calls can be made. If not, the response has the reason and the fix: for probes and operators,
/// not for a public port.
async fn readyz(State(client): State<Client>) -> Response {
    let state = client.state().borrow().clone();
    let status = if state.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = match state {
        ConnectionState::Ready { hello, .. } => {
            json!({ "state": "ready", "gateway": hello.server_version })
        }
        ConnectionState::AwaitingApproval { pairing, .. } => json!({
            "state": "awaiting_approval",
            "requestId": pairing.request_id,
            "fix": pairing.approve_command(),
        }),
        ConnectionState::BackingOff { cause, .. } => {
            json!({ "state": "backing_off", "cause": cause.to_string() })
        }
        ConnectionState::Stopped { reason, .. } => {
            json!({ "state": "stopped", "kind": reason.kind(), "fix": reason.fix() })
        }
        _ => json!({ "state": "connecting" }),
    };
    (status, Json(body)).into_response()
}

/// The reason why a question was not accepted.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let ending = matches!(error, Error::Draining { .. } | Error::Closed);
        let status = match error.recovery() {
            // Sent, and not answered: asking again might ask twice.
            Recovery::CheckOutcome => StatusCode::GATEWAY_TIMEOUT,
            // The gateway refuses this question.
            Recovery::None | Recovery::FixConfiguration if !ending => StatusCode::BAD_GATEWAY,
            // The gateway is not connected, or this process is ending and another one can answer.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::warn!(%error, "a question was not accepted");
        (status, Json(json!({ "error": error.kind() }))).into_response()
    }
}
