//! The control port over HTTP, with the simulated company.

#![cfg(test)]

mod daemon_fixture;
#[path = "../gated_cloud/mod.rs"]
mod gated_cloud;
mod requests;
