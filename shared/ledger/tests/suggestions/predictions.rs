//! A ledger with one snapshot of an estate, and its predictions of the missing tags.

use std::{
    collections::{BTreeMap, HashMap},
    ops::AddAssign,
};

use jiff::{Timestamp, civil::Date};
use tagledger_analysis::prediction::{CONFIDENCE_THRESHOLD, metrics::GradedPrediction};
use tagledger_ledger::{EvaluationReport, LedgerReader, LedgerWriter, SnapshotHeader, learn::predict};
use tagledger_model::{
    account::Account,
    inventory::{Listing, RelationshipKind, Resource, Scope, TagSet, Tags},
};
use tagledger_policy::Policy;

use crate::datasets::{Estate, KEYS, POLICY};

/// The prediction of one missing tag.
pub(crate) struct Answer {
    pub(crate) value: Option<String>,
    /// None without a prediction.
    pub(crate) graded: Option<GradedPrediction>,
}

/// How often the values of simple rules are correct.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Baselines {
    cases: usize,
    estate: usize,
    account: usize,
    vpc: usize,
}

impl AddAssign for Baselines {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.estate += other.estate;
        self.account += other.account;
        self.vpc += other.vpc;
    }
}

impl Baselines {
    #[expect(clippy::cast_precision_loss, reason = "the counts are thousands")]
    pub(crate) fn best(self) -> f64 {
        [self.estate, self.account, self.vpc].into_iter().max().unwrap_or_default() as f64 / self.cases.max(1) as f64
    }
}

/// Records a snapshot, trains the model, and predicts every missing tag.
pub(crate) fn predict_without_report(estate: &Estate) -> (Vec<Answer>, Baselines) {
    let (answers, baselines, _) = predict_missing(estate, false);
    (answers, baselines)
}

/// The same, with the report of the cross-validation.
pub(crate) fn predict_with_report(estate: &Estate) -> (Vec<Answer>, Baselines, EvaluationReport) {
    let (answers, baselines, found) = predict_missing(estate, true);
    (answers, baselines, found.unwrap())
}

fn predict_missing(estate: &Estate, validate: bool) -> (Vec<Answer>, Baselines, Option<EvaluationReport>) {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Policy::parse(POLICY).unwrap());
    record(&store, &policy, estate);
    let on = Date::constant(2026, 11, 1);
    let majority = Majority::count(estate);
    let (mut answers, mut baselines) = (Vec::new(), Baselines::default());
    LedgerReader::new(&store)
        .read(|view| {
            let newest = view.newest()?.unwrap();
            let model = predict::load_model(view, &newest)?.expect("a trained model");
            for (scope, resource) in &estate.resources {
                let Tags::Known(tags) = &resource.tags else { continue };
                let missing: Vec<usize> = (0..KEYS.len()).filter(|key| tags.get(KEYS[*key]).is_none()).collect();
                if missing.is_empty() {
                    continue;
                }
                let context = predict::locate(view, &resource.arn)?;
                let target = context.to_target(scope, &resource.arn, tags);
                let predictions = predict::predict(view, &target, &model, &policy, &missing, on)?;
                for (key, prediction) in missing.into_iter().zip(predictions) {
                    let truth = &estate.truth[&resource.arn][KEYS[key]];
                    let value = prediction.as_ref().map(|prediction| prediction.value.clone());
                    let graded = prediction.map(|prediction| GradedPrediction {
                        confidence: prediction.confidence,
                        is_correct: prediction.value == *truth,
                    });
                    answers.push(Answer { value, graded });
                    majority.grade(scope, resource, key, truth, &mut baselines);
                }
            }
            Ok(())
        })
        .unwrap();
    let found = validate.then(|| LedgerReader::new(&store).cross_validate(CONFIDENCE_THRESHOLD).unwrap().unwrap());
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

/// The most frequent value of each tag in the estate, in each account and in each VPC.
struct Majority(HashMap<(String, usize), BTreeMap<String, usize>>);

impl Majority {
    fn count(estate: &Estate) -> Self {
        let mut counts: HashMap<(String, usize), BTreeMap<String, usize>> = HashMap::new();
        for (scope, resource) in &estate.resources {
            let Tags::Known(tags) = &resource.tags else { continue };
            for (key, value) in list_values(tags) {
                for group in list_groups(scope, resource) {
                    *counts.entry((group, key)).or_default().entry(value.clone()).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    fn top(&self, group: &str, key: usize) -> Option<&str> {
        let counts = self.0.get(&(group.to_owned(), key))?;
        counts.iter().max_by_key(|(_, count)| **count).map(|(value, _)| value.as_str())
    }

    fn grade(&self, scope: &Scope, resource: &Resource, key: usize, truth: &str, into: &mut Baselines) {
        let is_correct = |group: Option<&String>| group.and_then(|group| self.top(group, key)) == Some(truth);
        let groups = list_groups(scope, resource);
        into.cases += 1;
        into.estate += usize::from(is_correct(groups.first()));
        into.account += usize::from(is_correct(groups.get(1)));
        into.vpc += usize::from(is_correct(groups.get(2).or(groups.get(1))));
    }
}

fn list_values(tags: &TagSet) -> Vec<(usize, String)> {
    let value = |(index, key): (usize, &&str)| Some((index, tags.get(key)?.to_owned()));
    KEYS.iter().enumerate().filter_map(value).collect()
}

fn list_groups(scope: &Scope, resource: &Resource) -> Vec<String> {
    let vpc = resource.links.neighbours.iter().find(|neighbour| neighbour.kind == RelationshipKind::Vpc);
    ["estate".to_owned(), scope.account.to_string()].into_iter().chain(vpc.map(|vpc| vpc.name.clone())).collect()
}
