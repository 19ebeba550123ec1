//! Each row of the resource types has everything that belongs to a type.
//!
//! A lister needs no test here: the dispatch in `shared/aws/src/services.rs` does not compile without one for every type.

#![cfg(test)]

mod support;

use jiff::civil::Date;
use support::binary::repository;
use tagledger_cloud::{Cloud, simulated::Simulated};
use tagledger_model::{
    ResourceType,
    api::Operation,
    inventory::Scope,
    resource_types::spec::{TerraformTags, TypeSpec},
};

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a row lacks: operations that the policy of a file does not allow.
fn missing_actions(path: &str, operations: &[Operation]) -> Vec<String> {
    let text = read(path);
    let is_listed = |action: &str| text.lines().any(|line| line.trim_matches([' ', '-', '"', ',']) == action);
    let missing = operations.iter().map(|operation| operation.name).filter(|action| !is_listed(action));
    missing.map(|action| format!("{action} in {path}")).collect()
}

/// The Limits section of the README and the table of docs/scanning.md list the type.
fn missing_documents(name: &str) -> Vec<String> {
    let readme = read("README.md");
    let limits = readme.split("## Limits").nth(1).expect("the README has a section Limits");
    let in_readme = limits.contains(&format!("`{name}`"));
    let in_scanning = read("docs/scanning.md").lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let mut missing = Vec::new();
    missing.extend((!in_readme).then(|| "a mention in README.md, section Limits".to_owned()));
    missing.extend((!in_scanning).then(|| "a row in docs/scanning.md".to_owned()));
    missing
}

fn missing_names(spec: &TypeSpec) -> Vec<String> {
    let argument_or_aws = match spec.terraform.tags {
        TerraformTags::Argument => true,
        TerraformTags::Resource { resource, argument, .. } => resource.starts_with("aws_") && !argument.is_empty(),
    };
    let terraform = spec.terraform.resource.starts_with("aws_") && argument_or_aws;
    let custodian = spec.custodian.resource.starts_with("aws.") && !spec.custodian.attribute.is_empty();
    let mut missing = Vec::new();
    missing.extend((!terraform).then(|| "names in Terraform".to_owned()));
    missing.extend((!custodian).then(|| "names in Cloud Custodian".to_owned()));
    missing.extend(spec.created_by.is_empty().then(|| "a CloudTrail event".to_owned()));
    missing.extend((spec.lookup_batch == 0).then(|| "the size of a lookup".to_owned()));
    missing
}

/// Whether the simulated company has a resource of the type.
async fn is_simulated(resource_type: ResourceType) -> bool {
    let estate = Simulated::new(7, 5000, Date::constant(2026, 11, 1));
    let account = estate.list_accounts().await.unwrap().found.remove(0).id;
    let scope = Scope { account, region: "us-east-1".parse().unwrap(), resource_type };
    !estate.list(&scope).await.resources.is_empty()
}

/// Every resource type is documented, has a simulated population, IAM actions in the policies of `deploy/`, CloudTrail
/// events, and names in Terraform and Cloud Custodian.
#[test]
fn every_resource_type_row_is_complete() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut missing = Vec::new();
    for resource_type in ResourceType::ALL.iter().copied() {
        let spec = resource_type.spec();
        let mut of_type = missing_documents(spec.name);
        for policy in ["single-account", "member-account", "organization-scanner"] {
            of_type.extend(missing_actions(&format!("deploy/iam/{policy}.json"), spec.list_operations));
        }
        of_type.extend(missing_actions("deploy/cloudformation/tagledger.yaml", spec.list_operations));
        of_type.extend(missing_actions("deploy/iam/server.json", spec.lookup_operations));
        of_type.extend(missing_names(spec));
        let simulated = runtime.block_on(is_simulated(resource_type));
        of_type.extend((!simulated).then(|| "a population in shared/cloud/src/simulated/population.rs".to_owned()));
        missing.extend(of_type.into_iter().map(|what| format!("{}: {what}", spec.name)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// No two resource types have the same name in Terraform or in Cloud Custodian.
#[test]
fn resource_types_have_distinct_names_elsewhere() {
    for (n, one) in ResourceType::ALL.iter().enumerate() {
        for other in ResourceType::ALL.iter().skip(n + 1) {
            assert_ne!(one.spec().terraform.resource, other.spec().terraform.resource);
            assert_ne!(one.spec().custodian.resource, other.spec().custodian.resource);
        }
    }
}
