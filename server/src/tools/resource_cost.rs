//! What single resources cost, as answers tell it, and on what that is based.

use shared::{
    ResourceType,
    store::{CostBasis, Filter, Row, Snapshot, View},
};

use super::{ToolFailure, answer::units};
use crate::text::visible;

/// A resource's cost as a row tells it: a month, to the cent, and where it comes from; null and nothing when it is not known,
/// or not of that night.
pub(crate) fn told(row: &Row, costs: bool) -> (Option<f64>, Option<&'static str>) {
    let cost = row.cost.filter(|_| costs).map(|cost| (units(cost.monthly.cents()), cost.source.as_str()));
    (cost.map(|(monthly, _)| monthly), cost.map(|(_, source)| source))
}

/// One line on where the costs of single resources come from, or why there are none. `field`: where they stand.
pub(crate) fn note(view: &View<'_>, snapshot: &Snapshot, filter: &Filter, field: &str) -> Result<String, ToolFailure> {
    let basis = view.cost_basis(snapshot)?;
    if let Some(basis) = basis.as_ref().filter(|basis| !basis.types.is_empty()) {
        return Ok(based(basis, filter, field));
    }
    // What Cost Explorer says names who asked it: whoever asks about some accounts may not know of that one.
    let problem = basis.filter(|_| filter.accounts.is_empty()).map(|basis| visible(&basis.problem));
    let problem = problem.filter(|problem| !problem.is_empty());
    let why = match (problem, view.bill_gap()?) {
        (Some(problem), _) => problem,
        (None, Some(_)) => "get_cost_attribution_gap says why".to_owned(),
        (None, None) => {
            "no whole month of the bill is known yet, or what was used in it could not be read (the scanner's log says so), or \
             nothing of it is shared by resources"
                .to_owned()
        }
    };
    Ok(format!("{field} is null: what single resources cost is not known; {why}."))
}

fn based(basis: &CostBasis, filter: &Filter, field: &str) -> String {
    let (month, currency) = (basis.days.first.strftime("%B %Y"), visible(&basis.currency));
    let how = match basis.window {
        Some(window) => format!(
            "each resource's part of what its service cost in {month}, by what the bill named it for from {} to {} ({} days)",
            window.first,
            window.last(),
            window.count()
        ),
        None => {
            let why = if basis.problem.is_empty() || !filter.accounts.is_empty() {
                String::new()
            } else {
                format!(" ({})", visible(&basis.problem))
            };
            format!(
                "each resource's share of what its instance type or volume type cost in its account and region in {month}; the \
                 bill names no single resources{why}"
            )
        }
    };
    let asked = |kind: &&ResourceType| filter.types.is_empty() || filter.types.contains(kind);
    let unknown = ResourceType::ALL.iter().filter(asked).filter(|kind| !basis.types.contains(kind));
    let unknown: Vec<&str> = unknown.map(|kind| kind.as_str()).collect();
    let unknown = match unknown.as_slice() {
        [] => String::new(),
        some => format!(" Null for {}: the bill has one sum for the service.", some.join(", ")),
    };
    format!("{field}, in {currency} a month: {how}; cost_source says which.{unknown}")
}
