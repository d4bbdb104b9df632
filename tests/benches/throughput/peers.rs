//! The clients beside the floor and the adapter: those for Node that others have written, where they are
//! installed, and the adapter as it was before, where there is a build of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::work::Work;

/// A client that is a program of its own.
pub(crate) struct Peer {
    /// Its name in the table.
    pub(crate) title: &'static str,
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// `OPENCLAW_BENCH_BEFORE` is an earlier build of this program. The clients for Node are in
/// `OPENCLAW_BENCH_CLIENTS`, the directory above their `node_modules`, and run on the Node of
/// `OPENCLAW_BENCH_NODE`; where these are absent, it is said.
pub(crate) fn installed() -> Vec<Peer> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let mut peers = Vec::new();
    if let Some(program) = variable("OPENCLAW_BENCH_BEFORE") {
        peers.push(Peer {
            title: "before",
            program,
            arguments: ["--client", "adapter"].map(Into::into).into(),
        });
    }
    let node = variable("OPENCLAW_BENCH_NODE").zip(variable("OPENCLAW_BENCH_CLIENTS"));
    if let Some((node, clients)) = node {
        // Beside the packages, where Node finds them.
        let script = clients.join("bench.mjs");
        std::fs::write(&script, include_str!("peers.mjs")).unwrap();
        peers.push(of_node(
            "official",
            "@openclaw/gateway-client",
            &node,
            &script,
        ));
        peers.push(of_node("openclaw-node", "openclaw-node", &node, &script));
    } else {
        eprintln!(
            "left out: @openclaw/gateway-client, openclaw-node (`.ci/bench` fetches them, with npm)"
        );
    }
    peers
}

fn of_node(title: &'static str, package: &str, node: &Path, script: &Path) -> Peer {
    // openclaw-node warns of each plaintext connection; memory is looked at after a collection.
    let mut arguments: Vec<OsString> = ["--no-warnings", "--expose-gc"].map(Into::into).into();
    arguments.extend([script.into(), package.into()]);
    Peer {
        title,
        program: node.into(),
        arguments,
    }
}

impl Peer {
    pub(crate) fn command(&self, url: &str, work: Work) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(url)
            .args(work.arguments());
        command
    }
}
