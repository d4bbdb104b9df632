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

/// How long runs may take to end once the service stops. Shorter than what the container's runtime
/// waits before it kills: 30 s in Kubernetes, 10 s with `docker stop`.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long the gateway may take to take a question.
const TAKEN: Duration = Duration::from_secs(5);

/// The routes. All of them share one connection to the gateway.
pub(crate) fn router(client: Client) -> Router {
    Router::new()
        .route("/ask", post(ask))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(client)
}

/// Serves until `stop`. What is under way then may come to its end.
pub(crate) async fn serve(
    listener: TcpListener,
    client: Client,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Drained> {
    let (tell, told) = oneshot::channel::<()>();
    let server = axum::serve(listener, router(client.clone())).with_graceful_shutdown(async {
        let _ = told.await;
    });
    let mut server = tokio::spawn(server.into_future());
    stop.await;

    // From here on no connection is accepted and no run begins. After the patience, runs that are
    // left are told as lost, so that their streams end as well; the gateway goes on with them.
    let _ = tell.send(());
    let left = client.drain(PATIENCE).await;
    // Only somebody who does not read what was asked for can hold the server up now.
    if let Ok(ended) = timeout(Duration::from_secs(1), &mut server).await {
        ended??;
    } else {
        server.abort();
    }
    Ok(left)
}

/// What comes in with `POST /ask`.
#[derive(Deserialize)]
struct Question {
    /// The conversation: the agent remembers what was said in it.
    session: String,
    question: String,
}

/// Streams the agent's answer as server-sent events.
async fn ask(
    State(client): State<Client>,
    Json(asked): Json<Question>,
) -> Result<impl IntoResponse, Refused> {
    let (events, mut unread) = mpsc::channel(16);
    let (tell, told) = oneshot::channel();
    // In a task of its own: whoever asked may go away at any time, and this function ends with them.
    tokio::spawn(async move {
        let run = client.agent().run(asked.session, asked.question);
        match run.within(TAKEN).await {
            Ok(run) => {
                let _ = tell.send(Ok(run.id().to_owned()));
                follow(run, events).await;
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    });
    // Whether the gateway has taken the question, while there is still a status to say it with. With its
    // id and session a run can be followed again, from another process too: `Run::attach`.
    let run_id = told.await.unwrap_or(Err(Error::Closed))?;
    let run_id = [("x-run-id", run_id)];
    let stream = stream::poll_fn(move |cx| unread.poll_recv(cx)).map(Ok::<_, Infallible>);
    Ok((run_id, Sse::new(stream).keep_alive(KeepAlive::default())))
}

/// Tells what the run tells, and stops it when nobody listens any more.
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
    // Dropping the run would leave it to go on, and to cost. 2026.2.9 cannot stop it.
    if let Err(error) = run.abort().await {
        tracing::debug!(%error, run = run.id(), "nobody listens, and it cannot be stopped");
    }
}

/// What a browser is told. The texts of all `text` events are the answer; one with `replaced` takes
/// back what came before it. The last event is `end`.
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

/// Alive: the process answers. A gateway that is away, or an approval that is missing, is nothing
/// that killing this process would mend.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: calls can be made. If not, what stands in the way, and who can do something about it: for probes
/// and operators, not for a port that the world can reach.
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

/// Why a question was not taken.
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
            // The gateway does not want this question.
            Recovery::None | Recovery::FixConfiguration if !ending => StatusCode::BAD_GATEWAY,
            // The gateway is not there or has not let us in; or this process is ending, and
            // another one can answer.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::warn!(%error, "a question was not taken");
        (status, Json(json!({ "error": error.kind() }))).into_response()
    }
}
