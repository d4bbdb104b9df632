//! Where the parts of a test meet: TCP on loopback, or a socket in the file system.
//!
//! A gateway in a network namespace of its own has a loopback of its own. A socket in the file
//! system is reached from every namespace, and from nowhere else.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// A stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where to connect to.
#[derive(Debug, Clone)]
pub enum Address {
    /// On loopback.
    Tcp(SocketAddr),
    /// In the file system.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Address {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Where nobody listens.
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }

    /// Listens.
    ///
    /// # Errors
    ///
    /// Where somebody else does.
    pub async fn listen(&self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(address) => Listener::Tcp(TcpListener::bind(address).await?),
            #[cfg(unix)]
            Self::Unix(path) => Listener::Unix(UnixListener::bind(path)?),
        })
    }
}

/// The other end of an [`Address`].
#[derive(Debug)]
pub enum Listener {
    /// On loopback.
    Tcp(TcpListener),
    /// In the file system.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// The next connection.
    ///
    /// # Errors
    ///
    /// Where the system has none left to give.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost.
    pub async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}
