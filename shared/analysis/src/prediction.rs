//! Prediction of the value of a missing tag from resources that have the tag.
//!
//! A resource shares features with others ([`Feature`]): a stack, a security group, another tag, a word of its name.
//! The [`counts`] contain, for each feature, the values of the resources that have a valid tag. A [`Model`] weighs the
//! features of each source by how well they predicted values of this estate, and converts the score into a confidence
//! that was calibrated on resources outside the training set. A predicted value always satisfies the policy. It is a
//! value of other resources, or the value that the resource itself has under a variant of the key.
//!
//! The ledger crate stores the counts and the model.

pub mod counts;
pub mod features;
pub(crate) mod fit;
pub mod metrics;
pub mod missingness;
pub(crate) mod model;
pub(crate) mod tokenize;

use tagledger_model::float;

pub use crate::prediction::{
    features::{Feature, Source},
    fit::{TrainingCase, fit},
    model::{FeatureVector, KeyModel, Model, Posterior, SupportCount},
};

/// The minimum confidence of a suggestion.
pub const CONFIDENCE_THRESHOLD: f64 = 0.6;

/// The ratio of two counts.
pub fn ratio(part: usize, total: usize) -> f64 {
    float::to_f64(part as u64) / float::to_f64(total as u64)
}
