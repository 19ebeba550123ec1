//! What is known of a resource from one night to the next.

use std::sync::Arc;

use rusqlite::{Row, Statement, params};

use super::{
    Attempt, Rule, StoreError, Tally,
    intern::Findings,
    night::FAILED,
    rows::{ScopeIds, reason, state, state_number},
};
use crate::{
    inventory::GapReason,
    policy::{Code, Policy, State},
};

/// What the ledger says of a resource in one version.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) tag_set: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) state: State,
    pub(super) reason: Option<GapReason>,
    pub(super) finding_set: Option<i64>,
    pub(super) errors: i64,
    pub(super) lacking: i64,
    pub(super) aside: Aside,
}

/// What is known of a resource beside its tags. When it becomes other, no other version begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) usage: Option<UsageIds>,
    /// The set of its neighbours.
    pub(super) links: Option<i64>,
    /// The key of its parent.
    pub(super) parent: Option<i64>,
}

/// What a resource takes of something that is billed in one sum for many: the id of what, and how much.
pub(super) type UsageIds = (i64, u32);

/// From two columns; none where a resource takes nothing of the kind.
pub(super) fn usage_ids(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<UsageIds>> {
    Ok(row.get::<_, Option<i64>>(first)?.zip(row.get::<_, Option<u32>>(first + 1)?))
}

/// A version with what is counted of it.
pub(super) struct Judged {
    pub(super) version: Version,
    /// The hash of its set of tags, where that is known without asking.
    pub(super) tags_hash: Option<i64>,
    pub(super) findings: Arc<Findings>,
    pub(super) attributable: Attributable,
}

/// Whether a bill can attribute a resource by the tags that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Attributable {
    No = 0,
    Yes = 1,
    NotJudged = 2,
}

impl Attributable {
    /// What the policy forgives in the spelling of a required key, a bill does not.
    pub(super) fn of(state: State, policy: &Policy, findings: &[Rule]) -> Self {
        let required = |tag: &str| policy.required().iter().any(|rule| rule.name() == tag);
        match state {
            State::NonCompliant => Self::No,
            State::Compliant => {
                let misspelt = |rule: &Rule| rule.code == Code::KeyCaseMismatch && required(&rule.tag);
                if findings.iter().any(misspelt) { Self::No } else { Self::Yes }
            }
            State::NotApplicable | State::Unknown | State::Exempt => Self::NotJudged,
        }
    }
}

impl Version {
    pub(super) fn unknown(reason: GapReason, known: Option<&Self>) -> Self {
        Self {
            tag_set: known.and_then(|v| v.tag_set),
            name: known.and_then(|v| v.name.clone()),
            state: State::Unknown,
            reason: Some(reason),
            finding_set: None,
            errors: 0,
            lacking: 0,
            aside: known.map(|v| v.aside).unwrap_or_default(),
        }
    }

    /// Whether no new version begins with the other.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        let verdict = |v: &Self| (v.state, v.reason, v.finding_set, v.errors, v.lacking);
        self.same_tags(other) && verdict(self) == verdict(other)
    }

    /// Runs a statement whose parameters are the columns of `current`.
    pub(super) fn write(
        &self,
        statement: &mut Statement<'_>,
        since: i64,
        ids: ScopeIds,
        key: i64,
    ) -> Result<(), StoreError> {
        let columns = params![
            key,
            since,
            self.tag_set,
            self.name,
            state_number(self.state),
            self.reason.map(GapReason::as_str),
            self.finding_set,
            self.errors,
            self.lacking,
            ids.account,
            ids.region,
            ids.resource_type,
            self.aside.usage.map(|(driver, _)| driver),
            self.aside.usage.map(|(_, quantity)| quantity),
            self.aside.links,
            self.aside.parent
        ];
        statement.execute(columns).attempt(FAILED).map(drop)
    }

    pub(super) fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

impl Judged {
    pub(super) fn unjudged(version: Version) -> Self {
        Self { version, tags_hash: None, findings: Arc::default(), attributable: Attributable::NotJudged }
    }

    pub(super) fn tally(&self) -> Tally {
        Tally::of(self.version.state, self.version.lacking, self.findings.severities())
    }
}

/// What ended a version, as the view `change` of `schema.sql` numbers and names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Tags = 1,
    Verdict = 2,
    Lost = 3,
    Regained = 4,
    Removed = 5,
    LeftScope = 6,
    Moved = 7,
}

impl Ending {
    pub(super) fn number(self) -> i64 {
        self as i64
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Verdict => "verdict",
            Self::Lost => "lost",
            Self::Regained => "regained",
            Self::Removed => "removed",
            Self::LeftScope => "left_scope",
            Self::Moved => "moved",
        }
    }

    /// Why another version follows.
    pub(super) fn between(known: &Version, new: &Version) -> Self {
        match (known.state, new.state) {
            (_, State::Unknown) => Self::Lost,
            (State::Unknown, _) if known.tag_set.is_none() || known.same_tags(new) => Self::Regained,
            _ if known.same_tags(new) => Self::Verdict,
            _ => Self::Tags,
        }
    }
}

impl Aside {
    /// The columns driver_id to parent of `current`, from the place given.
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let usage = usage_ids(row, first)?;
        Ok(Self { usage, links: row.get(first + 2)?, parent: row.get(first + 3)? })
    }
}

/// The columns tag_set_id to lacking of `current` or `history`, from the place given.
pub(super) fn version_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<(Version, Option<String>)> {
    let version = Version {
        tag_set: row.get(first)?,
        name: row.get(first + 1)?,
        state: state(row.get(first + 2)?),
        reason: None,
        finding_set: row.get(first + 4)?,
        errors: row.get(first + 5)?,
        lacking: row.get(first + 6)?,
        aside: Aside::default(),
    };
    Ok((version, row.get(first + 3)?))
}

/// A version from [`version_columns`].
pub(super) fn version((version, text): (Version, Option<String>)) -> Result<Version, StoreError> {
    let reason = text.as_deref().map(reason).transpose()?;
    Ok(Version { reason, ..version })
}
