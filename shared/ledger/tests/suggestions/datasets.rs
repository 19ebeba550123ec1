//! Random companies: the owner of each resource is chosen first, and its visible properties after that.

use std::collections::{BTreeMap, BTreeSet};

use tagledger_model::{
    Arn,
    inventory::{RelationshipKind, Relationships, Resource, Scope, Tags},
};

/// Every tag that is asked for.
pub(crate) const KEYS: [&str; 4] = ["CostCenter", "Owner", "Application", "Environment"];

pub(crate) const POLICY: &str = r#"{
    "version": "1.0", "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        {"name": "CostCenter", "allowed_values": ["CC-100", "CC-200", "CC-300", "CC-400", "CC-500"]},
        {"name": "Owner", "validation_regex": "[a-z0-9.-]+@corp\\.example"},
        {"name": "Application"},
        {"name": "Environment", "allowed_values": ["production", "staging", "development"]}
    ]
}"#;

/// A company's resources, and what each should be tagged with.
#[derive(Default)]
pub(crate) struct Estate {
    pub(crate) resources: Vec<(Scope, Resource)>,
    pub(crate) truth: BTreeMap<Arn, BTreeMap<&'static str, String>>,
}

impl Estate {
    /// Every value that any resource should have.
    pub(crate) fn values(&self) -> BTreeSet<String> {
        self.truth.values().flat_map(BTreeMap::values).cloned().collect()
    }
}

/// Chance.
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next()).unwrap() % n
    }

    fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }
}

/// How a company goes about it.
#[derive(Clone, Copy)]
struct Habits {
    /// Of a hundred resources of a team that is careful, and of one that is not, so many lack a tag.
    missing: [usize; 2],
    /// Of a hundred groups, so many lack all tags.
    bare_groups: usize,
    /// Of a hundred names, so many are of another application, or say nothing.
    lying_names: usize,
    mute_names: usize,
    /// Of a hundred resources, so many are of a stack, and so many instances of a group.
    stacks: usize,
    groups: usize,
    /// Whether every application has security groups of its own, else so many share one.
    shared_security: usize,
    /// Whether all teams live in one network of each region.
    one_network: bool,
    /// Of a hundred values, so many are right in form and wrong in fact.
    wrong: usize,
    /// Of a hundred owners, so many are a person of the team.
    persons: usize,
    /// Whether an account has one environment.
    accounts_by_environment: bool,
}

const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];
const WORDS: [&str; 40] = [
    "checkout", "ledger", "search", "catalog", "pricing", "identity", "orders", "basket", "payments", "fraud", "risk",
    "mailer", "crawler", "reports", "insight", "router", "gateway", "archive", "media", "video", "maps", "tracking",
    "fleet", "stock", "returns", "loyalty", "coupons", "reviews", "profile", "session", "billing", "invoice", "tax",
    "payroll", "hiring", "survey", "forum", "chat", "voice", "alerts",
];
const ROLES: [&str; 6] = ["web", "api", "worker", "batch", "cache", "index"];
const TEAMS: usize = 12;

/// What a resource is for, and whose it is.
#[derive(Clone, Copy)]
struct Purpose {
    application: usize,
    environment: usize,
}

impl Purpose {
    fn team(self) -> usize {
        self.application % TEAMS
    }

    fn truth(self, habits: Habits, dice: &mut Dice) -> BTreeMap<&'static str, String> {
        let team = self.team();
        let person = dice.percent(habits.persons).then(|| dice.below(3));
        let owner = match person {
            Some(person) => format!("person{person}.team{team}@corp.example"),
            None => format!("team{team}@corp.example"),
        };
        let cost_center = format!("CC-{}00", 1 + team % 5);
        let application = WORDS[self.application].to_owned();
        let environment = ENVIRONMENTS[self.environment].to_owned();
        [("CostCenter", cost_center), ("Owner", owner), ("Application", application), ("Environment", environment)]
            .into()
    }
}

