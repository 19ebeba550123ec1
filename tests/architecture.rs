//! What neither the compiler nor cargo-deny can see of ARCHITECTURE.md.

#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every product source file below a folder, with its text.
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

fn product() -> Vec<(PathBuf, String)> {
    ["src", "gate/src", "scanner/src", "server/src", "shared/src"].into_iter().flat_map(sources).collect()
}

fn nobody_but(home: &str, words: &[&str]) {
    for (path, text) in product() {
        if !path.starts_with(home) && !path.starts_with(format!("{home}.rs")) {
            for word in words {
                assert!(!text.contains(word), "{} has `{word}`, which belongs to {home}", path.display());
            }
        }
    }
}

#[test]
fn sql_is_spoken_only_in_the_store() {
    nobody_but("shared/src/store", &["rusqlite", "SELECT ", "INSERT INTO", "PRAGMA "]);
}

#[test]
fn the_aws_sdk_is_named_only_behind_the_seam() {
    nobody_but("shared/src/cloud/aws", &["aws_sdk_", "aws_config", "aws_smithy", "aws_types", "aws_runtime"]);
}

#[test]
fn the_policy_does_no_io_and_reads_no_clock() {
    for (path, text) in sources("shared/src/policy") {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        for word in [
            "std::fs",
            "std::io",
            "std::env",
            "std::time",
            "::now()",
            "async ",
            "tokio",
            "crate::store",
            "crate::cloud",
        ] {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn the_server_cannot_write_the_ledger_nor_ask_a_cloud_more_than_named_resources() {
    for (path, text) in sources("server/src") {
        for word in ["store::Writer", "Writer::", "cloud::aws", "Cloud,", "Cloud>", "Cloud;", "scanner::"] {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
        let live = path.ends_with("live.rs") || path.ends_with("ledger.rs");
        assert!(live || !text.contains("Look,"), "{} looks at resources past server/src/live.rs", path.display());
    }
}

#[test]
fn the_scanner_knows_no_server_and_speaks_http_only_on_its_control_port() {
    for (path, text) in sources("scanner/src") {
        let control = path.starts_with("scanner/src/control") || path.ends_with("control.rs");
        let daemon = control || path.ends_with("daemon.rs");
        // Health and metrics tell of the newest snapshot; a scan reads through its own transaction.
        for (word, allowed) in [("use server", false), ("rmcp", false), ("axum", control), ("Reader", daemon)] {
            assert!(allowed || !text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn a_resource_type_is_one_line_and_one_file() {
    let list = fs::read_to_string(root().join("shared/src/resource_type.rs")).unwrap();
    for resource_type in shared::ResourceType::ALL {
        let module = resource_type.as_str().replace(':', "_");
        assert_eq!(list.matches(&format!(", {module};")).count(), 1, "{module}");
        assert!(root().join(format!("shared/src/cloud/aws/{module}.rs")).is_file(), "{module}");
    }
}

#[test]
fn files_stay_short() {
    for (path, text) in product() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
    assert!(fs::read_to_string(root().join("src/main.rs")).unwrap().lines().count() <= 100);
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let all: String = ["src", "gate", "scanner", "server", "shared", "tests"]
        .into_iter()
        .flat_map(sources)
        .map(|(_, text)| text)
        .collect();
    let named: Vec<&str> =
        text.split('`').filter(|word| word.len() > 25 && !word.contains([' ', '/', '.', ':'])).collect();
    assert!(named.len() >= 15, "{named:?}");
    for name in named {
        assert!(all.contains(&format!("fn {name}")), "no test {name}");
    }
}

#[test]
fn the_readme_lists_the_tools_that_are_served() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let listed: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| tool |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    let served: Vec<String> = server::tool_names();
    assert_eq!(listed, served);
}
