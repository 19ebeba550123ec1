//! Calls over HTTP, compared with a bare tool of the same library that returns a stored answer.

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

/// A server with one answer at hand.
#[derive(Clone)]
struct Bare(Arc<CallToolResult>);

impl ServerHandler for Bare {
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

pub(crate) fn bare(answer: CallToolResult) -> Router {
    let bare = Bare(Arc::new(answer));
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let service =
        StreamableHttpService::new(move || Ok(bare.clone()), Arc::new(NeverSessionManager::default()), config);
    Router::new().nest_service("/mcp", service)
}

/// Rounds in turn, so that what else the machine does meets both.
pub(crate) async fn over_http(ours: &Router, bare: &Router, tool: &str, arguments: &Value) {
    let (ours, bare) = (serve(ours.clone()).await, serve(bare.clone()).await);
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_ours.push(load(ours, &body(tool, arguments)).await);
        of_bare.push(load(bare, &body(tool, arguments)).await);
    }
    let (ours, bare) = (median(of_ours), median(of_bare));
    let ratio = ours as f64 / bare as f64;
    println!("{:<44} {ours:>8} {bare:>8} {ratio:>8.2}", name(tool, arguments));
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

/// Calls a second, over some connections that each wait for their answer.
async fn load(address: SocketAddr, body: &str) -> u64 {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(call(address, request.clone(), Arc::clone(&done), Arc::clone(&over))))
        .collect();
    tokio::time::sleep(ROUND).await;
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("a caller");
    }
    done.load(Ordering::Relaxed) / ROUND.as_secs()
}

async fn call(address: SocketAddr, request: String, done: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut buffer = vec![0; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        stream.write_all(request.as_bytes()).await.expect("a request");
        let (mut read, mut complete) = (0, usize::MAX);
        while read < complete {
            let more = stream.read(&mut buffer[read..]).await.expect("an answer");
            assert!(more > 0, "the answer ends early");
            read += more;
            if complete == usize::MAX {
                complete = length(&buffer[..read]).unwrap_or(complete);
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of an answer, head and body, once its head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).expect("a head").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    Some(end + 4 + length.trim().parse::<usize>().expect("a number"))
}
