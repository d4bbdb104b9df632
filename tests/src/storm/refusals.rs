//! A gateway that refuses, or lets everybody in and throws them out again.

use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::Client;
use openclaw_mock_gateway::{Fault, Point};
use tokio::time::sleep;

use super::{Door, Knock, SECRET, adapter, address, gateway};
use crate::virtual_time::on_virtual_time;

/// How many clients are refused, and for what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strictness {
    /// They never had the right token.
    Strangers,
    /// They were in, and both the shared token and their own were changed while the gateway was away.
    Outdated,
    /// They never had the right token, and all of them share one address, which is locked out.
    OneAddress,
}

/// How often each of so many clients with a wrong token has knocked, after `time`.
#[must_use]
pub fn wrong_token(clients: usize, strictness: Strictness, time: Duration) -> Vec<usize> {
    on_virtual_time(async move {
        let gateway = Arc::new(gateway().build());
        let door = Door::new(&gateway);
        let place = |client| match strictness {
            Strictness::OneAddress => address(0),
            _ => address(client),
        };
        let secret = match strictness {
            Strictness::Outdated => SECRET,
            _ => "not-the-token",
        };
        let adapters: Vec<Client> = (0..clients)
            .map(|client| {
                let config = adapter(&door, client, place(client), secret);
                Client::start(config.build().expect("a configuration"))
            })
            .collect();
        if strictness == Strictness::Outdated {
            while gateway.live() < clients {
                sleep(Duration::from_millis(100)).await;
            }
            gateway.kill();
            gateway
                .set_token_on_disk("another-token")
                .expect("in memory");
            for device in gateway.paired() {
                gateway
                    .rotate(&device.device_id, "operator", None)
                    .expect("a device that is paired");
            }
            gateway
                .start_again()
                .await
                .expect("no listener that could fail");
            door.take();
        }
        sleep(time).await;
        drop(adapters);
        per_client(&door.take(), clients)
    })
}

fn per_client(knocks: &[Knock], clients: usize) -> Vec<usize> {
    let mut counts = vec![0; clients];
    for knock in knocks {
        counts[knock.client] += 1;
    }
    counts
}

/// When a gateway throws a client out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flap {
    /// Right after it has read the upgrade.
    AtUpgrade,
    /// Instead of its challenge.
    AtChallenge,
    /// Instead of an answer to the connect.
    AtConnect,
    /// Right after hello-ok.
    AtHello,
    /// Right after hello-ok, saying that the session has ended.
    SessionEnded,
}

impl Flap {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AtUpgrade,
        Self::AtChallenge,
        Self::AtConnect,
        Self::AtHello,
        Self::SessionEnded,
    ];

    fn fault(self) -> Fault {
        match self {
            Self::AtUpgrade => Fault::http(503).always(),
            Self::AtChallenge => Fault::close(1011, "").at(Point::Challenge).always(),
            Self::AtConnect => Fault::close(1011, "").at(Point::Connect).always(),
            Self::AtHello => Fault::flapping(),
            Self::SessionEnded => Fault::close(4001, "device removed")
                .at(Point::Hello)
                .always(),
        }
    }
}

/// How often a client knocks at a gateway that throws it out again, in `time`.
#[must_use]
pub fn flapping(flap: Flap, time: Duration) -> usize {
    on_virtual_time(async move {
        let gateway = Arc::new(gateway().build());
        gateway.inject(flap.fault());
        let door = Door::new(&gateway);
        let config = adapter(&door, 0, address(0), SECRET);
        let client = Client::start(config.build().expect("a configuration"));
        sleep(time).await;
        drop(client);
        door.take().len()
    })
}
