//! A Redis server for one test.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running server that keeps nothing. Dropping it stops it.
pub(crate) struct Redis {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Redis {
    /// Starts one on a free port of this machine and waits until it listens.
    ///
    /// # Panics
    /// When redis-server is missing, or ends before it listens.
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port();
        Self::on(port)
    }

    /// Starts one on that port.
    ///
    /// # Panics
    /// When redis-server is missing, or ends before it listens.
    pub(crate) fn on(port: u16) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port"]).arg(port.to_string());
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.expect("redis-server is installed: tests/run does it, or apt-get install redis-server");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let mut reported = Vec::new();
        while !reported.last().is_some_and(|line: &String| line.contains("Ready to accept connections")) {
            let Some(line) = lines.next() else { panic!("it ended before it listened: {reported:#?}") };
            reported.push(line);
        }
        // What else it says would fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    /// Stops it, or lets it go on, as `kill -STOP` and `kill -CONT` do.
    pub(crate) fn signal(&self, name: &str) {
        let answer = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(answer.expect("kill").success());
    }

    /// Sends it one command; what it says.
    pub(crate) fn ask(&self, text: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let text: String = text.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let count = text.matches("\r\n").count() / 2;
        stream.write_all(format!("*{count}\r\n{text}").as_bytes()).expect("a command");
        let mut answer = [0; 64 << 10];
        let read = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(answer.get(..read).expect("what was read")).into_owned()
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
