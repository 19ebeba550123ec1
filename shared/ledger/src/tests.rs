//! Tests of the ledger through its writer and its reader, and with SQL.

pub(crate) mod bill;
pub(crate) mod bill_as_of;
pub(crate) mod cached_answers;
pub(crate) mod carry_over;
pub(crate) mod evaluation;
pub(crate) mod hash_collisions;
pub(crate) mod ledger_file;
pub(crate) mod maintenance;
pub(crate) mod memo;
pub(crate) mod migrations;
pub(crate) mod new_resources;
pub(crate) mod query_cost;
pub(crate) mod resource_costs;
pub(crate) mod resource_pages;
pub(crate) mod snapshot_diff;
pub(crate) mod snapshot_insights;
pub(crate) mod snapshots;

use std::path::PathBuf;

use jiff::{Timestamp, ToSpan};
use rusqlite::Connection;
use tagledger_model::{
    account::{Account, Creation},
    inventory::{Gap, GapReason, Listing, RelationshipKind, Relationships, Resource, Scope, Tags, Usage},
};
use tagledger_policy::Policy;

use crate::{
    error::LedgerError,
    learn::train::TrainReport,
    read::session::LedgerReader,
    write::{
        snapshot_writer::{SnapshotSummary, SnapshotWriter},
        transaction::SnapshotHeader,
        writer::LedgerWriter,
    },
};

const POLICY: &str = r#"{
    "version": "1", "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        { "name": "Owner", "applies_to": ["ec2:instance", "s3:bucket"] },
        { "name": "Environment", "allowed_values": ["production", "staging"], "applies_to": ["ec2:instance"] }
    ],
    "exemptions": [{ "resource_arn": "arn:aws:s3:::legacy-*", "reason": "frozen" }]
}"#;

const COMPLIANT: &[(&str, &str)] = &[("Owner", "a@b.example"), ("Environment", "production"), ("Name", "web-1")];

const INVALID_VALUE: &[(&str, &str)] = &[("Owner", "a@b.example"), ("Environment", "Production")];

const MISSPELLED_KEY: &[(&str, &str)] = &[("owner ", "a@b.example"), ("Environment", "staging")];

const UNTAGGED: &[(&str, &str)] = &[];

/// A ledger in a temporary folder, with snapshots on consecutive days.
pub(crate) struct TestLedger {
    folder: tempfile::TempDir,
    policy: Policy,
    app_version: &'static str,
    snapshots: i64,
}

