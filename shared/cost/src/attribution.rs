//! Attribution of a bill by tags. Every charge is in exactly one bucket, and the buckets add up to the bill.

use std::{collections::BTreeMap, ops::AddAssign};

use jiff::civil::Date;

use crate::{
    amount::Amount,
    charge_types::{ChargeCategory, charge_category, resource_types_of},
    tag_scope::TagScope,
};

/// The sums of a bill in one currency from which an attribution is computed. Each entry has two group names and an
/// amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillTotals {
    /// All charges, by service and record type.
    pub charges: Vec<(String, String, Amount)>,
    /// Spend that requires a tag, by region and account.
    pub by_region: Vec<(String, String, Amount)>,
    /// The part of it without a required tag or with an invalid value, by service and account.
    pub gap_by_service: Vec<(String, String, Amount)>,
    /// The same part, by region and account.
    pub gap_by_region: Vec<(String, String, Amount)>,
    /// Spend that requires a tag, by key and value.
    pub by_value: Vec<(String, String, Amount)>,
}

/// The part of a bill that a charge belongs to. Each charge belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Usage with all required tags and valid values.
    Attributable,
    /// Usage without a required tag or with an invalid value: the attribution gap.
    Unattributable,
    /// Usage for which the policy requires no tag.
    NoRequiredTag,
    /// Usage of services whose resources cannot have tags.
    UntaggableUsage,
    /// Products of other sellers than AWS.
    Marketplace,
    /// Fees of reservations and Savings Plans beyond the usage that they covered.
    CommitmentFees,
    /// AWS Support.
    Support,
    /// Taxes.
    Tax,
    /// Credits, refunds and discounts.
    CreditsRefunds,
    /// Record types that this version does not know.
    OtherCharges,
}

impl Bucket {
    /// All buckets, in the order in which answers list them.
    pub const ALL: [Self; 10] = [
        Self::Attributable,
        Self::Unattributable,
        Self::NoRequiredTag,
        Self::UntaggableUsage,
        Self::Marketplace,
        Self::CommitmentFees,
        Self::Support,
        Self::Tax,
        Self::CreditsRefunds,
        Self::OtherCharges,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attributable => "attributable",
            Self::Unattributable => "unattributable",
            Self::NoRequiredTag => "no_required_tag",
            Self::UntaggableUsage => "untaggable_usage",
            Self::Marketplace => "marketplace",
            Self::CommitmentFees => "commitment_fees",
            Self::Support => "support",
            Self::Tax => "tax",
            Self::CreditsRefunds => "credits_refunds",
            Self::OtherCharges => "other_charges",
        }
    }
}

/// Spend that requires tags, and the part of it that cannot be attributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaggableSpend {
    /// All spend that requires tags.
    pub taggable: Amount,
    /// The part without a required tag or with an invalid value.
    pub unattributable: Amount,
}

/// The spend that requires one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpend {
    /// The key.
    pub key: String,
    /// All spend that requires the key.
    pub required: Amount,
    /// The part without the key or with an empty value.
    pub missing: Amount,
    /// The part with values that the policy does not allow.
    pub invalid: Amount,
    /// By value, the largest amount first. The last field is whether the policy allows the value.
    pub values: Vec<(String, Amount, bool)>,
}

/// A bill divided into buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The total of the bill.
    pub total: Amount,
    /// The parts, which add up to the total.
    pub buckets: BTreeMap<Bucket, Amount>,
    /// The spend that requires tags: attributable and unattributable.
    pub spend: TaggableSpend,
    /// The spend that requires tags, by service.
    pub by_service: BTreeMap<String, TaggableSpend>,
    /// The spend that requires tags, by region.
    pub by_region: BTreeMap<String, TaggableSpend>,
    /// The spend that requires tags, by account.
    pub by_account: BTreeMap<String, TaggableSpend>,
    /// The spend by required key, in the order of the policy.
    pub by_key: Vec<KeySpend>,
}

impl Attribution {
    /// Attributes a bill. Values are validated on `day`, which is the last day of the bill.
    pub fn compute(totals: &BillTotals, scope: &TagScope<'_>, day: Date) -> Self {
        let mut buckets: BTreeMap<Bucket, Amount> = Bucket::ALL.map(|bucket| (bucket, Amount::ZERO)).into();
        let mut by_service: BTreeMap<String, TaggableSpend> = BTreeMap::new();
        for (service, record_type, amount) in &totals.charges {
            let bucket = bucket_without_gap(scope, service, record_type);
            *buckets.entry(bucket).or_default() += *amount;
            if bucket == Bucket::Attributable {
                by_service.entry(service.clone()).or_default().taggable += *amount;
            }
        }
        for (service, _, amount) in &totals.gap_by_service {
            by_service.entry(service.clone()).or_default().unattributable += *amount;
        }
        let unattributable: Amount = by_service.values().map(|spend| spend.unattributable).sum();
        let taggable = buckets.get(&Bucket::Attributable).copied().unwrap_or_default();
        buckets.insert(Bucket::Attributable, taggable - unattributable);
        buckets.insert(Bucket::Unattributable, unattributable);
        Self {
            total: totals.charges.iter().map(|(_, _, amount)| *amount).sum(),
            buckets,
            spend: TaggableSpend { taggable, unattributable },
            by_service,
            by_region: sum_by(totals, |region, _| region),
            by_account: sum_by(totals, |_, account| account),
            by_key: scope.keys().map(|key| compute_key_spend(key, totals, scope, day)).collect(),
        }
    }
}

