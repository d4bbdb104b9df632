//! Shared by the examples: the choice between the mock and a real gateway, and facts that are checked.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// More than any step takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns `true` if the environment names a gateway. Without one an example runs on the mock.
#[must_use]
pub fn gateway_is_set() -> bool {
    std::env::var_os("OPENCLAW_GATEWAY_URL").is_some_and(|url| !url.is_empty())
}

/// Prints a fact that has to be true.
///
/// # Errors
///
/// If it is false.
pub fn fact(what: &str, is_so: bool) -> anyhow::Result<()> {
    if !is_so {
        bail!("not true: {what}");
    }
    writeln!(io::stdout(), "  ok  {what}")?;
    Ok(())
}

/// Prints a title.
///
/// # Errors
///
/// If stdout is closed.
pub fn title(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "\n{text}")?;
    Ok(())
}

/// Waits for a future, with a limit.
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

/// Waits for a condition, with a limit.
///
/// # Errors
///
/// If it stays false, or cannot be read.
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

/// Waits for a condition, and prints it as a fact.
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
