//! A simulated company on AWS: an estate that changes from day to day, the same for everyone.
//!
//! Everything about a resource follows from the seed, its scope and its number there, so an estate of any size costs no
//! memory, and any day can be asked for. Some teams tag well and some do not; most mistakes are mended in the course of
//! the 90 days, some are made.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{Account, AccountRegion, Accounts, Cloud, Creations, Looked, OperationCalls, looked};
use crate::{
    AccountId, Arn, Region, ResourceType,
    inventory::{Gap, GapReason, Links, Listing, NeighbourKind, Resource, Scope, TagSet, Tags},
    money::{AllocationTag, BillProblem, BillQuestion, Billed, Days, TagStatus},
};

mod company;
mod dice;
mod habits;
mod spending;

use company::{ACCOUNTS, Application, REGIONS};
pub(crate) use dice::Dice;
use spending::Line;

/// What the company's operations are called.
const LIST: &str = "simulated:List";
const BILL: &str = "simulated:Bill";

/// Days of change before the last one.
pub const DAYS: u16 = 90;

/// The estate as it is on one day.
#[derive(Debug)]
pub struct Simulated {
    seed: u64,
    size: u32,
    /// Day 90.
    last: Date,
    /// 0 to 90.
    day: u16,
    requests: AtomicU64,
    bills: AtomicU64,
    /// The lines of the days asked for last: a month is asked for several times.
    spent: Mutex<Option<Spent>>,
}

type Spent = (Days, Arc<Vec<Line>>);

/// The tags that the company's bills are split by; billing knows no others.
const ALLOCATION_TAGS: &[&str] = &["Application", "CostCenter", "Environment", "Owner"];

impl Simulated {
    /// An estate of about `size` resources, whose day 90 is the date given; as of that day.
    pub fn new(seed: u64, size: u32, last: Date) -> Self {
        Self::made(seed, size, last, DAYS)
    }

    /// The same estate on another day, 0 to 90.
    pub fn on_day(&self, day: u16) -> Self {
        Self::made(self.seed, self.size, self.last, day.min(DAYS))
    }

    fn made(seed: u64, size: u32, last: Date, day: u16) -> Self {
        Self { seed, size, last, day, requests: AtomicU64::new(0), bills: AtomicU64::new(0), spent: Mutex::default() }
    }

    fn lines_of(&self, days: Days) -> Arc<Vec<Line>> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lines)) = spent.as_ref().filter(|(known, _)| *known == days) {
            return Arc::clone(lines);
        }
        let lines = Arc::new(self.lines(days));
        *spent = Some((days, Arc::clone(&lines)));
        lines
    }

    /// The date of the day that is shown.
    pub fn date(&self) -> Date {
        self.date_of(i32::from(self.day))
    }

    fn date_of(&self, day: i32) -> Date {
        self.last.saturating_sub((i32::from(DAYS) - day).days())
    }

    fn resource(&self, scope: &Scope, number: u32) -> Option<Resource> {
        let mut dice = Dice::new(self.seed, &scope.to_string(), number);
        let born = habits::birth(&mut dice);
        let dies = habits::death(&mut dice, born);
        let today = i32::from(self.day);
        if today < born || dies.is_some_and(|day| today >= day) {
            return None;
        }
        let application = Application::choose(&mut dice, scope);
        let name = application.name(scope, number, &mut dice);
        let arn = arn(scope, &name, &mut dice)?;
        let tags = habits::tags(&application, &name, scope, self.day, &mut dice);
        Some(Resource {
            arn,
            created_at: self.moment(born, &mut dice),
            tags: Tags::Known(tags),
            usage: self.usage(scope, number),
            links: self.links(&application, scope),
        })
    }

    /// An application's machines, databases and functions have a security group and a role of their own in each account, and
    /// share the network with others.
    fn links(&self, application: &Application, scope: &Scope) -> Links {
        let connected = matches!(
            scope.resource_type,
            ResourceType::Ec2Instance | ResourceType::RdsDb | ResourceType::RdsCluster | ResourceType::LambdaFunction
        );
        if !connected {
            return Links::default();
        }
        let place = format!("{}/{}", scope.account, scope.region);
        let own = format!("{place}/{}/{}", application.name, application.environment);
        let id = |kind: &str, of: &str| format!("{kind}-0{:016x}", Dice::new(self.seed, of, 0).next());
        let role = format!("arn:aws:iam::{}:role/{}", scope.account, application.name);
        let named = [
            (NeighbourKind::SecurityGroup, id("sg", &own)),
            (NeighbourKind::Role, role),
            (NeighbourKind::Vpc, id("vpc", &place)),
        ];
        Links::to(None, named.iter().map(|(kind, name)| (*kind, Some(name.as_str()))))
    }

    fn moment(&self, day: i32, dice: &mut Dice) -> Option<Timestamp> {
        let minute = i8::try_from(dice.below(60)).ok()?;
        let hour = i8::try_from(7 + dice.below(11)).ok()?;
        TimeZone::UTC.to_timestamp(self.date_of(day).at(hour, minute, 0, 0)).ok()
    }

    /// How many numbers a scope gives out, resources of all days together.
    fn numbers(&self, scope: &Scope) -> u32 {
        let parts = u64::from(self.size) * company::share(scope);
        u32::try_from(parts / company::SHARES).unwrap_or(u32::MAX)
    }
}

