//! Costs: exact amounts of money, questions to Cost Explorer, charge categories, and attribution by tags.
//!
//! Amounts are integers. Only a ratio of two amounts is a floating-point number. Amounts in different currencies are
//! never added.

mod amount;
mod attribution;
mod bill;
mod charge_types;
mod resource_costs;
mod tag_scope;

pub use crate::{
    amount::{Amount, InvalidAmount, round_to_cents},
    attribution::{Attribution, BillTotals, Bucket, KeySpend, TaggableSpend, service_category},
    bill::{
        AllocationTag, BillQuestion, Condition, CostQueryError, CostQueryResponse, CostQueryResult, CostRow, Days,
        Dimension, Metric, TagStatus, TimeGranularity,
    },
    charge_types::{ChargeCategory, charge_category, resource_types_of, services_of},
    resource_costs::{
        ResourceCharges, ResourceCosts, UsagePool, build_usage_pools, collect_resource_charges, monthly_units,
        resource_question, usage_questions,
    },
    tag_scope::{BilledServices, InvalidValues, TagScope},
};
