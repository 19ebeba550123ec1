//! `tagledger store`: maintenance of the ledger.

use std::{ops::ControlFlow, path::Path, process::ExitCode};

use tagledger_ledger::{ChecksumState, LedgerReader, LedgerStats, LedgerWriter, MigrationProgress};
use tagledger_model::epoch_day::day_of;

use super::now;
use crate::{
    cli::{LedgerArguments, LedgerCommand},
    failure::Failure,
    output::{format_count, format_number, print_error, print_line, print_warning},
};

/// Maximum number of tables and indexes that are printed.
const MAX_TABLES: usize = 8;

pub(crate) fn run(arguments: &LedgerArguments) -> Result<ExitCode, Failure> {
    let store = arguments.store.store.as_path();
    match &arguments.command {
        LedgerCommand::Check { all } => return verify(store, *all),
        LedgerCommand::Backup { file } => {
            let bytes = LedgerReader::new(store).backup(file)?;
            print_line(format!("{} copied to {}: {}", store.display(), file.display(), format_size(bytes)));
        }
        LedgerCommand::Stats => print_stats(store, &LedgerReader::new(store).stats()?),
        LedgerCommand::Thin { retention } => {
            let retention = retention.retention.ok_or(Failure::NoRetention)?;
            let mut writer = open_existing(store)?;
            let report = writer.prune(&retention, day_of(now()))?;
            writer.checkpoint()?;
            print_line(format!(
                "{} pruned by {retention}; {} versions and {} were deleted with them",
                format_count(report.snapshots, "snapshot"),
                format_number(report.states),
                format_count(report.resources, "resource")
            ));
        }
        LedgerCommand::Upgrade => {
            open_existing(store)?.checkpoint()?;
            print_line(format!(
                "{} has the schema of this version, {}",
                store.display(),
                tagledger_ledger::SCHEMA_VERSION
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens an existing ledger for writing.
fn open_existing(store: &Path) -> Result<LedgerWriter, Failure> {
    if !store.exists() {
        return Err(tagledger_ledger::LedgerError::Missing { path: store.to_owned() }.into());
    }
    Ok(LedgerWriter::open_with_progress(store, report_upgrade)?)
}

/// Prints one line for each tenth of a migration.
pub(super) fn report_upgrade(progress: MigrationProgress) -> ControlFlow<()> {
    let MigrationProgress { from, to, done, of } = progress;
    if done % of.div_ceil(10).max(1) == 0 {
        print_warning(&format!(
            "upgrading the ledger from schema {from} to {to}: {done} of {}",
            format_count(of, "snapshot")
        ));
    }
    ControlFlow::Continue(())
}

fn verify(store: &Path, all: bool) -> Result<ExitCode, Failure> {
    let report = LedgerReader::new(store).verify(all, |part| print_line(format!("verifying {part}")))?;
    for fault in &report.faults {
        print_error(fault);
    }
    let checksum = match report.checksum {
        ChecksumState::Matches => "the checksum matches",
        ChecksumState::Absent => "no checksum: a scan is writing, or the last scan was interrupted",
        ChecksumState::Mismatch => "the checksum does not match",
    };
    let recomputed = format_count(report.snapshots, "snapshot");
    print_line(format!(
        "{}: {} rows read, {recomputed} recomputed, {checksum}",
        store.display(),
        format_number(report.rows)
    ));
    if report.faults.is_empty() {
        print_line("no errors");
        return Ok(ExitCode::SUCCESS);
    }
    let faults = report.faults.len() as u64;
    print_line(format!("{}; keep the file, and continue with a backup or a new ledger", format_count(faults, "error")));
    Ok(ExitCode::FAILURE)
}

fn print_stats(store: &Path, stats: &LedgerStats) {
    print_line(format!(
        "{}: {}, and {} in the write-ahead log",
        store.display(),
        format_size(stats.file_bytes),
        format_size(stats.log_bytes)
    ));
    match stats.span {
        Some((first, last)) => {
            let pruned =
                if stats.pruned > 0 { format!(", {} pruned", format_number(stats.pruned)) } else { String::new() };
            print_line(format!(
                "  Snapshots   {} from {} to {}{pruned}",
                format_count(stats.retained, "snapshot"),
                day_of(first),
                day_of(last)
            ));
        }
        None => print_line("  Snapshots   none"),
    }
    print_line(format!(
        "  Resources   {} current, {} in total",
        format_number(stats.current),
        format_number(stats.resources)
    ));
    print_line(format!("  Versions    {} superseded", format_number(stats.superseded_states)));
    print_line(format!(
        "  Violations  {} open, {} closed",
        format_number(stats.open_violations),
        format_number(stats.closed_violations)
    ));
    print_line(format!("  Free        {} for later snapshots", format_size(stats.free_bytes)));
    for (name, bytes) in stats.tables.iter().take(MAX_TABLES) {
        print_line(format!("  {name:<22} {}", format_size(*bytes)));
    }
}

/// Formats a number of bytes in decimal units.
fn format_size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
