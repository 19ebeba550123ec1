//! A process of `tagledger server`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A server that runs. Killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts it on a free port of an address, `127.0.0.1` or `0.0.0.0`, and waits until it listens.
    pub(crate) fn start(command: &mut Command, address: &str) -> Self {
        let listen = format!("{address}:0");
        let mut process =
            command.args(["server", "--listen", &listen]).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("serving MCP")).expect("it serves");
        // What else it says would fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let port = line.rsplit(&format!("{address}:")).next().expect("a port").trim().parse().expect("a port");
        Self { process, port }
    }

    /// Status and body of an answer.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head.split(' ').nth(1).expect("a status").parse().expect("a status"), body.to_owned())
    }

    /// Ends it as an operator does, and waits.
    pub(crate) fn end(mut self) {
        let answer = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(answer.expect("kill").success());
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
