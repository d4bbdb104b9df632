//! The pages, and the blocks of code in them.

use std::fmt;
use std::path::{Path, PathBuf};

/// A block of code.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Relative to the root of the repository.
    pub(crate) page: String,
    /// The line of its fence.
    pub(crate) line: usize,
    /// The first word after the fence, without what follows a comma; empty if there is none.
    pub(crate) kind: String,
    pub(crate) text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.page, self.line)
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(1)
        .unwrap()
        .to_owned()
}

/// All pages: those at the root, in `docs` and its folders, and of the packages.
pub(crate) fn pages() -> Vec<String> {
    let root = root();
    let mut pages = Vec::new();
    for folder in [
        "",
        "adapter",
        "mock-gateway",
        "tests",
        "examples",
        "fuzz",
        "docs",
    ] {
        collect(&root, &root.join(folder), folder == "docs", &mut pages);
    }
    pages.sort();
    assert!(pages.contains(&"README.md".to_owned()), "{pages:?}");
    assert!(
        pages.contains(&"docs/guides/connect.md".to_owned()),
        "{pages:?}"
    );
    pages
}

fn collect(root: &Path, folder: &Path, deep: bool, pages: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if deep {
                collect(root, &path, deep, pages);
            }
        } else if path.extension().is_some_and(|ext| ext == "md") {
            let page = path.strip_prefix(root).unwrap();
            pages.push(page.to_str().unwrap().replace('\\', "/"));
        }
    }
}

pub(crate) fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// All blocks of all pages.
pub(crate) fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks_of(page)).collect()
}

pub(crate) fn blocks_of(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // The block that is open: its fence, its indentation and itself.
    let mut open: Option<(String, usize, Block)> = None;
    for (at, line) in read(page).lines().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some((fence, indent, block)) = &mut open {
            if text.trim_end() == *fence {
                blocks.extend(open.take().map(|(_, _, block)| block));
            } else {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
        } else if text.starts_with("```") || text.starts_with("~~~") {
            let end = text.find(|c| !matches!(c, '`' | '~')).unwrap_or(text.len());
            let (fence, info) = text.split_at(end);
            let kind = info.split([',', ' ']).next().unwrap_or_default();
            let block = Block {
                page: page.to_owned(),
                line: at + 1,
                kind: kind.to_owned(),
                text: String::new(),
            };
            open = Some((fence.to_owned(), indent, block));
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    for block in blocks() {
        let known = matches!(
            &*block.kind,
            // `commands`
            "sh"
            // The doctests of the crates, and `mod pages` of this package.
            | "rust"
            // `data`
            | "json" | "toml" | "yaml"
            // `printed`: pictures, and the output of programs
            | "" | "text"
            // Drawn by whoever shows the page
            | "mermaid"
        );
        assert!(
            known,
            "{block}: nothing checks blocks of the kind `{}`",
            block.kind
        );
    }
}

/// The pages whose Rust is compiled, and run where it says nothing else.
#[test]
fn every_page_with_rust_in_it_is_a_doctest() {
    let included: Vec<String> = [
        ("adapter/src/lib.rs", "adapter"),
        ("mock-gateway/src/lib.rs", "mock-gateway"),
        ("tests/src/lib.rs", ""),
    ]
    .iter()
    .flat_map(|(file, folder)| {
        let text = read(file);
        text.split("include_str!(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(|path| {
                let path = path.trim_start_matches("../");
                if folder.is_empty() {
                    path.to_owned()
                } else {
                    format!("{folder}/{path}")
                }
            })
            .collect::<Vec<_>>()
    })
    .collect();
    for block in blocks().iter().filter(|block| block.kind == "rust") {
        assert!(
            included.contains(&block.page),
            "{block}: the page is in no `include_str!` of a crate ({included:?})"
        );
    }
}

#[test]
fn no_rust_in_the_pages_is_ignored() {
    for page in pages() {
        for (at, line) in read(&page).lines().enumerate() {
            let is_ignored = line.trim_start().starts_with("```rust") && line.contains("ignore");
            assert!(!is_ignored, "{page}:{}: nothing compiles it", at + 1);
        }
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut found = Vec::new();
    for line in read(page).lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if let Some((_, heading)) = line
            .split_once("# ")
            .filter(|(level, _)| !is_code && level.chars().all(|c| c == '#'))
        {
            let heading = heading.trim().to_lowercase().replace(' ', "-");
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
            found.push(heading.chars().filter(kept).collect());
        }
    }
    found
}

#[test]
fn every_link_to_a_heading_leads_to_one() {
    let mut checked = 0;
    for page in pages() {
        for link in read(&page).split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let Some((path, anchor)) = link.split_once('#').filter(|_| !link.contains(':')) else {
                continue;
            };
            let folder = Path::new(&page).parent().unwrap();
            let mut target = PathBuf::from(&page);
            if !path.is_empty() {
                target = folder.to_owned();
                for part in path.split('/') {
                    if part == ".." {
                        target.pop();
                    } else {
                        target.push(part);
                    }
                }
            }
            let is_there = anchors(target.to_str().unwrap())
                .iter()
                .any(|a| a == anchor);
            assert!(is_there, "{page}: {link} leads to no heading");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked} links to headings");
}

/// Files and folders that a page names, each from the root of the repository.
#[test]
fn every_path_that_a_page_names_is_there() {
    let tops = [
        "adapter/",
        "mock-gateway/",
        "tests/",
        "docs/",
        "examples/",
        "fuzz/",
        ".ci/",
        ".github/",
    ];
    let mut checked = 0;
    for page in pages().iter().filter(|page| *page != "CHANGELOG.md") {
        let mut is_code = false;
        for (at, line) in read(page).lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            let names = line.split('`').skip(1).step_by(2).filter(|_| !is_code);
            for name in names.filter(|name| tops.iter().any(|top| name.starts_with(top))) {
                // A command, an item in a file, or several files.
                let path = name.split([' ', ':', '{', '*']).next().unwrap();
                let is_there = root().join(path).exists();
                assert!(is_there, "{page}:{}: there is no {path}", at + 1);
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked} paths");
}

/// Tests are named by their paths, several of one module in braces.
#[test]
fn every_test_that_the_page_on_reliability_names_is_there() {
    let sources = std::process::Command::new("git")
        .args(["ls-files", "--", "*.rs"])
        .current_dir(root())
        .output()
        .unwrap();
    let files = String::from_utf8(sources.stdout).unwrap();
    let page = read("docs/reliability.md");
    let mut checked = 0;
    for name in page.split('`').skip(1).step_by(2) {
        let is_path =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:{}, ".contains(c);
        if !name.contains("::") || !name.chars().all(is_path) || name.contains("_{") {
            continue;
        }
        for part in name
            .split(|c: char| "{}, :".contains(c))
            .filter(|part| !part.is_empty())
        {
            let is_file =
                files.contains(&format!("/{part}.rs")) || files.contains(&format!("/{part}/"));
            let is_item = crate::commands::named(&format!("fn {part}("))
                || crate::commands::named(&format!("mod {part}"));
            assert!(is_file || is_item, "`{name}`: there is no `{part}`");
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked} names");
}
