//! The built binary in an environment that has only the variables of the test.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a command may take before it counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Asserts the exit code, showing what the command said otherwise.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that the command failed as it should: exit code 1, one complaint of ours, no panic.
    #[track_caller]
    pub(crate) fn complains(self, parts: &[&str]) -> Self {
        let outcome = self.exits(1);
        let text = &outcome.stderr;
        let complaints: Vec<&str> = text.lines().filter(|line| line.starts_with("tagledger: ")).collect();
        assert_eq!(complaints.len(), 1, "not one complaint:\n{text}");
        assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "a panic:\n{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        outcome
    }
}

/// A folder that exists only for the test.
pub(crate) fn temp_folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sample policy.
pub(crate) fn sample_policy() -> PathBuf {
    repository("policies/tagging_policy.json")
}

/// `tagledger` in an empty environment, with this home folder.
pub(crate) fn tagledger(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagledger"));
    command.env_clear().env("HOME", home).env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "*");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.current_dir(home);
    command
}

/// `tagledger scan` against an endpoint.
pub(crate) fn scan_command(home: &Path, endpoint: &str, store: &Path, policy: &Path) -> Command {
    let mut command = tagledger(home);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE")
        .env("AWS_SECRET_ACCESS_KEY", "fake")
        .env("AWS_REGION", "us-east-1")
        // Whoever wants costs says so: most tests count requests to other services.
        .env("TAGLEDGER_COST_REQUEST_BUDGET", "0")
        .env("TAGLEDGER_CREATORS", "false")
        .args(["scan", "--rate-percent", "100"])
        .arg("--store")
        .arg(store)
        .arg("--policy")
        .arg(policy);
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started, or takes too long.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    finish(&mut child, command)
}

/// Reads what a started command says until it ends.
///
/// # Panics
/// When it takes too long.
pub(crate) fn finish(child: &mut Child, command: &Command) -> Outcome {
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let code = wait(child);
    let outcome = Outcome {
        code: code.unwrap_or_default(),
        stdout: stdout.join().expect("standard output is read"),
        stderr: stderr.join().expect("standard error is read"),
    };
    assert!(code.is_some(), "{command:?} took over {TIMEOUT:?}: {outcome:?}");
    outcome
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.map(|mut pipe| pipe.read_to_end(&mut bytes)).transpose().expect("the pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The exit code; none when the command had to be killed.
fn wait(child: &mut Child) -> Option<Option<i32>> {
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        if let Some(status) = child.try_wait().expect("the command can be waited for") {
            return Some(status.code());
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("the command can be killed");
    child.wait().expect("the command has ended");
    None
}