/// Resources that were made together.
fn group(estate: &mut Estate, habits: Habits, dice: &mut Dice, number: usize) {
    let purpose = Purpose { application: dice.below(WORDS.len()), environment: dice.below(ENVIRONMENTS.len()) };
    let account = if habits.accounts_by_environment { purpose.environment } else { dice.below(3) };
    let account = format!("{:012}", 100_000_000_001 + account);
    let region = ["eu-west-1", "us-east-1"][dice.below(2)];
    let stack = dice.percent(habits.stacks).then(|| format!("{}-{number}", WORDS[dice.below(WORDS.len())]));
    let scaling = dice.percent(habits.groups).then(|| format!("asg-{number}"));
    let bare = dice.percent(habits.bare_groups);
    // Truth differs within a group only where a person owns one of it.
    let truth = purpose.truth(habits, dice);
    for member in 0..1 + dice.below(12) {
        let kind =
            ["ec2:instance", "ec2:instance", "ec2:instance", "lambda:function", "rds:db", "s3:bucket"][dice.below(6)];
        let name = name(purpose, habits, dice, number * 100 + member);
        let place = Place { account: &account, region, stack: stack.as_deref(), scaling: scaling.as_deref(), bare };
        let arn = one(estate, habits, dice, purpose, &truth, kind, &name, &place, None);
        if kind == "ec2:instance" {
            for _ in 0..dice.below(3) {
                one(estate, habits, dice, purpose, &truth, "ec2:volume", &name, &place, Some(&arn));
            }
        }
    }
}

struct Place<'a> {
    account: &'a str,
    region: &'a str,
    stack: Option<&'a str>,
    scaling: Option<&'a str>,
    bare: bool,
}

fn name(purpose: Purpose, habits: Habits, dice: &mut Dice, number: usize) -> String {
    let role = ROLES[dice.below(ROLES.len())];
    if dice.percent(habits.mute_names) {
        return format!("{role}-{number}");
    }
    let application = if dice.percent(habits.lying_names) { dice.below(WORDS.len()) } else { purpose.application };
    let short: String = ENVIRONMENTS[purpose.environment].chars().take(4).collect();
    format!("{}-{short}-{role}-{number}", WORDS[application])
}

#[expect(clippy::too_many_arguments, reason = "all that decides about one resource")]
fn one(
    estate: &mut Estate,
    habits: Habits,
    dice: &mut Dice,
    purpose: Purpose,
    truth: &BTreeMap<&'static str, String>,
    kind: &str,
    name: &str,
    place: &Place<'_>,
    parent: Option<&Arn>,
) -> Arn {
    let Place { account, region, .. } = place;
    let id = format!("0{:016x}", dice.next());
    let home = format!("{region}:{account}");
    let arn: Arn = match kind {
        "ec2:instance" => format!("arn:aws:ec2:{home}:instance/i-{id}"),
        "ec2:volume" => format!("arn:aws:ec2:{home}:volume/vol-{id}"),
        "lambda:function" => format!("arn:aws:lambda:{home}:function:{name}"),
        "rds:db" => format!("arn:aws:rds:{home}:db:{name}"),
        _ => format!("arn:aws:s3:::{name}-{account}-{region}"),
    }
    .parse()
    .unwrap();
    let tags = tags(habits, dice, purpose, truth, kind, name, place);
    let links = links(habits, dice, purpose, kind, place, parent);
    let scope = Scope {
        account: account.parse().unwrap(),
        region: region.parse().unwrap(),
        resource_type: kind.parse().unwrap(),
    };
    let resource = Resource {
        arn: arn.clone(),
        created_at: None,
        tags: Tags::Known(tags.into_iter().collect()),
        usage: None,
        links,
    };
    estate.resources.push((scope, resource));
    estate.truth.insert(arn.clone(), truth.clone());
    arn
}

fn tags(
    habits: Habits,
    dice: &mut Dice,
    purpose: Purpose,
    truth: &BTreeMap<&'static str, String>,
    kind: &str,
    name: &str,
    place: &Place<'_>,
) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    let mut push = |key: &str, value: &str| tags.push((key.to_owned(), value.to_owned()));
    if let Some(stack) = place.stack {
        push("aws:cloudformation:stack-name", stack);
    }
    if let Some(group) = place.scaling.filter(|_| kind == "ec2:instance") {
        push("aws:autoscaling:groupName", group);
    }
    if kind.starts_with("ec2:") {
        push("Name", name);
    }
    if dice.percent(30) {
        push("Repository", &format!("git/{}", WORDS[purpose.application]));
    }
    if dice.percent(20) {
        push("ManagedBy", ["terraform", "cdk"][dice.below(2)]);
    }
    let careless = purpose.team().is_multiple_of(3);
    let missing = habits.missing[usize::from(careless)];
    let bare = place.bare || dice.percent(missing / 4);
    for (key, value) in truth {
        if bare || dice.percent(missing) {
            continue;
        }
        let other = Purpose { application: dice.below(WORDS.len()), environment: dice.below(ENVIRONMENTS.len()) };
        let invalid =
            dice.percent(habits.wrong).then(|| other.truth(Habits { persons: 0, ..habits }, dice)[key].clone());
        push(key, invalid.as_deref().unwrap_or(value));
    }
    tags
}

