//! Scanners that share a Redis take turns; a real one, on a port of this machine.

#![cfg(test)]

mod gated;
#[path = "../../tests/support/redis.rs"]
mod server;
mod support;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use gated::Gated;
use jiff::{Timestamp, civil::Date};
use scanner::{Scan, ScanError, ScanLock};
use server::Redis;
use shared::{
    cloud::simulated::Simulated,
    policy::Policy,
    store::{NightSummary, Writer},
};
use support::scan_of;
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

    fn lock(&self) -> ScanLock {
        ScanLock::new(&self.url).unwrap().held_for(Duration::from_millis(600))
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::Cmd::new().arg(words).query_async(&mut connection).await.unwrap()
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

    fn scan(&self, lock: ScanLock) -> JoinHandle<Result<NightSummary, ScanError>> {
        let cloud = Gated { cloud: Simulated::new(1, 300, Date::constant(2026, 11, 1)), gate: Arc::clone(&self.gate) };
        let writer = Writer::open(&self.store()).unwrap();
        tokio::spawn(async move {
            let policy = Policy::parse(include_str!("../../policies/tagging_policy.json")).unwrap();
            let plain = scan_of(&cloud, Arc::new(policy), &|| Timestamp::UNIX_EPOCH);
            let scan = Scan { concurrency: 4, lock: Some(&lock), ..plain };
            scan.run(writer, |_| {}).await
        })
    }
}

async fn recorded(scan: JoinHandle<Result<NightSummary, ScanError>>) {
    scan.await.unwrap().expect("a night");
}

#[tokio::test]
async fn of_two_scanners_one_scans_whatever_their_ledgers_and_the_other_is_told_which() {
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

#[tokio::test]
async fn a_scanner_that_died_holds_the_lock_for_its_time_and_no_longer() {
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

#[tokio::test]
async fn a_scan_that_has_lost_its_turn_records_nothing() {
    let redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["SET", &key, "process 1 of elsewhere"]).await;
    let ended = running.await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("(process 1 of elsewhere)"), "{ended}");
    assert_eq!(redis.ask::<String>(&["GET", &key]).await, "process 1 of elsewhere", "it is not ours to free");
    let reader = shared::store::Reader::new(&scanner.store());
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}

#[tokio::test]
async fn a_scan_that_slept_through_the_whole_turn_of_another_records_nothing() {
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
    assert!(ended.to_string().contains("(it began later and has ended since)"), "{ended}");
    assert_eq!(redis.keys().await, Vec::<String>::new(), "it took no other turn");
    let reader = shared::store::Reader::new(&sleeper.store());
    assert_eq!(reader.read(|view| view.newest()).unwrap(), None);
}

#[tokio::test]
async fn every_turn_has_a_higher_number_than_those_before_it_whatever_became_of_them() {
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

#[tokio::test]
async fn a_snapshot_is_announced_when_it_is_committed_and_nothing_is_where_none_is() {
    let redis = Shared::start();
    let client = redis::Client::open(redis.url.as_str()).unwrap();
    let mut channel = client.get_async_pubsub().await.unwrap();
    channel.subscribe("tagledger:snapshot").await.unwrap();
    let mut told = channel.into_on_message();
    let scanner = Scanner::at_once();
    for number in ["1", "2"] {
        recorded(scanner.scan(redis.lock())).await;
        let message = tokio::time::timeout(Duration::from_secs(10), told.next()).await.unwrap().unwrap();
        assert_eq!(message.get_payload::<String>().unwrap(), number);
    }
    let lost = Scanner::new();
    let running = lost.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["SET", &key, "process 1 of elsewhere"]).await;
    assert!(running.await.unwrap().is_err());
    assert!(tokio::time::timeout(Duration::from_millis(500), told.next()).await.is_err(), "nothing was committed");
}

#[tokio::test]
async fn a_flushed_redis_ends_no_scan_and_soon_has_the_lock_again() {
    let redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    let key = redis.key().await;
    redis.ask::<String>(&["FLUSHALL"]).await;
    assert_eq!(redis.key().await, key);
    scanner.open();
    recorded(running).await;
}

#[tokio::test]
async fn without_its_redis_a_scanner_scans_all_the_same() {
    let mut redis = Shared::start();
    let scanner = Scanner::new();
    let running = scanner.scan(redis.lock());
    redis.key().await;
    redis.server.signal("-STOP");
    scanner.open();
    recorded(running).await;
    let begun = Instant::now();
    recorded(scanner.scan(redis.lock())).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    redis.server.kill();
    recorded(scanner.scan(redis.lock())).await;
}

#[test]
fn what_is_no_address_of_a_redis_is_refused_without_repeating_it() {
    for url in ["", "redis", "http://:secret@localhost/", "redis://:secret@localhost/no-number"] {
        let refused = ScanLock::new(url).unwrap_err();
        assert!(refused.to_string().contains("REDIS_URL"), "{refused}");
        let chain = shared::chain::Chain(&refused).to_string();
        assert!(!chain.contains("secret"), "{chain}");
    }
}
