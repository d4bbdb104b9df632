//! The modules of a crate as its sources declare them, without what is compiled for tests only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// The text of every source file, by its path from the root of the repository.
pub type Sources = BTreeMap<PathBuf, String>;

/// One module, whether it has a file of its own or not.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Names from the root of the crate; empty for the root.
    pub(super) path: Vec<String>,
    pub(super) file: PathBuf,
    pub(super) children: BTreeSet<String>,
    /// Items that are defined here.
    pub(super) items: BTreeSet<String>,
    /// Names that a `use` brings in, and the path behind each.
    pub(super) bindings: BTreeMap<String, Vec<String>>,
    /// Paths of `use path::*`.
    pub(super) globs: Vec<Vec<String>>,
    /// Paths as they are written, with their lines.
    pub(super) mentions: Vec<(Vec<String>, usize)>,
}

/// The modules of one crate, and the lines that only tests need.
#[derive(Debug, Default)]
pub(super) struct Crate {
    pub(super) modules: BTreeMap<Vec<String>, Module>,
    /// First and last lines of items that are compiled for tests only, by file.
    pub(super) test_lines: BTreeMap<PathBuf, Vec<(usize, usize)>>,
}

impl Crate {
    /// Follows the `mod` declarations from `lib.rs`.
    pub(super) fn parse(src: &Path, sources: &Sources) -> anyhow::Result<Self> {
        let mut parsed = Self::default();
        let mut files = vec![(Vec::new(), src.join("lib.rs"), src.to_owned())];
        while let Some((path, file, children_in)) = files.pop() {
            let text = sources
                .get(&file)
                .with_context(|| format!("{} is declared and not there", file.display()))?;
            let syntax = syn::parse_file(text).map_err(|error| {
                let line = error.span().start().line;
                anyhow::anyhow!("{}:{line}: {error}", file.display())
            })?;
            parsed.test_lines.entry(file.clone()).or_default();
            parsed.module(
                path,
                &file,
                &children_in,
                &syntax.items,
                sources,
                &mut files,
            )?;
        }
        Ok(parsed)
    }

    fn module(
        &mut self,
        path: Vec<String>,
        file: &Path,
        children_in: &Path,
        items: &[syn::Item],
        sources: &Sources,
        files: &mut Vec<(Vec<String>, PathBuf, PathBuf)>,
    ) -> anyhow::Result<()> {
        let mut reader = Reader {
            module: Module {
                path: path.clone(),
                file: file.to_owned(),
                ..Module::default()
            },
            test_lines: Vec::new(),
            depth: 0,
        };
        for item in items {
            let syn::Item::Mod(declared) = item else {
                reader.visit_item(item);
                continue;
            };
            if is_test_only(&declared.attrs) {
                reader.skip(item);
                continue;
            }
            let name = declared.ident.to_string();
            let mut inner = path.clone();
            inner.push(name.clone());
            reader.module.children.insert(name.clone());
            if let Some((_, items)) = &declared.content {
                self.module(inner, file, &children_in.join(&name), items, sources, files)?;
                continue;
            }
            let flat = children_in.join(format!("{name}.rs"));
            let folder = children_in.join(&name);
            let (found, children_in) = match path_attribute(&declared.attrs) {
                Some(given) => {
                    let found = normal(&file.parent().unwrap_or(file).join(given));
                    let beside = found.parent().unwrap_or(file).to_owned();
                    (found, beside)
                }
                None if sources.contains_key(&flat) => (flat, folder),
                None => (folder.join("mod.rs"), folder),
            };
            if !sources.contains_key(&found) {
                bail!("{}: no file for `mod {name}`", file.display());
            }
            files.push((inner, found, children_in));
        }
        self.test_lines
            .entry(file.to_owned())
            .or_default()
            .append(&mut reader.test_lines);
        self.modules.insert(path, reader.module);
        Ok(())
    }
}

/// `a/b/../c` as `a/c`, and `a/./b` as `a/b`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

/// Collects what one module defines and mentions.
struct Reader {
    module: Module,
    test_lines: Vec<(usize, usize)>,
    /// Inside how many items this is: what a function defines is no item of the module.
    depth: usize,
}

impl Reader {
    fn skip(&mut self, skipped: &impl syn::spanned::Spanned) {
        let span = skipped.span();
        self.test_lines.push((span.start().line, span.end().line));
    }

    fn mention(&mut self, path: Vec<String>, line: usize) {
        self.module.mentions.push((path, line));
    }

    fn use_tree(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.use_tree(&inner.tree, path);
            }
            syn::UseTree::Name(name) => self.bind(path, &name.ident, &name.ident),
            syn::UseTree::Rename(renamed) => self.bind(path, &renamed.ident, &renamed.rename),
            syn::UseTree::Glob(star) => {
                let line = star.star_token.spans[0].start().line;
                if self.depth == 0 {
                    self.module.globs.push(path.clone());
                }
                self.mention(path, line);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, path.clone());
                }
            }
        }
    }

    fn bind(&mut self, mut path: Vec<String>, name: &syn::Ident, bound: &syn::Ident) {
        let line = name.span().start().line;
        let mut bound = bound.to_string();
        if name == "self" {
            bound = path.last().cloned().unwrap_or_default();
        } else {
            path.push(name.to_string());
        }
        if self.depth == 0 {
            self.module.bindings.insert(bound, path.clone());
        }
        self.mention(path, line);
    }

    /// Paths in the tokens of a macro, where there is no syntax to go by, and in strings of attributes.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while let [
                        TokenTree::Punct(colon),
                        TokenTree::Punct(second),
                        TokenTree::Ident(next),
                        ..,
                    ] = tokens.get(at..).unwrap_or_default()
                        && colon.as_char() == ':'
                        && second.as_char() == ':'
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.mention(path, first.span().start().line);
                    }
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let path = text.trim_matches('"');
                    if path.starts_with("crate::") || path.starts_with("super::") {
                        let path = path.split("::").map(str::to_owned).collect();
                        self.mention(path, literal.span().start().line);
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if attributes(item).is_some_and(is_test_only) {
            self.skip(item);
            return;
        }
        if self.depth == 0
            && let Some(name) = defined(item)
        {
            self.module.items.insert(name);
        }
        if let syn::Item::Use(used) = item {
            if used.leading_colon.is_none() {
                self.use_tree(&used.tree, Vec::new());
            }
            return;
        }
        self.depth += 1;
        visit::visit_item(self, item);
        self.depth -= 1;
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attrs = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if is_test_only(attrs) {
            self.skip(item);
        } else {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if is_test_only(&field.attrs) {
            self.skip(field);
        } else {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if is_test_only(&field.attrs) {
            self.skip(field);
        } else {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            let names = path.segments.iter().map(|part| part.ident.to_string());
            self.mention(names.collect(), line);
        }
        visit::visit_path(self, path);
    }

    // `pub(in crate::logic)` is no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        visit::visit_macro(self, invoked);
        self.tokens(invoked.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

/// The name of an item that others can use.
fn defined(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::TraitAlias(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn attributes(item: &syn::Item) -> Option<&[syn::Attribute]> {
    Some(match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`. What is also compiled for something else counts as code.
fn is_test_only(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        if !list.path.is_ident("cfg") {
            return false;
        }
        let condition = list.tokens.to_string().replace(' ', "");
        condition == "test" || condition.starts_with("all(test,")
    })
}

/// The file that `#[path = "…"]` names.
fn path_attribute(attrs: &[syn::Attribute]) -> Option<String> {
    attrs.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path.is_ident("path").then(|| text.value())
    })
}
