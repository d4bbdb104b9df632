//! The model behind a gateway, told what to say by the test that asks.
//!
//! A test writes a marker into the message it sends and registers what the model replies to that
//! marker. [`FakeModel`] is such a model for real gateways: it speaks the chat
//! completions that many providers offer. On the mock the same [`Script`]s become scripts of the mock's own runs.

mod fake;
mod http;
mod mock;
mod script;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;

pub use fake::FakeModel;
pub use mock::MockModel;
pub use script::{End, Script, ToolCall};

/// A model that tests can tell what to say.
pub trait Model: Send + Sync {
    /// What it replies to a message with this marker in it.
    fn replies(&self, marker: &str, script: Script);

    /// How often it was asked to begin an answer to that marker. The turn that follows a tool's
    /// result does not count; another attempt of the gateway does.
    fn asked(&self, marker: &str) -> usize;

    /// Changes whenever it is asked.
    fn asks(&self) -> watch::Receiver<u64>;
}

/// The marker as a message has it.
#[must_use]
pub fn mark(marker: &str) -> String {
    format!("[[{marker}]]")
}

/// The last marker of a text.
#[must_use]
pub fn marker_of(text: &str) -> Option<&str> {
    let (before, _) = text.rsplit_once("]]")?;
    let (_, marker) = before.rsplit_once("[[")?;
    Some(marker)
}

/// Waits until the model was asked so often.
///
/// # Errors
///
/// Where that does not happen in time.
pub fn wait_asked<'a>(
    model: &'a dyn Model,
    marker: &'a str,
    times: usize,
    within: Duration,
) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>> {
    Box::pin(async move {
        let mut asks = model.asks();
        let asked = async {
            loop {
                asks.borrow_and_update();
                if model.asked(marker) >= times || asks.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(within, asked).await.is_err() {
            bail!(
                "the model was asked {} times for {marker} within {within:?}, not {times} times",
                model.asked(marker)
            );
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_marker_of_a_message_is_the_one_that_counts() {
        let message = format!("[Wed 10:00] {} and {}", mark("one"), mark("two"));

        assert_eq!(marker_of(&message), Some("two"));
        assert_eq!(marker_of("no marker ]] here"), None);
    }
}
