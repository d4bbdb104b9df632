//! The spans of a connection, a call and a run, with the names of OpenTelemetry's semantic conventions
//! (1.45) where they have one.
//!
//! Names of spans and fields are part of the public contract; they are listed in
//! `docs/guides/operate.md`.

use tracing::{Span, debug_span, field};

use crate::base::endpoint::Endpoint;

/// The gateway's place, as spans name it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            host: endpoint.host().into(),
            port: endpoint.port(),
        }
    }

    /// One attempt, and the connection that comes of it: from the first packet to the last.
    pub(crate) fn connection(&self, attempt: u32) -> Span {
        debug_span!(
            // A connection belongs to the process, not to whoever happened to start the client.
            parent: None,
            "openclaw.connection",
            otel.kind = "client",
            otel.status_code = field::Empty,
            network.transport = "tcp",
            network.protocol.name = "websocket",
            server.address = &*self.host,
            server.port = self.port,
            error.r#type = field::Empty,
            openclaw.attempt = attempt,
            openclaw.connection.id = field::Empty,
            openclaw.protocol = field::Empty,
            openclaw.server.version = field::Empty,
        )
    }

    /// One call, from asking to the last answer.
    pub(crate) fn call(&self, method: &str) -> Span {
        debug_span!(
            "openclaw.call",
            otel.name = method,
            otel.kind = "client",
            otel.status_code = field::Empty,
            rpc.system.name = "openclaw",
            rpc.method = method,
            server.address = &*self.host,
            server.port = self.port,
            error.r#type = field::Empty,
        )
    }

    /// One run of an agent, from its start to its outcome; its calls are inside.
    pub(crate) fn run(&self, run_id: &str, session_key: Option<&str>) -> Span {
        let span = debug_span!(
            "openclaw.run",
            otel.name = "invoke_agent",
            otel.kind = "client",
            otel.status_code = field::Empty,
            gen_ai.operation.name = "invoke_agent",
            gen_ai.provider.name = "openclaw",
            gen_ai.conversation.id = field::Empty,
            server.address = &*self.host,
            server.port = self.port,
            error.r#type = field::Empty,
            openclaw.run.id = run_id,
        );
        if let Some(key) = session_key {
            in_session(&span, key);
        }
        span
    }
}

/// Records the session of a run.
pub(crate) fn in_session(span: &Span, key: &str) {
    span.record("gen_ai.conversation.id", key);
}

/// Says that what the span is about went wrong, and how.
pub(crate) fn failed(span: &Span, how: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", how);
}
