//! A scan's progress: a bar on a terminal, log lines elsewhere.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};
use scanner::Progress;
use shared::store::ScopeSummary;
use tracing::{debug, info, warn};

const STYLE: &str = "  {bar:30} {pos}/{len} scopes  {msg}  {elapsed}";

/// What follows a scan.
pub(crate) fn follower() -> Box<dyn FnMut(Progress) + Send> {
    if io::stderr().is_terminal() { Box::new(bar()) } else { Box::new(log()) }
}

fn bar() -> impl FnMut(Progress) + Send {
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

fn log() -> impl FnMut(Progress) + Send {
    let (mut all, mut done, mut resources) = (0, 0, 0);
    move |progress| match progress {
        Progress::Planned { scopes, .. } => all = scopes.len(),
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
            if done == all || done % all.div_ceil(10).max(1) == 0 {
                info!(scopes_n = done, of_n = all, resources_n = resources, "scanning");
            }
        }
        Progress::Committing => {}
    }
}
