//! What can go wrong with an operator's verb.

use std::io;
use std::time::Duration;

use crate::model::state_dir::StateDirError;
use crate::wire::ErrorShape;

/// Why the mock did not do what the test asked of it.
///
/// ```
/// use openclaw_mock_gateway::{MockError, MockGateway};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = MockGateway::start().await;
/// match gateway.approve("no-such-request") {
///     Err(MockError::Refused { code, message, .. }) => {
///         assert_eq!((&*code, &*message), ("INVALID_REQUEST", "unknown requestId"));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// The gateway's own answer, as an RPC would have brought it.
    #[error("the gateway refused: {code}: {message}")]
    #[non_exhaustive]
    Refused {
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// What was waited for did not happen.
    #[error("waited {0:?} for something that did not happen")]
    TimedOut(Duration),
    /// The port could not be bound.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
    /// The state directory could not be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
}

impl From<ErrorShape> for MockError {
    fn from(error: ErrorShape) -> Self {
        Self::Refused {
            code: error.code.to_owned(),
            message: error.message,
        }
    }
}
