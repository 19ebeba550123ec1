//! A report as a table (RFC 4180). A spreadsheet takes a cell that begins like a formula for one, and runs it.

use csv::{QuoteStyle, Terminator, WriterBuilder};

use super::{
    answer::Answer,
    generate_compliance_report::Body,
    report_facts::{Facts, Money, TopViolation, Worst},
};

const HEAD: [&str; 6] = ["section", "item", "count", "score", "amount", "detail"];

/// The whole table; lines end as RFC 4180 has them.
pub(crate) fn document(facts: &Facts, answer: &Answer<Body>) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    let summary = facts.summary();
    let row = |section: &str, item: &str| [section, item, "", "", "", ""].map(str::to_owned);
    let counted = |section: &str, item: &str, count: u64| {
        let mut row = row(section, item);
        row[2] = count.to_string();
        row
    };
    let mut first = row("report", &facts.day.to_string());
    first[3] = score(answer.body.overall_compliance);
    first[5] = answer.provenance();
    rows.push(first);
    for (item, count) in [
        ("total_resources", summary.total_resources),
        ("compliant", summary.compliant),
        ("non_compliant", summary.non_compliant),
        ("not_applicable", summary.not_applicable),
        ("unknown", summary.unknown),
        ("exempt", summary.exempt),
    ] {
        rows.push(counted("summary", item, count));
    }
    rows.extend(facts.money.iter().flat_map(money));
    if let Some(change) = &facts.change {
        for (item, count) in
            [("opened", change.opened), ("fixed", change.fixed), ("ended_otherwise", change.ended_otherwise)]
        {
            let mut row = counted("change", item, count);
            row[5].clone_from(&change.since);
            rows.push(row);
        }
        let mut row = row("change", "score_then");
        row[3] = score(change.compliance_score);
        row[5].clone_from(&change.since);
        rows.push(row);
    }
    rows.extend(facts.by_count.iter().map(|one| violation("violation_by_count", one)));
    rows.extend(facts.by_cost.iter().map(|one| violation("violation_by_cost", one)));
    rows.extend(facts.accounts.iter().map(|one| worst("account", one)));
    rows.extend(facts.types.iter().map(|one| worst("resource_type", one)));
    let currency = facts.money.as_ref().map_or("", |money| money.currency.as_str());
    for one in &facts.advice {
        let mut row = counted("recommendation", &one.tag, one.resources);
        row[4] = format!("{:.2}", one.monthly_cost);
        row[5] = one.sentence(currency, str::to_owned);
        rows.push(row);
    }
    rows.extend(answer.coverage.lines().into_iter().map(|line| row("not_seen", &line)));
    write(&rows)
}

fn score(score: Option<f64>) -> String {
    score.map_or_else(String::new, |score| format!("{score:.4}"))
}

fn money(money: &Money) -> [[String; 6]; 4] {
    let row = |item: &str, amount: f64| {
        let detail = format!("{} {}", money.currency, money.time_period.words());
        ["money".to_owned(), item.to_owned(), String::new(), String::new(), format!("{amount:.2}"), detail]
    };
    [
        row("total_cloud_spend", money.total_cloud_spend),
        row("attributable_spend", money.attributable_spend),
        row("attribution_gap", money.attribution_gap),
        row("other_spend", money.other_spend),
    ]
}

fn violation(section: &str, one: &TopViolation) -> [String; 6] {
    let amount = one.cost_impact.map_or_else(String::new, |cost| format!("{cost:.2}"));
    [section.to_owned(), one.violation.clone(), one.count.to_string(), String::new(), amount, one.tag.clone()]
}

fn worst(section: &str, one: &Worst) -> [String; 6] {
    let amount = one.attribution_gap.map_or_else(String::new, |gap| format!("{gap:.2}"));
    let count = one.non_compliant.to_string();
    [section.to_owned(), one.name.clone(), count, score(one.compliance_score), amount, String::new()]
}

fn write(rows: &[[String; 6]]) -> String {
    let mut writer =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new());
    for row in rows {
        // Writing to memory cannot fail, and all rows are of one length.
        drop(writer.write_record(row.iter().map(|cell| harmless(cell))));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// A cell that no spreadsheet takes for a formula; numbers stay as they are.
fn harmless(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    if formula && cell.parse::<f64>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_like_a_formula_is_none_and_comes_back_as_it_was() {
        let texts = ["=1+1", "+x", "-2+3", "@SUM(A1)", "\t=1", "|x", "a,b \"c\"\r\nd", "-367.35", "plain"];
        let rows: Vec<[String; 6]> =
            texts.iter().map(|text| [*text, "", "", "", "", "end"].map(str::to_owned)).collect();
        let table = write(&rows);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes());
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
        let expected = ["'=1+1", "'+x", "'-2+3", "'@SUM(A1)", "'\t=1", "'|x", "a,b \"c\"\r\nd", "-367.35", "plain"];
        assert_eq!(read, expected);
        assert!(table.ends_with(",end\r\n"), "{table:?}");
    }
}
