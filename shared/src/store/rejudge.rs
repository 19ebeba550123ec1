//! A snapshot judged by a policy that is not in force: what a draft would come to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
};

use jiff::civil::Date;
use rusqlite::{Connection, Row, params};

use super::{
    Attempt, Changed, Filter, PageStart, Row as Resource, Side, Snapshot, StoreError, View,
    intern::{NAME, statement, varints},
    rows::{ScopeIds, all, state},
    sql,
};
use crate::{
    Arn,
    day::day_of,
    inventory::{Scope, TagSet, Tags},
    money::Amount,
    policy::{Code, Policy, Severity, State, Subject},
};

/// Resources judged by two policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejudged {
    /// By the policy of the snapshot.
    pub now: Standing,
    /// By the draft.
    pub draft: Standing,
    /// Compliant now, and not by the draft.
    pub newly_failing: u64,
    /// Not compliant now, and by the draft.
    pub newly_passing: u64,
    /// Not judged now (exempt, or no required tag applies), and not compliant by the draft.
    pub newly_judged_failing: u64,
    /// What those that newly fail cost a month, judged now or not, as far as it is known.
    pub newly_failing_cost: Amount,
    /// Of how many of them it is known.
    pub newly_failing_with_cost: u64,
}

/// Judged resources, with what they cost a month as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// With every required tag right.
    pub compliant: u64,
    /// Without.
    pub non_compliant: u64,
    /// What the compliant cost.
    pub compliant_cost: Amount,
    /// What the others cost.
    pub non_compliant_cost: Amount,
}

impl Standing {
    pub(super) fn add(&mut self, state: State, cost: Amount) {
        match state {
            State::Compliant => {
                self.compliant += 1;
                self.compliant_cost += cost;
            }
            State::NonCompliant => {
                self.non_compliant += 1;
                self.non_compliant_cost += cost;
            }
            State::NotApplicable | State::Unknown | State::Exempt => {}
        }
    }

    fn take(&mut self, state: State) {
        match state {
            State::Compliant => self.compliant = self.compliant.saturating_sub(1),
            State::NonCompliant => self.non_compliant = self.non_compliant.saturating_sub(1),
            State::NotApplicable | State::Unknown | State::Exempt => {}
        }
    }

    /// Compliant of all judged; none where nothing was judged.
    pub fn score(&self) -> Option<f64> {
        share(self.compliant, self.compliant + self.non_compliant)
    }

    /// The same by cost.
    pub fn score_by_cost(&self) -> Option<f64> {
        let [compliant, others] =
            [self.compliant_cost, self.non_compliant_cost].map(|cost| cost.micros().max(0).unsigned_abs());
        share(compliant, compliant + others)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    let count = crate::suggest::count;
    (whole > 0).then(|| count(part) / count(whole))
}

impl std::ops::AddAssign for Rejudged {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.now, other.now), (&mut self.draft, other.draft)] {
            mine.compliant += theirs.compliant;
            mine.non_compliant += theirs.non_compliant;
            mine.compliant_cost += theirs.compliant_cost;
            mine.non_compliant_cost += theirs.non_compliant_cost;
        }
        self.newly_failing += other.newly_failing;
        self.newly_passing += other.newly_passing;
        self.newly_judged_failing += other.newly_judged_failing;
        self.newly_failing_cost += other.newly_failing_cost;
        self.newly_failing_with_cost += other.newly_failing_with_cost;
    }
}

/// What a draft would come to.
#[derive(Debug, Default)]
pub struct Rejudging {
    /// By scope, of those that the filter admits.
    pub scopes: Vec<(Scope, Rejudged)>,
    /// Why resources newly fail: code and tag, with how many of them have it.
    pub reasons: BTreeMap<(Code, String), u64>,
    /// Those that newly fail, those that cost most first, as many as were asked for.
    pub failing: Vec<Resource>,
    /// Resources whose tags could not be read, which neither policy judges.
    pub unknown: u64,
}

/// A night judged by the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftNight {
    /// The night.
    pub snapshot: Snapshot,
    /// What the draft says of it; costs are left out.
    pub draft: Standing,
}

/// A state, and the errors behind it.
type Verdict = (State, Vec<(Code, String)>);

/// Judges by a draft, each kind of tags once.
struct Judge<'p> {
    draft: &'p Policy,
    on: Date,
    /// Tags that the draft may ask for, by local id.
    tags: HashMap<i64, (String, String)>,
    /// The relevant tags of each set, as a number of `kinds`.
    sets: HashMap<i64, u32>,
    kinds: Vec<Vec<i64>>,
    named: bool,
    verdicts: HashMap<(u32, i64), Verdict>,
}

