//! Weighs evidence.

use serde::{Deserialize, Serialize};

use super::{counts::Tally, features::Source};

/// What is measured of a candidate: how frequent it is at all, and what each source says of it.
pub(super) const MEASURES: usize = 1 + Source::ALL.len();

/// Resources that a source is imagined to have beside its own, spread as in the whole estate: one that was seen once says less
/// than one that was seen often.
const IMAGINED: f64 = 1.0;

/// Bounds of what one thing shared, and a whole source, may say, as a logarithm of odds.
const BOUNDS: [(f64, f64); 2] = [(-3.0, 6.0), (-5.0, 8.0)];

/// Candidates taken from each source, and from the whole estate.
const CANDIDATES: [usize; 2] = [6, 12];

/// Alternatives told.
const ALTERNATIVES: usize = 3;

/// What is known that bears on one tag of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The values of the tag in the whole estate.
    pub prior: Tally,
    /// Of each thing that the resource shares: where it comes from, and the values of those that share it.
    pub evidence: Vec<(Source, Tally)>,
}

/// How evidence on one tag is weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyModel {
    /// The tag's key.
    pub key: String,
    /// Of how frequent a value is, then of each source in the order of [`Source::ALL`]. Never negative.
    pub(super) weights: Vec<f64>,
    /// How likely it is, as a logarithm, that the right value is none of the candidates.
    pub(super) none: f64,
    /// What makes of a chance a confidence: where kin is known, and where it is not.
    pub(super) calibrations: [Calibration; 2],
    /// Resources that have the tag in two spellings, and of these with the same value.
    pub spelt_twice: (u64, u64),
    /// Cases that the weights were learnt from.
    pub cases: u64,
}

/// What makes of a chance a confidence: logits of chances in order, each with how often cases about it were right.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration(pub(super) Vec<(f64, f64)>);

impl Calibration {
    /// A confidence that nothing has measured is no better than a coin.
    const UNMEASURED: f64 = 0.5;

    fn confidence(&self, chance: f64) -> f64 {
        let x = logit(chance);
        let after = self.0.iter().position(|(knot, _)| *knot >= x);
        let (before, after) = match after {
            Some(0) => (None, self.0.first()),
            Some(place) => (self.0.get(place - 1), self.0.get(place)),
            None => (self.0.last(), None),
        };
        match (before, after) {
            (Some((a, low)), Some((b, high))) => low + (high - low) * (x - a) / (b - a),
            (Some((_, only)), None) => *only,
            // Below all that was measured: no surer than the chance itself.
            (None, Some((_, only))) => only.min(chance),
            (None, None) => chance.min(Self::UNMEASURED),
        }
    }
}

/// How evidence is weighed, for each tag of a policy in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Of each tag.
    pub keys: Vec<KeyModel>,
}

/// The likeliest value.
#[derive(Debug, Clone, PartialEq)]
pub struct Likely {
    /// Which, by the number that the counter was given.
    pub value: u32,
    /// In how many of such cases it is right, 0 to 1.
    pub confidence: f64,
    /// What speaks for it, the weightiest first.
    pub support: Vec<Support>,
    /// Other values with their confidence, the likeliest first.
    pub alternatives: Vec<(u32, f64)>,
}

/// What speaks for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Support {
    /// Where it comes from.
    pub source: Source,
    /// Resources that share it and have the value.
    pub with: u64,
    /// Of so many that have the tag rightly.
    pub of: u64,
}

/// A value with what is measured of it.
pub(super) struct Candidate {
    pub(super) value: u32,
    pub(super) measures: [f64; MEASURES],
}

impl Reading {
    /// Whether some of what it was made together with, or is a part of, is known: 0 if so, else 1. The same chance is right more
    /// often with it than without.
    pub(super) fn kin(&self) -> usize {
        usize::from(self.evidence.iter().all(|(source, _)| *source > Source::Parent))
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let [of_source, of_all] = CANDIDATES;
        let mut values: Vec<u32> = self.prior.values.iter().take(of_all).map(|(value, _)| *value).collect();
        for (_, tally) in &self.evidence {
            values.extend(tally.values.iter().take(of_source).map(|(value, _)| *value));
        }
        values.sort_unstable();
        values.dedup();
        values.into_iter().map(|value| Candidate { value, measures: self.measure(value) }).collect()
    }

