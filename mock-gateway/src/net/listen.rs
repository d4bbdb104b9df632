//! The listener of a mock.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connects that the system keeps until they are accepted; it may keep fewer.
///
/// With the 128 of the standard library a crowd that connects at once overflows the queue, and who is left
/// out tries again a second later.
const BACKLOG: u32 = 4096;

/// Binds a port for many clients at once, as the mock's own ports are bound.
///
/// For [`try_start_on`](crate::MockGatewayBuilder::try_start_on), which takes any listener.
///
/// ```
/// use openclaw_mock_gateway::{MockGateway, listen};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = listen("127.0.0.1:0".parse()?)?;
/// let address = listener.local_addr()?;
/// let gateway = MockGateway::builder().start_on(listener).await;
/// assert_eq!(gateway.url(), format!("ws://{address}"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the address is taken, or not one of this host.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Elsewhere it would let two listeners share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
