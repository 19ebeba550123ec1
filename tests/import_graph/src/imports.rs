//! The paths that a module names.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMod, ItemUse, Macro, Path, UseTree,
    visit::{self, Visit},
};

use crate::crates::{Crate, ModulePath};

/// Whether an item exists in tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let mut tokens = list.tokens.clone().into_iter();
            matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "test")
        }
        meta => meta.path().is_ident("test"),
    })
}

/// The modules of the crate that one module imports.
pub(crate) fn of_module(krate: &Crate, from: &ModulePath, items: &[Item]) -> BTreeSet<ModulePath> {
    let mut paths = Paths::default();
    items.iter().for_each(|item| paths.visit_item(item));
    let mut found = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (path, name) in &paths.used {
        if let Some(target) = resolve(krate, from, path, &names) {
            if target.len() == absolute(from, path).map_or(0, |path| path.len()) {
                names.insert(name.clone(), target);
            } else if target != *from {
                found.insert(target);
            }
        }
    }
    for path in &paths.named {
        if let Some(target) = resolve(krate, from, path, &names)
            && target != *from
            && path.len() > 1
        {
            found.insert(target);
        }
    }
    found
}

/// A path from the root of the crate, where it begins with `crate`, `self` or `super`.
fn absolute(from: &ModulePath, path: &[String]) -> Option<ModulePath> {
    let (first, rest) = path.split_first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from.get(..from.len().checked_sub(1)?)?.to_vec(),
        _ => return None,
    };
    let mut rest = rest;
    while let Some((next, behind)) = rest.split_first() {
        if next != "super" {
            break;
        }
        base.pop()?;
        rest = behind;
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// The longest beginning of a path that is a module of the crate.
fn resolve(
    krate: &Crate,
    from: &ModulePath,
    path: &[String],
    names: &BTreeMap<String, ModulePath>,
) -> Option<ModulePath> {
    let full = absolute(from, path).or_else(|| {
        let (first, rest) = path.split_first()?;
        let mut child = from.clone();
        child.push(first.clone());
        let mut base = match names.get(first) {
            Some(module) => module.clone(),
            None if krate.modules.contains_key(&child) => child,
            None => return None,
        };
        base.extend(rest.iter().cloned());
        Some(base)
    })?;
    (0..=full.len()).rev().filter_map(|length| full.get(..length)).find_map(|prefix| {
        let prefix = prefix.to_vec();
        krate.modules.contains_key(&prefix).then_some(prefix)
    })
}

#[derive(Default)]
struct Paths {
    /// Inline modules around the current item: each takes one `super` to leave.
    depth: usize,
    /// Paths of `use` declarations, with the name that each brings into scope.
    used: Vec<(Vec<String>, String)>,
    /// Paths elsewhere.
    named: Vec<Vec<String>>,
}

impl Paths {
    fn add_tree(&mut self, prefix: &[String], tree: &UseTree) {
        let joined = |name: String| [prefix, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&joined(path.ident.to_string()), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().cloned().unwrap_or_default();
                self.add_use(prefix.to_vec(), last);
            }
            UseTree::Name(name) => self.add_use(joined(name.ident.to_string()), name.ident.to_string()),
            UseTree::Rename(rename) => self.add_use(joined(rename.ident.to_string()), rename.rename.to_string()),
            UseTree::Glob(_) => self.add_use(joined("*".to_owned()), "*".to_owned()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(prefix, tree)),
        }
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    self.add_tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.end_path(&mut path),
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.named.push(self.relative_to_file(path.clone()));
        }
        path.clear();
    }

    /// The path as it would be written at the top of the file.
    fn relative_to_file(&self, mut path: Vec<String>) -> Vec<String> {
        let inside = path.iter().take(self.depth).take_while(|name| *name == "super").count();
        if inside > 0 {
            path.drain(..inside);
            if path.first().is_none_or(|name| name != "super") {
                path.insert(0, "self".to_owned());
            }
        }
        path
    }

    fn add_use(&mut self, path: Vec<String>, name: String) {
        let path = self.relative_to_file(path);
        self.used.push((path, name));
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&[], &item.tree);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            self.depth += 1;
            visit::visit_item_mod(self, item);
            self.depth -= 1;
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let named = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.named.push(self.relative_to_file(named));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.add_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
