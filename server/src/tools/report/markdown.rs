//! A report as one page of Markdown.

use std::fmt::Write as _;

use crate::tools::{
    common::envelope::Answer,
    report::{
        data::{Change, Money, ReportData, TopViolation, Worst, format_amount},
        model::Body,
    },
};

/// Renders the page.
pub(crate) fn document(data: &ReportData, answer: &Answer<Body>) -> String {
    let mut page = format!("# Tag compliance, {}\n\n", data.day.strftime("%-d %B %Y"));
    page.push_str(&render_headline(data, answer.body.overall_compliance));
    let currency = data.money.as_ref().map_or("", |money| money.currency.as_str());
    push_violations(&mut page, data, currency);
    push_worst(&mut page, "account", &data.accounts, currency);
    push_worst(&mut page, "resource type", &data.types, currency);
    if !data.recommendations.is_empty() {
        page.push_str("\n## What to tag first\n\n");
        for (index, one) in data.recommendations.iter().enumerate() {
            push_line(&mut page, &format!("{}. {}", index + 1, one.sentence(currency, format_code)));
        }
    }
    let gaps = answer.coverage.lines();
    if !gaps.is_empty() {
        page.push_str("\n## Not read\n\n");
        gaps.iter().for_each(|gap| push_line(&mut page, &format!("- {}", escape_markdown(gap))));
    }
    push_line(&mut page, &format!("\n{}", escape_markdown(&answer.provenance())));
    page
}

fn push_line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn render_headline(data: &ReportData, score: Option<f64>) -> String {
    let summary = data.summary();
    let evaluated = summary.compliant + summary.non_compliant;
    let mut text = match score {
        Some(score) => format!(
            "**{}** of {evaluated} evaluated resources have every required tag ({} compliant, {} not compliant)",
            format_percent(score),
            summary.compliant,
            summary.non_compliant
        ),
        None => "**No resource could be evaluated**".to_owned(),
    };
    if let Some(change) = &data.change {
        text.push_str(&describe_change(change, score));
    }
    text.push_str(".\n");
    let others = [
        (summary.not_applicable, "require no tag"),
        (summary.unknown, "could not be read"),
        (summary.exempt, "are exempt"),
    ];
    let others: Vec<String> = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !others.is_empty() {
        // Writing to a string cannot fail.
        writeln!(text, "\nOf {} resources {}.", summary.total_resources, others.join(", ")).ok();
    }
    if let Some(money) = &data.money {
        text.push_str(&describe_bill(money));
    }
    text
}

/// The change and its causes in a phrase.
fn describe_change(change: &Change, score: Option<f64>) -> String {
    let Change { since, opened, fixed, ended_otherwise, judged_more, .. } = change;
    let points = score.zip(change.compliance_score).map(|(now, then)| format!("{:+.1} points", (now - then) * 100.0));
    let mut phrase =
        format!(", {} since {since}: {opened} violations were opened, {fixed} were fixed", points.unwrap_or_default());
    if *ended_otherwise > 0 {
        write!(phrase, ", {ended_otherwise} ended for other reasons").ok();
    }
    match judged_more {
        0 => {}
        more if *more > 0 => drop(write!(phrase, "; {more} more resources are evaluated")),
        fewer => drop(write!(phrase, "; {} fewer resources are evaluated", -fewer)),
    }
    if change.policy_changed {
        phrase.push_str("; the policy has changed");
    }
    if change.coverage_changed {
        phrase.push_str("; the scopes that could be read have changed");
    }
    phrase
}

fn describe_bill(money: &Money) -> String {
    let share = money
        .attributable_percentage
        .map_or_else(String::new, |share| format!(" (**{share:.1} %** of the spend that must carry tags)"));
    format!(
        "\n{} {} was billed {}: {} attributable{share} + {} not attributable + {} that requires no tag or cannot carry tags.\n",
        escape_markdown(&money.currency),
        format_amount(money.total_cloud_spend),
        money.time_period.describe(),
        format_amount(money.attributable_spend),
        format_amount(money.attribution_gap),
        format_amount(money.other_spend),
    )
}

fn push_violations(page: &mut String, data: &ReportData, currency: &str) {
    if data.by_count.is_empty() {
        return;
    }
    let by_cost_only =
        data.by_cost.iter().filter(|one| !data.by_count.iter().any(|known| known.violation == one.violation));
    let rows: Vec<&TopViolation> = data.by_count.iter().chain(by_cost_only).collect();
    push_line(page, &format!("\n| violation | resources | {} per month |\n|---|---:|---:|", escape_markdown(currency)));
    for one in rows {
        let cost = one.cost_impact.map_or_else(|| "-".to_owned(), format_amount);
        push_line(page, &format!("| {} | {} | {cost} |", escape_markdown(&one.violation), one.count));
    }
}

fn push_worst(page: &mut String, what: &str, rows: &[Worst], currency: &str) {
    if rows.is_empty() {
        return;
    }
    push_line(
        page,
        &format!("\n| {what} | compliant | not compliant | gap, {} |\n|---|---:|---:|---:|", escape_markdown(currency)),
    );
    for one in rows {
        let score = one.compliance_score.map_or_else(|| "-".to_owned(), format_percent);
        let gap = one.attribution_gap.map_or_else(|| "-".to_owned(), format_amount);
        push_line(page, &format!("| {} | {score} | {} | {gap} |", escape_markdown(&one.name), one.non_compliant));
    }
}

fn format_percent(score: f64) -> String {
    format!("{:.1} %", score * 100.0)
}

/// Formats a value as code, in which no link is possible.
fn format_code(value: &str) -> String {
    format!("`{value}`")
}

/// Escapes the syntax of Markdown, so that untrusted text creates no link, image or table.
fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_{}[]<>#|!~".contains(character) {
            out.push('\\');
        }
        out.push(if character == '\n' { ' ' } else { character });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::report::data::format_amount;

    /// Text from tags creates no link, image, table cell, HTML element, code span or heading in a Markdown report.
    #[test]
    fn markdown_syntax_in_values_is_escaped() {
        assert_eq!(escape_markdown("![x](http://e) | <b>`a`\n# b"), "\\!\\[x\\](http://e) \\| \\<b\\>\\`a\\` \\# b");
    }

    /// Amounts are written with thousands separators and two decimals, also if they are negative or zero.
    #[test]
    fn amounts_have_separators_and_two_decimals() {
        assert_eq!([1234.5, -0.29, 0.0].map(format_amount), ["1,234.50", "-0.29", "0.00"]);
    }
}
