//! Scanners that share a Redis hold its lease one at a time. Redis runs on a port of this machine.

#![cfg(test)]

mod gated_cloud;
#[path = "../../tests/support/redis.rs"]
mod server;
mod support;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use gated_cloud::GatedCloud;
use jiff::{Timestamp, civil::Date};
use server::Redis;
use support::scan_of;
use tagledger_cloud::simulated::Simulated;
use tagledger_ledger::{LedgerWriter, SnapshotSummary};
use tagledger_policy::Policy;
use tagledger_redis::{Command, FromRedisValue, RedisClient};
use tagledger_scanner::{LeaseSettings, Scan, ScanError};
use tempfile::TempDir;
use tokio::{sync::Semaphore, task::JoinHandle};

/// A Redis and what is looked up in it.
struct Shared {
    server: Redis,
    url: String,
}

impl Shared {
    fn start() -> Self {
        let server = Redis::start();
        let url = format!("redis://127.0.0.1:{}/0", server.port);
        Self { server, url }
    }

    fn lock(&self) -> LeaseSettings {
        LeaseSettings::new(&self.url).unwrap().held_for(Duration::from_millis(600))
    }

    async fn ask<T: FromRedisValue>(&self, text: &[&str]) -> T {
        let client = RedisClient::new(&self.url).unwrap();
        client.send_once(&Command::new(text), Duration::from_secs(5)).await.unwrap()
    }

    /// Locks that somebody holds.
    async fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "tagledger:scan:*"]).await
    }

    /// The number of the last turn.
    async fn last_turn(&self) -> u64 {
        let keys: Vec<String> = self.ask(&["KEYS", "{tagledger:scan:*}:turn"]).await;
        self.ask(&["GET", &keys[0]]).await
    }

    async fn key(&self) -> String {
        for _ in 0..200 {
            if let Some(key) = self.keys().await.first() {
                return key.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no scan takes the lock");
    }
}

/// A scanner with a ledger of its own.
struct Scanner {
    gate: Arc<Semaphore>,
    folder: TempDir,
}

impl Scanner {
    fn new() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), folder: tempfile::tempdir().unwrap() }
    }

    fn at_once() -> Self {
        let scanner = Self::new();
        scanner.open();
        scanner
    }

    fn open(&self) {
        self.gate.add_permits(100_000);
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    fn scan(&self, lock: LeaseSettings) -> JoinHandle<Result<SnapshotSummary, ScanError>> {
        let cloud =
            GatedCloud { cloud: Simulated::new(1, 300, Date::constant(2026, 11, 1)), gate: Arc::clone(&self.gate) };
        let writer = LedgerWriter::open(&self.store()).unwrap();
        tokio::spawn(async move {
            let policy = Policy::parse(include_str!("../../policies/tagging_policy.json")).unwrap();
            let plain = scan_of(&cloud, Arc::new(policy), &|| Timestamp::UNIX_EPOCH);
            let scan = Scan { concurrency: 4, lease: Some(&lock), ..plain };
            scan.run(writer, |_| {}).await
        })
    }
}

async fn recorded(scan: JoinHandle<Result<SnapshotSummary, ScanError>>) {
    scan.await.unwrap().expect("a night");
}

/// Of two scanners that share a Redis, only one scans, even with separate ledgers and for longer than the lease
/// duration. The error of the other names the holder, and it can scan after the lease is released.
#[tokio::test]
async fn lease_excludes_second_scanner_and_names_holder() {
    let redis = Shared::start();
    let (first, second) = (Scanner::new(), Scanner::at_once());
    let running = first.scan(redis.lock());
    let key = redis.key().await;
    let refused = second.scan(redis.lock()).await.unwrap().unwrap_err();
    assert!(matches!(refused, ScanError::Elsewhere { .. }));
    let holder: String = redis.ask(&["GET", &key]).await;
    assert!(refused.to_string().contains(holder.split('#').next().unwrap()), "{refused}");
    assert!(holder.starts_with(&format!("process {} of ", std::process::id())), "{holder}");

    // The first goes on for longer than a dead scanner would hold the lock.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(second.scan(redis.lock()).await.unwrap().is_err());
    first.open();
    recorded(running).await;
    assert_eq!(redis.keys().await, Vec::<String>::new());
    recorded(second.scan(redis.lock())).await;
}

/// The lease of a scanner that died blocks other scanners until it expires, and no longer.
#[tokio::test]
async fn lease_of_dead_scanner_expires() {
    let redis = Shared::start();
    let (dead, next) = (Scanner::new(), Scanner::at_once());
    let running = dead.scan(redis.lock());
    let key = redis.key().await;
    let holder: String = redis.ask(&["GET", &key]).await;
    dead.open();
    recorded(running).await;
    redis.ask::<String>(&["SET", &key, &format!("{holder} but dead"), "PX", "600"]).await;
    assert!(next.scan(redis.lock()).await.unwrap().is_err());
    tokio::time::sleep(Duration::from_millis(700)).await;
    recorded(next.scan(redis.lock())).await;
}

