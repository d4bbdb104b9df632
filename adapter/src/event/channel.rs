//! The lock, the waker and the end that every bounded queue of the crate shares.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A buffer with its own rule of what to drop when it is full.
pub(crate) trait Buffer {
    type Item;

    /// Takes the next item.
    fn pop(&mut self) -> Option<Self::Item>;
}

/// A queue from many producers to one consumer.
#[derive(Debug, Default)]
pub(crate) struct Channel<B>(Mutex<State<B>>);

#[derive(Debug, Default)]
struct State<B> {
    buffer: B,
    closed: bool,
    waker: Option<Waker>,
}

impl<B: Buffer> Channel<B> {
    pub(crate) const fn new(buffer: B) -> Self {
        Self(Mutex::new(State {
            buffer,
            closed: false,
            waker: None,
        }))
    }

    /// Changes the buffer, and wakes the consumer.
    pub(crate) fn update(&self, change: impl FnOnce(&mut B)) {
        let mut state = self.lock();
        change(&mut state.buffer);
        wake(state);
    }

    /// Ends the stream after the items that are in the buffer.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }

    /// Returns the next item; `None` if the channel is closed and empty.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<B::Item>> {
        let mut state = self.lock();
        match state.buffer.pop() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the consumer after the lock is released.
fn wake<B>(mut state: MutexGuard<'_, State<B>>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
