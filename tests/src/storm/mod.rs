//! Many clients on one gateway, on virtual time: what they do to it when it comes back, and when it
//! refuses them.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a storm that cannot be raised fails the test that raises it"
)]

mod official;
mod refusals;
mod restart;

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use openclaw_adapter::{
    Config, ConfigBuilder, Connecting, Connection, Connector, MemoryStore, Token,
};
use openclaw_mock_gateway::{Locality, MockGateway, MockGatewayBuilder, Pairing};
use tokio::io::DuplexStream;
use tokio::time::Instant;

pub use self::refusals::{Flap, Strictness, flapping, wrong_token};
pub use self::restart::{Figures, Outage, Policy, restart};

/// The shared token of the gateway.
pub const SECRET: &str = "the-shared-token";

/// One attempt at the gateway's door.
#[derive(Clone, Copy, Debug)]
pub struct Knock {
    /// Which client it was.
    pub client: usize,
    /// When it was.
    pub at: Instant,
    /// Whether somebody listened.
    pub is_open: bool,
}

/// Where the gateway listens, and the list of who came.
#[derive(Debug)]
struct Door {
    gateway: Weak<MockGateway>,
    is_open: AtomicBool,
    knocks: Mutex<Vec<Knock>>,
}

impl Door {
    fn new(gateway: &Arc<MockGateway>) -> Arc<Self> {
        Arc::new(Self {
            gateway: Arc::downgrade(gateway),
            is_open: AtomicBool::new(true),
            knocks: Mutex::default(),
        })
    }

    fn open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// A stream to the gateway, which takes the client for one at `address`.
    fn enter(&self, client: usize, address: IpAddr) -> io::Result<DuplexStream> {
        let gateway = self.gateway.upgrade();
        let gateway = gateway.filter(|_| self.is_open.load(Ordering::Relaxed));
        self.knocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Knock {
                client,
                at: Instant::now(),
                is_open: gateway.is_some(),
            });
        let gateway = gateway.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(gateway.serve(theirs, Locality::Peer(address)));
        Ok(ours)
    }

    /// Who came since the last time this was asked.
    fn take(&self) -> Vec<Knock> {
        std::mem::take(&mut *self.knocks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The way of one adapter to the door.
#[derive(Debug)]
struct Way {
    door: Arc<Door>,
    client: usize,
    address: IpAddr,
}

impl Connector for Way {
    fn connect<'a>(&'a self, _host: &'a str, _port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream = self.door.enter(self.client, self.address)?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}

/// An address of its own for each client, on a private network.
fn address(client: usize) -> IpAddr {
    let number = u32::try_from(client).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::from_bits(0x0a4d_0100 + number))
}

/// A gateway that approves by itself.
fn gateway() -> MockGatewayBuilder {
    MockGateway::builder()
        .token(SECRET)
        .pairing(Pairing::Auto)
        .recording(false)
        .strict(false)
}

fn adapter(door: &Arc<Door>, client: usize, address: IpAddr, secret: &str) -> ConfigBuilder {
    Config::builder()
        .url("ws://10.77.0.1:1")
        .token(Token::new(secret).expect("a token"))
        .store(MemoryStore::new())
        .seed(client as u64)
        .connector(Way {
            door: Arc::clone(door),
            client,
            address,
        })
}
