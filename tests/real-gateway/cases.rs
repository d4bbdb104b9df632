//! The recorded cases on real gateways: whether the recordings are still what the gateways say.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use openclaw_tests::conformance::{CASES, Edition, Target, compare, more_names, ready, run_case};
use openclaw_tests::scenarios::{Gateway as _, Secrets, Side};
use tokio::process::Command;

use crate::gateway::{Ground, RealGateway};
use crate::lane::Candidate;
use crate::net::Hosts;
use crate::report::say;

/// The environment variable with the token of the gateway to play on.
const TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";

/// How long a gateway that listens may refuse everybody.
const STARTING: Duration = Duration::from_secs(60);

/// Whether there are recordings of this version.
pub(crate) fn edition(version: &str) -> Option<Edition> {
    [Edition::V2026_2_9, Edition::V2026_9_6]
        .into_iter()
        .find(|edition| edition.as_str() == version)
}

/// Plays all cases on a new gateway in a network namespace of its own.
///
/// # Errors
///
/// When a case is not answered as recorded, or there is no gateway to play on.
pub(crate) async fn check(candidate: &Candidate, secrets: &Secrets) -> anyhow::Result<()> {
    let ground = Ground::Hosts(Hosts::new()?);
    let gateway = RealGateway::launch(candidate, ground, secrets, false).await?;
    let place = gateway.place(Side::Local);
    // On loopback and on an address of its own the gateway is reached from its own host only.
    let mut words = place.prefix;
    words.push(std::env::current_exe()?.into_os_string());
    let (program, rest) = words.split_first().context("a program to start")?;
    let status = Command::new(program)
        .args(rest)
        .args(["--play-cases", &place.url, candidate.version.as_str()])
        .env(TOKEN, gateway.token())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await?;
    ensure!(status.success(), "not all cases are answered as recorded");
    Ok(())
}

/// Plays all cases on the gateway at `local_url`, on whose host this process runs. Every case has
/// a remote address of its own, so that the wrong tokens of one do not lock out the next.
pub(crate) async fn play(local_url: &str, version: &str) -> anyhow::Result<()> {
    let edition = edition(version).with_context(|| format!("no recordings of {version}"))?;
    let token = std::env::var(TOKEN).with_context(|| format!("no {TOKEN}"))?;
    let port = local_url.rsplit_once(':').context("no port")?.1;
    let mut names: Vec<String> = CASES.iter().map(|&name| name.to_owned()).collect();
    names.extend(more_names()?);
    let mut wrong = 0;
    for (number, name) in names.iter().enumerate() {
        let remote_ip = format!("10.88.{}.{}", 1 + number / 250, 1 + number % 250);
        add_address(&remote_ip).await?;
        let target = Target {
            edition,
            local_url: local_url.to_owned(),
            remote_url: format!("ws://{remote_ip}:{port}"),
            remote_headers: Vec::new(),
            remote_ip,
            token: token.clone(),
            fresh: false,
        };
        if number == 0 {
            ready(&target, STARTING).await?;
        }
        let played = match run_case(&target, name).await {
            Ok(log) => compare(edition, name, &log),
            Err(error) => Err(error),
        };
        if let Err(error) = played {
            wrong += 1;
            say(format!("{error:#}"));
        }
    }
    say(format!(
        "{version:<10} {} cases, {wrong} differ",
        names.len()
    ));
    if wrong > 0 {
        bail!("{wrong} of {} cases are answered differently", names.len());
    }
    Ok(())
}

/// To a gateway a client from any other address than loopback is remote, its own host's included.
async fn add_address(ip: &str) -> anyhow::Result<()> {
    let status = Command::new("ip")
        .args(["addr", "add", &format!("{ip}/32"), "dev", "lo"])
        .status()
        .await
        .context("run `ip` (package iproute2)")?;
    ensure!(status.success(), "cannot add the address {ip}");
    Ok(())
}
