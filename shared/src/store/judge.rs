//! Judges by a policy that is not in force, each kind of tags once.

use std::{collections::HashMap, hash::BuildHasherDefault};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Attempt, StoreError,
    gathering::ById,
    intern::{NAME, statement, varints},
    rows::ScopeIds,
    sets::TagSets,
    sql,
};
use crate::{
    Arn,
    inventory::{Scope, TagSet, Tags},
    policy::{Code, Policy, Severity, State, Subject},
    suggest::counts::Mixer,
};

const FAILED: &str = "read tags to judge by a draft";

/// A state, and the number of the errors behind it.
pub(super) type Verdict = (State, u32);

/// A draft, with what it may ask for of the tags that there are.
pub(super) struct Draft<'p> {
    policy: &'p Policy,
    on: Date,
    /// By local id.
    tags: HashMap<i64, (String, String)>,
    /// The relevant tags of each set, as a number of `kinds`.
    sets: ById,
    kinds: Vec<Vec<i64>>,
    /// Whether the Name tag is asked for.
    pub(super) named: bool,
}

/// Judges by a draft, each kind of tags once.
pub(super) struct Judge<'d> {
    draft: &'d Draft<'d>,
    verdicts: HashMap<(u32, i64), Verdict, BuildHasherDefault<Mixer>>,
    pub(super) errors: Errors,
}

/// Sets of errors, each once: a million resources have a few hundred.
pub(super) struct Errors {
    numbers: HashMap<Vec<(Code, String)>, u32>,
    sets: Vec<Vec<(Code, String)>>,
}

/// The number of the empty set.
const NO_ERRORS: u32 = 0;

impl Errors {
    fn new() -> Self {
        Self { numbers: HashMap::from([(Vec::new(), NO_ERRORS)]), sets: vec![Vec::new()] }
    }

    fn number(&mut self, errors: Vec<(Code, String)>) -> u32 {
        if let Some(known) = self.numbers.get(&errors) {
            return *known;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(errors.clone());
        self.numbers.insert(errors, number);
        number
    }

    pub(super) fn of(&self, number: u32) -> &[(Code, String)] {
        usize::try_from(number).ok().and_then(|number| self.sets.get(number)).map_or(&[], Vec::as_slice)
    }
}

impl<'p> Draft<'p> {
    /// Reads the tags that the draft may ask for: of a million sets most differ in others. `held`: sets of tags that are at hand.
    pub(super) fn read(
        db: &Connection,
        policy: &'p Policy,
        on: Date,
        held: Option<&TagSets>,
    ) -> Result<Self, StoreError> {
        let named = policy.meant(NAME).is_some();
        let mut draft = Self { policy, on, tags: HashMap::new(), sets: ById::default(), kinds: Vec::new(), named };
        match held.and_then(|held| held.with_keys(|key| policy.meant(key).is_some())) {
            Some(sets) => draft.read_held(db, sets)?,
            None => draft.read_all(db)?,
        }
        Ok(draft)
    }

    /// From sets of tags that are at hand: what stands in them has to be read.
    fn read_held(&mut self, db: &Connection, sets: impl Iterator<Item = (i64, Vec<i64>)>) -> Result<(), StoreError> {
        self.sort_sets(sets.map(Ok))?;
        let mut wanted: Vec<i64> = self.kinds.iter().flatten().copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut asked = statement(db, sql::TAG_BY_ID)?;
        for id in wanted {
            let found = asked.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional();
            // What is held may be gone from the file, where nobody has it any more.
            self.tags.extend(found.attempt(FAILED)?.map(|tag| (id, tag)));
        }
        Ok(())
    }

