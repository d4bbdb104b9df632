//! The manifests of the packages that are published.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::pages::{read, root};

const PUBLISHED: [&str; 2] = ["openclaw-adapter", "openclaw-mock-gateway"];

/// Everything that cargo knows of the workspace and its dependencies.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--locked",
            "--all-features",
            "--format-version=1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn package<'a>(metadata: &'a Value, name: &str) -> &'a Value {
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .find(|package| package["name"] == name)
        .unwrap()
}

#[test]
fn what_is_published_says_what_a_registry_wants_to_know() {
    let metadata = metadata();
    for name in PUBLISHED {
        let package = package(&metadata, name);
        for field in [
            "description",
            "documentation",
            "license",
            "readme",
            "repository",
            "rust_version",
        ] {
            let text = package[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name} says no {field}");
        }
        // The registry takes five of each.
        for field in ["categories", "keywords"] {
            let count = package[field].as_array().unwrap().len();
            assert!((1..=5).contains(&count), "{name} has {count} {field}");
        }
        for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let folder = if name == "openclaw-adapter" {
                "adapter"
            } else {
                "mock-gateway"
            };
            assert_eq!(
                read(&format!("{folder}/{license}")),
                read(license),
                "{name}"
            );
        }
    }
}

/// The fuzz targets' feature, and what cargo makes of `default`, are nobody's choice.
fn features(package: &Value) -> BTreeSet<String> {
    let features = package["features"].as_object().unwrap().keys();
    let chosen = features.filter(|name| *name != "default" && !name.starts_with("__"));
    chosen.cloned().collect()
}

#[test]
fn every_feature_of_the_adapter_is_in_its_table() {
    let features = features(package(&metadata(), "openclaw-adapter"));
    let text = read("adapter/README.md");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| feature "));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let shown: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').nth(1))
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, features);
}

/// Cargo picks no dependency that wants a newer compiler than we state; this holds the lock file to it.
/// What our own code uses of the standard library is clippy's to check (`incompatible_msrv`).
#[test]
fn no_dependency_wants_a_newer_compiler_than_we_state() {
    let metadata = metadata();
    let version = |package: &Value| {
        let parts = package["rust_version"].as_str().unwrap_or("0").split('.');
        let mut parts: Vec<u32> = parts.map(|part| part.parse().unwrap()).collect();
        parts.resize(3, 0);
        parts
    };
    let stated = version(package(&metadata, "openclaw-adapter"));
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let mut seen = BTreeSet::new();
    let mut left: Vec<&str> = PUBLISHED
        .map(|name| package(&metadata, name)["id"].as_str().unwrap())
        .to_vec();
    while let Some(id) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let wanted = version(packages[id]);
        assert!(
            wanted <= stated,
            "{id} wants {wanted:?}, and we state {stated:?}"
        );
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                left.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    assert!(seen.len() > 50, "{} packages", seen.len());
}

/// The number in the page, as `cargo tree` counts on Linux. It may be off by a few, so that the page need
/// not change with each update of a dependency.
#[test]
fn the_page_on_performance_says_how_many_crates_the_adapter_brings() {
    let page = read("docs/performance.md");
    let at = page.find(" crates on Linux").unwrap();
    let said = &page[..at];
    let said = &said[said.rfind(|c: char| !c.is_ascii_digit()).unwrap() + 1..];
    let said: usize = said.parse().unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "openclaw-adapter"])
        .args(["--edges", "normal,build", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success());
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty() && !line.starts_with("openclaw-adapter "))
        .collect();
    let off = names.len().abs_diff(said);
    assert!(
        off <= 3,
        "the page says {said}, and there are {}",
        names.len()
    );
}
