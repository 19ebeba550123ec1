//! The state of a resource, which the ledger stores from the first snapshot that has it until it changes.

use std::sync::Arc;

use rusqlite::{Row, Statement, params};
use tagledger_model::inventory::GapReason;
use tagledger_policy::State;

use crate::{
    db::values::{encode_state, parse_reason, parse_state},
    error::{ErrorContext, LedgerError, Operation},
    model::{attributable::Attributable, counts::ComplianceCounts, findings::Findings, scope_ids::ScopeIds},
};

/// The state of a resource, as the columns of `current` and `history` have it.
#[derive(Debug, Clone)]
pub(crate) struct ResourceState {
    pub(crate) tag_set: Option<i64>,
    pub(crate) name: Option<String>,
    pub(crate) state: State,
    pub(crate) reason: Option<GapReason>,
    pub(crate) finding_set: Option<i64>,
    pub(crate) errors: u32,
    /// How many required tags are missing.
    pub(crate) missing_required: u32,
    /// Whether it has no user tag at all.
    pub(crate) untagged: bool,
    pub(crate) context: ResourceContext,
}

/// Usage and relationships of a resource. When they change, the columns of `current` are updated and no new state begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResourceContext {
    pub(crate) usage: Option<UsageIds>,
    /// The set of its related resources.
    pub(crate) links: Option<i64>,
    /// The key of its parent.
    pub(crate) parent: Option<i64>,
}

/// The row id of a cost driver, and the quantity that the resource uses of it.
pub(crate) type UsageIds = (i64, u32);

/// Reads two columns; none when the resource has no usage.
pub(crate) fn read_usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<UsageIds>> {
    Ok(row.get::<_, Option<i64>>(first)?.zip(row.get::<_, Option<u32>>(first + 1)?))
}

/// A state and its findings.
pub(crate) struct EvaluatedState {
    pub(crate) state: ResourceState,
    /// The hash of its tag set, when it does not have to be read.
    pub(crate) tags_hash: Option<i64>,
    pub(crate) findings: Arc<Findings>,
    pub(crate) attributable: Attributable,
}

impl ResourceState {
    pub(crate) fn unknown(reason: GapReason, before: Option<&Self>) -> Self {
        Self {
            tag_set: before.and_then(|v| v.tag_set),
            name: before.and_then(|v| v.name.clone()),
            state: State::Unknown,
            reason: Some(reason),
            finding_set: None,
            errors: 0,
            missing_required: 0,
            untagged: false,
            context: before.map(|v| v.context).unwrap_or_default(),
        }
    }

    /// Whether the other is the same state, apart from its context.
    pub(crate) fn is_unchanged(&self, other: &Self) -> bool {
        let verdict = |v: &Self| (v.state, v.reason, v.finding_set, v.errors, v.missing_required, v.untagged);
        self.same_tags(other) && verdict(self) == verdict(other)
    }

    /// Runs a statement whose parameters are the columns of `current`.
    pub(crate) fn write(
        &self,
        statement: &mut Statement<'_>,
        since: i64,
        ids: ScopeIds,
        key: i64,
    ) -> Result<(), LedgerError> {
        let columns = params![
            key,
            since,
            self.tag_set,
            self.name,
            encode_state(self.state),
            self.reason.map(GapReason::as_str),
            self.finding_set,
            self.errors,
            self.missing_required,
            ids.account,
            ids.region,
            ids.resource_type,
            self.context.usage.map(|(driver, _)| driver),
            self.context.usage.map(|(_, quantity)| quantity),
            self.context.links,
            self.context.parent,
            self.untagged
        ];
        statement.execute(columns).context(Operation::WriteSnapshot).map(drop)
    }

    pub(crate) fn same_tags(&self, other: &Self) -> bool {
        self.tag_set == other.tag_set && self.name == other.name
    }
}

impl EvaluatedState {
    pub(crate) fn unevaluated(state: ResourceState) -> Self {
        Self { state, tags_hash: None, findings: Arc::default(), attributable: Attributable::NotEvaluated }
    }

    pub(crate) fn counts(&self) -> ComplianceCounts {
        let ResourceState { state, missing_required, untagged, .. } = self.state;
        ComplianceCounts::for_resource(state, missing_required > 0, untagged, self.findings.severities())
    }
}

/// Why a state ended, as the view `change` of `schema.sql` numbers and names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Tags = 1,
    StateAndFindings = 2,
    Lost = 3,
    Regained = 4,
    Removed = 5,
    LeftScope = 6,
    Moved = 7,
}

impl ChangeKind {
    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::StateAndFindings => "verdict",
            Self::Lost => "lost",
            Self::Regained => "regained",
            Self::Removed => "removed",
            Self::LeftScope => "left_scope",
            Self::Moved => "moved",
        }
    }

    /// Why `new` replaces `before`.
    pub(crate) fn between(before: &ResourceState, new: &ResourceState) -> Self {
        match (before.state, new.state) {
            (_, State::Unknown) => Self::Lost,
            (State::Unknown, _) if before.tag_set.is_none() || before.same_tags(new) => Self::Regained,
            _ if before.same_tags(new) => Self::StateAndFindings,
            _ => Self::Tags,
        }
    }
}

impl ResourceContext {
    /// Reads the columns driver_id to parent of `current`, from the given index.
    pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let usage = read_usage(row, first)?;
        Ok(Self { usage, links: row.get(first + 2)?, parent: row.get(first + 3)? })
    }
}

/// Reads the columns tag_set_id to missing_required and untagged of `current` or `history`, from the given index. The second value is the
/// reason as text.
pub(crate) fn read_state(row: &Row<'_>, first: usize) -> rusqlite::Result<(ResourceState, Option<String>)> {
    let state = ResourceState {
        tag_set: row.get(first)?,
        name: row.get(first + 1)?,
        state: parse_state(row.get(first + 2)?)?,
        reason: None,
        finding_set: row.get(first + 4)?,
        errors: row.get(first + 5)?,
        missing_required: row.get(first + 6)?,
        untagged: row.get(first + 7)?,
        context: ResourceContext::default(),
    };
    Ok((state, row.get(first + 3)?))
}

/// Adds the parsed reason to a state from [`read_state`].
pub(crate) fn with_reason((state, text): (ResourceState, Option<String>)) -> Result<ResourceState, LedgerError> {
    let reason = text.as_deref().map(parse_reason).transpose()?;
    Ok(ResourceState { reason, ..state })
}
