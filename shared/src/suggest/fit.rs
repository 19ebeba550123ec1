//! Learns how to weigh evidence, from resources whose tags are known.

use super::model::{Calibration, Candidate, KeyModel, MEASURES, Model, Reading, count, logit};

/// Steps towards the best weights.
const STEPS: usize = 120;

/// How far a step goes.
const STRIDE: f64 = 0.08;

/// What weights are pulled towards while nothing speaks against it, and how strongly, in cases.
const USUAL: [f64; 2] = [0.8, 0.5];
const PULL: f64 = 2.0;

/// Cases that a tag needs for weights and for a calibration of its own.
const ENOUGH: [usize; 2] = [80, 150];

/// Cases that are looked at together at least, when it is measured how often they are right.
const POOL: usize = 20;

/// A resource whose value is known, with what else was known when it was not.
#[derive(Debug, Clone)]
pub struct Case {
    /// The place of its tag in the policy.
    pub key: usize,
    /// What bears on it.
    pub reading: Reading,
    /// The right value.
    pub right: u32,
}

/// A case as it is learnt from.
struct Lesson {
    key: usize,
    candidates: Vec<Candidate>,
    /// The place of the right value among the candidates, if it is one.
    right: Option<usize>,
    kin: usize,
}

impl Lesson {
    fn of(case: &Case) -> Self {
        let candidates = case.reading.candidates();
        let right = candidates.iter().position(|candidate| candidate.value == case.right);
        Self { key: case.key, candidates, right, kin: case.reading.kin() }
    }
}

/// The model of these tags: weights from `lessons`, confidence from `checks`, which the weights have not seen.
pub fn fit(keys: &[&str], lessons: &[Case], checks: &[Case]) -> Model {
    let [lessons, checks] = [lessons, checks].map(|cases| cases.iter().map(Lesson::of).collect::<Vec<_>>());
    let all = |of: &[Lesson]| -> Vec<usize> { (0..of.len()).collect() };
    let mut usual = unlearnt("");
    learn(&mut usual, &lessons, &all(&lessons));
    let of_kin = |of: &[usize], kin: usize| -> Vec<usize> {
        of.iter().copied().filter(|place| checks.get(*place).is_some_and(|lesson| lesson.kin == kin)).collect()
    };
    for kin in 0..2 {
        calibrate(&mut usual, &checks, &of_kin(&all(&checks), kin), kin);
    }
    let of_key = |of: &[Lesson], key: usize| -> Vec<usize> {
        of.iter().enumerate().filter(|(_, lesson)| lesson.key == key).map(|(place, _)| place).collect()
    };
    let [enough_to_learn, enough_to_calibrate] = ENOUGH;
    let model = |(place, key): (usize, &&str)| {
        let mut model = KeyModel { key: (*key).to_owned(), ..usual.clone() };
        let (own, own_checks) = (of_key(&lessons, place), of_key(&checks, place));
        if own.len() >= enough_to_learn {
            learn(&mut model, &lessons, &own);
        }
        for kin in 0..2 {
            let own = of_kin(&own_checks, kin);
            if own.len() >= enough_to_calibrate {
                calibrate(&mut model, &checks, &own, kin);
            }
        }
        KeyModel { cases: own.len() as u64, ..model }
    };
    Model { keys: keys.iter().enumerate().map(model).collect() }
}

fn unlearnt(key: &str) -> KeyModel {
    let [frequency, source] = USUAL;
    let weights = std::iter::once(frequency).chain(std::iter::repeat_n(source, MEASURES - 1)).collect();
    let calibrations = [Calibration::default(), Calibration::default()];
    KeyModel { key: key.to_owned(), weights, none: -3.0, calibrations, spelt_twice: (0, 0), cases: 0 }
}

