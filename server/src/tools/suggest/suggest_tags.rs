//! `suggest_tags`: suggested values for the missing and invalid tags of one resource, by its current state and similar resources.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_analysis::prediction::CONFIDENCE_THRESHOLD;
use tagledger_cloud::LookupResult;
use tagledger_ledger::{Filter, ReadSession, ResourceRow, Snapshot, TargetContext, learn::predict};
use tagledger_model::{
    Arn,
    epoch_day::day_of,
    inventory::{RelatedResource, Resource, Scope, TagSet, Tags},
    resource_ref::ResourceRef,
    resource_types::spec::TagSource,
};
use tagledger_policy::State;

use crate::{
    app_state::AppState,
    auth::account_scope::AccountScope,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            envelope::{Answer, AsOf, Coverage, PolicyUsed},
            resource_locator::{LedgerMatch, LookupRequest},
            suggestions::{Abstained, PredictedValue, Suggestion, SuggestionEngine},
        },
        live::validation_result::{Problem, has_unknown_tags},
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "suggest_tags";

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The ARN of one resource of a supported type.
    resource_arn: String,
    /// The accounts of the caller's key. Clients cannot set it.
    #[serde(skip)]
    #[schemars(skip)]
    scope: AccountScope,
}

limit_accounts!(scope);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The suggested values for missing and invalid required tags, in the order of the policy.
    suggestions: Vec<Suggestion>,
    /// The required tags without a value of sufficient confidence.
    abstained: Vec<Abstained>,
    /// The requested ARN. Untrusted text.
    resource_arn: String,
    resource_type: &'static str,
    /// The source of the tags: `aws` for the current tags, or `snapshot` if AWS could not be queried.
    tags_from: &'static str,
    /// The time at which the tags were read (RFC 3339, UTC).
    tags_as_of: String,
}

/// The tags and relationships of the resource, and their source.
struct ResourceFacts {
    scope: Scope,
    arn: Arn,
    tags: TagSet,
    /// The current relationships and the key of the parent. `None` if they were not read from AWS.
    related: Option<(Vec<RelatedResource>, Option<i64>)>,
    from: &'static str,
    at: Timestamp,
    note: Option<String>,
}

/// Answers the call from AWS and the latest snapshot.
pub(crate) async fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let named = ResourceRef::parse(&arguments.resource_arn);
    let named = vec![Ok(named.map_err(|wrong| ToolFailure::Caller(format!("`resource_arn` is {wrong}")))?)];
    let ledger_match =
        app.read_latest(|session, snapshot| LedgerMatch::load(app, session, snapshot, &named, &arguments.scope))?;
    let deadline = app.lookup().deadline();
    let located = ledger_match.locate_buckets(app, &named, deadline).await;
    let request = named.into_iter().map(|named| ledger_match.resolve(named, &located)).next();
    let Some(request) = request else { return Err(ToolFailure::Internal) };
    let targets: Vec<(Scope, Arn)> = request.target().into_iter().collect();
    let mut observations = app.lookup_resources(&targets, deadline).await;
    let observation = targets.first().and_then(|(_, arn)| observations.remove(arn));
    let facts = match (request, observation) {
        (LookupRequest::Reachable(scope, arn), Some(found)) => {
            facts_from_aws(&ledger_match, scope, arn, found.result, found.at)?
        }
        (LookupRequest::Reachable(_, arn), None) => facts_from_snapshot(&ledger_match, &arn, &Problem::no_answer())?,
        (LookupRequest::NotFound(_), _) => return Err(resource_not_found()),
        (LookupRequest::Refused(Some(named), problem), _) => facts_from_snapshot(&ledger_match, &named.arn, &problem)?,
        (LookupRequest::Refused(None, problem), _) => return Err(ToolFailure::Caller(problem.describe())),
    };
    app.read_latest(|session, latest| suggest(session, &latest, &ledger_match, &arguments.resource_arn, &facts))
}

fn resource_not_found() -> ToolFailure {
    ToolFailure::Caller("AWS has no such resource; check the ARN".to_owned())
}

