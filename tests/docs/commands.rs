//! The commands of the pages.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::LazyLock;

use openclaw_tests::scenarios::adapter_program;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::data::cargo_metadata;
use crate::pages::{Block, blocks, root};
use crate::programs::{LIMIT, Scene, mock_program, said};
use crate::shell::{Command, commands};

/// Programs of others, which these tests do not run.
const FOREIGN: &[&str] = &[
    ".",
    "[",
    "base64",
    "cat",
    "cd",
    "chmod",
    "chown",
    "cp",
    "curl",
    "cut",
    "date",
    "docker",
    "echo",
    "find",
    "for",
    "fuser",
    "git",
    "grep",
    "head",
    "helm",
    "install",
    "journalctl",
    "jq",
    "kubectl",
    "ls",
    "man",
    "mkdir",
    "mv",
    "node",
    "npm",
    "npx",
    "openclaw",
    "openssl",
    "podman",
    "printf",
    "rm",
    "rustup",
    "scp",
    "sed",
    "set",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "source",
    "ssh",
    "stat",
    "systemctl",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "true",
    "umask",
    "unset",
    "wait",
    "watch",
    "xargs",
    "zcat",
];

fn shell_blocks() -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|b| b.kind == "sh").collect();
    assert!(found.len() > 5, "{} blocks of shell", found.len());
    found
}

#[test]
fn every_block_of_shell_is_what_bash_understands() {
    for block in shell_blocks() {
        let mut bash = std::process::Command::new("bash")
            .arg("-n")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = bash.stdin.take().unwrap();
        stdin.write_all(block.text.as_bytes()).unwrap();
        drop(stdin);
        let output = bash.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}: {stderr}");
    }
}

#[test]
fn every_command_is_known() {
    for block in shell_blocks() {
        for command in commands(&block.text) {
            let name = &*command.words[0];
            let known = matches!(name, "cargo" | "openclaw-adapter" | "openclaw-mock-gateway")
                || FOREIGN.contains(&name)
                || name.contains('/') && root().join(name).is_file();
            assert!(known, "{block}: nothing checks the command `{name}`");
        }
    }
}

