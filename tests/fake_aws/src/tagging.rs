//! The Resource Groups Tagging API: the resources of a region that have or had tags. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    errors::ApiError,
    faults::Effect,
    pagination::Paging,
    protocol::{Call, Outcome, Reply, json_tags},
};

const PAGE: usize = 100;
const DELETED_RESOURCES: usize = 3;
const PAGING: [&str; 3] = ["PaginationToken", "ResourcesPerPage", "TagsPerPage"];

pub(crate) fn answer(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if call.operation != "GetResources" || call.json.get("TagFilters").is_some_and(|filters| *filters != json!([])) {
        return Err(ApiError::unknown(call));
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
    if arns.len() > PAGE {
        return Err(invalid("ResourceARNList can have at most 100 items."));
    }
    if PAGING.iter().any(|name| call.json.get(name).is_some()) || !type_filters(call).is_empty() {
        return Err(invalid("ResourceARNList cannot be combined with filters or pagination."));
    }
    if arns.iter().any(|arn| !arn.starts_with("arn:")) {
        return Err(invalid("ResourceARNList holds a text that is no ARN."));
    }
    let exists = |kind: Kind, index: usize| index < account_region.count(kind) || returns_deleted(call);
    let found = arns.iter().filter_map(|arn| account_region.find_arn(arn));
    let kept = found.filter(|(kind, index)| exists(*kind, *index) && account_region.ever_tagged(*kind, *index));
    Ok(reply(kept.map(|(kind, index)| mapping(account_region, kind, index)).collect(), None))
}

fn type_filters(call: &Call) -> Vec<&str> {
    call.field_list("ResourceTypeFilters").unwrap_or_default()
}

/// The types of the region that the filters leave, each with its count.
fn types(account_region: &AccountRegion<'_>, call: &Call) -> Vec<(Kind, usize)> {
    let filters = type_filters(call);
    let wanted = |kind: &Kind| {
        let name = kind.name();
        filters.is_empty() || filters.iter().any(|filter| name == *filter || name.split(':').next() == Some(filter))
    };
    Kind::ALL.into_iter().filter(wanted).map(|kind| (kind, account_region.count(kind))).collect()
}

fn at(types: &[(Kind, usize)], mut place: usize) -> Option<(Kind, usize)> {
    for (kind, count) in types {
        if place < *count {
            return Some((*kind, place));
        }
        place -= count;
    }
    None
}

fn page_of_all(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let size = call.page_size("ResourcesPerPage", PAGE, PAGE);
    let size = size.ok_or_else(|| invalid("ResourcesPerPage must be from 1 to 100."))?;
    let types = types(account_region, call);
    let len = types.iter().map(|(_, count)| count).sum();
    let wanted = |place: usize| at(&types, place).is_some_and(|(kind, index)| account_region.ever_tagged(kind, index));
    let scope = call.scope(&format!("resources/{:?}", type_filters(call)));
    let token = call.field("PaginationToken").filter(|token| !token.is_empty());
    let paging = Paging { scope: &scope, token, size, effect: call.effect.as_ref() };
    let page = paging.page_where(len, wanted).ok_or_else(|| invalid("The PaginationToken is invalid."))?;
    let found = page.places.filter(|place| wanted(*place)).filter_map(|place| at(&types, place));
    let mut mappings: Vec<Value> = found.map(|(kind, index)| mapping(account_region, kind, index)).collect();
    if returns_deleted(call) {
        mappings.extend(deleted_resources(account_region, &types));
    }
    Ok(reply(mappings, page.next))
}

/// A few deleted resources of each type, still with their tags.
fn deleted_resources(account_region: &AccountRegion<'_>, types: &[(Kind, usize)]) -> Vec<Value> {
    let deleted =
        types.iter().flat_map(|(kind, count)| (*count..count + DELETED_RESOURCES).map(|index| (*kind, index)));
    deleted
        .filter(|(kind, index)| account_region.ever_tagged(*kind, *index))
        .map(|(kind, index)| mapping(account_region, kind, index))
        .collect()
}

fn mapping(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> Value {
    json!({"ResourceARN": account_region.arn(kind, index), "Tags": json_tags(account_region.tags(kind, index), "Key", "Value")})
}

/// The last page has an empty token, not none.
fn reply(mappings: Vec<Value>, next: Option<String>) -> Reply {
    let items = mappings.len();
    let body = json!({"PaginationToken": next.unwrap_or_default(), "ResourceTagMappingList": mappings});
    Reply { body: body.to_string(), items }
}
