//! Verifies a ledger: the file, the hashes, and every count, which is computed again from the resources.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Row};

use crate::{
    cost::attribution_evaluator::AttributionEvaluator,
    db::{
        checksum_file::{self, ChecksumState},
        columns::{read_counts, read_snapshot, with_times},
        dimensions::{Dimensions, build_arn},
        interned::{self, hash_finding_set, hash_tag_set},
        policies::load_policy,
        resource_state::{read_state, with_reason},
        sql,
        statements::{prepare, query_all, query_rows},
        varint::try_decode_varints,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{
        counts::ComplianceCounts,
        scope_ids::ScopeIds,
        snapshot::{Rule, Snapshot},
    },
    query::snapshot_insights,
    read::session::LedgerReader,
    write::{interner::Interner, rollups::RollupBuilder},
};

/// The number of faults of one kind that are reported individually.
const MAX_REPORTED: usize = 10;

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// A sentence for each fault; empty when there is none.
    pub faults: Vec<String>,
    /// Whether the file has the recorded checksum.
    pub checksum: ChecksumState,
    /// Snapshots whose counts were computed again.
    pub snapshots: u64,
    /// Rows read.
    pub rows: u64,
}

impl LedgerReader {
    /// Verifies the whole ledger. The counts of the newest snapshot are computed again, or those of every retained snapshot.
    ///
    /// This reads the whole file. A scan can write at the same time.
    ///
    /// # Errors
    ///
    /// When there is no ledger, or when the file is too damaged to be read to its end.
    pub fn verify(&self, every_snapshot: bool, mut progress: impl FnMut(&str)) -> Result<VerifyReport, LedgerError> {
        let (mut report, snapshots) = self.read_without_deadline(|db| {
            let mut verification = Verification {
                db,
                dimensions: Dimensions::load(db)?,
                faults: Vec::new(),
                rows: 0,
                snapshots: Vec::new(),
            };
            // While this transaction reads, a scan can commit, but its log is not moved into the file.
            let checksum = checksum_file::compare(self.path())?;
            verification.run(every_snapshot, &mut progress)?;
            let snapshots = verification.snapshots.len() as u64;
            Ok((
                VerifyReport { faults: verification.faults, checksum, snapshots, rows: verification.rows },
                verification.snapshots,
            ))
        })?;
        progress("insights");
        let reader = self.with_long_timeout();
        for id in snapshots {
            match reader.read(|session| snapshot_insights::match_facts(session, id)) {
                Ok(true) => {}
                Ok(false) => {
                    report.faults.push(format!("snapshot {id}: its insights differ from its resources"));
                }
                Err(error) => report.faults.push(format!("snapshot {id}: its insights cannot be read: {error}")),
            }
        }
        if report.checksum == ChecksumState::Mismatch {
            let file = Path::new(self.path()).display();
            report
                .faults
                .insert(0, format!("{file} does not have the checksum that the last scan recorded: it is damaged, or another program changed it"));
        }
        Ok(report)
    }
}

struct Verification<'c> {
    db: &'c Connection,
    dimensions: Dimensions,
    faults: Vec<String>,
    rows: u64,
    /// The snapshots whose counts were computed again.
    snapshots: Vec<i64>,
}

