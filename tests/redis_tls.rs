//! A Redis that asks for TLS, a password and a database of its own.

#![cfg(test)]

mod support;

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use support::{
    binary::{run, tagledger, temp_folder},
    server::Server,
};

/// Ended when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn openssl(folder: &Path, arguments: &str) {
    let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let made = made.expect("openssl is installed: apt-get install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// An authority, and a certificate of its for 127.0.0.1.
fn certificate(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {KEY} -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"));
    openssl(folder, &format!("req {KEY} -subj /CN=redis -keyout key.pem -out request.pem"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        folder,
        "x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out certificate.pem",
    );
}

fn redis(folder: &Path, port: u16) -> Ended {
    let mut command = Command::new("redis-server");
    command.current_dir(folder).args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--port",
        "0",
        "--tls-port",
        &port.to_string(),
    ]);
    command.args([
        "--tls-cert-file",
        "certificate.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-ca-cert-file",
        "authority.pem",
    ]);
    command.args(["--tls-auth-clients", "no", "--requirepass", "open sesame"]);
    let child = Ended(command.stdout(Stdio::piped()).spawn().expect("redis-server is installed"));
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "it does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

/// The server with a Redis, and whether that answers within three seconds.
fn is_up(home: &Path, url: &str, trusted: &Path) -> bool {
    let mut command = tagledger(home);
    let server = Server::start(command.env("REDIS_URL", url).env("SSL_CERT_FILE", trusted), "127.0.0.1");
    (0..30).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        server.ask("GET", "/metrics", "", "").1.contains("tagledger_redis_up 1")
    })
}

/// A Redis connection over TLS with a password is established. A certificate of an unknown authority, a wrong password
/// and an invalid URL are refused.
#[test]
fn tls_certificate_and_password_are_verified() {
    let folder = temp_folder();
    let (home, port) = (folder.path(), free_port());
    certificate(home);
    let _redis = redis(home, port);
    let url = format!("rediss://:open%20sesame@127.0.0.1:{port}/2");
    assert!(is_up(home, &url, &home.join("authority.pem")));
    let nobody = temp_folder();
    certificate(nobody.path());
    assert!(!is_up(home, &url, &nobody.path().join("authority.pem")), "another's certificate is trusted");
    let invalid = format!("rediss://:wrong@127.0.0.1:{port}/2");
    assert!(!is_up(home, &invalid, &home.join("authority.pem")), "a wrong password is accepted");
    run(tagledger(home).arg("server").env("REDIS_URL", "redis:/secret"))
        .complains(&["not the address of a Redis server"]);
}
