//! What the simulated company spends, line by line, and how its bill answers questions.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{Simulated, company, dice::Dice};
use crate::{
    Arn, ResourceType,
    inventory::{Scope, TagSet, Tags, Usage},
    money::{Amount, BillAnswer, BillQuestion, BillRow, Condition, Days, Dimension, Grain, Metric, service_of},
};

/// Millionths of a dollar.
const CENT: i64 = 10_000;

/// Sizes that a resource of a type may have, with what a day of it costs, in cents.
fn sizes(resource_type: ResourceType) -> &'static [(&'static str, i64)] {
    match resource_type {
        ResourceType::Ec2Instance => {
            &[("t3.medium", 100), ("m5.large", 230), ("m5.xlarge", 461), ("r5.large", 302), ("c5.2xlarge", 816)]
        }
        ResourceType::Ec2Volume => &[("gp3 20", 5), ("gp3 50", 13), ("gp3 200", 53), ("gp3 500", 133)],
        ResourceType::RdsDb => &[("db.t3.medium", 163), ("db.m5.large", 410), ("db.r5.xlarge", 1200)],
        ResourceType::RdsCluster => &[("storage", 95)],
        ResourceType::S3Bucket => &[("small", 4), ("middling", 60), ("large", 710)],
        ResourceType::LambdaFunction => &[("seldom", 1), ("often", 22), ("always", 140)],
        ResourceType::EcsService => &[("one task", 59), ("four tasks", 237)],
        ResourceType::EcsCluster => &[("free", 0)],
    }
}

/// One instance in so many is stopped.
const STOPPED: u32 = 12;

/// What a resource is, apart from what it is called and how it is tagged.
struct Make {
    size: &'static str,
    cents: i64,
    stopped: bool,
}

impl Make {
    fn usage(&self, resource_type: ResourceType) -> Option<Usage> {
        match resource_type {
            ResourceType::Ec2Instance => {
                Some(Usage { driver: self.size.to_owned(), quantity: u32::from(!self.stopped) })
            }
            ResourceType::RdsDb => Some(Usage { driver: self.size.to_owned(), quantity: 1 }),
            ResourceType::Ec2Volume => {
                let (kind, size) = self.size.split_once(' ')?;
                Some(Usage { driver: kind.to_owned(), quantity: size.parse().ok()? })
            }
            _ => None,
        }
    }
}

/// A line of the bill.
#[derive(Debug, Clone)]
pub(super) struct Line {
    day: Date,
    service: &'static str,
    record_type: &'static str,
    account: String,
    region: String,
    tags: TagSet,
    amount: Amount,
    usage_type: String,
    /// Millionths of an hour, or of a gigabyte for a month.
    units: i64,
    resource: String,
}

/// What no resource costs: service, kind of charge, cents a day.
const OTHER: &[(&str, &str, i64)] = &[
    ("Amazon DynamoDB", "Usage", 1_840),
    ("AWS Data Transfer", "Usage", 930),
    ("AWS Cost Explorer", "Usage", 8),
    ("AWS Support (Business)", "Usage", 2_400),
    ("Datadog Pro", "Usage", 4_100),
    ("Savings Plans for AWS Compute usage", "SavingsPlanRecurringFee", 310),
    ("Amazon Elastic Compute Cloud - Compute", "Credit", -1_150),
    ("Amazon Relational Database Service", "Refund", -35),
    ("Tax", "Tax", 6_700),
];

impl Simulated {
    /// Every line of some days that are over.
    pub(super) fn lines(&self, days: Days) -> Vec<Line> {
        let mut lines = Vec::new();
        for day in 0..=self.day {
            let then = self.on_day(day);
            let date = then.date();
            if date >= days.first && date < days.end {
                scopes().for_each(|scope| then.spend(&scope, date, &mut lines));
                lines.extend(
                    OTHER.iter().map(|(service, record_type, cents)| other(date, service, record_type, *cents)),
                );
            }
        }
        lines
    }

    fn spend(&self, scope: &Scope, date: Date, lines: &mut Vec<Line>) {
        let Some(service) = service_of(scope.resource_type).next() else { return };
        for number in 0..self.numbers(scope) {
            let Some(resource) = self.resource(scope, number) else { continue };
            let Tags::Known(tags) = resource.tags else { continue };
            let Make { cents, stopped, .. } = self.make(scope, number);
            let quantity = resource.usage.as_ref().map_or(0, |usage| i64::from(usage.quantity));
            let days_of_month = Days::of_month(date).count();
            let of_month = scope.resource_type == ResourceType::Ec2Volume;
            lines.push(Line {
                day: date,
                service,
                record_type: "Usage",
                account: scope.account.to_string(),
                region: scope.region.to_string(),
                tags,
                amount: if stopped { Amount::ZERO } else { Amount::from_micros(cents * CENT) },
                usage_type: usage_type(scope, resource.usage.as_ref()),
                units: quantity * if of_month { 1_000_000 / days_of_month } else { 24_000_000 },
                resource: on_the_bill(scope.resource_type, &resource.arn),
            });
        }
    }

    /// What a resource takes of what its kind shares.
    pub(super) fn usage(&self, scope: &Scope, number: u32) -> Option<Usage> {
        self.make(scope, number).usage(scope.resource_type)
    }

