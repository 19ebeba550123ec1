//! `validate_resource_tags`: evaluates the current tags in AWS of requested resources by the current policy.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cloud::LookupResult;
use tagledger_ledger::ScopeRow;
use tagledger_model::{
    Arn,
    inventory::{Gap, Scope, Tags},
    resource_ref::{InvalidResourceRef, ResourceRef},
};

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    lookup::observation::Observation,
    tools::{
        common::{
            account_filter::limit_accounts,
            envelope::{Answer, AsOf, Coverage, PolicyUsed},
            resource_locator::{LedgerMatch, LookupRequest},
        },
        live::validation_result::{Problem, ValidationResult},
    },
};

pub(crate) const NAME: &str = "validate_resource_tags";

/// The maximum number of resources of a call.
const MAX_ARNS: usize = 100;

/// The maximum size of the results in bytes with all details. Larger results omit values and fixes.
const MAX_BYTES: usize = 60_000;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The ARNs of 1 to 100 resources of any supported types, accounts and regions.
    #[schemars(length(min = 1, max = 100))]
    resource_arns: Vec<String>,
    /// The accounts of the caller's key. Clients cannot set it.
    #[serde(skip)]
    #[schemars(skip)]
    scope: AccountScope,
}

limit_accounts!(scope);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    pub(crate) summary: Summary,
    /// One result for each ARN, in the order of the request.
    results: Vec<ValidationResult>,
}

/// The number of resources by result.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Summary {
    compliant: u64,
    non_compliant: u64,
    /// Resources that were read and are exempt, or of a type to which no required tag applies.
    not_judged: u64,
    /// Resources that do not exist in AWS.
    not_found: u64,
    /// Resources that could not or may not be read.
    not_read: u64,
}

/// Answers the call from AWS and the latest snapshot.
pub(crate) async fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let (texts, duplicates) = remove_duplicates(arguments.resource_arns)?;
    let named: Vec<Result<ResourceRef, InvalidResourceRef>> =
        texts.iter().map(|text| ResourceRef::parse(text)).collect();
    let ledger_match =
        app.read_latest(|session, snapshot| LedgerMatch::load(app, session, snapshot, &named, &arguments.scope))?;
    let deadline = app.lookup().deadline();
    let located = ledger_match.locate_buckets(app, &named, deadline).await;
    let requests: Vec<LookupRequest> = named.into_iter().map(|named| ledger_match.resolve(named, &located)).collect();
    let targets: Vec<(Scope, Arn)> = requests.iter().filter_map(LookupRequest::target).collect();
    let observations = app.lookup_resources(&targets, deadline).await;
    let validate = |brief| -> Vec<ValidationResult> {
        let pairs = texts.iter().zip(&requests);
        pairs.map(|(text, request)| to_result(&ledger_match, app.now(), text, request, &observations, brief)).collect()
    };
    let mut results = validate(false);
    let mut notes = ledger_match.notes.clone();
    if serde_json::to_vec(&results).map_or(0, |json| json.len()) > MAX_BYTES {
        results = validate(true);
        notes.push(
            "The answer omits values and fixes because of its size. Request fewer resources to get them.".to_owned(),
        );
    }
    if duplicates > 0 {
        notes.push(format!("{duplicates} of the ARNs are duplicates. The answer has each ARN once."));
    }
    let coverage = Coverage::from_lookups(&scope_rows(&requests, &observations, ledger_match.snapshot.id));
    let body = Body { summary: Summary::from_results(&results), results };
    Ok(Answer {
        body,
        as_of: AsOf::from_snapshot(&ledger_match.snapshot),
        policy: PolicyUsed::from_policy(&ledger_match.policy),
        coverage,
        notes,
    })
}

/// The distinct ARNs in their order, and the number of duplicates.
///
/// # Errors
///
/// When the request has no ARN or more than 100.
fn remove_duplicates(texts: Vec<String>) -> Result<(Vec<String>, usize), ToolFailure> {
    let given = texts.len();
    if !(1..=MAX_ARNS).contains(&given) {
        let reason = format!("`resource_arns` must name 1 to {MAX_ARNS} resources, not {given}");
        return Err(ToolFailure::Caller(reason));
    }
    let mut seen = BTreeSet::new();
    let texts: Vec<String> = texts.into_iter().filter(|text| seen.insert(text.trim().to_owned())).collect();
    let duplicates = given - texts.len();
    Ok((texts, duplicates))
}

fn to_result(
    ledger_match: &LedgerMatch,
    now: Timestamp,
    text: &str,
    request: &LookupRequest,
    observations: &HashMap<Arn, Observation>,
    brief: bool,
) -> ValidationResult {
    match request {
        LookupRequest::Refused(named, problem) => {
            ValidationResult::refused(text, named.as_ref().map(|named| named.resource_type), problem.clone())
        }
        LookupRequest::NotFound(named) => ValidationResult::not_found(text, named.resource_type, None, now),
        LookupRequest::Reachable(scope, arn) => {
            let row = ledger_match.rows.get(arn);
            match observations.get(arn) {
                Some(Observation { result: LookupResult::Found(resource), at }) => {
                    ValidationResult::from_resource(text, scope, resource, &ledger_match.policy, *at, row, brief)
                }
                Some(Observation { result: LookupResult::NotFound, at }) => {
                    ValidationResult::not_found(text, scope.resource_type, row, *at)
                }
                Some(Observation { result: LookupResult::Failed(gap), .. }) => {
                    ValidationResult::refused(text, Some(scope.resource_type), Problem::from_gap(gap))
                }
                None => ValidationResult::refused(text, Some(scope.resource_type), Problem::no_answer()),
            }
        }
    }
}

/// The queried scopes, each with the first cause for which a resource could not be read.
fn scope_rows(requests: &[LookupRequest], observations: &HashMap<Arn, Observation>, snapshot: i64) -> Vec<ScopeRow> {
    let mut rows: BTreeMap<Scope, ScopeRow> = BTreeMap::new();
    for (scope, arn) in requests.iter().filter_map(LookupRequest::target) {
        let row = rows.entry(scope.clone()).or_insert_with(|| ScopeRow {
            scope,
            scanned_in: snapshot,
            listed_all: false,
            resources: 0,
            unknown: 0,
            stale: 0,
            gap: None,
        });
        row.resources += 1;
        if let Some(gap) = observations.get(&arn).and_then(find_gap) {
            row.unknown += 1;
            row.gap.get_or_insert_with(|| gap.clone());
        }
    }
    rows.into_values().collect()
}

/// The cause for which the tags of a resource could not be read.
fn find_gap(observation: &Observation) -> Option<&Gap> {
    match &observation.result {
        LookupResult::Failed(gap) => Some(gap),
        LookupResult::Found(resource) => match &resource.tags {
            Tags::Unknown(gap) => Some(gap),
            _ => None,
        },
        LookupResult::NotFound => None,
    }
}

impl Summary {
    fn from_results(results: &[ValidationResult]) -> Self {
        let mut summary = Self::default();
        for result in results {
            let count = match (result.status(), result.compliant()) {
                ("read", Some(true)) => &mut summary.compliant,
                ("read", Some(false)) => &mut summary.non_compliant,
                ("read", None) => &mut summary.not_judged,
                ("not_found", _) => &mut summary.not_found,
                _ => &mut summary.not_read,
            };
            *count += 1;
        }
        summary
    }
}
