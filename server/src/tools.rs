//! The tools: one file each, and what they share.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult, ContentBlock},
};
use shared::cursor::ForeignCursor;

pub(crate) mod answer;
pub(crate) mod arguments;
pub(crate) mod between;
pub(crate) mod calendar;
pub(crate) mod check_tag_compliance;
pub(crate) mod cost_compliance;
pub(crate) mod detect_tag_drift;
pub(crate) mod draft;
pub(crate) mod explain_compliance_change;
pub(crate) mod find_untagged_resources;
mod fix_changes;
pub(crate) mod gap_breakdown;
pub(crate) mod generate_compliance_report;
pub(crate) mod get_cost_attribution_gap;
pub(crate) mod get_tagging_policy;
pub(crate) mod get_violation_history;
pub(crate) mod history_costs;
mod history_points;
pub(crate) mod history_trend;
pub(crate) mod identity;
pub(crate) mod live_gap;
pub(crate) mod named_now;
pub(crate) mod period;
pub(crate) mod plan_fixes;
pub(crate) mod report_csv;
pub(crate) mod report_facts;
pub(crate) mod report_markdown;
pub(crate) mod resource_cost;
pub(crate) mod simulate_policy;
pub(crate) mod suggest_tags;
pub(crate) mod suggest_tags_bulk;
pub(crate) mod suggesting;
pub(crate) mod validate_resource_tags;
pub(crate) mod validated;
pub(crate) mod violation;

/// The tools that rest on what is learnt of a snapshot, some seconds after it is there.
pub(crate) const LEARNT: [&str; 2] = [plan_fixes::NAME, suggest_tags_bulk::NAME];

/// The tools that may take more than some milliseconds.
pub(crate) const HEAVY: [&str; 7] = [
    "detect_tag_drift",
    "explain_compliance_change",
    "generate_compliance_report",
    "get_violation_history",
    plan_fixes::NAME,
    "simulate_policy",
    suggest_tags_bulk::NAME,
];

/// The tools that ask AWS, and not only the ledger.
pub(crate) const LIVE: [&str; 2] = [suggest_tags::NAME, validate_resource_tags::NAME];

/// Why a tool gives no answer, split by who can do something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolFailure {
    /// The caller: a tool error, in words that say what to do.
    Caller(String),
    /// The operator: logged where it happened, without detail for the caller.
    Internal,
    /// Nobody: reading took too long, in words that say so. Asked again, it may be answered.
    Late(String),
}

impl From<ForeignCursor> for ToolFailure {
    fn from(foreign: ForeignCursor) -> Self {
        Self::Caller(foreign.to_string())
    }
}

impl IntoCallToolResult for ToolFailure {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Self::Caller(text) | Self::Late(text) => Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into()),
            Self::Internal => {
                Err(ErrorData::internal_error("the ledger could not be read; the server's log says why", None))
            }
        }
    }
}
