//! A year of a small company by a script: launches, removals, tag changes, another policy in May, a region that is
//! denied for a week, and three days without a scan. The expected values of each day are computed without a ledger.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jiff::{ToSpan, civil::Date};
use tagledger_model::inventory::{Gap, GapReason, Listing, Relationships, Resource, Scope, Tags};

use crate::test_server::{ACCOUNT, TestLedger, scope};

const NIGHTS: i32 = 365;

/// Requires a cost centre alone.
pub(crate) const MAY: &str = r#"{"version": "2.0", "last_updated": "2027-05-01T00:00:00Z",
    "required_tags": [{"name": "CostCenter", "allowed_values": ["Engineering", "Sales"]}]}"#;

pub(crate) const CHANGED: i32 = 182;

/// The day of a night: the first starts on 1 November 2026.
pub(crate) fn day_of(night: i32) -> Date {
    Date::constant(2026, 10, 31).saturating_add(night.days())
}

fn down(night: i32) -> bool {
    (101..104).contains(&night)
}

pub(crate) fn denied(night: i32, region: &str) -> bool {
    region == "us-east-1" && (221..228).contains(&night)
}

const WAYS: u64 = 5;

/// Ways to tag, with the violations by the first policy.
pub(crate) fn way(number: u64) -> (Vec<(&'static str, &'static str)>, Vec<&'static str>) {
    let (cost, owner) = (("CostCenter", "Sales"), ("Owner", "ada@example.com"));
    match number % WAYS {
        0 => (vec![cost, owner], vec![]),
        1 => (vec![owner], vec!["MISSING CostCenter"]),
        2 => (vec![], vec!["MISSING CostCenter", "MISSING Owner"]),
        3 => (vec![cost], vec!["MISSING Owner"]),
        _ => (vec![("CostCenter", "Marketing"), owner], vec!["NOT_ALLOWED CostCenter"]),
    }
}

