//! A Redis server of its own for a test.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
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
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("Ready to accept connections")) {
            let Some(line) = lines.next() else { panic!("it ended before it listened: {said:#?}") };
            said.push(line);
        }
        // What else it says would fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    /// Stops it, or lets it go on, as `kill -STOP` and `kill -CONT` do.
    pub(crate) fn signal(&self, name: &str) {
        let told = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(told.expect("kill").success());
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
