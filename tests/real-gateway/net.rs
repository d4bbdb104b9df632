//! Two hosts in one: network namespaces for the gateway and its remote clients.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};

/// All our namespaces begin with this, then have our process id.
const PREFIX: &str = "ocrg";

/// The gateway's address, as its remote clients dial it.
const GATEWAY: &str = "10.88.0.1";

/// The remote clients' address.
const CLIENT: &str = "10.88.0.2";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A host for the gateway and another one for its remote clients, joined by a cable of their own and
/// connected to nothing else. Gone when dropped, with everything that runs in them.
#[derive(Debug)]
pub(crate) struct Hosts {
    gateway: String,
    client: String,
}

impl Hosts {
    /// Makes the two.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = format!("{PREFIX}-{}-{number}", std::process::id());
        // Made first, so that dropping it undoes whatever part of the rest was done.
        let hosts = Self {
            gateway: format!("{base}-gateway"),
            client: format!("{base}-client"),
        };
        let (gateway, client) = (hosts.gateway.as_str(), hosts.client.as_str());
        ip(&["netns", "add", gateway])?;
        ip(&["netns", "add", client])?;
        ip(&[
            "link", "add", "up0", "netns", gateway, "type", "veth", "peer", "name", "up0", "netns",
            client,
        ])?;
        for (host, address) in [(gateway, GATEWAY), (client, CLIENT)] {
            ip(&[
                "-n",
                host,
                "addr",
                "add",
                &format!("{address}/24"),
                "dev",
                "up0",
            ])?;
            ip(&["-n", host, "link", "set", "lo", "up"])?;
            ip(&["-n", host, "link", "set", "up0", "up"])?;
        }
        Ok(hosts)
    }

    /// Whether this system allows namespaces; `Err` says why not.
    pub(crate) fn allowed() -> anyhow::Result<()> {
        Self::new().map(drop)
    }

    /// The gateway's address on the cable.
    pub(crate) const fn gateway_address() -> &'static str {
        GATEWAY
    }

    /// What to put before a command that is to run where the gateway runs.
    pub(crate) fn at_gateway(&self) -> Vec<OsString> {
        exec(&self.gateway)
    }

    /// What to put before a command that is to run on the other host.
    pub(crate) fn at_client(&self) -> Vec<OsString> {
        exec(&self.client)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        remove(&self.gateway);
        remove(&self.client);
    }
}

/// Removes what runs that were killed have left behind.
pub(crate) fn sweep() {
    let Ok(list) = ip(&["netns", "list"]) else {
        return;
    };
    for name in list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
    {
        let mut parts = name.split('-');
        if parts.next() == Some(PREFIX)
            && let Some(pid) = parts.next()
            && !Path::new("/proc").join(pid).exists()
        {
            remove(name);
        }
    }
}

fn exec(namespace: &str) -> Vec<OsString> {
    ["ip", "netns", "exec", namespace]
        .map(OsString::from)
        .to_vec()
}

fn remove(namespace: &str) {
    if let Ok(pids) = ip(&["netns", "pids", namespace]) {
        for pid in pids.split_whitespace() {
            let _ = Command::new("sh")
                .args(["-c", "kill -s KILL \"$0\"", pid])
                .stderr(Stdio::null())
                .status();
        }
    }
    let _ = ip(&["netns", "delete", namespace]);
}

fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("run `ip` (package iproute2)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
