//! Copies of the list of sessions.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use openclaw_adapter::api::sessions::List;
use openclaw_adapter::{Client, Error, Update};
use tokio::sync::watch;

use super::ledger::Ledger;

/// More than there will be.
const SESSIONS: u32 = 500;

/// The keys that a watch knows.
pub(super) type Keys = Arc<Mutex<BTreeSet<String>>>;

/// Keeps a copy until told to stop; the generation that has no watches has to say so.
pub(super) async fn keep(
    client: Client,
    ledger: Ledger,
    keys: Keys,
    is_old: bool,
    mut stop: watch::Receiver<bool>,
) {
    let mut watch = client.sessions().watch(List::new().limit(SESSIONS));
    let mut resynced = false;
    loop {
        let update = tokio::select! {
            update = watch.next() => update,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        match update {
            Some(Ok(Update::Resync(_))) => resynced = true,
            Some(Ok(Update::Snapshot(list))) => {
                if !resynced {
                    ledger.foul("a snapshot without a Resync before it");
                }
                resynced = false;
                *keys = list.sessions.into_iter().map(|row| row.key).collect();
            }
            Some(Ok(Update::Live(change))) => {
                if resynced {
                    ledger.foul("a change between a Resync and its snapshot");
                }
                keys.extend(change.session_key);
            }
            Some(Err(Error::Unsupported { .. })) if is_old => return,
            other => return ledger.foul(format_args!("a watch told {other:?}")),
        }
    }
}
