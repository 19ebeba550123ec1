//! `tagledger audit`: prints the audit log.

use std::process::ExitCode;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tagledger_audit::{AuditEntry, AuditQuery, read_audit};

use super::now;
use crate::{
    cli::{AuditArguments, Since},
    failure::Failure,
    output::print_line,
};

pub(crate) fn run(arguments: &AuditArguments) -> Result<ExitCode, Failure> {
    let query = AuditQuery {
        since: arguments.since.map(|since| start_of(since, now())),
        caller: arguments.caller.clone(),
        tool: arguments.tool.clone(),
        limit: Some(arguments.limit),
    };
    let format_entry = if arguments.csv { format_csv } else { format_line };
    print_line(if arguments.csv {
        "at,caller,tool,arguments,outcome,rows,bytes,micros,aws_lookups,trace_id".to_owned()
    } else {
        format!(
            "{:<24}  {:<8}  {:<26}  {:<10}  {:>6}  {:>8}  {:>9}  {:>5}",
            "AT", "CALLER", "TOOL", "OUTCOME", "ROWS", "BYTES", "MS", "AWS"
        )
    });
    read_audit(&arguments.setting.audit, &query, |entry| print_line(format_entry(&entry)))?;
    Ok(ExitCode::SUCCESS)
}

fn start_of(since: Since, now: Timestamp) -> Timestamp {
    match since {
        Since::Hours(hours) => now.checked_sub(hours.hours()).unwrap_or(Timestamp::MIN),
        Since::Day(day) => midnight(day),
    }
}

fn midnight(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
}

fn format_line(entry: &AuditEntry) -> String {
    let AuditEntry { at, caller, tool, outcome, rows, bytes, micros, aws_lookups, .. } = entry;
    let milliseconds = format!("{}.{:03}", micros / 1000, micros % 1000);
    let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!(
        "{at:<24}  {caller:<8}  {tool:<26}  {outcome:<10}  {rows:>6}  {bytes:>8}  {milliseconds:>9}  {aws_lookups:>5}"
    )
}

/// No field needs quoting: each is an ID, the name of a tool or a number, and none starts a formula.
fn format_csv(entry: &AuditEntry) -> String {
    let AuditEntry { at, caller, tool, arguments, outcome, rows, bytes, micros, aws_lookups, trace_id } = entry;
    format!("{at},{caller},{tool},{arguments},{outcome},{rows},{bytes},{micros},{aws_lookups},{trace_id}")
}
