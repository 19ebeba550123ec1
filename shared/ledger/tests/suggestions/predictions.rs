//! A ledger with one snapshot of an estate, and its predictions of the missing tags.

use std::{
    collections::{BTreeMap, HashMap},
    ops::AddAssign,
};

use jiff::{Timestamp, civil::Date};
use tagledger_analysis::prediction::{CONFIDENCE_THRESHOLD, evaluation::GradedPrediction};
use tagledger_ledger::{EvaluationReport, LedgerReader, LedgerWriter, SnapshotHeader, learn::predict};
use tagledger_model::{
    account::Account,
    inventory::{Listing, RelationshipKind, Resource, Scope, TagSet, Tags},
};
use tagledger_policy::Policy;

use crate::datasets::{Estate, KEYS, POLICY};

/// What is said of one missing tag.
pub(crate) struct Answer {
    pub(crate) value: Option<String>,
    /// None where nothing is known at all.
    pub(crate) graded: Option<GradedPrediction>,
}

/// How often simple rules would have been right.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Baselines {
    asked: usize,
    estate: usize,
    account: usize,
    vpc: usize,
}

impl AddAssign for Baselines {
    fn add_assign(&mut self, other: Self) {
        self.asked += other.asked;
        self.estate += other.estate;
        self.account += other.account;
        self.vpc += other.vpc;
    }
}

impl Baselines {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub(crate) fn best(self) -> f64 {
        [self.estate, self.account, self.vpc].into_iter().max().unwrap_or_default() as f64 / self.asked.max(1) as f64
    }
}

/// Writes a night, learns, and asks about every tag that is missing.
pub(crate) fn ask(estate: &Estate) -> (Vec<Answer>, Baselines) {
    let (answers, baselines, _) = predict_missing(estate, false);
    (answers, baselines)
}

/// The same with what the ledger finds when it examines itself.
pub(crate) fn examined(estate: &Estate) -> (Vec<Answer>, Baselines, EvaluationReport) {
    let (answers, baselines, found) = predict_missing(estate, true);
    (answers, baselines, found.unwrap())
}

fn predict_missing(estate: &Estate, examine: bool) -> (Vec<Answer>, Baselines, Option<EvaluationReport>) {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Policy::parse(POLICY).unwrap());
    record(&store, &policy, estate);
    let on = Date::constant(2026, 11, 1);
    let majority = Majority::of(estate);
    let (mut answers, mut baselines) = (Vec::new(), Baselines::default());
    LedgerReader::new(&store)
        .read(|view| {
            let newest = view.newest()?.unwrap();
            let weighing = predict::load_model(view, &newest)?.expect("something was learnt");
            for (scope, resource) in &estate.resources {
                let Tags::Known(tags) = &resource.tags else { continue };
                let missing: Vec<usize> = (0..KEYS.len()).filter(|key| tags.get(KEYS[*key]).is_none()).collect();
                if missing.is_empty() {
                    continue;
                }
                let placed = predict::locate(view, &resource.arn)?;
                let suspect = placed.to_target(scope, &resource.arn, tags);
                let guesses = predict::predict(view, &suspect, &weighing, &policy, &missing, on)?;
                for (key, guess) in missing.into_iter().zip(guesses) {
                    let truth = &estate.truth[&resource.arn][KEYS[key]];
                    let value = guess.as_ref().map(|guess| guess.value.clone());
                    let graded = guess.map(|guess| GradedPrediction {
                        confidence: guess.confidence,
                        is_correct: guess.value == *truth,
                    });
                    answers.push(Answer { value, graded });
                    majority.grade(scope, resource, key, truth, &mut baselines);
                }
            }
            Ok(())
        })
        .unwrap();
    let found = examine.then(|| LedgerReader::new(&store).cross_validate(CONFIDENCE_THRESHOLD).unwrap().unwrap());
    (answers, baselines, found)
}

fn record(store: &std::path::Path, policy: &Policy, estate: &Estate) {
    let mut writer = LedgerWriter::open(store).unwrap();
    let started_at: Timestamp = "2026-11-01T02:00:00Z".parse().unwrap();
    let mut snapshot = writer.begin_snapshot(SnapshotHeader { started_at, policy, app_version: "test" }).unwrap();
    let mut scopes: BTreeMap<Scope, Vec<Resource>> = BTreeMap::new();
    for (scope, resource) in &estate.resources {
        scopes.entry(scope.clone()).or_default().push(resource.clone());
    }
    for (scope, resources) in scopes {
        snapshot
            .add_account(&Account { id: scope.account.clone(), partition: "aws".parse().unwrap(), name: None })
            .unwrap();
        snapshot.record(&scope, &Listing { resources, gap: None }).unwrap();
    }
    snapshot.finish(started_at, 1).unwrap();
    writer.train().unwrap().unwrap();
}

/// The most frequent value of everything, of each account and of each VPC.
struct Majority(HashMap<(String, usize), BTreeMap<String, usize>>);

impl Majority {
    fn of(estate: &Estate) -> Self {
        let mut counts: HashMap<(String, usize), BTreeMap<String, usize>> = HashMap::new();
        for (scope, resource) in &estate.resources {
            let Tags::Known(tags) = &resource.tags else { continue };
            for (key, value) in values(tags) {
                for place in places(scope, resource) {
                    *counts.entry((place, key)).or_default().entry(value.clone()).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    fn top(&self, place: &str, key: usize) -> Option<&str> {
        let counts = self.0.get(&(place.to_owned(), key))?;
        counts.iter().max_by_key(|(_, count)| **count).map(|(value, _)| value.as_str())
    }

    fn grade(&self, scope: &Scope, resource: &Resource, key: usize, truth: &str, into: &mut Baselines) {
        let right = |place: Option<&String>| place.and_then(|place| self.top(place, key)) == Some(truth);
        let places = places(scope, resource);
        into.asked += 1;
        into.estate += usize::from(right(places.first()));
        into.account += usize::from(right(places.get(1)));
        into.vpc += usize::from(right(places.get(2).or(places.get(1))));
    }
}

fn values(tags: &TagSet) -> Vec<(usize, String)> {
    let value = |(place, key): (usize, &&str)| Some((place, tags.get(key)?.to_owned()));
    KEYS.iter().enumerate().filter_map(value).collect()
}

fn places(scope: &Scope, resource: &Resource) -> Vec<String> {
    let vpc = resource.links.neighbours.iter().find(|neighbour| neighbour.kind == RelationshipKind::Vpc);
    ["estate".to_owned(), scope.account.to_string()].into_iter().chain(vpc.map(|vpc| vpc.name.clone())).collect()
}
