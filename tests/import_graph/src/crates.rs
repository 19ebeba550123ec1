//! Crates and modules as they lie on disk.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use syn::{Attribute, Item};

use crate::imports;

/// Path of a module below the root of its crate, such as `query::history`. The root is empty.
pub(crate) type ModulePath = Vec<String>;

/// One file of a crate.
pub(crate) struct Module {
    pub(crate) lines: usize,
    pub(crate) items: Vec<Item>,
}

/// One crate of the workspace.
pub struct Crate {
    /// Its folder below the root of the workspace, such as `shared/ledger`.
    pub folder: String,
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

/// All crates below a folder.
pub struct Workspace {
    /// The crates, in the order of their folders.
    pub crates: Vec<Crate>,
}

/// Why a source file cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The file cannot be opened.
    File(PathBuf, io::Error),
    /// The file is not Rust.
    Syntax(PathBuf, syn::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Syntax(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ReadError {}

impl Workspace {
    /// Reads every crate below `root` that has a `src` folder, except those below `tests`, `fuzz`, `target` and hidden folders.
    ///
    /// # Errors
    ///
    /// When a source file cannot be read or parsed.
    pub fn read(root: &Path) -> Result<Self, ReadError> {
        let mut folders = Vec::new();
        find_crates(root, &mut folders)?;
        folders.sort();
        let mut crates = Vec::new();
        for folder in folders {
            let file =
                ["lib.rs", "main.rs"].into_iter().map(|name| folder.join("src").join(name)).find(|f| f.is_file());
            let Some(file) = file else { continue };
            let mut modules = BTreeMap::new();
            read_module(&file, &folder.join("src"), Vec::new(), &mut modules)?;
            let folder = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
            crates.push(Crate { folder, modules });
        }
        Ok(Self { crates })
    }
}

impl Crate {
    /// Lines of all its files.
    pub fn lines(&self) -> usize {
        self.modules.values().map(|module| module.lines).sum()
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.modules.len()
    }
}

fn find_crates(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    if folder.join("Cargo.toml").is_file() && folder.join("src").is_dir() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder).map_err(|error| ReadError::File(folder.to_owned(), error))? {
        let path = entry.map_err(|error| ReadError::File(folder.to_owned(), error))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let skipped = name.starts_with('.') || ["tests", "fuzz", "target", "src"].contains(&name.as_str());
        if path.is_dir() && !skipped {
            find_crates(&path, found)?;
        }
    }
    Ok(())
}

fn read_module(
    file: &Path,
    folder: &Path,
    path: ModulePath,
    modules: &mut BTreeMap<ModulePath, Module>,
) -> Result<(), ReadError> {
    let text = fs::read_to_string(file).map_err(|error| ReadError::File(file.to_owned(), error))?;
    let parsed = syn::parse_file(&text).map_err(|error| ReadError::Syntax(file.to_owned(), error))?;
    for item in &parsed.items {
        let Item::Mod(module) = item else { continue };
        if module.content.is_some() || imports::is_test(&module.attrs) || has_path(&module.attrs) {
            continue;
        }
        let name = module.ident.to_string();
        let mut child = path.clone();
        child.push(name.clone());
        let (flat, nested) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
        let source = if flat.is_file() { flat } else { nested };
        read_module(&source, &folder.join(&name), child, modules)?;
    }
    modules.insert(path, Module { lines: text.lines().count(), items: parsed.items });
    Ok(())
}

/// A variant of a module for other features: the module itself is read under its own name.
fn has_path(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("path"))
}
