//! What of a bill can be attributed by its tags: every line is counted once, and the parts add up to the bill.

use std::{collections::BTreeMap, ops::AddAssign};

use jiff::civil::Date;

use super::{Amount, Charge, Terms, charge, types_of};

/// The sums of a bill that an attribution is made of, in one currency: what each is by, and how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// All charges, by service and kind of charge.
    pub charges: Vec<(String, String, Amount)>,
    /// Spend that must carry some key, by region and account.
    pub places: Vec<(String, String, Amount)>,
    /// Of that, what lacks a key or its value, by service and account.
    pub gap_by_service: Vec<(String, String, Amount)>,
    /// The same, by region and account.
    pub gap_by_place: Vec<(String, String, Amount)>,
    /// Spend that must carry a key, by key and value.
    pub values: Vec<(String, String, Amount)>,
}

/// Where money goes; each line of a bill into exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Carries every key it must, with values that the policy allows.
    Attributable,
    /// Lacks one of them: the attribution gap.
    Unattributable,
    /// The policy requires no tag of what was used.
    NoRequiredTag,
    /// Nothing that was used can carry a tag.
    UntaggableUsage,
    /// Sold by others than AWS.
    Marketplace,
    /// Reservations and savings plans beyond what they covered.
    CommitmentFees,
    /// AWS Support.
    Support,
    /// Taxes.
    Tax,
    /// Credits, refunds and discounts.
    CreditsRefunds,
    /// Kinds of charge that this build does not know.
    OtherCharges,
}

impl Bucket {
    /// Every bucket, in the order in which they are told.
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

/// Spend that must carry keys, and how much of it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spend {
    /// All of it.
    pub taggable: Amount,
    /// What cannot be attributed.
    pub unattributable: Amount,
}

/// What was spent under a key that it must carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpend {
    /// The key.
    pub key: String,
    /// All spend that must carry it.
    pub required: Amount,
    /// Of that, without the key or with an empty value.
    pub missing: Amount,
    /// Of that, under values that the policy does not allow.
    pub invalid: Amount,
    /// By value, the largest first; the last field says whether the policy allows it.
    pub values: Vec<(String, Amount, bool)>,
}

/// A bill, attributed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The bill.
    pub total: Amount,
    /// Its parts, which add up to it.
    pub buckets: BTreeMap<Bucket, Amount>,
    /// Spend that must carry keys: attributable and unattributable.
    pub spend: Spend,
    /// By service.
    pub by_service: BTreeMap<String, Spend>,
    /// By region.
    pub by_region: BTreeMap<String, Spend>,
    /// By account.
    pub by_account: BTreeMap<String, Spend>,
    /// By required key, in the policy's order.
    pub by_key: Vec<KeySpend>,
}

impl Attribution {
    /// Attributes a bill. `day`: the last one of the bill, for values that expire.
    pub fn of(sums: &Sums, terms: &Terms<'_>, day: Date) -> Self {
        let mut buckets: BTreeMap<Bucket, Amount> = Bucket::ALL.map(|bucket| (bucket, Amount::ZERO)).into();
        let mut by_service: BTreeMap<String, Spend> = BTreeMap::new();
        for (service, record_type, amount) in &sums.charges {
            let bucket = bucket(terms, service, record_type);
            *buckets.entry(bucket).or_default() += *amount;
            if bucket == Bucket::Attributable {
                by_service.entry(service.clone()).or_default().taggable += *amount;
            }
        }
        for (service, _, amount) in &sums.gap_by_service {
            by_service.entry(service.clone()).or_default().unattributable += *amount;
        }
        let unattributable: Amount = by_service.values().map(|spend| spend.unattributable).sum();
        let taggable = buckets.get(&Bucket::Attributable).copied().unwrap_or_default();
        buckets.insert(Bucket::Attributable, taggable - unattributable);
        buckets.insert(Bucket::Unattributable, unattributable);
        Self {
            total: sums.charges.iter().map(|(_, _, amount)| *amount).sum(),
            buckets,
            spend: Spend { taggable, unattributable },
            by_service,
            by_region: by(sums, |region, _| region),
            by_account: by(sums, |_, account| account),
            by_key: terms.keys().map(|key| key_spend(key, sums, terms, day)).collect(),
        }
    }
}

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.taggable += other.taggable;
        self.unattributable += other.unattributable;
    }
}

