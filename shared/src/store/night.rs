//! One night: a scan's listings, judged, compared with what was known, and written in one transaction.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasherDefault,
    path::PathBuf,
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};
use rusqlite::{Connection, Transaction, params};

use super::{
    Attempt, ScopeRow, Snapshot, StoreError, Tally,
    counter::Counter,
    intern::{Findings, InternedTags, Interner, NAME, statement},
    known::{Known, judges_as_before, program},
    lives::Lives,
    newcomers::Newcomer,
    rows::{Dimensions, ScopeIds, all, int},
    seal, sql,
    tally::UNTAGGED,
    usage::{self, UsageTally},
    version::{Aside, Attributable, Ending, Judged, Version},
};
use crate::{
    Arn,
    cloud::Account,
    day::day_of,
    inventory::{Links, Listing, Resource, Scope, Tags, Usage},
    policy::{Finding, Policy, Severity, State, Subject, ViolationType},
    suggest::counts::Mixer,
};

pub(super) const FAILED: &str = "write a night";

/// Keys of resources.
type Seen = HashSet<i64, BuildHasherDefault<Mixer>>;

/// What a night is told at its beginning.
#[derive(Debug, Clone, Copy)]
pub struct NightHeader<'a> {
    /// When the scan began.
    pub started_at: Timestamp,
    /// What judges it.
    pub policy: &'a Policy,
    /// The version of the program.
    pub app_version: &'a str,
}

/// A night being written. Dropped before [`Night::finish`], it leaves no trace.
pub struct Night<'w> {
    pub(super) sql: Transaction<'w>,
    header: NightHeader<'w>,
    pub(super) day: Date,
    pub(super) id: i64,
    /// The newest snapshot before this one; 0 when there is none.
    pub(super) previous: i64,
    /// Nothing but other tags brings another verdict than that of the newest snapshot.
    pub(super) same_verdicts: bool,
    pub(super) known: Known,
    pub(super) policy_id: i64,
    accounts: HashMap<String, i64>,
    pub(super) dimensions: Dimensions,
    pub(super) counter: Counter<'w>,
    pub(super) usage: UsageTally,
    pub(super) lives: Lives,
    pub(super) scopes: Vec<ScopeRow>,
    pub(super) recorded: HashSet<ScopeIds>,
    /// Only a part of the estate was scanned.
    pub(super) narrowed: bool,
    pub(super) changes: BTreeMap<&'static str, u64>,
    pub(super) newcomers: Vec<Newcomer>,
    /// The trail told of creations.
    pub(super) trailed: bool,
    path: PathBuf,
}

/// What a scope came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSummary {
    /// As it stands in the ledger.
    pub row: ScopeRow,
    /// Counts of its resources, stale ones among the unknown.
    pub tally: Tally,
}

/// What a night came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightSummary {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Counts of all resources.
    pub tally: Tally,
    /// How many resources changed, by kind of change as `schema.sql` names them.
    pub changes: BTreeMap<String, u64>,
    /// Every scope, in the order recorded.
    pub scopes: Vec<ScopeRow>,
}

/// The scopes in which resources live according to the ledger.
pub(super) fn known_scopes(sql: &Connection) -> Result<Vec<Scope>, StoreError> {
    let dimensions = Dimensions::load(sql)?;
    let scopes = all(sql, sql::KNOWN_SCOPES, |row| ScopeIds::read(row, 0))?;
    scopes.into_iter().map(|ids| dimensions.scope(ids)).collect()
}

impl<'w> Night<'w> {
    pub(super) fn begin(sql: Transaction<'w>, header: NightHeader<'w>, path: PathBuf) -> Result<Self, StoreError> {
        let id: i64 = statement(&sql, sql::NEXT_SNAPSHOT)?.query_row([], |row| row.get(0)).attempt(FAILED)?;
        let policy = params![header.policy.digest(), header.policy.canonical_json()];
        let policy_id = statement(&sql, sql::ADD_POLICY)?.query_row(policy, |row| row.get(0)).attempt(FAILED)?;
        let same_verdicts = judges_as_before(&sql, &header, id - 1, policy_id)?;
        let dimensions = Dimensions::load(&sql)?;
        let accounts = dimensions.accounts.iter().map(|(id, a)| (a.id.as_str().to_owned(), *id)).collect();
        Ok(Self {
            day: day_of(header.started_at),
            counter: Counter::new(header.policy, Interner::knowing(&sql)?),
            usage: UsageTally::default(),
            lives: Lives::default(),
            header,
            id,
            previous: id - 1,
            same_verdicts,
            known: Known::read(&sql)?,
            policy_id,
            accounts,
            dimensions,
            scopes: Vec::new(),
            recorded: HashSet::new(),
            narrowed: false,
            changes: BTreeMap::new(),
            newcomers: Vec::new(),
            trailed: false,
            path,
            sql,
        })
    }

