//! Series of snapshots: the totals of each, and the violations that opened and closed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use tagledger_model::inventory::Scope;
use tagledger_policy::Severity;

use crate::{
    db::{
        columns::{read_snapshot, with_times},
        fingerprint::Fingerprint,
        snapshots::load_snapshot_before,
        sql,
        statements::{prepare, query_rows},
        values::parse_time,
    },
    error::{ErrorContext, LedgerError, Operation},
    model::{
        counts::ComplianceCounts,
        history::{FlowFilter, SnapshotTotals, ViolationFlow},
        snapshot::{ScopeRow, Snapshot},
    },
    query::compliance,
    read::{
        filter::Filter,
        memo::{CacheValue, bytes_of},
        session::ReadSession,
    },
};

/// The retained snapshots whose scans began at `from` or later, in order.
///
/// # Errors
///
/// When the ledger cannot be read. The same applies to all functions below.
pub fn list_snapshots_since(session: &ReadSession<'_>, from: Timestamp) -> Result<Vec<Snapshot>, LedgerError> {
    let found = query_rows(session.db(), sql::SNAPSHOTS_SINCE, [from.as_second()], read_snapshot)?;
    found.into_iter().map(with_times).collect()
}

/// The newest retained snapshot whose scan began before a time.
pub fn find_snapshot_before(session: &ReadSession<'_>, moment: Timestamp) -> Result<Option<Snapshot>, LedgerError> {
    load_snapshot_before(session.db(), moment)
}

/// When the scan of the oldest retained snapshot began; none before the first scan.
pub fn find_oldest_start(session: &ReadSession<'_>) -> Result<Option<Timestamp>, LedgerError> {
    let oldest: Option<i64> = prepare(session.db(), sql::OLDEST_RETAINED)?
        .query_row([], |row| row.get(0))
        .context(Operation::ReadSnapshots)?;
    oldest.map(parse_time).transpose()
}

/// The totals of a snapshot over the scopes that the filter admits.
pub fn find_snapshot_totals(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<SnapshotTotals, LedgerError> {
    if *filter != Filter::default() {
        return load_totals(session, snapshot, filter);
    }
    Ok(*session.memo(snapshot).get_or_load(|| load_totals(session, snapshot, filter))?)
}

/// Loads the violation flow and the totals of all snapshots into the cache.
pub(crate) fn preload(session: &ReadSession<'_>) -> Result<(), LedgerError> {
    find_violation_flow(session, Timestamp::UNIX_EPOCH, &FlowFilter::default(), &Filter::default())?;
    let snapshots = list_snapshots_since(session, Timestamp::MIN)?;
    snapshots.iter().try_for_each(|snapshot| find_snapshot_totals(session, snapshot, &Filter::default()).map(drop))
}

fn load_totals(session: &ReadSession<'_>, snapshot: &Snapshot, filter: &Filter) -> Result<SnapshotTotals, LedgerError> {
    let mut tally = ComplianceCounts::default();
    // The cache is not used, because a year of snapshots would fill it.
    for (_, counts) in compliance::load_counts(session, snapshot)?.iter().filter(|(scope, _)| filter.admits(scope)) {
        tally += *counts;
    }
    let scopes = compliance::load_scopes(session, snapshot)?;
    let admitted: Vec<&ScopeRow> = scopes.iter().filter(|row| filter.admits(&row.scope)).collect();
    let complete: BTreeSet<&Scope> = admitted.iter().filter(|row| row.gap.is_none()).map(|row| &row.scope).collect();
    let coverage = complete.iter().fold(Fingerprint::default(), |hash, scope| hash.field(scope.to_string().as_bytes()));
    let (scopes, complete_scopes) = (admitted.len() as u64, complete.len() as u64);
    Ok(SnapshotTotals { tally, scopes, complete_scopes, coverage: coverage.finish() })
}

/// The counts of the scopes that a scan read completely and the filter admits. A scope without resources has counts of zero.
pub fn count_in_complete_scopes(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<BTreeMap<Scope, ComplianceCounts>, LedgerError> {
    let scopes = compliance::load_scopes(session, snapshot)?;
    let complete = scopes.iter().filter(|row| row.gap.is_none() && filter.admits(&row.scope));
    let mut counts: BTreeMap<Scope, ComplianceCounts> =
        complete.map(|row| (row.scope.clone(), ComplianceCounts::default())).collect();
    for (scope, counted) in compliance::load_counts(session, snapshot)?.iter() {
        if let Some(counts) = counts.get_mut(scope) {
            *counts = *counted;
        }
    }
    Ok(counts)
}

/// The violations that opened and closed in each snapshot since `from`, in order. Pruned snapshots are included; snapshots in which no
/// violation opened or closed are not.
pub fn find_violation_flow(
    session: &ReadSession<'_>,
    from: Timestamp,
    violations: &FlowFilter,
    filter: &Filter,
) -> Result<Vec<(Timestamp, ViolationFlow)>, LedgerError> {
    if (violations, filter) != (&FlowFilter::default(), &Filter::default()) {
        return load_flow(session, from, violations, filter);
    }
    let Some(newest) = session.newest()? else { return Ok(Vec::new()) };
    let load = || load_flow(session, Timestamp::UNIX_EPOCH, violations, filter).map(TotalFlow);
    let all = session.memo(&newest).get_or_load(load)?;
    Ok(all.0.iter().filter(|(at, _)| *at >= from).cloned().collect())
}

fn load_flow(
    session: &ReadSession<'_>,
    from: Timestamp,
    violations: &FlowFilter,
    filter: &Filter,
) -> Result<Vec<(Timestamp, ViolationFlow)>, LedgerError> {
    let rules = format!("{:?}", find_rule_ids(session, violations)?);
    let [types, _, _] = filter.parameters(session.dimensions());
    let columns = |row: &Row<'_>| -> rusqlite::Result<(i64, [i64; 5])> {
        Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]))
    };
    let mut flows: BTreeMap<i64, ViolationFlow> = BTreeMap::new();
    for (at, counts) in query_rows(session.db(), sql::VIOLATION_FLOW, params![from.as_second(), rules, types], columns)?
    {
        let [opened, reopened, fixed, removed, dropped] = counts.map(i64::unsigned_abs);
        let flow = flows.entry(at).or_default();
        flow.opened += opened;
        flow.reopened += reopened;
        flow.fixed += fixed;
        flow.removed += removed;
        flow.dropped += dropped;
    }
    if *violations == FlowFilter::default() && types.is_none() {
        let columns = |row: &Row<'_>| Ok((row.get(0)?, (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)));
        for (at, (days, n)) in query_rows(session.db(), sql::FIXED_DAYS, [from.as_second()], columns)? {
            flows.entry(at).or_default().fixed_days.push((days, n.unsigned_abs()));
        }
    }
    flows.into_iter().map(|(at, flow)| Ok((parse_time(at)?, flow))).collect()
}

