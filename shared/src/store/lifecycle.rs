//! Births, changes and deaths of resources and of their violations, as a night writes them.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Row, params};

use super::{
    Attempt, Night, ScopeRow, StoreError,
    intern::statement,
    night::FAILED,
    rows::{ScopeIds, rows},
    sql,
    version::{Ending, Judged, Version, version, version_columns},
};
use crate::policy::State;

impl Night<'_> {
    pub(super) fn arrive(&mut self, key: i64, returned: bool) -> Result<(), StoreError> {
        self.tell(if returned { "returned" } else { "new" }, 1);
        // Of the first snapshot everything is new: no need to say it a million times.
        if self.id == 1 { Ok(()) } else { self.run(sql::ADD_ARRIVAL, params![self.id, key, returned]) }
    }

    /// A bucket may be deleted and made anew in another region or account. Whether it was, this night: its old place may
    /// be recorded after the new one, before it as removed, or before it as not seen and therefore stale.
    pub(super) fn leave_former_place(&mut self, key: i64) -> Result<bool, StoreError> {
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
        let cause = if known.same_tags(new) { "policy" } else { "fixed" };
        self.compare_violations(key, &judged.rules, cause)
    }

    pub(super) fn compare_violations(&mut self, key: i64, rules: &[i64], cause: &str) -> Result<(), StoreError> {
        let open: Vec<i64> = rows(&self.sql, sql::OPEN_VIOLATIONS, [key], |row| row.get(0))?;
        for gone in open.iter().filter(|rule| !rules.contains(rule)) {
            self.close_violation(key, *gone, cause)?;
        }
        self.run(sql::SEE_VIOLATIONS, params![key])?;
        let new: Vec<i64> = rules.iter().copied().filter(|rule| !open.contains(rule)).collect();
        self.open_violations(key, &new)
    }

    pub(super) fn open_violations(&self, key: i64, rules: &[i64]) -> Result<(), StoreError> {
        let distinct: BTreeSet<_> = rules.iter().collect();
        distinct.into_iter().try_for_each(|rule| self.run(sql::OPEN_VIOLATION, params![key, rule, self.id]))
    }

    fn close_violation(&self, key: i64, rule: i64, cause: &str) -> Result<(), StoreError> {
        self.run(sql::CLOSE_VIOLATION, params![key, rule, self.id, cause, self.previous])
    }

    /// What was known in the scope and not seen: gone when the whole list was read, else as before but stale.
    pub(super) fn settle_unseen(
        &mut self,
        ids: ScopeIds,
        known: HashMap<i64, Version>,
        row: &mut ScopeRow,
    ) -> Result<(), StoreError> {
        let cause = if row.listed_all { None } else { row.gap.as_ref().map(|gap| gap.reason) };
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(key, _)| *key);
        for (key, version) in known {
            match cause {
                None => self.end(key, Ending::Removed)?,
                Some(reason) => {
                    row.stale += 1;
                    let judged = Judged::unjudged(Version::unknown(reason, Some(&version)));
                    self.counter.count(&self.sql, ids, key, &judged)?;
                    self.usage.count(ids, version.usage, judged.attributable);
                    if !version.goes_on_as(&judged.version) {
                        self.change(ids, key, &version, &judged)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, key: i64, ending: Ending) -> Result<(), StoreError> {
        self.close_version(key, ending)?;
        self.run(sql::DROP_CURRENT, params![key])?;
        if ending == Ending::LeftScope {
            // Nobody looked, so nobody can say that it is fixed.
            return self.run(sql::LOSE_VIOLATIONS, params![key, self.previous]);
        }
        let open: Vec<i64> = rows(&self.sql, sql::OPEN_VIOLATIONS, [key], |row| row.get(0))?;
        open.into_iter().try_for_each(|rule| self.close_violation(key, rule, "removed"))
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
