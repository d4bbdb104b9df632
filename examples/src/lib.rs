//! What the examples share: whether they play on the mock, and facts that are checked.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// More than any step takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether the environment names a gateway. Without one an example plays on the mock.
#[must_use]
pub fn gateway_is_set() -> bool {
    std::env::var_os("OPENCLAW_GATEWAY_URL").is_some_and(|url| !url.is_empty())
}

/// States something that has to be so.
///
/// # Errors
///
/// If it is not so.
pub fn fact(what: &str, is_so: bool) -> anyhow::Result<()> {
    if !is_so {
        bail!("this is not so: {what}");
    }
    writeln!(io::stdout(), "  ok  {what}")?;
    Ok(())
}

/// Says what comes next.
///
/// # Errors
///
/// If stdout is closed.
pub fn title(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "\n{text}")?;
    Ok(())
}

/// Waits for something, but not for ever.
///
/// # Errors
///
/// Its own, or that it took too long.
pub async fn soon<T, E>(what: &str, future: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    Result<T, E>: anyhow::Context<T, E>,
{
    tokio::time::timeout(LIMIT, future)
        .await
        .with_context(|| format!("{what}: it took more than {LIMIT:?}"))?
        .with_context(|| what.to_owned())
}

/// Waits until something is so, but not for ever.
///
/// # Errors
///
/// If it does not become so, or cannot be looked at.
pub async fn wait_until(
    what: &str,
    mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    soon(what, async {
        while !is_so().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    })
    .await
}

/// Waits until something is so, and states it.
///
/// # Errors
///
/// As [`wait_until`].
pub async fn until(
    what: &str,
    is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    wait_until(what, is_so).await?;
    fact(what, true)
}
