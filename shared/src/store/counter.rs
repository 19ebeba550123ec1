//! Counts what a snapshot says: while a night is written, when scopes are carried over, and when a ledger is checked.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{
    Attempt, StoreError, Tally,
    fingerprint::Fingerprint,
    intern::{Interner, NAME, statement},
    rows::{ScopeIds, int},
    sql,
    version::{Attributable, Judged, Version},
};
use crate::{
    inventory::{GapReason, TagSet},
    policy::{Policy, State},
};

/// Rollups and fingerprint in the making.
pub(super) struct Counter<'p> {
    pub(super) interner: Interner,
    pub(super) policy: &'p Policy,
    pub(super) cells: BTreeMap<ScopeIds, Tally>,
    /// Resources by rule and type.
    pub(super) rules: BTreeMap<(i64, i64), i64>,
    /// Resources, and non-compliant ones among them, by tag of a key that the policy names.
    pub(super) tags: BTreeMap<i64, (i64, i64)>,
    pub(super) fingerprint: i64,
}

impl<'p> Counter<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        let (cells, rules, tags) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { interner: Interner::default(), policy, cells, rules, tags, fingerprint: 0 }
    }

    /// Counts a resource; its tags apart, with [`Counter::count_tags`].
    pub(super) fn count(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        judged: &Judged,
    ) -> Result<(), StoreError> {
        *self.cells.entry(ids).or_default() += judged.tally();
        for rule in &judged.rules {
            *self.rules.entry((*rule, ids.resource_type)).or_default() += 1;
        }
        self.fingerprint = self.fingerprint.wrapping_add(self.hash(db, key, judged)?);
        Ok(())
    }

    pub(super) fn count_tags(&mut self, db: &Connection, tags: &TagSet, state: State) -> Result<(), StoreError> {
        for key in self.policy.keys() {
            if let Some(value) = tags.get(key) {
                let tag = self.interner.tag(db, key, value)?;
                self.tag(tag, state, 1);
            }
        }
        Ok(())
    }

    /// Counts a resource with its tags as the ledger has it.
    pub(super) fn count_known(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        version: Version,
    ) -> Result<(), StoreError> {
        for tag in self.policy_tags(db, &version)? {
            self.tag(tag, version.state, 1);
        }
        let judged = self.judged(db, version)?;
        self.count(db, ids, key, &judged)
    }

    /// Takes back what was counted of a resource that turned out to be elsewhere now.
    pub(super) fn take_back(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        version: Version,
    ) -> Result<(), StoreError> {
        for tag in self.policy_tags(db, &version)? {
            self.tag(tag, version.state, -1);
        }
        let judged = self.judged(db, version)?;
        *self.cells.entry(ids).or_default() -= judged.tally();
        for rule in &judged.rules {
            *self.rules.entry((*rule, ids.resource_type)).or_default() -= 1;
        }
        self.fingerprint = self.fingerprint.wrapping_sub(self.hash(db, key, &judged)?);
        Ok(())
    }

    fn judged(&mut self, db: &Connection, version: Version) -> Result<Judged, StoreError> {
        let findings = version.finding_set.map(|set| self.interner.findings_of(db, set)).transpose()?;
        let (rules, severities, finding_hash) = findings.unwrap_or_default();
        // Of what is carried over unchanged, what it takes stays counted as it was.
        Ok(Judged { version, rules, severities, finding_hash, attributable: Attributable::NotJudged })
    }

    fn tag(&mut self, tag: i64, state: State, by: i64) {
        let count = self.tags.entry(tag).or_default();
        count.0 += by;
        count.1 += by * i64::from(state == State::NonCompliant);
    }

    /// Those tags of a version whose keys the policy names. The tags of what could not be read are not counted.
    fn policy_tags(&mut self, db: &Connection, version: &Version) -> Result<Vec<i64>, StoreError> {
        let (Some(set), true) = (version.tag_set, version.state != State::Unknown) else { return Ok(Vec::new()) };
        let keys: Vec<&str> = self.policy.keys().collect();
        let mut found = self.interner.tags_with_keys(db, set, &keys)?;
        if let (Some(name), true) = (&version.name, keys.contains(&NAME)) {
            found.push(statement(db, sql::FIND_TAG)?.query_row([NAME, name], |row| row.get(0)).attempt("find a tag")?);
        }
        Ok(found)
    }

    fn hash(&mut self, db: &Connection, key: i64, judged: &Judged) -> Result<i64, StoreError> {
        let version = &judged.version;
        let tags = version.tag_set.map(|id| self.interner.tag_set_hash(db, id)).transpose()?;
        let hash = Fingerprint::default()
            .field(&key.to_le_bytes())
            .field(&tags.unwrap_or(-1).to_le_bytes())
            .field(version.name.as_deref().map_or(b"-".as_slice(), str::as_bytes))
            .field(version.state.as_str().as_bytes())
            .field(version.reason.map_or("", GapReason::as_str).as_bytes())
            .field(&judged.finding_hash.to_le_bytes());
        Ok(hash.finish())
    }

    /// Writes the rollups of a snapshot; what was taken back to nothing was never there.
    pub(super) fn write(&self, db: &Connection, snapshot: i64) -> Result<(), StoreError> {
        let run = |text: &str, columns: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
            statement(db, text)?.execute(columns).attempt("write rollups").map(drop)
        };
        for (ids, cell) in self.cells.iter().filter(|(_, cell)| cell.total() > 0) {
            let [c, n, a, u, e, t, l, w, f, errors, warnings] = cell.columns().map(int);
            let (account, region, kind) = (ids.account, ids.region, ids.resource_type);
            run(sql::ADD_CELL, params![snapshot, account, region, kind, c, n, a, u, e, t, l, w, f, errors, warnings])?;
        }
        for ((rule, kind), resources) in self.rules.iter().filter(|(_, resources)| **resources > 0) {
            run(sql::ADD_RULE_COUNT, params![snapshot, rule, kind, resources])?;
        }
        for (tag, (resources, non_compliant)) in self.tags.iter().filter(|(_, counts)| counts.0 > 0) {
            run(sql::ADD_TAG_COUNT, params![snapshot, tag, resources, non_compliant])?;
        }
        Ok(())
    }
}