impl Cloud for Simulated {
    async fn accounts(&self) -> Result<Accounts, Gap> {
        let account = |(id, name): &(&str, &str)| {
            Some(Account { id: id.parse().ok()?, partition: "aws".parse().ok()?, name: Some((*name).to_owned()) })
        };
        Ok(Accounts { found: ACCOUNTS.iter().filter_map(account).collect(), gap: None })
    }

    async fn regions(&self, _: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        let region = |(name, enabled): &(&str, bool)| {
            Some(AccountRegion { region: name.parse::<Region>().ok()?, enabled: *enabled })
        };
        Ok(REGIONS.iter().filter_map(region).collect())
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let numbers = self.numbers(scope);
        self.requests.fetch_add(1 + u64::from(numbers / 100), Ordering::Relaxed);
        if !company::knows(scope) {
            let message = format!("the simulated company has nothing to do with {scope}");
            let gap = Gap { reason: GapReason::NotEnabled, operation: LIST.to_owned(), message };
            return Listing { resources: Vec::new(), gap: Some(gap) };
        }
        Listing { resources: (0..numbers).filter_map(|number| self.resource(scope, number)).collect(), gap: None }
    }

    async fn look(&self, scope: &Scope, arns: &[Arn], _: Duration) -> Vec<Looked> {
        let Listing { resources, gap } = self.list(scope).await;
        looked(arns, resources, gap.as_ref())
    }

    async fn locate(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        let (Some(account), resource_type) = (self.payer(), ResourceType::S3Bucket) else { return Ok(Vec::new()) };
        let mut located = Vec::new();
        for (region, _) in REGIONS.iter().filter(|(_, enabled)| *enabled) {
            let Ok(region) = region.parse() else { continue };
            let scope = Scope { account: account.clone(), region, resource_type };
            let listed = self.list(&scope).await.resources.into_iter().map(|resource| resource.arn);
            located.extend(listed.filter(|arn| buckets.contains(arn)).map(|arn| (arn, scope.clone())));
        }
        Ok(located)
    }

    /// Nobody in the simulated company keeps a trail.
    async fn creations(&self, _: &Scope, _: Timestamp, _: Timestamp, _: u64) -> Creations {
        Creations::default()
    }

    async fn bill(&self, question: &BillQuestion, most_requests: u64) -> Billed {
        if most_requests == 0 {
            return Billed { requests: 0, answer: Err(BillProblem::Budget) };
        }
        self.bills.fetch_add(1, Ordering::Relaxed);
        Billed { requests: 1, answer: Ok(self.billed(question)) }
    }

    fn payer(&self) -> Option<AccountId> {
        ACCOUNTS.first().and_then(|(id, _)| id.parse().ok())
    }

