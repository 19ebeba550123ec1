//! Training data and models for tag prediction, from the ledger.

pub mod cross_validation;
pub mod dataset;
pub mod predict;
pub mod tag_features;
pub mod train;
pub mod training_cases;
