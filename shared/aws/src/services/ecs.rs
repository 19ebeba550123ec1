//! Amazon ECS.

pub(crate) mod cluster;
mod description;
pub(crate) mod service;
