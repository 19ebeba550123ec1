//! Compares a ledger with its expected content, resource by resource and count by count.

use std::{collections::BTreeMap, fmt::Debug};

use tagledger_ledger::{
    ComplianceCounts, Filter, OrderByMissingTags, OrderBySeverity, PageStart, ResourcePage,
    query::{compliance, resource_by_arn},
};
use tagledger_model::Arn;

use super::{
    expected::Expected,
    ledger::{Ledger, Record},
};

/// Differences shown of one comparison.
const SHOWN: usize = 12;

/// Rows read at once: fewer than there are, so that pages are turned.
const PER_PAGE: usize = 97;

/// Asserts that two maps are equal; shows where they differ otherwise.
#[track_caller]
pub(crate) fn assert_same<V: PartialEq + Debug>(
    what: &str,
    found: &BTreeMap<String, V>,
    expected: &BTreeMap<String, V>,
) {
    let mut lines = Vec::new();
    for (key, value) in expected {
        match found.get(key) {
            None => lines.push(format!("missing {key}: {value:?}")),
            Some(other) if other != value => lines.push(format!("{key}:\n  found    {other:?}\n  expected {value:?}")),
            Some(_) => {}
        }
    }
    let extra = found.iter().filter(|(key, _)| !expected.contains_key(*key));
    lines.extend(extra.map(|(key, value)| format!("not expected {key}: {value:?}")));
    let shown = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(lines.is_empty(), "{what}: {} found, {} differences\n{shown}", found.len(), lines.len());
}

impl Ledger {
    /// Asserts that the ledger holds just this, in its tables and in the answers of its reader.
    #[track_caller]
    pub(crate) fn holds(&self, expected: &Expected) {
        assert_same("resources", &self.records(), &expected.records);
        self.counts_as(expected);
        self.pages_show(expected);
    }

    #[track_caller]
    fn counts_as(&self, expected: &Expected) {
        let cells = self.ask(|view, snapshot| compliance::count_by_scope(view, snapshot, &Filter::default()));
        let mut sum = ComplianceCounts::default();
        let named = cells.iter().map(|(scope, tally)| {
            sum += *tally;
            (format!("{} {} {}", scope.account, scope.region, scope.resource_type), *tally)
        });
        let named: BTreeMap<_, _> = named.filter(|(_, tally)| tally.total() > 0).collect();
        assert_same("counts by scope", &named, &expected.cells());
        assert_eq!(sum, expected.tally(), "the sum of the scopes' counts");
        let rules = self.ask(|view, snapshot| compliance::count_by_rule(view, snapshot, &Filter::default()));
        let rules: BTreeMap<_, _> = rules.into_iter().map(|(rule, n)| (finding(&rule), n)).collect();
        assert_same("counts by finding", &rules, &expected.rules());
    }

    #[track_caller]
    fn pages_show(&self, expected: &Expected) {
        let of = |wanted: &dyn Fn(&Record) -> bool| -> BTreeMap<String, Vec<String>> {
            let stored = expected.records.iter().filter(|(_, record)| wanted(record));
            stored.map(|(arn, record)| (arn.clone(), record.findings.clone())).collect()
        };
        let all = OrderBySeverity { errors: true, warnings: true };
        let worst = self.every_page(|ledger, start| {
            ledger.ask(|view, snapshot| {
                compliance::list_by_severity(view, snapshot, &Filter::default(), all, start, PER_PAGE)
            })
        });
        assert_same("pages of findings", &worst, &of(&|record| !record.findings.is_empty()));
        let lacking = self.every_page(|ledger, start| {
            ledger.ask(|view, snapshot| {
                let page = compliance::list_missing_tags(
                    view,
                    snapshot,
                    &Filter::default(),
                    OrderByMissingTags::default(),
                    start,
                    PER_PAGE,
                )?;
                // Such a page does not read what its resources violate: that is asked for by their names.
                let arns: Vec<Arn> = page.rows.iter().map(|row| row.arn.clone()).collect();
                Ok(ResourcePage { rows: resource_by_arn::find_resources(view, snapshot, &arns)?, ..page })
            })
        });
        let lacks = |record: &Record| {
            let user = |(key, _): &(String, String)| !key.starts_with("aws:");
            let bare = record.tags.as_ref().is_some_and(|tags| !tags.iter().any(user));
            record.state != "unknown" && (bare || record.findings.iter().any(|f| f.starts_with("error MISSING")))
        };
        assert_same("pages of what lacks tags", &lacking, &of(&lacks));
    }

    fn every_page(&self, read: impl Fn(&Self, PageStart) -> ResourcePage) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        let mut next = Some(PageStart::FIRST);
        while let Some(start) = next {
            let page = read(self, start);
            next = page.next;
            for row in page.rows {
                let mut findings: Vec<String> = row.violations.iter().map(|(rule, _)| finding(rule)).collect();
                findings.sort();
                assert_eq!(rows.insert(row.arn.to_string(), findings), None, "{} stands on two pages", row.arn);
            }
        }
        rows
    }
}

/// A rule as `severity CODE tag`.
fn finding(rule: &tagledger_ledger::Rule) -> String {
    format!("{} {} {}", rule.severity, rule.code, rule.tag).trim_end().to_owned()
}
