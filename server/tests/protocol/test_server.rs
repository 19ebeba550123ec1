//! A ledger that a test writes snapshot by snapshot, and a server on it that is called over a socket.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tagledger_cloud::Lookup;
use tagledger_http::{GuardSettings, RequestGuard};
use tagledger_ledger::{BillCollection, LedgerWriter, SnapshotHeader};
use tagledger_model::{
    account::Account,
    inventory::{Gap, Listing, Relationships, Resource, Scope, Tags},
};
use tagledger_policy::Policy;
use tagledger_server::{AppState, guard, serve_http};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const ACCOUNT: &str = "111111111111";
pub(crate) const REGION: &str = "eu-west-1";

/// Two tags that every instance must have.
const POLICY: &str = r#"{
    "version": "1.0",
    "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        {"name": "CostCenter", "allowed_values": ["Engineering", "Sales"]},
        {"name": "Owner", "validation_regex": "^[a-z]+@example\\.com$"}
    ]
}"#;

/// Noon of the day after the first night.
pub(crate) fn noon() -> Timestamp {
    "2026-11-02T12:00:00Z".parse().unwrap()
}

/// A ledger in a folder of its own.
pub(crate) struct TestLedger {
    folder: TempDir,
    policy: Policy,
}

impl TestLedger {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), policy: Policy::parse(POLICY).unwrap() }
    }

    /// From now on nights are judged by another policy.
    pub(crate) fn evaluate_by(&mut self, policy: &str) {
        self.policy = Policy::parse(policy).unwrap();
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    /// The policy of the nights, as a file.
    pub(crate) fn policy_file(&self) -> PathBuf {
        let path = self.folder.path().join("policy.json");
        std::fs::write(&path, POLICY).unwrap();
        path
    }

    /// Deletes the ledger with all its files.
    pub(crate) fn delete(&self) {
        for suffix in ["", "-wal", "-shm", ".seal"] {
            let file = format!("{}{suffix}", self.store().display());
            if std::path::Path::new(&file).exists() {
                std::fs::remove_file(file).unwrap();
            }
        }
    }

    /// Appends night `number` (1 is the first) with these lists.
    pub(crate) fn append(&self, number: i32, listings: Vec<(Scope, Listing)>) {
        self.append_of(&[ACCOUNT], number, listings);
    }

    /// The same of several accounts.
    pub(crate) fn append_of(&self, accounts: &[&str], number: i32, listings: Vec<(Scope, Listing)>) {
        self.write(accounts, number, listings, None);
    }

    /// The same of one account, whose bill was asked for.
    pub(crate) fn append_billed(&self, number: i32, listings: Vec<(Scope, Listing)>, bill: &BillCollection) {
        self.write(&[ACCOUNT], number, listings, Some(bill));
    }

    fn write(&self, accounts: &[&str], number: i32, listings: Vec<(Scope, Listing)>, bill: Option<&BillCollection>) {
        let started_at = "2026-10-31T23:00:00Z".parse::<Timestamp>().unwrap() + (24 * number).hours();
        let mut writer = LedgerWriter::open(&self.store()).unwrap();
        let mut snapshot =
            writer.begin_snapshot(SnapshotHeader { started_at, policy: &self.policy, app_version: "test" }).unwrap();
        for id in accounts {
            let (id, partition) = (id.parse().unwrap(), "aws".parse().unwrap());
            snapshot.add_account(&Account { id, partition, name: None }).unwrap();
        }
        for (scope, listing) in listings {
            snapshot.record(&scope, &listing).unwrap();
        }
        if let Some(bill) = bill {
            snapshot.record_bill(bill).unwrap();
        }
        snapshot.finish(started_at, 1).unwrap();
    }

    /// Learns from the newest night, as every scan does.
    pub(crate) fn learn(&self) {
        LedgerWriter::open(&self.store()).unwrap().train().unwrap().unwrap();
    }
}

pub(crate) fn scope(resource_type: &str) -> Scope {
    Scope {
        account: ACCOUNT.parse().unwrap(),
        region: REGION.parse().unwrap(),
        resource_type: resource_type.parse().unwrap(),
    }
}

/// A whole list of instances, given by id and tags.
pub(crate) fn instances<'a>(found: impl IntoIterator<Item = (String, Vec<(&'a str, &'a str)>)>) -> (Scope, Listing) {
    let resource = |(id, tags): (String, Vec<(&'a str, &'a str)>)| Resource {
        arn: format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}").parse().unwrap(),
        created_at: None,
        tags: Tags::Known(tags.into_iter().collect()),
        usage: None,
        links: Relationships::default(),
    };
    (scope("ec2:instance"), Listing { resources: found.into_iter().map(resource).collect(), gap: None })
}