    /// From all tags and sets of them in the file.
    fn read_all(&mut self, db: &Connection) -> Result<(), StoreError> {
        let tags = self.relevant_tags(db)?;
        let mut asked = statement(db, sql::ALL_TAG_SETS)?;
        let read = |row: &Row<'_>| {
            let mut relevant = varints(row.get_ref(1)?.as_blob()?);
            relevant.retain(|tag| tags.contains_key(tag));
            Ok((row.get::<_, i64>(0)?, relevant))
        };
        self.sort_sets(asked.query_map([], read).attempt(FAILED)?.map(|set| set.attempt(FAILED)))?;
        self.tags = tags;
        Ok(())
    }

    fn relevant_tags(&self, db: &Connection) -> Result<HashMap<i64, (String, String)>, StoreError> {
        let mut tags = HashMap::new();
        let mut meant: HashMap<String, bool> = HashMap::new();
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
        // One by one: all of them at once are tens of megabytes, which a server's memory would keep.
        let mut asked = statement(db, sql::ALL_TAGS)?;
        for tag in asked.query_map([], read).attempt(FAILED)? {
            let (id, key, value) = tag.attempt(FAILED)?;
            if !meant.contains_key(&key) {
                meant.insert(key.clone(), self.policy.meant(&key).is_some());
            }
            if meant.get(&key) == Some(&true) {
                tags.insert(id, (key, value));
            }
        }
        Ok(tags)
    }

    /// Whether the draft exempts some by their ARNs.
    pub(super) fn exempts(&self) -> bool {
        !self.policy.exemptions().is_empty()
    }

    /// From all sets with the tags that the draft may ask for.
    fn sort_sets(&mut self, sets: impl Iterator<Item = Result<(i64, Vec<i64>), StoreError>>) -> Result<(), StoreError> {
        let mut numbers: HashMap<Vec<i64>, u32> = HashMap::new();
        for set in sets {
            let (set, relevant) = set?;
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(relevant).or_insert_with_key(|relevant| {
                self.kinds.push(relevant.clone());
                next
            });
            self.sets.set(set, number);
        }
        Ok(())
    }

    fn tags_of(&self, kind: u32, name: Option<&str>) -> TagSet {
        let ids = usize::try_from(kind).ok().and_then(|kind| self.kinds.get(kind));
        let pairs = ids.into_iter().flatten().filter_map(|id| self.tags.get(id).cloned());
        pairs.chain(name.map(|name| (NAME.to_owned(), name.to_owned()))).collect()
    }
}

impl<'d> Judge<'d> {
    pub(super) fn by(draft: &'d Draft<'d>) -> Self {
        Self { draft, verdicts: HashMap::default(), errors: Errors::new() }
    }

    /// State, and the number of the errors. `name` counts only where the draft asks for it, and `of` where the draft exempts some by
    /// their ARNs.
    pub(super) fn verdict(
        &mut self,
        scope: &Scope,
        ids: ScopeIds,
        set: Option<i64>,
        name: Option<&str>,
        of: &Arn,
    ) -> Verdict {
        // What cannot carry tags is judged by nobody.
        let Some(kind) = set.and_then(|set| self.draft.sets.get(set)) else {
            return (State::NotApplicable, NO_ERRORS);
        };
        if self.draft.policy.exemption(of, self.draft.on).is_some() {
            return (State::Exempt, NO_ERRORS);
        }
        let asks_for_name = self.draft.named && name.is_some();
        if let Some(known) = self.verdicts.get(&(kind, ids.resource_type)).filter(|_| !asks_for_name) {
            return *known;
        }
        let tags = Tags::Known(self.draft.tags_of(kind, name.filter(|_| self.draft.named)));
        let subject = Subject { resource_type: scope.resource_type, arn: of, tags: &tags };
        let verdict = self.draft.policy.judge(&subject, self.draft.on);
        let errors = verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let errors = errors.map(|finding| (finding.code, finding.tag.to_owned())).collect();
        let found = (verdict.state, self.errors.number(errors));
        if !asks_for_name {
            self.verdicts.insert((kind, ids.resource_type), found);
        }
        found
    }
}
