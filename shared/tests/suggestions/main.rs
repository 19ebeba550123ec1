//! Suggestions on simulated estates whose truth the ledger is never told: what is said with confidence is right as often as it
//! says, and where nothing is to be known nothing is said.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod estates;

#[cfg(test)]
mod tests {
    use shared::suggest::{
        THRESHOLD,
        evaluate::{Grades, grades, wilson},
    };

    use crate::{
        asked::{Answer, Baselines, ask, examined},
        estates::{Estate, clean, messy, no_signal, shared_networks},
    };

    /// Estates of these seeds were never looked at while the model was made.
    const SEEDS: [u64; 2] = [70_001, 80_002];

    /// What the ledger says of every tag that is missing, all estates of one kind together.
    fn asked(make: fn(u64) -> Estate) -> (Vec<Answer>, Baselines) {
        let (mut answers, mut baselines) = (Vec::new(), Baselines::default());
        for seed in SEEDS {
            let estate = make(seed);
            let (more, of_this) = ask(&estate);
            answers.extend(more);
            baselines += of_this;
        }
        (answers, baselines)
    }

    fn graded(answers: &[Answer]) -> Grades {
        let graded: Vec<_> = answers.iter().filter_map(|answer| answer.graded).collect();
        grades(&graded, THRESHOLD)
    }

    /// What must hold of an estate where something is to be known.
    #[track_caller]
    fn holds(name: &str, make: fn(u64) -> Estate, margin: f64) {
        let (answers, baselines) = asked(make);
        let grades = graded(&answers);
        let best = baselines.best();
        let sure = grades.at_least.iter().find(|at_least| at_least.confidence == 0.9).unwrap();
        let (precision, bound) = (sure.precision.unwrap(), sure.lower_bound.unwrap());
        let error = grades.expected_calibration_error.unwrap();
        // The accuracy is over all missing tags, also those of which nothing is known.
        let right = answers.iter().filter(|answer| answer.graded.is_some_and(|graded| graded.right)).count();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let accuracy = right as f64 / answers.len() as f64;
        println!(
            "{name}: {} missing, accuracy {accuracy:.3} (best baseline {best:.3}), coverage {:.3}, precision {:.3}, at 0.9: {} with {precision:.3} (>= {bound:.3}), calibration error {error:.3}, Brier {:.3}",
            answers.len(),
            grades.coverage.unwrap(),
            grades.precision.unwrap(),
            sure.suggestions,
            grades.brier.unwrap(),
        );
        assert!(sure.suggestions >= 200, "{name}: {sure:?}");
        assert!(precision >= 0.9 && bound >= 0.85, "{name}: {sure:?}");
        assert!(error <= 0.05, "{name}: {error} {:#?}", grades.reliability);
        assert!(accuracy >= best + margin, "{name}: {accuracy} against {best}");
    }

    #[test]
    fn where_conventions_are_kept_nearly_every_missing_tag_is_known() {
        holds("clean", clean, 0.4);
    }

    #[test]
    fn where_names_lie_what_is_said_with_confidence_is_right_all_the_same() {
        holds("messy", messy, 0.4);
    }

    #[test]
    fn where_teams_share_networks_what_is_said_with_confidence_is_right_all_the_same() {
        holds("shared networks", shared_networks, 0.4);
    }

    #[test]
    fn where_nothing_is_to_be_known_nothing_is_said() {
        let (answers, _) = asked(no_signal);
        let said = answers.iter().filter_map(|answer| answer.graded).filter(|graded| graded.confidence >= THRESHOLD);
        let said = said.count();
        println!("no signal: {said} of {} answered", answers.len());
        assert!(answers.len() > 500 && said * 50 <= answers.len(), "{said} of {}", answers.len());
    }

    #[test]
    fn an_examination_claims_no_more_than_the_truth_bears_out() {
        for make in [clean, messy, shared_networks] {
            let estate = make(SEEDS[1]);
            let (answers, baselines, found) = examined(&estate);
            let sure = |grades: &Grades| grades.at_least.iter().find(|at_least| at_least.confidence == 0.9).cloned();
            let (truth, claim) = (sure(&graded(&answers)).unwrap(), sure(&found.overall.as_tags_are_missing).unwrap());
            assert!(claim.precision.unwrap() <= truth.precision.unwrap() + 0.01, "{claim:?} against {truth:?}");
            let hidden = &found.overall.whole_groups_hidden;
            let most = found.overall.baselines;
            let best = [most.estate_majority, most.account_majority, most.vpc_majority].map(Option::unwrap);
            assert!(hidden.accuracy.unwrap() > best.into_iter().fold(0.0, f64::max) + 0.2, "{hidden:?} {baselines:?}");
            assert_eq!(found.tags.len(), 4);
        }
    }

    #[test]
    fn values_are_of_the_policy_or_of_the_estate() {
        let estate = messy(SEEDS[0]);
        let (answers, _) = ask(&estate);
        let known = estate.values();
        for answer in answers {
            assert!(answer.value.is_none_or(|value| known.contains(&value)));
        }
    }

    #[test]
    fn wilsons_bound_is_the_textbooks() {
        // Of 10 in 10: 10 / (10 + 1.96^2).
        assert!((wilson(1.0, 10.0) - 10.0 / (10.0 + 1.959_964_f64.powi(2))).abs() < 1e-6);
    }
}
