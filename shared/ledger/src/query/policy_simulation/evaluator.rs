//! Evaluates resources by a draft policy. Each distinct list of relevant tags is evaluated once.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row};
use rustc_hash::FxBuildHasher;
use tagledger_model::{
    Arn,
    inventory::{Scope, TagSet, Tags},
};
use tagledger_policy::{Code, Policy, Severity, State, Subject};

use crate::{
    db::interned::NAME,
    db::{id_map::IdMap, sql, statements::prepare, varint::decode_varints},
    error::{ErrorContext, LedgerError, Operation},
    index::tag_sets::TagSetIndex,
    model::scope_ids::ScopeIds,
};

/// A state and the number of its error set.
pub(crate) type StateAndFindings = (State, u32);

/// A draft policy with the tags of the ledger that it names.
pub(crate) struct DraftPolicy<'p> {
    policy: &'p Policy,
    on: Date,
    /// Tags by row id.
    tags: HashMap<i64, (String, String)>,
    /// By row id of the tag set: the position of its relevant tags in `tag_lists`.
    by_set: IdMap,
    /// Distinct lists of relevant tags.
    tag_lists: Vec<Vec<i64>>,
    /// Whether the draft names the Name tag.
    pub(crate) uses_name: bool,
}

/// Evaluates resources by a draft and caches the verdicts.
pub(crate) struct PolicyEvaluator<'d> {
    draft: &'d DraftPolicy<'d>,
    verdicts: HashMap<(u32, i64), StateAndFindings, FxBuildHasher>,
    pub(crate) errors: ErrorSets,
}

/// Distinct sets of errors: a million resources have a few hundred.
pub(crate) struct ErrorSets {
    numbers: HashMap<Vec<(Code, String)>, u32>,
    sets: Vec<Vec<(Code, String)>>,
}

/// The number of the empty set.
const NO_ERRORS: u32 = 0;

impl ErrorSets {
    fn new() -> Self {
        Self { numbers: HashMap::from([(Vec::new(), NO_ERRORS)]), sets: vec![Vec::new()] }
    }