struct Living {
    key: i64,
    ids: ScopeIds,
    set: Option<i64>,
    name: Option<String>,
    state: State,
    usage: Option<(i64, u32)>,
    charged: Option<i64>,
    local: Option<String>,
}

fn living(row: &Row<'_>) -> rusqlite::Result<Living> {
    Ok(Living {
        key: row.get(0)?,
        ids: ScopeIds::read(row, 1)?,
        set: row.get(4)?,
        name: row.get(5)?,
        state: state(row.get(6)?),
        local: row.get(7)?,
        usage: row.get::<_, Option<i64>>(8)?.zip(row.get::<_, Option<u32>>(9)?),
        charged: row.get(10)?,
    })
}

impl<'p> Judge<'p> {
    /// Reads the tags that the draft may ask for: of a million sets most differ in others.
    fn new(db: &Connection, draft: &'p Policy, on: Date) -> Result<Self, StoreError> {
        let mut meant: HashMap<String, bool> = HashMap::new();
        let mut tags = HashMap::new();
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
        for (id, key, value) in all(db, sql::ALL_TAGS, read)? {
            if !meant.contains_key(&key) {
                meant.insert(key.clone(), draft.meant(&key).is_some());
            }
            if meant.get(&key) == Some(&true) {
                tags.insert(id, (key, value));
            }
        }
        let named = draft.meant(NAME).is_some();
        let mut judge =
            Self { draft, on, tags, sets: HashMap::new(), kinds: Vec::new(), named, verdicts: HashMap::new() };
        judge.sort_sets(db)?;
        Ok(judge)
    }

    fn sort_sets(&mut self, db: &Connection) -> Result<(), StoreError> {
        let mut numbers: HashMap<Vec<i64>, u32> = HashMap::new();
        for (set, blob) in all(db, sql::ALL_TAG_SETS, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))? {
            let relevant: Vec<i64> = varints(&blob).into_iter().filter(|tag| self.tags.contains_key(tag)).collect();
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(relevant).or_insert_with_key(|relevant| {
                self.kinds.push(relevant.clone());
                next
            });
            self.sets.insert(set, number);
        }
        Ok(())
    }

    fn tags_of(&self, kind: u32, name: Option<&str>) -> TagSet {
        let ids = usize::try_from(kind).ok().and_then(|kind| self.kinds.get(kind));
        let pairs = ids.into_iter().flatten().filter_map(|id| self.tags.get(id).cloned());
        pairs.chain(name.map(|name| (NAME.to_owned(), name.to_owned()))).collect()
    }

    /// State and errors. `name` counts only where the draft asks for it, and `exempt` where the draft says so of the ARN.
    fn verdict(&mut self, scope: &Scope, ids: ScopeIds, set: Option<i64>, name: Option<&str>, of: &Arn) -> Verdict {
        // What cannot carry tags is judged by nobody.
        let Some(kind) = set.and_then(|set| self.sets.get(&set).copied()) else {
            return (State::NotApplicable, Vec::new());
        };
        if self.draft.exemption(of, self.on).is_some() {
            return (State::Exempt, Vec::new());
        }
        let asks_for_name = self.named && name.is_some();
        if let Some(known) = self.verdicts.get(&(kind, ids.resource_type)).filter(|_| !asks_for_name) {
            return known.clone();
        }
        let tags = Tags::Known(self.tags_of(kind, name.filter(|_| self.named)));
        let subject = Subject { resource_type: scope.resource_type, arn: of, tags: &tags };
        let verdict = self.draft.judge(&subject, self.on);
        let errors = verdict.findings.iter().filter(|finding| finding.severity == Severity::Error);
        let found = (verdict.state, errors.map(|finding| (finding.code, finding.tag.to_owned())).collect());
        if !asks_for_name {
            self.verdicts.insert((kind, ids.resource_type), found.clone());
        }
        found
    }
}

