//! The tags that a policy requires of the usage of each service, and the questions to Cost Explorer that follow from
//! them.
//!
//! A bill contains only exact keys that are activated as cost allocation tags. Spend with a variant of a key is
//! therefore spend without the key, even when the policy accepts the variant on a resource.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sha2::{Digest, Sha256};
use tagledger_policy::{Policy, TagRule};

use crate::{
    bill::{AllocationTag, BillQuestion, Condition, Days, Dimension, TimeGranularity},
    charge_types::{ChargeCategory, USAGE_RECORD_TYPES, charge_category, classification_tables, resource_types_of},
};

/// The maximum number of values in one part of a condition.
const MAX_VALUES_PER_CONDITION: usize = 200;

/// The maximum number of invalid values that a condition lists. Those with the most spend are listed.
const MAX_INVALID_VALUES: usize = 1_000;

/// The keys that a policy requires of the spend of each service.
#[derive(Debug, Clone)]
pub struct TagScope<'p> {
    required: Vec<&'p TagRule>,
}

/// Billed values that the policy does not allow, by key, those with the most spend first. For a key with more than
/// 1,000 of them, the others count as allowed.
pub type InvalidValues = BTreeMap<String, Vec<String>>;

/// The names of the services with billed usage.
pub type BilledServices = BTreeSet<String>;

impl<'p> TagScope<'p> {
    /// The scope of a policy.
    pub fn from_policy(policy: &'p Policy) -> Self {
        Self { required: policy.required().iter().collect() }
    }

