//! Which value a missing tag should have: what resources that have it tell of one that lacks it.
//!
//! A resource shares things with others ([`Feature`]): a stack, a security group, another tag, a word of its name. Of each, the
//! [`counts`] say which values those have that carry the tag rightly. A [`Model`] weighs what the sources say by how often each
//! was right on this estate, and turns the weight into a confidence that was measured on resources it had not seen. A value is
//! never made up: it is one that resources have, or that the resource itself has in another spelling, and satisfies the policy.
//!
//! Pure: no I/O, no clock. The store counts and keeps ([`crate::store`]).

pub mod counts;
pub mod evaluate;
pub mod features;
mod fit;
pub(crate) mod lacks;
mod model;
mod words;

/// The confidence below which nothing is suggested.
pub const THRESHOLD: f64 = 0.6;

/// One count as a share of another.
pub(crate) fn share_of(part: usize, whole: usize) -> f64 {
    model::count(part as u64) / model::count(whole as u64)
}

pub use features::{Feature, Source};
pub use fit::{Case, fit};
pub(crate) use model::count;
pub use model::{KeyModel, Likely, Model, Reading, Support};