impl AddAssign for Attribution {
    /// Months, each attributed by its own policy, are added part by part.
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
        for (sums, more) in spends {
            more.into_iter().for_each(|(name, spend)| *sums.entry(name).or_default() += spend);
        }
        for spend in other.by_key {
            match self.by_key.iter_mut().find(|known| known.key == spend.key) {
                Some(known) => known.add(spend),
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

/// Where a line goes before it is known whether it carries its keys.
fn bucket(terms: &Terms<'_>, service: &str, record_type: &str) -> Bucket {
    match charge(service, record_type) {
        Charge::Usage if terms.required_of(service).is_empty() => Bucket::NoRequiredTag,
        Charge::Usage => Bucket::Attributable,
        Charge::Untaggable => Bucket::UntaggableUsage,
        Charge::Marketplace => Bucket::Marketplace,
        Charge::Commitment => Bucket::CommitmentFees,
        Charge::Support => Bucket::Support,
        Charge::Tax => Bucket::Tax,
        Charge::Credit => Bucket::CreditsRefunds,
        Charge::Other => Bucket::OtherCharges,
    }
}

fn by(sums: &Sums, name: impl for<'s> Fn(&'s String, &'s String) -> &'s String) -> BTreeMap<String, Spend> {
    let mut spends: BTreeMap<String, Spend> = BTreeMap::new();
    for (region, account, amount) in &sums.places {
        spends.entry(name(region, account).clone()).or_default().taggable += *amount;
    }
    for (region, account, amount) in &sums.gap_by_place {
        spends.entry(name(region, account).clone()).or_default().unattributable += *amount;
    }
    spends
}

fn key_spend(key: &str, sums: &Sums, terms: &Terms<'_>, day: Date) -> KeySpend {
    let mut spend = KeySpend {
        key: key.to_owned(),
        required: Amount::ZERO,
        missing: Amount::ZERO,
        invalid: Amount::ZERO,
        values: Vec::new(),
    };
    for (_, value, amount) in sums.values.iter().filter(|(named, _, _)| named == key) {
        spend.required += *amount;
        if value.is_empty() {
            spend.missing += *amount;
            continue;
        }
        let allowed = terms.allows(key, value, day);
        if !allowed {
            spend.invalid += *amount;
        }
        spend.values.push((value.clone(), *amount, allowed));
    }
    spend.values.sort_by_key(|(_, amount, _)| std::cmp::Reverse(*amount));
    spend
}

/// The category of a service in answers: the resource type that carries its cost, or its own name.
pub fn category(service: &str) -> &str {
    types_of(service).first().map_or(service, |main| main.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    const RDS: &str = "Amazon Relational Database Service";

    fn usd(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn lines(of: &[(&str, &str, &str)]) -> Vec<(String, String, Amount)> {
        of.iter().map(|(a, b, amount)| ((*a).to_owned(), (*b).to_owned(), usd(amount))).collect()
    }

    fn attributed(sums: &Sums) -> Attribution {
        let policy = Policy::parse(include_str!("../../../policies/tagging_policy.json")).unwrap();
        Attribution::of(sums, &Terms::of(&policy), Date::constant(2026, 10, 31))
    }

    fn told(attribution: &Attribution) -> Vec<(&'static str, String)> {
        let told = attribution.buckets.iter().filter(|(_, amount)| **amount != Amount::ZERO);
        told.map(|(bucket, amount)| (bucket.as_str(), amount.to_string())).collect()
    }

    #[test]
    fn a_bill_with_every_kind_of_line_adds_up_to_the_cent() {
        let sums = Sums {
            charges: lines(&[
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
            gap_by_service: lines(&[
                (EC2, "111111111111", "250.30"),
                (EC2, "222222222222", "0.01"),
                (RDS, "111111111111", "300"),
            ]),
            ..Sums::default()
        };
        let bill = attributed(&sums);
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
        assert_eq!(told(&bill), expected.map(|(bucket, amount)| (bucket, amount.to_owned())));
        assert_eq!(bill.total, usd("779.31"));
        assert_eq!(bill.buckets.values().copied().sum::<Amount>(), bill.total);
        assert_eq!(bill.by_service[RDS], Spend { taggable: usd("300"), unattributable: usd("300") });
    }

    #[test]
    fn a_credit_larger_than_the_untagged_spend_leaves_the_gap_alone() {
        let charges = lines(&[(EC2, "Usage", "100"), (EC2, "Credit", "-90")]);
        let bill = attributed(&Sums { charges, gap_by_service: lines(&[(EC2, "1", "40")]), ..Sums::default() });
        assert_eq!(bill.total, usd("10"));
        assert_eq!(bill.spend, Spend { taggable: usd("100"), unattributable: usd("40") });
        assert_eq!(bill.spend.unattributable.share_of(bill.spend.taggable), Some(0.4));
    }

    #[test]
    fn values_are_told_apart_by_what_the_policy_allows() {
        let values = lines(&[
            ("CostCenter", "", "10"),
            ("CostCenter", "Engineering", "70"),
            ("CostCenter", "Enginering", "20"),
            ("Owner", "a@b.example", "5"),
        ]);
        let bill = attributed(&Sums { values, ..Sums::default() });
        let spend = &bill.by_key[0];
        assert_eq!((spend.key.as_str(), spend.required), ("CostCenter", usd("100")));
        assert_eq!((spend.missing, spend.invalid), (usd("10"), usd("20")));
        assert_eq!(spend.values[1], ("Enginering".to_owned(), usd("20"), false));
    }

    #[test]
    fn places_are_by_region_and_by_account() {
        let places = lines(&[("eu-west-1", "1", "60"), ("us-east-1", "1", "30"), ("us-east-1", "2", "10")]);
        let gap_by_place = lines(&[("us-east-1", "1", "3"), ("us-east-1", "2", "4")]);
        let bill = attributed(&Sums { places, gap_by_place, ..Sums::default() });
        assert_eq!(bill.by_region["us-east-1"], Spend { taggable: usd("40"), unattributable: usd("7") });
        assert_eq!(bill.by_account["1"], Spend { taggable: usd("90"), unattributable: usd("3") });
    }
}
