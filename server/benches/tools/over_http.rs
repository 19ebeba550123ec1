//! Calls over HTTP, compared with a reference tool of the same MCP library that returns a stored answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{CallToolRequestParams, CallToolResponse, CallToolResult, ServerCapabilities, ServerConfig},
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{body, name};

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

/// A server whose only tool returns a stored answer.
#[derive(Clone)]
struct Reference(Arc<CallToolResult>);

impl ServerHandler for Reference {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(self.0.as_ref().clone().into())
    }
}

pub(crate) fn create_reference(answer: CallToolResult) -> Router {
    let reference = Reference(Arc::new(answer));
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service =
        StreamableHttpService::new(move || Ok(reference.clone()), Arc::new(NeverSessionManager::default()), config);
    Router::new().nest_service("/mcp", service)
}

/// Measures both services in alternating rounds, so that other load of the machine affects both.
pub(crate) async fn measure_over_http(service: &Router, reference: &Router, tool: &str, arguments: &Value) {
    let (service, reference) = (serve(service.clone()).await, serve(reference.clone()).await);
    let (mut rates, mut reference_rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(load(service, &body(tool, arguments)).await);
        reference_rates.push(load(reference, &body(tool, arguments)).await);
    }
    let (rate, reference_rate) = (median(rates), median(reference_rates));
    let ratio = rate as f64 / reference_rate as f64;
    println!("{:<44} {rate:>8} {reference_rate:>8} {ratio:>8.2}", name(tool, arguments));
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

async fn serve(service: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(axum::serve(listener, service).into_future());
    address
}

/// Calls per second over several connections. Each connection sends its next request when it has the response.
async fn load(address: SocketAddr, body: &str) -> u64 {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (completed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(call(address, request.clone(), Arc::clone(&completed), Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(ROUND).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("a caller");
    }
    completed.load(Ordering::Relaxed) / ROUND.as_secs()
}

async fn call(address: SocketAddr, request: String, completed: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut buffer = vec![0; 1 << 20];
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).await.expect("a request");
        let (mut read, mut length) = (0, usize::MAX);
        while read < length {
            let more = stream.read(&mut buffer[read..]).await.expect("an answer");
            assert!(more > 0, "the answer ends early");
            read += more;
            if length == usize::MAX {
                length = response_length(&buffer[..read]).unwrap_or(length);
            }
        }
        completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The length of a response, head and body, when its head was received.
fn response_length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).expect("a head").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    Some(end + 4 + length.trim().parse::<usize>().expect("a number"))
}
