//! Training data and models for tag prediction, from the ledger.

pub mod dataset;
pub mod evaluate;
pub mod predict;
pub mod tag_features;
pub mod train;
pub mod training_cases;
