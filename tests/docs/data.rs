//! JSON, TOML and YAML, and the names of variables.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::pages::{Block, blocks, pages, read, root};

fn of_kind(kind: &str) -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|b| b.kind == kind).collect();
    assert!(!found.is_empty(), "no page has a block of {kind}");
    found
}

/// The objects of a block of JSON: one, or one per line. `, …` stands for what is left out.
pub(crate) fn objects(block: &Block) -> Vec<Value> {
    let text = block.text.replace(", …}", "}");
    if let Ok(whole) = serde_json::from_str(&text) {
        return vec![whole];
    }
    text.lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{block}: {error}: {line}"))
        })
        .collect()
}

#[test]
fn every_block_of_json_is_json() {
    for block in of_kind("json") {
        assert!(!objects(&block).is_empty(), "{block} is empty");
    }
}

#[test]
fn every_block_of_yaml_is_yaml_and_what_it_says_of_compose_and_kubernetes_fits_together() {
    for block in of_kind("yaml") {
        let documents = YamlLoader::load_from_str(&block.text)
            .unwrap_or_else(|error| panic!("{block}: {error}"));
        assert!(!documents.is_empty(), "{block} is empty");
        for document in &documents {
            if !document["services"].is_badvalue() {
                compose(&block, document);
            } else if !document["kind"].is_badvalue() {
                for field in ["apiVersion", "metadata"] {
                    assert!(!document[field].is_badvalue(), "{block}: no `{field}`");
                }
                mounts(&block, &document["spec"]);
            }
        }
    }
}

/// The volumes and secrets that services use are there.
fn compose(block: &Block, document: &Yaml) {
    let services = document["services"].as_hash().unwrap();
    for (name, service) in services {
        let name = name.as_str().unwrap();
        for secret in service["secrets"].as_vec().into_iter().flatten() {
            let secret = secret
                .as_str()
                .or_else(|| secret["source"].as_str())
                .unwrap();
            let known = &document["secrets"][secret];
            assert!(
                !known.is_badvalue(),
                "{block}: {name}: no secret `{secret}`"
            );
        }
        for volume in service["volumes"].as_vec().into_iter().flatten() {
            let Some(volume) = volume.as_str() else {
                continue;
            };
            let source = volume.split(':').next().unwrap();
            let volumes = document["volumes"].as_hash();
            let known = source.starts_with(['.', '/', '~'])
                || volumes.is_some_and(|all| all.contains_key(&Yaml::String(source.to_owned())));
            assert!(known, "{block}: {name}: no volume `{source}`");
        }
    }
}

/// Checks that the volumes of a pod exist: in the pod, or made for each pod of a set.
fn mounts(block: &Block, spec: &Yaml) {
    fn items(list: &Yaml) -> impl Iterator<Item = &Yaml> {
        list.as_vec().into_iter().flatten()
    }
    let pod = match &spec["template"]["spec"] {
        Yaml::BadValue => spec,
        pod => pod,
    };
    let in_pod = items(&pod["volumes"]).map(|volume| &volume["name"]);
    let made = items(&spec["volumeClaimTemplates"]).map(|claim| &claim["metadata"]["name"]);
    let volumes: BTreeSet<&str> = in_pod.chain(made).filter_map(Yaml::as_str).collect();
    for container in items(&pod["containers"]) {
        for mount in items(&container["volumeMounts"]) {
            let name = mount["name"].as_str().unwrap();
            assert!(volumes.contains(name), "{block}: no volume `{name}`");
        }
    }
}

#[test]
fn every_block_of_toml_is_what_cargo_understands_and_names_what_there_is() {
    for block in of_kind("toml") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("src/lib.rs"), "").unwrap();
        let head = if block.text.contains("[package]") {
            ""
        } else {
            "[package]\nname = \"tried\"\nedition = \"2024\"\n"
        };
        let manifest = dir.path().join("Cargo.toml");
        std::fs::write(&manifest, format!("{head}{}", block.text)).unwrap();
        let package = &cargo_metadata(&manifest)["packages"][0];
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let ours = match name {
                "openclaw-adapter" => "adapter",
                "openclaw-mock-gateway" => "mock-gateway",
                _ => continue,
            };
            let ours = &cargo_metadata(&root().join(ours).join("Cargo.toml"));
            let ours = ours["packages"].as_array().unwrap();
            let ours = ours.iter().find(|package| package["name"] == name).unwrap();
            for feature in dependency["features"].as_array().unwrap() {
                let known = &ours["features"][feature.as_str().unwrap()];
                assert!(known.is_array(), "{block}: {name} has no feature {feature}");
            }
        }
    }
}

/// Runs `cargo metadata` on a manifest, without its dependencies.
pub(crate) fn cargo_metadata(manifest: &Path) -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", manifest.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Of the gateway and its own command; nothing of ours reads them.
const OF_THE_GATEWAY: &[&str] = &["OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR"];

#[test]
fn every_variable_that_a_page_names_is_read_by_a_program() {
    let mut code = String::new();
    for folder in [
        "adapter/src",
        "mock-gateway/src",
        "tests",
        "examples",
        ".ci",
    ] {
        sources(&root().join(folder), &mut code);
    }
    let mut named = 0;
    for page in pages() {
        let text = read(&page);
        for (at, _) in text.match_indices("OPENCLAW_") {
            let is_part = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let rest = &text[at..];
            let end =
                rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()));
            let name = &rest[..end.unwrap_or(rest.len())];
            if is_part || name.ends_with('_') {
                continue;
            }
            named += 1;
            let known = OF_THE_GATEWAY.contains(&name)
                || code.contains(&format!("\"{name}\""))
                || code.contains(&format!("{name}:-"));
            assert!(known, "{page}: nothing reads {name}");
        }
    }
    assert!(named > 20, "{named} variables were found in all pages");
}

fn sources(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, code);
        } else if path.extension().is_none_or(|ext| ext == "rs") {
            code.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
