//! Cycles and directions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    crates::{Crate, ModulePath, Workspace},
    imports,
};

/// What the modules of one crate import.
#[derive(Debug)]
pub struct Graph {
    /// Folder of the crate.
    pub folder: String,
    /// For each module, such as `query::history`, the modules that it imports. The root is `lib`.
    pub imports: BTreeMap<String, BTreeSet<String>>,
}

/// The numbers of a workspace, for people.
pub struct Report<'a>(pub &'a Workspace);

fn name(path: &ModulePath) -> String {
    if path.is_empty() { "lib".to_owned() } else { path.join("::") }
}

impl Graph {
    /// The imports of a crate.
    pub fn from_crate(krate: &Crate) -> Self {
        let imports = krate.modules.iter().map(|(path, module)| {
            let targets = imports::of_module(krate, path, &module.items);
            (name(path), targets.iter().map(name).collect())
        });
        Self { folder: krate.folder.clone(), imports: imports.collect() }
    }

    /// Number of imports.
    pub fn arrows(&self) -> usize {
        self.imports.values().map(BTreeSet::len).sum()
    }

    /// Groups of modules that import each other, directly or by way of others. Each is one cycle or several that share modules.
    pub fn cycles(&self) -> Vec<BTreeSet<String>> {
        let scope: BTreeMap<&String, BTreeSet<&String>> =
            self.imports.keys().map(|from| (from, self.reachable(from))).collect();
        let mut found: Vec<BTreeSet<String>> = Vec::new();
        for (from, targets) in &scope {
            if !targets.contains(*from) || found.iter().any(|cycle| cycle.contains(*from)) {
                continue;
            }
            let back = |to: &&&String| scope.get(**to).is_some_and(|targets| targets.contains(*from));
            found.push(targets.iter().filter(back).map(|to| (*to).clone()).collect());
        }
        found
    }

    fn reachable<'a>(&'a self, from: &str) -> BTreeSet<&'a String> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = self.imports.get(from).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(self.imports.get(next).into_iter().flatten());
            }
        }
        reached
    }

    /// Imports of modules in `rows` above their own. Each row lists folders or files of the crate; those in one row may not import each
    /// other. The root of the crate, `lib`, may import everything.
    ///
    /// # Errors
    ///
    /// The module that is in no row.
    pub fn backward(&self, rows: &[Vec<String>]) -> Result<Vec<(String, String)>, String> {
        let row_of = |module: &str| {
            let folder = module.split("::").next().unwrap_or_default();
            let row = rows.iter().position(|row| row.iter().any(|name| name == folder));
            row.map(|row| (row, folder.to_owned())).ok_or_else(|| module.to_owned())
        };
        let mut found = Vec::new();
        for (from, targets) in self.imports.iter().filter(|(from, _)| *from != "lib") {
            let (row, folder) = row_of(from)?;
            for to in targets {
                if to == "lib" {
                    found.push((from.clone(), to.clone()));
                    continue;
                }
                let (target_row, target_folder) = row_of(to)?;
                if folder != target_folder && target_row >= row {
                    found.push((from.clone(), to.clone()));
                }
            }
        }
        Ok(found)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.0.crates.iter().map(Crate::lines).sum();
        writeln!(
            f,
            "{:<18} {:>6} {:>6} {:>6} {:>7} {:>7}  largest cycle",
            "crate", "files", "lines", "share", "imports", "cycles"
        )?;
        for krate in &self.0.crates {
            let graph = Graph::from_crate(krate);
            let cycles = graph.cycles();
            let largest = cycles.iter().map(BTreeSet::len).max().unwrap_or(0);
            let folder = if krate.folder.is_empty() { "." } else { &krate.folder };
            let share = krate.lines() * 100 / all.max(1);
            writeln!(
                f,
                "{folder:<18} {:>6} {:>6} {share:>5}% {:>7} {:>7}  {largest} files",
                krate.files(),
                krate.lines(),
                graph.arrows(),
                cycles.len()
            )?;
            for cycle in cycles {
                let modules: Vec<&str> = cycle.iter().map(String::as_str).collect();
                writeln!(f, "    cycle: {}", modules.join(", "))?;
                for from in &cycle {
                    let inside = graph.imports.get(from).into_iter().flatten().filter(|to| cycle.contains(*to));
                    let inside: Vec<&str> = inside.map(String::as_str).collect();
                    writeln!(f, "        {from} -> {}", inside.join(", "))?;
                }
            }
        }
        Ok(())
    }
}
