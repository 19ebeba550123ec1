//! Amazon RDS and Aurora.

pub(crate) mod cluster;
pub(crate) mod db;
