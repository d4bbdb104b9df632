//! The gateways of all customers. This is the part to copy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_adapter::{Client, ConfigBuilder, ConnectionState, FileStore, WhenDown};

/// The time that a customer's runs have to end once it is stopped.
const PATIENCE: Duration = Duration::from_secs(8);

/// A client per customer, each with an identity of its own.
///
/// The gateways would accept one identity for all. But then a leak of one customer's state directory
/// would expose the devices of all customers.
pub(crate) struct Gateways {
    dir: PathBuf,
    clients: Mutex<BTreeMap<String, Client>>,
}

impl Gateways {
    /// `dir` gets a folder per customer. It has to survive the process: put it on a volume.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            clients: Mutex::default(),
        }
    }

    /// Connects a customer's gateway and keeps it connected. It waits in the background for a gateway that
    /// is down or requires an approval.
    pub(crate) fn start(&self, customer: &str, config: ConfigBuilder) -> anyhow::Result<()> {
        // The name becomes a folder.
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(
            !customer.is_empty() && customer.chars().all(is_plain),
            "{customer:?} is not a valid name of a customer"
        );
        let mut clients = self.clients();
        ensure!(
            !clients.contains_key(customer),
            "{customer} is already started"
        );
        let config = config
            .store(FileStore::new(self.dir.join(customer)))
            .display_name(format!("backend of {customer}"))
            // Calls to a gateway that is down fail at once, so that they do not pile up.
            .when_down(WhenDown::Fail)
            .build()?;
        clients.insert(customer.to_owned(), Client::start(config));
        Ok(())
    }

    /// A customer's connection: a cheap clone, to be used and dropped.
    pub(crate) fn client(&self, customer: &str) -> anyhow::Result<Client> {
        self.clients()
            .get(customer)
            .cloned()
            .with_context(|| format!("{customer} has no gateway here"))
    }

    pub(crate) fn customers(&self) -> Vec<String> {
        self.clients().keys().cloned().collect()
    }

    /// One line per customer, for a status page: the state of its connection, and the next action.
    pub(crate) fn report(&self) -> Vec<String> {
        let of = |(customer, client): (&String, &Client)| {
            let state = match &*client.state().borrow() {
                ConnectionState::Ready { hello, .. } => format!("ready, {}", hello.server_version),
                ConnectionState::AwaitingApproval { pairing, .. } => {
                    format!("waits for: {}", pairing.approve_command())
                }
                ConnectionState::BackingOff { cause, .. } => format!("tries again: {cause}"),
                ConnectionState::Stopped { reason, .. } => {
                    format!("stopped, {}: {}", reason.kind(), reason.fix())
                }
                _ => "connects".to_owned(),
            };
            format!("{customer}: {state}")
        };
        self.clients().iter().map(of).collect()
    }

    /// Ends a customer's connection, after some time for its runs to end. The identity is kept: a customer
    /// that is started again needs no new approval.
    pub(crate) async fn stop(&self, customer: &str) -> anyhow::Result<()> {
        let client = self.clients().remove(customer);
        let client = client.with_context(|| format!("{customer} has no gateway here"))?;
        client.drain(PATIENCE).await;
        Ok(())
    }

    /// Ends all connections at the same time.
    pub(crate) async fn stop_all(&self) {
        let clients = std::mem::take(&mut *self.clients());
        let drains = clients.values().map(|client| client.drain(PATIENCE));
        futures_util::future::join_all(drains).await;
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
