//! ECS: clusters and services. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    cell::{Cell, Kind, Mix, Place},
    errors::ApiError,
    page::{Page, Paging},
    wire::{Call, Outcome, Reply, json_tags},
};

const PAGE: usize = 100;
const DEFAULT_SERVICES: usize = 10;
const DESCRIBED_SERVICES: usize = 10;

pub(crate) fn answer(cell: &Cell<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "ListClusters" => list_clusters(cell, call),
        "DescribeClusters" => describe_clusters(cell, call),
        "ListServices" => list_services(cell, call),
        "DescribeServices" => describe_services(cell, call),
        "ListTagsForResource" => list_tags(cell, call),
        _ => Err(ApiError::unknown(call)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

fn page(call: &Call, list: &str, default: usize, len: usize) -> Result<Page, ApiError> {
    let size =
        call.page_size("maxResults", default, PAGE).ok_or_else(|| invalid("maxResults must be from 1 to 100"))?;
    let scope = call.scope(list);
    let paging = Paging { scope: &scope, token: call.field("nextToken"), size, effect: call.effect.as_ref() };
    paging.page(len).ok_or_else(|| invalid("Invalid token"))
}

/// A thing's state, and its index: that of an inactive one is past the count.
fn place(place: Place, live: usize) -> (usize, &'static str) {
    match place {
        Place::Live(index) => (index, "ACTIVE"),
        Place::Dead(number) => (live + number, "INACTIVE"),
    }
}

fn clusters(cell: &Cell<'_>) -> Mix {
    Mix { live: cell.count(Kind::Cluster), every: cell.estate.traps.inactive_every }
}

fn list_clusters(cell: &Cell<'_>, call: &Call) -> Outcome {
    let mix = clusters(cell);
    let page = page(call, "clusters", PAGE, mix.len())?;
    let arns: Vec<String> = page.places.map(|at| cell.arn(Kind::Cluster, place(mix.at(at), mix.live).0)).collect();
    let items = arns.len();
    Ok(Reply { body: json!({"clusterArns": arns, "nextToken": page.next}).to_string(), items })
}

/// The cluster that a name or ARN stands for, inactive ones too.
fn find_cluster(cell: &Cell<'_>, name: &str) -> Option<usize> {
    let by_arn = cell.find_arn(name).filter(|(kind, _)| *kind == Kind::Cluster).map(|(_, index)| index);
    by_arn.or_else(|| cell.find_id(Kind::Cluster, name)).filter(|index| *index < clusters(cell).len())
}

fn with_tags(call: &Call) -> bool {
    call.field_list("include").is_some_and(|fields| fields.contains(&"TAGS"))
}

fn describe_clusters(cell: &Cell<'_>, call: &Call) -> Outcome {
    let names = call.field_list("clusters").unwrap_or_else(|| vec!["default"]);
    if names.len() > PAGE {
        return Err(invalid("clusters can have at most 100 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find_cluster(cell, name) {
            Some(index) => found.push(cluster(cell, index, with_tags(call))),
            None => failures.push(failure(name)),
        }
    }
    let items = found.len();
    Ok(Reply { body: json!({"clusters": found, "failures": failures}).to_string(), items })
}

fn failure(name: &str) -> Value {
    json!({"arn": name, "reason": "MISSING"})
}

fn cluster(cell: &Cell<'_>, index: usize, with_tags: bool) -> Value {
    json!({
        "clusterArn": cell.arn(Kind::Cluster, index),
        "clusterName": cell.id(Kind::Cluster, index),
        "status": if index < cell.count(Kind::Cluster) { "ACTIVE" } else { "INACTIVE" },
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        "activeServicesCount": services(cell, index).live,
        "tags": if with_tags { tags(cell, Kind::Cluster, index) } else { json!([]) },
    })
}

fn tags(cell: &Cell<'_>, kind: Kind, index: usize) -> Value {
    json_tags(cell.tags(kind, index), "key", "value")
}

/// The services of a cluster: every so-manieth of the region's, beginning with the cluster's own number.
fn services(cell: &Cell<'_>, cluster: usize) -> Mix {
    let (total, clusters) = (cell.count(Kind::Service), cell.count(Kind::Cluster));
    let live = match total.checked_sub(cluster + 1).filter(|_| cluster < clusters) {
        Some(rest) => rest / clusters + 1,
        None => 0,
    };
    Mix { live, every: cell.estate.traps.inactive_every }
}

/// The region-wide index of a cluster's service.
fn service_index(cell: &Cell<'_>, cluster: usize, at: Place) -> usize {
    let clusters = cell.count(Kind::Cluster);
    match at {
        Place::Live(number) => cluster + number * clusters,
        Place::Dead(number) => dead_from(cell) + cluster + number * clusters,
    }
}

/// Where the indexes of inactive services begin: past the live ones, at the first cluster.
fn dead_from(cell: &Cell<'_>) -> usize {
    cell.count(Kind::Service).next_multiple_of(cell.count(Kind::Cluster).max(1))
}

fn cluster_asked(cell: &Cell<'_>, call: &Call) -> Result<usize, ApiError> {
    let found = find_cluster(cell, call.field("cluster").unwrap_or("default"));
    found.ok_or_else(|| ApiError::new(400, "ClusterNotFoundException", "Cluster not found."))
}

fn list_services(cell: &Cell<'_>, call: &Call) -> Outcome {
    let cluster = cluster_asked(cell, call)?;
    let mix = services(cell, cluster);
    let page = page(call, &format!("services/{cluster}"), DEFAULT_SERVICES, mix.len())?;
    let arns: Vec<String> =
        page.places.map(|at| cell.arn(Kind::Service, service_index(cell, cluster, mix.at(at)))).collect();
    let items = arns.len();
    Ok(Reply { body: json!({"serviceArns": arns, "nextToken": page.next}).to_string(), items })
}

fn describe_services(cell: &Cell<'_>, call: &Call) -> Outcome {
    let cluster = cluster_asked(cell, call)?;
    let names = call.field_list("services").unwrap_or_default();
    if names.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if names.len() > DESCRIBED_SERVICES {
        return Err(invalid("services can have at most 10 items."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find_service(cell, cluster, name) {
            Some(index) => found.push(service(cell, cluster, index, with_tags(call))),
            None => failures.push(failure(name)),
        }
    }
    let items = found.len();
    Ok(Reply { body: json!({"services": found, "failures": failures}).to_string(), items })
}

/// The service of the cluster that a name or ARN stands for, inactive ones too.
fn find_service(cell: &Cell<'_>, cluster: usize, name: &str) -> Option<usize> {
    let by_arn = cell.find_arn(name).filter(|(kind, _)| *kind == Kind::Service).map(|(_, index)| index);
    let index = by_arn.or_else(|| cell.find_id(Kind::Service, name))?;
    let mix = services(cell, cluster);
    let dead = mix.len() - mix.live;
    let exists = index < cell.count(Kind::Service)
        || (0..dead).any(|number| service_index(cell, cluster, Place::Dead(number)) == index);
    (exists && cell.cluster_of(index) == cluster).then_some(index)
}

fn service(cell: &Cell<'_>, cluster: usize, index: usize, with_tags: bool) -> Value {
    let propagated = ["SERVICE", "TASK_DEFINITION", "NONE"];
    json!({
        "serviceArn": cell.arn(Kind::Service, index),
        "serviceName": cell.id(Kind::Service, index),
        "clusterArn": cell.arn(Kind::Cluster, cluster),
        "status": if index < cell.count(Kind::Service) { "ACTIVE" } else { "INACTIVE" },
        "desiredCount": 1,
        "runningCount": 1,
        "pendingCount": 0,
        "launchType": "FARGATE",
        "createdAt": cell.created_second(index),
        "createdBy": format!("arn:{}:iam::{}:role/deployer", cell.estate.partition, cell.account.id),
        "enableECSManagedTags": index.is_multiple_of(2),
        "propagateTags": propagated.get(index % propagated.len()),
        "tags": if with_tags { tags(cell, Kind::Service, index) } else { json!([]) },
    })
}

fn list_tags(cell: &Cell<'_>, call: &Call) -> Outcome {
    let arn = call.field("resourceArn").unwrap_or_default();
    let found = cell.find_arn(arn).filter(|(kind, index)| *index < cell.count(*kind));
    let Some((kind, index)) = found.filter(|(kind, _)| matches!(kind, Kind::Cluster | Kind::Service)) else {
        return Err(invalid("The specified resource is not found."));
    };
    if !cell.taggable(kind, index) {
        return Err(invalid("Long arn format must be used for tagging operations"));
    }
    let tags = cell.tags(kind, index);
    let items = tags.len();
    Ok(Reply { body: json!({"tags": json_tags(tags, "key", "value")}).to_string(), items })
}
