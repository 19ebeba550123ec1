//! suggest_tags: values for the missing tags of one resource, by what it is now and what others like it carry.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    Arn, ResourceType,
    cloud::Looked,
    day::day_of,
    inventory::{Neighbour, Resource, Scope, TagSet, Tags},
    named::Named,
    policy::State,
    store::{Filter, Placed, Row, Snapshot, View},
    suggest::THRESHOLD,
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed},
    named_now::{Asked, Known},
    suggesting::{Abstained, Adviser, Said, Suggestion},
    validated::{Problem, never_read},
};
use crate::{
    ledger::Ledger,
    reach::{Reach, bounded},
    text::visible,
};

pub(crate) const NAME: &str = "suggest_tags";

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The ARN of one resource of a supported type.
    resource_arn: String,
    /// What the caller's key allows.
    #[serde(skip)]
    #[schemars(skip)]
    within: Reach,
}

bounded!(within);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// One for each required tag that it lacks or has wrongly and for which one is clear, in the policy's order.
    suggestions: Vec<Suggestion>,
    /// Required tags for which none is clear.
    abstained: Vec<Abstained>,
    /// As it was given. Untrusted text.
    resource_arn: String,
    resource_type: &'static str,
    /// `aws`: its tags as they are now. `snapshot`: as a scan saw them, for AWS could not be asked.
    tags_from: &'static str,
    /// When these tags were read (RFC 3339, UTC).
    tags_as_of: String,
}

/// What the resource is, and since when that is known.
struct Facts {
    scope: Scope,
    arn: Arn,
    tags: TagSet,
    /// As AWS says now; none where its answer does not say.
    neighbours: Option<(Vec<Neighbour>, Option<i64>)>,
    from: &'static str,
    at: Timestamp,
    note: Option<String>,
}

pub(crate) async fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let named = Named::parse(&arguments.resource_arn);
    let named = vec![Ok(named.map_err(|wrong| ToolFailure::Caller(format!("`resource_arn` is {wrong}")))?)];
    let known = ledger.ask(|view, snapshot| Known::read(ledger, view, snapshot, &named, &arguments.within))?;
    let until = ledger.live().until();
    let located = known.locate(ledger, &named, until).await;
    let asked = named.into_iter().map(|named| known.address(named, &located)).next();
    let Some(asked) = asked else { return Err(ToolFailure::Internal) };
    let wanted: Vec<(Scope, Arn)> = asked.wanted().into_iter().collect();
    let mut seen = ledger.look(&wanted, until).await;
    let looked = wanted.first().and_then(|(_, arn)| seen.remove(arn));
    let facts = match (asked, looked) {
        (Asked::Reachable(scope, arn), Some(seen)) => facts(&known, scope, arn, seen.looked, seen.at)?,
        (Asked::Reachable(_, arn), None) => remembered(&known, &arn, &Problem::unanswered())?,
        (Asked::Nowhere(_), _) => return Err(gone()),
        (Asked::Refused(Some(named), problem), _) => remembered(&known, &named.arn, &problem)?,
        (Asked::Refused(None, problem), _) => return Err(ToolFailure::Caller(problem.words())),
    };
    ledger.ask(|view, newest| told(view, &newest, &known, &arguments.resource_arn, &facts))
}

fn gone() -> ToolFailure {
    ToolFailure::Caller("AWS has no such resource, or none any more; check the ARN".to_owned())
}

fn facts(known: &Known, scope: Scope, arn: Arn, looked: Looked, at: Timestamp) -> Result<Facts, ToolFailure> {
    match looked {
        Looked::Gone => Err(gone()),
        Looked::Unread(gap) => remembered(known, &arn, &Problem::unread(&gap)),
        Looked::There(Resource { tags: Tags::Unknown(gap), .. }) => remembered(known, &arn, &Problem::unread(&gap)),
        Looked::There(Resource { tags: Tags::Untaggable, .. }) => {
            Err(ToolFailure::Caller("the resource cannot carry tags".to_owned()))
        }
        Looked::There(Resource { tags: Tags::Known(tags), links, .. }) => {
            let parent = links.parent.as_ref().map(Arn::key);
            // Of functions and buckets only the tags are read.
            let tags_alone = matches!(scope.resource_type, ResourceType::LambdaFunction | ResourceType::S3Bucket);
            let neighbours = (!tags_alone).then_some((links.neighbours, parent));
            Ok(Facts { scope, arn, tags, neighbours, from: "aws", at, note: None })
        }
    }
}

/// As the last snapshot knows it, where AWS cannot say.
fn remembered(known: &Known, arn: &Arn, problem: &Problem) -> Result<Facts, ToolFailure> {
    let Some(row) = known.rows.get(arn) else { return Err(ToolFailure::Caller(problem.words())) };
    let untaggable = row.state == State::NotApplicable && row.tags.iter().len() == 0;
    if never_read(row) || (untaggable && known.policy.applies(row.scope.resource_type)) {
        let why = format!(
            "its tags are not known: no scan could read them, and AWS cannot be asked now: {}",
            problem.words()
        );
        return Err(ToolFailure::Caller(why));
    }
    let Row { scope, tags, .. } = row.clone();
    let note = Some(format!("By the tags of the snapshot, for AWS could not be asked now: {}.", problem.words()));
    Ok(Facts { scope, arn: arn.clone(), tags, neighbours: None, from: "snapshot", at: known.snapshot.started_at, note })
}

fn told(
    view: &View<'_>,
    newest: &Snapshot,
    known: &Known,
    given: &str,
    facts: &Facts,
) -> Result<Answer<Body>, ToolFailure> {
    let Facts { scope, arn, tags, .. } = facts;
    let mut placed = view.placed(arn)?;
    // What AWS says now counts, but for who created it, which the ledger alone knows.
    if let Some((neighbours, parent)) = &facts.neighbours {
        placed = Placed { neighbours: neighbours.clone(), parent: *parent, ..placed };
    }
    let suspect = placed.suspect(scope, arn, tags);
    let learnt_by = view.policy(newest)?;
    let on = day_of(facts.at);
    let adviser = Adviser {
        view,
        policy: &known.policy,
        learnt_by: &learnt_by,
        weighing: view.weighing(newest)?,
        on,
        all: known.within.is_all(),
    };
    let Said { suggestions, abstained } = adviser.advise(&suspect, None)?;
    let mut notes = known.notes.clone();
    notes.extend(facts.note.clone());
    if suggestions.is_empty() && abstained.is_empty() {
        notes
            .push("Nothing to suggest: every required tag is there and right, or none applies to its type.".to_owned());
    } else if !abstained.is_empty() {
        notes.push(format!(
            "Nothing is suggested below a confidence of {THRESHOLD}: do not guess either, ask its owner."
        ));
    }
    let body = Body {
        suggestions,
        abstained,
        resource_arn: visible(given.trim()),
        resource_type: scope.resource_type.as_str(),
        tags_from: facts.from,
        tags_as_of: facts.at.to_string(),
    };
    let here = Filter {
        types: vec![scope.resource_type],
        regions: vec![scope.region.clone()],
        accounts: vec![scope.account.clone()],
    };
    let coverage = Coverage::of(view, newest, &here)?;
    Ok(Answer { body, as_of: AsOf::of(newest), policy: PolicyUsed::of(&known.policy), coverage, notes })
}
