//! Checking a ledger: the file, its hashes, and every figure counted again from the facts.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Row};

use super::{
    Attempt, Reader, Rule, SealState, Snapshot, StoreError, Tally,
    cost::Verdicts,
    counter::Counter,
    intern::{Interner, finding_set_hash, statement, tag_set_hash, varints},
    page,
    reader::policy_of,
    rows::{Dimensions, ScopeIds, all, arn, dated, int, rows, snapshot_columns, tally_columns},
    seal, sql,
    version::{version, version_columns},
};

/// Faults told of one kind; more would only repeat themselves.
const TOLD: usize = 10;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// What is wrong, in words; empty when all is well.
    pub faults: Vec<String>,
    /// What the seal says.
    pub seal: SealState,
    /// Snapshots counted again from the facts.
    pub snapshots: u64,
    /// Resources, tag sets and the like looked at.
    pub rows: u64,
}

impl Reader {
    /// Checks the whole ledger; of the kept snapshots the newest is counted again, or every one of them.
    ///
    /// Reads everything, so it may take a while; a scan can go on beside it.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or it is so damaged that it cannot be read on.
    pub fn check(&self, every_snapshot: bool, mut progress: impl FnMut(&str)) -> Result<CheckReport, StoreError> {
        let (mut found, snapshots) = self.read_unhurried(|db| {
            let mut check =
                Check { db, dimensions: Dimensions::load(db)?, faults: Vec::new(), rows: 0, snapshots: Vec::new() };
            // Now that somebody reads, a scan may end meanwhile, but its log is not moved into the file.
            let seal = seal::check(self.path())?;
            check.run(every_snapshot, &mut progress)?;
            let snapshots = check.snapshots.len() as u64;
            Ok((CheckReport { faults: check.faults, seal, snapshots, rows: check.rows }, check.snapshots))
        })?;
        progress("what is told of snapshots");
        let reader = self.unhurried();
        for id in snapshots {
            match reader.tells_the_facts(id) {
                Ok(true) => {}
                Ok(false) => {
                    found.faults.push(format!("snapshot {id}: what is told of it is not what its facts say"));
                }
                Err(error) => found.faults.push(format!("snapshot {id}: what is told of it cannot be read: {error}")),
            }
        }
        if found.seal == SealState::Broken {
            let file = Path::new(self.path()).display();
            found
                .faults
                .insert(0, format!("{file} is not as the last scan sealed it: damaged, or changed by something else"));
        }
        Ok(found)
    }
}

struct Check<'c> {
    db: &'c Connection,
    dimensions: Dimensions,
    faults: Vec<String>,
    rows: u64,
    /// Those that were counted again.
    snapshots: Vec<i64>,
}

