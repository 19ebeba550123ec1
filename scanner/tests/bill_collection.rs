//! Random bills, queried as the scanner queries them. The recorded sums equal the sums of the bill lines.

#![cfg(test)]

mod support;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::{Timestamp, civil::Date};
use proptest::prelude::*;
use support::scan_of;
use tagledger_cloud::{
    AccountRegion, Accounts, Cloud, CreationEvents, LookupResult, OperationCalls, simulated::Simulated,
};
use tagledger_cost::{
    AllocationTag, Amount, Attribution, BillQuestion, Bucket, Condition, CostQueryError, CostQueryResponse,
    CostQueryResult, CostRow, Days, Dimension, Metric, TagScope,
};
use tagledger_ledger::{LedgerReader, LedgerWriter, cost::bill_query};
use tagledger_model::{
    AccountId, Arn,
    inventory::{Gap, GapReason, Listing, Scope},
};
use tagledger_policy::Policy;
use tagledger_scanner::Scan;

const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
const S3: &str = "Amazon Simple Storage Service";

/// `Team` is required of everything, `Stage` of instances alone.
const POLICY: &str = r#"{
    "version": "1", "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        { "name": "Team", "validation_regex": "[a-z]+" },
        { "name": "Stage", "allowed_values": ["live", "test"], "applies_to": ["ec2:instance"] }
    ]
}"#;

/// Lines by service and kind of charge, with the bucket that each is of, unless its tags say that it is in the gap.
const KINDS: [(&str, &str, Bucket); 12] = [
    (EC2, "Usage", Bucket::Attributable),
    (EC2, "DiscountedUsage", Bucket::Attributable),
    (S3, "Usage", Bucket::Attributable),
    ("Amazon DynamoDB", "Usage", Bucket::Attributable),
    ("AWS Data Transfer", "Usage", Bucket::UntaggableUsage),
    ("Datadog Pro", "Usage", Bucket::Marketplace),
    (EC2, "RIFee", Bucket::CommitmentFees),
    (EC2, "SavingsPlanNegation", Bucket::CommitmentFees),
    ("AWS Support (Business)", "Usage", Bucket::Support),
    ("Tax", "Tax", Bucket::Tax),
    (S3, "Credit", Bucket::CreditsRefunds),
    ("Amazon DynamoDB", "A kind that comes one day", Bucket::OtherCharges),
];

/// What a tag may be, and whether `Team` and `Stage` allow it.
const VALUES: [(Option<&str>, bool, bool); 6] = [
    (None, false, false),
    (Some(""), false, false),
    (Some("live"), true, true),
    (Some("payments"), true, false),
    (Some("Live"), false, false),
    (Some("x$y"), false, false),
];

#[derive(Debug, Clone)]
struct Line {
    kind: usize,
    day: i8,
    account: u8,
    region: u8,
    team: usize,
    stage: usize,
    micros: i64,
}

impl Line {
    fn service(&self) -> &'static str {
        KINDS[self.kind].0
    }

    fn account(&self) -> String {
        format!("{:012}", 100_000_000_000_u64 + u64::from(self.account))
    }

    fn region(&self) -> &'static str {
        ["eu-west-1", "us-east-1", "global"][usize::from(self.region) % 3]
    }

    fn day(&self) -> Date {
        Date::constant(2026, 10, self.day)
    }

    fn tag(&self, key: &str) -> Option<&'static str> {
        VALUES[if key == "Team" { self.team } else { self.stage }].0
    }

    /// The truth, line by line.
    fn bucket(&self) -> Bucket {
        let bucket = KINDS[self.kind].2;
        let carries = VALUES[self.team].1 && (self.service() != EC2 || VALUES[self.stage].2);
        if bucket == Bucket::Attributable && !carries { Bucket::Unattributable } else { bucket }
    }

    fn group(&self, dimension: &Dimension) -> String {
        match dimension {
            Dimension::Service => self.service().to_owned(),
            Dimension::RecordType => KINDS[self.kind].1.to_owned(),
            Dimension::LinkedAccount => self.account(),
            Dimension::Region => self.region().to_owned(),
            Dimension::Tag(key) => self.tag(key).unwrap_or_default().to_owned(),
            Dimension::UsageType => "EU-BoxUsage:m5.large".to_owned(),
            Dimension::Resource => "i-1".to_owned(),
        }
    }

    fn meets(&self, condition: &Condition) -> bool {
        let among = |names: &[String], name: &str| names.iter().any(|one| one == name);
        match condition {
            Condition::All(of) => of.iter().all(|one| self.meets(one)),
            Condition::Any(of) => of.iter().any(|one| self.meets(one)),
            Condition::Not(of) => !self.meets(of),
            Condition::Services(names) => among(names, self.service()),
            Condition::RecordTypes(names) => among(names, KINDS[self.kind].1),
            Condition::TagAbsent(key) => self.tag(key).is_none(),
            Condition::TagValues(key, values) => self.tag(key).is_some_and(|value| among(values, value)),
        }
    }
}

