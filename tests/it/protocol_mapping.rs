//! The page that says where each method is, held to what gateways advertise and to the adapter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Answered by gateways that do not advertise them: by both generations, and by 2026.9.6.
const UNADVERTISED: [&str; 2] = ["sessions.resolve", "sessions.get"];

/// Marks a method of the table that only 2026.9.6 has.
const ONLY_NEW: &str = "9.6";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a gateway of this version says in its hello.
fn advertised(version: &str) -> BTreeSet<String> {
    let path = root().join(format!("tests/fixtures/methods-{version}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The cells of the table's rows that follow a heading, without those of its own.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let table = table.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    table.map(cells).collect()
}

/// The texts in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

struct Page {
    /// Each method that is wrapped, and whether only 2026.9.6 has it.
    wrapped: Vec<(String, bool)>,
    /// Names and beginnings of names that are not.
    others: Vec<String>,
    text: String,
}

fn page() -> Page {
    let text = fs::read_to_string(root().join("docs/protocol-mapping.md")).unwrap();
    let wrapped = rows(&text, "## Methods").into_iter().filter_map(|cells| {
        let name = quoted(&cells[0]).next()?.to_owned();
        Some((name, cells[0].ends_with(ONLY_NEW)))
    });
    let wrapped = wrapped.collect();
    let others = rows(&text, "### What is not wrapped");
    let others = others.iter().flat_map(|cells| quoted(&cells[0]));
    Page {
        others: others.map(ToOwned::to_owned).collect(),
        wrapped,
        text,
    }
}

fn covers(pattern: &str, method: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => method.starts_with(beginning),
        None => method == pattern,
    }
}

#[test]
fn each_advertised_method_is_either_wrapped_or_said_not_to_be() {
    let page = page();
    let is_wrapped = |method: &str| page.wrapped.iter().any(|(name, _)| name == method);
    let (new, old) = (advertised("2026.9.6"), advertised("2026.2.9"));
    let all: BTreeSet<_> = new.union(&old).collect();
    for method in &all {
        let patterns = page.others.iter().filter(|other| covers(other, method));
        let wanted = usize::from(!is_wrapped(method));
        assert_eq!(patterns.count(), wanted, "{method}");
    }
    for pattern in &page.others {
        assert!(
            all.iter().any(|method| covers(pattern, method)),
            "{pattern}"
        );
    }
    for said in [
        format!("2026.9.6 advertises {} methods", new.len()),
        format!(
            "2026.2.9 advertises {}, {} of them the same",
            old.len(),
            new.intersection(&old).count()
        ),
    ] {
        assert!(page.text.contains(&said), "{said}");
    }
}

#[test]
fn the_generation_of_each_method_is_the_one_that_advertises_it() {
    let (new, old) = (advertised("2026.9.6"), advertised("2026.2.9"));
    let page = page();
    assert!(page.wrapped.len() > 40, "{}", page.wrapped.len());
    for (method, only_new) in &page.wrapped {
        if UNADVERTISED.contains(&method.as_str()) {
            assert!(!new.contains(method) && !old.contains(method), "{method}");
            continue;
        }
        assert!(new.contains(method), "{method}");
        assert_eq!(!old.contains(method), *only_new, "{method}");
    }
}

/// The methods in the adapter's own sources: `Name: "wire.name", Effect` where a macro makes the
/// type, and the constant where it is written out.
fn named_in(sources: &Path) -> BTreeSet<String> {
    const WRITTEN_OUT: &str = "const NAME: &'static str = \"";

    let mut found = BTreeSet::new();
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(named_in(&path));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let name = if let Some(rest) = line.strip_prefix(WRITTEN_OUT) {
                // An event has a name as well, and no effect.
                let next = lines.get(at + 1).copied().unwrap_or_default();
                next.starts_with("const EFFECT").then_some(rest)
            } else {
                let effects = ["\", Reads", "\", Changes", "\", Idempotent"];
                effects
                    .iter()
                    .find_map(|effect| line.split_once(effect))
                    .and_then(|(before, _)| Some(before.rsplit_once('"')?.1))
            };
            let name = name.and_then(|name| name.split('"').next());
            found.extend(name.map(ToOwned::to_owned));
        }
    }
    found
}

#[test]
fn the_table_has_every_method_that_the_adapter_has_a_type_for() {
    let named = named_in(&root().join("adapter/src/api"));
    let wrapped: BTreeSet<_> = page().wrapped.into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, wrapped);
}
