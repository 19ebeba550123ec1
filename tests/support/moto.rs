//! moto server, an independent AWS emulator. `tests/aws/*.py` fill it and list its resources.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use fake_aws::Estate;
use serde_json::Value;

use super::{
    binary::{Outcome, finish, repository},
    expected::Expected,
    ledger::{Pairs, Record, Records},
    recipes::Way,
};

/// The account that moto takes any unknown access key for.
pub(crate) const MOTO_HOME: &str = "123456789012";

/// A moto server on a port of its own. Dropping it stops it.
pub(crate) struct Moto {
    child: Child,
    pub(crate) endpoint: String,
}

impl Moto {
    /// Starts one and waits until it listens.
    pub(crate) fn start() -> Self {
        let mut command = python();
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]).env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("moto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut reported = Vec::new();
        let endpoint = loop {
            let Some(Ok(line)) = lines.next() else { panic!("moto ended before it listened: {reported:#?}") };
            if let Some((_, endpoint)) = line.split_once("Running on ") {
                break endpoint.trim().to_owned();
            }
            reported.push(line);
        };
        // Its access log would fill the pipe and stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, endpoint }
    }

    /// Sends a document to moto's own interface, which takes it.
    pub(crate) fn post(&self, path: &str, document: &Value) {
        let (address, body) = (self.endpoint.trim_start_matches("http://"), document.to_string());
        let mut stream = std::net::TcpStream::connect(address).expect("moto listens");
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// Makes every resource of an estate, and returns what moto lists of it.
    pub(crate) fn seed(&self, estate: &Estate) -> Vec<Value> {
        let listed = script("seed_moto.py", &[&self.endpoint], estate).exits(0);
        serde_json::from_str(&listed.stdout).expect("a JSON list")
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Python with what `tests/aws/requirements.txt` names.
fn python() -> Command {
    let given = std::env::var_os("TAGLEDGER_TEST_PYTHON").map(PathBuf::from);
    let path = given.unwrap_or_else(|| repository(".venv/bin/python"));
    assert!(
        path.exists(),
        "there is no {}: run `tests/run`, which makes it, or set TAGLEDGER_TEST_PYTHON",
        path.display()
    );
    Command::new(path)
}

/// Runs one of `tests/aws/*.py` with an estate on its standard input.
pub(crate) fn script(name: &str, arguments: &[&str], estate: &Estate) -> Outcome {
    let mut command = python();
    command.arg(repository("tests/aws").join(name)).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let mut input = child.stdin.take().expect("a pipe");
    let document = estate.to_seed_json().to_string();
    let writer = std::thread::spawn(move || input.write_all(document.as_bytes()));
    let outcome = finish(&mut child, &command);
    writer.join().expect("the estate is written").ok();
    outcome
}

/// What a scan of a seeded moto must record: what moto listed, judged by the way in which each resource was tagged.
///
/// `found` is only asked for what moto makes up: when a resource was made, and the root volume that every instance has.
pub(crate) fn expected(estate: &Estate, ways: &[Way], listing: &[Value], found: &Records) -> Expected {
    let truth = Expected::of(estate, ways);
    let mut records = Records::new();
    for resource in listing {
        let text = |field: &str| resource[field].as_str().expect("a text").to_owned();
        let (arn, resource_type) = (text("arn"), text("resource_type"));
        let tags: Pairs = serde_json::from_value(resource["tags"].clone()).expect("pairs");
        let (state, findings) = match truth.records.get(&arn) {
            Some(record) => (record.state.clone(), record.findings.clone()),
            // moto makes ids of EC2 up, so the tags have to say which of the ways it is.
            None => {
                let mut explained = ways.iter().filter(|way| way.explains(&tags));
                let way = explained.next().unwrap_or_else(|| panic!("no way explains {tags:?} of {arn}"));
                assert!(explained.next().is_none(), "two ways explain {tags:?}");
                let (state, findings) = way.verdict(&resource_type);
                (state.to_owned(), findings)
            }
        };
        let created = found.get(&arn).and_then(|record| record.created);
        let (account, region, tags) = (text("account"), text("region"), Some(tags));
        let record = Record { account, region, resource_type, state, reason: None, tags, created, findings };
        records.insert(arn, record);
    }
    let roots = root_volumes(&records, found);
    records.extend(roots);
    Expected { records }
}

/// The volumes that moto made with its instances: as many of them, untagged, in the same places.
fn root_volumes(listed: &Records, found: &Records) -> Records {
    let place = |record: &Record| (record.account.clone(), record.region.clone());
    let mut instances: Vec<_> =
        listed.values().filter(|record| record.resource_type == "ec2:instance").map(place).collect();
    let roots: Records = found
        .iter()
        .filter(|(arn, record)| record.resource_type == "ec2:volume" && !listed.contains_key(*arn))
        .map(|(arn, record)| {
            let state = "not_applicable".to_owned();
            let bare = Record { tags: Some(Vec::new()), state, reason: None, findings: Vec::new(), ..record.clone() };
            (arn.clone(), bare)
        })
        .collect();
    let mut volumes: Vec<_> = roots.values().map(place).collect();
    instances.sort();
    volumes.sort();
    assert_eq!(volumes, instances, "one root volume an instance");
    roots
}