/// A company without resources, and a bill.
struct Bills {
    company: Simulated,
    lines: Vec<Line>,
    /// Of every answer.
    pages: u64,
    /// Questions that are not answered, and why.
    refused: fn(&BillQuestion) -> Option<GapReason>,
}

impl Cloud for Bills {
    async fn list_accounts(&self) -> Result<Accounts, Gap> {
        self.company.list_accounts().await
    }
    async fn list_regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        self.company.list_regions(account).await
    }
    async fn list(&self, scope: &Scope) -> Listing {
        self.company.list(scope).await
    }
    async fn list_creation_events(&self, _: &Scope, _: Timestamp, _: Timestamp, _: u64) -> CreationEvents {
        CreationEvents::default()
    }

    async fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
        if let Some(reason) = (self.refused)(question) {
            let gap = Gap { reason, operation: "ce:GetCostAndUsage".to_owned(), message: "no".to_owned() };
            return CostQueryResult { requests: 1, response: Err(CostQueryError::Gap(gap)) };
        }
        if max_requests < self.pages {
            return CostQueryResult { requests: max_requests, response: Err(CostQueryError::PageLimit) };
        }
        let mut sums: BTreeMap<(Date, Vec<String>), Amount> = BTreeMap::new();
        let in_days = |line: &&Line| line.day() >= question.days.first && line.day() < question.days.end;
        let wanted = |line: &&Line| question.filter.as_ref().is_none_or(|only| line.meets(only));
        for line in self.lines.iter().filter(in_days).filter(wanted) {
            let groups = question.group_by.iter().map(|dimension| line.group(dimension)).collect();
            *sums.entry((line.day(), groups)).or_default() += Amount::from_micros(line.micros);
        }
        let row = |((day, groups), amount)| CostRow { day, groups, currency: "USD".to_owned(), amount, units: 0 };
        let rows = sums.into_iter().map(row).collect();
        let answer = CostQueryResponse { rows, estimated: [].into(), metric: Metric::NetAmortized };
        CostQueryResult { requests: self.pages, response: Ok(answer) }
    }
    async fn look_up(&self, scope: &Scope, arns: &[Arn], timeout: Duration) -> Vec<LookupResult> {
        Cloud::look_up(&self.company, scope, arns, timeout).await
    }
    async fn locate_buckets(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        Cloud::locate_buckets(&self.company, buckets).await
    }
    fn payer_account(&self) -> Option<AccountId> {
        self.company.payer_account()
    }
    async fn list_allocation_tags(&self, _: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        Ok(Vec::new())
    }
    fn request_count(&self) -> u64 {
        self.company.request_count()
    }
    fn operation_calls(&self) -> Vec<OperationCalls> {
        self.company.operation_calls()
    }
}

fn on(day: i8) -> Timestamp {
    format!("2026-11-{day:02}T02:00:00Z").parse().unwrap()
}

/// Scans into a ledger, with so many requests a day.
fn scan(store: &Path, policy: &Arc<Policy>, lines: &[Line], pages: u64, cost_requests: u64, day: i8) {
    scan_refused(store, policy, (lines, pages), cost_requests, day, |_| None);
}

/// The same, where some questions are not answered.
fn scan_refused(
    store: &Path,
    policy: &Arc<Policy>,
    (lines, pages): (&[Line], u64),
    cost_requests: u64,
    day: i8,
    refused: fn(&BillQuestion) -> Option<GapReason>,
) {
    let company = Simulated::new(1, 0, Date::constant(2026, 11, 1));
    let cloud = Bills { company, lines: lines.to_vec(), pages, refused };
    let now = || on(day);
    let scan = Scan { concurrency: 4, cost_request_budget: cost_requests, ..scan_of(&cloud, Arc::clone(policy), &now) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(scan.run(LedgerWriter::open(store).unwrap(), |_| {})).unwrap();
}

/// What the ledger says of October after a scan.
fn recorded_attribution(lines: &[Line]) -> Attribution {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ledger.sqlite");
    let policy = Arc::new(Policy::parse(POLICY).unwrap());
    scan(&store, &policy, lines, 1, 1_000, 24);
    let days = Days::of_month(Date::constant(2026, 10, 1));
    let bill = LedgerReader::new(&store).read(|view| bill_query::load_bill(view, days)).unwrap();
    Attribution::compute(&bill.sums_in("USD"), &TagScope::from_policy(&policy), Date::constant(2026, 10, 31))
}

fn sum<'l>(lines: impl Iterator<Item = &'l Line>) -> Amount {
    lines.map(|line| Amount::from_micros(line.micros)).sum()
}

