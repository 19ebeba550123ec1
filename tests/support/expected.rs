//! The expected content of the ledger after a scan, computed from the estate and the expected evaluations.

use std::collections::BTreeMap;

use fake_aws::{Estate, ExpectedResource};
use tagledger_ledger::ComplianceCounts;

use super::{
    ledger::{Pairs, Record, Records},
    recipes::Way,
};

/// What a ledger must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    pub(crate) records: Records,
}

impl Expected {
    /// Of every resource of an estate tagged in these ways.
    pub(crate) fn of(estate: &Estate, ways: &[Way]) -> Self {
        let records = estate.resources().map(|resource| (arn(estate, &resource), record(&resource, ways)));
        Self { records: records.collect() }
    }

    /// The same, with those that `which` names unknown for a reason; their tags stay known from an earlier scan.
    ///
    /// # Panics
    /// When there is none: a test that loses nothing tests nothing.
    pub(crate) fn unknown(mut self, reason: &str, which: impl Fn(&str, &Record) -> bool) -> Self {
        let mut lost = self.records.iter_mut().filter(|(arn, record)| which(arn, record)).peekable();
        assert!(lost.peek().is_some(), "nothing is lost");
        lost.for_each(|(_, record)| {
            record.state = "unknown".to_owned();
            record.reason = Some(reason.to_owned());
            record.findings.clear();
        });
        self
    }

    /// The same without some.
    pub(crate) fn without(mut self, which: impl Fn(&Record) -> bool) -> Self {
        let before = self.records.len();
        self.records.retain(|_, record| !which(record));
        assert!(self.records.len() < before, "nothing is left out");
        self
    }

    /// Counts by scope, `account region type`. Scopes without resources are left out.
    pub(crate) fn cells(&self) -> BTreeMap<String, ComplianceCounts> {
        let mut cells = BTreeMap::new();
        for record in self.records.values() {
            let place = format!("{} {} {}", record.account, record.region, record.resource_type);
            count(cells.entry(place).or_default(), record);
        }
        cells
    }

    pub(crate) fn tally(&self) -> ComplianceCounts {
        let mut tally = ComplianceCounts::default();
        self.records.values().for_each(|record| count(&mut tally, record));
        tally
    }

    /// How many resources have each finding.
    pub(crate) fn rules(&self) -> BTreeMap<String, u64> {
        let mut rules = BTreeMap::new();
        let findings = self.records.values().flat_map(|record| &record.findings);
        findings.for_each(|finding| *rules.entry(finding.clone()).or_default() += 1);
        rules
    }
}

/// The name that the ledger gives a resource: that of a service with a short ARN is completed with its cluster, since
/// services of two clusters may share a name.
fn arn(estate: &Estate, resource: &ExpectedResource) -> String {
    if resource.taggable {
        return resource.arn.clone();
    }
    let (prefix, name) = resource.arn.split_once('/').expect("a service's ARN");
    let index: usize = name.rsplit('-').next().expect("a number").parse().expect("a number");
    let account = estate.accounts.iter().find(|account| account.id == resource.account).expect("the account");
    let region = account.regions.iter().find(|region| region.name == resource.region).expect("the region");
    format!("{prefix}/cluster-{:07}/{name}", index % region.counts.clusters)
}

fn record(resource: &ExpectedResource, ways: &[Way]) -> Record {
    let (state, findings) = match resource.taggable {
        true => ways[resource.recipe].verdict(resource.resource_type),
        false => ("not_applicable", Vec::new()),
    };
    let mut tags: Pairs = resource.tags.clone();
    tags.sort();
    let seconds = |text: &String| text.parse::<jiff::Timestamp>().expect("RFC 3339").as_second();
    Record {
        account: resource.account.clone(),
        region: resource.region.clone(),
        resource_type: resource.resource_type.to_owned(),
        state: state.to_owned(),
        reason: None,
        tags: resource.taggable.then_some(tags),
        created: resource.created_at.as_ref().map(seconds),
        findings,
    }
}

/// Counts a resource as `schema.sql` says.
fn count(tally: &mut ComplianceCounts, record: &Record) {
    *match record.state.as_str() {
        "compliant" => &mut tally.compliant,
        "non_compliant" => &mut tally.non_compliant,
        "not_applicable" => &mut tally.not_applicable,
        "unknown" => &mut tally.unknown,
        other => panic!("no test expects the state {other}"),
    } += 1;
    let known = record.tags.as_ref().filter(|_| record.state != "unknown");
    let own = known.map(|tags| tags.iter().filter(|(key, _)| !key.to_lowercase().starts_with("aws:")).count());
    let lacks = record.findings.iter().any(|finding| finding.starts_with("error MISSING"));
    tally.untagged += u64::from(own == Some(0));
    tally.missing_required += u64::from(lacks && own != Some(0));
    let of = |severity: &str| record.findings.iter().filter(|finding| finding.starts_with(severity)).count() as u64;
    tally.errors += of("error");
    tally.warnings += of("warning");
    tally.warned += u64::from(of("warning") > 0);
    tally.flagged += u64::from(!record.findings.is_empty());
}
