//! The monthly cost of a resource in an answer, and the note that explains how it was computed.

use tagledger_ledger::{CostBasis, Filter, ReadSession, ResourceRow, Snapshot, cost::bill_query, query::spend};
use tagledger_model::ResourceType;

use crate::{error::ToolFailure, tools::common::envelope::to_units, untrusted_text::escape};

/// The monthly cost of a resource in currency units and the name of its source. Both are `None` when the cost is not known, or
/// when `costs` is false because the costs are not those of the snapshot.
pub(crate) fn monthly_cost(row: &ResourceRow, costs: bool) -> (Option<f64>, Option<&'static str>) {
    let cost = row.cost.filter(|_| costs).map(|cost| (to_units(cost.monthly.cents()), cost.source.as_str()));
    (cost.map(|(monthly, _)| monthly), cost.map(|(_, source)| source))
}

/// Whether the costs of individual resources are known for at least one resource type.
pub(crate) fn are_known(session: &ReadSession<'_>, snapshot: &Snapshot) -> Result<bool, ToolFailure> {
    Ok(spend::find_cost_basis(session, snapshot)?.is_some_and(|basis| !basis.types.is_empty()))
}

/// A note that explains how the costs of resources were computed, or why they are not known. `field` is the name of the JSON field
/// with the costs.
pub(crate) fn describe_basis(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    field: &str,
) -> Result<String, ToolFailure> {
    let basis = spend::find_cost_basis(session, snapshot)?;
    if let Some(basis) = basis.as_ref().filter(|basis| !basis.types.is_empty()) {
        return Ok(describe_known_basis(basis, filter, field));
    }
    // The message of Cost Explorer can name the payer account, which a caller with a limited set of accounts may not see.
    let problem = basis.filter(|_| filter.accounts.is_empty()).map(|basis| escape(&basis.problem));
    let problem = problem.filter(|problem| !problem.is_empty());
    let why = match (problem, bill_query::load_bill_gap(session)?) {
        (Some(problem), _) => problem,
        (None, Some(_)) => "call get_cost_attribution_gap for the reason".to_owned(),
        (None, None) => {
            "the ledger has no complete month of the bill yet, or the usage of that month could not be read (see the scanner's \
             log), or no billed usage can be assigned to resources"
                .to_owned()
        }
    };
    Ok(format!("{field} is null because the costs of individual resources are not known: {why}."))
}

fn describe_known_basis(basis: &CostBasis, filter: &Filter, field: &str) -> String {
    let (month, currency) = (basis.days.first.strftime("%B %Y"), escape(&basis.currency));
    let how = match basis.window {
        Some(window) => format!(
            "the cost of the service in {month}, distributed by the charges that the bill lists for each resource from {} to {} ({} days)",
            window.first,
            window.last(),
            window.count()
        ),
        None => {
            let why = if basis.problem.is_empty() || !filter.accounts.is_empty() {
                String::new()
            } else {
                format!(" ({})", escape(&basis.problem))
            };
            format!(
                "the resource's share of the cost of its instance type or volume type in its account and region in {month}; the \
                 bill has no charges of individual resources{why}"
            )
        }
    };
    let included = |kind: &&ResourceType| filter.types.is_empty() || filter.types.contains(kind);
    let unknown = ResourceType::ALL.iter().filter(included).filter(|kind| !basis.types.contains(kind));
    let unknown: Vec<&str> = unknown.map(|kind| kind.as_str()).collect();
    let unknown = match unknown.as_slice() {
        [] => String::new(),
        some => format!(" Null for {}: the bill has only one total for the service.", some.join(", ")),
    };
    format!("{field} is in {currency} per month: {how}. cost_source names the method for each resource.{unknown}")
}
