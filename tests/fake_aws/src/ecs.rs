//! ECS: clusters and services. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, InterleavedList, Kind, ListEntry},
    errors::ApiError,
    pagination::{Page, Paging},
    protocol::{Call, Outcome, Reply, json_tags},
};

const MAX_PAGE_SIZE: usize = 100;
const DEFAULT_SERVICES_PAGE_SIZE: usize = 10;
const MAX_DESCRIBED_SERVICES: usize = 10;

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "ListClusters" => list_clusters(account_region, call),
        "DescribeClusters" => describe_clusters(account_region, call),
        "ListServices" => list_services(account_region, call),
        "DescribeServices" => describe_services(account_region, call),
        "ListTagsForResource" => list_tags(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

fn page(call: &Call, list: &str, default: usize, len: usize) -> Result<Page, ApiError> {
    let size = call
        .page_size("maxResults", default, MAX_PAGE_SIZE)
        .ok_or_else(|| invalid("maxResults must be from 1 to 100"))?;
    let scope = call.scope(list);
    let paging = Paging { scope: &scope, token: call.field("nextToken"), size, effect: call.effect.as_ref() };
    paging.page(len).ok_or_else(|| invalid("Invalid token"))
}

/// Returns the index and the status of an entry. The index of an inactive one is past the count.
fn index_and_status(entry: ListEntry, active: usize) -> (usize, &'static str) {
    match entry {
        ListEntry::Active(index) => (index, "ACTIVE"),
        ListEntry::Deleted(number) => (active + number, "INACTIVE"),
    }
}

fn clusters(account_region: &AccountRegion<'_>) -> InterleavedList {
    InterleavedList { active: account_region.count(Kind::Cluster), every: account_region.estate.traps.inactive_every }
}

fn list_clusters(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let list = clusters(account_region);
    let page = page(call, "clusters", MAX_PAGE_SIZE, list.len())?;
    let arns: Vec<String> = page
        .range
        .map(|position| account_region.arn(Kind::Cluster, index_and_status(list.at(position), list.active).0))
        .collect();
    let items = arns.len();
    Ok(Reply { body: json!({"clusterArns": arns, "nextToken": page.next}).to_string(), items })
}

/// Returns the index of the cluster with a name or ARN, including inactive ones.
fn find_cluster(account_region: &AccountRegion<'_>, name: &str) -> Option<usize> {
    let by_arn = account_region.find_arn(name).filter(|(kind, _)| *kind == Kind::Cluster).map(|(_, index)| index);
    by_arn
        .or_else(|| account_region.find_id(Kind::Cluster, name))
        .filter(|index| *index < clusters(account_region).len())
}

fn includes_tags(call: &Call) -> bool {
    call.field_list("include").is_some_and(|fields| fields.contains(&"TAGS"))
}

fn describe_clusters(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let names = call.field_list("clusters").unwrap_or_else(|| vec!["default"]);
    if names.len() > MAX_PAGE_SIZE {
        return Err(invalid("clusters can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find_cluster(account_region, name) {
            Some(index) => found.push(cluster(account_region, index, includes_tags(call))),
            None => failures.push(failure(name)),
        }
    }
    let items = found.len();
    Ok(Reply { body: json!({"clusters": found, "failures": failures}).to_string(), items })
}

fn failure(name: &str) -> Value {
    json!({"arn": name, "reason": "MISSING"})
}

fn cluster(account_region: &AccountRegion<'_>, index: usize, with_tags: bool) -> Value {
    json!({
        "clusterArn": account_region.arn(Kind::Cluster, index),
        "clusterName": account_region.id(Kind::Cluster, index),
        "status": if index < account_region.count(Kind::Cluster) { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        "activeServicesCount": services(account_region, index).active,
        "tags": if with_tags { tags(account_region, Kind::Cluster, index) } else { json!([]) },
    })
}

fn tags(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> Value {
    json_tags(account_region.tags(kind, index), "key", "value")
}

/// Returns the services of a cluster. With `n` clusters, it has every `n`th service of the region, starting at its own index.
fn services(account_region: &AccountRegion<'_>, cluster: usize) -> InterleavedList {
    let (total, clusters) = (account_region.count(Kind::Service), account_region.count(Kind::Cluster));
    let active = match total.checked_sub(cluster + 1).filter(|_| cluster < clusters) {
        Some(rest) => rest / clusters + 1,
        None => 0,
    };
    InterleavedList { active, every: account_region.estate.traps.inactive_every }
}

/// Returns the index in the region of a service of a cluster.
fn service_index(account_region: &AccountRegion<'_>, cluster: usize, entry: ListEntry) -> usize {
    let clusters = account_region.count(Kind::Cluster);
    match entry {
        ListEntry::Active(number) => cluster + number * clusters,
        ListEntry::Deleted(number) => first_deleted_index(account_region) + cluster + number * clusters,
    }
}

/// Returns the first index of inactive services. It is past the active ones and belongs to the first cluster.
fn first_deleted_index(account_region: &AccountRegion<'_>) -> usize {
    account_region.count(Kind::Service).next_multiple_of(account_region.count(Kind::Cluster).max(1))
}

fn requested_cluster(account_region: &AccountRegion<'_>, call: &Call) -> Result<usize, ApiError> {
    let found = find_cluster(account_region, call.field("cluster").unwrap_or("default"));
    found.ok_or_else(|| ApiError::new(400, "ClusterNotFoundException", "Cluster not found."))
}

fn list_services(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let cluster = requested_cluster(account_region, call)?;
    let list = services(account_region, cluster);
    let page = page(call, &format!("services/{cluster}"), DEFAULT_SERVICES_PAGE_SIZE, list.len())?;
    let arns: Vec<String> = page
        .range
        .map(|position| account_region.arn(Kind::Service, service_index(account_region, cluster, list.at(position))))
        .collect();
    let items = arns.len();
    Ok(Reply { body: json!({"serviceArns": arns, "nextToken": page.next}).to_string(), items })
}

fn describe_services(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let cluster = requested_cluster(account_region, call)?;
    let names = call.field_list("services").unwrap_or_default();
    if names.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if names.len() > MAX_DESCRIBED_SERVICES {
        return Err(invalid("services can have at most 10 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find_service(account_region, cluster, name) {
            Some(index) => found.push(service(account_region, cluster, index, includes_tags(call))),
            None => failures.push(failure(name)),
        }
    }
    let items = found.len();
    Ok(Reply { body: json!({"services": found, "failures": failures}).to_string(), items })
}

/// Returns the index of the service of a cluster with a name or ARN, including inactive ones.
fn find_service(account_region: &AccountRegion<'_>, cluster: usize, name: &str) -> Option<usize> {
    let by_arn = account_region.find_arn(name).filter(|(kind, _)| *kind == Kind::Service).map(|(_, index)| index);
    let index = by_arn.or_else(|| account_region.find_id(Kind::Service, name))?;
    let list = services(account_region, cluster);
    let deleted = list.len() - list.active;
    let exists = index < account_region.count(Kind::Service)
        || (0..deleted).any(|number| service_index(account_region, cluster, ListEntry::Deleted(number)) == index);
    (exists && account_region.cluster_of(index) == cluster).then_some(index)
}

fn service(account_region: &AccountRegion<'_>, cluster: usize, index: usize, with_tags: bool) -> Value {
    let propagated = ["SERVICE", "TASK_DEFINITION", "NONE"];
    json!({
        "serviceArn": account_region.arn(Kind::Service, index),
        "serviceName": account_region.id(Kind::Service, index),
        "clusterArn": account_region.arn(Kind::Cluster, cluster),
        "status": if index < account_region.count(Kind::Service) { "ACTIVE" } else { "INACTIVE" },
        "desiredCount": 1,
        "runningCount": 1,
        "pendingCount": 0,
        "launchType": "FARGATE",
        "createdAt": account_region.created_second(index),
        "createdBy": format!("arn:{}:iam::{}:role/deployer", account_region.estate.partition, account_region.account.id),
        "enableECSManagedTags": index.is_multiple_of(2),
        "propagateTags": propagated.get(index % propagated.len()),
        "tags": if with_tags { tags(account_region, Kind::Service, index) } else { json!([]) },
    })
}

fn list_tags(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let arn = call.field("resourceArn").unwrap_or_default();
    let found = account_region.find_arn(arn).filter(|(kind, index)| *index < account_region.count(*kind));
    let Some((kind, index)) = found.filter(|(kind, _)| matches!(kind, Kind::Cluster | Kind::Service)) else {
        return Err(invalid("The specified resource is not found."));
    };
    if !account_region.is_taggable(kind, index) {
        return Err(invalid("Long arn format must be used for tagging operations"));
    }
    let tags = account_region.tags(kind, index);
    let items = tags.len();
    Ok(Reply { body: json!({"tags": json_tags(tags, "key", "value")}).to_string(), items })
}
