//! The commands, each wiring libraries together.

use std::{fs, path::Path};

use jiff::Timestamp;
use shared::policy::Policy;

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

/// The one place that reads the clock.
#[expect(clippy::disallowed_methods, reason = "this is the edge")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Policy::parse(&text).map_err(|faults| Failure::Policy { path: path.to_owned(), faults })
}