impl View<'_> {
    /// Judges a snapshot by a draft; costs are told of the newest alone.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read; so for the question below.
    pub fn rejudge(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        draft: &Policy,
        most: usize,
    ) -> Result<Rejudging, StoreError> {
        let whole = self.whole(snapshot);
        let book = self.costs_told(&whole, snapshot)?;
        let mut judge = Judge::new(self.db(), draft, day_of(snapshot.started_at))?;
        let mut scopes: HashMap<ScopeIds, Option<(Scope, Rejudged)>> = HashMap::new();
        let mut found = Rejudging::default();
        let mut failing: BinaryHeap<Reverse<(i64, i64)>> = BinaryHeap::new();
        let placeholder: Arn =
            PLACEHOLDER.parse().map_err(|_| StoreError::Content { what: "an ARN", given: PLACEHOLDER.to_owned() })?;
        let exempts = !draft.exemptions().is_empty();
        let mut read = statement(self.db(), sql::LIVING_TO_JUDGE)?;
        for one in read.query_map(params![snapshot.id, judge.named, exempts], living).attempt("judge by a draft")? {
            let one = one.attempt("judge by a draft")?;
            let place = match scopes.entry(one.ids) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let scope = self.dimensions().scope(one.ids)?;
                    new.insert(filter.admits(&scope).then(|| (scope, Rejudged::default())))
                }
            };
            let Some((scope, sums)) = place else { continue };
            if one.state == State::Unknown {
                found.unknown += 1;
                continue;
            }
            let named = one.local.as_deref().map(|local| self.dimensions().arn(local, scope, one.ids)).transpose()?;
            let (draft, errors) =
                judge.verdict(scope, one.ids, one.set, one.name.as_deref(), named.as_ref().unwrap_or(&placeholder));
            let cost = book.and_then(|book| book.of(one.ids, one.usage, one.charged)).map(|cost| cost.monthly);
            sums.now.add(one.state, cost.unwrap_or_default());
            sums.draft.add(draft, cost.unwrap_or_default());
            match (one.state, draft) {
                (State::Compliant, State::NonCompliant) => sums.newly_failing += 1,
                (State::NonCompliant, State::Compliant) => sums.newly_passing += 1,
                (State::NotApplicable | State::Exempt, State::NonCompliant) => sums.newly_judged_failing += 1,
                _ => {}
            }
            if draft == State::NonCompliant && one.state != State::NonCompliant {
                sums.newly_failing_with_cost += u64::from(cost.is_some());
                sums.newly_failing_cost += cost.unwrap_or_default();
                errors.into_iter().for_each(|error| *found.reasons.entry(error).or_default() += 1);
                failing.push(Reverse((cost.map_or(-1, |cost| cost.micros()), one.key)));
                if failing.len() > most {
                    failing.pop();
                }
            }
        }
        drop(read);
        found.scopes = scopes.into_values().flatten().collect();
        found.scopes.sort_by(|(a, _), (b, _)| a.cmp(b));
        let places: Vec<PageStart> =
            failing.into_sorted_vec().into_iter().map(|Reverse((_, key))| PageStart { rank: 0, key }).collect();
        found.failing = self.pages(snapshot).listed(&places, places.len())?.rows;
        Ok(found)
    }

    /// The nights before a snapshot judged by a draft, the latest first, given what it comes to there. The draft must say the same
    /// of the same tags on every day.
    pub fn rejudge_nights(
        &self,
        snapshot: &Snapshot,
        filter: &Filter,
        draft: &Policy,
        now: Standing,
        nights: &[Snapshot],
    ) -> Result<Vec<DraftNight>, StoreError> {
        let mut judge = Judge::new(self.db(), draft, day_of(snapshot.started_at))?;
        let (mut later, mut standing) = (snapshot.clone(), now);
        let mut told = vec![DraftNight { snapshot: snapshot.clone(), draft: now }];
        for night in nights {
            for changed in self.changed(night, &later)?.iter().filter(|changed| filter.admits(&changed.scope)) {
                if let Some(side) = &changed.after {
                    standing.take(self.side_verdict(&mut judge, changed, side)?);
                }
                if let Some(side) = &changed.before {
                    standing.add(self.side_verdict(&mut judge, changed, side)?, Amount::default());
                }
            }
            told.push(DraftNight { snapshot: night.clone(), draft: standing });
            later = night.clone();
        }
        Ok(told)
    }

    fn side_verdict(&self, judge: &mut Judge<'_>, changed: &Changed, side: &Side) -> Result<State, StoreError> {
        if side.state == State::Unknown {
            return Ok(State::Unknown);
        }
        let ids = self.dimensions().ids(&changed.scope)?;
        let named = self.named(changed)?;
        let (set, name) = side.tags_known();
        Ok(judge.verdict(&changed.scope, ids, set, name, &named).0)
    }
}

/// Stands for a name that nobody asks for.
const PLACEHOLDER: &str = "arn:aws:s3:::unnamed";
