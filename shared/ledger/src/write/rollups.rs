//! Counts the resources of a snapshot: while it is written, and again when a ledger is verified.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tagledger_model::inventory::{GapReason, TagSet};
use tagledger_policy::{Policy, State};

use crate::{
    db::{
        fingerprint::Fingerprint,
        id_map::HashIdMap,
        interned::{NAME, find_tags_with_keys},
        resource_state::{EvaluatedState, ResourceState},
        sql,
        statements::prepare,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{attributable::Attributable, counts::ComplianceCounts, scope_ids::ScopeIds},
    write::{interner::Interner, usage_totals::UsageTotals},
};

/// The rollups and the fingerprint of a snapshot.
pub(crate) struct RollupBuilder<'p> {
    pub(crate) interner: Interner,
    pub(crate) usage: UsageTotals,
    policy: &'p Policy,
    pub(crate) cells: BTreeMap<ScopeIds, ComplianceCounts>,
    /// Numbers of resources by rule and resource type.
    pub(crate) rules: BTreeMap<(i64, i64), i64>,
    pub(crate) fingerprint: i64,
    tag_sets: HashIdMap<TagSetCount>,
    /// By row id of the Name tag, which no tag set contains. Used when the policy has that key.
    names: BTreeMap<i64, RollupCounts>,
    policy_has_name: bool,
}

/// The number of resources, and of non-compliant resources among them.
type RollupCounts = (i64, i64);

/// Resources with one tag set.
struct TagSetCount {
    /// The tags of the set whose keys the policy has.
    tags: Box<[i64]>,
    counts: RollupCounts,
}

impl<'p> RollupBuilder<'p> {
    pub(crate) fn new(policy: &'p Policy, interner: Interner) -> Self {
        let policy_has_name = policy.keys().any(|key| key == NAME);
        Self {
            interner,
            usage: UsageTotals::default(),
            policy,
            cells: BTreeMap::new(),
            rules: BTreeMap::new(),
            fingerprint: 0,
            tag_sets: HashIdMap::default(),
            names: BTreeMap::new(),
            policy_has_name,
        }
    }

    /// The counts of one scope so far.
    pub(crate) fn counts_of(&self, ids: ScopeIds) -> ComplianceCounts {
        self.cells.get(&ids).copied().unwrap_or_default()
    }

    /// The counts of all scopes so far.
    pub(crate) fn total(&self) -> ComplianceCounts {
        let mut total = ComplianceCounts::default();
        self.cells.values().for_each(|cell| total += *cell);
        total
    }

    /// Counts a resource without its tags; [`RollupBuilder::count_tags`] counts those.
    pub(crate) fn count(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        resource: &EvaluatedState,
    ) -> Result<(), LedgerError> {
        *self.cells.entry(ids).or_default() += resource.counts();
        for rule in &resource.findings.ids {
            *self.rules.entry((*rule, ids.resource_type)).or_default() += 1;
        }
        self.fingerprint = self.fingerprint.wrapping_add(self.hash(db, key, resource)?);
        Ok(())
    }

    /// Counts the tags of a resource. `set`: the row id of their set.
    pub(crate) fn count_tags(
        &mut self,
        db: &Connection,
        set: i64,
        tags: &TagSet,
        state: State,
    ) -> Result<(), LedgerError> {
        if !self.tag_sets.contains_key(&set) {
            let tags = self.interner.find_tags(set, |key| self.policy.keys().any(|policy_key| policy_key == key));
            self.tag_sets.insert(set, TagSetCount { tags, counts: (0, 0) });
        }
        let name = tags.get(NAME).filter(|_| self.policy_has_name);
        let name = name.map(|name| self.interner.intern_tag(db, NAME, name)).transpose()?;
        self.add_to_tag_set(set, name, state, 1);
        Ok(())
    }

    fn add_to_tag_set(&mut self, set: i64, name: Option<i64>, state: State, by: i64) {
        if let Some(TagSetCount { counts, .. }) = self.tag_sets.get_mut(&set) {
            add(counts, state, by);
        }
        if let Some(name) = name {
            add(self.names.entry(name).or_default(), state, by);
        }
    }

    /// Counts the tags of a resource as the ledger has it. Tags of a resource with the state `unknown` are not counted.
    fn count_recorded_tags(&mut self, db: &Connection, resource: &ResourceState, by: i64) -> Result<(), LedgerError> {
        let (Some(set), true) = (resource.tag_set, resource.state != State::Unknown) else { return Ok(()) };
        if !self.tag_sets.contains_key(&set) {
            let keys: Vec<&str> = self.policy.keys().collect();
            let tags = find_tags_with_keys(db, set, &keys)?.into();
            self.tag_sets.insert(set, TagSetCount { tags, counts: (0, 0) });
        }
        let name = match resource.name.as_deref().filter(|_| self.policy_has_name) {
            Some(name) => {
                let found = prepare(db, sql::FIND_TAG)?.query_row([NAME, name], |row| row.get(0));
                Some(found.context(Operation::ReadTags)?)
            }
            None => None,
        };
        self.add_to_tag_set(set, name, resource.state, by);
        Ok(())
    }