fn links(
    habits: Habits,
    dice: &mut Dice,
    purpose: Purpose,
    kind: &str,
    place: &Place<'_>,
    parent: Option<&Arn>,
) -> Relationships {
    let Place { account, region, .. } = place;
    let home = format!("{account}-{region}");
    let network = if habits.one_network { home.clone() } else { format!("{home}-{}", purpose.team() % 4) };
    let own = format!("{}-{}", purpose.application, purpose.environment);
    let security = if dice.percent(habits.shared_security) { "default".to_owned() } else { own };
    let named = [
        (RelationshipKind::SecurityGroup, format!("sg-{home}-{security}")),
        (RelationshipKind::Role, format!("arn:aws:iam::{account}:role/r{}", purpose.application)),
        (RelationshipKind::Subnet, format!("subnet-{network}-{}", dice.below(3))),
        (RelationshipKind::Vpc, format!("vpc-{network}")),
    ];
    let connected: &[usize] = match kind {
        "ec2:instance" if dice.percent(60) => &[0, 1, 2, 3],
        "ec2:instance" => &[0, 2, 3],
        "lambda:function" => &[1],
        "rds:db" => &[0, 3],
        _ => &[],
    };
    let neighbours = connected.iter().map(|place| (named[*place].0, Some(named[*place].1.as_str())));
    Relationships::to(parent.cloned(), neighbours)
}

fn company(seed: u64, habits: Habits) -> Estate {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut estate = Estate::default();
    for number in 0..400 {
        group(&mut estate, habits, &mut dice, number);
    }
    estate
}

/// Names, networks and security groups follow from what a resource is for.
pub(crate) fn clean(seed: u64) -> Estate {
    let missing = [8, 15];
    company(
        seed,
        Habits {
            missing,
            bare_groups: 6,
            lying_names: 0,
            mute_names: 5,
            stacks: 40,
            groups: 30,
            shared_security: 5,
            one_network: false,
            wrong: 0,
            persons: 0,
            accounts_by_environment: true,
        },
    )
}

/// Names are copied from elsewhere or say nothing, and who is careless lacks most.
pub(crate) fn messy(seed: u64) -> Estate {
    let missing = [10, 45];
    company(
        seed,
        Habits {
            missing,
            bare_groups: 15,
            lying_names: 35,
            mute_names: 25,
            stacks: 25,
            groups: 25,
            shared_security: 30,
            one_network: false,
            wrong: 4,
            persons: 10,
            accounts_by_environment: true,
        },
    )
}

/// All teams in the same networks and accounts, most behind one security group, some under a person's name.
pub(crate) fn shared_networks(seed: u64) -> Estate {
    let missing = [12, 30];
    company(
        seed,
        Habits {
            missing,
            bare_groups: 10,
            lying_names: 5,
            mute_names: 30,
            stacks: 30,
            groups: 35,
            shared_security: 65,
            one_network: true,
            wrong: 3,
            persons: 25,
            accounts_by_environment: false,
        },
    )
}

/// Every value by chance, whatever the resource is.
pub(crate) fn no_signal(seed: u64) -> Estate {
    let mut estate = clean(seed);
    let mut dice = Dice(seed | 1);
    for (_, resource) in &mut estate.resources {
        let Tags::Known(tags) = &resource.tags else { continue };
        let purpose = Purpose { application: dice.below(WORDS.len()), environment: dice.below(ENVIRONMENTS.len()) };
        let mut by_chance = purpose.truth(Habits { persons: 0, ..CHANCE }, &mut dice);
        by_chance.insert("Owner", format!("team{}@corp.example", dice.below(TEAMS)));
        by_chance.insert("CostCenter", format!("CC-{}00", 1 + dice.below(5)));
        let changed = tags
            .iter()
            .filter(|(key, _)| *key != "Repository")
            .map(|(key, value)| (key.to_owned(), by_chance.get(key).cloned().unwrap_or_else(|| value.to_owned())));
        resource.tags = Tags::Known(changed.collect());
        estate.truth.insert(resource.arn.clone(), by_chance);
    }
    estate
}

const CHANCE: Habits = Habits {
    missing: [0, 0],
    bare_groups: 0,
    lying_names: 0,
    mute_names: 0,
    stacks: 0,
    groups: 0,
    shared_security: 0,
    one_network: false,
    wrong: 0,
    persons: 0,
    accounts_by_environment: false,
};
