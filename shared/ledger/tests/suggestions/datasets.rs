//! Generates random estates. The owner and the purpose of each resource are chosen first, and its visible properties follow from them.

use std::collections::{BTreeMap, BTreeSet};

use tagledger_model::{
    Arn,
    inventory::{RelationshipKind, Relationships, Resource, Scope, Tags},
};

/// The required tag keys of the policy.
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

/// The resources of an estate, and the correct tags of each.
#[derive(Default)]
pub(crate) struct Estate {
    pub(crate) resources: Vec<(Scope, Resource)>,
    pub(crate) truth: BTreeMap<Arn, BTreeMap<&'static str, String>>,
}

impl Estate {
    /// All correct values of all resources.
    pub(crate) fn values(&self) -> BTreeSet<String> {
        self.truth.values().flat_map(BTreeMap::values).cloned().collect()
    }
}

/// A pseudorandom number generator (xorshift64*).
pub(crate) struct Rng(u64);

impl Rng {
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

/// The parameters of a generated estate. Numbers are percentages.
#[derive(Clone, Copy)]
struct EstateParameters {
    /// Tags that are missing: of resources of careful teams, and of resources of careless teams.
    missing: [usize; 2],
    /// Groups whose resources have none of the required tags.
    untagged_groups: usize,
    /// Names that contain another application, and names that contain none.
    misleading_names: usize,
    generic_names: usize,
    /// Groups that belong to a stack, and groups whose instances belong to a scaling group.
    stacks: usize,
    groups: usize,
    /// Resources in one shared security group instead of the security group of their application.
    shared_security_groups: usize,
    /// Whether all teams use one network in each region.
    single_network: bool,
    /// Values that are valid and not correct.
    incorrect_values: usize,
    /// Owners that are a person of the team.
    personal_owners: usize,
    /// Whether each account has one environment.
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

/// The application and the environment of a resource.
#[derive(Clone, Copy)]
struct Purpose {
    application: usize,
    environment: usize,
}

impl Purpose {
    fn team(self) -> usize {
        self.application % TEAMS
    }

