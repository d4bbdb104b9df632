//! The npm packages: a Node of our own and `openclaw`, each version in a directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::version::Version;

/// The Node every gateway runs on.
const NODE: &str = "26.10.0";

/// A manifest and the lock file that pins everything below it.
struct Pinned {
    name: &'static str,
    manifest: &'static str,
    lock: &'static str,
}

macro_rules! pinned {
    ($name:literal) => {
        Pinned {
            name: $name,
            manifest: include_str!(concat!("npm/", $name, "/package.json")),
            lock: include_str!(concat!("npm/", $name, "/package-lock.json")),
        }
    };
}

/// The versions the suite runs by default come with a lock file; others are pinned by version only.
const PINNED: [Pinned; 4] = [
    pinned!("node"),
    pinned!("2026.9.6"),
    pinned!("2026.2.9"),
    pinned!("clients"),
];

/// What is needed to start one version of the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    /// The `node` program.
    pub(crate) node: PathBuf,
    /// `openclaw.mjs`.
    pub(crate) openclaw: PathBuf,
    /// The `TMPDIR` of this version. It is kept: Node and the gateway leave there what they compiled,
    /// without which one command of 2026.2.9 takes most of a minute.
    pub(crate) temporary: PathBuf,
}

/// Where packages go: `OPENCLAW_REAL_GATEWAY_DIR`, else `real-gateway` in the target directory.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("OPENCLAW_REAL_GATEWAY_DIR") {
        return Ok(std::path::absolute(dir)?);
    }
    let running = std::env::current_exe()?;
    let target = running.ancestors().nth(2).context("the target directory")?;
    Ok(target.join("real-gateway"))
}

/// Installs what is missing; `say` is told before something takes long.
pub(crate) async fn install(
    root: &Path,
    version: &Version,
    say: fn(String),
) -> anyhow::Result<Install> {
    tokio::fs::create_dir_all(root)
        .await
        .with_context(|| format!("make {}", root.display()))?;
    let _lock = lock(root).await?;

    let node_dir = root.join(format!("node-{NODE}"));
    let node = node_dir.join("node_modules/.bin/node");
    if !works(&node).await {
        say(format!(
            "installing node {NODE} with npm into {}",
            node_dir.display()
        ));
        // Its install script is what puts the binary of this platform in place.
        fill(&node_dir, "node", None, true).await?;
        ensure!(works(&node).await, "{} does not run", node.display());
    }

    let dir = root.join(format!("openclaw-{version}"));
    let package = dir.join("node_modules/openclaw");
    if installed_version(&package).await.as_deref() != Some(version.as_str()) {
        say(format!(
            "installing openclaw {version} with npm into {} (a minute or two)",
            dir.display()
        ));
        fill(&dir, version.as_str(), Some(version), false).await?;
        let found = installed_version(&package).await;
        ensure!(
            found.as_deref() == Some(version.as_str()),
            "npm installed openclaw {found:?}, not {version}"
        );
    }
    let temporary = root.join(format!("tmp-{version}"));
    tokio::fs::create_dir_all(&temporary).await?;
    Ok(Install {
        node,
        openclaw: package.join("openclaw.mjs"),
        temporary,
    })
}

/// Installs the clients that others have written, and returns where they are.
pub(crate) async fn install_clients(root: &Path, say: fn(String)) -> anyhow::Result<PathBuf> {
    tokio::fs::create_dir_all(root).await?;
    let _lock = lock(root).await?;
    let dir = root.join("clients");
    let lock_file = dir.join("package-lock.json");
    let wanted = PINNED.iter().find(|pinned| pinned.name == "clients");
    let there = tokio::fs::read_to_string(&lock_file).await.ok();
    if there.as_deref() != wanted.map(|pinned| pinned.lock) {
        say(format!(
            "installing clients with npm into {}",
            dir.display()
        ));
        fill(&dir, "clients", None, false).await?;
    }
    Ok(dir)
}

/// Two runs side by side must not install the same thing at once.
async fn lock(root: &Path) -> anyhow::Result<File> {
    let path = root.join("install.lock");
    tokio::task::spawn_blocking(move || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    })
    .await?
    .context("lock the install directory")
}

async fn works(node: &Path) -> bool {
    let wanted = format!("v{NODE}");
    let output = Command::new(node)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .await;
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == wanted)
}

async fn installed_version(package: &Path) -> Option<String> {
    let text = tokio::fs::read_to_string(package.join("package.json"))
        .await
        .ok()?;
    let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(manifest.get("version")?.as_str()?.to_owned())
}

/// Fills a directory by npm, complete or not at all.
async fn fill(
    dir: &Path,
    name: &str,
    openclaw: Option<&Version>,
    scripts: bool,
) -> anyhow::Result<()> {
    let part = dir.with_file_name(format!(".part-{}-{name}", std::process::id()));
    tokio::fs::create_dir_all(&part).await?;
    let pinned = PINNED.iter().find(|pinned| pinned.name == name);
    let verb = match (pinned, openclaw) {
        (Some(pinned), _) => {
            tokio::fs::write(part.join("package.json"), pinned.manifest).await?;
            tokio::fs::write(part.join("package-lock.json"), pinned.lock).await?;
            "ci"
        }
        (None, Some(version)) => {
            let manifest = manifest(version).to_string();
            tokio::fs::write(part.join("package.json"), manifest).await?;
            "install"
        }
        (None, None) => bail!("nothing is pinned as {name}"),
    };
    let installed = npm(&part, verb, scripts).await;
    let placed = match installed {
        Ok(()) => {
            // What was there is incomplete or of another version, or nothing.
            let _ = tokio::fs::remove_dir_all(dir).await;
            tokio::fs::rename(&part, dir)
                .await
                .context("put the packages in place")
        }
        Err(error) => Err(error),
    };
    if placed.is_err() {
        let _ = tokio::fs::remove_dir_all(&part).await;
    }
    placed
}

fn manifest(version: &Version) -> serde_json::Value {
    let mut manifest = serde_json::json!({
        "private": true,
        "dependencies": { "openclaw": version.as_str() },
    });
    if version.before(2026, 4, 0) {
        // These depend on a git repository, which npm cannot fetch without git and its host.
        manifest["overrides"] = serde_json::json!({ "libsignal": "npm:libsignal-node@2.0.1" });
    }
    manifest
}

async fn npm(dir: &Path, verb: &str, scripts: bool) -> anyhow::Result<()> {
    let mut command = Command::new("npm");
    command
        .arg(verb)
        .args(["--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if !scripts {
        command.arg("--ignore-scripts");
    }
    let output = command.output().await.context(
        "run npm: install Node.js with npm from https://nodejs.org or your distribution \
         (packages `nodejs` and `npm`), it is only used to fetch the pinned packages",
    )?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        bail!(
            "npm {verb} in {} failed: {}\n{tail}",
            dir.display(),
            output.status
        );
    }
    Ok(())
}
