//! `tagledger evaluate`: measures the accuracy of tag suggestions.

use std::process::ExitCode;

use tagledger_analysis::prediction::{CONFIDENCE_THRESHOLD, metrics::ReliabilityReport};
use tagledger_ledger::{EvaluationReport, LedgerReader, TagEvaluation};

use crate::{
    cli::{EvaluateArguments, EvaluateCommand},
    failure::Failure,
    output::{format_count, format_number, print_line},
};

pub(crate) fn run(arguments: &EvaluateArguments) -> Result<ExitCode, Failure> {
    let EvaluateCommand::Suggestions { store, json } = &arguments.command;
    let Some(report) = LedgerReader::new(&store.store).cross_validate(CONFIDENCE_THRESHOLD)? else {
        return Err(Failure::NoSnapshot);
    };
    if *json {
        print_line(serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        print_report(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_report(report: &EvaluationReport) {
    let resources = format_count(report.resources, "resource");
    print_line(format!(
        "Suggestions, evaluated on {resources} of snapshot {}: each required tag that is set was hidden and",
        report.snapshot_id
    ));
    print_line("predicted by a model that was trained without one fifth of the estate, which contains the resource.");
    let print_part = |title: &str, note: &str, select: fn(&TagEvaluation) -> &ReliabilityReport| {
        print_line("");
        print_line(title);
        print_line(format!("  {note}"));
        print_line("");
        print_line("  tag                       cases  accuracy  coverage       precision   Brier   calibration error");
        report.tags.iter().chain([&report.overall]).for_each(|tag| print_row(tag, select(tag)));
    };
    print_part(
        "With the tag hidden in the complete group",
        "The tag is hidden in the complete stack, scaling group or cluster of the resource; its other tags are not hidden.",
        |tag| &tag.whole_groups_hidden,
    );
    print_part(
        "With tags hidden as they are missing in this ledger",
        "Other tags are hidden as on resources that have the tag missing. This is the expected accuracy of suggest_tags.",
        |tag| &tag.as_tags_are_missing,
    );
    print_baselines(report);
    print_reliability(&report.overall.as_tags_are_missing);
}

fn tag_name(tag: &TagEvaluation) -> &str {
    tag.tag_key.as_deref().unwrap_or("all tags")
}

fn format_percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn print_row(tag: &TagEvaluation, metrics: &ReliabilityReport) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let (accuracy, coverage, precision) =
        (format_percent(metrics.accuracy), format_percent(metrics.coverage), format_percent(metrics.precision));
    let (brier, error) = (number(metrics.brier), number(metrics.expected_calibration_error));
    let (name, cases) = (tag_name(tag), format_number(metrics.cases));
    print_line(format!(
        "  {name:<22} {cases:>8}  {accuracy:>8}  {coverage:>8}  {precision:>14}  {brier:>6}  {error:>18}"
    ));
}

/// Prints the accuracy of simpler rules.
fn print_baselines(report: &EvaluationReport) {
    print_line("");
    print_line("Accuracy of the most frequent value, for comparison, with the tag hidden in the complete group");
    print_line("");
    print_line("  tag                     in the estate  in the account  in the VPC");
    for tag in report.tags.iter().chain([&report.overall]) {
        let baselines = tag.baselines;
        let [estate, account, vpc] =
            [baselines.estate_majority, baselines.account_majority, baselines.vpc_majority].map(format_percent);
        print_line(format!("  {:<22} {estate:>14}  {account:>14}  {vpc:>10}", tag_name(tag)));
    }
}

fn print_reliability(metrics: &ReliabilityReport) {
    print_line("");
    print_line("Share of correct values by confidence, with tags hidden as they are missing in this ledger");
    print_line("");
    print_line("  confidence    values  mean confidence  correct");
    for bin in &metrics.reliability {
        let (confidence, correct) = (format_percent(Some(bin.confidence)), format_percent(Some(bin.right)));
        let values = format_number(bin.suggestions);
        print_line(format!("  {:.1} to {:.1}  {values:>8}  {confidence:>15}  {correct:>7}", bin.from, bin.to));
    }
    print_line("");
    for threshold in &metrics.at_thresholds {
        let (precision, bound) = (format_percent(threshold.precision), format_percent(threshold.lower_bound));
        let values = format_count(threshold.suggestions, "value");
        print_line(format!(
            "  Confidence of {:.2} or more: {values}, {precision} correct (at least {bound}, Wilson interval of 95 %)",
            threshold.confidence
        ));
    }
}