    fn find_or_add(&mut self, errors: Vec<(Code, String)>) -> u32 {
        if let Some(number) = self.numbers.get(&errors) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(errors.clone());
        self.numbers.insert(errors, number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> &[(Code, String)] {
        usize::try_from(number).ok().and_then(|number| self.sets.get(number)).map_or(&[], Vec::as_slice)
    }
}

impl<'p> DraftPolicy<'p> {
    /// Reads the tags whose keys the draft names. Most of a million tag sets differ only in other tags.
    pub(crate) fn load(
        db: &Connection,
        policy: &'p Policy,
        on: Date,
        index: Option<&TagSetIndex>,
    ) -> Result<Self, LedgerError> {
        let mut draft = Self {
            policy,
            on,
            tags: HashMap::new(),
            by_set: IdMap::default(),
            tag_lists: Vec::new(),
            uses_name: policy.find_intended_tag(NAME).is_some(),
        };
        match index.and_then(|index| index.with_keys(|key| policy.find_intended_tag(key).is_some())) {
            Some(sets) => draft.load_from_index(db, sets)?,
            None => draft.load_from_file(db)?,
        }
        Ok(draft)
    }

    /// Takes the sets from the index and reads the texts of their relevant tags.
    fn load_from_index(
        &mut self,
        db: &Connection,
        sets: impl Iterator<Item = (i64, Vec<i64>)>,
    ) -> Result<(), LedgerError> {
        self.number_sets(sets.map(Ok))?;
        let mut wanted: Vec<i64> = self.tag_lists.iter().flatten().copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut query = prepare(db, sql::TAG_BY_ID)?;
        for id in wanted {
            let found = query.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional();
            // Pruning can have deleted a tag that no resource has any more.
            self.tags.extend(found.context(Operation::SimulatePolicy)?.map(|tag| (id, tag)));
        }
        Ok(())
    }

    /// Reads all tags and tag sets.
    fn load_from_file(&mut self, db: &Connection) -> Result<(), LedgerError> {
        let tags = self.load_relevant_tags(db)?;
        let mut query = prepare(db, sql::ALL_TAG_SETS)?;
        let read = |row: &Row<'_>| {
            let mut relevant = decode_varints(row.get_ref(1)?.as_blob()?);
            relevant.retain(|tag| tags.contains_key(tag));
            Ok((row.get::<_, i64>(0)?, relevant))
        };
        self.number_sets(
            query
                .query_map([], read)
                .context(Operation::SimulatePolicy)?
                .map(|set| set.context(Operation::SimulatePolicy)),
        )?;
        self.tags = tags;
        Ok(())
    }

    fn load_relevant_tags(&self, db: &Connection) -> Result<HashMap<i64, (String, String)>, LedgerError> {
        let mut tags = HashMap::new();
        let mut is_relevant: HashMap<String, bool> = HashMap::new();
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
        // The tags are read row by row. All of them take tens of megabytes, which the allocator would not return.
        let mut query = prepare(db, sql::ALL_TAGS)?;
        for tag in query.query_map([], read).context(Operation::SimulatePolicy)? {
            let (id, key, value) = tag.context(Operation::SimulatePolicy)?;
            if !is_relevant.contains_key(&key) {
                is_relevant.insert(key.clone(), self.policy.find_intended_tag(&key).is_some());
            }
            if is_relevant.get(&key) == Some(&true) {
                tags.insert(id, (key, value));
            }
        }
        Ok(tags)
    }

    /// Whether the draft exempts resources by ARN.
    pub(crate) fn has_exemptions(&self) -> bool {
        !self.policy.exemptions().is_empty()
    }

    /// Numbers the distinct lists of relevant tags of all sets.
    fn number_sets(
        &mut self,
        sets: impl Iterator<Item = Result<(i64, Vec<i64>), LedgerError>>,
    ) -> Result<(), LedgerError> {
        let mut numbers: HashMap<Vec<i64>, u32> = HashMap::new();
        for set in sets {
            let (set, relevant) = set?;
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(relevant).or_insert_with_key(|relevant| {
                self.tag_lists.push(relevant.clone());
                next
            });
            self.by_set.set(set, number);
        }
        Ok(())
    }

    fn build_tags(&self, tag_list: u32, name: Option<&str>) -> TagSet {
        let ids = usize::try_from(tag_list).ok().and_then(|position| self.tag_lists.get(position));
        let pairs = ids.into_iter().flatten().filter_map(|id| self.tags.get(id).cloned());
        pairs.chain(name.map(|name| (NAME.to_owned(), name.to_owned()))).collect()
    }
}

impl<'d> PolicyEvaluator<'d> {
    pub(crate) fn new(draft: &'d DraftPolicy<'d>) -> Self {
        Self { draft, verdicts: HashMap::default(), errors: ErrorSets::new() }
    }

    /// The verdict on a resource. `name` is used only if the draft names the Name tag, and `arn` only if it has exemptions.
    pub(crate) fn evaluate(
        &mut self,
        scope: &Scope,
        ids: ScopeIds,
        set: Option<i64>,
        name: Option<&str>,
        arn: &Arn,
    ) -> StateAndFindings {
        // A resource without a tag set cannot carry tags.
        let Some(tag_list) = set.and_then(|set| self.draft.by_set.get(set)) else {
            return (State::NotApplicable, NO_ERRORS);
        };
        if self.draft.policy.exemption(arn, self.draft.on).is_some() {
            return (State::Exempt, NO_ERRORS);
        }
        let depends_on_name = self.draft.uses_name && name.is_some();
        let key = (tag_list, ids.resource_type);
        if let Some(verdict) = self.verdicts.get(&key).filter(|_| !depends_on_name) {
            return *verdict;
        }
        let tags = Tags::Known(self.draft.build_tags(tag_list, name.filter(|_| self.draft.uses_name)));
        let subject = Subject { resource_type: scope.resource_type, arn, tags: &tags };
        let evaluation = self.draft.policy.evaluate(&subject, self.draft.on);
        let errors = evaluation.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let errors = errors.map(|finding| (finding.code, finding.tag.to_owned())).collect();
        let verdict = (evaluation.state, self.errors.find_or_add(errors));
        if !depends_on_name {
            self.verdicts.insert(key, verdict);
        }
        verdict
    }
}
