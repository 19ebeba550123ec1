//! What a policy means for a bill: which keys the use of a service must carry, and the questions that follow from it.
//!
//! A bill knows a key to the letter, and only keys that are activated as cost allocation tags. So spend under a key in
//! another spelling is spend without the key, whatever the policy forgives on resources.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::{
    AllocationTag, BillQuestion, Charge, Condition, Days, Dimension, Grain,
    charges::{USAGE, charge, tables, types_of},
};
use crate::policy::{Policy, TagRule};

/// The most values that one part of a condition names.
const VALUES_TOGETHER: usize = 200;

/// Values not allowed that a condition names at most: those with most spend.
const MOST_INVALID: usize = 1_000;

/// What of a bill must carry which keys.
#[derive(Debug, Clone)]
pub struct Terms<'p> {
    keys: Vec<&'p TagRule>,
}

/// Values that were billed and that the policy does not allow, by key, those with most spend first. Of a key that has more than
/// a thousand of them the others count as allowed.
pub type Invalid = BTreeMap<String, Vec<String>>;

/// The services whose use was billed, by name.
pub type Services = BTreeSet<String>;

impl<'p> Terms<'p> {
    /// The terms of a policy.
    pub fn of(policy: &'p Policy) -> Self {
        Self { keys: policy.required().iter().collect() }
    }