    /// From a stream of its own: what something costs changes nothing of what it is called.
    fn make(&self, scope: &Scope, number: u32) -> Make {
        let mut dice = Dice::new(self.seed ^ 0x00c0_57ed, &scope.to_string(), number);
        let (size, cents) = dice.pick(sizes(scope.resource_type)).copied().unwrap_or(("", 0));
        let stopped = scope.resource_type == ResourceType::Ec2Instance && dice.below(STOPPED) == 0;
        Make { size, cents, stopped }
    }

    /// Answers a question from the lines of its days. The running month may still change.
    pub(super) fn billed(&self, question: &BillQuestion) -> BillAnswer {
        let lines = self.lines_of(question.days);
        let mut sums: BTreeMap<(Date, Vec<String>), (Amount, i64)> = BTreeMap::new();
        for line in lines.iter().filter(|line| question.only.as_ref().is_none_or(|only| line.meets(only))) {
            let groups = question.by.iter().map(|dimension| line.group(dimension).to_owned()).collect();
            let day = match question.grain {
                Grain::Day => line.day,
                Grain::Month => line.day.first_of_month().max(question.days.first),
            };
            let (amount, units) = sums.entry((day, groups)).or_default();
            *amount += line.amount;
            *units += line.units;
        }
        let row = |((day, groups), (amount, units))| BillRow { day, groups, currency: "USD".to_owned(), amount, units };
        let running = Days::of_month(self.date());
        let estimated = question.days.iter().filter(|day| *day >= running.first && *day <= self.date());
        BillAnswer {
            estimated: estimated.collect(),
            metric: Metric::NetAmortized,
            rows: sums.into_iter().map(row).collect(),
        }
    }
}

fn scopes() -> impl Iterator<Item = Scope> {
    let places = company::ACCOUNTS.iter().flat_map(|(account, _)| {
        let regions = company::REGIONS.iter().filter(|(_, enabled)| *enabled);
        regions.filter_map(|(region, _)| Some((account.parse().ok()?, region.parse().ok()?)))
    });
    places.flat_map(|(account, region): (crate::AccountId, crate::Region)| {
        ResourceType::ALL.iter().map(move |resource_type| Scope {
            account: account.clone(),
            region: region.clone(),
            resource_type: *resource_type,
        })
    })
}

fn other(day: Date, service: &'static str, record_type: &'static str, cents: i64) -> Line {
    let (account, region) = ("111111111111".to_owned(), "NoRegion".to_owned());
    Line {
        day,
        service,
        record_type,
        account,
        region,
        tags: TagSet::default(),
        amount: Amount::from_micros(cents * CENT),
        usage_type: "Requests".to_owned(),
        units: 0,
        resource: "NoResourceId".to_owned(),
    }
}

/// As the bill calls what is used. Its region stands before it, in a shorter form at AWS's.
fn usage_type(scope: &Scope, usage: Option<&Usage>) -> String {
    let driver = usage.map_or("", |usage| usage.driver.as_str());
    let what = match scope.resource_type {
        ResourceType::Ec2Instance => format!("BoxUsage:{driver}"),
        ResourceType::Ec2Volume => format!("EBS:VolumeUsage.{driver}"),
        ResourceType::RdsDb => format!("InstanceUsage:{driver}"),
        _ => "Requests".to_owned(),
    };
    format!("{}-{what}", scope.region)
}

/// As the bill names a resource: EC2 by its id, S3 by the bucket, containers by the task that ran, all else by its ARN.
fn on_the_bill(resource_type: ResourceType, arn: &Arn) -> String {
    let local = arn.resource();
    match resource_type {
        ResourceType::Ec2Instance | ResourceType::Ec2Volume => local.rsplit('/').next().unwrap_or(local).to_owned(),
        ResourceType::S3Bucket => local.to_owned(),
        ResourceType::EcsService => arn.as_str().replace(":service/", ":task/"),
        ResourceType::EcsCluster => "NoResourceId".to_owned(),
        _ => arn.to_string(),
    }
}

impl Line {
    fn group(&self, dimension: &Dimension) -> &str {
        match dimension {
            Dimension::Service => self.service,
            Dimension::RecordType => self.record_type,
            Dimension::LinkedAccount => &self.account,
            Dimension::Region => &self.region,
            Dimension::UsageType => &self.usage_type,
            Dimension::Resource => &self.resource,
            Dimension::Tag(key) => self.tags.get(key).unwrap_or_default(),
        }
    }

    fn meets(&self, condition: &Condition) -> bool {
        let among = |names: &[String], name: &str| names.iter().any(|one| one == name);
        match condition {
            Condition::All(of) => of.iter().all(|one| self.meets(one)),
            Condition::Any(of) => of.iter().any(|one| self.meets(one)),
            Condition::Not(of) => !self.meets(of),
            Condition::Services(names) => among(names, self.service),
            Condition::RecordTypes(names) => among(names, self.record_type),
            Condition::TagAbsent(key) => self.tags.get(key).is_none(),
            Condition::TagValues(key, values) => self.tags.get(key).is_some_and(|value| among(values, value)),
        }
    }
}
