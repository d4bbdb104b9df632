use super::*;

const RULES: &str = r#"
    [[crate]]
    name = "sample"
    src = "src"
    limits = { entries = 4, against = 0, circles = 0, code_lines = 100 }

    [[crate.folder]]
    name = "base"
    holds = "Plain values."

    [[crate.folder]]
    name = "store"
    holds = "Files."
    uses = ["base"]

    [[crate.folder]]
    name = "net"
    holds = "Sockets."
    uses = ["store::memo"]
"#;

const LIB: &str = "mod base; mod store; mod net; pub use store::File;";

/// Measures a crate of three folders whose files are these, and otherwise empty.
fn measure(files: &[(&str, &str)]) -> Measured {
    let mut sources: Sources = [
        ("src/lib.rs", LIB),
        ("src/base/mod.rs", ""),
        ("src/net/mod.rs", ""),
        ("src/store/mod.rs", "mod memo; pub struct File;"),
        ("src/store/memo.rs", "pub struct Memo;"),
    ]
    .iter()
    .chain(files)
    .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
    .collect();
    sources.retain(|_, text| text != "gone");
    rules(RULES).check(&sources).unwrap()
}

fn rules(toml: &str) -> Rules {
    Layers::parse(toml).unwrap().crates.remove(0)
}

#[test]
fn imports_down_the_layers_are_fine() {
    let measured = measure(&[
        ("src/base/mod.rs", "pub struct Value;"),
        (
            "src/store/mod.rs",
            "mod memo; use crate::base::Value; pub struct File(Value);",
        ),
        ("src/net/mod.rs", "use crate::store::memo::Memo;"),
    ]);

    assert_eq!(measured.problems, Vec::<String>::new());
    assert_eq!((measured.entries, measured.against), (4, 0));
}

#[test]
fn an_import_against_the_layers_is_named_with_the_place_where_its_item_can_live() {
    let measured = measure(&[(
        "src/base/mod.rs",
        "use std::fmt;\nuse crate::{\n    store::File,\n};",
    )]);

    assert_eq!(
        measured.problems,
        [
            "src/base/mod.rs:3: `base` must not use `crate::store::File`; it may use no other folder. `File` can live in `base` (Plain values), or below it. Or move the code that needs it to `store` (Files).",
            "sample: 1 imports against the layers, the limit is 0",
        ]
    );
}

#[test]
fn an_item_is_found_behind_the_re_export_of_the_root() {
    let measured = measure(&[("src/base/mod.rs", "use crate::File;")]);

    assert_eq!(measured.against, 1, "{:?}", measured.problems);
}

#[test]
fn every_way_to_write_a_path_is_seen() {
    for text in [
        "fn open() { crate::store::File; }",
        "fn open() -> super::store::File { todo!() }",
        "use super::store; fn open(_: store::File) {}",
        "fn open() { use crate::store::File as Opened; }",
        "fn open() { println!(\"{}\", crate::store::open()); }",
        "#[serde(with = \"crate::store\")] struct Value;",
        "use crate::store::*;",
        "pub(crate) use crate::store::File;",
        "mod inner { use super::super::store::File; }",
    ] {
        let measured = measure(&[("src/base/mod.rs", text)]);
        assert_ne!(measured.against, 0, "{text}");
    }
}

#[test]
fn other_crates_and_visibilities_are_no_imports() {
    let measured = measure(&[(
        "src/base/mod.rs",
        "use store::File; pub(in crate::base) fn open() { std::fs::read(\"crate: store\"); }",
    )]);

    assert_eq!(measured.problems, Vec::<String>::new());
}

#[test]
fn a_module_that_alone_is_allowed_does_not_open_its_folder() {
    let measured = measure(&[("src/net/mod.rs", "use crate::store::{File, memo::Memo};")]);

    assert_eq!(measured.against, 1, "{:?}", measured.problems);
    assert!(
        measured.problems[0].contains("`crate::store::File`"),
        "{:?}",
        measured.problems
    );
}

#[test]
fn code_for_tests_alone_is_exempt() {
    let measured = measure(&[
        (
            "src/base/mod.rs",
            "#[cfg(test)]\nmod tests;\n#[cfg(all(test, unix))]\nuse crate::store::File;\nfn value() {}",
        ),
        ("src/base/tests.rs", "use crate::store::File;"),
    ]);

    assert_eq!(measured.problems, Vec::<String>::new());
}

