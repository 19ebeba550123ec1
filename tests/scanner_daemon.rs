//! The built binary as a daemon, with the fake AWS endpoint.

#![cfg(test)]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    binary::{run, sample_policy, tagledger},
    fake_estate::{FakeEstate, one_region},
    redis::Redis,
};

/// For how long something is waited for that must happen.
const LOG_TIMEOUT: Duration = Duration::from_secs(60);

/// A running daemon; killed when dropped.
struct Daemon {
    child: Child,
    address: String,
    log: mpsc::Receiver<String>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(world: &FakeEstate, store: &Path, policy: &Path) -> Command {
    let mut command = tagledger(world.folder.path());
    command
        .env("AWS_ENDPOINT_URL", world.fake.endpoint())
        .env("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE")
        .env("AWS_SECRET_ACCESS_KEY", "fake")
        .env("AWS_REGION", "us-east-1")
        .env("TAGLEDGER_CONTROL_LISTEN", "127.0.0.1:0")
        .env("TAGLEDGER_COST_REQUEST_BUDGET", "0")
        .env("TAGLEDGER_CREATORS", "false")
        .args(["scanner", "--rate-percent", "100", "--schedule", "0 2 1 1 *", "--time-zone", "Europe/Berlin"])
        .arg("--store")
        .arg(store)
        .arg("--policy")
        .arg(policy);
    command
}

impl Daemon {
    fn start(world: &FakeEstate) -> Self {
        Self::of(&mut command(world, &world.store(), &sample_policy()))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("its log"));
        let (send, log) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut daemon = Self { child, address: String::new(), log };
        let opened = daemon.until("control port open");
        daemon.address = opened.split("listen=").nth(1).expect("an address").trim().to_owned();
        daemon
    }

    /// The next line of the log that has these words.
    #[track_caller]
    fn until(&self, text: &str) -> String {
        let (started, mut seen) = (Instant::now(), Vec::new());
        while let Ok(line) = self.log.recv_timeout(LOG_TIMEOUT.saturating_sub(started.elapsed())) {
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("`{text}` is never logged; logged was\n{}", seen.join("\n"));
    }

    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the control port");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
    }

    fn scans(&self) -> Value {
        serde_json::from_str(&self.ask("GET", "/scans").1).expect("JSON")
    }

