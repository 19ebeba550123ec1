//! Keys, from the command that makes one to the server that asks for it.

#![cfg(test)]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use support::binary::{Outcome, run, tagledger, temp_folder};

fn key(home: &Path, arguments: &[&str]) -> Outcome {
    run(tagledger(home).arg("key").args(arguments))
}

/// A server, killed when it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The server on every address of this machine, on a port that is free.
fn serve(command: &mut Command) -> Server {
    let mut process = command.args(["server", "--listen", "0.0.0.0:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("serving MCP")).expect("it serves");
    let port = line.rsplit("0.0.0.0:").next().unwrap().trim().parse().unwrap();
    Server { process, port }
}

fn status(server: &Server, authorization: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let length = body.len();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nHost: ledger.example.com\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n{authorization}\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_key_is_made_listed_asked_for_and_taken_back() {
    let folder = temp_folder();
    let home = folder.path();
    run(tagledger(home).args(["server", "--listen", "0.0.0.0:0"])).complains(&["tagledger key create", "127.0.0.1"]);
    let made =
        key(home, &["create", "--name", "Ada's laptop", "--accounts", "111122223333", "--expires", "90d"]).exits(0);
    let token = made.stdout.trim_end();
    assert!(token.starts_with("tagledger_") && token.len() > 50, "standard output has the key alone: {token}");
    assert!(made.stderr.contains("It is shown once"), "{}", made.stderr);
    let file = home.join("tagledger-keys.json");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(token));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = key(home, &["list"]).exits(0).stdout;
    assert!(listed.contains("active") && listed.contains("Ada's laptop") && !listed.contains(token), "{listed}");
    assert!(listed.contains("read, live in 111122223333"), "{listed}");

    let server = serve(&mut tagledger(home));
    let health = run(tagledger(home).args(["health", &format!("0.0.0.0:{}", server.port)])).exits(1);
    assert!(health.stdout.contains("there is no snapshot yet"), "{}", health.stdout);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!((status(&server, &bearer), status(&server, "")), (200, 401));
    let revoked = key(home, &["revoke", "Ada's laptop"]).exits(0).stdout;
    assert!(revoked.contains("1 key revoked"), "{revoked}");
    let refused = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        status(&server, &bearer) == 401
    });
    assert!(refused, "a key that was taken back is still accepted after five seconds");
    assert!(key(home, &["revoke", "Ada's laptop"]).exits(0).stdout.contains("still accepted"));
    assert!(key(home, &["list"]).stdout.contains("revoked"));
}

#[test]
fn what_makes_no_sense_of_a_key_is_told_and_nothing_is_made() {
    let folder = temp_folder();
    let home = folder.path();
    run(tagledger(home).args(["health", "127.0.0.1:1"])).complains(&["nothing answers at 127.0.0.1:1"]);
    key(home, &["revoke", "nobody"]).complains(&["no key with the id or name nobody"]);
    key(home, &["list"]).complains(&["tagledger-keys.json cannot be read"]);
    key(home, &["create", "--name", ""]).complains(&["1 to 64 characters"]);
    for (arguments, words) in [
        (["--scopes", "write"], "there are read, live and rescan"),
        (["--expires", "soon"], "neither a number of days"),
        (["--accounts", "42"], "account"),
    ] {
        let outcome = key(home, &[&["create", "--name", "x"][..], &arguments].concat());
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    std::fs::write(home.join("tagledger-keys.json"), "[]").unwrap();
    key(home, &["create", "--name", "x"]).complains(&["does not hold keys"]);
    assert_eq!(std::fs::read_to_string(home.join("tagledger-keys.json")).unwrap(), "[]");
}

#[test]
fn keys_that_are_made_at_once_are_all_kept() {
    let folder = temp_folder();
    let home = folder.path();
    let making: Vec<Child> = (0..16)
        .map(|n| {
            let mut command = tagledger(home);
            command.args(["key", "create", "--name", &format!("key {n}")]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut one in making {
        assert!(one.wait().unwrap().success());
    }
    let listed = key(home, &["list"]).stdout;
    assert!((0..16).all(|n| listed.contains(&format!("key {n} "))), "{listed}");
}