#[test]
fn a_circle_of_files_is_named_once() {
    let measured = measure(&[
        (
            "src/base/mod.rs",
            "use crate::store::File; pub struct Value;",
        ),
        (
            "src/store/mod.rs",
            "mod memo; use crate::base::Value; pub struct File;",
        ),
    ]);

    assert_eq!(measured.circles, 1);
    assert!(
        measured.problems.contains(
            &"these files of 2 folders import one another in a circle: src/base/mod.rs, src/store/mod.rs"
                .to_owned()
        ),
        "{:?}",
        measured.problems
    );
}

#[test]
fn files_of_one_folder_may_use_one_another() {
    let measured = measure(&[
        (
            "src/store/mod.rs",
            "mod memo; use memo::Memo; pub struct File;",
        ),
        ("src/store/memo.rs", "use super::File; pub struct Memo;"),
    ]);

    assert_eq!(measured.problems, Vec::<String>::new());
}

#[test]
fn an_entry_without_rules_and_a_rule_without_an_entry_are_named() {
    let measured = measure(&[
        ("src/lib.rs", "mod base; mod store; mod extra;"),
        ("src/extra.rs", ""),
        ("src/net/mod.rs", "gone"),
    ]);

    assert_eq!(
        measured.problems,
        [
            "src/extra has no entry in .ci/layers.toml: say there what it holds and uses, or move it into one of its folders",
            ".ci/layers.toml has `net` of src, which is not there",
        ]
    );
}

#[test]
fn rules_that_go_in_a_circle_are_refused() {
    let circular = RULES.replace(
        "holds = \"Plain values.\"",
        "holds = \"\"\nuses = [\"net\"]",
    );

    assert_eq!(
        rules(&circular).allowed().unwrap_err(),
        "sample: `base` uses `net`, which is not listed before it"
    );
}

#[test]
fn lines_of_code_are_those_without_comments_blanks_and_tests() {
    let text = r#"//! A page.

/// Opens it.
#[inline]
fn open() { // at once
    /* slowly,
       if need be */
    let text = "two
lines";
}

#[cfg(test)]
mod tests {
    fn open() {}
}
"#;
    let measured = measure(&[("src/base/mod.rs", text)]);

    // Five here, and three in the other files.
    assert_eq!(measured.code_lines, 5 + 3);
}

#[test]
fn figures_above_their_limits_are_named() {
    let low = RULES
        .replace("entries = 4", "entries = 3")
        .replace("code_lines = 100", "code_lines = 2");
    let sources = [
        ("src/lib.rs", LIB),
        ("src/base.rs", ""),
        ("src/net.rs", ""),
        ("src/store.rs", "pub struct File;\npub struct Memo;"),
    ];
    let sources = sources.map(|(path, text)| (path.into(), text.to_owned()));

    assert_eq!(
        rules(&low).check(&sources.into()).unwrap().problems,
        [
            "sample: 4 entries at the top of the tree, the limit is 3",
            "sample: 3 lines of code of the library, the limit is 2",
        ]
    );
}

#[test]
fn words_that_were_given_up_are_found_in_comments_and_names() {
    let words = Vocabulary::parse(
        r#"
        first = ["Whether"]
        [names]
        Veil = "Redactor"
        [files]
        veil = "redact"
        [phrases]
        anew = "again"
        "#,
    )
    .unwrap();
    let source = "//! Hides tokens.\n//! Whether it does is tested.\n\n/// Whether it is open.\npub struct Veil;\n// It begins anew; \"manewer\" does not.\nfn open() { Veiled; \"anew\"; }\n";
    let page = "# Page\n\nWhether it starts anew.\n";
    let sources = [("src/veil.rs", source), ("page.md", page)];
    let sources = sources.map(|(path, text)| (path.into(), text.to_owned()));

    assert_eq!(
        words.check(&sources.into()).unwrap(),
        [
            "page.md:3: \"anew\" was given up for \"again\"",
            "src/veil.rs: `veil` was given up for `redact`",
            "src/veil.rs:4: a doc comment begins with \"Whether\"",
            "src/veil.rs:5: `Veil` was given up for `Redactor`",
            "src/veil.rs:6: \"anew\" was given up for \"again\"",
        ]
    );
}
