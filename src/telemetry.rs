//! Logs: to standard error, one line a fact. Standard output belongs to answers and to the MCP protocol. And traces, to a
//! collector.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    cli::{Cli, Command, LogFormat},
    output::warn,
};

#[cfg(feature = "otlp")]
mod traces;

/// Sends traces for as long as the result is held, when the environment names a collector. Called within the runtime.
#[cfg(feature = "otlp")]
pub(crate) fn traces(command: &Command) -> traces::Traces {
    traces::Traces::start(match command {
        Command::Scan(_) | Command::Scanner(_) => "tagledger-scanner",
        Command::Server(_) | Command::Mcp(_) => "tagledger-server",
        _ => "tagledger",
    })
}

/// This build has no way to send traces.
#[cfg(not(feature = "otlp"))]
pub(crate) fn traces(_: &Command) {}

/// Starts logging. A person at a terminal sees a bar and a summary, and only warnings beside them.
pub(crate) fn start(cli: &Cli) {
    let quiet = match cli.command {
        Command::Audit(_)
        | Command::Demo(_)
        | Command::Doctor(_)
        | Command::Evaluate(_)
        | Command::Health(_)
        | Command::Key(_)
        | Command::Mcp(_)
        | Command::Policy(_)
        | Command::Store(_) => true,
        Command::Scan(_) => io::stderr().is_terminal(),
        Command::Scanner(_) | Command::Server(_) => false,
    };
    // The SDK tells at info and warn what the ledger tells better, as gaps.
    let usual = if quiet { "warn,aws=error,rmcp=error" } else { "info,aws=error,rmcp=warn" };
    let chosen = cli.log.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(chosen).unwrap_or_else(|error| {
        warn(&format!("`{chosen}` is no log level or filter ({error}); logging as usual"));
        EnvFilter::new(usual)
    });
    // Whoever read the log may go away. To complain of that on standard error would end the task that wrote the line.
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).log_internal_errors(false);
    match cli.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