impl Verification<'_> {
    fn run(&mut self, every_snapshot: bool, progress: &mut impl FnMut(&str)) -> Result<(), LedgerError> {
        progress("the file");
        for fault in query_all(self.db, sql::INTEGRITY, |row| row.get::<_, String>(0))? {
            if fault != "ok" {
                self.report(format!("SQLite: {fault}"));
            }
        }
        progress("hashes");
        self.check_tag_sets()?;
        self.check_finding_sets()?;
        self.check_resources()?;
        progress("violations");
        self.check_violations()?;
        let mut snapshots = query_all(self.db, sql::SNAPSHOTS, read_snapshot)?
            .into_iter()
            .map(with_times)
            .collect::<Result<Vec<_>, _>>()?;
        self.check_usage()?;
        self.check_violation_counts()?;
        self.check_sequence()?;
        if !every_snapshot {
            snapshots = snapshots.pop().into_iter().collect();
        }
        for snapshot in &snapshots {
            progress(&format!("snapshot {}", snapshot.id));
            self.check_snapshot(snapshot)?;
        }
        Ok(())
    }

    fn report(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Passes each row of a statement to `inspect`. Reports the first faults, and how many more there are.
    fn inspect_rows(
        &mut self,
        text: &str,
        mut inspect: impl FnMut(&Connection, &Dimensions, &Row<'_>) -> Result<Option<String>, LedgerError>,
    ) -> Result<(), LedgerError> {
        let (db, mut found) = (self.db, 0);
        let mut statement = prepare(db, text)?;
        let mut rows = statement.query([]).context(Operation::Verify)?;
        while let Some(row) = rows.next().context(Operation::Verify)? {
            self.rows += 1;
            if let Some(fault) = inspect(db, &self.dimensions, row)? {
                found += 1;
                if found <= MAX_REPORTED {
                    self.faults.push(fault);
                }
            }
        }
        if found > MAX_REPORTED {
            self.faults.push(format!("... and {} more of this kind", found - MAX_REPORTED));
        }
        Ok(())
    }

    fn check_tag_sets(&mut self) -> Result<(), LedgerError> {
        self.inspect_rows(sql::TAG_SET_ROWS, |db, _, row| {
            let (id, hash): (i64, i64) = read_pair(row)?;
            let tags = interned::read_tags(db, Some(id), None)?;
            Ok((hash_tag_set(&tags) != hash)
                .then(|| format!("tag set {id} does not have the tags that its hash was computed from")))
        })
    }

    fn check_finding_sets(&mut self) -> Result<(), LedgerError> {
        self.inspect_rows(sql::FINDING_SETS, |db, _, row| {
            let (id, hash): (i64, i64) = read_pair(row)?;
            let blob: Vec<u8> = row.get(2).context(Operation::Verify)?;
            let rules: Vec<Rule> = try_decode_varints(&blob)?
                .into_iter()
                .map(|id| interned::read_rule(db, id))
                .collect::<Result<_, _>>()?;
            Ok((hash_finding_set(&rules) != hash)
                .then(|| format!("finding set {id} does not have the findings that its hash was computed from")))
        })
    }

    fn check_resources(&mut self) -> Result<(), LedgerError> {
        self.inspect_rows(sql::RESOURCES, |_, dimensions, row| {
            let (key, local): (i64, String) = read_pair(row)?;
            let ids = ScopeIds::read(row, 2).context(Operation::Verify)?;
            let account = dimensions.accounts.get(&ids.account).map(|account| &account.partition);
            let same = account.is_some_and(|partition| {
                let scope = dimensions.scope(ids);
                scope.and_then(|scope| build_arn(&local, &scope, partition)).is_ok_and(|arn| arn.key() == key)
            });
            Ok((!same).then(|| format!("resource {key} has an ARN with another key: {local}")))
        })
    }

    /// The open violations of an evaluated resource are those of its newest findings.
    fn check_violations(&mut self) -> Result<(), LedgerError> {
        self.inspect_rows(sql::CURRENT_FINDING_SETS, |db, _, row| {
            let (key, set): (i64, Option<i64>) = read_pair(row)?;
            let mut open = query_rows(db, sql::OPEN_VIOLATIONS, [key], |row| row.get::<_, i64>(0))?;
            let blob = set.map(|set| {
                prepare(db, sql::FINDING_SET_RULES)?.query_row([set], |row| row.get(0)).context(Operation::Verify)
            });
            let mut rules = try_decode_varints(&blob.transpose()?.unwrap_or_else(Vec::new))?;
            open.sort_unstable();
            rules.sort_unstable();
            Ok((open != rules).then(|| format!("resource {key} has other open violations than findings")))
        })
    }

    /// The recorded usage is the sum over the current resources.
    fn check_usage(&mut self) -> Result<(), LedgerError> {
        let Some(newest) = query_all(self.db, sql::SNAPSHOTS, read_snapshot)?.pop() else { return Ok(()) };
        let policy = load_policy(self.db, &newest.0.policy_digest)?;
        let mut verdicts = AttributionEvaluator::new(&policy);
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
        for (ids, driver, (state, set), (quantity, resources)) in query_all(self.db, sql::USAGE_COUNTED, columns)? {
            let attributable = verdicts.evaluate(self.db, state, set)? as i64;
            let sum = counted.entry((ids, driver, attributable)).or_default();
            (sum.0, sum.1) = (sum.0 + quantity, sum.1 + resources);
        }
        let columns = |row: &Row<'_>| {
            let key = (ScopeIds::read(row, 0)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
            Ok((key, (row.get::<_, i64>(5)?, row.get::<_, i64>(6)?)))
        };
        let recorded: BTreeMap<_, _> = query_all(self.db, sql::USAGE, columns)?.into_iter().collect();
        if counted != recorded {
            self.report("the recorded usage differs from the sum over the resources".to_owned());
        }
        Ok(())
    }

    /// The recorded counts of opened and closed violations are those of the violations, from the oldest retained snapshot on.
    fn check_violation_counts(&mut self) -> Result<(), LedgerError> {
        let retained: Vec<i64> = query_all(self.db, sql::RETAINED_SNAPSHOTS, |row| row.get(0))?;
        let oldest = retained.first().copied().unwrap_or_default().max(1);
        let columns = |row: &Row<'_>| -> rusqlite::Result<[i64; 7]> {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?])
        };
        let [counted, recorded] = [sql::VIOLATION_FLOW_COUNTED, sql::VIOLATION_FLOW_RECORDED]
            .map(|text| query_rows(self.db, text, [oldest], columns));
        let columns = |row: &Row<'_>| -> rusqlite::Result<[i64; 3]> { Ok([row.get(0)?, row.get(1)?, row.get(2)?]) };
        let fixed = [sql::FIXED_COUNTED, sql::FIXED_RECORDED].map(|text| query_rows(self.db, text, [oldest], columns));
        let [fixed_counted, fixed_recorded] = fixed;
        if counted? != recorded? || fixed_counted? != fixed_recorded? {
            self.report("the recorded counts of opened and closed violations differ from the violations".to_owned());
        }
        Ok(())
    }

    fn check_sequence(&mut self) -> Result<(), LedgerError> {
        let ids = query_all(self.db, sql::SNAPSHOT_IDS, |row| row.get::<_, i64>(0))?;
        if !ids.iter().zip(1..).all(|(id, expected)| *id == expected) {
            self.report("snapshots are missing: their ids have gaps".to_owned());
        }
        Ok(())
    }

    fn check_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        self.snapshots.push(snapshot.id);
        let policy = load_policy(self.db, &snapshot.policy_digest)?;
        let mut counter = RollupBuilder::new(&policy, Interner::default());
        {
            let mut statement = prepare(self.db, sql::RESOURCES_AS_OF)?;
            let mut rows = statement.query([snapshot.id]).context(Operation::Verify)?;
            while let Some(row) = rows.next().context(Operation::Verify)? {
                self.rows += 1;
                let key = row.get(0).context(Operation::Verify)?;
                let ids = ScopeIds::read(row, 1).context(Operation::Verify)?;
                let state = with_reason(read_state(row, 4).context(Operation::Verify)?)?;
                counter.count_recorded(self.db, ids, key, state)?;
            }
        }
        if counter.fingerprint != snapshot.fingerprint {
            self.report(format!("snapshot {}: the resources have another fingerprint than was recorded", snapshot.id));
        }
        self.check_cells(snapshot, &counter)?;
        let rules =
            query_rows(self.db, sql::RULE_ROWS, [snapshot.id], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        self.check_same(snapshot, "findings", rules.into_iter().collect(), &counter.rules);
        let tags =
            query_rows(self.db, sql::TAG_ROWS, [snapshot.id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        self.check_same(snapshot, "tags", tags.into_iter().collect(), &counter.tag_counts());
        self.check_gaps(snapshot)
    }

    fn check_cells(&mut self, snapshot: &Snapshot, counter: &RollupBuilder<'_>) -> Result<(), LedgerError> {
        let columns = |row: &Row<'_>| Ok((ScopeIds::read(row, 0)?, read_counts(row)?));
        let mut rows: BTreeMap<ScopeIds, ComplianceCounts> =
            query_rows(self.db, sql::CELLS, [snapshot.id], columns)?.into_iter().collect();
        let mut faults = Vec::new();
        for (ids, counted) in &counter.cells {
            let recorded = rows.remove(ids).unwrap_or_default();
            if recorded != *counted {
                let scope = self.dimensions.scope(*ids)?;
                faults.push(format!(
                    "snapshot {}: {scope} is recorded with {recorded:?}, but has {counted:?}",
                    snapshot.id
                ));
            }
        }
        for ids in rows.into_keys() {
            let scope = self.dimensions.scope(ids)?;
            faults.push(format!("snapshot {}: {scope} is recorded, but has no resources", snapshot.id));
        }
        self.faults.extend(faults);
        Ok(())
    }

    fn check_same<K: Ord, V: PartialEq>(
        &mut self,
        snapshot: &Snapshot,
        what: &str,
        recorded: BTreeMap<K, V>,
        counted: &BTreeMap<K, V>,
    ) {
        if recorded != *counted {
            self.report(format!("snapshot {}: the recorded counts of {what} differ from the resources", snapshot.id));
        }
    }

    fn check_gaps(&mut self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let gaps: Vec<i64> = query_rows(self.db, sql::GAP_COUNT, [snapshot.id], |row| row.get(0))?;
        if snapshot.complete != (gaps == [0]) {
            self.report(format!("snapshot {}: its status differs from the gaps of its scopes", snapshot.id));
        }
        Ok(())
    }
}

fn read_pair<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(row: &Row<'_>) -> Result<(A, B), LedgerError> {
    Ok((row.get(0).context(Operation::Verify)?, row.get(1).context(Operation::Verify)?))
}
