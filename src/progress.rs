//! The progress of a scan: a progress bar on a terminal, log lines otherwise.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use tagledger_ledger::ScopeSummary;
use tagledger_scanner::Progress;
use tracing::{debug, info, warn};

const STYLE: &str = "  {bar:30} {pos}/{len} scopes  {msg}  {elapsed}";

/// Returns the receiver of progress events.
pub(crate) fn reporter() -> Box<dyn FnMut(Progress) + Send> {
    if io::stderr().is_terminal() { Box::new(progress_bar()) } else { Box::new(progress_log()) }
}

fn progress_bar() -> impl FnMut(Progress) + Send {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(STYLE) {
        bar.set_style(style);
    }
    let (mut resources, mut gaps) = (0, 0);
    move |progress| match progress {
        Progress::Planned { scopes, .. } => bar.set_length(scopes.len() as u64),
        Progress::Scope(ScopeSummary { row, .. }) => {
            resources += row.resources;
            gaps += u64::from(row.gap.is_some());
            let gaps = if gaps == 0 { String::new() } else { format!(", {gaps} with gaps") };
            bar.set_message(format!("{resources} resources{gaps}"));
            bar.inc(1);
            if Some(bar.position()) == bar.length() {
                bar.finish_and_clear();
            }
        }
        Progress::Committing => {}
    }
}

fn progress_log() -> impl FnMut(Progress) + Send {
    let (mut planned, mut done, mut resources) = (0, 0, 0);
    move |progress| match progress {
        Progress::Planned { scopes, .. } => planned = scopes.len(),
        Progress::Scope(ScopeSummary { row, .. }) => {
            done += 1;
            resources += row.resources;
            let scope = &row.scope;
            match &row.gap {
                Some(gap) => warn!(
                    account.id = %scope.account, aws.region = %scope.region, resource.type = %scope.resource_type,
                    gap.reason = %gap.reason, resources_n = row.resources, unknown_n = row.unknown, stale_n = row.stale,
                    "scope has a gap: {gap}"
                ),
                None => debug!(
                    account.id = %scope.account, aws.region = %scope.region, resource.type = %scope.resource_type,
                    resources_n = row.resources, "scope read"
                ),
            }
            if done == planned || done % planned.div_ceil(10).max(1) == 0 {
                info!(scopes_n = done, of_n = planned, resources_n = resources, "scan in progress");
            }
        }
        Progress::Committing => {}
    }
}
