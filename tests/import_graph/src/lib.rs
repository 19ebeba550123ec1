//! The modules of a Rust workspace and what they import.
//!
//! A module is a file. An import is a path in product code that leads from one file to another file of the same crate: in a `use`
//! declaration, in an expression or a type, or in the arguments of a macro. Code below `#[cfg(test)]` is left out. An import by a
//! re-export counts as an import of the file that re-exports.

mod crates;
mod graph;
mod imports;

pub use crates::{Crate, ReadError, Workspace};
pub use graph::{Graph, Report};
