//! `tagledger demo`: scanner and server in one process, over a simulated company.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use scanner::{Choice, Narrow, Scan};
use server::{HttpError, Ledger, serve_http};
use shared::{
    cloud::simulated::{DAYS, Simulated},
    day::day_of,
    policy::Policy,
    store::{NightSummary, Reader, Writer},
};

use tokio_util::sync::CancellationToken;

use super::{
    now,
    serve::{door, end_signal},
};
use crate::{
    cli::DemoArguments,
    costs,
    failure::Failure,
    output::say,
    summary::{print_rules, print_score},
};

/// The shipped policy, so that a demo needs no file.
const POLICY: &str = include_str!("../../policies/tagging_policy.json");

/// The company is the same for everyone.
const SEED: u64 = 2026;

/// Enough requests to a bill that costs nothing to ask for all of it in one night.
const EVERY_MONTH: u64 = 1_000;

/// Each night's scan, UTC.
const HOUR: i8 = 23;

pub(crate) async fn run(arguments: DemoArguments) -> Result<ExitCode, Failure> {
    let door = server::door(door(arguments.listen, None, None).await?)?;
    // Held while the ledger is made: another demo on this address, and its ledger, are left alone.
    let held = std::net::TcpListener::bind(arguments.listen);
    let held = held.map_err(|source| HttpError { address: arguments.listen, source })?;
    let store = fresh_store()?;
    let policy = Policy::parse(POLICY).map_err(|faults| Failure::Policy { path: "built-in".into(), faults })?;
    let yesterday = day_of(now()).saturating_sub(1.day());
    let estate = Simulated::new(SEED, arguments.resources, yesterday);
    let nights = record(&estate, &store, Arc::new(policy)).await?;
    let max_age = Duration::from_secs(14 * 24 * 3600);
    let ledger = Ledger::new(&store, None, max_age, now).looking_through(Arc::new(estate));
    let ledger = Arc::new(ledger);
    let reader = Reader::new(&store);
    let mut told = Ok(());
    drop(held);
    serve_http(ledger, door, end_signal(), |address| told = tell(&nights, &reader, &store, address)).await?;
    told?;
    Ok(ExitCode::SUCCESS)
}

/// A new file each time, at one place, so that a desktop client's configuration stays valid.
fn fresh_store() -> Result<PathBuf, Failure> {
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

/// The first and the last night.
struct Nights {
    first: NightSummary,
    last: NightSummary,
}

async fn record(estate: &Simulated, store: &Path, policy: Arc<Policy>) -> Result<Nights, Failure> {
    let first = night(&estate.on_day(1), store, Arc::clone(&policy), 0).await?;
    for day in 2..DAYS {
        night(&estate.on_day(day), store, Arc::clone(&policy), 0).await?;
    }
    let last = night(&estate.on_day(DAYS), store, policy, EVERY_MONTH).await?;
    Ok(Nights { first, last })
}

async fn night(
    estate: &Simulated,
    store: &Path,
    policy: Arc<Policy>,
    cost_requests: u64,
) -> Result<NightSummary, Failure> {
    let at = evening(estate.date());
    let scan = Scan {
        cloud: estate,
        policy,
        choice: Choice::default(),
        narrow: Narrow::default(),
        concurrency: 1,
        cost_requests,
        // Only the last night reads the bill, and only it is learnt from: ninety times would be a long wait.
        creators: false,
        learn: cost_requests > 0,
        lock: None,
        now: &|| at,
        app_version: env!("CARGO_PKG_VERSION"),
        end: CancellationToken::new(),
    };
    Ok(scan.run(Writer::open(store)?, |_| {}).await?)
}

fn evening(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.at(HOUR, 0, 0, 0)).unwrap_or(Timestamp::MAX)
}

fn tell(nights: &Nights, reader: &Reader, store: &Path, address: SocketAddr) -> Result<(), Failure> {
    let Nights { first, last } = nights;
    say(format!(
        "TagLedger {}: a simulated company on AWS, {} nights of history",
        env!("CARGO_PKG_VERSION"),
        last.snapshot.id
    ));
    say("");
    print_score(&last.tally);
    if let Some(score) = first.tally.score() {
        say(format!("  History     compliance was {:.1} % in the first night", score * 100.0));
    }
    costs::print(reader)?;
    print_rules(reader)?;
    say("");
    say(format!("  MCP at http://{address}/mcp, health at http://{address}/health. Ctrl-C ends it."));
    say("");
    connect(store, address);
    Ok(())
}

/// The exact lines that connect each client.
fn connect(store: &Path, address: SocketAddr) {
    let url = format!("http://{address}/mcp");
    let program = std::env::current_exe().map_or_else(|_| "tagledger".to_owned(), |path| path.display().to_string());
    say("Connect a client while this runs, then ask: how well is our AWS estate tagged?");
    say("");
    say("  Claude Code");
    say(format!("    claude mcp add --transport http tagledger {url}"));
    say("  VS Code");
    say(format!("    code --add-mcp '{{\"name\":\"tagledger\",\"type\":\"http\",\"url\":\"{url}\"}}'"));
    say("  Cursor, in ~/.cursor/mcp.json");
    say(format!("    {{\"mcpServers\":{{\"tagledger\":{{\"url\":\"{url}\"}}}}}}"));
    say("  Claude Desktop, in claude_desktop_config.json (Settings, Developer, Edit Config)");
    say(format!(
        "    {{\"mcpServers\":{{\"tagledger\":{{\"command\":\"{program}\",\"args\":[\"mcp\",\"--store\",\"{}\"]}}}}}}",
        store.display()
    ));
}
