//! Runs the fake as a process for the AWS CLI, boto3 or TagLedger, or prints an estate as seed data for moto.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use fake_aws::{Estate, FakeAws, Faults};

const USAGE: &str =
    "usage: fake-aws [--port N] [--estate small|contract|large|enterprise] [--rate-limits] [--seed-json]";

/// The options of the command line.
struct Options {
    port: u16,
    estate: Estate,
    limited: bool,
    seed: bool,
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { port: 0, estate: Estate::small(), limited: false, seed: false };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value; {USAGE}"));
        match arg.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| format!("--port takes a number; {USAGE}"))?,
            "--estate" => options.estate = estate(&value()?)?,
            "--rate-limits" => options.limited = true,
            "--seed-json" => options.seed = true,
            _ => return Err(format!("unknown argument {arg}; {USAGE}")),
        }
    }
    Ok(options)
}

fn estate(name: &str) -> Result<Estate, String> {
    match name {
        "small" => Ok(Estate::small()),
        "contract" => Ok(Estate::contract()),
        "large" => Ok(Estate::large()),
        "enterprise" => Ok(Estate::enterprise(1_000_000)),
        _ => Err(format!("there is no estate {name}; {USAGE}")),
    }
}

async fn run(options: Options) -> io::Result<()> {
    if options.seed {
        return writeln!(io::stdout(), "{}", options.estate.to_seed_json());
    }
    let mut fake = FakeAws::start_on(options.port, options.estate, Faults::none()).await?;
    if options.limited {
        fake = fake.with_rate_limits();
    }
    writeln!(io::stdout(), "{}", fake.endpoint())?;
    tokio::signal::ctrl_c().await
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match options(env::args().skip(1)) {
        Ok(options) => run(options).await.map_err(|error| error.to_string()),
        Err(message) => Err(message),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            writeln!(io::stderr(), "fake-aws: {message}").ok();
            ExitCode::FAILURE
        }
    }
}
