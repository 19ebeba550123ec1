//! Amazon EC2.

pub(crate) mod instance;
pub(crate) mod volume;
