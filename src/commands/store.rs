//! `tagledger store`: what an operator does with the ledger.

use std::{ops::ControlFlow, path::Path, process::ExitCode};

use shared::{
    day::day_of,
    store::{Reader, SealState, StoreStats, UpgradeProgress, Writer},
};

use super::now;
use crate::{
    cli::{LedgerArguments, LedgerCommand},
    failure::Failure,
    output::{complain, count, grouped, say, warn},
};

/// Tables and indexes told one by one.
const MOST_TABLES: usize = 8;

pub(crate) fn run(arguments: &LedgerArguments) -> Result<ExitCode, Failure> {
    let store = arguments.store.store.as_path();
    match &arguments.command {
        LedgerCommand::Check { all } => return check(store, *all),
        LedgerCommand::Backup { file } => {
            let bytes = Reader::new(store).backup(file)?;
            say(format!("{} copied to {}: {}", store.display(), file.display(), size(bytes)));
        }
        LedgerCommand::Stats => tell_stats(store, &Reader::new(store).stats()?),
        LedgerCommand::Thin { retention } => {
            let retention = retention.retention.ok_or(Failure::NoRetention)?;
            let mut writer = existing(store)?;
            let thinned = writer.thin(&retention, day_of(now()))?;
            writer.checkpoint()?;
            say(format!(
                "{} thinned out by {retention}: {} versions and {} went with them",
                count(thinned.nights, "night"),
                grouped(thinned.versions),
                count(thinned.resources, "resource")
            ));
        }
        LedgerCommand::Upgrade => {
            existing(store)?.checkpoint()?;
            say(format!("{} has the schema of this version, {}", store.display(), shared::store::SCHEMA_VERSION));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens for writing what is there; makes nothing.
fn existing(store: &Path) -> Result<Writer, Failure> {
    if !store.exists() {
        return Err(shared::store::StoreError::Missing { path: store.to_owned() }.into());
    }
    Ok(Writer::open_upgrading(store, tell_upgrade)?)
}

/// One line for each tenth of an upgrade.
pub(super) fn tell_upgrade(progress: UpgradeProgress) -> ControlFlow<()> {
    let UpgradeProgress { from, to, done, of } = progress;
    if done % of.div_ceil(10).max(1) == 0 {
        warn(&format!("upgrading the ledger from schema {from} to {to}: {done} of {}", count(of, "night")));
    }
    ControlFlow::Continue(())
}

fn check(store: &Path, all: bool) -> Result<ExitCode, Failure> {
    let report = Reader::new(store).check(all, |part| say(format!("checking {part}")))?;
    for fault in &report.faults {
        complain(fault);
    }
    let seal = match report.seal {
        SealState::Fits => "every byte is as it was sealed",
        SealState::Absent => "no seal: a scan is writing, or the last one was cut short",
        SealState::Broken => "the seal is broken",
    };
    let counted = count(report.snapshots, "snapshot");
    say(format!("{}: {} rows read, {counted} counted again, {seal}", store.display(), grouped(report.rows)));
    if report.faults.is_empty() {
        say("no faults");
        return Ok(ExitCode::SUCCESS);
    }
    let faults = report.faults.len() as u64;
    say(format!("{}; keep the file, and go on with a backup or a new ledger", count(faults, "fault")));
    Ok(ExitCode::FAILURE)
}

fn tell_stats(store: &Path, stats: &StoreStats) {
    say(format!("{}: {}, and {} in the log", store.display(), size(stats.file_bytes), size(stats.log_bytes)));
    match stats.span {
        Some((first, last)) => {
            let thinned =
                if stats.thinned > 0 { format!(", {} thinned out", grouped(stats.thinned)) } else { String::new() };
            say(format!(
                "  Nights      {} from {} to {}{thinned}",
                count(stats.kept, "snapshot"),
                day_of(first),
                day_of(last)
            ));
        }
        None => say("  Nights      none yet"),
    }
    say(format!("  Resources   {} now, {} known", grouped(stats.living), grouped(stats.resources)));
    say(format!("  Versions    {} that ended", grouped(stats.versions)));
    say(format!("  Violations  {} open, {} closed", grouped(stats.open_violations), grouped(stats.closed_violations)));
    say(format!("  Free        {} for later nights", size(stats.free_bytes)));
    for (name, bytes) in stats.tables.iter().take(MOST_TABLES) {
        say(format!("  {name:<22} {}", size(*bytes)));
    }
}

/// Bytes as people read them, in decimal units.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
