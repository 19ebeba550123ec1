//! What is held of the newest snapshot because questions look up ten thousands of it, or ask for it most: of one snapshot at a time.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rusqlite::{Connection, params};

use super::{
    Attempt, Snapshot, StoreError, ToFix, View,
    bill_lines::BillLines,
    by_scope::ByScope,
    diff::Differences,
    ended::Ended,
    guesses::Heard,
    intern::statement,
    living::Living,
    page::Remembered,
    rows::Dimensions,
    sets::TagSets,
    sql,
    whole::{Name, name},
};

/// More changes are not read ahead: they would take too long, and too much of a server's memory.
const MOST_CHANGES: i64 = 32_768;

/// What one question has read that it comes to again and again.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) heard: Heard,
    pub(super) tags: RefCell<Remembered>,
}

#[derive(Debug, Default)]
pub(super) struct AtHand {
    pub(super) sets: TagSets,
    pub(super) bill_lines: BillLines,
    pub(super) by_scope: ByScope,
    /// What has ended since the earlier snapshot that was asked about last.
    pub(super) ended: Kept<Ended>,
    /// What differs from an earlier snapshot.
    last: OnceLock<(i64, Arc<Differences>)>,
}

impl AtHand {
    /// What differs from an earlier snapshot, if it is the one that was read ahead.
    pub(super) fn since(&self, earlier: i64) -> Option<Arc<Differences>> {
        self.last.get().filter(|(id, _)| *id == earlier).map(|(_, differences)| Arc::clone(differences))
    }
}

/// What is held, and of which snapshot.
#[derive(Debug, Default)]
pub(super) struct Held {
    at_hand: Kept<AtHand>,
    /// Which only a night changes.
    dimensions: Kept<Dimensions>,
    /// In all of the newest snapshot.
    pub(super) to_fix: Kept<ToFix>,
    pub(super) living: Kept<Living>,
}

/// Something of one snapshot.
pub(super) type Kept<T> = Mutex<Option<(Name, Arc<T>)>>;

pub(super) fn kept<T>(of: &Kept<T>, snapshot: &Snapshot) -> Option<Arc<T>> {
    let kept = of.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_ref().filter(|(of, _)| *of == name(snapshot)).map(|(_, kept)| Arc::clone(kept))
}

pub(super) fn keep<T>(of: &Kept<T>, snapshot: &Snapshot, what: &Arc<T>) {
    *of.lock().unwrap_or_else(PoisonError::into_inner) = Some((name(snapshot), Arc::clone(what)));
}

pub(super) fn forget<T>(of: &Kept<T>) {
    *of.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

impl Held {
    /// Accounts, regions and types of the ledger that ends with this snapshot.
    pub(super) fn dimensions(&self, db: &Connection, newest: Option<&Snapshot>) -> Result<Arc<Dimensions>, StoreError> {
        let Some(newest) = newest else { return Dimensions::load(db).map(Arc::new) };
        if let Some(known) = kept(&self.dimensions, newest) {
            return Ok(known);
        }
        let dimensions = Arc::new(Dimensions::load(db)?);
        keep(&self.dimensions, newest, &dimensions);
        Ok(dimensions)
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        forget(&self.at_hand);
        forget(&self.dimensions);
        forget(&self.to_fix);
        forget(&self.living);
    }
}

impl View<'_> {
    /// What is held of the newest snapshot; none when it was not read ahead, or is of another one.
    pub(super) fn at_hand(&self, newest: &Snapshot) -> Option<Arc<AtHand>> {
        kept(&self.reader.held.at_hand, newest)
    }

    /// Reads ahead what questions look up one by one, and what most ask: how the newest snapshot differs from the night before it.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub fn warm_lookups(&self, newest: &Snapshot) -> Result<(), StoreError> {
        if self.at_hand(newest).is_some() {
            return Ok(());
        }
        // What was held goes first: there is no room for both.
        forget(&self.reader.held.at_hand);
        let (sets, bill_lines) = (TagSets::read(self.db())?, BillLines::read(self.db())?);
        let by_scope = ByScope::read(self.db())?;
        let at_hand = Arc::new(AtHand { sets, bill_lines, by_scope, ..AtHand::default() });
        keep(&self.reader.held.at_hand, newest, &at_hand);
        let Some(before) = self.night_before(newest.started_at)? else { return Ok(()) };
        if self.changes_up_to(&before, newest, MOST_CHANGES)? < MOST_CHANGES {
            let differences = self.differences(&before, newest)?;
            at_hand.last.get_or_init(|| (before.id, differences));
        }
        Ok(())
    }

    /// Versions that ended and resources that came between two nights, counted up to so many.
    pub(super) fn changes_up_to(&self, earlier: &Snapshot, later: &Snapshot, most: i64) -> Result<i64, StoreError> {
        let mut counted = statement(self.db(), sql::CHANGES_UP_TO)?;
        counted.query_row(params![earlier.id, later.id, most], |row| row.get(0)).attempt("count changes")
    }
}
