//! A report as CSV (RFC 4180). Cells that begin like a formula are escaped, because a spreadsheet would run them.

use csv::{QuoteStyle, Terminator, WriterBuilder};

use crate::tools::{
    common::envelope::Answer,
    report::{
        data::{Money, ReportData, TopViolation, Worst},
        model::Body,
    },
};

const HEAD: [&str; 6] = ["section", "item", "count", "score", "amount", "detail"];

/// Renders the table. Lines end with CRLF.
pub(crate) fn document(data: &ReportData, answer: &Answer<Body>) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    let summary = data.summary();
    let row = |section: &str, item: &str| [section, item, "", "", "", ""].map(str::to_owned);
    let count_row = |section: &str, item: &str, count: u64| {
        let mut row = row(section, item);
        row[2] = count.to_string();
        row
    };
    let mut first = row("report", &data.day.to_string());
    first[3] = format_score(answer.body.overall_compliance);
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
        rows.push(count_row("summary", item, count));
    }
    rows.extend(data.money.iter().flat_map(money_rows));
    if let Some(change) = &data.change {
        for (item, count) in
            [("opened", change.opened), ("fixed", change.fixed), ("ended_otherwise", change.ended_otherwise)]
        {
            let mut row = count_row("change", item, count);
            row[5].clone_from(&change.since);
            rows.push(row);
        }
        let mut row = row("change", "score_then");
        row[3] = format_score(change.compliance_score);
        row[5].clone_from(&change.since);
        rows.push(row);
    }
    rows.extend(data.by_count.iter().map(|one| violation_row("violation_by_count", one)));
    rows.extend(data.by_cost.iter().map(|one| violation_row("violation_by_cost", one)));
    rows.extend(data.accounts.iter().map(|one| worst_row("account", one)));
    rows.extend(data.types.iter().map(|one| worst_row("resource_type", one)));
    let currency = data.money.as_ref().map_or("", |money| money.currency.as_str());
    for one in &data.recommendations {
        let mut row = count_row("recommendation", &one.tag, one.resources);
        row[4] = format!("{:.2}", one.monthly_cost);
        row[5] = one.sentence(currency, str::to_owned);
        rows.push(row);
    }
    rows.extend(answer.coverage.lines().into_iter().map(|line| row("not_seen", &line)));
    write_csv(&rows)
}

fn format_score(score: Option<f64>) -> String {
    score.map_or_else(String::new, |score| format!("{score:.4}"))
}

fn money_rows(money: &Money) -> [[String; 6]; 4] {
    let row = |item: &str, amount: f64| {
        let detail = format!("{} {}", money.currency, money.time_period.describe());
        ["money".to_owned(), item.to_owned(), String::new(), String::new(), format!("{amount:.2}"), detail]
    };
    [
        row("total_cloud_spend", money.total_cloud_spend),
        row("attributable_spend", money.attributable_spend),
        row("attribution_gap", money.attribution_gap),
        row("other_spend", money.other_spend),
    ]
}

fn violation_row(section: &str, one: &TopViolation) -> [String; 6] {
    let amount = one.cost_impact.map_or_else(String::new, |cost| format!("{cost:.2}"));
    [section.to_owned(), one.violation.clone(), one.count.to_string(), String::new(), amount, one.tag.clone()]
}

fn worst_row(section: &str, one: &Worst) -> [String; 6] {
    let amount = one.attribution_gap.map_or_else(String::new, |gap| format!("{gap:.2}"));
    let count = one.non_compliant.to_string();
    [section.to_owned(), one.name.clone(), count, format_score(one.compliance_score), amount, String::new()]
}

fn write_csv(rows: &[[String; 6]]) -> String {
    let mut writer =
        WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).from_writer(Vec::new());
    for row in rows {
        // Writing to memory cannot fail, and all rows have the same length.
        drop(writer.write_record(row.iter().map(|cell| escape_formula(cell))));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Prefixes a cell that a spreadsheet would interpret as a formula. Numbers are unchanged.
fn escape_formula(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    if is_formula && cell.parse::<f64>().is_err() { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell that begins like a spreadsheet formula gets a leading apostrophe. Negative numbers, quotes, commas and
    /// line breaks are read back unchanged, and rows end with CRLF.
    #[test]
    fn formula_cells_are_prefixed_and_round_trip() {
        let texts = ["=1+1", "+x", "-2+3", "@SUM(A1)", "\t=1", "|x", "a,b \"c\"\r\nd", "-367.35", "plain"];
        let rows: Vec<[String; 6]> =
            texts.iter().map(|text| [*text, "", "", "", "", "end"].map(str::to_owned)).collect();
        let table = write_csv(&rows);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes());
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
        let expected = ["'=1+1", "'+x", "'-2+3", "'@SUM(A1)", "'\t=1", "'|x", "a,b \"c\"\r\nd", "-367.35", "plain"];
        assert_eq!(read, expected);
        assert!(table.ends_with(",end\r\n"), "{table:?}");
    }
}
