//! The table of tools: one row for each tool that the server offers.

use tagledger_http::Scope;

use crate::{
    auth::account_scope::{AccountBounded, AccountRestriction},
    tools::{
        compliance::{check_tag_compliance, find_untagged_resources},
        cost::get_cost_attribution_gap,
        history::{detect_tag_drift, explain_compliance_change, get_violation_history, request},
        live::validate_resource_tags,
        policy::{get_tagging_policy, simulate_policy},
        remediate::plan_fixes,
        report::generate_compliance_report,
        suggest::{suggest_tags, suggest_tags_bulk},
    },
};

/// How much processor time a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CostClass {
    /// A few milliseconds. The call runs on the thread of its connection.
    Light,
    /// More than a few milliseconds. The call runs on a blocking thread, and the number of such calls is limited.
    Heavy,
}

/// Where a tool reads its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A snapshot of the ledger. The same arguments give the same answer until the next snapshot, so that the answer is cached.
    Snapshot,
    /// AWS, in addition to a snapshot. Answers are not cached.
    Live,
}

/// What the server knows of a tool, apart from its description and schemas.
#[derive(Debug)]
pub(crate) struct ToolSpec {
    /// The name by which clients call the tool.
    pub(crate) name: &'static str,
    pub(crate) cost: CostClass,
    /// Whether the answer uses the prediction model, which is trained some seconds after a snapshot is written. An answer that was
    /// computed before is not cached.
    pub(crate) needs_model: bool,
    /// The scope that the caller's key or token must have.
    pub(crate) scope: Scope,
    pub(crate) source: Source,
    /// How the answer is limited to the accounts of the caller's key. Declared beside the tool's arguments.
    pub(crate) accounts: AccountRestriction,
}

/// A tool that reads one snapshot in a few milliseconds and that any reader may call.
const fn light(name: &'static str, accounts: AccountRestriction) -> ToolSpec {
    ToolSpec {
        name,
        cost: CostClass::Light,
        needs_model: false,
        scope: Scope::Read,
        source: Source::Snapshot,
        accounts,
    }
}

const fn heavy(name: &'static str, accounts: AccountRestriction) -> ToolSpec {
    ToolSpec { cost: CostClass::Heavy, ..light(name, accounts) }
}

const fn live(name: &'static str, accounts: AccountRestriction) -> ToolSpec {
    ToolSpec { scope: Scope::Live, source: Source::Live, ..light(name, accounts) }
}

/// All tools, by name.
pub(crate) static TOOLS: [ToolSpec; 13] = [
    light(check_tag_compliance::NAME, check_tag_compliance::Arguments::RESTRICTION),
    heavy(detect_tag_drift::NAME, detect_tag_drift::Arguments::RESTRICTION),
    heavy(explain_compliance_change::NAME, explain_compliance_change::Arguments::RESTRICTION),
    light(find_untagged_resources::NAME, find_untagged_resources::Arguments::RESTRICTION),
    heavy(generate_compliance_report::NAME, generate_compliance_report::Arguments::RESTRICTION),
    light(get_cost_attribution_gap::NAME, get_cost_attribution_gap::Arguments::RESTRICTION),
    light(get_tagging_policy::NAME, get_tagging_policy::Arguments::RESTRICTION),
    heavy(get_violation_history::NAME, request::Arguments::RESTRICTION),
    ToolSpec { needs_model: true, ..heavy(plan_fixes::NAME, plan_fixes::Arguments::RESTRICTION) },
    heavy(simulate_policy::NAME, simulate_policy::Arguments::RESTRICTION),
    ToolSpec { needs_model: true, ..live(suggest_tags::NAME, suggest_tags::Arguments::RESTRICTION) },
    ToolSpec { needs_model: true, ..heavy(suggest_tags_bulk::NAME, suggest_tags_bulk::Arguments::RESTRICTION) },
    live(validate_resource_tags::NAME, validate_resource_tags::Arguments::RESTRICTION),
];

/// The row of a tool; `None` when no tool has this name.
pub(crate) fn find(name: &str) -> Option<&'static ToolSpec> {
    TOOLS.iter().find(|spec| spec.name == name)
}

/// The scope that a call of this tool needs. A call of an unknown tool needs the scope to read.
pub(crate) fn required_scope(name: &str) -> Scope {
    find(name).map_or(Scope::Read, |spec| spec.scope)
}
