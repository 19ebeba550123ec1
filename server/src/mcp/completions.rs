//! Completions: values that the newest snapshot has, of the accounts that the caller may ask about.

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

/// Resources that are looked through.
const MOST: usize = CompletionInfo::MAX_VALUES;

/// What there is to choose from.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Tools,
    Stored(Stored),
}

/// What the newest snapshot has.
#[derive(Debug, Clone, Copy)]
enum Stored {
    Accounts,
    Regions,
    Nights,
    Resources,
}

/// What stands for an argument; nothing where there is nothing to choose from, or no such argument.
pub(crate) fn complete(ledger: &AppState, request: &CompleteRequestParams, reach: &AccountScope) -> CompletionInfo {
    let Some(choice) = choice(&request.r#ref, &request.argument.name) else { return CompletionInfo::default() };
    let begun = request.argument.value.trim();
    let found = match choice {
        // There are tools before there is a snapshot.
        Choice::Tools => tool_names().into_iter().filter(|tool| tool.starts_with(begun)).collect(),
        Choice::Stored(stored) => {
            ledger.read_latest(|view, snapshot| found(view, &snapshot, stored, begun, reach)).unwrap_or_default()
        }
    };
    let total = found.len();
    let values: Vec<String> = found.into_iter().take(MOST).collect();
    let more = total > values.len();
    CompletionInfo::with_pagination(values, u32::try_from(total).ok(), more).unwrap_or_default()
}

fn choice(reference: &Reference, argument: &str) -> Option<Choice> {
    match reference {
        Reference::Prompt(prompt) => match prompts::argument(&prompt.name, argument)? {
            Argument::Account => Some(Choice::Stored(Stored::Accounts)),
            Argument::Region => Some(Choice::Stored(Stored::Regions)),
            Argument::From | Argument::To => Some(Choice::Stored(Stored::Nights)),
            Argument::Resource => Some(Choice::Stored(Stored::Resources)),
        },
        Reference::Resource(template) => match (template.uri.as_str(), argument) {
            (REPORT_TEMPLATE, "date") => Some(Choice::Stored(Stored::Nights)),
            (RESOURCE_TEMPLATE, "arn") => Some(Choice::Stored(Stored::Resources)),
            (SCHEMA_TEMPLATE, "tool") => Some(Choice::Tools),
            _ => None,
        },
        _ => None,
    }
}

fn found(
    view: &ReadSession<'_>,
    snapshot: &Snapshot,
    choice: Stored,
    begun: &str,
    reach: &AccountScope,
) -> Result<Vec<String>, ToolFailure> {
    let scopes = |of: fn(&Scope) -> String| -> Result<BTreeSet<String>, ToolFailure> {
        let all = compliance::list_scopes(view, snapshot)?;
        Ok(all.iter().map(|row| &row.scope).filter(|scope| reach.has(&scope.account)).map(of).collect())
    };
    let matching = |values: BTreeSet<String>| values.into_iter().filter(|value| value.starts_with(begun)).collect();
    Ok(match choice {
        Stored::Accounts => matching(scopes(|scope| scope.account.to_string())?),
        Stored::Regions => matching(scopes(|scope| scope.region.to_string())?),
        Stored::Nights => {
            let nights = history::list_snapshots_since(view, Timestamp::MIN)?;
            let days: BTreeSet<String> = nights.iter().map(|night| day_of(night.started_at).to_string()).collect();
            days.into_iter().rev().filter(|day| day.starts_with(begun)).collect()
        }
        // Those that lack most tags are what people ask about. To look through all would be a search, which this is none of.
        Stored::Resources => {
            let first = compliance::list_missing_tags(
                view,
                snapshot,
                &reach.filter(),
                OrderByMissingTags::default(),
                PageStart::FIRST,
                MOST,
            )?;
            first.rows.iter().map(|row| escape(row.arn.as_str())).filter(|arn| arn.starts_with(begun)).collect()
        }
    })
}
