//! The time to evaluate one resource. Of ten resources, seven are compliant and three have violations.

#![expect(clippy::unwrap_used, reason = "a wrong fixture must stop the benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::civil::date;
use tagledger_model::{
    Arn, ResourceType,
    inventory::{TagSet, Tags},
};
use tagledger_policy::{Policy, State, Subject};

/// Four required tags, three of them with a pattern.
const POLICY: &str = r#"{
    "version": "1", "last_updated": "2026-01-01T00:00:00Z",
    "required_tags": [
        {"name": "CostCenter", "validation_regex": "^CC-[0-9]{4,6}$"},
        {"name": "Owner", "validation_regex": "^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$"},
        {"name": "Environment", "allowed_values": ["production", "staging", "development", "testing"]},
        {"name": "Application", "validation_regex": "^[a-z0-9-]+$"}
    ],
    "optional_tags": [{"name": "Project"}, {"name": "Compliance", "allowed_values": ["PCI-DSS", "HIPAA", "None"]}]
}"#;

const COMPLIANT: [(&str, &str); 8] = [
    ("Application", "checkout-api"),
    ("CostCenter", "CC-1042"),
    ("Environment", "production"),
    ("Name", "checkout-api-7"),
    ("Owner", "payments@example.com"),
    ("Project", "atlas"),
    ("aws:cloudformation:stack-name", "checkout"),
    ("managed-by", "terraform"),
];

/// Ten resources, of which three have different violations.
fn resources() -> Vec<Tags> {
    let with = |changes: &[(&str, &str, &str)]| {
        let change = |(key, value): (&'static str, &'static str)| {
            let changed = changes.iter().find(|(of, _, _)| *of == key);
            changed
                .map_or((key.to_owned(), value.to_owned()), |(_, key, value)| ((*key).to_owned(), (*value).to_owned()))
        };
        Tags::Known(COMPLIANT.into_iter().map(change).collect::<TagSet>())
    };
    let mut resources: Vec<_> = (0..7).map(|_| with(&[])).collect();
    resources.push(with(&[("CostCenter", "cost-center", "CC-1042"), ("Environment", "Environment", "Prod")]));
    resources.push(with(&[("Owner", "owner", "TBD"), ("Application", "Application", "Checkout API")]));
    resources.push(with(&[
        ("managed-by", "costcenter", "CC-7"),
        ("Owner", "Owners", ""),
        ("Project", "Projekt", "atlas"),
    ]));
    resources
}

fn evaluate(criterion: &mut Criterion) {
    let policy = Policy::parse(POLICY).unwrap();
    let arn: Arn = "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123456789abcdef0".parse().unwrap();
    let today = date(2026, 6, 15);
    let resources = resources();
    let evaluate =
        |tags| policy.evaluate(&Subject { resource_type: ResourceType::Ec2Instance, arn: &arn, tags }, today);
    let compliant = resources.iter().filter(|tags| evaluate(tags).state == State::Compliant).count();
    assert_eq!(compliant, 7, "the mix is seven in ten compliant");
    for (name, part) in
        [("mix", resources.as_slice()), ("compliant", resources.split_at(1).0), ("messy", resources.split_at(7).1)]
    {
        let mut group = criterion.benchmark_group("evaluate");
        group.throughput(Throughput::Elements(u64::try_from(part.len()).unwrap()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| part.iter().map(|tags| evaluate(black_box(tags)).findings.len()).sum::<usize>())
        });
        group.finish();
    }
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
