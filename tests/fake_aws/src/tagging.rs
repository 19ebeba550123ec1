//! The Resource Groups Tagging API: the resources of a region that have or had tags. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    errors::ApiError,
    faults::Effect,
    pagination::Paging,
    protocol::{Call, Outcome, Reply, json_tags},
};

const MAX_PAGE_SIZE: usize = 100;
const DELETED_RESOURCES: usize = 3;
const PAGINATION_FIELDS: [&str; 3] = ["PaginationToken", "ResourcesPerPage", "TagsPerPage"];

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if call.operation != "GetResources" || call.json.get("TagFilters").is_some_and(|filters| *filters != json!([])) {
        return Err(ApiError::unsupported(call));
    }
    match call.field_list("ResourceARNList").filter(|arns| !arns.is_empty()) {
        Some(arns) => by_arn(account_region, call, &arns),
        None => page_of_all(account_region, call),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameterException", message)
}

fn returns_deleted(call: &Call) -> bool {
    matches!(call.effect, Some(Effect::Ghosts))
}

fn by_arn(account_region: &AccountRegion<'_>, call: &Call, arns: &[&str]) -> Outcome {
    if arns.len() > MAX_PAGE_SIZE {
        return Err(invalid("ResourceARNList can have at most 100 items."));
    }
    if PAGINATION_FIELDS.iter().any(|name| call.json.get(name).is_some()) || !type_filters(call).is_empty() {
        return Err(invalid("ResourceARNList cannot be combined with filters or pagination."));
    }
    if arns.iter().any(|arn| !arn.starts_with("arn:")) {
        return Err(invalid("ResourceARNList contains an invalid ARN."));
    }
    let exists = |kind: Kind, index: usize| index < account_region.count(kind) || returns_deleted(call);
    let found = arns.iter().filter_map(|arn| account_region.find_arn(arn));
    let returned = found.filter(|(kind, index)| exists(*kind, *index) && account_region.was_ever_tagged(*kind, *index));
    Ok(reply(returned.map(|(kind, index)| mapping(account_region, kind, index)).collect(), None))
}

fn type_filters(call: &Call) -> Vec<&str> {
    call.field_list("ResourceTypeFilters").unwrap_or_default()
}

/// Returns the types that match the filters, with their counts.
fn matching_types(account_region: &AccountRegion<'_>, call: &Call) -> Vec<(Kind, usize)> {
    let filters = type_filters(call);
    let matches = |kind: &Kind| {
        let name = kind.name();
        filters.is_empty() || filters.iter().any(|filter| name == *filter || name.split(':').next() == Some(filter))
    };
    Kind::ALL.into_iter().filter(matches).map(|kind| (kind, account_region.count(kind))).collect()
}

/// Returns the resource at a position of the list of all types.
fn resource_at(types: &[(Kind, usize)], mut position: usize) -> Option<(Kind, usize)> {
    for (kind, count) in types {
        if position < *count {
            return Some((*kind, position));
        }
        position -= count;
    }
    None
}

fn page_of_all(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let size = call.page_size("ResourcesPerPage", MAX_PAGE_SIZE, MAX_PAGE_SIZE);
    let size = size.ok_or_else(|| invalid("ResourcesPerPage must be from 1 to 100."))?;
    let types = matching_types(account_region, call);
    let len = types.iter().map(|(_, count)| count).sum();
    let matches = |position: usize| {
        resource_at(&types, position).is_some_and(|(kind, index)| account_region.was_ever_tagged(kind, index))
    };
    let scope = call.scope(&format!("resources/{:?}", type_filters(call)));
    let token = call.field("PaginationToken").filter(|token| !token.is_empty());
    let paging = Paging { scope: &scope, token, size, effect: call.effect.as_ref() };
    let page = paging.page_where(len, matches).ok_or_else(|| invalid("The PaginationToken is invalid."))?;
    let found = page.range.filter(|position| matches(*position)).filter_map(|position| resource_at(&types, position));
    let mut mappings: Vec<Value> = found.map(|(kind, index)| mapping(account_region, kind, index)).collect();
    if returns_deleted(call) {
        mappings.extend(deleted_resources(account_region, &types));
    }
    Ok(reply(mappings, page.next))
}

/// Returns three deleted resources of each type with their tags.
fn deleted_resources(account_region: &AccountRegion<'_>, types: &[(Kind, usize)]) -> Vec<Value> {
    let deleted =
        types.iter().flat_map(|(kind, count)| (*count..count + DELETED_RESOURCES).map(|index| (*kind, index)));
    deleted
        .filter(|(kind, index)| account_region.was_ever_tagged(*kind, *index))
        .map(|(kind, index)| mapping(account_region, kind, index))
        .collect()
}

fn mapping(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> Value {
    json!({"ResourceARN": account_region.arn(kind, index), "Tags": json_tags(account_region.tags(kind, index), "Key", "Value")})
}

/// Creates a response. The page token of the last page is an empty string.
fn reply(mappings: Vec<Value>, next: Option<String>) -> Reply {
    let items = mappings.len();
    let body = json!({"PaginationToken": next.unwrap_or_default(), "ResourceTagMappingList": mappings});
    Reply { body: body.to_string(), items }
}
