//! Counts what a snapshot says: while a night is written, when scopes are carried over, and when a ledger is checked.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{
    Attempt, StoreError, Tally,
    fingerprint::Fingerprint,
    gathering::ByNumber,
    intern::{Interner, NAME, statement, tags_with_keys},
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
    pub(super) fingerprint: i64,
    /// Resources by set of tags.
    sets: ByNumber<SetCount>,
    /// By Name tag, where the policy names that key: it stands in no set.
    names: BTreeMap<i64, Counts>,
    /// Whether it does.
    named: bool,
}

/// Resources, and non-compliant ones among them.
type Counts = (i64, i64);

/// Resources with one set of tags.
struct SetCount {
    /// Those of its tags whose keys the policy names.
    tags: Box<[i64]>,
    counts: Counts,
}

impl<'p> Counter<'p> {
    pub(super) fn new(policy: &'p Policy, interner: Interner) -> Self {
        let (cells, rules, names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let named = policy.keys().any(|key| key == NAME);
        Self { interner, policy, cells, rules, fingerprint: 0, sets: ByNumber::default(), names, named }
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
        for rule in &judged.findings.ids {
            *self.rules.entry((*rule, ids.resource_type)).or_default() += 1;
        }
        self.fingerprint = self.fingerprint.wrapping_add(self.hash(db, key, judged)?);
        Ok(())
    }

    /// Counts the tags of a resource, of which `set` is the interned set.
    pub(super) fn count_tags(
        &mut self,
        db: &Connection,
        set: i64,
        tags: &TagSet,
        state: State,
    ) -> Result<(), StoreError> {
        if !self.sets.contains_key(&set) {
            let asked = self.policy.keys().filter(|key| *key != NAME);
            let pairs = asked.filter_map(|key| tags.get(key).map(|value| (key, value)));
            let tags = pairs.map(|(key, value)| self.interner.tag(db, key, value)).collect::<Result<_, _>>()?;
            self.sets.insert(set, SetCount { tags, counts: (0, 0) });
        }
        let name = tags.get(NAME).filter(|_| self.named);
        let name = name.map(|name| self.interner.tag(db, NAME, name)).transpose()?;
        self.count_set(set, name, state, 1);
        Ok(())
    }

    /// Counts a set that was met, and the Name tag beside it.
    fn count_set(&mut self, set: i64, name: Option<i64>, state: State, by: i64) {
        if let Some(SetCount { counts, .. }) = self.sets.get_mut(&set) {
            add(counts, state, by);
        }
        if let Some(name) = name {
            add(self.names.entry(name).or_default(), state, by);
        }
    }

    /// Counts the tags of a version as the ledger has it. The tags of what could not be read are not counted.
    fn count_known_tags(&mut self, db: &Connection, version: &Version, by: i64) -> Result<(), StoreError> {
        let (Some(set), true) = (version.tag_set, version.state != State::Unknown) else { return Ok(()) };
        if !self.sets.contains_key(&set) {
            let keys: Vec<&str> = self.policy.keys().collect();
            let tags = tags_with_keys(db, set, &keys)?.into();
            self.sets.insert(set, SetCount { tags, counts: (0, 0) });
        }
        let name = version.name.as_deref().filter(|_| self.named);
        let find = |name| statement(db, sql::FIND_TAG)?.query_row([NAME, name], |row| row.get(0)).attempt("find a tag");
        self.count_set(set, name.map(find).transpose()?, version.state, by);
        Ok(())
    }

    /// Resources, and non-compliant ones among them, by tag of a key that the policy names.
    pub(super) fn tag_counts(&self) -> BTreeMap<i64, Counts> {
        let mut all = self.names.clone();
        for SetCount { tags, counts } in self.sets.values() {
            for tag in tags {
                let sum = all.entry(*tag).or_default();
                *sum = (sum.0 + counts.0, sum.1 + counts.1);
            }
        }
        // What was taken back to nothing was never there.
        all.retain(|_, counts| counts.0 > 0);
        all
    }

    /// Counts a resource with its tags as the ledger has it.
    pub(super) fn count_known(
        &mut self,
        db: &Connection,
        ids: ScopeIds,
        key: i64,
        version: Version,
    ) -> Result<(), StoreError> {
        self.count_known_tags(db, &version, 1)?;
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
        self.count_known_tags(db, &version, -1)?;
        let judged = self.judged(db, version)?;
        *self.cells.entry(ids).or_default() -= judged.tally();
        for rule in &judged.findings.ids {
            *self.rules.entry((*rule, ids.resource_type)).or_default() -= 1;
        }
        self.fingerprint = self.fingerprint.wrapping_sub(self.hash(db, key, &judged)?);
        Ok(())
    }

    /// Of what is carried over unchanged, what it takes stays counted as it was.
    fn judged(&mut self, db: &Connection, version: Version) -> Result<Judged, StoreError> {
        let findings = self.interner.findings_of(db, version.finding_set)?;
        Ok(Judged { version, tags_hash: None, findings, attributable: Attributable::NotJudged })
    }

    fn hash(&mut self, db: &Connection, key: i64, judged: &Judged) -> Result<i64, StoreError> {
        let version = &judged.version;
        let tags = match (judged.tags_hash, version.tag_set) {
            (None, Some(set)) => Some(self.interner.tag_set_hash(db, set)?),
            (known, _) => known,
        };
        let hash = Fingerprint::default()
            .field(&key.to_le_bytes())
            .field(&tags.unwrap_or(-1).to_le_bytes())
            .field(version.name.as_deref().map_or(b"-".as_slice(), str::as_bytes))
            .field(version.state.as_str().as_bytes())
            .field(version.reason.map_or("", GapReason::as_str).as_bytes())
            .field(&judged.findings.hash.to_le_bytes());
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
        for (tag, (resources, non_compliant)) in self.tag_counts() {
            run(sql::ADD_TAG_COUNT, params![snapshot, tag, resources, non_compliant])?;
        }
        Ok(())
    }
}

fn add(counts: &mut Counts, state: State, by: i64) {
    counts.0 += by;
    counts.1 += by * i64::from(state == State::NonCompliant);
}