    /// Makes an account known, before its scopes are recorded.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written.
    pub fn account(&mut self, account: &Account) -> Result<(), StoreError> {
        let columns = params![account.id.as_str(), account.partition.as_str(), account.name];
        let id = statement(&self.sql, sql::ADD_ACCOUNT)?.query_row(columns, |row| row.get(0)).attempt(FAILED)?;
        self.accounts.insert(account.id.as_str().to_owned(), id);
        self.dimensions.accounts.insert(id, account.clone());
        Ok(())
    }

    /// Records what one scope's list gave. Each scope once.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written, or it does not know the scope's account.
    pub fn record(&mut self, scope: &Scope, listing: &Listing) -> Result<ScopeSummary, StoreError> {
        let ids = self.scope_ids(scope)?;
        self.recorded.insert(ids);
        self.usage.begin(ids);
        let mut known = self.known.take(ids)?;
        let mut row = ScopeRow {
            scope: scope.clone(),
            scanned_in: self.id,
            listed_all: listing.gap.is_none(),
            resources: 0,
            unknown: 0,
            stale: 0,
            gap: listing.gap.clone(),
        };
        let mut seen = Seen::with_capacity_and_hasher(listing.resources.len(), Default::default());
        for resource in &listing.resources {
            let key = resource.arn.key();
            if !seen.insert(key) {
                continue; // AWS may repeat a resource on the next page when the list shifts under the scan
            }
            row.resources += 1;
            if let Tags::Unknown(gap) = &resource.tags {
                row.unknown += 1;
                row.gap.get_or_insert_with(|| gap.clone());
            }
            let aside = self.aside(resource)?;
            self.observe(ids, scope, key, resource, aside, known.remove(&key))?;
        }
        self.settle_unseen(ids, known, &mut row)?;
        self.write_enough_newcomers()?;
        self.add_scope(ids, &row)?;
        self.scopes.push(row.clone());
        Ok(ScopeSummary { row, tally: self.counter.cells.get(&ids).copied().unwrap_or_default() })
    }

    fn aside(&mut self, resource: &Resource) -> Result<Aside, StoreError> {
        let mut driver = |of: &Usage| self.counter.interner.driver(&self.sql, &of.driver).map(|id| (id, of.quantity));
        let usage = resource.usage.as_ref().map(&mut driver).transpose()?;
        let Links { parent, neighbours } = &resource.links;
        let links = self.counter.interner.link_set(&self.sql, neighbours)?;
        Ok(Aside { usage, links, parent: parent.as_ref().map(Arn::key) })
    }

    pub(super) fn scope_ids(&mut self, scope: &Scope) -> Result<ScopeIds, StoreError> {
        let outsider = || StoreError::Content { what: "an account", given: scope.account.to_string() };
        let account = *self.accounts.get(scope.account.as_str()).ok_or_else(outsider)?;
        let id = |text, name: &str| statement(&self.sql, text)?.query_row([name], |row| row.get(0)).attempt(FAILED);
        let ids = ScopeIds {
            account,
            region: id(sql::ADD_REGION, scope.region.as_str())?,
            resource_type: id(sql::ADD_TYPE, scope.resource_type.as_str())?,
        };
        self.dimensions.regions.entry(ids.region).or_insert_with(|| scope.region.clone());
        self.dimensions.types.entry(ids.resource_type).or_insert(scope.resource_type);
        Ok(ids)
    }

    pub(super) fn observe(
        &mut self,
        ids: ScopeIds,
        scope: &Scope,
        key: i64,
        resource: &Resource,
        aside: Aside,
        known: Option<Version>,
    ) -> Result<(), StoreError> {
        let mut judged = self.judge(scope, resource, known.as_ref())?;
        judged.version.aside = aside;
        self.counter.count(&self.sql, ids, key, &judged)?;
        self.usage.count(ids, aside.usage, judged.attributable);
        if let (Tags::Known(tags), Some(set)) = (&resource.tags, judged.version.tag_set) {
            self.counter.count_tags(&self.sql, set, tags, judged.version.state)?;
        }
        match known {
            Some(known) if known.goes_on_as(&judged.version) => {
                if known.aside == aside {
                    Ok(())
                } else {
                    self.put_aside(key, aside)
                }
            }
            Some(known) => self.change(ids, key, &known, &judged),
            None => self.welcome(ids, scope, key, resource, judged),
        }
    }

    fn judge(&mut self, scope: &Scope, resource: &Resource, known: Option<&Version>) -> Result<Judged, StoreError> {
        let tags = match &resource.tags {
            Tags::Unknown(gap) => {
                return Ok(Judged::unjudged(Version::unknown(gap.reason, known)));
            }
            Tags::Known(tags) => Some(tags),
            Tags::Untaggable => None,
        };
        let interned = tags.map(|tags| self.counter.interner.tag_set(&self.sql, tags)).transpose()?;
        let name = tags.and_then(|tags| tags.get(NAME));
        let as_before = |known: &&Version| {
            let same_tags = known.tag_set == interned.map(|set| set.id) && known.name.as_deref() == name;
            self.same_verdicts && same_tags && known.state != State::Unknown
        };
        let (version, findings) = if let Some(known) = known.filter(as_before) {
            (known.clone(), self.counter.interner.findings_of(&self.sql, known.finding_set)?)
        } else {
            self.judge_anew(scope, resource, interned)?
        };
        let attributable = Attributable::of(version.state, self.header.policy, &findings.rules);
        Ok(Judged { version, tags_hash: interned.map(|set| set.hash), findings, attributable })
    }