impl AddAssign for TaggableSpend {
    fn add_assign(&mut self, other: Self) {
        self.taggable += other.taggable;
        self.unattributable += other.unattributable;
    }
}

impl AddAssign for Attribution {
    /// Adds the attribution of another month, which may have been computed with another policy.
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.spend += other.spend;
        for (bucket, amount) in other.buckets {
            *self.buckets.entry(bucket).or_default() += amount;
        }
        let spends = [
            (&mut self.by_service, other.by_service),
            (&mut self.by_region, other.by_region),
            (&mut self.by_account, other.by_account),
        ];
        for (spend_by_name, other_spend) in spends {
            other_spend.into_iter().for_each(|(name, spend)| *spend_by_name.entry(name).or_default() += spend);
        }
        for spend in other.by_key {
            match self.by_key.iter_mut().find(|existing| existing.key == spend.key) {
                Some(existing) => existing.add(spend),
                None => self.by_key.push(spend),
            }
        }
    }
}

impl KeySpend {
    fn add(&mut self, other: Self) {
        self.required += other.required;
        self.missing += other.missing;
        self.invalid += other.invalid;
        let mut values: BTreeMap<(String, bool), Amount> = BTreeMap::new();
        for (value, amount, allowed) in std::mem::take(&mut self.values).into_iter().chain(other.values) {
            *values.entry((value, allowed)).or_default() += amount;
        }
        self.values = values.into_iter().map(|((value, allowed), amount)| (value, amount, allowed)).collect();
        self.values.sort_by_key(|(_, amount, _)| std::cmp::Reverse(*amount));
    }
}

/// The bucket of a charge, before the gap is moved from `Attributable` to `Unattributable`.
fn bucket_without_gap(scope: &TagScope<'_>, service: &str, record_type: &str) -> Bucket {
    match charge_category(service, record_type) {
        ChargeCategory::Usage if scope.required_keys(service).is_empty() => Bucket::NoRequiredTag,
        ChargeCategory::Usage => Bucket::Attributable,
        ChargeCategory::Untaggable => Bucket::UntaggableUsage,
        ChargeCategory::Marketplace => Bucket::Marketplace,
        ChargeCategory::Commitment => Bucket::CommitmentFees,
        ChargeCategory::Support => Bucket::Support,
        ChargeCategory::Tax => Bucket::Tax,
        ChargeCategory::Credit => Bucket::CreditsRefunds,
        ChargeCategory::Other => Bucket::OtherCharges,
    }
}

fn sum_by(
    totals: &BillTotals,
    name: impl for<'s> Fn(&'s String, &'s String) -> &'s String,
) -> BTreeMap<String, TaggableSpend> {
    let mut spends: BTreeMap<String, TaggableSpend> = BTreeMap::new();
    for (region, account, amount) in &totals.by_region {
        spends.entry(name(region, account).clone()).or_default().taggable += *amount;
    }
    for (region, account, amount) in &totals.gap_by_region {
        spends.entry(name(region, account).clone()).or_default().unattributable += *amount;
    }
    spends
}

fn compute_key_spend(key: &str, totals: &BillTotals, scope: &TagScope<'_>, day: Date) -> KeySpend {
    let mut spend = KeySpend {
        key: key.to_owned(),
        required: Amount::ZERO,
        missing: Amount::ZERO,
        invalid: Amount::ZERO,
        values: Vec::new(),
    };
    for (_, value, amount) in totals.by_value.iter().filter(|(of_key, _, _)| of_key == key) {
        spend.required += *amount;
        if value.is_empty() {
            spend.missing += *amount;
            continue;
        }
        let allowed = scope.allows(key, value, day);
        if !allowed {
            spend.invalid += *amount;
        }
        spend.values.push((value.clone(), *amount, allowed));
    }
    spend.values.sort_by_key(|(_, amount, _)| std::cmp::Reverse(*amount));
    spend
}

/// The category of a service in answers: the resource type that carries its cost, or its own name.
pub fn service_category(service: &str) -> &str {
    resource_types_of(service).next().map_or(service, |main| main.as_str())
}

#[cfg(test)]
mod tests {
    use tagledger_policy::Policy;

    use super::*;
    use crate::{Amount, tag_scope::TagScope};

    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

    const RDS: &str = "Amazon Relational Database Service";

