//! A proxy as stands in front of many gateways: it says on whose behalf it asks.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// The longest head of a request that is taken.
const MAX_HEAD: usize = 16 * 1024;

/// Listens on a free port of loopback until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    task: AbortHandle,
}

impl Proxy {
    /// Stands in front of `port` and adds `X-Forwarded-For: client` to every request.
    pub(crate) async fn before(port: u16, client: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Whoever was cut off notices by itself.
                    let _ = pass(inbound, port, client).await;
                });
            }
        });
        Ok(Self {
            address,
            task: task.abort_handle(),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut inbound: TcpStream, port: u16, client: &str) -> anyhow::Result<()> {
    let mut read = Vec::new();
    let first_line = loop {
        let head_ends = read.windows(4).any(|four| four == b"\r\n\r\n");
        if head_ends {
            let end = read.windows(2).position(|two| two == b"\r\n");
            break end.context("no request line")? + 2;
        }
        ensure!(read.len() < MAX_HEAD, "the head is too long");
        ensure!(inbound.read_buf(&mut read).await? > 0, "no whole head");
    };
    let mut outbound = TcpStream::connect(("127.0.0.1", port)).await?;
    outbound.write_all(&read[..first_line]).await?;
    let header = format!("X-Forwarded-For: {client}\r\n");
    outbound.write_all(header.as_bytes()).await?;
    outbound.write_all(&read[first_line..]).await?;
    copy_bidirectional(&mut inbound, &mut outbound).await?;
    Ok(())
}
