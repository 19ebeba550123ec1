//! validate_resource_tags: named resources, read from AWS now and judged by the policy in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    Arn,
    cloud::Looked,
    inventory::{Gap, Scope, Tags},
    named::{Misnamed, Named},
    store::ScopeRow,
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed},
    named_now::{Asked, Known},
    validated::{Problem, Validated},
};
use crate::{
    ledger::Ledger,
    live::Seen,
    reach::{Reach, bounded},
};

pub(crate) const NAME: &str = "validate_resource_tags";

/// Most resources that a call may name.
const MOST_ARNS: usize = 100;

/// Bytes that the results may take with all their details; beyond, they are told briefly.
const MOST_BYTES: usize = 60_000;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// ARNs of 1 to 100 resources, of any supported types, accounts and regions.
    #[schemars(length(min = 1, max = 100))]
    resource_arns: Vec<String>,
    /// What the caller's key allows.
    #[serde(skip)]
    #[schemars(skip)]
    within: Reach,
}

bounded!(within);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    summary: Summary,
    /// One for each ARN, in the order in which they were given.
    results: Vec<Validated>,
}

/// How many ended how.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Summary {
    compliant: u64,
    non_compliant: u64,
    /// Read, but exempted by the policy, or of a type to which no required tag applies.
    not_judged: u64,
    /// AWS has no such resource.
    not_found: u64,
    /// Not read, or not to be read: neither compliant nor not.
    not_read: u64,
}

pub(crate) async fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let (texts, repeated) = distinct(arguments.resource_arns)?;
    let named: Vec<Result<Named, Misnamed>> = texts.iter().map(|text| Named::parse(text)).collect();
    let known = ledger.ask(|view, snapshot| Known::read(ledger, view, snapshot, &named, &arguments.within))?;
    let until = ledger.live().until();
    let located = known.locate(ledger, &named, until).await;
    let asked: Vec<Asked> = named.into_iter().map(|named| known.address(named, &located)).collect();
    let wanted: Vec<(Scope, Arn)> = asked.iter().filter_map(Asked::wanted).collect();
    let seen = ledger.look(&wanted, until).await;
    let all = |brief| -> Vec<Validated> {
        texts.iter().zip(&asked).map(|(text, asked)| told(&known, ledger.now(), text, asked, &seen, brief)).collect()
    };
    let mut results = all(false);
    let mut notes = known.notes.clone();
    if serde_json::to_vec(&results).map_or(0, |json| json.len()) > MOST_BYTES {
        results = all(true);
        notes.push("Values and fixes are left out of this long answer; ask about fewer resources for them.".to_owned());
    }
    if repeated > 0 {
        notes.push(format!("{repeated} of the ARNs were given more than once; each is answered once."));
    }
    let coverage = Coverage::of_now(&scope_rows(&asked, &seen, known.snapshot.id));
    let body = Body { summary: Summary::of(&results), results };
    Ok(Answer { body, as_of: AsOf::of(&known.snapshot), policy: PolicyUsed::of(&known.policy), coverage, notes })
}

/// Each text once, in their order, and how many were left out.
fn distinct(texts: Vec<String>) -> Result<(Vec<String>, usize), ToolFailure> {
    let given = texts.len();
    if !(1..=MOST_ARNS).contains(&given) {
        let reason = format!("`resource_arns` must name 1 to {MOST_ARNS} resources, not {given}");
        return Err(ToolFailure::Caller(reason));
    }
    let mut seen = BTreeSet::new();
    let texts: Vec<String> = texts.into_iter().filter(|text| seen.insert(text.trim().to_owned())).collect();
    let repeated = given - texts.len();
    Ok((texts, repeated))
}

fn told(known: &Known, now: Timestamp, text: &str, asked: &Asked, seen: &HashMap<Arn, Seen>, brief: bool) -> Validated {
    match asked {
        Asked::Refused(named, problem) => {
            Validated::refused(text, named.as_ref().map(|named| named.resource_type), problem.clone())
        }
        Asked::Nowhere(named) => Validated::not_found(text, named.resource_type, None, now),
        Asked::Reachable(scope, arn) => {
            let row = known.rows.get(arn);
            match seen.get(arn) {
                Some(Seen { looked: Looked::There(resource), at }) => {
                    Validated::read(text, scope, resource, &known.policy, *at, row, brief)
                }
                Some(Seen { looked: Looked::Gone, at }) => Validated::not_found(text, scope.resource_type, row, *at),
                Some(Seen { looked: Looked::Unread(gap), .. }) => {
                    Validated::refused(text, Some(scope.resource_type), Problem::unread(gap))
                }
                None => Validated::refused(text, Some(scope.resource_type), Problem::unanswered()),
            }
        }
    }
}

/// The scopes that were asked, each with what could not be read of it.
fn scope_rows(asked: &[Asked], seen: &HashMap<Arn, Seen>, snapshot: i64) -> Vec<ScopeRow> {
    let mut rows: BTreeMap<Scope, ScopeRow> = BTreeMap::new();
    for (scope, arn) in asked.iter().filter_map(Asked::wanted) {
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
        if let Some(gap) = seen.get(&arn).and_then(unread) {
            row.unknown += 1;
            row.gap.get_or_insert_with(|| gap.clone());
        }
    }
    rows.into_values().collect()
}

fn unread(seen: &Seen) -> Option<&Gap> {
    match &seen.looked {
        Looked::Unread(gap) => Some(gap),
        Looked::There(resource) => match &resource.tags {
            Tags::Unknown(gap) => Some(gap),
            _ => None,
        },
        Looked::Gone => None,
    }
}

impl Summary {
    fn of(results: &[Validated]) -> Self {
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
