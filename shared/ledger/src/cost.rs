//! Recorded bills and the costs of resources.

pub mod attribution_evaluator;
pub mod bill_as_of;
pub mod bill_lines_index;
pub mod bill_query;
pub mod bill_records;
pub mod resource_cost;
pub mod resource_cost_records;
