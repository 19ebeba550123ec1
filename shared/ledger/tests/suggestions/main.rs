//! Predictions on generated estates whose missing values only the test knows. The confidence of a prediction must be its measured
//! accuracy, and nothing may be predicted when the estate has no evidence.

#[cfg(test)]
mod datasets;
#[cfg(test)]
mod predictions;

#[cfg(test)]
mod tests {
    use tagledger_analysis::prediction::{
        CONFIDENCE_THRESHOLD,
        metrics::{ReliabilityReport, evaluate_predictions, wilson_lower_bound},
    };

    use crate::{
        datasets::{Estate, clean, messy, no_signal, shared_networks},
        predictions::{Answer, Baselines, predict_with_report, predict_without_report},
    };

    /// Seeds of estates that were not used when the model was developed.
    const SEEDS: [u64; 2] = [70_001, 80_002];

    /// The predictions of all missing tags, of all estates of one kind together.
    fn predict_all(make: fn(u64) -> Estate) -> (Vec<Answer>, Baselines) {
        let (mut answers, mut baselines) = (Vec::new(), Baselines::default());
        for seed in SEEDS {
            let estate = make(seed);
            let (more, of_estate) = predict_without_report(&estate);
            answers.extend(more);
            baselines += of_estate;
        }
        (answers, baselines)
    }

    fn grade_answers(answers: &[Answer]) -> ReliabilityReport {
        let graded: Vec<_> = answers.iter().filter_map(|answer| answer.graded).collect();
        evaluate_predictions(&graded, CONFIDENCE_THRESHOLD)
    }

    /// Checks the coverage, precision, calibration and accuracy of the predictions for a kind of estate.
    #[track_caller]
    fn assert_accuracy(name: &str, make: fn(u64) -> Estate, margin: f64) {
        let (answers, baselines) = predict_all(make);
        let grades = grade_answers(&answers);
        let best = baselines.best();
        let confident = grades.at_thresholds.iter().find(|at_least| at_least.confidence == 0.9).unwrap();
        let (precision, bound) = (confident.precision.unwrap(), confident.lower_bound.unwrap());
        let error = grades.expected_calibration_error.unwrap();
        // The accuracy is over all missing tags, also those without a prediction.
        let correct = answers.iter().filter(|answer| answer.graded.is_some_and(|graded| graded.is_correct)).count();
        #[expect(clippy::cast_precision_loss, reason = "the counts are thousands")]
        let accuracy = correct as f64 / answers.len() as f64;
        println!(
            "{name}: {} missing, accuracy {accuracy:.3} (best baseline {best:.3}), coverage {:.3}, precision {:.3}, at 0.9: {} with {precision:.3} (>= {bound:.3}), calibration error {error:.3}, Brier {:.3}",
            answers.len(),
            grades.coverage.unwrap(),
            grades.precision.unwrap(),
            confident.suggestions,
            grades.brier.unwrap(),
        );
        assert!(confident.suggestions >= 200, "{name}: {confident:?}");
        assert!(precision >= 0.9 && bound >= 0.85, "{name}: {confident:?}");
        assert!(error <= 0.05, "{name}: {error} {:#?}", grades.reliability);
        assert!(accuracy >= best + margin, "{name}: {accuracy} against {best}");
    }

    /// Where resources follow naming conventions, the accuracy exceeds the best baseline by at least 0.4, confident
    /// predictions have a precision of at least 0.9, and the calibration error is at most 0.05.
    #[test]
    fn clean_conventions_give_accurate_predictions() {
        assert_accuracy("clean", clean, 0.4);
    }

    /// Where many names are misleading, confident predictions still have a precision of at least 0.9 and a calibration
    /// error of at most 0.05.
    #[test]
    fn misleading_names_keep_confident_precision() {
        assert_accuracy("messy", messy, 0.4);
    }

    /// Where teams share networks and security groups, confident predictions still have a precision of at least 0.9 and
    /// a calibration error of at most 0.05.
    #[test]
    fn shared_networks_keep_confident_precision() {
        assert_accuracy("shared networks", shared_networks, 0.4);
    }

    /// Where tag values are random, at most two percent of the missing tags get a prediction above the confidence
    /// threshold.
    #[test]
    fn random_tags_give_almost_no_predictions() {
        let (answers, _) = predict_all(no_signal);
        let reported = answers
            .iter()
            .filter_map(|answer| answer.graded)
            .filter(|graded| graded.confidence >= CONFIDENCE_THRESHOLD);
        let reported = reported.count();
        println!("no signal: {reported} of {} answered", answers.len());
        assert!(answers.len() > 500 && reported * 50 <= answers.len(), "{reported} of {}", answers.len());
    }

    /// The precision that cross-validation reports is at most 0.01 above the true precision. With complete groups
    /// hidden, the accuracy still exceeds every baseline by more than 0.2.
    #[test]
    fn cross_validation_does_not_overstate_precision() {
        for make in [clean, messy, shared_networks] {
            let estate = make(SEEDS[1]);
            let (answers, baselines, found) = predict_with_report(&estate);
            let confident = |grades: &ReliabilityReport| {
                grades.at_thresholds.iter().find(|at_least| at_least.confidence == 0.9).cloned()
            };
            let (truth, claim) =
                (confident(&grade_answers(&answers)).unwrap(), confident(&found.overall.as_tags_are_missing).unwrap());
            assert!(claim.precision.unwrap() <= truth.precision.unwrap() + 0.01, "{claim:?} against {truth:?}");
            let masked_groups = &found.overall.whole_groups_hidden;
            let baseline_shares = found.overall.baselines;
            let best =
                [baseline_shares.estate_majority, baseline_shares.account_majority, baseline_shares.vpc_majority]
                    .map(Option::unwrap);
            assert!(
                masked_groups.accuracy.unwrap() > best.into_iter().fold(0.0, f64::max) + 0.2,
                "{masked_groups:?} {baselines:?}"
            );
            assert_eq!(found.tags.len(), 4);
        }
    }

    /// Every predicted value is a value that some resource of the simulated dataset should have.
    #[test]
    fn predicted_values_exist_in_dataset() {
        let estate = messy(SEEDS[0]);
        let (answers, _) = predict_without_report(&estate);
        let correct_values = estate.values();
        for answer in answers {
            assert!(answer.value.is_none_or(|value| correct_values.contains(&value)));
        }
    }

    /// The Wilson lower bound for ten successes in ten trials equals the value of the formula.
    #[test]
    fn wilson_bound_matches_formula() {
        // Of 10 in 10: 10 / (10 + 1.96^2).
        assert!((wilson_lower_bound(1.0, 10.0) - 10.0 / (10.0 + 1.959_964_f64.powi(2))).abs() < 1e-6);
    }
}
