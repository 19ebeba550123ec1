//! `tagledger evaluate`.

use std::process::ExitCode;

use shared::{
    store::{Examination, Reader, TagExamination},
    suggest::{THRESHOLD, evaluate::Grades},
};

use crate::{
    cli::{EvaluateArguments, EvaluateCommand},
    failure::Failure,
    output::{count, grouped, say},
};

pub(crate) fn run(arguments: &EvaluateArguments) -> Result<ExitCode, Failure> {
    let EvaluateCommand::Suggestions { store, json } = &arguments.command;
    let Some(found) = Reader::new(&store.store).examine_suggestions(THRESHOLD)? else {
        return Err(Failure::NoSnapshot);
    };
    if *json {
        say(serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        print(&found);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(found: &Examination) {
    let resources = count(found.resources, "resource");
    say(format!(
        "Suggestions, examined on {resources} of snapshot {}: each required tag that is there was hidden and",
        found.snapshot_id
    ));
    say("guessed by a model that had never seen a fifth of the estate, the one that the resource is in.");
    let part = |title: &str, note: &str, of: fn(&TagExamination) -> &Grades| {
        say("");
        say(title);
        say(format!("  {note}"));
        say("");
        say("  tag                       cases  accuracy  answered  of these right   Brier   calibration error");
        found.tags.iter().chain([&found.overall]).for_each(|tag| line(tag, of(tag)));
    };
    part(
        "With whole groups hidden",
        "Nobody of the resource's stack, scaling group or cluster has the tag; its other tags are shown.",
        |tag| &tag.whole_groups_hidden,
    );
    part(
        "As tags are missing here",
        "With as much hidden as resources that do lack the tag lack: what to expect of suggest_tags.",
        |tag| &tag.as_tags_are_missing,
    );
    baselines(found);
    reliability(&found.overall.as_tags_are_missing);
}

fn name(tag: &TagExamination) -> &str {
    tag.tag_key.as_deref().unwrap_or("all together")
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn line(tag: &TagExamination, grades: &Grades) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let (accuracy, coverage, precision) =
        (percent(grades.accuracy), percent(grades.coverage), percent(grades.precision));
    let (brier, error) = (number(grades.brier), number(grades.expected_calibration_error));
    let (name, cases) = (name(tag), grouped(grades.cases));
    say(format!("  {name:<22} {cases:>8}  {accuracy:>8}  {coverage:>8}  {precision:>14}  {brier:>6}  {error:>18}"));
}

/// What must be beaten.
fn baselines(found: &Examination) {
    say("");
    say("The value that most have, for comparison with whole groups hidden");
    say("");
    say("  tag                     in the estate  in the account  in the VPC");
    for tag in found.tags.iter().chain([&found.overall]) {
        let of = tag.baselines;
        let [estate, account, vpc] = [of.estate_majority, of.account_majority, of.vpc_majority].map(percent);
        say(format!("  {:<22} {estate:>14}  {account:>14}  {vpc:>10}", name(tag)));
    }
}

fn reliability(grades: &Grades) {
    say("");
    say("How often values of a confidence are right, as tags are missing here");
    say("");
    say("  confidence    values  mean confidence   right");
    for bin in &grades.reliability {
        let (confidence, right) = (percent(Some(bin.confidence)), percent(Some(bin.right)));
        let values = grouped(bin.suggestions);
        say(format!("  {:.1} to {:.1}  {values:>8}  {confidence:>15}  {right:>6}", bin.from, bin.to));
    }
    say("");
    for sure in &grades.at_least {
        let (precision, bound) = (percent(sure.precision), percent(sure.lower_bound));
        let values = count(sure.suggestions, "value");
        say(format!(
            "  At {:.2} and more: {values}, {precision} right (at least {bound}, by Wilson at 95 %)",
            sure.confidence
        ));
    }
}
