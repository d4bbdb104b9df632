//! The session of a run: a whole key, or a name that the gateway's hello completes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::protocol::Hello;

/// The agent of a gateway whose hello names none: OpenClaw's own default. All measured releases name it.
const USUAL_AGENT: &str = "main";

/// The session that a caller names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SessionName {
    /// A whole key: `agent:<agent>:<name>`.
    Key(String),
    /// A name that belongs to the default agent of the gateway, which only its hello tells.
    OfDefaultAgent(String),
}

impl SessionName {
    /// Reads a name without outer blanks, in lower case. Measured: 2026.9.6 makes keys so, 2026.2.9 fails a
    /// run whose key is not.
    pub(crate) fn new(session: &str, agent_id: Option<&str>) -> Self {
        let session = session.trim().to_lowercase();
        match agent_id {
            _ if session.starts_with("agent:") => Self::Key(session),
            Some(agent_id) => Self::Key(key(&agent_id.trim().to_lowercase(), &session)),
            None => Self::OfDefaultAgent(session),
        }
    }

    /// Returns the key on the gateway that said this hello.
    pub(crate) fn resolve(&self, hello: &Hello) -> String {
        match self {
            Self::Key(key) => key.clone(),
            Self::OfDefaultAgent(name) => {
                let defaults = &hello.snapshot["sessionDefaults"]["defaultAgentId"];
                let agent = defaults.as_str().map(str::to_lowercase);
                key(agent.as_deref().unwrap_or(USUAL_AGENT), name)
            }
        }
    }
}

fn key(agent_id: &str, session: &str) -> String {
    format!("agent:{agent_id}:{session}")
}

/// The key of a run's session, empty until a request with it has gone out.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionKey(Arc<Keys>);

#[derive(Debug, Default)]
struct Keys {
    settled: OnceLock<String>,
    /// The key of the latest request, which may not have gone out.
    candidate: Mutex<Option<String>>,
}

impl SessionKey {
    pub(crate) fn known(key: String) -> Self {
        Self(Arc::new(Keys {
            settled: key.into(),
            candidate: Mutex::default(),
        }))
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.settled.get().map(String::as_str)
    }

    /// Notes the key of a request that is about to go out.
    pub(super) fn propose(&self, key: String) {
        *self.candidate() = Some(key);
    }

    /// Records that the latest request may have arrived; returns its key if that is new. Every request from
    /// now on has the same key.
    pub(super) fn settle(&self) -> Option<&str> {
        let key = self.candidate().take()?;
        self.0.settled.set(key).ok()?;
        self.get()
    }

    fn candidate(&self) -> MutexGuard<'_, Option<String>> {
        self.0
            .candidate
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
