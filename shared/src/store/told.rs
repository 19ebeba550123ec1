//! What is asked of nights long past and takes a look at all of their resources, or at all that changed in them: told once, while the
//! night is the newest, and kept beside it.
//!
//! It follows from the facts like the counts do, and the check reads it from them again where the same program told it. Another one
//! may advise otherwise, and then the night says what it said. A night that nobody told, or told in words that this program does
//! not know, is looked through when it is asked about.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Attempt, Causes, Reader, Snapshot, StoreError, View, Writer,
    groups::{Sums, told_by},
    intern::statement,
    rows::{rows, state},
    sql,
    to_fix::{FirstToFix, FirstToFixOf},
};
use crate::{
    advice::{Advised, TagGroup},
    day::day_of,
    policy::State,
};

const FAILED: &str = "tell of a night";

/// More than a plan tells unless somebody asks for more, and few enough for most nights to be told on one page of the file.
pub(super) const MOST_KEYS: usize = 100;

/// In a night in which more changed, what made it differ takes too much of a scanner's memory.
const MOST_DIFFERING: i64 = 131_072;

/// Names all that an answer of this program follows from.
const PROGRAM: &str = env!("TAGLEDGER_SHARED");

/// Nobody waits for it.
const UNHURRIED: Duration = Duration::from_secs(3600);

/// What is told of a night, without costs: those are known of the newest alone.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    /// What told it.
    #[serde(default)]
    program: String,
    /// By tags of these keys resources were put together. Which keys tell groups follows from all tags of the ledger, which change.
    pub(super) keys: Vec<String>,
    pub(super) advised: Advised,
    pub(super) to_fix: FirstToFix,
    /// The snapshot before it, and what made it differ.
    differs: Option<(i64, Causes)>,
}

impl Told {
    /// What made the night differ from an earlier one, if that is the one it was compared with.
    pub(super) fn causes_since(self, earlier: i64) -> Option<Causes> {
        self.differs.filter(|(since, _)| *since == earlier).map(|(_, causes)| causes)
    }
}

impl Writer {
    /// Tells of the nights that nobody told yet, of those behind the last that was told; of the newest alone where none was. To be
    /// called after a night.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be written; then the next night's call makes up for it.
    pub fn tell(&mut self) -> Result<(), StoreError> {
        let reader = Reader::new(self.path()).unhurried();
        let untold = reader.read(|view| rows(view.db(), sql::UNTOLD, [], |row| row.get::<_, i64>(0)))?;
        // One that cannot be told keeps none of the others.
        let told: Vec<Result<(), StoreError>> = untold.into_iter().map(|id| self.tell_night(&reader, id)).collect();
        told.into_iter().collect()
    }

    fn tell_night(&mut self, reader: &Reader, id: i64) -> Result<(), StoreError> {
        let told = reader.read(|view| {
            let Some(snapshot) = view.snapshot(id)? else { return Ok(None) };
            // A clock that was put back has later nights before earlier ones.
            let before = view.night_before(snapshot.started_at)?.filter(|before| before.id < id);
            let keys = told_by(view.db(), &*view.policy(&snapshot)?)?;
            view.tell(&snapshot, before.as_ref(), keys).map(Some)
        })?;
        let Some(told) = told else { return Ok(()) };
        let unwritable = |error: serde_json::Error| StoreError::Content {
            what: "what is told of a night",
            given: error.to_string(),
        };
        let body = serde_json::to_string(&told).map_err(unwritable)?;
        let path = self.path().to_owned();
        let added = self
            .change(FAILED, |db| statement(db, sql::ADD_TOLD)?.execute(params![id, body]).attempt(FAILED).map(drop));
        added.map_err(|error| error.at(&path))
    }
}

impl View<'_> {
    /// From the facts.
    fn tell(&self, snapshot: &Snapshot, before: Option<&Snapshot>, keys: Vec<String>) -> Result<Told, StoreError> {
        let (groups, to_fix) = self.read_judged(snapshot, &keys)?;
        let advised = Advised::of(&groups, &*self.policy(snapshot)?, day_of(snapshot.started_at));
        let differs = match before {
            Some(before) if self.changes_up_to(before, snapshot, MOST_DIFFERING)? < MOST_DIFFERING => {
                Some((before.id, self.read_causes(before, snapshot)?))
            }
            _ => None,
        };
        Ok(Told { program: PROGRAM.to_owned(), keys, advised, to_fix, differs })
    }

    /// The judged resources together by tags of these keys, and what there is to fix of them. In one pass, and no half of it by
    /// itself: nobody waits, and each half would look up most sets of tags again.
    fn read_judged(&self, snapshot: &Snapshot, keys: &[String]) -> Result<(Vec<TagGroup>, FirstToFix), StoreError> {
        let (mut sums, mut to_fix) = (Sums::by(self, keys)?, FirstToFixOf::default());
        let mut asked = statement(self.db(), sql::JUDGED_TO_TELL)?;
        let mut judged = asked.query([snapshot.id]).attempt(FAILED)?;
        while let Some(row) = judged.next().attempt(FAILED)? {
            let (kind, tags, findings) = (row.get(1).attempt(FAILED)?, row.get(2).attempt(FAILED)?, row.get(3));
            sums.add(kind, tags, findings.attempt(FAILED)?, None)?;
            if state(row.get(4).attempt(FAILED)?) == State::NonCompliant {
                to_fix.add(row.get(0).attempt(FAILED)?, row.get(5).attempt(FAILED)?);
            }
        }
        Ok((sums.groups()?, to_fix.end()))
    }

    /// What was told of a night; none where nobody did, or in words that this program does not know.
    pub(super) fn told(&self, snapshot: &Snapshot) -> Result<Option<Told>, StoreError> {
        Ok(self.told_as_it_stands(snapshot)?.and_then(|body| serde_json::from_str(&body).ok()))
    }

    fn told_as_it_stands(&self, snapshot: &Snapshot) -> Result<Option<String>, StoreError> {
        let body = statement(self.db(), sql::TOLD)?.query_row([snapshot.id], |row| row.get(0));
        body.optional().attempt(FAILED)
    }
}

impl Reader {
    /// Whether what this program told of a night is what the facts say. True where nobody told anything, or another program did.
    pub(super) fn tells_the_facts(&self, id: i64) -> Result<bool, StoreError> {
        self.read(|view| {
            let Some(snapshot) = view.snapshot(id)? else { return Ok(true) };
            let Some(body) = view.told_as_it_stands(&snapshot)? else { return Ok(true) };
            let Ok(plain) = serde_json::from_str::<Value>(&body) else { return Ok(false) };
            if plain.get("program").is_none_or(|program| program != PROGRAM) {
                return Ok(true);
            }
            let Ok(told) = serde_json::from_value::<Told>(plain) else { return Ok(false) };
            let before = told.differs.as_ref().map(|(since, _)| view.snapshot(*since)).transpose()?;
            let mut again = view.tell(&snapshot, before.as_ref().and_then(Option::as_ref), told.keys.clone())?;
            // The night that it was compared with is no longer kept.
            if before == Some(None) {
                again.differs.clone_from(&told.differs);
            }
            Ok(told == again)
        })
    }

    /// For as long as it takes.
    pub(super) fn unhurried(&self) -> Self {
        Self::with_deadline(self.path(), UNHURRIED)
    }
}
