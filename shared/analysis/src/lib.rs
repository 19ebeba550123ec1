//! Analyses of evaluated resources: prediction of tag values, remediation plans, recommendations, trends, and
//! attribution of changes.
//!
//! All functions are pure: they do no I/O and read no clock.

pub mod prediction;
pub mod recommendations;
pub mod remediation;
pub mod shapley;
pub mod trend;
