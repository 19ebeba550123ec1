//! The cache in a real Redis server, and its failures.

use std::{
    io::Write,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tagledger_cloud::{BoxFuture, Lookup, LookupResult};
use tagledger_model::{
    Arn,
    inventory::{Gap, GapReason, RelationshipKind, Relationships, Resource, Scope, Tags, Usage},
};
use tagledger_server::{AppState, RedisCache, guard};
use tokio_util::sync::CancellationToken;

use crate::{
    lookup::arn,
    redis_server::Redis,
    test_server::{TestLedger, TestServer, instances, loopback, noon},
};

const TOOL: &str = "check_tag_compliance";

fn ledger() -> TestLedger {
    let snapshots = TestLedger::new();
    snapshots.append(1, vec![instances((0..40).map(|n| (format!("i-{n:02}"), vec![("Team", "x")])))]);
    snapshots
}

/// A server that shares its answers through the Redis on that port.
async fn sharing(snapshots: &TestLedger, port: u16) -> TestServer {
    let cache = RedisCache::open(&format!("redis://127.0.0.1:{port}/0"), CancellationToken::new()).unwrap();
    let ledger = AppState::new(&snapshots.store(), None, Duration::from_secs(36 * 3600), noon).with_redis_cache(cache);
    TestServer::behind(guard(loopback()).unwrap(), ledger).await
}

async fn metric(server: &TestServer, name: &str) -> f64 {
    let page = server.send("GET", "/metrics", "", "").await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// Waits until a metric has a value; says how long that took.
async fn becomes(server: &TestServer, name: &str, value: f64) -> Duration {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if metric(server, name).await == value {
            return began.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} is not {value} within ten seconds");
}

/// Different questions, of which none was asked before: memory has no answer.
fn question(n: u64) -> Value {
    json!({"limit": 1 + n})
}

/// Asks so many new questions of a server and of one without Redis; all answers are the same, and none takes long.
async fn answers_rightly(server: &TestServer, alone: &TestServer, questions: std::ops::Range<u64>) {
    for n in questions {
        let began = Instant::now();
        let (_, answer) = server.ask(TOOL, question(n)).await;
        assert!(began.elapsed() < Duration::from_secs(1), "question {n} took {:?}", began.elapsed());
        assert_eq!(answer, alone.ask(TOOL, question(n)).await.1);
    }
}

/// Waits until Redis has this number of keys.
async fn has_keys(redis: &Redis, keys: u64) {
    let expected = format!(":{keys}");
    for _ in 0..100 {
        if redis.ask(&["DBSIZE"]).trim() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("Redis does not have {keys} keys after 5 s");
}

/// A second server returns the answers of the first from Redis, byte for byte. After the next snapshot it returns new
/// answers.
#[tokio::test]
async fn answers_are_shared_byte_for_byte() {
    let (snapshots, redis) = (ledger(), Redis::start());
    let [first, second] = [sharing(&snapshots, redis.port).await, sharing(&snapshots, redis.port).await];
    for server in [&first, &second] {
        becomes(server, "tagledger_redis_up", 1.0).await;
    }
    let mut result = Vec::new();
    for n in 0..20 {
        result.push(first.ask(TOOL, question(n)).await.1);
    }
    assert_eq!(metric(&first, "tagledger_redis_hits_total").await, 0.0);
    // A task writes the answers to Redis after they were sent.
    has_keys(&redis, 20).await;
    for (n, result) in (0..20).zip(result) {
        assert_eq!(second.ask(TOOL, question(n)).await.1, result);
    }
    assert_eq!(metric(&second, "tagledger_redis_hits_total").await, 20.0);
    snapshots.append(2, vec![instances([("i-1".to_owned(), vec![("Owner", "a@example.com")])])]);
    let (answer, _) = second.ask(TOOL, question(0)).await;
    assert_eq!((&answer["as_of"]["snapshot_id"], &answer["total_resources"]), (&json!(2), &json!(1)), "{answer}");
}

/// While Redis is down, every answer is correct and takes less than one second. The server reconnects within two
/// seconds after Redis is back.
#[tokio::test]
async fn killed_redis_costs_no_answer() {
    let (snapshots, mut redis) = (ledger(), Redis::start());
    let (server, alone) = (sharing(&snapshots, redis.port).await, TestServer::of(&snapshots).await);
    becomes(&server, "tagledger_redis_up", 1.0).await;
    answers_rightly(&server, &alone, 0..10).await;
    redis.kill();
    answers_rightly(&server, &alone, 10..30).await;
    becomes(&server, "tagledger_redis_up", 0.0).await;
    let again = Redis::on(redis.port);
    let took = becomes(&server, "tagledger_redis_up", 1.0).await;
    assert!(took < Duration::from_secs(2), "back after {took:?} only");
    answers_rightly(&server, &alone, 30..40).await;
    drop(again);
}

/// While Redis does not respond, every answer is correct and takes less than one second, and Redis is reported as down.
/// The server uses Redis again after it responds.
#[tokio::test]
async fn hanging_redis_costs_no_answer() {
    let (snapshots, redis) = (ledger(), Redis::start());
    let (server, alone) = (sharing(&snapshots, redis.port).await, TestServer::of(&snapshots).await);
    becomes(&server, "tagledger_redis_up", 1.0).await;
    redis.signal("-STOP");
    answers_rightly(&server, &alone, 0..20).await;
    assert_eq!(metric(&server, "tagledger_redis_up").await, 0.0);
    redis.signal("-CONT");
    becomes(&server, "tagledger_redis_up", 1.0).await;
    answers_rightly(&server, &alone, 20..40).await;
}

/// Foreign values, a flush and a full memory of Redis change no answer. Foreign values are not counted as hits.
#[tokio::test]
async fn foreign_values_and_full_redis_change_no_answer() {
    let (snapshots, redis) = (ledger(), Redis::start());
    let (first, alone) = (sharing(&snapshots, redis.port).await, TestServer::of(&snapshots).await);
    becomes(&first, "tagledger_redis_up", 1.0).await;
    answers_rightly(&first, &alone, 0..10).await;
    has_keys(&redis, 10).await;
    let keys = redis.ask(&["KEYS", "tagledger:answer:*"]);
    let keys: Vec<&str> = keys.lines().filter(|line| line.starts_with("tagledger:answer:")).collect();
    assert_eq!(keys.len(), 10);
    for (n, key) in keys.iter().enumerate() {
        let made = match n % 3 {
            0 => redis.ask(&["SET", key, &"{\"compliance_score\": 1.0}".repeat(20)]),
            1 => redis.ask(&["SET", key, ""]),
            _ => {
                redis.ask(&["DEL", key]);
                redis.ask(&["LPUSH", key, "a list"])
            }
        };
        assert!(made.starts_with("+OK") || made.starts_with(":1"), "{made}");
    }
    let second = sharing(&snapshots, redis.port).await;
    becomes(&second, "tagledger_redis_up", 1.0).await;
    answers_rightly(&second, &alone, 0..10).await;
    assert_eq!(metric(&second, "tagledger_redis_hits_total").await, 0.0, "junk is no answer");
    redis.ask(&["FLUSHALL"]);
    answers_rightly(&second, &alone, 10..15).await;
    assert!(redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).starts_with("+OK"));
    answers_rightly(&second, &alone, 15..25).await;
    assert_eq!(metric(&second, "tagledger_redis_up").await, 1.0, "a full Redis still says what it has");
}

/// A peer that does not speak the Redis protocol changes no answer and is reported as down.
#[tokio::test]
async fn protocol_garbage_changes_no_answer() {
    let snapshots = ledger();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(50).flatten() {
            let mut stream = stream;
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n$-9\r\n\xff\xfe*99999999999\r\n"));
        }
    });
    let (server, alone) = (sharing(&snapshots, port).await, TestServer::of(&snapshots).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    answers_rightly(&server, &alone, 0..30).await;
    assert_eq!(metric(&server, "tagledger_redis_up").await, 0.0);
}

/// An address that is not a Redis URL is refused, and the error does not contain the password.
#[tokio::test]
async fn invalid_address_error_hides_password() {
    let error = RedisCache::open("http://:secret@localhost", CancellationToken::new()).unwrap_err();
    assert!(error.to_string().contains("redis://") && !error.to_string().contains("secret"), "{error}");
}

/// A cloud in which one instance is there, another is gone, and a third cannot be read; counts what it is asked for.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Lookup for Counting {
    fn look_up<'a>(&'a self, _: &'a Scope, arns: &'a [Arn], _: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
        self.0.fetch_add(arns.len(), Ordering::Relaxed);
        let one = |arn: &Arn| match arn.resource_id() {
            "i-gone" => LookupResult::NotFound,
            "i-unread" => LookupResult::Failed(Gap {
                reason: GapReason::Throttled,
                operation: "ec2:DescribeInstances".to_owned(),
                message: "slow down".to_owned(),
            }),
            _ => LookupResult::Found(Resource {
                arn: arn.clone(),
                created_at: Some(noon()),
                tags: Tags::Known([("Team", "\u{202e}x"), ("Owner", "\"q\"")].into_iter().collect()),
                usage: Some(Usage { driver: "m5.large".to_owned(), quantity: 1 }),
                links: Relationships::to(None, [(RelationshipKind::Vpc, Some("vpc-1"))]),
            }),
        };
        Box::pin(std::future::ready(arns.iter().map(one).collect()))
    }

    fn locate_buckets<'a>(&'a self, _: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// A second server takes the lookup results of the first from Redis and requests only what could not be read. Without