/// The facts of a resource that was looked up in AWS. If AWS refused the request, those of the snapshot.
fn facts_from_aws(
    ledger_match: &LedgerMatch,
    scope: Scope,
    arn: Arn,
    result: LookupResult,
    at: Timestamp,
) -> Result<ResourceFacts, ToolFailure> {
    match result {
        LookupResult::NotFound => Err(resource_not_found()),
        LookupResult::Failed(gap) => facts_from_snapshot(ledger_match, &arn, &Problem::from_gap(&gap)),
        LookupResult::Found(Resource { tags: Tags::Unknown(gap), .. }) => {
            facts_from_snapshot(ledger_match, &arn, &Problem::from_gap(&gap))
        }
        LookupResult::Found(Resource { tags: Tags::Untaggable, .. }) => {
            Err(ToolFailure::Caller("the resource cannot carry tags".to_owned()))
        }
        LookupResult::Found(Resource { tags: Tags::Known(tags), links, .. }) => {
            let parent = links.parent.as_ref().map(Arn::key);
            // For these types, the lookup reads only the tags.
            let tags_only = scope.resource_type.spec().tags.source == TagSource::SeparateRequest;
            let related = (!tags_only).then_some((links.neighbours, parent));
            Ok(ResourceFacts { scope, arn, tags, related, from: "aws", at, note: None })
        }
    }
}

/// The facts of the latest snapshot, for a resource that AWS could not provide.
fn facts_from_snapshot(ledger_match: &LedgerMatch, arn: &Arn, problem: &Problem) -> Result<ResourceFacts, ToolFailure> {
    let Some(row) = ledger_match.rows.get(arn) else { return Err(ToolFailure::Caller(problem.describe())) };
    let untaggable = row.state == State::NotApplicable && row.tags.iter().len() == 0;
    if has_unknown_tags(row) || (untaggable && ledger_match.policy.applies_to(row.scope.resource_type)) {
        let why = format!(
            "the tags of the resource are not known: no scan could read them, and AWS cannot be queried: {}",
            problem.describe()
        );
        return Err(ToolFailure::Caller(why));
    }
    let ResourceRow { scope, tags, .. } = row.clone();
    let note =
        Some(format!("The tags are from the snapshot, because AWS could not be queried: {}.", problem.describe()));
    Ok(ResourceFacts {
        scope,
        arn: arn.clone(),
        tags,
        related: None,
        from: "snapshot",
        at: ledger_match.snapshot.started_at,
        note,
    })
}

fn suggest(
    session: &ReadSession<'_>,
    latest: &Snapshot,
    ledger_match: &LedgerMatch,
    given: &str,
    facts: &ResourceFacts,
) -> Result<Answer<Body>, ToolFailure> {
    let ResourceFacts { scope, arn, tags, .. } = facts;
    let mut relations = predict::locate(session, arn)?;
    // The current relationships from AWS replace those of the ledger. Only the ledger knows the creator.
    if let Some((neighbours, parent)) = &facts.related {
        relations = TargetContext { neighbours: neighbours.clone(), parent: *parent, ..relations };
    }
    let target = relations.to_target(scope, arn, tags);
    let trained_by = session.policy(latest)?;
    let on = day_of(facts.at);
    let engine = SuggestionEngine {
        session,
        policy: &ledger_match.policy,
        trained_by: &trained_by,
        model: predict::load_model(session, latest)?,
        on,
        all: ledger_match.account_scope.is_unrestricted(),
    };
    let PredictedValue { suggestions, abstained } = engine.suggest(&target, None)?;
    let mut notes = ledger_match.notes.clone();
    notes.extend(facts.note.clone());
    if suggestions.is_empty() && abstained.is_empty() {
        notes.push(
            "Nothing to suggest: every required tag is present and valid, or none applies to the type.".to_owned(),
        );
    } else if !abstained.is_empty() {
        notes.push(format!(
            "Values with a confidence below {CONFIDENCE_THRESHOLD} are not suggested. Do not guess a value; ask the owner of the resource."
        ));
    }
    let body = Body {
        suggestions,
        abstained,
        resource_arn: escape(given.trim()),
        resource_type: scope.resource_type.as_str(),
        tags_from: facts.from,
        tags_as_of: facts.at.to_string(),
    };
    let resource_scope = Filter {
        types: vec![scope.resource_type],
        regions: vec![scope.region.clone()],
        accounts: vec![scope.account.clone()],
    };
    let coverage = Coverage::load(session, latest, &resource_scope)?;
    Ok(Answer {
        body,
        as_of: AsOf::from_snapshot(latest),
        policy: PolicyUsed::from_policy(&ledger_match.policy),
        coverage,
        notes,
    })
}
