//! Logs to standard error and traces to an OpenTelemetry collector. Standard output is reserved for results and for the MCP
//! protocol.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    cli::{Cli, Command, LogFormat},
    output::print_warning,
};

#[cfg(feature = "otlp")]
mod traces;

/// Sends traces until the result is dropped, when the environment configures a collector. Must be called in the runtime.
#[cfg(feature = "otlp")]
pub(crate) fn traces(command: &Command) -> traces::Traces {
    traces::Traces::start(match command {
        Command::Scan(_) | Command::Scanner(_) => "tagledger-scanner",
        Command::Server(_) | Command::Mcp(_) => "tagledger-server",
        _ => "tagledger",
    })
}

/// This build has no support for traces.
#[cfg(not(feature = "otlp"))]
pub(crate) fn traces(_: &Command) {}

/// Starts logging. Commands for a terminal log only warnings.
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
    // The AWS SDK logs failed requests, which the ledger records as gaps. The scheduler library logs its own startup.
    let default =
        if quiet { "warn,aws=error,rmcp=error" } else { "info,aws=error,rmcp=warn,tokio_cron_scheduler=warn" };
    let filter = cli.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        print_warning(&format!("`{filter}` is not a log level or filter ({error}); the default `{default}` is used"));
        EnvFilter::new(default)
    });
    // The reader of the log may close the pipe. An error message about that would fail as well and end the calling task.
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).log_internal_errors(false);
    match cli.log_format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
