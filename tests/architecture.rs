//! The rules of docs/architecture that neither the compiler nor cargo-deny checks.

#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use import_graph::{Graph, Workspace};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn overview() -> String {
    read("docs/architecture/overview.md")
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {folder}");
    found
}

/// The words in backticks of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The first column of the table whose header names a folder, one list of modules for each row.
fn rows_of(folder: &str) -> Vec<Vec<String>> {
    let overview = overview();
    let header = format!("| `{folder}`");
    let rows = overview.lines().skip_while(|line| !line.starts_with(&header)).skip(2);
    let rows: Vec<Vec<String>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let column = line.split('|').nth(1).unwrap();
            quoted(column).map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
        })
        .collect();
    assert!(rows.len() >= 5, "no table of {folder} in docs/architecture/overview.md");
    rows
}

fn graph(workspace: &Workspace, folder: &str) -> Graph {
    let krate = workspace.crates.iter().find(|krate| krate.folder == folder);
    Graph::from_crate(krate.unwrap_or_else(|| panic!("no crate in {folder}")))
}

/// No module imports itself by way of others, in any crate.
#[test]
fn modules_have_no_import_cycles() {
    let workspace = Workspace::read(root()).unwrap();
    assert!(workspace.crates.len() >= 13, "{} crates", workspace.crates.len());
    let mut found = Vec::new();
    for krate in &workspace.crates {
        let graph = Graph::from_crate(krate);
        for cycle in graph.cycles() {
            let arrows = cycle.iter().flat_map(|from| graph.imports[from].iter().map(move |to| (from, to)));
            let inside = arrows.filter(|(_, to)| cycle.contains(*to));
            found.extend(inside.map(|(from, to)| format!("{}: {from} imports {to}", krate.folder)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// A folder of the ledger imports only from folders in the rows above its own.
#[test]
fn ledger_folders_import_downward() {
    let workspace = Workspace::read(root()).unwrap();
    let backward = graph(&workspace, "shared/ledger").backward(&rows_of("ledger/src")).unwrap();
    assert!(backward.is_empty(), "{backward:#?}");
}

/// A folder of the server imports only from folders in the rows above its own.
#[test]
fn server_folders_import_downward() {
    let workspace = Workspace::read(root()).unwrap();
    let backward = graph(&workspace, "server").backward(&rows_of("server/src")).unwrap();
    assert!(backward.is_empty(), "{backward:#?}");
}

/// A crate depends on no crate of the project but those that the overview allows.
#[test]
fn crates_depend_only_on_allowed_crates() {
    let overview = overview();
    let picture = overview.split("## Allowed directions").nth(1).unwrap().split("```").nth(1).unwrap();
    let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in picture.lines().filter(|line| line.contains('►')) {
        let (from, to) = line.split_once('►').unwrap();
        let targets: BTreeSet<&str> = to.split([' ', '(', ')', ',']).filter(|name| !name.is_empty()).collect();
        for name in from.split([' ', '─']).filter(|name| !name.is_empty()) {
            allowed.insert(name, targets.clone());
        }
    }
    for krate in Workspace::read(root()).unwrap().crates.iter().filter(|krate| !krate.folder.is_empty()) {
        let name = krate.folder.trim_start_matches("shared/");
        let manifest = read(&format!("{}/Cargo.toml", krate.folder));
        let product = manifest.split("[dev-dependencies]").next().unwrap();
        let dependencies = product.lines().filter_map(|line| line.strip_prefix("tagledger-"));
        for dependency in dependencies.map(|line| line.split(['.', ' ', '=']).next().unwrap()) {
            let targets = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the overview"));
            assert!(targets.contains(dependency), "{name} may not depend on {dependency}");
        }
    }
}

/// The server reads the ledger and cannot write it.
#[test]
fn server_cannot_write_the_ledger() {
    for (path, text) in sources("server/src") {
        for word in ["LedgerWriter", "SnapshotWriter"] {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

/// The server reaches AWS through the lookup client alone.
#[test]
fn server_reaches_aws_through_lookup_only() {
    for (path, text) in sources("server/src") {
        let lookup = path.starts_with("server/src/lookup") || path.ends_with("app_state.rs");
        for word in ["tagledger_cloud::Cloud", "impl Cloud for", "dyn Lookup>", "impl Lookup for"] {
            assert!(lookup || !text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

/// Every test that docs/architecture/invariants.md names exists in the file to which the name links.
#[test]
fn every_test_of_the_invariants_exists() {
    let text = read("docs/architecture/invariants.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| invariant"));
    let links: Vec<(&str, &str)> = rows
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split("[`").skip(1))
        .map(parse_link)
        .collect();
    assert!(links.len() >= 100, "{} tests", links.len());
    for (name, path) in links {
        assert!(read(path).contains(&format!("fn {name}(")), "no test {name} in {path}");
    }
}

/// The test and the path in the rest of a link after its opening.
fn parse_link(rest: &str) -> (&str, &str) {
    let (name, target) = rest.split_once("`](../../").expect("a link to a file of the repository");
    (name, target.split_once(')').expect("the end of the link").0)
}

/// The table of tools in the README lists exactly the tools that the server offers, in their order.
#[test]
fn readme_lists_the_served_tools() {
    let readme = read("README.md");
    let listed: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| tool |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| quoted(line).next())
        .collect();
    assert_eq!(listed, tagledger_server::tool_names());
}

/// A newcomer reads the README and the overview to their ends.
#[test]
fn readme_and_overview_are_short() {
    assert!(read("README.md").lines().count() <= 120);
    assert!(overview().lines().count() <= 150);
}
