//! The commands. Each connects the libraries of the workspace.

use std::{fs, path::Path};

use jiff::Timestamp;
use tagledger_policy::Policy;

use crate::failure::Failure;

pub(crate) mod audit;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod policy;
pub(crate) mod scan;
pub(crate) mod scanner;
pub(crate) mod serve;
pub(crate) mod store;

/// The only function that reads the clock.
#[expect(clippy::disallowed_methods, reason = "all other code receives the clock as a parameter")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Policy::parse(&text).map_err(|errors| Failure::Policy { path: path.to_owned(), errors })
}