    fn usd(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn amounts(rows: &[(&str, &str, &str)]) -> Vec<(String, String, Amount)> {
        rows.iter().map(|(a, b, amount)| ((*a).to_owned(), (*b).to_owned(), usd(amount))).collect()
    }

    fn attribute(totals: &BillTotals) -> Attribution {
        let policy = Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap();
        Attribution::compute(totals, &TagScope::from_policy(&policy), Date::constant(2026, 10, 31))
    }

    fn non_zero_buckets(attribution: &Attribution) -> Vec<(&'static str, String)> {
        let buckets = attribution.buckets.iter().filter(|(_, amount)| **amount != Amount::ZERO);
        buckets.map(|(bucket, amount)| (bucket.as_str(), amount.to_string())).collect()
    }

    /// A bill with every category of charge is divided into buckets whose sum equals the bill total exactly.
    #[test]
    fn buckets_sum_to_bill_total() {
        let totals = BillTotals {
            charges: amounts(&[
                (EC2, "Usage", "1000.10"),
                (EC2, "SavingsPlanCoveredUsage", "500.20"),
                (EC2, "SavingsPlanNegation", "-12.34"),
                (EC2, "RIFee", "99.99"),
                (EC2, "Credit", "-2000"),
                (RDS, "Usage", "300"),
                (RDS, "Refund", "-7.77"),
                ("EC2 - Other", "Usage", "210.05"),
                ("AWS Data Transfer", "Usage", "55.55"),
                ("AWS Support (Business)", "Usage", "100"),
                ("Datadog Pro", "Usage", "410.01"),
                ("Tax", "Tax", "123.45"),
                (EC2, "Something new", "0.07"),
            ]),
            gap_by_service: amounts(&[
                (EC2, "111111111111", "250.30"),
                (EC2, "222222222222", "0.01"),
                (RDS, "111111111111", "300"),
            ]),
            ..BillTotals::default()
        };
        let bill = attribute(&totals);
        let expected = [
            ("attributable", "1,249.99"),
            ("unattributable", "550.31"),
            ("no_required_tag", "210.05"),
            ("untaggable_usage", "55.55"),
            ("marketplace", "410.01"),
            ("commitment_fees", "87.65"),
            ("support", "100.00"),
            ("tax", "123.45"),
            ("credits_refunds", "-2,007.77"),
            ("other_charges", "0.07"),
        ];
        assert_eq!(non_zero_buckets(&bill), expected.map(|(bucket, amount)| (bucket, amount.to_owned())));
        assert_eq!(bill.total, usd("779.31"));
        assert_eq!(bill.buckets.values().copied().sum::<Amount>(), bill.total);
        assert_eq!(bill.by_service[RDS], TaggableSpend { taggable: usd("300"), unattributable: usd("300") });
    }

    /// A credit reduces the bill total but changes neither the taggable spend nor the unattributable spend, so the gap
    /// remains 40 percent.
    #[test]
    fn credit_does_not_reduce_gap() {
        let charges = amounts(&[(EC2, "Usage", "100"), (EC2, "Credit", "-90")]);
        let bill =
            attribute(&BillTotals { charges, gap_by_service: amounts(&[(EC2, "1", "40")]), ..BillTotals::default() });
        assert_eq!(bill.total, usd("10"));
        assert_eq!(bill.spend, TaggableSpend { taggable: usd("100"), unattributable: usd("40") });
        assert_eq!(bill.spend.unattributable.share_of(bill.spend.taggable), Some(0.4));
    }

    /// For each tag key, the spend is split into missing, invalid and allowed values according to the policy.
    #[test]
    fn spend_by_key_splits_missing_and_invalid() {
        let values = amounts(&[
            ("CostCenter", "", "10"),
            ("CostCenter", "Engineering", "70"),
            ("CostCenter", "Enginering", "20"),
            ("Owner", "a@b.example", "5"),
        ]);
        let bill = attribute(&BillTotals { by_value: values, ..BillTotals::default() });
        let spend = &bill.by_key[0];
        assert_eq!((spend.key.as_str(), spend.required), ("CostCenter", usd("100")));
        assert_eq!((spend.missing, spend.invalid), (usd("10"), usd("20")));
        assert_eq!(spend.values[1], ("Enginering".to_owned(), usd("20"), false));
    }

    /// Taggable and unattributable spend are summed separately by region and by account.
    #[test]
    fn spend_is_grouped_by_region_and_account() {
        let by_region = amounts(&[("eu-west-1", "1", "60"), ("us-east-1", "1", "30"), ("us-east-1", "2", "10")]);
        let gap_by_region = amounts(&[("us-east-1", "1", "3"), ("us-east-1", "2", "4")]);
        let bill = attribute(&BillTotals { by_region, gap_by_region, ..BillTotals::default() });
        assert_eq!(bill.by_region["us-east-1"], TaggableSpend { taggable: usd("40"), unattributable: usd("7") });
        assert_eq!(bill.by_account["1"], TaggableSpend { taggable: usd("90"), unattributable: usd("3") });
    }
}
