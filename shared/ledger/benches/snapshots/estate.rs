//! A generated estate: any number of resources over accounts, 4 regions and 8 types, of which 1% change between two snapshots.

use jiff::Timestamp;
use tagledger_model::{
    AccountId, Region, ResourceType,
    account::Account,
    inventory::{Listing, RelationshipKind, Relationships, Resource, Scope, TagSet, Tags, Usage},
};

const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];

/// The number of resources of each type in 100 resources.
const MIX: [(ResourceType, usize); 8] = [
    (ResourceType::Ec2Instance, 34),
    (ResourceType::Ec2Volume, 36),
    (ResourceType::LambdaFunction, 12),
    (ResourceType::S3Bucket, 5),
    (ResourceType::EcsService, 7),
    (ResourceType::RdsDb, 4),
    (ResourceType::RdsCluster, 1),
    (ResourceType::EcsCluster, 1),
];

/// Resources in 10,000 that are replaced by new ones, and whose tags change, for each snapshot.
const REPLACED: u64 = 15;
const TAG_CHANGES: u64 = 70;

/// The resource in a slot of a scope.
#[derive(Clone, Copy, Default)]
struct Slot {
    generation: u16,
    edits: u16,
}

/// The estate as of the current snapshot.
pub(crate) struct Estate {
    pub(crate) accounts: Vec<Account>,
    scopes: Vec<(Scope, Vec<Slot>)>,
    snapshot: u64,
}

impl Estate {
    /// About `size` resources; 50 accounts, fewer below 500,000 resources.
    pub(crate) fn new(size: usize) -> Self {
        let accounts: Vec<Account> = (1..=(size / 10_000).clamp(1, 50)).map(account).collect();
        let share = |percent: usize| (size * percent).div_ceil(100 * accounts.len() * REGIONS.len());
        let regions = accounts.iter().flat_map(|account| REGIONS.map(|region| (account.id.clone(), region)));
        let scope = |account: &AccountId, region: &str, kind| Scope {
            account: account.clone(),
            region: region.parse::<Region>().unwrap(),
            resource_type: kind,
        };
        let scopes = regions.flat_map(|(account, region)| {
            MIX.map(|(kind, percent)| (scope(&account, region, kind), vec![Slot::default(); share(percent)]))
        });
        Self { scopes: scopes.collect(), accounts, snapshot: 0 }
    }

    pub(crate) fn size(&self) -> usize {
        self.scopes.iter().map(|(_, slots)| slots.len()).sum()
    }

