//! Births, changes and deaths of resources and of their violations, as a night writes them.

use std::collections::BTreeSet;

use rusqlite::{Row, params};

use super::{
    Attempt, Night, ScopeRow, StoreError,
    gathering::ByNumber,
    intern::statement,
    lives::Cause,
    night::FAILED,
    page,
    rows::{ScopeIds, rows},
    sql,
    version::{Ending, Judged, Version, version, version_columns},
};
use crate::{
    ResourceType,
    policy::{Severity, State},
};

impl Night<'_> {
    pub(super) fn arrive(&mut self, key: i64, returned: bool) -> Result<(), StoreError> {
        self.tell(if returned { "returned" } else { "new" }, 1);
        // Of the first snapshot everything is new: no need to say it a million times.
        if self.id == 1 { Ok(()) } else { self.run(sql::ADD_ARRIVAL, params![self.id, key, returned]) }
    }

    /// A bucket may be deleted and made anew in another region or account. Whether it was, this night: its old place may
    /// be recorded after the new one, before it as removed, or before it as not seen and therefore stale.
    pub(super) fn leave_former_place(&mut self, key: i64, new: ScopeIds) -> Result<bool, StoreError> {
        self.known.leave(key);
        // All other names have region and account in them.
        if self.dimensions.types.get(&new.resource_type) != Some(&ResourceType::S3Bucket) {
            return Ok(false);
        }
        let columns = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, ScopeIds::read(row, 1)?, version_columns(row, 4)?));
        let Some((since, ids, known)) = rows(&self.sql, sql::CURRENT_OF, [key], columns)?.pop() else {
            return self.call_moved(key, Ending::Removed);
        };
        if self.recorded.contains(&ids) {
            self.counter.take_back(&self.sql, ids, key, version(known)?)?;
            self.no_longer_stale(ids)?;
        }
        if since < self.id {
            self.close_version(key, Ending::Moved)?;
            return Ok(true);
        }
        self.call_moved(key, Ending::Lost)
    }

    /// What ended this night for another reason did move.
    fn call_moved(&mut self, key: i64, so_far: Ending) -> Result<bool, StoreError> {
        let columns = params![self.id, key, so_far.number(), Ending::Moved.number()];
        let moved = statement(&self.sql, sql::CALL_OTHERWISE)?.execute(columns).attempt(FAILED)? == 1;
        if moved {
            self.tell(so_far.as_str(), -1);
            self.tell(Ending::Moved.as_str(), 1);
        }
        Ok(moved)
    }

    fn no_longer_stale(&mut self, ids: ScopeIds) -> Result<(), StoreError> {
        let scope = self.dimensions.scope(ids)?;
        for row in self.scopes.iter_mut().filter(|row| row.scope == scope && row.stale > 0) {
            row.stale -= 1;
        }
        self.run(sql::ONE_STALE_LESS, params![self.id, ids.account, ids.region, ids.resource_type])
    }

    /// Two ARNs with one key would be one resource to the ledger: better no night than a wrong one.
    pub(super) fn refuse_collision(&self, key: i64, local: &str) -> Result<(), StoreError> {
        let there: String =
            statement(&self.sql, sql::LOCAL_OF_RESOURCE)?.query_row([key], |row| row.get(0)).attempt(FAILED)?;
        let given = || format!("{there} and {local} have the same key {key}");
        if there == local { Ok(()) } else { Err(StoreError::Content { what: "two resources", given: given() }) }
    }

    pub(super) fn change(
        &mut self,
        ids: ScopeIds,
        key: i64,
        known: &Version,
        judged: &Judged,
    ) -> Result<(), StoreError> {
        let new = &judged.version;
        self.close_version(key, Ending::between(known, new))?;
        self.put(ids, key, new)?;
        if new.state == State::Unknown {
            return self.run(sql::LOSE_VIOLATIONS, params![key, self.previous]);
        }
        // Nobody fixed what is judged otherwise with the same tags.
        let cause = if known.same_tags(new) { Cause::Policy } else { Cause::Fixed };
        self.compare_violations(ids, key, &judged.findings.ids, cause)
    }

    pub(super) fn compare_violations(
        &mut self,
        ids: ScopeIds,
        key: i64,
        rules: &[i64],
        cause: Cause,
    ) -> Result<(), StoreError> {
        let open = self.open_of(key)?;
        for (gone, opened) in open.iter().filter(|(rule, _)| !rules.contains(rule)) {
            self.close_violation(ids, key, (*gone, *opened), cause)?;
        }
        self.run(sql::SEE_VIOLATIONS, params![key])?;
        let new = rules.iter().copied().filter(|rule| !open.iter().any(|(known, _)| known == rule));
        let new: BTreeSet<i64> = new.collect();
        for rule in new {
            let before = statement(&self.sql, sql::ENDED_BEFORE)?.exists([key, rule]).attempt(FAILED)?;
            self.open_violation(ids, key, rule, before)?;
        }
        Ok(())
    }

    /// The rules that a resource breaks so far, each with the snapshot that first saw it.
    fn open_of(&self, key: i64) -> Result<Vec<(i64, i64)>, StoreError> {
        rows(&self.sql, sql::OPEN_VIOLATIONS, [key], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Of a resource that the ledger never saw before.
    pub(super) fn open_violations(&mut self, ids: ScopeIds, key: i64, rules: &[i64]) -> Result<(), StoreError> {
        let distinct: BTreeSet<i64> = rules.iter().copied().collect();
        distinct.into_iter().try_for_each(|rule| self.open_violation(ids, key, rule, false))
    }

    fn open_violation(&mut self, ids: ScopeIds, key: i64, rule: i64, again: bool) -> Result<(), StoreError> {
        self.lives.open((rule, ids.resource_type), again);
        self.run(sql::OPEN_VIOLATION, params![key, rule, self.id])
    }

    fn close_violation(
        &mut self,
        ids: ScopeIds,
        key: i64,
        (rule, opened): (i64, i64),
        cause: Cause,
    ) -> Result<(), StoreError> {
        self.lives.close((rule, ids.resource_type), cause);
        if cause == Cause::Fixed && page::rule(&self.sql, rule)?.severity == Severity::Error {
            let days = self.days_since(opened)?;
            self.lives.fix_after(days);
        }
        self.run(sql::CLOSE_VIOLATION, params![key, rule, self.id, cause.as_str(), self.previous])
    }

    /// What was known in the scope and not seen: gone when the whole list was read, else as before but stale.
    pub(super) fn settle_unseen(
        &mut self,
        ids: ScopeIds,
        known: ByNumber<Version>,
        row: &mut ScopeRow,
    ) -> Result<(), StoreError> {
        let cause = if row.listed_all { None } else { row.gap.as_ref().map(|gap| gap.reason) };
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(key, _)| *key);
        for (key, version) in known {
            match cause {
                None => self.end(ids, key, Ending::Removed)?,
                Some(reason) => {
                    row.stale += 1;
                    let judged = Judged::unjudged(Version::unknown(reason, Some(&version)));
                    self.counter.count(&self.sql, ids, key, &judged)?;
                    self.usage.count(ids, version.aside.usage, judged.attributable);
                    if !version.goes_on_as(&judged.version) {
                        self.change(ids, key, &version, &judged)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, ids: ScopeIds, key: i64, ending: Ending) -> Result<(), StoreError> {
        self.close_version(key, ending)?;
        self.run(sql::DROP_CURRENT, params![key])?;
        if ending == Ending::LeftScope {
            // Nobody looked, so nobody can say that it is fixed.
            return self.run(sql::LOSE_VIOLATIONS, params![key, self.previous]);
        }
        let open = self.open_of(key)?;
        open.into_iter().try_for_each(|violation| self.close_violation(ids, key, violation, Cause::Removed))
    }

    fn close_version(&mut self, key: i64, ending: Ending) -> Result<(), StoreError> {
        self.tell(ending.as_str(), 1);
        self.run(sql::CLOSE_VERSION, params![key, self.id, ending.number()])
    }

    /// Counts what the summary tells of changes.
    fn tell(&mut self, kind: &'static str, by: i64) {
        let count = self.changes.entry(kind).or_default();
        *count = count.saturating_add_signed(by);
    }

    pub(super) fn put(&self, ids: ScopeIds, key: i64, version: &Version) -> Result<(), StoreError> {
        version.write(&mut *statement(&self.sql, sql::PUT_CURRENT)?, self.id, ids, key)
    }
}
