//! Prints the import graph of the workspace in a folder: `cargo run -p import-graph -- FOLDER`.

use std::{env, io::Write, path::PathBuf, process::ExitCode};

use import_graph::{Report, Workspace};

fn main() -> ExitCode {
    let root = env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let (text, code) = match Workspace::read(&root) {
        Ok(workspace) => (Report(&workspace).to_string(), ExitCode::SUCCESS),
        Err(error) => (format!("the sources cannot be read: {error}\n"), ExitCode::FAILURE),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