#[test]
fn what_cargo_is_told_to_build_and_run_is_there() {
    let metadata = cargo_metadata(&root().join("Cargo.toml"));
    let mut checked = 0;
    for block in shell_blocks() {
        for command in commands(&block.text) {
            if command.words[0] == "cargo" {
                cargo(&block, &command, &metadata);
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "{checked} commands for cargo");
}

/// Returns `true` if the sources of the workspace have these words, as the beginning of a name at least.
pub(crate) fn named(words: &str) -> bool {
    static SOURCES: LazyLock<String> = LazyLock::new(|| {
        let out = std::process::Command::new("git")
            .args(["grep", "-hE", r"\b(fn|mod) [a-z_]+", "--", "*.rs"])
            .current_dir(root())
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    });
    SOURCES.contains(words)
}

fn cargo(block: &Block, command: &Command, metadata: &Value) {
    let line = command.words.join(" ");
    let packages = metadata["packages"].as_array().unwrap();
    let mut targets = BTreeSet::new();
    for target in packages
        .iter()
        .flat_map(|p| p["targets"].as_array().unwrap())
    {
        for kind in target["kind"].as_array().unwrap() {
            let (kind, name) = (kind.as_str().unwrap(), target["name"].as_str().unwrap());
            targets.insert(format!("{kind} {name}"));
        }
    }
    let find = |name: &str| packages.iter().find(|package| package["name"] == name);
    let mut words = command.words[1..].iter().map(String::as_str);
    let subcommand = words.by_ref().find(|word| !word.starts_with('+')).unwrap();
    // What others' subcommands take is theirs to say.
    if ["add", "cyclonedx", "deny", "fuzz", "new", "update"].contains(&subcommand) {
        return;
    }
    let ours = [
        "bench", "build", "clippy", "doc", "install", "package", "run", "test",
    ];
    assert!(
        ours.contains(&subcommand),
        "{block}: {line}: what is `{subcommand}`?"
    );
    let mut package = None;
    while let Some(word) = words.next().filter(|word| *word != "--") {
        let mut value = || words.next().unwrap_or_else(|| panic!("{block}: {line}"));
        match word {
            "-p" | "--package" => {
                let name = value();
                package = find(name);
                assert!(package.is_some(), "{block}: no package `{name}`");
            }
            "--bin" | "--example" | "--test" | "--bench" => {
                let target = format!("{} {}", &word[2..], value());
                assert!(targets.contains(&target), "{block}: no {target}");
            }
            "--path" => {
                let folder = value();
                let manifest = root().join(folder).join("Cargo.toml");
                let of = |p: &&Value| p["manifest_path"].as_str() == manifest.to_str();
                package = packages.iter().find(of);
                assert!(package.is_some(), "{block}: no package in `{folder}`");
            }
            "--features" => {
                let features = value();
                let package =
                    package.unwrap_or_else(|| panic!("{block}: {line}: of which package?"));
                for feature in features.split(',') {
                    let known = package["features"][feature].is_array();
                    assert!(known, "{block}: no feature `{feature}`");
                }
            }
            // A tool of others, at its version.
            name if subcommand == "install" && name.contains('@') => {}
            name if subcommand == "install" && !name.starts_with('-') => {
                package = find(name);
                assert!(package.is_some(), "{block}: no package `{name}`");
            }
            filter if subcommand == "test" && !filter.starts_with('-') => {
                for name in filter.split("::").filter(|name| !name.is_empty()) {
                    let known = named(&format!("fn {name}")) || named(&format!("mod {name}"));
                    assert!(known, "{block}: {line}: no test or module `{name}`");
                }
            }
            flag => {
                let known = [
                    "--lib",
                    "--workspace",
                    "--release",
                    "--locked",
                    "--all-features",
                    "--quiet",
                ];
                assert!(known.contains(&flag), "{block}: {line}: what is `{flag}`?");
            }
        }
    }
}

#[tokio::test]
async fn the_commands_of_our_programs_do_what_they_are_for() {
    let mut scene = Scene::set().await;
    let mut ran = 0;
    for block in shell_blocks() {
        for command in commands(&block.text) {
            match &*command.words[0] {
                "openclaw-adapter" => adapter(&mut scene, &block, &command).await,
                "openclaw-mock-gateway" => mock(&scene, &block, &command).await,
                _ => continue,
            }
            ran += 1;
        }
    }
    assert!(ran > 10, "{ran} commands of our programs");
}

/// Runs a command as it stands, with the real thing in the place of what stands for it.
async fn adapter(scene: &mut Scene, block: &Block, command: &Command) {
    let mut arguments = Vec::new();
    for word in &command.words[1..] {
        arguments.push(match &**word {
            "REQUEST_ID" => scene.pending().await,
            "DEVICE" | "DEVICE_ID" => scene.paired().await,
            url if url.starts_with("ws://") || url.starts_with("wss://") => {
                scene.gateway.local_url()
            }
            word => word.to_owned(),
        });
    }
    let line = command.words.join(" ");
    let mut program = scene.command(&adapter_program().unwrap(), &scene.gateway.local_url());
    program.args(&arguments);
    if arguments
        .iter()
        .any(|word| word == "events" || word == "--hold")
    {
        let mut child = program.spawn().unwrap();
        let before = scene.gateway.live();
        scene
            .gateway
            .wait_for(|now| now.live > before, LIMIT)
            .await
            .unwrap();
        child.kill().await.unwrap();
        return;
    }
    let said = said(program).await;
    // The doctor's code is what it found; 2 is that it did not understand.
    let well = if arguments.iter().any(|word| word == "doctor") {
        said.code.is_some_and(|code| code != 2 && code != 101)
    } else {
        said.code == Some(0)
    };
    assert!(well, "{block}: `{line}` ended with {said:?}");
    if let Some(file) = command.output.as_deref().filter(|file| !file.contains('/')) {
        std::fs::write(scene.dir.path().join(file), said.stdout).unwrap();
    }
}

/// Starts the mock as it says, on a port of its own, until it is ready.
async fn mock(scene: &Scene, block: &Block, command: &Command) {
    let mut program = scene.command(&mock_program(), "");
    program.args(&command.words[1..]).args(["--port", "0"]);
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("ws://") {
                return true;
            }
        }
        false
    };
    let line = command.words.join(" ");
    let ready = timeout(LIMIT, ready).await;
    assert_eq!(ready, Ok(true), "{block}: `{line}` is not ready");
    child.kill().await.unwrap();
}