impl TestLedger {
    fn new() -> Self {
        let (folder, policy) = (tempfile::tempdir().unwrap(), Policy::parse(POLICY).unwrap());
        Self { folder, policy, app_version: "test", snapshots: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite")
    }

    fn sql(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn reader(&self) -> LedgerReader {
        LedgerReader::new(&self.path())
    }

    fn number(&self, query: &str) -> i64 {
        self.sql().query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Records a snapshot of these listings, 24 hours after the previous one.
    fn record_snapshot(&mut self, listings: &[(Scope, Listing)]) -> SnapshotSummary {
        self.record_with(listings, |_| Ok(()))
    }

    /// Records a snapshot of a scan that was narrowed to these scopes.
    fn record_narrowed(&mut self, listings: &[(Scope, Listing)]) -> SnapshotSummary {
        self.record_with(listings, |snapshot| snapshot.carry_over_rest())
    }

    fn record_with(
        &mut self,
        listings: &[(Scope, Listing)],
        end: impl FnOnce(&mut SnapshotWriter<'_>) -> Result<(), LedgerError>,
    ) -> SnapshotSummary {
        let (writer, summary) = self.record_without_checkpoint(listings, end);
        writer.checkpoint().unwrap();
        summary
    }

    /// Trains the model on the newest snapshot.
    fn train(&self) -> Option<TrainReport> {
        let mut writer = LedgerWriter::open(&self.path()).unwrap();
        let report = writer.train().unwrap();
        writer.checkpoint().unwrap();
        report
    }

    /// Stores the insights of the snapshots that have none.
    fn materialize_insights(&self) {
        let mut writer = LedgerWriter::open(&self.path()).unwrap();
        writer.materialize_insights().unwrap();
        writer.checkpoint().unwrap();
    }

    /// Records a snapshot that stays in the write-ahead log.
    fn record_in_log(&mut self, listings: &[(Scope, Listing)]) -> SnapshotSummary {
        self.record_without_checkpoint(listings, |_| Ok(())).1
    }

    fn record_without_checkpoint(
        &mut self,
        listings: &[(Scope, Listing)],
        end: impl FnOnce(&mut SnapshotWriter<'_>) -> Result<(), LedgerError>,
    ) -> (LedgerWriter, SnapshotSummary) {
        self.snapshots += 1;
        let started_at = Timestamp::constant(1_767_225_600, 0) + (24 * self.snapshots).hours();
        let mut writer = LedgerWriter::open(&self.path()).unwrap();
        let header = SnapshotHeader { started_at, policy: &self.policy, app_version: self.app_version };
        let mut snapshot = writer.begin_snapshot(header).unwrap();
        snapshot.add_account(&account()).unwrap();
        for (scope, listing) in listings {
            snapshot.record(scope, listing).unwrap();
        }
        end(&mut snapshot).unwrap();
        let summary = snapshot.finish(started_at + 1.minute(), 10).unwrap();
        (writer, summary)
    }
}

fn account() -> Account {
    Account { id: "111122223333".parse().unwrap(), partition: "aws".parse().unwrap(), name: Some("prod".to_owned()) }
}

fn scope(region: &str, resource_type: &str) -> Scope {
    Scope { account: account().id, region: region.parse().unwrap(), resource_type: resource_type.parse().unwrap() }
}

fn instances() -> Scope {
    scope("eu-west-1", "ec2:instance")
}

fn tagged(tags: &[(&str, &str)]) -> Tags {
    Tags::Known(tags.iter().copied().collect())
}

fn instance(id: &str, tags: &[(&str, &str)]) -> Resource {
    let arn = format!("arn:aws:ec2:eu-west-1:111122223333:instance/i-{id}").parse().unwrap();
    Resource {
        arn,
        created_at: Some(Timestamp::constant(1_700_000_000, 0)),
        tags: tagged(tags),
        usage: None,
        links: Relationships::default(),
    }
}

fn bucket(name: &str, tags: Tags) -> Resource {
    Resource {
        arn: format!("arn:aws:s3:::{name}").parse().unwrap(),
        created_at: None,
        tags,
        usage: None,
        links: Relationships::default(),
    }
}

fn complete(resources: Vec<Resource>) -> Listing {
    Listing { resources, gap: None }
}

fn gap(reason: GapReason) -> Gap {
    Gap { reason, operation: "ec2:DescribeInstances".to_owned(), message: "You are not authorized.".to_owned() }
}

fn incomplete(resources: Vec<Resource>) -> Listing {
    Listing { resources, gap: Some(gap(GapReason::Denied)) }
}

/// Two snapshots that fill every table and have resources in every state.
fn representative() -> TestLedger {
    let mut ledger = TestLedger::new();
    let buckets = scope("eu-west-1", "s3:bucket");
    let volumes = scope("eu-west-1", "ec2:volume");
    let volume = Resource {
        arn: "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1".parse().unwrap(),
        created_at: None,
        tags: tagged(COMPLIANT),
        usage: Some(Usage { driver: "gp3".to_owned(), quantity: 8 }),
        links: Relationships::to(Some(instance("1", &[]).arn), [(RelationshipKind::Vpc, Some("vpc-1"))]),
    };
    let unread = Tags::Unknown(gap(GapReason::Throttled));
    let first = [
        (instances(), complete(vec![instance("1", COMPLIANT), instance("2", INVALID_VALUE), instance("3", UNTAGGED)])),
        (buckets.clone(), complete(vec![bucket("legacy-1", tagged(UNTAGGED)), bucket("b", unread.clone())])),
        (volumes.clone(), complete(vec![volume.clone()])),
    ];
    ledger.record_with(&first, |snapshot| snapshot.record_bill(&bill::earlier_bill()));
    let second = [
        (instances(), complete(vec![instance("1", COMPLIANT), instance("2", COMPLIANT), instance("4", COMPLIANT)])),
        (buckets, complete(vec![bucket("legacy-1", tagged(UNTAGGED)), bucket("b", unread)])),
        (volumes, complete(vec![volume])),
    ];
    ledger.record_with(&second, |snapshot| {
        let principal = "arn:aws:iam::111122223333:user/bob".to_owned();
        let creation = Creation { arn: instance("1", COMPLIANT).arn, principal };
        snapshot.record_creators(&instances(), &[creation], Some(Timestamp::UNIX_EPOCH))?;
        snapshot.record_bill(&bill::bill_collection())
    });
    ledger.train().unwrap();
    ledger.materialize_insights();
    ledger
}