    fn judge_anew(
        &mut self,
        scope: &Scope,
        resource: &Resource,
        interned: Option<InternedTags>,
    ) -> Result<(Version, Arc<Findings>), StoreError> {
        let tags = if let Tags::Known(tags) = &resource.tags { Some(tags) } else { None };
        let subject = Subject { resource_type: scope.resource_type, arn: &resource.arn, tags: &resource.tags };
        let verdict = self.header.policy.judge(&subject, self.day);
        let mut found = verdict.findings;
        let mut kinds = HashSet::new();
        found.retain(|finding| kinds.insert((finding.code, finding.severity, finding.tag)));
        let rules = self.counter.interner.rules(&self.sql, &found)?;
        let findings = self.counter.interner.finding_set(&self.sql, &rules)?;
        let untagged = tags.is_some_and(|tags| tags.user().next().is_none()) && verdict.state != State::Exempt;
        let version = Version {
            tag_set: interned.map(|set| set.id),
            name: tags.and_then(|tags| tags.get(NAME)).map(str::to_owned),
            state: verdict.state,
            reason: None,
            finding_set: findings.id,
            errors: int(findings.errors()),
            lacking: missing(&found) + if untagged { UNTAGGED } else { 0 },
            aside: Aside::default(),
        };
        Ok((version, findings))
    }

    pub(super) fn add_scope(&self, ids: ScopeIds, row: &ScopeRow) -> Result<(), StoreError> {
        let gap = row.gap.as_ref();
        let columns = params![
            self.id,
            ids.account,
            ids.region,
            ids.resource_type,
            row.scanned_in,
            row.listed_all,
            int(row.resources),
            int(row.unknown),
            int(row.stale),
            gap.map(|gap| gap.reason.as_str()),
            gap.map(|gap| gap.operation.as_str()),
            gap.map(|gap| gap.message.as_str())
        ];
        self.run(sql::ADD_SCOPE, columns)
    }

    pub(super) fn run(&self, text: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        statement(&self.sql, text)?.execute(parameters).attempt(FAILED).map(drop)
    }

    /// Ends the night and commits it.
    ///
    /// Resources of scopes that were not recorded leave the ledger's view: nobody asked for them.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written; then nothing of the night is in it.
    pub fn finish(mut self, finished_at: Timestamp, requests: u64) -> Result<NightSummary, StoreError> {
        self.write_newcomers()?;
        self.leave_scopes()?;
        self.forget_creators()?;
        self.counter.write(&self.sql, self.id)?;
        self.usage.write(&self.sql)?;
        self.lives.write(&self.sql, self.id)?;
        let snapshot = Snapshot {
            id: self.id,
            started_at: self.header.started_at,
            finished_at: finished_at.max(self.header.started_at),
            complete: self.scopes.iter().all(|row| row.gap.is_none()),
            policy_digest: self.header.policy.digest().to_owned(),
            requests,
            fingerprint: self.counter.fingerprint,
            narrowed: self.narrowed,
        };
        self.add_snapshot(&snapshot)?;
        let mut tally = Tally::default();
        self.counter.cells.values().for_each(|cell| tally += *cell);
        seal::remove(&self.path)?;
        self.sql.commit().attempt(FAILED)?;
        let changes = self.changes.into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| (kind.to_owned(), n)).collect();
        Ok(NightSummary { snapshot, tally, changes, scopes: self.scopes })
    }

    fn leave_scopes(&mut self) -> Result<(), StoreError> {
        for ids in self.known.scopes() {
            let mut keys: Vec<_> = self.known.take(ids)?.into_keys().collect();
            keys.sort_unstable();
            keys.into_iter().try_for_each(|key| self.end(ids, key, Ending::LeftScope))?;
            usage::forget(&self.sql, ids)?;
        }
        Ok(())
    }

    fn add_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let columns = params![
            self.id,
            snapshot.started_at.as_second(),
            snapshot.finished_at.as_second(),
            if snapshot.complete { "complete" } else { "partial" },
            snapshot.narrowed,
            self.policy_id,
            program(&self.header),
            int(snapshot.requests),
            snapshot.fingerprint
        ];
        self.run(sql::ADD_SNAPSHOT, columns)
    }
}

fn missing(findings: &[Finding<'_>]) -> i64 {
    let required = findings.iter().filter(|finding| {
        finding.severity == Severity::Error && finding.code.violation_type() == ViolationType::MissingRequiredTag
    });
    int(required.count())
}
