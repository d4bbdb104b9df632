//! The backend: a service with its connection. This is the part to copy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use openclaw_adapter::{
    Client, Config, ConfigBuilder, ConnectionState, FileStore, Hello, PairingRequired, StopReason,
    Token,
};

/// A service with a connection to the gateway.
pub(crate) struct Backend {
    client: Client,
    /// The number of approvals that were asked for, since this start.
    asked: Arc<AtomicUsize>,
}

impl Backend {
    /// Starts the connection with values that a service would take from its environment.
    pub(crate) fn start(url: &str, token: &str, state_dir: &Path) -> anyhow::Result<Self> {
        // A real service calls `Config::from_env()?` here and gets the address, the token and the
        // directory from OPENCLAW_GATEWAY_URL, OPENCLAW_GATEWAY_TOKEN and OPENCLAW_ADAPTER_STATE_DIR.
        let config = Config::builder()
            .url(url)
            .token(Token::new(token)?)
            // The identity has to survive the process and its container: put it on a volume.
            .store(FileStore::new(state_dir));
        Self::run(config)
    }

    /// Runs the connection. It never blocks, and never fails because of the gateway: it waits in the
    /// background for a gateway that is down or has not approved this device yet.
    pub(crate) fn run(config: ConfigBuilder) -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let config = config
            // Called once per request that a person has to approve; a place to post it to a chat.
            .on_pairing(move |_request| {
                count.fetch_add(1, Ordering::Relaxed);
            })
            .build()?;
        Ok(Self {
            client: Client::start(config),
            asked,
        })
    }

    /// Returns the handle for calls; clone it where calls are made.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the number of approvals that were asked for, since this start.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns the current connection, if there is one.
    pub(crate) fn hello(&self) -> Option<Arc<Hello>> {
        hello(&self.client.state().borrow())
    }

    /// Waits for another connection than `before`.
    pub(crate) async fn ready_after(&self, before: &Hello) -> anyhow::Result<Arc<Hello>> {
        self.until(|state| hello(state).filter(|hello| hello.conn_id != before.conn_id))
            .await
    }

    /// Waits until the gateway requires an approval, and returns its request.
    pub(crate) async fn awaits_approval(&self) -> anyhow::Result<Arc<PairingRequired>> {
        self.until(|state| match state {
            ConnectionState::AwaitingApproval { pairing, .. } => Some(Arc::clone(pairing)),
            _ => None,
        })
        .await
    }

    /// Waits until the client has stopped, and returns the reason.
    pub(crate) async fn stopped(&self) -> anyhow::Result<StopReason> {
        self.until(|state| match state {
            ConnectionState::Stopped { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    async fn until<T>(&self, wanted: impl Fn(&ConnectionState) -> Option<T>) -> anyhow::Result<T> {
        let mut state = self.client.state();
        loop {
            {
                let now = state.borrow_and_update();
                if let Some(found) = wanted(&now) {
                    return Ok(found);
                }
                if let ConnectionState::Stopped { reason, .. } = &*now {
                    bail!("the client has stopped: {reason}");
                }
            }
            state.changed().await?;
        }
    }

    /// Ends the service.
    pub(crate) async fn stop(self) {
        self.client.close().await;
    }
}

fn hello(state: &ConnectionState) -> Option<Arc<Hello>> {
    match state {
        ConnectionState::Ready { hello, .. } => Some(Arc::clone(hello)),
        _ => None,
    }
}
