//! A snapshot judged by a policy that is not in force: what a draft would come to.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
    hash::BuildHasherDefault,
};

use rusqlite::{Row, params};

use super::{
    Attempt, Changed, Filter, Row as Resource, Side, Snapshot, StoreError, View,
    cost::CostBook,
    gathering::ByNumber,
    intern::statement,
    judge::{Draft, Judge},
    living::Now,
    rows::{Dimensions, ScopeIds, state},
    sql,
    standing::{Rejudged, Standing, newly_fails},
    version::usage_ids,
};
use crate::{
    Arn,
    day::day_of,
    inventory::Scope,
    money::Amount,
    policy::{Code, Policy, State},
    suggest::counts::Mixer,
};

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

/// A living resource.
struct Living {
    key: i64,
    ids: ScopeIds,
    set: Option<i64>,
    name: Option<String>,
    state: State,
    cost: Option<Amount>,
    local: Option<String>,
}

fn living(row: &Row<'_>, book: Option<&CostBook>) -> rusqlite::Result<Living> {
    let ids = ScopeIds::read(row, 1)?;
    let usage = usage_ids(row, 8)?;
    let charged = row.get(10)?;
    Ok(Living {
        key: row.get(0)?,
        ids,
        set: row.get(4)?,
        name: row.get(5)?,
        state: state(row.get(6)?),
        local: row.get(7)?,
        cost: book.and_then(|book| book.of(ids, usage, charged)).map(|cost| cost.monthly),
    })
}

/// Resources in the course of being judged.
struct Session<'a> {
    judge: Judge<'a>,
    dimensions: &'a Dimensions,
    filter: &'a Filter,
    /// Stands for names that nobody asks for.
    placeholder: &'a Arn,
    /// Of those that newly fail, so many that cost most are kept.
    most: usize,
    scopes: HashMap<ScopeIds, Option<(Scope, Rejudged)>, BuildHasherDefault<Mixer>>,
    /// Resources that newly fail, by the number of their errors.
    newly: ByNumber<u64>,
    failing: Failing,
    unknown: u64,
}

/// Errors, with how many resources have them.
type Reasons = BTreeMap<(Code, String), u64>;

/// Costs and keys, those that cost least at hand.
type Failing = BinaryHeap<Reverse<(i64, i64)>>;

impl Session<'_> {
    fn judge(&mut self, one: &Living) -> Result<(), StoreError> {
        let place = match self.scopes.entry(one.ids) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let scope = self.dimensions.scope(one.ids)?;
                new.insert(self.filter.admits(&scope).then(|| (scope, Rejudged::default())))
            }
        };
        let Some((scope, sums)) = place else { return Ok(()) };
        if one.state == State::Unknown {
            self.unknown += 1;
            return Ok(());
        }
        let named = one.local.as_deref().map(|local| self.dimensions.arn(local, scope, one.ids)).transpose()?;
        let named = named.as_ref().unwrap_or(self.placeholder);
        let (draft, errors) = self.judge.verdict(scope, one.ids, one.set, one.name.as_deref(), named);
        sums.add(one.state, draft, one.cost);
        if newly_fails(one.state, draft) {
            *self.newly.entry(i64::from(errors)).or_default() += 1;
            self.failing.push(Reverse((one.cost.map_or(-1, |cost| cost.micros()), one.key)));
            if self.failing.len() > self.most {
                self.failing.pop();
            }
        }
        Ok(())
    }

    /// Judges half of a snapshot.
    fn judge_read(
        &mut self,
        view: &View<'_>,
        [night, lowest, highest, parity]: [i64; 4],
        draft: &Draft<'_>,
        book: Option<&CostBook>,
    ) -> Result<(), StoreError> {
        let asked = params![night, lowest, highest, parity, draft.named, draft.exempts()];
        let mut read = statement(view.db(), sql::LIVING_TO_JUDGE)?;
        let mut rows = read.query(asked).attempt(FAILED)?;
        while let Some(row) = rows.next().attempt(FAILED)? {
            self.judge(&living(row, book).attempt(FAILED)?)?;
        }
        Ok(())
    }

    /// Judges what is held of the newest snapshot.
    fn judge_held(
        &mut self,
        view: &View<'_>,
        all: impl Iterator<Item = (i64, ScopeIds, Option<Now>)>,
        book: Option<&CostBook>,
    ) -> Result<(), StoreError> {
        for (key, ids, now) in all {
            let (state, set, cost) = match now {
                Some(now) => (now.state, now.tag_set, now.cost),
                None => {
                    let Some(row) = view.look_up_living(key)? else { continue };
                    (state(row.state), row.tag_set, row.cost(book))
                }
            };
            self.judge(&Living { key, ids, set, state, cost, name: None, local: None })?;
        }
        Ok(())
    }

    /// Adds what it came to; those that newly fail to others of theirs.
    fn end(self, found: &mut BTreeMap<Scope, Rejudged>, reasons: &mut Reasons, failing: &mut Failing) -> u64 {
        for (errors, resources) in self.newly {
            for error in self.judge.errors.of(u32::try_from(errors).unwrap_or(u32::MAX)) {
                *reasons.entry(error.clone()).or_default() += resources;
            }
        }
        for (scope, sums) in self.scopes.into_values().flatten() {
            *found.entry(scope).or_default() += sums;
        }
        failing.extend(self.failing);
        self.unknown
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
        let at_hand = self.at_hand(snapshot);
        let draft =
            Draft::read(self.db(), draft, day_of(snapshot.started_at), at_hand.as_ref().map(|held| &held.sets))?;
        // What is held has neither names nor ARNs, and of a night that is no longer the newest it has costs.
        let living = self.living(snapshot).filter(|_| book.is_some() && !draft.named && !draft.exempts());
        let placeholder: Arn =
            PLACEHOLDER.parse().map_err(|_| StoreError::Content { what: "an ARN", given: PLACEHOLDER.to_owned() })?;
        let dimensions = self.dimensions();
        let sessions = self.in_halves(|view, half| {
            let mut session = Session {
                judge: Judge::by(&draft),
                dimensions,
                filter,
                placeholder: &placeholder,
                most,
                scopes: HashMap::default(),
                newly: ByNumber::default(),
                failing: BinaryHeap::new(),
                unknown: 0,
            };
            match living.as_ref().and_then(|living| living.all(&half.keys())) {
                Some(all) => session.judge_held(view, all, book)?,
                None => session.judge_read(view, half.of(snapshot), &draft, book)?,
            }
            Ok(session)
        })?;
        let (mut found, mut scopes, mut failing) = (Rejudging::default(), BTreeMap::new(), Failing::new());
        for session in sessions {
            found.unknown += session.end(&mut scopes, &mut found.reasons, &mut failing);
        }
        found.scopes = scopes.into_iter().collect();
        let mut failing: Vec<i64> = failing.into_sorted_vec().into_iter().map(|Reverse((_, key))| key).collect();
        failing.truncate(most);
        found.failing = self.resources_of(snapshot, &failing)?;
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
        let at_hand = self.at_hand(snapshot);
        let draft =
            Draft::read(self.db(), draft, day_of(snapshot.started_at), at_hand.as_ref().map(|held| &held.sets))?;
        let mut judge = Judge::by(&draft);
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
        let named = self.named(changed)?;
        let name = side.name().map(|name| &**name);
        Ok(judge.verdict(&changed.scope, changed.ids, side.tag_set(), name, &named).0)
    }
}

const FAILED: &str = "judge by a draft";

/// Stands for a name that nobody asks for.
const PLACEHOLDER: &str = "arn:aws:s3:::unnamed";
