//! `tagledger policy`: checks policy files.

use std::process::ExitCode;

use tagledger_model::epoch_day::day_of;

use super::{now, read_policy};
use crate::{
    cli::{PolicyArguments, PolicyCommand},
    failure::Failure,
    output::{format_count, print_line, print_warning},
};

pub(crate) fn run(arguments: &PolicyArguments) -> Result<ExitCode, Failure> {
    let PolicyCommand::Check { file } = &arguments.command;
    let policy = read_policy(file)?;
    for warning in policy.warnings(day_of(now())) {
        print_warning(&warning);
    }
    let (required, optional) = (policy.required().len() as u64, policy.optional().len() as u64);
    print_line(format!("{}: version {}, digest {}", file.display(), policy.version(), policy.digest()));
    print_line(format!("  {}, {}", format_count(required, "required tag"), format_count(optional, "optional tag")));
    print_line("  no errors");
    Ok(ExitCode::SUCCESS)
}