/// A list that could not be read at all.
pub(crate) fn unread(resource_type: &str, gap: Gap) -> (Scope, Listing) {
    (scope(resource_type), Listing { resources: Vec::new(), gap: Some(gap) })
}

/// Lets everybody on this machine in, unless keys are named.
pub(crate) fn loopback() -> GuardSettings {
    GuardSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        keys: None,
        oauth: None,
        control_key: None,
        names: Vec::new(),
        requests_per_minute: NonZeroU32::new(6_000).unwrap(),
        clock: noon,
    }
}

/// The server, on a port of its own until it is dropped.
pub(crate) struct TestServer {
    address: SocketAddr,
    end: DropGuard,
    serving: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn of(ledger: &TestLedger) -> Self {
        Self::serving(AppState::new(&ledger.store(), None, Duration::from_secs(36 * 3600), noon)).await
    }

    /// The server with a way to look at resources.
    pub(crate) async fn looking_through(snapshots: &TestLedger, cloud: impl Lookup) -> Self {
        let ledger = AppState::new(&snapshots.store(), None, Duration::from_secs(36 * 3600), noon);
        Self::serving(ledger.with_lookup(Arc::new(cloud))).await
    }

    /// The server at another time, which all servers of this process then share.
    pub(crate) async fn at(ledger: &TestLedger, now: &str) -> Self {
        static NOW: std::sync::OnceLock<Timestamp> = std::sync::OnceLock::new();
        NOW.get_or_init(|| now.parse().unwrap());
        let clock = || *NOW.get().unwrap();
        Self::serving(AppState::new(&ledger.store(), None, Duration::from_secs(36 * 3600), clock)).await
    }

    /// The server with a policy file that it follows.
    pub(crate) async fn following(ledger: &TestLedger, policy: &Path) -> Self {
        Self::serving(AppState::new(&ledger.store(), Some(policy), Duration::from_secs(36 * 3600), noon)).await
    }

    async fn serving(ledger: AppState) -> Self {
        Self::behind(guard(loopback()).unwrap(), ledger).await
    }

    /// A server with a request guard.
    pub(crate) async fn behind(guard: RequestGuard, ledger: AppState) -> Self {
        let ledger = Arc::new(ledger);
        let end = CancellationToken::new();
        let (tell, answer) = oneshot::channel();
        let serving = serve_http(ledger, guard, end.clone(), |address| {
            tell.send(address).unwrap();
        });
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address: answer.await.unwrap(), end: end.drop_guard(), serving }
    }

    /// The structured answer of a tool, and the body that it came in.
    pub(crate) async fn ask(&self, tool: &str, arguments: Value) -> (Value, String) {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let body = self.post(&call.to_string()).await;
        let mut reply: Value = serde_json::from_str(&body).unwrap();
        assert_ne!(reply["result"]["isError"], Value::Bool(true), "{body}");
        (reply["result"]["structuredContent"].take(), body)
    }

    /// The words with which a tool refuses.
    pub(crate) async fn refused(&self, tool: &str, arguments: Value) -> String {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let reply: Value = serde_json::from_str(&self.post(&call.to_string()).await).unwrap();
        assert_eq!(reply["result"]["isError"], true, "{reply}");
        reply["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server, and waits until it has.
    pub(crate) async fn end(self) {
        drop(self.end);
        self.serving.await.unwrap();
    }

    /// What a resource says.
    pub(crate) async fn resource(&self, uri: &str) -> Value {
        let read = self.request("resources/read", json!({"uri": uri})).await;
        let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{read}"));
        serde_json::from_str(text).unwrap()
    }

    /// A request of any method, answered as JSON-RPC has it.
    pub(crate) async fn request(&self, method: &str, parameters: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        serde_json::from_str(&self.post(&request.to_string()).await).unwrap()
    }

    async fn post(&self, body: &str) -> String {
        let Reply { status, head, body } = self.send("POST", "/mcp", "", body).await;
        assert_eq!(status, 200, "{head}{body}");
        assert!(head.contains("content-length:"), "the body is not in one piece: {head}");
        body
    }

    /// What a request is answered with, headers of its own included.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let (address, length) = (self.address, body.len());
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Pages through a list whose rows stand in `rows`; between two pages `meanwhile` happens.
    pub(crate) async fn pages(&self, tool: &str, rows: &str, limit: u64, mut meanwhile: impl FnMut()) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut arguments = json!({"limit": limit});
            if !cursor.is_null() {
                arguments["cursor"] = cursor;
            }
            let (page, _) = self.ask(tool, arguments).await;
            assert!(!page[rows].as_array().unwrap().is_empty(), "{page}");
            cursor = page["next_cursor"].clone();
            pages.push(page);
            if cursor.is_null() {
                return pages;
            }
            meanwhile();
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}
