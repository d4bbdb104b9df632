//! A stream of any network, every byte of which somebody sees.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::net::Watch;

/// The client's end of a stream.
pub struct Watched<S> {
    stream: S,
    id: u64,
    watch: Arc<dyn Watch>,
}

impl<S> fmt::Debug for Watched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<S> Watched<S> {
    /// Opens a stream and lets `watch` see what becomes of it. `id` is its own.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub async fn open(
        id: u64,
        watch: Arc<dyn Watch>,
        stream: impl Future<Output = io::Result<S>>,
    ) -> io::Result<Self> {
        watch.dials();
        let mut dial = Dial(Some(watch));
        let stream = stream.await?;
        let Some(watch) = dial.0.take() else {
            return Err(io::ErrorKind::Other.into());
        };
        watch.connects(id);
        Ok(Self { stream, id, watch })
    }
}

/// A dial that has not become a stream.
struct Dial(Option<Arc<dyn Watch>>);

impl Drop for Dial {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.dial_ends();
        }
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.watch.drops(self.id);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(bytes) = buffer.filled().get(before..)
            && !bytes.is_empty()
        {
            self.watch.reads(self.id, bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(length)) = &written {
            self.watch
                .writes(self.id, bytes.get(..*length).unwrap_or(bytes));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