    /// How frequent a value is in the estate, never none.
    fn share(&self, value: u32) -> f64 {
        let kinds = self.prior.values.len() + 1;
        (count(self.prior.of(value)) + 0.5) / (count(self.prior.total) + 0.5 * count(kinds as u64))
    }

    fn measure(&self, value: u32) -> [f64; MEASURES] {
        let share = self.share(value);
        let [of_one, of_source] = BOUNDS;
        let mut measures = [0.0; MEASURES];
        for (source, tally) in &self.evidence {
            if let Some(measure) = measures.get_mut(1 + source.place()) {
                *measure += said(tally, value, share).clamp(of_one.0, of_one.1);
            }
        }
        measures.iter_mut().for_each(|measure| *measure = measure.clamp(of_source.0, of_source.1));
        if let Some(frequency) = measures.first_mut() {
            *frequency = share.ln();
        }
        measures
    }
}

/// By how much a value is more frequent among those that share something than in the whole estate, as a logarithm.
fn said(tally: &Tally, value: u32, share: f64) -> f64 {
    if tally.total == 0 {
        return 0.0;
    }
    ((count(tally.of(value)) + IMAGINED * share) / ((count(tally.total) + IMAGINED) * share)).ln()
}

/// Counts of resources are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) const fn count(n: u64) -> f64 {
    n as f64
}

impl KeyModel {
    /// The likeliest value; none where there is no candidate.
    pub fn likely(&self, reading: &Reading) -> Option<Likely> {
        let candidates = reading.candidates();
        let chances = self.chances(&candidates);
        let mut ranked: Vec<(f64, &Candidate)> = chances.iter().copied().zip(&candidates).collect();
        ranked.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.value.cmp(&y.value)));
        let ((chance, best), others) = ranked.split_first()?;
        let confidence = self.confidence(*chance, reading.kin());
        // What is left of certainty is shared out as the chances are.
        let rest = if *chance < 1.0 { (1.0 - confidence) / (1.0 - chance) } else { 0.0 };
        let alternative = |(chance, candidate): &(f64, &Candidate)| (candidate.value, chance * rest);
        Some(Likely {
            value: best.value,
            confidence,
            support: self.support(reading, best),
            alternatives: others.iter().take(ALTERNATIVES).map(alternative).collect(),
        })
    }

    /// How likely each candidate is, before calibration. Together with that of none of them they are 1.
    pub(super) fn chances(&self, candidates: &[Candidate]) -> Vec<f64> {
        let weigh = |candidate: &Candidate| {
            self.weights.iter().zip(candidate.measures).map(|(weight, measure)| weight * measure).sum::<f64>()
        };
        let scores: Vec<f64> = candidates.iter().map(weigh).collect();
        let top = scores.iter().copied().fold(self.none, f64::max);
        let raised = |score: f64| (score - top).exp();
        let all = raised(self.none) + scores.iter().copied().map(raised).sum::<f64>();
        scores.into_iter().map(|score| raised(score) / all).collect()
    }

    fn confidence(&self, chance: f64, kin: usize) -> f64 {
        let calibration = self.calibrations.get(kin);
        calibration.map_or(0.0, |calibration| calibration.confidence(chance))
    }

    fn support(&self, reading: &Reading, best: &Candidate) -> Vec<Support> {
        let mut support: Vec<(f64, Support)> = Vec::new();
        for (source, tally) in &reading.evidence {
            let said = said(tally, best.value, reading.share(best.value));
            let weight = self.weights.get(1 + source.place()).copied().unwrap_or_default();
            let with = tally.of(best.value);
            if with > 0 && weight * said > 0.0 {
                support.push((weight * said, Support { source: *source, with, of: tally.total }));
            }
        }
        support.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.source.cmp(&y.source)));
        let mut told = Vec::new();
        support.retain(|(_, one)| {
            !told.contains(&one.source) && {
                told.push(one.source);
                true
            }
        });
        support.into_iter().map(|(_, support)| support).collect()
    }

    /// How often a value that stands under another spelling of the key is the right one.
    pub fn confidence_in_spelling(&self) -> f64 {
        let (both, same) = self.spelt_twice;
        // Somebody who writes a key nearly right means it, in nineteen cases of twenty until more is known.
        (count(same) + 19.0) / (count(both) + 20.0)
    }
}

pub(super) fn logit(chance: f64) -> f64 {
    let chance = chance.clamp(1e-6, 1.0 - 1e-6);
    (chance / (1.0 - chance)).ln()
}