/// Redis it performs its own lookups.
#[tokio::test]
async fn lookup_results_are_shared_through_redis() {
    let (snapshots, mut redis) = (ledger(), Redis::start());
    let clouds = [(); 2].map(|()| Arc::new(Counting::default()));
    let mut servers = Vec::new();
    for cloud in &clouds {
        let cache = RedisCache::open(&format!("redis://127.0.0.1:{}/0", redis.port), CancellationToken::new()).unwrap();
        let ledger = AppState::new(&snapshots.store(), None, Duration::from_secs(36 * 3600), noon);
        let ledger = ledger.with_redis_cache(cache).with_lookup(Arc::<Counting>::clone(cloud));
        servers.push(TestServer::behind(guard(loopback()).unwrap(), ledger).await);
        becomes(&servers[servers.len() - 1], "tagledger_redis_up", 1.0).await;
    }
    let requested = || clouds.each_ref().map(|cloud| cloud.0.load(Ordering::Relaxed));
    let arns = ["i-there", "i-gone", "i-unread"].map(arn);
    let question = json!({"resource_arns": arns});
    let (first, _) = servers[0].ask("validate_resource_tags", question.clone()).await;
    assert_eq!(requested(), [3, 0]);
    // Those that were read; the third could not be.
    has_keys(&redis, 2).await;
    let (second, _) = servers[1].ask("validate_resource_tags", question.clone()).await;
    assert_eq!(requested(), [3, 1], "what could not be read is looked at again, and nothing else");
    assert_eq!(first["results"], second["results"]);
    assert_eq!(first["results"][0]["status"], "read");
    redis.kill();
    let (third, _) = servers[1].ask("validate_resource_tags", question).await;
    assert_eq!(requested(), [3, 4], "without Redis it looks for itself");
    assert_eq!(first["results"], third["results"]);
}

/// The server receives snapshot announcements again after a restart of Redis. It answers from the ledger, not from the
/// announced number.
#[tokio::test(flavor = "multi_thread")]
async fn announcements_resume_after_redis_restart() {
    let snapshots = ledger();
    let mut redis = Redis::start();
    let server = sharing(&snapshots, redis.port).await;
    let received = "tagledger_redis_announcements_total";
    let subscribed = |redis: &Redis| redis.ask(&["PUBSUB", "NUMSUB", "tagledger:snapshot"]).contains(":1");
    let wait = async |redis: &Redis| {
        let began = Instant::now();
        while !subscribed(redis) {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    wait(&redis).await;
    redis.ask(&["PUBLISH", "tagledger:snapshot", "7"]);
    becomes(&server, received, 1.0).await;
    // Whatever is told there, the ledger is what is answered from.
    let (answer, _) = server.ask(TOOL, json!({})).await;
    assert_eq!(answer["as_of"]["snapshot_id"], 1);
    let port = redis.port;
    redis.kill();
    let redis = Redis::on(port);
    wait(&redis).await;
    redis.ask(&["PUBLISH", "tagledger:snapshot", "2"]);
    becomes(&server, received, 2.0).await;
}