/// Gradient ascent on the likelihood of the right values, with steps that adapt to each weight (Adam).
fn learn(model: &mut KeyModel, lessons: &[Lesson], which: &[usize]) {
    if which.is_empty() {
        return;
    }
    let start: Vec<f64> = model.weights.iter().copied().chain([model.none]).collect();
    let (mut mean, mut spread) = (vec![0.0; start.len()], vec![0.0; start.len()]);
    for step in 1..=STEPS {
        let mut slope = vec![0.0; start.len()];
        which.iter().filter_map(|place| lessons.get(*place)).for_each(|lesson| teach(model, lesson, &mut slope));
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
        let cases = count(which.len() as u64);
        let now = model.weights.iter_mut().chain([&mut model.none]);
        let moments = mean.iter_mut().zip(&mut spread);
        for (((weight, start), slope), (mean, spread)) in now.zip(&start).zip(slope).zip(moments) {
            let slope = (slope - PULL * (*weight - start)) / cases;
            *mean = 0.9 * *mean + 0.1 * slope;
            *spread = 0.99 * *spread + 0.01 * slope * slope;
            let (mean, spread) = (*mean / (1.0 - 0.9_f64.powi(steps)), *spread / (1.0 - 0.99_f64.powi(steps)));
            *weight += STRIDE * mean / (spread.sqrt() + 1e-9);
        }
        // Evidence for a value never speaks against it.
        model.weights.iter_mut().for_each(|weight| *weight = weight.max(0.0));
    }
}

/// Adds what one case says: what the right candidate has, less what was expected.
fn teach(model: &KeyModel, lesson: &Lesson, slope: &mut [f64]) {
    let chances = model.chances(&lesson.candidates);
    let Some((none, weights)) = slope.split_last_mut() else { return };
    for (place, (candidate, chance)) in lesson.candidates.iter().zip(&chances).enumerate() {
        let due = f64::from(u8::from(lesson.right == Some(place))) - chance;
        weights.iter_mut().zip(candidate.measures).for_each(|(slope, measure)| *slope += due * measure);
    }
    let expected = 1.0 - chances.iter().sum::<f64>();
    *none += f64::from(u8::from(lesson.right.is_none())) - expected;
}

/// How often cases of about one chance are right, never less often than those of a lower one (isotonic regression, by pooling
/// neighbours that are out of order).
fn calibrate(model: &mut KeyModel, checks: &[Lesson], which: &[usize], kin: usize) {
    let mut graded: Vec<(f64, f64)> =
        which.iter().filter_map(|place| checks.get(*place)).filter_map(|lesson| grade(model, lesson)).collect();
    graded.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut pools: Vec<Pool> = Vec::new();
    for cases in graded.chunks(POOL) {
        pools.push(Pool::of(cases));
        while let [.., before, last] = pools.as_slice() {
            if before.share() < last.share() {
                break;
            }
            let pooled = before.with(last);
            pools.truncate(pools.len() - 2);
            pools.push(pooled);
        }
    }
    if let Some(calibration) = model.calibrations.get_mut(kin) {
        *calibration = Calibration(pools.iter().map(|pool| (pool.logits / pool.cases, pool.share())).collect());
    }
}

/// Cases of about one chance.
struct Pool {
    cases: f64,
    logits: f64,
    right: f64,
}

impl Pool {
    fn of(graded: &[(f64, f64)]) -> Self {
        let (logits, right) = graded.iter().fold((0.0, 0.0), |(x, right), (logit, one)| (x + logit, right + one));
        Self { cases: count(graded.len() as u64), logits, right }
    }

    fn with(&self, other: &Self) -> Self {
        Self { cases: self.cases + other.cases, logits: self.logits + other.logits, right: self.right + other.right }
    }

    /// As if half a case more had been right and half a case wrong: so few cases prove no certainty.
    fn share(&self) -> f64 {
        (self.right + 0.5) / (self.cases + 1.0)
    }
}

/// The logit of the likeliest candidate's chance, and 1 if it is the right one.
fn grade(model: &KeyModel, lesson: &Lesson) -> Option<(f64, f64)> {
    let chances = model.chances(&lesson.candidates);
    let (place, chance) = chances.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)))?;
    Some((logit(*chance), f64::from(u8::from(lesson.right == Some(place)))))
}