    /// Ends it as an operator does, and returns its exit code and how long that took.
    fn terminate(mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        run(Command::new("kill").arg(self.child.id().to_string())).exits(0);
        while started.elapsed() < LOG_TIMEOUT {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return (status.code(), started.elapsed());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

/// A daemon with an empty ledger scans at once, and ends within ten seconds of SIGTERM. A restart after a recent scan
/// waits for the schedule.
#[test]
fn empty_ledger_is_scanned_at_start() {
    let world = FakeEstate::small();
    let daemon = Daemon::start(&world);
    daemon.until("scan finished: complete");
    world.ledger().holds(&world.expected());
    let metrics = daemon.ask("GET", "/metrics").1;
    let requests = |line: &str| line.starts_with("tagledger_aws_requests_total{operation=\"ec2:DescribeInstances\"} ");
    assert!(metrics.lines().any(requests), "{metrics}");
    assert!(metrics.contains("tagledger_scans_total{trigger=\"catch_up\",outcome=\"complete\"} 1"), "{metrics}");
    assert_eq!(daemon.ask("GET", "/health").0, 200);
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");

    // Scanned a moment ago: nothing was missed.
    let again = Daemon::start(&world);
    assert_eq!(again.scans()["scans"], Value::Array(Vec::new()));
    assert!(
        again.scans()["next_scheduled"].as_str().expect("a time").contains("-01-01T01:00:00Z"),
        "{}",
        again.scans()
    );
}

/// The daemon reads the bill within its budget and reports the requests sent and the budget in its metrics.
#[test]
fn daemon_reads_bill_and_reports_requests() {
    let world = FakeEstate::small();
    let mut command = command(&world, &world.store(), &sample_policy());
    let daemon = Daemon::of(command.env("TAGLEDGER_COST_REQUEST_BUDGET", "9"));
    daemon.until("bill read");
    daemon.until("scan finished: complete");
    let requested = world.fake.request_log().requests.iter().filter(|call| call.service == "ce").count();
    let metrics = daemon.ask("GET", "/metrics").1;
    for series in [format!("tagledger_cost_requests_today {requested}"), "tagledger_cost_request_budget 9".to_owned()] {
        assert!(metrics.lines().any(|line| line == series), "{series} is missing in\n{metrics}");
    }
    assert!((1..=9).contains(&requested), "{requested}");
}

/// The metrics count throttled requests by operation.
#[test]
fn throttled_requests_are_counted_by_operation() {
    let faults = [("ec2", "DescribeVolumes"), ("lambda", "ListFunctions"), ("ecs", "ListClusters")].into_iter().fold(
        fake_aws::Faults::none(),
        |faults, (service, operation)| {
            faults.with(fake_aws::Rule::new(fake_aws::Effect::Throttle).service(service).operation(operation).first(1))
        },
    );
    let world = FakeEstate::small().failing(faults);
    let daemon = Daemon::start(&world);
    daemon.until("scan finished: complete");
    let metrics = daemon.ask("GET", "/metrics").1;
    for operation in ["ec2:DescribeVolumes", "lambda:ListFunctions", "ecs:ListClusters"] {
        let series = format!("tagledger_aws_throttled_total{{operation=\"{operation}\"}} 1");
        assert!(metrics.lines().any(|line| line == series), "{series} is missing in\n{metrics}");
    }
    assert!(metrics.contains("tagledger_aws_throttled_total{operation=\"rds:DescribeDBInstances\"} 0"), "{metrics}");
}

/// A daemon that is terminated during a scan exits with code 0 within ten seconds, and the ledger is unchanged and
/// without faults.
#[test]
fn termination_during_scan_leaves_ledger_unchanged() {
    let world = FakeEstate::of(one_region(fake_aws::Counts::each(400)));
    let small = FakeEstate::small();
    run(&mut support::binary::scan_command(
        world.folder.path(),
        &small.fake.endpoint(),
        &world.store(),
        &sample_policy(),
    ))
    .exits(0);
    let before = world.ledger().newest();
    let daemon = Daemon::start(&world);
    assert_eq!(daemon.ask("POST", "/rescan").0, 202);
    daemon.until("scan planned");
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(world.ledger().newest(), before);
    let check =
        run(tagledger(world.folder.path()).args(["store", "check", "--all"]).env("TAGLEDGER_STORE", world.store()));
    assert!(check.exits(0).stdout.ends_with("no errors\n"));
}

/// Of two daemons on one ledger, one scans and the other reports the conflict and keeps running. It scans after the
/// first has finished.
#[test]
fn second_daemon_survives_locked_ledger() {
    let world = FakeEstate::of(one_region(fake_aws::Counts::each(300)));
    let first = Daemon::start(&world);
    first.until("scan planned");
    let second = Daemon::start(&world);
    let refused = second.until("scan failed");
    assert!(refused.contains("another scan is writing"), "{refused}");
    first.until("scan finished: complete");
    assert_eq!(second.ask("POST", "/rescan").0, 202);
    second.until("scan finished: complete");
    assert_eq!(world.ledger().newest().id, 2);
}

/// Two daemons with ledgers of their own and one Redis do not scan the same account at the same time.
#[test]
fn redis_lease_serializes_daemons() {
    let redis = Redis::start();
    let world = FakeEstate::of(one_region(fake_aws::Counts::each(300)));
    let other = world.folder.path().join("other.sqlite");
    let start = |store: &Path| {
        Daemon::of(
            command(&world, store, &sample_policy()).env("REDIS_URL", format!("redis://127.0.0.1:{}/3", redis.port)),
        )
    };
    let first = start(&world.store());
    first.until("scan planned");
    let second = start(&other);
    let refused = second.until("scan failed");
    assert!(refused.contains("another scanner holds the lease of account "), "{refused}");
    first.until("scan finished: complete");
    assert_eq!(second.ask("POST", "/rescan").0, 202);
    second.until("scan finished: complete");
}

/// A daemon whose policy becomes invalid reports a failed scan and keeps running. It scans again after the policy is
/// corrected.
#[test]
fn daemon_survives_invalid_policy() {
    let world = FakeEstate::small();
    let policy = world.folder.path().join("policy.json");
    std::fs::copy(sample_policy(), &policy).expect("a copy");
    let daemon = Daemon::of(&mut command(&world, &world.store(), &policy));
    daemon.until("scan finished: complete");
    std::fs::write(&policy, "{").expect("a broken policy");
    assert_eq!(daemon.ask("POST", "/rescan").0, 202);
    let failed = daemon.until("scan failed");
    assert!(failed.contains("policy.json has errors"), "{failed}");
    daemon.until("scan finished: nothing recorded");
    std::fs::copy(sample_policy(), &policy).expect("a copy");
    assert_eq!(daemon.ask("POST", "/rescan").0, 202);
    daemon.until("scan finished: complete");
    assert_eq!(world.ledger().newest().id, 2);
}

/// A daemon that cannot reach AWS reports a failed scan and status 503 of `/health`, and keeps running.
#[test]
fn daemon_survives_unreachable_aws() {
    let world = FakeEstate::small();
    let mut nowhere = command(&world, &world.store(), &sample_policy());
    nowhere.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_MAX_ATTEMPTS", "1");
    let daemon = Daemon::of(&mut nowhere);
    let failed = daemon.until("scan failed");
    assert!(failed.contains("AWS cannot be reached"), "{failed}");
    daemon.until("scan finished: nothing recorded");
    assert_eq!(daemon.ask("GET", "/health").0, 503);
    let scans = daemon.scans();
    assert_eq!(scans["scans"][0]["state"], "failed", "{scans}");
}

/// An invalid schedule, time zone, control key or retention is refused at startup with the reason.
#[test]
fn invalid_settings_fail_at_start() {
    let world = FakeEstate::small();
    for (variable, value, answer) in [
        ("TAGLEDGER_SCHEDULE", "every night", "is not a cron expression"),
        ("TAGLEDGER_TIME_ZONE", "Berlin", "is not a time zone"),
        ("TAGLEDGER_CONTROL_LISTEN", "0.0.0.0:0", "TAGLEDGER_CONTROL_KEY"),
        ("TAGLEDGER_CONTROL_KEY", "short", "shorter than 16"),
    ] {
        let mut command = tagledger(world.folder.path());
        command.arg("scanner").arg("--policy").arg(sample_policy()).env(variable, value);
        run(&mut command).complains(&[answer]);
    }
    let mut command = tagledger(world.folder.path());
    let outcome = run(command.arg("scan").env("TAGLEDGER_RETENTION", "90"));
    assert!(outcome.stderr.contains("is not a retention policy"), "{}", outcome.stderr);
}
