//! `tagledger policy`.

use std::process::ExitCode;

use shared::day::day_of;

use super::{now, read_policy};
use crate::{
    cli::{PolicyArguments, PolicyCommand},
    failure::Failure,
    output::{count, say, warn},
};

pub(crate) fn run(arguments: &PolicyArguments) -> Result<ExitCode, Failure> {
    let PolicyCommand::Check { file } = &arguments.command;
    let policy = read_policy(file)?;
    for warning in policy.warnings(day_of(now())) {
        warn(&warning);
    }
    let (required, optional) = (policy.required().len() as u64, policy.optional().len() as u64);
    say(format!("{}: version {}, digest {}", file.display(), policy.version(), policy.digest()));
    say(format!("  {}, {}", count(required, "required tag"), count(optional, "optional tag")));
    say("  no faults");
    Ok(ExitCode::SUCCESS)
}
