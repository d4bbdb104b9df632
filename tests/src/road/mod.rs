//! The road between a client and a gateway, which a test can break.
//!
//! The gateway stays as it is: only the connections that pass here are cut, at any byte, so that a
//! frame may arrive in part. What clients ask for on the way is counted.

mod frames;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use self::frames::Reader;
use crate::net::{Address, Stream};

/// Leads from a port of its own to a gateway, until it is dropped.
#[derive(Debug)]
pub struct Road {
    address: SocketAddr,
    traffic: Arc<Traffic>,
    task: AbortHandle,
}

#[derive(Debug, Default)]
struct Traffic {
    /// The number of the last cut; connections that are older than it end.
    cuts: watch::Sender<u64>,
    /// Bytes that may still come from the gateway before the next cut; `u64::MAX` is no cut.
    left: Mutex<Option<u64>>,
    asked: Mutex<HashMap<String, usize>>,
    connections: AtomicU64,
    mid_frame: AtomicU64,
}

impl Road {
    /// Opens a road to a gateway.
    ///
    /// # Errors
    ///
    /// Where no port is free.
    pub async fn to(gateway: Address) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let traffic = Arc::new(Traffic::default());
        let serving = Arc::clone(&traffic);
        let task = tokio::spawn(async move {
            let mut passing = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => {
                            let (traffic, gateway) = (Arc::clone(&serving), gateway.clone());
                            passing.spawn(async move { traffic.lead(client, &gateway).await });
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the road cannot accept a connection");
                            return;
                        }
                    },
                    Some(_) = passing.join_next() => {}
                }
            }
        });
        Ok(Self {
            address,
            traffic,
            task: task.abort_handle(),
        })
    }

    /// What a client dials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts all connections now, without a word to either end.
    pub fn cut(&self) {
        *self.traffic.left() = None;
        self.traffic.cut();
    }

    /// Cuts all connections after so many more bytes from the gateway, of all connections together.
    pub fn cut_after(&self, bytes: u64) {
        *self.traffic.left() = Some(bytes);
    }

    /// Takes back a cut that has not come.
    pub fn spare(&self) {
        *self.traffic.left() = None;
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.traffic.connections.load(Ordering::Relaxed)
    }

    /// Cuts so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        *self.traffic.cuts.borrow()
    }

    /// Of them, how often a frame of the gateway arrived in part.
    #[must_use]
    pub fn cuts_within_a_frame(&self) -> u64 {
        self.traffic.mid_frame.load(Ordering::Relaxed)
    }

    /// Changes with every cut.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.traffic.cuts.subscribe()
    }

    /// How many requests of this method have left clients so far.
    #[must_use]
    pub fn asked(&self, method: &str) -> usize {
        self.traffic.asked().get(method).copied().unwrap_or(0)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Traffic {
    fn left(&self) -> MutexGuard<'_, Option<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn lead(&self, client: TcpStream, gateway: &Address) {
        // Nobody there: the client sees the connection end, as it would behind a proxy.
        if let Ok(upstream) = gateway.connect().await
            && client.set_nodelay(true).is_ok()
        {
            self.pass(client, upstream).await;
        }
    }

    /// Passes everything on between the two, until the next cut.
    async fn pass(&self, client: impl Stream, gateway: impl Stream) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut cuts = self.cuts.subscribe();
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_gateway, mut to_gateway) = tokio::io::split(gateway);
        let passing = async {
            let out = async {
                // What the gateway said before it stopped reading still has to arrive.
                let _ = self.out(&mut from_client, &mut to_gateway).await;
                Ok(())
            };
            // A gateway that is gone takes both directions along, or the client would wait for it.
            tokio::try_join!(out, self.back(&mut from_gateway, &mut to_client))
        };
        tokio::select! {
            biased;
            // Both ends are dropped where they are.
            _ = cuts.changed() => {}
            _ = passing => {}
        }
    }

    /// From the client to the gateway, reading along.
    async fn out(
        &self,
        client: &mut (impl AsyncRead + Unpin),
        gateway: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut reader = Reader::default();
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = client.read(&mut bytes).await?;
            if read == 0 {
                return gateway.shutdown().await;
            }
            for method in reader.methods(&bytes[..read]) {
                *self.asked().entry(method).or_default() += 1;
            }
            gateway.write_all(&bytes[..read]).await?;
        }
    }

    /// From the gateway to the client, as far as the next cut lets it.
    async fn back(
        &self,
        gateway: &mut (impl AsyncRead + Unpin),
        client: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut reader = Reader::default();
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = gateway.read(&mut bytes).await?;
            if read == 0 {
                return client.shutdown().await;
            }
            let (pass, ends) = self.allowed(read);
            reader.pass(&bytes[..pass]);
            client.write_all(&bytes[..pass]).await?;
            if ends {
                if reader.within_a_frame() {
                    self.mid_frame.fetch_add(1, Ordering::Relaxed);
                }
                self.cut();
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// How many of so many bytes may pass, and whether the cut comes after them.
    fn allowed(&self, bytes: usize) -> (usize, bool) {
        let mut left = self.left();
        let Some(rest) = *left else {
            return (bytes, false);
        };
        match usize::try_from(rest) {
            Ok(rest) if rest <= bytes => {
                *left = None;
                (rest, true)
            }
            _ => {
                *left = Some(rest - bytes as u64);
                (bytes, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Something that sends everybody the same bytes and keeps the connection.
    async fn speaker(bytes: &'static [u8]) -> anyhow::Result<(Road, AbortHandle)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(bytes).await;
                held.push(stream);
            }
        });
        Ok((Road::to(Address::Tcp(address)).await?, task.abort_handle()))
    }

    #[tokio::test]
    async fn a_cut_lets_exactly_so_many_bytes_through() -> anyhow::Result<()> {
        let (road, speaker) = speaker(b"HTTP/1.1 101\r\n\r\n\x81\x05hello").await?;
        road.cut_after(19);
        let mut client = TcpStream::connect(road.address).await?;
        let mut arrived = Vec::new();
        // However the connection ends, nothing follows.
        let _ = timeout(SOON, client.read_to_end(&mut arrived)).await?;
        assert_eq!(arrived, b"HTTP/1.1 101\r\n\r\n\x81\x05h");
        assert_eq!((road.cuts(), road.cuts_within_a_frame()), (1, 1));
        speaker.abort();
        Ok(())
    }

    #[tokio::test]
    async fn a_gateway_that_resets_a_connection_ends_the_clients() -> anyhow::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let road = Road::to(Address::Tcp(listener.local_addr()?)).await?;
        let mut client = TcpStream::connect(road.address).await?;
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
        let (gateway, _) = timeout(SOON, listener.accept()).await??;
        // With something unread, its end is a reset.
        timeout(SOON, gateway.readable()).await??;
        drop(gateway);
        let ended = timeout(SOON, client.read_u8()).await?;
        assert!(ended.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_cut_ends_every_connection_and_none_that_comes_later() -> anyhow::Result<()> {
        let (road, speaker) = speaker(b"x").await?;
        let mut first = TcpStream::connect(road.address).await?;
        timeout(SOON, first.read_u8()).await??;
        road.cut();
        let ended = timeout(SOON, first.read_u8()).await?;
        assert!(ended.is_err());
        let mut second = TcpStream::connect(road.address).await?;
        assert_eq!(timeout(SOON, second.read_u8()).await??, b'x');
        assert_eq!((road.connections(), road.cuts()), (2, 1));
        speaker.abort();
        Ok(())
    }
}
