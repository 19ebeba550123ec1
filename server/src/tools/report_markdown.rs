//! A report to be read, in chat and on paper: one page.

use std::fmt::Write as _;

use super::{
    answer::Answer,
    generate_compliance_report::Body,
    report_facts::{Change, Facts, Money, TopViolation, Worst, grouped},
};

/// The page.
pub(crate) fn document(facts: &Facts, answer: &Answer<Body>) -> String {
    let mut page = format!("# Tag compliance, {}\n\n", facts.day.strftime("%-d %B %Y"));
    page.push_str(&headline(facts, answer.body.overall_compliance));
    let currency = facts.money.as_ref().map_or("", |money| money.currency.as_str());
    violations(&mut page, facts, currency);
    worst(&mut page, "account", &facts.accounts, currency);
    worst(&mut page, "resource type", &facts.types, currency);
    if !facts.advice.is_empty() {
        page.push_str("\n## What to tag first\n\n");
        for (place, one) in facts.advice.iter().enumerate() {
            line(&mut page, &format!("{}. {}", place + 1, one.sentence(currency, code)));
        }
    }
    let unseen = answer.coverage.lines();
    if !unseen.is_empty() {
        page.push_str("\n## Not seen\n\n");
        unseen.iter().for_each(|gap| line(&mut page, &format!("- {}", text(gap))));
    }
    line(&mut page, &format!("\n{}", text(&answer.provenance())));
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn headline(facts: &Facts, score: Option<f64>) -> String {
    let summary = facts.summary();
    let judged = summary.compliant + summary.non_compliant;
    let mut told = match score {
        Some(score) => format!(
            "**{}** of {judged} judged resources carry every required tag ({} do, {} do not)",
            percent(score),
            summary.compliant,
            summary.non_compliant
        ),
        None => "**Nothing could be judged**".to_owned(),
    };
    if let Some(change) = &facts.change {
        told.push_str(&moved(change, score));
    }
    told.push_str(".\n");
    let others = [
        (summary.not_applicable, "need no tag"),
        (summary.unknown, "could not be read"),
        (summary.exempt, "are exempt"),
    ];
    let others: Vec<String> = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !others.is_empty() {
        // Writing to a string cannot fail.
        writeln!(told, "\nOf {} resources {}.", summary.total_resources, others.join(", ")).ok();
    }
    if let Some(money) = &facts.money {
        told.push_str(&bill(money));
    }
    told
}

/// The change, and why.
fn moved(change: &Change, score: Option<f64>) -> String {
    let Change { since, opened, fixed, ended_otherwise, judged_more, .. } = change;
    let points = score.zip(change.compliance_score).map(|(now, then)| format!("{:+.1} points", (now - then) * 100.0));
    let mut told =
        format!(", {} since {since}: {opened} violations began, {fixed} were put right", points.unwrap_or_default());
    if *ended_otherwise > 0 {
        write!(told, ", {ended_otherwise} ended otherwise").ok();
    }
    match judged_more {
        0 => {}
        more if *more > 0 => drop(write!(told, "; {more} more resources are judged")),
        fewer => drop(write!(told, "; {} fewer resources are judged", -fewer)),
    }
    if change.policy_changed {
        told.push_str("; the policy is another one now");
    }
    if change.coverage_changed {
        told.push_str("; other parts of the estate could be read then");
    }
    told
}

fn bill(money: &Money) -> String {
    let share = money
        .attributable_percentage
        .map_or_else(String::new, |share| format!(" (**{share:.1} %** of what must carry tags)"));
    format!(
        "\n{} {} was billed {}: {} attributable{share} + {} not attributable + {} that needs no tag or can carry none.\n",
        text(&money.currency),
        grouped(money.total_cloud_spend),
        money.time_period.words(),
        grouped(money.attributable_spend),
        grouped(money.attribution_gap),
        grouped(money.other_spend),
    )
}

fn violations(page: &mut String, facts: &Facts, currency: &str) {
    if facts.by_count.is_empty() {
        return;
    }
    let costly =
        facts.by_cost.iter().filter(|one| !facts.by_count.iter().any(|known| known.violation == one.violation));
    let rows: Vec<&TopViolation> = facts.by_count.iter().chain(costly).collect();
    line(page, &format!("\n| violation | resources | {} a month |\n|---|---:|---:|", text(currency)));
    for one in rows {
        let cost = one.cost_impact.map_or_else(|| "-".to_owned(), grouped);
        line(page, &format!("| {} | {} | {cost} |", text(&one.violation), one.count));
    }
}

fn worst(page: &mut String, what: &str, rows: &[Worst], currency: &str) {
    if rows.is_empty() {
        return;
    }
    line(page, &format!("\n| {what} | compliant | not compliant | gap, {} |\n|---|---:|---:|---:|", text(currency)));
    for one in rows {
        let score = one.compliance_score.map_or_else(|| "-".to_owned(), percent);
        let gap = one.attribution_gap.map_or_else(|| "-".to_owned(), grouped);
        line(page, &format!("| {} | {score} | {} | {gap} |", text(&one.name), one.non_compliant));
    }
}

fn percent(score: f64) -> String {
    format!("{:.1} %", score * 100.0)
}

/// A value as it is, which even an address is no link in.
fn code(value: &str) -> String {
    format!("`{value}`")
}

/// Text without any meaning to Markdown: what others wrote makes no link, no picture and no table.
fn text(text: &str) -> String {
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

    #[test]
    fn what_others_wrote_makes_no_link_no_picture_and_no_table() {
        assert_eq!(text("![x](http://e) | <b>`a`\n# b"), "\\!\\[x\\](http://e) \\| \\<b\\>\\`a\\` \\# b");
    }

    #[test]
    fn amounts_stay_to_the_cent() {
        assert_eq!([1234.5, -0.29, 0.0].map(grouped), ["1,234.50", "-0.29", "0.00"]);
    }
}