fn line() -> impl Strategy<Value = Line> {
    let tags = (0..VALUES.len(), 0..VALUES.len());
    let place = (1_i8..=31, 0_u8..3, 0_u8..3);
    (0..KINDS.len(), place, tags, -2_000_000_i64..20_000_000).prop_map(|(kind, place, (team, stage), micros)| Line {
        kind,
        day: place.0,
        account: place.1,
        region: place.2,
        team,
        stage,
        micros,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// For arbitrary bills, the buckets add up to the total, each line counts in exactly one bucket, and the sums by
    /// service, region, account and key match the lines.
    #[test]
    fn each_bill_line_belongs_to_one_bucket(lines in prop::collection::vec(line(), 0..60)) {
        let told = recorded_attribution(&lines);
        prop_assert_eq!(told.total, sum(lines.iter()));
        prop_assert_eq!(told.buckets.values().copied().sum::<Amount>(), told.total);
        for (bucket, amount) in &told.buckets {
            let of = lines.iter().filter(|line| line.bucket() == *bucket);
            prop_assert_eq!(*amount, sum(of), "{}", bucket.as_str());
        }
        let required = |line: &&Line| matches!(line.bucket(), Bucket::Attributable | Bucket::Unattributable);
        let gap = |line: &&Line| line.bucket() == Bucket::Unattributable;
        for (name, spend) in &told.by_service {
            let of = |line: &&Line| line.service() == name.as_str();
            prop_assert_eq!(spend.taggable, sum(lines.iter().filter(required).filter(of)));
            prop_assert_eq!(spend.unattributable, sum(lines.iter().filter(gap).filter(of)));
        }
        for (name, spend) in &told.by_region {
            let of = |line: &&Line| line.region() == name.as_str();
            prop_assert_eq!(spend.taggable, sum(lines.iter().filter(required).filter(of)));
            prop_assert_eq!(spend.unattributable, sum(lines.iter().filter(gap).filter(of)));
        }
        for (name, spend) in &told.by_account {
            let of = |line: &&Line| line.account() == *name;
            prop_assert_eq!(spend.taggable, sum(lines.iter().filter(required).filter(of)));
            prop_assert_eq!(spend.unattributable, sum(lines.iter().filter(gap).filter(of)));
        }
        for spend in &told.by_key {
            let carries = |line: &&Line| spend.key == "Team" || line.service() == EC2;
            let of: Vec<&Line> = lines.iter().filter(required).filter(carries).collect();
            let bare = |line: &&&Line| line.tag(&spend.key).is_none_or(str::is_empty);
            prop_assert_eq!(spend.required, sum(of.iter().copied()));
            prop_assert_eq!(spend.missing, sum(of.iter().filter(bare).copied()));
        }
    }
}

/// Spend of a resource that is tagged on the 16th is unattributable for the 15 days before and attributable from then
/// on.
#[test]
fn midmonth_tagging_splits_spend_by_day() {
    let day = |day: i8| Line {
        kind: 0,
        day,
        account: 0,
        region: 0,
        team: if day < 16 { 0 } else { 2 },
        stage: 2,
        micros: 1_000_001,
    };
    let told = recorded_attribution(&(1..=31).map(day).collect::<Vec<_>>());
    assert_eq!(told.buckets[&Bucket::Unattributable].micros(), 15 * 1_000_001);
    assert_eq!(told.buckets[&Bucket::Attributable].micros(), 16 * 1_000_001);
}

/// Requests of a day, what was told of the bill on it, and how many months were known then.
fn day(store: &Path, day: i8) -> (u64, String, usize) {
    let read = LedgerReader::new(store).read(|view| {
        let message = bill_query::load_bill_gap(view)?.map_or_else(String::new, |gap| gap.message);
        Ok((
            bill_query::count_requests(view, Date::constant(2026, 11, day))?,
            message,
            bill_query::load_months(view)?.len(),
        ))
    });
    read.unwrap()
}

/// Everything that a month may hold, on its tenth.
fn a_month() -> Vec<Line> {
    (0..KINDS.len())
        .map(|kind| Line { kind, day: 10, account: 0, region: 0, team: 2, stage: 2, micros: 1_000_000 })
        .collect()
}

/// A month that needs more requests than the daily budget is not requested repeatedly in vain. The gap message names
/// `TAGLEDGER_COST_REQUEST_BUDGET`, and with a larger budget all months are read.
#[test]
fn oversized_month_is_not_retried_in_vain() {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Arc::new(Policy::parse(POLICY).unwrap()));
    // November has no lines: one question and five pages. October has six, and 12 requests a day.
    // It is begun together with November, and once alone.
    for today in [24, 25, 26, 27] {
        scan(&store, &policy, &a_month(), 5, 12, today);
    }
    let before = [24, 25, 26].map(|today| day(&store, today).0);
    assert!(before.iter().all(|requests| *requests <= 12), "{before:?}");
    let (last, told, months) = day(&store, 27);
    assert_eq!((last, months), (1, 1), "the tags are looked at, and nothing is asked in vain: {told}");
    assert!(told.contains("increase TAGLEDGER_COST_REQUEST_BUDGET"), "{told}");
    scan(&store, &policy, &a_month(), 5, 1_000, 28);
    assert_eq!((day(&store, 28).2, day(&store, 28).1.as_str()), (14, ""), "with a larger budget all months come in");
}

/// With a small daily budget, no day exceeds it, the number of recorded months never decreases, and all 14 months are
/// recorded within 20 days.
#[test]
fn backfill_completes_within_daily_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Arc::new(Policy::parse(POLICY).unwrap()));
    let mut known = 0;
    for today in 1..=20 {
        scan(&store, &policy, &a_month(), 1, 12, today);
        let (requests, told, months) = day(&store, today);
        assert!(requests <= 12, "{requests} on day {today}: {told}");
        assert!(months >= known, "day {today}");
        known = months;
    }
    assert_eq!(known, 14);
}