    /// Numbers of resources, and of non-compliant ones among them, by tag of a key that the policy has.
    pub(crate) fn tag_counts(&self) -> BTreeMap<i64, RollupCounts> {
        let mut all = self.names.clone();
        for TagSetCount { tags, counts } in self.tag_sets.values() {
            for tag in tags {
                let sum = all.entry(*tag).or_default();
                *sum = (sum.0 + counts.0, sum.1 + counts.1);
            }
        }
        // A count is 0 after a subtraction.
        all.retain(|_, counts| counts.0 > 0);
        all
    }

    /// Counts a resource and its tags as the ledger has them.
    pub(crate) fn count_recorded(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        resource: ResourceState,
    ) -> Result<(), LedgerError> {
        self.count_recorded_tags(db, &resource, 1)?;
        let resource = self.with_findings(db, resource)?;
        self.count(db, ids, key, &resource)
    }

    /// Subtracts a resource that was counted in this scope and is now in another one.
    pub(crate) fn subtract(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        resource: ResourceState,
    ) -> Result<(), LedgerError> {
        self.count_recorded_tags(db, &resource, -1)?;
        let resource = self.with_findings(db, resource)?;
        let cell = self.cells.entry(ids).or_default();
        let rest = cell.checked_sub(resource.counts());
        *cell = rest.ok_or(LedgerError::CountOutOfRange { what: "the resources of a scope" })?;
        for rule in &resource.findings.ids {
            *self.rules.entry((*rule, ids.resource_type)).or_default() -= 1;
        }
        self.fingerprint = self.fingerprint.wrapping_sub(self.hash(db, key, &resource)?);
        Ok(())
    }

    /// Adds the findings to a recorded state. `attributable` is not needed, because the usage of a resource that is carried over unchanged
    /// stays as it was counted.
    fn with_findings(&mut self, db: &Connection, state: ResourceState) -> Result<EvaluatedState, LedgerError> {
        let findings = self.interner.load_findings(db, state.finding_set)?;
        Ok(EvaluatedState { state, tags_hash: None, findings, attributable: Attributable::NotEvaluated })
    }

    fn hash(&mut self, db: &Connection, key: i64, resource: &EvaluatedState) -> Result<i64, LedgerError> {
        let state = &resource.state;
        let tags = match (resource.tags_hash, state.tag_set) {
            (None, Some(set)) => Some(self.interner.load_tag_set_hash(db, set)?),
            (hash, _) => hash,
        };
        let hash = Fingerprint::default()
            .field(&key.to_le_bytes())
            .field(&tags.unwrap_or(-1).to_le_bytes())
            .field(state.name.as_deref().map_or(b"-".as_slice(), str::as_bytes))
            .field(state.state.as_str().as_bytes())
            .field(state.reason.map_or("", GapReason::as_str).as_bytes())
            .field(&resource.findings.hash.to_le_bytes());
        Ok(hash.finish())
    }

    /// Writes the rollups of a snapshot. A count that is 0 after a subtraction gets no row.
    pub(crate) fn write(&self, db: &Connection, snapshot: i64) -> Result<(), LedgerError> {
        let run = |text: &str, columns: &[&dyn rusqlite::ToSql]| -> Result<(), LedgerError> {
            prepare(db, text)?.execute(columns).context(Operation::WriteSnapshot).map(drop)
        };
        for (ids, cell) in self.cells.iter().filter(|(_, cell)| cell.total() > 0) {
            let [c, n, a, u, e, t, l, w, f, errors, warnings] = cell.columns();
            let ScopeIds { account, region, resource_type } = ids;
            run(
                sql::ADD_CELL,
                params![snapshot, account, region, resource_type, c, n, a, u, e, t, l, w, f, errors, warnings],
            )?;
        }
        for ((rule, resource_type), resources) in self.rules.iter().filter(|(_, resources)| **resources > 0) {
            run(sql::ADD_RULE_COUNT, params![snapshot, rule, resource_type, resources])?;
        }
        for (tag, (resources, non_compliant)) in self.tag_counts() {
            run(sql::ADD_TAG_COUNT, params![snapshot, tag, resources, non_compliant])?;
        }
        self.usage.write(db)
    }
}

fn add(counts: &mut RollupCounts, state: State, by: i64) {
    counts.0 += by;
    counts.1 += by * i64::from(state == State::NonCompliant);
}
