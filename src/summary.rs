//! The summary that `tagledger scan` prints.

use jiff::Timestamp;
use tagledger_ledger::{
    ComplianceCounts, Filter, LedgerError, LedgerReader, Rule, ScopeRow, SnapshotSummary, query::compliance,
};
use tagledger_model::inventory::GapReason;
use tagledger_policy::{Code, Severity};

use crate::{
    costs,
    output::{format_count, format_number, print_line},
};

/// Maximum number of kinds of violation that are printed.
const MAX_RULES: usize = 5;

/// Maximum number of causes of gaps that are printed.
const MAX_GAPS: usize = 5;

/// Prints the summary of a snapshot.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only a scan of AWS prints the summary"))]
pub(crate) fn print(summary: &SnapshotSummary, reader: &LedgerReader) -> Result<(), LedgerError> {
    let snapshot = &summary.snapshot;
    let state = if snapshot.complete { "complete" } else { "partial" };
    let seconds = snapshot.finished_at.duration_since(snapshot.started_at).as_secs().unsigned_abs();
    let requests = format_count(snapshot.requests, "request");
    let duration = if seconds == 0 { "less than 1 s".to_owned() } else { format!("{seconds} s") };
    print_line(format!(
        "Snapshot {} of {}: {state}, {requests} in {duration}",
        snapshot.id,
        format_minute(snapshot.started_at)
    ));
    print_line("");
    print_score(&summary.tally);
    print_changes(summary);
    costs::print(reader)?;
    print_rules(reader)?;
    print_gaps(&summary.scopes);
    print_line("");
    print_line(
        "  To ask questions: `tagledger server` serves MCP at http://127.0.0.1:8080/mcp, `tagledger mcp` serves a desktop client.",
    );
    Ok(())
}

/// Prints the compliance score and the number of resources in each state.
pub(crate) fn print_score(tally: &ComplianceCounts) {
    let evaluated = tally.compliant + tally.non_compliant;
    match tally.score() {
        Some(score) => print_line(format!(
            "  Compliance  {:.1} %: {} of {} evaluated resources are compliant",
            score * 100.0,
            format_number(tally.compliant),
            format_number(evaluated)
        )),
        None => print_line("  Compliance  no score: no resource could be evaluated"),
    }
    print_line(format!(
        "  Resources   {}: {} compliant, {} non-compliant, {} not applicable, {} unknown, {} exempt",
        format_number(tally.total()),
        format_number(tally.compliant),
        format_number(tally.non_compliant),
        format_number(tally.not_applicable),
        format_number(tally.unknown),
        format_number(tally.exempt)
    ));
    print_line(format!("  Untagged    {} without any user-defined tag", format_number(tally.untagged)));
}

fn print_changes(summary: &SnapshotSummary) {
    if summary.snapshot.id == 1 || summary.changes.is_empty() {
        return;
    }
    let labels = [
        ("new", "new"),
        ("returned", "returned"),
        ("removed", "removed"),
        ("moved", "moved to another account or region"),
        ("left_scope", "no longer in scope"),
        ("tags", "with changed tags"),
        ("verdict", "with a changed compliance state"),
        ("lost", "no longer readable"),
        ("regained", "readable again"),
    ];
    let describe = |(kind, label): &(&str, &str)| {
        summary.changes.get(*kind).map(|resources| format!("{} {label}", format_number(*resources)))
    };
    let changes: Vec<String> = labels.iter().filter_map(describe).collect();
    print_line(format!("  Changes     {}", changes.join(", ")));
}

/// The most frequent violations of the newest snapshot.
pub(crate) fn print_rules(reader: &LedgerReader) -> Result<(), LedgerError> {
    let mut rules: Vec<(Rule, u64)> = reader.read(|session| {
        let Some(snapshot) = session.newest()? else { return Ok(Vec::new()) };
        Ok(compliance::count_by_rule(session, &snapshot, &Filter::default())?.into_iter().collect())
    })?;
    rules.retain(|(rule, _)| rule.severity == Severity::Error);
    rules.sort_by_key(|(_, resources)| std::cmp::Reverse(*resources));
    if rules.is_empty() {
        return Ok(());
    }
    print_line("");
    print_line("  Most frequent violations");
    for (rule, resources) in rules.iter().take(MAX_RULES) {
        print_line(format!("  {:>8}  {} {}", format_number(*resources), rule.tag, describe_code(rule.code)));
    }
    Ok(())
}

fn describe_code(code: Code) -> &'static str {
    match code {
        Code::Missing => "is missing",
        Code::Empty => "is empty",
        Code::Blank => "is blank",
        Code::Placeholder => "is a placeholder",
        Code::NotAllowed => "has a value that is not allowed",
        Code::Regex => "does not match its pattern",
        Code::ValueCase => "has a value in the wrong letter case",
        Code::ValueWhitespace => "has a value with extra white space",
        Code::NotADate => "is not a date",
        Code::Expired => "has expired",
        Code::TooLong => "is too long",
        Code::BadChars => "has characters that are not allowed",
        Code::KeyCaseMismatch => "has a key in the wrong letter case",
        Code::KeyNearMiss => "has a misspelled key",
        Code::DuplicateKeyVariant => "has two spellings",
        Code::ConflictingValues => "has two spellings with different values",
        Code::TagLimitNear => "the number of tags is close to the AWS limit",
    }
}

fn print_gaps(scopes: &[ScopeRow]) {
    let mut groups: Vec<(String, GapReason, Vec<&ScopeRow>)> = Vec::new();
    for row in scopes {
        let Some(gap) = &row.gap else { continue };
        let title = format!("{} in account {}", gap.operation, row.scope.account);
        match groups.iter_mut().find(|(other, reason, _)| *other == title && *reason == gap.reason) {
            Some((_, _, rows)) => rows.push(row),
            None => groups.push((title, gap.reason, vec![row])),
        }
    }
    if groups.is_empty() {
        return;
    }
    let gaps = scopes.iter().filter(|row| row.gap.is_some()).count() as u64;
    print_line("");
    print_line(format!(
        "  Not read: {} of {} scopes; their resources count neither as compliant nor as violations",
        format_number(gaps),
        scopes.len()
    ));
    for (title, reason, rows) in groups.iter().take(MAX_GAPS) {
        print_line(format!("    {reason}: {title}, {}", describe_scopes(rows)));
        if let Some(gap) = rows.first().and_then(|row| row.gap.as_ref()) {
            print_line(format!("      Message of AWS: {}", gap.message));
        }
        print_line(format!("      {}", reason.remedy()));
    }
    if groups.len() > MAX_GAPS {
        print_line(format!("    and {} more", format_count((groups.len() - MAX_GAPS) as u64, "cause")));
    }
}

fn describe_scopes(rows: &[&ScopeRow]) -> String {
    let mut regions: Vec<&str> = rows.iter().map(|row| row.scope.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    let shown = regions.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = if regions.len() > 4 { format!(" and {} more regions", regions.len() - 4) } else { String::new() };
    let unknown: u64 = rows.iter().map(|row| row.unknown + row.stale).sum();
    let unknown = if unknown == 0 { String::new() } else { format!("; {} unknown", format_count(unknown, "resource")) };
    format!("{shown}{more} ({}{unknown})", format_count(rows.len() as u64, "scope"))
}

/// Formats a time to the minute, in UTC.
pub(crate) fn format_minute(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
