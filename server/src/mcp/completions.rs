//! Completions of arguments: values from the newest snapshot, of the accounts that the caller may read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};
use tagledger_ledger::{
    OrderByMissingTags, PageStart, ReadSession, Snapshot,
    query::{compliance, history},
};
use tagledger_model::{epoch_day::day_of, inventory::Scope};

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    mcp::{
        prompts::{self, Argument},
        resources::{REPORT_TEMPLATE, RESOURCE_TEMPLATE, SCHEMA_TEMPLATE},
        tool_names::tool_names,
    },
    untrusted_text::escape,
};

/// Maximum number of resources that are read for a completion.
const MAX_RESOURCES: usize = CompletionInfo::MAX_VALUES;

/// The source of the values.
#[derive(Debug, Clone, Copy)]
enum ValueSource {
    Tools,
    Ledger(LedgerValues),
}

/// Values in the ledger.
#[derive(Debug, Clone, Copy)]
enum LedgerValues {
    Accounts,
    Regions,
    Days,
    Resources,
}

/// The values that begin with what the client has typed; none for an argument without a list of values.
pub(crate) fn complete(state: &AppState, request: &CompleteRequestParams, scope: &AccountScope) -> CompletionInfo {
    let Some(source) = find_source(&request.r#ref, &request.argument.name) else { return CompletionInfo::default() };
    let prefix = request.argument.value.trim();
    let found = match source {
        // The list of tools does not need a snapshot.
        ValueSource::Tools => tool_names().into_iter().filter(|tool| tool.starts_with(prefix)).collect(),
        ValueSource::Ledger(values) => state
            .read_latest(|session, snapshot| list_values(session, &snapshot, values, prefix, scope))
            .unwrap_or_default(),
    };
    let total = found.len();
    let values: Vec<String> = found.into_iter().take(CompletionInfo::MAX_VALUES).collect();
    let more = total > values.len();
    CompletionInfo::with_pagination(values, u32::try_from(total).ok(), more).unwrap_or_default()
}

fn find_source(reference: &Reference, argument: &str) -> Option<ValueSource> {
    match reference {
        Reference::Prompt(prompt) => match prompts::find_argument(&prompt.name, argument)? {
            Argument::Account => Some(ValueSource::Ledger(LedgerValues::Accounts)),
            Argument::Region => Some(ValueSource::Ledger(LedgerValues::Regions)),
            Argument::From | Argument::To => Some(ValueSource::Ledger(LedgerValues::Days)),
            Argument::Resource => Some(ValueSource::Ledger(LedgerValues::Resources)),
        },
        Reference::Resource(template) => match (template.uri.as_str(), argument) {
            (REPORT_TEMPLATE, "date") => Some(ValueSource::Ledger(LedgerValues::Days)),
            (RESOURCE_TEMPLATE, "arn") => Some(ValueSource::Ledger(LedgerValues::Resources)),
            (SCHEMA_TEMPLATE, "tool") => Some(ValueSource::Tools),
            _ => None,
        },
        _ => None,
    }
}

fn list_values(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    values: LedgerValues,
    prefix: &str,
    scope: &AccountScope,
) -> Result<Vec<String>, ToolFailure> {
    let list_scopes = |name: fn(&Scope) -> String| -> Result<BTreeSet<String>, ToolFailure> {
        let all = compliance::list_scopes(session, snapshot)?;
        Ok(all.iter().map(|row| &row.scope).filter(|each| scope.contains(&each.account)).map(name).collect())
    };
    let matching = |values: BTreeSet<String>| values.into_iter().filter(|value| value.starts_with(prefix)).collect();
    Ok(match values {
        LedgerValues::Accounts => matching(list_scopes(|scope| scope.account.to_string())?),
        LedgerValues::Regions => matching(list_scopes(|scope| scope.region.to_string())?),
        LedgerValues::Days => {
            let snapshots = history::list_snapshots_since(session, Timestamp::MIN)?;
            let days: BTreeSet<String> =
                snapshots.iter().map(|snapshot| day_of(snapshot.started_at).to_string()).collect();
            days.into_iter().rev().filter(|day| day.starts_with(prefix)).collect()
        }
        // The resources with most missing tags: a completion does not search all resources.
        LedgerValues::Resources => {
            let first = compliance::list_missing_tags(
                session,
                snapshot,
                &scope.filter(),
                OrderByMissingTags::default(),
                PageStart::FIRST,
                MAX_RESOURCES,
            )?;
            first.rows.iter().map(|row| escape(row.arn.as_str())).filter(|arn| arn.starts_with(prefix)).collect()
        }
    })
}
