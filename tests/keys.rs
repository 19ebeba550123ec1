//! API keys, from the command that creates one to the server that requires it.

#![cfg(test)]

mod support;

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use support::{
    binary::{Outcome, run, tagledger, temp_folder},
    server::Server,
};

fn key(home: &Path, arguments: &[&str]) -> Outcome {
    run(tagledger(home).arg("key").args(arguments))
}

fn status(server: &Server, authorization: &str) -> u16 {
    server.ask("POST", "/mcp", authorization, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).0
}

/// A key is printed once at its creation, listed without its secret, accepted by the server and rejected within five
/// seconds of its revocation. The key file has mode 0600 and does not contain the key.
#[test]
fn key_is_created_listed_used_and_revoked() {
    let folder = temp_folder();
    let home = folder.path();
    run(tagledger(home).args(["server", "--listen", "0.0.0.0:0"])).complains(&["tagledger key create", "127.0.0.1"]);
    let made =
        key(home, &["create", "--name", "Ada's laptop", "--accounts", "111122223333", "--expires", "90d"]).exits(0);
    let token = made.stdout.trim_end();
    assert!(token.starts_with("tagledger_") && token.len() > 50, "standard output has the key alone: {token}");
    assert!(made.stderr.contains("It is printed once"), "{}", made.stderr);
    let file = home.join("tagledger-keys.json");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(token));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = key(home, &["list"]).exits(0).stdout;
    assert!(listed.contains("active") && listed.contains("Ada's laptop") && !listed.contains(token), "{listed}");
    assert!(listed.contains("read, live in 111122223333"), "{listed}");

    let server = Server::start(&mut tagledger(home), "0.0.0.0");
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
    assert!(key(home, &["revoke", "Ada's laptop"]).exits(0).stdout.contains("No active key"));
    assert!(key(home, &["list"]).stdout.contains("revoked"));
}

/// Invalid arguments of the key commands are refused with the reason, and a file that does not contain keys is not
/// changed.
#[test]
fn invalid_key_commands_change_nothing() {
    let folder = temp_folder();
    let home = folder.path();
    run(tagledger(home).args(["health", "127.0.0.1:1"])).complains(&["no process answers at 127.0.0.1:1"]);
    key(home, &["revoke", "nobody"]).complains(&["no key with the id or name nobody"]);
    key(home, &["list"]).complains(&["tagledger-keys.json cannot be read"]);
    key(home, &["create", "--name", ""]).complains(&["1 to 64 characters"]);
    for (arguments, text) in [
        (["--scopes", "write"], "there are read, live and rescan"),
        (["--expires", "soon"], "neither a number of days"),
        (["--accounts", "42"], "account"),
    ] {
        let outcome = key(home, &[&["create", "--name", "x"][..], &arguments].concat());
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
    std::fs::write(home.join("tagledger-keys.json"), "[]").unwrap();
    key(home, &["create", "--name", "x"]).complains(&["does not hold keys"]);
    assert_eq!(std::fs::read_to_string(home.join("tagledger-keys.json")).unwrap(), "[]");
}

/// Sixteen keys that are created by concurrent processes are all in the key file.
#[test]
fn concurrent_creation_keeps_every_key() {
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
