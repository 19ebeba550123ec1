//! A daemon with its control port, on the simulated company. Its listings wait until a test releases them.

use std::{
    future::Future,
    net::SocketAddr,
    num::NonZeroU32,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, civil::Date};
use serde_json::Value;
use tagledger_cloud::simulated::Simulated;
use tagledger_http::GuardSettings;
use tagledger_ledger::LedgerReader;
use tagledger_model::inventory::{Gap, GapReason};
use tagledger_policy::Policy;
use tagledger_scanner::{Daemon, DaemonSettings, ScanTargets, Schedule, control_guard, serve_control};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::gated_cloud::GatedCloud;

/// A daemon with its control port.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) connected: Arc<AtomicUsize>,
    pub(crate) end: CancellationToken,
    pub(crate) daemon: JoinHandle<()>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the daemon's own clock is what is tested")]
    Timestamp::now()
}

/// Settings of a request guard that accepts only this key.
pub(crate) fn settings(listen: &str, key: Option<&str>) -> GuardSettings {
    GuardSettings {
        listen: listen.parse().unwrap(),
        keys: None,
        oauth: None,
        control_key: key.map(str::to_owned),
        names: Vec::new(),
        requests_per_minute: NonZeroU32::new(6_000).unwrap(),
        clock: now,
    }
}

type Connected = Pin<Box<dyn Future<Output = Result<GatedCloud, Gap>> + Send>>;

/// `failures`: so many connections fail first.
pub(crate) async fn start(key: Option<&str>, failures: usize) -> Running {
    behind(settings("127.0.0.1:0", key), failures).await
}

pub(crate) async fn behind(settings: GuardSettings, failures: usize) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let (gate, connected) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gated, counted) = (Arc::clone(&gate), Arc::clone(&connected));
    let connect = move || -> Connected {
        let (gate, nth) = (Arc::clone(&gated), counted.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move {
            if nth < failures {
                let (reason, operation) = (GapReason::Denied, "sts:GetCallerIdentity".to_owned());
                return Err(Gap { reason, operation, message: "the token has expired".to_owned() });
            }
            Ok(GatedCloud { cloud: Simulated::new(1, 500, Date::constant(2026, 11, 1)), gate })
        })
    };
    let daemon = Daemon::new(DaemonSettings {
        store: folder.path().join("ledger.sqlite"),
        schedule: Schedule::parse("0 2 1 1 *", "UTC").unwrap(),
        jitter: Duration::ZERO,
        targets: ScanTargets::default(),
        concurrency: 4,
        cost_request_budget: 0,
        creators: false,
        lease: None,
        retention: Some("30d".parse().unwrap()),
        max_age: Duration::from_secs(3600),
        connect: Box::new(connect),
        policy: Box::new(|| Ok(Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap())),
        now,
        app_version: "test",
    });
    let end = CancellationToken::new();
    let (listening, address) = oneshot::channel();
    let guard = control_guard(settings).unwrap();
    let report = move |address| listening.send(address).unwrap();
    tokio::spawn(serve_control(Arc::clone(&daemon), guard, end.clone(), report));
    let address = address.await.unwrap();
    let daemon = tokio::spawn(daemon.run(end.clone()));
    Running { address, gate, connected, end, daemon, folder }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

impl Running {
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            self.address
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(Duration::from_secs(20), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    pub(crate) async fn rescan(&self, body: &str) -> Answer {
        self.ask("POST", "/rescan", "", body).await
    }

    /// The newest scan, once it is over.
    pub(crate) async fn over(&self) -> Value {
        for _ in 0..400 {
            let scans = self.get("/scans").await.json();
            if scans["scans"][0]["state"] != "running" {
                return scans["scans"][0].clone();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the scan does not end");
    }

    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(100_000);
    }

    pub(crate) fn snapshots(&self) -> i64 {
        let reader = LedgerReader::new(&self.folder.path().join("ledger.sqlite"));
        reader.read(|view| view.newest()).ok().flatten().map_or(0, |snapshot| snapshot.id)
    }

    pub(crate) fn store(&self) -> &Path {
        self.folder.path()
    }
}