    fn truth(self, parameters: EstateParameters, rng: &mut Rng) -> BTreeMap<&'static str, String> {
        let team = self.team();
        let person = rng.percent(parameters.personal_owners).then(|| rng.below(3));
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

/// Adds resources that were created together.
fn add_group(estate: &mut Estate, parameters: EstateParameters, rng: &mut Rng, number: usize) {
    let purpose = Purpose { application: rng.below(WORDS.len()), environment: rng.below(ENVIRONMENTS.len()) };
    let account = if parameters.accounts_by_environment { purpose.environment } else { rng.below(3) };
    let account = format!("{:012}", 100_000_000_001 + account);
    let region = ["eu-west-1", "us-east-1"][rng.below(2)];
    let stack = rng.percent(parameters.stacks).then(|| format!("{}-{number}", WORDS[rng.below(WORDS.len())]));
    let scaling = rng.percent(parameters.groups).then(|| format!("asg-{number}"));
    let untagged = rng.percent(parameters.untagged_groups);
    // All resources of a group have the same correct tags.
    let truth = purpose.truth(parameters, rng);
    for member in 0..1 + rng.below(12) {
        let kind =
            ["ec2:instance", "ec2:instance", "ec2:instance", "lambda:function", "rds:db", "s3:bucket"][rng.below(6)];
        let name = choose_name(purpose, parameters, rng, number * 100 + member);
        let placement =
            Placement { account: &account, region, stack: stack.as_deref(), scaling: scaling.as_deref(), untagged };
        let arn = add_resource(estate, parameters, rng, purpose, &truth, kind, &name, &placement, None);
        if kind == "ec2:instance" {
            for _ in 0..rng.below(3) {
                add_resource(estate, parameters, rng, purpose, &truth, "ec2:volume", &name, &placement, Some(&arn));
            }
        }
    }
}

struct Placement<'a> {
    account: &'a str,
    region: &'a str,
    stack: Option<&'a str>,
    scaling: Option<&'a str>,
    untagged: bool,
}

fn choose_name(purpose: Purpose, parameters: EstateParameters, rng: &mut Rng, number: usize) -> String {
    let role = ROLES[rng.below(ROLES.len())];
    if rng.percent(parameters.generic_names) {
        return format!("{role}-{number}");
    }
    let application =
        if rng.percent(parameters.misleading_names) { rng.below(WORDS.len()) } else { purpose.application };
    let short: String = ENVIRONMENTS[purpose.environment].chars().take(4).collect();
    format!("{}-{short}-{role}-{number}", WORDS[application])
}

#[expect(clippy::too_many_arguments, reason = "all that decides about one resource")]
fn add_resource(
    estate: &mut Estate,
    parameters: EstateParameters,
    rng: &mut Rng,
    purpose: Purpose,
    truth: &BTreeMap<&'static str, String>,
    kind: &str,
    name: &str,
    placement: &Placement<'_>,
    parent: Option<&Arn>,
) -> Arn {
    let Placement { account, region, .. } = placement;
    let id = format!("0{:016x}", rng.next());
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
    let tags = choose_tags(parameters, rng, purpose, truth, kind, name, placement);
    let links = choose_relationships(parameters, rng, purpose, kind, placement, parent);
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

fn choose_tags(
    parameters: EstateParameters,
    rng: &mut Rng,
    purpose: Purpose,
    truth: &BTreeMap<&'static str, String>,
    kind: &str,
    name: &str,
    placement: &Placement<'_>,
) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    let mut push = |key: &str, value: &str| tags.push((key.to_owned(), value.to_owned()));
    if let Some(stack) = placement.stack {
        push("aws:cloudformation:stack-name", stack);
    }
    if let Some(group) = placement.scaling.filter(|_| kind == "ec2:instance") {
        push("aws:autoscaling:groupName", group);
    }
    if kind.starts_with("ec2:") {
        push("Name", name);
    }
    if rng.percent(30) {
        push("Repository", &format!("git/{}", WORDS[purpose.application]));
    }
    if rng.percent(20) {
        push("ManagedBy", ["terraform", "cdk"][rng.below(2)]);
    }
    let is_careless = purpose.team().is_multiple_of(3);
    let missing = parameters.missing[usize::from(is_careless)];
    let untagged = placement.untagged || rng.percent(missing / 4);
    for (key, value) in truth {
        if untagged || rng.percent(missing) {
            continue;
        }
        let other = Purpose { application: rng.below(WORDS.len()), environment: rng.below(ENVIRONMENTS.len()) };
        let incorrect = rng
            .percent(parameters.incorrect_values)
            .then(|| other.truth(EstateParameters { personal_owners: 0, ..parameters }, rng)[key].clone());
        push(key, incorrect.as_deref().unwrap_or(value));
    }
    tags
}

fn choose_relationships(
    parameters: EstateParameters,
    rng: &mut Rng,
    purpose: Purpose,
    kind: &str,
    placement: &Placement<'_>,
    parent: Option<&Arn>,
) -> Relationships {
    let Placement { account, region, .. } = placement;
    let home = format!("{account}-{region}");
    let network = if parameters.single_network { home.clone() } else { format!("{home}-{}", purpose.team() % 4) };
    let own = format!("{}-{}", purpose.application, purpose.environment);
    let security = if rng.percent(parameters.shared_security_groups) { "default".to_owned() } else { own };
    let candidates = [
        (RelationshipKind::SecurityGroup, format!("sg-{home}-{security}")),
        (RelationshipKind::Role, format!("arn:aws:iam::{account}:role/r{}", purpose.application)),
        (RelationshipKind::Subnet, format!("subnet-{network}-{}", rng.below(3))),
        (RelationshipKind::Vpc, format!("vpc-{network}")),
    ];
    let connected: &[usize] = match kind {
        "ec2:instance" if rng.percent(60) => &[0, 1, 2, 3],
        "ec2:instance" => &[0, 2, 3],
        "lambda:function" => &[1],
        "rds:db" => &[0, 3],
        _ => &[],
    };
    let neighbours = connected.iter().map(|index| (candidates[*index].0, Some(candidates[*index].1.as_str())));
    Relationships::to(parent.cloned(), neighbours)
}

fn generate_estate(seed: u64, parameters: EstateParameters) -> Estate {
    let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut estate = Estate::default();
    for number in 0..400 {
        add_group(&mut estate, parameters, &mut rng, number);
    }
    estate
}

/// An estate whose names, networks and security groups follow from the purpose of the resources.
pub(crate) fn clean(seed: u64) -> Estate {
    let missing = [8, 15];
    generate_estate(
        seed,
        EstateParameters {
            missing,
            untagged_groups: 6,
            misleading_names: 0,
            generic_names: 5,
            stacks: 40,
            groups: 30,
            shared_security_groups: 5,
            single_network: false,
            incorrect_values: 0,
            personal_owners: 0,
            accounts_by_environment: true,
        },
    )
}

/// An estate with misleading and generic names, in which careless teams omit many tags.
pub(crate) fn messy(seed: u64) -> Estate {
    let missing = [10, 45];
    generate_estate(
        seed,
        EstateParameters {
            missing,
            untagged_groups: 15,
            misleading_names: 35,
            generic_names: 25,
            stacks: 25,
            groups: 25,
            shared_security_groups: 30,
            single_network: false,
            incorrect_values: 4,
            personal_owners: 10,
            accounts_by_environment: true,
        },
    )
}

/// An estate in which all teams share networks and accounts, most resources share a security group, and some owners are persons.
pub(crate) fn shared_networks(seed: u64) -> Estate {
    let missing = [12, 30];
    generate_estate(
        seed,
        EstateParameters {
            missing,
            untagged_groups: 10,
            misleading_names: 5,
            generic_names: 30,
            stacks: 30,
            groups: 35,
            shared_security_groups: 65,
            single_network: true,
            incorrect_values: 3,
            personal_owners: 25,
            accounts_by_environment: false,
        },
    )
}

/// An estate in which all tag values are random.
pub(crate) fn no_signal(seed: u64) -> Estate {
    let mut estate = clean(seed);
    let mut rng = Rng(seed | 1);
    for (_, resource) in &mut estate.resources {
        let Tags::Known(tags) = &resource.tags else { continue };
        let purpose = Purpose { application: rng.below(WORDS.len()), environment: rng.below(ENVIRONMENTS.len()) };
        let mut random_tags = purpose.truth(EstateParameters { personal_owners: 0, ..RANDOM }, &mut rng);
        random_tags.insert("Owner", format!("team{}@corp.example", rng.below(TEAMS)));
        random_tags.insert("CostCenter", format!("CC-{}00", 1 + rng.below(5)));
        let changed = tags
            .iter()
            .filter(|(key, _)| *key != "Repository")
            .map(|(key, value)| (key.to_owned(), random_tags.get(key).cloned().unwrap_or_else(|| value.to_owned())));
        resource.tags = Tags::Known(changed.collect());
        estate.truth.insert(resource.arn.clone(), random_tags);
    }
    estate
}

const RANDOM: EstateParameters = EstateParameters {
    missing: [0, 0],
    untagged_groups: 0,
    misleading_names: 0,
    generic_names: 0,
    stacks: 0,
    groups: 0,
    shared_security_groups: 0,
    single_network: false,
    incorrect_values: 0,
    personal_owners: 0,
    accounts_by_environment: false,
};