impl Check<'_> {
    fn run(&mut self, every_snapshot: bool, progress: &mut impl FnMut(&str)) -> Result<(), StoreError> {
        progress("the file");
        for fault in all(self.db, sql::INTEGRITY, |row| row.get::<_, String>(0))? {
            if fault != "ok" {
                self.fault(format!("SQLite: {fault}"));
            }
        }
        progress("hashes");
        self.tag_sets()?;
        self.finding_sets()?;
        self.resources()?;
        progress("violations");
        self.violations()?;
        let mut snapshots =
            all(self.db, sql::SNAPSHOTS, snapshot_columns)?.into_iter().map(dated).collect::<Result<Vec<_>, _>>()?;
        self.usage()?;
        self.lives()?;
        self.sequence()?;
        if !every_snapshot {
            snapshots = snapshots.pop().into_iter().collect();
        }
        for snapshot in &snapshots {
            progress(&format!("snapshot {}", snapshot.id));
            self.snapshot(snapshot)?;
        }
        Ok(())
    }

    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Streams the rows of a statement; tells the first faults that `look` finds, and how many more there are.
    fn each(
        &mut self,
        text: &str,
        mut look: impl FnMut(&Connection, &Dimensions, &Row<'_>) -> Result<Option<String>, StoreError>,
    ) -> Result<(), StoreError> {
        let (db, mut found) = (self.db, 0);
        let mut statement = statement(db, text)?;
        let mut rows = statement.query([]).attempt("be checked")?;
        while let Some(row) = rows.next().attempt("be checked")? {
            self.rows += 1;
            if let Some(fault) = look(db, &self.dimensions, row)? {
                found += 1;
                if found <= TOLD {
                    self.faults.push(fault);
                }
            }
        }
        if found > TOLD {
            self.faults.push(format!("... and {} more of this kind", found - TOLD));
        }
        Ok(())
    }

    fn tag_sets(&mut self) -> Result<(), StoreError> {
        self.each(sql::TAG_SET_KEYS, |db, _, row| {
            let (id, hash): (i64, i64) = pair(row)?;
            let tags = page::tags(db, Some(id), None)?;
            Ok((tag_set_hash(&tags) != hash).then(|| format!("tag set {id} has other tags than its hash says")))
        })
    }

    fn finding_sets(&mut self) -> Result<(), StoreError> {
        self.each(sql::FINDING_SETS, |db, _, row| {
            let (id, hash): (i64, i64) = pair(row)?;
            let blob: Vec<u8> = row.get(2).attempt("be checked")?;
            let rules: Vec<Rule> = varints(&blob).into_iter().map(|id| page::rule(db, id)).collect::<Result<_, _>>()?;
            Ok((finding_set_hash(&rules) != hash)
                .then(|| format!("finding set {id} has other findings than its hash says")))
        })
    }

    fn resources(&mut self) -> Result<(), StoreError> {
        self.each(sql::RESOURCES, |_, dimensions, row| {
            let (key, local): (i64, String) = pair(row)?;
            let ids = ScopeIds::read(row, 2).attempt("be checked")?;
            let account = dimensions.accounts.get(&ids.account).map(|account| &account.partition);
            let same = account.is_some_and(|partition| {
                let scope = dimensions.scope(ids);
                scope.and_then(|scope| arn(&local, &scope, partition)).is_ok_and(|arn| arn.key() == key)
            });
            Ok((!same).then(|| format!("resource {key} has an ARN of another key: {local}")))
        })
    }

    /// What is open is what the newest findings are, wherever resources were judged.
    fn violations(&mut self) -> Result<(), StoreError> {
        self.each(sql::JUDGED, |db, _, row| {
            let (key, set): (i64, Option<i64>) = pair(row)?;
            let mut open = rows(db, sql::OPEN_VIOLATIONS, [key], |row| row.get::<_, i64>(0))?;
            let blob = set.map(|set| {
                statement(db, sql::FINDING_SET_RULES)?.query_row([set], |row| row.get(0)).attempt("be checked")
            });
            let mut rules = varints(&blob.transpose()?.unwrap_or_else(Vec::new));
            open.sort_unstable();
            rules.sort_unstable();
            Ok((open != rules)
                .then(|| format!("resource {key} has open violations that its findings do not say, or lacks some")))
        })
    }

    /// What living resources take is what was counted while they were recorded.
    fn usage(&mut self) -> Result<(), StoreError> {
        let Some(newest) = all(self.db, sql::SNAPSHOTS, snapshot_columns)?.pop() else { return Ok(()) };
        let policy = policy_of(self.db, &newest.0.policy_digest)?;
        let mut verdicts = Verdicts::by(&policy);
        let columns = |row: &Row<'_>| {
            let verdict: (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
            Ok((
                ScopeIds::read(row, 0)?,
                row.get::<_, i64>(3)?,
                verdict,
                (row.get::<_, i64>(6)?, row.get::<_, i64>(7)?),
            ))
        };
        let mut counted: BTreeMap<(ScopeIds, i64, i64), (i64, i64)> = BTreeMap::new();
        for (ids, driver, (state, set), (quantity, resources)) in all(self.db, sql::USAGE_COUNTED, columns)? {
            let attributable = verdicts.attributable(self.db, state, set)? as i64;
            let sum = counted.entry((ids, driver, attributable)).or_default();
            (sum.0, sum.1) = (sum.0 + quantity, sum.1 + resources);
        }
        let columns = |row: &Row<'_>| {
            let place = (ScopeIds::read(row, 0)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
            Ok((place, (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?)))
        };
        let written: BTreeMap<_, _> = all(self.db, sql::USAGE, columns)?.into_iter().collect();
        if counted != written {
            self.fault("what resources take is not what is said of it".to_owned());
        }
        Ok(())
    }

    /// What is said to have begun and ended is what the violations say, as far back as all of them are kept.
    fn lives(&mut self) -> Result<(), StoreError> {
        let kept: Vec<i64> = all(self.db, sql::KEPT_SNAPSHOTS, |row| row.get(0))?;
        let oldest = kept.first().copied().unwrap_or_default().max(1);
        let columns = |row: &Row<'_>| -> rusqlite::Result<[i64; 7]> {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?])
        };
        let [counted, written] =
            [sql::LIFE_COUNTED, sql::LIFE_WRITTEN].map(|text| rows(self.db, text, [oldest], columns));
        let columns = |row: &Row<'_>| -> rusqlite::Result<[i64; 3]> { Ok([row.get(0)?, row.get(1)?, row.get(2)?]) };
        let fixed = [sql::FIXED_COUNTED, sql::FIXED_WRITTEN].map(|text| rows(self.db, text, [oldest], columns));
        let [fixed_counted, fixed_written] = fixed;
        if counted? != written? || fixed_counted? != fixed_written? {
            self.fault("what violations began and ended is not what is said of it".to_owned());
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), StoreError> {
        let ids = all(self.db, sql::SNAPSHOT_IDS, |row| row.get::<_, i64>(0))?;
        if !ids.iter().copied().eq(1..=int(ids.len())) {
            self.fault("snapshots are missing: their numbers have holes".to_owned());
        }
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.snapshots.push(snapshot.id);
        let policy = policy_of(self.db, &snapshot.policy_digest)?;
        let mut counter = Counter::new(&policy, Interner::default());
        {
            let mut statement = statement(self.db, sql::AS_OF)?;
            let mut rows = statement.query([snapshot.id]).attempt("be checked")?;
            while let Some(row) = rows.next().attempt("be checked")? {
                self.rows += 1;
                let key = row.get(0).attempt("be checked")?;
                let ids = ScopeIds::read(row, 1).attempt("be checked")?;
                let known = version(version_columns(row, 4).attempt("be checked")?)?;
                counter.count_known(self.db, ids, key, known)?;
            }
        }
        if counter.fingerprint != snapshot.fingerprint {
            self.fault(format!("snapshot {}: the facts have another fingerprint than was written", snapshot.id));
        }
        self.cells(snapshot, &counter)?;
        let rules = rows(self.db, sql::RULE_ROWS, [snapshot.id], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        self.same(snapshot, "findings", rules.into_iter().collect(), &counter.rules);
        let tags = rows(self.db, sql::TAG_ROWS, [snapshot.id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        self.same(snapshot, "tags", tags.into_iter().collect(), &counter.tag_counts());
        self.gaps(snapshot)
    }

    fn cells(&mut self, snapshot: &Snapshot, counter: &Counter<'_>) -> Result<(), StoreError> {
        let columns = |row: &Row<'_>| Ok((ScopeIds::read(row, 0)?, tally_columns(row)?));
        let mut written: BTreeMap<ScopeIds, Tally> =
            rows(self.db, sql::CELLS, [snapshot.id], columns)?.into_iter().collect();
        let mut faults = Vec::new();
        for (ids, counted) in &counter.cells {
            let told = written.remove(ids).unwrap_or_default();
            if told != *counted {
                let scope = self.dimensions.scope(*ids)?;
                faults.push(format!("snapshot {}: {scope} is said to have {told:?}, but has {counted:?}", snapshot.id));
            }
        }
        for ids in written.into_keys() {
            let scope = self.dimensions.scope(ids)?;
            faults.push(format!("snapshot {}: {scope} is counted, but has nothing", snapshot.id));
        }
        self.faults.extend(faults);
        Ok(())
    }

    fn same<K: Ord, V: PartialEq>(
        &mut self,
        snapshot: &Snapshot,
        what: &str,
        written: BTreeMap<K, V>,
        counted: &BTreeMap<K, V>,
    ) {
        if written != *counted {
            self.fault(format!("snapshot {}: the counts of {what} are not those of the facts", snapshot.id));
        }
    }

    fn gaps(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let gaps: Vec<i64> = rows(self.db, sql::GAP_COUNT, [snapshot.id], |row| row.get(0))?;
        if snapshot.complete != (gaps == [0]) {
            self.fault(format!("snapshot {} says whether it is complete otherwise than its scopes do", snapshot.id));
        }
        Ok(())
    }
}

fn pair<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(row: &Row<'_>) -> Result<(A, B), StoreError> {
    Ok((row.get(0).attempt("be checked")?, row.get(1).attempt("be checked")?))
}
