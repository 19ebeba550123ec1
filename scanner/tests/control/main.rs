//! The control port over real HTTP, with the simulated company behind it.

#![cfg(test)]

#[path = "../gated/mod.rs"]
mod gated;
mod running;
mod tests;