    /// The keys that some spend may have to carry.
    pub fn keys(&self) -> impl Iterator<Item = &'p str> {
        self.keys.iter().map(|rule| rule.name())
    }

    /// The keys that the use of a service must carry; none: the policy asks nothing of it, or no tag can be on it.
    pub fn required_of(&self, service: &str) -> Vec<&'p str> {
        self.keys.iter().filter(|rule| covers(rule, service)).map(|rule| rule.name()).collect()
    }

    /// Whether a billed value is one that the policy allows on a day; false of a key that it does not require.
    pub fn allows(&self, key: &str, value: &str, day: Date) -> bool {
        self.keys.iter().any(|rule| rule.name() == key && rule.accepts(value, day))
    }

    /// Names all that the answers of a bill depend on: whose it is, which keys it is split by, what the policy asks of it, and
    /// what this build takes its lines for. Answers under another name are asked for again.
    pub fn name(&self, payer: &str, tags: &[AllocationTag]) -> String {
        let mut hash = Sha256::new();
        let tags: BTreeSet<&AllocationTag> = tags.iter().collect();
        hash.update(format!("{payer} {tags:?} {:?}\n", tables()));
        for rule in &self.keys {
            let values = (rule.allowed_values(), rule.validation_regex(), rule.value_type());
            hash.update(format!("{:?} {values:?} {:?}\n", rule.name(), rule.applies_to()));
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The most questions that a month takes.
    pub fn most_questions(&self) -> usize {
        if self.keys.is_empty() { 1 } else { 4 + self.keys.len() }
    }

    /// Everything that was charged, by service and kind of charge.
    pub fn charges(days: Days) -> BillQuestion {
        day_by_day(days, vec![Dimension::Service, Dimension::RecordType], None)
    }

    /// The spend that must carry a key, by place; none when no billed service must.
    pub fn places(&self, days: Days, billed: &Services) -> Option<BillQuestion> {
        let required = |service: &&String| !self.required_of(service).is_empty();
        let services = some(billed.iter().filter(required).cloned())?;
        Some(day_by_day(days, PLACE.to_vec(), Condition::all(vec![usage(), services])))
    }

    /// The values of each key in the spend that must carry it. Two keys that the same services must carry are asked for at
    /// once: the sums over either are the same as if it had been asked for alone.
    pub fn values(&self, days: Days, billed: &Services) -> Vec<BillQuestion> {
        let mut alike: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for rule in &self.keys {
            alike.entry(covered(rule, billed)).or_default().push(rule.name());
        }
        let pairs = alike.iter().flat_map(|(services, keys)| keys.chunks(2).map(move |pair| (services, pair)));
        let question = |(services, pair): (&Vec<String>, &[&str])| {
            let only = Condition::all(vec![usage(), some(services.iter().cloned())?]);
            let by = pair.iter().map(|key| Dimension::Tag((*key).to_owned())).collect();
            Some(day_by_day(days, by, only))
        };
        pairs.filter_map(question).collect()
    }

    /// The spend that lacks a key it must carry, or has a value that is not allowed: by service, and by place.
    pub fn gaps(&self, days: Days, billed: &Services, invalid: &Invalid) -> Vec<BillQuestion> {
        let fault = |rule: &&TagRule| {
            let services = some(covered(rule, billed).into_iter())?;
            Condition::all(vec![services, fault(rule, invalid)])
        };
        let Some(gap) = Condition::any(self.keys.iter().filter_map(fault).collect()) else { return Vec::new() };
        let only = Condition::all(vec![usage(), gap]);
        let by_service = vec![Dimension::Service, Dimension::LinkedAccount];
        [by_service, PLACE.to_vec()].into_iter().map(|by| day_by_day(days, by, only.clone())).collect()
    }
}

fn day_by_day(days: Days, by: Vec<Dimension>, only: Option<Condition>) -> BillQuestion {
    BillQuestion { days, by, only, grain: Grain::Day }
}

const PLACE: [Dimension; 2] = [Dimension::Region, Dimension::LinkedAccount];

/// Whether the use of a service must carry a key: the resources that carry the cost of an inventoried service decide, and
/// of every other one only keys that are required of all.
fn covers(rule: &TagRule, service: &str) -> bool {
    match types_of(service).first() {
        Some(main) => rule.applies(*main),
        None => rule.applies_to().is_empty() && charge(service, "Usage") == Charge::Usage,
    }
}

fn covered(rule: &TagRule, billed: &Services) -> Vec<String> {
    billed.iter().filter(|service| covers(rule, service)).cloned().collect()
}

fn some(services: impl Iterator<Item = String>) -> Option<Condition> {
    let services: Vec<String> = services.collect();
    (!services.is_empty()).then_some(Condition::Services(services))
}

/// The key is absent or empty, or its value is one of those not allowed.
fn fault(rule: &TagRule, invalid: &Invalid) -> Condition {
    let name = || rule.name().to_owned();
    let among = |values: &[String]| -> Vec<Condition> {
        values.chunks(VALUES_TOGETHER).map(|some| Condition::TagValues(name(), some.to_vec())).collect()
    };
    if let Some(any) = rule.allowed_values().and_then(|allowed| Condition::any(among(allowed))) {
        return any.negated();
    }
    let mut bad = vec![String::new()];
    bad.extend(invalid.get(rule.name()).into_iter().flatten().take(MOST_INVALID).cloned());
    Condition::Any(std::iter::once(Condition::TagAbsent(name())).chain(among(&bad)).collect())
}

pub(super) fn usage() -> Condition {
    Condition::RecordTypes(USAGE.iter().map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::TagStatus;

    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    const S3: &str = "Amazon Simple Storage Service";

    fn policy(required: &str) -> Policy {
        let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
        Policy::parse(&format!("{{ {head}, \"required_tags\": [{required}] }}")).unwrap()
    }

    fn sample() -> Policy {
        Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap()
    }

    /// A bill of every inventoried service, and two others.
    fn billed() -> Services {
        let others = ["Amazon DynamoDB", "AWS Cost Explorer", "Datadog Pro"];
        super::super::charges::services().chain(others).map(str::to_owned).collect()
    }

    fn november() -> Days {
        Days::of_month(Date::constant(2026, 11, 24))
    }

    #[test]
    fn a_service_must_carry_what_its_main_resources_must() {
        let policy = sample();
        let terms = Terms::of(&policy);
        assert_eq!(terms.required_of(EC2), ["CostCenter", "Owner", "Environment", "Application"]);
        assert_eq!(terms.required_of(S3), ["CostCenter", "Owner", "Application"]);
        assert_eq!(terms.required_of("Amazon Elastic Container Service"), ["Environment"]);
        assert_eq!(terms.required_of("EC2 - Other"), Vec::<&str>::new());
        assert_eq!(terms.required_of("Amazon DynamoDB"), Vec::<&str>::new());
    }

    #[test]
    fn what_applies_to_every_type_applies_to_services_that_are_not_inventoried() {
        let policy = policy(r#"{"name": "Owner"}"#);
        let terms = Terms::of(&policy);
        assert_eq!(terms.required_of("Amazon DynamoDB"), ["Owner"]);
        assert_eq!(terms.required_of("EC2 - Other"), ["Owner"]);
        for nothing in ["AWS Cost Explorer", "AWS Support (Business)", "Datadog Pro"] {
            assert_eq!(terms.required_of(nothing), Vec::<&str>::new(), "{nothing}");
        }
    }

    #[test]
    fn keys_that_the_same_services_must_carry_are_asked_for_two_at_a_time() {
        let by = |policy: &Policy| {
            let questions = Terms::of(policy).values(november(), &billed());
            let mut sizes: Vec<usize> = questions.iter().map(|question| question.by.len()).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(by(&sample()), [1, 1, 2], "CostCenter and Application are alike");
        let alike = policy(r#"{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}, {"name": "E"}"#);
        assert_eq!(by(&alike), [1, 2, 2]);
        assert_eq!(by(&policy(r#"{"name": "A"}"#)), [1]);
    }

    #[test]
    fn a_month_costs_no_more_questions_than_keys_and_three() {
        let of = |policy: &Policy| {
            let (terms, days, billed) = (Terms::of(policy), november(), billed());
            let places = usize::from(terms.places(days, &billed).is_some());
            let values = terms.values(days, &billed).len();
            let all = 1 + places + values + terms.gaps(days, &billed, &Invalid::new()).len();
            assert!(all <= terms.most_questions());
            all
        };
        assert_eq!(of(&sample()), 4 + 3);
        assert_eq!(of(&policy(r#"{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}"#)), 4 + 2);
        assert_eq!(of(&policy("")), 1);
    }

    #[test]
    fn values_that_no_list_forbids_are_named_one_by_one() {
        let policy = policy(r#"{"name": "Owner", "validation_regex": "[a-z]+", "applies_to": ["s3:bucket"]}"#);
        let terms = Terms::of(&policy);
        let day = Date::constant(2026, 11, 1);
        assert!(terms.allows("Owner", "anna", day) && !terms.allows("Owner", "Anna", day));
        assert!(!terms.allows("Owner", "", day) && !terms.allows("Other", "anna", day));
        let invalid = Invalid::from([("Owner".to_owned(), vec!["Anna".to_owned()])]);
        let asked = terms.gaps(november(), &billed(), &invalid).remove(0).only.unwrap();
        let expected = Condition::All(vec![
            usage(),
            Condition::All(vec![
                Condition::Services(vec![S3.to_owned()]),
                Condition::Any(vec![
                    Condition::TagAbsent("Owner".to_owned()),
                    Condition::TagValues("Owner".to_owned(), vec![String::new(), "Anna".to_owned()]),
                ]),
            ]),
        ]);
        assert_eq!(asked, expected);
    }

    #[test]
    fn what_answers_depend_on_is_in_the_name_of_their_terms() {
        let (one, same, other) = (sample(), sample(), policy(r#"{"name": "Owner"}"#));
        let tags = |status| [AllocationTag { key: "Owner".to_owned(), status }];
        let name = Terms::of(&one).name("111122223333", &tags(TagStatus::Active));
        assert_eq!(name, Terms::of(&same).name("111122223333", &tags(TagStatus::Active)));
        assert_ne!(name, Terms::of(&other).name("111122223333", &tags(TagStatus::Active)));
        assert_ne!(name, Terms::of(&one).name("444455556666", &tags(TagStatus::Active)), "another account's bill");
        assert_ne!(name, Terms::of(&one).name("111122223333", &tags(TagStatus::Inactive)), "a key was activated");
    }

    #[test]
    fn values_that_cost_most_are_named_and_however_many_are_allowed_all_are() {
        let many: Vec<String> = (0..450).map(|n| format!("v{n}")).collect();
        let list = serde_json::to_string(&many).unwrap();
        let listed = policy(&format!(r#"{{"name": "Owner", "allowed_values": {list}, "applies_to": ["s3:bucket"]}}"#));
        let Condition::Not(any) = fault(&listed.required()[0], &Invalid::new()) else { panic!("no list") };
        let Condition::Any(parts) = *any else { panic!("one part") };
        assert_eq!(parts.len(), 3);
        let open = policy(r#"{"name": "Owner", "validation_regex": "[a-z]+", "applies_to": ["s3:bucket"]}"#);
        let bad = Invalid::from([("Owner".to_owned(), (0..1_500).map(|n| format!("!{n}")).collect())]);
        let Condition::Any(parts) = fault(&open.required()[0], &bad) else { panic!("one part") };
        let named = parts.iter().map(|part| if let Condition::TagValues(_, values) = part { values.len() } else { 0 });
        assert_eq!((parts.len(), named.sum::<usize>()), (7, 1_001), "absent, empty, and a thousand");
    }
}