fn find_rule_ids(session: &ReadSession<'_>, violations: &FlowFilter) -> Result<Vec<i64>, LedgerError> {
    let columns = |row: &Row<'_>| -> rusqlite::Result<(i64, [String; 3])> {
        Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
    };
    let rules = query_rows(session.db(), sql::RULES, [], columns)?.into_iter();
    let selected = rules.filter(|(_, [code, severity, tag])| {
        let by_severity = *violations != FlowFilter::default() || severity == Severity::Error.as_str();
        let by_code = violations.code.is_none_or(|wanted| wanted.as_str() == code);
        by_severity && by_code && violations.tag.as_ref().is_none_or(|wanted| wanted == tag)
    });
    Ok(selected.map(|(id, _)| id).collect())
}

/// The number of resources of a snapshot, of the types of the filter, with a kind of finding.
pub fn count_findings(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    violations: &FlowFilter,
    filter: &Filter,
) -> Result<u64, LedgerError> {
    let ids = find_rule_ids(session, violations)?;
    let [types, _, _] = filter.parameters(session.dimensions());
    let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let counts = query_rows(session.db(), sql::RULE_COUNTS, params![snapshot.id, types], columns)?.into_iter();
    Ok(counts.filter(|(id, _)| ids.contains(id)).map(|(_, n)| n.unsigned_abs()).sum())
}

/// The number of resources of a snapshot with a tag, and how many of them are non-compliant; none when the ledger does not count the
/// values of the key.
pub fn count_tagged(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    key: &str,
    value: &str,
) -> Result<Option<(u64, u64)>, LedgerError> {
    let id: Option<i64> = prepare(session.db(), sql::FIND_TAG)?
        .query_row([key, value], |row| row.get(0))
        .optional()
        .context(Operation::ReadTags)?;
    let Some(id) = id else { return Ok(None) };
    let counts = prepare(session.db(), sql::TAG_COUNT)?
        .query_row([snapshot.id, id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()
        .context(Operation::ReadCounts)?;
    Ok(counts.map(|(resources, non_compliant)| (resources.unsigned_abs(), non_compliant.unsigned_abs())))
}

impl CacheValue for SnapshotTotals {
    fn weight(&self) -> usize {
        bytes_of::<Self>(1)
    }
}

/// The flow of all violations of severity error since the first snapshot.
struct TotalFlow(Vec<(Timestamp, ViolationFlow)>);

impl CacheValue for TotalFlow {
    fn weight(&self) -> usize {
        let days = self.0.iter().map(|(_, flow)| flow.fixed_days.len()).sum();
        bytes_of::<(Timestamp, ViolationFlow)>(self.0.len()) + bytes_of::<(i64, u64)>(days)
    }
}
