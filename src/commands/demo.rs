//! `tagledger demo`: runs the scanner and the server in one process, with a simulated company.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use tagledger_cloud::simulated::{DAYS, Simulated};
use tagledger_ledger::{LedgerReader, LedgerWriter, SnapshotSummary};
use tagledger_model::epoch_day::day_of;
use tagledger_policy::Policy;
use tagledger_scanner::{Scan, ScanScopeFilter, ScanTargets};
use tagledger_server::{AppState, HttpError, serve_http};
use tokio_util::sync::CancellationToken;

use super::{
    now,
    serve::{cancel_on_signal, guard_settings},
};
use crate::{
    cli::DemoArguments,
    costs,
    failure::Failure,
    output::print_line,
    summary::{print_rules, print_score},
};

/// The shipped policy, so that the demo needs no file.
const POLICY: &str = include_str!("../../policies/tagging_policy.json");

/// A fixed seed, so that every demo has the same company.
const SEED: u64 = 2026;

/// Enough requests to read every month of the simulated bill in one scan. They cost nothing.
const BILL_REQUESTS: u64 = 1_000;

/// The hour of each scan, in UTC.
const SCAN_HOUR: i8 = 23;

pub(crate) async fn run(arguments: DemoArguments) -> Result<ExitCode, Failure> {
    let guard = tagledger_server::guard(guard_settings(arguments.listen, None, None).await?)?;
    // The address is reserved before the ledger is written, so that a second demo does not replace the ledger of the first.
    let listener = std::net::TcpListener::bind(arguments.listen);
    let listener = listener.map_err(|source| HttpError { address: arguments.listen, source })?;
    let store = create_store()?;
    let policy = Policy::parse(POLICY).map_err(|errors| Failure::Policy { path: "built-in".into(), errors })?;
    let yesterday = day_of(now()).saturating_sub(1.day());
    let estate = Simulated::new(SEED, arguments.resources, yesterday);
    let snapshots = record_history(&estate, &store, Arc::new(policy)).await?;
    let max_age = Duration::from_secs(14 * 24 * 3600);
    let state = AppState::new(&store, None, max_age, now).with_lookup(Arc::new(estate));
    let state = Arc::new(state);
    let reader = LedgerReader::new(&store);
    let mut summary_result = Ok(());
    drop(listener);
    serve_http(state, guard, cancel_on_signal(), |address| {
        summary_result = print_summary(&snapshots, &reader, &store, address)
    })
    .await?;
    summary_result?;
    Ok(ExitCode::SUCCESS)
}

/// Deletes the ledger of an earlier demo. The path is always the same, so that the configuration of a desktop client remains
/// valid.
fn create_store() -> Result<PathBuf, Failure> {
    let base = std::env::home_dir().map_or_else(std::env::temp_dir, |home| home.join(".cache"));
    let folder = base.join("tagledger-demo");
    fs::create_dir_all(&folder).map_err(|source| Failure::Folder { path: folder.clone(), source })?;
    let store = folder.join("tagledger.sqlite");
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", store.display()));
        match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::Read { path: file, source });
            }
            _ => {}
        }
    }
    Ok(store)
}

/// The first and the last snapshot.
struct DemoSnapshots {
    first: SnapshotSummary,
    last: SnapshotSummary,
}

async fn record_history(estate: &Simulated, store: &Path, policy: Arc<Policy>) -> Result<DemoSnapshots, Failure> {
    let first = record_snapshot(&estate.on_day(1), store, Arc::clone(&policy), 0).await?;
    for day in 2..DAYS {
        record_snapshot(&estate.on_day(day), store, Arc::clone(&policy), 0).await?;
    }
    let last = record_snapshot(&estate.on_day(DAYS), store, policy, BILL_REQUESTS).await?;
    Ok(DemoSnapshots { first, last })
}

async fn record_snapshot(
    estate: &Simulated,
    store: &Path,
    policy: Arc<Policy>,
    cost_requests: u64,
) -> Result<SnapshotSummary, Failure> {
    let at = scan_time(estate.date());
    let scan = Scan {
        cloud: estate,
        policy,
        targets: ScanTargets::default(),
        filter: ScanScopeFilter::default(),
        concurrency: 1,
        cost_request_budget: cost_requests,
        // Only the last snapshot reads the bill and trains the suggestions, because doing so 90 times takes long.
        creators: false,
        train: cost_requests > 0,
        lease: None,
        now: &|| at,
        app_version: env!("CARGO_PKG_VERSION"),
        cancel: CancellationToken::new(),
    };
    Ok(scan.run(LedgerWriter::open(store)?, |_| {}).await?)
}

fn scan_time(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.at(SCAN_HOUR, 0, 0, 0)).unwrap_or(Timestamp::MAX)
}

fn print_summary(
    snapshots: &DemoSnapshots,
    reader: &LedgerReader,
    store: &Path,
    address: SocketAddr,
) -> Result<(), Failure> {
    let DemoSnapshots { first, last } = snapshots;
    print_line(format!(
        "TagLedger {}: a simulated company on AWS, {} snapshots",
        env!("CARGO_PKG_VERSION"),
        last.snapshot.id
    ));
    print_line("");
    print_score(&last.tally);
    if let Some(score) = first.tally.score() {
        print_line(format!("  History     compliance was {:.1} % in the first snapshot", score * 100.0));
    }
    costs::print(reader)?;
    print_rules(reader)?;
    print_line("");
    print_line(format!("  MCP at http://{address}/mcp, health at http://{address}/health. Press Ctrl-C to stop."));
    print_line("");
    print_clients(store, address);
    Ok(())
}

/// Prints the lines that connect each client.
fn print_clients(store: &Path, address: SocketAddr) {
    let url = format!("http://{address}/mcp");
    let program = std::env::current_exe().map_or_else(|_| "tagledger".to_owned(), |path| path.display().to_string());
    print_line("Connect a client while the demo runs, then ask: how well is our AWS estate tagged?");
    print_line("");
    print_line("  Claude Code");
    print_line(format!("    claude mcp add --transport http tagledger {url}"));
    print_line("  VS Code");
    print_line(format!("    code --add-mcp '{{\"name\":\"tagledger\",\"type\":\"http\",\"url\":\"{url}\"}}'"));
    print_line("  Cursor, in ~/.cursor/mcp.json");
    print_line(format!("    {{\"mcpServers\":{{\"tagledger\":{{\"url\":\"{url}\"}}}}}}"));
    print_line("  Claude Desktop, in claude_desktop_config.json (Settings, Developer, Edit Config)");
    print_line(format!(
        "    {{\"mcpServers\":{{\"tagledger\":{{\"command\":\"{program}\",\"args\":[\"mcp\",\"--store\",\"{}\"]}}}}}}",
        store.display()
    ));
}
