//! The rules as `.ci/layers.toml` has them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The rules of every crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// The crates that are checked.
    #[serde(rename = "crate")]
    pub crates: Vec<Rules>,
}

/// The folders of one crate, from the bottom to the top, and the limits of its figures.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The name that the table shows.
    pub name: String,
    /// The folder with `lib.rs`, from the root of the repository.
    pub src: String,
    /// The most that each figure may be.
    pub limits: Limits,
    /// The entries at the top of the tree, `lib.rs` aside.
    #[serde(rename = "folder")]
    pub folders: Vec<Folder>,
}

/// The most that each figure of a crate may be.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Folders and files at the top of the tree.
    pub entries: usize,
    /// Imports that run against the layers.
    pub against: usize,
    /// Circles between files of different folders.
    pub circles: usize,
    /// Lines of code of the library.
    pub code_lines: usize,
}

/// One entry at the top of the tree.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The name of the module.
    pub name: String,
    /// One sentence about what belongs there.
    pub holds: String,
    /// Folders that it may use, with everything that those may use; `folder::module` allows that module alone.
    #[serde(default)]
    pub uses: Vec<String>,
    /// A crate of its own in this folder (`bin`): it sees what every user sees, so there is nothing to check.
    #[serde(default)]
    pub separate: bool,
}

impl Layers {
    /// Reads the rules.
    ///
    /// # Errors
    ///
    /// Says what is wrong with `toml` and where.
    pub fn parse(toml: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(toml)?)
    }
}

impl Rules {
    /// The entry of that name.
    pub(super) fn folder(&self, name: &str) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.name == name)
    }

    /// Everything that each folder may use: names of folders, and `folder::module` for single modules.
    ///
    /// # Errors
    ///
    /// Names the entry whose `uses` has a folder that does not stand before it: in this order, a circle cannot
    /// be written down.
    pub(super) fn allowed(&self) -> Result<BTreeMap<&str, BTreeSet<&str>>, String> {
        let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for folder in &self.folders {
            let mut all = BTreeSet::from([folder.name.as_str()]);
            for used in &folder.uses {
                let whole = used.split("::").next().unwrap_or_default();
                let Some(below) = allowed.get(whole) else {
                    return Err(format!(
                        "{}: `{}` uses `{used}`, which is not listed before it",
                        self.name, folder.name
                    ));
                };
                if whole == used {
                    all.extend(below);
                } else {
                    all.insert(used);
                }
            }
            if allowed.insert(&folder.name, all).is_some() {
                return Err(format!("{}: `{}` is listed twice", self.name, folder.name));
            }
        }
        Ok(allowed)
    }
}
