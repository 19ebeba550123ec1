//! The `tagledger` command.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tagledger_model::error_chain::ErrorChain;

mod cli;
mod commands;
mod costs;
mod failure;
mod output;
#[cfg(feature = "aws")]
mod progress;
mod summary;
mod telemetry;

use cli::{Cli, Command};
use failure::Failure;

/// How long background tasks may take to end after a command.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(&cli);
    let result = cli::reject_unknown_settings().and_then(|()| run(cli.command));
    result.unwrap_or_else(|failure| {
        output::print_error(&ErrorChain(&failure));
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match &command {
        Command::Audit(arguments) => return commands::audit::run(arguments),
        Command::Evaluate(arguments) => return commands::evaluate::run(arguments),
        Command::Health(arguments) => return commands::health::run(arguments),
        Command::Key(arguments) => return commands::key::run(arguments),
        Command::Policy(arguments) => return commands::policy::run(arguments),
        Command::Store(arguments) => return commands::store::run(arguments),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let result = runtime.block_on(async {
        let _traces = telemetry::traces(&command);
        match command {
            Command::Demo(arguments) => commands::demo::run(arguments).await,
            Command::Doctor(arguments) => commands::doctor::run(arguments).await,
            Command::Scan(arguments) => commands::scan::run(arguments).await,
            Command::Scanner(arguments) => commands::scanner::run(arguments).await,
            Command::Server(arguments) => commands::serve::http(arguments).await,
            Command::Mcp(arguments) => commands::serve::stdio(arguments).await,
            Command::Audit(arguments) => commands::audit::run(&arguments),
            Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
            Command::Health(arguments) => commands::health::run(&arguments),
            Command::Key(arguments) => commands::key::run(&arguments),
            Command::Policy(arguments) => commands::policy::run(&arguments),
            Command::Store(arguments) => commands::store::run(&arguments),
        }
    });
    // A lookup of the address of an unreachable collector must not delay the end of the process.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
