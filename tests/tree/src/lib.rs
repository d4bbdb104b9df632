//! Checks of the sources themselves: who may use whom among the folders of each crate, the figures of its
//! tree, and the words of names and comments.
//!
//! `.ci/layers.toml` and `.ci/words.toml` have the rules; `cargo run --package openclaw-tree` prints the figures.
//! Paths are followed past re-exports to the module that defines the item. Code that is compiled for tests only
//! is exempt: a test may bring together what the code keeps apart.

#![forbid(unsafe_code)]

mod circles;
mod imports;
mod lines;
mod rules;
mod source;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use rules::{Folder, Layers, Limits, Rules};
pub use source::Sources;
pub use words::Vocabulary;

use imports::Import;
use source::Crate;

/// The figures of one crate, and a sentence for each place that breaks a rule.
#[derive(Debug, Default)]
pub struct Measured {
    /// Folders and files at the top of the tree.
    pub entries: usize,
    /// Imports that run against the layers, each item once for each file.
    pub against: usize,
    /// Circles between files of different folders.
    pub circles: usize,
    /// Lines of code of the library, without documentation, comments and tests.
    pub code_lines: usize,
    /// Places that break the rules; empty if the crate keeps them.
    pub problems: Vec<String>,
    /// The folders that each folder uses.
    pub uses: BTreeMap<String, BTreeSet<String>>,
}

impl Measured {
    /// Each figure with its name and its limit.
    #[must_use]
    pub fn figures(&self, limits: &Limits) -> [(&'static str, usize, usize); 4] {
        [
            (
                "entries at the top of the tree",
                self.entries,
                limits.entries,
            ),
            ("imports against the layers", self.against, limits.against),
            (
                "circles between files of different folders",
                self.circles,
                limits.circles,
            ),
            (
                "lines of code of the library",
                self.code_lines,
                limits.code_lines,
            ),
        ]
    }
}

/// Folders with nothing of ours.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];

/// A checkout of the repository.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The checkout that this package was compiled from.
    #[must_use]
    pub fn here() -> Self {
        Self {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        }
    }

    /// Measures every crate of `.ci/layers.toml`.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or parsed.
    pub fn layers(&self) -> anyhow::Result<Vec<(Rules, Measured)>> {
        let layers = Layers::parse(&self.text(Path::new(".ci/layers.toml"))?)?;
        let measure = |rules: Rules| {
            let measured = rules.check(&self.sources(Path::new(&rules.src), &["rs"])?)?;
            Ok((rules, measured))
        };
        layers.crates.into_iter().map(measure).collect()
    }

    /// Says what breaks the rules of `.ci/words.toml` in all sources and pages.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read or parsed.
    pub fn words(&self) -> anyhow::Result<Vec<String>> {
        let words = Vocabulary::parse(&self.text(Path::new(".ci/words.toml"))?)?;
        words.check(&self.sources(Path::new(""), &["rs", "md"])?)
    }

    /// Reads the files below `folder` with these extensions, without what is built or fetched.
    fn sources(&self, folder: &Path, extensions: &[&str]) -> anyhow::Result<Sources> {
        let mut sources = Sources::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let read = self.root.join(&folder);
            let entries = read
                .read_dir()
                .with_context(|| format!("cannot list {}", read.display()))?;
            for entry in entries {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    if !SKIPPED.iter().any(|name| path.ends_with(name)) {
                        folders.push(path);
                    }
                } else if path
                    .extension()
                    .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
                {
                    let text = self.text(&path)?;
                    sources.insert(path, text);
                }
            }
        }
        Ok(sources)
    }

    fn text(&self, path: &Path) -> anyhow::Result<String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

impl Rules {
    /// Holds `sources` against these rules.
    ///
    /// # Errors
    ///
    /// Fails if a source file cannot be parsed or a declared module is not there.
    pub fn check(&self, sources: &Sources) -> anyhow::Result<Measured> {
        let src = Path::new(&self.src);
        let parsed = Crate::parse(src, sources)?;
        let imports = parsed.imports();
        let mut measured = Measured::default();
        self.check_entries(sources, &mut measured);
        match self.allowed() {
            Ok(allowed) => self.check_imports(&imports, &allowed, &mut measured),
            Err(problem) => measured.problems.push(problem),
        }
        self.check_circles(&imports, &mut measured);
        for (file, test_lines) in &parsed.test_lines {
            let text = sources.get(file).map_or("", String::as_str);
            measured.code_lines += lines::code_lines(text, test_lines)?;
        }
        self.check_limits(&mut measured);
        Ok(measured)
    }

