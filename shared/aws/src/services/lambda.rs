//! AWS Lambda.

pub(crate) mod function;