/// For an account that is younger than the period of Cost Explorer, the months that exist are recorded without a gap,
/// and the current month is refreshed every day.
#[test]
fn young_account_bill_is_refreshed_daily() {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Arc::new(Policy::parse(POLICY).unwrap()));
    // The account is of September.
    let young =
        |question: &BillQuestion| (question.days.first < Date::constant(2026, 9, 1)).then_some(GapReason::NotEnabled);
    for today in [24, 25] {
        scan_refused(&store, &policy, (&a_month(), 1), 1_000, today, young);
        let (_, told, months) = day(&store, today);
        assert_eq!((months, told.as_str()), (3, ""), "day {today}");
        let known = LedgerReader::new(&store).read(bill_query::load_months).unwrap();
        assert_eq!(known.last().unwrap().days.end, Date::constant(2026, 11, today), "the running month is read again");
    }
}

/// The recorded basis of resource costs remains unchanged when its usage or its resource charges cannot be read, and
/// the next successful scan replaces it.
#[test]
fn resource_costs_survive_failed_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let (store, policy) = (folder.path().join("ledger.sqlite"), Arc::new(Policy::parse(POLICY).unwrap()));
    let basis =
        |store: &Path| LedgerWriter::open(store).unwrap().recorded_bill(Date::constant(2026, 11, 30)).unwrap().basis;
    let lines: Vec<Line> = (1..=31).map(|day| Line { day, ..a_month()[0].clone() }).collect();
    let lines: Vec<Line> = lines.into_iter().chain(a_month()).collect();
    scan(&store, &policy, &lines, 1, 1_000, 8);
    let first = basis(&store).unwrap();
    assert!(first.has_resource_ids, "the last fourteen days are partly of October: {first:?}");
    let usage =
        |question: &BillQuestion| question.group_by.contains(&Dimension::UsageType).then_some(GapReason::Throttled);
    let named = |question: &BillQuestion| question.group_by.contains(&Dimension::Resource).then_some(GapReason::Denied);
    scan_refused(&store, &policy, (&lines, 1), 1_000, 16, usage);
    assert_eq!(basis(&store), Some(first.clone()), "what was used cannot be read");
    scan_refused(&store, &policy, (&lines, 1), 1_000, 17, named);
    assert_eq!(basis(&store), Some(first.clone()), "single resources cannot be read");
    scan(&store, &policy, &lines, 1, 1_000, 18);
    assert!(basis(&store).unwrap().asked_at > first.asked_at, "it is asked again the next night");
}