/// A scan whose lease another process has taken ends with an error that names that process. It records no snapshot and
/// does not release the lease of the other.
#[tokio::test]
async fn lost_lease_aborts_without_snapshot() {
    let redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["SET", &key, "process 1 of elsewhere"]).await;
    let ended = running.await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("(process 1 of elsewhere)"), "{ended}");
    assert_eq!(redis.ask::<String>(&["GET", &key]).await, "process 1 of elsewhere", "it is not ours to free");
    let reader = tagledger_ledger::LedgerReader::new(&scanner.store());
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}

/// A scan that was suspended while another scanner acquired and released the lease records no snapshot, because its
/// fencing token is outdated.
#[tokio::test]
async fn suspended_scan_is_fenced_off() {
    let redis = Shared::start();
    let (sleeper, other) = (Scanner::new(), Scanner::at_once());
    // So long that it does not look after its lock before its end.
    let running = sleeper.scan(redis.lock().held_for(Duration::from_secs(600)));
    let key = redis.key().await;
    // As if that time were over.
    redis.ask::<u64>(&["DEL", &key]).await;
    recorded(other.scan(redis.lock())).await;
    assert_eq!(redis.keys().await, Vec::<String>::new());
    sleeper.open();
    let ended = running.await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("(its scan started later and has finished)"), "{ended}");
    assert_eq!(redis.keys().await, Vec::<String>::new(), "it took no other turn");
    let reader = tagledger_ledger::LedgerReader::new(&sleeper.store());
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}

/// Each lease has a higher fencing token than all earlier ones, even after Redis was flushed, the counter was damaged,
/// or the counter is ahead of the clock.
#[tokio::test]
async fn fencing_tokens_always_increase() {
    let redis = Shared::start();
    let mut last = 0;
    for spoil in [None, Some("flush"), Some("junk"), None] {
        match spoil {
            Some("flush") => redis.ask::<String>(&["FLUSHALL"]).await,
            Some(junk) => {
                let keys: Vec<String> = redis.ask(&["KEYS", "{tagledger:scan:*}:turn"]).await;
                redis.ask(&["SET", &keys[0], junk]).await
            }
            None => String::new(),
        };
        recorded(Scanner::at_once().scan(redis.lock())).await;
        let turn = redis.last_turn().await;
        assert!(turn > last, "{turn} after {last}");
        last = turn;
    }
    // A clock that was wrong costs no turn either.
    let ahead = 4_000_000_000_000_000;
    let keys: Vec<String> = redis.ask(&["KEYS", "{tagledger:scan:*}:turn"]).await;
    redis.ask::<String>(&["SET", &keys[0], &ahead.to_string()]).await;
    recorded(Scanner::at_once().scan(redis.lock())).await;
    assert_eq!(redis.last_turn().await, ahead + 1);
}

/// Each committed snapshot publishes its number on the Redis channel, and a scan that commits nothing publishes
/// nothing.
#[tokio::test]
async fn commit_publishes_snapshot_number() {
    let redis = Shared::start();
    let client = RedisClient::new(&redis.url).unwrap();
    let mut messages = client.subscribe("tagledger:snapshot", Duration::from_secs(5)).await.unwrap();
    let scanner = Scanner::at_once();
    for number in ["1", "2"] {
        recorded(scanner.scan(redis.lock())).await;
        let message = tokio::time::timeout(Duration::from_secs(10), messages.next()).await.unwrap().unwrap();
        assert_eq!(message, number.as_bytes());
    }
    let lost = Scanner::new();
    let running = lost.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["SET", &key, "process 1 of elsewhere"]).await;
    assert!(running.await.unwrap().is_err());
    assert!(tokio::time::timeout(Duration::from_millis(500), messages.next()).await.is_err(), "nothing was committed");
}

/// When Redis is flushed during a scan, the scan restores its lease and commits its snapshot.
#[tokio::test]
async fn lease_is_restored_after_redis_flush() {
    let redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["FLUSHALL"]).await;
    assert_eq!(redis.key().await, key);
    scanner.open();
    recorded(running).await;
}

/// A scan completes when Redis stops responding during it, when Redis does not respond at its start, and when Redis is
/// not running.
#[tokio::test]
async fn scan_succeeds_without_redis() {
    let mut redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    redis.key().await;
    redis.server.signal("-STOP");
    scanner.open();
    recorded(running).await;
    let started = Instant::now();
    recorded(scanner.scan(redis.lock())).await;
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    redis.server.kill();
    recorded(scanner.scan(redis.lock())).await;
}

/// An invalid Redis URL is rejected with an error that names `REDIS_URL` and does not contain the URL or its password.
#[test]
fn invalid_redis_url_error_hides_secret() {
    for url in ["", "redis", "http://:secret@localhost/", "redis://:secret@localhost/no-number"] {
        let refused = LeaseSettings::new(url).unwrap_err();
        assert!(refused.to_string().contains("REDIS_URL"), "{refused}");
        let chain = tagledger_model::error_chain::ErrorChain(&refused).to_string();
        assert!(!chain.contains("secret"), "{chain}");
    }
}
