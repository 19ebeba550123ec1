//! The compliance report in its formats.

pub(crate) mod csv;
pub(crate) mod data;
pub(crate) mod generate_compliance_report;
pub(crate) mod markdown;
pub(crate) mod model;
