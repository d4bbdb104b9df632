//! A gateway goes, and everybody comes back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::Client;
use openclaw_mock_gateway::ReloadMode;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Door, Knock, SECRET, adapter, address, gateway, official};
use crate::virtual_time::on_virtual_time;

/// Whose clients they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// Adapters.
    Adapter,
    /// Clients with the official client's policy.
    Official,
}

/// What happens to the gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// It restarts in process: everybody is told, and it is up again at once.
    Restart,
    /// It is killed, and is back after this long.
    Crash(Duration),
    /// It restarts, and says for this long that it is starting.
    Starting(Duration),
    /// Its shared token is changed while it runs: every session ends, and only a client with a token
    /// of its own comes back.
    SecretChanged,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart => f.write_str("restarted"),
            Self::Crash(time) => write!(f, "killed, back after {time:?}"),
            Self::Starting(time) => write!(f, "restarted, starting for {time:?}"),
            Self::SecretChanged => f.write_str("given another token"),
        }
    }
}

/// What a restart looked like from the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Attempts while nobody listened.
    pub in_vain: usize,
    /// Sockets accepted.
    pub accepted: usize,
    /// The most sockets accepted in any second.
    pub peak_second: usize,
    /// The most sockets accepted in any ten milliseconds.
    pub peak_instant: usize,
    /// From the gateway's return until half of the clients are back.
    pub half_back: Duration,
    /// The same for all of them.
    pub all_back: Duration,
}

/// Raises the storm, on virtual time: `clients` are connected, the gateway goes, and comes back.
#[must_use]
pub fn restart(clients: usize, policy: Policy, outage: Outage) -> Figures {
    on_virtual_time(async move {
        let starting = match outage {
            Outage::Starting(time) => time,
            _ => Duration::ZERO,
        };
        let gateway = gateway()
            .startup_delay(starting)
            .reload(ReloadMode::AsTheEdition);
        let gateway = Arc::new(gateway.build());
        let door = Door::new(&gateway);
        sleep(starting).await;

        let mut adapters = Vec::new();
        let mut others = JoinSet::new();
        for client in 0..clients {
            if policy == Policy::Adapter {
                let config = adapter(&door, client, address(client), SECRET);
                adapters.push(Client::start(config.build().expect("a configuration")));
            } else {
                others.spawn(official::run(Arc::clone(&door), client, address(client)));
            }
        }
        let is_full = async |step| {
            let began = Instant::now();
            let mut half = None;
            loop {
                let live = gateway.live();
                if live * 2 >= clients {
                    half.get_or_insert_with(|| began.elapsed());
                }
                if live == clients {
                    return (half.unwrap_or_default(), began.elapsed());
                }
                sleep(step).await;
            }
        };
        is_full(Duration::from_millis(100)).await;
        // Long enough for every back-off to start over.
        sleep(Duration::from_secs(120)).await;
        door.take();

        match outage {
            Outage::Restart | Outage::Starting(_) => {
                gateway
                    .restart()
                    .await
                    .expect("no listener that could fail");
            }
            Outage::SecretChanged => {
                gateway
                    .set_token_on_disk("another-token")
                    .expect("in memory");
                while gateway.live() == clients {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            Outage::Crash(time) => {
                door.open(false);
                gateway.kill();
                sleep(time).await;
                gateway
                    .start_again()
                    .await
                    .expect("no listener that could fail");
                door.open(true);
            }
        }
        let (half_back, all_back) = is_full(Duration::from_millis(1)).await;
        let knocks = door.take();
        let accepted: Vec<Instant> = knocks
            .iter()
            .filter(|knock| knock.is_open)
            .map(at)
            .collect();
        Figures {
            in_vain: knocks.len() - accepted.len(),
            accepted: accepted.len(),
            peak_second: peak(&accepted, Duration::from_secs(1)),
            peak_instant: peak(&accepted, Duration::from_millis(10)),
            half_back,
            all_back,
        }
    })
}

const fn at(knock: &Knock) -> Instant {
    knock.at
}

/// The most that fall into any window of this length.
fn peak(times: &[Instant], window: Duration) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (index, time) in times.iter().enumerate() {
        while *time - times[from] >= window {
            from += 1;
        }
        most = most.max(index + 1 - from);
    }
    most
}