fn dice(night: i32, id: u32) -> u64 {
    let mut state = (u64::from(id) << 32) ^ u64::from(night.unsigned_abs()) ^ 0x9e37_79b9_7f4a_7c15;
    for _ in 0..3 {
        state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    state >> 20
}

/// The company: region and way of each resource.
#[derive(Default)]
pub(crate) struct Company {
    resources: BTreeMap<u32, (&'static str, u64)>,
    next: u32,
}

impl Company {
    pub(crate) fn day(&mut self, night: i32) {
        // On the day of the new policy nobody touches anything.
        if night == CHANGED {
            return;
        }
        for _ in 0..if night == 1 { 40 } else { dice(night, 0) % 3 } {
            let region = if self.next.is_multiple_of(3) { "us-east-1" } else { "eu-west-1" };
            self.resources.insert(self.next, (region, dice(night, self.next)));
            self.next += 1;
        }
        if night > 1 {
            self.resources.retain(|id, _| !dice(night, *id).is_multiple_of(150));
            for (id, (_, way)) in &mut self.resources {
                let rolled = dice(night, *id);
                // Tags get better in the course of the year.
                if rolled % 40 == 1 {
                    *way = if rolled % 7 < 3 + u64::from(night.unsigned_abs()) / 100 { 0 } else { rolled / 40 };
                }
            }
        }
    }

    pub(crate) fn listing(&self, night: i32, region: &'static str) -> (Scope, Listing) {
        let place = Scope { region: region.parse().unwrap(), ..scope("ec2:instance") };
        if denied(night, region) {
            let gap = Gap {
                reason: GapReason::Denied,
                operation: "ec2:DescribeInstances".to_owned(),
                message: "no".to_owned(),
            };
            return (place, Listing { resources: Vec::new(), gap: Some(gap) });
        }
        let here = self.resources.iter().filter(|(_, (home, _))| *home == region);
        let resources = here.map(|(id, (_, number))| Resource {
            arn: format!("arn:aws:ec2:{region}:{ACCOUNT}:instance/i-{id:x}").parse().unwrap(),
            created_at: None,
            tags: Tags::Known(way(*number).0.into_iter().collect()),
            usage: None,
            links: Relationships::default(),
        });
        (place, Listing { resources: resources.collect(), gap: None })
    }
}

/// What the script says of a night.
#[derive(Debug, Clone, Default)]
pub(crate) struct Day {
    pub(crate) number: i64,
    pub(crate) day: Date,
    pub(crate) compliant: u64,
    pub(crate) wrong: u64,
    pub(crate) total: u64,
    pub(crate) violations: u64,
    pub(crate) partial: bool,
    pub(crate) opened: u64,
    pub(crate) reopened: u64,
    pub(crate) fixed: u64,
    pub(crate) otherwise: u64,
    pub(crate) days_to_fix: Vec<i64>,
    /// Each resource that is known: region, and way to tag as it was read last.
    pub(crate) known: BTreeMap<u32, (&'static str, u64)>,
    pub(crate) night: i32,
}

/// The script, played without a ledger: what is known of each resource, and since when what is wrong with it.
#[derive(Default)]
struct Truth {
    known: BTreeMap<u32, (&'static str, Vec<&'static str>)>,
    open: BTreeMap<(u32, &'static str), i32>,
    ended: BTreeSet<(u32, &'static str)>,
    ways: BTreeMap<u32, (&'static str, u64)>,
    snapshots: i64,
}

impl Truth {
    fn night(&mut self, company: &Company, night: i32) -> Day {
        let read = |region: &str| !denied(night, region);
        let rules = |number: u64| {
            let mut rules = way(number).1;
            rules.retain(|rule| night < CHANGED || *rule != "MISSING Owner");
            rules
        };
        self.snapshots += 1;
        let day = day_of(night);
        let mut answer = Day { number: self.snapshots, day, partial: !read("us-east-1"), ..Day::default() };
        let gone: Vec<u32> = self
            .known
            .iter()
            .filter(|(id, (region, _))| read(region) && !company.resources.contains_key(id))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.known.remove(&id);
            self.ways.remove(&id);
            answer.otherwise += self.end(id, &[]).len() as u64;
        }
        for (id, (region, number)) in company.resources.iter().filter(|(_, (region, _))| read(region)) {
            let now = rules(*number);
            let ended = self.end(*id, &now);
            if night == CHANGED {
                answer.otherwise += ended.len() as u64;
            } else {
                answer.fixed += ended.len() as u64;
                answer.days_to_fix.extend(ended.iter().map(|since| i64::from(night - since)));
            }
            for rule in &now {
                let violation = (*id, *rule);
                if let Entry::Vacant(place) = self.open.entry(violation) {
                    place.insert(night);
                    answer.opened += 1;
                    answer.reopened += u64::from(self.ended.contains(&violation));
                }
            }
            self.known.insert(*id, (region, now));
            self.ways.insert(*id, (region, number % WAYS));
        }
        for (region, rules) in self.known.values() {
            answer.total += 1;
            if read(region) {
                answer.violations += rules.len() as u64;
                *if rules.is_empty() { &mut answer.compliant } else { &mut answer.wrong } += 1;
            }
        }
        (answer.known, answer.night) = (self.ways.clone(), night);
        answer
    }

    /// Ends what is not among the rules; the nights on which it had begun.
    fn end(&mut self, id: u32, rules: &[&str]) -> Vec<i32> {
        let over: Vec<_> = self.open.keys().filter(|(of, rule)| *of == id && !rules.contains(rule)).copied().collect();
        self.ended.extend(over.iter().copied());
        over.iter().map(|violation| self.open.remove(violation).unwrap()).collect()
    }
}

pub(crate) fn year() -> (TestLedger, Vec<Day>) {
    let (ledger, answer) = until(NIGHTS);
    let sum = |of: fn(&Day) -> u64| answer.iter().map(of).sum::<u64>();
    let eventful = [sum(|night| night.reopened), sum(|night| night.fixed), sum(|night| night.otherwise)];
    assert!(eventful.iter().all(|events| *events > 10), "{eventful:?}");
    (ledger, answer)
}

/// The same up to a night.
pub(crate) fn until(last: i32) -> (TestLedger, Vec<Day>) {
    let (mut ledger, mut company, mut truth) = (TestLedger::new(), Company::default(), Truth::default());
    let mut answer = Vec::new();
    for night in 1..=last {
        company.day(night);
        if night == CHANGED {
            ledger.evaluate_by(MAY);
        }
        if !down(night) {
            let listings = ["eu-west-1", "us-east-1"].map(|region| company.listing(night, region)).to_vec();
            ledger.append(night, listings);
            answer.push(truth.night(&company, night));
        }
    }
    // Of the first night everything was new.
    answer[0].opened = 0;
    (ledger, answer)
}