    /// The required keys.
    pub fn keys(&self) -> impl Iterator<Item = &'p str> {
        self.required.iter().map(|rule| rule.name())
    }

    /// The keys that the usage of a service requires; empty when the policy requires none, or when the usage cannot
    /// have tags.
    pub fn required_keys(&self, service: &str) -> Vec<&'p str> {
        self.required.iter().filter(|rule| requires_tag(rule, service)).map(|rule| rule.name()).collect()
    }

    /// Whether the policy allows a billed value on a date; false for a key that it does not require.
    pub fn allows(&self, key: &str, value: &str, day: Date) -> bool {
        self.required.iter().any(|rule| rule.name() == key && rule.accepts(value, day))
    }

    /// A digest of everything that the recorded responses depend on: the payer account, the cost allocation tags, the
    /// rules of the policy, and the tables that classify charges. Responses with another fingerprint are queried again.
    pub fn fingerprint(&self, payer: &str, tags: &[AllocationTag]) -> String {
        let mut hash = Sha256::new();
        let tags: BTreeSet<&AllocationTag> = tags.iter().collect();
        hash.update(format!("{payer} {tags:?} {:?}\n", classification_tables()));
        for rule in &self.required {
            let values = (rule.allowed_values(), rule.validation_regex(), rule.value_type());
            hash.update(format!("{:?} {values:?} {:?}\n", rule.name(), rule.resource_types()));
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The maximum number of questions for one month.
    pub fn max_questions(&self) -> usize {
        if self.required.is_empty() { 1 } else { 4 + self.required.len() }
    }

    /// All charges, by service and record type.
    pub fn charges_question(days: Days) -> BillQuestion {
        daily_question(days, vec![Dimension::Service, Dimension::RecordType], None)
    }

    /// The spend that requires a key, by region and account; none when no billed service requires one.
    pub fn region_question(&self, days: Days, billed: &BilledServices) -> Option<BillQuestion> {
        let required = |service: &&String| !self.required_keys(service).is_empty();
        let services = services_condition(billed.iter().filter(required).cloned())?;
        Some(daily_question(days, REGION_AND_ACCOUNT.to_vec(), Condition::all(vec![usage_condition(), services])))
    }

    /// The spend that requires each key, by value. Two keys that the same services require share one question, because
    /// the sums over either key are the same as in a question of its own.
    pub fn tag_value_questions(&self, days: Days, billed: &BilledServices) -> Vec<BillQuestion> {
        let mut keys_by_services: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for rule in &self.required {
            keys_by_services.entry(services_requiring(rule, billed)).or_default().push(rule.name());
        }
        let pairs =
            keys_by_services.iter().flat_map(|(services, keys)| keys.chunks(2).map(move |pair| (services, pair)));
        let question = |(services, pair): (&Vec<String>, &[&str])| {
            let filter = Condition::all(vec![usage_condition(), services_condition(services.iter().cloned())?]);
            let group_by = pair.iter().map(|key| Dimension::Tag((*key).to_owned())).collect();
            Some(daily_question(days, group_by, filter))
        };
        pairs.filter_map(question).collect()
    }

    /// The spend without a required key or with an invalid value: by service and account, and by region and account.
    pub fn gap_questions(&self, days: Days, billed: &BilledServices, invalid: &InvalidValues) -> Vec<BillQuestion> {
        let rule_gap = |rule: &&TagRule| {
            let services = services_condition(services_requiring(rule, billed).into_iter())?;
            Condition::all(vec![services, gap_condition(rule, invalid)])
        };
        let Some(gap) = Condition::any(self.required.iter().filter_map(rule_gap).collect()) else { return Vec::new() };
        let filter = Condition::all(vec![usage_condition(), gap]);
        let by_service = vec![Dimension::Service, Dimension::LinkedAccount];
        [by_service, REGION_AND_ACCOUNT.to_vec()]
            .into_iter()
            .map(|group_by| daily_question(days, group_by, filter.clone()))
            .collect()
    }
}

fn daily_question(days: Days, group_by: Vec<Dimension>, filter: Option<Condition>) -> BillQuestion {
    BillQuestion { days, group_by, filter, granularity: TimeGranularity::Day }
}

const REGION_AND_ACCOUNT: [Dimension; 2] = [Dimension::Region, Dimension::LinkedAccount];

/// Whether the use of a service must carry a key: the resources that carry the cost of an inventoried service decide, and
/// of every other one only keys that are required of all.
fn requires_tag(rule: &TagRule, service: &str) -> bool {
    match resource_types_of(service).next() {
        Some(main) => rule.applies_to(main),
        None => rule.resource_types().is_empty() && charge_category(service, "Usage") == ChargeCategory::Usage,
    }
}

fn services_requiring(rule: &TagRule, billed: &BilledServices) -> Vec<String> {
    billed.iter().filter(|service| requires_tag(rule, service)).cloned().collect()
}

fn services_condition(services: impl Iterator<Item = String>) -> Option<Condition> {
    let services: Vec<String> = services.collect();
    (!services.is_empty()).then_some(Condition::Services(services))
}

/// The condition of spend without the tag: the key is absent or empty, or its value is not allowed.
fn gap_condition(rule: &TagRule, invalid: &InvalidValues) -> Condition {
    let key = || rule.name().to_owned();
    let conditions = |values: &[String]| -> Vec<Condition> {
        values.chunks(MAX_VALUES_PER_CONDITION).map(|chunk| Condition::TagValues(key(), chunk.to_vec())).collect()
    };
    if let Some(allowed) = rule.allowed_values().and_then(|allowed| Condition::any(conditions(allowed))) {
        return allowed.negated();
    }
    let mut invalid_values = vec![String::new()];
    invalid_values.extend(invalid.get(rule.name()).into_iter().flatten().take(MAX_INVALID_VALUES).cloned());
    Condition::Any(std::iter::once(Condition::TagAbsent(key())).chain(conditions(&invalid_values)).collect())
}

pub(crate) fn usage_condition() -> Condition {
    Condition::RecordTypes(USAGE_RECORD_TYPES.iter().map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use tagledger_policy::Policy;

    use super::*;
    use crate::{
        bill::{AllocationTag, Condition, Days, TagStatus},
        charge_types,
    };

    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

    const S3: &str = "Amazon Simple Storage Service";

    fn policy(required: &str) -> Policy {
        let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
        Policy::parse(&format!("{{ {head}, \"required_tags\": [{required}] }}")).unwrap()
    }

    fn sample() -> Policy {
        Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap()
    }

    /// Every inventoried service and three others.
    fn billed() -> BilledServices {
        let others = ["Amazon DynamoDB", "AWS Cost Explorer", "Datadog Pro"];
        charge_types::inventoried_services().chain(others).map(str::to_owned).collect()
    }

    fn november() -> Days {
        Days::of_month(Date::constant(2026, 11, 24))
    }

    /// A service requires the tags that the policy requires of its main resource types. Services without a main
    /// resource type require none under the sample policy.
    #[test]
    fn service_requires_tags_of_main_resources() {
        let policy = sample();
        let scope = TagScope::from_policy(&policy);
        assert_eq!(scope.required_keys(EC2), ["CostCenter", "Owner", "Environment", "Application"]);
        assert_eq!(scope.required_keys(S3), ["CostCenter", "Owner", "Application"]);
        assert_eq!(scope.required_keys("Amazon Elastic Container Service"), ["Environment"]);
        assert_eq!(scope.required_keys("EC2 - Other"), Vec::<&str>::new());
        assert_eq!(scope.required_keys("Amazon DynamoDB"), Vec::<&str>::new());
    }

    /// A tag that applies to every resource type is also required of services that the inventory does not cover, but
    /// not of untaggable, support or marketplace services.
    #[test]
    fn universal_tag_covers_uninventoried_services() {
        let policy = policy(r#"{"name": "Owner"}"#);
        let scope = TagScope::from_policy(&policy);
        assert_eq!(scope.required_keys("Amazon DynamoDB"), ["Owner"]);
        assert_eq!(scope.required_keys("EC2 - Other"), ["Owner"]);
        for nothing in ["AWS Cost Explorer", "AWS Support (Business)", "Datadog Pro"] {
            assert_eq!(scope.required_keys(nothing), Vec::<&str>::new(), "{nothing}");
        }
    }

    /// Tag keys that the same services require are combined into questions of two keys each, because Cost Explorer
    /// groups by at most two dimensions.
    #[test]
    fn keys_of_same_services_are_queried_in_pairs() {
        let by = |policy: &Policy| {
            let questions = TagScope::from_policy(policy).tag_value_questions(november(), &billed());
            let mut sizes: Vec<usize> = questions.iter().map(|question| question.group_by.len()).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(by(&sample()), [1, 1, 2], "CostCenter and Application share their services");
        let five_keys = policy(r#"{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}, {"name": "E"}"#);
        assert_eq!(by(&five_keys), [1, 2, 2]);
        assert_eq!(by(&policy(r#"{"name": "A"}"#)), [1]);
    }

    /// One month takes exactly one question under a policy without required tags, and otherwise never more than the
    /// upper bound that the tag scope reports.
    #[test]
    fn month_question_count_is_bounded() {
        let of = |policy: &Policy| {
            let (scope, days, billed) = (TagScope::from_policy(policy), november(), billed());
            let places = usize::from(scope.region_question(days, &billed).is_some());
            let values = scope.tag_value_questions(days, &billed).len();
            let all = 1 + places + values + scope.gap_questions(days, &billed, &InvalidValues::new()).len();
            assert!(all <= scope.max_questions());
            all
        };
        assert_eq!(of(&sample()), 4 + 3);
        assert_eq!(of(&policy(r#"{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}"#)), 4 + 2);
        assert_eq!(of(&policy("")), 1);
    }

    /// Without a list of allowed values, the gap condition matches an absent tag, the empty value and each known
    /// invalid value by name.
    #[test]
    fn gap_condition_lists_invalid_values() {
        let policy = policy(r#"{"name": "Owner", "validation_regex": "[a-z]+", "applies_to": ["s3:bucket"]}"#);
        let scope = TagScope::from_policy(&policy);
        let day = Date::constant(2026, 11, 1);
        assert!(scope.allows("Owner", "anna", day) && !scope.allows("Owner", "Anna", day));
        assert!(!scope.allows("Owner", "", day) && !scope.allows("Other", "anna", day));
        let invalid = InvalidValues::from([("Owner".to_owned(), vec!["Anna".to_owned()])]);
        let filter = scope.gap_questions(november(), &billed(), &invalid).remove(0).filter.unwrap();
        let expected = Condition::All(vec![
            usage_condition(),
            Condition::All(vec![
                Condition::Services(vec![S3.to_owned()]),
                Condition::Any(vec![
                    Condition::TagAbsent("Owner".to_owned()),
                    Condition::TagValues("Owner".to_owned(), vec![String::new(), "Anna".to_owned()]),
                ]),
            ]),
        ]);
        assert_eq!(filter, expected);
    }

    /// The name of a tag scope is equal for equal policies. It changes with the policy, with the payer account and with
    /// the activation status of a cost allocation tag.
    #[test]
    fn tag_scope_name_covers_all_inputs() {
        let (one, same, other) = (sample(), sample(), policy(r#"{"name": "Owner"}"#));
        let tags = |status| [AllocationTag { key: "Owner".to_owned(), status }];
        let fingerprint = TagScope::from_policy(&one).fingerprint("111122223333", &tags(TagStatus::Active));
        assert_eq!(fingerprint, TagScope::from_policy(&same).fingerprint("111122223333", &tags(TagStatus::Active)));
        assert_ne!(fingerprint, TagScope::from_policy(&other).fingerprint("111122223333", &tags(TagStatus::Active)));
        assert_ne!(
            fingerprint,
            TagScope::from_policy(&one).fingerprint("444455556666", &tags(TagStatus::Active)),
            "another account's bill"
        );
        assert_ne!(
            fingerprint,
            TagScope::from_policy(&one).fingerprint("111122223333", &tags(TagStatus::Inactive)),
            "a key was activated"
        );
    }

    /// Allowed values are all named, in groups of at most 200. Of 1,500 invalid values only the first 1,000 are named,
    /// besides the absent tag and the empty value.
    #[test]
    fn gap_condition_caps_only_invalid_values() {
        let many: Vec<String> = (0..450).map(|n| format!("v{n}")).collect();
        let list = serde_json::to_string(&many).unwrap();
        let listed = policy(&format!(r#"{{"name": "Owner", "allowed_values": {list}, "applies_to": ["s3:bucket"]}}"#));
        let Condition::Not(any) = gap_condition(&listed.required()[0], &InvalidValues::new()) else {
            panic!("no list")
        };
        let Condition::Any(parts) = *any else { panic!("one part") };
        assert_eq!(parts.len(), 3);
        let open = policy(r#"{"name": "Owner", "validation_regex": "[a-z]+", "applies_to": ["s3:bucket"]}"#);
        let bad = InvalidValues::from([("Owner".to_owned(), (0..1_500).map(|n| format!("!{n}")).collect())]);
        let Condition::Any(parts) = gap_condition(&open.required()[0], &bad) else { panic!("one part") };
        let named = parts.iter().map(|part| if let Condition::TagValues(_, values) = part { values.len() } else { 0 });
        assert_eq!((parts.len(), named.sum::<usize>()), (7, 1_001), "absent, empty, and a thousand");
    }
}
