//! A hundred thousand invalid requests: mutations of valid ones, arguments generated from the schemas at random, and
//! noise.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::{Map, Value, json};
use tagledger_http::{ApiKeyFile, Expiry, GuardSettings, NewKey, Scope};
use tagledger_server::{AppState, guard};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::test_server::{TestLedger, TestServer, instances, loopback, noon};

const REQUESTS: u64 = 100_000;
const CONNECTIONS: u64 = 4;

/// Statuses that the server is known to answer with; none of them says that it failed.
const STATUSES: [u16; 4] = [200, 202, 400, 401];

/// Marsaglia's generator: the same requests on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len());
        &all[at]
    }
}

fn odd(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(1e308),
        5 => json!(0.1),
        6 => json!(""),
        7 => json!("x".repeat(random.below(5_000))),
        8 => json!("\u{0}\u{202e}\u{e0041}"),
        9 => json!([]),
        10 => json!({}),
        11 => json!("2026-11-01"),
        12 => json!("9999-99-99"),
        13 => json!("arn:aws:s3:::x"),
        14 => json!("eu-west-1"),
        _ => json!(random.next() % 200),
    }
}

/// A value that a schema admits, mostly.
fn filled(schema: &Value, complete: &Value, random: &mut Random, depth: usize) -> Value {
    if depth > 6 || random.below(8) == 0 {
        return odd(random);
    }
    if let Some(name) = schema["$ref"].as_str() {
        let named = &complete["$defs"][name.rsplit('/').next().unwrap()];
        return filled(named, complete, random, depth + 1);
    }
    if let Some(values) = schema["enum"].as_array().or_else(|| schema["oneOf"].as_array()).filter(|all| !all.is_empty())
    {
        let value = random.of(values).clone();
        return if value.is_object() { value["const"].clone() } else { value };
    }
    match schema["type"].as_str() {
        Some("object") => {
            let mut fields = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if random.below(3) == 0 {
                    fields.insert(name.clone(), filled(field, complete, random, depth + 1));
                }
            }
            Value::Object(fields)
        }
        Some("array") => (0..random.below(4)).map(|_| filled(&schema["items"], complete, random, depth + 1)).collect(),
        Some("integer") => json!(random.below(120)),
        Some("number") => json!(f64::from(u32::try_from(random.below(1_000)).unwrap()) / 100.0),
        Some("boolean") => json!(random.below(2) == 0),
        _ => odd(random),
    }
}

fn mutated(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *random.of(b"{}[]\",:\\0e-\xff\xc0")),
            3 => bytes.truncate(at),
            _ => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
        }
    }
    bytes
}

fn body(tools: &[Value], random: &mut Random) -> Vec<u8> {
    let tool = random.of(tools);
    let arguments = filled(&tool["inputSchema"], &tool["inputSchema"], random, 0);
    let method = *random.of(&[
        "tools/call",
        "tools/call",
        "tools/call",
        "tools/list",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "initialize",
        "server/discover",
        "subscriptions/listen/x",
        "ping",
        "nothing",
    ]);
    let parameters = match method {
        "resources/read" => {
            json!({"uri": random.of(&["tagledger://policy", "tagledger://report/2026-11-01", "tagledger://x"])})
        }
        "prompts/get" => json!({"name": "what_to_fix_first", "arguments": {"account_id": odd(random)}}),
        "completion/complete" => json!({"ref": {"type": "ref/prompt", "name": "what_to_fix_first"},
            "argument": {"name": "region", "value": odd(random)}}),
        "tools/call" => json!({"name": tool["name"], "arguments": arguments}),
        _ => odd(random),
    };
    let id = if random.below(6) == 0 { odd(random) } else { json!(1) };
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
    match random.below(4) {
        0 => mutated(request.to_string().into_bytes(), random),
        1 if random.below(4) == 0 => (0..random.below(300)).map(|_| u8::try_from(random.below(256)).unwrap()).collect(),
        _ => request.to_string().into_bytes(),
    }
}

/// One answer on a connection that stays open, unless the server closes it.
async fn answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>, bool)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    assert!(length > 0 || !text.contains("transfer-encoding"), "{text}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((status, body, text.contains("connection: close")))
}

/// Sends its share; says how often each status came.
async fn ask(address: SocketAddr, key: String, tools: Vec<Value>, seed: u64) -> BTreeMap<u16, u64> {
    let mut random = Random(seed);
    let mut statuses = BTreeMap::new();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..REQUESTS / CONNECTIONS {
        let body = body(&tools, &mut random);
        let authorization =
            if random.below(20) == 0 { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nContent-Length: {}\r\n{authorization}\r\n",
            body.len()
        );
        let sent = [head.as_bytes(), &body].concat();
        stream.write_all(&sent).await.unwrap();
        let result = || String::from_utf8_lossy(&body).into_owned();
        let Some((status, answered, closes)) = timeout(Duration::from_secs(30), answer(&mut stream)).await.unwrap()
        else {
            panic!("no answer to {}", result());
        };
        assert!(STATUSES.contains(&status), "{status} to {}", result());
        let answered = String::from_utf8(answered).unwrap();
        assert!(!answered.contains("-32603"), "{answered} to {}", result());
        *statuses.entry(status).or_insert(0) += 1;
        if closes {
            stream = TcpStream::connect(address).await.unwrap();
        }
    }
    statuses
}

/// Mebibytes of this process that are no pages of files.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
}

/// 100,000 mutated, generated and random requests get only the statuses 200, 202, 400 and 401 and no internal error,
/// and memory grows by less than 160 MiB. The server still answers afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_requests_neither_panic_nor_leak() {
    let snapshots = TestLedger::new();
    let some = |n: i32| {
        (0..n).map(|n| (format!("i-{n:03}"), vec![("CostCenter", "Sales"), ("Team", "x")])).collect::<Vec<_>>()
    };
    snapshots.append(1, vec![instances(some(30))]);
    snapshots.append(2, vec![instances(some(40))]);
    snapshots.learn();
    let file = snapshots.store().with_extension("keys");
    let new = NewKey { name: "test".to_owned(), scopes: Scope::ALL.into(), accounts: None, expires: Expiry::Never };
    let key = ApiKeyFile::create(&file, new, noon()).unwrap().1;
    let settings = GuardSettings { keys: Some(file), requests_per_minute: u32::MAX.try_into().unwrap(), ..loopback() };
    let ledger = AppState::new(&snapshots.store(), None, Duration::from_secs(36 * 3600), noon);
    let server = TestServer::behind(guard(settings).unwrap(), ledger).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let bearer = format!("Authorization: Bearer {key}\r\n");
    let tools: Value = serde_json::from_str(&server.send("POST", "/mcp", &bearer, &list).await.body).unwrap();
    let tools = tools["result"]["tools"].as_array().unwrap().clone();
    let before = memory();
    let asking: Vec<_> = (1..=CONNECTIONS)
        .map(|seed| tokio::spawn(ask(server.address(), key.clone(), tools.clone(), seed * 7_919)))
        .collect();
    let mut statuses = BTreeMap::new();
    for one in asking {
        for (status, n) in one.await.unwrap() {
            *statuses.entry(status).or_insert(0) += n;
        }
    }
    assert!(statuses[&200] > REQUESTS / 3 && statuses[&400] > REQUESTS / 3 && statuses[&401] > 2_000, "{statuses:?}");
    // Answers are kept at hand, sixteen mebibytes of them, and statements.
    assert!(memory() < before + 160, "{before} MiB before, {} MiB after", memory());
    let healthy = server.send("POST", "/mcp", &bearer, &list).await;
    assert_eq!(healthy.status, 200);
}