    /// Applies the changes until the next snapshot.
    pub(crate) fn advance(&mut self) {
        self.snapshot += 1;
        for (position, (_, slots)) in self.scopes.iter_mut().enumerate() {
            for (number, slot) in slots.iter_mut().enumerate() {
                match mix(&[self.snapshot, position as u64, number as u64]) % 10_000 {
                    0..REPLACED => *slot = Slot { generation: slot.generation + 1, edits: 0 },
                    number if number < REPLACED + TAG_CHANGES => slot.edits += 1,
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn listings(&self) -> impl Iterator<Item = (&Scope, Listing)> {
        self.scopes.iter().enumerate().map(|(position, (scope, slots))| {
            let resource = |(number, slot): (usize, &Slot)| resource(scope, position as u64, number as u64, *slot);
            (scope, Listing { resources: slots.iter().enumerate().map(resource).collect(), gap: None })
        })
    }
}

fn account(number: usize) -> Account {
    let id = format!("{:012}", 100_000_000_000 + number as u64 * 7_919).parse().unwrap();
    Account { id, partition: "aws".parse().unwrap(), name: Some(format!("account-{number}")) }
}

fn resource(scope: &Scope, position: u64, number: u64, slot: Slot) -> Resource {
    let seed = mix(&[position, number, u64::from(slot.generation)]);
    let name = format!("app{}-{:x}", seed % 300, seed >> 36);
    let prefix = format!("{}:{}", scope.region, scope.account);
    let arn = match scope.resource_type {
        ResourceType::Ec2Instance => format!("arn:aws:ec2:{prefix}:instance/i-0{seed:016x}"),
        ResourceType::Ec2Volume => format!("arn:aws:ec2:{prefix}:volume/vol-0{seed:016x}"),
        ResourceType::LambdaFunction => format!("arn:aws:lambda:{prefix}:function:{name}"),
        ResourceType::S3Bucket => format!("arn:aws:s3:::{name}-{}-{}", scope.account, scope.region),
        ResourceType::EcsService => format!("arn:aws:ecs:{prefix}:service/main/{name}"),
        ResourceType::EcsCluster => format!("arn:aws:ecs:{prefix}:cluster/{name}"),
        ResourceType::RdsDb => format!("arn:aws:rds:{prefix}:db:{name}"),
        ResourceType::RdsCluster => format!("arn:aws:rds:{prefix}:cluster:{name}"),
    };
    let created = 1_600_000_000 + i64::try_from(seed % 150_000_000).unwrap();
    Resource {
        arn: arn.parse().unwrap(),
        created_at: Timestamp::from_second(created).ok(),
        tags: Tags::Known(tags(scope, seed, slot.edits, &name)),
        usage: usage(scope, seed),
        links: links(scope, seed, &prefix),
    }
}

/// Relationships: a hundred security groups and roles in each region of an account, three subnets and a VPC. A volume belongs to an
/// instance.
fn links(scope: &Scope, seed: u64, prefix: &str) -> Relationships {
    let id = |text: &[u64]| {
        let position = prefix.bytes().fold(0, |hash, byte| mix(&[hash, u64::from(byte)]));
        format!("0{:016x}", mix(&[position]) ^ mix(text))
    };
    let group = (RelationshipKind::SecurityGroup, format!("sg-{}", id(&[1, seed % 100])));
    let role = (RelationshipKind::Role, format!("arn:aws:iam::{}:instance-profile/app{}", scope.account, seed % 100));
    let subnet = (RelationshipKind::Subnet, format!("subnet-{}", id(&[2, seed % 3])));
    let vpc = (RelationshipKind::Vpc, format!("vpc-{}", id(&[3])));
    let related = match scope.resource_type {
        ResourceType::Ec2Instance | ResourceType::LambdaFunction => vec![group, role, subnet, vpc],
        ResourceType::RdsDb | ResourceType::RdsCluster => vec![group, vpc],
        _ => Vec::new(),
    };
    let attached = scope.resource_type == ResourceType::Ec2Volume;
    let parent = attached.then(|| format!("arn:aws:ec2:{prefix}:instance/i-0{seed:016x}").parse().unwrap());
    Relationships::to(parent, related.iter().map(|(kind, name)| (*kind, Some(name.as_str()))))
}

fn usage(scope: &Scope, seed: u64) -> Option<Usage> {
    let of = |drivers: [&str; 4]| drivers[(seed % 4) as usize].to_owned();
    match scope.resource_type {
        ResourceType::Ec2Instance => {
            Some(Usage { driver: of(["t3.medium", "m5.large", "m5.xlarge", "r5.large"]), quantity: 1 })
        }
        ResourceType::Ec2Volume => {
            let quantity = [8, 50, 200, 500][(seed / 4 % 4) as usize];
            Some(Usage { driver: of(["gp2", "gp3", "io1", "st1"]), quantity })
        }
        ResourceType::RdsDb => Some(Usage {
            driver: of(["db.t3.medium", "db.m5.large", "db.r5.large", "Multi-AZ db.m5.large"]),
            quantity: 1,
        }),
        _ => None,
    }
}

/// About eight tags. A third of the resources violates the policy, and a tenth has a tag with a unique value.
fn tags(scope: &Scope, seed: u64, edits: u16, name: &str) -> TagSet {
    let edited = mix(&[seed, u64::from(edits)]);
    let application = seed % 300;
    let mut pairs: Vec<(&str, String)> = vec![
        ("Application", format!("app{application}")),
        ("Team", format!("team-{}", application % 40)),
        ("ManagedBy", ["terraform", "cdk", "console"][(seed % 3) as usize].to_owned()),
        ("Release", format!("2026.{}", edited % 24)),
        ("Criticality", ["low", "medium", "high"][(application % 3) as usize].to_owned()),
    ];
    if matches!(scope.resource_type, ResourceType::Ec2Instance | ResourceType::Ec2Volume) {
        pairs.push(("Name", name.to_owned()));
    }
    if seed.is_multiple_of(10) {
        pairs.push(("Ticket", format!("OPS-{}", seed >> 30)));
    }
    match edited % 100 {
        0..6 => return TagSet::default(),
        6..20 => pairs.push(("cost-center", "Engineering".to_owned())),
        20..28 => {}
        _ => pairs.push(("CostCenter", ["Engineering", "Marketing", "Sales"][(application % 3) as usize].to_owned())),
    }
    let environment =
        if edited % 100 < 95 { ["production", "staging", "development"][(seed % 3) as usize] } else { "prd" };
    pairs.push(("Environment", environment.to_owned()));
    pairs.push(("Owner", format!("team-{}@corp.example", application % 40)));
    pairs.into_iter().collect()
}

/// A hash of the numbers (SplitMix64).
fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0x9e37_79b9_7f4a_7c15, |state: u64, word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}
