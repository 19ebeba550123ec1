//! Benchmark of the scan of a large organization: 50 accounts in four regions, over HTTP, against the fake AWS of the tests.
//!
//! `cargo bench --bench scan_at_size -- [RESOURCES]`. The built binary scans without rate limits, then again, then at the
//! rates that AWS publishes, then with faults, and last with creation events. The baseline is a process that sends the same
//! requests through the same SDK, reads every response, and stores nothing. CPU time and memory are those of the scanning
//! process alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, rounds, and panics on missing data"
)]

#[path = "../tests/support/request_bound.rs"]
#[allow(dead_code, reason = "the benchmark uses a part of this module")]
mod request_bound;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use fake_aws::{Effect, Estate, FakeAws, Faults, Rule};
use futures::{StreamExt as _, stream};
use request_bound::RequestBound;
use tagledger_aws::{Aws, AwsSettings, MemberAccounts};
use tagledger_cloud::Cloud as _;
use tagledger_ledger::{Filter, LedgerReader, query::compliance};
use tagledger_model::{ResourceType, inventory::Scope};

/// Number of concurrent listings, equal to the default of `tagledger scan`.
const CONCURRENCY: usize = 64;

/// The argument that runs this program as the baseline.
const BASELINE: &str = "--baseline";

/// The resources that a process used.
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_mib: u64,
    code: Option<i32>,
}