    async fn allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        let known = |key: &String| ALLOCATION_TAGS.contains(&key.as_str());
        let status = |key| if known(key) { TagStatus::Active } else { TagStatus::Unknown };
        Ok(keys.iter().map(|key| AllocationTag { key: key.clone(), status: status(key) }).collect())
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed) + self.bills.load(Ordering::Relaxed)
    }

    fn calls(&self) -> Vec<OperationCalls> {
        let calls = [(LIST, &self.requests), (BILL, &self.bills)];
        let calls = calls.map(|(operation, n)| (operation, n.load(Ordering::Relaxed)));
        let sent = calls.into_iter().filter(|(_, requests)| *requests > 0);
        sent.map(|(operation, requests)| OperationCalls { operation, requests, throttled: 0 }).collect()
    }
}

fn arn(scope: &Scope, name: &str, dice: &mut Dice) -> Option<Arn> {
    let home = format!("{}:{}", scope.region, scope.account);
    let text = match scope.resource_type {
        ResourceType::Ec2Instance => format!("arn:aws:ec2:{home}:instance/i-0{:016x}", dice.next()),
        ResourceType::Ec2Volume => format!("arn:aws:ec2:{home}:volume/vol-0{:016x}", dice.next()),
        ResourceType::EcsCluster => format!("arn:aws:ecs:{home}:cluster/{name}"),
        ResourceType::EcsService => format!("arn:aws:ecs:{home}:service/main/{name}"),
        ResourceType::LambdaFunction => format!("arn:aws:lambda:{home}:function:{name}"),
        ResourceType::RdsCluster => format!("arn:aws:rds:{home}:cluster:{name}"),
        ResourceType::RdsDb => format!("arn:aws:rds:{home}:db:{name}"),
        ResourceType::S3Bucket => format!("arn:aws:s3:::acme-{name}-{}", scope.region),
    };
    text.parse().ok()
}

/// Which of the tags of a well-tagged resource AWS lets this one have: all of them, as a set.
fn set(pairs: Vec<(String, String)>) -> TagSet {
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope {
            account: ACCOUNTS[0].0.parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            resource_type: text.parse().unwrap(),
        }
    }

    async fn list(estate: &Simulated, scope: &Scope) -> Vec<Resource> {
        let listing = estate.list(scope).await;
        assert_eq!(listing.gap, None);
        listing.resources
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_estate_and_another_seed_another() {
        let day = Date::constant(2026, 11, 1);
        let instances = scope("ec2:instance");
        let first = list(&Simulated::new(7, 2000, day), &instances).await;
        assert!(first.len() > 20);
        assert_eq!(first, list(&Simulated::new(7, 2000, day), &instances).await);
        assert_ne!(first, list(&Simulated::new(8, 2000, day), &instances).await);
    }

    #[tokio::test]
    async fn a_day_changes_little_and_ninety_days_change_much() {
        let estate = Simulated::new(7, 20_000, Date::constant(2026, 11, 1));
        let instances = scope("ec2:instance");
        let changed = async |a: u16, b: u16| {
            let before = list(&estate.on_day(a), &instances).await;
            let after = list(&estate.on_day(b), &instances).await;
            (after.iter().filter(|r| !before.contains(r)).count(), after.len())
        };
        let (night, all) = changed(50, 51).await;
        assert!((1..all / 20).contains(&night), "{night} of {all}");
        let (quarter, all) = changed(0, 90).await;
        assert!(quarter > all / 5, "{quarter} of {all}");
    }

    #[tokio::test]
    async fn nothing_is_older_than_its_day() {
        let estate = Simulated::new(7, 5000, Date::constant(2026, 11, 1)).on_day(30);
        let end_of_day = TimeZone::UTC.to_timestamp(estate.date().at(23, 59, 59, 0)).unwrap();
        for kind in ResourceType::ALL {
            for resource in list(&estate, &scope(kind.as_str())).await {
                assert!(resource.created_at.unwrap() <= end_of_day, "{resource:?}");
            }
        }
    }
}
