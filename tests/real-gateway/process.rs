//! A program and everything it starts, as one thing that can be ended.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often the process table is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A process group. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    id: u32,
    ended: watch::Receiver<Option<String>>,
}

impl Group {
    /// Starts the command as the leader of a group of its own.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start the gateway")?;
        let id = child.id().context("the gateway's process id")?;
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let how = match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("not to be waited for: {error}"),
            };
            tell.send_replace(Some(how));
        });
        Ok(Self { id, ended })
    }

    /// The leader's process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How the leader ended, if it has.
    pub(crate) fn how_it_ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Tells when the leader has ended, even after this group is no longer held.
    pub(crate) fn end(&self) -> watch::Receiver<Option<String>> {
        self.ended.clone()
    }

    /// Ends all of it by a signal; by SIGKILL what is left when the time is over.
    pub(crate) async fn finish(self, signal: &str, within: Duration) -> anyhow::Result<()> {
        self.signal(signal);
        if !self.gone(within).await {
            self.signal("KILL");
            if !self.gone(Duration::from_secs(10)).await {
                bail!("process group {} outlives SIGKILL", self.id);
            }
        }
        Ok(())
    }

    fn signal(&self, signal: &str) {
        let _ = std::process::Command::new("sh")
            .args([
                "-c",
                "kill -s \"$0\" -- \"-$1\"",
                signal,
                &self.id.to_string(),
            ])
            .stderr(Stdio::null())
            .status();
    }

    async fn gone(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while alive(self.id) || self.ended.borrow().is_none() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if alive(self.id) {
            self.signal("KILL");
        }
    }
}

/// Whether the group has a member that is more than a process waiting to be reaped.
fn alive(group: u32) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        // No process table to read: ask the system, to which an unreaped process counts.
        return std::process::Command::new("sh")
            .args(["-c", "kill -s 0 -- \"-$0\"", &group.to_string()])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|stat| member(&stat))
        .any(|(state, id)| id == group && state != 'Z' && state != 'X')
}

/// State and group of a line of `/proc/PID/stat`, whose second field may hold anything in brackets.
fn member(stat: &str) -> Option<(char, u32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let group = fields.nth(1)?.parse().ok()?;
    Some((state, group))
}

/// Whether a port is listened on in the network namespace of a process.
pub(crate) fn listens(process: u32, port: u16) -> bool {
    let net = Path::new("/proc").join(process.to_string()).join("net");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(net.join(table)).ok())
        .any(|table| {
            table
                .lines()
                .skip(1)
                .any(|line| listening_port(line) == Some(port))
        })
}

/// The local port of a line of `/proc/PID/net/tcp`, if its socket listens.
fn listening_port(line: &str) -> Option<u16> {
    const LISTEN: &str = "0A";

    let mut fields = line.split_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    (state == LISTEN)
        .then(|| u16::from_str_radix(port, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_hide_its_group() {
        assert_eq!(member("17 (a) b) S 1 42 42 0 -1"), Some(('S', 42)));
    }

    #[test]
    fn only_a_listening_socket_counts_as_listening() {
        let listening = "   0: 00000000:4A9C 00000000:0000 0A 00000000:00000000 00:00000000";
        let connected = "   1: 0100007F:4A9C 0100007F:D2F0 01 00000000:00000000 00:00000000";

        assert_eq!(listening_port(listening), Some(19100));
        assert_eq!(listening_port(connected), None);
    }
}