    /// Every entry at the top of the tree is in the rules, and the other way round.
    fn check_entries(&self, sources: &Sources, measured: &mut Measured) {
        let entries: BTreeSet<&str> = sources
            .keys()
            .filter_map(|path| path.strip_prefix(&self.src).ok()?.iter().next()?.to_str())
            .map(|name| name.strip_suffix(".rs").unwrap_or(name))
            .collect();
        measured.entries = entries.len();
        for name in &entries {
            if *name != "lib" && self.folder(name).is_none() {
                measured.problems.push(format!(
                    "{}/{name} has no entry in .ci/layers.toml: say there what it holds and uses, or move it into one of its folders",
                    self.src
                ));
            }
        }
        for folder in &self.folders {
            if !entries.contains(folder.name.as_str()) {
                measured.problems.push(format!(
                    ".ci/layers.toml has `{}` of {}, which is not there",
                    folder.name, self.src
                ));
            }
        }
    }

    fn check_imports(
        &self,
        imports: &[Import<'_>],
        allowed: &BTreeMap<&str, BTreeSet<&str>>,
        measured: &mut Measured,
    ) {
        let mut counted = BTreeSet::new();
        for import in imports {
            // `lib.rs` re-exports what it likes.
            let Some(from) = import.from.first() else {
                continue;
            };
            let to = import.to.first().map_or("lib", String::as_str);
            if from != to {
                let uses = measured.uses.entry(from.clone()).or_default();
                uses.insert(to.to_owned());
            }
            let Some(may_use) = allowed.get(from.as_str()) else {
                // An entry without rules has its problem already.
                continue;
            };
            let mut prefixes = (1..=import.to.len()).map(|length| import.to[..length].join("::"));
            if prefixes.any(|prefix| may_use.contains(prefix.as_str())) {
                continue;
            }
            let item = import.item.as_deref().unwrap_or("the module");
            if counted.insert((import.file, import.to, item)) {
                measured
                    .problems
                    .push(self.against(import, from, to, may_use, allowed));
            }
        }
        measured.against = counted.len();
    }

    /// Says what is wrong with an import, and where its item could live.
    fn against(
        &self,
        import: &Import<'_>,
        from: &str,
        to: &str,
        may_use: &BTreeSet<&str>,
        allowed: &BTreeMap<&str, BTreeSet<&str>>,
    ) -> String {
        let names = import.to.iter().chain(&import.item).map(String::as_str);
        let path: Vec<&str> = std::iter::once("crate").chain(names).collect();
        let path = path.join("::");
        let others: Vec<&str> = may_use
            .iter()
            .copied()
            .filter(|name| *name != from)
            .collect();
        let others = if others.is_empty() {
            "no other folder".to_owned()
        } else {
            others.join(", ")
        };
        let mut text = format!(
            "{}:{}: `{from}` must not use `{path}`; it may use {others}.",
            import.file.display(),
            import.line,
        );
        // Both sides reach it in a folder that both may use.
        let common = self.folders.iter().rfind(|folder| {
            let name = folder.name.as_str();
            may_use.contains(name) && allowed.get(to).is_some_and(|to| to.contains(name))
        });
        if let (Some(item), Some(folder)) = (&import.item, common) {
            let _ = write!(
                text,
                " `{item}` can live in `{}` ({}), or below it.",
                folder.name,
                folder.holds.trim_end_matches('.')
            );
        }
        if let Some(folder) = self.folder(to) {
            let _ = write!(
                text,
                " Or move the code that needs it to `{to}` ({}).",
                folder.holds.trim_end_matches('.')
            );
        }
        text
    }

    fn check_circles(&self, imports: &[Import<'_>], measured: &mut Measured) {
        let root = PathBuf::from(&self.src).join("lib.rs");
        let edges: Vec<(&Path, &Path)> = imports
            .iter()
            .filter(|import| import.file != root && import.target != root)
            .map(|import| (import.file, import.target))
            .collect();
        for circle in circles::circles(&edges) {
            let folders: BTreeSet<_> = circle
                .iter()
                .filter_map(|file| file.strip_prefix(&self.src).ok()?.iter().next())
                .map(|name| Path::new(name).with_extension(""))
                .collect();
            if folders.len() > 1 {
                measured.circles += 1;
                let files: Vec<String> = circle
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                measured.problems.push(format!(
                    "these files of {} folders import one another in a circle: {}",
                    folders.len(),
                    files.join(", ")
                ));
            }
        }
    }

    fn check_limits(&self, measured: &mut Measured) {
        for (figure, value, limit) in measured.figures(&self.limits) {
            if value > limit {
                measured.problems.push(format!(
                    "{}: {value} {figure}, the limit is {limit}",
                    self.name
                ));
            }
        }
    }
}
