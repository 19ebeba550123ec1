//! Tests of the running fake over raw HTTP, without the SDK.

mod expected_resources;
mod faults;
mod listings;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{AccountEstate, Counts, Estate, FakeAws, Faults, Recipe, Rule};

const HOME: &str = "111122223333";
const KEY: &str = "AKIAFAKEFAKEFAKEFAKE";

/// A request as an SDK would send it.
struct Ask {
    service: &'static str,
    region: &'static str,
    key: String,
    head: String,
    body: String,
}

impl Ask {
    fn form(service: &'static str, body: &str) -> Self {
        let head = "POST / HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded".to_owned();
        Self { service, region: "us-east-1", key: KEY.to_owned(), head, body: body.to_owned() }
    }

    fn json(service: &'static str, target: &str, body: &Value) -> Self {
        let head = format!("POST / HTTP/1.1\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-target: {target}");
        Self { head, body: body.to_string(), ..Self::form(service, "") }
    }

    fn get(service: &'static str, path: &str) -> Self {
        Self { head: format!("GET {path} HTTP/1.1"), ..Self::form(service, "") }
    }

    fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    fn key(mut self, key: &str) -> Self {
        self.key = key.to_owned();
        self
    }

    /// Sends the request, and returns the raw response.
    async fn raw(&self, fake: &FakeAws) -> String {
        let mut stream = TcpStream::connect(fake.endpoint().trim_start_matches("http://")).await.unwrap();
        let Self { service, region, key, head, body } = self;
        let request = format!(
            "{head}\r\nhost: fake\r\nconnection: close\r\ncontent-length: {}\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential={key}/20250101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        String::from_utf8(response).unwrap()
    }

    /// Sends the request, and returns the status and the body.
    async fn send(&self, fake: &FakeAws) -> (u16, String) {
        let raw = self.raw(fake).await;
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn value(&self, fake: &FakeAws) -> Value {
        serde_json::from_str(&self.send(fake).await.1).unwrap()
    }
}

fn text<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    rest.split_once(&format!("</{element}>")).map(|(text, _)| text)
}

fn count(xml: &str, what: &str) -> usize {
    xml.matches(what).count()
}

fn estate(counts: Counts) -> Estate {
    Estate::new(HOME)
        .with_account(AccountEstate::new(HOME).with_region("eu-west-1", counts).with_region("us-east-1", counts))
        .with_recipe(Recipe::of(&[("Owner", "a & <b> \"c\"")]))
        .with_recipe(Recipe::default())
        .with_recipe(Recipe::once_tagged())
}

async fn start(estate: Estate) -> FakeAws {
    FakeAws::start(estate, Faults::none()).await.unwrap()
}

async fn faulty(rule: Rule) -> FakeAws {
    FakeAws::start(estate(Counts::each(30)), Faults::none().with(rule)).await.unwrap()
}

fn ecs(operation: &str, body: &Value) -> Ask {
    Ask::json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{operation}"), body)
}

fn tagging(body: &Value) -> Ask {
    Ask::json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", body)
}
