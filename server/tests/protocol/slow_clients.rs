//! Clients that never finish a request.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::test_server::{TestLedger, TestServer, instances};

/// Sends what it has a byte at a time until the server closes the connection; says after how long that was.
async fn dawdle(server: std::net::SocketAddr, at_once: &'static str, byte: u8) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let sending = tokio::spawn(async move {
        while to.write_all(&[byte]).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    drop(timeout(Duration::from_secs(30), from.read_to_end(&mut answer)).await.expect("cut off"));
    sending.abort();
    began.elapsed()
}

/// 400 clients that send a request byte by byte are disconnected within ten seconds, and other clients are answered
/// meanwhile.
#[tokio::test]
async fn slow_senders_are_disconnected() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([("i-1".to_owned(), Vec::new())])]);
    let server = TestServer::of(&ledger).await;
    let address = server.address();
    let heads = "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";
    let bodies =
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n";
    let slow: Vec<_> =
        (0..400).map(|n| tokio::spawn(dawdle(address, if n % 2 == 0 { heads } else { bodies }, b' '))).collect();
    // Their connections are there before ours.
    sleep(Duration::from_millis(500)).await;
    for _ in 0..20 {
        let (answer, _) = timeout(Duration::from_secs(2), server.ask("check_tag_compliance", json!({}))).await.unwrap();
        assert_eq!(answer["states"]["non_compliant"], 1, "{answer}");
        sleep(Duration::from_millis(20)).await;
    }
    for one in slow {
        let took = one.await.unwrap();
        assert!(took < Duration::from_secs(10), "cut off after {took:?} only");
    }
}

/// Clients that send requests and never read the responses are disconnected, and the server still answers.
#[tokio::test]
async fn clients_that_never_read_are_disconnected() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([("i-1".to_owned(), Vec::new())])]);
    let server = TestServer::of(&ledger).await;
    let address = server.address();
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(64);
    let greedy = (0..5).map(|_| {
        let request = request.clone();
        tokio::spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4_096).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            // Until nothing more is taken; then the server gives up, and the next byte is refused.
            loop {
                if timeout(Duration::from_secs(40), stream.write_all(request.as_bytes()))
                    .await
                    .expect("cut off")
                    .is_err()
                {
                    return;
                }
            }
        })
    });
    for one in greedy.collect::<Vec<_>>() {
        timeout(Duration::from_secs(90), one).await.expect("cut off").unwrap();
    }
    server.ask("check_tag_compliance", json!({})).await;
}
