//! What a person reads after a scan.

use jiff::Timestamp;
use shared::{
    inventory::GapReason,
    policy::{Code, Severity},
    store::{Filter, NightSummary, Reader, Rule, ScopeRow, StoreError, Tally},
};

use crate::{
    costs,
    output::{count, grouped, say},
};

/// Kinds of violation shown.
const MOST_RULES: usize = 5;

/// Gaps shown.
const MOST_GAPS: usize = 5;

/// Prints a night's summary.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only a scan of AWS prints it"))]
pub(crate) fn print(night: &NightSummary, reader: &Reader) -> Result<(), StoreError> {
    let snapshot = &night.snapshot;
    let state = if snapshot.complete { "complete" } else { "partial" };
    let seconds = snapshot.finished_at.duration_since(snapshot.started_at).as_secs().unsigned_abs();
    let requests = count(snapshot.requests, "request");
    let duration = if seconds == 0 { "under a second".to_owned() } else { format!("{seconds} s") };
    say(format!("Snapshot {} of {}: {state}, {requests} in {duration}", snapshot.id, minute(snapshot.started_at)));
    say("");
    print_score(&night.tally);
    print_changes(night);
    costs::print(reader)?;
    print_rules(reader)?;
    print_gaps(&night.scopes);
    say("");
    say(
        "  Ask about it: `tagledger server` serves MCP at http://127.0.0.1:8080/mcp, `tagledger mcp` to a desktop client.",
    );
    Ok(())
}

/// The score and the five states.
pub(crate) fn print_score(tally: &Tally) {
    let judged = tally.compliant + tally.non_compliant;
    match tally.score() {
        Some(score) => say(format!(
            "  Compliance  {:.1} %: {} of {} judged resources have every required tag right",
            score * 100.0,
            grouped(tally.compliant),
            grouped(judged)
        )),
        None => say("  Compliance  no score: no resource could be judged"),
    }
    say(format!(
        "  Resources   {}: {} compliant, {} non-compliant, {} not applicable, {} unknown, {} exempt",
        grouped(tally.total()),
        grouped(tally.compliant),
        grouped(tally.non_compliant),
        grouped(tally.not_applicable),
        grouped(tally.unknown),
        grouped(tally.exempt)
    ));
    say(format!("  Untagged    {} without any tag of your own", grouped(tally.untagged)));
}

fn print_changes(night: &NightSummary) {
    if night.snapshot.id == 1 || night.changes.is_empty() {
        return;
    }
    let words = [
        ("new", "new"),
        ("returned", "back again"),
        ("removed", "removed"),
        ("moved", "moved to another region or account"),
        ("left_scope", "no longer scanned"),
        ("tags", "with other tags"),
        ("verdict", "judged otherwise"),
        ("lost", "not readable any more"),
        ("regained", "readable again"),
    ];
    let told = |(kind, word): &(&str, &str)| {
        night.changes.get(*kind).map(|resources| format!("{} {word}", grouped(*resources)))
    };
    let changes: Vec<String> = words.iter().filter_map(told).collect();
    say(format!("  Changes     {}", changes.join(", ")));
}

/// The most frequent violations of the newest snapshot.
pub(crate) fn print_rules(reader: &Reader) -> Result<(), StoreError> {
    let mut rules: Vec<(Rule, u64)> = reader.read(|view| {
        let Some(snapshot) = view.newest()? else { return Ok(Vec::new()) };
        Ok(view.rules(&snapshot, &Filter::default())?.into_iter().collect())
    })?;
    rules.retain(|(rule, _)| rule.severity == Severity::Error);
    rules.sort_by_key(|(_, resources)| std::cmp::Reverse(*resources));
    if rules.is_empty() {
        return Ok(());
    }
    say("");
    say("  Most frequent violations");
    for (rule, resources) in rules.iter().take(MOST_RULES) {
        say(format!("  {:>8}  {} {}", grouped(*resources), rule.tag, phrase(rule.code)));
    }
    Ok(())
}

fn phrase(code: Code) -> &'static str {
    match code {
        Code::Missing => "is missing",
        Code::Empty => "is empty",
        Code::Blank => "is blank",
        Code::Placeholder => "is only a placeholder",
        Code::NotAllowed => "has a value that is not allowed",
        Code::Regex => "does not match its pattern",
        Code::ValueCase => "has a value in the wrong letter case",
        Code::ValueWhitespace => "has a value with stray white space",
        Code::NotADate => "is not a date",
        Code::Expired => "has expired",
        Code::TooLong => "is too long",
        Code::BadChars => "has characters that are not allowed",
        Code::KeyCaseMismatch => "is spelt in another letter case",
        Code::KeyNearMiss => "is misspelt",
        Code::DuplicateKeyVariant => "is there in two spellings",
        Code::ConflictingValues => "is there in two spellings with different values",
        Code::TagLimitNear => "tags are nearly as many as AWS allows",
    }
}

fn print_gaps(scopes: &[ScopeRow]) {
    let mut groups: Vec<(String, GapReason, Vec<&ScopeRow>)> = Vec::new();
    for row in scopes {
        let Some(gap) = &row.gap else { continue };
        let title = format!("{} in account {}", gap.operation, row.scope.account);
        match groups.iter_mut().find(|(known, reason, _)| *known == title && *reason == gap.reason) {
            Some((_, _, rows)) => rows.push(row),
            None => groups.push((title, gap.reason, vec![row])),
        }
    }
    if groups.is_empty() {
        return;
    }
    let gaps = scopes.iter().filter(|row| row.gap.is_some()).count() as u64;
    say("");
    say(format!(
        "  Not seen: {} of {} scopes, which are neither compliant nor violations",
        grouped(gaps),
        scopes.len()
    ));
    for (title, reason, rows) in groups.iter().take(MOST_GAPS) {
        say(format!("    {reason}: {title}, {}", places(rows)));
        if let Some(gap) = rows.first().and_then(|row| row.gap.as_ref()) {
            say(format!("      AWS says: {}", gap.message));
        }
        say(format!("      {}", reason.remedy()));
    }
    if groups.len() > MOST_GAPS {
        say(format!("    and {} more", count((groups.len() - MOST_GAPS) as u64, "cause")));
    }
}

fn places(rows: &[&ScopeRow]) -> String {
    let mut regions: Vec<&str> = rows.iter().map(|row| row.scope.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    let shown = regions.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = if regions.len() > 4 { format!(" and {} more regions", regions.len() - 4) } else { String::new() };
    let unknown: u64 = rows.iter().map(|row| row.unknown + row.stale).sum();
    let unknown = if unknown == 0 { String::new() } else { format!("; {} unknown", count(unknown, "resource")) };
    format!("{shown}{more} ({}{unknown})", count(rows.len() as u64, "scope"))
}

/// A moment to the minute, in UTC.
pub(crate) fn minute(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