fn main() {
    if std::env::args().any(|argument| argument == BASELINE) {
        return runtime().block_on(read_everything());
    }
    // `cargo bench` passes --bench. `cargo test` also runs this program, with few resources, as a smoke test.
    let is_benchmark = std::env::args().any(|argument| argument == "--bench");
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let resources = given.map_or(if is_benchmark { 1_000_000 } else { 2_000 }, |text| text.parse().expect("a number"));
    let runtime = runtime();
    let _entered = runtime.enter();
    let estate = Estate::enterprise(resources);
    println!("{} resources of {} accounts", estate.total(), estate.accounts.len());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unlimited = runtime.block_on(FakeAws::start(estate.clone(), Faults::none())).expect("a port");
    let limited = runtime.block_on(FakeAws::start(estate, Faults::none())).expect("a port").with_rate_limits();
    println!(
        "{:<34} {:>8} {:>8} {:>9} {:>8} {:>9} {:>9}",
        "", "wall s", "CPU s", "us each", "MiB", "requests", "throttles"
    );

    let inventory = |name: &str, fake: &FakeAws, file: &str| scan(name, fake, &folder.path().join(file), "false");
    let baseline = measure(&mut baseline_command(&unlimited));
    print_cost("baseline", &baseline, &unlimited);
    let first = inventory("first scan", &unlimited, "first.sqlite");
    let second = inventory("second scan, nothing changed", &unlimited, "first.sqlite");
    inventory("published rates", &limited, "limited.sqlite");
    unlimited.set_faults(
        Faults::none().with(Rule::new(Effect::Throttle).every(3)).with(Rule::new(Effect::ServerError).every(10)),
    );
    let faulty = inventory("1/3 throttled, 1/10 failing", &unlimited, "faulty.sqlite");
    unlimited.set_faults(Faults::none());
    let again = measure(&mut baseline_command(&unlimited));
    print_cost("baseline again", &again, &unlimited);
    scan("creation events, published rates", &limited, &folder.path().join("creators.sqlite"), "true");

    let baseline = f64::midpoint(baseline.cpu.as_secs_f64(), again.cpu.as_secs_f64());
    let times = |cost: &Cost| cost.cpu.as_secs_f64() / baseline;
    println!("CPU time: {:.2} times the baseline, first scan {:.2} times", times(&second), times(&first));
    println!("wall time with faults: {:.2} times that without", faulty.wall.as_secs_f64() / first.wall.as_secs_f64());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

fn set_environment(command: &mut Command, fake: &FakeAws) {
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", fake.endpoint())
        .env("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE")
        .env("AWS_SECRET_ACCESS_KEY", "fake")
        .env("AWS_REGION", "us-east-1")
        .env("TAGLEDGER_COST_REQUEST_BUDGET", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
}

fn baseline_command(fake: &FakeAws) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    set_environment(&mut command, fake);
    command.arg(BASELINE);
    command
}

/// Scans the organization and verifies that no resource is missing. If `creators` is `true`, the scan also requests creation
/// events from CloudTrail.
fn scan(name: &str, fake: &FakeAws, store: &Path, creators: &str) -> Cost {
    fake.clear_request_log();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagledger"));
    set_environment(&mut command, fake);
    command.env("TAGLEDGER_CREATORS", creators);
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/tagging_policy.json");
    command.args(["scan", "--accounts", "organization", "--rate-percent", "100", "--log", "warn"]);
    let cost = measure(command.arg("--store").arg(store).arg("--policy").arg(policy));
    print_cost(name, &cost, fake);
    assert_eq!(cost.code, Some(0), "the scan has gaps");
    let counted = LedgerReader::new(store).read(|view| {
        let newest = view.newest()?.expect("a snapshot");
        Ok(compliance::count_by_scope(view, &newest, &Filter::default())?
            .iter()
            .map(|(_, tally)| tally.total())
            .sum::<u64>())
    });
    assert_eq!(counted.expect("a ledger"), fake.estate().total() as u64, "resources are missing");
    cost
}

fn print_cost(name: &str, cost: &Cost, fake: &FakeAws) {
    let (requests, bound) = (fake.request_log(), RequestBound::of(fake.estate()).total());
    let throttled = requests.faulted().count();
    let answered = requests.len() - throttled;
    let (wall, cpu) = (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
    let each = cpu * 1e6 / fake.estate().total() as f64;
    let ratio = answered as f64 / bound as f64;
    println!(
        "{name:<34} {wall:>8.1} {cpu:>8.1} {each:>9.1} {:>8} {answered:>9} {throttled:>9}   {ratio:.3} of the minimum",
        cost.peak_mib
    );
    if throttled < 10 {
        requests.faulted().for_each(|request| println!("  throttled: {request:?}"));
    }
    fake.clear_request_log();
}

/// Runs a command to its end, and samples its memory every 10 ms.
fn measure(command: &mut Command) -> Cost {
    let (begun, cpu) = (Instant::now(), cpu_of_children());
    let mut child = command.spawn().expect("it starts");
    let mut peak_mib = 0;
    let status = loop {
        peak_mib = peak_mib.max(peak_memory(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().expect("its state") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Cost { wall: begun.elapsed(), cpu: cpu_of_children() - cpu, peak_mib, code: status.code() }
}

/// The CPU time of all child processes that have ended. Linux counts it in hundredths of a second.
fn cpu_of_children() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = text.rsplit_once(") ").expect("a name in brackets").1.split(' ');
    let hundredths: u64 = fields.skip(13).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(10 * hundredths)
}

/// The peak memory of a process in MiB. `None` after it has ended.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

/// The baseline: sends the requests of a scan and discards the responses.
async fn read_everything() {
    let settings = AwsSettings { accounts: MemberAccounts::Organization, rate_percent: 100, ..AwsSettings::default() };
    let aws = Aws::connect(settings).await.expect("the fake");
    let accounts = aws.list_accounts().await.expect("accounts").found;
    let mut scopes = Vec::new();
    for account in accounts {
        let regions = aws.list_regions(&account.id).await.expect("regions");
        for region in regions.into_iter().filter(|region| region.enabled) {
            scopes.extend(ResourceType::ALL.iter().map(|resource_type| Scope {
                account: account.id.clone(),
                region: region.region.clone(),
                resource_type: *resource_type,
            }));
        }
    }
    let lists = stream::iter(scopes).map(async |scope| {
        let listing = aws.list(&scope).await;
        assert!(listing.gap.is_none(), "{scope:?}");
        listing.resources.len()
    });
    let read: usize = lists.buffer_unordered(CONCURRENCY).fold(0, async |sum, read| sum + read).await;
    assert!(read > 0, "no resource was listed");
}
