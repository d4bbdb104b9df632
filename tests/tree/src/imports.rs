//! The module that defines the item behind each path of a crate, past re-exports.

use std::path::Path;

use super::source::{Crate, Module};

/// Re-exports of re-exports are followed this far; `use` declarations can go in a circle.
const DEPTH: usize = 16;

/// One mention of an item of another file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Import<'a> {
    pub(super) file: &'a Path,
    pub(super) line: usize,
    /// The module with the mention.
    pub(super) from: &'a [String],
    /// The file that defines the item.
    pub(super) target: &'a Path,
    /// The module that defines the item.
    pub(super) to: &'a [String],
    /// The item; `None` for the module as a whole.
    pub(super) item: Option<String>,
}

impl Crate {
    /// Every mention that leads to another file of this crate, in the order of files and lines.
    pub(super) fn imports(&self) -> Vec<Import<'_>> {
        let mut imports = Vec::new();
        for module in self.modules.values() {
            for (path, line) in &module.mentions {
                let Some((target, item)) = self.resolve(module, path, 0) else {
                    continue;
                };
                if target.file != module.file {
                    imports.push(Import {
                        file: &module.file,
                        line: *line,
                        from: &module.path,
                        target: &target.file,
                        to: &target.path,
                        item,
                    });
                }
            }
        }
        imports.sort();
        imports.dedup();
        imports
    }

    /// The module that defines what `path`, written in `module`, leads to; `None` for other crates.
    fn resolve<'a>(
        &'a self,
        module: &'a Module,
        path: &[String],
        depth: usize,
    ) -> Option<(&'a Module, Option<String>)> {
        let mut at = module;
        let mut rest = path;
        let mut relative = true;
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" => at = self.modules.get(&Vec::new())?,
                "self" => {}
                "super" => at = self.modules.get(at.path.split_last()?.1)?,
                _ => break,
            }
            relative = false;
            rest = after;
        }
        if relative && !knows(at, rest.first()?) {
            return None;
        }
        self.walk(at, rest, depth)
    }

    fn walk<'a>(
        &'a self,
        at: &'a Module,
        rest: &[String],
        depth: usize,
    ) -> Option<(&'a Module, Option<String>)> {
        if depth > DEPTH {
            return None;
        }
        let Some((name, after)) = rest.split_first() else {
            return Some((at, None));
        };
        let is_item = at.items.contains(name);
        if at.children.contains(name) && !(is_item && after.is_empty()) {
            let mut path = at.path.clone();
            path.push(name.clone());
            return self.walk(self.modules.get(&path)?, after, depth);
        }
        if is_item {
            return Some((at, Some(name.clone())));
        }
        if let Some(bound) = at.bindings.get(name) {
            let path: Vec<String> = bound.iter().chain(after).cloned().collect();
            return self.resolve(at, &path, depth + 1);
        }
        for glob in &at.globs {
            if let Some((opened, None)) = self.resolve(at, glob, depth + 1)
                && opened.path != at.path
                && let Some((found, item)) = self.walk(opened, rest, depth + 1)
                && (item.is_none() || item.as_ref().is_some_and(|item| found.items.contains(item)))
            {
                return Some((found, item));
            }
        }
        // Made by a macro, or a name that only the compiler can find.
        Some((at, Some(name.clone())))
    }
}

/// Tells a name in the scope of `module` from another crate.
fn knows(module: &Module, name: &String) -> bool {
    module.children.contains(name)
        || module.items.contains(name)
        || module
            .bindings
            .get(name)
            // `use serde_json;` and the like lead to themselves.
            .is_some_and(|path| path.first() != Some(name))
}
