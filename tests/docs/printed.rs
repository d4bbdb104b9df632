//! Pictures, trees of files, and printed output in the pages.

use std::path::Path;

use openclaw_mock_gateway::Scenario;
use serde_json::Value;

use crate::data::objects;
use crate::pages::{Block, blocks, read, root};
use crate::programs::Scene;

fn texts() -> Vec<Block> {
    let is_text = |block: &Block| block.kind.is_empty() || block.kind == "text";
    blocks().into_iter().filter(is_text).collect()
}

fn is_picture(block: &Block) -> bool {
    block
        .text
        .contains(|c| ('\u{2500}'..='\u{257f}').contains(&c))
}

fn is_tree(block: &Block) -> bool {
    let first = block.text.split_whitespace().next();
    first.is_some_and(|name| name.ends_with('/'))
}

/// Returns `true` for output of the doctor: a status and a check at the beginning of each line.
fn is_diagnosis(block: &Block) -> bool {
    !columns(&block.text).is_empty()
}

fn columns(text: &str) -> Vec<(String, String)> {
    let words = text.lines().map(|line| {
        let mut words = line.split_whitespace();
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    });
    words
        .filter(|(status, _)| ["ok", "skipped", "warning", "problem"].contains(status))
        .map(|(status, check)| (status.to_owned(), check.to_owned()))
        .collect()
}

/// The columns, without what is not the same for a gateway on another host and for the mock, which has
/// an address in the place of a name and takes clients over loopback for remote ones.
fn comparable(diagnosis: &str) -> Vec<(String, String)> {
    let mut columns = columns(diagnosis);
    columns.retain(|(_, check)| check != "name" && check != "openclaw_json");
    for (status, check) in &mut columns {
        if check == "locality" {
            status.clear();
        }
    }
    columns
}

#[test]
fn every_tree_shows_files_that_are_there() {
    let trees: Vec<Block> = texts().into_iter().filter(is_tree).collect();
    assert!(!trees.is_empty(), "no page shows a tree");
    for block in trees {
        // The folders on the way to this line, with how far each is indented.
        let mut way: Vec<(usize, String)> = Vec::new();
        for line in block.text.lines() {
            let name = line.trim_start();
            let indent = line.len() - name.len();
            // Further to the right are only more words about the line above.
            if name.is_empty() || indent > 8 {
                continue;
            }
            way.retain(|(column, _)| *column < indent);
            let above = way.iter().map(|(_, name)| &**name).collect::<String>();
            let names = name
                .split("  ")
                .next()
                .unwrap_or_default()
                .split_whitespace();
            for name in names {
                let path = root().join(&above).join(name);
                assert!(path.exists(), "{block}: there is no {above}{name}");
                if name.ends_with('/') {
                    way.retain(|(column, _)| *column < indent);
                    way.push((indent, name.to_owned()));
                }
            }
        }
    }
}

/// Without what differs from one run to the next.
fn normal(text: &str) -> String {
    let is_id = |word: &str| {
        let word = word.trim_end_matches('…').replace('-', "");
        word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit())
    };
    let words = text.split_whitespace();
    let words = words.map(|word| if is_id(word) { "ID" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_the_programs_are_said_to_print_is_what_they_print() {
    let scene = Scene::set().await;
    let remote = scene.gateway.url();
    // The doctor makes no identity; the first try does.
    scene.adapter(&remote, &["connect", "--wait", "0"]).await;
    let diagnosis = scene.adapter(&remote, &["doctor"]).await.stdout;
    let scene = Scene::set().await;
    let said = scene.first_start(&["connect", "--wait", "120s"]).await;
    let printed = normal(&format!("{}\n{}", said.stdout, said.stderr));
    for block in texts() {
        if is_picture(&block) || is_tree(&block) {
        } else if is_diagnosis(&block) {
            let (shown, real) = (comparable(&block.text), comparable(&diagnosis));
            assert_eq!(shown, real, "{block}: the doctor says something else");
        } else {
            for line in block.text.lines() {
                let line = normal(line);
                assert!(
                    printed.contains(&line),
                    "{block}: `{line}` is not in `{printed}`"
                );
            }
        }
    }
}

/// Lines of JSON that the programs print: every field that a page shows is there.
#[tokio::test]
async fn the_fields_that_pages_show_of_json_are_those_that_the_programs_print() {
    let scene = Scene::set().await;
    let (remote, local) = (scene.gateway.url(), scene.gateway.local_url());
    let mut real = vec![
        scene.adapter(&remote, &["doctor", "--json"]).await.stdout,
        scene
            .first_start(&["connect", "--json", "--wait", "120s"])
            .await
            .stdout,
        scene.adapter(&local, &["doctor", "--json"]).await.stdout,
    ];
    // Another token than the gateway has in its memory.
    scene
        .gateway
        .set_token_on_disk("another-token-for-the-gateway")
        .unwrap();
    scene.gateway.restart().await.unwrap();
    let stale = Scene::set().await;
    for command in [
        &["connect", "--json", "--wait", "0"][..],
        &["doctor", "--json"],
    ] {
        real.push(stale.adapter(&scene.gateway.url(), command).await.stdout);
    }
    let real: Vec<Value> = real
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    let guide = read("docs/guides/troubleshoot.md");
    for check in real.iter().filter_map(|line| line["check"].as_str()) {
        assert!(guide.contains(&format!("`{check}`")), "no word on {check}");
    }
    for block in blocks().iter().filter(|block| block.kind == "json") {
        for shown in objects(block) {
            if shown.get("$schema").is_some() {
                scenario(block, &shown);
                continue;
            }
            let fits = real.iter().any(|real| is_kind_of(&shown, real));
            assert!(fits, "{block}: no program prints {shown}");
        }
    }
}

/// Returns `true` if both are of the same kind, and every field of the page exists.
fn is_kind_of(shown: &Value, real: &Value) -> bool {
    let same = |field: &str| shown.get(field) == real.get(field);
    let names = ["state", "check", "verdict"];
    let has_name = names.iter().any(|field| shown.get(field).is_some());
    let has = |shown: &Value, real: &Value| {
        let fields = shown.as_object().into_iter().flatten();
        fields
            .into_iter()
            .all(|(field, _)| real.get(field).is_some())
    };
    has_name
        && names.iter().all(|field| same(field))
        && same("status")
        && same("kind")
        && has(shown, real)
        && shown
            .get("data")
            .is_none_or(|data| has(data, &real["data"]))
}

fn scenario(block: &Block, shown: &Value) {
    let dir = tempfile::tempdir().unwrap();
    let file: &Path = &dir.path().join("scenario.json");
    std::fs::write(file, shown.to_string()).unwrap();
    if let Err(error) = Scenario::load(file) {
        panic!("{block}: {error}");
    }
}
